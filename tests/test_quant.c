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

static float known(const float *w, size_t n, size_t k, size_t row, size_t col) { return row < n && col < k ? w[row * k + col] : 0; }

/* Every weight comes back within half a step of what it was; the steps are those of its block's and group's own range. */
static void test_pack(void **state)
{
    (void)state;
    for (size_t t = 0; t < 2; t++)
        for (size_t round = 0; round < cases(60); round++) {
            size_t n = 1 + below(70), k = 1 + below(300), groups = groups_of(k);
            float *w = malloc(n * k * sizeof *w), out[QUANT_PANEL * QUANT_BLOCK];
            for (size_t i = 0; i < n * k; i++) w[i] = value(PLAIN) * (below(9) ? 0.1f : 1.0f);
            char *blocks = packed(w, n, k, types[t]);
            for (size_t p = 0; p * QUANT_PANEL < n; p++)
                for (size_t b = 0; b * QUANT_GROUPS < groups; b++) {
                    size_t here = quant_groups_of(groups, b) * QUANT_GROUP, col = b * QUANT_BLOCK;
                    quant_unpack(blocks + p * quant_panel(types[t], groups) + b * quant_block(types[t]), types[t], here / QUANT_GROUP, out);
                    for (size_t j = 0; j < QUANT_PANEL; j++) {
                        float amax = 0;
                        for (size_t i = 0; i < here; i++) amax = fmaxf(amax, fabsf(known(w, n, k, p * 32 + j, col + i)));
                        for (size_t i = 0; i < here; i++) {
                            float lo = INFINITY, hi = -INFINITY;
                            for (size_t q = i / 32 * 32; q < i / 32 * 32 + 32; q++) {
                                lo = fminf(lo, known(w, n, k, p * 32 + j, col + q));
                                hi = fmaxf(hi, known(w, n, k, p * 32 + j, col + q));
                            }
                            /* A fit may move the ends of a range of 4 bits for the sake of the rest. */
                            float step = types[t] == DT_Q8 ? amax / 127 * 0.57f : (hi - lo) / 15 * 2.5f + amax / 119;
                            float v = known(w, n, k, p * 32 + j, col + i), off = fabsf(out[j * here + i] - v);
                            if (off > step + 1e-7f)
                                fail_msg("%zu x %zu, output %zu, weight %zu: %g became %g, step %g", n, k, p * 32 + j, col + i, (double)v,
                                         (double)out[j * here + i], (double)step);
                        }
                    }
                }
            free(w);
            free(blocks);
        }
}

/* The definition of quant.h, one block of one output at a time. -1: no weights of that type. */
static int reference_scale(const float *w, size_t n, float top, uint16_t *h, float *d)
{
    float amax = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(w[i])) return -1;
        amax = fabsf(w[i]) > amax ? fabsf(w[i]) : amax;
    }
    *d = tensor_f16_to_f32(*h = tensor_f32_to_f16(amax / top));
    return isfinite(*d) ? 0 : -1;
}

static float within(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

/* A pair's q, and what it is worth. */
static float reference_pair(const float *y, float t, float m, int *q)
{
    float error = 0;
    for (size_t i = 0; i < 32; i++) {
        q[i] = t > 0 ? (int)within(rintf((y[i] - m) * (1 / t)), 0, 15) : 0;
        float e = (y[i] - m) - t * (float)q[i];
        error = error + e * e;
    }
    return error;
}

static void reference_fit(const float *y, float *t, float *m)
{
    float low = y[0], high = y[0], total = 0;
    int q[32], other[32];
    for (size_t i = 0; i < 32; i++) low = y[i] < low ? y[i] : low, high = y[i] > high ? y[i] : high;
    for (size_t i = 0; i < 32; i++) total += y[i] - low;
    *t = (high - low) / 15, *m = low;
    float error = reference_pair(y, *t, *m, q);
    for (int fit = 0; fit < 4; fit++) {
        int a = 0, b = 0;
        float c = 0;
        for (size_t i = 0; i < 32; i++) a += q[i], b += q[i] * q[i], c += (float)q[i] * (y[i] - low);
        if (32 * b - a * a <= 0) break;
        float next = (32 * c - (float)a * total) / (float)(32 * b - a * a), least = (total - next * (float)a) / 32 + low;
        if (!(next > 0)) break;
        float e = reference_pair(y, next, least, other);
        if (!(e < error)) break;
        error = e, *t = next, *m = least;
        memcpy(q, other, sizeof q);
    }
}

static void reference_codes(const float *y, int *s, int *z, int *q)
{
    float t, m, sum = 0, least = INFINITY;
    reference_fit(y, &t, &m);
    for (size_t i = 0; i < 32; i++) sum += y[i];
    for (int more = 0; more < 2; more++) {
        float step = within(floorf(t) + (float)more, 1, 16), zero = within(rintf((t - step) * 7.5f + m), -127, 127);
        for (int refit = 0; refit < 3; refit++) {
            float error = 0, most = fminf(15, floorf((127 - zero) / step));
            int now[32], total = 0;
            for (size_t i = 0; i < 32; i++) {
                now[i] = (int)within(rintf((y[i] - zero) * (1 / step)), 0, most);
                float e = y[i] - (step * (float)now[i] + zero);
                error = error + e * e;
                total += now[i];
            }
            if (error < least) {
                least = error, *s = (int)step, *z = (int)zero;
                memcpy(q, now, sizeof now);
            }
            zero = within(rintf((sum - step * (float)total) / 32), -127, 127);
        }
    }
}

static void reference_block(const float *x, size_t n, size_t k, size_t row, size_t col, size_t groups, dtype type, unsigned char *b)
{
    memset(b, 0, quant_panel(type, groups));
    for (size_t j = 0; j < 32; j++) {
        float w[128] = {0}, d = 0;
        uint16_t h = 0, steps = 0;
        for (size_t i = 0; i < 128; i++) w[i] = known(x, n, k, row + j, col + i);
        assert_int_equal(reference_scale(w, 128, type == DT_Q8 ? 127 : 119, &h, &d), 0);
        memcpy(b + 2 * j, &h, 2);
        for (size_t g = 0; g < groups; g++) {
            unsigned char *q = b + (type == DT_Q8 ? 64 + 1024 * g : 256 + 512 * g);
            int s = 1, z = 0, codes[32] = {0};
            float y[32];
            for (size_t i = 0; i < 32; i++) {
                float v = w[32 * g + i];
                if (type == DT_Q8) q[i / 4 * 128 + j * 4 + i % 4] = (unsigned char)(d > 0 ? (int)within(rintf(v / d), -127, 127) : 0);
                else y[i] = d > 0 ? within(v * (1 / d), -127, 127) : 0;
            }
            if (type == DT_Q8) continue;
            reference_codes(y, &s, &z, codes);
            steps = (uint16_t)(steps | (s - 1) << 4 * g);
            b[128 + 4 * j + g] = (unsigned char)z;
            for (size_t i = 0; i < 32; i++) {
                assert_in_range(s * codes[i] + z + 127, 0, 254);
                q[i % 16 / 4 * 128 + j * 4 + i % 4] |= (unsigned char)(codes[i] << (i < 16 ? 0 : 4));
            }
        }
        if (type == DT_Q4) memcpy(b + 64 + 2 * j, &steps, 2);
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
        size_t n = 1 + below(70), k = 1 + below(round % 5 ? 200 : 600), groups = groups_of(k), panels = (n + 31) / 32, row, col;
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
            for (size_t b = 0; b * 4 < groups; b++)
                reference_block(w, n, k, p * 32, b * 128, quant_groups_of(groups, b), type, want + p * quant_panel(type, groups) + b * quant_block(type));
        const kernel_set *set;
        for (size_t s = 0; (set = kernel_at(s)); s++) {
            size_t cut = below(panels + 1);
            memset(got, 0x55, (size_t)bytes);
            assert_int_equal(quant_pack(set, got, t, type, 0, cut, &row, &col), 0);
            assert_int_equal(quant_pack(set, got, t, type, cut, panels, &row, &col), 0);
            for (size_t i = 0; i < bytes; i++)
                if (got[i] != want[i])
                    fail_msg("%s %s of %zu x %zu, kind %zu: byte %zu of panel %zu is %d, expected %d", set->name, type == DT_Q8 ? "Q8" : "Q4", n, k,
                             round / 2 % 8, i % quant_panel(type, groups), i / quant_panel(type, groups), got[i], want[i]);
        }
        free(w), free(src), free(want), free(got);
    }
}

/* By hand: a block of -60, -56, ..., 64 and three groups of nothing; then 0.5 alone in a last block of one group. */
static void test_known(void **state)
{
    (void)state;
    float w[QUANT_BLOCK + 1] = {0};
    for (size_t i = 0; i < QUANT_GROUP; i++) w[i] = 4 * (float)i - 60; /* -60 .. 64 */
    w[QUANT_BLOCK] = 0.5f;
    unsigned char *q8 = packed(w, 1, QUANT_BLOCK + 1, DT_Q8), *q4 = packed(w, 1, QUANT_BLOCK + 1, DT_Q4);
    uint16_t d = tensor_f32_to_f16(64.0f / 127);
    uint64_t bytes;
    assert_int_equal(kernel_panel_bytes(1, QUANT_BLOCK + 1, DT_Q8, &bytes), 0);
    assert_int_equal(bytes, 64 + 4096 + 64 + 1024);
    assert_int_equal(kernel_panel_bytes(33, QUANT_BLOCK + 1, DT_Q4, &bytes), 0);
    assert_int_equal(bytes, 2 * (256 + 2048 + 256 + 512));
    assert_memory_equal(q8, &d, 2);
    for (size_t i = 0; i < QUANT_GROUP; i++)
        assert_int_equal((signed char)q8[64 + i / 4 * 128 + i % 4], lrintf(w[i] / tensor_f16_to_f32(d)));
    for (size_t i = 1; i < QUANT_GROUPS * QUANT_GROUP / 4 * 128; i++)
        if (i / 128 >= 8 || i % 128 >= 4) assert_int_equal(q8[64 + i], 0);
    assert_int_equal((signed char)q8[64 + 4096 + 64], 127);
    float out[QUANT_PANEL * QUANT_BLOCK];
    quant_unpack(q4, DT_Q4, 4, out);
    for (size_t i = 0; i < QUANT_GROUP; i++) assert_true(fabsf(out[i] - w[i]) <= 4.7f);
    for (size_t i = QUANT_GROUP; i < sizeof out / sizeof *out; i++) assert_true(out[i] == 0);
    quant_unpack(q4 + 256 + 2048, DT_Q4, 1, out);
    assert_true(fabsf(out[0] - 0.5f) < 0.01f);
    for (size_t i = 1; i < QUANT_PANEL * QUANT_GROUP; i++) assert_true(fabsf(out[i]) < 0.02f);
    free(q8), free(q4);
}

static void test_refused(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 8321040.0f};
    const kernel_set *set;
    const uint64_t shape[] = {3, 140};
    static float w[420];
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            for (size_t at = 0; (set = kernel_at(at)); at++) {
                _Alignas(64) char out[2 * (QUANT_Q8_HEAD + QUANT_GROUPS * QUANT_Q8_GROUP)];
                size_t row = 9, col = 9;
                memset(w, 0, sizeof w);
                w[140 + 135] = bad[i];
                assert_int_equal(quant_pack(set, out, (tensor){w, shape, 2, sizeof w, DT_F32, 0}, types[t], 0, 1, &row, &col), -1);
                assert_int_equal(row, 1);
                assert_int_equal(col, 135);
            }
}

static size_t blocks_of(size_t groups) { return (groups + 3) / 4; }
static kernel_rows rows_new(size_t m, size_t groups)
{
    size_t room = kernel_room(m), all = room * blocks_of(groups);
    return (kernel_rows){malloc(all * 128), malloc(all * sizeof(float)), malloc(all * 4 * sizeof(int16_t)), groups, room};
}
static void rows_free(kernel_rows *r) { free(r->q), free(r->scale), free(r->sum); }

static void test_quantize(void **state)
{
    (void)state;
    const float special[] = {0, -0.0f, 0x1p-126f, 0x1p-149f, 0x1p-101f, 0x1p-100f, 3e38f, INFINITY, NAN, 0.5f, 1.5f, 126.5f, 127.0f};
    guarded memory = guard_new(4 * 3 * 300 * sizeof(float));
    for (size_t round = 0; round < cases(400); round++) {
        size_t m = 1 + below(3), k = 1 + below(300), groups = groups_of(k);
        float *x = guard_last(&memory, m * k * sizeof *x);
        for (size_t i = 0; i < m * k; i++) x[i] = round % 4 ? value((int)(round % 4)) : below(3) ? value(PLAIN) : special[below(sizeof special / sizeof *special)];
        kernel_rows want = rows_new(m, groups), got = rows_new(m, groups);
        generic()->quantize(x, k, m, k, &want);
        for (size_t r = 0; r < m; r++)
            for (size_t b = 0; b < blocks_of(groups); b++) {
                size_t at = kernel_rows_at(&want, r, b);
                float amax = 0;
                int finite = 1;
                int32_t sum[4] = {0};
                for (size_t i = b * 128; i < k && i < b * 128 + 128; i++) {
                    finite &= isfinite(x[r * k + i]) != 0;
                    amax = fabsf(x[r * k + i]) > amax ? fabsf(x[r * k + i]) : amax;
                }
                for (size_t i = 0; i < 128; i++) {
                    float v = b * 128 + i < k ? x[r * k + b * 128 + i] : 0;
                    int q = finite && amax >= 0x1p-100f ? (int)lrintf(v * (127 / amax)) : 0;
                    assert_int_equal(want.q[at * 128 + i], q);
                    sum[i / 32] += q;
                }
                float s = !finite ? NAN : amax >= 0x1p-100f ? amax / 127 : 0;
                assert_true(to_bits(want.scale[at]) == to_bits(s));
                for (size_t g = 0; g < 4; g++) assert_int_equal(want.sum[at * 4 + g], sum[g]);
            }
        const kernel_set *set;
        for (size_t s = 0; (set = kernel_at(s)); s++) {
            set->quantize(x, k, m, k, &got);
            size_t all = m * blocks_of(groups);
            assert_memory_equal(got.q, want.q, all * 128);
            assert_memory_equal(got.sum, want.sum, all * 4 * sizeof *got.sum);
            same_floats(got.scale, want.scale, all, "%s scales", set->name);
        }
        rows_free(&want), rows_free(&got);
    }
    guard_free(&memory);
}

/* The definition, block by block, from unpacked integers in 64 bits. */
static void define(const kernel_quant *a, const char *packed_w, float *y)
{
    const size_t groups = a->x.groups;
    for (size_t r = 0; r < a->m; r++)
        for (size_t j = 0; j < a->n; j++) {
            float acc = 0;
            for (size_t b = 0; b < blocks_of(groups); b++) {
                const unsigned char *block = (const unsigned char *)packed_w + j / 32 * quant_panel(a->type, groups) + b * quant_block(a->type);
                size_t at = kernel_rows_at(&a->x, r, b);
                const int8_t *x = a->x.q + at * 128;
                uint16_t d, steps;
                int64_t dot = 0;
                memcpy(&d, block + j % 32 * 2, 2);
                memcpy(&steps, block + 64 + j % 32 * 2, 2);
                for (size_t i = 0; i < 32 * quant_groups_of(groups, b); i++) {
                    size_t g = i / 32, in = i % 32;
                    int code;
                    if (a->type == DT_Q8) {
                        code = (signed char)block[64 + 1024 * g + in / 4 * 128 + j % 32 * 4 + in % 4];
                    } else {
                        int q = block[256 + 512 * g + in % 16 / 4 * 128 + j % 32 * 4 + in % 4] >> (in < 16 ? 0 : 4) & 15;
                        code = ((steps >> 4 * g & 15) + 1) * q + (signed char)block[128 + j % 32 * 4 + g];
                    }
                    dot += code * x[i];
                }
                acc = fmaf((float)dot * tensor_f16_to_f32(d), a->x.scale[at], acc);
            }
            y[r * a->n + j] = a->bias ? acc + a->bias[j] : acc;
        }
}

static void test_linear(void **state)
{
    (void)state;
    for (size_t round = 0; round < cases(300); round++) {
        dtype type = types[round % 2];
        size_t m = 1 + below(round % 5 ? 9 : round % 25 ? 70 : 330), n = 1 + below(round % 3 ? 40 : 200), k = 1 + below(round % 7 ? 300 : 1500), groups = groups_of(k);
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
