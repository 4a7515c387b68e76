/* compare: the elements of two tensors of the same shape, as bytes where the dtypes agree, else as numbers. Knows no
 * output. */
#ifndef CLI_COMPARE_H
#define CLI_COMPARE_H
#include "pith.h"

typedef struct compare_side {
    const pith_weights *w;
    size_t i; /* index of the tensor */
    pith_tensor t;
} compare_side;

/* Two NaN are equal whatever their bits; 0 and -0 are not, though their difference is 0. */
typedef struct compare_result {
    int compared;     /* 0: the dtypes differ, and one of them has no numbers (C64, F4, F6) */
    int numbers;      /* the figures below `differ` hold; 0: bytes were compared */
    uint64_t count;   /* elements; bytes where elements are smaller */
    uint64_t differ;  /* of them */
    uint64_t nan;     /* of them: NaN on one side only */
    uint64_t inf;     /* of them: infinite on a side */
    uint64_t at;      /* row-major index of the largest difference; else of the first that differs */
    double max_abs;   /* largest |a - b| of finite numbers */
    double largest;   /* largest finite |a| */
} compare_result;

/* Told now and then: the share that is done, in [0, 1]. */
typedef void compare_tick(void *ctx, double share);

/* Reads in small blocks and releases mapped pages as it goes. -1: what pith_weights_read says, or memory. */
int compare_tensors(const compare_side *a, const compare_side *b, compare_tick *tick, void *ctx, compare_result *out,
                    pith_err *e);

#endif
