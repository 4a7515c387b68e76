/* quant: weights in 8 and 4 bits, to the bit. Owns the packed form and what weights become in it; packing a block and the
 * products are in the kernel sets.
 *
 * k is cut in blocks of 128 from 0, a block in groups of 32. The last block has as many groups as k needs; the last group is
 * filled up with zeros. Outputs are cut in panels of 32. A matrix is [ceil(n/32)][ceil(k/128)] blocks, each a whole number of
 * cache lines, what belongs to the outputs first:
 *
 *   Q8  F16 d[32]                             int8 q[groups][8][32][4]     64 + 1024 groups   8.125 bits   w = d * q
 *   Q4  F16 d[32], uint16 s[32], int8 z[32][4]  uint8 q[groups][4][32][4]   256 + 512 groups   4.5 bits     w = d * (s * q + z)
 *
 * Q8: q in -127..127; q[g][i][j][c] is weight 32 g + 4 i + c of the block, of output j.
 * Q4: q in 0..15; q[g][i][j][c] holds weight 32 g + 4 i + c below and 32 g + 16 + 4 i + c above. Of output j, bits 4 g .. 4 g + 3
 * of s[j] are the step of group g less 1, so steps are 1..16; z[j][g] is its zero; s * q + z is in -127..127, so it is a code of
 * 8 bits too. Steps and zeros of groups that are not there are 0.
 *
 * How weights become it. Outputs past n and weights past k in the last group are zeros. Every operation below is one rounding to
 * float, to nearest even; sums run over the weights in order, from 0; round() is to whole, half to even; F16() to F16; cut() is
 * to -127..127. amax is the largest |w| of an output's block.
 *
 * Q8: d = F16(amax / 127); q = cut(round(w / d)); 0 where d is 0.
 *
 * Q4: d = F16(amax / 119) (a range a little short of 127 leaves room for a group's codes past its weights). y = w * (1 / d), cut
 * at -127 and 127; 0 where d is 0. Then for each group, with all sums over its 32 weights:
 *   1. Fits in float. low and high are the least and the largest y (of 0 and -0 the first); the first pair is
 *      t = (high - low) / 15, m = low. A pair gives q = round((y - m) * (1 / t)), at least 0 and at most 15; 0 where t is 0. From
 *          E = sum of ((y - m) - t * q)^2,  A = sum of q,  B = sum of q^2,  C = sum of q * (y - low),  T = sum of (y - low)
 *      least squares make the next one:
 *          D = 32 * B - A * A,  t' = (32 * C - A * T) / D,  m' = (T - t' * A) / 32 + low.
 *      Where D or t' is not over 0 there is none. It takes the place of the pair it was made from if its E is less, up to
 *      QUANT_FITS times; the first that is none or no better is the last.
 *   2. Codes in integers. For s = floor(t), then floor(t) + 1, both cut to 1..16: z = cut(round((t - s) * 7.5 + m)), and then
 *      QUANT_REFITS times
 *          q = round((y - z) * (1 / s)), at least 0 and at most the lesser of 15 and floor((127 - z) / s)
 *          E = sum of (y - (s * q + z))^2
 *          z' = cut(round((sum of y - s * (sum of q)) / 32))
 *      The s and z of the least E, of equal ones the first, are kept, with their q.
 *
 * No weights of 8 or 4 bits: NaN, infinite, or so large that d would be infinite.
 *
 * Activations are quantised too, per row and block (kernel_set.quantize): amax = the largest |x|;
 *   a = amax / 127, q = round(x * (127 / amax));  amax below 2^-100: a = 0, q = 0;  amax NaN or infinite: a = NaN, q = 0.
 * With D the exact integer sum of the products of a block's codes (Q8: q, Q4: s * q + z) with those of the activations, which is
 * below 2^21, the result is one fp32 chain over blocks, ascending: y = 0;  y = fma(D * d, a, y);  then y + bias.
 * (d is applied first because D * d with a d of 11 bits can be made from the integer by one fused operation: kernel_amx.c.) */
#ifndef COMPUTE_QUANT_H
#define COMPUTE_QUANT_H
#include "compute/kernel.h"

enum { QUANT_BLOCK = 128, QUANT_GROUP = 32, QUANT_GROUPS = QUANT_BLOCK / QUANT_GROUP, QUANT_PANEL = 32, QUANT_FITS = 4, QUANT_REFITS = 3 };
/* Bytes: what stands before a block's q, and what a group takes; where in a block Q4's s and z are. */
enum { QUANT_Q8_HEAD = 64, QUANT_Q8_GROUP = 1024, QUANT_Q4_HEAD = 256, QUANT_Q4_GROUP = 512, QUANT_Q4_STEPS = 64, QUANT_Q4_ZEROS = 128 };

static inline size_t quant_head(dtype type) { return type == DT_Q8 ? QUANT_Q8_HEAD : QUANT_Q4_HEAD; }
static inline size_t quant_group(dtype type) { return type == DT_Q8 ? QUANT_Q8_GROUP : QUANT_Q4_GROUP; }
/* A block of all groups; block b of a panel starts b of them after it. */
static inline size_t quant_block(dtype type) { return quant_head(type) + QUANT_GROUPS * quant_group(type); }
/* A panel of so many groups. */
static inline size_t quant_panel(dtype type, size_t groups)
{
    return kernel_ceil_div(groups, QUANT_GROUPS) * quant_head(type) + groups * quant_group(type);
}
/* Groups of block b of so many. */
static inline size_t quant_groups_of(size_t groups, size_t b) { return kernel_min(QUANT_GROUPS, groups - b * QUANT_GROUPS); }

/* Packs panels p0 <= p < p1 of w [n][k] (F32, F16 or BF16) into dst (the whole matrix's start), as DT_Q8 or DT_Q4. 0, or -1
 * where a weight is NaN, infinite, or too large for a F16 scale; *row and *col tell which. */
int quant_pack(const kernel_set *set, void *dst, tensor w, dtype type, size_t p0, size_t p1, size_t *row, size_t *col);
/* A block of so many groups as float [32 outputs][32 * groups]. */
void quant_unpack(const void *block, dtype type, size_t groups, float *out);

#endif
