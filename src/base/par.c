#define _POSIX_C_SOURCE 200809L
#include "base/par.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/platform.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#ifdef _OPENMP
static int threads_wanted(void) { return omp_get_max_threads(); }
static int placed_by_user(void) { return omp_get_proc_bind() != omp_proc_bind_false; }
#else /* the one setting of OpenMP's that is known */
static int threads_wanted(void)
{
    const char *s = getenv("OMP_NUM_THREADS");
    long n = s ? strtol(s, NULL, 10) : 0;
    return n > 0 && n < 1 << 16 ? (int)n : 1 << 16;
}
static int placed_by_user(void) { return 0; }
#endif

int par_cpus(void)
{
    int n = threads_wanted(), p = platform_cpus_count();
    return n < 1 ? 1 : n < p ? n : p;
}

/* ---- waiting ---- */

/* Seconds to wait awake: a job follows the other within microseconds, and to be woken takes fifty. More is a gain of some
 * percent on a machine of one's own, and a loss of a quarter beside a busy process, which the time is taken from. */
static const double PATIENCE = 25e-6;

/* A number of items that threads wait for. */
typedef struct gate {
    _Alignas(64) atomic_size_t items;
    atomic_int sleepers;
    pthread_cond_t changed;
} gate;

/* Workers of one calling thread. They stay in one parallel region for as long as that thread lives, and wait for jobs. */
typedef struct team {
    pthread_t host; /* the region's first thread */
    pthread_t *worker; /* [workers] */
    int threads, workers; /* as asked, with the caller; as there are, without */
    double asked; /* when there were fewer threads than that */
    platform_cpus cpus; /* the caller's when the team began */
    int cpu, pinned; /* where the workers were placed for */
    atomic_int arrived; /* workers, so far */
    pthread_mutex_t lock; /* of those who sleep */
    /* The job. It does not change while anyone holds an item of it. Without fn: who takes an item leaves. */
    par_fn *fn;
    void *ctx;
    size_t n;
    gate left, unfinished; /* not taken; not done */
} team;

static void relax(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

static int is_empty(gate *g) { return atomic_load(&g->items) == 0; }

static void gate_wait(team *t, gate *g, int empty)
{
    double start = clock_now();
    do {
        for (int i = 0; i < 20; i++) {
            if (is_empty(g) == empty) return;
            relax();
        }
    } while (clock_now() - start < PATIENCE);
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&g->sleepers, 1);
    while (is_empty(g) != empty) pthread_cond_wait(&g->changed, &t->lock);
    atomic_fetch_sub(&g->sleepers, 1);
    pthread_mutex_unlock(&t->lock);
}

/* After a change. Who goes to sleep either has counted itself before, or sees the change. */
static void gate_wake(team *t, gate *g)
{
    if (!atomic_load(&g->sleepers)) return;
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&t->lock);
}

/* ---- teams ---- */

static _Thread_local team *mine;
static _Thread_local int busy; /* this thread runs an item */
static atomic_int pinned;
static pthread_key_t at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

void par_pin(void) { atomic_store(&pinned, 1); }

/* Linux may wake a worker on its caller's processor and leave both there while another idles (measured: for 20 ms and
 * longer). So workers keep off it; unless the user told OpenMP where they belong. */
static void place(team *t)
{
    int cpu = platform_cpu(), pin = atomic_load(&pinned);
    if (cpu < 0 || (cpu == t->cpu && pin == t->pinned) || placed_by_user()) return;
    t->cpu = cpu, t->pinned = pin;
    platform_keep_off(cpu, &t->cpus, t->worker, t->workers, pin);
}

/* Runs items until all are taken. 0: the team is closed. Who takes one holds the job: a thread that comes late finds
 * none left, or an item of the next job. */
static int work(team *t, int tid)
{
    size_t left = atomic_load(&t->left.items);
    while (left) {
        if (!atomic_compare_exchange_weak(&t->left.items, &left, left - 1)) continue;
        if (!t->fn) return 0;
        t->fn(t->ctx, t->n - left, tid);
        if (atomic_fetch_sub(&t->unfinished.items, 1) == 1) gate_wake(t, &t->unfinished);
        left = atomic_load(&t->left.items);
    }
    return 1;
}

static void publish(team *t, par_fn *fn, void *ctx, size_t n)
{
    t->fn = fn, t->ctx = ctx, t->n = n;
    atomic_store(&t->unfinished.items, n);
    atomic_store(&t->left.items, n);
    gate_wake(t, &t->left);
}

/* Kernels want 70 KB of stack, and some systems give a thread that does not ask 128: more than enough is better. */
static int start(pthread_t *t, void *(*run)(void *), void *arg)
{
    enum { STACK = 1 << 20 };
    pthread_attr_t a;
    size_t given;
    if (pthread_attr_init(&a)) return -1;
    int bad = pthread_attr_getstacksize(&a, &given) || (given < STACK && pthread_attr_setstacksize(&a, STACK)) || pthread_create(t, &a, run, arg);
    pthread_attr_destroy(&a);
    return bad;
}

static void begin(team *t, int workers)
{
    t->workers = workers;
    atomic_store(&t->unfinished.items, 0);
    gate_wake(t, &t->unfinished);
}

static void attend(team *t, int i)
{
    while (work(t, i + 1)) gate_wait(t, &t->left, 0);
}

#ifdef _OPENMP
static void *host(void *arg)
{
    team *t = arg;
#pragma omp parallel num_threads(t->workers)
    {
        int i = omp_get_thread_num();
        busy = 1;
        par_fp_enter();
        t->worker[i] = pthread_self();
        /* The last one begins, and no barrier of OpenMP's holds anyone: a process may end as soon as a job does, and clang's
         * runtime then takes a barrier apart in which others still are. */
        if (atomic_fetch_add(&t->arrived, 1) + 1 == omp_get_num_threads()) begin(t, omp_get_num_threads());
        attend(t, i);
    }
    return NULL;
}
#else
static void *guest(void *arg)
{
    team *t = arg;
    busy = 1;
    par_fp_enter();
    attend(t, atomic_fetch_add(&t->arrived, 1) + 1);
    return NULL;
}

static void *host(void *arg)
{
    team *t = arg;
    int n = 1;
    busy = 1;
    par_fp_enter();
    t->worker[0] = pthread_self();
    while (n < t->workers && !start(&t->worker[n], guest, t)) n++;
    begin(t, n);
    attend(t, 0);
    while (--n) pthread_join(t->worker[n], NULL);
    return NULL;
}
#endif

static void team_free(void *arg)
{
    team *t = arg;
    if (!t) return;
    if (t->workers) {
        publish(t, NULL, NULL, (size_t)t->workers);
        pthread_join(t->host, NULL);
    }
    pthread_cond_destroy(&t->left.changed);
    pthread_cond_destroy(&t->unfinished.changed);
    pthread_mutex_destroy(&t->lock);
    mem_free(t->worker);
    mem_free_aligned(t);
}

static void *idle(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

/* How many threads the system gives at once, n at most: tried, for OpenMP ends the process where it is refused one. */
static int available(int n)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *t = mem_zero((size_t)n, sizeof *t);
    int k = 0;
    pthread_mutex_lock(&lock);
    while (t && k < n && !start(&t[k], idle, &lock)) k++;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < k; i++) pthread_join(t[i], NULL);
    mem_free(t);
    return k;
}

/* NULL where memory is not to be had. A team may be short of workers, or have none: the caller does what they do not. */
static team *team_new(int threads)
{
    team *t = mem_aligned(_Alignof(team), sizeof *t);
    if (!t) return NULL;
    *t = (team){.threads = threads, .worker = mem_zero((size_t)threads, sizeof *t->worker)};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->left.changed, NULL);
    pthread_cond_init(&t->unfinished.changed, NULL);
    t->cpu = -1;
    platform_cpus_get(&t->cpus);
    if (!t->worker) {
        team_free(t);
        return NULL;
    }
    t->workers = available(threads - 1);
    atomic_store(&t->unfinished.items, 1);
    const int hosted = t->workers && !start(&t->host, host, t); /* which from then on says how many there are */
    if (hosted) gate_wait(t, &t->unfinished, 1);
    else t->workers = 0;
    if (t->workers < threads - 1) {
        t->asked = clock_now();
        log_tell(PITH_LOG_WARNING, "%d threads were asked for, the system gives %d", threads, t->workers + 1);
    }
    return t;
}

/* A child of fork has none of its parent's workers. */
static void forget(void)
{
    mine = NULL;
    pthread_setspecific(at_exit, NULL);
}
static void prepare(void)
{
    pthread_key_create(&at_exit, team_free);
    pthread_atfork(NULL, NULL, forget);
}

/* A team that is short asks again, but not for each job. */
static team *find_team(int threads)
{
    if (mine && mine->threads == threads && (mine->workers == threads - 1 || clock_now() - mine->asked < 1)) return mine;
    pthread_once(&once, prepare);
    team_free(mine);
    mine = team_new(threads);
    pthread_setspecific(at_exit, mine);
    return mine;
}

void par_for(int threads, size_t n, par_fn *fn, void *ctx)
{
    unsigned long mode = par_fp_enter();
    team *t = threads > 1 && n > 1 && !busy ? find_team(threads) : NULL;
    if (t) {
        busy = 1;
        place(t);
        publish(t, fn, ctx, n);
        work(t, 0);
        gate_wait(t, &t->unfinished, 1);
        busy = 0;
    } else {
        for (size_t i = 0; i < n; i++) fn(ctx, i, 0);
    }
    par_fp_leave(mode);
}
