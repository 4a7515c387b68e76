/* vocab: pieces <-> ids, for every model and for the added tokens. Strings are copied once, into one block. Knows
 * nothing of how text becomes pieces. */
#ifndef TOKENIZER_VOCAB_H
#define TOKENIZER_VOCAB_H
#include "base/err.h"
#include "base/json.h"
#include <stdbool.h>

/* A piece as it lies in vocab.block; the next one follows at the next multiple of 4. Text and id share a cache line. */
typedef struct vocab_entry {
    int32_t id;
    uint32_t len;
    char text[]; /* len bytes and a NUL */
} vocab_entry;

typedef struct vocab_slot {
    uint32_t tag;  /* high half of the hash */
    uint32_t what; /* entry's place in block / 4, or one of vocab.c's marks */
} vocab_slot;

/* A zeroed struct is an empty vocabulary. */
typedef struct vocab {
    bool prefixes; /* set before the first vocab_add: also remember which strings begin a piece */
    char *block;
    size_t block_len, block_cap;
    uint32_t *entry; /* place in block / 4 of each piece; after vocab_close ascending by id */
    size_t n, cap;
    vocab_slot *slot;
    size_t n_slots, n_used;
    size_t longest; /* bytes */
    bool dense;     /* ids are exactly 0..n-1 */
} vocab;

/* Adds a piece; one that is there gets the new id (as a repeated JSON key does in the reference). */
int vocab_add(vocab *v, const char *piece, size_t len, int32_t id, pith_err *e);
/* To be called once after the last vocab_add, before the look-ups below. Two pieces with one id are an error;
 * `where` names the list in it. */
int vocab_close(vocab *v, const char *where, pith_err *e);
/* Both for the member "vocab" of the value of "model", an object of piece: id. */
int vocab_read(vocab *v, json model, pith_err *e);
void vocab_free(vocab *v);

int32_t vocab_find(const vocab *v, const char *piece, size_t len); /* -1: none */
/* The same for up to VOCAB_MANY pieces at once, whose places in memory are fetched while others are looked for. */
#define VOCAB_MANY 96
void vocab_find_many(const vocab *v, const char *const *piece, const size_t *len, size_t n, int32_t *id);
const vocab_entry *vocab_at(const vocab *v, int32_t id);           /* NULL: no such id */
static inline const vocab_entry *vocab_nth(const vocab *v, size_t i)
{
    return (const vocab_entry *)(const void *)(v->block + (size_t)v->entry[i] * 4);
}
static inline size_t vocab_size(const vocab *v) { return v->n ? (size_t)vocab_nth(v, v->n - 1)->id + 1 : 0; }

/* Hash of a string, byte by byte from VOCAB_HASH. */
#define VOCAB_HASH UINT64_C(0xcbf29ce484222325)
static inline uint64_t vocab_hash(uint64_t h, unsigned char byte)
{
    return (h ^ byte) * UINT64_C(0x9e3779b97f4a7c15) ^ h >> 29;
}
/* The longest piece that is head + a beginning of s[0..n), n > 0, found in time linear in what matches; head_hash is
 * head's. Returns its id and in *len how much of s it took (> 0), or -1. The vocabulary was read with `prefixes`. */
int32_t vocab_longest(const vocab *v, const char *head, size_t head_len, uint64_t head_hash, const char *s, size_t n,
                      size_t *len);
/* All pieces that s begins with, shortest first: each call on a zeroed walk gives the next one's id, and its length in
 * w->len; -1: no more. Here too the vocabulary was read with `prefixes`. */
typedef struct vocab_walk {
    uint64_t hash;
    size_t len;
} vocab_walk;
int32_t vocab_next(const vocab *v, const char *s, size_t n, vocab_walk *w);

#endif
