/* tensor: sizes and names of the 22 dtypes, their elements as float, casts between the floats. Owns no data. */
#include "compute/tensor.h"
#include <math.h>
#include <string.h>

const tensor_dtype tensor_dtypes[DT_COUNT] = {
    [DT_BOOL] = {"BOOL", 8},
    [DT_F4] = {"F4", 4},
    [DT_F6_E2M3] = {"F6_E2M3", 6},
    [DT_F6_E3M2] = {"F6_E3M2", 6},
    [DT_U8] = {"U8", 8},
    [DT_I8] = {"I8", 8},
    [DT_F8_E5M2] = {"F8_E5M2", 8},
    [DT_F8_E4M3] = {"F8_E4M3", 8},
    [DT_F8_E8M0] = {"F8_E8M0", 8},
    [DT_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [DT_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [DT_I16] = {"I16", 16},
    [DT_U16] = {"U16", 16},
    [DT_F16] = {"F16", 16},
    [DT_BF16] = {"BF16", 16},
    [DT_I32] = {"I32", 32},
    [DT_U32] = {"U32", 32},
    [DT_F32] = {"F32", 32},
    [DT_C64] = {"C64", 64},
    [DT_F64] = {"F64", 64},
    [DT_I64] = {"I64", 64},
    [DT_U64] = {"U64", 64},
};

int tensor_dtype_find(const char *name, size_t len)
{
    for (int i = 0; i < DT_COUNT; i++)
        if (strlen(tensor_dtypes[i].name) == len && !memcmp(tensor_dtypes[i].name, name, len)) return i;
    return -1;
}

uint64_t tensor_count(tensor t)
{
    uint64_t n = 1;
    for (size_t i = 0; i < t.rank; i++) n *= t.shape[i];
    return n;
}

static inline float as_float(uint32_t u) { return (union { uint32_t u; float f; }){u}.f; }
static inline uint32_t as_bits(float f) { return (union { float f; uint32_t u; }){f}.u; }

/* Bits of an F32 and of the 16-bit types. Without branches, so that loops over them become vectors; magnitudes are below
 * 2^31, and compared as signed numbers, which every SIMD set can. */
enum { F32_INF = 0x7f800000, F32_NAN = 0x7fc00000, MAGNITUDE = 0x7fffffff };

static inline uint32_t f16_to_bits(uint16_t h)
{
    int32_t a = h & 0x7fff;
    uint32_t f = (uint32_t)(a << 13) + (112u << 23);
    f = a < 0x400 ? as_bits((float)a * 0x1p-24f) : f;
    f = a < 0x7c00 ? f : F32_INF;
    f = a > 0x7c00 ? F32_NAN : f;
    return (uint32_t)(h & 0x8000) << 16 | f;
}

static inline uint32_t bf16_to_bits(uint16_t h) { return (h & 0x7fff) > 0x7f80 ? (uint32_t)(h & 0x8000) << 16 | F32_NAN : (uint32_t)h << 16; }

static inline uint16_t bits_to_f16(uint32_t u)
{
    int32_t a = (int32_t)(u & MAGNITUDE);
    uint32_t h = ((uint32_t)a + 0xfff + (a >> 13 & 1) - (112u << 23)) >> 13; /* half an ulp, less one where the last kept bit is even */
    h = a < 0x38800000 ? as_bits(as_float((uint32_t)a) + 0.5f) - 0x3f000000 : h; /* the sum's low bits are units of 2^-24, rounded */
    h = a >= 0x477ff000 ? 0x7c00 : h; /* 65520 and more */
    h = a > F32_INF ? 0x7e00 : h;
    return (uint16_t)((u >> 16 & 0x8000) | h);
}

static inline uint16_t bits_to_bf16(uint32_t u)
{
    int32_t a = (int32_t)(u & MAGNITUDE);
    uint32_t h = ((uint32_t)a + 0x7fff + (a >> 16 & 1)) >> 16;
    h = a > F32_INF ? 0x7fc0 : h;
    return (uint16_t)((u >> 16 & 0x8000) | h);
}

float tensor_f16_to_f32(uint16_t h) { return as_float(f16_to_bits(h)); }
uint16_t tensor_f32_to_f16(float f) { return bits_to_f16(as_bits(f)); }

tensor tensor_at(tensor t, uint64_t i)
{
    uint64_t n = t.shape[0] ? t.nbytes / t.shape[0] : 0;
    return (tensor){.data = (const char *)t.data + i * n, .shape = t.shape + 1, .rank = t.rank - 1, .nbytes = n, .type = t.type};
}

/* The 8-bit floats: `mbits` of mantissa, exponent bias `bias`. NaN and infinities are the caller's. */
static float small_float(unsigned v, unsigned mbits, int bias)
{
    unsigned exp = (v & 0x7f) >> mbits, man = v & ((1u << mbits) - 1);
    float f = exp ? ldexpf((float)(man | 1u << mbits), (int)exp - bias - (int)mbits)
                  : ldexpf((float)man, 1 - bias - (int)mbits);
    return v & 0x80 ? -f : f;
}

static float f8_to_f32(dtype type, uint8_t v)
{
    switch (type) {
    case DT_F8_E5M2: return tensor_f16_to_f32((uint16_t)(v << 8));
    case DT_F8_E4M3: return (v & 0x7f) == 0x7f ? NAN : small_float(v, 3, 7);
    case DT_F8_E8M0: return v == 0xff ? NAN : ldexpf(1, (int)v - 127);
    case DT_F8_E4M3FNUZ: return v == 0x80 ? NAN : small_float(v, 3, 8);
    default: return v == 0x80 ? NAN : small_float(v, 2, 16); /* DT_F8_E5M2FNUZ */
    }
}

/* out[i] = (float)the i-th C object of type T at p, which may be unaligned. */
#define READ_AS(T)                                                                                                     \
    for (size_t i = 0; i < n; i++) {                                                                                   \
        T v;                                                                                                           \
        memcpy(&v, p + i * sizeof v, sizeof v);                                                                        \
        out[i] = (float)v;                                                                                             \
    }                                                                                                                  \
    return 0

int tensor_read_f32(tensor t, uint64_t first, size_t n, float *out)
{
    if ((unsigned)t.type >= DT_COUNT) return -1;
    unsigned bits = tensor_dtypes[t.type].bits;
    if (bits < 8) return -1;
    const unsigned char *p = t.data;
    if (n) p += first * (bits / 8);
    switch (t.type) {
    case DT_BOOL:
        for (size_t i = 0; i < n; i++) out[i] = p[i] ? 1.0f : 0.0f;
        return 0;
    case DT_U8: READ_AS(uint8_t);
    case DT_I8: READ_AS(int8_t);
    case DT_F8_E5M2:
    case DT_F8_E4M3:
    case DT_F8_E8M0:
    case DT_F8_E4M3FNUZ:
    case DT_F8_E5M2FNUZ:
        for (size_t i = 0; i < n; i++) out[i] = f8_to_f32(t.type, p[i]);
        return 0;
    case DT_I16: READ_AS(int16_t);
    case DT_U16: READ_AS(uint16_t);
    case DT_F16:
        for (size_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, p + 2 * i, 2);
            out[i] = tensor_f16_to_f32(v);
        }
        return 0;
    case DT_BF16:
        for (size_t i = 0; i < n; i++) {
            uint16_t v;
            memcpy(&v, p + 2 * i, 2);
            out[i] = tensor_bf16_to_f32(v);
        }
        return 0;
    case DT_I32: READ_AS(int32_t);
    case DT_U32: READ_AS(uint32_t);
    case DT_F32:
        if (n) memcpy(out, p, 4 * n);
        return 0;
    case DT_F64: READ_AS(double);
    case DT_I64: READ_AS(int64_t);
    case DT_U64: READ_AS(uint64_t);
    default: return -1;
    }
}

/* ---- casts: to F32 in blocks, and from there to the target ---- */

enum { CAST_BLOCK = 1024 };

static void load_f16(const char *p, size_t n, uint32_t *out)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        out[i] = f16_to_bits(h);
    }
}

static void load_bf16(const char *p, size_t n, uint32_t *out)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, 2);
        out[i] = bf16_to_bits(h);
    }
}

/* To F32, as the first of two steps if least is not 0: then rounded so that the second rounds no more. least: smallest
 * normal number of the last type; unit: its last place in [1, 2), times 1.5 * 2^52. Adding and subtracting a number
 * whose own last place is the one wanted leaves the rounding to the addition; what became zero gets its sign back. */
static uint64_t load_f64(const char *p, size_t n, double least, double unit, uint32_t *out)
{
    uint32_t over = 0;
#pragma omp simd reduction(+ : over)
    for (size_t i = 0; i < n; i++) {
        union { double d; uint64_t u; } v, top;
        memcpy(&v, p + 8 * i, 8);
        double a = fabs(v.d), d = v.d;
        top.d = a > least ? a : least;
        top.d = top.d < 0x1p200 ? top.d : 0x1p200;
        top.u &= 0x7ff0000000000000;
        double c = top.d * unit;
        d = least > 0 ? copysign(d + c - c, v.d) : d;
        uint32_t u = as_bits((float)d);
        over += (u & MAGNITUDE) == F32_INF && a < INFINITY;
        out[i] = v.d == v.d ? u : (uint32_t)(v.u >> 32 & 0x80000000) | F32_NAN;
    }
    return over;
}

/* What _FORTIFY_SOURCE puts around memcpy keeps clang from vectorising. */
#define COPY __builtin_memcpy

/* src: F32, any alignment. */
static uint64_t store_f16(const char *src, size_t n, char *dst)
{
    uint32_t over = 0;
#pragma omp simd reduction(+ : over)
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        COPY(&u, src + 4 * i, 4);
        uint16_t h = bits_to_f16(u);
        over += (int32_t)(u & MAGNITUDE) >= 0x477ff000 && (int32_t)(u & MAGNITUDE) < F32_INF;
        COPY(dst + 2 * i, &h, 2);
    }
    return over;
}

static uint64_t store_bf16(const char *src, size_t n, char *dst)
{
    uint32_t over = 0;
#pragma omp simd reduction(+ : over)
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        COPY(&u, src + 4 * i, 4);
        uint16_t h = bits_to_bf16(u);
        over += (int32_t)(u & MAGNITUDE) >= 0x7f7f8000 && (int32_t)(u & MAGNITUDE) < F32_INF;
        COPY(dst + 2 * i, &h, 2);
    }
    return over;
}

static void store_f64(const char *src, size_t n, char *dst)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        COPY(&u, src + 4 * i, 4);
        union { double d; uint64_t u; } v = {(double)as_float(u)};
        v.u = (int32_t)(u & MAGNITUDE) > F32_INF ? (uint64_t)(u >> 31) << 63 | 0x7ff8000000000000 : v.u;
        COPY(dst + 8 * i, &v, 8);
    }
}

static int is_float(dtype t) { return t == DT_F64 || t == DT_F32 || t == DT_F16 || t == DT_BF16; }

int tensor_cast(dtype from, const void *src, dtype to, void *dst, size_t n, uint64_t *n_overflow)
{
    if (!is_float(from) || !is_float(to)) return -1;
    const size_t in = tensor_dtypes[from].bits / 8, out = tensor_dtypes[to].bits / 8;
    const char *p = src;
    char *q = dst;
    if (from == to) {
        if (n) memcpy(dst, src, n * in);
        return 0;
    }
    for (size_t i = 0; i < n; i += CAST_BLOCK, p += CAST_BLOCK * in, q += CAST_BLOCK * out) {
        size_t k = n - i < CAST_BLOCK ? n - i : CAST_BLOCK;
        uint32_t block[CAST_BLOCK];
        if (from == DT_F16) load_f16(p, k, block);
        else if (from == DT_BF16) load_bf16(p, k, block);
        else if (from == DT_F64 && to == DT_F16) *n_overflow += load_f64(p, k, 0x1p-14, 0x1.8p42, block);
        else if (from == DT_F64 && to == DT_BF16) *n_overflow += load_f64(p, k, 0x1p-126, 0x1.8p45, block);
        else if (from == DT_F64) *n_overflow += load_f64(p, k, 0, 0, block);
        const char *f = from == DT_F32 ? p : (const char *)block;
        if (to == DT_F16) *n_overflow += store_f16(f, k, q);
        else if (to == DT_BF16) *n_overflow += store_bf16(f, k, q);
        else if (to == DT_F64) store_f64(f, k, q);
        else memcpy(q, f, 4 * k);
    }
    return 0;
}
