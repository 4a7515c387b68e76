/* values: what stands in a tensor's elements. */
#ifndef VALUES_H
#define VALUES_H
#include "compute/tensor.h"

/* Of elements of a floating dtype. */
typedef struct values_count {
    uint64_t n_nan, n_inf, n_zero, n_denormal; /* -0 is a zero */
    uint64_t varies;                           /* not 0: bits differ from the first element's */
} values_count;

/* May it hold what is not finite? 0 for whole numbers, booleans and the formats of less than a byte. */
int values_is_float(dtype type);
/* Adds elements p[0..n) to c, by their bits; of any alignment. first: the tensor's first element. Complex numbers count by
 * their parts. */
void values_add(values_count *c, dtype type, const void *p, size_t n, const void *first);
/* Index of the first NaN (nan 1) or infinity (0) among p[0..n); n if there is none. */
size_t values_find(dtype type, const void *p, size_t n, int nan);
/* Element 0 at p. */
double values_at(dtype type, const void *p);

#endif
