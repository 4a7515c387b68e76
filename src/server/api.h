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

/* One request on its way. Made by api_begin, freed when it is answered. */
typedef struct api_call {
    server *s;
    http_exchange *x;
    const struct api_route *route;
    json_doc *body;  /* NULL for GET */
    json root;
    pith_err e;
} api_call;

typedef void api_handler(api_call *c);
typedef struct api_route {
    const char *method, *path;
    api_style style;
    int open;            /* no key needed */
    api_handler *handle; /* on the api thread; must come to api_answer, api_fail, or to a job whose end does */
} api_route;

/* Finds the route, checks key and content type, parses the body, calls the handler: on the api thread. Answers 401, 404,
 * 405 (with Allow), 415, 400 itself. */
void api_serve(server *s, http_exchange *x);
/* A path as metrics and logs call it: the route's own; "other" where there is none. Static. */
const char *api_route_name(const char *path);
/* An error's body in the style of a path. */
char *api_error_body(const char *path, int status, const char *message, const char *param, const char *code, size_t *len);

/* Ends of a call: it is freed. */
void api_answer(api_call *c, int status, const char *type, char *body, size_t len);
/* code and param may be NULL. 429 gets Retry-After. */
void api_fail(api_call *c, int status, const char *param, const char *code, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* The model that the body's "model" names (absent: the only one, or the first that can do this kind of job): NULL after
 * api_fail (404 model_not_found; 400: it cannot do this). */
worker *api_model(api_call *c, job_kind kind);
/* The body's members must be among `names` (NULL-terminated); else 400 with that name: unsupported parameters are refused.
 * ignored: members that change nothing that pith does ("user", "metadata"), accepted. -1 after api_fail. */
int api_known(api_call *c, const char *const *names, const char *const *ignored);

#endif
