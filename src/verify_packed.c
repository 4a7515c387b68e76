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

/* What is odd in a block: numbers that are NaN or infinite; codes of weights outside -127..127. */
static void count_block(dtype type, size_t groups, const char *block, uint64_t *odd, uint64_t *beyond)
{
    *odd += count_odd(DT_F16, block, QUANT_PANEL);
    for (size_t g = 0; g < groups; g++) {
        const char *q = block + quant_head(type) + g * quant_group(type);
        for (size_t i = 0; i < quant_group(type); i++) {
            if (type == DT_Q8) {
                *beyond += q[i] == (char)-128;
                continue;
            }
            uint16_t steps;
            size_t j = i / 4 % QUANT_PANEL;
            memcpy(&steps, block + QUANT_Q4_STEPS + 2 * j, sizeof steps);
            int s = (steps >> 4 * g & 15) + 1, z = (signed char)block[QUANT_Q4_ZEROS + QUANT_GROUPS * j + g], two = (unsigned char)q[i];
            *beyond += (uint64_t)((s * (two & 15) + z > 127 || z == -128) + (s * (two >> 4) + z > 127 || z == -128));
        }
    }
}

/* A panel's cache lines are those of whole blocks, then of one with fewer groups. 0: of so many lines there is no panel. */
static size_t groups_of(dtype type, uint64_t lines)
{
    const uint64_t block = quant_block(type) / 64, head = quant_head(type) / 64, group = quant_group(type) / 64, rest = lines % block;
    if (rest && (rest <= head || (rest - head) % group)) return 0;
    return (size_t)(lines / block * QUANT_GROUPS + (rest ? (rest - head) / group : 0));
}

static int count_quant(const verify_tensor *x, dtype type, uint64_t *odd, uint64_t *beyond, pith_err *e)
{
    _Alignas(64) char block[QUANT_Q8_HEAD + QUANT_GROUPS * QUANT_Q8_GROUP];
    const uint64_t lines = x->t.shape[1];
    const size_t groups = groups_of(type, lines), words = quant_block(type) / 8;
    if (x->t.shape[2] != 8) return 0; /* told as a shape */
    for (uint64_t p = 0; p < x->t.shape[0]; p++)
        for (size_t b = 0; b * QUANT_GROUPS < groups; b++) {
            size_t have = quant_groups_of(groups, b);
            if (pith_weights_read(x->w, x->index, p * lines * 8 + b * words, quant_panel(type, have) / 8, block, e)) return -1;
            count_block(type, have, block, odd, beyond);
        }
    return 0;
}

static int count_panels(const verify_tensor *x, dtype type, uint64_t *odd, pith_err *e)
{
    _Alignas(64) char row[QUANT_PANEL * 4];
    const uint64_t words = x->t.shape[2], rows = x->t.shape[0] * x->t.shape[1];
    if (words * 8 != QUANT_PANEL * (type == DT_F32 ? 4u : 2u)) return 0; /* told as a shape */
    for (uint64_t i = 0; i < rows; i++) {
        if (pith_weights_read(x->w, x->index, i * words, (size_t)words, row, e)) return -1;
        *odd += count_odd(type, row, QUANT_PANEL);
    }
    return 0;
}

static int tell_packed(verify *v, const verify_tensor *x, dtype type, pith_err *e)
{
    uint64_t odd = 0, beyond = 0;
    const int quant = type == DT_Q8 || type == DT_Q4;
    char a[32];
    if (quant ? count_quant(x, type, &odd, &beyond, e) : count_panels(x, type, &odd, e)) return -1;
    if (odd)
        verify_tell(v, PITH_CHECK_VALUES, 1, x->t.name, "%s %s NaN or infinite", verify_number(a, odd), quant ? "of its packed scales are" : "of its packed values are");
    if (beyond)
        verify_tell(v, PITH_CHECK_VALUES, 1, x->t.name, "%s of its packed weights are outside -127..127, which no weight becomes, and kernel sets compute differently with it", verify_number(a, beyond));
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
