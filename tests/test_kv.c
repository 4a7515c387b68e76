/* Attention through the cache against double: windows, caps, sinks, grouped heads, ragged chunks of several sequences; and
 * the same bits however the tokens were fed, on every exact kernel set. */
#include "util.h"
#include "compute/kv.h"
#include <math.h>

typedef struct setting {
    size_t n_head, n_kv_head, head_dim, window;
    float softcap;
    int sinks, half;
} setting;

enum { N_SEQ = 3, LAYERS = 2 };
static const size_t lengths[N_SEQ] = {97, 40, 1};

/* What a case computes with; q, k, v, y of sequence s lie at token at[s]. */
typedef struct data {
    setting s;
    size_t at[N_SEQ + 1];
    float *q, *k, *v, *y, *sinks, scale;
} data;

static uint32_t seed = 1;
static float noise(void)
{
    seed = seed * 1664525 + 1013904223;
    return (float)(int32_t)seed * 0x1p-31f;
}

static float *randoms(size_t n, float size)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = noise() * size;
    return x;
}

static void data_make(data *d, setting s)
{
    *d = (data){.s = s, .scale = 0.3f};
    for (size_t i = 0; i < N_SEQ; i++) d->at[i + 1] = d->at[i] + lengths[i];
    size_t n = d->at[N_SEQ];
    d->q = randoms(n * s.n_head * s.head_dim, 2);
    d->k = randoms(n * s.n_kv_head * s.head_dim, 2);
    d->v = randoms(n * s.n_kv_head * s.head_dim, 2);
    d->sinks = randoms(s.n_head, 2);
    d->y = randoms(n * s.n_head * s.head_dim, 9);
}

static void data_free(data *d)
{
    free(d->q);
    free(d->k);
    free(d->v);
    free(d->y);
    free(d->sinks);
}

static double stored(const setting *s, float x) { return s->half ? (double)tensor_f16_to_f32(tensor_f32_to_f16(x)) : (double)x; }

/* One head of one token in double; the token is number t of a sequence that begins at token `first`. */
static void reference(const data *d, size_t first, size_t t, size_t head, double *y)
{
    const setting *s = &d->s;
    size_t kv = head / (s->n_head / s->n_kv_head), from = s->window && t + 1 > s->window ? t + 1 - s->window : 0;
    double p[128], max = s->sinks ? (double)d->sinks[head] : -1e300, sum = 0;
    const float *q = d->q + ((first + t) * s->n_head + head) * s->head_dim;
    for (size_t j = from; j <= t; j++) {
        const float *k = d->k + ((first + j) * s->n_kv_head + kv) * s->head_dim;
        p[j] = 0;
        for (size_t i = 0; i < s->head_dim; i++) p[j] += (double)q[i] * stored(s, k[i]);
        p[j] *= (double)d->scale;
        if (s->softcap > 0) p[j] = (double)s->softcap * tanh(p[j] / (double)s->softcap);
        max = p[j] > max ? p[j] : max;
    }
    for (size_t j = from; j <= t; j++) sum += p[j] = exp(p[j] - max);
    if (s->sinks) sum += exp((double)d->sinks[head] - max);
    for (size_t i = 0; i < s->head_dim; i++) {
        y[i] = 0;
        for (size_t j = from; j <= t; j++)
            y[i] += p[j] / sum * stored(s, d->v[((first + j) * s->n_kv_head + kv) * s->head_dim + i]);
    }
}

static void check(const data *d, const char *what)
{
    const setting *s = &d->s;
    double y[256], worst = 0;
    for (size_t q = 0; q < N_SEQ; q++)
        for (size_t t = 0; t < lengths[q]; t++)
            for (size_t h = 0; h < s->n_head; h++) {
                reference(d, d->at[q], t, h, y);
                for (size_t i = 0; i < s->head_dim; i++) {
                    double e = fabs((double)d->y[((d->at[q] + t) * s->n_head + h) * s->head_dim + i] - y[i]);
                    if (!(e <= worst)) worst = e;
                }
            }
    if (!(worst < 1e-5)) fail_msg("%s: off by %.2e", what, worst);
}

/* A sequence's next n tokens are copied into the batch from row `row` on. */
static void put(const data *d, size_t token, size_t n, size_t row, float *q, float *k, float *v)
{
    size_t wide = d->s.n_head * d->s.head_dim, narrow = d->s.n_kv_head * d->s.head_dim;
    memcpy(q + row * wide, d->q + token * wide, n * wide * sizeof *q);
    memcpy(k + row * narrow, d->k + token * narrow, n * narrow * sizeof *k);
    memcpy(v + row * narrow, d->v + token * narrow, n * narrow * sizeof *v);
}

/* The sequence goes on in another cache, which has room for more and held something else before. */
static void move(kv_cache *c)
{
    kv_cache x;
    pith_err e = {0};
    assert_int_equal(kv_init(&x, c->shape, c->length + 50, &e), 0);
    memset(x.block, 60, (size_t)kv_bytes(c->shape, x.length));
    kv_copy(&x, c, c->n);
    assert_int_equal(x.n, c->n);
    kv_free(c);
    *c = x;
}

/* Feeds all sequences, chunk[s % 3] tokens of sequence s at a time, and gathers y. */
static void feed(data *d, const op_ctx *c, const size_t *chunk)
{
    const setting *s = &d->s;
    size_t wide = s->n_head * s->head_dim, narrow = s->n_kv_head * s->head_dim, total = d->at[N_SEQ];
    float *q = malloc(total * wide * sizeof *q), *y = malloc(total * wide * sizeof *y);
    float *k = malloc(total * narrow * sizeof *k), *v = malloc(total * narrow * sizeof *v);
    kv_cache caches[N_SEQ];
    pith_err e = {0};
    for (size_t i = 0; i < N_SEQ; i++)
        assert_int_equal(kv_init(&caches[i], (kv_shape){LAYERS, s->n_kv_head, s->head_dim, s->half}, lengths[i], &e), 0);
    for (;;) {
        kv_cache *list[N_SEQ];
        size_t start[N_SEQ + 1] = {0}, which[N_SEQ], n_seq = 0, max_new = 0, most = 0;
        for (size_t i = 0; i < N_SEQ; i++) {
            size_t left = lengths[i] - caches[i].n, n = left < chunk[i] ? left : chunk[i];
            if (!n) continue;
            put(d, d->at[i] + caches[i].n, n, start[n_seq], q, k, v);
            list[n_seq] = &caches[i], which[n_seq] = i;
            start[n_seq + 1] = start[n_seq] + n;
            n_seq++;
            max_new = n > max_new ? n : max_new;
            most = caches[i].n + n > most ? caches[i].n + n : most;
        }
        if (!n_seq) break;
        kv_work w;
        arena a = {0};
        kv_layout(&w, c, n_seq, max_new, most, s->n_head, s->n_kv_head, &a);
        assert_int_equal(arena_reserve(&a, a.used, &e), 0);
        kv_layout(&w, c, n_seq, max_new, most, s->n_head, s->n_kv_head, &a);
        kv_attend(c, &w, &(kv_attention){.cache = list, .start = start, .n_seq = n_seq, .n_head = s->n_head,
                                         .layer = LAYERS - 1, .window = s->window, .scale = d->scale,
                                         .softcap = s->softcap, .sinks = s->sinks ? d->sinks : NULL, .q = q, .k = k,
                                         .v = v, .y = y});
        for (size_t i = 0; i < n_seq; i++) {
            size_t n = start[i + 1] - start[i];
            memcpy(d->y + (d->at[which[i]] + list[i]->n) * wide, y + start[i] * wide, n * wide * sizeof *y);
            list[i]->n += n;
            if (chunk[0] == 7 || chunk[0] == 31) move(list[i]);
        }
        arena_free(&a);
    }
    for (size_t i = 0; i < N_SEQ; i++) kv_free(&caches[i]);
    free(q);
    free(k);
    free(v);
    free(y);
}

static const setting settings[] = {
    {1, 1, 2, 0, 0, 0, 0},    {4, 2, 16, 0, 0, 0, 0},   {6, 1, 20, 0, 0, 0, 0},  {8, 8, 33, 0, 0, 0, 0},
    {4, 2, 64, 1, 0, 0, 0},   {4, 2, 16, 3, 0, 0, 0},   {4, 4, 16, 6, 0, 1, 0},  {4, 2, 32, 32, 0, 0, 0},
    {4, 2, 16, 33, 5, 0, 0},  {2, 1, 48, 96, 0, 1, 0},  {4, 2, 24, 0, 1.5f, 0, 0}, {4, 2, 16, 0, 0, 1, 0},
    {4, 2, 16, 0, 2, 1, 0},   {4, 2, 16, 0, 0, 0, 1},   {4, 1, 40, 5, 3, 1, 1},  {2, 2, 128, 64, 0, 0, 0},
    {3, 1, 24, 0, 0, 0, 1}, {96, 1, 64, 90, 2, 1, 0}}; /* the last: enough for threads to split a group's keys */

static void test_attention(void **state)
{
    (void)state;
    static const size_t chunks[][N_SEQ] = {{97, 40, 1}, {1, 1, 1}, {7, 3, 1}, {32, 33, 1}, {31, 5, 1}, {64, 1, 1}};
    static const int threads[] = {1, 3};
    size_t runs = 0, step = getenv("PITH_TEST_QUICK") ? 4 : 1; /* emulators */
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i += step) {
        char what[64];
        data d;
        data_make(&d, settings[i]);
        size_t bytes = d.at[N_SEQ] * d.s.n_head * d.s.head_dim * sizeof(float);
        float *want = NULL;
        snprintf(what, sizeof what, "setting %zu", i);
        for (size_t k = 0; kernel_at(k); k++)
            for (size_t t = 0; kernel_at(k)->exact && t < 2; t++)
                for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++, runs++) {
                    feed(&d, &(op_ctx){.kernels = kernel_at(k), .threads = threads[t]}, chunks[c]);
                    if (!want) {
                        check(&d, what);
                        want = memcpy(malloc(bytes), d.y, bytes);
                    }
                    if (memcmp(want, d.y, bytes))
                        fail_msg("%s: other bits with %s, %d threads, chunks of %zu", what, kernel_at(k)->name, threads[t],
                                 chunks[c][0]);
                }
        free(want);
        data_free(&d);
    }
    printf("# %zu runs\n", runs);
}

static void test_limits(void **state)
{
    (void)state;
    pith_err e = {0};
    kv_cache c;
    kv_shape s = {32, 8, 128, 0};
    assert_int_equal(kv_bytes(s, 1), 32 * 8 * 2 * 32 * 128 * 4);
    assert_int_equal(kv_bytes(s, 4096), (uint64_t)32 * 8 * 2 * 4096 * 128 * 4);
    s.half = 1;
    assert_int_equal(kv_bytes(s, 4096), (uint64_t)32 * 8 * 2 * 4096 * 128 * 2);
    assert_true(kv_bytes(s, SIZE_MAX) == UINT64_MAX);
    assert_true(kv_bytes(s, SIZE_MAX / 1024) == UINT64_MAX);
    assert_int_equal(kv_init(&c, s, SIZE_MAX / 1024, &e), -1);
    assert_non_null(strstr(e.msg, "does not fit memory"));
    kv_free(&c);
    e = (pith_err){0};
    assert_int_equal(kv_init(&c, (kv_shape){1, 1, 3, 0}, 5, &e), 0);
    assert_int_equal(c.length, 5);
    assert_int_equal(c.cap, 32);
    assert_int_equal((uintptr_t)c.keys % 64, 0);
    assert_int_equal((uintptr_t)c.values % 64, 0);
    kv_free(&c);
    assert_null(c.keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
