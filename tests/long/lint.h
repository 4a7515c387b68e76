/* What static analysers cannot see from one file: an error is always -1, and mem's functions are libc's. Put before every
 * file by lint.sh, but for the two whose functions these are. */
#ifndef LINT_H
#define LINT_H
#include "base/err.h"
#include "base/mem.h"

static inline int lint_minus_one(int of)
{
    (void)of;
    return -1;
}
#define err_set(...) lint_minus_one(err_set(__VA_ARGS__))
#define err_nomem(...) lint_minus_one(err_nomem(__VA_ARGS__))
#define err_where(...) lint_minus_one(err_where(__VA_ARGS__))

/* Not from <stdlib.h>, which brings more names than a file may want. */
void *malloc(size_t);
void *calloc(size_t, size_t);
void *realloc(void *, size_t);
void free(void *);
char *strdup(const char *);
char *strndup(const char *, size_t);
static inline void *lint_alloc(size_t bytes) { return malloc(bytes ? bytes : 1); }
static inline void *lint_zero(size_t n, size_t size) { return calloc(n ? n : 1, size ? size : 1); }
static inline void *lint_resize(void *p, size_t bytes) { return realloc(p, bytes ? bytes : 1); }
#define mem_alloc(bytes) lint_alloc(bytes)
#define mem_zero(n, size) lint_zero(n, size)
#define mem_resize(p, bytes) lint_resize(p, bytes)
#define mem_free(p) free(p)
#define mem_copy(s) strdup(s)
#define mem_copy_n(s, len) strndup(s, len)
#define mem_adopt(libc) (libc)

#endif
