/* wordcache: the tokens of words that were met before, for one text at a time. Bounded: when it is full it starts
 * anew. Knows nothing of how a word becomes tokens. */
#ifndef TOKENIZER_WORDCACHE_H
#define TOKENIZER_WORDCACHE_H
#include "tokenizer/encoding.h"
#include <stdbool.h>

/* Longer words are not kept. */
#define WORDCACHE_LONGEST 64

typedef struct wordcache_slot {
    uint64_t hash;
    uint32_t at, n; /* in the pool: the word's bytes, then an id and a span for each of n tokens */
    uint32_t len;   /* bytes of the word; 0: free */
} wordcache_slot;

/* A zeroed struct is empty. */
typedef struct wordcache {
    wordcache_slot *slot;
    size_t n_slots, n_used;
    uint32_t *pool;
    size_t n_pool, cap_pool;
} wordcache;

uint64_t wordcache_hash(const char *word, size_t len);
/* Appends the tokens of a word to out, with spans counted from `begin`: 1; 0 if it is not there; -1 out of memory. */
int wordcache_get(const wordcache *c, uint64_t hash, const char *word, size_t len, size_t begin,
                  tokenizer_encoding *out, pith_err *e);
/* Keeps the tokens of out from `first` on for a word at `begin`, 0 < len <= WORDCACHE_LONGEST. */
int wordcache_put(wordcache *c, uint64_t hash, const char *word, size_t len, size_t begin,
                  const tokenizer_encoding *out, size_t first, pith_err *e);
void wordcache_free(wordcache *c);

#endif
