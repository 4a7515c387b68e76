/* OpenAI's protocol: chats, completions, the list of models. Here bodies become prompts; how they are to be answered is
 * api_settings.c's, the answer api_choices.c's. */
#define _POSIX_C_SOURCE 200809L
#include "server/api_choices.h"
#include "base/memtext.h"
#include <stdlib.h>
#include <string.h>

/* ---- members that are supported only where they ask for nothing ---- */

static int absent(json v) { return json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL; }

static int is(json v, const char *s) { return json_typeof(v) == JSON_STRING && strcmp(json_str(v), s) == 0; }

/* What says the same as nothing: null, "", [], the named word, {"type": the word}, ["the word"]. */
static int asks_nothing(json v, const char *word)
{
    if (absent(v)) return 1;
    if (json_typeof(v) == JSON_STRING) return !*json_str(v) || is(v, word);
    if (json_typeof(v) == JSON_OBJECT) return json_len(v) == 1 && is(json_get(v, "type"), word);
    return json_typeof(v) == JSON_ARRAY && (json_len(v) == 0 || (json_len(v) == 1 && is(json_first(v), word)));
}

static const struct {
    const char *name, *word, *instead;
} empties[] = {
    {"response_format", "text", "only {\"type\": \"text\"} is"},
    {"function_call", "none", "functions are not called here"},
    {"functions", "", "functions are not called here"},
    {"modalities", "text", "only text is written"},
    {"audio", "", "only text is written"},
    {"suffix", "", "text is only written after the prompt"},
};

/* Tools may be named where they are not to be called. */
static int check_tools(api_call *c)
{
    json tools = json_get(c->root, "tools"), choice = json_get(c->root, "tool_choice");
    int given = !absent(tools) && json_len(tools) > 0;
    if (is(choice, "none") || (!given && (absent(choice) || is(choice, "auto")))) return 0;
    api_fail(c, 400, given ? "tools" : "tool_choice", "unsupported_parameter",
             "tools are not called here; only \"tool_choice\": \"none\" is supported with them");
    return -1;
}

/* The best n of n are all of them. */
static int check_best(api_call *c)
{
    json best = json_get(c->root, "best_of"), n = json_get(c->root, "n");
    if (absent(best) || (json_typeof(best) == JSON_NUMBER && json_num(best) == (absent(n) ? 1 : json_num(n)))) return 0;
    api_fail(c, 400, "best_of", "unsupported_parameter", "best_of is not supported, but as the same number as n");
    return -1;
}

static int check_unsupported(api_call *c)
{
    for (size_t i = 0; i < sizeof empties / sizeof *empties; i++) {
        if (asks_nothing(json_get(c->root, empties[i].name), empties[i].word)) continue;
        api_fail(c, 400, empties[i].name, "unsupported_parameter", "this %s is not supported: %s", empties[i].name, empties[i].instead);
        return -1;
    }
    return check_tools(c) || check_best(c) ? -1 : 0;
}

/* ---- chats ---- */

/* A member of the body as it was sent. */
static const char *member_of_body(const api_call *c, const char *name, size_t *member_len)
{
    size_t len;
    const char *body = http_body(c->x, &len);
    return json_raw_member(body, len, name, member_len);
}

static int bad_messages(api_call *c)
{
    api_fail(c, 400, "messages", NULL, "%s", c->e.msg);
    return -1;
}

/* Contents are text, or parts that are text; *parts: some are. */
static int check_messages(api_call *c, json list, int *parts)
{
    if (json_typeof(list) != JSON_ARRAY || !json_first(list).node) {
        json_expected(list, "an array of messages, at least one", &c->e);
        return bad_messages(c);
    }
    for (json m = json_first(list); m.node; m = json_next(m)) {
        json content = json_get(m, "content");
        const char *role, *s;
        if (json_typeof(m) != JSON_OBJECT) json_expected(m, "an object with role and content", &c->e);
        else if (json_get_str(m, "role", &role, &c->e)) {}
        else if (json_typeof(content) != JSON_ARRAY) json_opt_str(m, "content", "", &s, &c->e);
        else *parts = 1;
        for (json p = json_first(content); p.node && !*c->e.msg; p = json_next(p)) {
            if (!is(json_get(p, "type"), "text")) json_expected(p, "a part with \"type\": \"text\"", &c->e);
            else json_get_str(p, "text", &s, &c->e);
        }
        if (*c->e.msg) return bad_messages(c);
    }
    return 0;
}

/* Templates expect text: the parts of a content are joined, a line each. All else stays as it is. */
typedef struct joining {
    FILE *f;
    json message, content; /* where we are in the list */
    int first;
    int lost; /* memory */
} joining;

/* -1: memory. */
static int put_joined(FILE *f, json parts)
{
    char *b = NULL;
    size_t len = 0;
    FILE *t = memtext_open(&b, &len);
    if (!t) return -1;
    for (json p = json_first(parts); p.node; p = json_next(p)) {
        if (p.node != json_first(parts).node) fputc('\n', t);
        fputs(json_str(json_get(p, "text")), t);
    }
    if (memtext_close(t, &b)) return -1;
    json_put_str(f, b, len);
    free(b);
    return 0;
}

static void join_member(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    joining *j = ctx;
    fprintf(j->f, "%s\"%.*s\":", j->first ? "" : ",", (int)key_len, key);
    j->first = 0;
    if (json_typeof(j->content) == JSON_ARRAY && key_len == 7 && memcmp(key, "content", 7) == 0) j->lost |= put_joined(j->f, j->content);
    else fwrite(value, 1, len, j->f);
}

static void join_message(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    joining *j = ctx;
    (void)key, (void)key_len;
    fputs(j->first ? "[{" : ",{", j->f);
    j->first = 1;
    j->content = json_get(j->message, "content");
    json_raw_members(value, len, join_member, j);
    fputc('}', j->f);
    j->message = json_next(j->message);
    j->first = 0;
}

/* The messages as JSON text, malloc'ed; NULL after api_fail. */
static char *messages_of(api_call *c, size_t *len)
{
    size_t raw_len;
    const char *raw = member_of_body(c, "messages", &raw_len);
    int parts = 0;
    char *b = NULL;
    json_doc *d = raw ? json_parse("messages", raw, raw_len, &c->e) : NULL;
    if (!d) {
        api_fail(c, 400, "messages", NULL, "%s", raw ? c->e.msg : "messages is missing: an array of {\"role\": ..., \"content\": ...}");
        return NULL;
    }
    if (check_messages(c, json_root(d), &parts) == 0) {
        FILE *f = memtext_open(&b, len);
        joining j = {.f = f, .message = json_first(json_root(d)), .first = 1};
        if (f && parts) json_raw_items(raw, raw_len, join_message, &j), fputc(']', f);
        else if (f) fwrite(raw, 1, raw_len, f);
        int lost = !f || memtext_close(f, &b);
        if (lost || j.lost) {
            free(b);
            b = NULL;
            api_fail(c, 503, NULL, NULL, "out of memory");
        }
    }
    json_free(d);
    return b;
}

static int fits(api_choices *a, const api_prompt *p)
{
    size_t most = worker_context(a->w);
    if (p->n < most) return 0;
    api_fail(a->c, 400, a->chat ? "messages" : "prompt", "context_length_exceeded",
             "the context of this model is %zu tokens, the answer included, but the %s %zu; shorten %s", most,
             a->chat ? "messages have" : "prompt has", p->n, a->chat ? "them" : "it");
    return -1;
}

/* The template's own variables, malloc'ed; NULL: none. */
static int variables_of(api_call *c, char **out)
{
    static const char name[] = "chat_template_kwargs";
    size_t len;
    const char *raw = member_of_body(c, name, &len);
    json v = json_get(c->root, name);
    *out = NULL;
    if (absent(v)) return 0;
    if (json_typeof(v) == JSON_OBJECT && raw && (*out = strndup(raw, len))) return 0;
    json_expected(v, "an object", &c->e);
    api_fail(c, 400, name, NULL, "%s", c->e.msg);
    return -1;
}

/* No special token is read in what the messages say: nobody can forge a turn. */
static int chat_prompt(api_choices *a)
{
    api_call *c = a->c;
    api_prompt *p = a->prompts;
    pith_prompt text = {0};
    size_t len = 0;
    char *variables, *messages;
    if (variables_of(c, &variables)) return -1;
    if (!(messages = messages_of(c, &len))) {
        free(variables);
        return -1;
    }
    pith_template_options o = {.variables = variables};
    int bad = pith_template_render(worker_template(a->w), messages, len, &o, &text, &c->e);
    if (!bad) {
        pith_tokenize_options t = {.no_special = 1, .foreign = text.foreign, .n_foreign = text.n_foreign};
        bad = pith_tokenize(pith_model_tokenizer(worker_model(a->w)), text.text, text.len, NULL, 0, &t, &p->tokens, &c->e);
    }
    pith_prompt_free(&text);
    free(messages);
    free(variables);
    if (bad) return bad_messages(c);
    p->ids = p->tokens.ids;
    p->n = p->tokens.n;
    return fits(a, p);
}

/* The model that the body names: one that writes and reads text. */
static int choose(api_choices *a)
{
    api_call *c = a->c;
    worker *w = api_model(c, JOB_WRITE);
    if (!w) return -1; /* and a is gone */
    a->w = w;
    if (pith_model_tokenizer(worker_model(w))) return 0;
    api_fail(c, 400, "model", NULL, "the model '%.200s' has no tokenizer", worker_name(w));
    return -1;
}

#define WRITING                                                                                                           \
    "max_tokens", "temperature", "top_p", "n", "stream", "stream_options", "stop", "seed", "logprobs", "presence_penalty", \
        "frequency_penalty", "logit_bias", "top_k", "min_p", "typical_p", "repetition_penalty", "ignore_eos"
static const char *const ignored[] = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
                                      "prompt_cache_retention", "parallel_tool_calls", NULL};

void api_openai_chat(api_call *c)
{
    static const char *const known[] = {WRITING, "messages", "max_completion_tokens", "top_logprobs", "chat_template_kwargs", "response_format",
                                        "tools", "tool_choice", "functions", "function_call", "modalities", "audio", NULL};
    api_choices *a = api_choices_new(c, 1);
    if (!a || api_known(c, known, ignored) || check_unsupported(c) || choose(a)) return;
    if (!worker_template(a->w)) {
        api_fail(c, 400, "model", NULL, "the model '%.100s' has no chat template, so it cannot chat (%s); use /v1/completions", worker_name(a->w),
                 worker_template_error(a->w));
        return;
    }
    if (api_settings_read(c, a->w, 1, &a->s) || api_choices_room(a, 1) || chat_prompt(a)) return;
    api_choices_start(a);
}

/* ---- completions ---- */

static int bad_prompt(api_call *c)
{
    api_fail(c, 400, "prompt", NULL, "%s", c->e.msg);
    return -1;
}

static int text_prompt(api_choices *a, api_prompt *p, const char *s)
{
    size_t len = strlen(s);
    if (pith_tokenize(pith_model_tokenizer(worker_model(a->w)), s, len, NULL, 0, NULL, &p->tokens, &a->c->e)) return bad_prompt(a->c);
    p->ids = p->tokens.ids;
    p->n = p->tokens.n;
    if (!a->s.echo) return fits(a, p);
    p->text = strdup(s);
    p->text_len = len;
    if (p->text) return fits(a, p);
    api_fail(a->c, 503, NULL, NULL, "out of memory");
    return -1;
}

static int ids_prompt(api_choices *a, api_prompt *p, json list)
{
    const pith_model *m = worker_model(a->w);
    uint64_t id;
    p->n = json_len(list);
    p->ids = p->own = malloc((p->n + 1) * sizeof *p->own);
    if (!p->own) {
        api_fail(a->c, 503, NULL, NULL, "out of memory");
        return -1;
    }
    size_t i = 0;
    for (json v = json_first(list); v.node; v = json_next(v)) {
        if (json_as_size(v, 0, pith_model_vocab_size(m) - 1, &id, &a->c->e)) return bad_prompt(a->c);
        p->own[i++] = (int32_t)id;
    }
    if (a->s.echo && pith_detokenize(pith_model_tokenizer(m), p->own, p->n, 1, &p->text, &p->text_len, &a->c->e)) return bad_prompt(a->c);
    return fits(a, p);
}

/* A text, texts, ids, or lists of ids. */
static int prompts(api_choices *a)
{
    api_call *c = a->c;
    json v = json_get(c->root, "prompt"), first = json_first(v);
    json_type of = json_typeof(first);
    size_t n = json_typeof(v) == JSON_ARRAY && of != JSON_NUMBER ? json_len(v) : 1, most = server_settings(c->s)->max_queue;
    if (json_typeof(v) != JSON_STRING && of != JSON_NUMBER && of != JSON_STRING && of != JSON_ARRAY) {
        json_expected(v, "a text, an array of texts, of token ids, or of arrays of token ids", &c->e);
        return bad_prompt(c);
    }
    if (n > most) {
        api_fail(c, 400, "prompt", NULL, "%zu prompts are more than the queue takes, %zu", n, most);
        return -1;
    }
    if (api_choices_room(a, n)) return -1;
    if (json_typeof(v) == JSON_STRING) return text_prompt(a, a->prompts, json_str(v));
    if (of == JSON_NUMBER) return ids_prompt(a, a->prompts, v);
    for (size_t i = 0; i < n; i++, first = json_next(first)) {
        if (json_typeof(first) != of) {
            json_expected(first, of == JSON_STRING ? "a text, as the first is" : "an array of token ids, as the first is", &c->e);
            return bad_prompt(c);
        }
        if (of == JSON_STRING ? text_prompt(a, &a->prompts[i], json_str(first)) : ids_prompt(a, &a->prompts[i], first)) return -1;
    }
    return 0;
}

void api_openai_completions(api_call *c)
{
    static const char *const known[] = {WRITING, "prompt", "echo", "best_of", "suffix", "response_format", NULL};
    api_choices *a = api_choices_new(c, 0);
    if (!a || api_known(c, known, ignored) || check_unsupported(c) || choose(a) || api_settings_read(c, a->w, 0, &a->s) || prompts(a))
        return;
    api_choices_start(a);
}

/* ---- models ---- */

static void put_model(FILE *f, const api_call *c, const worker *w)
{
    fputs("{\"id\":", f);
    json_put_str(f, worker_name(w), strlen(worker_name(w)));
    fprintf(f, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"pith\",\"max_model_len\":%zu}", (long long)server_started(c->s), worker_context(w));
}

void api_openai_models(api_call *c)
{
    char *b = NULL;
    size_t len = 0;
    FILE *f = memtext_open(&b, &len);
    int any = 0;
    if (f) {
        fputs("{\"object\":\"list\",\"data\":[", f);
        for (size_t i = 0; i < server_models(c->s); i++) {
            const worker *w = server_worker(c->s, i);
            if (!w) continue;
            if (any++) fputc(',', f);
            put_model(f, c, w);
        }
        fputs("]}", f);
        memtext_close(f, &b);
    }
    api_answer_json(c, b, len);
}

void api_openai_model(api_call *c)
{
    const char *name = http_path(c->x) + strlen("/v1/models/");
    char *b = NULL;
    size_t len = 0;
    for (size_t i = 0; i < server_models(c->s); i++) {
        const worker *w = server_worker(c->s, i);
        if (!w || strcmp(worker_name(w), name)) continue;
        FILE *f = memtext_open(&b, &len);
        if (f) put_model(f, c, w);
        if (f) memtext_close(f, &b);
        api_answer_json(c, b, len);
        return;
    }
    api_fail(c, 404, "model", "model_not_found", "the model '%.200s' is not served here; GET /v1/models lists those that are", name);
}
