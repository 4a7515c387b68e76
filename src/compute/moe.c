#include "compute/moe.h"
#include "base/mem.h"
#include "base/par.h"
#include <string.h>

enum { TOKENS = 16 }; /* of one work item */
static const size_t SMALL_WORK = 1 << 15; /* as in op.c */

void moe_layout(moe_work *w, const moe *m, size_t n_tok, arena *a)
{
    size_t k = m->top_k * sizeof(float), rows = m->top_k; /* rows a token */
    w->logits = arena_take(a, n_tok, m->n_expert * sizeof(float));
    w->weight = arena_take(a, n_tok, k);
    w->expert = arena_take(a, n_tok, rows * sizeof(size_t));
    w->row = arena_take(a, n_tok, rows * sizeof(size_t));
    w->token = arena_take(a, n_tok, rows * sizeof(size_t));
    w->first = arena_take(a, m->n_expert + 1, sizeof(size_t));
    w->hit = arena_take(a, m->n_expert, sizeof(size_t));
    w->x = arena_take(a, n_tok, k * m->hidden);
    w->gate_up = arena_take(a, n_tok, 2 * k * m->inter);
    w->z = arena_take(a, n_tok, k * m->inter);
    w->y = arena_take(a, n_tok, k * m->hidden);
}

int moe_load(op_weight **list, const op_ctx *c, tensor w, tensor bias, pith_err *e)
{
    *list = NULL;
    if (!w.data || !bias.data) return 0;
    size_t n = (size_t)w.shape[0];
    *list = mem_zero(n, sizeof **list);
    if (!*list) return err_nomem(e, n * sizeof **list, "experts");
    for (size_t i = 0; i < n; i++)
        if (op_weight_load_transposed(&(*list)[i], c, tensor_at(w, i), tensor_at(bias, i), e)) return -1;
    return 0;
}

void moe_free(moe *m)
{
    for (size_t i = 0; m->gate_up && i < m->n_expert; i++) op_weight_free(&m->gate_up[i]);
    for (size_t i = 0; m->down && i < m->n_expert; i++) op_weight_free(&m->down[i]);
    mem_free(m->gate_up);
    mem_free(m->down);
    *m = (moe){0};
}

uint64_t moe_bytes(const moe *m)
{
    uint64_t n = 0;
    for (size_t i = 0; m->gate_up && m->down && i < m->n_expert; i++) n += op_weight_bytes(&m->gate_up[i]) + op_weight_bytes(&m->down[i]);
    return n;
}

/* ---- route ---- */

static int larger(float a, float b) { return a > b || (a != a && b == b); }

/* Chooses for one token; expert [top_k] and weight [top_k] end in ascending order of expert. */
static void choose(const op_ctx *c, const moe *m, const float *logits, size_t *expert, float *weight)
{
    size_t k = m->top_k;
    for (size_t r = 0; r < k; r++) {
        size_t best = m->n_expert;
        for (size_t e = 0; e < m->n_expert; e++) {
            int taken = 0;
            for (size_t q = 0; q < r; q++) taken |= expert[q] == e;
            if (!taken && (best == m->n_expert || larger(logits[e], logits[best]))) best = e;
        }
        expert[r] = best;
        weight[r] = logits[best];
    }
    c->kernels->softmax(weight, 1, k);
    for (size_t r = 1; r < k; r++)
        for (size_t q = r; q && expert[q] < expert[q - 1]; q--) {
            size_t e = expert[q];
            float p = weight[q];
            expert[q] = expert[q - 1], weight[q] = weight[q - 1];
            expert[q - 1] = e, weight[q - 1] = p;
        }
}

typedef struct job {
    const op_ctx *c;
    const moe *m;
    const moe_work *w;
    const float *x;
    float *y;
    size_t n_tok;
    /* of one grouped product */
    const op_weight *weights;
    const float *in;
    float *out;
    size_t groups, panel_group;
} job;

static void choose_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    const moe *m = j->m;
    size_t last = kernel_min(j->n_tok, (i + 1) * TOKENS);
    (void)tid;
    for (size_t t = i * TOKENS; t < last; t++)
        choose(j->c, m, j->w->logits + t * m->n_expert, j->w->expert + t * m->top_k, j->w->weight + t * m->top_k);
}

/* Rows sorted by expert, tokens ascending within one; returns the number of experts that have any. */
static size_t sort_rows(const moe *m, const moe_work *w, size_t n_tok)
{
    size_t n = n_tok * m->top_k, hits = 0;
    memset(w->first, 0, (m->n_expert + 1) * sizeof *w->first);
    for (size_t i = 0; i < n; i++) w->first[w->expert[i] + 1]++;
    for (size_t e = 0; e < m->n_expert; e++) {
        if (w->first[e + 1]) w->hit[hits++] = e;
        w->first[e + 1] += w->first[e];
    }
    for (size_t i = 0; i < n; i++) { /* first[e] runs ahead to first[e + 1] ... */
        size_t row = w->first[w->expert[i]]++;
        w->row[i] = row;
        w->token[row] = i / m->top_k;
    }
    for (size_t e = m->n_expert; e; e--) w->first[e] = w->first[e - 1]; /* ... and is set back */
    w->first[0] = 0;
    return hits;
}

static void gather_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    size_t h = j->m->hidden, last = kernel_min(j->n_tok * j->m->top_k, (i + 1) * TOKENS);
    (void)tid;
    for (size_t r = i * TOKENS; r < last; r++) memcpy(j->w->x + r * h, j->x + j->w->token[r] * h, h * sizeof(float));
}

/* ---- experts ---- */

/* A group of panels of one expert, for all of its rows. */
static void product_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    size_t e = j->w->hit[i / j->groups], first = j->w->first[e];
    const op_weight *w = &j->weights[e];
    kernel_linear a = {.x = j->in + first * w->k, .ldx = w->k, .m = j->w->first[e + 1] - first, .k = w->k, .n = w->n,
                       .w = w->panels, .type = w->type, .bias = w->bias, .y = j->out + first * w->n, .ldy = w->n, .room = op_room(j->c, tid)};
    a.p0 = i % j->groups * j->panel_group;
    a.p1 = kernel_min(kernel_ceil_div(w->n, KERNEL_PANEL), a.p0 + j->panel_group);
    j->c->kernels->linear(&a);
}

static void product(job *j, const op_weight *weights, size_t hits, const float *in, float *out)
{
    size_t panels = kernel_ceil_div(weights->n, KERNEL_PANEL), wanted = kernel_ceil_div(4 * (size_t)j->c->threads, hits);
    j->weights = weights, j->in = in, j->out = out;
    j->panel_group = kernel_ceil_div(panels, kernel_min(wanted, panels));
    j->groups = kernel_ceil_div(panels, j->panel_group);
    int small = j->n_tok * j->m->top_k * weights->n < SMALL_WORK / (weights->k + 1);
    par_for(small ? 1 : j->c->threads, hits * j->groups, product_item, j);
}

/* The products of one row: gate and up alternate. z first holds exp(-alpha g). */
static void gate_row(const job *j, const float *gate_up, float *z)
{
    const moe *m = j->m;
    float limit = m->limit;
    for (size_t i = 0; i < m->inter; i++) {
        float g = gate_up[2 * i];
        z[i] = -m->alpha * (g > limit ? limit : g);
    }
    j->c->kernels->vexp(z, m->inter);
    for (size_t i = 0; i < m->inter; i++) {
        float g = gate_up[2 * i], u = gate_up[2 * i + 1];
        g = g > limit ? limit : g;
        u = u > limit ? limit : u < -limit ? -limit : u;
        z[i] = (u + 1) * (g / (1 + z[i]));
    }
}

static void gate_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    size_t inter = j->m->inter, last = kernel_min(j->n_tok * j->m->top_k, (i + 1) * TOKENS);
    (void)tid;
    for (size_t r = i * TOKENS; r < last; r++) gate_row(j, j->w->gate_up + 2 * r * inter, j->w->z + r * inter);
}

static void mix_item(void *ctx, size_t i, int tid)
{
    const job *j = ctx;
    size_t h = j->m->hidden, k = j->m->top_k, last = kernel_min(j->n_tok, (i + 1) * TOKENS);
    (void)tid;
    for (size_t t = i * TOKENS; t < last; t++) {
        float *y = j->y + t * h;
        memset(y, 0, h * sizeof *y);
        for (size_t r = 0; r < k; r++) {
            const float *from = j->w->y + j->w->row[t * k + r] * h;
            float p = j->w->weight[t * k + r];
            for (size_t d = 0; d < h; d++) y[d] += p * from[d];
        }
    }
}

void moe_run(const op_ctx *c, const moe *m, const moe_work *w, const float *x, size_t n_tok, float *y)
{
    job j = {.c = c, .m = m, .w = w, .x = x, .y = y, .n_tok = n_tok};
    if (!n_tok) return;
    size_t rows = n_tok * m->top_k;
    int few = rows * m->hidden < SMALL_WORK ? 1 : c->threads;
    par_for(few, kernel_ceil_div(n_tok, TOKENS), choose_item, &j);
    size_t hits = sort_rows(m, w, n_tok);
    par_for(few, kernel_ceil_div(rows, TOKENS), gather_item, &j);
    product(&j, m->gate_up, hits, w->x, w->gate_up);
    par_for(few, kernel_ceil_div(rows, TOKENS), gate_item, &j);
    product(&j, m->down, hits, w->z, w->y);
    par_for(few, kernel_ceil_div(n_tok, TOKENS), mix_item, &j);
}
