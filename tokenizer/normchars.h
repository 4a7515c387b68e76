/* normchars: characters on their way through the steps of a normalizer; for the files that implement steps. */
#ifndef TOKENIZER_NORMCHARS_H
#define TOKENIZER_NORMCHARS_H
#include "tokenizer/normalize.h"
#include "tokenizer/unicode.h"
#include <stdbool.h>

/* A character, and the bytes of the text that it stands for, counted from the start of its run. */
typedef struct norm_char {
    uint32_t c, begin, end;
    uint16_t class;       /* unicode_class(c) */
    uint8_t order, added; /* within NFD: combining class; put there by a decomposition */
} norm_char;

static inline norm_char make_char(uint32_t c, uint32_t begin, uint32_t end)
{
    return (norm_char){c, begin, end, (uint16_t)unicode_class(c), 0, 0};
}

/* A run of characters; steps change v, or write into spare and swap. */
typedef struct normalize_chars {
    norm_char *v, *spare;
    size_t n, cap;
    size_t most; /* characters that the run may become, whatever the steps say */
    bool first;  /* the run begins the text */
} normalize_chars;

/* Room for n characters in both; -1 also where that is more than the run may become. */
int normalize_reserve(normalize_chars *r, size_t n, pith_err *e);
/* spare[0..n) is the run now. */
void normalize_swap(normalize_chars *r, size_t n);

typedef int normalize_fn(const struct normalize_step *s, normalize_chars *r, pith_err *e);
typedef struct normalize_step {
    normalize_fn *fn;
    uint32_t *from, *to; /* Replace, Prepend */
    size_t n_from, n_to;
    struct regex *pattern;       /* Replace: instead of from */
    struct charsmap *map;        /* Precompiled */
    bool left, right;            /* Strip */
    bool compat;                 /* NFKD */
} normalize_step;

/* The steps of normrewrite.c, which look at more than single characters. */
int normrewrite_prepend(const normalize_step *s, normalize_chars *r, pith_err *e);
int normrewrite_replace(const normalize_step *s, normalize_chars *r, pith_err *e);
int normrewrite_strip(const normalize_step *s, normalize_chars *r, pith_err *e);
int normrewrite_precompiled(const normalize_step *s, normalize_chars *r, pith_err *e);

#endif
