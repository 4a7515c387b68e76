/* values: statistics of a tensor's elements (pith_weights_stats). */
#include "base/err.h"
#include "base/par.h"
#include "compute/tensor.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 1024, LANES = 8 };

typedef struct stats {
    double lo, hi, sum, scale;
    uint64_t n_nan, n_inf, n_zero;
} stats;

#define COPY(type)                                                                                                                   \
    do {                                                                                                                             \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) {                                                                                             \
            type v;                                                                                                                  \
            memcpy(&v, p + i * sizeof v, sizeof v);                                                                                  \
            out[i] = (double)v;                                                                                                      \
        }                                                                                                                            \
    } while (0)

/* Two-byte floats in bulk: the same values as tensor_read_f32's, in a form that compilers turn into vector code. */
static void load_half(const char *p, size_t n, dtype type, double *out)
{
    uint16_t h[BLOCK];
    uint32_t bits[BLOCK];
    float f[BLOCK];
    memcpy(h, p, n * sizeof *h);
    if (type == DT_BF16) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) bits[i] = (uint32_t)h[i] << 16;
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++) { /* exponent too small by 112, except for infinities and NaN */
            uint32_t m = h[i] & 0x7fffu;
            bits[i] = m << 13 | (m >= 0x7c00 ? 0x7f800000u : 0);
        }
    }
    memcpy(f, bits, n * sizeof *f);
    if (type == DT_BF16) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) out[i] = (double)f[i];
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++) out[i] = (double)f[i] * (h[i] & 0x8000 ? -0x1p112 : 0x1p112);
    }
}

/* Elements [first, first+n) as double: exact for all but 64-bit integers, which round. n <= BLOCK. */
static void load(tensor t, uint64_t first, size_t n, double *out)
{
    const char *p = (const char *)t.data + first * (tensor_dtypes[t.type].bits / 8);
    float narrow[BLOCK];
    switch (t.type) {
    case DT_F64: COPY(double); return;
    case DT_F32: COPY(float); return;
    case DT_I32: COPY(int32_t); return;
    case DT_U32: COPY(uint32_t); return;
    case DT_I64: COPY(int64_t); return;
    case DT_U64: COPY(uint64_t); return;
    case DT_F16:
    case DT_BF16: load_half(p, n, t.type, out); return;
    default: break;
    }
    tensor_read_f32(t, first, n, narrow);
#pragma omp simd
    for (size_t i = 0; i < n; i++) out[i] = (double)narrow[i];
}

static void add_one(stats *s, double v)
{
    if (isnan(v)) {
        s->n_nan++;
    } else if (isinf(v)) {
        s->n_inf++;
    } else {
        s->n_zero += v == 0;
        s->lo = v < s->lo ? v : s->lo;
        s->hi = v > s->hi ? v : s->hi;
        s->sum += v * s->scale;
    }
}

/* Counts and sums in lanes, without branches, where every element is finite; else one by one. The sum's order is the
 * same on every machine. */
static void add_block(stats *s, const double *x, size_t n)
{
    double odd[LANES] = {0}, zero[LANES] = {0}, sum[LANES] = {0}, lo[LANES], hi[LANES], n_odd = 0;
    const double scale = s->scale;
    size_t whole = n - n % LANES, done = 0;
    for (size_t i = 0; i < whole; i += LANES) {
#pragma omp simd
        for (size_t l = 0; l < LANES; l++) {
            odd[l] += fabs(x[i + l]) <= DBL_MAX ? 0.0 : 1.0;
            zero[l] += x[i + l] == 0 ? 1.0 : 0.0;
        }
    }
    for (size_t l = 0; l < LANES; l++) n_odd += odd[l], lo[l] = s->lo, hi[l] = s->hi;
    if (n_odd == 0) {
        for (size_t i = 0; i < whole; i += LANES) {
#pragma omp simd
            for (size_t l = 0; l < LANES; l++) {
                double v = x[i + l];
                lo[l] = v < lo[l] ? v : lo[l];
                hi[l] = v > hi[l] ? v : hi[l];
                sum[l] += v * scale;
            }
        }
        for (size_t l = 0; l < LANES; l++) {
            s->lo = lo[l] < s->lo ? lo[l] : s->lo;
            s->hi = hi[l] > s->hi ? hi[l] : s->hi;
            s->sum += sum[l];
            s->n_zero += (uint64_t)zero[l];
        }
        done = whole;
    }
    for (size_t i = done; i < n; i++) add_one(s, x[i]);
}

static stats measure(tensor t, uint64_t count, double scale)
{
    stats s = {.lo = INFINITY, .hi = -INFINITY, .scale = scale};
    double x[BLOCK];
    unsigned long mode = par_fp_enter();
    for (uint64_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? (size_t)(count - first) : BLOCK;
        load(t, first, n, x);
        add_block(&s, x, n);
    }
    par_fp_leave(mode);
    return s;
}

int pith_weights_stats(const pith_weights *w, size_t i, pith_tensor_stats *out, pith_err *e)
{
    pith_tensor x;
    if (pith_weights_at(w, i, &x)) return err_set(e, "tensor %zu of %zu: no such index", i, pith_weights_count(w));
    tensor t = {x.data, x.shape, x.rank, x.nbytes, (dtype)tensor_dtype_find(x.dtype, strlen(x.dtype))};
    if (t.type == DT_C64 || tensor_dtypes[t.type].bits < 8) return err_set(e, "%.200s: %s has no real numbers of whole bytes to read", x.name, x.dtype);
    if (!t.data) return err_set(e, "%.200s: opened for headers only; open it with data", x.name);
    uint64_t count = tensor_count(t);
    stats s = measure(t, count, 1);
    uint64_t finite = count - s.n_nan - s.n_inf;
    double mean = s.sum / (double)finite;
    if (finite && !isfinite(s.sum)) { /* doubles near their limit: once more, scaled by a power of two */
        const double scale = 0x1p-64;
        mean = measure(t, count, scale).sum / (double)finite / scale;
    }
    *out = (pith_tensor_stats){.count = count, .n_nan = s.n_nan, .n_inf = s.n_inf, .n_zero = s.n_zero, .min = NAN, .max = NAN, .mean = NAN};
    if (!finite) return 0;
    out->min = s.lo;
    out->max = s.hi;
    out->mean = mean < s.lo ? s.lo : mean > s.hi ? s.hi : mean;
    return 0;
}
