/* sandbox: what the process can no longer ask of the kernel, as filters of system calls: one for a server that is ready,
 * one for a verb of the command line before it reads anything. */
#ifndef SERVER_SANDBOX_H
#define SERVER_SANDBOX_H
#include "base/err.h"

/* All threads of the process, those to come too, may from now on only do what serving needs: compute, take memory, make
 * threads, and speak on the sockets that listen or are connected; the rest fails with EPERM, starting another program
 * ends the process. unlink_path (may be NULL): the one file that may still be removed, through this very pointer.
 * -1: the kernel cannot do this, and nothing has changed. */
int sandbox_enter(const char *unlink_path, pith_err *e);

/* The same for a program that reads files, writes files and speaks with its terminal, and neither serves nor connects: no
 * sockets, no processes, no tracing, no typing into the terminal. Which files, this does not say (cli/landlock.h does). */
int sandbox_enter_verb(pith_err *e);

#endif
