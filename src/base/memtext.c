#define _GNU_SOURCE
#include "base/memtext.h"
#include <stdlib.h>
#include <string.h>

typedef struct memtext {
    char **text;
    size_t *len, cap;
} memtext;

/* 0: an error, which the stream keeps. */
static ssize_t take(void *ctx, const char *data, size_t n)
{
    memtext *m = ctx;
    if (n >= m->cap - *m->len) { /* a NUL behind it, too */
        size_t cap = m->cap + m->cap / 2 + n + 1;
        char *more = cap > m->cap ? realloc(*m->text, cap) : NULL;
        if (!more) return 0;
        *m->text = more;
        m->cap = cap;
    }
    memcpy(*m->text + *m->len, data, n);
    *m->len += n;
    (*m->text)[*m->len] = 0;
    return (ssize_t)n;
}

static int end(void *ctx)
{
    free(ctx);
    return 0;
}

FILE *memtext_open(char **text, size_t *len)
{
    memtext *m = malloc(sizeof *m);
    *text = calloc(1, 64);
    *len = 0;
    if (m) *m = (memtext){text, len, 64};
    FILE *f = m && *text ? fopencookie(m, "w", (cookie_io_functions_t){.write = take, .close = end}) : NULL;
    if (f) return f;
    free(m);
    free(*text);
    *text = NULL;
    return NULL;
}

int memtext_close(FILE *f, char **text)
{
    int bad = ferror(f) != 0;
    if (!fclose(f) && !bad) return 0;
    free(*text);
    *text = NULL;
    return -1;
}
