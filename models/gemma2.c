/* gemma2: Gemma 2. Every norm multiplies by 1 + w.
 *
 *   x = embed[id] * sqrt(hidden_size)
 *   for each layer:
 *     h = RMSNorm(x)
 *     q, k, v = W h                  n_head query heads share n_kv_head key and value heads
 *     q, k = rope(q), rope(k)
 *     s = cap * tanh(q k^T / sqrt(query_pre_attn_scalar) / cap)
 *     a = softmax(s) v               over this and earlier positions; every other layer at most `window` of them
 *     x = x + RMSNorm(W_o a)
 *     h = RMSNorm(x)
 *     x = x + RMSNorm(W_down (act(W_gate h) * (W_up h)))
 *   hidden states = RMSNorm(x)
 *   logits = cap * tanh(embed hidden / cap); or `score` of the last token, to classify
 *
 * Gemma team 2024. */
#include "causal.h"
#include <math.h>
#include <stdlib.h>

typedef struct layer {
    causal_attention attention;
    causal_mlp mlp;
    float *attention_norm, *attention_out_norm, *mlp_norm, *mlp_out_norm; /* [hidden] */
} layer;

typedef struct gemma2 {
    causal d;
    layer *layers;
} gemma2;

static const causal_traits traits = {
    .type = "gemma2", .head_dim = 256, .tied = 1, .one_plus = 1, .scaled_embed = 1, .qkv_bias = -1, .o_bias = -1,
    .slides = CAUSAL_ALTERNATES};

static const char *const architectures[] = {"Gemma2ForCausalLM", "Gemma2ForSequenceClassification", NULL};

/* ---- load ---- */

static int load_layer(causal_loader *l, void *layer_out, size_t i)
{
    layer *y = layer_out;
    size_t h = l->d->hidden;
    return causal_load_attention(l, &y->attention, i) || causal_load_mlp(l, &y->mlp, i) ||
                   causal_norm(l, &y->attention_norm, i, "input_layernorm", h, "hidden_size") ||
                   causal_norm(l, &y->attention_out_norm, i, "post_attention_layernorm", h, "hidden_size") ||
                   causal_norm(l, &y->mlp_norm, i, "pre_feedforward_layernorm", h, "hidden_size") ||
                   causal_norm(l, &y->mlp_out_norm, i, "post_feedforward_layernorm", h, "hidden_size")
               ? -1
               : 0;
}

/* A cap of the config: the default where the key is absent, none where it is null. */
static int read_cap(json cfg, const char *key, double otherwise, float *out, pith_err *e)
{
    double cap = 0;
    json v = json_get(cfg, key);
    if (json_typeof(v) != JSON_NULL && json_opt_num(cfg, key, otherwise, &cap, e)) return -1;
    *out = (float)cap;
    if (json_typeof(v) == JSON_NULL || (cap > 0 && isfinite(*out))) return 0;
    return json_expected(v, "a number over 0, or null", e);
}

static int read_config(causal *d, json cfg, pith_err *e)
{
    const char *act;
    double scalar;
    if (json_opt_str(cfg, "hidden_activation", "gelu_pytorch_tanh", &act, e) ||
        op_act_find(act, "config.json: hidden_activation", &d->act, e) || json_opt_num(cfg, "query_pre_attn_scalar", 256, &scalar, e) ||
        read_cap(cfg, "attn_logit_softcapping", 50, &d->softcap, e) ||
        read_cap(cfg, "final_logit_softcapping", 30, &d->logit_softcap, e))
        return -1;
    d->scale = (float)(1 / sqrt(scalar));
    if (!(scalar > 0) || !(d->scale > 0) || !isfinite(d->scale))
        return err_set(e, "config.json: query_pre_attn_scalar must be over 0, found %g", scalar);
    if (d->n_labels) d->logit_softcap = 0;
    return 0;
}

static void gemma2_free(void *model)
{
    gemma2 *m = model;
    if (!m) return;
    for (size_t i = 0; m->layers && i < m->d.n_layer; i++) {
        layer *y = &m->layers[i];
        float *norms[] = {y->attention_norm, y->attention_out_norm, y->mlp_norm, y->mlp_out_norm};
        causal_attention_free(&y->attention);
        causal_mlp_free(&y->mlp);
        for (size_t j = 0; j < sizeof norms / sizeof norms[0]; j++) free(norms[j]);
    }
    free(m->layers);
    causal_free(&m->d);
    free(m);
}

static void *gemma2_load(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e)
{
    gemma2 *m = calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    causal_loader l = {.w = {b, op, 0, e}, .d = &m->d, .model = m, .cfg = cfg};
    if (causal_config(&l, &traits, 1, architecture, dims) || read_config(&m->d, cfg, e) ||
        causal_load(&l, dims, &m->layers, sizeof *m->layers, load_layer)) {
        gemma2_free(m);
        return NULL;
    }
    return m;
}

/* ---- forward ---- */

static void *gemma2_layout(const void *model, const op_ctx *op, const model_extent *x, arena *a)
{
    const gemma2 *m = model;
    causal_work measured = {0}, *placed = arena_take(a, 1, sizeof *placed);
    causal_layout(placed ? placed : &measured, m->d.intermediate, &m->d, op, x, a);
    return placed;
}

static int gemma2_forward(const void *model, const op_ctx *op, void *memory, const model_batch *b, float *logits,
                          float *hidden)
{
    const gemma2 *m = model;
    const causal *d = &m->d;
    causal_work *w = memory;
    size_t n = b->n_tok, h = d->hidden;

    causal_begin(op, d, w, b);
    for (size_t i = 0; i < d->n_layer; i++) {
        if (model_unwanted(b)) return 1;
        const layer *y = &m->layers[i];
        op_rmsnorm(op, w->x, y->attention_norm, d->eps, w->h, n, h);
        causal_attend(op, d, &y->attention, i, w, b);
        op_rmsnorm(op, w->h, y->attention_out_norm, d->eps, w->h, n, h);
        op_add(op, w->h, w->x, n * h);
        op_rmsnorm(op, w->x, y->mlp_norm, d->eps, w->h, n, h);
        causal_feed(op, d, &y->mlp, w, n);
        op_rmsnorm(op, w->h, y->mlp_out_norm, d->eps, w->h, n, h);
        op_add(op, w->h, w->x, n * h);
    }
    causal_end(op, d, w, b, logits, hidden);
    return 0;
}

const model_arch gemma2_arch = {architectures, gemma2_load, gemma2_free, gemma2_layout, gemma2_forward};
