/* How it fits libmicrohttpd 0.9.75: one internal epoll thread runs every callback here. A request that is whole is
 * suspended until somebody answers; a stream is suspended whenever there is nothing to send. An exchange is shared by
 * libmicrohttpd (until the request's end), a streaming response (until it is destroyed) and the owner that on_request
 * gave it to (until http_answer or http_end); the last one frees it. What two threads touch is under the exchange's
 * lock; `over` says that libmicrohttpd has forgotten the connection and nothing may be asked of it any more.
 *
 * What libmicrohttpd does by itself, without a JSON body: 400 for a version that is none and for malformed fields and
 * chunks, 505 for other versions than 1.x, 413 for a Content-Length of more than 64 bits, 414 and 431 where the head
 * does not fit the connection's memory; it closes without an answer where the first line has no space in it or the
 * client leaves in the middle. It lets through what head_lines then finds in its memory: LF alone, NUL, folded lines, and
 * a line without a name, after which it reads the rest of the head as the next request. */
#define _GNU_SOURCE
#include "server/http.h"
#include "base/clock.h"
#include "server/head.h"
#include "server/linger.h"
#include "server/listen.h"
#include "server/seat.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    HEAD_BYTES = 32 << 10,  /* memory of a connection: its head, and what is being sent of a stream */
    PIECE_BYTES = 8 << 10,  /* of a stream, at once */
    BEHIND_BYTES = 16 << 20,/* of a stream, that a client may leave unread */
    SKIP_BYTES = 64 << 20,  /* of a body that is too large, read before the answer can be given */
    SLOWEST = 1 << 10,      /* bytes a second that a body must come with after the timeout's seconds */
    RESERVE = 64,           /* connections over the limit, while others are being closed for them */
    BODIES = 256            /* times max_body: memory of all bodies */
};

struct http {
    http_options o;
    struct MHD_Daemon *daemon;
    linger_room *linger;
    int fd;
    unsigned port;
    int local;
    uint32_t salt, n_ids; /* of request ids */
    seat_list seats;
    atomic_int draining;
    atomic_size_t running, bodies;
    pthread_mutex_t lock; /* of closing and the list of exchanges with owners */
    int closing;
    http_exchange *first;
};

struct http_exchange {
    http *h;
    atomic_int refs;
    pthread_mutex_t lock;
    http_exchange *prev, *next; /* h->lock */

    /* the request: written by the I/O thread before on_request */
    char id[65], peer[64], method[32];
    char *target, *path, *fields; /* fields: name\0value\0 ... */
    size_t fields_len;
    char *body;
    size_t body_len, body_cap;
    double began;
    struct MHD_Connection *c;
    seat *seat;
    int refusal; /* status; the request is read to its end without being kept, then refused */
    const char *why;
    int owned, listed;
    int lingers; /* descriptor; -1: none. The client is sending a body that is not read */

    /* the answer: under the lock */
    int fd, over, suspended, ended, cut;
    struct MHD_Response *response; /* to queue */
    unsigned status;
    char *out; /* of a stream: [sent_from, out_len) is to be sent */
    size_t out_len, out_cap, out_from;
    uint64_t sent;
    atomic_int gone;
    atomic_llong asked; /* nanoseconds: when the socket was last looked at */
    atomic_ullong tokens_in, tokens_out;
};

static void release(http_exchange *x)
{
    if (atomic_fetch_sub(&x->refs, 1) != 1) return;
    pthread_mutex_destroy(&x->lock);
    free(x->target);
    free(x->path);
    free(x->fields);
    free(x->body);
    free(x->out);
    free(x);
}

/* ---- answers ---- */

static void add_fields(struct MHD_Response *r, const http_exchange *x, const char *type, const http_field *f, size_t n)
{
    if (type) MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "X-Request-Id", x->id);
    for (size_t i = 0; i < n; i++) MHD_add_response_header(r, f[i].name, f[i].value);
}

/* On the I/O thread only: h may be gone for others. */
static enum MHD_Result queue(http_exchange *x, unsigned status, struct MHD_Response *r)
{
    if (atomic_load(&x->h->draining)) MHD_add_response_header(r, "Connection", "close");
    enum MHD_Result ok = MHD_queue_response(x->c, status, r);
    MHD_destroy_response(r);
    return ok;
}

/* Takes body, also where there is no memory. */
static struct MHD_Response *whole(const http_exchange *x, const char *type, char *body, size_t len, const http_field *f, size_t n)
{
    struct MHD_Response *r = body ? MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE) :
                                    MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT);
    if (r) add_fields(r, x, type, f, n);
    else free(body);
    return r;
}

/* The answer that http gives itself. */
static enum MHD_Result refuse(http_exchange *x, int status, const char *why)
{
    http *h = x->h;
    size_t len = 0;
    char *body = h->o.error_body ? h->o.error_body(h->o.ctx, x->path ? x->path : "/", status, why, &len) : NULL;
    if (!body && (body = malloc(strlen(why) + 32))) len = (size_t)sprintf(body, "{\"error\":\"%s\"}", why);
    http_field retry = {"Retry-After", "1"};
    struct MHD_Response *r = whole(x, "application/json", body, len, &retry, status == 503);
    if (!r) return MHD_NO;
    x->status = (unsigned)status;
    x->sent = len;
    return queue(x, x->status, r);
}

/* Under the lock. */
static void wake(http_exchange *x)
{
    if (!x->suspended || x->over) return;
    x->suspended = 0;
    MHD_resume_connection(x->c);
}

static void give(http_exchange *x, unsigned status, struct MHD_Response *r, uint64_t sent)
{
    pthread_mutex_lock(&x->lock);
    int late = x->over;
    if (!late) {
        x->status = status;
        x->sent = sent;
        x->response = r;
        x->cut |= !r;
        wake(x);
    }
    pthread_mutex_unlock(&x->lock);
    if (late && r) MHD_destroy_response(r); /* not under the lock: a stream's holds a part of x */
}

void http_answer(http_exchange *x, int status, const char *type, char *body, size_t len, const http_field *fields, size_t n)
{
    give(x, (unsigned)status, whole(x, type, body, len, fields, n), len);
    release(x);
}

/* The next piece of a stream, for libmicrohttpd. */
static ssize_t piece(void *ctx, uint64_t at, char *buf, size_t max)
{
    http_exchange *x = ctx;
    (void)at;
    pthread_mutex_lock(&x->lock);
    size_t n = x->out_len - x->out_from;
    ssize_t rc;
    if (x->cut || x->over) {
        rc = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (n) {
        if (n > max) n = max;
        memcpy(buf, x->out + x->out_from, n);
        x->out_from += n;
        if (x->out_from == x->out_len) x->out_from = x->out_len = 0;
        x->sent += n;
        rc = (ssize_t)n;
    } else if (x->ended) {
        rc = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        x->suspended = 1;
        MHD_suspend_connection(x->c);
        rc = 0;
    }
    pthread_mutex_unlock(&x->lock);
    return rc;
}

static void piece_free(void *ctx) { release(ctx); }

void http_stream(http_exchange *x, const char *type, const http_field *fields, size_t n)
{
    atomic_fetch_add(&x->refs, 1);
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, piece, x, piece_free);
    if (r) add_fields(r, x, type, fields, n);
    else release(x);
    give(x, 200, r, 0);
}

/* Room for n more bytes; what was sent makes room first. */
static int make_room(http_exchange *x, size_t n)
{
    if (x->out_from) {
        memmove(x->out, x->out + x->out_from, x->out_len - x->out_from);
        x->out_len -= x->out_from;
        x->out_from = 0;
    }
    if (x->out_cap - x->out_len >= n) return 0;
    size_t cap = 2 * (x->out_len + n) + 1024;
    char *p = realloc(x->out, cap);
    if (!p) return -1;
    x->out = p;
    x->out_cap = cap;
    return 0;
}

void http_send(http_exchange *x, const char *data, size_t len)
{
    pthread_mutex_lock(&x->lock);
    if (len && !x->over && !x->cut) {
        if (x->out_len - x->out_from + len > BEHIND_BYTES || make_room(x, len)) {
            x->cut = 1;
            atomic_store(&x->gone, 1);
            if (x->fd >= 0) shutdown(x->fd, SHUT_RDWR); /* libmicrohttpd would wait for the timeout */
        } else {
            memcpy(x->out + x->out_len, data, len);
            x->out_len += len;
        }
        wake(x);
    }
    pthread_mutex_unlock(&x->lock);
}

void http_end(http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->ended = 1;
    if (!x->status) x->cut = 1; /* no answer was begun */
    wake(x);
    pthread_mutex_unlock(&x->lock);
    release(x);
}

/* ---- what the owner asks ---- */

const char *http_id(const http_exchange *x) { return x->id; }
const char *http_method(const http_exchange *x) { return x->method; }
const char *http_path(const http_exchange *x) { return x->path; }
double http_began(const http_exchange *x) { return x->began; }

void http_count(http_exchange *x, uint64_t in, uint64_t out)
{
    atomic_fetch_add(&x->tokens_in, in);
    atomic_fetch_add(&x->tokens_out, out);
}

const char *http_header(const http_exchange *x, const char *name)
{
    for (size_t i = 0; i < x->fields_len;) {
        const char *key = x->fields + i, *value = key + strlen(key) + 1;
        if (strcasecmp(key, name) == 0) return value;
        i = (size_t)(value - x->fields) + strlen(value) + 1;
    }
    return NULL;
}

const char *http_body(const http_exchange *x, size_t *len)
{
    *len = x->body_len;
    return x->body ? x->body : "";
}

/* libmicrohttpd does not watch a suspended connection, so its socket is asked: at most once a millisecond. */
int http_gone(http_exchange *x)
{
    if (atomic_load(&x->gone)) return 1;
    long long t = (long long)(1e9 * clock_now());
    if (t - atomic_load(&x->asked) < 1000000) return 0;
    atomic_store(&x->asked, t);
    pthread_mutex_lock(&x->lock);
    struct pollfd p = {.fd = x->fd, .events = POLLRDHUP};
    if (x->over || (poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)))) atomic_store(&x->gone, 1);
    pthread_mutex_unlock(&x->lock);
    return atomic_load(&x->gone);
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **mine, enum MHD_ConnectionNotificationCode code)
{
    http *h = ctx;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
        *mine = info ? seat_new(&h->seats, info->connect_fd, h->o.max_connections) : NULL;
    } else {
        seat_free(&h->seats, *mine);
        *mine = NULL;
    }
}

/* libmicrohttpd's epoll is edge-triggered, and the end of a client that comes together with its last bytes is no edge. */
static void each_second(void *ctx) { seat_tidy(&((http *)ctx)->seats); }

/* ---- requests ---- */

/* The request's first line has come. */
static void *on_line(void *ctx, const char *uri, struct MHD_Connection *c)
{
    http *h = ctx;
    http_exchange *x = calloc(1, sizeof *x);
    if (!x) return NULL;
    if (pthread_mutex_init(&x->lock, NULL)) {
        free(x);
        return NULL;
    }
    x->h = h;
    x->c = c;
    atomic_init(&x->refs, 1);
    x->fd = x->lingers = -1;
    x->began = clock_now();
    snprintf(x->id, sizeof x->id, "%08x%08x", (unsigned)h->salt, (unsigned)h->n_ids++);
    x->target = strdup(uri ? uri : "");
    return x;
}

static enum MHD_Result on_field(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    head_field(ctx, name, value);
    return MHD_YES;
}

static enum MHD_Result measure_field(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    http_exchange *x = ctx;
    (void)kind;
    x->fields_len += strlen(name) + strlen(value ? value : "") + 2;
    return MHD_YES;
}

static enum MHD_Result copy_field(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    char **at = ctx;
    (void)kind;
    at[0] = stpcpy(at[0], name) + 1;
    at[0] = stpcpy(at[0], value ? value : "") + 1;
    return MHD_YES;
}

static int is_id(const char *s)
{
    size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n >= 1 && n <= 64 && !s[n];
}

static void copy_request(http_exchange *x, const char *method)
{
    MHD_get_connection_values(x->c, MHD_HEADER_KIND, measure_field, x);
    x->fields = malloc(x->fields_len + 1);
    char *at = x->fields;
    if (at) MHD_get_connection_values(x->c, MHD_HEADER_KIND, copy_field, &at);
    else x->fields_len = 0;
    snprintf(x->method, sizeof x->method, "%s", method);
    const char *id = http_header(x, "X-Request-Id");
    if (id && is_id(id)) memcpy(x->id, id, strlen(id) + 1);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info ? info->client_addr : NULL;
    if (a && a->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, a, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, x->peer, sizeof x->peer);
    } else if (a && a->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, a, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, x->peer, sizeof x->peer);
    } else {
        memcpy(x->peer, "unix", 5);
    }
    info = MHD_get_connection_info(x->c, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info) x->fd = info->connect_fd;
    info = MHD_get_connection_info(x->c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    if (info) x->seat = info->socket_context;
}

/* The head is there: refuse what can be refused before a body is read. */
static enum MHD_Result on_head(http_exchange *x, const char *method, const char *version)
{
    http *h = x->h;
    head d;
    head_begin(&d);
    MHD_get_connection_values(x->c, MHD_HEADER_KIND, on_field, &d);
    const union MHD_ConnectionInfo *size = MHD_get_connection_info(x->c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *end = method + (size ? size->header_size : 0);
    if (strcmp(MHD_get_version(), "0.9.75") == 0) head_lines(&d, version + strlen(version), end);
    int status = head_end(&d, method, version);
    copy_request(x, method);
    if (!x->fields) return MHD_NO;
    const char *why = d.why;
    x->path = x->target ? head_path(x->target, &why) : NULL;
    if (!status && !x->path) status = 400;
    if (!status && strlen(method) >= sizeof x->method) status = 400, why = "the method is too long";
    if (!status && atomic_load(&h->draining)) status = 503, why = "the server is shutting down";
    if (!status && d.n_length && d.length > h->o.max_body) status = 413, why = "the body is too large";
    if (!status) return MHD_YES;
    if (d.n_length || d.n_encoding) x->lingers = fcntl(x->fd, F_DUPFD_CLOEXEC, 3);
    return refuse(x, status, why);
}

static void drop_body(http_exchange *x)
{
    atomic_fetch_sub(&x->h->bodies, x->body_cap);
    free(x->body);
    x->body = NULL;
    x->body_len = x->body_cap = 0;
}

/* What cannot be kept is read on, for libmicrohttpd takes no answer in the middle of a body. */
static void refuse_later(http_exchange *x, int status, const char *why)
{
    x->refusal = status;
    x->why = why;
}

static enum MHD_Result on_piece(http_exchange *x, const char *data, size_t n)
{
    http *h = x->h;
    size_t len = x->body_len + n;
    if (clock_now() - x->began > h->o.timeout + (double)len / SLOWEST) return MHD_NO;
    if (x->refusal) {
        x->body_len = len;
        return len > SKIP_BYTES ? MHD_NO : MHD_YES;
    }
    if (len >= x->body_cap && len <= h->o.max_body) {
        size_t cap = 2 * len + 1024;
        if (cap > h->o.max_body + 1) cap = h->o.max_body + 1;
        size_t more = cap - x->body_cap;
        char *p = NULL;
        if (atomic_fetch_add(&h->bodies, more) + more <= BODIES * h->o.max_body) p = realloc(x->body, cap);
        if (p) {
            x->body = p;
            x->body_cap = cap;
        } else {
            atomic_fetch_sub(&h->bodies, more);
            refuse_later(x, 503, "no memory for another request now");
        }
    } else if (len > h->o.max_body) {
        refuse_later(x, 413, "the body is too large");
    }
    if (x->refusal) drop_body(x);
    else memcpy(x->body + x->body_len, data, n);
    x->body_len = len;
    return MHD_YES;
}

static void list_add(http *h, http_exchange *x)
{
    x->listed = 1;
    x->next = h->first;
    if (h->first) h->first->prev = x;
    h->first = x;
}

static void list_drop(http *h, http_exchange *x)
{
    if (!x->listed) return;
    x->listed = 0;
    if (x->prev) x->prev->next = x->next;
    else h->first = x->next;
    if (x->next) x->next->prev = x->prev;
    x->prev = x->next = NULL;
}

/* The request is whole. */
static enum MHD_Result on_whole(http_exchange *x)
{
    http *h = x->h;
    if (x->refusal) return refuse(x, x->refusal, x->why);
    if (x->body) x->body[x->body_len] = 0;
    pthread_mutex_lock(&h->lock);
    int closing = h->closing;
    if (!closing) {
        list_add(h, x);
        x->owned = 1;
        x->suspended = 1;
        atomic_fetch_add(&x->refs, 1);
        atomic_fetch_add(&h->running, 1);
        MHD_suspend_connection(x->c);
    }
    pthread_mutex_unlock(&h->lock);
    if (closing) return refuse(x, 503, "the server is shutting down");
    if (x->seat) seat_serve(&h->seats, x->seat);
    h->o.on_request(h->o.ctx, x);
    return MHD_YES;
}

/* The owner has answered. */
static enum MHD_Result on_answer(http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    struct MHD_Response *r = x->cut ? NULL : x->response;
    unsigned status = x->status;
    if (r) x->response = NULL;
    pthread_mutex_unlock(&x->lock);
    return r ? queue(x, status, r) : MHD_NO;
}

/* libmicrohttpd calls this when the head is there, for each piece of a body, when the request is whole, and when a
 * suspended request goes on. */
static enum MHD_Result on_access(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                 const char *data, size_t *n, void **mine)
{
    http_exchange *x = *mine;
    (void)ctx, (void)c, (void)url;
    if (!x) return MHD_NO;
    if (!x->fields) return on_head(x, method, version);
    if (x->owned) return on_answer(x);
    if (!*n) return on_whole(x);
    size_t len = *n;
    *n = 0;
    return on_piece(x, data, len);
}

static void on_over(void *ctx, struct MHD_Connection *c, void **mine, enum MHD_RequestTerminationCode code)
{
    http *h = ctx;
    http_exchange *x = *mine;
    if (!x) return;
    *mine = NULL;
    pthread_mutex_lock(&h->lock);
    list_drop(h, x);
    pthread_mutex_unlock(&h->lock);
    pthread_mutex_lock(&x->lock);
    struct MHD_Response *unsaid = x->response;
    x->response = NULL;
    x->over = 1;
    x->fd = -1;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK) atomic_store(&x->gone, 1);
    if (!x->status) { /* libmicrohttpd may have answered by itself */
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_HTTP_STATUS);
        if (info) x->status = info->http_status;
    }
    http_record r = {.id = x->id, .method = x->method, .path = x->path ? x->path : x->target ? x->target : "", .peer = x->peer,
                     .status = (int)x->status, .gone = atomic_load(&x->gone), .received = x->body_len, .sent = x->sent,
                     .tokens_in = atomic_load(&x->tokens_in), .tokens_out = atomic_load(&x->tokens_out), .seconds = clock_now() - x->began};
    pthread_mutex_unlock(&x->lock);
    if (unsaid) MHD_destroy_response(unsaid);
    if (h->o.on_record) h->o.on_record(h->o.ctx, &r);
    atomic_fetch_sub(&h->bodies, x->body_cap);
    if (x->lingers >= 0) linger_add(h->linger, x->lingers); /* libmicrohttpd shuts the sending side before it closes */
    if (x->seat) seat_wait(&h->seats, x->seat);
    if (x->owned) atomic_fetch_sub(&h->running, 1);
    release(x);
}

/* ---- the daemon ---- */

static int start(http *h, pith_err *e)
{
    h->linger = linger_open(each_second, h, e);
    if (!h->linger) return -1;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, h->fd, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)h->o.max_connections + RESERVE, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_BYTES, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)h->o.timeout, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_line, h},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_over, h},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, h},
        {MHD_OPTION_END, 0, NULL}};
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0, NULL, NULL,
                                 on_access, h, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (h->daemon) return 0;
    linger_close(h->linger);
    return err_set(e, "the HTTP library could not start (too many open files, or threads?)");
}

http *http_open(const http_options *o, pith_err *e)
{
    http *h = calloc(1, sizeof *h);
    if (!h) {
        err_nomem(e, sizeof *h, "the server");
        return NULL;
    }
    h->o = *o;
    h->port = o->unix_path ? 0 : o->port;
    if (getrandom(&h->salt, sizeof h->salt, 0) != sizeof h->salt) h->salt = (uint32_t)getpid();
    h->fd = listen_open(o->host, &h->port, o->unix_path, e);
    if (h->fd < 0) {
        free(h);
        return NULL;
    }
    h->local = listen_local(h->fd);
    pthread_mutex_init(&h->lock, NULL);
    seat_list_open(&h->seats);
    if (start(h, e) == 0) return h;
    close(h->fd);
    if (o->unix_path) unlink(o->unix_path);
    seat_list_close(&h->seats);
    pthread_mutex_destroy(&h->lock);
    free(h);
    return NULL;
}

unsigned http_port(const http *h) { return h->port; }
int http_local(const http *h) { return h->local; }
size_t http_running(const http *h) { return atomic_load(&h->running); }

void http_drain(http *h)
{
    if (atomic_exchange(&h->draining, 1)) return;
    MHD_quiesce_daemon(h->daemon);
    shutdown(h->fd, SHUT_RDWR); /* from now on connecting is refused; closed later, for accept may be at work on it */
    if (h->o.unix_path) unlink(h->o.unix_path);
}

void http_close(http *h)
{
    http_drain(h);
    pthread_mutex_lock(&h->lock);
    h->closing = 1;
    for (http_exchange *x = h->first; x; x = x->next) {
        pthread_mutex_lock(&x->lock);
        x->cut = 1;
        atomic_store(&x->gone, 1);
        wake(x);
        pthread_mutex_unlock(&x->lock);
    }
    pthread_mutex_unlock(&h->lock);
    MHD_stop_daemon(h->daemon);
    linger_close(h->linger);
    close(h->fd);
    seat_list_close(&h->seats);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
