#include "server/api_texts.h"
#include "base/err.h"
#include <stdlib.h>
#include <string.h>

/* ---- what the call keeps ---- */

static void drop(void *own)
{
    api_texts *t = own;
    for (size_t i = 0; i < t->n_own; i++) pith_free(t->own[i]);
    free(t->own);
    free(t->texts);
    free(t->results);
    free(t->values);
    free(t->n_tokens);
    free(t->truncated);
    pith_free(t->words);
}

void *api_texts_new(api_call *c, worker *w, size_t size)
{
    api_texts *t = api_own(c, size, drop);
    if (t) t->w = w;
    return t;
}

static int no_memory(api_call *c)
{
    api_answer_json(c, NULL, 0);
    return -1;
}

/* The status of what is too large: OpenAI's protocol has only 400 for it. */
static int too_large(const api_call *c) { return c->route->style == API_TEI ? 413 : 400; }

/* ---- texts out of a body ---- */

int api_texts_few(api_call *c, const char *member, size_t n)
{
    if (n == 0) api_fail(c, 400, member, "empty", "%s is empty", member);
    else if (n > API_TEXTS_MOST)
        api_fail(c, too_large(c), member, NULL, "%s has %zu texts, and a request may have %d; send them in several", member, n, API_TEXTS_MOST);
    return n == 0 || n > API_TEXTS_MOST ? -1 : 0;
}

static int append(api_call *c, pith_text x)
{
    api_texts *t = c->own;
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 8;
        pith_text *more = realloc(t->texts, cap * sizeof *more);
        if (!more) return no_memory(c);
        t->texts = more;
        t->cap = cap;
    }
    t->texts[t->n++] = x;
    return 0;
}

int api_texts_add(api_call *c, const char *text, const char *pair)
{
    const api_texts *t = c->own;
    if (*text || (pair && *pair)) return append(c, (pith_text){text, strlen(text), pair, pair ? strlen(pair) : 0});
    api_fail(c, 400, NULL, "empty", "text %zu is empty", t->n);
    return -1;
}

int api_texts_take(api_call *c, char *text, size_t len)
{
    api_texts *t = c->own;
    char **own = realloc(t->own, (t->n_own + 1) * sizeof *own);
    if (!own) {
        pith_free(text);
        return no_memory(c);
    }
    t->own = own;
    own[t->n_own++] = text;
    return append(c, (pith_text){text, len, NULL, 0});
}

int32_t *api_texts_ids(api_call *c, json list, const pith_tokenizer *t, size_t *n)
{
    size_t i = 0, cap = json_len(list);
    int32_t *ids = malloc((cap ? cap : 1) * sizeof *ids);
    if (!ids) return no_memory(c), NULL;
    for (json v = json_first(list); v.node; v = json_next(v)) {
        uint64_t id;
        int bad = json_as_size(v, 0, INT32_MAX, &id, &c->e);
        if (!bad && pith_token_piece(t, (int32_t)id)) {
            ids[i++] = (int32_t)id;
            continue;
        }
        free(ids);
        if (bad) api_bad(c);
        else api_fail(c, 422, NULL, NULL, "the tokenizer has no token %llu", (unsigned long long)id);
        return NULL;
    }
    *n = i;
    return ids;
}

/* The tokens that the tokenizer puts before and after any text. */
static int around(const pith_tokenizer *t, pith_tokens *x, size_t *before, size_t *after, pith_err *e)
{
    if (pith_tokenize(t, "a", 1, NULL, 0, NULL, x, e)) return -1;
    *before = *after = 0;
    while (*before < x->n && x->special[*before]) ++*before;
    while (*after < x->n - *before && x->special[x->n - 1 - *after]) ++*after;
    return 0;
}

/* Are these ids what the tokenizer makes of the text, but for the tokens it puts around? */
static int same(const pith_tokenizer *t, const char *text, size_t len, const int32_t *ids, size_t n, pith_err *e)
{
    pith_tokens x = {0};
    if (pith_tokenize(t, text, len, NULL, 0, &(pith_tokenize_options){.no_special = 1}, &x, e)) return -1;
    int yes = x.n == n && memcmp(x.ids, ids, n * sizeof *ids) == 0;
    pith_tokens_free(&x);
    return yes;
}

static int text_of_ids(api_call *c, const pith_tokenizer *tok, const int32_t *ids, size_t n, char **text, size_t *len)
{
    pith_tokens x = {0};
    size_t before, after;
    if (around(tok, &x, &before, &after, &c->e)) return -1;
    int whole = before + after > 0 && n >= before + after && memcmp(ids, x.ids, before * sizeof *ids) == 0 &&
                memcmp(ids + n - after, x.ids + x.n - after, after * sizeof *ids) == 0;
    if (whole) ids += before, n -= before + after;
    pith_tokens_free(&x);
    *text = NULL;
    *len = 0;
    if (!n) return 0;
    if (pith_detokenize(tok, ids, n, 0, text, len, &c->e)) return -1;
    int yes = same(tok, *text, *len, ids, n, &c->e);
    if (yes > 0) return 0;
    pith_free(*text);
    return yes < 0 ? -1 : err_set(&c->e, "these ids are not what the model's tokenizer makes of a text; send the text");
}

/* Models read texts: ids must be those of one. */
static int add_ids(api_call *c, json list)
{
    api_texts *t = c->own;
    const pith_tokenizer *tok = pith_model_tokenizer(worker_model(t->w));
    size_t n, len;
    char *text;
    if (!tok) {
        api_fail(c, 422, NULL, NULL, "the model has no tokenizer");
        return -1;
    }
    int32_t *ids = api_texts_ids(c, list, tok, &n);
    if (!ids) return -1;
    int bad = text_of_ids(c, tok, ids, n, &text, &len);
    free(ids);
    if (bad) {
        api_fail(c, 422, NULL, NULL, "%s", c->e.msg);
        return -1;
    }
    if (len) return api_texts_take(c, text, len);
    pith_free(text);
    api_fail(c, 400, NULL, "empty", "text %zu is empty", t->n);
    return -1;
}

int api_texts_read(api_call *c, const char *member, int ids)
{
    api_texts *t = c->own;
    json v = json_get(c->root, member);
    if (json_typeof(v) == JSON_STRING) return api_texts_add(c, json_str(v), NULL);
    if (json_get_array(c->root, member, &v, &c->e)) return api_bad(c);
    json first = json_first(v);
    if (ids && json_typeof(first) == JSON_NUMBER) return add_ids(c, v);
    if (api_texts_few(c, member, json_len(v))) return -1;
    t->batch = 1;
    for (v = first; v.node; v = json_next(v)) {
        int text = json_typeof(v) == JSON_STRING;
        if (!text && !(ids && json_typeof(v) == JSON_ARRAY)) {
            json_expected(v, ids ? "a string or a list of token ids" : "a string", &c->e);
            return api_bad(c);
        }
        if (text ? api_texts_add(c, json_str(v), NULL) : add_ids(c, v)) return -1;
    }
    return 0;
}

/* ---- the job ---- */

static int cut(const api_texts *t, size_t i) { return t->results ? t->results[i].truncated : t->truncated && t->truncated[i]; }

static size_t most(const api_call *c)
{
    const pith_model *m = worker_model(((const api_texts *)c->own)->w);
    if (c->job.kind == JOB_EMBED) return pith_embed_options_new(m).max_length;
    return c->job.classify.max_length ? c->job.classify.max_length : pith_model_max_length(m);
}

static void answer(api_call *c)
{
    const api_texts *t = c->own;
    if (t->results || t->n_tokens) http_count(c->x, api_texts_tokens(t), 0);
    api_answer_put(c, t->put);
}

static void too_long(api_call *c, size_t i)
{
    api_fail(c, too_large(c), NULL, "context_length_exceeded", "text %zu has more than the %zu tokens that are read of one; shorten it or ask for truncation", i, most(c));
}

static void on_end(void *ctx, const char *error, int status)
{
    api_call *c = ctx;
    api_texts *t = c->own;
    size_t i = 0;
    t->words = c->job.words;
    t->n_words = c->job.n_words;
    while (!error && !t->truncate && i < t->n && !cut(t, i)) i++;
    if (error) api_fail_job(c, error, status == 500 && c->route->style == API_TEI ? 424 : status);
    else if (!t->truncate && i < t->n) too_long(c, i);
    else api_later(c, answer);
}

static void put_job(api_call *c, job_kind kind)
{
    api_texts *t = c->own;
    c->job.kind = kind;
    c->job.on_end = on_end;
    c->job.texts = t->texts;
    c->job.n_texts = t->n;
    api_put(c, t->w);
}

void api_texts_classify(api_call *c, const pith_classify_options *o)
{
    api_texts *t = c->own;
    size_t labels = pith_model_n_labels(worker_model(t->w));
    t->width = 2 * labels;
    t->results = calloc(t->n, sizeof *t->results);
    t->values = calloc(t->n, t->width * sizeof *t->values);
    if (!t->results || !t->values) {
        no_memory(c);
        return;
    }
    for (size_t i = 0; i < t->n; i++) {
        t->results[i].scores = t->values + i * t->width;
        t->results[i].logits = t->results[i].scores + labels;
    }
    c->job.classify = *o;
    c->job.results = t->results;
    put_job(c, JOB_CLASSIFY);
}

void api_texts_embed(api_call *c, const pith_embed_options *o)
{
    api_texts *t = c->own;
    t->width = o->dimensions ? o->dimensions : pith_model_embedding_size(worker_model(t->w));
    t->values = calloc(t->n, t->width * sizeof *t->values);
    t->n_tokens = calloc(t->n, sizeof *t->n_tokens);
    t->truncated = calloc(t->n, 1);
    if (!t->values || !t->n_tokens || !t->truncated) {
        no_memory(c);
        return;
    }
    c->job.embed = *o;
    c->job.vectors = t->values;
    c->job.n_tokens = t->n_tokens;
    c->job.truncated = t->truncated;
    put_job(c, JOB_EMBED);
}

void api_texts_explain(api_call *c)
{
    api_texts *t = c->own;
    const pith_tokenizer *tok = pith_model_tokenizer(worker_model(t->w));
    pith_tokens x = {0};
    c->job.kind = JOB_EXPLAIN;
    if (tok && !t->truncate) {
        if (pith_tokenize(tok, t->texts->text, t->texts->len, NULL, 0, NULL, &x, &c->e)) {
            api_fail(c, 422, NULL, NULL, "%s", c->e.msg);
            return;
        }
        size_t n = x.n;
        pith_tokens_free(&x);
        if (n > most(c)) {
            too_long(c, 0);
            return;
        }
    }
    put_job(c, JOB_EXPLAIN);
}

size_t api_texts_tokens(const api_texts *t)
{
    size_t sum = 0;
    for (size_t i = 0; i < t->n; i++) sum += t->results ? t->results[i].n_tokens : t->n_tokens[i];
    return sum;
}

void api_texts_put_floats(FILE *f, const float *x, size_t n)
{
    putc('[', f);
    for (size_t i = 0; i < n; i++) {
        if (i) putc(',', f);
        json_put_f32(f, x[i]);
    }
    putc(']', f);
}
