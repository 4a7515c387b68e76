/* mapped: a file of weights in memory, mapped or read. Owns the bytes; knows no format. */
#ifndef FORMATS_MAPPED_H
#define FORMATS_MAPPED_H
#include "base/err.h"

typedef struct mapped {
    char *path;
    uint64_t size;  /* of the file */
    char *map;      /* the whole file, NULL if not mapped */
    size_t map_len; /* whole pages */
    char *mem;      /* bytes from `from` on, NULL if not read */
    uint64_t from;
} mapped;

/* Opens a regular file for reading; never blocks, whatever path is. The descriptor, or -1. */
int mapped_regular(const char *path, uint64_t *size, pith_err *e);
/* Notes path and size and opens the file; the descriptor, or -1. m must be zeroed, and closed in any case. */
int mapped_open(mapped *m, const char *path, pith_err *e);
/* Maps the file of fd or, with no_mmap, reads it from `from` on. */
int mapped_load(mapped *m, int fd, uint64_t from, int no_mmap, pith_err *e);
/* The byte at an offset (not before `from`) of a file that is loaded. */
const char *mapped_at(const mapped *m, uint64_t offset);
/* The kernel may drop the whole pages within [offset, offset + n); no-op where nothing is mapped. */
void mapped_release(const mapped *m, uint64_t offset, uint64_t n);
/* Is addr inside the mapping? Async-signal-safe. */
int mapped_holds(const mapped *m, const void *addr);
void mapped_unload(mapped *m); /* frees the bytes, keeps path and size */
void mapped_close(mapped *m);

#endif
