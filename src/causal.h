/* causal: what the files of causal models share: the way from ids to vectors, attention over a cache, and the way from
 * vectors to logits. It draws no layer: that is each model file's own. */
#ifndef CAUSAL_H
#define CAUSAL_H
#include "model.h"
#include "compute/mlp.h"

/* Which layers see a window of positions only. */
typedef enum causal_window {
    CAUSAL_SEES_ALL,
    CAUSAL_SLIDES,     /* all of them */
    CAUSAL_MAY_SLIDE,  /* with use_sliding_window: as layer_types say, else from max_window_layers on */
    CAUSAL_ALTERNATES, /* as layer_types say, else layers 0, 2, 4, ... */
} causal_window;

/* What a model type takes for granted, or where config.json is silent. */
typedef struct causal_traits {
    const char *type;   /* model_type */
    size_t head_dim;    /* 0: hidden_size / num_attention_heads */
    double eps, theta;  /* 0: 1e-6 and 10000 */
    int tied;           /* tie_word_embeddings */
    int one_plus;       /* norms multiply by 1 + weight */
    int scaled_embed;   /* embeddings are multiplied by sqrt(hidden_size) */
    int qkv_bias, o_bias, mlp_bias; /* -1: as attention_bias and mlp_bias say */
    int qk_norm;
    causal_window slides;
    uint64_t window;    /* sliding_window; 0: 4096 */
} causal_traits;

typedef struct causal {
    const causal_traits *traits;
    size_t hidden, n_head, n_kv_head, head_dim, n_layer, vocab, n_labels, intermediate;
    uint64_t window, first_window; /* positions (0: all), and the layer it begins with where layer_types is silent */
    int qkv_bias, o_bias, mlp_bias;
    op_act act;
    float eps;
    float scale, softcap; /* of attention's scores: see kv_attention */
    float logit_softcap;  /* logits become cap * tanh(logit / cap); 0: not */
    rope_config rope;
    float *freq, rope_scale; /* [head_dim / 2] */
    tensor embed;            /* [vocab][hidden], in the file */
    float *norm;             /* [hidden] */
    op_weight head;          /* [vocab or n_labels][hidden] */
} causal;

typedef struct causal_attention {
    op_weight q, k, v, o;
    float *q_norm, *k_norm; /* [head_dim] or NULL */
    float *sinks;           /* [n_head] or NULL */
    size_t window;          /* 0: sees everything */
} causal_attention;

/* W_down (act(W_gate h) * (W_up h)) */
typedef struct causal_mlp {
    op_weight gate, up, down;
} causal_mlp;

typedef struct causal_loader {
    model_loader w;
    causal *d;
    void *model; /* that d is part of */
    json cfg;
} causal_loader;

/* ---- load ---- */

/* Reads what every causal model's config.json has into l->d, and dims. all: the file's model types. */
int causal_config(causal_loader *l, const causal_traits *all, size_t n, const char *architecture, model_dims *dims);
/* Projections, norms, biases and window of layer i. */
int causal_load_attention(causal_loader *l, causal_attention *y, size_t i);
int causal_load_mlp(causal_loader *l, causal_mlp *y, size_t i);
/* model.layers.<i>.<name>, and its bias. */
int causal_linear(causal_loader *l, op_weight *out, size_t i, const char *name, size_t rows, size_t cols, const char *why,
                   int biased);
/* model.layers.<i>.<name>.weight: what a norm multiplies by. */
int causal_norm(causal_loader *l, float **out, size_t i, const char *name, size_t n, const char *why);
/* Embedding, the n_layer layers into *layers, last norm, head; nothing may be left over. What was taken of *layers is
 * counted in d->n_layer also when it fails. */
typedef int causal_load_layer(causal_loader *l, void *layer, size_t i);
int causal_load(causal_loader *l, model_dims *dims, void *layers, size_t size, causal_load_layer *load_layer);
void causal_attention_free(causal_attention *y);
void causal_mlp_free(causal_mlp *y);
void causal_free(causal *d); /* what it holds */

/* ---- forward ---- */

typedef struct causal_work {
    float *x, *h;         /* [n_tok][hidden] */
    float *q, *a;         /* [n_tok][n_head * head_dim] */
    float *k, *v;         /* [n_tok][n_kv_head * head_dim] */
    float *cosine, *sine; /* [n_tok][head_dim / 2] */
    float *freq;          /* [head_dim / 2] of a sequence that needs its own */
    float *last;          /* [n_out][hidden] */
    kv_work attention;
    mlp_work mlp;
} causal_work;

/* The buffers above; those of the MLP only if the model has one: its width, or 0. */
void causal_layout(causal_work *w, size_t mlp, const causal *d, const op_ctx *op, const model_extent *x, arena *a);
/* x = embed[id] (* sqrt(hidden)), and the angles of every token's position. */
void causal_begin(const op_ctx *op, const causal *d, causal_work *w, const model_batch *b);
/* h = W_o softmax(rope(W_q h) rope(W_k h)^T * scale) W_v h: layer i, through its cache. */
void causal_attend(const op_ctx *op, const causal *d, const causal_attention *y, size_t i, causal_work *w,
                    const model_batch *b);
/* h = W_down (act(W_gate h) * (W_up h)) */
void causal_feed(const op_ctx *op, const causal *d, const causal_mlp *y, causal_work *w, size_t n);
/* hidden = RMSNorm(x); logits = W_head hidden of the tokens asked for. */
void causal_end(const op_ctx *op, const causal *d, causal_work *w, const model_batch *b, float *logits, float *hidden);

#endif
