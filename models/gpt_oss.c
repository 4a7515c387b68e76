/* gpt_oss: OpenAI's gpt-oss, a mixture of experts whose heads have sinks.
 *
 *   x = embed[id]
 *   for each layer:
 *     h = RMSNorm(x)
 *     q, k, v = W h + b              n_head query heads share n_kv_head key and value heads
 *     q, k = rope(q), rope(k)
 *     a = softmax([q k^T / sqrt(head_dim), sink]) [v, 0]   a learned score a head that has no value; over this and
 *     x = x + W_o a + b              earlier positions, every other layer at most `window` of them
 *     h = RMSNorm(x)
 *     p = softmax over the top_k largest of W_router h + b
 *     x = x + sum of p_e expert_e(h)                       experts as in compute/moe.h
 *   hidden states = RMSNorm(x)
 *   logits = W_head hidden           or `score` of the last token, to classify
 *
 * OpenAI 2025. Experts are read unquantised: [n_expert][in][out], gate and up alternating. */
#include "compute/moe.h"
#include "causal.h"
#include <math.h>
#include <stdlib.h>

typedef struct layer {
    causal_attention attention;
    op_weight router; /* [n_expert][hidden] */
    moe experts;
    float *attention_norm, *mlp_norm; /* [hidden] */
} layer;

typedef struct gpt_oss {
    causal d;
    moe experts; /* sizes; every layer has its own weights */
    layer *layers;
} gpt_oss;

static const causal_traits traits = {.type = "gpt_oss", .head_dim = 64, .eps = 1e-5, .theta = 150000, .qkv_bias = 1,
                                      .o_bias = 1, .slides = CAUSAL_ALTERNATES, .window = 128};

static const char *const architectures[] = {"GptOssForCausalLM", "GptOssForSequenceClassification", NULL};

/* ---- load ---- */

static int load_experts(causal_loader *l, op_weight **list, size_t i, const char *name, uint64_t in, uint64_t out,
                        const char *why)
{
    const gpt_oss *m = l->model;
    uint64_t n = m->experts.n_expert;
    tensor w, bias;
    if (bind_tensor(l->w.b, &w, (const uint64_t[]){n, in, out}, 3, why, "model.layers.%zu.mlp.experts.%s", i, name) ||
        bind_tensor(l->w.b, &bias, (const uint64_t[]){n, out}, 2, why, "model.layers.%zu.mlp.experts.%s_bias", i, name))
        return -1;
    return moe_load(list, l->w.op, w, bias, l->w.e);
}

static int load_layer(causal_loader *l, void *out, size_t i)
{
    layer *y = out;
    const gpt_oss *m = l->model;
    size_t h = l->d->hidden, f = l->d->intermediate;
    char sinks[64];
    snprintf(sinks, sizeof sinks, "model.layers.%zu.self_attn.sinks", i);
    y->experts = m->experts;
    if (causal_load_attention(l, &y->attention, i) ||
        model_vector(&l->w, &y->attention.sinks, l->d->n_head, "num_attention_heads", sinks) ||
        causal_linear(l, &y->router, i, "mlp.router", m->experts.n_expert, h, "num_local_experts,hidden_size", 1) ||
        load_experts(l, &y->experts.gate_up, i, "gate_up_proj", h, 2 * (uint64_t)f,
                     "num_local_experts,hidden_size,2*intermediate_size") ||
        load_experts(l, &y->experts.down, i, "down_proj", f, h, "num_local_experts,intermediate_size,hidden_size") ||
        causal_norm(l, &y->attention_norm, i, "input_layernorm", h, "hidden_size") ||
        causal_norm(l, &y->mlp_norm, i, "post_attention_layernorm", h, "hidden_size"))
        return -1;
    l->w.bytes += moe_bytes(&y->experts);
    return 0;
}

static int read_config(gpt_oss *m, json cfg, pith_err *e)
{
    const uint64_t max = INT32_MAX;
    uint64_t n_expert, top_k;
    const char *act;
    double alpha, limit;
    int biased;
    if (json_get_size(cfg, "num_local_experts", 1, max, &n_expert, e) ||
        json_opt_size(cfg, "experts_per_token", 1, n_expert, n_expert < 4 ? n_expert : 4, &top_k, e) ||
        json_opt_size(cfg, "num_experts_per_tok", 1, n_expert, top_k, &top_k, e) ||
        json_opt_str(cfg, "hidden_act", "silu", &act, e) || op_act_find(act, "config.json: hidden_act", &m->d.act, e) ||
        json_opt_bool(cfg, "attention_bias", 1, &biased, e) || json_opt_num(cfg, "swiglu_alpha", 1.702, &alpha, e) ||
        json_opt_num(cfg, "swiglu_limit", 7, &limit, e))
        return -1;
    if (m->d.act != OP_ACT_SILU)
        return err_set(e, "config.json: hidden_act \"%.80s\" is not supported in gpt_oss (supported: silu)", act);
    if (!(limit > 0) || !isfinite((float)alpha) || !isfinite((float)limit))
        return err_set(e, "config.json: swiglu_alpha %g and swiglu_limit %g are no gate's", alpha, limit);
    m->d.qkv_bias = m->d.o_bias = biased;
    m->experts = (moe){.n_expert = (size_t)n_expert, .top_k = (size_t)top_k, .hidden = m->d.hidden,
                       .inter = m->d.intermediate, .alpha = (float)alpha, .limit = (float)limit};
    return 0;
}

static void gpt_oss_free(void *model)
{
    gpt_oss *m = model;
    if (!m) return;
    for (size_t i = 0; m->layers && i < m->d.n_layer; i++) {
        layer *y = &m->layers[i];
        causal_attention_free(&y->attention);
        op_weight_free(&y->router);
        moe_free(&y->experts);
        free(y->attention_norm);
        free(y->mlp_norm);
    }
    free(m->layers);
    causal_free(&m->d);
    free(m);
}

static void *gpt_oss_load(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e)
{
    gpt_oss *m = calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    causal_loader l = {.w = {b, op, 0, e}, .d = &m->d, .model = m, .cfg = cfg};
    if (causal_config(&l, &traits, 1, architecture, dims) || read_config(m, cfg, e) ||
        causal_load(&l, dims, &m->layers, sizeof *m->layers, load_layer)) {
        gpt_oss_free(m);
        return NULL;
    }
    return m;
}

/* ---- forward ---- */

typedef struct work {
    causal_work d;
    moe_work experts;
} work;

static void *gpt_oss_layout(const void *model, const op_ctx *op, const model_extent *x, arena *a)
{
    const gpt_oss *m = model;
    work measured = {0}, *placed = arena_take(a, 1, sizeof *placed), *w = placed ? placed : &measured;
    causal_layout(&w->d, 0, &m->d, op, x, a);
    moe_layout(&w->experts, &m->experts, x->n_tok, a);
    return placed;
}

static int gpt_oss_forward(const void *model, const op_ctx *op, void *memory, const model_batch *b, float *logits,
                           float *hidden)
{
    const gpt_oss *m = model;
    const causal *d = &m->d;
    work *all = memory;
    causal_work *w = &all->d;
    size_t n = b->n_tok, h = d->hidden;

    causal_begin(op, d, w, b);
    for (size_t i = 0; i < d->n_layer; i++) {
        if (model_unwanted(b)) return 1;
        const layer *y = &m->layers[i];
        op_rmsnorm(op, w->x, y->attention_norm, d->eps, w->h, n, h);
        causal_attend(op, d, &y->attention, i, w, b);
        op_add(op, w->h, w->x, n * h);
        op_rmsnorm(op, w->x, y->mlp_norm, d->eps, w->h, n, h);
        op_linear(op, &y->router, w->h, n, all->experts.logits, OP_ACT_NONE);
        moe_run(op, &y->experts, &all->experts, w->h, n, w->h);
        op_add(op, w->h, w->x, n * h);
    }
    causal_end(op, d, w, b, logits, hidden);
    return 0;
}

const model_arch gpt_oss_arch = {architectures, gpt_oss_load, gpt_oss_free, gpt_oss_layout, gpt_oss_forward};
