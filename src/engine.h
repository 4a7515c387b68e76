/* engine: what the files that implement pith.h share. Not public. */
#ifndef ENGINE_H
#define ENGINE_H
#include "model.h"
#include "tokenizer/tokenizer.h"

struct pith_tokenizer {
    tokenizer *t;
};

struct pith_model {
    const model_arch *arch;
    void *weights; /* the architecture's own */
    model_dims dims;
    op_ctx op;
    safetensors *files; /* stays open: embedding rows are read from it */
    json_doc *config;
    const char *type;   /* in config */
    pith_tokenizer tokenizer; /* t is NULL where the directory has none */
    char **labels;            /* [dims.n_labels] */
    pith_activation activation;
    uint64_t parameters;
};

struct pith_session {
    const pith_model *m;
    arena memory;
};

#endif
