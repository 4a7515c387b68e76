/* tokmodel: the interface of the third stage, which turns one word into pieces. Each model is a file that exports one
 * `tokmodel`; tokmodel.c lists them. */
#ifndef TOKENIZER_TOKMODEL_H
#define TOKENIZER_TOKMODEL_H
#include "tokenizer/encoding.h"
#include "tokenizer/vocab.h"

typedef struct tokmodel {
    const char *type;
    bool spells_bytes; /* can work after ByteLevel: then a word is any bytes, and pieces spell them (bytelevel.h) */
    /* Reads its settings and fills the vocabulary. v: the value of "model"; bytes: it works after ByteLevel. */
    void *(*open)(json v, bool bytes, vocab *vocabulary, pith_err *e);
    void (*close)(void *m);
    /* Appends the tokens of text[begin..end) (not empty, valid UTF-8); their offsets are positions in text. *scratch,
     * NULL at first, is one caller's, for buffers that words share. */
    int (*word)(const void *m, const vocab *v, const char *text, size_t begin, size_t end, void **scratch,
                tokenizer_encoding *out, pith_err *e);
    void (*scratch_free)(void *scratch); /* NULL: it needs none */
} tokmodel;

extern const tokmodel wordpiece_model, wordlevel_model, bpe_model, unigram_model;

/* The implementation of the value of "model"; NULL with a message that lists what there is. */
const tokmodel *tokmodel_find(json v, pith_err *e);

#endif
