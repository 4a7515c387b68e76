#include "compute/mlp.h"
#include "base/par.h"
#include "compute/quant.h"

/* HOT: columns of a chunk, of which 256 rows fit the second cache twice, beside their x in 8 bits. */
enum { HOT = 512, HOT_STRIDE = HOT + KERNEL_PANEL };

void mlp_layout(mlp_work *w, const op_ctx *c, size_t m, size_t hidden, size_t wide, arena *a)
{
    size_t rows = (size_t)c->threads * kernel_min(m, op_rows_most(c));
    *w = (mlp_work){0};
    w->gate = arena_take(a, rows, HOT_STRIDE * sizeof(float));
    w->up = arena_take(a, rows, HOT_STRIDE * sizeof(float));
    if (!c->weights || hidden < KERNEL_PANEL) w->z = arena_take(a, op_rows_scratch(c, m), wide * sizeof(float));
    op_rows_take(&w->rows, c, m, hidden, a);
}

typedef struct job {
    const op_rows *r;
    const mlp_weights *w;
    const mlp_work *work;
    const float *x;
    kernel_rows x8, z8;
    float *z;
    size_t rows, parts, cols; /* of an item; parts: that all rows are cut in */
} job;

/* y [m][ld] = columns col .. col + n of the product with x, rows `first` and on. */
static void product(const job *j, const op_weight *w, size_t first, size_t m, size_t col, size_t n, float *y, size_t ld, int tid)
{
    const kernel_set *k = j->r->op->kernels;
    const float *bias = w->bias ? w->bias + col : NULL;
    uint64_t panel = 0;
    kernel_panel_bytes(KERNEL_PANEL, w->k, w->type, &panel);
    const char *panels = (const char *)w->panels + col / KERNEL_PANEL * (size_t)panel;
    if (op_is_quantised(w))
        k->linear_quant(&(kernel_quant){.x = op_rows_from(&j->x8, first), .m = m, .n = n, .w = panels, .type = w->type,
                                        .p1 = kernel_ceil_div(n, KERNEL_PANEL), .bias = bias, .y = y, .ldy = ld});
    else
        k->linear(&(kernel_linear){.x = j->x + first * w->k, .ldx = w->k, .m = m, .k = w->k, .n = n, .w = panels, .type = w->type,
                                   .p1 = kernel_ceil_div(n, KERNEL_PANEL), .bias = bias, .y = y, .ldy = ld,
                                   .room = op_room(j->r->op, tid)});
}

/* A chunk of columns of some of the rows. */
static void item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    const mlp_weights *w = j->w;
    const op_ctx *c = j->r->op;
    const size_t wide = w->up->n, first = i % j->parts * j->rows, m = kernel_min(j->rows, j->r->m - first);
    const size_t col = i / j->parts * j->cols, n = kernel_min(j->cols, wide - col);
    const size_t own = (j->r->scratch + (size_t)tid * j->rows) * HOT_STRIDE, ld = j->z ? wide : HOT_STRIDE;
    float *gate = j->work->gate + own, *up = j->z ? j->z + first * wide + col : j->work->up + own;
    if (w->gate) product(j, w->gate, first, m, col, n, gate, HOT_STRIDE, tid);
    product(j, w->up, first, m, col, n, up, ld, tid);
    for (size_t r = 0; r < m; r++) {
        op_activate(c, w->act, w->gate ? gate + r * HOT_STRIDE : up + r * ld, n);
        if (w->gate) c->kernels->mul(gate + r * HOT_STRIDE, up + r * ld, n);
    }
    if (j->z) return;
    kernel_rows out = op_rows_from(&j->z8, kernel_rows_at(&j->z8, first, col / QUANT_BLOCK));
    c->kernels->quantize(up, ld, m, n, &out);
}

void mlp_run(const op_rows *r, const mlp_weights *w, const mlp_work *work, const float *x, float *y)
{
    const op_ctx *c = r->op;
    const size_t m = r->m, wide = w->up->n, hidden = w->up->k, threads = (size_t)c->threads, unit = QUANT_BLOCK;
    const int quantised = op_is_quantised(w->down);
    op_ctx in = *c;
    job j = {.r = r, .w = w, .work = work, .x = x};
    if (!m) return;
    in.rows = op_rows_of(&work->rows, r->scratch);
    if (op_is_quantised(w->up) || (w->gate && op_is_quantised(w->gate))) j.x8 = op_quantize(&in, x, m, hidden);
    if (quantised) j.z8 = op_rows_for(c, m, wide);
    else j.z = work->z + r->scratch * wide;
    j.parts = kernel_ceil_div(m, op_rows_most(c));
    j.rows = kernel_ceil_div(m, j.parts);
    /* Enough items that no thread waits long for the last one. */
    j.cols = threads > 1 ? kernel_min(HOT, kernel_ceil_div(wide * j.parts, 16 * threads * unit) * unit) : HOT;
    par_for(op_threads(c, m, wide, hidden), j.parts * kernel_ceil_div(wide, j.cols), item, &j);
    if (quantised) op_linear_rows(c, w->down, m, y, OP_ACT_NONE);
    else op_linear(c, w->down, j.z, m, y, OP_ACT_NONE);
}
