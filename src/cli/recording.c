#define _POSIX_C_SOURCE 200809L
#include "cli/recording.h"
#include "base/err.h"
#include "base/json.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct recording {
    json_doc *doc; /* strings point into it */
    char *path;
    const char *by;
    recorded *at;
    size_t n;
};

/* ---- reading ---- */

/* An array of token ids; absent: none, unless it must be there. */
static int get_ids(json obj, const char *key, int required, const int32_t **out, size_t *n, pith_err *e)
{
    json list = json_get(obj, key);
    if (!list.node && !required) return 0;
    if (json_get_array(obj, key, &list, e)) return -1;
    size_t len = json_len(list), i = 0;
    if (len == 0 && required) return json_expected(list, "at least one token id", e);
    int32_t *ids = malloc((len ? len : 1) * sizeof *ids);
    if (!ids) return err_nomem(e, len * sizeof *ids, "token ids");
    *out = ids;
    for (json c = json_first(list); c.node; c = json_next(c), i++) {
        uint64_t id;
        if (json_as_size(c, 0, INT32_MAX, &id, e)) return -1;
        ids[i] = (int32_t)id;
    }
    *n = len;
    return 0;
}

static int as_float(json v, float *out, pith_err *e)
{
    double x = json_num(v);
    if (json_typeof(v) != JSON_NUMBER || !(fabs(x) <= (double)FLT_MAX)) return json_expected(v, "a number that a float holds", e);
    *out = (float)x;
    return 0;
}

/* One pair [id, value] of "top". */
static int as_pair(json v, int32_t *id, float *value, pith_err *e)
{
    uint64_t i;
    json first = json_first(v), second = json_next(first);
    if (json_typeof(v) != JSON_ARRAY || !second.node || json_next(second).node) return json_expected(v, "a pair [id, value]", e);
    if (json_as_size(first, 0, INT32_MAX, &i, e) || as_float(second, value, e)) return -1;
    *id = (int32_t)i;
    return 0;
}

static int get_numbers(json obj, recorded *x, pith_err *e)
{
    static const char *const keys[] = {"logits", "top", "hidden"};
    const char *key = NULL;
    json list = {0};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (!json_get(obj, keys[i]).node) continue;
        if (key) return json_expected(obj, "one of \"logits\", \"top\" and \"hidden\" and no two", e);
        key = keys[i];
    }
    if (!key) return json_expected(obj, "one of \"logits\", \"top\" and \"hidden\" in it", e);
    if (json_get_array(obj, key, &list, e)) return -1;
    size_t n = json_len(list), i = 0;
    if (n == 0) return json_expected(list, "at least one number", e);
    int pairs = strcmp(key, "top") == 0;
    float *value = malloc(n * sizeof *value);
    int32_t *id = pairs ? malloc(n * sizeof *id) : NULL;
    x->value = value;
    x->id = id;
    x->n = n;
    x->numbers = strcmp(key, "hidden") == 0 ? "hidden" : "logits";
    if (!value || (pairs && !id)) return err_nomem(e, n * sizeof *value, "recorded numbers");
    for (json c = json_first(list); c.node; c = json_next(c), i++)
        if (pairs ? as_pair(c, &id[i], &value[i], e) : as_float(c, &value[i], e)) return -1;
    return 0;
}

static int get_hash(json obj, recorded *x, pith_err *e)
{
    const char *hex;
    if (json_opt_str(obj, "hash", NULL, &hex, e)) return -1;
    if (!hex) return 0;
    if (strlen(hex) != 16 || strspn(hex, "0123456789abcdef") != 16)
        return json_expected(json_get(obj, "hash"), "16 hex digits", e);
    x->hash = strtoull(hex, NULL, 16);
    x->has_hash = 1;
    return 0;
}

static int get_prompt(json obj, recorded *x, pith_err *e)
{
    if (json_typeof(obj) != JSON_OBJECT) return json_expected(obj, "an object with \"prompt\", \"ids\" and \"logits\"", e);
    return json_opt_str(obj, "prompt", NULL, &x->prompt, e) || get_ids(obj, "ids", 1, &x->ids, &x->n_ids, e) ||
           get_numbers(obj, x, e) || get_hash(obj, x, e) || json_opt_str(obj, "label", NULL, &x->label, e) ||
           get_ids(obj, "new_ids", 0, &x->new_ids, &x->n_new, e) || json_opt_str(obj, "text", NULL, &x->text, e) ? -1 : 0;
}

static int parse(recording *r, pith_err *e)
{
    json root = json_root(r->doc), list;
    uint64_t version;
    if (json_opt_size(root, "version", 1, 1, 1, &version, e) || json_opt_str(root, "by", "", &r->by, e) ||
        json_get_array(root, "prompts", &list, e)) return -1;
    size_t n = json_len(list);
    if (n == 0) return json_expected(list, "at least one prompt", e);
    r->at = calloc(n, sizeof *r->at);
    if (!r->at) return err_nomem(e, n * sizeof *r->at, "prompts");
    r->n = n;
    size_t i = 0;
    for (json c = json_first(list); c.node; c = json_next(c), i++)
        if (get_prompt(c, &r->at[i], e)) return -1;
    return 0;
}

/* Takes doc, whatever comes of it. */
static recording *from_doc(json_doc *doc, const char *path, pith_err *e)
{
    recording *r = calloc(1, sizeof *r);
    if (!r) {
        json_free(doc);
        err_nomem(e, sizeof *r, "a recording");
        return NULL;
    }
    r->doc = doc;
    r->path = strdup(path);
    if (r->path ? !parse(r, e) : err_nomem(e, strlen(path), "a path") == 0) return r;
    recording_free(r);
    return NULL;
}

int recording_load(const char *path, recording **out, pith_err *e)
{
    const char *kind = NULL;
    *out = NULL;
    json_doc *doc = json_load_own(path, e);
    if (!doc) return -1;
    json root = json_root(doc);
    if (json_typeof(root) != JSON_OBJECT) json_expected(root, "an object", e);
    else if (json_get_str(root, "kind", &kind, e) == 0 && strcmp(kind, RECORDING_KIND) == 0)
        return (*out = from_doc(doc, path, e)) ? 0 : -1;
    json_free(doc);
    return kind ? 0 : -1;
}

static void drop(const void *p) { free((void *)(uintptr_t)p); }

void recording_free(recording *r)
{
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) {
        drop(r->at[i].ids);
        drop(r->at[i].value);
        drop(r->at[i].id);
        drop(r->at[i].new_ids);
    }
    free(r->at);
    free(r->path);
    json_free(r->doc);
    free(r);
}

const char *recording_path(const recording *r) { return r->path; }
const char *recording_by(const recording *r) { return r->by; }
int recording_by_pith(const recording *r) { return strncmp(r->by, "pith ", 5) == 0; }
size_t recording_count(const recording *r) { return r->n; }
const recorded *recording_at(const recording *r, size_t i) { return &r->at[i]; }

/* ---- writing ---- */

static void put_string(FILE *f, const char *key, const char *s)
{
    fprintf(f, ",\"%s\":", key);
    if (s) json_put_str(f, s, strlen(s));
    else fputs("null", f);
}

static void put_ids(FILE *f, const char *key, const int32_t *ids, size_t n)
{
    fprintf(f, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++) fprintf(f, i ? ",%ld" : "%ld", (long)ids[i]);
    putc(']', f);
}

void recording_begin(FILE *f, const char *model_type)
{
    fputs("{\"kind\":\"" RECORDING_KIND "\",\"version\":1", f);
    fprintf(f, ",\"by\":\"pith %s\"", pith_version());
    put_string(f, "model_type", model_type);
    fputs(",\n\"prompts\":[", f);
}

void recording_put(FILE *f, const recorded *x, int first)
{
    fputs(first ? "\n{\"prompt\":" : ",\n{\"prompt\":", f);
    if (x->prompt) json_put_str(f, x->prompt, strlen(x->prompt));
    else fputs("null", f);
    put_ids(f, "ids", x->ids, x->n_ids);
    if (x->has_hash) fprintf(f, ",\"hash\":\"%016llx\"", (unsigned long long)x->hash);
    fprintf(f, ",\"%s\":[", x->id ? "top" : x->numbers);
    for (size_t i = 0; i < x->n; i++) {
        if (i) putc(',', f);
        if (x->id) fprintf(f, "[%ld,", (long)x->id[i]);
        json_put_f32(f, x->value[i]);
        if (x->id) putc(']', f);
    }
    putc(']', f);
    if (x->label) put_string(f, "label", x->label);
    if (x->n_new) put_ids(f, "new_ids", x->new_ids, x->n_new);
    if (x->text) put_string(f, "text", x->text);
    putc('}', f);
}

void recording_end(FILE *f) { fputs("\n]}\n", f); }
