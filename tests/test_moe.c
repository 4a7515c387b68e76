/* The mixture of experts against double: choice, ties, NaN, the clamps of the gate; and the same bits for a token alone or
 * in a batch, for every number of threads and exact kernel set. */
#include "util.h"
#include "compute/moe.h"
#include <math.h>

enum { HIDDEN = 40, INTER = 24, EXPERTS = 5, TOKENS = 70 };

static uint32_t seed = 7;
static float noise(void)
{
    seed = seed * 1664525 + 1013904223;
    return (float)(int32_t)seed * 0x1p-31f;
}

/* Weights as files hold them: [expert][in][out]. */
typedef struct data {
    float gate_up[EXPERTS][HIDDEN][2 * INTER], gate_up_bias[EXPERTS][2 * INTER];
    float down[EXPERTS][INTER][HIDDEN], down_bias[EXPERTS][HIDDEN];
    float x[TOKENS][HIDDEN], logits[TOKENS][EXPERTS];
} data;

static void fill(void *p, size_t bytes, float size)
{
    float *x = p;
    for (size_t i = 0; i < bytes / sizeof *x; i++) x[i] = noise() * size;
}

static op_weight *pack(const op_ctx *c, const void *w, const void *bias, size_t in, size_t out)
{
    pith_err e = {0};
    const uint64_t shape[] = {EXPERTS, in, out}, bias_shape[] = {EXPERTS, out};
    tensor t = {w, shape, 3, EXPERTS * in * out * 4, DT_F32, 0}, b = {bias, bias_shape, 2, EXPERTS * out * 4, DT_F32, 0};
    op_weight *list = calloc(EXPERTS, sizeof *list);
    for (size_t i = 0; i < EXPERTS; i++)
        assert_int_equal(op_weight_load_transposed(&list[i], c, tensor_at(t, i), tensor_at(b, i), &e), 0);
    return list;
}

static moe make(const op_ctx *c, const data *d, size_t top_k)
{
    return (moe){.n_expert = EXPERTS, .top_k = top_k, .hidden = HIDDEN, .inter = INTER, .alpha = 1.702f, .limit = 1.5f,
                 .gate_up = pack(c, d->gate_up, d->gate_up_bias, HIDDEN, 2 * INTER),
                 .down = pack(c, d->down, d->down_bias, INTER, HIDDEN)};
}

static void run(const op_ctx *c, const moe *m, const data *d, size_t from, size_t n, float (*y)[HIDDEN])
{
    pith_err e = {0};
    arena a = {0};
    moe_work w;
    moe_layout(&w, m, n, &a);
    assert_int_equal(arena_reserve(&a, a.used, &e), 0);
    moe_layout(&w, m, n, &a);
    memcpy(w.logits, d->logits + from, n * sizeof d->logits[0]);
    memcpy(y + from, d->x + from, n * sizeof *y);
    moe_run(c, m, &w, y[from], n, y[from]); /* in place, as a layer does it */
    arena_free(&a);
}

static void expert(const data *d, size_t e, const float *x, double limit, double *y)
{
    double z[INTER];
    for (size_t i = 0; i < INTER; i++) {
        double g = (double)d->gate_up_bias[e][2 * i], u = (double)d->gate_up_bias[e][2 * i + 1];
        for (size_t h = 0; h < HIDDEN; h++) {
            g += (double)x[h] * (double)d->gate_up[e][h][2 * i];
            u += (double)x[h] * (double)d->gate_up[e][h][2 * i + 1];
        }
        g = fmin(g, limit), u = fmax(-limit, fmin(u, limit));
        z[i] = (u + 1) * g / (1 + exp(-1.702 * g));
    }
    for (size_t h = 0; h < HIDDEN; h++) {
        y[h] = (double)d->down_bias[e][h];
        for (size_t i = 0; i < INTER; i++) y[h] += z[i] * (double)d->down[e][i][h];
    }
}

/* The chosen experts of a token, by hand: chosen[e] is 1 or 0. */
static void check_token(const data *d, const float *y, size_t t, const int *chosen, double limit)
{
    double want[HIDDEN] = {0}, sum = 0, one[HIDDEN];
    for (size_t e = 0; e < EXPERTS; e++) sum += chosen[e] ? exp((double)d->logits[t][e]) : 0;
    for (size_t e = 0; e < EXPERTS; e++) {
        if (!chosen[e]) continue;
        expert(d, e, d->x[t], limit, one);
        for (size_t h = 0; h < HIDDEN; h++) want[h] += exp((double)d->logits[t][e]) / sum * one[h];
    }
    for (size_t h = 0; h < HIDDEN; h++)
        if (!(fabs((double)y[h] - want[h]) < 2e-5)) fail_msg("token %zu: %g, expected %g", t, (double)y[h], want[h]);
}

static void choose(const data *d, size_t t, size_t k, int *chosen)
{
    memset(chosen, 0, EXPERTS * sizeof *chosen);
    for (size_t r = 0; r < k; r++) {
        size_t best = EXPERTS;
        for (size_t e = EXPERTS; e-- > 0;) /* from the end: of equal ones the first stays */
            if (!chosen[e] && (best == EXPERTS || d->logits[t][e] >= d->logits[t][best])) best = e;
        chosen[best] = 1;
    }
}

static data *draw(void)
{
    data *d = malloc(sizeof *d);
    assert_non_null(d);
    fill(d, sizeof *d, 0.4f);
    fill(d->x, sizeof d->x, 3);
    fill(d->logits, sizeof d->logits, 2);
    return d;
}

static void test_mixture(void **state)
{
    (void)state;
    static float y[TOKENS][HIDDEN];
    data *d = draw();
    const op_ctx c = {.kernels = kernel_at(0), .threads = 2};
    for (size_t k = 1; k <= EXPERTS; k++) {
        moe m = make(&c, d, k);
        run(&c, &m, d, 0, TOKENS, y);
        for (size_t t = 0; t < TOKENS; t++) {
            int chosen[EXPERTS];
            choose(d, t, k, chosen);
            check_token(d, y[t], t, chosen, 1.5);
        }
        moe_free(&m);
        assert_null(m.down);
    }
    free(d);
}

static void test_ties(void **state)
{
    (void)state;
    static float y[TOKENS][HIDDEN];
    static const struct {
        float logits[EXPERTS];
        int chosen[EXPERTS]; /* two of them */
    } cases[] = {{{1, 1, 1, 1, 1}, {1, 1, 0, 0, 0}}, {{0, 2, 1, 2, 2}, {0, 1, 0, 1, 0}}, {{3, 1, 0, 1, 1}, {1, 1, 0, 0, 0}},
                 {{-1, -1, -1, 5, -1}, {1, 0, 0, 1, 0}}, {{-0.0f, 0.0f, -1, 0.0f, -2}, {1, 1, 0, 0, 0}}};
    data *d = draw();
    const op_ctx c = {.kernels = kernel_at(0), .threads = 1};
    moe m = make(&c, d, 2);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memcpy(d->logits[i], cases[i].logits, sizeof cases[i].logits);
        run(&c, &m, d, i, 1, y);
        check_token(d, y[i], i, cases[i].chosen, 1.5);
    }
    /* A NaN is chosen, and shows. */
    d->logits[0][3] = NAN;
    run(&c, &m, d, 0, 1, y);
    for (size_t h = 0; h < HIDDEN; h++) assert_true(isnan(y[0][h]));
    for (size_t e = 0; e < EXPERTS; e++) d->logits[0][e] = NAN;
    run(&c, &m, d, 0, 1, y);
    assert_true(isnan(y[0][0]));
    moe_free(&m);
    free(d);
}

static void test_bits(void **state)
{
    (void)state;
    static float want[TOKENS][HIDDEN], y[TOKENS][HIDDEN];
    static const size_t chunks[] = {1, 7, 32, TOKENS};
    static const int threads[] = {1, 2, 4};
    data *d = draw();
    pith_err e = {0};
    const op_ctx one = {.kernels = kernel_find("generic", &e), .threads = 1};
    moe m = make(&one, d, 3);
    run(&one, &m, d, 0, TOKENS, want);
    for (size_t k = 0; kernel_at(k); k++)
        for (size_t t = 0; kernel_at(k)->exact && t < 3; t++)
            for (size_t i = 0; i < 4; i++) {
                const op_ctx c = {.kernels = kernel_at(k), .threads = threads[t]};
                for (size_t at = 0; at < TOKENS; at += chunks[i])
                    run(&c, &m, d, at, TOKENS - at < chunks[i] ? TOKENS - at : chunks[i], y);
                if (memcmp(y, want, sizeof y))
                    fail_msg("other bits with %s, %d threads, chunks of %zu", kernel_at(k)->name, threads[t], chunks[i]);
            }
    moe_free(&m);
    free(d);
}

/* 16-bit experts are packed from [in][out] too: what the product gives is that of the same numbers in F32. */
static void test_transposed(void **state)
{
    (void)state;
    enum { IN = 37, OUT = 45 };
    static float w[IN][OUT], x[IN], want[OUT], y[OUT];
    static uint16_t half[IN][OUT];
    pith_err e = {0};
    const uint64_t shape[] = {IN, OUT};
    for (size_t i = 0; i < IN; i++)
        for (size_t o = 0; o < OUT; o++) w[i][o] = tensor_f16_to_f32(half[i][o] = tensor_f32_to_f16(noise()));
    fill(x, sizeof x, 1);
    for (size_t k = 0; kernel_at(k); k++) {
        if (!kernel_at(k)->exact) continue;
        const op_ctx c = {.kernels = kernel_at(k), .threads = 2};
        op_weight a, b;
        assert_int_equal(op_weight_load_transposed(&a, &c, (tensor){w, shape, 2, sizeof w, DT_F32, 0}, (tensor){0}, &e), 0);
        assert_int_equal(op_weight_load_transposed(&b, &c, (tensor){half, shape, 2, sizeof half, DT_F16, 0}, (tensor){0}, &e), 0);
        op_linear(&c, &a, x, 1, want, OP_ACT_NONE);
        op_linear(&c, &b, x, 1, y, OP_ACT_NONE);
        assert_memory_equal(want, y, sizeof y);
        for (size_t o = 0; o < OUT; o++) {
            double sum = 0;
            for (size_t i = 0; i < IN; i++) sum += (double)x[i] * (double)w[i][o];
            assert_true(fabs(sum - (double)y[o]) < 1e-5);
        }
        op_weight_free(&a);
        op_weight_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixture),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_transposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
