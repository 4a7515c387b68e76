/* quant: see the header; every number here is defined by it. */
#include "compute/quant.h"
#include <float.h>
#include <math.h>
#include <string.h>

enum { GROUP = QUANT_GROUP };

static void put_half(char *p, size_t i, uint16_t h) { memcpy(p + 2 * i, &h, sizeof h); }
static float get_half(const char *p, size_t i)
{
    uint16_t h;
    memcpy(&h, p + 2 * i, sizeof h);
    return tensor_f16_to_f32(h);
}

static int pack_q8(char *block, size_t j, const float *w)
{
    float amax = 0;
    for (size_t i = 0; i < GROUP; i++) amax = fabsf(w[i]) > amax ? fabsf(w[i]) : amax;
    uint16_t half = tensor_f32_to_f16(amax / 127);
    float d = tensor_f16_to_f32(half);
    if (!(d <= FLT_MAX)) return -1;
    put_half(block + QUANT_Q8_SCALES, j, half);
    for (size_t i = 0; i < GROUP; i++) {
        float q = d > 0 ? rintf(w[i] / d) : 0;
        q = q > 127 ? 127 : q < -127 ? -127 : q;
        block[(i / 4 * QUANT_PANEL + j) * 4 + i % 4] = (char)q;
    }
    return 0;
}

typedef struct fit {
    uint16_t d, m;
    unsigned char q[GROUP];
    double error;
} fit;

/* The nearest q for d and m, as the F16 they are stored as. */
static void assign(fit *f, const float *w, double scale, double minimum)
{
    f->d = tensor_f32_to_f16((float)scale);
    f->m = tensor_f32_to_f16((float)minimum);
    double d = (double)tensor_f16_to_f32(f->d), m = (double)tensor_f16_to_f32(f->m);
    f->error = 0;
    for (size_t i = 0; i < GROUP; i++) {
        double q = d > 0 ? rint(((double)w[i] - m) / d) : 0;
        q = q < 0 ? 0 : q > 15 ? 15 : q;
        f->q[i] = (unsigned char)q;
        double e = (double)w[i] - (d * q + m);
        f->error += e * e;
    }
}

static int pack_q4(char *block, size_t j, const float *w)
{
    double lo = (double)w[0], hi = (double)w[0];
    for (size_t i = 1; i < GROUP; i++) {
        lo = (double)w[i] < lo ? (double)w[i] : lo;
        hi = (double)w[i] > hi ? (double)w[i] : hi;
    }
    fit best, next;
    if (fabs(lo) > 65504 || hi - lo > 15 * 65504.0) return -1;
    assign(&best, w, (hi - lo) / 15, lo);
    next = best;
    for (int n = 0; n < QUANT_FITS; n++) {
        double sq = 0, sqq = 0, sw = 0, sqw = 0;
        for (size_t i = 0; i < GROUP; i++) {
            double q = next.q[i], v = (double)w[i];
            sq += q, sqq += q * q, sw += v, sqw += q * v;
        }
        double det = GROUP * sqq - sq * sq;
        if (!(det > 0)) break;
        double d = (GROUP * sqw - sq * sw) / det, m = (sw - d * sq) / GROUP;
        if (!(d > 0 && d <= 65504 && fabs(m) <= 65504)) break;
        assign(&next, w, d, m);
        if (!(next.error < best.error)) break;
        best = next;
    }
    put_half(block + QUANT_Q4_SCALES, j, best.d);
    put_half(block + QUANT_Q4_SCALES + 2 * QUANT_PANEL, j, best.m);
    for (size_t i = 0; i < GROUP / 2; i++)
        block[(i / 4 * QUANT_PANEL + j) * 4 + i % 4] = (char)(best.q[i] | best.q[i + GROUP / 2] << 4);
    return 0;
}

int quant_pack(void *dst, tensor w, dtype type, size_t p0, size_t p1, size_t *row, size_t *col)
{
    size_t n = (size_t)w.shape[0], k = (size_t)w.shape[1], groups = k / GROUP + (k % GROUP != 0), size = quant_block(type);
    enum { AT_ONCE = 16 * GROUP };
    float x[AT_ONCE];
    for (size_t p = p0; p < p1; p++) {
        char *panel = (char *)dst + p * groups * size;
        memset(panel, 0, groups * size);
        for (size_t j = 0; j < QUANT_PANEL && p * QUANT_PANEL + j < n; j++)
            for (size_t i = 0; i < k; i += AT_ONCE) {
                size_t r = p * QUANT_PANEL + j, m = k - i < AT_ONCE ? k - i : AT_ONCE;
                memset(x, 0, sizeof x);
                tensor_read_f32(w, (uint64_t)r * k + i, m, x);
                for (size_t at = 0; at < m; at++)
                    if (!isfinite(x[at])) return *row = r, *col = i + at, -1;
                for (size_t g = 0; g * GROUP < m; g++)
                    if ((type == DT_Q8 ? pack_q8 : pack_q4)(panel + (i / GROUP + g) * size, j, x + g * GROUP))
                        return *row = r, *col = i + g * GROUP, -1;
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
