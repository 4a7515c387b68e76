/* jtext: JSON rows as text. What a row carries must come out as it went in and its strings may hold anything, NUL
 * included, so rows are checked strictly (RFC 8259) and walked as text, without building a tree. */
#ifndef CLI_JTEXT_H
#define CLI_JTEXT_H
#include "pith.h"

/* One value and nothing after it but white space; bytes above 0x7f are not looked at. 0, or -1 with the column. */
int jtext_check(const char *s, size_t len, pith_err *e);
/* A string's text from its raw form without quotes, malloc'd; *n its bytes. Lone surrogates become U+FFFD. Raw must
 * have passed jtext_check. NULL: memory. */
char *jtext_decode(const char *raw, size_t len, size_t *n);
/* What a raw value is, for messages: "a string", "null", ... */
const char *jtext_kind(const char *raw, size_t len);
/* A checked text that is an array of token ids: malloc'd *ids, *n. */
int jtext_ids(const char *s, size_t len, int32_t **ids, size_t *n, pith_err *e);

#endif
