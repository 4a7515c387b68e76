/* charsmap: sentencepiece's precompiled_charsmap: a trie (double array) of strings and what each becomes. Reads the
 * bytes as they are; every index is checked. */
#ifndef TOKENIZER_CHARSMAP_H
#define TOKENIZER_CHARSMAP_H
#include "base/err.h"
#include <stddef.h>

typedef struct charsmap charsmap;
/* base64: its text; where: file and key path, for messages. */
charsmap *charsmap_open(const char *where, const char *base64, pith_err *e);
void charsmap_free(charsmap *m);
/* What the shortest string of the map that s[0..n) begins with becomes, NUL-terminated; NULL if there is none. */
const char *charsmap_find(const charsmap *m, const char *s, size_t n);

#endif
