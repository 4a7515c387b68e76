/* decode: the last stage, pieces to text. A decoder is a chain of steps; each is fed one piece after the other, keeps
 * what it needs of what came before and passes text on, so that decoding at once and piece by piece is the same.
 * Supported: BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Strip, WordPiece, Sequence, null (pieces
 * joined by spaces). A new one is a step in decode.c and a line in its read_one. */
#ifndef TOKENIZER_DECODE_H
#define TOKENIZER_DECODE_H
#include "base/err.h"
#include "base/json.h"
#include <stdbool.h>

typedef struct decoder {
    struct decode_step *step;
    size_t n;
} decoder;

/* v: the value of "decoder". */
int decode_open(decoder *d, json v, pith_err *e);
void decode_free(decoder *d);

/* Bytes; a zeroed struct is empty. */
typedef struct decode_text {
    char *s;
    size_t n, cap;
} decode_text;

/* What one text on its way through a decoder needs. A zeroed struct, once; decode_state_free. */
typedef struct decode_state {
    struct decode_memory *memory; /* one a step */
    decode_text out;              /* text that is final; whole characters */
    size_t fed;                   /* bytes of all pieces */
} decode_state;

int decode_begin(const decoder *d, decode_state *s, pith_err *e);
/* Appends to s->out what is certain after this piece, which is valid UTF-8. */
int decode_feed(const decoder *d, decode_state *s, const char *piece, size_t len, pith_err *e);
/* Appends what was held back. Nothing may be fed afterwards. */
int decode_end(const decoder *d, decode_state *s, pith_err *e);
void decode_state_free(const decoder *d, decode_state *s);
/* Appends to out the bytes that one piece adds in the middle of a text: not always whole characters. */
int decode_piece(const decoder *d, const char *piece, size_t len, decode_text *out, pith_err *e);

#endif
