/* model: the interface an architecture implements, and its lookup by config.json's model_type. */
#ifndef MODEL_H
#define MODEL_H
#include "base/arena.h"
#include "base/json.h"
#include "compute/op.h"
#include "formats/bind.h"

/* What the engine needs to know of any model, filled by load. */
typedef struct model_dims {
    uint64_t hidden;        /* width of the final hidden states */
    uint64_t vocab;         /* rows of the token embedding */
    uint64_t max_positions; /* longest sequence */
    uint64_t n_types;       /* segment ids 0..n_types-1; 1 where the model has none */
    uint64_t n_labels;      /* outputs of the classification head, 0 without one */
} model_dims;

/* Sequences laid end to end, without padding. */
typedef struct model_batch {
    size_t n_tok, n_seq;
    const int32_t *ids;      /* [n_tok] */
    const uint8_t *type_ids; /* [n_tok] */
    const size_t *start;     /* [n_seq + 1]: sequence i is tokens start[i] .. start[i+1]-1 */
    size_t max_len;          /* of one sequence */
} model_batch;

typedef struct model_arch {
    /* What config.json "architectures" may name, NULL-terminated; an absent or empty list is the first of them. */
    const char *const *architectures;
    /* Reads the config, binds the weights and packs them. NULL on error. */
    void *(*load)(json cfg, const char *architecture, bind *b, const op_ctx *op, model_dims *dims, pith_err *e);
    void (*free)(void *model);
    uint64_t (*bytes)(const void *model); /* that the weights take in memory */
    /* Takes the work buffers of a forward over n_tok tokens in n_seq sequences (longest max_len) from the arena: only
     * measures while it has no memory. */
    void *(*layout)(const void *model, const op_ctx *op, size_t n_tok, size_t n_seq, size_t max_len, arena *a);
    /* Cannot fail. logits [n_seq][n_labels] and hidden [n_tok][hidden] may be NULL. */
    void (*forward)(const void *model, const op_ctx *op, void *work, const model_batch *batch, float *logits,
                    float *hidden);
} model_arch;

/* The architecture for a config.json; *model_type and *architecture point into it or into the arch. NULL: unsupported,
 * with a message that lists what is. */
const model_arch *model_find(json cfg, const char **model_type, const char **architecture, pith_err *e);
/* Number of labels and the names of config.json's id2label; "LABEL_i" where there are none. *labels is malloc'ed,
 * names inside it: one block, freed with free. */
int model_labels(json cfg, uint64_t *n, char ***labels, pith_err *e);

#endif
