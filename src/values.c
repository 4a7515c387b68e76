/* values: statistics of a tensor's elements (pith_weights_stats), and the faster count by bits that they and pith_verify
 * share. */
#include "values.h"
#include "base/err.h"
#include "base/par.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { BLOCK = 1024, LANES = 8 };

/* ---- by bits ---- */

/* One width of float. Without its sign the bits of a float are a whole number that grows with it: zero, denormals below
 * the smallest normal number, infinity, NaN above. Chunks are small enough that a counter of 16 bits holds one. */
#define COUNT(name, uint, sint)                                                                                                      \
    static void name(values_count *c, const char *p, size_t n, uint first, sint low, sint inf)                                      \
    {                                                                                                                                \
        const sint mask = (sint)((uint)-1 >> 1);                                                                                     \
        while (n) {                                                                                                                  \
            size_t k = n < 1 << 14 ? n : 1 << 14;                                                                                    \
            uint zero = 0, below = 0, odd = 0, differ = 0, nan = 0;                                                                  \
            _Pragma("omp simd reduction(+:zero,below,odd) reduction(|:differ)") for (size_t i = 0; i < k; i++) {                     \
                uint v;                                                                                                              \
                memcpy(&v, p + i * sizeof v, sizeof v);                                                                              \
                sint a = (sint)(v & (uint)mask);                                                                                     \
                zero = (uint)(zero + (a == 0));                                                                                      \
                below = (uint)(below + (a < low));                                                                                   \
                odd = (uint)(odd + (a >= inf));                                                                                      \
                differ = (uint)(differ | (v ^ first));                                                                               \
            }                                                                                                                        \
            for (size_t i = 0; odd && i < k; i++) {                                                                                  \
                uint v;                                                                                                              \
                memcpy(&v, p + i * sizeof v, sizeof v);                                                                              \
                nan = (uint)(nan + ((sint)(v & (uint)mask) > inf));                                                                  \
            }                                                                                                                        \
            c->n_zero += zero, c->n_denormal += (uint64_t)below - zero, c->n_nan += nan, c->n_inf += (uint64_t)odd - nan;            \
            c->varies |= differ;                                                                                                     \
            p += k * sizeof first;                                                                                                   \
            n -= k;                                                                                                                  \
        }                                                                                                                            \
    }
COUNT(count16, uint16_t, int16_t)
COUNT(count32, uint32_t, int32_t)
COUNT(count64, uint64_t, int64_t)

/* Formats of a byte: how often each code stands there, then what the codes are. */
static void count8(values_count *c, dtype type, const unsigned char *p, size_t n, unsigned char first)
{
    uint64_t seen[256] = {0};
    unsigned exponent = type == DT_F8_E8M0 ? 0xff : type == DT_F8_E5M2 || type == DT_F8_E5M2FNUZ ? 0x7c : 0x78;
    for (size_t i = 0; i < n; i++) seen[p[i]]++;
    for (unsigned code = 0; code < 256; code++) {
        unsigned char byte = (unsigned char)code;
        float v;
        if (!seen[code]) continue;
        tensor_read_f32((tensor){.data = &byte, .type = type}, 0, 1, &v);
        c->n_nan += isnan(v) ? seen[code] : 0;
        c->n_inf += isinf(v) ? seen[code] : 0;
        c->n_zero += v == 0 ? seen[code] : 0;
        c->n_denormal += isfinite(v) && v != 0 && !(code & exponent) && type != DT_F8_E8M0 ? seen[code] : 0;
        if (byte != first) c->varies = 1;
    }
}

int values_is_float(dtype type)
{
    switch (type) {
    case DT_F8_E5M2:
    case DT_F8_E4M3:
    case DT_F8_E8M0:
    case DT_F8_E4M3FNUZ:
    case DT_F8_E5M2FNUZ:
    case DT_F16:
    case DT_BF16:
    case DT_F32:
    case DT_C64:
    case DT_F64: return 1;
    default: return 0;
    }
}

void values_add(values_count *c, dtype type, const void *p, size_t n, const void *first)
{
    uint16_t h;
    uint32_t s;
    uint64_t d;
    if (!n || !values_is_float(type)) return;
    switch (tensor_dtypes[type].bits) {
    case 8: count8(c, type, p, n, *(const unsigned char *)first); return;
    case 16:
        memcpy(&h, first, sizeof h);
        if (type == DT_F16) count16(c, p, n, h, 0x0400, 0x7c00);
        else count16(c, p, n, h, 0x0080, 0x7f80);
        return;
    default: break;
    }
    if (type == DT_F64) {
        memcpy(&d, first, sizeof d);
        count64(c, p, n, d, 0x0010000000000000, 0x7ff0000000000000);
    } else {
        memcpy(&s, first, sizeof s);
        count32(c, p, type == DT_C64 ? 2 * n : n, s, 0x00800000, 0x7f800000);
    }
}

/* ---- statistics ---- */

typedef struct stats {
    double lo, hi, sum, scale;
    uint64_t n_nan, n_inf, n_zero;
    values_count bits;
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

size_t values_find(dtype type, const void *p, size_t n, int nan)
{
    size_t parts = type == DT_C64 ? 2 : 1;
    tensor t = {.data = p, .type = type == DT_C64 ? DT_F32 : type};
    double x;
    for (size_t i = 0; i < n * parts; i++) {
        load(t, i, 1, &x);
        if (nan ? isnan(x) : isinf(x)) return i / parts;
    }
    return n;
}

double values_at(dtype type, const void *p)
{
    double x;
    load((tensor){.data = p, .type = type == DT_C64 ? DT_F32 : type}, 0, 1, &x);
    return x;
}

/* t: tensor i of w. Elements that do not lie in a row (data NULL) are gathered block by block. */
static int measure(const pith_weights *w, size_t i, tensor t, uint64_t count, stats *s, pith_err *e)
{
    double x[BLOCK];
    char gathered[BLOCK * sizeof(double)];
    const char *data = t.data, *one = data;
    char kept[sizeof(double)];
    size_t size = tensor_dtypes[t.type].bits / 8;
    int bad = 0;
    unsigned long mode = par_fp_enter();
    for (uint64_t first = 0; first < count && !bad; first += BLOCK) {
        size_t n = count - first < BLOCK ? (size_t)(count - first) : BLOCK;
        t.data = data ? data + first * size : gathered;
        if (!data) bad = pith_weights_read(w, i, first, n, gathered, e);
        if (bad) break;
        if (!one) one = memcpy(kept, gathered, size);
        load(t, 0, n, x);
        add_block(s, x, n);
        values_add(&s->bits, t.type, t.data, n, one);
    }
    par_fp_leave(mode);
    return bad;
}

int pith_weights_stats(const pith_weights *w, size_t i, pith_tensor_stats *out, pith_err *e)
{
    pith_tensor x;
    if (pith_weights_at(w, i, &x)) return err_set(e, "tensor %zu of %zu: no such index", i, pith_weights_count(w));
    tensor t = {x.data, x.shape, x.rank, x.nbytes, (dtype)tensor_dtype_find(x.dtype, strlen(x.dtype))};
    if (t.type == DT_C64 || tensor_dtypes[t.type].bits < 8) return err_set(e, "%.200s: %s has no real numbers of whole bytes to read", x.name, x.dtype);
    uint64_t count = tensor_count(t);
    stats s = {.lo = INFINITY, .hi = -INFINITY, .scale = 1};
    if (measure(w, i, t, count, &s, e)) return -1;
    uint64_t finite = count - s.n_nan - s.n_inf;
    double mean = s.sum / (double)finite;
    if (finite && !isfinite(s.sum)) { /* doubles near their limit: once more, scaled by a power of two */
        stats small = {.lo = INFINITY, .hi = -INFINITY, .scale = 0x1p-64};
        if (measure(w, i, t, count, &small, e)) return -1;
        mean = small.sum / (double)finite / small.scale;
    }
    *out = (pith_tensor_stats){.count = count, .n_nan = s.n_nan, .n_inf = s.n_inf, .n_zero = s.n_zero, .n_denormal = s.bits.n_denormal,
                               .min = NAN, .max = NAN, .mean = NAN};
    if (!finite) return 0;
    out->min = s.lo;
    out->max = s.hi;
    out->mean = mean < s.lo ? s.lo : mean > s.hi ? s.hi : mean;
    return 0;
}
