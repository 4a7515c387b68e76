/* verify_packed: the values in matrices that pith_quantize packed, which stand in the file as U64. */
#include "verify.h"
#include "compute/quant.h"
#include "formats/bind.h"
#include <string.h>

static dtype packed_as(const verify_tensor *x)
{
    const char *key, *value, *layout = "", *is = "";
    for (size_t i = 0; i < pith_weights_metadata_count(x->w, x->t.file); i++) {
        if (pith_weights_metadata(x->w, x->t.file, i, &key, &value)) continue;
        if (!strcmp(key, BIND_LAYOUT_KEY)) layout = value;
        if (!strcmp(key, BIND_TYPE_KEY)) is = value;
    }
    return strcmp(layout, BIND_LAYOUT) ? 0 : bind_type_find(is);
}

/* Of n numbers of a type, those that are NaN or infinite. */
static uint64_t count_odd(dtype type, const char *p, size_t n)
{
    uint64_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t u = 0, top = type == DT_F32 ? 0x7f800000 : type == DT_F16 ? 0x7c00 : 0x7f80;
        size_t size = type == DT_F32 ? 4 : 2;
        memcpy(&u, p + i * size, size);
        odd += (u & top) == top;
    }
    return odd;
}

/* Bytes of a Q8 block that no weight is packed to. */
static uint64_t count_beyond(const char *block)
{
    uint64_t n = 0;
    for (size_t i = 0; i < QUANT_Q8_SCALES; i++) n += block[i] == (char)-128;
    return n;
}

static int tell_packed(verify *v, const verify_tensor *x, dtype type, pith_err *e)
{
    uint64_t odd = 0, beyond = 0, blocks = x->t.shape[0] * x->t.shape[1], words = x->t.shape[2];
    const int quant = type == DT_Q8 || type == DT_Q4;
    _Alignas(64) char block[QUANT_Q8_BLOCK];
    char a[32];
    if (words * 8 != (quant ? quant_block(type) : QUANT_PANEL * (type == DT_F32 ? 4u : 2u))) return 0; /* told as a shape */
    for (uint64_t i = 0; i < blocks; i++) {
        if (pith_weights_read(x->w, x->index, i * words, (size_t)words, block, e)) return -1;
        if (type == DT_Q8) beyond += count_beyond(block), odd += count_odd(DT_F16, block + QUANT_Q8_SCALES, QUANT_PANEL);
        else if (type == DT_Q4) odd += count_odd(DT_F16, block + QUANT_Q4_SCALES, 2 * QUANT_PANEL);
        else odd += count_odd(type, block, QUANT_PANEL);
    }
    if (odd)
        verify_tell(v, PITH_CHECK_VALUES, 1, x->t.name, "%s %s NaN or infinite", verify_number(a, odd), quant ? "of its packed scales are" : "of its packed values are");
    if (beyond)
        verify_tell(v, PITH_CHECK_VALUES, 1, x->t.name, "%s of its packed weights are -128, which no weight becomes, and kernel sets compute differently with it", verify_number(a, beyond));
    return 0;
}

int verify_packed(verify *v, pith_err *e)
{
    for (size_t i = 0; i < v->n_tensors; i++) {
        const verify_tensor *x = &v->tensors[i];
        dtype type = x->type == DT_U64 && x->t.rank == 3 && x->t.nbytes ? packed_as(x) : 0;
        if (type && tell_packed(v, x, type, e)) return -1;
    }
    return 0;
}
