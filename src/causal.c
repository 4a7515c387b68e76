#include "causal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- load ---- */

static int read_sizes(causal_loader *l, model_dims *dims)
{
    const uint64_t max = INT32_MAX;
    uint64_t n_head, n_kv_head, head_dim, n_layer, intermediate;
    causal *d = l->d;
    const causal_traits *t = d->traits;
    json cfg = l->cfg;
    pith_err *e = l->w.e;
    if (json_get_size(cfg, "hidden_size", 1, max, &dims->hidden, e) ||
        json_get_size(cfg, "num_attention_heads", 1, max, &n_head, e) ||
        json_opt_size(cfg, "num_key_value_heads", 1, max, n_head, &n_kv_head, e) ||
        json_opt_size(cfg, "head_dim", 2, 65536, t->head_dim ? t->head_dim : dims->hidden / n_head, &head_dim, e) ||
        json_get_size(cfg, "num_hidden_layers", 1, max, &n_layer, e) ||
        json_get_size(cfg, "vocab_size", 1, max, &dims->vocab, e) ||
        json_get_size(cfg, "intermediate_size", 1, max, &intermediate, e) ||
        json_get_size(cfg, "max_position_embeddings", 1, max, &dims->max_positions, e))
        return -1;
    if (n_head % n_kv_head)
        return err_set(e, "config.json: num_attention_heads %llu is not a multiple of num_key_value_heads %llu",
                       (unsigned long long)n_head, (unsigned long long)n_kv_head);
    if (!head_dim)
        return err_set(e, "config.json: num_attention_heads %llu is more than hidden_size %llu, and there is no head_dim",
                       (unsigned long long)n_head, (unsigned long long)dims->hidden);
    if (head_dim % 2)
        return err_set(e, "config.json: head_dim %llu is odd, and rotary positions need pairs", (unsigned long long)head_dim);
    d->hidden = (size_t)dims->hidden, d->n_head = (size_t)n_head, d->n_kv_head = (size_t)n_kv_head;
    d->head_dim = (size_t)head_dim, d->n_layer = (size_t)n_layer, d->vocab = (size_t)dims->vocab;
    d->intermediate = (size_t)intermediate;
    json types = json_get(cfg, "layer_types");
    if (json_typeof(types) == JSON_ARRAY && json_len(types) != d->n_layer)
        return err_set(e, "config.json: layer_types has %zu entries, num_hidden_layers is %zu", json_len(types), d->n_layer);
    return 0;
}

static int read_biases(causal_loader *l)
{
    const causal_traits *t = l->d->traits;
    int attention, mlp;
    if (json_opt_bool(l->cfg, "attention_bias", 0, &attention, l->w.e) || json_opt_bool(l->cfg, "mlp_bias", 0, &mlp, l->w.e))
        return -1;
    l->d->qkv_bias = t->qkv_bias < 0 ? attention : t->qkv_bias;
    l->d->o_bias = t->o_bias < 0 ? attention : t->o_bias;
    l->d->mlp_bias = t->mlp_bias < 0 ? mlp : t->mlp_bias;
    return 0;
}

static int read_window(causal_loader *l)
{
    causal *d = l->d;
    const causal_traits *t = d->traits;
    json cfg = l->cfg;
    pith_err *e = l->w.e;
    int use = t->slides != CAUSAL_SEES_ALL;
    if (t->slides == CAUSAL_MAY_SLIDE && (json_opt_bool(cfg, "use_sliding_window", 0, &use, e) ||
                                           json_opt_size(cfg, "max_window_layers", 0, INT32_MAX, 28, &d->first_window, e)))
        return -1;
    /* Where the key is absent it has its default; null is none. */
    if (!use || json_typeof(json_get(cfg, "sliding_window")) == JSON_NULL) return 0;
    return json_opt_size(cfg, "sliding_window", 1, INT32_MAX, t->window ? t->window : 4096, &d->window, e);
}

static int read_labels(causal_loader *l, const char *architecture, model_dims *dims)
{
    char **labels;
    if (!architecture || !strstr(architecture, "ForSequenceClassification")) return 0;
    if (model_labels(l->cfg, &dims->n_labels, &labels, l->w.e)) return -1;
    free(labels);
    l->d->n_labels = (size_t)dims->n_labels;
    return 0;
}

int causal_config(causal_loader *l, const causal_traits *all, size_t n, const char *architecture, model_dims *dims)
{
    causal *d = l->d;
    double eps;
    d->traits = all;
    for (size_t i = 0; i < n; i++)
        if (!strcmp(all[i].type, json_str(json_get(l->cfg, "model_type")))) d->traits = &all[i];
    const causal_traits *t = d->traits;
    d->rope.theta = t->theta != 0 ? t->theta : 10000;
    if (read_sizes(l, dims) || json_opt_num(l->cfg, "rms_norm_eps", t->eps != 0 ? t->eps : 1e-6, &eps, l->w.e) ||
        read_biases(l) || read_window(l) || read_labels(l, architecture, dims) ||
        model_rope(l->cfg, d->head_dim, dims->max_positions, &d->rope, l->w.e))
        return -1;
    if (!(eps >= 0)) return err_set(l->w.e, "config.json: rms_norm_eps must not be negative, found %g", eps);
    d->eps = (float)eps;
    d->scale = 1.0f / sqrtf((float)d->head_dim);
    d->freq = malloc(d->head_dim / 2 * sizeof *d->freq);
    if (!d->freq) return err_nomem(l->w.e, d->head_dim, "rotary frequencies");
    rope_frequencies(&d->rope, (size_t)dims->max_positions, d->freq, &d->rope_scale);
    dims->n_types = 1;
    dims->causal = 1;
    dims->stretches = d->rope.type == ROPE_DYNAMIC;
    return 0;
}

int causal_linear(causal_loader *l, op_weight *out, size_t i, const char *name, size_t rows, size_t cols, const char *why,
                   int biased)
{
    char base[128];
    snprintf(base, sizeof base, "model.layers.%zu.%s", i, name);
    return model_linear(&l->w, out, rows, cols, why, biased, base);
}

static int load_norm(causal_loader *l, float **out, size_t n, const char *why, const char *name)
{
    if (model_vector(&l->w, out, n, why, name)) return -1;
    for (size_t i = 0; l->d->traits->one_plus && *out && i < n; i++) (*out)[i] += 1;
    return 0;
}

int causal_norm(causal_loader *l, float **out, size_t i, const char *name, size_t n, const char *why)
{
    char full[128];
    snprintf(full, sizeof full, "model.layers.%zu.%s.weight", i, name);
    return load_norm(l, out, n, why, full);
}

static int load_window(causal_loader *l, size_t *window, size_t i)
{
    const causal *d = l->d;
    causal_window t = d->traits->slides;
    int slides = t == CAUSAL_ALTERNATES ? i % 2 == 0 : i >= d->first_window;
    if (t != CAUSAL_SLIDES && model_slides(l->cfg, i, slides, &slides, l->w.e)) return -1;
    *window = slides ? (size_t)d->window : 0;
    return 0;
}

int causal_load_attention(causal_loader *l, causal_attention *y, size_t i)
{
    const causal *d = l->d;
    size_t h = d->hidden, q = d->n_head * d->head_dim, kv = d->n_kv_head * d->head_dim;
    if (causal_linear(l, &y->q, i, "self_attn.q_proj", q, h, "num_attention_heads*head_dim,hidden_size", d->qkv_bias) ||
        causal_linear(l, &y->k, i, "self_attn.k_proj", kv, h, "num_key_value_heads*head_dim,hidden_size", d->qkv_bias) ||
        causal_linear(l, &y->v, i, "self_attn.v_proj", kv, h, "num_key_value_heads*head_dim,hidden_size", d->qkv_bias) ||
        causal_linear(l, &y->o, i, "self_attn.o_proj", h, q, "hidden_size,num_attention_heads*head_dim", d->o_bias))
        return -1;
    if (d->traits->qk_norm && (causal_norm(l, &y->q_norm, i, "self_attn.q_norm", d->head_dim, "head_dim") ||
                               causal_norm(l, &y->k_norm, i, "self_attn.k_norm", d->head_dim, "head_dim")))
        return -1;
    return load_window(l, &y->window, i);
}

int causal_load_mlp(causal_loader *l, causal_mlp *y, size_t i)
{
    size_t h = l->d->hidden, f = l->d->intermediate;
    int biased = l->d->mlp_bias;
    return causal_linear(l, &y->gate, i, "mlp.gate_proj", f, h, "intermediate_size,hidden_size", biased) ||
                   causal_linear(l, &y->up, i, "mlp.up_proj", f, h, "intermediate_size,hidden_size", biased) ||
                   causal_linear(l, &y->down, i, "mlp.down_proj", h, f, "hidden_size,intermediate_size", biased)
               ? -1
               : 0;
}

static int load_head(causal_loader *l)
{
    causal *d = l->d;
    int tied;
    if (d->n_labels) return model_linear(&l->w, &d->head, d->n_labels, d->hidden, "labels,hidden_size", 0, "score");
    if (json_opt_bool(l->cfg, "tie_word_embeddings", d->traits->tied, &tied, l->w.e)) return -1;
    /* A packed file has the head packed beside the embedding that it is tied to. */
    int copy = tied && bind_has_packed(l->w.b, "lm_head.weight");
    if (!tied || copy) {
        if (model_linear(&l->w, &d->head, d->vocab, d->hidden,
                         copy ? "vocab_size,hidden_size" : "vocab_size,hidden_size; tie_word_embeddings is false", 0, "lm_head"))
            return -1;
        if (copy) bind_copy(l->w.b);
        return 0;
    }
    bind_ignore(l->w.b, "lm_head.weight"); /* some files keep a copy */
    if (op_weight_load(&d->head, l->w.op, d->embed, (tensor){0}, l->w.e)) return err_where(l->w.e, "model.embed_tokens.weight");
    l->w.bytes += op_weight_bytes(&d->head);
    return bind_loaded(l->w.b, "lm_head", d->head.type, d->head.panels, op_weight_bytes(&d->head));
}

static int load_layers(causal_loader *l, void *layers, size_t size, causal_load_layer *load_layer)
{
    causal *d = l->d;
    char **list = layers;
    size_t n = d->n_layer;
    for (d->n_layer = 0; d->n_layer < n;) {
        size_t i = d->n_layer;
        if (model_grow(layers, i, size, l->w.e)) return -1;
        d->n_layer++;
        if (load_layer(l, *list + i * size, i)) return -1;
    }
    return 0;
}

int causal_load(causal_loader *l, model_dims *dims, void *layers, size_t size, causal_load_layer *load_layer)
{
    causal *d = l->d;
    size_t n_layer = d->n_layer;
    int failed;
    bind_ignore(l->w.b, "rotary_emb.inv_freq"); /* a buffer that older versions saved */
    d->n_layer = 0;
    failed = bind_matrix(l->w.b, &d->embed, dims->vocab, dims->hidden, "vocab_size,hidden_size", "model.embed_tokens.weight");
    if (!failed) {
        d->n_layer = n_layer;
        failed = load_layers(l, layers, size, load_layer);
    }
    if (failed || load_norm(l, &d->norm, d->hidden, "hidden_size", "model.norm.weight") || load_head(l) ||
        bind_finish(l->w.b, "is config.json that of these weights?", l->w.e))
        return bind_finish(l->w.b, NULL, l->w.e), -1;
    dims->kv = (kv_shape){.n_layer = d->n_layer, .n_kv_head = d->n_kv_head, .head_dim = d->head_dim};
    dims->bytes = l->w.bytes + d->embed.nbytes;
    dims->streamed = l->w.bytes;
    return 0;
}

void causal_attention_free(causal_attention *y)
{
    op_weight_free(&y->q);
    op_weight_free(&y->k);
    op_weight_free(&y->v);
    op_weight_free(&y->o);
    free(y->q_norm);
    free(y->k_norm);
    free(y->sinks);
}

void causal_mlp_free(causal_mlp *y)
{
    op_weight_free(&y->gate);
    op_weight_free(&y->up);
    op_weight_free(&y->down);
}

void causal_free(causal *d)
{
    free(d->freq);
    free(d->norm);
    op_weight_free(&d->head);
}

/* ---- forward ---- */

void causal_layout(causal_work *w, size_t mlp, const causal *d, const op_ctx *op, const model_extent *x, arena *a)
{
    size_t q = d->n_head * d->head_dim, kv = d->n_kv_head * d->head_dim, half = d->head_dim / 2;
    const struct {
        float **p;
        size_t rows, cols;
    } buffers[] = {{&w->x, x->n_tok, d->hidden}, {&w->h, x->n_tok, d->hidden},  {&w->q, x->n_tok, q},
                   {&w->a, x->n_tok, q},         {&w->k, x->n_tok, kv},         {&w->v, x->n_tok, kv},
                   {&w->cosine, x->n_tok, half}, {&w->sine, x->n_tok, half},    {&w->freq, 1, half},
                   {&w->last, x->n_out, d->hidden}};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        *buffers[i].p = arena_take(a, buffers[i].rows, buffers[i].cols * sizeof(float));
    if (mlp) mlp_layout(&w->mlp, op, x->n_tok, d->hidden, mlp, a);
    kv_layout(&w->attention, op, x->n_seq, x->max_len, x->most, d->n_head, d->n_kv_head, a);
}

/* Frequencies belong to the length that a sequence's cache was opened for. */
static void angles(const causal *d, causal_work *w, const model_batch *b)
{
    size_t half = d->head_dim / 2;
    for (size_t s = 0; s < b->n_seq; s++) {
        const kv_cache *c = b->cache[s];
        const float *freq = d->freq;
        float scale = d->rope_scale;
        if (d->rope.type == ROPE_DYNAMIC && c->length > d->rope.max_positions) {
            rope_frequencies(&d->rope, c->length, w->freq, &scale);
            freq = w->freq;
        }
        for (size_t i = b->start[s]; i < b->start[s + 1]; i++)
            rope_angles(freq, half, scale, c->n + i - b->start[s], w->cosine + i * half, w->sine + i * half);
    }
}

void causal_begin(const op_ctx *op, const causal *d, causal_work *w, const model_batch *b)
{
    op_embed(op, d->embed, b->ids, b->n_tok, w->x);
    if (d->traits->scaled_embed) op_scale(op, sqrtf((float)d->hidden), w->x, b->n_tok * d->hidden);
    angles(d, w, b);
}

typedef struct rows_job {
    const causal *d;
    const causal_attention *attention;
    const causal_mlp *mlp;
    const causal_work *w;
} rows_job;

static void attend_rows(void *ctx, const op_rows *r)
{
    const rows_job *j = ctx;
    const causal *d = j->d;
    const causal_attention *y = j->attention;
    const causal_work *w = j->w;
    size_t n = r->m, half = d->head_dim / 2;
    const float *h = w->h + r->first * d->hidden, *cosine = w->cosine + r->first * half, *sine = w->sine + r->first * half;
    float *q = w->q + r->first * d->n_head * d->head_dim;
    float *k = w->k + r->first * d->n_kv_head * d->head_dim, *v = w->v + r->first * d->n_kv_head * d->head_dim;
    const op_into to[] = {{&y->q, q, OP_ACT_NONE}, {&y->k, k, OP_ACT_NONE}, {&y->v, v, OP_ACT_NONE}};
    op_linears(r->op, to, 3, h, n);
    if (y->q_norm) op_rmsnorm(r->op, q, y->q_norm, d->eps, q, n * d->n_head, d->head_dim);
    if (y->k_norm) op_rmsnorm(r->op, k, y->k_norm, d->eps, k, n * d->n_kv_head, d->head_dim);
    op_rope(r->op, cosine, sine, q, n, d->n_head, d->head_dim);
    op_rope(r->op, cosine, sine, k, n, d->n_kv_head, d->head_dim);
}

void causal_attend(const op_ctx *op, const causal *d, const causal_attention *y, size_t i, causal_work *w,
                    const model_batch *b)
{
    size_t n = b->n_tok;
    op_each_rows(op, n, attend_rows, &(rows_job){d, y, NULL, w});
    kv_attend(op, &w->attention, &(kv_attention){.cache = b->cache, .start = b->start, .n_seq = b->n_seq,
                                                 .n_head = d->n_head, .layer = i, .window = y->window, .scale = d->scale,
                                                 .softcap = d->softcap, .sinks = y->sinks, .q = w->q, .k = w->k,
                                                 .v = w->v, .y = w->a});
    op_linear(op, &y->o, w->a, n, w->h, OP_ACT_NONE);
}

static void feed_rows(void *ctx, const op_rows *r)
{
    const rows_job *j = ctx;
    float *h = j->w->h + r->first * j->d->hidden;
    mlp_run(r, &(mlp_weights){&j->mlp->gate, &j->mlp->up, &j->mlp->down, j->d->act}, &j->w->mlp, h, h);
}

void causal_feed(const op_ctx *op, const causal *d, const causal_mlp *y, causal_work *w, size_t n)
{
    op_each_rows(op, n, feed_rows, &(rows_job){d, NULL, y, w});
}

void causal_end(const op_ctx *op, const causal *d, causal_work *w, const model_batch *b, float *logits, float *hidden)
{
    size_t h = d->hidden;
    if (hidden) op_rmsnorm(op, w->x, d->norm, d->eps, hidden, b->n_tok, h);
    if (!logits) return;
    for (size_t i = 0; i < b->n_out; i++) memcpy(w->last + i * h, w->x + b->out[i] * h, h * sizeof *w->x);
    op_rmsnorm(op, w->last, d->norm, d->eps, w->last, b->n_out, h);
    op_linear(op, &d->head, w->last, b->n_out, logits, OP_ACT_NONE);
    if (d->logit_softcap != 0) op_softcap(op, d->logit_softcap, logits, b->n_out * d->head.n);
}
