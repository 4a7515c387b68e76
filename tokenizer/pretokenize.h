/* pretokenize: the second stage after normalisation: cuts a text into the words that the model sees one by one.
 * Supported: BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Split, Whitespace,
 * WhitespaceSplit, Sequence, null. A new one is a step in pretokenize.c and a line in its read_one. */
#ifndef TOKENIZER_PRETOKENIZE_H
#define TOKENIZER_PRETOKENIZE_H
#include "tokenizer/normalize.h"
#include <stdbool.h>

/* Where a text that a step rewrote (Metaspace, a space put before it) came from. */
typedef struct pretokenize_map {
    const normalized *text;
    size_t base, cursor;             /* its byte 0 is byte `base` of the text before; see normalize_origin */
    const char *bytes;               /* the text before, if this one spells its bytes (ByteLevel) */
    struct pretokenize_map *outer;   /* that text was rewritten itself */
} pretokenize_map;

/* Called with each word text[begin..end), never empty, in order; map is NULL if text is the text given. */
typedef int pretokenize_word(void *ctx, const char *text, size_t begin, size_t end, pretokenize_map *map, pith_err *e);
/* Turns positions in a word's text, *begin < *end, into positions of the text given. *begin may not go back. */
void pretokenize_origin(pretokenize_map *map, uint64_t *begin, uint64_t *end);

typedef struct pretokenizer {
    struct pretokenize_step *step;
    size_t n;
    bool bytes; /* ByteLevel: words are sequences of bytes, which the vocabulary spells with letters of its own */
} pretokenizer;

/* v: the value of "pre_tokenizer". */
int pretokenize_open(pretokenizer *p, json v, pith_err *e);
void pretokenize_free(pretokenizer *p);
/* Cuts text[begin..end), valid UTF-8. at_start: it begins the whole text. Stops at the first word that fails. */
int pretokenize_run(const pretokenizer *p, const char *text, size_t begin, size_t end, bool at_start,
                    pretokenize_word *word, void *ctx, pith_err *e);

#endif
