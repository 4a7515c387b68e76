/* hosts: the names that a server may be asked by. A web page can make its own name mean this machine (DNS rebinding); the
 * user's browser then takes the server for the page's own, and gives the page all that it answers. But it says the page's
 * name in Host, and no address: an address cannot be made to mean another. */
#ifndef SERVER_HOSTS_H
#define SERVER_HOSTS_H
#include <stddef.h>

/* Is a request's Host (NULL: it has none, as no browser's) an address, localhost, or one of the n names, whatever the
 * port? */
int hosts_allowed(const char *host, const char *const *names, size_t n);

#endif
