/* Ops over rows, heads and threads against the same formulas in double. */
#include "util.h"
#include "compute/op.h"
#include <math.h>

static uint32_t seed = 7;
static float rnd(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * (1.0f / 2147483648.0f);
}
static float *random_floats(size_t n)
{
    float *p = malloc((n ? n : 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = rnd();
    return p;
}

static void test_linear(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1}, {3, 33, 5}, {200, 70, 300}, {385, 64, 48}, {7, 515, 257}};
    for (size_t c = 0; c < 5; c++)
        for (int threads = 1; threads <= 3; threads++) {
            size_t m = sizes[c][0], n = sizes[c][1], k = sizes[c][2];
            float *x = random_floats(m * k), *w = random_floats(n * k), *b = random_floats(n), *y = malloc(m * n * sizeof *y);
            uint64_t ws[2] = {n, k}, bs[1] = {n};
            pith_err e = {0};
            op_ctx op = {.kernels = kernel_find(NULL, &e), .threads = threads};
            op_weight p;
            assert_int_equal(op_weight_load(&p, &op, (tensor){w, ws, 2, n * k * 4, DT_F32, 0}, (tensor){b, bs, 1, n * 4, DT_F32, 0}, &e), 0);
            op_linear(&op, &p, x, m, y, OP_ACT_RELU);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) {
                    double t = b[j];
                    for (size_t q = 0; q < k; q++) t += (double)x[i * k + q] * (double)w[j * k + q];
                    assert_true(fabs((t > 0 ? t : 0) - (double)y[i * n + j]) < 2e-5);
                }
            op_weight_free(&p);
            free(x), free(w), free(b), free(y);
        }
}

static void test_attention(void **state)
{
    (void)state;
    enum { N_SEQ = 5, HEADS = 3, DIM = 20, WIDTH = HEADS * DIM };
    static const size_t start[N_SEQ + 1] = {0, 1, 34, 34 + 130, 34 + 130 + 64, 34 + 130 + 64 + 7};
    const size_t n = start[N_SEQ];
    float *q = random_floats(n * WIDTH), *k = random_floats(n * WIDTH), *v = random_floats(n * WIDTH), *y = malloc(n * WIDTH * sizeof *y);
    for (int threads = 1; threads <= 4; threads++) {
        pith_err e = {0};
        op_ctx op = {.kernels = kernel_find(NULL, &e), .threads = threads};
        op_attention_work w;
        arena measure = {0}, a = {0};
        op_attention_layout(&w, &op, n, N_SEQ, 130, HEADS, DIM, &measure);
        assert_int_equal(arena_reserve(&a, measure.used, &e), 0);
        op_attention_layout(&w, &op, n, N_SEQ, 130, HEADS, DIM, &a);
        op_attention(&op, &w, q, k, v, start, N_SEQ, HEADS, DIM, 0.5f, y);
        for (size_t s = 0; s < N_SEQ; s++)
            for (size_t i = start[s]; i < start[s + 1]; i++)
                for (size_t h = 0; h < HEADS; h++) {
                    double p[130], sum = 0, out[DIM] = {0};
                    for (size_t j = start[s]; j < start[s + 1]; j++) {
                        double t = 0;
                        for (size_t d = 0; d < DIM; d++)
                            t += (double)q[i * WIDTH + h * DIM + d] * (double)k[j * WIDTH + h * DIM + d];
                        sum += p[j - start[s]] = exp(0.5 * t);
                    }
                    for (size_t j = start[s]; j < start[s + 1]; j++)
                        for (size_t d = 0; d < DIM; d++) out[d] += p[j - start[s]] / sum * (double)v[j * WIDTH + h * DIM + d];
                    for (size_t d = 0; d < DIM; d++) assert_true(fabs(out[d] - (double)y[i * WIDTH + h * DIM + d]) < 5e-6);
                }
        arena_free(&a);
    }
    free(q), free(k), free(v), free(y);
}

static void test_add_layernorm(void **state)
{
    (void)state;
    enum { M = 70, N = 37 };
    float *x = random_floats(M * N), *r = random_floats(M * N), *g = random_floats(N), *b = random_floats(N), y[M * N], sum[N];
    pith_err e = {0};
    op_ctx op = {.kernels = kernel_find(NULL, &e), .threads = 2};
    float *before = malloc(M * N * sizeof *before);
    memcpy(before, x, M * N * sizeof *x);
    op_add_layernorm(&op, x, r, g, b, 1e-5f, y, M, N);
    for (size_t i = 0; i < M; i++) {
        double mean = 0, var = 0;
        for (size_t j = 0; j < N; j++) mean += (double)(sum[j] = before[i * N + j] + r[i * N + j]) / N;
        for (size_t j = 0; j < N; j++) var += ((double)sum[j] - mean) * ((double)sum[j] - mean) / N;
        for (size_t j = 0; j < N; j++)
            assert_true(fabs(((double)sum[j] - mean) / sqrt(var + 1e-5) * (double)g[j] + (double)b[j] - (double)y[i * N + j]) < 2e-6);
    }
    free(x), free(r), free(g), free(b), free(before);
}

static void test_activation_names(void **state)
{
    (void)state;
    op_act act;
    pith_err e = {0};
    assert_int_equal(op_act_find("gelu_new", "config.json: hidden_act", &act, &e), 0);
    assert_int_equal(act, OP_ACT_GELU_TANH);
    assert_int_equal(op_act_find("mish", "config.json: hidden_act", &act, &e), -1);
    assert_non_null(strstr(e.msg, "config.json: hidden_act \"mish\" is not supported (supported: gelu,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),           cmocka_unit_test(test_attention), cmocka_unit_test(test_add_layernorm),
        cmocka_unit_test(test_activation_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
