/* kernel: the table of single-thread kernels, CPU detection and selection. A set is one line in
 * kernel_sets.def and one file that exports kernel_<name>; the tests and the benchmark pick it up from there.
 *
 * Every exact set returns the same bits (DESIGN section 3). What that means is defined by kernel_portable.inc:
 *  - linear: k is cut in blocks of KERNEL_KB from 0; in a block one fp32 chain `acc = 0; acc = fma(x[k], w[k], acc)`,
 *    k ascending; t = first block's acc, then t = t + acc for each further block in order; then y = t + bias
 *    (no addition where there is no bias). With `chain` set there is one chain over all of k instead.
 *  - sums over a row: lane j of 16 takes elements j, j+16, ... ascending; then the tree
 *    l[j] += l[j+8], l[j] += l[j+4], l[j] += l[j+2], l[0] + l[1].
 *  - exp, erf, tanh: own polynomials in a fixed order of operations. */
#ifndef COMPUTE_KERNEL_H
#define COMPUTE_KERNEL_H
#include "base/err.h"
#include "compute/tensor.h"

enum { KERNEL_KB = 256, KERNEL_PANEL = 32 };

static inline size_t kernel_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t kernel_ceil_div(size_t a, size_t b) { return a / b + (a % b != 0); }
/* n rounded up to whole panels. */
static inline size_t kernel_pad(size_t n) { return kernel_ceil_div(n, KERNEL_PANEL) * KERNEL_PANEL; }

/* Rows a multiple of 2048 bytes apart fight for the same cache sets; linear has to copy such an X. */
enum { KERNEL_FIGHTS = 512 };
/* How far apart rows of n floats are better. */
static inline size_t kernel_stride(size_t n) { return n % KERNEL_FIGHTS ? n : n + KERNEL_PANEL; }
/* Floats of work memory with which linear copies as many rows at once as pay best. Without, it takes KERNEL_OWN rows at a
 * time on the stack, which may be a small one: a thread of musl has 128 KB. */
enum { KERNEL_ROOM = 140 * (KERNEL_KB + 16), KERNEL_OWN = 28 };

/* Y[m][n] = X[m][k] . W[n][k]^T + bias[n], for the panels p0 <= p < p1 of W (outputs 32*p0 .. min(n, 32*p1)).
 * W is packed: F32 [ceil(n/32)][k][32]; F16 and BF16 the same with lane order 0,16,1,17,...,15,31, so that one
 * 64-byte load holds outputs j and j+16 side by side. Lanes past n are zero in W and not written in Y. */
typedef struct kernel_linear {
    const float *x;
    size_t ldx; /* floats between rows of X */
    size_t m, k, n;
    const void *w; /* panels, 64-byte aligned */
    dtype type;    /* DT_F32, DT_F16 or DT_BF16 */
    size_t p0, p1;
    const float *bias; /* [n] or NULL */
    float *y;
    size_t ldy;
    int chain;  /* one chain over all of k (attention's P.V), instead of blocks of 256 */
    int resume; /* with chain: it goes on from what y holds */
    float *room; /* [KERNEL_ROOM], 64-byte aligned, nobody else's meanwhile; or NULL */
} kernel_linear;

/* Rows of activations in 8 bits (quant.h): of block b of k, row r is number kernel_rows_at(x, r, b), so that the rows that a
 * tile reads lie together. What is past k in the last block is 0. */
typedef struct kernel_rows {
    int8_t *q;    /* [blocks][rows][128] */
    float *scale; /* [blocks][rows] */
    int16_t *sum; /* [blocks][rows][4]: of the q of a group of 32 */
    size_t groups, rows; /* groups of 32 that k has; rows that there is room for: kernel_room() */
} kernel_rows;
/* Room for m rows: kernels that take many at once read, but do not use, what follows the last one. */
static inline size_t kernel_room(size_t m) { return m <= 8 ? m : kernel_ceil_div(m, 16) * 16; }
static inline size_t kernel_rows_at(const kernel_rows *x, size_t r, size_t b) { return b * x->rows + r; }

/* Y[m][n] = X . W^T + bias for the panels p0 <= p < p1, as quant.h defines it; W is packed as DT_Q8 or DT_Q4. */
typedef struct kernel_quant {
    kernel_rows x;
    size_t m, n;
    const void *w; /* blocks, 64-byte aligned */
    dtype type;
    size_t p0, p1;
    const float *bias; /* [n] or NULL */
    float *y;
    size_t ldy;
} kernel_quant;

typedef struct kernel_set {
    const char *name;
    int exact; /* returns generic's bits */
    int (*open)(pith_err *e); /* what must happen once before the first use, or NULL; idempotent, thread-safe */
    void (*linear)(const kernel_linear *a); /* takes up to 70 KB of stack */
    /* x [m][ldx] to rows 0 .. m of 8 bits; groups are k's. */
    void (*quantize)(const float *x, size_t ldx, size_t m, size_t k, const kernel_rows *out);
    void (*linear_quant)(const kernel_quant *a); /* takes up to 50 KB of stack */
    /* One block of so many groups of weights as DT_Q8 or DT_Q4, from x [32 outputs][ldx]. -1: one of them cannot be (quant.h). */
    int (*pack_block)(void *block, dtype type, size_t groups, const float *x, size_t ldx);
    /* y[i] = fma((x[i] - mean) * (1/sqrtf(var + eps)), gamma[i], beta[i]); mean over n, then the mean of the squares of
     * x - mean (one fma each); y may be x */
    void (*layernorm)(const float *x, const float *gamma, const float *beta, float eps, float *y, size_t n);
    /* y[i] = (x[i] * (1/sqrtf(mean of squares + eps))) * gamma[i]; y may be x */
    void (*rmsnorm)(const float *x, const float *gamma, float eps, float *y, size_t n);
    /* x[i] = exp(x[i]*scale - max(x*scale)) * (1/sum); in place, n >= 1; any NaN makes the row NaN */
    void (*softmax)(float *x, float scale, size_t n);
    void (*add)(const float *x, float *y, size_t n); /* y[i] += x[i] */
    void (*mul)(const float *x, float *y, size_t n); /* y[i] *= x[i] */
    void (*gelu)(float *x, size_t n);                /* x * 0.5 * (1 + erf(x / sqrt 2)) */
    void (*gelu_tanh)(float *x, size_t n);           /* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    void (*relu)(float *x, size_t n);                /* NaN stays NaN */
    void (*silu)(float *x, size_t n);                /* x / (1 + exp(-x)) */
    void (*vexp)(float *x, size_t n);
    void (*verf)(float *x, size_t n);
    void (*vtanh)(float *x, size_t n);
} kernel_set;

/* The sets this CPU can run, best first; NULL past the last. */
const kernel_set *kernel_at(size_t i);
/* By name, or the best one for NULL or "": an exact one wherever there is a SIMD set of ours. Errors: unknown; known but
 * not usable on this CPU; lists what is. */
const kernel_set *kernel_find(const char *name, pith_err *e);
/* The best set that returns generic's bits. */
const kernel_set *kernel_best_exact(void);

/* Bytes of the packed form of an [n][k] matrix. -1 on overflow. */
int kernel_panel_bytes(uint64_t n, uint64_t k, dtype type, uint64_t *bytes);
/* Packs panels p0 <= p < p1 of W [n][k] (row-major, any alignment, same dtype) into dst (the whole buffer's start). */
void kernel_pack(void *dst, const void *src, dtype type, size_t n, size_t k, size_t p0, size_t p1);
/* The same from W^T [k][n]. */
void kernel_pack_transposed(void *dst, const void *src, dtype type, size_t n, size_t k, size_t p0, size_t p1);
/* Where output (or key) j of 32 lies in a row of a 16-bit panel: 0,16,1,17,... */
static inline size_t kernel_lane16(size_t j) { return j < 16 ? 2 * j : 2 * (j - 16) + 1; }
/* Panels from float activations with row stride ld: rows become lanes (attention's keys).
 * x [n][ld] -> [ceil(n/32)][k][32], panels p0 <= p < p1. */
void kernel_pack_rows(float *dst, const float *x, size_t ld, size_t n, size_t k, size_t p0, size_t p1);
/* x [k][ld], columns become lanes (attention's values): x [k][0..n) -> [ceil(n/32)][k][32]. */
void kernel_pack_cols(float *dst, const float *x, size_t ld, size_t n, size_t k);

#endif
