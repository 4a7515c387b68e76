/* err: the one error convention. A fallible function returns 0/-1 (or a pointer/NULL) and takes
 * `pith_err *e` last. The first cause wins: a later err_set on the same object changes nothing.
 * The type itself is public, so this is the one file of base that includes pith.h. */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "pith.h"

/* Formats the message unless one is already there; control characters in it are escaped, so that one error
 * stays one line. e may be NULL. Always returns -1. */
int err_set(pith_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "out of memory: N bytes for WHAT". Always returns -1. */
int err_nomem(pith_err *e, size_t bytes, const char *what);
/* Prefixes an existing message with "where: ". Always returns -1. */
int err_where(pith_err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
