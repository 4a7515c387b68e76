/* decode: the last stage, pieces to text. A decoder changes the list of pieces; then they are joined. Supported:
 * WordPiece, Sequence, null (pieces joined by spaces). A new one is a step and a line in decode.c's read_one. */
#ifndef TOKENIZER_DECODE_H
#define TOKENIZER_DECODE_H
#include "base/err.h"
#include "base/json.h"
#include <stdbool.h>

/* Strings one after the other: the i-th is text[end[i-1] .. end[i]). A zeroed struct is empty. */
typedef struct decode_list {
    char *text;
    size_t len, cap;
    size_t *end;
    size_t n, cap_end;
} decode_list;

typedef struct decoder {
    struct decode_step *step;
    size_t n;
    bool join; /* null: no steps, joined by a space */
} decoder;

/* v: the value of "decoder". */
int decode_open(decoder *d, json v, pith_err *e);
void decode_free(decoder *d);

int decode_list_add(decode_list *l, const char *s, size_t len, pith_err *e);
void decode_list_free(decode_list *l);
/* pieces is used up. *out is malloc'ed, NUL-terminated, *len bytes. */
int decode_run(const decoder *d, decode_list *pieces, char **out, size_t *len, pith_err *e);

#endif
