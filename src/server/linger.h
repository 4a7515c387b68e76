/* linger: clients that were refused while they were still sending. Closing a socket with unread bytes in it resets the
 * connection, and the client never sees why; so what still comes is read and thrown away for a while. */
#ifndef SERVER_LINGER_H
#define SERVER_LINGER_H
#include "base/err.h"

typedef struct linger_room linger_room; /* with a thread of its own */

/* each_second: the thread calls it so often. */
linger_room *linger_open(void (*each_second)(void *ctx), void *ctx, pith_err *e);
void linger_close(linger_room *r);
/* Takes fd, whose sending side is shut; closes it when the client has ended, and in any case within seconds. */
void linger_add(linger_room *r, int fd);

#endif
