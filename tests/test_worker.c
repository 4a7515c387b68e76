/* The worker: what a job gets is the same bits alone, in company and from the cache; jobs leave when their client does. */
#define _XOPEN_SOURCE 700
#include "util.h"
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

static void nap(void) { nanosleep(&(struct timespec){0, 1000000}, NULL); }

static int gone(void *ctx) { return atomic_load(&((task *)ctx)->gone); }

static void on_end(void *ctx, const char *error, int status)
{
    task *t = ctx;
    t->failed = error != NULL;
    t->status = status;
    snprintf(t->error, sizeof t->error, "%s", error ? error : "");
    atomic_fetch_add(&t->ended, 1);
}

static int on_token(void *ctx, size_t i, const pith_token *x)
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

static void put(worker *w, task *t)
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

static void await(task *t)
{
    until(atomic_load(&t->ended));
    assert_int_equal(atomic_load(&t->ended), 1);
}

static worker *open_worker(const char *dir, worker_options o)
{
    pith_err e = {{0}};
    o.dir = dir;
    o.name = "m";
    worker *w = worker_open(&o, &e);
    if (!w) fail_msg("%s", e.msg);
    return w;
}

/* Task k: its own prompt, of 1 + 7 k tokens (of SHARED common ones first, if shared), settings by k. */
static void ask(const worker *w, task *t, size_t k, size_t shared)
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
static int take(void *ctx, const pith_token *x)
{
    lone *l = ctx;
    return on_token(l->t, l->i, x);
}
static void alone(const worker *w, task *t)
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

static void same(const task *a, const task *b)
{
    assert_memory_equal(a->n, b->n, sizeof a->n);
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    assert_memory_equal(a->logprobs, b->logprobs, sizeof a->logprobs);
    assert_memory_equal(a->text, b->text, sizeof a->text);
    assert_memory_equal(a->finish, b->finish, sizeof a->finish);
}

enum { CROWD = 32 };
static task expected[CROWD], got[CROWD];

static void answers_are_the_same_bits(void **state)
{
    (void)state;
    static const pith_generator_options settings[] = {{.sequences = 32}, {.sequences = 1}, {.sequences = 5, .chunk = 7}, {.sequences = 32, .chunk = 1}};
    int have = 0;
    for (size_t s = 0; s < 4; s++)
        for (size_t shared = 0; shared <= 150; shared += 150) {
            worker *w = open_worker(writer, (worker_options){.generator = settings[s]});
            (void)have;
            for (size_t k = 0; k < CROWD; k++) {
                ask(w, &expected[k], k, shared);
                alone(w, &expected[k]);
            }
            for (size_t round = 0; round < 2; round++) { /* the second one finds the caches of the first */
                for (size_t k = 0; k < CROWD; k++) ask(w, &got[k], k, shared);
                for (size_t k = 0; k < CROWD; k++) put(w, &got[k]);
                for (size_t k = 0; k < CROWD; k++) await(&got[k]);
                for (size_t k = 0; k < CROWD; k++) {
                    assert_false(got[k].failed);
                    same(&got[k], &expected[k]);
                }
            }
            worker_close(w);
        }
}

/* ---- texts ---- */

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

static void ask_labels(reading *r, size_t first, size_t n)
{
    *r = (reading){.t = {{0}}};
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

static void packed_texts_are_the_same_bits(void **state)
{
    (void)state;
    enum { N = 40 };
    static reading r[N], ref;
    for (size_t budget = 1; budget <= 4096; budget *= 64) {
        worker *w = open_worker(classifier, (worker_options){.max_batch_tokens = budget});
        pith_err e = {{0}};
        pith_session *s = pith_session_new(worker_model(w), &e);
        for (size_t k = 0; k < N; k++) {
            ask_labels(&r[k], k, 1 + k % REVIEWS);
            if (k % 5 == 4) r[k].t.j.classify.activation = PITH_ACTIVATION_SIGMOID;
        }
        for (size_t k = 0; k < N; k++) put(w, &r[k].t);
        for (size_t k = 0; k < N; k++) {
            await(&r[k].t);
            if (r[k].t.failed) fail_msg("%s", r[k].t.error);
            ask_labels(&ref, k, 1 + k % REVIEWS);
            if (pith_classify(s, ref.texts, ref.t.j.n_texts, &r[k].t.j.classify, ref.results, &e)) fail_msg("%s", e.msg);
            assert_memory_equal(r[k].values, ref.values, sizeof ref.values);
            for (size_t i = 0; i < ref.t.j.n_texts; i++) {
                assert_int_equal(r[k].results[i].label, ref.results[i].label);
                assert_int_equal(r[k].results[i].n_tokens, ref.results[i].n_tokens);
            }
        }
        pith_session_free(s);
        worker_close(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_bits),
        cmocka_unit_test(packed_texts_are_the_same_bits),
    };
    return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
