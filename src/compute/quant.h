/* quant: weights in 8 and 4 bits, to the bit. Owns the packed form and how weights become it; the products are in the
 * kernel sets.
 *
 * k is cut in groups of 32 from 0 (the last one is filled up with zeros), outputs in panels of 32. A block is one group of
 * one panel; a matrix is [ceil(n/32)][ceil(k/32)] blocks, each a whole number of cache lines:
 *
 *   Q8  int8 q[8][32][4], F16 d[32]              1088 bytes, 8.5 bits a weight    w = d * q,      q in -127..127
 *   Q4  uint8 q[4][32][4], F16 d[32], F16 m[32]   640 bytes, 5 bits a weight      w = d * q + m,  q in 0..15
 *
 * Q8's q[s][j][i] is weight 4 s + i of the group, of output j. Q4's holds weight 4 s + i below and 16 + 4 s + i above.
 *
 * Q8: d = F16(amax / 127), q = round(w / d), at most 127 either way; 0 where d is 0.
 * Q4: from d = (max - min) / 15, m = min, the pair is fitted to the q it gives by least squares, in double, up to
 * QUANT_FITS times; the F16 pair with the least sum of squared errors stays, of equal ones the first.
 * All rounding is to nearest even.
 *
 * Activations are quantised too, per row and group (kernel_set.quantize): amax = the largest |x|;
 *   s = amax / 127, q = round(x * (127 / amax));  amax below 2^-100: s = 0, q = 0;  amax NaN or infinite: s = NaN, q = 0.
 * With D the exact integer dot product of a group and S the exact sum of its q, the result is one fp32 chain over groups,
 * ascending: y = 0;  Q8: y = fma(D, s * d, y);  Q4: y = fma(D, s * d, y), y = fma(s * S, m, y);  then y + bias. */
#ifndef COMPUTE_QUANT_H
#define COMPUTE_QUANT_H
#include "compute/tensor.h"

enum { QUANT_GROUP = 32, QUANT_PANEL = 32, QUANT_FITS = 4 };
enum { QUANT_Q8_BLOCK = 1088, QUANT_Q4_BLOCK = 640, QUANT_Q8_SCALES = 1024, QUANT_Q4_SCALES = 512 };

static inline size_t quant_block(dtype type) { return type == DT_Q8 ? QUANT_Q8_BLOCK : QUANT_Q4_BLOCK; }
/* Packs panels p0 <= p < p1 of w [n][k] (F32, F16 or BF16) into dst (the whole matrix's start), as DT_Q8 or DT_Q4. 0, or -1
 * where a weight is NaN, infinite, or too large for a F16 scale; *row and *col tell which. */
int quant_pack(void *dst, tensor w, dtype type, size_t p0, size_t p1, size_t *row, size_t *col);
/* Block b of a packed matrix as float [32][32] (output, weight). */
void quant_unpack(const void *block, dtype type, float *out);

#endif
