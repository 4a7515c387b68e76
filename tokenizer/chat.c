#define _POSIX_C_SOURCE 200809L
#include "tokenizer/chat.h"
#include "base/path.h"
#include "base/json.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct named {
    char *name;
    jinja_template *t; /* NULL: it does not parse */
    pith_err why;
} named;

struct chat {
    char *where; /* for messages */
    named *templates;
    size_t n, cap;
    jinja_var *tokens; /* name and text are malloc'ed */
    size_t n_tokens;
};

static char *copy_text(const char *s, pith_err *e)
{
    size_t n = strlen(s) + 1;
    char *c = malloc(n);
    if (!c) {
        err_nomem(e, n, s);
        return NULL;
    }
    return memcpy(c, s, n);
}

/* A whole file, malloc'ed. *text NULL and 0: it is not there. */
static int read_file(const char *path, char **text, size_t *len, pith_err *e)
{
    FILE *f = fopen(path, "rb");
    size_t cap = 1 << 14, n = 0;
    *text = NULL;
    if (!f) return errno == ENOENT || errno == ENOTDIR ? 0 : err_set(e, "%s: cannot open: %s", path, strerror(errno));
    char *p = malloc(cap);
    while (p) {
        n += fread(p + n, 1, cap - n, f);
        if (n < cap) break;
        char *more = cap > (size_t)1 << 30 ? NULL : realloc(p, cap * 2);
        if (!more) free(p);
        p = more;
        cap *= 2;
    }
    int bad = !p ? err_nomem(e, cap, path) : ferror(f) ? err_set(e, "%s: cannot read: %s", path, strerror(errno)) : 0;
    fclose(f);
    if (bad) {
        free(p);
        return -1;
    }
    *text = p;
    *len = n;
    return 0;
}

/* ---- templates ---- */

/* A template that does not parse only matters once it is asked for. */
static int add_template(chat *c, const char *name, const char *where, const char *text, size_t len, pith_err *e)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 4;
        named *more = realloc(c->templates, cap * sizeof *more);
        if (!more) return err_nomem(e, cap * sizeof *more, where);
        c->templates = more;
        c->cap = cap;
    }
    named *t = &c->templates[c->n];
    *t = (named){0};
    if (!(t->name = copy_text(name, e))) return -1;
    c->n++;
    t->t = jinja_parse(where, text, len, NULL, &t->why);
    return 0;
}

static int add_file(chat *c, const char *name, const char *path, pith_err *e)
{
    char *text;
    size_t len = 0;
    if (read_file(path, &text, &len, e)) return -1;
    int bad = text ? add_template(c, name, path, text, len, e) : 0;
    free(text);
    return bad;
}

/* "chat_template": a string, or a list of {name, template}. */
static int add_json(chat *c, json v, const char *where, pith_err *e)
{
    if (json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL) return 0;
    if (json_typeof(v) == JSON_STRING) return add_template(c, "default", where, json_str(v), strlen(json_str(v)), e);
    if (json_typeof(v) != JSON_ARRAY) return json_expected(v, "a string or a list of {name, template}", e);
    for (json item = json_first(v); item.node; item = json_next(item)) {
        const char *name, *text;
        if (json_get_str(item, "name", &name, e) || json_get_str(item, "template", &text, e) ||
            add_template(c, name, where, text, strlen(text), e))
            return -1;
    }
    return 0;
}

/* additional_chat_templates/NAME.jinja */
static int add_folder(chat *c, const char *dir, pith_err *e)
{
    char *folder = path_join(dir, "additional_chat_templates", e), *path;
    if (!folder) return -1;
    DIR *d = opendir(folder);
    int bad = 0;
    for (struct dirent *f; d && !bad && (f = readdir(d));) {
        size_t n = strlen(f->d_name);
        if (n < 7 || strcmp(f->d_name + n - 6, ".jinja") != 0) continue;
        if (!(path = path_join(folder, f->d_name, e))) bad = -1;
        char *name = bad ? NULL : copy_text(f->d_name, e);
        if (name) {
            name[n - 6] = 0;
            bad = add_file(c, name, path, e);
        } else {
            bad = -1;
        }
        free(name);
        free(path);
    }
    if (d) closedir(d);
    free(folder);
    return bad;
}

/* ---- special tokens ---- */

static int add_token(chat *c, const char *name, const char *text, pith_err *e)
{
    for (size_t i = 0; i < c->n_tokens; i++)
        if (strcmp(c->tokens[i].name, name) == 0) return 0; /* the first file wins */
    jinja_var *more = realloc(c->tokens, (c->n_tokens + 1) * sizeof *more);
    if (!more) return err_nomem(e, (c->n_tokens + 1) * sizeof *more, c->where);
    c->tokens = more;
    char *own_name = copy_text(name, e), *own = own_name ? copy_text(text, e) : NULL;
    if (!own) {
        free(own_name);
        return -1;
    }
    c->tokens[c->n_tokens++] = (jinja_var){.name = own_name, .text = own, .len = strlen(own)};
    return 0;
}

/* A string, or {"content": ...}; anything else defines nothing, as null does. */
static int add_token_json(chat *c, const char *name, json v, pith_err *e)
{
    if (json_typeof(v) == JSON_OBJECT) v = json_get(v, "content");
    return json_typeof(v) == JSON_STRING && json_str(v)[0] ? add_token(c, name, json_str(v), e) : 0;
}

static int add_tokens(chat *c, json config, pith_err *e)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (add_token_json(c, names[i], json_get(config, names[i]), e)) return -1;
    json extra = json_get(config, "extra_special_tokens");
    if (json_typeof(extra) != JSON_OBJECT) return 0;
    for (json v = json_first(extra); v.node; v = json_next(v))
        if (add_token_json(c, json_key(v), v, e)) return -1;
    return 0;
}

/* ---- opening ---- */

/* Parsed, if the file is there. */
static int load_json(const char *path, json_doc **d, pith_err *e)
{
    char *text;
    size_t len = 0;
    *d = NULL;
    if (read_file(path, &text, &len, e)) return -1;
    if (!text) return 0;
    *d = json_parse(path, text, len, e);
    free(text);
    return *d ? 0 : -1;
}

static int open_json(chat *c, const char *dir, const char *file, bool tokens, pith_err *e)
{
    char *path = path_join(dir, file, e);
    json_doc *d = NULL;
    int bad = !path || load_json(path, &d, e);
    if (!bad && d && tokens) bad = add_tokens(c, json_root(d), e);
    if (!bad && d && c->n == 0) bad = add_json(c, json_get(json_root(d), "chat_template"), path, e);
    json_free(d);
    free(path);
    return bad ? -1 : 0;
}

static int open_dir(chat *c, const char *dir, pith_err *e)
{
    char *path = path_join(dir, "chat_template.jinja", e);
    int bad = !path || add_file(c, "default", path, e);
    free(path);
    if (bad || add_folder(c, dir, e) || open_json(c, dir, "tokenizer_config.json", true, e) ||
        open_json(c, dir, "special_tokens_map.json", true, e) || open_json(c, dir, "chat_template.json", false, e))
        return -1;
    if (c->n) return 0;
    return err_set(e, "%s: no chat template (chat_template.jinja, or chat_template in tokenizer_config.json or "
                      "chat_template.json): a base model continues text, it does not chat", dir);
}

static chat *start(const char *where, pith_err *e)
{
    chat *c = calloc(1, sizeof *c);
    if (!c) err_nomem(e, sizeof *c, where);
    if (c && !(c->where = copy_text(where, e))) {
        free(c);
        return NULL;
    }
    return c;
}

/* A directory with one broken template is refused at once. */
static chat *checked(chat *c, int bad, pith_err *e)
{
    if (!bad && c->n == 1 && !c->templates[0].t) bad = err_set(e, "%s", c->templates[0].why.msg);
    if (!bad) return c;
    chat_close(c);
    return NULL;
}

chat *chat_open(const char *dir, pith_err *e)
{
    chat *c = start(dir, e);
    return c ? checked(c, open_dir(c, dir, e), e) : NULL;
}

chat *chat_open_file(const char *path, const char *bos, const char *eos, pith_err *e)
{
    chat *c = start(path, e);
    if (!c) return NULL;
    int bad = add_file(c, "default", path, e) || (bos && add_token(c, "bos_token", bos, e)) ||
              (eos && add_token(c, "eos_token", eos, e));
    if (!bad && c->n == 0) bad = err_set(e, "%s: cannot open: %s", path, strerror(ENOENT));
    return checked(c, bad, e);
}

void chat_close(chat *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->templates[i].name);
        jinja_free(c->templates[i].t);
    }
    for (size_t i = 0; i < c->n_tokens; i++) {
        free((void *)(uintptr_t)c->tokens[i].name);
        free((void *)(uintptr_t)c->tokens[i].text);
    }
    free(c->templates);
    free(c->tokens);
    free(c->where);
    free(c);
}

/* ---- rendering ---- */

static const named *find(const chat *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->templates[i].name, name) == 0) return &c->templates[i];
    return NULL;
}

static const jinja_template *choose(const chat *c, const chat_options *o, pith_err *e)
{
    const named *t = o->name ? find(c, o->name) : o->tools ? find(c, "tool_use") : NULL;
    char names[400] = "";
    if (!t && !o->name) t = find(c, "default");
    if (t && t->t) return t->t;
    for (size_t i = 0, at = 0; i < c->n && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", c->templates[i].name);
    if (t) err_set(e, "%s", t->why.msg);
    else err_set(e, "%s: no chat template named %s; there are: %s", c->where, o->name ? o->name : "default", names);
    return NULL;
}

static void local_time(jinja_date *d)
{
    time_t now = time(NULL);
    struct tm t = {0};
    localtime_r(&now, &t);
    *d = (jinja_date){t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec};
}

/* The first character of JSON text decides what it is; the rest is checked when it is read. */
static int must_be_array(const char *what, const char *text, size_t len, pith_err *e)
{
    size_t i = 0;
    while (i < len && text[i] && strchr(" \t\r\n", text[i])) i++;
    if (i < len && text[i] == '[') return 0;
    return err_set(e, "%s: expected a JSON array%s", what, i == len ? ", found nothing" : "");
}

int chat_render(const chat *c, const char *messages, size_t len, const chat_options *o, jinja_result *out, pith_err *e)
{
    static const chat_options none = {0};
    jinja_date now;
    if (!o) o = &none;
    *out = (jinja_result){0};
    const jinja_template *t = choose(c, o, e);
    if (!t || must_be_array("messages", messages, len, e) || (o->tools && must_be_array("tools", o->tools, o->tools_len, e)))
        return -1;
    if (!o->now) local_time(&now);
    size_t n = c->n_tokens;
    jinja_var *v = malloc((n + 5) * sizeof *v);
    if (!v) return err_nomem(e, (n + 5) * sizeof *v, "the variables of a template");
    if (n) memcpy(v, c->tokens, n * sizeof *v);
    const char *yes = o->no_generation_prompt ? "false" : "true";
    if (o->variables) v[n++] = (jinja_var){.text = o->variables, .len = o->variables_len, .json = true};
    v[n++] = (jinja_var){.name = "messages", .text = messages, .len = len, .json = true, .foreign = true, .plain_key = "role"};
    v[n++] = (jinja_var){.name = "tools", .text = o->tools, .len = o->tools_len, .json = true, .foreign = true};
    v[n++] = (jinja_var){.name = "documents", .text = o->documents, .len = o->documents_len, .json = true, .foreign = true};
    v[n++] = (jinja_var){.name = "add_generation_prompt", .text = yes, .len = strlen(yes), .json = true};
    jinja_options jo = {.limits = o->limits, .now = o->now ? o->now : &now};
    int bad = jinja_render(t, v, n, &jo, out, e);
    free(v);
    return bad;
}
