/* api_tei: the protocol of Hugging Face's text-embeddings-inference, and /explain in its manner. Where it cuts no text
 * without being asked, neither do we: a text over the model's length is refused (413) unless "truncate" is true. */
#include "server/api_texts.h"
#include "base/err.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EXPLAINED = 64 * 1024 /* bytes of a text that is read again without each of its words */ };

/* ---- /predict ---- */

typedef struct predict {
    api_texts t;
    int raw;
} predict;

typedef struct ranked {
    size_t index;
    float score, logit;
} ranked;

/* Best first. Scores near 1 round to the same number, their logits do not; what is equal stays in order. */
static int better(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static void put_labels(FILE *f, const predict *p, const pith_result *r, ranked *order)
{
    const pith_model *m = worker_model(p->t.w);
    size_t n = pith_model_n_labels(m);
    for (size_t i = 0; i < n; i++) order[i] = (ranked){i, p->raw ? r->logits[i] : r->scores[i], r->logits[i]};
    qsort(order, n, sizeof *order, better);
    for (size_t i = 0; i < n; i++) {
        const char *label = pith_model_label(m, order[i].index);
        fputs(i ? ",{\"label\":" : "[{\"label\":", f);
        json_put_str(f, label, strlen(label));
        fputs(",\"score\":", f);
        json_put_f32(f, order[i].score);
        putc('}', f);
    }
    putc(']', f);
}

static int put_predict(api_call *c, FILE *f)
{
    const predict *p = c->own;
    size_t bytes = pith_model_n_labels(worker_model(p->t.w)) * sizeof(ranked);
    ranked *order = malloc(bytes);
    if (!order) return err_nomem(&c->e, bytes, "labels");
    if (p->t.batch) putc('[', f);
    for (size_t i = 0; i < p->t.n; i++) {
        if (i) putc(',', f);
        put_labels(f, p, &p->t.results[i], order);
    }
    if (p->t.batch) putc(']', f);
    free(order);
    return 0;
}

/* One or two strings: a text or a pair. */
static int add_sequence(api_call *c, json list)
{
    json a = json_first(list), b = json_next(a);
    if (json_typeof(list) == JSON_ARRAY && json_typeof(a) == JSON_STRING && (!b.node || json_typeof(b) == JSON_STRING) && !json_next(b).node)
        return api_texts_add(c, json_str(a), b.node ? json_str(b) : NULL);
    json_expected(list, "one string, or two that are a pair", &c->e);
    return api_bad(c);
}

/* "a"; ["a"] and ["a","b"], a pair; [["a"],["b","c"]], a batch of both. */
static int read_sequences(api_call *c)
{
    api_texts *t = c->own;
    json v = json_get(c->root, "inputs");
    if (json_typeof(v) == JSON_STRING) return api_texts_add(c, json_str(v), NULL);
    if (json_get_array(c->root, "inputs", &v, &c->e)) return api_bad(c);
    if (json_typeof(json_first(v)) == JSON_STRING) return add_sequence(c, v);
    if (api_texts_few(c, "inputs", json_len(v))) return -1;
    t->batch = 1;
    for (v = json_first(v); v.node; v = json_next(v))
        if (add_sequence(c, v)) return -1;
    return 0;
}

static int read_truncate(api_call *c)
{
    api_texts *t = c->own;
    const char *side;
    if (json_opt_bool(c->root, "truncate", 0, &t->truncate, &c->e) || json_opt_str(c->root, "truncation_direction", "right", &side, &c->e))
        return api_bad(c);
    if (strcasecmp(side, "right") == 0) return 0;
    api_fail(c, 400, "truncation_direction", NULL, "truncation_direction: \"right\" is supported, found \"%.40s\"", side);
    return -1;
}

void api_tei_predict(api_call *c)
{
    static const char *const names[] = {"inputs", "truncate", "truncation_direction", "raw_scores", NULL};
    worker *w = api_known(c, names, NULL) ? NULL : api_model(c, JOB_CLASSIFY);
    predict *p = w ? api_texts_new(c, w, sizeof *p) : NULL;
    if (!p || read_sequences(c) || read_truncate(c)) return;
    if (json_opt_bool(c->root, "raw_scores", 0, &p->raw, &c->e)) {
        api_bad(c);
        return;
    }
    p->t.put = put_predict;
    api_texts_classify(c, &(pith_classify_options){0});
}

/* ---- /rerank ---- */

typedef struct rerank {
    api_texts t;
    int raw, text;
} rerank;

static int put_rerank(api_call *c, FILE *f)
{
    const rerank *r = c->own;
    const api_texts *t = &r->t;
    ranked *order = malloc(t->n * sizeof *order);
    if (!order) return err_nomem(&c->e, t->n * sizeof *order, "scores");
    for (size_t i = 0; i < t->n; i++)
        order[i] = (ranked){i, r->raw ? t->results[i].logits[0] : t->results[i].scores[0], t->results[i].logits[0]};
    qsort(order, t->n, sizeof *order, better);
    for (size_t i = 0; i < t->n; i++) {
        const pith_text *x = &t->texts[order[i].index];
        fprintf(f, "%c{\"index\":%zu,\"score\":", i ? ',' : '[', order[i].index);
        json_put_f32(f, order[i].score);
        if (r->text) fputs(",\"text\":", f);
        if (r->text) json_put_str(f, x->pair, x->pair_len);
        putc('}', f);
    }
    putc(']', f);
    free(order);
    return 0;
}

static int reranks(const worker *w) { return !worker_writes(w) && pith_model_n_labels(worker_model(w)) == 1; }

static int read_rerank(api_call *c)
{
    rerank *r = c->own;
    const char *query;
    json texts;
    if (json_get_str(c->root, "query", &query, &c->e) || json_get_array(c->root, "texts", &texts, &c->e) ||
        json_opt_bool(c->root, "raw_scores", 0, &r->raw, &c->e) || json_opt_bool(c->root, "return_text", 0, &r->text, &c->e))
        return api_bad(c);
    size_t n = json_len(texts), len = strlen(query), room = server_settings(c->s)->max_body;
    if (api_texts_few(c, "texts", n)) return -1;
    /* The query is read once for each text. */
    if (len > room / n) {
        api_fail(c, 413, "query", NULL, "the query has %zu bytes and is read with %zu texts: that is over %zu bytes; send fewer at once", len, n, room);
        return -1;
    }
    for (json v = json_first(texts); v.node; v = json_next(v)) {
        if (json_typeof(v) != JSON_STRING) {
            json_expected(v, "a string", &c->e);
            return api_bad(c);
        }
        if (api_texts_add(c, query, json_str(v))) return -1;
    }
    return 0;
}

void api_tei_rerank(api_call *c)
{
    static const char *const names[] = {"query", "texts", "truncate", "truncation_direction", "raw_scores", "return_text", NULL};
    worker *w = api_known(c, names, NULL) ? NULL : api_model_able(c, reranks, "reranks (a classifier with one label does)");
    rerank *r = w ? api_texts_new(c, w, sizeof *r) : NULL;
    if (!r || read_rerank(c) || read_truncate(c)) return;
    r->t.put = put_rerank;
    api_texts_classify(c, &(pith_classify_options){.activation = PITH_ACTIVATION_SIGMOID});
}

/* ---- /embed ---- */

static int put_embed(api_call *c, FILE *f)
{
    const api_texts *t = c->own;
    for (size_t i = 0; i < t->n; i++) {
        putc(i ? ',' : '[', f);
        api_texts_put_floats(f, t->values + i * t->width, t->width);
    }
    putc(']', f);
    return 0;
}

void api_tei_embed(api_call *c)
{
    static const char *const names[] = {"inputs", "truncate", "truncation_direction", "normalize", "dimensions", NULL};
    worker *w = api_known(c, names, NULL) ? NULL : api_model(c, JOB_EMBED);
    api_texts *t = w ? api_texts_new(c, w, sizeof *t) : NULL;
    if (!t || api_texts_read(c, "inputs", 1) || read_truncate(c)) return;
    int normalize;
    uint64_t dimensions;
    if (json_opt_bool(c->root, "normalize", 1, &normalize, &c->e) ||
        json_opt_size(c->root, "dimensions", 1, pith_model_embedding_size(worker_model(w)), 0, &dimensions, &c->e)) {
        api_bad(c);
        return;
    }
    t->put = put_embed;
    api_texts_embed(c, &(pith_embed_options){.normalize = normalize ? 1 : -1, .dimensions = (size_t)dimensions});
}

/* ---- characters ---- */

/* Offsets are told in characters. of[i]: characters that begin in the first i bytes of text; malloc'ed. */
static uint32_t *count_characters(const char *text, size_t len, pith_err *e)
{
    uint32_t *of = malloc((len + 1) * sizeof *of), n = 0;
    if (!of) {
        err_nomem(e, (len + 1) * sizeof *of, "offsets");
        return NULL;
    }
    for (size_t i = 0; i < len; i++) {
        of[i] = n;
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    of[len] = n;
    return of;
}

/* The first byte of the character that holds byte i. */
static size_t whole(const char *text, size_t i)
{
    while (i && ((unsigned char)text[i] & 0xc0) == 0x80) i--;
    return i;
}

/* ---- /tokenize, /decode ---- */

static int reads(const worker *w) { return pith_model_tokenizer(worker_model(w)) != NULL; }

static void put_token(FILE *f, const pith_tokenizer *tok, const pith_tokens *x, size_t i, const char *text, const uint32_t *of, size_t len)
{
    fprintf(f, "%s{\"id\":%d,\"text\":", i ? "," : "", (int)x->ids[i]);
    if (x->special[i]) {
        const char *piece = pith_token_piece(tok, x->ids[i]);
        json_put_str(f, piece ? piece : "", piece ? strlen(piece) : 0);
        fputs(",\"special\":true,\"start\":null,\"stop\":null}", f);
        return;
    }
    size_t begin = whole(text, (size_t)x->begin[i]), end = (size_t)x->end[i];
    while (end < len && ((unsigned char)text[end] & 0xc0) == 0x80) end++;
    json_put_str(f, text + begin, end - begin);
    fprintf(f, ",\"special\":false,\"start\":%u,\"stop\":%u}", of[begin], of[end]);
}

typedef struct tokens {
    api_texts t;
    int special; /* tokenize: add them; decode: leave them out */
} tokens;

static int put_tokens(api_call *c, FILE *f, const pith_text *text)
{
    const tokens *t = c->own;
    const pith_tokenizer *tok = pith_model_tokenizer(worker_model(t->t.w));
    pith_tokens x = {0};
    if (pith_tokenize(tok, text->text, text->len, NULL, 0, &(pith_tokenize_options){.no_special = !t->special}, &x, &c->e)) return -1;
    uint32_t *of = count_characters(text->text, text->len, &c->e);
    putc('[', f);
    for (size_t i = 0; of && i < x.n; i++) put_token(f, tok, &x, i, text->text, of, text->len);
    putc(']', f);
    pith_tokens_free(&x);
    free(of);
    return of ? 0 : -1;
}

static int put_tokenize(api_call *c, FILE *f)
{
    const tokens *t = c->own;
    for (size_t i = 0; i < t->t.n; i++) {
        putc(i ? ',' : '[', f);
        if (put_tokens(c, f, &t->t.texts[i])) return -1;
    }
    putc(']', f);
    return 0;
}

/* What is answered at once, on an api thread, must be small. */
static int small(api_call *c, const char *member, size_t n, const char *what)
{
    if (n <= API_TEXTS_TOKENIZED) return 0;
    api_fail(c, 413, member, NULL, "%s: %zu %s, and a request may have %d", member, n, what, API_TEXTS_TOKENIZED);
    return -1;
}

void api_tei_tokenize(api_call *c)
{
    static const char *const names[] = {"inputs", "add_special_tokens", NULL};
    worker *w = api_known(c, names, NULL) ? NULL : api_model_able(c, reads, "has a tokenizer");
    tokens *t = w ? api_texts_new(c, w, sizeof *t) : NULL;
    size_t bytes = 0;
    if (!t || api_texts_read(c, "inputs", 0)) return;
    for (size_t i = 0; i < t->t.n; i++) bytes += t->t.texts[i].len;
    if (small(c, "inputs", bytes, "bytes")) return;
    if (json_opt_bool(c->root, "add_special_tokens", 1, &t->special, &c->e)) api_bad(c);
    else api_answer_put(c, put_tokenize);
}

static int decode(api_call *c, json list)
{
    tokens *t = c->own;
    const pith_tokenizer *tok = pith_model_tokenizer(worker_model(t->t.w));
    size_t n, len;
    char *text;
    int32_t *ids = api_texts_ids(c, list, tok, &n);
    if (!ids) return -1;
    int bad = pith_detokenize(tok, ids, n, t->special, &text, &len, &c->e);
    free(ids);
    if (!bad) return api_texts_take(c, text, len);
    api_fail(c, 422, NULL, NULL, "%s", c->e.msg);
    return -1;
}

static int put_decode(api_call *c, FILE *f)
{
    const api_texts *t = c->own;
    for (size_t i = 0; i < t->n; i++) {
        putc(i ? ',' : '[', f);
        json_put_str(f, t->texts[i].text, t->texts[i].len);
    }
    putc(']', f);
    return 0;
}

/* [1,2] or [[1,2],[3]]. */
void api_tei_decode(api_call *c)
{
    static const char *const names[] = {"ids", "skip_special_tokens", NULL};
    worker *w = api_known(c, names, NULL) ? NULL : api_model_able(c, reads, "has a tokenizer");
    tokens *t = w ? api_texts_new(c, w, sizeof *t) : NULL;
    json v;
    size_t n = 0;
    if (!t) return;
    if (json_get_array(c->root, "ids", &v, &c->e) || json_opt_bool(c->root, "skip_special_tokens", 1, &t->special, &c->e)) {
        api_bad(c);
        return;
    }
    json first = json_first(v);
    int batch = json_typeof(first) == JSON_ARRAY;
    for (json x = first; x.node && batch; x = json_next(x)) n += json_len(x);
    if (small(c, "ids", batch ? n : json_len(v), "ids") || (batch && api_texts_few(c, "ids", json_len(v)))) return;
    if (!batch && decode(c, v)) return;
    for (json x = first; x.node && batch; x = json_next(x)) {
        if (json_typeof(x) != JSON_ARRAY) {
            json_expected(x, "a list of token ids", &c->e);
            api_bad(c);
            return;
        }
        if (decode(c, x)) return;
    }
    api_answer_put(c, put_decode);
}

/* ---- /explain: how much each word of a text speaks for its label ---- */

static int put_explain(api_call *c, FILE *f)
{
    const api_texts *t = c->own;
    const pith_text *x = t->texts;
    const char *label = pith_model_label(worker_model(t->w), (size_t)c->job.label);
    uint32_t *of = count_characters(x->text, x->len, &c->e);
    if (!of) return -1;
    fputs("{\"label\":", f);
    json_put_str(f, label, strlen(label));
    fputs(",\"words\":[", f);
    for (size_t i = 0; i < t->n_words; i++) {
        const pith_word *w = &t->words[i];
        fprintf(f, "%s{\"start\":%u,\"stop\":%u,\"influence\":", i ? "," : "", of[w->begin], of[w->end]);
        json_put_f32(f, w->influence);
        putc('}', f);
    }
    fputs("]}", f);
    free(of);
    return 0;
}

void api_tei_explain(api_call *c)
{
    static const char *const names[] = {"inputs", "label", "truncate", "truncation_direction", NULL};
    const char *text, *label;
    worker *w = api_known(c, names, NULL) ? NULL : api_model(c, JOB_CLASSIFY);
    api_texts *t = w ? api_texts_new(c, w, sizeof *t) : NULL;
    if (!t || read_truncate(c)) return;
    if (json_get_str(c->root, "inputs", &text, &c->e) || json_opt_str(c->root, "label", NULL, &label, &c->e)) {
        api_bad(c);
        return;
    }
    c->job.label = label ? pith_model_label_index(worker_model(w), label) : -1;
    if (label && c->job.label < 0) {
        api_fail(c, 400, "label", NULL, "label: the model has none called '%.100s'", label);
        return;
    }
    if (strlen(text) > EXPLAINED) {
        api_fail(c, 413, "inputs", NULL, "inputs: %zu bytes, and a text that is explained may have %d", strlen(text), EXPLAINED);
        return;
    }
    t->put = put_explain;
    if (!api_texts_add(c, text, NULL)) api_texts_explain(c);
}

/* ---- /info ---- */

static void put_string(FILE *f, const char *s) { json_put_str(f, s, strlen(s)); }

static void put_classifier(FILE *f, const pith_model *m)
{
    size_t n = pith_model_n_labels(m);
    fputs(n == 1 ? "{\"reranker\":{\"id2label\":{" : "{\"classifier\":{\"id2label\":{", f);
    for (size_t i = 0; i < n; i++) {
        fprintf(f, "%s\"%zu\":", i ? "," : "", i);
        put_string(f, pith_model_label(m, i));
    }
    fputs("},\"label2id\":{", f);
    for (size_t i = 0; i < n; i++) {
        if (i) putc(',', f);
        put_string(f, pith_model_label(m, i));
        fprintf(f, ":%zu", i);
    }
    fputs("}}}", f);
}

static void put_type(FILE *f, const worker *w)
{
    static const char *const poolings[] = {"mean", "cls", "mean", "max"};
    const pith_model *m = worker_model(w);
    if (worker_writes(w)) fprintf(f, "{\"generator\":{\"context\":%zu,\"chat\":%s}}", worker_context(w), worker_template(w) ? "true" : "false");
    else if (pith_model_n_labels(m)) put_classifier(f, m);
    else fprintf(f, "{\"embedding\":{\"pooling\":\"%s\"}}", poolings[pith_embed_options_new(m).pooling]);
}

static size_t input_length(const worker *w)
{
    const pith_model *m = worker_model(w);
    if (worker_writes(w)) return worker_context(w);
    return pith_model_n_labels(m) ? pith_model_max_length(m) : pith_embed_options_new(m).max_length;
}

static void put_model(FILE *f, const server_options *o, const worker *w)
{
    const pith_model *m = worker_model(w);
    fputs("\"model_id\":", f);
    put_string(f, worker_name(w));
    fputs(",\"model_sha\":null,\"model_dtype\":", f);
    put_string(f, o->model.dtype ? o->model.dtype : "auto");
    fputs(",\"model_type\":", f);
    put_type(f, w);
    fprintf(f, ",\"max_input_length\":%zu,\"architecture\":", input_length(w));
    put_string(f, pith_model_type(m));
    fprintf(f, ",\"parameters\":%llu,\"weight_bytes\":%llu,\"embedding_size\":%zu,\"kernels\":", (unsigned long long)pith_model_parameters(m),
            (unsigned long long)pith_model_weight_bytes(m), worker_writes(w) ? 0 : pith_model_embedding_size(m));
    put_string(f, pith_model_kernels(m));
    fprintf(f, ",\"threads\":%d", pith_model_threads(m));
}

/* The model that TEI would serve: the first that reads texts. */
static const worker *main_model(const server *s)
{
    for (size_t i = 0; i < server_models(s); i++) {
        const worker *w = server_worker(s, i);
        if (w && !worker_writes(w)) return w;
    }
    return server_worker(s, 0);
}

static int put_info(api_call *c, FILE *f)
{
    const server_options *o = server_settings(c->s);
    putc('{', f);
    put_model(f, o, main_model(c->s));
    fprintf(f, ",\"max_concurrent_requests\":%zu,\"max_batch_tokens\":%zu,\"max_batch_requests\":null,\"max_client_batch_size\":%d,"
               "\"auto_truncate\":false,\"tokenization_workers\":%d,\"version\":\"" PITH_VERSION "\",\"sha\":null,\"docker_label\":null,\"models\":[",
            o->max_queue, o->max_batch_tokens, API_TEXTS_MOST, SERVER_API_THREADS);
    for (size_t i = 0, n = 0; i < server_models(c->s); i++) {
        const worker *w = server_worker(c->s, i);
        if (!w) continue;
        fputs(n++ ? ",{" : "{", f);
        put_model(f, o, w);
        putc('}', f);
    }
    fputs("]}", f);
    return 0;
}

void api_tei_info(api_call *c)
{
    if (server_ready(c->s) || main_model(c->s)) api_answer_put(c, put_info);
    else api_fail(c, 503, NULL, NULL, "not ready: models are being loaded");
}
