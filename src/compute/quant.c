/* quant: see the header; every number here is defined by it. */
#include "compute/quant.h"
#include <math.h>
#include <string.h>

enum { GROUP = QUANT_GROUP };

static float get_half(const char *p, size_t i)
{
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    return tensor_f16_to_f32(h);
}

/* Of a group that cannot be packed: the first weight that is not finite, else the first of the largest. */
static void find_bad(const float *x, size_t ldx, size_t *row, size_t *col)
{
    float worst = -1;
    for (size_t j = 0; j < QUANT_PANEL; j++)
        for (size_t i = 0; i < GROUP; i++) {
            float a = isfinite(x[j * ldx + i]) ? fabsf(x[j * ldx + i]) : INFINITY;
            if (a > worst) worst = a, *row = j, *col = i;
        }
}

int quant_pack(const kernel_set *set, void *dst, tensor w, dtype type, size_t p0, size_t p1, size_t *row, size_t *col)
{
    enum { AT_ONCE = 8 * GROUP };
    const size_t n = (size_t)w.shape[0], k = (size_t)w.shape[1], groups = kernel_ceil_div(k, GROUP), size = quant_block(type);
    float x[QUANT_PANEL * AT_ONCE];
    for (size_t p = p0; p < p1; p++)
        for (size_t i = 0; i < k; i += AT_ONCE) {
            const size_t m = kernel_min(AT_ONCE, k - i), first = p * QUANT_PANEL, rows = kernel_min(QUANT_PANEL, n - first);
            if (m < AT_ONCE || rows < QUANT_PANEL) memset(x, 0, sizeof x);
            for (size_t j = 0; j < rows; j++) tensor_read_f32(w, (uint64_t)(first + j) * k + i, m, x + j * AT_ONCE);
            char *blocks = (char *)dst + (p * groups + i / GROUP) * size;
            for (size_t g = 0; g * GROUP < m; g++) {
                if (!set->pack_block(blocks + g * size, type, x + g * GROUP, AT_ONCE)) continue;
                find_bad(x + g * GROUP, AT_ONCE, row, col);
                *row += first, *col += i + g * GROUP;
                return -1;
            }
        }
    return 0;
}

void quant_unpack(const void *block, dtype type, float *out)
{
    const char *b = block;
    for (size_t j = 0; j < QUANT_PANEL; j++)
        for (size_t i = 0; i < GROUP; i++) {
            size_t at = (i % (type == DT_Q8 ? GROUP : GROUP / 2) / 4 * QUANT_PANEL + j) * 4 + i % 4;
            if (type == DT_Q8) {
                out[j * GROUP + i] = get_half(b + QUANT_Q8_SCALES, j) * (float)(signed char)b[at];
            } else {
                int q = (unsigned char)b[at] >> (i < GROUP / 2 ? 0 : 4) & 15;
                out[j * GROUP + i] = get_half(b + QUANT_Q4_SCALES, j) * (float)q + get_half(b + QUANT_Q4_SCALES + 2 * QUANT_PANEL, j);
            }
        }
}
