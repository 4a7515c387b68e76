/* quant: packing against the written definition (quant.h), generic's product against exact sums, every other exact set
 * against generic bit for bit. */
#define _DEFAULT_SOURCE
#include "kernels.h"
#include "compute/quant.h"

static dtype types[] = {DT_Q8, DT_Q4};

static size_t groups_of(size_t k) { return (k + QUANT_GROUP - 1) / QUANT_GROUP; }

static void *packed(const float *w, size_t n, size_t k, dtype type)
{
    uint64_t bytes;
    size_t row, col;
    assert_int_equal(kernel_panel_bytes(n, k, type, &bytes), 0);
    void *out = aligned_alloc(64, (size_t)bytes);
    const uint64_t shape[] = {n, k};
    assert_int_equal(quant_pack(generic(), out, (tensor){w, shape, 2, n * k * 4, DT_F32, 0}, type, 0, (n + QUANT_PANEL - 1) / QUANT_PANEL, &row, &col), 0);
    return out;
}

/* Every weight comes back within half a step of what it was; the steps are those of the group's own range. */
static void test_pack(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (size_t round = 0; round < cases(60); round++) {
            size_t n = 1 + below(70), k = 1 + below(100), groups = groups_of(k);
            float *w = malloc(n * k * sizeof *w), out[QUANT_PANEL * QUANT_GROUP];
            for (size_t i = 0; i < n * k; i++) w[i] = value(PLAIN) * (below(9) ? 0.1f : 1.0f);
            char *blocks = packed(w, n, k, types[t]);
            for (size_t p = 0; p * QUANT_PANEL < n; p++)
                for (size_t g = 0; g < groups; g++) {
                    quant_unpack(blocks + (p * groups + g) * quant_block(types[t]), types[t], out);
                    for (size_t j = 0; j < QUANT_PANEL; j++) {
                        float lo = 0, hi = 0, amax = 0;
                        for (size_t i = 0; i < QUANT_GROUP; i++) {
                            size_t at = (p * QUANT_PANEL + j) * k + g * QUANT_GROUP + i;
                            float v = p * QUANT_PANEL + j < n && g * QUANT_GROUP + i < k ? w[at] : 0;
                            if (i == 0 || v < lo) lo = v;
                            if (i == 0 || v > hi) hi = v;
                            amax = fabsf(v) > amax ? fabsf(v) : amax;
                        }
                        float step = types[t] == DT_Q8 ? amax / 127 : (hi - lo) / 15;
                        for (size_t i = 0; i < QUANT_GROUP; i++) {
                            size_t at = (p * QUANT_PANEL + j) * k + g * QUANT_GROUP + i;
                            float v = p * QUANT_PANEL + j < n && g * QUANT_GROUP + i < k ? w[at] : 0;
                            float off = fabsf(out[j * QUANT_GROUP + i] - v);
                            /* A fit may move the ends of a range of 4 bits for the sake of the rest. */
                            if (off > step * (types[t] == DT_Q8 ? 0.57f : 2.5f) + 1e-7f)
                                fail_msg("%zu x %zu, output %zu, group %zu, weight %zu: %g became %g, step %g", n, k, p * 32 + j, g, i, (double)v,
                                         (double)out[j * QUANT_GROUP + i], (double)step);
                        }
                    }
                }
            free(w);
            free(blocks);
        }
}

/* The definition of quant.h, one group of one output at a time. -1: no weights of that type. */
static float half_of(float x, uint16_t *h) { return tensor_f16_to_f32(*h = tensor_f32_to_f16(x)); }
static int reference_q8(const float *w, int *q, uint16_t *d)
{
    float amax = 0;
    for (size_t i = 0; i < 32; i++) {
        if (!isfinite(w[i])) return -1;
        amax = fabsf(w[i]) > amax ? fabsf(w[i]) : amax;
    }
    float scale = half_of(amax / 127, d);
    for (size_t i = 0; i < 32; i++) q[i] = scale > 0 ? (int)fminf(fmaxf(rintf(w[i] / scale), -127), 127) : 0;
    return isfinite(scale) ? 0 : -1;
}

static float reference_try(const float *w, float d, float m, int *q, uint16_t *dh, uint16_t *mh)
{
    float error = 0;
    d = half_of(d, dh), m = half_of(m, mh);
    for (size_t i = 0; i < 32; i++) {
        float of = d > 0 ? rintf((w[i] - m) * (1 / d)) : 0, e;
        q[i] = (int)(of < 0 ? 0 : of > 15 ? 15 : of);
        e = (w[i] - m) - d * (float)q[i];
        error = error + e * e;
    }
    return error;
}

static int reference_q4(const float *w, int *q, uint16_t *d, uint16_t *m)
{
    float low = w[0], high = w[0], t = 0, error;
    for (size_t i = 0; i < 32; i++) {
        if (!isfinite(w[i])) return -1;
        low = w[i] < low ? w[i] : low;
        high = w[i] > high ? w[i] : high;
    }
    if (fabsf(low) > 65504 || high - low > 15 * 65504) return -1;
    for (size_t i = 0; i < 32; i++) t += w[i] - low;
    error = reference_try(w, (high - low) / 15, low, q, d, m);
    for (int fit = 0; fit < 4; fit++) {
        int a = 0, b = 0, other[32];
        float c = 0;
        uint16_t dh, mh;
        for (size_t i = 0; i < 32; i++) a += q[i], b += q[i] * q[i], c += (float)q[i] * (w[i] - low);
        if (32 * b - a * a <= 0) break;
        float next = (32 * c - (float)a * t) / (float)(32 * b - a * a), least = (t - next * (float)a) / 32 + low;
        if (!(next > 0) || next > 65504 || fabsf(least) > 65504) break;
        float e = reference_try(w, next, least, other, &dh, &mh);
        if (!(e < error)) break;
        error = e, *d = dh, *m = mh;
        memcpy(q, other, sizeof other);
    }
    return 0;
}

static void reference_block(const float *x, size_t n, size_t k, size_t row, size_t col, dtype type, unsigned char *b)
{
    memset(b, 0, quant_block(type));
    for (size_t j = 0; j < 32; j++) {
        float w[32] = {0};
        int q[32];
        uint16_t d, m = 0;
        for (size_t i = 0; i < 32 && row + j < n && col + i < k; i++) w[i] = x[(row + j) * k + col + i];
        assert_int_equal(type == DT_Q8 ? reference_q8(w, q, &d) : reference_q4(w, q, &d, &m), 0);
        memcpy(b + (type == DT_Q8 ? 1024 : 512) + 2 * j, &d, 2);
        if (type == DT_Q4) memcpy(b + 576 + 2 * j, &m, 2);
        for (size_t i = 0; i < 32; i++) {
            if (type == DT_Q8) b[i / 4 * 128 + j * 4 + i % 4] = (unsigned char)q[i];
            else b[i % 16 / 4 * 128 + j * 4 + i % 4] |= (unsigned char)(q[i] << (i < 16 ? 0 : 4));
        }
    }
}

/* Weights of many kinds: even, one far off, whole steps (ties), one value only, too small for a scale, as large as may be. */
static float any_weight(size_t kind, size_t i)
{
    switch (kind) {
    case 0: return value(PLAIN) * (below(9) ? 0.1f : 1.0f);
    case 1: return below(32) ? value(PLAIN) * 1e-4f : 30.0f;
    case 2: return (float)below(16) - 8 + (below(4) ? 0.0f : 0.5f);
    case 3: return i / 64 % 2 ? -0.75f : 0.0f;
    case 4: return (float)((int)below(9) - 4) * 0x1p-26f;
    case 5: return ((float)below(2000) - 1000) * 65.0f;
    case 6: return below(2) ? 0.0f : -0.0f;
    default: return value(PLAIN) * ldexpf(1, (int)below(24) - 20);
    }
}

static void test_packed_bits(void **state)
{
    (void)state;
    for (size_t round = 0; round < cases(240); round++) {
        dtype type = types[round % 2], from = round % 3 == 0 ? DT_BF16 : round % 3 == 1 ? DT_F16 : DT_F32;
        size_t n = 1 + below(70), k = 1 + below(round % 5 ? 100 : 600), groups = groups_of(k), panels = (n + 31) / 32, row, col;
        float *w = malloc(n * k * sizeof *w);
        void *src = malloc(n * k * sizeof *w + 1);
        uint64_t bytes, over = 0;
        for (size_t i = 0; i < n * k; i++) w[i] = any_weight(round / 2 % 8, i);
        char *at = (char *)src + round % 2; /* any alignment */
        assert_int_equal(tensor_cast(DT_F32, w, from, at, n * k, &over), 0);
        assert_int_equal(over, 0);
        const uint64_t shape[] = {n, k};
        const tensor t = {at, shape, 2, n * k * tensor_dtypes[from].bits / 8, from, 0};
        assert_int_equal(tensor_read_f32(t, 0, n * k, w), 0);
        assert_int_equal(kernel_panel_bytes(n, k, type, &bytes), 0);
        unsigned char *want = malloc((size_t)bytes), *got = aligned_alloc(64, (size_t)bytes);
        for (size_t p = 0; p < panels; p++)
            for (size_t g = 0; g < groups; g++) reference_block(w, n, k, p * 32, g * 32, type, want + (p * groups + g) * quant_block(type));
        const kernel_set *set;
        for (size_t s = 0; (set = kernel_at(s)); s++) {
            size_t cut = below(panels + 1);
            memset(got, 0x55, (size_t)bytes);
            assert_int_equal(quant_pack(set, got, t, type, 0, cut, &row, &col), 0);
            assert_int_equal(quant_pack(set, got, t, type, cut, panels, &row, &col), 0);
            for (size_t i = 0; i < bytes; i++)
                if (got[i] != want[i])
                    fail_msg("%s %s of %zu x %zu, kind %zu: byte %zu of block %zu is %d, expected %d", set->name, type == DT_Q8 ? "Q8" : "Q4", n, k,
                             round / 2 % 8, i % quant_block(type), i / quant_block(type), got[i], want[i]);
        }
        free(w), free(src), free(want), free(got);
    }
}

/* By hand: a group of 0, 1, ..., 31 (times 4), and one of nothing. */
static void test_known(void **state)
{
    (void)state;
    float w[2 * QUANT_GROUP] = {0};
    for (size_t i = 0; i < QUANT_GROUP; i++) w[i] = 4 * (float)i - 60; /* -60 .. 64 */
    unsigned char *q8 = packed(w, 1, 2 * QUANT_GROUP, DT_Q8), *q4 = packed(w, 1, 2 * QUANT_GROUP, DT_Q4);
    uint16_t d = tensor_f32_to_f16(64.0f / 127);
    assert_memory_equal(q8 + QUANT_Q8_SCALES, &d, 2);
    for (size_t i = 0; i < QUANT_GROUP; i++)
        assert_int_equal((signed char)q8[i / 4 * 128 + i % 4], lrintf(w[i] / tensor_f16_to_f32(d)));
    for (size_t i = 0; i < QUANT_Q8_BLOCK; i++) assert_int_equal(q8[QUANT_Q8_BLOCK + i], 0);
    float out[QUANT_PANEL * QUANT_GROUP];
    quant_unpack(q4, DT_Q4, out);
    for (size_t i = 0; i < QUANT_GROUP; i++) assert_true(fabsf(out[i] - w[i]) <= 4.5f);
    for (size_t i = QUANT_GROUP; i < sizeof out / sizeof *out; i++) assert_true(out[i] == 0);
    free(q8), free(q4);
}

static void test_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 8321040.0f};
    const kernel_set *set;
    const uint64_t shape[] = {3, 40};
    static float w[120];
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            for (size_t at = 0; (set = kernel_at(at)); at++) {
                _Alignas(64) char out[2 * QUANT_Q8_BLOCK];
                size_t row = 9, col = 9;
                memset(w, 0, sizeof w);
                w[40 + 35] = bad[i];
                assert_int_equal(quant_pack(set, out, (tensor){w, shape, 2, sizeof w, DT_F32, 0}, types[t], 0, 1, &row, &col), -1);
                assert_int_equal(row, 1);
                assert_int_equal(col, 35);
            }
}

/* Rows of activations, each ending at an unmapped page. */
static kernel_rows rows_new(size_t m, size_t groups)
{
    size_t all = m * ((groups + KERNEL_GROUPS - 1) / KERNEL_GROUPS) * KERNEL_GROUPS;
    return (kernel_rows){calloc(all, QUANT_GROUP), calloc(all, sizeof(float)), calloc(all, sizeof(int32_t)), groups, m};
}
static void rows_free(kernel_rows *r) { free(r->q), free(r->scale), free(r->sum); }

static void test_quantize(void **state)
{
    (void)state;
    const float special[] = {0, -0.0f, 0x1p-126f, 0x1p-149f, 0x1p-101f, 0x1p-100f, 3e38f, INFINITY, NAN, 0.5f, 1.5f, 126.5f, 127.0f};
    guarded memory = guard_new(4 * 3 * 200 * sizeof(float));
    for (size_t round = 0; round < cases(400); round++) {
        size_t m = 1 + below(3), k = 1 + below(200), groups = groups_of(k);
        float *x = guard_last(&memory, m * k * sizeof *x);
        for (size_t i = 0; i < m * k; i++) x[i] = round % 4 ? value((int)(round % 4)) : below(3) ? value(PLAIN) : special[below(sizeof special / sizeof *special)];
        kernel_rows want = rows_new(m, groups), got = rows_new(m, groups);
        generic()->quantize(x, k, m, k, &want);
        for (size_t r = 0; r < m; r++)
            for (size_t g = 0; g < groups; g++) {
                size_t at = kernel_rows_at(&want, r, g);
                float amax = 0;
                int finite = 1;
                int32_t sum = 0;
                for (size_t i = g * 32; i < k && i < g * 32 + 32; i++) {
                    finite &= isfinite(x[r * k + i]) != 0;
                    amax = fabsf(x[r * k + i]) > amax ? fabsf(x[r * k + i]) : amax;
                }
                for (size_t i = 0; i < 32; i++) {
                    float v = g * 32 + i < k ? x[r * k + g * 32 + i] : 0;
                    int q = finite && amax >= 0x1p-100f ? (int)lrintf(v * (127 / amax)) : 0;
                    assert_int_equal(want.q[at * 32 + i], q);
                    sum += q;
                }
                float s = !finite ? NAN : amax >= 0x1p-100f ? amax / 127 : 0;
                assert_true(to_bits(want.scale[at]) == to_bits(s));
                assert_int_equal(want.sum[at], sum);
            }
        const kernel_set *set;
        for (size_t s = 0; (set = kernel_at(s)); s++) {
            set->quantize(x, k, m, k, &got);
            size_t all = kernel_rows_at(&want, m, (groups - 1) / KERNEL_GROUPS * KERNEL_GROUPS);
            assert_memory_equal(got.q, want.q, all * 32);
            assert_memory_equal(got.sum, want.sum, all * sizeof *got.sum);
            same_floats(got.scale, want.scale, all, "%s scales", set->name);
        }
        rows_free(&want), rows_free(&got);
    }
    guard_free(&memory);
}

/* The definition, group by group, from unpacked integers in 64 bits. */
static void define(const kernel_quant *a, const char *blocks, float *y)
{
    for (size_t r = 0; r < a->m; r++)
        for (size_t j = 0; j < a->n; j++) {
            float acc = 0;
            for (size_t g = 0; g < a->x.groups; g++) {
                const unsigned char *b = (const unsigned char *)blocks + (j / 32 * a->x.groups + g) * quant_block(a->type);
                const uint16_t *h = (const uint16_t *)(const void *)(b + (a->type == DT_Q8 ? 1024 : 512));
                size_t at = kernel_rows_at(&a->x, r, g);
                const int8_t *x = a->x.q + at * 32;
                float s = a->x.scale[at], d = tensor_f16_to_f32(h[j % 32]);
                int64_t dot = 0, sum = 0;
                for (size_t i = 0; i < 32; i++) {
                    int q = a->type == DT_Q8 ? (signed char)b[i / 4 * 128 + j % 32 * 4 + i % 4]
                                             : b[i % 16 / 4 * 128 + j % 32 * 4 + i % 4] >> (i < 16 ? 0 : 4) & 15;
                    dot += q * x[i];
                    sum += x[i];
                }
                acc = fmaf((float)dot, s * d, acc);
                if (a->type == DT_Q4) acc = fmaf(s * (float)sum, tensor_f16_to_f32(h[32 + j % 32]), acc);
            }
            y[r * a->n + j] = a->bias ? acc + a->bias[j] : acc;
        }
}

static void test_linear(void **state)
{
    (void)state;
    for (size_t round = 0; round < cases(300); round++) {
        dtype type = types[round % 2];
        size_t m = 1 + below(round % 5 ? 9 : 40), n = 1 + below(round % 3 ? 40 : 200), k = 1 + below(round % 7 ? 200 : 1500), groups = groups_of(k);
        size_t panels = (n + 31) / 32, ldy = n + below(3);
        int mode = round % 11 == 0 ? SPECIAL : round % 4 == 0 ? WILD : PLAIN;
        float *w = malloc(n * k * sizeof *w), *x = malloc(m * k * sizeof *x), *bias = malloc(n * sizeof *bias);
        fill(x, m * k, mode), fill(w, n * k, PLAIN), fill(bias, n, PLAIN);
        if (round % 6 == 0) /* the largest sums there are */
            for (size_t i = 0; i < n * k; i++) w[i] = round % 12 ? 1.0f : -1.0f;
        if (round % 6 == 0)
            for (size_t i = 0; i < m * k; i++) x[i] = 1;
        char *blocks = packed(w, n, k, type);
        kernel_rows rows = rows_new(m, groups);
        generic()->quantize(x, k, m, k, &rows);
        float *want = malloc(m * n * sizeof *want), *got = malloc(m * ldy * sizeof *got);
        kernel_quant a = {rows, m, n, blocks, type, 0, panels, round % 2 ? bias : NULL, got, ldy};
        define(&a, blocks, want);
        const kernel_set *set;
        for (size_t s = 0; (set = kernel_at(s)); s++) {
            memset(got, 0x55, m * ldy * sizeof *got);
            size_t cut = below(panels + 1);
            a.p0 = 0, a.p1 = cut;
            set->linear_quant(&a);
            a.p0 = cut, a.p1 = panels;
            set->linear_quant(&a);
            for (size_t r = 0; r < m; r++) {
                same_floats(got + r * ldy, want + r * n, n, "%s %s %zux%zux%zu row %zu", set->name, type == DT_Q8 ? "Q8" : "Q4", m, n, k, r);
                for (size_t i = n; i < ldy; i++) assert_int_equal(to_bits(got[r * ldy + i]), 0x55555555);
            }
        }
        free(w), free(x), free(bias), free(blocks), free(want), free(got), rows_free(&rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pack), cmocka_unit_test(test_packed_bits), cmocka_unit_test(test_known), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_quantize), cmocka_unit_test(test_linear)};
    unsigned long mode = par_fp_enter();
    int failed = cmocka_run_group_tests_name("quant", tests, NULL, NULL);
    par_fp_leave(mode);
    return failed;
}
