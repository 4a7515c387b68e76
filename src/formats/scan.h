/* scan: strict JSON tokens for the header of a safetensors file. UTF-8 is checked, integers keep all 64 bits, nothing
 * recurses, nothing is allocated: strings are decoded in place, in the text itself. Knows nothing of tensors. */
#ifndef FORMATS_SCAN_H
#define FORMATS_SCAN_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

enum {
    SCAN_PAD = 8,     /* NUL bytes that must follow the text, so that no look-ahead needs a bound */
    SCAN_DEPTH = 128, /* values inside values, as in the reference reader */
    SCAN_SHOW = 128   /* size of scan_show's buffer */
};

typedef struct scan {
    char *text, *at, *end; /* text[0 .. end); at: the next byte */
    int nul;               /* the last string had an escaped NUL, written out as the six characters \u0000 */
    pith_err *e;
} scan;

typedef struct scan_str {
    char *s; /* inside the text, decoded, without NUL, not terminated */
    size_t n;
} scan_str;

/* Each returns 0, or -1 with "header, byte N: expected WHAT, found ...". Whitespace before a token is skipped. */
int scan_char(scan *c, char want);
int scan_string(scan *c, const char *what, scan_str *out);
/* A whole number without sign, fraction or exponent, up to 2^64-1. */
int scan_u64(scan *c, const char *what, uint64_t *out);
/* Any value at all, checked and thrown away; `depth` is how many values it already lies in. */
int scan_skip(scan *c, size_t depth);
/* The next byte after whitespace, not taken; NUL at the end. */
char scan_peek(scan *c);
/* After a value inside { } or [ ]: takes a comma and returns 1, takes `close` and returns 0, else -1. */
int scan_more(scan *c, char close);
int scan_fail(scan *c, const char *expected);

/* Length of the valid UTF-8 that s[0..n) begins with; n: all of it. */
size_t scan_utf8(const char *s, size_t n);
/* A stranger's string for a message: cut at 96 bytes, control characters written as \u00XX, what is no UTF-8 as \xXX.
 * Returns buf. */
const char *scan_show(char buf[SCAN_SHOW], const char *s, size_t n);

#endif
