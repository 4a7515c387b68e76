/* peer_pith: pith under the command of tools/bench_peers. It opens a model once and then does one piece of work for each
 * line on stdin, as the workers of the other engines do; a JSON object a line tells the seconds. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "pith.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct row {
    int32_t *ids;
    size_t n;
} row;

typedef struct worker {
    pith_model *model;
    pith_session *session;
    pith_generator *writer; /* of "begin" and "decode" */
    row *rows;
    size_t n_rows;
    uint64_t seed;
    pith_err e;
} worker;

static void die(const char *why)
{
    fprintf(stderr, "peer_pith: %s\n", why);
    exit(1);
}

static void *memory(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p) die("out of memory");
    return p;
}

static int32_t *random_ids(worker *w, size_t n)
{
    int32_t *ids = memory(n * sizeof *ids);
    for (size_t i = 0; i < n; i++) {
        w->seed ^= w->seed << 13, w->seed ^= w->seed >> 7, w->seed ^= w->seed << 17;
        ids[i] = (int32_t)(w->seed % pith_model_vocab_size(w->model));
    }
    return ids;
}

static int run(worker *w, const pith_seq *seqs, size_t n)
{
    float *out = memory(n * (size_t)pith_model_n_labels(w->model) * sizeof *out);
    double t = clock_now();
    int bad = pith_run(w->session, seqs, n, out, NULL, &w->e);
    t = clock_now() - t;
    free(out);
    if (!bad) printf("{\"seconds\":%.9f}\n", t);
    return bad;
}

static int encode(worker *w, size_t batch, size_t length)
{
    int32_t *ids = random_ids(w, batch * length);
    pith_seq *seqs = memory(batch * sizeof *seqs);
    for (size_t i = 0; i < batch; i++) seqs[i] = (pith_seq){.ids = ids + i * length, .n = length};
    int bad = run(w, seqs, batch);
    free(ids), free(seqs);
    return bad;
}

static int pack(worker *w, size_t first, size_t n)
{
    if (first + n > w->n_rows) die("pack: no such rows");
    pith_seq *seqs = memory(n * sizeof *seqs);
    for (size_t i = 0; i < n; i++) seqs[i] = (pith_seq){.ids = w->rows[first + i].ids, .n = w->rows[first + i].n};
    int bad = run(w, seqs, n);
    free(seqs);
    return bad;
}

/* A JSON array of ids a line. */
static int read_rows(worker *w, const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    if (!f) die("rows: the file cannot be read");
    while (getline(&line, &cap, f) > 0) {
        row r = {memory(strlen(line) * sizeof *r.ids), 0};
        for (char *p = line, *end; *p; p = end) {
            long v = strtol(p, &end, 10);
            if (end == p) end++;
            else r.ids[r.n++] = (int32_t)v;
        }
        w->rows = realloc(w->rows, (w->n_rows + 1) * sizeof *w->rows);
        if (!w->rows) die("out of memory");
        w->rows[w->n_rows++] = r;
    }
    free(line);
    fclose(f);
    printf("{\"rows\":%zu}\n", w->n_rows);
    return 0;
}

/* Of a classifier; of a model that writes, those of the last position. */
static int logits(worker *w, size_t i)
{
    if (i >= w->n_rows) die("logits: no such row");
    size_t causal = pith_model_is_causal(w->model) ? 1 : 0, n = w->rows[i].n;
    size_t width = causal ? pith_model_vocab_size(w->model) : pith_model_n_labels(w->model);
    float *out = memory((causal ? n : 1) * width * sizeof *out), *last = out + (causal ? n - 1 : 0) * width;
    pith_seq seq = {.ids = w->rows[i].ids, .n = n};
    int bad = pith_run(w->session, &seq, 1, out, NULL, &w->e);
    for (size_t k = 0; k < width && !bad; k++) printf("%s%.9g", k ? "," : "{\"logits\":[", (double)last[k]);
    if (!bad) printf("]}\n");
    free(out);
    return bad;
}

static size_t written; /* tokens, by all */
static int on_token(void *ctx, const pith_token *t)
{
    written++;
    if (ctx) printf("%s%d", *(size_t *)ctx ? "," : "{\"ids\":[", t->id), ++*(size_t *)ctx;
    return 0;
}

static pith_generator *start(worker *w, const int32_t *ids, size_t n, size_t fresh, size_t *told)
{
    pith_generator *g = pith_generator_new(w->model, &(pith_generator_options){.context = n + fresh}, &w->e);
    pith_request r = {.ids = ids, .n = n, .max_tokens = fresh, .ignore_eos = 1, .on_token = on_token, .ctx = told};
    r.sampling = (pith_sampling){.top_p = 1, .typical_p = 1, .repetition_penalty = 1};
    if (g && !pith_generator_add(g, &r, &w->e)) return g;
    pith_generator_free(g);
    return NULL;
}

/* A prompt of n tokens to its first new one. */
static int prefill(worker *w, size_t n)
{
    int32_t *ids = random_ids(w, n);
    pith_generator *g = start(w, ids, n, 1, NULL);
    double t = clock_now();
    int more = g ? 1 : -1;
    while (more > 0) more = pith_generator_step(g, &w->e);
    t = clock_now() - t;
    pith_generator_free(g);
    free(ids);
    if (!more) printf("{\"seconds\":%.9f}\n", t);
    return more;
}

enum { DECODE_MAX = 512 };
static int begin(worker *w, size_t n)
{
    int32_t *ids = random_ids(w, n);
    const size_t before = written;
    pith_generator_free(w->writer);
    w->writer = start(w, ids, n, DECODE_MAX, NULL);
    free(ids);
    while (w->writer && written == before) /* a step takes only so much of a long prompt */
        if (pith_generator_step(w->writer, &w->e) < 0) return -1;
    if (!w->writer) return -1;
    printf("{}\n");
    return 0;
}

static int decode(worker *w, size_t n)
{
    double t = clock_now();
    for (size_t i = 0; i < n; i++)
        if (!w->writer || pith_generator_step(w->writer, &w->e) != 1) die("decode: nothing was begun, or too much asked");
    printf("{\"seconds\":%.9f}\n", clock_now() - t);
    return 0;
}

static int greedy(worker *w, size_t i, size_t n)
{
    if (i >= w->n_rows) die("greedy: no such row");
    size_t told = 0;
    pith_generator *g = start(w, w->rows[i].ids, w->rows[i].n, n, &told);
    int more = g ? 1 : -1;
    while (more > 0) more = pith_generator_step(g, &w->e);
    pith_generator_free(g);
    if (!more) printf("]}\n");
    return more;
}

static int obey(worker *w, const char *name, const char *rest)
{
    char *end;
    size_t a = strtoul(rest, &end, 10), b = strtoul(end, NULL, 10);
    if (!strcmp(name, "encode")) return encode(w, a, b);
    if (!strcmp(name, "pack")) return pack(w, a, b);
    if (!strcmp(name, "rows")) return read_rows(w, rest);
    if (!strcmp(name, "logits")) return logits(w, a);
    if (!strcmp(name, "prefill")) return prefill(w, a);
    if (!strcmp(name, "begin")) return begin(w, a);
    if (!strcmp(name, "decode")) return decode(w, a);
    if (!strcmp(name, "greedy")) return greedy(w, a, b);
    die("unknown command");
    return -1;
}

int main(int argc, char **argv)
{
    if (argc < 3) die("usage: peer_pith DIR THREADS [q8|q4]");
    worker w = {.seed = 0x2545f4914f6cdd1du};
    double t = clock_now();
    w.model = pith_model_open(argv[1], &(pith_model_options){.threads = (int)strtol(argv[2], NULL, 10), .dtype = argc > 3 ? argv[3] : NULL}, &w.e);
    w.session = w.model ? pith_session_new(w.model, &w.e) : NULL;
    if (!w.session) die(w.e.msg);
    printf("{\"ready\":1,\"load_seconds\":%.6f,\"kernels\":\"%s\",\"threads\":%d}\n", clock_now() - t, pith_model_kernels(w.model), pith_model_threads(w.model));
    fflush(stdout);
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0; fflush(stdout)) {
        while (n && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
        char *space = strchr(line, ' ');
        if (space) *space = 0;
        if (obey(&w, line, space ? space + 1 : "")) die(w.e.msg);
    }
    free(line);
    for (size_t i = 0; i < w.n_rows; i++) free(w.rows[i].ids);
    free(w.rows);
    pith_generator_free(w.writer);
    pith_session_free(w.session);
    pith_model_close(w.model);
    return 0;
}
