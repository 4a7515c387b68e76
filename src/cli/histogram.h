/* histogram: how a tensor's values are spread, counted in bins of one width, and shown as bars.
 *
 * Bin k of n holds the finite values x with floor((x - lo) * (n / (hi - lo))) = k, in double. lo and hi are the least and
 * the greatest value (which counts in the last bin), unless few values lie so far out that the bins would show nothing of
 * the rest: then they end three times as far from the median as the central 98% reach, if that makes the range a third
 * shorter. What lies beyond is counted in `below` and `above`. Median and 98% come of a sample (16 values at least, or
 * nothing is cut off); counts are of every value. Whole numbers get bins as wide as a whole number, with lo and hi halfway between two of them. */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H
#include "pith.h"
#include <stdio.h>

typedef struct histogram {
    pith_tensor_stats stats;
    double std; /* of the finite values, about their mean; NaN if there is none */
    double lo, hi;
    size_t n;         /* bins: at most as many as were asked for; 1 if all values are equal, 0 if none is finite */
    uint64_t *counts; /* [n] */
    uint64_t below, above;
    int whole; /* whole numbers, in bins of whole numbers */
} histogram;

/* bins >= 1. -1: a dtype without real numbers of whole bytes, opened for headers only, memory. */
int histogram_make(const pith_weights *w, size_t i, size_t bins, histogram *h, pith_err *e);
void histogram_free(histogram *h);
/* pith inspect --histogram: the tensor of that name as bars or as one JSON object on stdout. */
int histogram_show(const pith_weights *w, const char *path, const char *name, size_t bins, int as_json, pith_err *e);

#endif
