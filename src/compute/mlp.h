/* mlp: Y = W_down (act(W_gate x) * (W_up x)), or W_down act(W_up x), in chunks of columns: what is between the products lies
 * in the cache, and is written further off only as what W_down reads. Owns no memory. */
#ifndef COMPUTE_MLP_H
#define COMPUTE_MLP_H
#include "compute/op.h"

typedef struct mlp_weights {
    const op_weight *gate; /* or NULL */
    const op_weight *up, *down;
    op_act act;
} mlp_weights;

typedef struct mlp_work {
    float *gate, *up; /* a chunk of every thread's rows */
    float *z;         /* [scratch rows][wide], for a W_down that is not quantised */
    kernel_rows rows; /* x in 8 bits, as wide as hidden */
} mlp_work;

/* Takes it from the arena, for m rows, of weights [wide][hidden] and [hidden][wide]. */
void mlp_layout(mlp_work *w, const op_ctx *c, size_t m, size_t hidden, size_t wide, arena *a);
/* For rows that op_each_rows gave: x and y [r->m][hidden]; y may be x. */
void mlp_run(const op_rows *r, const mlp_weights *w, const mlp_work *work, const float *x, float *y);

#endif
