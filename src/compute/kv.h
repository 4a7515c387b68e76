/* kv: the cache of keys and values of one sequence, and the causal attention that reads it. Keys lie as panels (lanes
 * over keys), values as panels with lanes over the head's dimensions, so both products stream them as they are. */
#ifndef COMPUTE_KV_H
#define COMPUTE_KV_H
#include "base/arena.h"
#include "compute/op.h"

typedef struct kv_shape {
    size_t n_layer, n_kv_head, head_dim;
    int half; /* keys and values are rounded to F16 as they are stored; else F32 */
} kv_shape;

/* A zeroed struct is valid and empty. n is advanced by the engine once a forward has stored every layer. */
typedef struct kv_cache {
    kv_shape shape;
    size_t length, n; /* tokens: what it was opened for, held */
    size_t cap;       /* length, in whole panels */
    void *block;
    char *keys;   /* [n_layer][n_kv_head][cap/32][head_dim][32], in block, 64-byte aligned */
    char *values; /* [n_layer][n_kv_head][ceil(head_dim/32)][cap][32] */
} kv_cache;

/* Memory is taken from the system page by page as tokens come, not here. */
int kv_init(kv_cache *c, kv_shape shape, size_t tokens, pith_err *e);
void kv_free(kv_cache *c);
/* Room for at least `tokens`; what is held stays. */
int kv_reserve(kv_cache *c, size_t tokens, pith_err *e);
/* The first n tokens of `from`, which holds them, into `to`, which has the same shape and room: it then holds these. */
void kv_copy(kv_cache *to, const kv_cache *from, size_t n);
uint64_t kv_bytes(kv_shape shape, size_t tokens); /* UINT64_MAX: does not fit */

/* One layer's attention for the new tokens of several sequences. Token t of sequence s stands at position
 * cache[s]->n + (t - start[s]) and sees the keys at positions [max(0, position - window + 1), position]. */
typedef struct kv_attention {
    kv_cache *const *cache; /* [n_seq] */
    const size_t *start;    /* [n_seq + 1] */
    size_t n_seq, n_head, layer;
    size_t window;      /* 0: all */
    float scale;
    float softcap;      /* scores become softcap * tanh(score / softcap); 0: not */
    const float *sinks; /* [n_head]: a score that takes part in the softmax and has no value; or NULL */
    const float *q;     /* [n_tok][n_head * head_dim], rotated */
    const float *k, *v; /* [n_tok][n_kv_head * head_dim], k rotated */
    float *y;           /* [n_tok][n_head * head_dim] */
} kv_attention;

typedef struct kv_work {
    float *scores;      /* [threads][rows][ld] */
    size_t *first_tile; /* [n_seq + 1] */
    size_t rows, ld;
} kv_work;

/* most: the largest cache->n + new tokens of the batch; max_new: the most new tokens of one sequence. */
void kv_layout(kv_work *w, const op_ctx *c, size_t n_seq, size_t max_new, size_t most, size_t n_head, size_t n_kv_head,
               arena *a);
/* Stores k and v of the new tokens and attends. */
void kv_attend(const op_ctx *c, const kv_work *w, const kv_attention *a);

#endif
