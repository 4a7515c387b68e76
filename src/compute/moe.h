/* moe: a mixture of gated experts. A router's logits choose top_k of n_expert for every token; the rows of one expert
 * are computed together, and each token's result is put together in one fixed order. To the bit:
 *  - the largest logit is chosen first; of equal ones the lower index; NaN counts as largest;
 *  - the weights are the softmax of the chosen logits, in the order they were chosen;
 *  - y = 0, then y = y + weight * expert(x) for the chosen experts, by ascending index. */
#ifndef COMPUTE_MOE_H
#define COMPUTE_MOE_H
#include "compute/op.h"

/* Experts as gpt_oss has them: with g and u the outputs 2i and 2i+1 of gate_up, g at most `limit`, u within -limit ..
 * limit, expert(x) = W_down ((u + 1) * g / (1 + exp(-alpha g))) + b. */
typedef struct moe {
    size_t n_expert, top_k, hidden, inter;
    float alpha, limit;
    op_weight *gate_up; /* [n_expert] of [2 * inter][hidden] */
    op_weight *down;    /* [n_expert] of [hidden][inter] */
} moe;

typedef struct moe_work {
    float *logits;               /* [n_tok][n_expert]: the caller puts the router's there */
    size_t *expert, *row;        /* [n_tok][top_k]: chosen, ascending; and their rows below */
    float *weight;               /* [n_tok][top_k] */
    size_t *first, *hit;         /* [n_expert + 1] first row of an expert; [n_expert] experts that have any */
    size_t *token;               /* [n_tok * top_k] of a row */
    float *x, *gate_up, *z, *y;  /* rows: [hidden], [2 * inter], [inter], [hidden] */
} moe_work;

void moe_layout(moe_work *w, const moe *m, size_t n_tok, arena *a);
/* y[n_tok][hidden] = the mixture for x [n_tok][hidden]; y may be x. */
void moe_run(const op_ctx *c, const moe *m, const moe_work *w, const float *x, size_t n_tok, float *y);
/* Expert by expert from w [n][in][out] and bias [n][out]; *list is allocated, NULL where w has no data. */
int moe_load(op_weight **list, const op_ctx *c, tensor w, tensor bias, pith_err *e);
void moe_free(moe *m); /* what it holds */
uint64_t moe_bytes(const moe *m);

#endif
