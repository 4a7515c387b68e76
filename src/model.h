/* model: the interface an architecture implements, and its lookup by config.json's model_type. */
#ifndef MODEL_H
#define MODEL_H
#include "base/arena.h"
#include "base/json.h"
#include "compute/kv.h"
#include "compute/op.h"
#include "compute/rope.h"
#include "formats/bind.h"

/* What the engine needs to know of any model, filled by load. */
typedef struct model_dims {
    uint64_t hidden;        /* width of the final hidden states */
    uint64_t vocab;         /* rows of the token embedding */
    uint64_t max_positions; /* longest sequence, unless it stretches: max_position_embeddings */
    int stretches;          /* rotary positions go on past max_positions (dynamic): a cache may be opened for more */
    uint64_t n_types;       /* segment ids 0..n_types-1; 1 where the model has none */
    uint64_t n_labels;      /* outputs of the classification head, 0 without one */
    int causal;             /* reads its keys and values from a cache; without labels it predicts the next token */
    kv_shape kv;            /* of that cache */
    uint64_t bytes;         /* that the weights take in memory */
    uint64_t streamed;      /* of those, what computing one token reads; 0: all */
} model_dims;

/* Sequences laid end to end, without padding. */
typedef struct model_batch {
    size_t n_tok, n_seq;
    const int32_t *ids;      /* [n_tok] */
    const uint8_t *type_ids; /* [n_tok] */
    const size_t *start;     /* [n_seq + 1]: sequence i is tokens start[i] .. start[i+1]-1 */
    /* Causal models: what each sequence has seen before, and the tokens whose logits are wanted. */
    kv_cache *const *cache; /* [n_seq] */
    const size_t *out;      /* [n_out], ascending */
    size_t n_out;
    /* NULL, or asked between layers: not 0: nobody wants the outcome any more. */
    int (*unwanted)(void *ctx);
    void *ctx;
} model_batch;

/* What a forward's work buffers must hold. */
typedef struct model_extent {
    size_t n_tok, n_seq;
    size_t max_len; /* new tokens of one sequence */
    size_t most;    /* cached and new tokens of one sequence */
    size_t n_out;
} model_extent;

typedef struct model_arch {
    /* What config.json "architectures" may name, NULL-terminated; an absent or empty list is the first of them. */
    const char *const *architectures;
    /* Reads the config, binds the weights and packs them. NULL on error. */
    void *(*load)(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e);
    void (*free)(void *model);
    /* Takes the work buffers of a forward from the arena: only measures while it has no memory. */
    void *(*layout)(const void *model, const op_ctx *op, const model_extent *x, arena *a);
    /* Cannot fail. logits ([n_seq][n_labels], or [n_out][vocab] of a causal model without labels) and hidden
     * [n_tok][hidden] may be NULL. 1: it was unwanted and ended early, with nothing in either; else 0. */
    int (*forward)(const void *model, const op_ctx *op, void *work, const model_batch *batch, float *logits,
                   float *hidden);
} model_arch;
/* Asks the batch whether it is unwanted. */
int model_unwanted(const model_batch *b);

/* The architecture for a config.json; *model_type and *architecture point into it or into the arch. NULL: unsupported,
 * with a message that lists what is. */
const model_arch *model_find(json cfg, const char **model_type, const char **architecture, pith_err *e);
/* What loading a weight needs; bytes counts what was taken. */
typedef struct model_loader {
    bind *b;
    const op_ctx *op;
    uint64_t bytes;
    pith_err *e;
} model_loader;

/* "<base>.weight" [rows][cols] and, if biased, "<base>.bias" [rows], packed. why: see bind_matrix. */
int model_linear(model_loader *l, op_weight *out, size_t rows, size_t cols, const char *why, int biased, const char *base);
/* The vector `name` [n] as float, malloc'ed. */
int model_vector(model_loader *l, float **out, size_t n, const char *why, const char *name);
/* Room for one more element of `size` bytes behind the n that *list holds; the new one is zeroed. Layers are counted by
 * the file, not by the config: an absurd number of them fails at the first that is not there. */
int model_grow(void *list, size_t n, size_t size, pith_err *e);

/* Rotary settings in both shapes of config.json: rope_theta with rope_scaling, and rope_parameters. out->theta holds what
 * theta is where neither names it. */
int model_rope(json cfg, size_t dim, uint64_t max_positions, rope_config *out, pith_err *e);
/* Does layer i slide, by config.json's layer_types? `otherwise` where there is no such list. */
int model_slides(json cfg, size_t i, int otherwise, int *out, pith_err *e);
/* Number of labels and the names of config.json's id2label; "LABEL_i" where there are none. *labels is malloc'ed,
 * names inside it: one block, freed with free. */
int model_labels(json cfg, uint64_t *n, char ***labels, pith_err *e);

#endif
