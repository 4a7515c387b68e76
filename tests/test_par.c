/* Threads: every index once whatever happens, workers that really help, several callers, fork, pinning. */
#define _GNU_SOURCE
#include "util.h"
#include "base/par.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

enum { MOST = 1000 };
static atomic_int no_threads; /* the system gives none */
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    return no_threads && no_threads-- == 1 ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

typedef struct count_ctx {
    atomic_int seen[MOST];
    atomic_int bad;
    int threads;
    volatile float tiny;
} count_ctx;

static void count_item(void *ctx, size_t i, int tid)
{
    count_ctx *c = ctx;
    c->seen[i]++;
    if (tid < 0 || tid >= c->threads || c->tiny * 0.5f == 0.0f) c->bad = 1;
}

/* 0: every index once, on a worker in range, without flush-to-zero. */
static int counts(int threads, size_t n)
{
    count_ctx c = {.threads = threads, .tiny = 1e-38f};
    par_for(threads, n, count_item, &c);
    for (size_t i = 0; i < MOST; i++)
        if (c.seen[i] != (i < n)) return -1;
    return c.bad;
}

static void test_every_index_once(void **state)
{
    (void)state;
    static const size_t n[] = {0, 1, 2, 3, 7, 64, MOST};
    for (int threads = 1; threads <= 9; threads++)
        for (size_t k = 0; k < sizeof n / sizeof *n; k++) assert_int_equal(counts(threads, n[k]), 0);
    assert_true(par_cpus() >= 1);
}

/* Jobs of a few items at once, some after a pause in which workers fall asleep: late ones meet the next job. */
typedef struct add_ctx {
    atomic_size_t sum;
    size_t by;
} add_ctx;
static void add_item(void *ctx, size_t i, int tid)
{
    add_ctx *c = ctx;
    (void)tid;
    c->sum += c->by + i;
}
static int many_jobs(int threads, size_t jobs)
{
    for (size_t k = 0; k < jobs; k++) {
        size_t n = 1 + k % 5;
        add_ctx c = {.by = k};
        par_for(threads, n, add_item, &c);
        if (c.sum != n * k + n * (n - 1) / 2) return -1;
        if (k % 512 == 0) usleep(1000);
    }
    return 0;
}
static void test_many_jobs(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 8; threads *= 2) assert_int_equal(many_jobs(threads, 5000), 0);
}

/* Items end when two threads are in the job; 0 if that came to pass. */
typedef struct meet_ctx {
    atomic_int seen[8], met;
} meet_ctx;
static void meet_item(void *ctx, size_t i, int tid)
{
    meet_ctx *c = ctx;
    (void)i;
    c->seen[tid] = 1;
    for (time_t end = time(NULL) + 20; !c->met && time(NULL) < end; sched_yield()) {
        int n = 0;
        for (int t = 0; t < 8; t++) n += c->seen[t];
        if (n > 1) c->met = 1;
    }
}
static int meets(void)
{
    meet_ctx c = {0};
    par_for(3, 8, meet_item, &c);
    return c.met ? 0 : -1;
}
static void test_workers_help(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(meets(), 0);
        usleep(5000);
    }
}

/* The n-th thread is refused: those before it do the work, and a second later there are more. */
static void test_refused(void **state)
{
    (void)state;
    for (int n = 1; n <= 3; n++) {
        counts(2, 10); /* the next team is a new one */
        no_threads = n;
        assert_int_equal(counts(4, 300), 0);
        assert_int_equal(no_threads, 0);
        assert_int_equal(counts(4, 300), 0);
    }
    counts(2, 10);
    no_threads = 1;
    assert_int_equal(counts(3, 10), 0);
    usleep(1100000);
    assert_int_equal(meets(), 0);
}

static void outer_item(void *ctx, size_t i, int tid)
{
    (void)i, (void)tid;
    count_ctx c = {.threads = 1, .tiny = 1e-38f}; /* all on this thread, as worker 0 */
    par_for(4, 50, count_item, &c);
    for (size_t k = 0; k < 50; k++)
        if (c.seen[k] != 1 || c.bad) *(atomic_int *)ctx = 1;
}
static void test_nested(void **state)
{
    (void)state;
    atomic_int bad = 0;
    par_for(3, 40, outer_item, &bad);
    assert_int_equal(bad, 0);
}

/* Callers with teams of their own, which end with them. */
static void *caller(void *arg)
{
    int threads = 2 + (int)(uintptr_t)arg % 3;
    return many_jobs(threads, 2000) || counts(threads + 1, 300) ? arg : NULL;
}
static void test_callers(void **state)
{
    (void)state;
    pthread_t t[6];
    for (size_t i = 0; i < 6; i++) assert_int_equal(pthread_create(&t[i], NULL, caller, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 6; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

/* A child has no workers of its parent's, and gets its own. */
static void test_fork(void **state)
{
    (void)state;
#ifdef UNDER_TSAN
    printf("# skip: ThreadSanitizer allows no thread after fork\n");
    skip();
#endif
    assert_int_equal(counts(3, 100), 0);
    pid_t child = fork();
    if (!child) _exit(counts(3, 100) || meets() ? 1 : 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(counts(3, 100), 0);
}

#if defined(__x86_64__)
#include <xmmintrin.h>
static void test_fp_mode(void **state)
{
    (void)state;
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040 | 0x6000); /* flush to zero, denormals are zero, round toward zero */
    unsigned hostile = _mm_getcsr();
    unsigned long mode = par_fp_enter();
    assert_int_equal(_mm_getcsr() & 0xe040, 0);
    par_fp_leave(mode);
    assert_int_equal(counts(3, 100), 0);
    assert_int_equal(counts(1, 100), 0);
    assert_int_equal(_mm_getcsr() & 0xffc0, hostile & 0xffc0);
    _mm_setcsr(before);
}
#else
static void test_fp_mode(void **state)
{
    (void)state;
    skip();
}
#endif

#ifdef __linux__
static void mask_item(void *ctx, size_t i, int tid)
{
    cpu_set_t *masks = ctx;
    (void)i;
    sched_getaffinity(0, sizeof *masks, &masks[tid]);
    usleep(200);
}
/* For as long as the process lives: the last test. */
static void test_pin(void **state)
{
    (void)state;
    cpu_set_t before, masks[2] = {0};
    sched_getaffinity(0, sizeof before, &before);
    if (CPU_COUNT(&before) < 2) {
        printf("# skip: one processor\n");
        skip();
    }
    par_pin();
    for (int tries = 0; tries < 1000 && !CPU_COUNT(&masks[1]); tries++) par_for(2, 20, mask_item, masks);
    assert_int_equal(CPU_COUNT(&masks[1]), 1);
    assert_true(CPU_EQUAL(&masks[0], &before));
}
#else
static void test_pin(void **state)
{
    (void)state;
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_index_once), cmocka_unit_test(test_many_jobs), cmocka_unit_test(test_workers_help),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nested),           cmocka_unit_test(test_callers),   cmocka_unit_test(test_fork),
        cmocka_unit_test(test_fp_mode),          cmocka_unit_test(test_pin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
