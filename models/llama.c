/* llama: LLaMA, Mistral, Qwen2 and Qwen3, whose layers have one drawing.
 *
 *   x = embed[id]
 *   for each layer:
 *     h = RMSNorm(x)
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
 * Touvron et al. 2023; Jiang et al. 2023; Qwen team 2024, 2025. */
#include "model.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    op_weight q, k, v, o, gate, up, down;
    float *attention_norm, *mlp_norm; /* [hidden] */
    float *q_norm, *k_norm;           /* [head_dim] or NULL */
    size_t window;                    /* 0: sees everything */
} layer;

typedef struct llama {
    size_t hidden, intermediate, n_head, n_kv_head, head_dim, n_layer, vocab, n_labels;
    float eps, scale;
    op_act act;
    float *freq, rope_scale; /* [head_dim / 2] */
    tensor embed;            /* [vocab][hidden], in the file */
    layer *layers;
    float *norm;
    op_weight head; /* [vocab or n_labels][hidden] */
} llama;

/* What differs between the model types is data. */
typedef struct traits {
    const char *type;
    int qkv_bias, o_bias, mlp_bias; /* -1: as attention_bias and mlp_bias of the config say */
    int qk_norm;
    int window; /* 0: none; 1: every layer; 2: only with use_sliding_window, from layer max_window_layers on */
    size_t head_dim; /* where the config names none; 0: hidden_size / num_attention_heads */
} traits;

static const traits all_traits[] = {
    {"llama", -1, -1, -1, 0, 0, 0},
    {"mistral", 0, 0, 0, 0, 1, 0},
    {"qwen2", 1, 0, 0, 0, 2, 0},
    {"qwen3", -1, -1, 0, 1, 2, 128},
};

static const char *const architectures[] = {
    "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM",
    "LlamaForSequenceClassification", "MistralForSequenceClassification", "Qwen2ForSequenceClassification",
    "Qwen3ForSequenceClassification", NULL};

/* ---- load ---- */

typedef struct loader {
    model_loader w;
    llama *m;
    json cfg;
    const traits *t;
    int qkv_bias, o_bias, mlp_bias;
    uint64_t window, max_window_layers;
} loader;

static int load_layer(loader *l, layer *y, size_t i)
{
    const llama *m = l->m;
    size_t h = m->hidden, f = m->intermediate, q = m->n_head * m->head_dim, kv = m->n_kv_head * m->head_dim;
    const struct {
        op_weight *w;
        const char *name, *why;
        size_t rows, cols;
        int biased;
    } linear[] = {
        {&y->q, "self_attn.q_proj", "num_attention_heads*head_dim,hidden_size", q, h, l->qkv_bias},
        {&y->k, "self_attn.k_proj", "num_key_value_heads*head_dim,hidden_size", kv, h, l->qkv_bias},
        {&y->v, "self_attn.v_proj", "num_key_value_heads*head_dim,hidden_size", kv, h, l->qkv_bias},
        {&y->o, "self_attn.o_proj", "hidden_size,num_attention_heads*head_dim", h, q, l->o_bias},
        {&y->gate, "mlp.gate_proj", "intermediate_size,hidden_size", f, h, l->mlp_bias},
        {&y->up, "mlp.up_proj", "intermediate_size,hidden_size", f, h, l->mlp_bias},
        {&y->down, "mlp.down_proj", "hidden_size,intermediate_size", h, f, l->mlp_bias},
    };
    const struct {
        float **v;
        const char *name, *why;
        size_t n;
    } vectors[] = {
        {&y->attention_norm, "input_layernorm", "hidden_size", h},
        {&y->mlp_norm, "post_attention_layernorm", "hidden_size", h},
        {&y->q_norm, "self_attn.q_norm", "head_dim", m->head_dim},
        {&y->k_norm, "self_attn.k_norm", "head_dim", m->head_dim},
    };
    char base[128];
    for (size_t j = 0; j < sizeof linear / sizeof linear[0]; j++) {
        snprintf(base, sizeof base, "model.layers.%zu.%s", i, linear[j].name);
        if (model_linear(&l->w, linear[j].w, linear[j].rows, linear[j].cols, linear[j].why, linear[j].biased, base)) return -1;
    }
    for (size_t j = 0; j < (l->t->qk_norm ? 4u : 2u); j++) {
        snprintf(base, sizeof base, "model.layers.%zu.%s.weight", i, vectors[j].name);
        if (model_vector(&l->w, vectors[j].v, vectors[j].n, vectors[j].why, base)) return -1;
    }
    int slides = l->window && (l->t->window == 1 || i >= l->max_window_layers);
    if (l->t->window == 2 && model_slides(l->cfg, i, slides, &slides, l->w.e)) return -1;
    y->window = slides ? (size_t)l->window : 0;
    return 0;
}

static int read_biases(loader *l)
{
    int attention, mlp;
    if (json_opt_bool(l->cfg, "attention_bias", 0, &attention, l->w.e) || json_opt_bool(l->cfg, "mlp_bias", 0, &mlp, l->w.e))
        return -1;
    l->qkv_bias = l->t->qkv_bias < 0 ? attention : l->t->qkv_bias;
    l->o_bias = l->t->o_bias < 0 ? attention : l->t->o_bias;
    l->mlp_bias = l->t->mlp_bias < 0 ? mlp : l->t->mlp_bias;
    return 0;
}

static int read_window(loader *l)
{
    int use = 1;
    if (l->t->window == 2 && json_opt_bool(l->cfg, "use_sliding_window", 0, &use, l->w.e)) return -1;
    if (json_opt_size(l->cfg, "max_window_layers", 0, INT32_MAX, 28, &l->max_window_layers, l->w.e)) return -1;
    if (!l->t->window || !use) return 0;
    return json_opt_size(l->cfg, "sliding_window", 1, INT32_MAX, 0, &l->window, l->w.e);
}

static int read_config(loader *l, const char *architecture, model_dims *d)
{
    const uint64_t max = INT32_MAX;
    uint64_t n_head, n_kv_head, head_dim, n_layer, intermediate;
    const char *act;
    double eps;
    json cfg = l->cfg;
    pith_err *e = l->w.e;
    llama *m = l->m;
    if (json_opt_str(cfg, "hidden_act", "silu", &act, e) || op_act_find(act, "config.json", &m->act, e)) return -1;
    if (json_get_size(cfg, "hidden_size", 1, max, &d->hidden, e) ||
        json_get_size(cfg, "num_attention_heads", 1, max, &n_head, e) ||
        json_opt_size(cfg, "num_key_value_heads", 1, max, n_head, &n_kv_head, e) ||
        json_opt_size(cfg, "head_dim", 2, 65536, l->t->head_dim ? l->t->head_dim : d->hidden / n_head, &head_dim, e) ||
        json_get_size(cfg, "num_hidden_layers", 1, max, &n_layer, e) ||
        json_get_size(cfg, "vocab_size", 1, max, &d->vocab, e) ||
        json_get_size(cfg, "intermediate_size", 1, max, &intermediate, e) ||
        json_get_size(cfg, "max_position_embeddings", 1, max, &d->max_positions, e) ||
        json_opt_num(cfg, "rms_norm_eps", 1e-6, &eps, e) || read_biases(l) || read_window(l))
        return -1;
    if (n_head % n_kv_head)
        return err_set(e, "config.json: num_attention_heads %llu is not a multiple of num_key_value_heads %llu",
                       (unsigned long long)n_head, (unsigned long long)n_kv_head);
    if (head_dim % 2) return err_set(e, "config.json: head_dim %llu is odd, and rotary positions need pairs", (unsigned long long)head_dim);
    if (!(eps >= 0)) return err_set(e, "config.json: rms_norm_eps must not be negative, found %g", eps);
    if (architecture && strstr(architecture, "ForSequenceClassification")) {
        char **labels;
        if (model_labels(cfg, &d->n_labels, &labels, e)) return -1;
        free(labels);
    }
    d->n_types = 1;
    d->causal = 1;
    m->hidden = (size_t)d->hidden, m->n_head = (size_t)n_head, m->n_kv_head = (size_t)n_kv_head;
    m->head_dim = (size_t)head_dim, m->intermediate = (size_t)intermediate, m->n_layer = (size_t)n_layer;
    m->vocab = (size_t)d->vocab, m->n_labels = (size_t)d->n_labels;
    m->eps = (float)eps, m->scale = 1.0f / sqrtf((float)head_dim);
    rope_config rope;
    if (model_rope(cfg, m->head_dim, d->max_positions, &rope, e)) return -1;
    m->freq = malloc(m->head_dim / 2 * sizeof(float));
    if (!m->freq) return err_nomem(e, m->head_dim, "rotary frequencies");
    rope_frequencies(&rope, (size_t)d->max_positions, m->freq, &m->rope_scale);
    return 0;
}

static int load_layers(loader *l)
{
    size_t n = l->m->n_layer;
    for (l->m->n_layer = 0; l->m->n_layer < n; l->m->n_layer++)
        if (model_grow(&l->m->layers, l->m->n_layer, sizeof(layer), l->w.e)) return -1;
        else if (load_layer(l, &l->m->layers[l->m->n_layer], l->m->n_layer)) {
            l->m->n_layer++;
            return -1;
        }
    return 0;
}

static int load_head(loader *l)
{
    llama *m = l->m;
    int tied;
    if (m->n_labels) return model_linear(&l->w, &m->head, m->n_labels, m->hidden, "labels,hidden_size", 0, "score");
    if (json_opt_bool(l->cfg, "tie_word_embeddings", 0, &tied, l->w.e)) return -1;
    if (!tied) return model_linear(&l->w, &m->head, m->vocab, m->hidden, "vocab_size,hidden_size", 0, "lm_head");
    bind_ignore(l->w.b, "lm_head.weight"); /* some files keep a copy */
    if (op_weight_load(&m->head, l->w.op, m->embed, (tensor){0}, l->w.e)) return -1;
    l->w.bytes += op_weight_bytes(&m->head);
    return 0;
}

static void llama_free(void *model)
{
    llama *m = model;
    if (!m) return;
    for (size_t i = 0; m->layers && i < m->n_layer; i++) {
        layer *y = &m->layers[i];
        op_weight *w[] = {&y->q, &y->k, &y->v, &y->o, &y->gate, &y->up, &y->down};
        for (size_t j = 0; j < sizeof w / sizeof w[0]; j++) op_weight_free(w[j]);
        free(y->attention_norm);
        free(y->mlp_norm);
        free(y->q_norm);
        free(y->k_norm);
    }
    free(m->layers);
    free(m->freq);
    free(m->norm);
    op_weight_free(&m->head);
    free(m);
}

static void *llama_load(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e)
{
    llama *m = calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    loader l = {.w = {b, op, 0, e}, .m = m, .cfg = cfg};
    for (size_t i = 0; i < sizeof all_traits / sizeof all_traits[0]; i++)
        if (!strcmp(all_traits[i].type, json_str(json_get(cfg, "model_type")))) l.t = &all_traits[i];
    bind_ignore(b, "rotary_emb.inv_freq"); /* a buffer that older versions saved */
    if (read_config(&l, architecture, dims) ||
        bind_matrix(b, &m->embed, dims->vocab, dims->hidden, "vocab_size,hidden_size", "model.embed_tokens.weight") ||
        load_layers(&l) || model_vector(&l.w, &m->norm, m->hidden, "hidden_size", "model.norm.weight") || load_head(&l) ||
        bind_finish(b, "is config.json that of these weights?", e)) {
        bind_finish(b, NULL, e);
        llama_free(m);
        return NULL;
    }
    dims->kv = (kv_shape){m->n_layer, m->n_kv_head, m->head_dim};
    dims->bytes = l.w.bytes + m->embed.nbytes;
    dims->streamed = l.w.bytes;
    return m;
}

/* ---- forward ---- */

typedef struct work {
    float *x, *h;       /* [n_tok][hidden] */
    float *q, *a;       /* [n_tok][n_head * head_dim] */
    float *k, *v;       /* [n_tok][n_kv_head * head_dim] */
    float *gate, *up;   /* [n_tok][intermediate] */
    float *cosine, *sine; /* [n_tok][head_dim / 2] */
    float *last;        /* [n_out][hidden] */
    kv_work attention;
} work;

static void *llama_layout(const void *model, const op_ctx *op, const model_extent *x, arena *a)
{
    const llama *m = model;
    work measured = {0}, *placed = arena_take(a, 1, sizeof *placed), *w = placed ? placed : &measured;
    size_t q = m->n_head * m->head_dim, kv = m->n_kv_head * m->head_dim;
    const struct {
        float **p;
        size_t rows, cols;
    } buffers[] = {{&w->x, x->n_tok, m->hidden},          {&w->h, x->n_tok, m->hidden},
                   {&w->q, x->n_tok, q},                  {&w->a, x->n_tok, q},
                   {&w->k, x->n_tok, kv},                 {&w->v, x->n_tok, kv},
                   {&w->gate, x->n_tok, m->intermediate}, {&w->up, x->n_tok, m->intermediate},
                   {&w->cosine, x->n_tok, m->head_dim / 2}, {&w->sine, x->n_tok, m->head_dim / 2},
                   {&w->last, x->n_out, m->hidden}};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        *buffers[i].p = arena_take(a, buffers[i].rows, buffers[i].cols * sizeof(float));
    kv_layout(&w->attention, op, x->n_seq, x->max_len, x->most, m->n_head, m->n_kv_head, a);
    return placed;
}

static void angles(const llama *m, work *w, const model_batch *b)
{
    size_t half = m->head_dim / 2;
    for (size_t s = 0; s < b->n_seq; s++)
        for (size_t i = b->start[s]; i < b->start[s + 1]; i++)
            rope_angles(m->freq, half, m->rope_scale, b->cache[s]->n + i - b->start[s], w->cosine + i * half,
                        w->sine + i * half);
}

static void llama_forward(const void *model, const op_ctx *op, void *memory, const model_batch *b, float *logits,
                          float *hidden)
{
    const llama *m = model;
    work *w = memory;
    size_t n = b->n_tok, h = m->hidden, d = m->head_dim;

    op_embed(op, m->embed, b->ids, n, w->x);
    angles(m, w, b);
    for (size_t i = 0; i < m->n_layer; i++) {
        const layer *y = &m->layers[i];
        op_rmsnorm(op, w->x, y->attention_norm, m->eps, w->h, n, h);
        op_linear(op, &y->q, w->h, n, w->q, OP_ACT_NONE);
        op_linear(op, &y->k, w->h, n, w->k, OP_ACT_NONE);
        op_linear(op, &y->v, w->h, n, w->v, OP_ACT_NONE);
        if (y->q_norm) op_rmsnorm(op, w->q, y->q_norm, m->eps, w->q, n * m->n_head, d);
        if (y->k_norm) op_rmsnorm(op, w->k, y->k_norm, m->eps, w->k, n * m->n_kv_head, d);
        op_rope(op, w->cosine, w->sine, w->q, n, m->n_head, d);
        op_rope(op, w->cosine, w->sine, w->k, n, m->n_kv_head, d);
        kv_attend(op, &w->attention, &(kv_attention){.cache = b->cache, .start = b->start, .n_seq = b->n_seq,
                                                     .n_head = m->n_head, .layer = i, .window = y->window,
                                                     .scale = m->scale, .q = w->q, .k = w->k, .v = w->v, .y = w->a});
        op_linear(op, &y->o, w->a, n, w->h, OP_ACT_NONE);
        op_add(op, w->h, w->x, n * h);
        op_rmsnorm(op, w->x, y->mlp_norm, m->eps, w->h, n, h);
        op_linear(op, &y->gate, w->h, n, w->gate, m->act);
        op_linear(op, &y->up, w->h, n, w->up, OP_ACT_NONE);
        op_mul(op, w->gate, w->up, n * m->intermediate);
        op_linear(op, &y->down, w->up, n, w->h, OP_ACT_NONE);
        op_add(op, w->h, w->x, n * h);
    }
    if (hidden) op_rmsnorm(op, w->x, m->norm, m->eps, hidden, n, h);
    if (!logits) return;
    for (size_t i = 0; i < b->n_out; i++) memcpy(w->last + i * h, w->x + b->out[i] * h, h * sizeof(float));
    op_rmsnorm(op, w->last, m->norm, m->eps, w->last, b->n_out, h);
    op_linear(op, &m->head, w->last, b->n_out, logits, OP_ACT_NONE);
}

const model_arch llama_arch = {architectures, llama_load, llama_free, llama_layout, llama_forward};
