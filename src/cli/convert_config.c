#define _POSIX_C_SOURCE 200809L
#include "cli/convert_config.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int convert_config_read(convert_config *c, const char *dir, pith_err *e)
{
    *c = (convert_config){.path = path_join(dir, "config.json", e)};
    struct stat st;
    if (!c->path) return -1;
    if (stat(c->path, &st) || !S_ISREG(st.st_mode)) return 0;
    FILE *f = fopen(c->path, "rb");
    c->text = f ? malloc((size_t)st.st_size + 1) : NULL;
    int bad = !f || !c->text || (c->len = fread(c->text, 1, (size_t)st.st_size, f)) != (size_t)st.st_size;
    if (bad) err_set(e, "%.700s: cannot read: %s", c->path, strerror(errno ? errno : EIO));
    if (f) fclose(f);
    if (bad) convert_config_free(c);
    return bad ? -1 : 0;
}

static json_doc *parse(const convert_config *c, pith_err *e)
{
    json_doc *d = json_parse(c->path, c->text, c->len, e);
    if (d && json_typeof(json_root(d)) != JSON_OBJECT) {
        json_expected(json_root(d), "an object", e);
        json_free(d);
        return NULL;
    }
    return d;
}

int convert_config_untied(const convert_config *c, pith_err *e)
{
    if (!c->text) return 0;
    json_doc *d = parse(c, e);
    if (!d) return -1;
    json tie = json_get(json_root(d), "tie_word_embeddings");
    int untied = json_typeof(tie) == JSON_BOOL && !json_true(tie);
    json_free(d);
    return untied;
}

/* ---- dtype ---- */

typedef struct edits {
    struct { size_t begin, end; } *at; /* [n] of the text, ascending */
    size_t n;
    int nested, nomem;
    const char *text;
} edits;

static int is(const char *s, size_t len, const char *word) { return strlen(word) == len && memcmp(s, word, len) == 0; }

static int is_float_type(const char *s, size_t len)
{
    static const char *const names[] = {"float16", "bfloat16", "float32", "float64", "half", "float", "double"};
    if (len > 6 && memcmp(s, "torch.", 6) == 0) s += 6, len -= 6;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is(s, len, names[i])) return 1;
    return 0;
}

static void visit(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    edits *x = ctx;
    if (*value == '{' && !x->nested && key_len > 7 && memcmp(key + key_len - 7, "_config", 7) == 0 &&
        !is(key, key_len, "quantization_config")) {
        x->nested = 1;
        json_raw_members(value, len, visit, x);
        x->nested = 0;
        return;
    }
    if (!is(key, key_len, "torch_dtype") && !is(key, key_len, "dtype")) return;
    if (len < 2 || *value != '"' || !is_float_type(value + 1, len - 2)) return;
    void *more = realloc(x->at, (x->n + 1) * sizeof *x->at);
    if (!more) {
        x->nomem = 1;
        return;
    }
    x->at = more;
    x->at[x->n].begin = (size_t)(value + 1 - x->text);
    x->at[x->n++].end = (size_t)(value - x->text) + len - 1;
}

/* The text with every place replaced by name. */
static char *rewrite(const convert_config *c, const edits *x, const char *name, size_t *len)
{
    size_t n = strlen(name), from = 0;
    char *out = malloc(c->len + x->n * n + 1);
    *len = 0;
    for (size_t i = 0; out && i <= x->n; i++) {
        size_t to = i < x->n ? x->at[i].begin : c->len;
        memcpy(out + *len, c->text + from, to - from);
        *len += to - from;
        if (i == x->n) break;
        memcpy(out + *len, name, n);
        *len += n;
        from = x->at[i].end;
    }
    return out;
}

int convert_config_set_dtype(convert_config *c, const char *dtype, pith_err *e)
{
    if (!c->text) return 0;
    json_doc *d = parse(c, e);
    if (!d) return -1;
    json_free(d);
    edits x = {.text = c->text};
    json_raw_members(c->text, c->len, visit, &x);
    const char *name = strcmp(dtype, "F32") == 0 ? "float32" : strcmp(dtype, "F16") == 0 ? "float16" : "bfloat16";
    size_t len = 0;
    char *out = x.nomem ? NULL : rewrite(c, &x, name, &len);
    free(x.at);
    if (!out) return err_nomem(e, c->len, c->path);
    c->changed = len != c->len || memcmp(out, c->text, len) != 0;
    free(c->text);
    c->text = out;
    c->len = len;
    return 0;
}

void convert_config_free(convert_config *c)
{
    free(c->path);
    free(c->text);
    *c = (convert_config){0};
}
