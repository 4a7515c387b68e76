#define _POSIX_C_SOURCE 200809L
#include "cli/report.h"
#include "base/err.h"
#include "base/json.h"
#include "base/memtext.h"
#include "cli/cli.h"
#include "cli/jtext.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

report_format report_by_suffix(const char *path)
{
    static const struct {
        const char *suffix;
        report_format format;
    } known[] = {{".jsonl", REPORT_JSONL}, {".ndjson", REPORT_JSONL}, {".json", REPORT_JSON}, {".csv", REPORT_CSV},
                 {".txt", REPORT_TEXT},    {".text", REPORT_TEXT}};
    size_t n = path ? strlen(path) : 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t k = strlen(known[i].suffix);
        if (n >= k && strcasecmp(path + n - k, known[i].suffix) == 0) return known[i].format;
    }
    return REPORT_AUTO;
}

int report_open(report *r, pith_err *e)
{
    size_t n = pith_model_n_labels(r->model);
    r->order = malloc((n ? n : 1) * sizeof *r->order);
    if (!r->order) return err_nomem(e, n * sizeof *r->order, "labels");
    for (size_t i = 0; i < n; i++) {
        size_t w = strlen(pith_model_label(r->model, i));
        if (w > r->label_width && w <= 32) r->label_width = w;
    }
    return 0;
}

void report_close(report *r)
{
    for (size_t i = 0; i < r->n_names; i++) {
        free(r->names[i]);
        if (r->keys) free(r->keys[i]);
    }
    free(r->names);
    free(r->keys);
    free(r->order);
    r->names = r->keys = NULL;
    r->order = NULL;
    r->n_names = 0;
}

/* The first `want` labels by score, best first, equal ones in label order; how many there are. Selection in place:
 * want is small, or the labels are few. */
static size_t best(const report *r, const float *scores, uint64_t want)
{
    size_t n = pith_model_n_labels(r->model), k = want < n ? (size_t)want : n;
    for (size_t i = 0; i < n; i++) r->order[i] = i;
    for (size_t i = 0; i < k; i++) {
        size_t top = i;
        for (size_t j = i + 1; j < n; j++) {
            float a = scores[r->order[j]], b = scores[r->order[top]];
            if (a > b || (!(a < b) && r->order[j] < r->order[top])) top = j;
        }
        size_t t = r->order[i];
        r->order[i] = r->order[top];
        r->order[top] = t;
    }
    return k;
}

/* ---- names that a row's own fields must not take ---- */

static int reserved(const report *r, const char *name)
{
    static const char *const always[] = {"label", "score", "scores", "logits", "n_tokens", "truncated"};
    for (size_t i = 0; !r->members && i < sizeof always / sizeof *always; i++)
        if (strcmp(name, always[i]) == 0) return 1;
    for (size_t i = 0; r->members && r->members[i]; i++)
        if (strcmp(name, r->members[i]) == 0) return 1;
    return (r->windows && strcmp(name, "windows") == 0) || (r->words && strcmp(name, "words") == 0) ||
           (r->errors && strcmp(name, "error") == 0);
}

/* ---- JSON ---- */

static void put_result(const report *r, FILE *f, const report_item *x)
{
    const pith_result *res = x->result;
    size_t n = pith_model_n_labels(r->model), k = n;
    const char *label = pith_model_label(r->model, (size_t)res->label);
    fputs("{\"label\":", f);
    json_put_str(f, label, strlen(label));
    fputs(",\"score\":", f);
    json_put_f32(f, res->scores[res->label]);
    fputs(",\"scores\":{", f);
    int sorted = r->top_k != 0 && r->top_k != UINT64_MAX;
    if (sorted) k = best(r, res->scores, r->top_k);
    for (size_t i = 0; i < k; i++) {
        size_t j = sorted ? r->order[i] : i;
        label = pith_model_label(r->model, j);
        if (i) putc(',', f);
        json_put_str(f, label, strlen(label));
        putc(':', f);
        json_put_f32(f, res->scores[j]);
    }
    fputs("},\"logits\":[", f);
    for (size_t i = 0; i < n; i++) {
        if (i) putc(',', f);
        json_put_f32(f, res->logits[i]);
    }
    fprintf(f, "],\"n_tokens\":%zu,\"truncated\":%s", res->n_tokens, res->truncated ? "true" : "false");
    if (r->windows && res->n_windows > 1) fprintf(f, ",\"windows\":%zu", res->n_windows);
}

static void put_words(FILE *f, const report_item *x)
{
    putc('[', f);
    for (size_t i = 0; i < x->n_words; i++) {
        const pith_word *w = &x->words[i];
        fprintf(f, "%s{\"begin\":%zu,\"end\":%zu,\"text\":", i ? "," : "", w->begin, w->end);
        json_put_str(f, x->row->text + w->begin, w->end - w->begin);
        fputs(",\"influence\":", f);
        json_put_f32(f, w->influence);
        putc('}', f);
    }
    putc(']', f);
}

typedef struct own {
    const report *r;
    FILE *f;
    const char *raw;
    size_t len;
    const char *told;
    int starved; /* memory */
} own;

typedef struct taken {
    const char *name;
    int found;
} taken;

static void is_taken(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    taken *t = ctx;
    (void)value, (void)len;
    if (strlen(t->name) == key_len && memcmp(t->name, key, key_len) == 0) t->found = 1;
}

static void put_own(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    own *o = ctx;
    size_t n = 0;
    char *name = jtext_decode(key, key_len, &n);
    if (!name) o->starved = 1;
    if (!name || (o->told && strcmp(name, o->told) == 0)) {
        free(name);
        return;
    }
    putc(',', o->f);
    if (strlen(name) == n && reserved(o->r, name)) {
        /* "input_label", with one more "input_" for every field of the row that is called so already. */
        char full[128];
        size_t k = (size_t)snprintf(full, sizeof full, "input_%s", name);
        for (taken t = {full, 1}; k + 6 < sizeof full;) {
            t.found = 0;
            json_raw_members(o->raw, o->len, is_taken, &t);
            if (!t.found) break;
            memmove(full + 6, full, k + 1);
            memcpy(full, "input_", 6);
            k += 6;
        }
        json_put_str(o->f, full, k);
    } else {
        putc('"', o->f);
        fwrite(key, 1, key_len, o->f);
        putc('"', o->f);
    }
    putc(':', o->f);
    fwrite(value, 1, len, o->f);
    free(name);
}

static int put_owns(const report *r, FILE *f, const row *x, pith_err *e)
{
    const char *told = x->text ? r->told : NULL; /* a row that failed has told nothing */
    if (x->raw) {
        own o = {r, f, x->raw, x->raw_len, told, 0};
        json_raw_members(x->raw, x->raw_len, put_own, &o);
        if (o.starved) return err_nomem(e, x->raw_len, "a row");
    }
    if (x->fields && x->n_fields == r->n_names)
        for (size_t i = 0; i < r->n_names; i++) {
            if (told && i == r->rows->text_at) continue;
            putc(',', f);
            json_put_str(f, r->names[i], strlen(r->names[i]));
            putc(':', f);
            json_put_str(f, x->fields[i].s, x->fields[i].len);
        }
    return 0;
}

static int put_json(const report *r, FILE *f, const report_item *x, pith_err *e)
{
    if (x->result) {
        put_result(r, f, x);
    } else {
        fputs("{\"label\":null,\"score\":null,\"scores\":null,\"logits\":null,\"n_tokens\":null,\"truncated\":null", f);
        fputs(",\"error\":", f);
        json_put_str(f, x->error, strlen(x->error));
    }
    if (r->words && x->result) {
        fputs(",\"words\":", f);
        put_words(f, x);
    }
    if (put_owns(r, f, x->row, e)) return -1;
    putc('}', f);
    return 0;
}

/* ---- own columns ---- */

static int has_name(const report *r, const char *name)
{
    for (size_t i = 0; i < r->n_names; i++)
        if (strcmp(r->names[i], name) == 0) return 1;
    return 0;
}

/* Adds a column under `name`, or one that is free. */
static int add_name(report *r, const char *name, size_t len, pith_err *e)
{
    size_t cap = len + 8;
    char *s = malloc(cap);
    if (!s) return err_nomem(e, cap, "a column");
    memcpy(s, name, len);
    s[len] = 0;
    while (reserved(r, s) || has_name(r, s)) {
        size_t n = strlen(s);
        char *t = malloc(n + 7);
        if (t) {
            memcpy(t, "input_", 6);
            memcpy(t + 6, s, n + 1);
        }
        free(s);
        if (!(s = t)) return err_nomem(e, n + 7, "a column");
    }
    char **more = realloc(r->names, (r->n_names + 1) * sizeof *more);
    if (!more) {
        free(s);
        return err_nomem(e, (r->n_names + 1) * sizeof *more, "columns");
    }
    r->names = more;
    r->names[r->n_names++] = s;
    return 0;
}

typedef struct keys {
    report *r;
    size_t n;
    int bad;
    pith_err *e;
} keys;

static void add_key(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    keys *k = ctx;
    size_t n = 0;
    (void)value, (void)len;
    if (k->bad) return;
    char *name = jtext_decode(key, key_len, &n), *raw = malloc(key_len + 1);
    char **more = realloc(k->r->keys, (k->n + 1) * sizeof *more);
    if (more) k->r->keys = more;
    if (!name || !raw || !more || add_name(k->r, name, strlen(name), k->e)) {
        k->bad = err_nomem(k->e, n + key_len, "a column");
        free(raw);
    } else {
        memcpy(raw, key, key_len);
        raw[key_len] = 0;
        k->r->keys[k->n++] = raw;
    }
    free(name);
}

/* Own columns: the file's; of JSONL those of the first row; a plain text is one called "text". */
static int find_names(report *r, const row *first, pith_err *e)
{
    r->headed = 1;
    switch (r->rows->format) {
    case ROWS_CSV:
    case ROWS_TSV:
        for (size_t i = 0; i < r->rows->n_columns; i++)
            if (add_name(r, r->rows->columns[i], strlen(r->rows->columns[i]), e)) return -1;
        return 0;
    case ROWS_JSONL: {
        keys k = {.r = r, .e = e};
        if (r->format == REPORT_CSV && first && first->raw) json_raw_members(first->raw, first->raw_len, add_key, &k);
        return k.bad;
    }
    default: return r->format == REPORT_CSV ? add_name(r, "text", 4, e) : 0;
    }
}

/* ---- CSV ---- */

static void put_header(const report *r, FILE *f)
{
    size_t n = pith_model_n_labels(r->model);
    if (r->rows->spec.no_header || r->rows->spec.shard > 1) return;
    for (size_t i = 0; i < r->n_names; i++) csv_put(f, i == 0, r->names[i], strlen(r->names[i]));
    fputs(r->n_names ? ",label,score" : "label,score", f);
    if (r->top_k == UINT64_MAX) {
        for (size_t i = 0; i < n; i++) {
            char name[300];
            int k = snprintf(name, sizeof name, "score_%.280s", pith_model_label(r->model, i));
            csv_put(f, 0, name, (size_t)k);
        }
    } else {
        for (size_t i = 2; i <= r->top_k && i <= n; i++) fprintf(f, ",label_%zu,score_%zu", i, i);
    }
    fputs(",n_tokens,truncated", f);
    if (r->windows) fputs(",windows", f);
    if (r->words) fputs(",words", f);
    if (r->errors) fputs(",error", f);
    putc('\n', f);
}

static void count_member(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    (void)key, (void)key_len, (void)value, (void)len;
    ++*(size_t *)ctx;
}

static int put_own_cells(report *r, FILE *f, const row *x, pith_err *e)
{
    size_t n_members = 0, n_found = 0;
    if (r->keys && x->raw) json_raw_members(x->raw, x->raw_len, count_member, &n_members);
    for (size_t i = 0; i < r->n_names; i++) {
        if (x->fields) {
            int there = i < x->n_fields;
            csv_put(f, i == 0, there ? x->fields[i].s : "", there ? x->fields[i].len : 0);
        } else if (r->keys) {
            size_t n = 0, len = 0;
            const char *value = x->raw ? json_raw_member(x->raw, x->raw_len, r->keys[i], &len) : NULL;
            n_found += value != NULL;
            const int string = value && value[0] == '"';
            char *s = string ? jtext_decode(value + 1, len - 2, &n) : NULL;
            if (string && !s) return err_nomem(e, len, "a row");
            if (s) csv_put(f, i == 0, s, n);
            else csv_put(f, i == 0, value ? value : "", len);
            free(s);
        } else {
            csv_put(f, i == 0, x->text ? x->text : "", x->text ? x->len : 0);
        }
    }
    r->n_dropped += n_members > n_found;
    return 0;
}

static int put_csv(report *r, FILE *f, const report_item *x, pith_err *e)
{
    const pith_result *res = x->result;
    size_t n = pith_model_n_labels(r->model), k = r->top_k == UINT64_MAX ? n : r->top_k ? (size_t)r->top_k : 1;
    if (put_own_cells(r, f, x->row, e)) return -1;
    if (k > n) k = n;
    if (res && r->top_k != UINT64_MAX) best(r, res->scores, k);
    for (size_t i = 0; i < (r->top_k == UINT64_MAX ? 1 : k); i++) {
        size_t j = !res ? 0 : r->top_k == UINT64_MAX ? (size_t)res->label : r->order[i];
        const char *label = res ? pith_model_label(r->model, j) : "";
        csv_put(f, r->n_names == 0 && i == 0, label, strlen(label));
        putc(',', f);
        if (res) json_put_f32(f, res->scores[j]);
    }
    for (size_t i = 0; i < n && r->top_k == UINT64_MAX; i++) {
        putc(',', f);
        if (res) json_put_f32(f, res->scores[i]);
    }
    if (res) fprintf(f, ",%zu,%s", res->n_tokens, res->truncated ? "true" : "false");
    else fputs(",,", f);
    if (r->windows && res) fprintf(f, ",%zu", res->n_windows);
    else if (r->windows) putc(',', f);
    if (r->words) {
        char *s = NULL;
        size_t len = 0;
        FILE *m = memtext_open(&s, &len);
        if (!m) return err_nomem(e, 0, "a row");
        if (res) put_words(m, x);
        if (memtext_close(m, &s)) return err_nomem(e, len, "a row");
        csv_put(f, 0, s, len);
        free(s);
    }
    if (r->errors) csv_put(f, 0, x->error ? x->error : "", x->error ? strlen(x->error) : 0);
    putc('\n', f);
    return 0;
}

/* ---- text ---- */

/* Bytes of s that fill `columns` columns of a terminal, one a code point; 0: all of it fits. */
static size_t fitting(const char *s, size_t len, size_t columns)
{
    size_t seen = 0, at_limit = 0;
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)s[i] & 0xc0) == 0x80) continue;
        if (seen == columns - 3) at_limit = i;
        if (++seen > columns) return at_limit;
    }
    return 0;
}

static void put_influences(const report *r, FILE *f, const report_item *x)
{
    if (!r->colour) {
        for (size_t i = 0; i < x->n_words; i++) {
            fprintf(f, "    %+.4f  ", (double)x->words[i].influence);
            cli_put_text(f, x->row->text + x->words[i].begin, x->words[i].end - x->words[i].begin, 0);
            putc('\n', f);
        }
        return;
    }
    float top = 0;
    for (size_t i = 0; i < x->n_words; i++) {
        float a = x->words[i].influence < 0 ? -x->words[i].influence : x->words[i].influence;
        if (a > top) top = a;
    }
    fputs("    ", f);
    for (size_t i = 0; i < x->n_words; i++) {
        const pith_word *w = &x->words[i];
        /* Green speaks for the label, red against it; bold where it is at least half of the strongest. */
        float a = w->influence < 0 ? -w->influence : w->influence;
        if (i) putc(' ', f);
        if (a >= top / 8 && a > 0) fprintf(f, "\033[%s%dm", a >= top / 2 ? "1;" : "", w->influence > 0 ? 32 : 31);
        cli_put_text(f, x->row->text + w->begin, w->end - w->begin, 0);
        if (a >= top / 8 && a > 0) fputs("\033[0m", f);
    }
    putc('\n', f);
}

/* Labels and scores, in columns; returns how many columns they took. */
static size_t put_labels(const report *r, FILE *f, const pith_result *res)
{
    size_t used = 0, k = best(r, res->scores, r->top_k ? r->top_k : 1);
    for (size_t i = 0; i < k; i++) {
        const char *label = pith_model_label(r->model, r->order[i]);
        size_t n = strlen(label), pad = n < r->label_width ? r->label_width - n : 0;
        cli_put_text(f, label, n, 0);
        used += n + (size_t)fprintf(f, "%*s  %.4f  ", (int)pad, "", (double)res->scores[r->order[i]]);
    }
    if (res->truncated) used += (size_t)fprintf(f, "[%zu of %zu tokens read] ", res->n_tokens, res->n_full);
    else if (res->n_windows > 1) used += (size_t)fprintf(f, "[%zu windows] ", res->n_windows);
    return used;
}

static void put_text(const report *r, FILE *f, const report_item *x)
{
    enum { LEAST = 24 }; /* columns of text that are shown on however narrow a terminal */
    const row *in = x->row;
    size_t used = 0, width = (size_t)r->width;
    if (x->result) {
        used = put_labels(r, f, x->result);
        if (in->len == 0) fputs("(an empty text)", f);
    } else {
        fprintf(f, "%-*s  -       (", (int)r->label_width, "null");
        cli_put_text(f, x->error, strlen(x->error), 0);
        fputs(")  ", f);
    }
    size_t columns = width > used + LEAST ? width - used : LEAST;
    if (in->text) cli_put_text(f, in->text, in->len, width ? fitting(in->text, in->len, columns) : 0);
    if (in->pair) {
        fputs(" | ", f);
        cli_put_text(f, in->pair, in->pair_len, width ? fitting(in->pair, in->pair_len, LEAST) : 0);
    }
    putc('\n', f);
    if (r->words && x->result) put_influences(r, f, x);
}

/* ---- all ---- */

int report_put(report *r, FILE *f, const report_item *x, pith_err *e)
{
    if (!r->headed) {
        if (find_names(r, x->row, e)) return -1;
        if (r->format == REPORT_CSV) put_header(r, f);
    }
    if (r->format == REPORT_JSON) fputs(r->n ? ",\n" : "[\n", f);
    r->n++;
    if (r->format == REPORT_CSV) return put_csv(r, f, x, e);
    if (r->format == REPORT_TEXT) {
        put_text(r, f, x);
        return 0;
    }
    if (put_json(r, f, x, e)) return -1;
    if (r->format == REPORT_JSONL) putc('\n', f);
    return 0;
}

int report_own(report *r, FILE *f, const row *x, pith_err *e)
{
    if (!r->headed && find_names(r, x, e)) return -1;
    return put_owns(r, f, x, e);
}

int report_finish(report *r, FILE *f, pith_err *e)
{
    if (r->format == REPORT_JSON) fputs(r->n ? "\n]\n" : "[]\n", f);
    if (r->headed) return 0;
    if (find_names(r, NULL, e)) return -1;
    if (r->format == REPORT_CSV) put_header(r, f);
    return 0;
}
