/* generate: what the tests of the generator share: models without their tokenizers, and answers that are noted. */
#ifndef TESTS_GENERATE_H
#define TESTS_GENERATE_H
#define _XOPEN_SOURCE 700
#include "util.h"
#include "pith.h"
#include <unistd.h>

/* ---- models ---- */

static char made[64][40];
static size_t n_made;

/* A directory with links to a model's config and weights, and nothing of its tokenizer: ids are all these tests need. */
static inline const char *bare(const char *dir)
{
    static const char *const files[] = {"config.json", "generation_config.json", "model.safetensors"};
    char from[2048], to[256], *real = realpath(dir, NULL), *at = made[n_made++];
    snprintf(at, 40, "/tmp/pith-test-XXXXXX");
    if (!real || !mkdtemp(at)) fail_msg("cannot make a directory for %s", dir);
    for (size_t i = 0; i < 3; i++) {
        snprintf(from, sizeof from, "%s/%s", real, files[i]);
        snprintf(to, sizeof to, "%s/%s", at, files[i]);
        if (access(from, R_OK) == 0 && symlink(from, to)) fail_msg("cannot link %s", from);
    }
    free(real);
    return at;
}

static inline int tidy(void **state)
{
    static const char *const files[] = {"config.json", "generation_config.json", "model.safetensors"};
    (void)state;
    for (size_t k = 0; k < n_made; k++) {
        char path[256];
        for (size_t i = 0; i < 3; i++) {
            snprintf(path, sizeof path, "%.39s/%s", made[k], files[i]);
            unlink(path);
        }
        rmdir(made[k]);
    }
    return 0;
}

static inline pith_model *open_model(const char *dir, int threads, const char *kernels)
{
    pith_err e = {{0}};
    pith_model_options o = {.threads = threads, .kernels = kernels};
    pith_model *m = pith_model_open(dir, &o, &e);
    if (!m) fail_msg("%s: %s", dir, e.msg);
    return m;
}

/* ---- answers ---- */

typedef struct answer {
    int32_t ids[600];
    float logprobs[600];
    size_t n, calls, stop_after;
    pith_finish finish;
    char error[PITH_ERR_MAX];
} answer;

static inline int take(void *ctx, const pith_token *t)
{
    answer *a = ctx;
    a->calls++;
    assert_true(a->finish == PITH_FINISH_NONE);
    a->finish = t->finish;
    if (t->finish == PITH_FINISH_ERROR) {
        assert_int_equal(t->id, -1);
        snprintf(a->error, sizeof a->error, "%s", t->error);
        return 0;
    }
    assert_string_equal(t->text, ""); /* no tokenizer */
    assert_true(a->n < 600);
    a->logprobs[a->n] = t->logprob;
    a->ids[a->n++] = t->id;
    return a->stop_after && a->n == a->stop_after;
}

static inline pith_generator *open_generator(const pith_model *m, size_t context, size_t sequences, size_t chunk)
{
    pith_err e = {{0}};
    pith_generator_options o = {.context = context, .sequences = sequences, .chunk = chunk};
    pith_generator *g = pith_generator_new(m, &o, &e);
    if (!g) fail_msg("%s", e.msg);
    return g;
}

static inline void add(pith_generator *g, pith_request r, const int32_t *ids, size_t n, size_t max, answer *a)
{
    pith_err e = {{0}};
    *a = (answer){.stop_after = a->stop_after};
    r.ids = ids, r.n = n, r.max_tokens = max, r.on_token = take, r.ctx = a;
    if (pith_generator_add(g, &r, &e)) fail_msg("%s", e.msg);
}

static inline void run(pith_generator *g)
{
    pith_err e = {{0}};
    int more;
    while ((more = pith_generator_step(g, &e)) > 0) {}
    if (more < 0) fail_msg("%s", e.msg);
}

static inline void text_of(int32_t *ids, size_t n, size_t vocab, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        ids[i] = (int32_t)((seed >> 8) % vocab);
    }
}

static inline pith_request sampled(const pith_model *m, uint64_t seed)
{
    pith_request r = pith_request_new(m);
    r.sampling.temperature = 0.9f;
    r.sampling.top_p = 0.9f;
    r.sampling.repetition_penalty = 1.1f;
    r.sampling.seed = seed;
    r.ignore_eos = 1;
    r.n_top = 3;
    return r;
}

#endif
