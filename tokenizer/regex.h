/* regex: the one door to PCRE2, for the patterns of tokenizer.json. The reference uses oniguruma; a pattern is
 * translated so that both mean the same, and what cannot be is refused by name. Knows nothing of tokens. */
#ifndef TOKENIZER_REGEX_H
#define TOKENIZER_REGEX_H
#include "base/err.h"
#include <stddef.h>

typedef struct regex regex;
/* What one caller needs while matching; a regex itself is immutable and may be shared by threads. */
typedef struct regex_scratch regex_scratch;

/* where: file and key path of the pattern, for messages. */
regex *regex_open(const char *where, const char *pattern, pith_err *e);
void regex_free(regex *r);

regex_scratch *regex_scratch_new(const regex *r, pith_err *e);
void regex_scratch_free(regex_scratch *s);

/* The next match in text[0..len), valid UTF-8, at or after `from`: 1 and its place, 0 none, -1 the pattern took too
 * many steps (or memory). */
int regex_next(const regex *r, regex_scratch *s, const char *text, size_t len, size_t from, size_t *begin, size_t *end,
               pith_err *e);

#endif
