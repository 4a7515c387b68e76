/* memtext: a stream whose text is kept in memory. Unlike open_memstream's it says so when memory was not to be had: that one
 * drops what it has no room for, and closes as if all were well. */
#ifndef BASE_MEMTEXT_H
#define BASE_MEMTEXT_H
#include <stddef.h>
#include <stdio.h>

/* *text and *len are set when it is closed, or flushed. NULL: memory. */
FILE *memtext_open(char **text, size_t *len);
/* 0: *text is NUL-terminated and the caller's to free. -1: memory, and *text is NULL. */
int memtext_close(FILE *f, char **text);

#endif
