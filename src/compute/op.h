/* op: the operations layers are drawn with, over many rows and several threads. They own no memory: outputs and work
 * buffers are the caller's. Threads split rows, panels and heads, never a sum. */
#ifndef COMPUTE_OP_H
#define COMPUTE_OP_H
#include "base/arena.h"
#include "base/chunks.h"
#include "compute/kernel.h"

typedef struct op_ctx {
    const kernel_set *kernels;
    int threads;
    chunk_list *kept; /* where op_weight_load keeps what it packs; NULL: each by itself */
    /* Told which bytes of a matrix are packed and wanted no more, from any thread; NULL: nobody asks. */
    void (*packed)(void *ctx, const void *w, size_t bytes);
    void *packed_ctx;
    dtype weights;    /* how op_weight_load packs: DT_Q8 or DT_Q4; 0 (no weights' type): as they are */
    kernel_rows rows; /* work memory of op_linear with such weights: op_rows_layout */
    float *room;      /* [threads][KERNEL_ROOM], or NULL: op_room_layout */
} op_ctx;

/* A packed weight matrix [n][k] with its bias. A zeroed struct is valid and empty. */
typedef struct op_weight {
    void *panels; /* 64-byte aligned */
    float *bias;  /* [n] or NULL */
    size_t n, k;
    dtype type;
    int borrowed; /* the panels lie in a mapped file, or are kept with others */
} op_weight;

typedef enum op_act { OP_ACT_NONE, OP_ACT_GELU, OP_ACT_GELU_TANH, OP_ACT_RELU, OP_ACT_SILU, OP_ACT_TANH } op_act;
/* "gelu", "gelu_new", "relu", ... as in config.json. -1: unknown; the message starts with `where` ("config.json: hidden_act")
 * and lists what there is. */
int op_act_find(const char *name, const char *where, op_act *out, pith_err *e);

/* Packs w [n][k] and bias [n] (data NULL: none), in parallel. Matrices of fewer than 32 outputs are never quantised.
 * Where w has no data, of a model that is only checked, p stays empty. -1: memory, or a weight that cannot be quantised
 * (NaN, infinite): its row and column are told. */
int op_weight_load(op_weight *p, const op_ctx *c, tensor w, tensor bias, pith_err *e);
/* The same from w [k][n]. */
int op_weight_load_transposed(op_weight *p, const op_ctx *c, tensor w, tensor bias, pith_err *e);
void op_weight_free(op_weight *p);
uint64_t op_weight_bytes(const op_weight *p);
/* A vector of any float dtype as float [n], allocated; NULL for one without data. */
int op_vector_load(float **out, tensor t, pith_err *e);

/* Takes the kernels' work memory for m rows from the arena, where they have use for it; what worker tid has of it. */
void op_room_layout(op_ctx *c, size_t m, arena *a);
float *op_room(const op_ctx *c, int tid);
/* Takes what op_linear needs for m rows of at most k from the arena, where weights are quantised; else nothing. */
void op_rows_layout(op_ctx *c, size_t m, size_t k, arena *a);
/* Some of a batch's rows, for ops that need no others: what one writes is still in the cache as the next one reads it. */
typedef struct op_rows {
    const op_ctx *op; /* to call them with */
    size_t first, m;
    size_t scratch; /* of op_rows_scratch: the first of m rows that nobody else writes meanwhile */
} op_rows;
typedef void op_rows_fn(void *ctx, const op_rows *r);
/* Calls fn for all m rows: in blocks, each on one thread; or at once, where there are few. */
void op_each_rows(const op_ctx *c, size_t m, op_rows_fn *fn, void *ctx);
/* How many rows its scratch has, for m rows or fewer; how many one of several blocks has at most. */
size_t op_rows_scratch(const op_ctx *c, size_t m);
size_t op_rows_most(const op_ctx *c);
/* Y[m][n] = act(X[m][k] . W^T + bias) */
void op_linear(const op_ctx *c, const op_weight *w, const float *x, size_t m, float *y, op_act act);
/* The same of up to OP_LINEARS weights and one x, which is quantised only once; threads wait for each other only at the end. */
enum { OP_LINEARS = 3 };
typedef struct op_into {
    const op_weight *w;
    float *y;
    op_act act;
} op_into;
void op_linears(const op_ctx *c, const op_into *to, size_t n, const float *x, size_t m);

/* What op_linear is made of, for ops that put more into one pass (mlp.c). */
int op_is_quantised(const op_weight *w);
void op_activate(const op_ctx *c, op_act act, float *x, size_t n); /* x[i] = act(x[i]) */
/* The threads that so much work pays for: m rows times [n][k]. */
int op_threads(const op_ctx *c, size_t m, size_t n, size_t k);
/* Room in 8 bits for m rows of k, or fewer, and for op_each_rows' scratch; what of it a block has, from its scratch row on. */
void op_rows_take(kernel_rows *x, const op_ctx *c, size_t m, size_t k, arena *a);
kernel_rows op_rows_of(const kernel_rows *x, size_t scratch);
/* From row number `at` on, as kernel_rows_at counts. */
kernel_rows op_rows_from(const kernel_rows *x, size_t at);
/* c->rows for m rows of k; with X in them; Y = act(them . W^T + bias). */
kernel_rows op_rows_for(const op_ctx *c, size_t m, size_t k);
kernel_rows op_quantize(const op_ctx *c, const float *x, size_t m, size_t k);
void op_linear_rows(const op_ctx *c, const op_weight *w, size_t m, float *y, op_act act);

/* Y[i] = layernorm(X[i] + R[i]) for m rows of n; r may be NULL, y may be x. X is overwritten with X + R. */
void op_add_layernorm(const op_ctx *c, float *x, const float *r, const float *gamma, const float *beta, float eps,
                      float *y, size_t m, size_t n);
/* Y[i] = rmsnorm(X[i]) for m rows of n; y may be x. */
void op_rmsnorm(const op_ctx *c, const float *x, const float *gamma, float eps, float *y, size_t m, size_t n);
/* y[i] += x[i] and y[i] *= x[i], i < n */
void op_add(const op_ctx *c, const float *x, float *y, size_t n);
void op_mul(const op_ctx *c, const float *x, float *y, size_t n);
/* y[i] *= s and y[i] = cap * tanh(y[i] / cap), i < n */
void op_scale(const op_ctx *c, float s, float *y, size_t n);
void op_softcap(const op_ctx *c, float cap, float *y, size_t n);
/* Rotates every head of m tokens x [m][n_head * dim]; cosine, sine [m][dim / 2] of each token's angles. */
void op_rope(const op_ctx *c, const float *cosine, const float *sine, float *x, size_t m, size_t n_head, size_t dim);
/* y[i][0..n) = table[ids[i]] as float */
void op_embed(const op_ctx *c, tensor table, const int32_t *ids, size_t m, float *y);
void op_embed_row(tensor table, uint64_t row, float *y);

/* Work memory of one attention: packed keys and values of every sequence, and a tile of scores a thread. */
typedef struct op_attention_work {
    float *keys, *values, *scores;
    size_t *first_tile; /* [n_seq + 1] */
    size_t ld_scores, max_len;
} op_attention_work;
/* Takes it from the arena, for n_tok tokens in n_seq sequences, the longest of max_len. */
void op_attention_layout(op_attention_work *w, const op_ctx *c, size_t n_tok, size_t n_seq, size_t max_len,
                         size_t n_head, size_t head_dim, arena *a);

/* Full (bidirectional) attention within each sequence:
 * Y[i][h] = sum_j softmax_j(Q[i][h] . K[j][h] * scale) V[j][h], i and j in the same sequence.
 * q, k, v, y: [n_tok][n_head * head_dim]; start [n_seq + 1]. */
void op_attention(const op_ctx *c, const op_attention_work *w, const float *q, const float *k, const float *v,
                  const size_t *start, size_t n_seq, size_t n_head, size_t head_dim, float scale, float *y);

#endif
