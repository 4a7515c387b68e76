/* tensor: sizes and names of the 22 dtypes, and their elements as float. Owns no data. */
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

static float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float tensor_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff;
    if (exp == 31) return float_of(sign | 0x7f800000 | man << 13);
    if (exp == 0) { /* zero, or man * 2^-24 */
        float f = (float)man * 0x1p-24f;
        return sign ? -f : f;
    }
    return float_of(sign | (exp + 112) << 23 | man << 13);
}

uint16_t tensor_f32_to_f16(float f)
{
    union { float f; uint32_t u; } v = {f};
    uint32_t sign = v.u >> 16 & 0x8000, a = v.u & 0x7fffffff;
    if (a > 0x7f800000) return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and more round to infinity */
    if (a < 0x38800000) { /* below the smallest normal: adding 0.5 leaves units of 2^-24 in the low bits, rounded */
        union { uint32_t u; float f; } small = {a};
        small.f += 0.5f;
        return (uint16_t)(sign | (small.u - 0x3f000000));
    }
    a += 0xfff + (a >> 13 & 1); /* half an ulp, less one where the last kept bit is even */
    return (uint16_t)(sign | (a - 0x38000000) >> 13);
}

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
