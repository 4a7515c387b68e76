/* quant: weights in 8 and 4 bits, to the bit. Owns the packed form and what weights become in it; packing a block and the
 * products are in the kernel sets.
 *
 * k is cut in groups of 32 from 0 (the last one is filled up with zeros), outputs in panels of 32. A block is one group of
 * one panel; a matrix is [ceil(n/32)][ceil(k/32)] blocks, each a whole number of cache lines:
 *
 *   Q8  int8 q[8][32][4], F16 d[32]              1088 bytes, 8.5 bits a weight    w = d * q,      q in -127..127
 *   Q4  uint8 q[4][32][4], F16 d[32], F16 m[32]   640 bytes, 5 bits a weight      w = d * q + m,  q in 0..15
 *
 * Q8's q[s][j][i] is weight 4 s + i of the group, of output j. Q4's holds weight 4 s + i below and 16 + 4 s + i above.
 *
 * How weights become it. A group that a matrix does not fill is filled up with zeros first, and outputs past n are zeros.
 * Every operation below is one rounding to float, to nearest even; sums run over the group's weights in order, from 0;
 * F16() is that rounding to F16.
 *
 * Q8: d = F16(amax / 127), amax the largest |w|; q = round(w / d), at most 127 either way; 0 where d is 0.
 *
 * Q4: low and high are the least and the largest w (of 0 and -0 the first). The first pair is d = F16((high - low) / 15),
 * m = F16(low). A pair gives q = round((w - m) * (1 / d)), at least 0 and at most 15; 0 where d is 0. From
 *     E = sum of ((w - m) - d * q)^2,  A = sum of q,  B = sum of q^2,  C = sum of q * (w - low),  T = sum of (w - low)
 * least squares make the next one:
 *     D = 32 * B - A * A,  d' = (32 * C - A * T) / D,  m' = (T - d' * A) / 32 + low,  as F16 both.
 * Where D is not over 0, d' not over 0, or d' or |m'| is over 65504 there is none. It takes the place of the pair it was
 * made from if its E is less, up to QUANT_FITS times; the first that is none or no better is the last.
 *
 * No weights of 8 or 4 bits: NaN, infinite, Q8: amax / 127 of 65520 and more; Q4: |low| over 65504, high - low over
 * 15 * 65504. What may be done otherwise without changing a bit: round (w - m) * (1 / d) after cutting it off.
 *
 * Activations are quantised too, per row and group (kernel_set.quantize): amax = the largest |x|;
 *   s = amax / 127, q = round(x * (127 / amax));  amax below 2^-100: s = 0, q = 0;  amax NaN or infinite: s = NaN, q = 0.
 * With D the exact integer dot product of a group and S the exact sum of its q, the result is one fp32 chain over groups,
 * ascending: y = 0;  Q8: y = fma(D, s * d, y);  Q4: y = fma(D, s * d, y), y = fma(s * S, m, y);  then y + bias. */
#ifndef COMPUTE_QUANT_H
#define COMPUTE_QUANT_H
#include "compute/kernel.h"

enum { QUANT_GROUP = 32, QUANT_PANEL = 32, QUANT_FITS = 4 };
enum { QUANT_Q8_BLOCK = 1088, QUANT_Q4_BLOCK = 640, QUANT_Q8_SCALES = 1024, QUANT_Q4_SCALES = 512 };

static inline size_t quant_block(dtype type) { return type == DT_Q8 ? QUANT_Q8_BLOCK : QUANT_Q4_BLOCK; }
/* Packs panels p0 <= p < p1 of w [n][k] (F32, F16 or BF16) into dst (the whole matrix's start), as DT_Q8 or DT_Q4. 0, or -1
 * where a weight is NaN, infinite, or too large for a F16 scale; *row and *col tell which. */
int quant_pack(const kernel_set *set, void *dst, tensor w, dtype type, size_t p0, size_t p1, size_t *row, size_t *col);
/* Block b of a packed matrix as float [32][32] (output, weight). */
void quant_unpack(const void *block, dtype type, float *out);

#endif
