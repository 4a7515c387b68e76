/* chunks: memory that is taken piece by piece, never given back alone, and freed all at once: a model's weights. It comes in
 * large chunks, so that small matrices lie in huge pages too. Not for several threads. */
#ifndef BASE_CHUNKS_H
#define BASE_CHUNKS_H
#include <stddef.h>

/* A zeroed struct is valid and empty. */
typedef struct chunk_list {
    struct chunk *newest;
    size_t bytes; /* of all of them */
} chunk_list;

/* `bytes` on a cache line; NULL: no memory. p NULL: memory of its own, for mem_free_aligned. What is never written takes none. */
void *chunks_take(chunk_list *p, size_t bytes);
void chunks_free(chunk_list *p);

#endif
