#include "cli/compare.h"
#include "base/err.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Elements at a time, those of a step of them, and bytes after which mapped pages are given back. */
enum { BLOCK = 4096, LANES = 8, RELEASE = 8 << 20 };

typedef enum kind { OPAQUE, F64, F32, NARROW, I8, U8, I16, U16, I32, U32, I64, U64 } kind;

typedef struct type {
    const char *name;
    size_t size; /* bytes of what is compared at a time */
    kind kind;
} type;

static const type types[] = {
    {"F32", 4, F32},        {"BF16", 2, NARROW},    {"F16", 2, NARROW},         {"F64", 8, F64},
    {"I64", 8, I64},        {"U64", 8, U64},        {"I32", 4, I32},            {"U32", 4, U32},
    {"I16", 2, I16},        {"U16", 2, U16},        {"I8", 1, I8},              {"U8", 1, U8},
    {"BOOL", 1, U8},        {"F8_E4M3", 1, NARROW}, {"F8_E5M2", 1, NARROW},     {"F8_E8M0", 1, NARROW},
    {"C64", 8, OPAQUE},     {"F8_E4M3FNUZ", 1, NARROW}, {"F8_E5M2FNUZ", 1, NARROW},
};
static const type small = {"", 1, OPAQUE}; /* F4, F6: their bytes */

typedef struct block {
    double value[BLOCK], rest[BLOCK]; /* the number is value + rest; rest is not 0 only for integers of 64 bits */
    uint64_t raw[BLOCK];
} block;

typedef struct work {
    const compare_side *side[2];
    const type *type[2];
    block *block[2];
    uint64_t count, released;
    compare_tick *tick;
    void *ctx;
} work;

static const type *type_of(const pith_tensor *t)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, t->dtype) == 0) return &types[i];
    return &small;
}

/* Elements [first, first+n) as they lie in the file; NULL if they cannot be read. */
static const void *bytes_of(const work *w, int k, uint64_t first, size_t n, pith_err *e)
{
    const compare_side *s = w->side[k];
    if (s->t.data) return (const char *)s->t.data + first * w->type[k]->size;
    return pith_weights_read(s->w, s->i, first, n, w->block[k]->raw, e) ? NULL : w->block[k]->raw;
}

/* After each block: tells how far it is, and lets go of pages that were read. */
static void advance(work *w, uint64_t done)
{
    uint64_t since = done - w->released;
    if (since * w->type[0]->size < RELEASE && since * w->type[1]->size < RELEASE && done < w->count) return;
    for (int k = 0; k < 2; k++) pith_weights_release(w->side[k]->w, w->side[k]->i);
    w->released = done;
    if (w->tick) w->tick(w->ctx, (double)done / (double)w->count);
}

static size_t block_at(const work *w, uint64_t first)
{
    return w->count - first < BLOCK ? (size_t)(w->count - first) : BLOCK;
}

/* ---- as bytes ---- */

/* 1: the same bytes; 0: not; -1: unreadable. */
static int same_bytes(work *w, pith_err *e)
{
    w->released = 0;
    for (uint64_t first = 0; first < w->count;) {
        size_t n = block_at(w, first);
        const void *a = bytes_of(w, 0, first, n, e), *b = bytes_of(w, 1, first, n, e);
        if (!a || !b) return -1;
        if (memcmp(a, b, n * w->type[0]->size) != 0) return 0;
        advance(w, first += n);
    }
    return 1;
}

static int count_bytes(work *w, compare_result *r, pith_err *e)
{
    const size_t size = w->type[0]->size;
    w->released = 0;
    for (uint64_t first = 0; first < w->count;) {
        size_t n = block_at(w, first);
        const char *a = bytes_of(w, 0, first, n, e), *b = bytes_of(w, 1, first, n, e);
        if (!a || !b) return -1;
        for (size_t i = 0; i < n; i++)
            if (memcmp(a + i * size, b + i * size, size) != 0 && r->differ++ == 0) r->at = first + i;
        advance(w, first += n);
    }
    return 0;
}

/* ---- as numbers ---- */

#define CONVERT(T)                                                                                                     \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        T v;                                                                                                           \
        memcpy(&v, p + i * sizeof v, sizeof v);                                                                        \
        b->value[i] = (double)v;                                                                                       \
    }                                                                                                                  \
    return 0
/* 64 bits are more than a double holds: the lowest 11 go apart, with the sign of the whole. */
#define CONVERT_WIDE(T)                                                                                                \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        T v;                                                                                                           \
        memcpy(&v, p + i * sizeof v, sizeof v);                                                                        \
        b->value[i] = (double)(v / 2048 * 2048);                                                                       \
        b->rest[i] = (double)(v % 2048);                                                                               \
    }                                                                                                                  \
    return 0

/* Exact, whatever the dtype. */
static int load(const work *w, int k, uint64_t first, size_t n, pith_err *e)
{
    block *b = w->block[k];
    if (w->type[k]->kind == NARROW) {
        float *f = (float *)(void *)b->raw;
        if (pith_weights_read_f32(w->side[k]->w, w->side[k]->i, first, n, f, e)) return -1;
        for (size_t i = 0; i < n; i++) b->value[i] = (double)f[i];
        return 0;
    }
    const char *p = bytes_of(w, k, first, n, e);
    if (!p) return -1;
    switch (w->type[k]->kind) {
    case F64: CONVERT(double);
    case F32: CONVERT(float);
    case I8: CONVERT(int8_t);
    case U8: CONVERT(uint8_t);
    case I16: CONVERT(int16_t);
    case U16: CONVERT(uint16_t);
    case I32: CONVERT(int32_t);
    case U32: CONVERT(uint32_t);
    case I64: CONVERT_WIDE(int64_t);
    default: CONVERT_WIDE(uint64_t);
    }
}

static int same_double(double a, double b)
{
    return (a == b && !signbit(a) == !signbit(b)) || (isnan(a) && isnan(b));
}

static void one_by_one(const work *w, int wide, uint64_t first, size_t n, compare_result *r)
{
    const block *x = w->block[0], *y = w->block[1];
    for (size_t i = 0; i < n; i++) {
        double a = x->value[i], b = y->value[i];
        if (isfinite(a)) r->largest = fmax(r->largest, fabs(wide ? a + x->rest[i] : a));
        double d = wide ? a - b + (x->rest[i] - y->rest[i]) : a - b;
        if (wide && isfinite(a) && isfinite(b) ? d == 0 : same_double(a, b)) continue;
        if (r->differ++ == 0) r->at = first + i;
        if (isnan(a) || isnan(b)) {
            r->nan++;
        } else if (isinf(a) || isinf(b)) {
            r->inf++;
        } else if (fabs(d) > r->max_abs) {
            r->max_abs = fabs(d);
            r->at = first + i;
        }
    }
}

/* Without branches, for blocks in which every number is finite; 0 if one is not, and nothing is done. */
static int all_at_once(const work *w, uint64_t first, size_t n, compare_result *r)
{
    double *a = w->block[0]->value, *b = w->block[1]->value;
    double l_odd[LANES] = {0}, l_differ[LANES] = {0}, l_most[LANES] = {0}, l_largest[LANES] = {0};
    for (size_t i = n; i % LANES; i++) a[i] = b[i] = 0;
    for (size_t i = 0; i < n; i += LANES) {
#pragma omp simd
        for (size_t l = 0; l < LANES; l++) {
            double x = fabs(a[i + l]), y = fabs(b[i + l]), d = fabs(a[i + l] - b[i + l]);
            uint64_t p, q;
            memcpy(&p, &a[i + l], sizeof p);
            memcpy(&q, &b[i + l], sizeof q);
            l_odd[l] += x <= DBL_MAX ? 0.0 : 1.0;
            l_odd[l] += y <= DBL_MAX ? 0.0 : 1.0;
            l_differ[l] += p == q ? 0.0 : 1.0;
            l_most[l] = d > l_most[l] ? d : l_most[l];
            l_largest[l] = x > l_largest[l] ? x : l_largest[l];
        }
    }
    double odd = 0, most = 0, largest = 0;
    uint64_t differ = 0;
    for (size_t l = 0; l < LANES; l++) {
        odd += l_odd[l];
        differ += (uint64_t)l_differ[l];
        most = fmax(most, l_most[l]);
        largest = fmax(largest, l_largest[l]);
    }
    if (odd > 0) return 0;
    if (differ && (r->differ == 0 || most > r->max_abs)) {
        size_t i = 0;
        while (most > r->max_abs ? fabs(a[i] - b[i]) != most : same_double(a[i], b[i])) i++;
        r->at = first + i;
    }
    r->differ += differ;
    r->max_abs = fmax(r->max_abs, most);
    r->largest = fmax(r->largest, largest);
    return 1;
}

static int compare_numbers(work *w, compare_result *r, pith_err *e)
{
    int wide = 0;
    for (int k = 0; k < 2; k++) wide |= w->type[k]->kind == I64 || w->type[k]->kind == U64;
    r->numbers = 1;
    w->released = 0;
    for (uint64_t first = 0; first < w->count;) {
        size_t n = block_at(w, first);
        if (load(w, 0, first, n, e) || load(w, 1, first, n, e)) return -1;
        if (wide || !all_at_once(w, first, n, r)) one_by_one(w, wide, first, n, r);
        advance(w, first += n);
    }
    return 0;
}

int compare_tensors(const compare_side *a, const compare_side *b, compare_tick *tick, void *ctx, compare_result *out,
                    pith_err *e)
{
    *out = (compare_result){.compared = 1};
    work w = {.side = {a, b}, .type = {type_of(&a->t), type_of(&b->t)}, .tick = tick, .ctx = ctx};
    int same_dtype = strcmp(a->t.dtype, b->t.dtype) == 0;
    int opaque = w.type[0]->kind == OPAQUE || w.type[1]->kind == OPAQUE;
    out->count = w.count = a->t.nbytes / w.type[0]->size;
    if (opaque && !same_dtype) {
        out->compared = 0;
        return 0;
    }
    block *blocks = calloc(2, sizeof *blocks);
    if (!blocks) return err_nomem(e, 2 * sizeof *blocks, "a block of elements");
    w.block[0] = blocks, w.block[1] = blocks + 1;
    int r = same_dtype ? same_bytes(&w, e) : 0;
    if (r == 0) r = opaque ? count_bytes(&w, out, e) : compare_numbers(&w, out, e);
    free(blocks);
    return r < 0 ? -1 : 0;
}
