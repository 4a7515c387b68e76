/* Threads: the HTTP library's one, which only passes requests on; those that serve them (they parse bodies, write texts
 * as tokens, and wait for nothing); one of each model's worker; and server_run's own, which watches over their lives. */
#define _GNU_SOURCE
#include "server/server.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/api.h"
#include "server/hosts.h"
#include "server/http.h"
#include "server/sandbox.h"
#include "base/memtext.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTIONS = 8192,
    OTHER_FILES = 128, /* descriptors that are not connections */
    LOG_PATH = 1024,   /* bytes of a path in the log */
    LAST_ANSWERS = 500 /* milliseconds in which the answers of what was ended are still sent */
};

/* A request, or the rest of one: what a worker's thread should not do. */
typedef struct waiting {
    http_exchange *x; /* NULL: run */
    void (*run)(void *ctx);
    void *ctx;
    struct waiting *next;
} waiting;

struct server {
    server_options o;
    http *door;
    metrics *metrics;
    _Atomic(worker *) *workers; /* [n_models]; NULL: not loaded */
    _Atomic(const char *) loading; /* the folder of the model that is; NULL: none */
    atomic_int ready, draining;
    atomic_size_t n_dropped; /* lines of the log */
    double started;
    pthread_mutex_t mutex; /* of the queue */
    pthread_cond_t change;
    waiting *first, **end;
    int over; /* the threads of the queue should end */
    pthread_t threads[SERVER_API_THREADS];
    int n_threads;
};

size_t server_models(const server *s) { return s->o.n_models; }
worker *server_worker(const server *s, size_t i) { return i < s->o.n_models ? atomic_load(&s->workers[i]) : NULL; }
int server_ready(const server *s) { return atomic_load(&s->ready) && !atomic_load(&s->draining); }
metrics *server_metrics(const server *s) { return s->metrics; }
const server_options *server_settings(const server *s) { return &s->o; }
double server_started(const server *s) { return s->started; }

const char *server_mapped_at(const server *s, const void *addr)
{
    const char *file = NULL;
    for (size_t i = 0; i < s->o.n_models && !file; i++) {
        const worker *w = server_worker(s, i);
        if (w) file = pith_model_mapped_at(worker_model(w), addr);
    }
    return file ? file : atomic_load(&s->loading);
}

int server_knows(const server *s, const char *host)
{
    const server_options *o = &s->o;
    return o->api_key || !http_local(s->door) || hosts_allowed(host, &o->host, 1) || hosts_allowed(host, o->names, o->n_names);
}

static void nap(int milliseconds)
{
    struct timespec t = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

__attribute__((format(printf, 3, 4))) static void tell(server *s, server_event what, const char *fmt, ...)
{
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (s->o.note) s->o.note(s->o.ctx, s, what, line);
}

/* ---- requests ---- */

/* -1: memory, or the threads have ended. */
static int enqueue(server *s, waiting w)
{
    waiting *q = malloc(sizeof *q);
    if (!q) return -1;
    *q = w;
    pthread_mutex_lock(&s->mutex);
    int over = s->over;
    if (!over) {
        *s->end = q;
        s->end = &q->next;
        pthread_cond_signal(&s->change);
    }
    pthread_mutex_unlock(&s->mutex);
    if (over) free(q);
    return over ? -1 : 0;
}

static void on_request(void *ctx, http_exchange *x)
{
    if (enqueue(ctx, (waiting){.x = x})) http_answer(x, 503, NULL, NULL, 0, NULL, 0);
}

void server_later(server *s, void (*run)(void *ctx), void *ctx)
{
    if (enqueue(s, (waiting){.run = run, .ctx = ctx})) run(ctx);
}

/* What still waits when the server ends is served too: the workers are there, the answers may be refusals. */
static void *serve(void *ctx)
{
    server *s = ctx;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        waiting *q = s->first;
        if (!q && s->over) break;
        if (!q) {
            pthread_cond_wait(&s->change, &s->mutex);
            continue;
        }
        s->first = q->next;
        if (!s->first) s->end = &s->first;
        pthread_mutex_unlock(&s->mutex);
        if (q->x) api_serve(s, q->x);
        else q->run(q->ctx);
        free(q);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static char *error_body(void *ctx, const char *path, int status, const char *message, size_t *len)
{
    (void)ctx;
    return api_error_body(path, status, message, NULL, NULL, len);
}

/* ---- the access log ---- */

static void put_record(FILE *f, const http_record *r, const char *route)
{
    struct timespec t;
    struct tm u;
    char when[32];
    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &u);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &u);
    fprintf(f, "{\"time\":\"%s.%03ldZ\",\"id\":\"%s\",\"peer\":\"%s\",\"method\":", when, t.tv_nsec / 1000000, r->id, r->peer);
    json_put_str(f, r->method, strlen(r->method));
    fputs(",\"path\":", f);
    json_put_str(f, r->path, strnlen(r->path, LOG_PATH));
    fprintf(f, ",\"route\":\"%s\",\"status\":%d,\"gone\":%s,\"received\":%llu,\"sent\":%llu,\"tokens_in\":%llu,\"tokens_out\":%llu,\"seconds\":%.6f}\n",
            route, r->status,
            r->gone ? "true" : "false", (unsigned long long)r->received, (unsigned long long)r->sent, (unsigned long long)r->tokens_in,
            (unsigned long long)r->tokens_out, r->seconds);
}

/* The HTTP library's thread must not wait for whoever reads stderr: a pipe that is ready takes PIPE_BUF bytes at once; what
 * it does not take is counted and told at the end. */
static void log_record(server *s, const http_record *r, const char *route)
{
    char *line = NULL;
    size_t n = 0;
    FILE *f = memtext_open(&line, &n);
    if (f) {
        put_record(f, r, route);
        memtext_close(f, &line);
    }
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (!line || poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT) || write(STDERR_FILENO, line, n) != (ssize_t)n)
        atomic_fetch_add(&s->n_dropped, 1);
    free(line);
}

static void on_record(void *ctx, const http_record *r)
{
    server *s = ctx;
    const char *route = api_route_name(r->path);
    metrics_request(s->metrics, route, r->gone ? 0 : r->status, r->seconds);
    if (s->o.access_log) log_record(s, r, route);
}

/* ---- the server's life ---- */

/* As many connections as the descriptors that the process may have allow. */
static unsigned connections(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l)) return 256;
    if (l.rlim_cur < CONNECTIONS + OTHER_FILES && l.rlim_cur < l.rlim_max) {
        l.rlim_cur = l.rlim_max == RLIM_INFINITY || l.rlim_max > CONNECTIONS + OTHER_FILES ? CONNECTIONS + OTHER_FILES : l.rlim_max;
        setrlimit(RLIMIT_NOFILE, &l);
        getrlimit(RLIMIT_NOFILE, &l);
    }
    if (l.rlim_cur >= CONNECTIONS + OTHER_FILES) return CONNECTIONS;
    return l.rlim_cur > 2 * OTHER_FILES ? (unsigned)l.rlim_cur - OTHER_FILES : (unsigned)l.rlim_cur / 2;
}

static int start_threads(server *s, pith_err *e)
{
    for (; s->n_threads < SERVER_API_THREADS; s->n_threads++)
        if (pthread_create(&s->threads[s->n_threads], NULL, serve, s)) return err_set(e, "no threads can be made");
    return 0;
}

static int listen_first(server *s, pith_err *e)
{
    http_options h = {.host = s->o.host,
                      .port = s->o.port,
                      .unix_path = s->o.unix_path,
                      .max_body = s->o.max_body,
                      .timeout = s->o.timeout < 1 ? 1 : (unsigned)s->o.timeout,
                      .max_connections = connections(),
                      .on_request = on_request,
                      .on_record = on_record,
                      .error_body = error_body,
                      .ctx = s};
    s->door = http_open(&h, e);
    if (!s->door) return -1;
    if (s->o.unix_path) tell(s, SERVER_LISTENS, "listening on unix:%s", s->o.unix_path);
    else tell(s, SERVER_LISTENS, strchr(s->o.host, ':') ? "listening on http://[%s]:%u" : "listening on http://%s:%u", s->o.host, http_port(s->door));
    return 0;
}

static int load(server *s, size_t i, pith_err *e)
{
    const server_model *m = &s->o.models[i];
    worker_options w = {.name = m->name,
                        .dir = m->dir,
                        .model = s->o.model,
                        .generator = s->o.generator,
                        .max_batch_tokens = s->o.max_batch_tokens,
                        .max_queue = s->o.max_queue,
                        .metrics = s->metrics,
                        .index = i};
    double start = clock_now();
    atomic_store(&s->loading, m->dir);
    worker *k = worker_open(&w, e);
    if (!k) return -1;
    atomic_store(&s->workers[i], k);
    atomic_store(&s->loading, NULL);
    const pith_model *p = worker_model(k);
    for (size_t j = 0; j < pith_model_warnings(p); j++) tell(s, SERVER_NOTE, "%s: warning: %s", m->name, pith_model_warning(p, j));
    tell(s, SERVER_NOTE, "model %s: %s, %s, %.0f MB, loaded in %.1f s", m->name, pith_model_type(p),
         worker_writes(k) ? "writes" : pith_model_n_labels(p) ? "classifies and embeds" : "embeds",
         (double)pith_model_weight_bytes(p) / 1e6, clock_now() - start);
    return 0;
}

static int shut_in(server *s, pith_err *e)
{
    pith_err why = {{0}};
    if (s->o.no_sandbox || !sandbox_enter(s->o.unix_path, &why)) return 0;
    if (s->o.must_sandbox) return err_set(e, "--sandbox on: %s", why.msg);
    tell(s, SERVER_NOTE, "no sandbox: %s", why.msg);
    return 0;
}

/* Waits until what was begun is done, the grace is over, or a second signal comes. */
static void drain(server *s, const volatile int *stop)
{
    double end = clock_now() + s->o.grace;
    atomic_store(&s->draining, 1);
    http_drain(s->door);
    if (http_running(s->door)) tell(s, SERVER_NOTE, "draining: %zu requests", http_running(s->door));
    while (http_running(s->door) && *stop < 2 && clock_now() < end) nap(20);
    size_t left = http_running(s->door);
    if (left) tell(s, SERVER_NOTE, "ending %zu requests that are not done", left);
    else tell(s, SERVER_NOTE, "drained");
}

/* From the last to the first: whoever could still be called is gone before what it calls. */
static void end(server *s)
{
    if (s->door) http_drain(s->door);
    pthread_mutex_lock(&s->mutex);
    s->over = 1;
    pthread_cond_broadcast(&s->change);
    pthread_mutex_unlock(&s->mutex);
    for (int i = 0; i < s->n_threads; i++) pthread_join(s->threads[i], NULL);
    for (size_t i = 0; s->workers && i < s->o.n_models; i++) worker_close(atomic_exchange(&s->workers[i], NULL));
    if (s->door) {
        for (int i = 0; i < LAST_ANSWERS / 10 && http_running(s->door); i++) nap(10);
        http_close(s->door);
    }
}

int server_run(const server_options *o, const volatile int *stop, pith_err *e)
{
    server s = {.o = *o};
    struct timespec t;
    const char **names = calloc(o->n_models + 1, sizeof *names);
    s.workers = calloc(o->n_models + 1, sizeof *s.workers);
    s.end = &s.first;
    clock_gettime(CLOCK_REALTIME, &t);
    s.started = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    pthread_mutex_init(&s.mutex, NULL);
    pthread_cond_init(&s.change, NULL);
    for (size_t i = 0; names && i < o->n_models; i++) names[i] = o->models[i].name;
    s.metrics = names ? metrics_new(names, o->n_models) : NULL;
    int rc = s.metrics && s.workers ? 0 : err_nomem(e, o->n_models * sizeof *names, "models");
    if (!rc) rc = listen_first(&s, e);
    if (!rc) rc = start_threads(&s, e);
    for (size_t i = 0; !rc && !*stop && i < o->n_models; i++) rc = load(&s, i, e);
    if (!rc && !*stop) rc = shut_in(&s, e);
    if (!rc && !*stop) {
        atomic_store(&s.ready, 1);
        tell(&s, SERVER_READY, "ready");
        while (!*stop) nap(50);
    }
    if (!rc) drain(&s, stop);
    end(&s);
    if (atomic_load(&s.n_dropped)) tell(&s, SERVER_NOTE, "%zu lines of the access log were dropped: nobody read them", atomic_load(&s.n_dropped));
    metrics_free(s.metrics);
    free(s.workers);
    free(names);
    pthread_cond_destroy(&s.change);
    pthread_mutex_destroy(&s.mutex);
    return rc;
}
