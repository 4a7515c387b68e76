/* The MLP in chunks of columns against its products one after the other: the same bits, whatever the weights' type, the rows, the
 * threads and the room. */
#include "util.h"
#include "compute/mlp.h"

static uint32_t seed = 11;
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

static op_weight weight(const op_ctx *op, size_t n, size_t k)
{
    float *w = random_floats(n * k), *b = random_floats(n);
    pith_err e = {0};
    op_weight p;
    assert_int_equal(op_weight_load(&p, op, (tensor){w, (uint64_t[]){n, k}, 2, n * k * 4, DT_F32, 0}, (tensor){b, (uint64_t[]){n}, 1, n * 4, DT_F32, 0}, &e), 0);
    free(w), free(b);
    return p;
}

typedef struct setting {
    mlp_weights w;
    mlp_work work;
    size_t hidden;
    const float *x;
    float *y;
} setting;

static void run(void *ctx, const op_rows *r)
{
    const setting *s = ctx;
    mlp_run(r, &s->w, &s->work, s->x + r->first * s->hidden, s->y + r->first * s->hidden);
}

/* In its own arena, with room for `most` rows. */
static void chunked(op_ctx op, setting *s, size_t most, size_t m)
{
    pith_err e = {0};
    arena measure = {0}, a = {0};
    op_ctx room = op;
    mlp_work work = {0};
    size_t wide = s->w.up->n, widest = wide > s->hidden ? wide : s->hidden;
    op_rows_layout(&room, most, widest, &measure);
    mlp_layout(&work, &op, most, s->hidden, wide, &measure);
    assert_int_equal(arena_reserve(&a, measure.used, &e), 0);
    op_rows_layout(&room, most, widest, &a);
    mlp_layout(&s->work, &op, most, s->hidden, wide, &a);
    op_each_rows(&room, m, run, s);
    arena_free(&a);
}

/* One row at a time, on one thread. */
static void plain(op_ctx op, const setting *s, size_t m, float *y)
{
    pith_err e = {0};
    arena measure = {0}, a = {0};
    size_t wide = s->w.up->n, widest = wide > s->hidden ? wide : s->hidden;
    float *gate = malloc(wide * sizeof *gate), *up = malloc(wide * sizeof *up);
    op.threads = 1;
    op_rows_layout(&op, 1, widest, &measure);
    assert_int_equal(arena_reserve(&a, measure.used, &e), 0);
    op_rows_layout(&op, 1, widest, &a);
    for (size_t i = 0; i < m; i++) {
        const float *x = s->x + i * s->hidden;
        op_linear(&op, s->w.up, x, 1, up, s->w.gate ? OP_ACT_NONE : s->w.act);
        if (s->w.gate) {
            op_linear(&op, s->w.gate, x, 1, gate, s->w.act);
            op_mul(&op, gate, up, wide);
        }
        op_linear(&op, s->w.down, up, 1, y + i * s->hidden, OP_ACT_NONE);
    }
    free(gate), free(up);
    arena_free(&a);
}

static void test_mlp(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{64, 1100}, {20, 300}, {160, 20}, {96, 128}}; /* fewer than 32 outputs are never quantised */
    static const size_t rows[] = {1, 9, 200, 301, 600};
    static const dtype types[] = {0, DT_Q8, DT_Q4};
    for (size_t c = 0; c < 4 * 3 * 2; c++) {
        size_t hidden = sizes[c % 4][0], wide = sizes[c % 4][1];
        pith_err e = {0};
        op_ctx op = {.kernels = kernel_find(NULL, &e), .weights = types[c / 4 % 3]};
        assert_non_null(op.kernels);
        op.threads = 1;
        op_weight gate = weight(&op, wide, hidden), up = weight(&op, wide, hidden), down = weight(&op, hidden, wide);
        float *x = random_floats(600 * hidden), *want = malloc(600 * hidden * sizeof *want), *y = malloc(600 * hidden * sizeof *y);
        setting s = {.w = {c / 12 ? &gate : NULL, &up, &down, c / 12 ? OP_ACT_SILU : OP_ACT_GELU}, .hidden = hidden, .x = x};
        plain(op, &s, 600, want);
        for (size_t i = 0; i < 5 * 3; i++) {
            size_t m = rows[i % 5];
            op.threads = (int)(i / 5) + 1;
            memset(y, 0, 600 * hidden * sizeof *y);
            s.y = y;
            chunked(op, &s, m, m);
            assert_memory_equal(y, want, m * hidden * sizeof *y);
            memcpy(y, x, m * hidden * sizeof *y); /* in place, in more room */
            s.x = y;
            chunked(op, &s, m + 40, m);
            assert_memory_equal(y, want, m * hidden * sizeof *y);
            s.x = x;
        }
        op_weight_free(&gate), op_weight_free(&up), op_weight_free(&down);
        free(x), free(want), free(y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mlp)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
