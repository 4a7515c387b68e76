/* kernel_amx: avx512vnni, whose products of many rows with 8 and 4 bits go over AMX tiles: 16 rows x 16 outputs x 32 of k in
 * one instruction. Sums of integers are exact in any order, so the bits are the same. */
#define _GNU_SOURCE
#define KERNEL_VNNI 1
#include "compute/kernel_avx512.inc"

#if defined(__x86_64__)
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { AMX_ROWS = 16, AMX_BATCH = 2 };

/* The system saves the tiles of a process only once that has asked for it. */
static int amx_open(pith_err *e)
{
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    if (!syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)) return 0;
#endif
    return err_set(e, "kernel set 'amx': the system does not let this process use AMX tiles; use avx512vnni");
}

/* Tiles 0-3: sums, 16 rows of 16 integers. 4, 5: X, 16 rows of 32 bytes. 6, 7: W, 8 rows of 4 bytes of 16 outputs. */
static void amx_configure(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } c = {.palette = 1, .row_bytes = {64, 64, 64, 64, 32, 32, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 8, 8}};
    _tile_loadconfig(&c);
}

/* Sums of group c of a batch, in tile c, of the tiles x and w. */
#define AMX_PRODUCT(c, x, w, xq, wq)                                                                                   \
    do {                                                                                                               \
        _tile_zero(c);                                                                                                 \
        _tile_loadd(x, xq, KERNEL_GROUPS * QUANT_GROUP);                                                               \
        _tile_loadd(w, wq, 4 * QUANT_PANEL);                                                                           \
        _tile_dpbssd(c, x, w);                                                                                         \
        _tile_stored(c, sums[c], 4 * AMX_ROWS);                                                                        \
    } while (0)

/* Sums of a batch of up to four groups. */
INLINE void amx_sums(const int8_t *xq, const char *wq, size_t step, size_t batch, int32_t (*sums)[AMX_ROWS][AMX_ROWS])
{
    if (batch > 0) AMX_PRODUCT(0, 4, 6, xq, wq);
    if (batch > 1) AMX_PRODUCT(1, 5, 7, xq + QUANT_GROUP, wq + step);
}

/* 16 rows by 16 outputs over n groups, the first of them x[at]; w: of group 0, `step` bytes between groups; d, m [n][32];
 * least [16][KERNEL_GROUPS]: what m is multiplied by. The sums of the batch after are on their way while those of one are scaled. */
INLINE void amx_tile(const dtype type, const kernel_rows *x, size_t at, size_t n, const char *w, size_t step, const float *d, const float *m,
                     const float *least, float *f)
{
    _Alignas(64) int32_t sums[2][AMX_BATCH][AMX_ROWS][AMX_ROWS];
    const int8_t *xq = x->q + at * QUANT_GROUP;
    V y[AMX_ROWS];
    UNROLL for (size_t r = 0; r < AMX_ROWS; r++) y[r] = V_LOAD(f + r * QUANT_PANEL);
    amx_sums(xq, w, step, n, sums[0]);
    for (size_t g = 0; g < n; g++) {
        if (g % AMX_BATCH == 0 && g + AMX_BATCH < n)
            amx_sums(xq + (g + AMX_BATCH) * QUANT_GROUP, w + (g + AMX_BATCH) * step, step, n - g - AMX_BATCH, sums[(g / AMX_BATCH + 1) % 2]);
        const V dg = V_LOAD(d + g * QUANT_PANEL), mg = type == DT_Q4 ? V_LOAD(m + g * QUANT_PANEL) : V_ZERO;
        int32_t (*sum)[AMX_ROWS] = sums[g / AMX_BATCH % 2][g % AMX_BATCH];
        UNROLL for (size_t r = 0; r < AMX_ROWS; r++)
        {
            size_t i = at + r * KERNEL_GROUPS + g;
            y[r] = V_FMA(I_FLOAT(I_BYTES(sum[r])), V_MUL(V_BROADCAST(x->scale + i), dg), y[r]);
            if (type == DT_Q4) y[r] = V_FMA(V_BROADCAST(least + r * KERNEL_GROUPS + g), mg, y[r]);
        }
    }
    UNROLL for (size_t r = 0; r < AMX_ROWS; r++) V_STORE(f + r * QUANT_PANEL, y[r]);
}

static void amx_groups(const kernel_quant *a, size_t r0, size_t rows, size_t p, size_t g, size_t n, float *f)
{
    quant_blocks w;
    int8_t q[AMX_ROWS * KERNEL_GROUPS * QUANT_GROUP] = {0};
    float scale[AMX_ROWS * KERNEL_GROUPS] = {0}, least[AMX_ROWS * KERNEL_GROUPS];
    int32_t sum[AMX_ROWS * KERNEL_GROUPS] = {0};
    const char *blocks = (const char *)a->w + (p * a->x.groups + g) * quant_block(a->type);
    if (a->type == DT_Q8) quant_ready(blocks, DT_Q8, 1, n, &w);
    else quant_ready(blocks, DT_Q4, 1, n, &w);
    for (size_t r = 0; r < rows; r += AMX_ROWS) {
        kernel_rows x = a->x;
        size_t at = kernel_rows_at(&x, r0 + r, g), left = (rows - r) * KERNEL_GROUPS;
        if (left < AMX_ROWS * KERNEL_GROUPS) { /* rows that do not exist are zero */
            x.q = memcpy(q, x.q + at * QUANT_GROUP, left * QUANT_GROUP);
            x.scale = memcpy(scale, x.scale + at, left * sizeof *scale);
            x.sum = memcpy(sum, x.sum + at, left * sizeof *sum);
            at = 0;
        }
        for (size_t i = 0; a->type == DT_Q4 && i < AMX_ROWS * KERNEL_GROUPS; i++) least[i] = x.scale[at + i] * (float)x.sum[at + i];
        __asm__ volatile("" ::: "memory"); /* gcc 12 does not know that loading a tile reads memory */
        for (size_t j = 0; j < QUANT_PANEL; j += AMX_ROWS) {
            float *y = f + r * QUANT_PANEL + j;
            if (a->type == DT_Q8) amx_tile(DT_Q8, &x, at, n, blocks + 4 * j, QUANT_Q8_BLOCK, w.d[0] + j, NULL, NULL, y);
            else amx_tile(DT_Q4, &x, at, n, (const char *)w.q[0] + 4 * j, sizeof w.q[0], w.d[0] + j, w.m[0] + j, least, y);
        }
    }
}

static void amx_linear_quant(const kernel_quant *a)
{
    if (a->m <= QUANT_FEW) {
        linear_quant(a);
        return;
    }
    amx_configure();
    quant_linear(a, amx_groups);
    _tile_release();
}

extern const kernel_set kernel_amx;
KERNEL_TABLE_WITH(amx, 1, amx_open, amx_linear_quant);
#endif
