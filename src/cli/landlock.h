/* landlock: which files the process may still reach. Talks to Linux's Landlock directly, as far as this kernel knows it:
 * since 5.19, truncation since 6.2, and TCP, ioctl and signals since 6.7, 6.10 and 6.12 (the sandbox's other half, seccomp,
 * holds most of those). Rights are to what a path leads to now, whatever it is called later. */
#ifndef CLI_LANDLOCK_H
#define CLI_LANDLOCK_H
#include "base/err.h"

enum { LANDLOCK_READ = 1, LANDLOCK_WRITE = 2 }; /* of a folder: all beneath it, made and removed too */

typedef struct landlock {
    int fd, version;
    uint64_t handled; /* what it can forbid in file systems */
} landlock;

/* -1: this kernel has none, or it is switched off; nothing has changed. */
int landlock_begin(landlock *l, pith_err *e);
/* A path that leads nowhere gives no right and is no error: opening it will say so. */
int landlock_allow(landlock *l, const char *path, int rights, pith_err *e);
/* From now on, for this thread and those it starts. */
int landlock_hold(landlock *l, pith_err *e);
void landlock_end(landlock *l);

#endif
