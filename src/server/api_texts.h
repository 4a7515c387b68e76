/* api_texts: what the protocols over texts share: texts out of a body, the job that reads them, its results until the
 * answer is written. */
#ifndef SERVER_API_TEXTS_H
#define SERVER_API_TEXTS_H
#include "server/api.h"

enum {
    API_TEXTS_MOST = 2048,           /* texts of one request */
    API_TEXTS_TOKENIZED = 1024 * 1024 /* bytes or ids of one request that is answered with tokens or of tokens */
};

/* First member of what a handler owns; made by api_texts_new. */
typedef struct api_texts {
    worker *w;
    pith_text *texts; /* [n], room for cap */
    size_t n, cap;
    int batch;        /* the body had a list of them */
    int truncate;     /* what is too long is cut; else refused */
    api_putter *put;  /* writes the answer, on an api thread */
    char **own;       /* [n_own] texts that do not lie in the body */
    size_t n_own;
    /* after the job */
    pith_result *results; /* [n] of api_texts_classify */
    float *values;        /* [n][width] of api_texts_embed; scores and logits of the others */
    size_t width;
    size_t *n_tokens;     /* [n] of api_texts_embed */
    uint8_t *truncated;
    pith_word *words;     /* [n_words] of api_texts_explain */
    size_t n_words;
} api_texts;

/* size bytes that begin with an api_texts. This and all below: NULL or -1 after api_fail. */
void *api_texts_new(api_call *c, worker *w, size_t size);
/* One more text; pair may be NULL. Both empty: 400. */
int api_texts_add(api_call *c, const char *text, const char *pair);
/* One more, from pith_detokenize, which is freed with the call; may be empty. */
int api_texts_take(api_call *c, char *text, size_t len);
/* The member's texts: a string, a list of strings; where ids is 1 token ids may stand instead of a string. */
int api_texts_read(api_call *c, const char *member, int ids);
/* The member's list of numbers as ids that the tokenizer knows (422: it does not); malloc'ed. */
int32_t *api_texts_ids(api_call *c, json list, const pith_tokenizer *t, size_t *n);
/* 413, or 400 in OpenAI's style: a list of n is too long. */
int api_texts_few(api_call *c, const char *member, size_t n);

/* Put the job; when it is done put is called, or the call has failed. */
void api_texts_classify(api_call *c, const pith_classify_options *o);
void api_texts_embed(api_call *c, const pith_embed_options *o);
void api_texts_explain(api_call *c);
/* Tokens that the model saw. */
size_t api_texts_tokens(const api_texts *t);
void api_texts_put_floats(FILE *f, const float *x, size_t n);

#endif
