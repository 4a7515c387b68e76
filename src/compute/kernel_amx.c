/* kernel_amx: avx512vnni, whose products of many rows with 8 and 4 bits go over AMX tiles: 16 rows x 16 outputs x 64 of k in
 * one instruction. Sums of integers are exact in any order, so the bits are the same. */
#define KERNEL_VNNI 1
#include "compute/kernel_avx512.inc"

#if defined(__x86_64__)
#include "base/platform.h"

/* AMX_ROWS: rows and outputs of a tile of sums. AMX_CHAINS: rows whose chains stay in the nearest cache while one panel is
 * multiplied with them. AMX_NEAR: bytes of X that stay in the second one while panel after panel goes by. */
enum { AMX_ROWS = 16, AMX_CHAINS = 256, AMX_NEAR = 1 << 20 };

/* The system saves the tiles of a process only once that has asked for it. */
static int amx_open(pith_err *e)
{
    if (!platform_amx()) return 0;
    return err_set(e, "kernel set 'amx': the system does not let this process use AMX tiles; use avx512vnni");
}

/* Tiles 0-3: sums, 16 rows of 16 integers. 4, 5: X, 16 rows of 64 of k. 6, 7: W, 16 rows of 4 of k of 16 outputs. */
static void amx_configure(void)
{
    struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } c = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
    __asm__ volatile("" : : "r"(&c) : "memory"); /* gcc 12 does not know that this, and loading a tile, reads memory */
    _tile_loadconfig(&c);
}
#define AMX_ORDER __asm__ volatile("" : : : "memory")

/* One block of k of 32 rows x 32 outputs, or of 16 rows where so few are left. */
typedef struct amx_part {
    const int8_t *x, *w; /* rows 128 bytes apart; codes [32][32][4] */
    const char *head;    /* scales of the outputs, F16 */
    const float *scale;  /* of the rows */
    float *y;            /* [rows][32]: the chains */
} amx_part;
typedef int32_t amx_sums[4][AMX_ROWS][AMX_ROWS];

/* Adds the sums of tile t to their chains. The tile unit leaves only one operation with floats a cycle, so the integers
 * become floats without one: D + 0x4b400000 are the bits of 12582912 + D (|D| < 2^22), 12582912 d is exact (F16 has 11 bits),
 * so that fma(12582912 + D, d, -12582912 d) is D d, rounded once. */
INLINE void amx_scale(const int t, const int wide, const amx_part *p, amx_sums sums)
{
    const I whole = _mm512_set1_epi32(0x4b400000);
    const V d = V_HALVES(p->head + 2 * AMX_ROWS * (t % 2)), low = V_MUL(d, _mm512_set1_ps(-12582912.0f));
    const size_t first = wide ? (size_t)t / 2 * AMX_ROWS : 0;
    float *y = p->y + first * QUANT_PANEL + (size_t)t % 2 * AMX_ROWS;
    UNROLL for (size_t r = 0; r < AMX_ROWS; r++, y += QUANT_PANEL)
    {
        I sum = _mm512_add_epi32(whole, I_BYTES(sums[t][r]));
        if (!wide) sum = _mm512_add_epi32(sum, I_BYTES(sums[t + 2][r]));
        V_STORE(y, V_FMA(V_FMA(_mm512_castsi512_ps(sum), d, low), V_BROADCAST(p->scale + first + r), V_LOAD(y)));
    }
}

/* The products of `c`, and the scaling of `before`, whose sums are still in the tiles: each is stored just before its tile is
 * needed again, and scaled while later products run. A wide part's tiles are 2 x 2; else tiles 2 and 3 are the other half of k. */
INLINE void amx_step(const int wide, const amx_part *c, const amx_part *before, amx_sums sums)
{
    enum { ROW = QUANT_BLOCK, HALF = QUANT_BLOCK / 2, W_ROW = 4 * QUANT_PANEL };
    const int8_t *x = c->x, *w = c->w, *next = w + HALF * QUANT_PANEL;
    AMX_ORDER;
    _tile_loadd(4, x, ROW);
    _tile_loadd(6, w, W_ROW);
    _tile_stored(0, sums[0], 4 * AMX_ROWS);
    _tile_zero(0);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, w + 4 * AMX_ROWS, W_ROW);
    _tile_stored(1, sums[1], 4 * AMX_ROWS);
    _tile_zero(1);
    _tile_dpbssd(1, 4, 7);
    _tile_loadd(5, wide ? x + AMX_ROWS * ROW : x + HALF, ROW);
    if (!wide) _tile_loadd(6, next, W_ROW);
    _tile_stored(2, sums[2], 4 * AMX_ROWS);
    _tile_zero(2);
    _tile_dpbssd(2, 5, 6);
    if (!wide) _tile_loadd(7, next + 4 * AMX_ROWS, W_ROW);
    _tile_stored(3, sums[3], 4 * AMX_ROWS);
    _tile_zero(3);
    _tile_dpbssd(3, 5, 7);
    AMX_ORDER;
    amx_scale(0, wide, before, sums);
    if (wide) {
        AMX_ORDER;
        _tile_loadd(4, x + HALF, ROW);
        _tile_loadd(6, next, W_ROW);
        _tile_dpbssd(0, 4, 6);
    }
    AMX_ORDER;
    amx_scale(1, wide, before, sums);
    AMX_ORDER;
    if (!wide) return;
    _tile_loadd(7, next + 4 * AMX_ROWS, W_ROW);
    _tile_dpbssd(1, 4, 7);
    AMX_ORDER;
    amx_scale(2, 1, before, sums);
    AMX_ORDER;
    _tile_loadd(5, x + AMX_ROWS * ROW + HALF, ROW);
    _tile_dpbssd(2, 5, 6);
    AMX_ORDER;
    amx_scale(3, 1, before, sums);
    AMX_ORDER;
    _tile_dpbssd(3, 5, 7);
    AMX_ORDER;
}

INLINE void amx_last(const int wide, const amx_part *p, amx_sums sums)
{
    AMX_ORDER;
    _tile_stored(0, sums[0], 4 * AMX_ROWS);
    _tile_stored(1, sums[1], 4 * AMX_ROWS);
    _tile_stored(2, sums[2], 4 * AMX_ROWS);
    _tile_stored(3, sums[3], 4 * AMX_ROWS);
    AMX_ORDER;
    for (int t = 0; t < (wide ? 4 : 2); t++) amx_scale(t, wide, p, sums);
}

/* Codes of a block, as q8's lie. */
static void amx_codes(const char *head, dtype type, size_t groups, int8_t *out)
{
    if (type == DT_Q8) memcpy(out, head + QUANT_Q8_HEAD, groups * QUANT_Q8_GROUP);
    else quant_ready(head, DT_Q4, 0, groups, (uint8_t *)out);
}

/* Rows r0 .. r0 + m of panel p into f [m rounded up to whole parts][32], after which there is room for a part more. */
INLINE void amx_rows(const int wide, const kernel_quant *a, size_t r0, size_t m, size_t p, float *f)
{
    _Alignas(64) int8_t codes[QUANT_BLOCK * QUANT_PANEL] = {0};
    _Alignas(64) amx_sums sums;
    const size_t step = wide ? 2 * AMX_ROWS : AMX_ROWS, parts = kernel_ceil_div(m, step);
    const size_t blocks = kernel_ceil_div(a->x.groups, QUANT_GROUPS), panel = quant_panel(a->type, a->x.groups);
    const size_t ahead = kernel_ceil_div(quant_block(a->type), parts * 64) * 64; /* of the next panel, to fetch at every part */
    amx_part before = {.head = quant_at(a, p, 0), .scale = a->x.scale, .y = f + parts * step * QUANT_PANEL};
    memset(f, 0, (parts + 1) * step * QUANT_PANEL * sizeof *f);
    for (size_t b = 0; b < blocks; b++) {
        const size_t groups = quant_groups_of(a->x.groups, b);
        amx_part c = {.head = quant_at(a, p, b), .y = f};
        c.w = (const int8_t *)c.head + QUANT_Q8_HEAD;
        if (a->type == DT_Q4 || groups < QUANT_GROUPS) {
            amx_codes(c.head, a->type, groups, codes);
            c.w = codes;
        }
        uintptr_t next = (uintptr_t)c.head + panel;
        for (size_t r = 0; r < m; r += step, c.y += step * QUANT_PANEL) {
            const size_t at = kernel_rows_at(&a->x, r0 + r, b);
            const float *y = a->y + (r0 + r) * a->ldy + p * QUANT_PANEL;
            for (size_t i = 0; i < ahead; i += 64, next += 64) __builtin_prefetch((const void *)next, 0, 2);
            for (size_t i = b; i < kernel_min(step, m - r); i += blocks) {
                __builtin_prefetch(y + i * a->ldy, 1, 2);
                __builtin_prefetch(y + i * a->ldy + AMX_ROWS, 1, 2);
            }
            c.x = a->x.q + at * QUANT_BLOCK, c.scale = a->x.scale + at;
            amx_step(wide, &c, &before, sums);
            before = c;
        }
    }
    amx_last(wide, &before, sums);
}

static void amx_panel(const kernel_quant *a, size_t r0, size_t m, size_t p)
{
    _Alignas(64) float f[(AMX_CHAINS + 2 * AMX_ROWS) * QUANT_PANEL];
    const size_t col = p * QUANT_PANEL, lanes = kernel_min(QUANT_PANEL, a->n - col);
    const size_t tail = (m - 1) % (2 * AMX_ROWS) < AMX_ROWS ? (m - 1) % (2 * AMX_ROWS) + 1 : 0;
    if (m > tail) amx_rows(1, a, r0, m - tail, p, f);
    if (tail) amx_rows(0, a, r0 + m - tail, tail, p, f + (m - tail) * QUANT_PANEL);
    for (size_t r = 0; r < m; r++) {
        float *y = a->y + (r0 + r) * a->ldy + col, *from = f + r * QUANT_PANEL;
        for (size_t j = 0; a->bias && j < lanes; j++) from[j] += a->bias[col + j];
        memcpy(y, from, lanes * sizeof *y);
    }
}

static void amx_linear_quant(const kernel_quant *a)
{
    const size_t p1 = kernel_min(a->p1, kernel_ceil_div(a->n, QUANT_PANEL));
    const size_t near = (AMX_NEAR / (a->x.groups * QUANT_GROUP + 1) / AMX_CHAINS + 1) * AMX_CHAINS;
    if (a->m <= QUANT_FEW) {
        linear_quant(a);
        return;
    }
    amx_configure();
    for (size_t c = 0; c < a->m; c += near)
        for (size_t p = a->p0; p < p1; p++)
            for (size_t r = c, end = kernel_min(a->m, c + near); r < end; r += AMX_CHAINS) amx_panel(a, r, kernel_min(AMX_CHAINS, end - r), p);
    _tile_release();
}

extern const kernel_set kernel_amx;
KERNEL_TABLE_WITH(amx, 1, amx_open, amx_linear_quant);
#endif
