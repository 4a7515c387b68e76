/* listen: sockets that wait for connections, TCP and unix. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H
#include "base/err.h"

/* The descriptor of a socket that listens on host (name or number) and *port (0: any free one, which comes back), or
 * with unix_path at that path: a dead socket's file there is replaced, anything else is an error; user and group may
 * connect (0660). -1: the address is taken, or does not exist. */
int listen_open(const char *host, unsigned *port, const char *unix_path, pith_err *e);
/* 1: bound to a loopback address. */
int listen_local(int fd);

#endif
