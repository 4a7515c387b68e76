#define _POSIX_C_SOURCE 200809L
#include "server/hosts.h"
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { LONGEST = 256 };

/* host without port, and without the dot that a full name may end in. -1: it is none. */
static int name_of(const char *host, char name[LONGEST])
{
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    size_t n = end ? (size_t)(end + 1 - host) : strcspn(host, ":");
    const char *port = host + n + (host[n] == ':');
    if (!n || n >= LONGEST || (*port && port == host + n) || port[strspn(port, "0123456789")]) return -1;
    memcpy(name, host, n);
    name[n] = 0;
    if (name[n - 1] == '.') name[n - 1] = 0;
    return 0;
}

static int is_address(char *name)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (*name != '[') return inet_pton(AF_INET, name, &v4) == 1;
    name[strlen(name) - 1] = 0;
    return inet_pton(AF_INET6, name + 1, &v6) == 1;
}

int hosts_allowed(const char *host, const char *const *names, size_t n)
{
    char name[LONGEST];
    if (!host) return 1;
    if (name_of(host, name)) return 0;
    if (strcasecmp(name, "localhost") == 0) return 1;
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(name, names[i]) == 0) return 1;
    return is_address(name);
}
