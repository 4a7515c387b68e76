/* Casts between F64, F32, F16 and BF16 against their definition: values decoded and rounded with libm, and numpy. */
#define _GNU_SOURCE
#include "files.h"
#include <math.h>
#include <time.h>

typedef struct format {
    const char *name;
    size_t size;
    int mantissa, least; /* bits; exponent of the smallest normal number */
    double max;
} format;
static const format f64 = {"F64", 8, 52, -1022, 0x1.fffffffffffffp1023}, f32 = {"F32", 4, 23, -126, 0x1.fffffep127}, f16 = {"F16", 2, 10, -14, 65504},
                    bf16 = {"BF16", 2, 7, -126, 0x1.fep127};
static const format *const formats[] = {&f64, &f32, &f16, &bf16};

static uint64_t state = 1;
static uint64_t noise(void)
{
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t code_at(const format *f, const void *p, size_t i)
{
    uint64_t u = 0;
    memcpy(&u, (const char *)p + i * f->size, f->size);
    return u;
}

/* The value of a code, from the fields. */
static double decode(const format *f, uint64_t u)
{
    int bits = (int)f->size * 8, top = (1 << (bits - f->mantissa - 1)) - 1;
    uint64_t man = u & ((1ull << f->mantissa) - 1);
    int exp = (int)(u >> f->mantissa) & top;
    double v = exp == top ? (man ? NAN : INFINITY)
               : exp      ? ldexp((double)(man | 1ull << f->mantissa), exp - 1 + f->least - f->mantissa)
                          : ldexp((double)man, f->least - f->mantissa);
    return u >> (bits - 1) & 1 ? -v : v;
}

/* d rounded to nearest even in the format. */
static double rounded(const format *f, double d)
{
    if (!isfinite(d) || d == 0 || f == &f64) return d;
    int e = ilogb(d), last = (e < f->least ? f->least : e) - f->mantissa;
    double r = ldexp(rint(ldexp(d, -last)), last);
    return fabs(r) > f->max ? copysign(INFINITY, d) : r;
}

static uint64_t cast(const format *from, const void *src, const format *to, void *dst, size_t n)
{
    uint64_t over = 7;
    pith_err e = {{0}};
    if (pith_cast(from->name, src, to->name, dst, n, &over, &e)) fail_msg("%s to %s: %s", from->name, to->name, e.msg);
    return over - 7;
}

/* Casts n codes at p and compares each with its definition. */
static void check(const format *from, const void *p, const format *to, size_t n)
{
    char *got = malloc(n * to->size + 1);
    uint64_t over = 0, told = cast(from, p, to, got, n), quiet = 1ull << (to->mantissa - 1), sign = 1ull << (to->size * 8 - 1);
    for (size_t i = 0; i < n; i++) {
        uint64_t u = code_at(from, p, i), c = code_at(to, got, i);
        double v = decode(from, u), want = rounded(to, v), is = decode(to, c);
        over += isfinite(v) && isinf(want);
        int same_sign = !(c & sign) == !(u >> (from->size * 8 - 1) & 1);
        if (!same_sign || !(isnan(want) ? isnan(is) && c & quiet : is == want))
            fail_msg("%s %#llx (%a) to %s: got %#llx (%a), expected %a", from->name, (unsigned long long)u, v, to->name, (unsigned long long)c, is, want);
    }
    assert_int_equal(told, over);
    free(got);
}

static void test_all_codes(void **st)
{
    (void)st;
    static uint16_t h[65536], back[65536];
    static char wide[65536 * 8];
    for (unsigned i = 0; i < 65536; i++) h[i] = (uint16_t)i;
    for (int k = 2; k < 4; k++) {
        for (int j = 0; j < 4; j++) {
            if (j == k) continue;
            check(formats[k], h, formats[j], 65536);
            if (j >= 2) continue;
            cast(formats[k], h, formats[j], wide, 65536);
            assert_int_equal(cast(formats[j], wide, formats[k], back, 65536), 0);
            for (unsigned i = 0; i < 65536; i++)
                if (!isnan(decode(formats[k], i))) assert_int_equal(back[i], i);
        }
        cast(formats[k], h, formats[k], back, 65536);
        assert_memory_equal(h, back, sizeof h);
    }
}

/* Every number of `to`, the middles between neighbours, and what lies next to them on both sides, as codes of `from`. */
static void check_boundaries(const format *from, const format *to)
{
    size_t n = 0;
    char *p = malloc(8 * 8 * 65536 * from->size);
    for (uint64_t u = 0; u < 65536; u++) {
        uint64_t step = to == &f32 ? 0x10001 : 1; /* of F32 a sample */
        double a = decode(to, u * step), b = decode(to, u * step + 1);
        if (!isfinite(a)) continue;
        if (isinf(b)) b = copysign(to->max + (to->max - decode(to, u * step - 1)), b);
        double middle = a / 2 + b / 2;
        double v[8] = {a, middle, nextafter(middle, 0), nextafter(middle, INFINITY), nextafter(middle, -INFINITY), (double)nextafterf((float)middle, 0),
                       (double)nextafterf((float)middle, INFINITY), (double)nextafterf((float)middle, -INFINITY)};
        for (int i = 0; i < 8; i++, n++) {
            float f = (float)v[i];
            memcpy(p + n * from->size, from == &f64 ? (void *)&v[i] : (void *)&f, from->size);
        }
    }
    assert_true(n > 8 * 60000);
    check(from, p, to, n);
    free(p);
}

static void test_boundaries(void **st)
{
    (void)st;
    check_boundaries(&f32, &f16);
    check_boundaries(&f32, &bf16);
    check_boundaries(&f64, &f16);
    check_boundaries(&f64, &bf16);
    check_boundaries(&f64, &f32);
}

/* Codes at random: uniform ones, and F64 with exponents that matter to the narrow formats and long runs of equal bits. */
static void test_random(void **st)
{
    (void)st;
    enum { N = 1 << 20 };
    uint64_t *x = malloc(N * 8);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++) x[i] = noise();
        check(&f32, x, &f16, 2 * N);
        check(&f32, x, &bf16, 2 * N);
        check(&f32, x, &f64, 2 * N);
        for (size_t i = 0; round && i < N; i++) {
            uint64_t r = noise(), exp = round == 1 ? 1023 - 160 + r % 300 : 1023 - 30 + r % 50;
            unsigned run = r >> 32 & 63;
            x[i] = (x[i] & 0x800fffffffffffff) | exp << 52;
            x[i] = r >> 40 & 1 ? x[i] & ~0ull << run : r >> 41 & 1 ? x[i] | ((1ull << run) - 1) >> 12 : x[i];
        }
        check(&f64, x, &f16, N);
        check(&f64, x, &bf16, N);
        check(&f64, x, &f32, N);
    }
    free(x);
}

/* What the two ways of rounding twice would get wrong, in numbers one can read. */
static void test_once(void **st)
{
    (void)st;
    static const double in[] = {1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-11 - 0x1p-40, 0x1p-25 + 0x1p-70, 0x1p-25, 65520 - 0x1p-30, 65520, -1e300, 5e-324};
    static const uint16_t half[] = {0x3c01, 0x3c00, 0x0001, 0x0000, 0x7bff, 0x7c00, 0xfc00, 0x0000};
    static const double wide[] = {1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-8, 1 + 3 * 0x1p-8, 0x1p-134 + 0x1p-180, 0x1p-134, 3 * 0x1p-134 - 0x1p-180, 0x1.ffp127, -0x1.fefffffffp127};
    static const uint16_t brain[] = {0x3f81, 0x3f80, 0x3f82, 0x0001, 0x0000, 0x0001, 0x7f80, 0xff7f};
    static const float f[] = {0x1p-25f, 0x1.000002p-25f, 3 * 0x1p-25f, -0x1p-149f, 65519.996f, 65520, -0.0f, NAN};
    static const uint16_t fh[] = {0x0000, 0x0001, 0x0002, 0x8000, 0x7bff, 0x7c00, 0x8000, 0x7e00};
    uint16_t out[8];
    assert_int_equal(cast(&f64, in, &f16, out, 8), 2);
    assert_memory_equal(out, half, sizeof out);
    assert_int_equal(cast(&f64, wide, &bf16, out, 8), 1);
    assert_memory_equal(out, brain, sizeof out);
    assert_int_equal(cast(&f32, f, &f16, out, 8), 1);
    assert_memory_equal(out, fh, sizeof out);
}

/* Lengths around blocks and vectors, unaligned ends, and no byte beyond them. */
static void test_lengths(void **st)
{
    (void)st;
    enum { N = 2100 };
    static unsigned char src[8 * N + 1], whole[8 * N], some[8 * N + 2];
    for (size_t i = 0; i < sizeof src; i++) src[i] = (unsigned char)noise();
    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++) {
            size_t size = formats[b]->size;
            cast(formats[a], src + 1, formats[b], whole, N);
            for (size_t n = 0; n <= N; n += n < 70 || (n > 1000 && n < 1040) ? 1 : 53) {
                memset(some, 0x5a, sizeof some);
                cast(formats[a], src + 1, formats[b], some + 1, n);
                assert_memory_equal(some + 1, whole, n * size);
                assert_true(some[0] == 0x5a && some[1 + n * size] == 0x5a);
            }
        }
    }
}

static void test_refused(void **st)
{
    (void)st;
    pith_err e = {{0}};
    assert_int_equal(pith_cast("F32", "", "I32", NULL, 0, NULL, &e), -1);
    assert_string_equal(e.msg, "a cast from F32 to I32, expected two of F64, F32, F16, BF16");
    assert_int_equal(pith_cast("f32", "", "F16", NULL, 0, NULL, NULL), -1);
    assert_int_equal(pith_cast("BOOL", "", "BOOL", NULL, 0, NULL, NULL), -1);
    assert_int_equal(pith_cast("F64", NULL, "BF16", NULL, 0, NULL, NULL), 0);
    assert_int_equal(pith_cast("F16", NULL, "F16", NULL, 0, NULL, NULL), 0);
}

static void test_numpy(void **st)
{
    (void)st;
    enum { N = 1 << 21 };
    if (system("/usr/bin/python3 -c 'import numpy' 2>/dev/null")) {
        printf("# skip: /usr/bin/python3 has no numpy\n");
        skip();
    }
    uint64_t *x = malloc(N * 8);
    uint16_t *h = malloc(N * 2), *wide = malloc(N * 2);
    for (size_t i = 0; i < N; i++) x[i] = (noise() & 0x800fffffffffffff) | (1023 - 28 + noise() % 48) << 52;
    cast(&f64, x, &f16, wide, N);
    files_write("wide", x, N * 8);
    files_write("wide.half", wide, N * 2);
    for (size_t i = 0; i < N; i++) x[i] = noise();
    cast(&f32, x, &f16, h, N);
    files_write("in", x, N * 4);
    files_write("half", h, N * 2);
    free(x);
    free(h);
    free(wide);
    char command[2048];
    snprintf(command, sizeof command,
             "cd %s && /usr/bin/python3 -W ignore -c '\n"
             "import numpy as np, sys\n"
             "for a, t, b in ((\"in\", \"<f4\", \"half\"), (\"wide\", \"<f8\", \"wide.half\")):\n"
             "    want, got = np.fromfile(a, t).astype(\"<f2\"), np.fromfile(b, \"<f2\")\n"
             "    n = np.isnan(want)\n"
             "    if len(want) != %d or (np.isnan(got) != n).any() or (want.view(\"<u2\")[~n] != got.view(\"<u2\")[~n]).any(): sys.exit(1)'",
             files_dir, N);
    assert_int_equal(system(command), 0);
}

static void test_speed(void **st)
{
    (void)st;
    enum { N = 1 << 20 };
    char *src = calloc(N, 8), *dst = malloc(N * 8);
    float *f = malloc(N * 4);
    for (size_t i = 0; i < N; i++) f[i] = (float)(int32_t)noise() * 1e-10f;
    for (int a = 0; a < 4; a++) {
        cast(&f32, f, formats[a], src, N);
        for (int b = 0; b < 4; b++) {
            if (a == b) continue;
            double best = 1e9;
            for (int i = 0; i < 5; i++) {
                struct timespec t0, t1;
                clock_gettime(CLOCK_MONOTONIC, &t0);
                cast(formats[a], src, formats[b], dst, N);
                clock_gettime(CLOCK_MONOTONIC, &t1);
                double t = (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec);
                if (t < best) best = t;
            }
            printf("# %s to %s: %.1f GB/s in and out\n", formats[a]->name, formats[b]->name, N * (double)(formats[a]->size + formats[b]->size) / best * 1e-9);
        }
    }
    free(f);
    free(src);
    free(dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_codes), cmocka_unit_test(test_boundaries), cmocka_unit_test(test_random), cmocka_unit_test(test_once),
                                       cmocka_unit_test(test_lengths), cmocka_unit_test(test_refused), cmocka_unit_test(test_numpy), cmocka_unit_test(test_speed)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
