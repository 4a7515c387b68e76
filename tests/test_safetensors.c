/* Files as such: what cannot be opened, mappings, files that shrink, failing allocations, and what size costs.
 * The Makefile wraps the allocators and pread for this program: see faults.h. */
#include "faults.h"
#include "files.h"
#include "base/checked.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* Opens path with the n-th allocation failing for n = 1, 2, ... until none does. */
static void every_allocation(const char *path, const safetensors_options *o)
{
    for (long n = 1;; n++) {
        pith_err e = {{0}};
        calls = 0;
        fail_at = n;
        safetensors *s = safetensors_open(path, o, &e);
        int reached = calls >= n;
        fail_at = 0;
        if (!reached) {
            if (!s) fail_msg("refused without a failed allocation: %s", e.msg);
            assert_true(n > 4);
            safetensors_close(s);
            return;
        }
        if (s) fail_msg("allocation %ld failed and nobody noticed", n);
        if (!strstr(e.msg, "out of memory") && !strstr(e.msg, "cannot map")) fail_msg("allocation %ld failed: '%s'", n, e.msg);
    }
}

#define T(name, a, b) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[" #a "," #b "],\"x\":1}"

static void test_allocations(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s", files_st("model.safetensors", "{\"__metadata__\":{\"a\":\"b\"}," T("b", 4, 8) "," T("a", 0, 4) "}", 0, "abcdefgh", 8));
    every_allocation(path, NULL);
    every_allocation(path, &(safetensors_options){.no_mmap = 1});
    every_allocation(path, &(safetensors_options){.header_only = 1});
    every_allocation(files_dir, NULL);
    char *many = malloc(60000);
    int n = sprintf(many, "{");
    for (int i = 0; i < 600; i++) n += sprintf(many + n, "%s\"tensor.%d\":{\"dtype\":\"U8\",\"shape\":[%d,0],\"data_offsets\":[0,0]}", i ? "," : "", i, i);
    strcpy(many + n, "}");
    every_allocation(files_st("many.safetensors", many, 0, "", 0), NULL);
    free(many);
    files_mkdir("sharded");
    files_st("sharded/x", "{" T("a", 0, 4) "}", 0, "abcd", 4);
    files_st("sharded/y", "{" T("b", 0, 4) "}", 0, "abcd", 4);
    static const char index[] = "{\"metadata\":{\"total_size\":1},\"weight_map\":{\"a\":\"x\",\"b\":\"y\"}}";
    files_write("sharded/model.safetensors.index.json", index, sizeof index - 1);
    every_allocation(files_path("sharded"), NULL);
    unlink(files_path("model.safetensors"));
}

/* A file that is cut while it is read ends in a message, at whichever read it happens. */
static void test_shrinks_while_read(void **state)
{
    (void)state;
    char data[4000] = {0};
    for (long n = 1;; n++) {
        char path[1024];
        pith_err e = {{0}};
        snprintf(path, sizeof path, "%s", files_st("cut.safetensors", "{\"a\":{\"dtype\":\"U8\",\"shape\":[4000],\"data_offsets\":[0,4000]}}", 0, data, sizeof data));
        cut_path = path;
        cut_at = n;
        reads = 0;
        safetensors *s = safetensors_open(path, &(safetensors_options){.no_mmap = 1}, &e);
        cut_at = 0;
        if (reads < n) {
            assert_non_null(s);
            assert_int_equal(n, 4); /* three reads: the frame, the header, the data */
            safetensors_close(s);
            return;
        }
        assert_null(s);
        assert_non_null(strstr(e.msg, "cut.safetensors: "));
        assert_non_null(strstr(e.msg, "the file shrank while it was read"));
    }
}

/* Read, not mapped: what happens to the file afterwards does not matter. */
static void test_shrinks_after_read(void **state)
{
    (void)state;
    char path[1024];
    snprintf(path, sizeof path, "%s", files_st("after.safetensors", "{" T("a", 0, 4) "}", 0, "abcd", 4));
    safetensors *s = files_open(path, &(safetensors_options){.no_mmap = 1});
    assert_int_equal(truncate(path, 0), 0);
    assert_memory_equal(safetensors_find(s, "a")->t.data, "abcd", 4);
    safetensors_close(s);
}

/* ---- what cannot be opened ---- */

static void test_not_files(void **state)
{
    (void)state;
    files_refused(files_path("nowhere.safetensors"), "nowhere.safetensors: cannot open: No such file or directory|check the path");
    files_refused(files_path("nowhere/model.safetensors"), "No such file");
    files_refused("", "cannot open");
    files_refused("/dev/null", "/dev/null: is a device, not a regular file");
    const char *pipe_path = files_path("pipe.safetensors");
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    alarm(10); /* opening a pipe without a writer blocks, if it is done carelessly */
    files_refused(pipe_path, "is a pipe, not a regular file");
    files_mkdir("pipes");
    const char *index = files_path("pipes/model.safetensors.index.json");
    assert_int_equal(mkfifo(index, 0600), 0);
    files_refused(files_path("pipes"), "is a pipe");
    alarm(0);
    files_mkdir("odd.safetensors");
    files_refused(files_path("odd.safetensors"), "directory is empty");
    files_mkdir("d");
    files_mkdir("d/model.safetensors");
    files_refused(files_path("d"), "d/model.safetensors: is a directory");
    files_mkdir("link");
    assert_int_equal(symlink("../gone", files_path("link/model.safetensors")), 0);
    files_refused(files_path("link"), "link/model.safetensors: cannot open: No such file");
    if (geteuid() != 0) {
        const char *path = files_st("secret.safetensors", "{}", 0, "", 0);
        chmod(path, 0);
        files_refused(path, "cannot open: Permission denied");
    }
    safetensors_close(NULL);
}

/* ---- mappings ---- */

static void test_mapping(void **state)
{
    (void)state;
    static const size_t n = 1 << 20;
    char *data = malloc(n), path[1024], text[128];
    for (size_t i = 0; i < n; i++) data[i] = (char)(i * 7 + i / 4096);
    snprintf(text, sizeof text, "{\"a\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", n, n);
    snprintf(path, sizeof path, "%s", files_st("map.safetensors", text, 0, data, n));
    safetensors *s = files_open(path, NULL);
    const safetensors_entry *a = safetensors_find(s, "a");
    const char *p = a->t.data;
    assert_memory_equal(p, data, n);
    assert_string_equal(safetensors_mapped_at(s, p), path);
    assert_string_equal(safetensors_mapped_at(s, p + n - 1), path);
    assert_string_equal(safetensors_mapped_at(s, p - a->offset), path);
    assert_null(safetensors_mapped_at(s, p - a->offset - 1));
    assert_null(safetensors_mapped_at(s, p + n + 65536));
    assert_null(safetensors_mapped_at(s, text));
    safetensors_release(s, a);
    assert_memory_equal(p, data, n); /* comes back when it is asked for */
    safetensors_close(s);
    s = files_open(path, &(safetensors_options){.no_mmap = 1});
    a = safetensors_find(s, "a");
    assert_null(safetensors_mapped_at(s, a->t.data));
    safetensors_release(s, a);
    assert_memory_equal(a->t.data, data, n);
    safetensors_close(s);
    free(data);
}

static long resident_kb(void)
{
    size_t len;
    char *t = util_read("/proc/self/smaps_rollup", &len), *r = strstr(t, "Rss:");
    long kb = r ? strtol(r + 4, NULL, 10) : -1;
    free(t);
    return kb;
}

static void test_release_gives_back(void **state)
{
    (void)state;
    if (access("/proc/self/smaps_rollup", R_OK)) {
        printf("# skip: no /proc/self/smaps_rollup\n");
        skip();
    }
    static const size_t n = 32 << 20;
    char text[128], *data = calloc(1, n);
    snprintf(text, sizeof text, "{\"a\":{\"dtype\":\"U8\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}", n, n);
    safetensors *s = files_open(files_st("big.safetensors", text, 0, data, n), NULL);
    free(data);
    const safetensors_entry *a = safetensors_find(s, "a");
    size_t ones = 0;
    for (size_t i = 0; i < n; i += 512) ones += ((const unsigned char *)a->t.data)[i];
    assert_int_equal(ones, 0);
    long before = resident_kb();
    safetensors_release(s, a);
    long after = resident_kb();
    if (before - after < 30 << 10) fail_msg("resident %ld kB before, %ld after giving back 32 MB", before, after);
    safetensors_close(s);
}

/* ---- what size costs ---- */

/* Opens path in a child; its processor time and the whole peak of its resident memory against the bars.
 * The header is read, not mapped, and only it is opened, so the peak is all anonymous memory (and this program's own). */
static void cost(const char *what, const char *path, size_t header, int accepted, double seconds)
{
    struct rusage use;
    struct timespec a, b;
    int status = -1;
    clock_gettime(CLOCK_MONOTONIC, &a);
    pid_t child = fork();
    if (child == 0) {
        pith_err e = {{0}};
        safetensors *s = safetensors_open(path, &(safetensors_options){.header_only = 1}, &e);
        _exit(s ? 0 : e.msg[0] ? 1 : 2);
    }
    assert_true(child > 0 && wait4(child, &status, 0, &use) == child);
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != !accepted) fail_msg("%s: status %#x", what, (unsigned)status);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) + 1e-6 * (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
    double mb = (double)use.ru_maxrss / 1e3, bar = 64 + 1.2e-6 * (double)header;
    printf("# %s: %.3f s of processor time (%.3f s in all), %.0f MB at most (bar %.1f s, %.0f MB)\n", what, cpu,
           (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec), mb, seconds, bar);
    if (UTIL_SANITIZED) return; /* shadow memory and checks are not the library's */
    if (cpu > seconds || mb > bar) fail_msg("%s: %.3f s, %.0f MB; the bars are %.1f s, %.0f MB", what, cpu, mb, seconds, bar);
}

/* n entries as `fmt` of (i, i, i + 1) in the order i * step mod n; len is the text's. */
static char *entries(size_t n, size_t step, const char *fmt, size_t *len)
{
    char *t = malloc(n * 100 + 3), *p = t;
    *p++ = '{';
    for (size_t i = 0, k = 0; i < n; i++, k = (k + step) % n) {
        if (i) *p++ = ',';
        p += sprintf(p, fmt, k, k, k + 1);
    }
    *p++ = '}';
    *len = (size_t)(p - t);
    return t;
}

enum { MOST_DATA = 1200000 };

/* Writes the header t with n bytes of data and frees it: the child would inherit its memory. */
static void text_cost(const char *what, char *t, size_t len, size_t data, int accepted, double seconds)
{
    static const char zeros[MOST_DATA];
    const char *path = files_st("cost.safetensors", t, len, zeros, data);
    free(t);
    cost(what, path, len, accepted, seconds);
    unlink(path);
}

static void entries_cost(const char *what, const char *fmt, size_t n, size_t step, size_t data, int accepted, double seconds)
{
    size_t len;
    char *t = entries(n, step, fmt, &len);
    text_cost(what, t, len, data, accepted, seconds);
}

#define ENTRY "\"weight_%zu\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}"


static void test_cost_of_big_headers(void **state)
{
    (void)state;
    static const size_t cap = 100000000;
    const double bar = 0.5, loose = 2; /* files that are accepted, or that have to be read to their end, depend on the machine */
    static const char one[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}";
    for (size_t more = 0; more < 2; more++) {
        char *t = malloc(cap + more);
        memset(t, ' ', cap + more);
        memcpy(t, one, sizeof one - 1);
        text_cost(more ? "one byte over 100 MB" : "100 MB of spaces", t, cap + more, 0, !more, bar);
    }
    char *t = malloc(cap + 1);
    size_t n = (size_t)sprintf(t, "{\"\\n");
    memset(t + n, 'n', cap - 60);
    n += cap - 60;
    n += (size_t)sprintf(t + n, "\":%s", one + 5);
    text_cost("one name of 100 MB", t, n, 0, 1, loose);
    t = malloc(cap + 1);
    n = (size_t)sprintf(t, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1");
    while (n < cap - 60) t[n++] = ',', t[n++] = '1';
    n += (size_t)sprintf(t + n, "],\"data_offsets\":[0,1]}}");
    text_cost("one shape of 50 million dimensions", t, n, 1, 0, loose);
    t = malloc(cap + 1);
    n = (size_t)sprintf(t, "{\"__metadata__\":{\"\":\"\"");
    while (n < cap - 10) n += (size_t)sprintf(t + n, ",\"\":\"\"");
    n += (size_t)sprintf(t + n, "}}");
    text_cost("16 million pairs of metadata", t, n, 0, 1, loose);
    entries_cost("1.4 million tensors on the same bytes", "\"weight_%zu\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}", 1400000, 1, 16, 0, bar);
    entries_cost("1.2 million tensors", ENTRY, 1200000, 1, MOST_DATA, 1, loose);
    entries_cost("1.2 million tensors, the last one missing", ENTRY, 1200000, 1, MOST_DATA - 1, 0, loose);
    entries_cost("1.7 million empty tensors", "\"%zu\":{\"dtype\":\"F4\",\"shape\":[0],\"data_offsets\":[0,0]}", 1700000, 1, 0, 1, loose);
    entries_cost("600,000 tensors in no order", ENTRY, 600000, 370759, 600000, 1, loose);
}

static void test_open_10000(void **state)
{
    (void)state;
    size_t len;
    char *t = entries(10000, 1, "\"model.layers.%zu.self_attn.q_proj.weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}", &len), data[10000] = {0};
    const char *path = files_st("x.safetensors", t, len, data, sizeof data);
    free(t);
    double best = 1e9;
    for (int i = 0; i < 20; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        safetensors_close(files_open(path, NULL));
        clock_gettime(CLOCK_MONOTONIC, &b);
        double ms = 1e3 * (double)(b.tv_sec - a.tv_sec) + 1e-6 * (double)(b.tv_nsec - a.tv_nsec);
        if (ms < best) best = ms;
    }
    printf("# 10,000 tensors opened and closed in %.2f ms (bar 20)\n", best);
    assert_true(UTIL_SANITIZED || best < 20);
    safetensors *s = files_open(path, NULL);
    for (size_t i = 0; i < safetensors_count(s); i++) assert_ptr_equal(safetensors_find(s, safetensors_at(s, i)->name), safetensors_at(s, i));
    assert_null(safetensors_find(s, "model.layers.10000.self_attn.q_proj.weight"));
    assert_null(safetensors_find(s, ""));
    safetensors_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations), cmocka_unit_test(test_shrinks_while_read), cmocka_unit_test(test_shrinks_after_read),
        cmocka_unit_test(test_not_files), cmocka_unit_test(test_mapping), cmocka_unit_test(test_release_gives_back),
        cmocka_unit_test(test_cost_of_big_headers), cmocka_unit_test(test_open_10000),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
