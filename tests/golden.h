/* golden: a model directory and what it must compute, in the layout of ../shared/golden (see tests/golden/README.md). */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H
#include "util.h"
#include "base/json.h"
#include "pith.h"
#include <math.h>

enum { GOLDEN_MAX = 64 };

typedef struct golden {
    char dir[512], expected[512];
    int32_t *ids[GOLDEN_MAX];
    pith_seq seqs[GOLDEN_MAX];
    size_t n, n_tokens;
} golden;

static inline json_doc *golden_json(const char *path)
{
    pith_err e = {0};
    json_doc *d = json_load(path, &e);
    if (!d) fail_msg("%s", e.msg);
    return d;
}

/* A JSON array of ids, malloc'ed. */
static inline int32_t *golden_ids(json list, size_t *n)
{
    size_t i = 0;
    *n = json_len(list);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    for (json c = json_first(list); c.node; c = json_next(c)) ids[i++] = (int32_t)json_num(c);
    return ids;
}

/* root: "tests/golden", or that of the shared ones. */
static inline void golden_load(golden *g, const char *root, const char *name)
{
    char path[1024];
    *g = (golden){0};
    snprintf(g->dir, sizeof g->dir, "%s/models/%s", root, name);
    snprintf(g->expected, sizeof g->expected, "%s/expected/%s", root, name);
    snprintf(path, sizeof path, "%s/ids.jsonl", g->expected);
    char *text = util_read(path, NULL);
    for (char *line = strtok(text, "\n"); line && g->n < GOLDEN_MAX; line = strtok(NULL, "\n")) {
        pith_err e = {0};
        size_t n;
        json_doc *d = json_parse(path, line, strlen(line), &e);
        assert_non_null(d);
        g->ids[g->n] = golden_ids(json_root(d), &n);
        g->seqs[g->n] = (pith_seq){g->ids[g->n], NULL, n};
        g->n++;
        g->n_tokens += n;
        json_free(d);
    }
    free(text);
    assert_true(g->n > 0);
}

static inline void golden_free(golden *g)
{
    for (size_t i = 0; i < g->n; i++) free(g->ids[i]);
}

static inline pith_model *golden_open(const char *dir, const pith_model_options *o)
{
    pith_err e = {0};
    pith_model *m = pith_model_open(dir, o, &e);
    if (!m) fail_msg("%s: %s", dir, e.msg);
    return m;
}

static inline void golden_run(pith_session *s, const pith_seq *seqs, size_t n, float *logits, float *hidden)
{
    pith_err e = {0};
    if (pith_run(s, seqs, n, logits, hidden, &e)) fail_msg("%s", e.msg);
}

/* Largest difference from a raw float file, which must hold exactly n values. */
static inline double golden_difference(const char *dir, size_t i, const char *what, const float *got, size_t n)
{
    char path[1024];
    size_t len;
    snprintf(path, sizeof path, "%s/np.%zu.%s.f32", dir, i, what);
    char *raw = util_read(path, &len);
    assert_int_equal(len, n * sizeof(float));
    double worst = 0;
    for (size_t k = 0; k < n; k++) {
        float want;
        memcpy(&want, raw + k * sizeof want, sizeof want);
        double d = fabs((double)got[k] - (double)want);
        if (!(d <= worst)) worst = d; /* NaN counts */
    }
    free(raw);
    return worst;
}

/* Runs all of g's sequences in one batch and compares every logit and hidden state; the bar is 1e-4. */
static inline void golden_check(const golden *g, const pith_model *m, const char *name)
{
    pith_err e = {0};
    pith_session *s = pith_session_new(m, &e);
    size_t labels = pith_model_n_labels(m), h = pith_model_hidden_size(m), at = 0;
    size_t width = labels ? labels : pith_model_vocab_size(m), rows = labels ? g->n : g->n_tokens;
    float *logits = malloc(rows * width * sizeof(float)), *hidden = malloc(g->n_tokens * h * sizeof(float));
    double worst_logit = 0, worst_hidden = 0;
    golden_run(s, g->seqs, g->n, logits, hidden);
    for (size_t q = 0; q < g->n; q++) {
        size_t n = g->seqs[q].n, row = labels ? q : at;
        double a = golden_difference(g->expected, q, "logits", logits + row * width, (labels ? 1 : n) * width);
        double b = golden_difference(g->expected, q, "hidden", hidden + at * h, n * h);
        if (!(a <= worst_logit)) worst_logit = a;
        if (!(b <= worst_hidden)) worst_hidden = b;
        at += n;
    }
    printf("# %-28s logits %.2e hidden %.2e\n", name, worst_logit, worst_hidden);
    if (!(worst_logit <= 1e-4) || !(worst_hidden <= 1e-4)) fail_msg("%s is past 1e-4", name);
    free(logits);
    free(hidden);
    pith_session_free(s);
}

#endif
