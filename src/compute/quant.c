/* quant: see the header; every number here is defined by it. */
#include "compute/quant.h"
#include <math.h>
#include <string.h>

static float get_half(const char *p, size_t i)
{
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    return tensor_f16_to_f32(h);
}

/* Of a block that cannot be packed: the first weight that is not finite, else the first of the largest. */
static void find_bad(const float *x, size_t ldx, size_t *row, size_t *col)
{
    float worst = -1;
    for (size_t j = 0; j < QUANT_PANEL; j++)
        for (size_t i = 0; i < QUANT_BLOCK; i++) {
            float a = isfinite(x[j * ldx + i]) ? fabsf(x[j * ldx + i]) : INFINITY;
            if (a > worst) worst = a, *row = j, *col = i;
        }
}

int quant_pack(const kernel_set *set, void *dst, tensor w, dtype type, size_t p0, size_t p1, size_t *row, size_t *col)
{
    const size_t n = (size_t)w.shape[0], k = (size_t)w.shape[1], groups = kernel_ceil_div(k, QUANT_GROUP), size = quant_panel(type, groups);
    float x[QUANT_PANEL * QUANT_BLOCK];
    for (size_t p = p0; p < p1; p++)
        for (size_t b = 0; b * QUANT_BLOCK < k; b++) {
            const size_t i = b * QUANT_BLOCK, m = kernel_min(QUANT_BLOCK, k - i), first = p * QUANT_PANEL, rows = kernel_min(QUANT_PANEL, n - first);
            if (m < QUANT_BLOCK || rows < QUANT_PANEL) memset(x, 0, sizeof x);
            for (size_t j = 0; j < rows; j++) tensor_read_f32(w, (uint64_t)(first + j) * k + i, m, x + j * QUANT_BLOCK);
            if (!set->pack_block((char *)dst + p * size + b * quant_block(type), type, quant_groups_of(groups, b), x, QUANT_BLOCK)) continue;
            find_bad(x, QUANT_BLOCK, row, col);
            *row += first, *col += i;
            return -1;
        }
    return 0;
}

void quant_unpack(const void *block, dtype type, size_t groups, float *out)
{
    const char *b = block;
    for (size_t j = 0; j < QUANT_PANEL; j++)
        for (size_t i = 0; i < groups * QUANT_GROUP; i++) {
            size_t g = i / QUANT_GROUP, in = i % QUANT_GROUP, within = in % (type == DT_Q8 ? QUANT_GROUP : QUANT_GROUP / 2);
            int byte = b[quant_head(type) + g * quant_group(type) + (within / 4 * QUANT_PANEL + j) * 4 + within % 4], code = (signed char)byte;
            if (type == DT_Q4) {
                uint16_t steps;
                memcpy(&steps, b + QUANT_Q4_STEPS + 2 * j, sizeof steps);
                code = ((steps >> 4 * g & 15) + 1) * (byte >> (in < QUANT_GROUP / 2 ? 0 : 4) & 15) + (signed char)b[QUANT_Q4_ZEROS + QUANT_GROUPS * j + g];
            }
            out[j * groups * QUANT_GROUP + i] = get_half(b, j) * (float)code;
        }
}
