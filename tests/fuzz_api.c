/* Any bytes are the body of a request. The first byte chooses the route, the second what becomes of the job; the sockets and the
 * worker are played here, the rest is the server's own: from the body to the job, and from its results to the answer. Every request
 * is answered once, in JSON. */
#define _GNU_SOURCE
#include "base/json.h"
#include "engine.h"
#include "server/api.h"
#include "fuzz.h"
#include <strings.h>

/* ---- the socket ---- */

struct http_exchange {
    const char *method, *path, *type, *body;
    size_t len, sent;
    int status, streams, ended;
};

static volatile unsigned sink;

const char *http_id(const http_exchange *x) { return (void)x, "id"; }
const char *http_method(const http_exchange *x) { return x->method; }
const char *http_path(const http_exchange *x) { return x->path; }
const char *http_header(const http_exchange *x, const char *name) { return strcasecmp(name, "Content-Type") ? NULL : x->type; }
const char *http_body(const http_exchange *x, size_t *len) { return *len = x->len, x->body; }
double http_began(const http_exchange *x) { return (void)x, 1; }
int http_gone(http_exchange *x) { return (void)x, 0; }
void http_count(http_exchange *x, uint64_t in, uint64_t out) { (void)x, sink += (unsigned)(in + out); }

static void demand_json(const char *s, size_t n)
{
    pith_err e = {{0}};
    json_doc *d = json_parse("answer", s, n, &e);
    if (!d && !strstr(e.msg, "u0000")) fprintf(stderr, "%s\n%.*s\n", e.msg, (int)n, s);
    demand(d || strstr(e.msg, "u0000"), "an answer is JSON"); /* a NUL out of ids is one that our own reader refuses */
    json_free(d);
}

void http_answer(http_exchange *x, int status, const char *type, char *body, size_t len, const http_field *fields, size_t n)
{
    demand(!x->ended++ && !x->streams, "one answer");
    demand(status == 200 || (status >= 400 && status < 600), "a status that is one");
    if (!strcmp(type, "application/json")) demand_json(body, len);
    for (size_t i = 0; i < n; i++) sink += (unsigned)(strlen(fields[i].name) + strlen(fields[i].value));
    x->status = status;
    free(body);
}

void http_stream(http_exchange *x, const char *type, const http_field *fields, size_t n)
{
    (void)type, (void)fields, (void)n;
    demand(!x->streams++ && !x->ended, "a stream begins once");
}

void http_send(http_exchange *x, const char *data, size_t len)
{
    demand(x->streams && !x->ended, "pieces are sent in a stream");
    for (const char *p = data, *end = data + len; p < end;) {
        const char *stop = memmem(p, (size_t)(end - p), "\n\n", 2);
        demand(stop && stop - p > 6 && !memcmp(p, "data: ", 6), "an event is data");
        if (strncmp(p, "data: [DONE]", 12)) demand_json(p + 6, (size_t)(stop - p) - 6);
        p = stop + 2;
    }
    x->sent += len;
}

void http_end(http_exchange *x) { demand(x->streams && !x->ended++, "a stream ends once"); }

/* ---- the models ---- */

struct worker {
    const char *name;
    pith_model *m;
    pith_template *t;
};
enum { WRITES, CLASSIFIES, RERANKS, MODELS };
static worker workers[MODELS] = {{"writer", NULL, NULL}, {"classifier", NULL, NULL}, {"reranker", NULL, NULL}};
static int outcome;

const char *worker_name(const worker *w) { return w->name; }
const char *worker_dir(const worker *w) { return w->name; }
const pith_model *worker_model(const worker *w) { return w->m; }
const pith_template *worker_template(const worker *w) { return w->t; }
const char *worker_template_error(const worker *w) { return (void)w, "it has none"; }
int worker_writes(const worker *w) { return w == workers; }
size_t worker_context(const worker *w) { return w == workers ? 256 : 0; }
size_t worker_waiting(const worker *w) { return (void)w, 0; }

static void write_tokens(const worker *w, job *j)
{
    static const pith_logprob top[] = {{3, -0.5f}, {4, -1.5f}};
    demand(j->n >= 1 && j->request.n < 256, "a prompt that fits, and an answer");
    for (size_t i = 0; i < j->request.n; i++) demand(j->request.ids[i] >= 0 && (size_t)j->request.ids[i] < pith_model_vocab_size(w->m), "ids are the model's");
    for (size_t i = 0; i < j->request.n_stop; i++) sink += (unsigned)strlen(j->request.stop[i]);
    demand(j->request.n_top <= 20 || j->request.n_top <= pith_model_vocab_size(w->m), "as many log probabilities as there are");
    for (size_t i = 0; i < j->n && i < 4; i++)
        for (int k = 0; k < 2; k++) {
            pith_token t = {.id = 5 + k, .text = k ? "" : "a\"", .len = k ? 0 : 2, .logprob = -0.25f, .top = top, .n_top = j->request.n_top < 2 ? j->request.n_top : 2, .finish = k ? PITH_FINISH_LENGTH : PITH_FINISH_NONE};
            if (j->on_token(j->ctx, i, &t)) break;
        }
}

int worker_put(worker *w, job *j)
{
    if (outcome == 1) return -1;
    if (outcome == 2) return j->on_end(j->ctx, "no memory for this", 500), 0;
    if (outcome == 3) return j->on_end(j->ctx, "", 0), 0;
    if (j->kind == JOB_WRITE) write_tokens(w, j);
    for (size_t i = 0; j->kind != JOB_WRITE && i < j->n_texts; i++) {
        for (size_t k = 0; k < j->texts[i].len; k++) sink += (unsigned char)j->texts[i].text[k];
        if (j->kind == JOB_CLASSIFY) j->results[i].n_tokens = 3, j->results[i].truncated = outcome == 4;
        if (j->kind == JOB_EMBED) j->n_tokens[i] = 3, j->truncated[i] = outcome == 4;
    }
    if (j->kind == JOB_EXPLAIN) {
        j->words = malloc(sizeof *j->words);
        demand(j->words && j->n_texts == 1, "one text is explained");
        j->words[0] = (pith_word){0, j->texts->len, 0.5f};
        j->n_words = 1;
        if (j->label < 0) j->label = 0;
    }
    j->on_end(j->ctx, NULL, 0);
    return 0;
}

struct server { server_options o; };
size_t server_models(const server *s) { return (void)s, MODELS; }
worker *server_worker(const server *s, size_t i) { return (void)s, &workers[i]; }
int server_ready(const server *s) { return (void)s, 1; }
metrics *server_metrics(const server *s) { return (void)s, NULL; }
void server_later(server *s, void (*run)(void *ctx), void *ctx) { (void)s, run(ctx); }
const server_options *server_settings(const server *s) { return &s->o; }
int server_knows(const server *s, const char *host) { return (void)s, !host; }
double server_started(const server *s) { return (void)s, 1; }

static void begin(void)
{
    static const char *const dirs[] = {"models/bundled/reviews", "models/bundled/sentiment", "models/bundled/sentiment"};
    pith_err e = {{0}};
    for (int i = 0; i < MODELS; i++) {
        workers[i].m = pith_model_open(dirs[i], &(pith_model_options){.threads = 1}, &e);
        if (!workers[i].m) fprintf(stderr, "%s\n", e.msg);
        demand(workers[i].m != NULL, "the bundled models can be opened");
    }
    workers[RERANKS].m->dims.n_labels = 1;
    workers[WRITES].t = pith_template_open_file("tests/fuzz/api.jinja", "<s>", "</s>", &e);
    if (!workers[WRITES].t) fprintf(stderr, "%s\n", e.msg);
    demand(workers[WRITES].t != NULL, "the template can be read");
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/completions", "/predict", "/explain", "/embed", "/rerank", "/tokenize", "/decode", "/v1/classify", "/v1/embeddings",
                                        "/info", "/v1/models", "/v1/models/writer", "/health", "/ready", "/nowhere"};
    static server s = {{.max_body = 1 << 20, .max_queue = 64, .timeout = 1}};
    if (n < 2) return;
    if (!workers->m) begin();
    size_t route = data[0] & 15, len = n - 2;
    char *body = calloc(len + 1, 1);
    demand(body != NULL, "memory");
    memcpy(body, data + 2, len);
    outcome = data[1] & 7;
    http_exchange x = {.method = route < 10 ? "POST" : data[1] & 8 ? "POST" : "GET", .path = paths[route], .type = data[1] & 16 ? "text/plain" : "application/json", .body = body, .len = len};
    api_serve(&s, &x);
    demand(x.ended == 1, "every request is answered");
    free(body);
}
