/* text: the tokenizer's part of pith.h. */
#include "engine.h"
#include <stdlib.h>

pith_tokenizer *pith_tokenizer_open(const char *dir, pith_err *e)
{
    pith_tokenizer *p = calloc(1, sizeof *p);
    if (!p) {
        err_nomem(e, sizeof *p, "a tokenizer");
        return NULL;
    }
    p->t = tokenizer_open(dir, e);
    if (p->t) return p;
    free(p);
    return NULL;
}

void pith_tokenizer_close(pith_tokenizer *t)
{
    if (!t) return;
    tokenizer_free(t->t);
    free(t);
}

int pith_tokenize(const pith_tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                  const pith_tokenize_options *o, pith_tokens *out, pith_err *e)
{
    tokenizer_options to = {0};
    tokenizer_encoding x = {0};
    *out = (pith_tokens){0};
    if (o)
        to = (tokenizer_options){.no_special = o->no_special, .no_parse_special = o->no_parse_special,
                                 .strict = o->strict || o->n_foreign, .max_length = o->max_length,
                                 .foreign = o->foreign, .n_foreign = o->n_foreign};
    if (tokenizer_encode(t->t, text, len, pair, pair_len, &to, &x, &out->n_full, e)) {
        tokenizer_encoding_free(&x);
        return -1;
    }
    out->n = x.n, out->ids = x.ids, out->type_ids = x.type_ids, out->special = x.special;
    out->begin = x.begin, out->end = x.end, out->n_replaced = x.n_replaced;
    free(x.second);
    return 0;
}

void pith_tokens_free(pith_tokens *x)
{
    free((void *)(uintptr_t)x->ids);
    free((void *)(uintptr_t)x->type_ids);
    free((void *)(uintptr_t)x->special);
    free((void *)(uintptr_t)x->begin);
    free((void *)(uintptr_t)x->end);
    *x = (pith_tokens){0};
}

int pith_detokenize(const pith_tokenizer *t, const int32_t *ids, size_t n, int skip_special, char **out, size_t *len,
                    pith_err *e)
{
    return tokenizer_decode(t->t, ids, n, skip_special != 0, out, len, e);
}

const char *pith_token_piece(const pith_tokenizer *t, int32_t id) { return tokenizer_piece(t->t, id); }
