/* worker_texts: jobs over texts. A step packs the next texts of every job in turn, one each, until the forward is full;
 * jobs with other options than the first one's come first in the next step. */
#include "base/err.h"
#include "server/worker_parts.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where a job is: texts before `next` are done or in this step. */
typedef struct reading {
    size_t next;
    /* JOB_EXPLAIN: text 0 is the whole text, text 1 + i the one without word i */
    int label;
    float whole;
    pith_word *words;
    size_t n_words;
} reading;

/* One text of this step. */
typedef struct item {
    job *j;
    size_t i;
    char *own; /* a text without a word; NULL: the caller's */
} item;

typedef struct pack {
    worker *w;
    const job *first; /* whose options hold */
    item *items;
    pith_text *texts;
    pith_result *results;
    float *values; /* embeddings; or of each text that has none: scores and logits */
    size_t *tokens;
    uint8_t *truncated;
    size_t n, cap;
    double estimate; /* tokens */
} pack;

enum { SPECIAL = 2 };

static size_t n_labels(const worker *w) { return pith_model_n_labels(w->model); }

static size_t width(const worker *w, const job *j)
{
    size_t n = pith_model_embedding_size(w->model);
    return j->embed.dimensions && j->embed.dimensions < n ? j->embed.dimensions : n;
}

/* ---- what is packed ---- */

static int same_options(const job *a, const job *b)
{
    const pith_classify_options *c = &a->classify, *d = &b->classify;
    const pith_embed_options *f = &a->embed, *g = &b->embed;
    if ((a->kind == JOB_EMBED) != (b->kind == JOB_EMBED)) return 0;
    if (a->kind == JOB_EMBED)
        return f->pooling == g->pooling && f->normalize == g->normalize && f->dimensions == g->dimensions &&
               f->max_length == g->max_length && f->strict == g->strict && f->no_parse_special == g->no_parse_special;
    return c->activation == d->activation && c->long_text == d->long_text && c->pool == d->pool && c->max_length == d->max_length &&
           c->stride == d->stride && c->strict == d->strict && c->no_parse_special == d->no_parse_special;
}

/* Texts that the job still has for this step. What to leave out of a text is known once the whole one has been read. */
static size_t left(const job *j)
{
    const reading *x = j->state;
    size_t next = x ? x->next : 0;
    if (j->over) return 0;
    if (j->kind != JOB_EXPLAIN) return j->n_texts - next;
    return next == 0 ? 1 : x->label < 0 ? 0 : 1 + x->n_words - next;
}

static int grow(pack *p, pith_err *e)
{
    size_t cap = p->cap ? 2 * p->cap : 32;
    item *i = realloc(p->items, cap * sizeof *i);
    if (i) p->items = i;
    pith_text *t = realloc(p->texts, cap * sizeof *t);
    if (t) p->texts = t;
    if (!i || !t) return err_nomem(e, cap * sizeof *i, "a batch");
    p->cap = cap;
    return 0;
}

static int begin(worker *w, job *j, pith_err *e)
{
    if (j->state) return 0;
    reading *x = calloc(1, sizeof *x);
    if (!x) return err_nomem(e, sizeof *x, "a job");
    j->state = x;
    x->label = -1;
    worker_start(w, j);
    if (j->kind != JOB_EXPLAIN) return 0;
    if (j->label >= 0 && (size_t)j->label >= n_labels(w)) return err_set(e, "label %d: the model has %zu", j->label, n_labels(w));
    if (j->n_texts != 1 || j->texts[0].pair) return err_set(e, "one text can be explained at a time, and no pair");
    return pith_words(w->session, j->texts[0].text, j->texts[0].len, &j->classify, &x->words, &x->n_words, e);
}

static int text_of(const job *j, size_t i, pith_text *t, char **own, pith_err *e)
{
    const reading *x = j->state;
    *own = NULL;
    *t = j->kind == JOB_EXPLAIN ? j->texts[0] : j->texts[i];
    if (j->kind != JOB_EXPLAIN || i == 0) return 0;
    const pith_word *word = &x->words[i - 1];
    size_t rest = t->len - word->end;
    *own = malloc(t->len + 1);
    if (!*own) return err_nomem(e, t->len + 1, "a text");
    memcpy(*own, t->text, word->begin);
    memcpy(*own + word->begin, t->text + word->end, rest);
    t->text = *own;
    t->len = word->begin + rest;
    return 0;
}

/* Tokens that a text is likely to have. */
static double guess(const pack *p, const pith_text *t)
{
    double n = (double)(t->len + t->pair_len) * p->w->ratio + SPECIAL, most = (double)pith_model_max_length(p->w->model);
    return n < most || p->first->classify.long_text == PITH_LONG_WINDOW ? n : most;
}

/* 1: taken; 0: the batch is full; -1: the job failed. */
static int take(pack *p, job *j)
{
    pith_err e = {{0}};
    item it = {.j = j};
    pith_text t;
    if (begin(p->w, j, &e)) goto failed;
    reading *x = j->state;
    it.i = x->next;
    if (text_of(j, it.i, &t, &it.own, &e)) goto failed;
    double n = guess(p, &t);
    if (p->n && p->estimate + n > (double)p->w->o.max_batch_tokens) {
        free(it.own);
        return 0;
    }
    if (p->n == p->cap && grow(p, &e)) {
        free(it.own);
        goto failed;
    }
    p->items[p->n] = it;
    p->texts[p->n++] = t;
    p->estimate += n;
    x->next++;
    return 1;
failed:
    worker_fail(j, worker_status(e.msg, 400), "%s", e.msg);
    return -1;
}

/* Jobs that got nothing come first the next time: the list is turned so that it begins with *at. */
static void turn(worker *w, job **at)
{
    if (at == &w->jobs || !*at) return;
    *w->jobs_end = w->jobs;
    w->jobs = *at;
    *at = NULL;
    w->jobs_end = at;
}

static void fill(pack *p)
{
    worker *w = p->w;
    for (int any = 1; any;) {
        any = 0;
        for (job **at = &w->jobs; *at; at = &(*at)->next) {
            job *j = *at;
            if (!left(j)) continue;
            if (!p->first) p->first = j;
            if (!same_options(p->first, j)) continue;
            int k = take(p, j);
            if (k < 0 && p->first == j && !p->n) p->first = NULL;
            any |= k > 0;
            if (k) continue;
            turn(w, at);
            return;
        }
    }
    /* Everything with these options is in; the first job with others is next. */
    for (job **at = &w->jobs; p->first && *at; at = &(*at)->next)
        if (!(*at)->over && !same_options(p->first, *at)) {
            turn(w, at);
            return;
        }
}

/* ---- what is computed ---- */

static int reserve(pack *p, pith_err *e)
{
    size_t each = p->first->kind == JOB_EMBED ? width(p->w, p->first) : 2 * n_labels(p->w);
    size_t n = p->n * (each ? each : 1);
    p->results = calloc(p->n, sizeof *p->results);
    p->values = malloc(n * sizeof *p->values);
    p->tokens = calloc(p->n, sizeof *p->tokens);
    p->truncated = calloc(p->n, 1);
    if (!p->results || !p->values || !p->tokens || !p->truncated) return err_nomem(e, n * sizeof *p->values, "results");
    for (size_t k = 0; k < p->n && p->first->kind != JOB_EMBED; k++)
        p->results[k] = (pith_result){.scores = p->values + k * each, .logits = p->values + k * each + n_labels(p->w)};
    return 0;
}

/* Texts [k, k + n) of the batch. */
static int compute(pack *p, size_t k, size_t n, pith_err *e)
{
    if (p->first->kind == JOB_EMBED) {
        pith_embed_options o = p->first->embed;
        o.batch_tokens = p->w->o.max_batch_tokens;
        return pith_embed(p->w->session, p->texts + k, n, &o, p->values + k * width(p->w, p->first), p->tokens + k, p->truncated + k, e);
    }
    pith_classify_options o = p->first->classify;
    o.batch_tokens = p->w->o.max_batch_tokens;
    int bad = pith_classify(p->w->session, p->texts + k, n, &o, p->results + k, e);
    for (size_t i = k; i < k + n; i++) p->tokens[i] = p->results[i].n_tokens;
    return bad;
}

/* The library names texts by their place in what it was given. */
static void fail_text(const pack *p, size_t k, const pith_err *e)
{
    static const char where[] = "text 0: ";
    const item *it = &p->items[k];
    const char *why = strncmp(e->msg, where, sizeof where - 1) ? e->msg : e->msg + sizeof where - 1;
    int status = worker_status(e->msg, 400);
    if (it->j->n_texts > 1) worker_fail(it->j, status, "text %zu: %s", it->i, why);
    else worker_fail(it->j, status, "%s", why);
}

/* ---- what becomes of it ---- */

static int explain(const item *it, const pith_result *r)
{
    reading *x = it->j->state;
    if (r->label < 0) return -1;
    if (it->i == 0) {
        x->label = it->j->label >= 0 ? it->j->label : r->label;
        x->whole = r->scores[x->label];
    } else {
        x->words[it->i - 1].influence = x->whole - r->scores[x->label];
    }
    return 0;
}

static int classified(const pack *p, const item *it, const pith_result *r)
{
    pith_result *out = &it->j->results[it->i];
    float *scores = out->scores, *logits = out->logits;
    size_t bytes = n_labels(p->w) * sizeof *scores;
    memcpy(scores, r->scores, bytes);
    memcpy(logits, r->logits, bytes);
    *out = *r;
    out->scores = scores;
    out->logits = logits;
    return r->label < 0 ? -1 : 0;
}

static int embedded(const pack *p, const item *it, size_t k)
{
    size_t n = width(p->w, it->j);
    const float *v = p->values + k * n;
    memcpy(it->j->vectors + it->i * n, v, n * sizeof *v);
    if (it->j->n_tokens) it->j->n_tokens[it->i] = p->tokens[k];
    if (it->j->truncated) it->j->truncated[it->i] = p->truncated[k];
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i])) return -1;
    return 0;
}

static void deliver(const pack *p, size_t k)
{
    const item *it = &p->items[k];
    job *j = it->j;
    int bad;
    if (j->over) return;
    if (j->kind == JOB_EMBED) bad = embedded(p, it, k);
    else bad = j->kind == JOB_EXPLAIN ? explain(it, &p->results[k]) : classified(p, it, &p->results[k]);
    if (bad) worker_fail(j, 500, "text %zu: the model computed NaN; are its weights broken? (pith verify tells)", it->i);
}

/* The job's last text is done. */
static void close_job(job *j)
{
    reading *x = j->state;
    if (left(j)) return;
    if (j->kind == JOB_EXPLAIN) {
        j->label = x->label;
        j->words = x->words;
        j->n_words = x->n_words;
        x->words = NULL;
    }
    worker_done(j);
}

static void account(worker *w, const pack *p)
{
    uint64_t tokens = 0, bytes = 0;
    for (size_t k = 0; k < p->n; k++) {
        tokens += p->tokens[k];
        bytes += p->texts[k].len + p->texts[k].pair_len;
    }
    if (bytes) w->ratio += 0.2 * ((double)tokens / (double)bytes - w->ratio);
    worker_count(w, METRICS_STEPS, 1);
    worker_count(w, METRICS_TOKENS_IN, tokens);
    worker_see(w, METRICS_BATCH_SIZE, (double)p->n);
}

void worker_texts_step(worker *w)
{
    pack p = {.w = w};
    pith_err e = {{0}};
    if (!(w->ratio > 0)) w->ratio = 0.3;
    fill(&p);
    if (p.n && reserve(&p, &e)) {
        for (size_t k = 0; k < p.n; k++) worker_fail(p.items[k].j, 503, "%s", e.msg);
    } else if (p.n) {
        /* One text that cannot be read must not fail the others. */
        if (compute(&p, 0, p.n, &e))
            for (size_t k = 0; k < p.n; k++) {
                e = (pith_err){{0}};
                if (!p.items[k].j->over && compute(&p, k, 1, &e)) fail_text(&p, k, &e);
            }
        for (size_t k = 0; k < p.n; k++) deliver(&p, k);
        account(w, &p);
    }
    for (job *j = w->jobs; j; j = j->next)
        if (!j->over) close_job(j);
    for (size_t k = 0; k < p.n; k++) free(p.items[k].own);
    free(p.items);
    free(p.texts);
    free(p.results);
    free(p.values);
    free(p.tokens);
    free(p.truncated);
}

void worker_texts_drop(job *j)
{
    reading *x = j->state;
    if (x) free(x->words);
    free(x);
    j->state = NULL;
}
