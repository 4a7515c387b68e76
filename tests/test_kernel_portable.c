/* Functions of one float and of a row: errors stated in ulp against long double, generic against the written order of
 * operations, every other exact set against generic bit for bit. */
#define _DEFAULT_SOURCE
#include "kernels.h"

/* ---- functions of one float ---- */

static long double gelu_ref(long double x) { return x * 0.5L * (1 + erfl(x * 0.707106781186547524400844362104849039L)); }
static long double gelu_tanh_ref(long double x)
{
    return 0.5L * x * (1 + tanhl(0.797884560802865355879892119868763737L * (x + 0.044715L * x * x * x)));
}
static long double silu_ref(long double x) { return x / (1 + expl(-x)); }

/* Distance in units of the last place of a float result as large as `want`. */
static double ulps(float got, long double want)
{
    if (isnan(got) || isnan(want)) return isnan(got) && isnan(want) ? 0 : INFINITY;
    if (isinf(got)) return fabsl(want) > 0x1.ffffffp127L && (got > 0) == (want > 0) ? 0 : INFINITY;
    int e;
    frexpl(want, &e);
    return (double)(fabsl((long double)got - want) / ldexpl(1, e < -125 ? -149 : e - 24));
}

typedef struct function {
    const char *name;
    void (*run)(float *, size_t);
    long double (*ref)(long double);
    double ulp;      /* bound; 0: the absolute one holds */
    double absolute; /* times max(1, |x|) */
} function;

enum { FUNCTIONS = 6, CHUNK = 4096 };
static void functions_of(const kernel_set *k, function *f)
{
    f[0] = (function){"exp", k->vexp, expl, 1.0, 0};
    f[1] = (function){"tanh", k->vtanh, tanhl, 1.5, 0};
    f[2] = (function){"erf", k->verf, erfl, 1.1, 0};
    f[3] = (function){"gelu", k->gelu, gelu_ref, 0, 1.2e-7};
    f[4] = (function){"gelu_tanh", k->gelu_tanh, gelu_tanh_ref, 0, 2e-7};
    f[5] = (function){"silu", k->silu, silu_ref, 0, 1.2e-7};
}

/* Every step-th float of both signs. */
static void test_ulp(void **state)
{
    (void)state;
    function f[FUNCTIONS];
    functions_of(kernel_at(0), f);
    uint32_t step = quick() ? 15013 : 701;
    static float x[CHUNK], y[CHUNK];
    for (int i = 0; i < FUNCTIONS; i++) {
        double worst = 0;
        float at = 0;
        size_t n = 0, points = 0;
        for (uint64_t u = 0; u < 0x7f800000; u += step) {
            x[n++] = from_bits((uint32_t)u);
            x[n++] = from_bits((uint32_t)u | 0x80000000);
            if (n < CHUNK && u + step < 0x7f800000) continue;
            memcpy(y, x, sizeof y);
            f[i].run(y, n);
            for (size_t j = 0; j < n; j++) {
                long double want = f[i].ref(x[j]);
                double d = f[i].ulp != 0 ? ulps(y[j], want)
                                         : (double)(fabsl(y[j] - want) / (fabs((double)x[j]) > 1 ? fabsl(x[j]) : 1));
                if (f[i].ulp == 0 && fabsf(x[j]) > 1e12f) d = ulps(y[j], want) > 2 && y[j] != 0; /* x or 0 */
                if (d > worst || isnan(d)) worst = d, at = x[j];
            }
            points += n;
            n = 0;
        }
        printf("# %s: at most %.3g %s, at %a; %zu points\n", f[i].name, worst,
               f[i].ulp != 0 ? "ulp" : "x max(1,|x|) absolute", (double)at, points);
        if (!(worst <= (f[i].ulp != 0 ? f[i].ulp : f[i].absolute)))
            fail_msg("%s: error %g at %a", f[i].name, worst, (double)at);
    }
}

static void test_edges(void **state)
{
    const kernel_set *k = need_set(state);
    const float in[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f};
    const struct {
        void (*run)(float *, size_t);
        float want[5];
    } t[] = {{k->vexp, {INFINITY, 0, NAN, 1, 1}},         {k->vtanh, {1, -1, NAN, 0, -0.0f}},
             {k->verf, {1, -1, NAN, 0, -0.0f}},           {k->relu, {INFINITY, 0, NAN, 0, -0.0f}},
             {k->gelu, {INFINITY, NAN, NAN, 0, -0.0f}},   {k->gelu_tanh, {INFINITY, NAN, NAN, 0, -0.0f}},
             {k->silu, {INFINITY, NAN, NAN, 0, -0.0f}}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        float x[5];
        memcpy(x, in, sizeof x);
        t[i].run(x, 5);
        same_floats(x, t[i].want, 5, "%s, function %zu", k->name, i);
    }
    /* every float where e^x overflows, leaves the normal numbers and dies out */
    static const float from[] = {88.6875f, -87.5f, -104.25f}, to[] = {88.75f, -87.25f, -103.75f};
    for (int r = 0; r < 3; r++)
        for (uint32_t u = to_bits(from[r] > 0 ? from[r] : to[r]); u <= to_bits(from[r] > 0 ? to[r] : from[r]); u++) {
            float x = from_bits(u), y = x;
            k->vexp(&y, 1);
            if (!(ulps(y, expl(x)) <= 1)) fail_msg("exp(%a) = %a", (double)x, (double)y);
        }
}

static void maps_of(const kernel_set *k, void (**f)(float *, size_t))
{
    f[0] = k->vexp, f[1] = k->vtanh, f[2] = k->verf, f[3] = k->gelu, f[4] = k->gelu_tanh, f[5] = k->relu, f[6] = k->silu;
}

static void test_maps_same(void **state)
{
    const kernel_set *set = need_set(state);
    if (set == generic()) return;
    void (*f[7])(float *, size_t), (*g[7])(float *, size_t);
    maps_of(set, f);
    maps_of(generic(), g);
    guarded a = guard_new(4 * CHUNK), b = guard_new(4 * CHUNK), c = guard_new(4 * CHUNK);
    for (int i = 0; i < 7; i++) {
        for (size_t n = 0; n <= 100; n++) { /* all tails */
            float *x = guard_last(&a, 4 * n), *y = guard_last(&b, 4 * n);
            for (size_t j = 0; j < n; j++) x[j] = y[j] = value((int)(n % MODES)) * 4;
            f[i](x, n);
            g[i](y, n);
            same_floats(x, y, n, "%s map %d n %zu", set->name, i, n);
        }
        uint32_t u = 0;
        for (size_t round = 0; round < cases(150); round++) { /* and all of the number line, NaN included */
            float *x = guard_last(&a, 4 * CHUNK), *y = guard_last(&b, 4 * CHUNK);
            for (size_t j = 0; j < CHUNK; j++) x[j] = y[j] = from_bits(u += 7001);
            f[i](x, CHUNK);
            g[i](y, CHUNK);
            same_floats(x, y, CHUNK, "%s map %d near %#x", set->name, i, u);
        }
    }
    guard_free(&a), guard_free(&b), guard_free(&c);
}

/* ---- the same bits on every machine, compiler and version ---- */

static uint64_t hash_floats(uint64_t h, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ to_bits(x[i])) * 0x100000001b3u; /* FNV-1a over words */
    return h;
}

/* What the functions return over the whole number line, and rows of a fixed sequence, as first released. A change here
 * changes results that others have recorded. */
static void test_pinned(void **state)
{
    const kernel_set *k = need_set(state);
    static const char *const names[] = {"exp", "tanh", "erf", "gelu", "gelu_tanh", "relu", "silu", "layernorm", "softmax"};
    static const uint64_t want[] = {0x6ab9929a0121f3bc, 0xe5ec0c2ff2b42ed4, 0xf3837185c12da3b1, 0x36150b02e1148ad5, 0x7e8d4e4b883c10c3,
                                    0xba2ae93d176fde3a, 0x028a042730367c6d, 0xd957c3c3f15111f1, 0x0b463daab66742cb};
    void (*f[7])(float *, size_t);
    maps_of(k, f);
    for (size_t i = 0; i < 9; i++) {
        uint64_t h = 0xcbf29ce484222325u;
        float x[1000], one[1000];
        for (uint64_t u = 0; i < 7 && u < 1ull << 32;) {
            size_t n = 0;
            for (; n < 1000 && u < 1ull << 32; u += 100003) x[n++] = from_bits((uint32_t)u);
            f[i](x, n);
            h = hash_floats(h, x, n);
        }
        uint32_t r = 12345;
        for (size_t n = 1; i >= 7 && n <= 1000; n += 37) {
            for (size_t j = 0; j < n; j++) {
                r = r * 1664525 + 1013904223;
                x[j] = (float)(int32_t)r * 0x1p-29f;
                one[j] = (float)(r >> 20) * 0x1p-10f;
            }
            if (i == 7) k->layernorm(x, one, one, 1e-5f, x, n);
            else k->softmax(x, 0.7f, n);
            h = hash_floats(h, x, n);
        }
        if (h != want[i]) fail_msg("%s of %s: hash %#018llx, recorded %#018llx", names[i], k->name, (unsigned long long)h,
                                   (unsigned long long)want[i]);
    }
}

/* ---- rows ---- */

static void test_rows_same(void **state)
{
    const kernel_set *set = need_set(state);
    if (set == generic()) return;
    guarded a = guard_new(4 * 900), b = guard_new(4 * 900), c = guard_new(4 * 900), d = guard_new(4 * 900);
    for (size_t round = 0; round < cases(4000); round++) {
        size_t n = round <= 130 ? round + 1 : 1 + below(round % 50 ? 130 : 900);
        int mode = (int)(round % MODES);
        float *x = guard_last(&a, 4 * n), *gamma = guard_last(&b, 4 * n), *beta = guard_last(&c, 4 * n);
        float *y = guard_last(&d, 4 * n), want[900];
        fill(x, n, mode), fill(gamma, n, mode), fill(beta, n, mode);
        generic()->layernorm(x, gamma, beta, 1e-12f, want, n);
        set->layernorm(x, gamma, beta, 1e-12f, y, n);
        same_floats(y, want, n, "%s layernorm n %zu mode %d", set->name, n, mode);
        memcpy(y, x, 4 * n);
        set->layernorm(y, gamma, beta, 1e-12f, y, n);
        same_floats(y, want, n, "%s layernorm in place n %zu mode %d", set->name, n, mode);
        generic()->rmsnorm(x, gamma, 1e-6f, want, n);
        set->rmsnorm(x, gamma, 1e-6f, y, n);
        same_floats(y, want, n, "%s rmsnorm n %zu mode %d", set->name, n, mode);
        memcpy(y, x, 4 * n);
        set->rmsnorm(y, gamma, 1e-6f, y, n);
        same_floats(y, want, n, "%s rmsnorm in place n %zu mode %d", set->name, n, mode);
        memcpy(want, x, 4 * n), memcpy(y, x, 4 * n);
        generic()->softmax(want, 3.7f, n);
        set->softmax(y, 3.7f, n);
        same_floats(y, want, n, "%s softmax n %zu mode %d", set->name, n, mode);
        memcpy(want, gamma, 4 * n), memcpy(y, gamma, 4 * n);
        generic()->add(x, want, n);
        set->add(x, y, n);
        same_floats(y, want, n, "%s add n %zu mode %d", set->name, n, mode);
        memcpy(want, gamma, 4 * n), memcpy(y, gamma, 4 * n);
        generic()->mul(x, want, n);
        set->mul(x, y, n);
        same_floats(y, want, n, "%s mul n %zu mode %d", set->name, n, mode);
    }
    guard_free(&a), guard_free(&b), guard_free(&c), guard_free(&d);
}

/* The written order of a row sum, spelled out. */
static float sum_by_definition(const float *v, size_t n)
{
    float l[16] = {0};
    for (size_t i = 0; i < n; i++) l[i % 16] = l[i % 16] + v[i];
    for (int j = 0; j < 8; j++) l[j] += l[j + 8];
    for (int j = 0; j < 4; j++) l[j] += l[j + 4];
    for (int j = 0; j < 2; j++) l[j] += l[j + 2];
    return l[0] + l[1];
}

static void test_rows_definition(void **state)
{
    (void)state;
    const kernel_set *g = generic();
    for (size_t round = 0; round < cases(600); round++) {
        size_t n = 1 + below(800);
        float x[800], y[800], gamma[800], beta[800], e[800];
        fill(x, n, PLAIN), fill(gamma, n, PLAIN), fill(beta, n, PLAIN);
        /* softmax: against its own exponentials in the written order, then against double */
        float scale = 5, max = -INFINITY;
        for (size_t i = 0; i < n; i++) max = x[i] * scale > max ? x[i] * scale : max;
        double sum = 0, mean = 0, var = 0;
        for (size_t i = 0; i < n; i++) {
            e[i] = x[i] * scale - max;
            sum += exp((double)x[i] * 5);
            mean += (double)x[i] / (double)n;
        }
        g->vexp(e, n);
        float inverse = 1.0f / sum_by_definition(e, n);
        memcpy(y, x, sizeof y);
        g->softmax(y, scale, n);
        for (size_t i = 0; i < n; i++) {
            float want = e[i] * inverse;
            same_floats(y + i, &want, 1, "softmax n %zu", n);
            assert_true(fabs((double)y[i] - exp((double)x[i] * 5) / sum) < 2e-6 * exp((double)x[i] * 5) / sum + 1e-30);
        }
        /* layernorm: the same two ways */
        float m = sum_by_definition(x, n) / (float)n, l[16] = {0};
        for (size_t i = 0; i < n; i++) l[i % 16] = fmaf(x[i] - m, x[i] - m, l[i % 16]);
        float s = 1.0f / sqrtf(sum_by_definition(l, 16) / (float)n + 1e-5f);
        for (size_t i = 0; i < n; i++) var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        g->layernorm(x, gamma, beta, 1e-5f, y, n);
        for (size_t i = 0; i < n; i++) {
            float want = fmaf((x[i] - m) * s, gamma[i], beta[i]);
            same_floats(y + i, &want, 1, "layernorm n %zu", n);
            double exact = ((double)x[i] - mean) / sqrt(var + 1e-5) * (double)gamma[i] + (double)beta[i];
            assert_true(fabs((double)y[i] - exact) < 1e-5);
        }
        /* rmsnorm */
        float sq[16] = {0};
        double square = 0;
        for (size_t i = 0; i < n; i++) sq[i % 16] = fmaf(x[i], x[i], sq[i % 16]);
        for (size_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i] / (double)n;
        s = 1.0f / sqrtf(sum_by_definition(sq, 16) / (float)n + 1e-6f);
        g->rmsnorm(x, gamma, 1e-6f, y, n);
        for (size_t i = 0; i < n; i++) {
            float want = x[i] * s * gamma[i];
            same_floats(y + i, &want, 1, "rmsnorm n %zu", n);
            assert_true(fabs((double)y[i] - (double)x[i] / sqrt(square + 1e-6) * (double)gamma[i]) < 1e-5);
        }
    }
}

/* Trouble must not vanish. */
static void test_rows_nan(void **state)
{
    const kernel_set *k = need_set(state);
    static const float bad[] = {NAN, INFINITY};
    for (size_t n = 1; n <= 70; n++)
        for (size_t at = 0; at < n; at++)
            for (int b = 0; b < 2; b++) {
                float x[70], y[70], one[70];
                fill(x, n, PLAIN);
                for (size_t i = 0; i < n; i++) one[i] = 1;
                x[at] = bad[b];
                memcpy(y, x, sizeof x);
                k->softmax(y, 1, n);
                for (size_t i = 0; i < n; i++)
                    if (b == 0 || i == at) assert_true(isnan(y[i]));
                k->layernorm(x, one, one, 1e-5f, y, n);
                for (size_t i = 0; i < n; i++) assert_true(isnan(y[i]));
            }
    float x[3] = {-INFINITY, -INFINITY, -INFINITY};
    k->softmax(x, 1, 3);
    assert_true(isnan(x[0]) && isnan(x[1]) && isnan(x[2]));
    float y[3] = {-INFINITY, 2, -INFINITY};
    k->softmax(y, 1, 3);
    assert_true(y[0] == 0 && y[1] == 1 && y[2] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ulp),
        cmocka_unit_test(test_rows_definition),
#define KERNEL_SET(set, exact, condition)                                                                              \
    SET_TEST(test_edges, set), SET_TEST(test_maps_same, set), SET_TEST(test_rows_same, set),                           \
        SET_TEST(test_rows_nan, set), SET_TEST(test_pinned, set),
#include "compute/kernel_sets.def"
#undef KERNEL_SET
    };
    run_kernel_tests(tests);
}
