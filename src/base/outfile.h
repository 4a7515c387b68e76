/* outfile: a file that appears under its name only when it is whole. It is written beside it, as ".NAME.pith-XXXXXX",
 * synced and renamed; a failed or killed writer leaves what was there before. What a killed one left beside it goes away
 * when the next one opens the same target: a living one holds a lock (flock) on its file, so it is never taken for
 * debris. Where a file system has no locks, nothing is cleared away. */
#ifndef BASE_OUTFILE_H
#define BASE_OUTFILE_H
#include "base/err.h"

/* A zeroed one is valid and empty. */
typedef struct outfile {
    char *name; /* as given, for messages */
    char *path; /* what it will be: where the last of the symbolic links leads */
    char *temp; /* what is written; "" once it has its name */
    int fd;     /* of temp */
    int replace, there;
    unsigned mode; /* of the old file, if there */
    uint64_t piece, piece_len; /* large, put last: on its way to the disk */
} outfile;

/* The target must be a regular file or not there at all; with replace 0, not there. A replaced one keeps its permissions;
 * a symbolic link stays one, and what it points to is replaced. */
int outfile_open(outfile *o, const char *path, int replace, pith_err *e);
/* Takes the room for `size` bytes now, where the file system can, so that a full disk is known before the work. */
int outfile_reserve(outfile *o, uint64_t size, pith_err *e);
int outfile_pwrite(outfile *o, const void *data, size_t n, uint64_t at, pith_err *e);
/* All that is left to read of `in`, whose name is `from`, at *at, which moves to the end of it. */
int outfile_copy(outfile *o, int in, const char *from, uint64_t *at, pith_err *e);
/* Everything is written: the file is synced and gets its name. Without replace, one that came up meanwhile is kept, and
 * this fails. If only the sync of its folder fails, it has its name all the same. Once. */
int outfile_finish(outfile *o, pith_err *e);
/* Frees it; if it has not got its name, nothing stays. */
void outfile_close(outfile *o);

#endif
