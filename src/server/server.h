/* server: models, sockets and threads of `pith serve`, from start to drained. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H
#include "pith.h"
#include "server/worker.h"

enum { SERVER_API_THREADS = 2 }; /* they parse bodies, tokenize and write answers */

typedef struct server server;

typedef struct server_model {
    const char *name, *dir;
} server_model;

typedef enum server_event {
    SERVER_NOTE,
    SERVER_LISTENS, /* the socket is there: whoever ends the process from now on removes unix_path */
    SERVER_READY,   /* *stop counts from now on */
} server_event;

typedef struct server_options {
    const server_model *models;
    size_t n_models;
    pith_model_options model;
    pith_generator_options generator;
    const char *host, *unix_path;
    unsigned port;
    const char *api_key;       /* NULL: none */
    const char *const *names;  /* [n_names] by which it may be asked for, beside its own: see server_knows */
    size_t n_names;
    size_t max_batch_tokens, max_queue, max_body;
    double timeout;            /* seconds a job may wait in the queue, and a connection be silent */
    double grace;              /* seconds that draining may take */
    int no_sandbox, must_sandbox; /* must: -1 where the kernel cannot */
    int access_log; /* the log: a JSON object a line, on stderr */
    /* What the operator should know; on server_run's thread. s lives until server_run returns. */
    void (*note)(void *ctx, server *s, server_event what, const char *line);
    void *ctx;
} server_options;

/* Serves until *stop is not 0 (set by a signal handler: 1 drains, 2 or more ends at once) and all is drained. Listens
 * first (/health answers, /ready says 503), then loads the models, then shuts itself into the sandbox. -1: it could not. */
int server_run(const server_options *o, const volatile int *stop, pith_err *e);

size_t server_models(const server *s);
worker *server_worker(const server *s, size_t i); /* NULL until it is loaded */
int server_ready(const server *s);
metrics *server_metrics(const server *s);
/* Runs it on a thread that serves requests, soon; at once if those have ended. */
void server_later(server *s, void (*run)(void *ctx), void *ctx);
/* The file of a model that is mapped at addr, or the folder of one that is being loaded; NULL: neither. Async-signal-safe. */
const char *server_mapped_at(const server *s, const void *addr);
const server_options *server_settings(const server *s);
/* May it be asked under this Host? Only a server that nothing else protects looks at it: one of this machine alone, without
 * a key. */
int server_knows(const server *s, const char *host);
double server_started(const server *s); /* Unix time */

#endif
