#include "compute/op.h"
#include "base/mem.h"
#include "base/par.h"
#include "compute/quant.h"
#include "compute/rope.h"
#include <string.h>

/* ROW_BLOCK: rows that one work item of a linear layer takes at most: what a kernel copies of X at once, a whole number
 * of its tiles, enough to reuse a panel while it lies in the cache (prefill of 512: 18% faster than with 192).
 * PANEL_GROUP: panels it takes at least; a call copies its rows of X, which fewer panels do not pay for. */
enum { ROW_BLOCK = 140, PANEL_GROUP = 6, ATTENTION_ROWS = 64, NORM_ROWS = 32, MAP_FLOATS = 1 << 14 };
/* LEAST_ROWS: with fewer for each thread, threads share the rows and split the panels: too few rows do not pay for
 * reading all weights. PANELS_HOT: what is activated at once, while it lies in the cache. */
enum { LEAST_ROWS = 64, PANELS_HOT = 24 };
/* The same with quantised weights, which are multiplied with faster than they come from memory unless rows are many. */
enum { ROW_BLOCK_QUANT = 256, LEAST_ROWS_QUANT = 128 };
/* Up to this many rows, what counts is to stream the weights: an item takes so many panels, or a multiple. */
enum { STREAM_ROWS = 8, STREAM_PANELS = 4 };
/* Below this many multiplications a parallel region costs more than it gives. */
static const size_t SMALL_WORK = 1 << 15;

/* ---- weights ---- */

static const struct {
    const char *name;
    op_act act;
} acts[] = {{"gelu", OP_ACT_GELU},           {"gelu_python", OP_ACT_GELU},
            {"gelu_new", OP_ACT_GELU_TANH},  {"gelu_fast", OP_ACT_GELU_TANH},
            {"gelu_pytorch_tanh", OP_ACT_GELU_TANH}, {"relu", OP_ACT_RELU},
            {"silu", OP_ACT_SILU},           {"swish", OP_ACT_SILU}};

int op_act_find(const char *name, const char *where, op_act *out, pith_err *e)
{
    char list[256] = "";
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, name) == 0) {
            *out = acts[i].act;
            return 0;
        }
        strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, acts[i].name, sizeof list - strlen(list) - 1);
    }
    return err_set(e, "%s \"%.80s\" is not supported (supported: %s)", where, name, list);
}

/* Panels p0 .. p1 of w [n][k], in `type`, have been packed. */
static void tell_packed(const op_ctx *c, const void *w, dtype type, size_t n, size_t k, size_t p0, size_t p1)
{
    const size_t row = k * tensor_dtypes[type].bits / 8, first = p0 * KERNEL_PANEL, last = kernel_min(n, p1 * KERNEL_PANEL);
    if (c->packed && first < last) c->packed(c->packed_ctx, (const char *)w + first * row, (last - first) * row);
}

/* An item is the panels that begin in one of the pieces which memory is cut in at multiples of `piece`. */
typedef struct pack_job {
    const op_ctx *c;
    op_weight *w;
    const void *src;
    void (*pack)(void *dst, const void *src, dtype type, size_t n, size_t k, size_t p0, size_t p1);
    size_t panel, piece, before; /* bytes; before: of the first piece, those before the first panel */
} pack_job;

/* The first panel of item i. */
static size_t pack_first(const pack_job *j, size_t i)
{
    return kernel_min(kernel_ceil_div(j->w->n, KERNEL_PANEL), i ? kernel_ceil_div(i * j->piece - j->before, j->panel) : 0);
}

static void pack_item(void *ctx, size_t i, int tid)
{
    const pack_job *j = ctx;
    const op_weight *w = j->w;
    const size_t p0 = pack_first(j, i), p1 = pack_first(j, i + 1);
    (void)tid;
    j->pack(w->panels, j->src, w->type, w->n, w->k, p0, p1);
    if (j->pack == kernel_pack) tell_packed(j->c, j->src, w->type, w->n, w->k, p0, p1);
}

/* Pieces are huge pages, unless these are too few to share out: two threads that write to a new one at the same time would
 * clear it twice. */
static void pack(pack_job *j, size_t bytes)
{
    const size_t huge = (size_t)2 << 20, threads = (size_t)j->c->threads, panels = kernel_ceil_div(j->w->n, KERNEL_PANEL);
    if (!bytes) return;
    j->panel = bytes / panels;
    j->piece = bytes >= 2 * huge * threads ? huge : kernel_ceil_div(panels, 4 * threads) * j->panel;
    j->before = j->piece == huge ? (uintptr_t)j->w->panels % huge : 0;
    par_for(j->c->threads, kernel_ceil_div(j->before + bytes, j->piece), pack_item, j);
}

int op_vector_load(float **out, tensor t, pith_err *e)
{
    *out = NULL;
    if (!t.data) return 0;
    size_t n = (size_t)tensor_count(t);
    *out = mem_alloc(n ? n * sizeof **out : 1);
    if (!*out) return err_nomem(e, n * sizeof **out, "weights");
    if (tensor_read_f32(t, 0, n, *out))
        return err_set(e, "weights of dtype %s cannot be computed with", tensor_dtypes[t.type].name);
    return 0;
}

typedef struct quant_job {
    const op_ctx *c;
    op_weight *w;
    tensor src;
    size_t group;
    struct {
        int failed;
        size_t row, col;
    } *bad; /* of each item */
} quant_job;

static void quant_item(void *ctx, size_t i, int tid)
{
    const quant_job *j = ctx;
    const size_t p0 = i * j->group, p1 = kernel_min(kernel_ceil_div(j->w->n, KERNEL_PANEL), p0 + j->group);
    (void)tid;
    j->bad[i].failed = quant_pack(j->c->kernels, j->w->panels, j->src, j->w->type, p0, p1, &j->bad[i].row, &j->bad[i].col);
    tell_packed(j->c, j->src.data, j->src.type, j->w->n, j->w->k, p0, p1);
}

static int load_quant(op_weight *p, const op_ctx *c, tensor w, pith_err *e)
{
    size_t panels = kernel_ceil_div(p->n, KERNEL_PANEL), items = kernel_ceil_div(panels, 4);
    quant_job j = {.c = c, .w = p, .src = w, .group = 4};
    j.bad = mem_zero(items, sizeof *j.bad);
    if (!j.bad) return err_nomem(e, items * sizeof *j.bad, "quantising weights");
    par_for(c->threads, items, quant_item, &j);
    int failed = 0;
    for (size_t i = 0; i < items && !failed; i++) {
        float value = 0;
        if (!j.bad[i].failed) continue;
        tensor_read_f32(w, (uint64_t)j.bad[i].row * p->k + j.bad[i].col, 1, &value);
        failed = err_set(e, "row %zu, column %zu is %g, which cannot be quantised (`pith verify` tells more); load the weights as they are, "
                            "without --dtype", j.bad[i].row, j.bad[i].col, (double)value);
    }
    mem_free(j.bad);
    return failed;
}

/* p: n, k and type are set */
static int load(op_weight *p, const op_ctx *c, pack_job job, tensor w, tensor bias, pith_err *e)
{
    uint64_t bytes;
    if (kernel_panel_bytes(p->n, p->k, p->type, &bytes) || bytes > SIZE_MAX)
        return err_set(e, "a weight matrix of %zu x %zu does not fit memory", p->n, p->k);
    p->panels = chunks_take(c->kept, (size_t)bytes);
    p->borrowed = c->kept != NULL;
    if (!p->panels) return err_nomem(e, (size_t)bytes, "weights");
    if (p->type == DT_Q8 || p->type == DT_Q4)
        return load_quant(p, c, w, e) ? -1 : op_vector_load(&p->bias, bias, e);
    job.c = c;
    job.w = p;
    pack(&job, (size_t)bytes);
    return op_vector_load(&p->bias, bias, e);
}

/* Panels as a file has them: used where they lie, if that is as aligned as kernels like. */
static int load_panels(op_weight *p, const op_ctx *c, tensor w, tensor bias, pith_err *e)
{
    *p = (op_weight){.n = (size_t)w.shape[0], .k = (size_t)w.shape[1], .type = w.type, .borrowed = (uintptr_t)w.data % 64 == 0};
    p->panels = p->borrowed ? (void *)(uintptr_t)w.data : chunks_take(c->kept, (size_t)w.nbytes);
    if (!p->panels) return err_nomem(e, (size_t)w.nbytes, "weights");
    if (!p->borrowed) memcpy(p->panels, w.data, (size_t)w.nbytes);
    p->borrowed |= c->kept != NULL;
    return op_vector_load(&p->bias, bias, e);
}

int op_weight_load(op_weight *p, const op_ctx *c, tensor w, tensor bias, pith_err *e)
{
    *p = (op_weight){0};
    if (!w.data) return 0;
    if (w.panels) return load_panels(p, c, w, bias, e);
    dtype type = c->weights && w.shape[0] >= KERNEL_PANEL ? c->weights : w.type;
    *p = (op_weight){.n = (size_t)w.shape[0], .k = (size_t)w.shape[1], .type = type};
    return load(p, c, (pack_job){.src = w.data, .pack = kernel_pack}, w, bias, e);
}

int op_weight_load_transposed(op_weight *p, const op_ctx *c, tensor w, tensor bias, pith_err *e)
{
    *p = (op_weight){0};
    if (!w.data) return 0;
    *p = (op_weight){.n = (size_t)w.shape[1], .k = (size_t)w.shape[0], .type = w.type};
    return load(p, c, (pack_job){.src = w.data, .pack = kernel_pack_transposed}, w, bias, e);
}

void op_weight_free(op_weight *p)
{
    if (!p->borrowed) mem_free_aligned(p->panels);
    mem_free(p->bias);
    *p = (op_weight){0};
}

uint64_t op_weight_bytes(const op_weight *p)
{
    uint64_t bytes = 0;
    if (p->panels) kernel_panel_bytes(p->n, p->k, p->type, &bytes);
    return bytes + (p->bias ? p->n * sizeof(float) : 0);
}

/* ---- linear ---- */

typedef struct linear_job {
    const op_ctx *c;
    kernel_linear a; /* all of it; items narrow rows and panels */
    size_t panels, row_block, panel_group, row_items;
    op_act act;
} linear_job;

void op_activate(const op_ctx *c, op_act act, float *x, size_t n)
{
    const kernel_set *k = c->kernels;
    switch (act) {
    case OP_ACT_NONE: break;
    case OP_ACT_GELU: k->gelu(x, n); break;
    case OP_ACT_GELU_TANH: k->gelu_tanh(x, n); break;
    case OP_ACT_RELU: k->relu(x, n); break;
    case OP_ACT_SILU: k->silu(x, n); break;
    case OP_ACT_TANH: k->vtanh(x, n); break;
    }
}

/* The outputs of panels p0 .. p1 of m rows of n. */
static void activate_panels(const op_ctx *c, op_act act, float *y, size_t m, size_t n, size_t p0, size_t p1)
{
    size_t first = p0 * KERNEL_PANEL, last = kernel_min(n, p1 * KERNEL_PANEL);
    if (act == OP_ACT_NONE) return;
    for (size_t r = 0; r < m; r++) op_activate(c, act, y + r * n + first, last - first);
}

void op_room_layout(op_ctx *c, size_t m, arena *a)
{
    if (m > KERNEL_OWN) c->room = arena_take(a, (size_t)c->threads, KERNEL_ROOM * sizeof *c->room);
}

float *op_room(const op_ctx *c, int tid) { return c->room ? c->room + (size_t)tid * KERNEL_ROOM : NULL; }

static void linear_item(void *ctx, size_t i, int tid)
{
    const linear_job *j = ctx;
    kernel_linear a = j->a;
    size_t row = i % j->row_items * j->row_block;
    a.room = op_room(j->c, tid);
    a.x += row * a.ldx;
    a.y += row * a.ldy;
    a.m = kernel_min(j->row_block, a.m - row);
    a.p0 = i / j->row_items * j->panel_group;
    a.p1 = kernel_min(j->panels, a.p0 + j->panel_group);
    j->c->kernels->linear(&a);
    activate_panels(j->c, j->act, a.y, a.m, a.n, a.p0, a.p1);
}

typedef struct rows_job {
    const op_ctx *c;
    const float *x;
    size_t m, k;
    kernel_quant a; /* all of it; items narrow panels */
    size_t panels, panel_group;
    op_act act;
} rows_job;

static void rows_item(void *ctx, size_t i, int tid)
{
    const rows_job *j = ctx;
    size_t first = i * NORM_ROWS;
    kernel_rows out = op_rows_from(&j->a.x, kernel_rows_at(&j->a.x, first, 0));
    (void)tid;
    j->c->kernels->quantize(j->x + first * j->k, j->k, kernel_min(NORM_ROWS, j->m - first), j->k, &out);
}

static void linear_quant_item(void *ctx, size_t i, int tid)
{
    const rows_job *j = ctx;
    kernel_quant a = j->a;
    (void)tid;
    a.p0 = i * j->panel_group;
    a.p1 = kernel_min(j->panels, a.p0 + j->panel_group);
    j->c->kernels->linear_quant(&a);
    activate_panels(j->c, j->act, a.y, a.m, a.n, a.p0, a.p1);
}

int op_threads(const op_ctx *c, size_t m, size_t n, size_t k) { return m * n < SMALL_WORK / (k + 1) ? 1 : c->threads; }

kernel_rows op_rows_from(const kernel_rows *x, size_t at)
{
    return (kernel_rows){x->q + at * QUANT_BLOCK, x->scale + at, x->sum + at * QUANT_GROUPS, x->groups, x->rows};
}

kernel_rows op_rows_of(const kernel_rows *x, size_t scratch)
{
    return x->q ? op_rows_from(x, scratch * (x->groups / QUANT_GROUPS)) : *x;
}

kernel_rows op_rows_for(const op_ctx *c, size_t m, size_t k)
{
    kernel_rows x = c->rows;
    x.groups = kernel_ceil_div(k, QUANT_GROUP);
    x.rows = kernel_room(m);
    return x;
}

kernel_rows op_quantize(const op_ctx *c, const float *x, size_t m, size_t k)
{
    rows_job j = {.c = c, .x = x, .m = m, .k = k, .a = {.x = op_rows_for(c, m, k)}};
    par_for(m * k < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(m, NORM_ROWS), rows_item, &j);
    return j.a.x;
}

/* Fills j for y = w . the rows in c->rows; the number of its items. */
static size_t plan_rows(rows_job *j, const op_ctx *c, const op_weight *w, size_t m, float *y, op_act act)
{
    *j = (rows_job){.c = c, .m = m, .k = w->k, .act = act, .panels = kernel_ceil_div(w->n, KERNEL_PANEL)};
    j->a = (kernel_quant){.x = op_rows_for(c, m, w->k), .m = m, .n = w->n, .w = w->panels, .type = w->type, .bias = w->bias, .y = y, .ldy = w->n};
    size_t items = (m <= STREAM_ROWS ? 4 : 16) * (size_t)c->threads;
    j->panel_group = kernel_ceil_div(kernel_ceil_div(j->panels, items), STREAM_PANELS) * STREAM_PANELS;
    return kernel_ceil_div(j->panels, j->panel_group);
}

void op_linear_rows(const op_ctx *c, const op_weight *w, size_t m, float *y, op_act act)
{
    rows_job j;
    size_t items = plan_rows(&j, c, w, m, y, act);
    par_for(op_threads(c, m, w->n, w->k), items, linear_quant_item, &j);
}

size_t op_rows_most(const op_ctx *c) { return c->weights ? ROW_BLOCK_QUANT : ROW_BLOCK; }

void op_rows_take(kernel_rows *x, const op_ctx *c, size_t m, size_t k, arena *a)
{
    size_t blocks = kernel_ceil_div(k, QUANT_BLOCK), rows = kernel_room(m), scratch = op_rows_scratch(c, m);
    if (!c->weights) return;
    if (rows < scratch) rows = scratch;
    x->q = arena_take(a, rows, blocks * QUANT_BLOCK);
    x->scale = arena_take(a, rows, blocks * sizeof *x->scale);
    x->sum = arena_take(a, rows, blocks * QUANT_GROUPS * sizeof *x->sum);
    x->groups = blocks * QUANT_GROUPS;
}

void op_rows_layout(op_ctx *c, size_t m, size_t k, arena *a) { op_rows_take(&c->rows, c, m, k, a); }

/* Rows of one block of op_each_rows; m: all at once. */
static size_t rows_block(const op_ctx *c, size_t m)
{
    size_t most = op_rows_most(c), least = c->weights ? LEAST_ROWS_QUANT : LEAST_ROWS;
    size_t threads = (size_t)c->threads, blocks = kernel_ceil_div(kernel_ceil_div(m, most), threads) * threads;
    size_t block = kernel_ceil_div(m, blocks ? blocks : 1);
    if (m < threads * least) return m;
    return c->weights ? kernel_ceil_div(block, KERNEL_PANEL) * KERNEL_PANEL : block; /* whole tiles */
}

typedef struct each_job {
    const op_ctx *c;
    op_ctx one;
    size_t m, block;
    op_rows_fn *fn;
    void *ctx;
} each_job;

static void each_item(void *ctx, size_t i, int tid)
{
    const each_job *j = ctx;
    size_t first = i * j->block, scratch = (size_t)tid * j->block;
    op_ctx one = j->one;
    one.rows = op_rows_of(&one.rows, scratch);
    one.room = op_room(j->c, tid);
    j->fn(j->ctx, &(op_rows){&one, first, kernel_min(j->block, j->m - first), scratch});
}

void op_each_rows(const op_ctx *c, size_t m, op_rows_fn *fn, void *ctx)
{
    each_job j = {c, *c, m, rows_block(c, m), fn, ctx};
    j.one.threads = 1;
    if (j.block < m) par_for(c->threads, kernel_ceil_div(m, j.block), each_item, &j);
    else if (m) fn(ctx, &(op_rows){c, 0, m, 0});
}

size_t op_rows_scratch(const op_ctx *c, size_t m)
{
    size_t threads = (size_t)c->threads, rounded = c->weights ? KERNEL_PANEL : 1; /* as blocks are */
    return kernel_min(m + threads * rounded, threads * op_rows_most(c));
}

int op_is_quantised(const op_weight *w) { return w->type == DT_Q8 || w->type == DT_Q4; }

/* The same for x as it is. */
static size_t plan_floats(linear_job *j, const op_ctx *c, const op_weight *w, const float *x, size_t m, float *y, op_act act)
{
    const size_t threads = (size_t)c->threads, least = m <= STREAM_ROWS ? STREAM_PANELS : PANEL_GROUP;
    *j = (linear_job){.c = c, .act = act, .panels = kernel_ceil_div(w->n, KERNEL_PANEL)};
    j->a = (kernel_linear){.x = x, .ldx = w->k, .m = m, .k = w->k, .n = w->n, .w = w->panels, .type = w->type,
                           .bias = w->bias, .y = y, .ldy = w->n};
    j->row_block = m <= ROW_BLOCK ? m : kernel_ceil_div(m, kernel_ceil_div(m, ROW_BLOCK));
    j->row_items = kernel_ceil_div(m, j->row_block);
    /* Enough items that no worker waits long for the last one. */
    size_t groups = threads > 1 ? kernel_ceil_div(4 * threads, j->row_items) : 1, hot = kernel_ceil_div(j->panels, PANELS_HOT);
    if (act != OP_ACT_NONE && m > STREAM_ROWS && groups < hot) groups = hot;
    j->panel_group = kernel_ceil_div(j->panels, kernel_min(groups, kernel_ceil_div(j->panels, least)));
    if (m <= STREAM_ROWS) j->panel_group = kernel_ceil_div(j->panel_group, STREAM_PANELS) * STREAM_PANELS;
    return j->row_items * kernel_ceil_div(j->panels, j->panel_group);
}

typedef struct linears_job {
    struct {
        int quantised;
        union {
            rows_job rows;
            linear_job floats;
        } as;
        size_t end; /* items of it and of those before it */
    } of[OP_LINEARS];
} linears_job;

static void linears_item(void *ctx, size_t i, int tid)
{
    linears_job *j = ctx;
    size_t w = 0, first = 0;
    while (i >= j->of[w].end) first = j->of[w++].end;
    if (j->of[w].quantised) linear_quant_item(&j->of[w].as.rows, i - first, tid);
    else linear_item(&j->of[w].as.floats, i - first, tid);
}

void op_linears(const op_ctx *c, const op_into *to, size_t n, const float *x, size_t m)
{
    linears_job j;
    size_t items = 0, outputs = 0;
    int ready = 0; /* x in 8 bits */
    for (size_t i = 0; i < n; i++) {
        const op_weight *w = to[i].w;
        j.of[i].quantised = op_is_quantised(w);
        if (m && w->n && j.of[i].quantised) {
            if (!ready++) op_quantize(c, x, m, w->k);
            items += plan_rows(&j.of[i].as.rows, c, w, m, to[i].y, to[i].act);
        } else if (m && w->n)
            items += plan_floats(&j.of[i].as.floats, c, w, x, m, to[i].y, to[i].act);
        j.of[i].end = items;
        outputs += w->n;
    }
    if (items) par_for(op_threads(c, m, outputs, to[0].w->k), items, linears_item, &j);
}

void op_linear(const op_ctx *c, const op_weight *w, const float *x, size_t m, float *y, op_act act)
{
    op_linears(c, &(op_into){w, y, act}, 1, x, m);
}

/* ---- rows ---- */

typedef struct norm_job {
    const op_ctx *c;
    const float *x;
    float *y;
    const float *r, *gamma, *beta;
    float eps;
    size_t m, n;
    float *sum; /* x again, where it is to become x + r */
} norm_job;

static void norm_item(void *ctx, size_t i, int tid)
{
    const norm_job *j = ctx;
    size_t last = kernel_min(j->m, (i + 1) * NORM_ROWS);
    (void)tid;
    for (size_t row = i * NORM_ROWS; row < last; row++) {
        if (j->r) j->c->kernels->add(j->r + row * j->n, j->sum + row * j->n, j->n);
        j->c->kernels->layernorm(j->x + row * j->n, j->gamma, j->beta, j->eps, j->y + row * j->n, j->n);
    }
}

void op_add_layernorm(const op_ctx *c, float *x, const float *r, const float *gamma, const float *beta, float eps,
                      float *y, size_t m, size_t n)
{
    norm_job j = {c, x, y, r, gamma, beta, eps, m, n, x};
    par_for(m * n < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(m, NORM_ROWS), norm_item, &j);
}

static void rmsnorm_item(void *ctx, size_t i, int tid)
{
    const norm_job *j = ctx;
    size_t last = kernel_min(j->m, (i + 1) * NORM_ROWS);
    (void)tid;
    for (size_t row = i * NORM_ROWS; row < last; row++)
        j->c->kernels->rmsnorm(j->x + row * j->n, j->gamma, j->eps, j->y + row * j->n, j->n);
}

void op_rmsnorm(const op_ctx *c, const float *x, const float *gamma, float eps, float *y, size_t m, size_t n)
{
    norm_job j = {c, x, y, NULL, gamma, NULL, eps, m, n, NULL};
    par_for(m * n < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(m, NORM_ROWS), rmsnorm_item, &j);
}

typedef struct map_job {
    void (*fn)(const float *x, float *y, size_t n);
    const float *x;
    float *y;
    size_t n;
} map_job;

static void map_item(void *ctx, size_t i, int tid)
{
    const map_job *j = ctx;
    size_t first = i * MAP_FLOATS;
    (void)tid;
    j->fn(j->x + first, j->y + first, kernel_min(MAP_FLOATS, j->n - first));
}

static void map(const op_ctx *c, void (*fn)(const float *, float *, size_t), const float *x, float *y, size_t n)
{
    map_job j = {fn, x, y, n};
    par_for(n < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(n, MAP_FLOATS), map_item, &j);
}

void op_add(const op_ctx *c, const float *x, float *y, size_t n) { map(c, c->kernels->add, x, y, n); }
void op_mul(const op_ctx *c, const float *x, float *y, size_t n) { map(c, c->kernels->mul, x, y, n); }

typedef struct scale_job {
    const kernel_set *k;
    float *y;
    size_t n;
    float by;
} scale_job;

static void scale_item(void *ctx, size_t i, int tid)
{
    const scale_job *j = ctx;
    size_t last = kernel_min(j->n, (i + 1) * MAP_FLOATS);
    (void)tid;
    for (size_t at = i * MAP_FLOATS; at < last; at++) j->y[at] *= j->by;
}

static void softcap_item(void *ctx, size_t i, int tid)
{
    const scale_job *j = ctx;
    float *y = j->y + i * MAP_FLOATS;
    size_t n = kernel_min(MAP_FLOATS, j->n - i * MAP_FLOATS);
    (void)tid;
    for (size_t at = 0; at < n; at++) y[at] /= j->by;
    j->k->vtanh(y, n);
    for (size_t at = 0; at < n; at++) y[at] *= j->by;
}

void op_scale(const op_ctx *c, float s, float *y, size_t n)
{
    scale_job j = {c->kernels, y, n, s};
    par_for(n < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(n, MAP_FLOATS), scale_item, &j);
}

void op_softcap(const op_ctx *c, float cap, float *y, size_t n)
{
    scale_job j = {c->kernels, y, n, cap};
    par_for(n < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(n, MAP_FLOATS), softcap_item, &j);
}

typedef struct rope_job {
    const float *cosine, *sine;
    float *x;
    size_t m, n_head, half;
} rope_job;

static void rope_item(void *ctx, size_t i, int tid)
{
    const rope_job *j = ctx;
    size_t last = kernel_min(j->m, (i + 1) * NORM_ROWS), half = j->half;
    (void)tid;
    for (size_t row = i * NORM_ROWS; row < last; row++)
        for (size_t h = 0; h < j->n_head; h++)
            rope_rotate(j->cosine + row * half, j->sine + row * half, half, j->x + (row * j->n_head + h) * 2 * half);
}

void op_rope(const op_ctx *c, const float *cosine, const float *sine, float *x, size_t m, size_t n_head, size_t dim)
{
    rope_job j = {cosine, sine, x, m, n_head, dim / 2};
    par_for(m * n_head * dim < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(m, NORM_ROWS), rope_item, &j);
}

void op_embed_row(tensor table, uint64_t row, float *y)
{
    tensor_read_f32(table, row * table.shape[1], (size_t)table.shape[1], y);
}

typedef struct embed_job {
    tensor table;
    const int32_t *ids;
    size_t m;
    float *y;
} embed_job;

static void embed_item(void *ctx, size_t i, int tid)
{
    const embed_job *j = ctx;
    size_t last = kernel_min(j->m, (i + 1) * NORM_ROWS), n = (size_t)j->table.shape[1];
    (void)tid;
    for (size_t row = i * NORM_ROWS; row < last; row++)
        op_embed_row(j->table, (uint64_t)j->ids[row], j->y + row * n);
}

void op_embed(const op_ctx *c, tensor table, const int32_t *ids, size_t m, float *y)
{
    embed_job j = {table, ids, m, y};
    par_for(m * (size_t)table.shape[1] < SMALL_WORK ? 1 : c->threads, kernel_ceil_div(m, NORM_ROWS), embed_item, &j);
}

/* ---- attention ---- */

typedef struct attention_job {
    const op_ctx *c;
    const op_attention_work *w;
    const float *q, *k, *v;
    const size_t *start;
    size_t n_seq, n_head, head_dim, stride; /* stride: floats between tokens */
    float scale;
    float *y;
} attention_job;

/* pad32(t) = floor32(t + 31), and floor32(a + b) >= floor32(a) + floor32(b): so sequence s may begin at key row
 * floor32(start[s] + 31 s) without meeting the one before it, and no table of offsets is needed. */
static size_t key_row(size_t start, size_t s) { return (start + s * (KERNEL_PANEL - 1)) / KERNEL_PANEL * KERNEL_PANEL; }
static size_t seq_len(const attention_job *j, size_t s) { return j->start[s + 1] - j->start[s]; }

static float *key_at(const attention_job *j, size_t s, size_t h)
{
    return j->w->keys + (key_row(j->start[s], s) * j->n_head + h * kernel_pad(seq_len(j, s))) * j->head_dim;
}
static float *value_at(const attention_job *j, size_t s, size_t h)
{
    return j->w->values + (j->start[s] * j->n_head + h * seq_len(j, s)) * kernel_pad(j->head_dim);
}

void op_attention_layout(op_attention_work *w, const op_ctx *c, size_t n_tok, size_t n_seq, size_t max_len,
                         size_t n_head, size_t head_dim, arena *a)
{
    size_t rows = max_len < ATTENTION_ROWS ? max_len : ATTENTION_ROWS;
    w->keys = arena_take(a, key_row(n_tok, n_seq), n_head * head_dim * sizeof(float));
    w->values = arena_take(a, n_tok, n_head * kernel_pad(head_dim) * sizeof(float));
    w->max_len = max_len;
    w->ld_scores = kernel_stride(kernel_pad(max_len));
    w->scores = arena_take(a, (size_t)c->threads * rows, w->ld_scores * sizeof(float));
    w->first_tile = arena_take(a, n_seq + 1, sizeof(size_t));
}

static void attention_pack(void *ctx, size_t i, int tid)
{
    const attention_job *j = ctx;
    size_t s = i / j->n_head, h = i % j->n_head, t = seq_len(j, s);
    size_t at = j->start[s] * j->stride + h * j->head_dim;
    (void)tid;
    kernel_pack_rows(key_at(j, s, h), j->k + at, j->stride, t, j->head_dim, 0, kernel_ceil_div(t, KERNEL_PANEL));
    kernel_pack_cols(value_at(j, s, h), j->v + at, j->stride, j->head_dim, t);
}

/* One tile of query rows of one head: scores = Q K^T, softmax, P V. */
static void attention_item(void *ctx, size_t i, int tid)
{
    const attention_job *j = ctx;
    size_t tile = i / j->n_head, h = i % j->n_head, lo = 0, hi = j->n_seq;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (j->w->first_tile[mid] <= tile) lo = mid;
        else hi = mid;
    }
    size_t t = seq_len(j, lo), row = (tile - j->w->first_tile[lo]) * ATTENTION_ROWS;
    size_t at = (j->start[lo] + row) * j->stride + h * j->head_dim, rows = kernel_min(ATTENTION_ROWS, t - row);
    float *scores = j->w->scores + (size_t)tid * kernel_min(ATTENTION_ROWS, j->w->max_len) * j->w->ld_scores;
    kernel_linear qk = {.x = j->q + at, .ldx = j->stride, .m = rows, .k = j->head_dim, .n = t, .w = key_at(j, lo, h),
                        .type = DT_F32, .p0 = 0, .p1 = kernel_ceil_div(t, KERNEL_PANEL), .y = scores,
                        .ldy = j->w->ld_scores, .room = op_room(j->c, tid)};
    j->c->kernels->linear(&qk);
    for (size_t r = 0; r < rows; r++) j->c->kernels->softmax(scores + r * j->w->ld_scores, j->scale, t);
    kernel_linear pv = {.x = scores, .ldx = j->w->ld_scores, .m = rows, .k = t, .n = j->head_dim,
                        .w = value_at(j, lo, h), .type = DT_F32, .p0 = 0, .p1 = kernel_ceil_div(j->head_dim, KERNEL_PANEL),
                        .y = j->y + at, .ldy = j->stride, .chain = 1};
    j->c->kernels->linear(&pv);
}

void op_attention(const op_ctx *c, const op_attention_work *w, const float *q, const float *k, const float *v,
                  const size_t *start, size_t n_seq, size_t n_head, size_t head_dim, float scale, float *y)
{
    attention_job j = {c, w, q, k, v, start, n_seq, n_head, head_dim, n_head * head_dim, scale, y};
    size_t tiles = 0;
    for (size_t s = 0; s < n_seq; s++) {
        w->first_tile[s] = tiles;
        tiles += kernel_ceil_div(seq_len(&j, s), ATTENTION_ROWS);
    }
    w->first_tile[n_seq] = tiles;
    int threads = start[n_seq] * j.stride < SMALL_WORK / 8 ? 1 : c->threads;
    par_for(threads, n_seq * n_head, attention_pack, &j);
    par_for(threads, tiles * n_head, attention_item, &j);
}
