/* engine: what the files that implement pith.h share. Not public. */
#ifndef ENGINE_H
#define ENGINE_H
#include "model.h"
#include "tokenizer/tokenizer.h"

struct pith_tokenizer {
    tokenizer *t;
};

/* How a directory of sentence-transformers makes vectors; without its files the mean of the tokens. */
typedef struct engine_vectors {
    pith_pooling pooling;
    int normalize;
    size_t max_length; /* 0: not said */
    char *prompt;      /* stands before every text; NULL: none */
    char *refused;     /* why there are none; NULL: there are */
} engine_vectors;

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
    engine_vectors vectors;
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
    int (*unwanted)(void *ctx); /* NULL, or asked between layers */
    void *ctx;
} engine_run;
/* 1: it was unwanted: nothing was computed, the caches are as they were. */
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

/* Says which directory an error is about, unless its message begins with a path in it. Always -1. */
int engine_where(const char *dir, pith_err *e);
/* The JSON file dir/name; *out is NULL where there is none. */
int engine_json(const char *dir, const char *name, json_doc **out, pith_err *e);
/* Fills the model's settings for vectors from the directory, the tokenizer being open. */
int engine_modules(pith_model *m, const char *dir, pith_err *e);
/* Fills the model's settings for generation from the directory; a file that is not there leaves the defaults. */
int engine_settings(pith_model *m, const char *dir, pith_err *e);

/* Adds a warning to the model. */
int engine_note(pith_model *m, pith_err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Texts packed into forwards of at most batch_tokens, without padding. run computes the n sequences there are. */
typedef struct engine_piece {
    tokenizer_encoding x;
    size_t text; /* the caller's number of the text it comes from */
} engine_piece;
typedef struct engine_pack {
    size_t max_length, batch_tokens; /* asked for; 0: the model's, 8192 */
    tokenizer_options read;
    int (*run)(void *ctx, pith_err *e);
    void *ctx;
    const tokenizer *t;
    tokenizer_encoding text, pair; /* what engine_pack_read read, without special tokens */
    int paired;
    engine_piece *pieces; /* [n] */
    pith_seq *seqs;       /* [n] */
    size_t n, cap, n_tokens;
    float *out; /* [n_out] */
    size_t n_out;
} engine_pack;
/* Fills in the defaults. -1: the model has no tokenizer, or fewer positions than max_length. */
int engine_pack_open(engine_pack *p, const pith_model *m, pith_err *e);
int engine_pack_read(engine_pack *p, const pith_text *t, pith_err *e);
/* Tokens of the text that was read which fit in beside the special ones, at least 1. */
int engine_pack_room(const engine_pack *p, size_t *room, pith_err *e);
/* Adds the sequence text[a0,a1) pair[0,nb), *n tokens with the special ones; a full batch is run first. */
int engine_pack_add(engine_pack *p, size_t text, size_t a0, size_t a1, size_t nb, size_t *n, pith_err *e);
int engine_pack_flush(engine_pack *p, pith_err *e);
/* n floats in p->out. */
int engine_pack_out(engine_pack *p, size_t n, size_t each, pith_err *e);
void engine_pack_free(engine_pack *p);

#endif
