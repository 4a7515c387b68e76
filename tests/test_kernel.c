/* Selection, packing, linear and the fused multiply-add: generic against the written definition (kernel.h), every other
 * exact set against generic bit for bit, openblas as an independent check with a tolerance. */
#define _DEFAULT_SOURCE
#include "kernels.h"

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

/* W^T [k][n], which ends at an unmapped page, packs to the same panels. */
static void check_transposed(const guarded *memory, const unsigned char *w, const unsigned char *panels, dtype type, size_t n,
                             size_t k, size_t p0, size_t p1)
{
    static unsigned char got[4 * 128 * 70];
    size_t size = type == DT_F32 ? 4 : 2;
    unsigned char *turned = guard_last(memory, n * k * size);
    for (size_t o = 0; o < n; o++)
        for (size_t c = 0; c < k; c++) memcpy(turned + (c * n + o) * size, w + (o * k + c) * size, size);
    memset(got, 0x5a, sizeof got);
    kernel_pack_transposed(got, turned, type, n, k, p0, p1);
    assert_memory_equal(got, panels, p1 * 32 * k * size);
}

static void test_pack(void **state)
{
    (void)state;
    guarded turned = guard_new(4 * 100 * 70 + 64);
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
            check_transposed(&turned, w, d, bits16 ? DT_F16 : DT_F32, n, k, p0, panels);
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
    guard_free(&turned);
}

/* ---- linear ---- */

enum { M_MAX = 300, N_MAX = 300, K_MAX = 800 };
typedef struct linear_memory {
    guarded x, w, panels, bias, y, want, room;
} linear_memory;

static linear_memory linear_new(void)
{
    linear_memory l = {guard_new(4 * M_MAX * (K_MAX + 5)), guard_new(4 * N_MAX * K_MAX), guard_new(4 * N_MAX * K_MAX),
                       guard_new(4 * N_MAX), guard_new(4 * M_MAX * (N_MAX + 5)), guard_new(4 * M_MAX * (N_MAX + 5)),
                       guard_new(4 * KERNEL_ROOM)};
    return l;
}
static void linear_free(linear_memory *l)
{
    guard_free(&l->x), guard_free(&l->w), guard_free(&l->panels);
    guard_free(&l->bias), guard_free(&l->y), guard_free(&l->want);
    guard_free(&l->room);
}

typedef struct shape {
    size_t m, n, k;
    dtype type;
    int chain, bias, mode;
    int resume; /* a chain goes on from what is in Y */
} shape;

static float weight_at(const void *w, dtype type, size_t i)
{
    uint16_t h;
    float f;
    if (type == DT_F32) return memcpy(&f, (const char *)w + 4 * i, 4), f;
    memcpy(&h, (const char *)w + 2 * i, 2);
    return type == DT_F16 ? tensor_f16_to_f32(h) : tensor_bf16_to_f32(h);
}

/* Fills X, W and bias for a shape, packs W; ldx and ldy are a little larger than they must be, or rows fight. Every other
 * has room for the kernel. */
static kernel_linear linear_case(const linear_memory *l, shape s)
{
    size_t panels = (s.n + 31) / 32, size = s.type == DT_F32 ? 4 : 2, ldx = s.k + below(5), ldy = s.n + below(5);
    if (s.k <= KERNEL_FIGHTS && below(8) == 0) ldx = KERNEL_FIGHTS;
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
    return (kernel_linear){x, ldx, s.m, s.k, s.n, p, s.type, 0, panels, s.bias ? bias : NULL, y, ldy, s.chain, s.resume,
                           below(2) ? guard_last(&l->room, 4 * KERNEL_ROOM) : NULL};
}

/* The definition, spelled with libm's fmaf and the row-major weights. */
static float linear_by_definition(const kernel_linear *a, const char *w, const float *before, size_t i, size_t o)
{
    float acc = a->resume ? before[i * a->ldy + o] : 0, t = acc;
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
    shape s = {below(41), 1 + below(100), below(601), types[below(3)], rnd() & 1, rnd() & 1, (int)below(MODES), 0};
    s.resume = s.chain && rnd() & 1;
    if (below(8) == 0) s.k = (size_t[]){255, 256, 257, 511, 512, 513, 1, 0}[below(8)];
    if (below(30) == 0) s.m = 135 + below(20);
    if (below(8) == 0) s.m = 1 + below(4), s.n = 1 + below(300); /* few rows walk several panels at once */
    return s;
}

/* What Y holds before: floats of it, in two places. */
static void fill_before(float *y, float *copy, size_t floats, shape s)
{
    for (size_t i = 0; i < floats; i++) copy[i] = s.resume ? value(s.mode) : -12345.5f;
    memcpy(y, copy, floats * sizeof *y);
}

static void test_linear_definition(void **state)
{
    (void)state;
    linear_memory l = linear_new();
    for (size_t round = 0; round < cases(1500); round++) {
        shape s = random_shape();
        kernel_linear a = linear_case(&l, s);
        float *before = guard_last(&l.want, 4 * ((s.m ? s.m - 1 : 0) * a.ldy + s.n));
        fill_before(a.y, before, (s.m ? s.m - 1 : 0) * a.ldy + s.n, s);
        generic()->linear(&a);
        const char *w = guard_last(&l.w, s.n * s.k * (s.type == DT_F32 ? 4 : 2));
        for (size_t r = 0; r < 60 && s.m; r++) {
            size_t i = below(s.m), o = below(s.n);
            float want = linear_by_definition(&a, w, before, i, o);
            same_floats(a.y + i * a.ldy + o, &want, 1, "m %zu of %zu, n %zu of %zu, k %zu, %s, chain %d, resume %d, bias %d", i,
                        s.m, o, s.n, s.k, tensor_dtypes[s.type].name, s.chain, s.resume, s.bias);
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
        s.resume = 0;
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

/* Hashes of what generic computed, case by case: every set is given the same cases, and generic is the slowest. */
static struct known {
    uint64_t hash[1 << 14];
    size_t n, at;
} known;

static uint64_t hash_of(const float *x, size_t n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < n; i++) h = (h ^ to_bits(x[i])) * 1099511628211u;
    return h;
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
    fill_before(got, want, floats, s);
    set->linear(&a);
    size_t i = known.at++;
    if (i < known.n && known.hash[i] == hash_of(got, floats)) return;
    a.y = want;
    generic()->linear(&a);
    same_floats(got, want, floats, "%s m %zu n %zu k %zu %s chain %d resume %d bias %d mode %d panels %zu..%zu", set->name,
                s.m, s.n, s.k, tensor_dtypes[s.type].name, s.chain, s.resume, s.bias, s.mode, a.p0, a.p1);
    assert_true(i == known.n && i < sizeof known.hash / sizeof known.hash[0]);
    known.hash[known.n++] = hash_of(want, floats);
}

static void test_linear_same(void **state)
{
    const kernel_set *set = need_set(state);
    if (set == generic() || !set->exact) return;
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    linear_memory l = linear_new();
    size_t step = quick() ? 7 : 1;
    seed = FIRST_SEED;
    known.at = 0;
    for (int t = 0; t < 3; t++) {
        for (size_t m = 0; m <= 44; m += step) linear_same(set, &l, (shape){m, 70, 37, types[t], 0, 1, SPECIAL, 0});
        for (size_t n = 1; n <= 100; n += step) linear_same(set, &l, (shape){15, n, 40, types[t], t & 1, 1, PLAIN, 0});
        for (size_t k = 0; k <= 600; k += step) linear_same(set, &l, (shape){5, 33, k, types[t], k & 1, k & 2, WILD, 0});
        for (size_t m = 1; m <= 4; m++)
            for (size_t n = 96; n <= 300; n += 17)
                for (size_t k = 250; k <= 520; k += 9 * step) linear_same(set, &l, (shape){m, n, k, types[t], k & 1, n & 1, PLAIN, 0});
        for (size_t m = 9; m <= 29; m++) linear_same(set, &l, (shape){m, 65, 531, types[t], m & 1, m & 2, SPECIAL, 0});
        linear_same(set, &l, (shape){139, 40, 300, types[t], 0, 0, PLAIN, 0});
        linear_same(set, &l, (shape){140, 40, 513, types[t], 1, 0, PLAIN, 0});
        for (int i = 0; i < 12; i++) linear_same(set, &l, (shape){141, 160, 100, types[t], 0, 1, PLAIN, 0});
        linear_same(set, &l, (shape){300, 33, 800, types[t], 0, 1, PLAIN, 0});
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
        fill_before(got, want, floats, s);
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
        kernel_linear l = {x, 2, 1, 2, 32, w, DT_F32, 0, 1, NULL, y, 32, 0, 0, NULL};
        set->linear(&l);
        for (size_t j = 0; j < 32; j++)
            if (to_bits(y[j]) != to_bits(want[j]))
                fail_msg("fma(%a, %a, %a * %a): got %a, expected %a", (double)a, (double)w[32 + j], (double)x[0],
                         (double)w[j], (double)y[j], (double)want[j]);
    }
    printf("# %s: %zu triples as libm's fmaf\n", set->name, 32 * n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_panel_bytes),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_linear_definition),
        cmocka_unit_test(test_linear_accuracy),
#define KERNEL_SET(set, exact, condition)                                                                              \
    SET_TEST(test_linear_same, set), SET_TEST(test_linear_close, set), SET_TEST(test_fma, set),
#include "compute/kernel_sets.def"
#undef KERNEL_SET
    };
    run_kernel_tests(tests);
}
