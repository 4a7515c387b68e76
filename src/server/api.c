#define _POSIX_C_SOURCE 200809L
#include "server/api.h"
#include "base/memtext.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROUTE(method, path, style, open, handler) void handler(api_call *c);
#include "server/api_routes.def"
#undef ROUTE
#define ROUTE(method, path, style, open, handler) {method, path, style, open, handler},
static const api_route routes[] = {
#include "server/api_routes.def"
};
#undef ROUTE
enum { ROUTES = sizeof routes / sizeof *routes };

/* A route that ends in * is all paths that begin so. */
static int leads(const api_route *r, const char *path)
{
    size_t n = strlen(r->path);
    return r->path[n - 1] == '*' ? strncmp(r->path, path, n - 1) == 0 : strcmp(r->path, path) == 0;
}

/* ---- errors ---- */

static api_style style_of(const char *path)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (leads(&routes[i], path)) return routes[i].style;
    return strncmp(path, "/v1/", 4) == 0 ? API_OPENAI : API_TEI;
}

const char *api_route_name(const char *path)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (leads(&routes[i], path)) return routes[i].path;
    return "other";
}

/* The word for a status: OpenAI's "type", TEI's "error_type". */
static const char *kind_of(int status, api_style style, const char *code)
{
    static const struct {
        int status;
        const char *openai, *tei;
    } kinds[] = {{401, "invalid_request_error", "Unauthorized"}, {413, "invalid_request_error", "Validation"},
                 {422, "invalid_request_error", "Tokenizer"},    {424, "server_error", "Backend"},
                 {429, "rate_limit_exceeded", "Overloaded"},     {503, "server_error", "Unhealthy"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].status == status) return style == API_OPENAI ? kinds[i].openai : kinds[i].tei;
    if (style == API_TEI && code && strcmp(code, "empty") == 0) return "Empty";
    if (style == API_OPENAI) return status >= 500 ? "server_error" : "invalid_request_error";
    return status >= 500 ? "Backend" : "Validation";
}

static void put_text(FILE *f, const char *s)
{
    if (s) json_put_str(f, s, strlen(s));
    else fputs("null", f);
}

char *api_error_body(const char *path, int status, const char *message, const char *param, const char *code, size_t *len)
{
    char *b = NULL;
    api_style style = style_of(path);
    FILE *f = memtext_open(&b, len);
    if (!f) return NULL;
    fputs(style == API_OPENAI ? "{\"error\":{\"message\":" : "{\"error\":", f);
    put_text(f, message);
    fputs(style == API_OPENAI ? ",\"type\":" : ",\"error_type\":", f);
    put_text(f, kind_of(status, style, code));
    if (style == API_OPENAI) {
        fputs(",\"param\":", f);
        put_text(f, param);
        fputs(",\"code\":", f);
        put_text(f, code);
        fputs("}", f);
    }
    fputs("}", f);
    return memtext_close(f, &b) ? NULL : b;
}

/* ---- bodies ---- */

/* A parsed value takes some 64 bytes, up to thirty times its text, and bodies are kept while their jobs wait: so many in
 * one body, and in all that are kept. */
enum { VALUES_IN_BODY = 1 << 20, VALUES_IN_ALL = 1 << 24 };
static atomic_size_t values_kept;

/* No fewer values than the text can hold. */
static size_t count_values(const char *s, size_t len)
{
    size_t n = 1;
    int quoted = 0;
    for (size_t i = 0; i < len; i++) {
        if (quoted && s[i] == '\\') i++;
        else if (s[i] == '"') quoted = !quoted;
        else if (!quoted) n += s[i] == ',' || s[i] == '[' || s[i] == '{';
    }
    return n;
}

/* ---- the ends of a call ---- */

void api_done(api_call *c)
{
    if (c->drop) c->drop(c->own);
    free(c->own);
    json_free(c->body);
    atomic_fetch_sub(&values_kept, c->values);
    free(c);
}

static void answer(api_call *c, int status, const char *type, char *body, size_t len, const http_field *fields, size_t n)
{
    http_exchange *x = c->x;
    api_done(c);
    http_answer(x, body || !len ? status : 500, type, body, body ? len : 0, fields, n);
}

void api_answer(api_call *c, int status, const char *type, char *body, size_t len) { answer(c, status, type, body, len, NULL, 0); }

void api_answer_json(api_call *c, char *body, size_t len)
{
    if (body) api_answer(c, 200, "application/json", body, len);
    else api_fail(c, 500, NULL, NULL, "out of memory");
}

void api_answer_put(api_call *c, api_putter *put)
{
    char *b = NULL;
    size_t len = 0;
    FILE *f = memtext_open(&b, &len);
    int bad = f && put(c, f);
    int lost = !f || memtext_close(f, &b);
    if (!bad && !lost) {
        api_answer_json(c, b, len);
        return;
    }
    free(b);
    if (bad && strncmp(c->e.msg, "out of memory", 13)) api_fail(c, 422, NULL, NULL, "%s", c->e.msg);
    else api_answer_json(c, NULL, 0);
}

static void fail(api_call *c, int status, const char *param, const char *code, const char *message, const http_field *field)
{
    size_t len = 0;
    char *b = api_error_body(http_path(c->x), status, message, param, code, &len);
    answer(c, status, "application/json", b, len, field, field != NULL);
}

void api_fail(api_call *c, int status, const char *param, const char *code, const char *fmt, ...)
{
    char message[PITH_ERR_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    fail(c, status, param, code, message, status == 429 ? &(http_field){"Retry-After", "1"} : NULL);
}

void api_fail_job(api_call *c, const char *error, int status) { api_fail(c, *error ? status : 499, NULL, NULL, "%s", *error ? error : "the client has gone"); }

int api_bad(api_call *c)
{
    api_fail(c, 400, NULL, NULL, "%s", c->e.msg);
    return -1;
}

/* ---- what handlers share ---- */

void *api_own(api_call *c, size_t size, void (*drop)(void *own))
{
    c->own = calloc(1, size);
    c->drop = c->own ? drop : NULL;
    if (!c->own) api_fail(c, 500, NULL, NULL, "out of memory");
    return c->own;
}

static void run_rest(void *ctx)
{
    api_call *c = ctx;
    c->rest(c);
}

static int gone(void *ctx) { return http_gone(((api_call *)ctx)->x); }

void api_put(api_call *c, worker *w)
{
    double timeout = server_settings(c->s)->timeout;
    c->job.ctx = c;
    c->job.gone = gone;
    c->job.arrived = http_began(c->x);
    c->job.deadline = timeout > 0 ? c->job.arrived + timeout : 0;
    if (worker_put(w, &c->job))
        api_fail(c, 429, NULL, "queue_full", "%s: the queue is full; try again in a moment", worker_name(w));
}

void api_later(api_call *c, api_handler *rest)
{
    c->rest = rest;
    server_later(c->s, run_rest, c);
}

static int writes(const worker *w) { return worker_writes(w); }
static int embeds(const worker *w) { return !worker_writes(w) && pith_model_embedding_size(worker_model(w)) > 0; }
static int classifies(const worker *w) { return !worker_writes(w) && pith_model_n_labels(worker_model(w)) > 0; }

worker *api_model_able(api_call *c, api_able *able, const char *does)
{
    const char *name = NULL;
    worker *found = NULL;
    int wrong = c->route->style == API_TEI ? 424 : 400;
    if (json_opt_str(c->root, "model", NULL, &name, &c->e)) return api_bad(c), NULL;
    for (size_t i = 0; i < server_models(c->s) && !found; i++) {
        worker *w = server_worker(c->s, i);
        if (w && (name ? strcmp(worker_name(w), name) == 0 : able(w))) found = w;
    }
    if (found && able(found)) return found;
    if (!server_ready(c->s) && !found) api_fail(c, 503, NULL, NULL, "not ready: models are being loaded, or the server is stopping");
    else if (!found && name) api_fail(c, 404, "model", "model_not_found", "the model '%.200s' is not served here; GET /v1/models lists those that are", name);
    else if (!found) api_fail(c, wrong, "model", NULL, "no model served here %s", does);
    else api_fail(c, wrong, "model", NULL, "the model '%.200s' is not one that %s", worker_name(found), does);
    return NULL;
}

worker *api_model(api_call *c, job_kind kind)
{
    if (kind == JOB_WRITE) return api_model_able(c, writes, "writes text");
    return kind == JOB_EMBED ? api_model_able(c, embeds, "gives embeddings") : api_model_able(c, classifies, "classifies");
}

static int among(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0) return 1;
    return 0;
}

int api_known(api_call *c, const char *const *names, const char *const *ignored)
{
    for (json v = json_first(c->root); v.node; v = json_next(v)) {
        const char *key = json_key(v);
        /* Clients with typed requests send null for what was not asked for. */
        if (among(names, key) || among(ignored, key) || strcmp(key, "model") == 0 || json_typeof(v) == JSON_NULL) continue;
        api_fail(c, 400, key, "unsupported_parameter", "the parameter '%.100s' is not supported", key);
        return -1;
    }
    return 0;
}

/* ---- from an exchange to a handler ---- */

/* Takes the same time wherever the two differ. */
static int same_key(const char *given, const char *key)
{
    size_t n = strlen(given), m = strlen(key);
    unsigned diff = n != m;
    for (size_t i = 0; i < n; i++) diff |= (unsigned)(unsigned char)given[i] ^ (unsigned char)key[m ? i % m : 0];
    return !diff;
}

static int authorised(const api_call *c)
{
    const char *key = server_settings(c->s)->api_key, *given = http_header(c->x, "Authorization");
    if (!key || c->route->open) return 1;
    return given && strncasecmp(given, "Bearer ", 7) == 0 && same_key(given + 7, key);
}

/* A page of another origin can post any other type without the browser asking first. */
static int is_json(const char *type)
{
    static const char wanted[] = "application/json";
    return type && strncasecmp(type, wanted, sizeof wanted - 1) == 0 && strchr("; \t", type[sizeof wanted - 1]);
}

static int parse(api_call *c)
{
    size_t len;
    const char *body = http_body(c->x, &len);
    if (!is_json(http_header(c->x, "Content-Type"))) {
        api_fail(c, 415, NULL, NULL, "the body must be JSON, and say so: Content-Type: application/json");
        return -1;
    }
    size_t n = count_values(body, len);
    if (n > VALUES_IN_BODY) {
        api_fail(c, 413, NULL, NULL, "the body has more than %d values; send fewer in one request", VALUES_IN_BODY);
        return -1;
    }
    c->values = n;
    if (atomic_fetch_add(&values_kept, n) > VALUES_IN_ALL - n) {
        api_fail(c, 429, NULL, "queue_full", "too many requests with long lists are waiting; try again in a moment");
        return -1;
    }
    c->body = json_parse("body", body, len, &c->e);
    if (!c->body) return api_bad(c);
    c->root = json_root(c->body);
    if (json_typeof(c->root) != JSON_OBJECT) {
        api_fail(c, 400, NULL, NULL, "the body must be a JSON object");
        return -1;
    }
    return 0;
}

/* The route, or NULL after an answer. */
static const api_route *find(api_call *c)
{
    const char *method = http_method(c->x), *path = http_path(c->x);
    const api_route *other = NULL;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!leads(&routes[i], path)) continue;
        if (strcmp(routes[i].method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(routes[i].method, "GET") == 0)) return &routes[i];
        other = &routes[i];
    }
    if (!other) {
        api_fail(c, 404, NULL, NULL, "there is nothing at this path");
        return NULL;
    }
    char message[128];
    snprintf(message, sizeof message, "%s takes %s", other->path, other->method);
    fail(c, 405, NULL, NULL, message, &(http_field){"Allow", strcmp(other->method, "GET") ? other->method : "GET, HEAD"});
    return NULL;
}

void api_serve(server *s, http_exchange *x)
{
    api_call *c = calloc(1, sizeof *c);
    if (!c) {
        http_answer(x, 500, "application/json", NULL, 0, NULL, 0);
        return;
    }
    c->s = s;
    c->x = x;
    if (!server_knows(s, http_header(x, "Host"))) {
        api_fail(c, 403, NULL, NULL, "this server does not know itself as '%.200s': ask by address or localhost, or start it with --allow-host", http_header(x, "Host"));
        return;
    }
    const api_route *route = find(c);
    if (!route) return; /* and c is gone */
    c->route = route;
    if (!authorised(c)) {
        fail(c, 401, NULL, "invalid_api_key", "this server wants a key: Authorization: Bearer KEY", &(http_field){"WWW-Authenticate", "Bearer"});
        return;
    }
    if (strcmp(c->route->method, "POST") == 0 && parse(c)) return;
    c->route->handle(c);
}
