/* arena: bump allocation in one 64-byte aligned block. The same layout function runs twice: over an arena
 * without memory it only measures, over one with memory it places; so a forward pass never allocates. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H
#include "base/err.h"

typedef struct arena {
    char *base;   /* NULL while measuring */
    size_t used;  /* bytes taken so far, or that would have been */
    size_t cap;   /* bytes at base */
    int overflow; /* a request, or the sum, did not fit size_t */
} arena;

/* n objects of `size` bytes, 64-byte aligned and padded to 64; NULL while measuring. */
void *arena_take(arena *a, size_t n, size_t size);
/* Gives `a` at least `bytes` of memory and resets it; keeps a block that is large enough. */
int arena_reserve(arena *a, size_t bytes, pith_err *e);
void arena_free(arena *a);

#endif
