#include "base/json.h"
#include "base/mem.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct json_doc {
    cJSON *root;
    char *name;
};

/* Length of the valid UTF-8 sequence at s[0..len), 0 if there is none (overlong, surrogate, above U+10FFFF). */
static size_t utf8_valid(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80) return 1;
    if (s[0] < 0xc2 || len < 2 || (s[1] & 0xc0) != 0x80) return 0;
    if (s[0] < 0xe0) return 2;
    if (len < 3 || (s[2] & 0xc0) != 0x80) return 0;
    if (s[0] < 0xf0) return (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ? 0 : 3;
    if (s[0] > 0xf4 || len < 4 || (s[3] & 0xc0) != 0x80) return 0;
    return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90) ? 0 : 4;
}

static void line_column(const char *text, size_t at, size_t *line, size_t *col)
{
    *line = *col = 1;
    for (size_t i = 0; i < at; i++) {
        (*col)++;
        if (text[i] == '\n') {
            (*line)++;
            *col = 1;
        }
    }
}

static int is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* Values inside values. cJSON calls itself for each, and threads of musl have 128 KB of stack. */
enum { DEPTH = 256 };

void json_use_mem(void) { cJSON_InitHooks(&(cJSON_Hooks){mem_alloc, mem_free}); }

json_doc *json_parse(const char *name, const char *text, size_t len, pith_err *e)
{
    size_t line, col, bad = 0, depth = 0;
    int quoted = 0;
    while (bad < len) {
        size_t n = utf8_valid((const unsigned char *)text + bad, len - bad);
        if (!n) {
            line_column(text, bad, &line, &col);
            err_set(e, "%s: line %zu, column %zu: not valid UTF-8", name, line, col);
            return NULL;
        }
        /* cJSON's strings end at a NUL: what stands behind one would be lost without a word. */
        if (text[bad] == '\\' && len - bad >= 6 && memcmp(text + bad, "\\u0000", 6) == 0) {
            line_column(text, bad, &line, &col);
            err_set(e, "%s: line %zu, column %zu: a string with \\u0000 is not supported", name, line, col);
            return NULL;
        }
        /* cJSON takes any for white space. */
        if ((unsigned char)text[bad] < 0x20 && (quoted || !is_space(text[bad]))) {
            line_column(text, bad, &line, &col);
            err_set(e, "%s: not valid JSON at line %zu, column %zu: a control character, 0x%02x%s", name, line, col, (unsigned)(unsigned char)text[bad],
                    quoted ? ", in a string: it must be escaped" : "");
            return NULL;
        }
        quoted ^= text[bad] == '"';
        if (!quoted && (text[bad] == '[' || text[bad] == '{') && ++depth > DEPTH) {
            line_column(text, bad, &line, &col);
            err_set(e, "%s: line %zu, column %zu: nested more than %d values deep", name, line, col, DEPTH);
            return NULL;
        }
        if (!quoted && depth && (text[bad] == ']' || text[bad] == '}')) depth--;
        bad += text[bad] == '\\' && bad + 1 < len && (unsigned char)text[bad + 1] < 0x80 ? 2 : n;
    }
    json_doc *d = mem_zero(1, sizeof *d);
    size_t name_len = strlen(name) + 1;
    if (!d || !(d->name = mem_alloc(name_len))) {
        mem_free(d);
        err_nomem(e, name_len + sizeof *d, name);
        return NULL;
    }
    memcpy(d->name, name, name_len);
    const char *end = NULL;
    int before = errno;
    errno = 0;
    d->root = cJSON_ParseWithLengthOpts(text, len, &end, 0);
    int starved = !d->root && errno == ENOMEM; /* else it would seem to be no JSON */
    errno = before;
    if (starved) {
        json_free(d);
        err_nomem(e, len, name);
        return NULL;
    }
    size_t at = end && end >= text ? (size_t)(end - text) : 0;
    if (d->root)
        while (at < len && is_space(text[at])) at++;
    if (!d->root || at < len) {
        line_column(text, at < len ? at : len, &line, &col);
        err_set(e, "%s: not valid JSON at line %zu, column %zu%s", name, line, col,
                d->root ? ": text after the end of the value" : len == 0 ? ": it is empty" : "");
        json_free(d);
        return NULL;
    }
    return d;
}

/* A value costs a node and a text a piece of memory of its own, however short they are. */
static int too_many(const char *path, const char *text, size_t len, size_t share, pith_err *e)
{
    enum { NODE = sizeof(cJSON) + 16, TEXT = 32, ROOM = 60000000 };
    size_t values = 1, texts = 0;
    int inside = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (inside && c == '\\') i++;
        else if (c == '"') texts += !(inside = !inside);
        else if (!inside) values += c == ',' || c == '[' || c == '{';
    }
    if (values <= (ROOM + share) / NODE && values * NODE + texts * TEXT <= ROOM + share) return 0;
    return err_set(e, "%s: %zu values in %zu bytes: no model's settings are so many; is it the right file?", path, values, len);
}

/* fifths: of its size, that it may take beyond what is common to all; 0: whatever it takes. */
static json_doc *load(const char *path, size_t fifths, pith_err *e)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        err_set(e, "%s: cannot open: %s", path, strerror(errno));
        return NULL;
    }
    size_t n = 0, cap = 1 << 16;
    char *text = mem_alloc(cap);
    while (text) {
        n += fread(text + n, 1, cap - n, f);
        if (n < cap) break;
        char *more = cap > (size_t)1 << 32 ? NULL : mem_resize(text, cap *= 2);
        if (!more) mem_free(text);
        text = more;
    }
    json_doc *d = NULL;
    if (!text)
        err_nomem(e, cap, path);
    else if (ferror(f))
        err_set(e, "%s: cannot read: %s", path, strerror(errno));
    else if (!fifths || !too_many(path, text, n, n / 5 * fifths, e))
        d = json_parse(path, text, n, e);
    mem_free(text);
    fclose(f);
    return d;
}

json_doc *json_load(const char *path, pith_err *e) { return load(path, 1, e); }
json_doc *json_load_vocabulary(const char *path, pith_err *e) { return load(path, 40, e); }
json_doc *json_load_own(const char *path, pith_err *e) { return load(path, 0, e); }

void json_free(json_doc *d)
{
    if (!d) return;
    cJSON_Delete(d->root);
    mem_free(d->name);
    mem_free(d);
}

json json_root(const json_doc *d) { return (json){d ? d->root : NULL, d}; }

json_type json_typeof(json v)
{
    if (!v.node) return JSON_NONE;
    switch (v.node->type & 0xff) {
    case cJSON_False:
    case cJSON_True: return JSON_BOOL;
    case cJSON_Number: return JSON_NUMBER;
    case cJSON_String: return JSON_STRING;
    case cJSON_Array: return JSON_ARRAY;
    case cJSON_Object: return JSON_OBJECT;
    default: return JSON_NULL;
    }
}

json json_get(json v, const char *key)
{
    json found = {NULL, v.doc};
    if (json_typeof(v) == JSON_OBJECT)
        for (const cJSON *c = v.node->child; c; c = c->next)
            if (strcmp(c->string, key) == 0) found.node = c;
    return found;
}

json json_first(json v)
{
    json_type t = json_typeof(v);
    return (json){t == JSON_ARRAY || t == JSON_OBJECT ? v.node->child : NULL, v.doc};
}
json json_next(json v) { return (json){v.node ? v.node->next : NULL, v.doc}; }

size_t json_len(json v)
{
    size_t n = 0;
    for (json c = json_first(v); c.node; c = json_next(c)) n++;
    return n;
}

const char *json_key(json v) { return v.node && v.node->string ? v.node->string : ""; }
const char *json_str(json v) { return json_typeof(v) == JSON_STRING ? v.node->valuestring : ""; }
double json_num(json v) { return json_typeof(v) == JSON_NUMBER ? v.node->valuedouble : 0; }
int json_true(json v) { return v.node && (v.node->type & 0xff) == cJSON_True; }

/* Writes the path of `target` below `at` into buf, "a.b[3].c"; only run when a message needs it. */
static int find_path(const cJSON *at, const cJSON *target, char *buf, size_t cap, size_t n)
{
    if (at == target) {
        buf[n] = 0;
        return 1;
    }
    int array = (at->type & 0xff) == cJSON_Array;
    size_t i = 0;
    for (const cJSON *c = at->child; c; c = c->next, i++) {
        int w = array ? snprintf(buf + n, cap - n, "[%zu]", i)
                      : snprintf(buf + n, cap - n, "%s%.100s", n ? "." : "", c->string ? c->string : "");
        if (w < 0 || (size_t)w >= cap - n) w = 0;
        if (find_path(c, target, buf, cap, n + (size_t)w)) return 1;
    }
    return 0;
}

static void path_of(json v, char *buf, size_t cap)
{
    buf[0] = 0;
    if (v.node && v.doc) find_path(v.doc->root, v.node, buf, cap, 0);
}

static void describe(json v, char *buf, size_t cap)
{
    switch (json_typeof(v)) {
    case JSON_NULL: snprintf(buf, cap, "null"); break;
    case JSON_BOOL: snprintf(buf, cap, "%s", json_true(v) ? "true" : "false"); break;
    case JSON_NUMBER: snprintf(buf, cap, "%.17g", json_num(v)); break;
    case JSON_STRING: snprintf(buf, cap, "\"%.60s\"", json_str(v)); break;
    case JSON_ARRAY: snprintf(buf, cap, "an array"); break;
    case JSON_OBJECT: snprintf(buf, cap, "an object"); break;
    default: snprintf(buf, cap, "nothing"); break;
    }
}

int json_expected(json v, const char *what, pith_err *e)
{
    char path[512], found[128];
    path_of(v, path, sizeof path);
    describe(v, found, sizeof found);
    return err_set(e, "%s: %s%sexpected %s, found %s", v.doc ? v.doc->name : "json", path, path[0] ? ": " : "", what,
                   found);
}

/* The member, which must be there; -1 with the path of what it is missing from. */
static int member(json obj, const char *key, json *out, pith_err *e)
{
    *out = json_get(obj, key);
    if (out->node) return 0;
    char path[512];
    path_of(obj, path, sizeof path);
    return err_set(e, "%s: %s%s%s is missing", obj.doc ? obj.doc->name : "json", path, path[0] ? "." : "", key);
}

int json_as_size(json v, uint64_t min, uint64_t max, uint64_t *out, pith_err *e)
{
    char what[96];
    /* 2^53: past it a double does not tell neighbours apart. */
    double d = json_num(v);
    if (json_typeof(v) != JSON_NUMBER || !(d >= (double)min) || !(d <= (double)max) || d != floor(d) ||
        d > 9007199254740992.0) {
        snprintf(what, sizeof what, "a whole number from %llu to %llu", (unsigned long long)min,
                 (unsigned long long)max);
        return json_expected(v, what, e);
    }
    *out = (uint64_t)d;
    return 0;
}

static int as_num(json v, double *out, pith_err *e)
{
    if (json_typeof(v) != JSON_NUMBER || !isfinite(json_num(v))) return json_expected(v, "a number", e);
    *out = json_num(v);
    return 0;
}
static int as_str(json v, const char **out, pith_err *e)
{
    if (json_typeof(v) != JSON_STRING) return json_expected(v, "a string", e);
    *out = json_str(v);
    return 0;
}
static int as_bool(json v, int *out, pith_err *e)
{
    if (json_typeof(v) != JSON_BOOL) return json_expected(v, "true or false", e);
    *out = json_true(v);
    return 0;
}

int json_get_size(json obj, const char *key, uint64_t min, uint64_t max, uint64_t *out, pith_err *e)
{
    json v;
    return member(obj, key, &v, e) ? -1 : json_as_size(v, min, max, out, e);
}
int json_get_num(json obj, const char *key, double *out, pith_err *e)
{
    json v;
    return member(obj, key, &v, e) ? -1 : as_num(v, out, e);
}
int json_get_str(json obj, const char *key, const char **out, pith_err *e)
{
    json v;
    return member(obj, key, &v, e) ? -1 : as_str(v, out, e);
}
int json_get_bool(json obj, const char *key, int *out, pith_err *e)
{
    json v;
    return member(obj, key, &v, e) ? -1 : as_bool(v, out, e);
}
int json_get_array(json obj, const char *key, json *out, pith_err *e)
{
    if (member(obj, key, out, e)) return -1;
    return json_typeof(*out) == JSON_ARRAY ? 0 : json_expected(*out, "an array", e);
}
int json_get_object(json obj, const char *key, json *out, pith_err *e)
{
    if (member(obj, key, out, e)) return -1;
    return json_typeof(*out) == JSON_OBJECT ? 0 : json_expected(*out, "an object", e);
}

static int absent(json v) { return json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL; }

int json_opt_size(json obj, const char *key, uint64_t min, uint64_t max, uint64_t def, uint64_t *out, pith_err *e)
{
    json v = json_get(obj, key);
    *out = def;
    return absent(v) ? 0 : json_as_size(v, min, max, out, e);
}
int json_opt_num(json obj, const char *key, double def, double *out, pith_err *e)
{
    json v = json_get(obj, key);
    *out = def;
    return absent(v) ? 0 : as_num(v, out, e);
}
int json_opt_str(json obj, const char *key, const char *def, const char **out, pith_err *e)
{
    json v = json_get(obj, key);
    *out = def;
    return absent(v) ? 0 : as_str(v, out, e);
}
int json_opt_bool(json obj, const char *key, int def, int *out, pith_err *e)
{
    json v = json_get(obj, key);
    *out = def;
    return absent(v) ? 0 : as_bool(v, out, e);
}

void json_put_str(FILE *f, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    putc('"', f);
    for (size_t i = 0; i < len;) {
        unsigned char c = p[i];
        size_t n = utf8_valid(p + i, len - i);
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", f);
        else if (c == '\t')
            fputs("\\t", f);
        else if (c == '\r')
            fputs("\\r", f);
        else if (c < 0x20 || c == 0x7f)
            fprintf(f, "\\u%04x", c);
        else if (!n)
            fputs("\xef\xbf\xbd", f);
        else
            fwrite(p + i, 1, n, f);
        i += n ? n : 1;
    }
    putc('"', f);
}

/* printf follows the locale of the program around us; JSON does not. */
static void put_number(FILE *f, char *buf)
{
    char *comma = strchr(buf, ',');
    if (comma) *comma = '.';
    fputs(buf, f);
}

void json_put_f32(FILE *f, float v)
{
    char buf[40];
    if (!isfinite(v)) {
        fputs("null", f);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, (double)v);
        if (strtof(buf, NULL) == v) break;
    }
    put_number(f, buf);
}

void json_put_f64(FILE *f, double v)
{
    char buf[40];
    if (!isfinite(v)) {
        fputs("null", f);
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(buf, sizeof buf, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) break;
    }
    put_number(f, buf);
}

static size_t skip_string(const char *t, size_t len, size_t i)
{
    for (i++; i < len && t[i] != '"'; i++)
        if (t[i] == '\\') i++;
    return i + 1;
}

static size_t skip_value(const char *t, size_t len, size_t i)
{
    size_t depth = 0;
    for (; i < len; i++) {
        if (t[i] == '"') {
            i = skip_string(t, len, i) - 1;
        } else if (t[i] == '{' || t[i] == '[') {
            depth++;
        } else if (t[i] == '}' || t[i] == ']' || t[i] == ',') {
            if (depth == 0) break;
            if (t[i] != ',') depth--;
        }
    }
    return i < len ? i : len;
}

void json_raw_members(const char *t, size_t len, json_raw_fn *fn, void *ctx)
{
    size_t i = 0;
    while (i < len && t[i] != '{') i++;
    for (i++; i < len;) {
        while (i < len && (is_space(t[i]) || t[i] == ',')) i++;
        if (i >= len || t[i] != '"') return;
        size_t key = i + 1, key_end = skip_string(t, len, i) - 1;
        for (i = key_end + 1; i < len && (is_space(t[i]) || t[i] == ':'); i++) {}
        size_t value = i, value_end;
        i = value_end = skip_value(t, len, i);
        while (value_end > value && is_space(t[value_end - 1])) value_end--;
        fn(ctx, t + key, key_end - key, t + value, value_end - value);
    }
}

typedef struct raw_member {
    const char *name, *value;
    size_t len;
} raw_member;

static void find_raw(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    raw_member *m = ctx;
    if (strlen(m->name) == key_len && memcmp(m->name, key, key_len) == 0) m->value = value, m->len = len;
}

const char *json_raw_member(const char *t, size_t len, const char *name, size_t *value_len)
{
    raw_member m = {name, NULL, 0};
    json_raw_members(t, len, find_raw, &m);
    *value_len = m.len;
    return m.value;
}

void json_raw_items(const char *t, size_t len, json_raw_fn *fn, void *ctx)
{
    size_t i = 0;
    while (i < len && t[i] != '[') i++;
    for (i++; i < len;) {
        while (i < len && (is_space(t[i]) || t[i] == ',')) i++;
        if (i >= len || t[i] == ']') return;
        size_t value = i, value_end;
        i = value_end = skip_value(t, len, i);
        while (value_end > value && is_space(t[value_end - 1])) value_end--;
        fn(ctx, NULL, 0, t + value, value_end - value);
    }
}
