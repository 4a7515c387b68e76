/* bert: BERT and DistilBERT encoders, bare or with a sequence classification head; other heads are left out.
 *
 *   x = LayerNorm(word[id] + position[i] (+ type[t]))           t: segment; BERT only
 *   for each layer:
 *     a = softmax(q k^T / sqrt(head_dim)) v                     q, k, v = W x + b, n_head heads, every token sees
 *     x = LayerNorm(x + W_o a + b)                              every token of its own sequence
 *     f = W_2 act(W_1 x + b) + b
 *     x = LayerNorm(x + f)
 *   hidden states = x
 *   logits = W_c act_p(W_p x[first token] + b) + b              act_p: tanh (BERT's pooler), relu (DistilBERT)
 *
 * Devlin et al. 2018; Sanh et al. 2019. The two differ in names, in the type embedding and in act_p. */
#include "model.h"
#include "compute/mlp.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct norm {
    float *gamma, *beta; /* [hidden] */
} norm;

typedef struct layer {
    op_weight q, k, v, out; /* [hidden][hidden] */
    op_weight up, down;     /* [intermediate][hidden], [hidden][intermediate] */
    norm attention_norm, output_norm;
} layer;

typedef struct bert {
    size_t hidden, intermediate, n_head, n_layer, n_types, n_labels;
    float eps;
    op_act act, pooler_act;
    tensor word;            /* [vocab][hidden], in the file */
    float *position, *type; /* [max_positions][hidden], [n_types][hidden] or NULL */
    norm embedding_norm;
    layer *layers;
    op_weight pooler, classifier; /* [hidden][hidden], [n_labels][hidden]; empty without a head */
} bert;

/* The two spellings of the same drawing. %zu is the layer. */
typedef struct names {
    const char *hidden, *intermediate, *n_head, *n_layer, *act; /* keys of config.json */
    const char *prefix, *layer;                                 /* "bert.", "encoder.layer" */
    const char *q, *k, *v, *out, *attention_norm, *up, *down, *output_norm, *pooler;
    int pooler_in_base; /* the pooler belongs to the base model, so its name has the prefix */
} names;

static const names bert_names = {
    "hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "hidden_act", "bert.",
    "encoder.layer", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm", "pooler.dense", 1};
static const names distilbert_names = {
    "dim", "hidden_dim", "n_heads", "n_layers", "activation", "distilbert.",
    "transformer.layer", "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
    "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm", "pre_classifier", 0};

static const char *const architectures[] = {"DistilBertForSequenceClassification", "BertForSequenceClassification",
                                            "DistilBertModel", "BertModel", "DistilBertForMaskedLM", "BertForMaskedLM",
                                            "BertForPreTraining", NULL};
/* Ends of names that belong to other heads, or to one that is not asked for. */
static const char *const other_heads[] = {
    "pooler.dense.weight", "pooler.dense.bias", "cls.predictions.bias", "cls.predictions.transform.dense.weight",
    "cls.predictions.transform.dense.bias", "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.transform.LayerNorm.bias", "cls.predictions.transform.LayerNorm.gamma",
    "cls.predictions.transform.LayerNorm.beta", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias",
    "cls.seq_relationship.weight", "cls.seq_relationship.bias", "vocab_transform.weight", "vocab_transform.bias",
    "vocab_layer_norm.weight", "vocab_layer_norm.bias", "vocab_projector.weight", "vocab_projector.bias"};

/* ---- load ---- */

typedef struct loader {
    model_loader w;
    bert *m;
    const names *n;
} loader;

static int load_norm(loader *l, norm *out, const char *base)
{
    char name[300];
    snprintf(name, sizeof name, "%s.weight", base);
    if (model_vector(&l->w, &out->gamma, l->m->hidden, l->n->hidden, name)) return -1;
    snprintf(name, sizeof name, "%s.bias", base);
    return model_vector(&l->w, &out->beta, l->m->hidden, l->n->hidden, name);
}

static int load_table(loader *l, float **out, size_t rows, const char *why, const char *name)
{
    tensor t;
    if (bind_matrix(l->w.b, &t, rows, l->m->hidden, why, "%sembeddings.%s.weight", l->n->prefix, name)) return -1;
    l->w.bytes += rows * l->m->hidden * sizeof(float);
    return op_vector_load(out, t, l->w.e);
}

static int load_layer(loader *l, layer *y, size_t i)
{
    char base[256];
    const names *n = l->n;
    size_t h = l->m->hidden, f = l->m->intermediate;
    const struct {
        op_weight *w;
        const char *name;
        size_t rows, cols;
    } linear[] = {{&y->q, n->q, h, h},     {&y->k, n->k, h, h},   {&y->v, n->v, h, h},
                  {&y->out, n->out, h, h}, {&y->up, n->up, f, h}, {&y->down, n->down, h, f}};
    char why[64];
    for (size_t j = 0; j < sizeof linear / sizeof linear[0]; j++) {
        snprintf(base, sizeof base, "%s%s.%zu.%s", n->prefix, n->layer, i, linear[j].name);
        snprintf(why, sizeof why, "%s,%s", linear[j].rows == h ? n->hidden : n->intermediate,
                 linear[j].cols == h ? n->hidden : n->intermediate);
        if (model_linear(&l->w, linear[j].w, linear[j].rows, linear[j].cols, why, 1, base)) return -1;
    }
    snprintf(base, sizeof base, "%s%s.%zu.%s", n->prefix, n->layer, i, n->attention_norm);
    if (load_norm(l, &y->attention_norm, base)) return -1;
    snprintf(base, sizeof base, "%s%s.%zu.%s", n->prefix, n->layer, i, n->output_norm);
    return load_norm(l, &y->output_norm, base);
}

static int load_embeddings(loader *l, const model_dims *d)
{
    char base[64], why[64];
    snprintf(why, sizeof why, "vocab_size,%s", l->n->hidden);
    if (bind_matrix(l->w.b, &l->m->word, d->vocab, d->hidden, why, "%sembeddings.word_embeddings.weight", l->n->prefix))
        return -1;
    snprintf(why, sizeof why, "max_position_embeddings,%s", l->n->hidden);
    if (load_table(l, &l->m->position, (size_t)d->max_positions, why, "position_embeddings")) return -1;
    if (l->n == &bert_names &&
        load_table(l, &l->m->type, (size_t)d->n_types, "type_vocab_size,hidden_size", "token_type_embeddings"))
        return -1;
    snprintf(base, sizeof base, "%sembeddings.LayerNorm", l->n->prefix);
    return load_norm(l, &l->m->embedding_norm, base);
}

static int load_head(loader *l)
{
    char base[64], why[64];
    size_t h = l->m->hidden;
    snprintf(base, sizeof base, "%s%s", l->n->pooler_in_base ? l->n->prefix : "", l->n->pooler);
    if (model_linear(&l->w, &l->m->pooler, h, h, l->n->hidden, 1, base)) return -1;
    snprintf(why, sizeof why, "labels,%s", l->n->hidden);
    return model_linear(&l->w, &l->m->classifier, l->m->n_labels, h, why, 1, "classifier");
}

static int read_config(bert *m, const names *n, json cfg, const char *architecture, model_dims *d, pith_err *e)
{
    const uint64_t max = INT32_MAX;
    uint64_t n_head, n_layer, intermediate;
    const char *act, *position;
    double eps = 1e-12; /* DistilBERT's is fixed */
    int decoder;
    char where[64];
    snprintf(where, sizeof where, "config.json: %s", n->act);
    if (json_get_str(cfg, n->act, &act, e) || op_act_find(act, where, &m->act, e)) return -1;
    if (json_opt_str(cfg, "position_embedding_type", "absolute", &position, e)) return -1;
    if (strcmp(position, "absolute"))
        return err_set(e, "config.json: position_embedding_type \"%.80s\" is not supported (supported: absolute)", position);
    if (json_opt_bool(cfg, "is_decoder", 0, &decoder, e)) return -1;
    if (decoder) return err_set(e, "config.json: is_decoder: a BERT decoder is not supported (encoders are)");
    if (json_get_size(cfg, n->hidden, 1, max, &d->hidden, e) || json_get_size(cfg, n->n_head, 1, max, &n_head, e) ||
        json_get_size(cfg, n->n_layer, 1, max, &n_layer, e) || json_get_size(cfg, "vocab_size", 1, max, &d->vocab, e) ||
        json_get_size(cfg, n->intermediate, 1, max, &intermediate, e) ||
        json_get_size(cfg, "max_position_embeddings", 1, max, &d->max_positions, e))
        return -1;
    d->n_types = 1;
    if (n == &bert_names && (json_opt_size(cfg, "type_vocab_size", 1, 256, 2, &d->n_types, e) ||
                             json_opt_num(cfg, "layer_norm_eps", 1e-12, &eps, e)))
        return -1;
    if (d->hidden % n_head)
        return err_set(e, "config.json: %s %llu is not a multiple of %s %llu", n->hidden, (unsigned long long)d->hidden,
                       n->n_head, (unsigned long long)n_head);
    if (!(eps >= 0)) return err_set(e, "config.json: layer_norm_eps must not be negative, found %g", eps);
    if (!architecture || strstr(architecture, "ForSequenceClassification")) {
        char **labels;
        if (model_labels(cfg, &d->n_labels, &labels, e)) return -1;
        free(labels);
    }
    m->hidden = (size_t)d->hidden, m->n_head = (size_t)n_head, m->n_layer = (size_t)n_layer;
    m->intermediate = (size_t)intermediate, m->n_types = (size_t)d->n_types, m->n_labels = (size_t)d->n_labels;
    m->eps = (float)eps;
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

static void free_norm(norm *n)
{
    free(n->gamma);
    free(n->beta);
}

static void bert_free(void *model)
{
    bert *m = model;
    if (!m) return;
    for (size_t i = 0; m->layers && i < m->n_layer; i++) {
        layer *y = &m->layers[i];
        op_weight *w[] = {&y->q, &y->k, &y->v, &y->out, &y->up, &y->down};
        for (size_t j = 0; j < sizeof w / sizeof w[0]; j++) op_weight_free(w[j]);
        free_norm(&y->attention_norm);
        free_norm(&y->output_norm);
    }
    free(m->layers);
    free(m->position);
    free(m->type);
    free_norm(&m->embedding_norm);
    op_weight_free(&m->pooler);
    op_weight_free(&m->classifier);
    free(m);
}

static void *bert_load(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e)
{
    bert *m = calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    int distil = strcmp(json_str(json_get(cfg, "model_type")), "distilbert") == 0;
    loader l = {{b, op, 0, e}, m, distil ? &distilbert_names : &bert_names};
    m->pooler_act = distil ? OP_ACT_RELU : OP_ACT_TANH;
    /* Checkpoints converted from TensorFlow, and buffers that older versions saved. */
    bind_alias(b, "LayerNorm.weight", "LayerNorm.gamma");
    bind_alias(b, "LayerNorm.bias", "LayerNorm.beta");
    bind_prefix(b, l.n->prefix);
    bind_ignore(b, "embeddings.position_ids");
    if (read_config(m, l.n, cfg, architecture, dims, e) || load_embeddings(&l, dims) || load_layers(&l) ||
        (m->n_labels && load_head(&l))) {
        bind_finish(b, NULL, e);
        bert_free(m);
        return NULL;
    }
    for (size_t i = 0; !m->n_labels && i < sizeof other_heads / sizeof other_heads[0]; i++) bind_ignore(b, other_heads[i]);
    if (bind_finish(b, "is config.json that of these weights?", e)) {
        bert_free(m);
        return NULL;
    }
    dims->bytes = l.w.bytes + m->word.nbytes;
    return m;
}

/* ---- forward ---- */

typedef struct work {
    float *x, *q, *k, *v, *a; /* [n_tok][hidden] */
    float *t;                 /* [scratch rows][hidden] */
    float *first, *pooled;    /* [n_seq][hidden] */
    op_attention_work attention;
    mlp_work mlp;
} work;

static void *bert_layout(const void *model, const op_ctx *op, const model_extent *x, arena *a)
{
    const bert *m = model;
    work measured = {0}, *placed = arena_take(a, 1, sizeof *placed), *w = placed ? placed : &measured;
    float **wide[] = {&w->x, &w->q, &w->k, &w->v, &w->a};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++)
        *wide[i] = arena_take(a, x->n_tok, m->hidden * sizeof(float));
    w->t = arena_take(a, op_rows_scratch(op, x->n_tok), m->hidden * sizeof(float));
    mlp_layout(&w->mlp, op, x->n_tok, m->hidden, m->intermediate, a);
    w->first = arena_take(a, x->n_seq, m->hidden * sizeof(float));
    w->pooled = arena_take(a, x->n_seq, m->hidden * sizeof(float));
    op_attention_layout(&w->attention, op, x->n_tok, x->n_seq, x->max_len, m->n_head, m->hidden / m->n_head, a);
    return placed;
}

static void embed(const bert *m, const op_ctx *op, work *w, const model_batch *batch)
{
    size_t h = m->hidden;
    op_embed(op, m->word, batch->ids, batch->n_tok, w->x);
    for (size_t s = 0; s < batch->n_seq; s++)
        for (size_t i = batch->start[s]; i < batch->start[s + 1]; i++) {
            if (m->type) op->kernels->add(m->type + batch->type_ids[i] * h, w->x + i * h, h);
            op->kernels->add(m->position + (i - batch->start[s]) * h, w->x + i * h, h);
        }
    op_add_layernorm(op, w->x, NULL, m->embedding_norm.gamma, m->embedding_norm.beta, m->eps, w->x, batch->n_tok, h);
}

typedef struct rows_job {
    const bert *m;
    const work *w;
    const layer *before, *after; /* the layer that ends with these rows, and the one that begins; or NULL */
} rows_job;

/* Everything between two attentions. */
static void forward_rows(void *ctx, const op_rows *r)
{
    const rows_job *j = ctx;
    const bert *m = j->m;
    const work *w = j->w;
    const layer *y = j->before, *z = j->after;
    size_t h = m->hidden, n = r->m, at = r->first * h;
    float *x = w->x + at, *t = w->t + r->scratch * h;
    if (y) {
        op_linear(r->op, &y->out, w->a + at, n, t, OP_ACT_NONE);
        op_add_layernorm(r->op, x, t, y->attention_norm.gamma, y->attention_norm.beta, m->eps, x, n, h);
        mlp_run(r, &(mlp_weights){NULL, &y->up, &y->down, m->act}, &w->mlp, x, t);
        op_add_layernorm(r->op, x, t, y->output_norm.gamma, y->output_norm.beta, m->eps, x, n, h);
    }
    if (z) {
        const op_into to[] = {{&z->q, w->q + at, OP_ACT_NONE}, {&z->k, w->k + at, OP_ACT_NONE}, {&z->v, w->v + at, OP_ACT_NONE}};
        op_linears(r->op, to, 3, x, n);
    }
}

static int bert_forward(const void *model, const op_ctx *op, void *memory, const model_batch *batch, float *logits,
                        float *hidden)
{
    const bert *m = model;
    work *w = memory;
    size_t h = m->hidden, n = batch->n_tok, head_dim = h / m->n_head;
    float scale = 1.0f / sqrtf((float)head_dim);

    embed(m, op, w, batch);
    for (size_t i = 0; i <= m->n_layer; i++) {
        if (model_unwanted(batch)) return 1;
        rows_job j = {m, w, i ? &m->layers[i - 1] : NULL, i < m->n_layer ? &m->layers[i] : NULL};
        op_each_rows(op, n, forward_rows, &j);
        if (j.after)
            op_attention(op, &w->attention, w->q, w->k, w->v, batch->start, batch->n_seq, m->n_head, head_dim, scale, w->a);
    }
    if (hidden) memcpy(hidden, w->x, n * h * sizeof(float));
    if (!logits) return 0;
    for (size_t s = 0; s < batch->n_seq; s++)
        memcpy(w->first + s * h, w->x + batch->start[s] * h, h * sizeof(float));
    op_linear(op, &m->pooler, w->first, batch->n_seq, w->pooled, m->pooler_act);
    op_linear(op, &m->classifier, w->pooled, batch->n_seq, logits, OP_ACT_NONE);
    return 0;
}

const model_arch bert_arch = {architectures, bert_load, bert_free, bert_layout, bert_forward};
