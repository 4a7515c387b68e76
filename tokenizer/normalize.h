/* normalize: the first stage. A normalizer is a chain of steps; its result knows, for every byte, which bytes of the
 * text it came from. Supported: BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Precompiled,
 * Prepend, Replace, Strip, StripAccents, Sequence, null. A new normalizer is a step and a line in normalize.c's
 * read_one. */
#ifndef TOKENIZER_NORMALIZE_H
#define TOKENIZER_NORMALIZE_H
#include "base/err.h"
#include "base/json.h"
#include <stdbool.h>

/* From byte `at` of the result to the next segment: either byte for byte (end == ALIGN_LINEAR: byte at + i came from
 * begin + i), or as a whole from [begin, end). Between segments bytes of the text may be missing. */
#define ALIGN_LINEAR UINT64_MAX
typedef struct align_segment {
    uint64_t at, begin, end;
} align_segment;

/* A text with its alignment. A zeroed struct is empty; buffers grow and are reused. */
typedef struct normalized {
    char *text;
    size_t len, cap;
    align_segment *segment;
    size_t n_segments, cap_segments;
    struct normalize_chars *scratch;
} normalized;

/* One step changes a run of characters in place; runs are cut so that no step looks beyond them. */
typedef struct normalizer {
    struct normalize_step *step;
    size_t n;
    bool whole;         /* some step must see the whole text as one run */
    bool from_start;    /* the first step does something where the text begins */
    bool composes;      /* NFC, NFKC: characters may join the one before them */
    bool compat;        /* NFKC, NFKD */
    uint8_t ascii[256]; /* what an ASCII byte becomes; NORMALIZE_SLOW: removed, or not ASCII */
} normalizer;

/* v: the value of "normalizer". */
int normalize_open(normalizer *z, json v, pith_err *e);
void normalize_free(normalizer *z);
/* Valid UTF-8 in, valid UTF-8 out, aligned to byte 0 of text. */
int normalize_run(const normalizer *z, const char *text, size_t len, normalized *out, pith_err *e);
/* Replaces each maximal invalid part of text by U+FFFD; *n_replaced counts them. */
int normalize_repair(const char *text, size_t len, normalized *out, size_t *n_replaced, pith_err *e);
/* Turns byte positions of the result, *begin < *end, into positions of the text. *cursor starts at 0; *begin must not
 * be less than in the call before, which makes a pass over many spans linear. */
void normalize_origin(const normalized *x, size_t *cursor, uint64_t *begin, uint64_t *end);
/* For those who rewrite a text themselves: appends s[0..len), which came from [begin, end) as a whole, or from begin on
 * byte for byte (end ALIGN_LINEAR). */
int normalize_append(normalized *x, const char *s, size_t len, uint64_t begin, uint64_t end, pith_err *e);
void normalize_result_free(normalized *x);

#endif
