/* http: the one door to libmicrohttpd: a listening socket, and exchanges of one request and one answer each. One I/O
 * thread serves all connections; no call here blocks. It knows no route, no JSON and no model. */
#ifndef SERVER_HTTP_H
#define SERVER_HTTP_H
#include "base/err.h"

typedef struct http http;
typedef struct http_exchange http_exchange;

typedef struct http_field {
    const char *name, *value;
} http_field;

/* What became of an exchange, for logs and metrics; strings live as long as the call. */
typedef struct http_record {
    const char *id, *method, *path, *peer;
    int status;            /* 0: the client went before there was one */
    int gone;              /* the client went before the end */
    uint64_t received, sent; /* bytes of bodies */
    uint64_t tokens_in, tokens_out; /* as http_count was told */
    double seconds;        /* from the request's first line to the end */
} http_record;

typedef struct http_options {
    const char *host;      /* name or number; NULL with unix_path */
    unsigned port;         /* 0: any free one; http_port tells */
    /* NULL: none. A dead socket's file is replaced, a live one's is an error; removed in http_drain, through this pointer */
    const char *unix_path;
    size_t max_body;       /* bytes; more: 413 */
    unsigned timeout;      /* seconds that a connection may be silent while it is its turn */
    unsigned max_connections;
    /* Runs on the I/O thread when a request is whole; it must not block, and every exchange must be answered, now or later. */
    void (*on_request)(void *ctx, http_exchange *x);
    /* Runs on the I/O thread when an exchange is over. May be NULL. */
    void (*on_record)(void *ctx, const http_record *r);
    /* The body of an answer that http gives itself (400, 411, 413, 414, 431, 503), malloc'ed; JSON. */
    char *(*error_body)(void *ctx, const char *path, int status, const char *message, size_t *len);
    void *ctx;
} http_options;

/* Listens and serves. NULL: the address is taken or does not exist. */
http *http_open(const http_options *o, pith_err *e);
unsigned http_port(const http *h); /* 0 of a unix socket */
int http_local(const http *h);     /* 1: it listens on an address that only this machine has (127.0.0.1, ::1) */
/* No new connections and requests (503, Connection: close); what runs goes on. */
void http_drain(http *h);
size_t http_running(const http *h); /* exchanges that are not over */
/* Ends what runs, closes everything. */
void http_close(http *h);

/* ---- the request; its strings live until the exchange is answered or ended ---- */

const char *http_id(const http_exchange *x);     /* of the client's X-Request-Id if that is [A-Za-z0-9._-]{1,64}, else made; in the answer's field too */
const char *http_method(const http_exchange *x);
const char *http_path(const http_exchange *x);   /* decoded, without query */
const char *http_header(const http_exchange *x, const char *name); /* NULL: not there; any case */
const char *http_body(const http_exchange *x, size_t *len); /* NUL-terminated */
double http_began(const http_exchange *x);       /* CLOCK_MONOTONIC, seconds */
/* Has the client gone? Thread-safe, cheap, true within milliseconds, also while nothing is being sent. One that only shuts
 * its sending side counts as gone, for it cannot be told from one that closed. */
int http_gone(http_exchange *x);
/* So many more tokens read and written for it: for the record. Thread-safe. */
void http_count(http_exchange *x, uint64_t in, uint64_t out);

/* ---- the answer: from any one thread; the exchange is the caller's until http_answer or http_end, and must come to one
 * of them, also when the client has gone ---- */

/* body: malloc'ed, taken; fields: copied. */
void http_answer(http_exchange *x, int status, const char *type, char *body, size_t len, const http_field *fields, size_t n);
/* An answer in pieces: 200 with fields, then http_send (copied; sent as soon as the client takes it), then http_end. */
void http_stream(http_exchange *x, const char *type, const http_field *fields, size_t n);
void http_send(http_exchange *x, const char *data, size_t len);
void http_end(http_exchange *x);

#endif
