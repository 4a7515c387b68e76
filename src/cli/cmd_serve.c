/* pith serve: models over HTTP. What the server does is server/server.h's; here are its options, names and signals. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/guard.h"
#include "cli/load.h"
#include "base/err.h"
#include "server/server.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    cli_list models, names;
    const char *host, *unix_path, *api_key, *api_key_file;
    uint64_t port, max_body, max_batch_tokens, max_queue, context, sequences;
    double timeout, grace;
    int kv, access_log;
} values;

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Models", 0, 0, 0},
    {CLI_LIST, 'm', "model", "[NAME=]MODEL", 0, "PITH_MODEL",
     "a Hugging Face directory or a bundled model; may be given several times [sentiment and reviews]",
     offsetof(values, models), 0, 0},
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Address", 0, 0, 0},
    {CLI_STRING, 0, "host", "NAME", "127.0.0.1", 0, "address to listen on; 0.0.0.0 or :: is all of this machine's",
     offsetof(values, host), 0, 0},
    {CLI_SIZE, 0, "port", "N", "8080", 0, "0: any free one, told on stderr", offsetof(values, port), 0, 65535},
    {CLI_OUTPUT, 0, "unix", "PATH", 0, 0, "listen on a unix socket instead, open to user and group", offsetof(values, unix_path), 0, 0},
    {CLI_STRING, 0, "api-key", "KEY", 0, 0, "requests must say Authorization: Bearer KEY", offsetof(values, api_key), 0, 0},
    {CLI_INPUT, 0, "api-key-file", "FILE", 0, 0, "the key is in this file (others cannot see it, as on the command line)",
     offsetof(values, api_key_file), 0, 0},
    {CLI_LIST, 0, "allow-host", "NAME", 0, 0,
     "a name that a proxy asks by; without a key a loopback address refuses all but addresses, localhost and --host",
     offsetof(values, names), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Limits", 0, 0, 0},
    {CLI_SIZE, 0, "max-body", "BYTES", "8388608", 0, "of a request; more is refused with 413", offsetof(values, max_body), 1, UINT32_MAX},
    {CLI_SIZE, 0, "max-queue", "N", "256", 0, "requests that wait for a model; more are refused with 429",
     offsetof(values, max_queue), 1, UINT32_MAX},
    {CLI_SIZE, 0, "max-batch-tokens", "N", "2048", 0, "tokens of texts computed at once", offsetof(values, max_batch_tokens), 1, UINT32_MAX},
    {CLI_SIZE, 0, "sequences", "N", "32", 0, "answers written at once by a model", offsetof(values, sequences), 1, 4096},
    {CLI_SIZE, 'c', "context", "N", 0, 0, "tokens of prompt and answer together, at most [what the model allows]",
     offsetof(values, context), 1, UINT32_MAX},
    {CLI_CHOICE, 0, "kv", "f32|f16", "f32", 0, "how keys and values are kept; f16 halves their memory", offsetof(values, kv), 0, 0},
    {CLI_REAL, 0, "timeout", "SECONDS", "60", 0, "a request may wait in the queue, or a connection be silent", offsetof(values, timeout), 1, 86400},
    {CLI_REAL, 0, "grace", "SECONDS", "30", 0, "that requests have to end in after SIGTERM or Ctrl-C", offsetof(values, grace), 0, 86400},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Operation", 0, 0, 0},
    {CLI_FLAG, 0, "access-log", 0, 0, 0, "a JSON object on stderr for each request: who, what, status, bytes, tokens, seconds", offsetof(values, access_log), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "Speaks the protocols of OpenAI (/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models), vLLM (/v1/classify)\n"
    "and text-embeddings-inference (/predict, /embed, /rerank, /tokenize, /decode, /info); a page to try the models is at /;\n"
    "/health and /ready need no key. Requests choose a model by NAME, else its directory's. The first SIGTERM or Ctrl-C lets requests end, the second\n"
    "ends them. Once ready the process cannot open files, make connections or start programs (Linux: seccomp); --no-sandbox lifts it.\n"
    "A model's weights are mapped: give a new version a name of its own, or its old name by renaming. One that is cut short while it is\n"
    "served ends the server, with a message and status 1; --no-mmap reads the weights instead.\n"
    "\n"
    "  pith serve\n"
    "  pith serve -m path/to/model --port 8000 --api-key-file key.txt\n"
    "  pith serve -m chat=path/to/llama -m sentiment --unix /run/pith/pith.sock --access-log\n"
    "  curl http://127.0.0.1:8080/predict -d '{\"inputs\": \"A wonderful film.\"}' -H 'Content-Type: application/json'\n";

#ifdef PITH_WITHOUT_SERVE

static int run_serve(void *opts, int argc, char **argv)
{
    (void)opts, (void)argc, (void)argv;
    return cli_error("this pith was built without the server; build it with: make SERVE=1");
}

#else

/* ---- models and their names ---- */

/* The last part of a path, malloc'ed. */
static char *base_name(const char *path, pith_err *e)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from && path[from - 1] != '/') from--;
    char *s = strndup(path + from, n - from);
    if (!s) err_nomem(e, n, "a name");
    return s;
}

/* NAME=MODEL, or MODEL: a directory whose name has a = in it stays one. */
static int name_model(server_model *m, const char *text, pith_err *e)
{
    const char *eq = access(text, F_OK) ? strchr(text, '=') : NULL;
    if (eq == text) return err_set(e, "-m '%.200s': the name before = is empty", text);
    m->dir = load_path(eq ? eq + 1 : text, e);
    if (!m->dir) return -1;
    m->name = eq ? strndup(text, (size_t)(eq - text)) : base_name(m->dir, e);
    return m->name ? 0 : err_nomem(e, strlen(text), "a name");
}

static int name_models(server_model *models, const char *const *texts, size_t n, pith_err *e)
{
    for (size_t i = 0; i < n; i++) {
        if (name_model(&models[i], texts[i], e)) return -1;
        for (size_t j = 0; j < i; j++)
            if (strcmp(models[i].name, models[j].name) == 0)
                return err_set(e, "two models have the name '%.200s'; name one with -m NAME=MODEL", models[i].name);
    }
    return 0;
}

/* ---- the key ---- */

/* The file's text without line ends, malloc'ed. */
static char *read_key(const char *path, pith_err *e)
{
    char buf[4096];
    FILE *f = fopen(path, "r");
    if (!f) {
        err_set(e, "%.700s: %s", path, strerror(errno));
        return NULL;
    }
    size_t n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    while (n && (buf[n - 1] == '\n' || buf[n - 1] == '\r')) n--;
    char *key = n && n < sizeof buf && !memchr(buf, 0, n) ? strndup(buf, n) : NULL;
    if (!key) err_set(e, "%.700s: expected a key of 1 to %zu bytes", path, sizeof buf - 1);
    return key;
}

/* ---- */

typedef struct life {
    volatile int stop;
    const char *unix_path;
} life;

static const char *mapped_at(const void *s, const void *addr) { return server_mapped_at(s, addr); }

/* While models load a signal ends the program as it does elsewhere; a server that is ready is drained. */
static void on_note(void *ctx, server *s, server_event what, const char *line)
{
    life *l = ctx;
    if (what == SERVER_LISTENS) {
        guard_temp(l->unix_path);
        guard_mapped(mapped_at, s);
    }
    if (what == SERVER_READY) guard_count(&l->stop);
    cli_note("%s", line);
}

static int serve(const values *v, const server_model *models, size_t n, const char *key, pith_err *e)
{
    static const char *const types[] = {NULL, "q8", "q4"};
    static life l;
    l.unix_path = v->unix_path;
    server_options o = {
        .models = models,
        .n_models = n,
        .model = {.threads = (int)v->m.threads, .kernels = v->m.kernels, .no_mmap = v->m.no_mmap, .dtype = types[v->m.dtype]},
        .generator = {.context = v->context, .sequences = v->sequences, .half_cache = v->kv == 1},
        .host = v->host,
        .unix_path = v->unix_path,
        .port = (unsigned)v->port,
        .api_key = key,
        .names = v->names.items,
        .n_names = v->names.n,
        .max_batch_tokens = v->max_batch_tokens,
        .max_queue = v->max_queue,
        .max_body = v->max_body,
        .timeout = v->timeout,
        .grace = v->grace,
        .no_sandbox = cli_sandbox(&v->g) == CLI_SANDBOX_OFF,
        .must_sandbox = cli_sandbox(&v->g) == CLI_SANDBOX_ON,
        .access_log = v->access_log,
        .note = on_note,
        .ctx = &l,
    };
    int rc = server_run(&o, &l.stop, e);
    guard_mapped(NULL, NULL);
    guard_temp(NULL);
    guard_count(NULL);
    return rc;
}

static int run_serve(void *opts, int argc, char **argv)
{
    values *v = opts;
    pith_err e = {{0}};
    static const char *const bundled[] = {"sentiment", "reviews"};
    if (argc) return cli_usage("'%s': serve takes its models with -m", argv[0]);
    if (v->api_key && v->api_key_file) return cli_usage("--api-key and --api-key-file: give one of them");
    if (v->api_key && !*v->api_key) return cli_usage("--api-key: the key is empty");
    size_t n = v->models.n ? v->models.n : sizeof bundled / sizeof *bundled;
    server_model *models = calloc(n, sizeof *models);
    char *key = NULL;
    int rc = models ? 0 : err_nomem(&e, n * sizeof *models, "models");
    if (!rc) rc = name_models(models, v->models.n ? v->models.items : bundled, n, &e);
    if (!rc && v->api_key_file) rc = (key = read_key(v->api_key_file, &e)) ? 0 : -1;
    if (!rc) rc = serve(v, models, n, key ? key : v->api_key, &e);
    for (size_t i = 0; models && i < n; i++) {
        free((char *)(uintptr_t)models[i].name);
        free((char *)(uintptr_t)models[i].dir);
    }
    free(models);
    free(key);
    return rc ? cli_error("%s", e.msg) : CLI_OK;
}

#endif

const cli_verb cmd_serve = {"serve", "[-m MODEL]...", "models over HTTP: classification, generation, embeddings", notes, options,
                            sizeof(values), run_serve};
