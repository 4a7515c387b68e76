/* encoding: growing a tokenizer_encoding. For the files of this folder; callers see only tokenizer.h. */
#ifndef TOKENIZER_ENCODING_H
#define TOKENIZER_ENCODING_H
#include "tokenizer/tokenizer.h"

/* Room for `more` tokens beyond x->n. */
int encoding_grow(tokenizer_encoding *x, size_t more, pith_err *e);
static inline int encoding_reserve(tokenizer_encoding *x, size_t more, pith_err *e)
{
    return x->cap - x->n >= more ? 0 : encoding_grow(x, more, e);
}
/* Appends a token from the text; there must be room. */
static inline void encoding_put(tokenizer_encoding *x, int32_t id, size_t begin, size_t end)
{
    size_t i = x->n++;
    x->ids[i] = id;
    x->type_ids[i] = 0;
    x->special[i] = 0;
    x->second[i] = 0;
    x->begin[i] = begin;
    x->end[i] = end;
}

#endif
