/* mem: the one door to the heap for the library, so that a program can give it its own (pith_set_memory). Nothing here is
 * an error: NULL means no memory, and errno is ENOMEM. What libc and other libraries take by themselves does not come by here. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stddef.h>

/* As malloc, calloc, realloc, free, strdup and strndup. */
void *mem_alloc(size_t bytes);
void *mem_zero(size_t n, size_t size);
void *mem_resize(void *p, size_t bytes);
void mem_free(void *p);
char *mem_copy(const char *s);
char *mem_copy_n(const char *s, size_t len);
/* At a multiple of `align`, a power of two of at least sizeof(void *); only mem_free_aligned takes it back. */
void *mem_aligned(size_t align, size_t bytes);
void mem_free_aligned(void *p);
/* A text that libc gave, whose free() takes it back, as one of ours; NULL stays NULL. */
char *mem_adopt(char *libc);

/* As pith_set_memory has it; NULL: libc's. -1: memory was taken already. */
typedef void *mem_fn(void *ctx, void *p, size_t bytes);
int mem_set(mem_fn *fn, void *ctx);

#endif
