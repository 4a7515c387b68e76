/* llama: LLaMA, Mistral, Qwen2, Qwen3 and Gemma, whose layers have one drawing.
 *
 *   x = embed[id]                    Gemma: times sqrt(hidden_size)
 *   for each layer:
 *     h = RMSNorm(x)                 Gemma: every norm multiplies by 1 + w
 *     q, k, v = W h (+ b)            n_head query heads share n_kv_head key and value heads
 *     q, k = RMSNorm over each head  Qwen3
 *     q, k = rope(q), rope(k)
 *     a = softmax(q k^T / sqrt(head_dim)) v    over this and earlier positions, at most `window` of them
 *     x = x + W_o a (+ b)
 *     h = RMSNorm(x)
 *     x = x + W_down (act(W_gate h (+ b)) * (W_up h (+ b))) (+ b)
 *   hidden states = RMSNorm(x)
 *   logits = W_head hidden             W_head is embed where tied; or `score` of the last token, to classify
 *
 * Touvron et al. 2023; Jiang et al. 2023; Qwen team 2024, 2025; Gemma team 2024. */
#include "causal.h"
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    causal_attention attention;
    causal_mlp mlp;
    float *attention_norm, *mlp_norm; /* [hidden] */
} layer;

typedef struct llama {
    causal d;
    layer *layers;
} llama;

/* What differs between the model types is data. */
static const causal_traits traits[] = {
    {.type = "llama", .qkv_bias = -1, .o_bias = -1, .mlp_bias = -1},
    {.type = "mistral", .slides = CAUSAL_SLIDES},
    {.type = "qwen2", .qkv_bias = 1, .slides = CAUSAL_MAY_SLIDE},
    {.type = "qwen3", .qkv_bias = -1, .o_bias = -1, .qk_norm = 1, .head_dim = 128, .slides = CAUSAL_MAY_SLIDE},
    {.type = "gemma", .qkv_bias = -1, .o_bias = -1, .head_dim = 256, .tied = 1, .one_plus = 1, .scaled_embed = 1},
};

static const char *const architectures[] = {
    "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "GemmaForCausalLM",
    "LlamaForSequenceClassification", "MistralForSequenceClassification", "Qwen2ForSequenceClassification",
    "Qwen3ForSequenceClassification", "GemmaForSequenceClassification", NULL};

/* ---- load ---- */

static int load_layer(causal_loader *l, void *layer_out, size_t i)
{
    layer *y = layer_out;
    size_t h = l->d->hidden;
    return causal_load_attention(l, &y->attention, i) || causal_load_mlp(l, &y->mlp, i) ||
                   causal_norm(l, &y->attention_norm, i, "input_layernorm", h, "hidden_size") ||
                   causal_norm(l, &y->mlp_norm, i, "post_attention_layernorm", h, "hidden_size")
               ? -1
               : 0;
}

static int read_act(causal *d, json cfg, pith_err *e)
{
    const char *act, *also;
    int gemma = d->traits->scaled_embed;
    if (json_opt_str(cfg, "hidden_act", gemma ? "gelu_pytorch_tanh" : "silu", &act, e)) return -1;
    if (!gemma) return op_act_find(act, "config.json: hidden_act", &d->act, e);
    if (json_opt_str(cfg, "hidden_activation", act, &also, e)) return -1;
    return op_act_find(also, also == act ? "config.json: hidden_act" : "config.json: hidden_activation", &d->act, e);
}

static void llama_free(void *model)
{
    llama *m = model;
    if (!m) return;
    for (size_t i = 0; m->layers && i < m->d.n_layer; i++) {
        layer *y = &m->layers[i];
        causal_attention_free(&y->attention);
        causal_mlp_free(&y->mlp);
        free(y->attention_norm);
        free(y->mlp_norm);
    }
    free(m->layers);
    causal_free(&m->d);
    free(m);
}

static void *llama_load(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e)
{
    llama *m = calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    causal_loader l = {.w = {b, op, 0, e}, .d = &m->d, .model = m, .cfg = cfg};
    if (causal_config(&l, traits, sizeof traits / sizeof traits[0], architecture, dims) || read_act(&m->d, cfg, e) ||
        causal_load(&l, dims, &m->layers, sizeof *m->layers, load_layer)) {
        llama_free(m);
        return NULL;
    }
    return m;
}

/* ---- forward ---- */

static void *llama_layout(const void *model, const op_ctx *op, const model_extent *x, arena *a)
{
    const llama *m = model;
    causal_work measured = {0}, *placed = arena_take(a, 1, sizeof *placed);
    causal_layout(placed ? placed : &measured, m->d.intermediate, &m->d, op, x, a);
    return placed;
}

static int llama_forward(const void *model, const op_ctx *op, void *memory, const model_batch *b, float *logits,
                         float *hidden)
{
    const llama *m = model;
    const causal *d = &m->d;
    causal_work *w = memory;
    size_t n = b->n_tok, h = d->hidden;

    causal_begin(op, d, w, b);
    for (size_t i = 0; i < d->n_layer; i++) {
        if (model_unwanted(b)) return 1;
        const layer *y = &m->layers[i];
        op_rmsnorm(op, w->x, y->attention_norm, d->eps, w->h, n, h);
        causal_attend(op, d, &y->attention, i, w, b);
        op_add(op, w->h, w->x, n * h);
        op_rmsnorm(op, w->x, y->mlp_norm, d->eps, w->h, n, h);
        causal_feed(op, d, &y->mlp, w, n);
        op_add(op, w->h, w->x, n * h);
    }
    causal_end(op, d, w, b, logits, hidden);
    return 0;
}

const model_arch llama_arch = {architectures, llama_load, llama_free, llama_layout, llama_forward};
