/* tensor: the dtype table (one row a format), a view that owns nothing and is passed by value, casts. */
#ifndef COMPUTE_TENSOR_H
#define COMPUTE_TENSOR_H
#include <stddef.h>
#include <stdint.h>

/* The 22 dtypes of safetensors, in the format's own names. */
typedef enum dtype {
    DT_BOOL, DT_F4, DT_F6_E2M3, DT_F6_E3M2, DT_U8, DT_I8, DT_F8_E5M2, DT_F8_E4M3, DT_F8_E8M0, DT_F8_E4M3FNUZ,
    DT_F8_E5M2FNUZ, DT_I16, DT_U16, DT_F16, DT_BF16, DT_I32, DT_U32, DT_F32, DT_C64, DT_F64, DT_I64, DT_U64,
    DT_COUNT,
    DT_Q8 = DT_COUNT, DT_Q4 /* packed weights only (quant.h); no file's */
} dtype;

typedef struct tensor_dtype {
    const char *name; /* as written in a safetensors header */
    unsigned bits;    /* of one element */
} tensor_dtype;
extern const tensor_dtype tensor_dtypes[DT_COUNT];

/* A view of row-major data. `data` need not be aligned: files make no promise. */
typedef struct tensor {
    const void *data;
    const uint64_t *shape; /* [rank] */
    size_t rank;
    uint64_t nbytes;
    dtype type;
    int panels; /* 1: data is not row-major but a matrix packed in panels (kernel.h, quant.h) */
} tensor;

/* -1 where `name` is none of the 22. */
int tensor_dtype_find(const char *name, size_t len);
uint64_t tensor_count(tensor t); /* elements; 1 for rank 0 */
/* Elements [first, first+n) as float, for every real dtype of at least 8 bits; exact for those narrower than
 * F32, rounded to nearest even for F64 and wide integers. -1 for C64 and the sub-byte formats. */
int tensor_read_f32(tensor t, uint64_t first, size_t n, float *out);
/* n elements of type `from` as type `to`, both of F64, F32, F16, BF16, any alignment, not overlapping. Rounded once, to
 * nearest even; a NaN becomes the quiet one of its sign (the same type is copied, NaN and all).
 * *n_overflow is increased by the finite values that became infinite. -1: another type. */
int tensor_cast(dtype from, const void *src, dtype to, void *dst, size_t n, uint64_t *n_overflow);
/* Element i of the first dimension, as a view. */
tensor tensor_at(tensor t, uint64_t i);
float tensor_f16_to_f32(uint16_t h);
uint16_t tensor_f32_to_f16(float f); /* rounds to nearest even; NaN becomes a quiet NaN */
static inline float tensor_bf16_to_f32(uint16_t h)
{
    union { uint32_t u; float f; } v = {(uint32_t)h << 16};
    return v.f;
}

#endif
