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
    const char *model_type;
    /* "Class" names of config.json "architectures" it can compute, NULL-terminated. */
    const char *const *architectures;
    /* Reads the config and binds and packs the weights. NULL on error. */
    void *(*load)(json cfg, const char *architecture, bind *b, op_ctx *op, model_dims *dims, pith_err *e);
    void (*free)(void *model);
    /* Bytes packed weights take in memory, and parameters. */
    void (*size)(const void *model, uint64_t *bytes, uint64_t *parameters);
    /* Takes the work buffers of a forward over n_tok tokens in n_seq sequences (longest max_len) from the arena: only
     * measures while it has no memory. */
    void *(*layout)(const void *model, const op_ctx *op, size_t n_tok, size_t n_seq, size_t max_len, arena *a);
    /* Cannot fail. logits [n_seq][n_labels] and hidden [n_tok][hidden] may be NULL. */
    void (*forward)(const void *model, const op_ctx *op, void *work, const model_batch *batch, float *logits,
                    float *hidden);
} model_arch;

/* NULL with a message that lists what is supported. */
const model_arch *model_find(json cfg, const char **architecture, pith_err *e);

#endif
