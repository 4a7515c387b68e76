#define _POSIX_C_SOURCE 200809L
#include "server/api_choices.h"
#include "base/memtext.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct text {
    char *s;
    size_t len, cap;
} text;

enum { LOGPROB_LISTS = 4 };

/* An answer: what is not sent yet (all of it, if there is no stream). */
typedef struct choice {
    text text;
    /* Items of JSON arrays. A chat has one array of objects; a completion four: tokens, token_logprobs, top_logprobs,
     * text_offset. */
    text logprobs[LOGPROB_LISTS];
    size_t offset; /* of the next token, in characters */
    int begun;
    pith_finish finish;
} choice;

static int append(text *t, const char *s, size_t len)
{
    if (t->cap - t->len < len) {
        size_t cap = 2 * (t->len + len) + 64;
        char *b = realloc(t->s, cap);
        if (!b) return -1;
        t->s = b;
        t->cap = cap;
    }
    if (len) memcpy(t->s + t->len, s, len);
    t->len += len;
    return 0;
}

/* The first failure stays; the jobs that still run end as if the client had gone. */
static void fail(api_choices *a, int status, const char *message)
{
    if (atomic_exchange(&a->failed, 1)) return;
    a->status = status;
    snprintf(a->error, sizeof a->error, "%s", message);
}

/* ---- log probabilities ---- */

/* A token's bytes, freed with pith_free. */
static char *token_text(const api_choices *a, int32_t id, size_t *len)
{
    char *s = NULL;
    pith_err e = {{0}};
    *len = 0;
    return pith_token_text(pith_model_tokenizer(worker_model(a->w)), id, &s, len, &e) ? NULL : s;
}

static void put_token(FILE *f, const api_choices *a, int32_t id)
{
    size_t len;
    char *s = token_text(a, id, &len);
    json_put_str(f, s ? s : "", len);
    pith_free(s);
}

/* Bytes: a token may be a part of a character. */
static void put_entry(FILE *f, const api_choices *a, int32_t id, float logprob)
{
    size_t len;
    char *s = token_text(a, id, &len);
    fputs("{\"token\":", f);
    json_put_str(f, s ? s : "", len);
    fputs(",\"logprob\":", f);
    json_put_f32(f, logprob);
    fputs(",\"bytes\":[", f);
    for (size_t i = 0; i < len; i++) fprintf(f, "%s%d", i ? "," : "", (unsigned char)s[i]);
    fputc(']', f);
    pith_free(s);
}

static void put_chat_logprob(FILE *f, const api_choices *a, const pith_token *t)
{
    put_entry(f, a, t->id, t->logprob);
    fputs(",\"top_logprobs\":[", f);
    for (size_t i = 0; i < t->n_top; i++) {
        if (i) fputc(',', f);
        put_entry(f, a, t->top[i].id, t->top[i].logprob);
        fputc('}', f);
    }
    fputs("]}", f);
}

/* The most probable, and the token itself if it is none of them. */
static void put_map(FILE *f, const api_choices *a, const pith_token *t)
{
    int told = 0;
    fputc('{', f);
    for (size_t i = 0; i < t->n_top; i++) {
        told |= t->top[i].id == t->id;
        if (i) fputc(',', f);
        put_token(f, a, t->top[i].id);
        fputc(':', f);
        json_put_f32(f, t->top[i].logprob);
    }
    if (!told) {
        if (t->n_top) fputc(',', f);
        put_token(f, a, t->id);
        fputc(':', f);
        json_put_f32(f, t->logprob);
    }
    fputc('}', f);
}

static void put_logprob(FILE *f, const api_choices *a, const choice *h, const pith_token *t, int list)
{
    if (a->chat) put_chat_logprob(f, a, t);
    else if (list == 0) put_token(f, a, t->id);
    else if (list == 1) json_put_f32(f, t->logprob);
    else if (list == 2) put_map(f, a, t);
    else fprintf(f, "%zu", h->offset);
}

static size_t characters(const api_choices *a, int32_t id)
{
    size_t len, n = 0;
    char *s = token_text(a, id, &len);
    for (size_t i = 0; i < len; i++) n += ((unsigned char)s[i] & 0xc0) != 0x80;
    pith_free(s);
    return n;
}

static int is_eos(const api_choices *a, int32_t id)
{
    size_t n;
    const int32_t *eos = pith_model_eos(worker_model(a->w), &n);
    for (size_t i = 0; i < n && !a->s.request.ignore_eos; i++)
        if (eos[i] == id) return 1;
    return 0;
}

/* The token that ends a text is none of it. */
static int keep_logprob(const api_choices *a, choice *h, const pith_token *t)
{
    if (is_eos(a, t->id)) return 0;
    for (int i = 0; i < (a->chat ? 1 : LOGPROB_LISTS); i++) {
        char *b = NULL;
        size_t len = 0;
        FILE *f = memtext_open(&b, &len);
        if (!f) return -1;
        if (h->logprobs[i].len) fputc(',', f);
        put_logprob(f, a, h, t, i);
        int bad = memtext_close(f, &b) || append(&h->logprobs[i], b, len);
        free(b);
        if (bad) return -1;
    }
    if (!a->chat) h->offset += characters(a, t->id);
    return 0;
}

static void put_logprobs(FILE *f, const api_choices *a, const choice *h)
{
    static const char *const lists[] = {"{\"tokens\":[", "],\"token_logprobs\":[", "],\"top_logprobs\":[", "],\"text_offset\":["};
    if (!a->s.logprobs) {
        fputs(",\"logprobs\":null", f);
        return;
    }
    fputs(",\"logprobs\":", f);
    for (int i = 0; i < (a->chat ? 1 : LOGPROB_LISTS); i++) {
        const text *t = &h->logprobs[i];
        fputs(a->chat ? "{\"content\":[" : lists[i], f);
        if (t->len) fwrite(t->s, 1, t->len, f);
    }
    fputs(a->chat ? "],\"refusal\":null}" : "]}", f);
}

/* ---- bodies and events ---- */

static const char *const finishes[] = {"null", "\"stop\"", "\"length\"", "null"};

static size_t prompt_tokens(const api_choices *a)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n_prompts; i++) n += a->prompts[i].n ? a->prompts[i].n : 1;
    return n;
}

static void put_usage(FILE *f, const api_choices *a)
{
    size_t prompts = prompt_tokens(a), cached = 0;
    for (size_t i = 0; i < a->n_prompts; i++) cached += a->prompts[i].job.n_cached;
    fprintf(f, ",\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,\"total_tokens\":%zu,\"prompt_tokens_details\":{\"cached_tokens\":%zu}}",
            prompts, a->n_tokens, prompts + a->n_tokens, cached);
}

static void put_choice(FILE *f, const api_choices *a, size_t index)
{
    const choice *h = &a->choices[index];
    fprintf(f, "%s{\"index\":%zu,%s", index ? "," : "", index, a->chat ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"text\":");
    json_put_str(f, h->text.s ? h->text.s : "", h->text.len);
    if (a->chat) fputs(",\"refusal\":null}", f);
    put_logprobs(f, a, h);
    fprintf(f, ",\"finish_reason\":%s}", finishes[h->finish]);
}

static char *whole_body(const api_choices *a, size_t *len)
{
    char *b = NULL;
    FILE *f = memtext_open(&b, len);
    if (!f) return NULL;
    fwrite(a->head, 1, a->head_len, f);
    fputs(",\"choices\":[", f);
    for (size_t i = 0; i < a->n_prompts * a->s.n; i++) put_choice(f, a, i);
    fputc(']', f);
    put_usage(f, a);
    fputc('}', f);
    return memtext_close(f, &b) ? NULL : b;
}

typedef enum piece { FIRST, TEXT, LAST } piece;

static void put_event(FILE *f, const api_choices *a, const choice *h, piece what, const char *s, size_t len)
{
    static const char *const deltas[] = {"\"delta\":{\"role\":\"assistant\",\"content\":", "\"delta\":{\"content\":", "\"delta\":{"};
    fputs("data: ", f);
    fwrite(a->head, 1, a->head_len, f);
    fprintf(f, ",\"choices\":[{\"index\":%zu,%s", (size_t)(h - a->choices), a->chat ? deltas[what] : "\"text\":");
    if (what != LAST || !a->chat) json_put_str(f, s, len);
    if (a->chat) fputc('}', f);
    if (what == TEXT) put_logprobs(f, a, h);
    else fputs(",\"logprobs\":null", f);
    fprintf(f, ",\"finish_reason\":%s}]%s}\n\n", what == LAST ? finishes[h->finish] : "null", a->s.usage ? ",\"usage\":null" : "");
}

static void send_events(api_choices *a, choice *h, const pith_token *t, int first)
{
    char *b = NULL;
    size_t len = 0;
    FILE *f = memtext_open(&b, &len);
    if (!f) {
        fail(a, 503, "out of memory");
        return;
    }
    if (first && a->chat) put_event(f, a, h, FIRST, "", 0);
    if (h->text.len || h->logprobs[0].len) put_event(f, a, h, TEXT, h->text.s ? h->text.s : "", h->text.len);
    if (t->finish != PITH_FINISH_NONE) put_event(f, a, h, LAST, "", 0);
    h->text.len = 0;
    for (int i = 0; i < LOGPROB_LISTS; i++) h->logprobs[i].len = 0;
    if (memtext_close(f, &b)) fail(a, 503, "out of memory");
    else if (len) {
        static const http_field fields[] = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
        if (!a->begun) http_stream(a->c->x, "text/event-stream", fields, sizeof fields / sizeof *fields);
        a->begun = 1;
        http_send(a->c->x, b, len);
    }
    free(b);
}

/* ---- the ends ---- */

static void end_stream(api_choices *a)
{
    api_call *c = a->c;
    char *b = NULL;
    size_t len = 0;
    int failed = atomic_load(&a->failed);
    FILE *f = memtext_open(&b, &len);
    if (f && failed && *a->error) {
        size_t n = 0;
        char *body = api_error_body(http_path(c->x), a->status, a->error, NULL, NULL, &n);
        fprintf(f, "data: %s\n\n", body ? body : "{\"error\":{\"message\":\"out of memory\"}}");
        free(body);
    } else if (f && !failed) {
        if (a->s.usage) {
            fputs("data: ", f);
            fwrite(a->head, 1, a->head_len, f);
            fputs(",\"choices\":[]", f);
            put_usage(f, a);
            fputs("}\n\n", f);
        }
        fputs("data: [DONE]\n\n", f);
    }
    if (f && !memtext_close(f, &b) && len) http_send(c->x, b, len);
    free(b);
    http_end(c->x);
    api_done(c);
}

static void finish(api_choices *a)
{
    size_t len = 0;
    if (a->begun) {
        end_stream(a);
    } else if (!atomic_load(&a->failed)) {
        char *b = whole_body(a, &len);
        api_answer_json(a->c, b, len);
    } else if (a->status == 429) {
        api_fail(a->c, 429, NULL, "queue_full", "%s", a->error);
    } else {
        api_fail_job(a->c, a->error, a->status);
    }
}

static void release(api_choices *a, size_t n)
{
    if (atomic_fetch_sub(&a->left, n) == n) finish(a);
}

/* ---- from the worker ---- */

static int gone(void *ctx)
{
    const api_choices *a = ((const api_prompt *)ctx)->of;
    return atomic_load(&a->failed) || http_gone(a->c->x);
}

static int on_token(void *ctx, size_t answer, const pith_token *t)
{
    api_prompt *p = ctx;
    api_choices *a = p->of;
    choice *h = &a->choices[p->index * a->s.n + answer];
    int first = !h->begun, bad = 0;
    h->begun = 1;
    h->finish = t->finish;
    a->n_tokens++;
    http_count(a->c->x, 0, 1);
    if (first && a->s.echo) bad = append(&h->text, p->text, p->text_len);
    if (a->s.logprobs) bad |= keep_logprob(a, h, t);
    bad |= append(&h->text, t->text, t->len);
    if (bad) fail(a, 503, "out of memory");
    else if (a->s.stream) send_events(a, h, t, first);
    return atomic_load(&a->failed);
}

static void on_end(void *ctx, const char *error, int status)
{
    api_choices *a = ((api_prompt *)ctx)->of;
    if (error) fail(a, status, error);
    release(a, 1);
}

/* ---- from the handler ---- */

static void drop(void *own)
{
    api_choices *a = own;
    for (size_t i = 0; a->choices && i < a->n_prompts * a->s.n; i++) {
        free(a->choices[i].text.s);
        for (int k = 0; k < LOGPROB_LISTS; k++) free(a->choices[i].logprobs[k].s);
    }
    for (size_t i = 0; a->prompts && i < a->n_prompts; i++) {
        pith_tokens_free(&a->prompts[i].tokens);
        free(a->prompts[i].own);
        free(a->prompts[i].text);
    }
    free(a->choices);
    free(a->prompts);
    free(a->head);
    api_settings_free(&a->s);
}

api_choices *api_choices_new(api_call *c, int chat)
{
    api_choices *a = api_own(c, sizeof *a, drop);
    if (!a) return NULL;
    a->c = c;
    a->chat = chat;
    return a;
}

int api_choices_room(api_choices *a, size_t n)
{
    a->prompts = calloc(n, sizeof *a->prompts);
    if (!a->prompts) {
        api_fail(a->c, 503, NULL, NULL, "out of memory");
        return -1;
    }
    a->n_prompts = n;
    for (size_t i = 0; i < n; i++) a->prompts[i].of = a, a->prompts[i].index = i;
    return 0;
}

static int open_choices(api_choices *a)
{
    static const char *const objects[2][2] = {{"text_completion", "text_completion"}, {"chat.completion", "chat.completion.chunk"}};
    FILE *f = memtext_open(&a->head, &a->head_len);
    a->choices = calloc(a->n_prompts * a->s.n, sizeof *a->choices);
    if (!f) return -1;
    fprintf(f, "{\"id\":\"%s-%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", a->chat ? "chatcmpl" : "cmpl", http_id(a->c->x),
            objects[a->chat][a->s.stream], (long long)time(NULL));
    json_put_str(f, worker_name(a->w), strlen(worker_name(a->w)));
    fputs(",\"system_fingerprint\":\"pith-" PITH_VERSION "\"", f);
    return memtext_close(f, &a->head) || !a->choices ? -1 : 0;
}

void api_choices_start(api_choices *a)
{
    api_call *c = a->c;
    double timeout = server_settings(c->s)->timeout;
    if (open_choices(a)) {
        api_fail(c, 503, NULL, NULL, "out of memory");
        return;
    }
    http_count(c->x, prompt_tokens(a), 0);
    atomic_store(&a->left, a->n_prompts + 1);
    for (size_t i = 0; i < a->n_prompts; i++) {
        api_prompt *p = &a->prompts[i];
        p->job = (job){.kind = JOB_WRITE, .ctx = p, .gone = gone, .on_end = on_end, .arrived = http_began(c->x), .request = a->s.request,
                       .n = a->s.n, .on_token = on_token};
        /* When the first begins it is the call's turn: the others wait for their own kind. */
        p->job.deadline = timeout > 0 && i == 0 ? p->job.arrived + timeout : 0;
        p->job.request.ids = p->ids;
        p->job.request.n = p->n;
        p->job.request.sampling.seed += i * a->s.n;
        if (worker_put(a->w, &p->job) == 0) continue;
        char message[300];
        snprintf(message, sizeof message, "%.200s: the queue is full; try again in a moment", worker_name(a->w));
        fail(a, 429, message);
        release(a, a->n_prompts - i);
        break;
    }
    release(a, 1);
}
