#include "compute/kv.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/par.h"
#include <string.h>

enum { TILE_TOKENS = 32 };
/* Below this many floats to store, or multiplications, a parallel region costs more than it gives. */
static const size_t SMALL_STORE = 1 << 14, SMALL_WORK = 1 << 15;
/* Three parallel regions for one pay from so much more work on. */
static const size_t SPLIT_WORK = 16;

/* ---- cache ---- */

static dtype type_of(const kv_cache *c) { return c->shape.half ? DT_F16 : DT_F32; }
static size_t width(const kv_shape *s) { return s->half ? 2 : 4; }

static char *key_head(const kv_cache *c, size_t layer, size_t head)
{
    return c->keys + (layer * c->shape.n_kv_head + head) * c->cap * c->shape.head_dim * width(&c->shape);
}
static char *value_head(const kv_cache *c, size_t layer, size_t head)
{
    return c->values + (layer * c->shape.n_kv_head + head) * c->cap * kernel_pad(c->shape.head_dim) * width(&c->shape);
}

/* Bytes of all keys, and of all values; -1: too many. */
static int measure(const kv_shape *s, size_t tokens, uint64_t *keys, uint64_t *values)
{
    if (tokens > SIZE_MAX - KERNEL_PANEL) return -1;
    const uint64_t k[] = {s->n_layer, s->n_kv_head, kernel_pad(tokens), s->head_dim, width(s)};
    const uint64_t v[] = {s->n_layer, s->n_kv_head, kernel_pad(tokens), kernel_pad(s->head_dim), width(s)};
    return checked_product(k, 5, keys) || checked_product(v, 5, values) ? -1 : 0;
}

uint64_t kv_bytes(kv_shape s, size_t tokens)
{
    uint64_t k, v, sum;
    return measure(&s, tokens, &k, &v) || checked_add(k, v, &sum) ? UINT64_MAX : sum;
}

int kv_init(kv_cache *c, kv_shape shape, size_t tokens, pith_err *e)
{
    uint64_t keys, values;
    *c = (kv_cache){.shape = shape};
    if (kv_bytes(shape, tokens) > SIZE_MAX / 2 || measure(&shape, tokens, &keys, &values))
        return err_set(e, "a context of %zu tokens does not fit memory; use a smaller --context", tokens);
    /* Zeroed, because lanes past the last key are multiplied and then ignored: no garbage there may be slow. */
    size_t bytes = (size_t)(keys + values) + 64;
    c->block = mem_zero(1, bytes);
    if (!c->block) return err_nomem(e, bytes, "the cache of keys and values");
    c->keys = (char *)c->block + (64 - (uintptr_t)c->block % 64) % 64;
    c->values = c->keys + keys;
    c->length = tokens;
    c->cap = kernel_pad(tokens);
    return 0;
}

void kv_free(kv_cache *c)
{
    mem_free(c->block);
    *c = (kv_cache){0};
}

void kv_copy(kv_cache *to, const kv_cache *from, size_t n)
{
    size_t d = to->shape.head_dim, row = KERNEL_PANEL * width(&to->shape);
    for (size_t i = 0; n && i < to->shape.n_layer * to->shape.n_kv_head; i++) {
        size_t layer = i / to->shape.n_kv_head, head = i % to->shape.n_kv_head;
        memcpy(key_head(to, layer, head), key_head(from, layer, head), kernel_pad(n) / KERNEL_PANEL * d * row);
        for (size_t p = 0; p < kernel_pad(d) / KERNEL_PANEL; p++)
            memcpy(value_head(to, layer, head) + p * to->cap * row, value_head(from, layer, head) + p * from->cap * row, n * row);
    }
    to->n = n;
}

int kv_reserve(kv_cache *c, size_t tokens, pith_err *e)
{
    kv_cache x;
    if (tokens > c->cap) {
        if (kv_init(&x, c->shape, tokens, e)) return -1;
        kv_copy(&x, c, c->n);
        kv_free(c);
        *c = x;
    }
    if (tokens > c->length) c->length = tokens;
    return 0;
}

/* Keys of the n tokens from position `at` on, rows ld apart, into one head's panels. Within a panel the tokens are the
 * inner loop, so that what is written lies together. */
static void store_keys(const kv_cache *c, char *head, size_t at, size_t n, const float *k, size_t ld)
{
    size_t d = c->shape.head_dim;
    for (size_t t = 0, run; t < n; t += run) {
        size_t lane = (at + t) % KERNEL_PANEL, row = (at + t) / KERNEL_PANEL * d;
        run = kernel_min(KERNEL_PANEL - lane, n - t);
        for (size_t i = 0; i < d; i++) {
            if (c->shape.half) {
                uint16_t *out = (uint16_t *)(void *)head + (row + i) * KERNEL_PANEL;
                for (size_t j = 0; j < run; j++) out[kernel_lane16(lane + j)] = tensor_f32_to_f16(k[(t + j) * ld + i]);
            } else {
                float *out = (float *)(void *)head + (row + i) * KERNEL_PANEL + lane;
                for (size_t j = 0; j < run; j++) out[j] = k[(t + j) * ld + i];
            }
        }
    }
}

static void store_values(const kv_cache *c, char *head, size_t at, size_t n, const float *v, size_t ld)
{
    for (size_t t = 0; t < n; t++)
        for (size_t d = 0; d < c->shape.head_dim; d += KERNEL_PANEL) {
            size_t row = d * c->cap + (at + t) * KERNEL_PANEL, lanes = kernel_min(KERNEL_PANEL, c->shape.head_dim - d);
            const float *from = v + t * ld + d;
            if (c->shape.half) {
                uint16_t *out = (uint16_t *)(void *)head + row;
                for (size_t j = 0; j < lanes; j++) out[kernel_lane16(j)] = tensor_f32_to_f16(from[j]);
            } else {
                memcpy((float *)(void *)head + row, from, lanes * sizeof(float));
            }
        }
}

/* ---- attention ---- */

void kv_layout(kv_work *w, const op_ctx *c, size_t n_seq, size_t max_new, size_t most, size_t n_head, size_t n_kv_head,
               arena *a)
{
    size_t group = n_head / n_kv_head;
    w->rows = kernel_min(max_new, TILE_TOKENS) > group ? kernel_min(max_new, TILE_TOKENS) : group;
    w->ld = kernel_stride(kernel_pad(most + 1)); /* and a sink */
    w->scores = arena_take(a, (size_t)c->threads * w->rows, w->ld * sizeof(float));
    w->first_tile = arena_take(a, n_seq + 1, sizeof *w->first_tile);
}

typedef struct job {
    const op_ctx *c;
    const kv_work *w;
    const kv_attention *a;
    size_t n_kv_head, head_dim, group;
    size_t key_parts; /* of attend_split */
} job;

static void store_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    const kv_attention *a = j->a;
    size_t s = i / j->n_kv_head, h = i % j->n_kv_head, ld = j->n_kv_head * j->head_dim;
    const kv_cache *c = a->cache[s];
    size_t from = a->start[s] * ld + h * j->head_dim, n = a->start[s + 1] - a->start[s];
    (void)tid;
    store_keys(c, key_head(c, a->layer, h), c->n, n, a->k + from, ld);
    store_values(c, value_head(c, a->layer, h), c->n, n, a->v + from, ld);
}

/* Softmax of one row over its keys, after cap and with a sink; x [n], with room for one more. */
static void weigh(const job *j, float *x, size_t n, size_t head)
{
    const kernel_set *k = j->c->kernels;
    const kv_attention *a = j->a;
    float scale = a->scale;
    if (a->softcap != 0) {
        for (size_t i = 0; i < n; i++) x[i] = x[i] * scale / a->softcap;
        k->vtanh(x, n);
        for (size_t i = 0; i < n; i++) x[i] *= a->softcap;
        scale = 1;
    }
    if (a->sinks) {
        for (size_t i = 0; i < n; i++) x[i] *= scale;
        scale = 1;
        x[n++] = a->sinks[head];
    }
    k->softmax(x, scale, n);
}

/* y = sum over keys [from, to) of p[key] V[key], one chain, for m rows; resume: y holds the chain so far. The 32
 * dimensions from d on. */
static void values_panel(const job *j, const kv_cache *c, const char *values, size_t from, size_t to, const float *p, size_t ldp,
                         size_t m, float *y, size_t ldy, int resume, size_t d)
{
    if (to <= from) return;
    j->c->kernels->linear(&(kernel_linear){
        .x = p + from, .ldx = ldp, .m = m, .k = to - from, .n = kernel_min(KERNEL_PANEL, j->head_dim - d),
        .w = values + (d * c->cap + from * KERNEL_PANEL) * width(&c->shape), .type = type_of(c), .p0 = 0, .p1 = 1, .y = y + d,
        .ldy = ldy, .chain = 1, .resume = resume});
}

static void values_product(const job *j, const kv_cache *c, const char *values, size_t from, size_t to, const float *p,
                           size_t ldp, size_t m, float *y, size_t ldy, int resume)
{
    for (size_t d = 0; d < j->head_dim; d += KERNEL_PANEL) values_panel(j, c, values, from, to, p, ldp, m, y, ldy, resume, d);
}

static size_t first_key(const kv_attention *a, size_t position)
{
    return a->window && position + 1 > a->window ? position + 1 - a->window : 0;
}

static float *scores_of(const job *j, int tid) { return j->w->scores + (size_t)tid * j->w->rows * j->w->ld; }

/* Rows of one head for tokens at positions pos .. pos + m - 1. Keys that all rows see are multiplied for all rows at
 * once; the ragged ends, where one row sees a key and another does not, row by row. The chain is the same. */
static void attend_head(const job *j, const kv_cache *c, size_t kv_head, size_t head, size_t token, size_t pos, size_t m,
                        int tid)
{
    const kv_attention *a = j->a;
    size_t d = j->head_dim, ld = j->w->ld, stride = a->n_head * d, at = token * stride + head * d;
    size_t first = first_key(a, pos) / KERNEL_PANEL, end = pos + m;
    float *scores = scores_of(j, tid);
    kernel_linear qk = {.x = a->q + at, .ldx = stride, .m = m, .k = d, .n = end, .w = key_head(c, a->layer, kv_head),
                        .type = type_of(c), .p0 = first, .p1 = kernel_ceil_div(end, KERNEL_PANEL), .y = scores, .ldy = ld,
                        .room = op_room(j->c, tid)};
    j->c->kernels->linear(&qk);
    size_t common = first_key(a, pos + m - 1), shared_end = pos + 1;
    const char *values = value_head(c, a->layer, kv_head);
    for (size_t r = 0; r < m; r++) {
        float *row = scores + r * ld;
        size_t from = first_key(a, pos + r);
        weigh(j, row + from, pos + r + 1 - from, head);
        values_product(j, c, values, from, kernel_min(common, shared_end), row, ld, 1, a->y + at + r * stride, stride, 0);
    }
    if (common < shared_end) {
        /* Rows whose own first key is `common` start their chain here. */
        size_t started = 0;
        while (started < m && first_key(a, pos + started) < common) started++;
        values_product(j, c, values, common, shared_end, scores, ld, started, a->y + at, stride, 1);
        values_product(j, c, values, common, shared_end, scores + started * ld, ld, m - started,
                       a->y + at + started * stride, stride, 0);
    }
    for (size_t r = 0; r < m; r++) {
        size_t from = first_key(a, pos + r), tail = from > shared_end ? from : shared_end;
        values_product(j, c, values, tail, pos + r + 1, scores + r * ld, ld, 1, a->y + at + r * stride, stride,
                       from < tail);
    }
}

/* One new token: the heads that share keys are the rows of one product. */
static void attend_group(const job *j, const kv_cache *c, size_t kv_head, size_t token, size_t pos, float *scores)
{
    const kv_attention *a = j->a;
    size_t d = j->head_dim, ld = j->w->ld, from = first_key(a, pos), head = kv_head * j->group;
    size_t at = (token * a->n_head + head) * d;
    kernel_linear qk = {.x = a->q + at, .ldx = d, .m = j->group, .k = d, .n = pos + 1, .w = key_head(c, a->layer, kv_head),
                        .type = type_of(c), .p0 = from / KERNEL_PANEL, .p1 = kernel_ceil_div(pos + 1, KERNEL_PANEL), .y = scores,
                        .ldy = ld};
    j->c->kernels->linear(&qk);
    for (size_t r = 0; r < j->group; r++) weigh(j, scores + r * ld + from, pos + 1 - from, head + r);
    values_product(j, c, value_head(c, a->layer, kv_head), from, pos + 1, scores, ld, j->group, a->y + at, d, 0);
}

/* ---- one new token a sequence, and fewer groups of heads than threads: threads split the keys, then the values ---- */

/* Item i of n_seq * n_kv_head groups, and part p of its keys, rows or values. */
typedef struct part {
    const kv_cache *c;
    size_t kv_head, head, from, end, p; /* keys from .. end */
    size_t at;                          /* of the group's first q and y */
    float *scores;
} part;

static part part_of(const job *j, size_t i, size_t parts)
{
    size_t group = i / parts, s = group / j->n_kv_head;
    part x = {.c = j->a->cache[s], .kv_head = group % j->n_kv_head, .p = i % parts};
    x.head = x.kv_head * j->group;
    x.from = first_key(j->a, x.c->n);
    x.end = x.c->n + 1;
    x.at = (j->a->start[s] * j->a->n_head + x.head) * j->head_dim;
    x.scores = j->w->scores + group * j->w->rows * j->w->ld;
    return x;
}

static void split_keys(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    part x = part_of(j, i, j->key_parts);
    size_t first = x.from / KERNEL_PANEL, n = kernel_ceil_div(x.end, KERNEL_PANEL) - first, d = j->head_dim;
    (void)tid;
    j->c->kernels->linear(&(kernel_linear){
        .x = j->a->q + x.at, .ldx = d, .m = j->group, .k = d, .n = x.end, .w = key_head(x.c, j->a->layer, x.kv_head),
        .type = type_of(x.c), .p0 = first + n * x.p / j->key_parts, .p1 = first + n * (x.p + 1) / j->key_parts,
        .y = x.scores, .ldy = j->w->ld});
}

static void split_rows(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    part x = part_of(j, i, j->group);
    (void)tid;
    weigh(j, x.scores + x.p * j->w->ld + x.from, x.end - x.from, x.head + x.p);
}

static void split_values(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    size_t d = j->head_dim;
    part x = part_of(j, i, kernel_ceil_div(d, KERNEL_PANEL));
    (void)tid;
    values_panel(j, x.c, value_head(x.c, j->a->layer, x.kv_head), x.from, x.end, x.scores, j->w->ld, j->group, j->a->y + x.at, d, 0,
                 x.p * KERNEL_PANEL);
}

static void attend_split(job *j, size_t groups)
{
    int threads = j->c->threads;
    j->key_parts = (size_t)threads;
    par_for(threads, groups * j->key_parts, split_keys, j);
    par_for(threads, groups * j->group, split_rows, j);
    par_for(threads, groups * kernel_ceil_div(j->head_dim, KERNEL_PANEL), split_values, j);
}

/* The sequence that has this tile. */
static size_t tile_sequence(const job *j, size_t tile)
{
    size_t lo = 0, hi = j->a->n_seq;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (j->w->first_tile[mid] <= tile) lo = mid;
        else hi = mid;
    }
    return lo;
}

static void attend_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    const kv_attention *a = j->a;
    size_t tile = i / j->n_kv_head, h = i % j->n_kv_head, lo = tile_sequence(j, tile);
    size_t skip = (tile - j->w->first_tile[lo]) * TILE_TOKENS, token = a->start[lo] + skip;
    size_t m = kernel_min(TILE_TOKENS, a->start[lo + 1] - token), pos = a->cache[lo]->n + skip;
    if (m == 1) {
        attend_group(j, a->cache[lo], h, token, pos, scores_of(j, tid));
        return;
    }
    for (size_t g = 0; g < j->group; g++) attend_head(j, a->cache[lo], h, h * j->group + g, token, pos, m, tid);
}

void kv_attend(const op_ctx *c, const kv_work *w, const kv_attention *a)
{
    const kv_shape *s = &a->cache[0]->shape;
    job j = {c, w, a, s->n_kv_head, s->head_dim, a->n_head / s->n_kv_head, 1};
    size_t tiles = 0;
    for (size_t i = 0; i < a->n_seq; i++) {
        w->first_tile[i] = tiles;
        tiles += kernel_ceil_div(a->start[i + 1] - a->start[i], TILE_TOKENS);
    }
    w->first_tile[a->n_seq] = tiles;
    size_t stored = 2 * a->start[a->n_seq] * s->n_kv_head * s->head_dim, work = 0;
    for (size_t i = 0; i < a->n_seq && work < SMALL_WORK * SPLIT_WORK; i++)
        work += (a->start[i + 1] - a->start[i]) * (a->cache[i]->n + 1) * a->n_head * s->head_dim;
    par_for(stored < SMALL_STORE ? 1 : c->threads, a->n_seq * s->n_kv_head, store_item, &j);
    int decode = a->start[a->n_seq] == a->n_seq && tiles == a->n_seq;
    if (decode && work >= SMALL_WORK * SPLIT_WORK && tiles * s->n_kv_head < (size_t)c->threads) attend_split(&j, tiles * s->n_kv_head);
    else par_for(work < SMALL_WORK ? 1 : c->threads, tiles * s->n_kv_head, attend_item, &j);
}
