/* pretokenize: the second stage after normalisation: cuts a text into the words that the model sees one by one.
 * Supported: BertPreTokenizer, Whitespace, WhitespaceSplit, Sequence, null. A new one is a splitter and a line in
 * pretokenize.c's read_one. */
#ifndef TOKENIZER_PRETOKENIZE_H
#define TOKENIZER_PRETOKENIZE_H
#include "base/err.h"
#include "base/json.h"

/* Called with each word text[begin..end), never empty, in order. */
typedef int pretokenize_word(void *ctx, const char *text, size_t begin, size_t end, pith_err *e);

typedef struct pretokenizer {
    struct pretokenize_step *step;
    size_t n;
} pretokenizer;

/* v: the value of "pre_tokenizer". */
int pretokenize_open(pretokenizer *p, json v, pith_err *e);
void pretokenize_free(pretokenizer *p);
/* Cuts text[begin..end), valid UTF-8. Stops at the first word that fails. */
int pretokenize_run(const pretokenizer *p, const char *text, size_t begin, size_t end, pretokenize_word *word,
                     void *ctx, pith_err *e);

#endif
