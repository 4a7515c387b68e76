/* Kernels: generic against the written definition (kernel.h) and against double and long double; every other exact set
 * against generic, bit for bit; openblas as an independent check with a tolerance. Buffers end at unmapped pages.
 * PITH_TEST_QUICK=1 runs about a twentieth of the cases (emulators). */
#define _DEFAULT_SOURCE
#include "util.h"
#include "base/par.h"
#include "compute/kernel.h"
#include <float.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- helpers ---- */

static int quick(void)
{
    const char *q = getenv("PITH_TEST_QUICK");
    return q && *q && strcmp(q, "0") != 0;
}
static size_t cases(size_t full) { return quick() ? full / 20 + 1 : full; }

static uint64_t seed = 88172645463325252u;
static uint32_t rnd(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}
static size_t below(size_t n) { return rnd() % n; }
static float from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static uint32_t to_bits(float f)
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
static guarded guard_new(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = (bytes + page - 1) / page * page;
    char *p = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p, page, PROT_NONE) | mprotect(p + page + size, page, PROT_NONE), 0);
    return (guarded){p, p + page + size, size + 2 * page};
}
static void *guard_last(const guarded *g, size_t bytes)
{
    assert_true(bytes <= (size_t)(g->end - g->map));
    return g->end - bytes;
}
static void guard_free(guarded *g) { munmap(g->map, g->bytes); }

enum { PLAIN, TINY, WILD, SPECIAL, MODES };
static const uint32_t specials[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345, 0x00000000, 0x80000000, 0x00000001,
                                    0x807fffff, 0x7f7fffff, 0xff7fffff, 0x00800000, 0x3f800000, 0xbf800000, 0x42b17218};
static float value(int mode)
{
    float f = (float)((int32_t)rnd()) * 0x1p-31f;
    if (mode == TINY) return f * (rnd() & 1 ? 0x1p-75f : 0x1p-62f); /* products are subnormal */
    if (mode == WILD) return ldexpf(f, (int)below(80) - 40);
    if (mode == SPECIAL && below(40) == 0) return from_bits(specials[below(sizeof specials / sizeof *specials)]);
    return f;
}
static void fill(float *x, size_t n, int mode)
{
    for (size_t i = 0; i < n; i++) x[i] = value(mode);
}

static void same_floats(const float *got, const float *want, size_t n, const char *fmt, ...)
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
static const kernel_set *need_set(void **state)
{
    pith_err e = {0};
    const kernel_set *k = kernel_find(*state, &e);
    if (!k) {
        printf("# skip: %s\n", e.msg);
        skip();
    }
    return k;
}
static const kernel_set *generic(void)
{
    const kernel_set *k = kernel_find("generic", NULL);
    assert_non_null(k);
    return k;
}

/* ---- selection ---- */

static void test_selection(void **state)
{
    (void)state;
    pith_err e = {0};
    assert_non_null(kernel_at(0));
    assert_ptr_equal(kernel_find(NULL, &e), kernel_at(0));
    assert_ptr_equal(kernel_find("", &e), kernel_at(0));
#if defined(__x86_64__) || defined(__aarch64__)
    assert_true(kernel_at(0)->exact);
#endif
    assert_string_equal(generic()->name, "generic");
    size_t n = 0;
    for (const kernel_set *k; (k = kernel_at(n)); n++) assert_ptr_equal(kernel_find(k->name, &e), k);
    assert_null(kernel_at(n + 1));
    assert_string_equal(e.msg, "");
    assert_null(kernel_find("sse9", &e));
    assert_non_null(strstr(e.msg, "'sse9' is unknown"));
    for (size_t i = 0; i < n; i++) assert_non_null(strstr(e.msg, kernel_at(i)->name));
#define KERNEL_SET(set, is_exact, condition)                                                                           \
    do {                                                                                                               \
        pith_err why = {0};                                                                                            \
        const kernel_set *k = kernel_find(#set, &why);                                                                 \
        if (k) assert_true(k->exact == (is_exact) && !strcmp(k->name, #set));                                          \
        else assert_true(strlen(why.msg) > 20);                                                                        \
    } while (0);
#include "compute/kernel_sets.def"
#undef KERNEL_SET
}

/* ---- packing ---- */

static void test_panel_bytes(void **state)
{
    (void)state;
    uint64_t b = 0;
    assert_int_equal(kernel_panel_bytes(33, 5, DT_F32, &b), 0);
    assert_int_equal(b, 2 * 32 * 5 * 4);
    assert_int_equal(kernel_panel_bytes(32, 5, DT_BF16, &b), 0);
    assert_int_equal(b, 32 * 5 * 2);
    assert_int_equal(kernel_panel_bytes(0, 5, DT_F16, &b), 0);
    assert_int_equal(b, 0);
    assert_int_equal(kernel_panel_bytes(UINT64_MAX, 1, DT_F32, &b), -1);
    assert_int_equal(kernel_panel_bytes(1u << 31, UINT64_MAX / 64, DT_F16, &b), -1);
}

static void test_pack(void **state)
{
    (void)state;
    guarded src = guard_new(4 * 100 * 70 + 64), dst = guard_new(4 * 128 * 70);
    for (size_t round = 0; round < cases(600); round++) {
        size_t n = 1 + below(100), k = 1 + below(70), panels = (n + 31) / 32, p0 = below(panels), ld = k + below(3);
        for (int bits16 = 0; bits16 < 2; bits16++) {
            size_t size = bits16 ? 2 : 4;
            unsigned char *w = guard_last(&src, n * k * size + (round & 1)); /* odd addresses too */
            uint64_t bytes = 0;
            assert_int_equal(kernel_panel_bytes(n, k, bits16 ? DT_F16 : DT_F32, &bytes), 0);
            unsigned char *d = guard_last(&dst, bytes), e[4];
            for (size_t i = 0; i < n * k * size; i++) w[i] = (unsigned char)rnd();
            memset(d, 0x5a, bytes);
            kernel_pack(d, w, bits16 ? DT_F16 : DT_F32, n, k, p0, panels);
            for (size_t i = 0; i < p0 * 32 * k * size; i++) assert_int_equal(d[i], 0x5a);
            for (size_t o = p0 * 32; o < panels * 32; o++)
                for (size_t c = 0; c < k; c++) {
                    size_t lane = o % 32, place = bits16 ? lane % 16 * 2 + lane / 16 : lane;
                    memset(e, 0, 4);
                    if (o < n) memcpy(e, w + (o * k + c) * size, size);
                    assert_memory_equal(d + ((o / 32 * k + c) * 32 + place) * size, e, size);
                }
        }
        float *x = guard_last(&src, 4 * ((n - 1) * ld + k)), *f = guard_last(&dst, panels * 32 * k * 4);
        fill(x, (n - 1) * ld + k, PLAIN);
        kernel_pack_rows(f, x, ld, n, k, 0, panels);
        for (size_t o = 0; o < panels * 32; o++)
            for (size_t c = 0; c < k; c++)
                assert_true(f[(o / 32 * k + c) * 32 + o % 32] == (o < n ? x[o * ld + c] : 0));
        ld = n + below(3);
        x = guard_last(&src, 4 * ((k - 1) * ld + n));
        fill(x, (k - 1) * ld + n, PLAIN);
        kernel_pack_cols(f, x, ld, n, k);
        for (size_t o = 0; o < panels * 32; o++)
            for (size_t c = 0; c < k; c++)
                assert_true(f[(o / 32 * k + c) * 32 + o % 32] == (o < n ? x[c * ld + o] : 0));
    }
    guard_free(&src);
    guard_free(&dst);
}

/* ---- linear ---- */

enum { M_MAX = 300, N_MAX = 160, K_MAX = 800 };
typedef struct linear_memory {
    guarded x, w, panels, bias, y, want;
} linear_memory;

static linear_memory linear_new(void)
{
    linear_memory l = {guard_new(4 * M_MAX * (K_MAX + 5)), guard_new(4 * N_MAX * K_MAX), guard_new(4 * N_MAX * K_MAX),
                       guard_new(4 * N_MAX), guard_new(4 * M_MAX * (N_MAX + 5)), guard_new(4 * M_MAX * (N_MAX + 5))};
    return l;
}
static void linear_free(linear_memory *l)
{
    guard_free(&l->x), guard_free(&l->w), guard_free(&l->panels);
    guard_free(&l->bias), guard_free(&l->y), guard_free(&l->want);
}

typedef struct shape {
    size_t m, n, k;
    dtype type;
    int chain, bias, mode;
} shape;

static float weight_at(const void *w, dtype type, size_t i)
{
    uint16_t h;
    float f;
    if (type == DT_F32) return memcpy(&f, (const char *)w + 4 * i, 4), f;
    memcpy(&h, (const char *)w + 2 * i, 2);
    return type == DT_F16 ? tensor_f16_to_f32(h) : tensor_bf16_to_f32(h);
}

/* Fills X, W and bias for a shape, packs W; ldx and ldy are a little larger than they must be. */
static kernel_linear linear_case(const linear_memory *l, shape s)
{
    size_t panels = (s.n + 31) / 32, size = s.type == DT_F32 ? 4 : 2, ldx = s.k + below(5), ldy = s.n + below(5);
    float *x = guard_last(&l->x, 4 * ((s.m ? s.m - 1 : 0) * ldx + s.k)), *bias = guard_last(&l->bias, 4 * s.n);
    char *w = guard_last(&l->w, s.n * s.k * size), *p = guard_last(&l->panels, panels * 32 * s.k * size);
    for (size_t i = 0; i < s.m; i++) fill(x + i * ldx, s.k, s.mode);
    fill(bias, s.n, s.mode);
    for (size_t i = 0; i < s.n * s.k; i++) {
        float f = value(s.mode);
        uint16_t h = (uint16_t)(to_bits(f) >> 16);
        if (s.type == DT_F16) { /* about the same value; in SPECIAL some infinities and NaN, in TINY subnormals */
            h = (uint16_t)(rnd() & 0xbfff);
            if (s.mode == TINY) h &= 0x83ff;
            if (s.mode == SPECIAL && below(40) == 0) h = (uint16_t)(0x7c00 | (rnd() & 0x8200));
        }
        memcpy(w + i * size, s.type == DT_F32 ? (void *)&f : (void *)&h, size);
    }
    kernel_pack(p, w, s.type, s.n, s.k, 0, panels);
    float *y = guard_last(&l->y, 4 * ((s.m ? s.m - 1 : 0) * ldy + s.n));
    return (kernel_linear){x, ldx, s.m, s.k, s.n, p, s.type, 0, panels, s.bias ? bias : NULL, y, ldy, s.chain};
}

/* The definition, spelled with libm's fmaf and the row-major weights. */
static float linear_by_definition(const kernel_linear *a, const char *w, size_t i, size_t o)
{
    float t = 0, acc = 0;
    for (size_t k = 0; k < a->k; k++) {
        if (k % KERNEL_KB == 0 && !a->chain) acc = 0;
        acc = fmaf(a->x[i * a->ldx + k], weight_at(w, a->type, o * a->k + k), acc);
        if ((k + 1) % KERNEL_KB == 0 || k + 1 == a->k) t = k < KERNEL_KB || a->chain ? acc : t + acc;
    }
    return a->bias ? t + a->bias[o] : t;
}

static shape random_shape(void)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    shape s = {below(41), 1 + below(100), below(601), types[below(3)], rnd() & 1, rnd() & 1, (int)below(MODES)};
    if (below(8) == 0) s.k = (size_t[]){255, 256, 257, 511, 512, 513, 1, 0}[below(8)];
    if (below(30) == 0) s.m = 135 + below(20);
    return s;
}

static void test_linear_definition(void **state)
{
    (void)state;
    linear_memory l = linear_new();
    for (size_t round = 0; round < cases(1500); round++) {
        shape s = random_shape();
        kernel_linear a = linear_case(&l, s);
        generic()->linear(&a);
        const char *w = guard_last(&l.w, s.n * s.k * (s.type == DT_F32 ? 4 : 2));
        for (size_t r = 0; r < 60 && s.m; r++) {
            size_t i = below(s.m), o = below(s.n);
            float want = linear_by_definition(&a, w, i, o);
            same_floats(a.y + i * a.ldy + o, &want, 1, "m %zu of %zu, n %zu of %zu, k %zu, %s, chain %d, bias %d", i, s.m,
                        o, s.n, s.k, tensor_dtypes[s.type].name, s.chain, s.bias);
        }
    }
    linear_free(&l);
}

/* |error| stays within a few roundings of the largest partial sum; blocks of 256 beat one chain. */
static void test_linear_accuracy(void **state)
{
    (void)state;
    linear_memory l = linear_new();
    for (size_t round = 0; round < cases(200); round++) {
        shape s = random_shape();
        s.mode = PLAIN;
        kernel_linear a = linear_case(&l, s);
        kernel_at(0)->linear(&a);
        const char *w = guard_last(&l.w, s.n * s.k * (s.type == DT_F32 ? 4 : 2));
        for (size_t r = 0; r < 60 && s.m; r++) {
            size_t i = below(s.m), o = below(s.n);
            double want = a.bias ? (double)a.bias[o] : 0, size = fabs(want);
            for (size_t k = 0; k < s.k; k++) {
                double p = (double)a.x[i * a.ldx + k] * (double)weight_at(w, s.type, o * s.k + k);
                want += p;
                size += fabs(p);
            }
            double err = fabs((double)a.y[i * a.ldy + o] - want);
            if (!(err <= 1e-6 * size + 1e-30)) fail_msg("n %zu k %zu: error %g, sum of sizes %g", s.n, s.k, err, size);
        }
    }
    linear_free(&l);
}

/* One shape on a set and on generic, whole buffers compared, the gaps between rows of Y included. */
static void linear_same(const kernel_set *set, const linear_memory *l, shape s)
{
    kernel_linear a = linear_case(l, s);
    size_t floats = (s.m ? s.m - 1 : 0) * a.ldy + s.n;
    float *want = guard_last(&l->want, 4 * floats), *got = a.y;
    if (below(3) == 0) { /* only some panels */
        a.p0 = below(a.p1 + 1);
        a.p1 = a.p0 + below(a.p1 - a.p0 + 1);
    } else if (below(3) == 0) {
        a.p1 += 5; /* beyond the matrix: ignored */
    }
    for (size_t i = 0; i < floats; i++) got[i] = want[i] = -12345.5f;
    set->linear(&a);
    a.y = want;
    generic()->linear(&a);
    same_floats(got, want, floats, "%s m %zu n %zu k %zu %s chain %d bias %d mode %d panels %zu..%zu", set->name, s.m, s.n,
                s.k, tensor_dtypes[s.type].name, s.chain, s.bias, s.mode, a.p0, a.p1);
}

static void test_linear_same(void **state)
{
    const kernel_set *set = need_set(state);
    if (set == generic() || !set->exact) return;
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    linear_memory l = linear_new();
    size_t step = quick() ? 7 : 1;
    for (int t = 0; t < 3; t++) {
        for (size_t m = 0; m <= 44; m += step) linear_same(set, &l, (shape){m, 70, 37, types[t], 0, 1, SPECIAL});
        for (size_t n = 1; n <= 100; n += step) linear_same(set, &l, (shape){15, n, 40, types[t], t & 1, 1, PLAIN});
        for (size_t k = 0; k <= 600; k += step) linear_same(set, &l, (shape){5, 33, k, types[t], k & 1, k & 2, WILD});
        linear_same(set, &l, (shape){139, 40, 300, types[t], 0, 0, PLAIN});
        linear_same(set, &l, (shape){140, 40, 513, types[t], 1, 0, PLAIN});
        linear_same(set, &l, (shape){141, 160, 100, types[t], 0, 1, PLAIN});
        linear_same(set, &l, (shape){300, 33, 800, types[t], 0, 1, PLAIN});
    }
    for (size_t round = 0; round < cases(2500); round++) linear_same(set, &l, random_shape());
    linear_free(&l);
}

/* A set that is not exact: close to generic, and the same refusal to touch what is not its own. */
static void test_linear_close(void **state)
{
    const kernel_set *set = need_set(state);
    if (set->exact) return;
    linear_memory l = linear_new();
    for (size_t round = 0; round < cases(400); round++) {
        shape s = random_shape();
        s.mode = PLAIN;
        kernel_linear a = linear_case(&l, s);
        size_t floats = (s.m ? s.m - 1 : 0) * a.ldy + s.n;
        float *want = guard_last(&l.want, 4 * floats), *got = a.y;
        for (size_t i = 0; i < floats; i++) got[i] = want[i] = -12345.5f;
        set->linear(&a);
        a.y = want;
        generic()->linear(&a);
        const char *w = guard_last(&l.w, s.n * s.k * (s.type == DT_F32 ? 4 : 2));
        for (size_t f = 0; f < floats; f++) {
            size_t i = f / a.ldy, o = f % a.ldy;
            double size = 1;
            for (size_t k = 0; o < s.n && k < s.k; k++)
                size += fabs((double)a.x[i * a.ldx + k] * (double)weight_at(w, s.type, o * s.k + k));
            if (!(fabs((double)got[f] - (double)want[f]) <= (o < s.n ? 2e-6 * size : 0)))
                fail_msg("%s m %zu n %zu k %zu at %zu,%zu: %a, generic %a", set->name, s.m, s.n, s.k, i, o, (double)got[f],
                         (double)want[f]);
        }
    }
    linear_free(&l);
}

/* ---- fused multiply-add ---- */

/* Triples where rounding twice, or losing a subnormal, would show. */
static void hard_triple(float *a, float *b, float *c)
{
    *a = from_bits(rnd());
    *b = from_bits(rnd());
    *c = from_bits(rnd());
    uint32_t m = rnd();
    switch (below(8)) {
    case 0: break; /* any bits at all */
    case 1: /* cancellation: c within some ulps of -a*b */
        *a = value(WILD), *b = value(WILD);
        *c = from_bits(to_bits(-(*a * *b)) + m % 5 - 2);
        break;
    case 2: /* subnormal results */
        *a = ldexpf(value(PLAIN), -(int)below(80)), *b = ldexpf(value(PLAIN), -126 + (int)below(60));
        *c = from_bits(m & 0x81ffffff);
        break;
    case 3: /* a*b is half an ulp of c, or next to it */
        *c = from_bits((m & 0x807fffff) | (uint32_t)(60 + below(120)) << 23);
        *a = ldexpf(1.0f + (float)((int)below(3) - 1) * 0x1p-23f, -24);
        *b = from_bits(to_bits(*c) & 0xff800000);
        break;
    case 4: /* the same below the smallest normal */
        *c = from_bits(m & 0x800fffff);
        *a = (float)(1 + 2 * below(3)) * (rnd() & 1 ? 0x1p-75f : 0x1.000002p-75f), *b = rnd() & 1 ? 0x1p-75f : -0x1p-75f;
        break;
    case 5: /* few bits, many ties */
        *a = (float)((int)below(8192) - 4096), *b = (float)((int)below(8192) - 4096);
        *c = ldexpf((float)((int)below(64) - 32), (int)below(50));
        break;
    case 6: *(m % 3 == 0 ? a : m % 3 == 1 ? b : c) = from_bits(specials[below(sizeof specials / sizeof *specials)]); break;
    default: /* around overflow */
        *a = from_bits((m & 0x80ffffff) | 0x5f000000), *b = from_bits((rnd() & 0x80ffffff) | 0x5f000000);
        *c = from_bits((rnd() & 0x807fffff) | 0x7f000000);
    }
}

static void test_fma(void **state)
{
    const kernel_set *set = need_set(state);
    if (!set->exact) return;
    _Alignas(64) float w[64], y[32], want[32];
    size_t n = set == generic() ? cases(400000) : cases(40000);
    for (size_t round = 0; round < n; round++) {
        float x[2] = {1, 0};
        if (round % 64 == 0) x[0] = 0x1p-100f; /* then -2^-100 in w gives -0 to add to */
        float a, b, c;
        hard_triple(&a, &b, &c);
        x[1] = a;
        for (size_t j = 0; j < 32; j++) {
            w[j] = round % 64 ? c : rnd() & 1 ? -0x1p-100f : 0x1p-100f;
            w[32 + j] = b;
            want[j] = fmaf(a, b, fmaf(x[0], w[j], 0.0f));
            float keep = a;
            hard_triple(&a, &b, &c);
            if (rnd() & 1) c = from_bits(to_bits(-(keep * b)) + rnd() % 5 - 2);
            a = keep;
        }
        kernel_linear l = {x, 2, 1, 2, 32, w, DT_F32, 0, 1, NULL, y, 32, 0};
        set->linear(&l);
        for (size_t j = 0; j < 32; j++)
            if (to_bits(y[j]) != to_bits(want[j]))
                fail_msg("fma(%a, %a, %a * %a): got %a, expected %a", (double)a, (double)w[32 + j], (double)x[0],
                         (double)w[j], (double)y[j], (double)want[j]);
    }
    printf("# %s: %zu triples as libm's fmaf\n", set->name, 32 * n);
}

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
        memcpy(want, x, 4 * n), memcpy(y, x, 4 * n);
        generic()->softmax(want, 3.7f, n);
        set->softmax(y, 3.7f, n);
        same_floats(y, want, n, "%s softmax n %zu mode %d", set->name, n, mode);
        memcpy(want, gamma, 4 * n), memcpy(y, gamma, 4 * n);
        generic()->add(x, want, n);
        set->add(x, y, n);
        same_floats(y, want, n, "%s add n %zu mode %d", set->name, n, mode);
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
    if (quick()) printf("# PITH_TEST_QUICK: about a twentieth of the cases\n");
    unsigned long mode = par_fp_enter();
#define SET_TEST(fn, set) {#fn ": " #set, fn, NULL, NULL, (void *)(uintptr_t) #set}
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_panel_bytes),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_linear_definition),
        cmocka_unit_test(test_linear_accuracy),
        cmocka_unit_test(test_rows_definition),
        cmocka_unit_test(test_ulp),
#define KERNEL_SET(set, exact, condition)                                                                              \
    SET_TEST(test_linear_same, set), SET_TEST(test_linear_close, set), SET_TEST(test_fma, set),                        \
        SET_TEST(test_edges, set), SET_TEST(test_maps_same, set), SET_TEST(test_rows_same, set),                       \
        SET_TEST(test_rows_nan, set),
#include "compute/kernel_sets.def"
#undef KERNEL_SET
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    par_fp_leave(mode);
    return failed;
}
