#define _GNU_SOURCE
#include "server/listen.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static int try_address(const struct addrinfo *a, unsigned *port)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd < 0) return -1;
    struct sockaddr_storage s;
    socklen_t n = sizeof s;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || bind(fd, a->ai_addr, a->ai_addrlen) ||
        listen(fd, BACKLOG) || getsockname(fd, (struct sockaddr *)&s, &n)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    *port = ntohs(s.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&s)->sin6_port : ((struct sockaddr_in *)&s)->sin_port);
    return fd;
}

static int open_tcp(const char *host, unsigned *port, pith_err *e)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *all = NULL;
    char service[16];
    if (*port > 65535) return err_set(e, "port %u: expected 0 to 65535", *port);
    snprintf(service, sizeof service, "%u", *port);
    int rc = getaddrinfo(host, service, &hints, &all);
    if (rc) return err_set(e, "host '%.200s': %s", host, rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    int fd = -1;
    for (const struct addrinfo *a = all; a && fd < 0; a = a->ai_next) fd = try_address(a, port);
    int why = errno;
    freeaddrinfo(all);
    if (fd >= 0) return fd;
    if (why == EADDRINUSE) return err_set(e, "%.200s:%u: another program listens there; choose another --port (0: any free one)", host, *port);
    return err_set(e, "%.200s:%u: cannot listen: %s", host, *port, strerror(why));
}

/* 1: a socket's file that nobody listens on any more. */
static int dead(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) || !S_ISSOCK(st.st_mode)) return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    int refused = connect(fd, (const struct sockaddr *)a, sizeof *a) && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static int open_unix(const char *path, pith_err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (!n || n >= sizeof a.sun_path)
        return err_set(e, "%.200s: a unix socket's path has 1 to %zu bytes, not %zu", path, sizeof a.sun_path - 1, n);
    memcpy(a.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return err_set(e, "%s: cannot make a unix socket: %s", path, strerror(errno));
    int rc = bind(fd, (struct sockaddr *)&a, sizeof a);
    if (rc && errno == EADDRINUSE) {
        if (dead(&a)) {
            unlink(path);
            rc = bind(fd, (struct sockaddr *)&a, sizeof a);
        } else {
            errno = EADDRINUSE;
        }
    }
    /* Nobody can connect before listen, so nobody does before the mode is right. */
    if (!rc && (chmod(path, 0660) || listen(fd, BACKLOG))) {
        int why = errno;
        unlink(path);
        errno = why;
        rc = -1;
    }
    if (!rc) return fd;
    int why = errno;
    close(fd);
    if (why == EADDRINUSE) return err_set(e, "%s: there is a file or a living server's socket; choose another --unix path", path);
    return err_set(e, "%s: cannot listen: %s", path, strerror(why));
}

int listen_open(const char *host, unsigned *port, const char *unix_path, pith_err *e)
{
    return unix_path ? open_unix(unix_path, e) : open_tcp(host, port, e);
}

int listen_local(int fd)
{
    struct sockaddr_storage s;
    socklen_t n = sizeof s;
    if (getsockname(fd, (struct sockaddr *)&s, &n)) return 0;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)&s)->sin6_addr;
    if (s.ss_family == AF_INET6) return IN6_IS_ADDR_LOOPBACK(v6) || (IN6_IS_ADDR_V4MAPPED(v6) && v6->s6_addr[12] == 127);
    return s.ss_family == AF_INET && ntohl(((const struct sockaddr_in *)&s)->sin_addr.s_addr) >> 24 == 127;
}
