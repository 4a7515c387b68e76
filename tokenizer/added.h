/* added: tokens that are found in the text as they stand, before a model sees it: first those that are not
 * normalised, in the text, then the others, normalised, in the normalised text. */
#ifndef TOKENIZER_ADDED_H
#define TOKENIZER_ADDED_H
#include "base/json.h"
#include "tokenizer/normalize.h"
#include "tokenizer/vocab.h"

typedef struct added_token {
    char *content;
    size_t len;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} added_token;

typedef struct added_pattern {
    char *text;
    size_t len;
    size_t order;             /* of equal patterns the first in the file wins */
    const added_token *token; /* whose flags hold for the match */
} added_pattern;

/* Patterns in byte order. */
typedef struct added_set {
    added_pattern *pattern;
    size_t n;
    uint8_t first[256]; /* does any begin with this byte? */
} added_set;

typedef struct added {
    added_token *token;
    size_t n;
    vocab ids, special; /* content <-> id: all of them; those that decoding may skip */
    added_set raw, normalized;
} added;

/* list: the value of "added_tokens" (may be absent). A token that the model has keeps the model's id, others get the
 * next free one whatever the file says, as in the reference. */
int added_open(added *a, json list, const vocab *model, const normalizer *z, pith_err *e);
void added_free(added *a);

/* Called for each part of a text in order: an added token, or text between (token NULL). Never empty. */
typedef int added_part(void *ctx, const char *text, size_t begin, size_t end, const added_token *token, pith_err *e);
/* May a special token stand at these bytes of the text? */
typedef bool added_may(void *ctx, size_t begin, size_t end);
/* Leftmost-longest matches; skip_special leaves special tokens as text, `may` (NULL: all may) those it does not allow. */
int added_split(const added_set *s, const char *text, size_t len, bool skip_special, added_may *may, added_part *part,
                void *ctx, pith_err *e);

#endif
