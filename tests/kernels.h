/* kernels: what the kernel tests share: random and adversarial values, buffers that end at unmapped pages, comparison
 * bit for bit. A third of the cases run; LONG=1 runs all of them, PITH_TEST_QUICK=1 about a twentieth (emulators). */
#ifndef TESTS_KERNELS_H
#define TESTS_KERNELS_H
#include "util.h"
#include "base/par.h"
#include "compute/kernel.h"
#include <float.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

static inline int quick(void)
{
    const char *q = getenv("PITH_TEST_QUICK");
    return q && *q && strcmp(q, "0") != 0;
}
static inline size_t cases(size_t full) { return quick() ? full / 20 + 1 : util_long() ? full : full / 3 + 1; }

#define FIRST_SEED 88172645463325252u
static uint64_t seed = FIRST_SEED;
static inline uint32_t rnd(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}
static inline size_t below(size_t n) { return rnd() % n; }
static inline float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint32_t to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return isnan(f) ? 0x7fc00000 : u;
}

/* Memory that ends where an unmapped page begins. */
typedef struct guarded {
    char *map, *end;
    size_t bytes;
} guarded;
static inline guarded guard_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (bytes + page - 1) / page * page;
    char *p = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p, page, PROT_NONE) | mprotect(p + page + size, page, PROT_NONE), 0);
    return (guarded){p, p + page + size, size + 2 * page};
}
static inline void *guard_last(const guarded *g, size_t bytes)
{
    assert_true(bytes <= (size_t)(g->end - g->map));
    return g->end - bytes;
}
static inline void guard_free(guarded *g) { munmap(g->map, g->bytes); }

enum { PLAIN, TINY, WILD, SPECIAL, MODES };
static const uint32_t specials[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x00000000, 0x80000000, 0x00000001,
                                    0x807fffff, 0x7f7fffff, 0xff7fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x42b17218};
static inline float value(int mode)
{
    float f = (float)((int32_t)rnd()) * 0x1p-31f;
    if (mode == TINY) return f * (rnd() & 1 ? 0x1p-75f : 0x1p-62f); /* products are subnormal */
    if (mode == WILD) return ldexpf(f, (int)below(80) - 40);
    if (mode == SPECIAL && below(40) == 0) return from_bits(specials[below(sizeof specials / sizeof *specials)]);
    return f;
}
static inline void fill(float *x, size_t n, int mode)
{
    for (size_t i = 0; i < n; i++) x[i] = value(mode);
}

static inline void same_floats(const float *got, const float *want, size_t n, const char *fmt, ...)
{
    for (size_t i = 0; i < n; i++)
        if (to_bits(got[i]) != to_bits(want[i])) {
            char where[256];
            va_list ap;
            va_start(ap, fmt);
            vsnprintf(where, sizeof where, fmt, ap);
            va_end(ap);
            fail_msg("%s: element %zu of %zu: got %a, expected %a", where, i, n, (double)got[i], (double)want[i]);
        }
}

/* The set of a test's name, or the test is skipped: this CPU has not got it. */
static inline const kernel_set *need_set(void **state)
{
    pith_err e = {0};
    const kernel_set *k = kernel_find(*state, &e);
    if (!k) {
        printf("# skip: %s\n", e.msg);
        skip();
    }
    return k;
}
static inline const kernel_set *generic(void)
{
    const kernel_set *k = kernel_find("generic", NULL);
    assert_non_null(k);
    return k;
}

#define SET_TEST(fn, set) {#fn ": " #set, fn, NULL, NULL, (void *)(uintptr_t) #set}
/* Runs a program's tests in the floating-point mode that kernels expect. */
#define run_kernel_tests(tests)                                                                                        \
    do {                                                                                                               \
        if (quick()) printf("# PITH_TEST_QUICK: about a twentieth of the cases\n");                                    \
        unsigned long mode_ = par_fp_enter();                                                                          \
        int failed_ = cmocka_run_group_tests(tests, NULL, NULL);                                                       \
        par_fp_leave(mode_);                                                                                           \
        return failed_;                                                                                                \
    } while (0)
#endif
