/* tokenizer: text <-> ids for a Hugging Face directory (tokenizer.json, or what older ones have instead). Knows nothing of tensors.
 * A tokenizer is immutable after opening and may be shared by threads. The authority is huggingface/tokenizers. */
#ifndef TOKENIZER_TOKENIZER_H
#define TOKENIZER_TOKENIZER_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tokenizer tokenizer;

/* Tokens of one text or pair. A zeroed struct is valid and empty; arrays grow and are reused; tokenizer_encoding_free. */
typedef struct tokenizer_encoding {
    size_t n, cap;
    int32_t *ids;
    uint8_t *type_ids;  /* segment: 0 or 1 */
    uint8_t *special;   /* 1: put there by the post-processor, not from the text */
    uint8_t *second;    /* 1: from the pair text */
    uint64_t *begin, *end; /* byte offsets into the original text (its own text for the pair); 0,0 for special */
    size_t n_replaced;  /* invalid UTF-8 sequences of the text that became U+FFFD */
} tokenizer_encoding;

typedef struct tokenizer_options {
    bool no_special;       /* without the post-processor's tokens */
    bool no_parse_special; /* "[SEP]" in a text is text */
    bool strict;           /* invalid UTF-8 is an error with its byte offset */
    size_t max_length;     /* 0: no truncation; counts special tokens; pairs: longest first, from the right */
    const pith_range *foreign; /* [n_foreign] bytes of the (first) text, ascending and apart: what touches them is no */
    size_t n_foreign;          /* special token; needs strict */
} tokenizer_options;

/* dir: holds tokenizer.json, else vocab.txt, else vocab.json and merges.txt, else tokenizer.model (each with
 * tokenizer_config.json if it is there). Unknown components are refused by name. */
tokenizer *tokenizer_open(const char *dir, pith_err *e);
/* From the text of a tokenizer.json; name stands for it in messages. */
tokenizer *tokenizer_from_json(const char *name, const char *text, size_t len, pith_err *e);
void tokenizer_free(tokenizer *t);

/* Encodes text (and pair, may be NULL) with truncation and special tokens; *n_full, if not NULL, is the number of
 * tokens before truncation (special ones counted). Texts need not be NUL-terminated. */
int tokenizer_encode(const tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                     const tokenizer_options *o, tokenizer_encoding *out, size_t *n_full, pith_err *e);

/* The two halves of it, for callers who cut long texts themselves (windows, head and tail). Plain: no special
 * tokens, no truncation. Assemble: the post-processor over tokens [a0,a1) of a and [b0,b1) of b (b may be NULL). */
int tokenizer_encode_plain(const tokenizer *t, const char *text, size_t len, const tokenizer_options *o,
                           tokenizer_encoding *out, pith_err *e);
int tokenizer_assemble(const tokenizer *t, const tokenizer_encoding *a, size_t a0, size_t a1,
                       const tokenizer_encoding *b, size_t b0, size_t b1, tokenizer_encoding *out, pith_err *e);
/* Special tokens the post-processor adds to one text, or to a pair. */
size_t tokenizer_n_special(const tokenizer *t, bool pair);
/* longest_first: how many of *na and *nb tokens stay when na + nb must be <= room. */
void tokenizer_truncate_pair(size_t *na, size_t *nb, size_t room);

/* Ids to text, by the decoder of tokenizer.json. *out is allocated, NUL-terminated, *len bytes. Unknown ids: skipped. */
int tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **out, size_t *len,
                     pith_err *e);

/* The same id by id, as a generator makes them: the texts one after the other are what tokenizer_decode gives for all
 * ids, and each is whole characters. What may still change is held back until it is certain (the bytes of a character,
 * spaces that may be stripped). *text is *len bytes, not terminated, and good until the next call. After an error, or
 * the end, only free it. */
typedef struct tokenizer_stream tokenizer_stream;
tokenizer_stream *tokenizer_stream_open(const tokenizer *t, bool skip_special, pith_err *e);
int tokenizer_stream_next(tokenizer_stream *s, int32_t id, const char **text, size_t *len, pith_err *e);
int tokenizer_stream_end(tokenizer_stream *s, const char **text, size_t *len, pith_err *e);
void tokenizer_stream_free(tokenizer_stream *s);

/* What one token adds in the middle of a text: bytes, not always whole characters. -1 also where there is no such id. */
int tokenizer_token_text(const tokenizer *t, int32_t id, char **out, size_t *len, pith_err *e);

size_t tokenizer_vocab_size(const tokenizer *t);               /* largest id + 1, added tokens included */
const char *tokenizer_piece(const tokenizer *t, int32_t id);   /* NULL: no such id */
int32_t tokenizer_id(const tokenizer *t, const char *piece);   /* -1: none */
size_t tokenizer_model_max_length(const tokenizer *t);         /* from tokenizer_config.json; SIZE_MAX if unset or absurd */
void tokenizer_encoding_free(tokenizer_encoding *x);

#endif
