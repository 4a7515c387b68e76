/* guard: what happens when a signal ends the program. A mapped file that shrank becomes a message; an interrupt leaves
 * no half-written output. Only the command line installs handlers, the library never does. */
#ifndef CLI_GUARD_H
#define CLI_GUARD_H
#include "pith.h"
#include <sys/types.h>

void guard_install(void);
/* Asked, in the signal handler, for the file that is mapped at an address; NULL: none of ours. ctx must outlive its use here. */
typedef const char *(*guard_finder)(const void *ctx, const void *addr);
void guard_mapped(guard_finder at, const void *ctx); /* at NULL: nothing is mapped any more */
/* Finders: every fault lies in the path ctx (while it is being opened); the files of a pith_model; of a pith_weights. */
const char *guard_path(const void *path, const void *addr);
const char *guard_model(const void *model, const void *addr);
const char *guard_weights(const void *weights, const void *addr);
/* A temporary file to remove; NULL: none any more. The string must outlive its use here. */
void guard_temp(const char *path);
/* A file being appended to: it is cut back to `complete` bytes. fd -1: none any more. */
void guard_append(int fd, off_t complete);
/* From now on the first interrupt only makes guard_interrupted true; a second one ends the program. GUARD_READ: and a
 * read that waits ends with EINTR; else nothing that was being read or written is cut short. */
enum { GUARD_END, GUARD_CATCH, GUARD_READ };
void guard_catch(int how);
int guard_interrupted(void);
/* The same, to be asked from within a long computation. */
int guard_unwanted(void *unused);
/* From now on SIGINT, SIGTERM and SIGHUP only count in *n; the third ends the program. NULL: as before. */
void guard_count(volatile int *n);

#endif
