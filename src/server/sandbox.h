/* sandbox: after this the process cannot open, execute or connect to anything any more. */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H
#include "base/err.h"

/* All threads of the process, those to come too, may from now on only do what serving needs: compute, take memory, make
 * threads, and speak on the sockets that listen or are connected; the rest fails with EPERM, starting another program
 * ends the process. unlink_path (may be NULL): the one file that may still be removed, through this very pointer.
 * -1: the kernel cannot do this, and nothing has changed. */
int sandbox_enter(const char *unlink_path, pith_err *e);

#endif
