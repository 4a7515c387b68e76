/* classify: texts -> sequences of the model's length -> one packed forward at a time -> labels and scores. A text over
 * the length is cut, cut in the middle, or read in windows whose logits are pooled. */
#include "engine.h"
#include "base/mem.h"
#include <string.h>

typedef struct job {
    pith_session *s;
    pith_classify_options o; /* defaults filled in */
    const pith_text *texts;
    pith_result *results;
    size_t n;
    engine_pack pack;
} job;

/* ---- results ---- */

static void score(const job *j, pith_result *r)
{
    size_t n = (size_t)j->s->m->dims.n_labels;
    pith_activation a = j->o.activation;
    r->label = 0;
    for (size_t i = 0; i < n; i++) {
        if (r->logits[i] != r->logits[i]) r->label = -1;
        else if (r->label >= 0 && r->logits[i] > r->logits[r->label]) r->label = (int)i;
    }
    memcpy(r->scores, r->logits, n * sizeof *r->scores);
    if (a == PITH_ACTIVATION_SOFTMAX) j->s->m->op.kernels->softmax(r->scores, 1.0f, n);
    if (a != PITH_ACTIVATION_SIGMOID) return;
    for (size_t i = 0; i < n; i++) r->scores[i] = -r->scores[i];
    j->s->m->op.kernels->vexp(r->scores, n);
    for (size_t i = 0; i < n; i++) r->scores[i] = 1.0f / (1.0f + r->scores[i]);
}

/* Mean or maximum over a text's windows; the mean is a sum in window order and one division. */
static void pool(const job *j, pith_result *r, const float *logits)
{
    size_t n = (size_t)j->s->m->dims.n_labels;
    for (size_t i = 0; i < n; i++) {
        if (r->n_windows == 0) r->logits[i] = logits[i];
        else if (j->o.pool == PITH_POOL_MEAN) r->logits[i] += logits[i];
        else if (logits[i] > r->logits[i] || logits[i] != logits[i]) r->logits[i] = logits[i]; /* a NaN stays */
    }
    r->n_windows++;
}

static void finish(const job *j, pith_result *r)
{
    if (j->o.pool == PITH_POOL_MEAN && r->n_windows > 1)
        for (size_t i = 0; i < j->s->m->dims.n_labels; i++) r->logits[i] /= (float)r->n_windows;
    score(j, r);
}

/* ---- batches ---- */

static int run_batch(void *ctx, pith_err *e)
{
    job *j = ctx;
    engine_pack *p = &j->pack;
    size_t labels = (size_t)j->s->m->dims.n_labels;
    if (engine_pack_out(p, p->n, labels, e) || pith_run(j->s, p->seqs, p->n, p->out, NULL, e)) return -1;
    for (size_t i = 0; i < p->n; i++) pool(j, &j->results[p->pieces[i].text], p->out + i * labels);
    return 0;
}

/* Adds the sequence text[a0,a1) pair[0,nb) of text i. */
static int add(job *j, size_t i, size_t a0, size_t a1, size_t nb, pith_err *e)
{
    size_t n;
    if (engine_pack_add(&j->pack, i, a0, a1, nb, &n, e)) return -1;
    j->results[i].n_tokens += n;
    return 0;
}

/* ---- long texts ---- */

/* Drops the tokens [from, to) of a plain encoding. */
static void cut(tokenizer_encoding *x, size_t from, size_t to)
{
    size_t rest = x->n - to;
    memmove(x->ids + from, x->ids + to, rest * sizeof *x->ids);
    memmove(x->type_ids + from, x->type_ids + to, rest * sizeof *x->type_ids);
    memmove(x->special + from, x->special + to, rest * sizeof *x->special);
    memmove(x->second + from, x->second + to, rest * sizeof *x->second);
    memmove(x->begin + from, x->begin + to, rest * sizeof *x->begin);
    memmove(x->end + from, x->end + to, rest * sizeof *x->end);
    x->n = from + rest;
}

static int add_text(job *j, size_t i, pith_err *e)
{
    engine_pack *p = &j->pack;
    pith_result *r = &j->results[i];
    size_t na = p->text.n, nb = p->pair.n, room;
    r->n_replaced = p->text.n_replaced + p->pair.n_replaced;
    if (engine_pack_room(p, &room, e)) return -1;
    r->n_full = na + nb + (p->max_length - room);
    if (na + nb <= room) return add(j, i, 0, na, nb, e);
    r->truncated = 1;
    if (j->o.long_text == PITH_LONG_TRUNCATE || (p->paired && nb >= room)) {
        tokenizer_truncate_pair(&na, &nb, room);
        return add(j, i, 0, na, nb, e);
    }
    size_t width = room - nb; /* a pair stays whole; the text is what is long */
    if (j->o.long_text == PITH_LONG_HEAD_TAIL) {
        /* A quarter of the head, the rest of the tail: what Sun et al. 2019 found best (128 + 382 of 510). */
        cut(&p->text, width / 4, na - (width - width / 4));
        return add(j, i, 0, p->text.n, nb, e);
    }
    r->truncated = 0;
    size_t stride = j->o.stride ? j->o.stride : width > 1 ? width / 2 : 1;
    if (stride > width)
        return err_set(e, "stride %zu is over the window's %zu tokens: what lies between windows would not be read", stride,
                       width);
    for (size_t at = 0;; at += stride) {
        size_t end = at + width < na ? at + width : na;
        if (add(j, i, at, end, nb, e)) return -1;
        if (end == na) return 0;
    }
}

static int run(job *j, pith_err *e)
{
    for (size_t i = 0; i < j->n; i++) {
        pith_result *r = &j->results[i];
        *r = (pith_result){.scores = r->scores, .logits = r->logits, .label = -1};
        if (engine_pack_read(&j->pack, &j->texts[i], e) || add_text(j, i, e)) return err_where(e, "text %zu", i);
    }
    if (engine_pack_flush(&j->pack, e)) return -1;
    for (size_t i = 0; i < j->n; i++) finish(j, &j->results[i]);
    return 0;
}

static int set_options(job *j, const pith_classify_options *o, pith_err *e)
{
    const pith_model *m = j->s->m;
    if (o) j->o = *o;
    if (!m->dims.n_labels)
        return err_set(e, "the model has no classification head (its architecture is a bare %s encoder)", m->type);
    j->pack = (engine_pack){.max_length = j->o.max_length, .batch_tokens = j->o.batch_tokens, .run = run_batch, .ctx = j,
                            .read = {.strict = j->o.strict, .no_parse_special = j->o.no_parse_special}};
    if (engine_pack_open(&j->pack, m, e)) return -1;
    if (j->o.activation == PITH_ACTIVATION_AUTO) j->o.activation = m->activation;
    return 0;
}

int pith_classify(pith_session *s, const pith_text *texts, size_t n, const pith_classify_options *o, pith_result *results,
                  pith_err *e)
{
    job j = {.s = s, .texts = texts, .results = results, .n = n};
    int failed = set_options(&j, o, e) || run(&j, e);
    engine_pack_free(&j.pack);
    return failed ? -1 : 0;
}

/* ---- explain ---- */

static int is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Words of text[0..len): [begin, end) pairs; returns how many, writing at most cap of them. */
static size_t find_words(const char *text, size_t len, pith_word *words, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < len;) {
        while (i < len && is_blank(text[i])) i++;
        size_t begin = i;
        while (i < len && !is_blank(text[i])) i++;
        if (i > begin && n++ < cap) words[n - 1] = (pith_word){begin, i, 0};
    }
    return n;
}

/* Bytes of the text that the model saw; all of it unless it was cut. */
static int seen_bytes(const job *j, const char *text, size_t len, size_t *bytes, pith_err *e)
{
    tokenizer_options to = j->pack.read;
    tokenizer_encoding x = {0};
    size_t n_full;
    to.max_length = j->pack.max_length;
    *bytes = len;
    if (j->o.long_text != PITH_LONG_TRUNCATE) return 0;
    int failed = tokenizer_encode(j->pack.t, text, len, NULL, 0, &to, &x, &n_full, e);
    if (!failed && n_full > x.n) {
        *bytes = 0;
        for (size_t i = 0; i < x.n; i++)
            if (x.end[i] > *bytes) *bytes = (size_t)x.end[i];
    }
    tokenizer_encoding_free(&x);
    return failed;
}

enum { EXPLAIN_GROUP = 32 }; /* texts without one word, classified together */

static int explain_group(pith_session *s, const char *text, size_t len, pith_word *words, size_t n, int label, float whole,
                         const pith_classify_options *o, pith_err *e)
{
    size_t labels = (size_t)s->m->dims.n_labels;
    char *copies = mem_alloc(EXPLAIN_GROUP * (len + 1));
    float *values = mem_alloc(2 * EXPLAIN_GROUP * labels * sizeof *values);
    pith_text texts[EXPLAIN_GROUP];
    pith_result results[EXPLAIN_GROUP];
    int failed = !copies || !values ? err_nomem(e, EXPLAIN_GROUP * (len + 1), "texts without a word") : 0;
    for (size_t i = 0; i < n && !failed; i++) {
        char *c = copies + i * (len + 1);
        size_t left = len - words[i].end;
        memcpy(c, text, words[i].begin);
        memcpy(c + words[i].begin, text + words[i].end, left);
        texts[i] = (pith_text){.text = c, .len = words[i].begin + left};
        results[i] = (pith_result){.scores = values + 2 * i * labels, .logits = values + (2 * i + 1) * labels};
    }
    if (!failed) failed = pith_classify(s, texts, n, o, results, e);
    for (size_t i = 0; i < n && !failed; i++) words[i].influence = whole - results[i].scores[label];
    mem_free(copies);
    mem_free(values);
    return failed;
}

int pith_words(pith_session *s, const char *text, size_t len, const pith_classify_options *o, pith_word **words,
               size_t *n_words, pith_err *e)
{
    job j = {.s = s};
    size_t bytes;
    *words = NULL;
    *n_words = 0;
    if (set_options(&j, o, e) || seen_bytes(&j, text, len, &bytes, e)) return -1;
    size_t n = find_words(text, bytes, NULL, 0);
    *words = mem_alloc((n ? n : 1) * sizeof **words);
    if (!*words) return err_nomem(e, n * sizeof **words, "words");
    *n_words = find_words(text, bytes, *words, n);
    return 0;
}

int pith_explain(pith_session *s, const char *text, size_t len, int label, const pith_classify_options *o,
                 pith_word **words, size_t *n_words, pith_err *e)
{
    size_t labels = (size_t)s->m->dims.n_labels, n;
    pith_word *w;
    *words = NULL;
    *n_words = 0;
    if (pith_words(s, text, len, o, &w, &n, e)) return -1;
    float *values = mem_alloc(2 * labels * sizeof *values);
    pith_text t = {.text = text, .len = len};
    pith_result r = {.scores = values, .logits = values ? values + labels : NULL};
    int failed = 0;
    if (label < 0 || (size_t)label >= labels) failed = err_set(e, "label %d: the model has %zu", label, labels);
    else if (!values) failed = err_nomem(e, 2 * labels * sizeof *values, "scores");
    else failed = pith_classify(s, &t, 1, o, &r, e);
    for (size_t i = 0; i < n && !failed; i += EXPLAIN_GROUP)
        failed = explain_group(s, text, len, w + i, n - i < EXPLAIN_GROUP ? n - i : EXPLAIN_GROUP, label, r.scores[label], o, e);
    mem_free(values);
    if (failed) {
        mem_free(w);
        return -1;
    }
    *words = w;
    *n_words = n;
    return 0;
}
