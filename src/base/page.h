/* page: a web page in one file, put together from lines that the Makefile made string literals of. Its policy names the
 * hashes of its own script and style, so that a browser runs nothing else. */
#ifndef BASE_PAGE_H
#define BASE_PAGE_H
#include "base/err.h"
#include <stdio.h>

typedef struct page_part {
    const char *const *lines; /* each with its newline */
    size_t n;
} page_part;
#define PAGE_PART(lines) {lines, sizeof(lines) / sizeof *(lines)}

typedef struct page {
    page_part markup, style, script;
    /* A line of the markup that is "@NAME@\n", but for @STYLE@ and @SCRIPT@: put writes what stands there; -1: e says why not. */
    int (*put)(void *ctx, FILE *f, const char *line, pith_err *e);
    void *ctx;
} page;

int page_write(const page *p, FILE *f, pith_err *e);
/* "script-src 'sha256-...'; style-src 'sha256-...'" */
int page_policy(const page *p, FILE *f, pith_err *e);

#endif
