/* api: from an exchange to jobs and back: routes, authorisation, bodies in and out. What the files of the protocols
 * (api_*.c) share; each of those exports its handlers, named in api_routes.def. */
#ifndef SERVER_API_H
#define SERVER_API_H
#include "base/json.h"
#include "server/http.h"
#include "server/server.h"
#include "server/worker.h"

typedef enum api_style {
    API_OPENAI, /* {"error":{"message","type","param","code"}} */
    API_TEI,    /* {"error","error_type"} */
} api_style;

typedef struct api_call api_call;
typedef void api_handler(api_call *c);

/* One request on its way. Made by api_serve, freed when it is answered. */
struct api_call {
    server *s;
    http_exchange *x;
    const struct api_route *route;
    json_doc *body;  /* NULL for GET */
    size_t values;   /* that it may hold */
    json root;
    job job;         /* what the handler gives to a worker: api_put */
    api_handler *rest;
    void *own;       /* what the handler keeps for it; freed with the call: api_own */
    void (*drop)(void *own);
    pith_err e;
};

typedef int api_able(const worker *w);
typedef struct api_route {
    const char *method, *path;
    api_style style;
    int open;            /* no key needed */
    api_handler *handle; /* on an api thread; must come to api_answer, api_fail, or to api_put and a job whose end does */
} api_route;

/* Finds the route, checks key and content type, parses the body, calls the handler: on the api thread. Answers 401, 404,
 * 405 (with Allow), 415, 400 itself. */
void api_serve(server *s, http_exchange *x);
/* A path as metrics and logs call it: the route's own; "other" where there is none. Static. */
const char *api_route_name(const char *path);
/* An error's body in the style of a path. */
char *api_error_body(const char *path, int status, const char *message, const char *param, const char *code, size_t *len);

/* size bytes of zeros in c->own; drop (NULL: none) runs before they are freed with the call. NULL after api_fail. */
void *api_own(api_call *c, size_t size, void (*drop)(void *own));
/* Gives c->job to the worker; its ctx is the call, and gone, deadline and arrived are filled in. 429 where it is full. From
 * here on the call is the job's: on_end must come to one of the ends below. */
void api_put(api_call *c, worker *w);

/* Ends of a call: it is freed. */
void api_answer(api_call *c, int status, const char *type, char *body, size_t len);
/* A body written to a memory stream: fclose comes before; NULL: memory (500). */
void api_answer_json(api_call *c, char *body, size_t len);
/* A 200 with the JSON that put writes; -1: c->e says why not, and the status is 422 (500: memory). */
typedef int api_putter(api_call *c, FILE *f);
void api_answer_put(api_call *c, api_putter *put);
/* The rest of a call on an api thread: for what an on_end should not do, because it takes long. */
void api_later(api_call *c, api_handler *rest);
/* After http_stream and http_end. */
void api_done(api_call *c);
/* What a job's on_end was told (error not NULL): api_fail, or nothing but the end where the client has gone. */
void api_fail_job(api_call *c, const char *error, int status);
/* code and param may be NULL. 429 gets Retry-After. */
void api_fail(api_call *c, int status, const char *param, const char *code, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The model that the body's "model" names (absent: the only one, or the first that can do this kind of job): NULL after
 * api_fail (404 model_not_found; 400, on TEI's routes 424: it cannot do this). */
worker *api_model(api_call *c, job_kind kind);
/* The same for models that can do something else; does: the end of "the model is not one that ...". */
worker *api_model_able(api_call *c, api_able *able, const char *does);
/* The body's members must be among `names` (NULL-terminated); else 400 with that name: unsupported parameters are refused.
 * ignored: members that change nothing that pith does ("user", "metadata"), accepted. -1 after api_fail. */
int api_known(api_call *c, const char *const *names, const char *const *ignored);
/* A failed getter's message (c->e) as 400: it names the member. Always -1. */
int api_bad(api_call *c);

#endif
