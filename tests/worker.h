/* worker: what the tests of the worker share: jobs that note what they get, and the same computed without a worker. */
#ifndef TESTS_WORKER_H
#define TESTS_WORKER_H
#include "files.h"
#include "server/worker.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static const char writer[] = "models/bundled/reviews", classifier[] = "models/bundled/sentiment";

/* ---- jobs that wait for their end ---- */

enum { TOKENS = 64, ANSWERS = 4 };

typedef struct task {
    job j;
    atomic_int gone, ended, slow;
    atomic_size_t tokens;
    int32_t ids[ANSWERS][TOKENS];
    float logprobs[ANSWERS][TOKENS];
    char text[ANSWERS][1024];
    size_t n[ANSWERS];
    pith_finish finish[ANSWERS];
    size_t stop_after;
    char error[PITH_ERR_MAX];
    int failed, status;
    int32_t prompt[512];
} task;

static inline void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); }

static inline int gone(void *ctx) { return atomic_load(&((task *)ctx)->gone); }

static inline void on_end(void *ctx, const char *error, int status)
{
    task *t = ctx;
    t->failed = error != NULL;
    t->status = status;
    snprintf(t->error, sizeof t->error, "%s", error ? error : "");
    atomic_fetch_add(&t->ended, 1);
}

static inline int on_token(void *ctx, size_t i, const pith_token *x)
{
    task *t = ctx;
    assert_true(i < ANSWERS && t->n[i] < TOKENS);
    t->ids[i][t->n[i]] = x->id;
    t->logprobs[i][t->n[i]++] = x->logprob;
    strncat(t->text[i], x->text, sizeof t->text[i] - strlen(t->text[i]) - 1);
    t->finish[i] = x->finish;
    atomic_fetch_add(&t->tokens, 1);
    if (atomic_load(&t->slow)) nap();
    return t->stop_after && t->n[i] == t->stop_after;
}

static inline void put(worker *w, task *t)
{
    t->j.ctx = t;
    t->j.gone = gone;
    t->j.on_end = on_end;
    t->j.on_token = on_token;
    if (worker_put(w, &t->j)) fail_msg("the queue is full");
}

/* A thing that must come true. */
#define until(x)                                                       \
    for (int tries_ = 0; !(x); nap())                                  \
        if (++tries_ > 60000) fail_msg("did not come true: %s", #x)

static inline void await(task *t)
{
    until(atomic_load(&t->ended));
    assert_int_equal(atomic_load(&t->ended), 1);
}

static inline worker *open_worker(const char *dir, worker_options o)
{
    pith_err e = {{0}};
    o.dir = dir;
    o.name = "m";
    worker *w = worker_open(&o, &e);
    if (!w) fail_msg("%s", e.msg);
    return w;
}

/* Task k: its own prompt, of 1 + 7 k tokens (of SHARED common ones first, if shared), settings by k. */
static inline void ask(const worker *w, task *t, size_t k, size_t shared)
{
    uint32_t seed = (uint32_t)k * 7919 + 1, common = 17;
    size_t n = shared + 1 + 7 * k % 100;
    *t = (task){0};
    for (size_t i = 0; i < n; i++) {
        uint32_t *s = i < shared ? &common : &seed;
        *s = *s * 1664525u + 1013904223u;
        t->prompt[i] = (int32_t)((*s >> 8) % pith_model_vocab_size(worker_model(w)));
    }
    t->j.kind = JOB_WRITE;
    t->j.n = 1;
    t->j.request = pith_request_new(worker_model(w));
    t->j.request.ids = t->prompt;
    t->j.request.n = n;
    t->j.request.max_tokens = 8 + k % 20;
    t->j.request.ignore_eos = 1;
    t->j.request.logprobs = 1;
    t->j.request.sampling.temperature = k % 3 ? 0.8f : 0;
    t->j.request.sampling.top_k = 40;
    t->j.request.sampling.seed = 1000 + k;
}

/* What the generator alone gives. */
typedef struct lone {
    task *t;
    size_t i;
} lone;
static inline int take(void *ctx, const pith_token *x)
{
    lone *l = ctx;
    return on_token(l->t, l->i, x);
}
static inline void alone(const worker *w, task *t)
{
    pith_err e = {{0}};
    for (size_t i = 0; i < t->j.n; i++) {
        pith_generator *g = pith_generator_new(worker_model(w), NULL, &e);
        lone l = {t, i};
        pith_request r = t->j.request;
        r.on_token = take;
        r.ctx = &l;
        r.sampling.seed += i;
        if (pith_generator_add(g, &r, &e)) fail_msg("%s", e.msg);
        int more;
        while ((more = pith_generator_step(g, &e)) > 0) {}
        assert_int_equal(more, 0);
        pith_generator_free(g);
    }
}

static inline void same(const task *a, const task *b)
{
    assert_memory_equal(a->n, b->n, sizeof a->n);
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, sizeof a->logprobs);
    assert_memory_equal(a->text, b->text, sizeof a->text);
    assert_memory_equal(a->finish, b->finish, sizeof a->finish);
}

static inline void says(const char *message, const char *wanted)
{
    if (!strstr(message, wanted)) fail_msg("\"%s\" does not say \"%s\"", message, wanted);
}

/* A job that writes slowly until it is released. */
static inline void ask_slowly(const worker *w, task *t)
{
    ask(w, t, 1, 0);
    t->j.request.max_tokens = TOKENS;
    atomic_store(&t->slow, 1);
}

static inline uint64_t counted(const metrics *m, const char *name)
{
    size_t len;
    char *text = metrics_text(m, &len), line[200];
    snprintf(line, sizeof line, "\n%s{model=\"m\"} ", name);
    char *at = strstr(text, line);
    if (!at) fail_msg("no %s", name);
    uint64_t n = strtoull(at + strlen(line), NULL, 10);
    free(text);
    return n;
}

/* A copy of a model in which one value is NaN. */
static inline const char *spoil(const char *name, const char *dir, const char *poisoned)
{
    char path[512];
    files_mkdir(name);
    DIR *d = opendir(dir);
    for (struct dirent *x; d && (x = readdir(d));) {
        if (*x->d_name == '.') continue;
        size_t n;
        snprintf(path, sizeof path, "%.200s/%.255s", dir, x->d_name);
        char *bytes = util_read(path, &n);
        if (strstr(x->d_name, ".safetensors")) {
            pith_err e = {{0}};
            pith_tensor t;
            pith_weights *w = pith_weights_open(path, NULL, &e);
            assert_int_equal(pith_weights_find(w, poisoned, &t), 0);
            memset(bytes + t.offset, 255, 4);
            pith_weights_close(w);
        }
        snprintf(path, sizeof path, "%.100s/%.255s", name, x->d_name);
        files_write(path, bytes, n);
        free(bytes);
    }
    if (d) closedir(d);
    return files_path(name);
}

static const char *const reviews[] = {
    "A wonderful film.", "Dull, and far too long; I left before the end.", "The acting is fine, the story is not.", "Great!",
    "I have seen worse, but not often, and never in such company.", "Moving, funny, and beautifully shot.", "no", "",
};
enum { REVIEWS = 8, LABELS = 8 };

typedef struct reading {
    task t;
    pith_text texts[REVIEWS];
    pith_result results[REVIEWS];
    float values[REVIEWS][2][LABELS];
} reading;

static inline void ask_labels(reading *r, size_t first, size_t n)
{
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < n; i++) {
        const char *s = reviews[(first + i) % REVIEWS];
        r->texts[i] = (pith_text){.text = s, .len = strlen(s)};
        r->results[i] = (pith_result){.scores = r->values[i][0], .logits = r->values[i][1]};
    }
    r->t.j.kind = JOB_CLASSIFY;
    r->t.j.texts = r->texts;
    r->t.j.n_texts = n;
    r->t.j.results = r->results;
}

#endif
