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
    chunk_list kept;/* what it packed */
    model_dims dims;
    op_ctx op;
    size_t widest; /* columns of its matrices, at most */
    safetensors *files; /* stays open: embedding rows are read from it */
    json_doc *config;
    const char *type;   /* in config */
    pith_tokenizer tokenizer; /* t is NULL where the directory has none */
    char **labels;            /* [dims.n_labels] */
    pith_activation activation;
    uint64_t parameters;
    /* generation_config.json, else config.json */
    int32_t *eos; /* [n_eos] */
    size_t n_eos;
    int32_t bos;            /* -1: none */
    pith_sampling sampling;
    size_t max_new_tokens;  /* 0: not said */
    char *note[2];          /* warnings: what of it is not followed; ids that the model lacks */
    size_t n_notes;
};

struct pith_session {
    const pith_model *m;
    arena memory;
};

/* One forward. cache: what each sequence has seen ([n]; NULL for encoders), advanced by it. */
typedef struct engine_run {
    const pith_seq *seqs;
    size_t n;
    kv_cache *const *cache;
    int every_token; /* logits of every token, not only of each sequence's last */
    float *logits, *hidden;
} engine_run;
int engine_forward(pith_session *s, const engine_run *r, pith_err *e);

/* Two steps of opening. The config and the architecture that it names: */
int engine_config(pith_model *m, const char *dir, const char **architecture, pith_err *e);
/* and the weights. tell: they are only checked: everything wrong with them is told (bind_tell), and the model computes
 * nothing. NULL: they are loaded. */
typedef struct engine_source {
    int no_mmap;
    bind_tell_fn *tell;
    bind_record_fn *record; /* is told every matrix and what it was packed to; not 0: it ends there */
    void *ctx;
} engine_source;
int engine_weights(pith_model *m, const char *dir, const char *architecture, const engine_source *o, pith_err *e);
/* "q8", "q4", NULL or "auto" (0). */
int engine_dtype(const char *name, dtype *out, pith_err *e);

/* Fills the model's settings for generation from the directory; a file that is not there leaves the defaults. */
int engine_settings(pith_model *m, const char *dir, pith_err *e);

/* Adds a warning to the model. */
int engine_note(pith_model *m, pith_err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
