/* head: what is refused of a request's first line and fields before anyone looks at its body. libmicrohttpd reads
 * leniently; what it lets through and two programs could read in two ways ends here. */
#ifndef SERVER_HEAD_H
#define SERVER_HEAD_H
#include <stddef.h>
#include <stdint.h>

/* The path of a request's target ("/a%20b?c", "http://host/a"), decoded, malloc'ed; NULL with *why: it is not one. */
char *head_path(const char *target, const char **why);
int head_is_token(const char *s); /* RFC 9110: a method or a field's name */

/* Fields, one after the other, then what follows from all of them. */
typedef struct head {
    int n_host, n_length, n_encoding;
    uint64_t length; /* UINT64_MAX: no Content-Length; more than 64 bits hold: UINT64_MAX - 1 */
    int chunked;
    int expect; /* 100-continue: the client waits before it sends the body */
    const char *why; /* first fault; NULL: none */
} head;

void head_begin(head *h);
void head_field(head *h, const char *name, const char *value);
/* The fields as libmicrohttpd 0.9.75 leaves them in memory, from the end of the version to the end of the head:
 * every colon, CR and LF became a NUL. What else ends a line there (LF alone, NUL), lines that go on (obs-fold) and lines
 * without a name, which it takes for the end of the head, are faults. */
void head_lines(head *h, const char *p, const char *end);
/* 0, or the status to refuse with (400, 411, 501) and h->why. */
int head_end(head *h, const char *method, const char *version);

#endif
