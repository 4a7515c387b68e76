#define _POSIX_C_SOURCE 200809L
#include "cli/turns.h"
#include "base/err.h"
#include "base/json.h"
#include "cli/output.h"
#include "base/memtext.h"
#include <stdlib.h>
#include <string.h>

static char *copy(const char *s, size_t n)
{
    char *c = malloc(n + 1);
    if (!c) return NULL;
    if (n) memcpy(c, s, n);
    c[n] = 0;
    return c;
}

int turns_add(turns *t, const char *role, const char *content, size_t len, pith_err *e)
{
    if (t->n == t->cap) {
        size_t cap = 2 * t->cap + 16;
        turn *b = realloc(t->turn, cap * sizeof *b);
        if (!b) return err_nomem(e, cap * sizeof *b, "the conversation");
        t->turn = b;
        t->cap = cap;
    }
    turn x = {copy(role, strlen(role)), copy(content, len), len};
    if (!x.role || !x.content) {
        free(x.role);
        free(x.content);
        return err_nomem(e, len, "the conversation");
    }
    t->turn[t->n++] = x;
    return 0;
}

void turns_drop(turns *t, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        free(t->turn[i].role);
        free(t->turn[i].content);
    }
    if (to < t->n) memmove(t->turn + from, t->turn + to, (t->n - to) * sizeof *t->turn);
    t->n -= to - from;
}

void turns_cut(turns *t, size_t from) { turns_drop(t, from, t->n); }

int turns_has_system(const turns *t) { return t->n && strcmp(t->turn[0].role, "system") == 0; }

int turns_system(turns *t, const char *content, pith_err *e)
{
    if (turns_has_system(t)) turns_drop(t, 0, 1);
    if (!content || !*content) return 0;
    if (turns_add(t, "system", content, strlen(content), e)) return -1;
    turn last = t->turn[t->n - 1];
    memmove(t->turn + 1, t->turn, (t->n - 1) * sizeof *t->turn);
    t->turn[0] = last;
    return 0;
}

void turns_free(turns *t)
{
    if (t->turn) turns_cut(t, 0);
    free(t->turn);
    *t = (turns){0};
}

static void put(const turns *t, FILE *f)
{
    putc('[', f);
    for (size_t i = 0; i < t->n; i++) {
        fputs(i ? ",\n {\"role\":" : "{\"role\":", f);
        json_put_str(f, t->turn[i].role, strlen(t->turn[i].role));
        fputs(",\"content\":", f);
        json_put_str(f, t->turn[i].content, t->turn[i].len);
        putc('}', f);
    }
    fputs("]\n", f);
}

int turns_tokens(const turns *t, const pith_template *p, const pith_tokenizer *k, pith_tokens *out, pith_err *e)
{
    char *messages = NULL;
    size_t len = 0;
    pith_prompt prompt = {0};
    *out = (pith_tokens){0};
    FILE *f = memtext_open(&messages, &len);
    if (!f) return err_nomem(e, 0, "the conversation");
    put(t, f);
    int bad = memtext_close(f, &messages) ? err_nomem(e, len, "the conversation") : pith_template_render(p, messages, len, NULL, &prompt, e);
    if (!bad) {
        pith_tokenize_options o = {.no_special = 1, .foreign = prompt.foreign, .n_foreign = prompt.n_foreign};
        bad = pith_tokenize(k, prompt.text, prompt.len, NULL, 0, &o, out, e);
    }
    pith_prompt_free(&prompt);
    free(messages);
    return bad;
}

int turns_save(const turns *t, const char *path, pith_err *e)
{
    output o;
    int bad = output_open(&o, path, 0, e);
    if (!bad) {
        put(t, o.f);
        bad = output_finish(&o, e);
    }
    output_abort(&o);
    return bad;
}

int turns_load(turns *t, const char *path, pith_err *e)
{
    turns read = {0};
    json_doc *d = json_load_own(path, e);
    if (!d) return -1;
    json root = json_root(d);
    int bad = json_typeof(root) == JSON_ARRAY ? 0 : json_expected(root, "an array of messages", e);
    for (json c = json_first(root); c.node && !bad; c = json_next(c)) {
        const char *role, *content;
        if (json_typeof(c) != JSON_OBJECT) bad = json_expected(c, "an object with role and content", e);
        else bad = json_get_str(c, "role", &role, e) || json_get_str(c, "content", &content, e) ||
                           turns_add(&read, role, content, strlen(content), e)
                       ? -1
                       : 0;
    }
    json_free(d);
    if (bad) {
        turns_free(&read);
        return -1;
    }
    turns_free(t);
    *t = read;
    return 0;
}
