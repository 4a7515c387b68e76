/* npy: arrays of float32 as NumPy's format 1.0 and as raw bytes, little-endian whatever this machine is. */
#ifndef CLI_NPY_H
#define CLI_NPY_H
#include <stdio.h>

/* Takes as many bytes for any shape of rank 1 or 2, so that it can be written again when the rows are counted. */
void npy_head(FILE *f, const size_t *shape, size_t rank);
void npy_put(FILE *f, const float *x, size_t n);

#endif
