#define _POSIX_C_SOURCE 200809L
#include "cli/rows.h"
#include "base/err.h"
#include "base/json.h"
#include "cli/jtext.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- which format ---- */

static int by_suffix(const char *path, rows_format *f, pith_err *e)
{
    static const struct {
        const char *suffix;
        rows_format format;
    } known[] = {{".jsonl", ROWS_JSONL}, {".ndjson", ROWS_JSONL}, {".csv", ROWS_CSV}, {".tsv", ROWS_TSV},
                 {".tab", ROWS_TSV}};
    *f = ROWS_TEXT;
    if (!path) return 0;
    size_t n = strlen(path);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t k = strlen(known[i].suffix);
        if (n >= k && strcasecmp(path + n - k, known[i].suffix) == 0) *f = known[i].format;
    }
    if (n >= 5 && strcasecmp(path + n - 5, ".json") == 0)
        return err_set(e, "%.700s: rows are read from jsonl, one object a line; say --format jsonl if that is what it holds, "
                          "else convert it: jq -c '.[]' FILE", path);
    return 0;
}

/* ---- names ---- */

/* "a, b, c" of n names, cut when it grows long. */
static void list_names(char *buf, size_t cap, char *const *names, size_t n)
{
    size_t k = 0;
    buf[0] = 0;
    for (size_t i = 0; i < n && k + 80 < cap; i++)
        k += (size_t)snprintf(buf + k, cap - k, "%s%.60s", i ? ", " : "", names[i]);
    if (k + 80 >= cap) snprintf(buf + k, cap - k, ", ...");
}

static int find_column(const rows *r, const char *name, const char *option, size_t *at, pith_err *e)
{
    char list[600];
    *at = SIZE_MAX;
    for (size_t i = 0; i < r->n_columns && *at == SIZE_MAX; i++)
        if (strcmp(r->columns[i], name) == 0) *at = i;
    if (r->spec.no_header) {
        char *end;
        unsigned long long k = *name >= '1' && *name <= '9' ? strtoull(name, &end, 10) : 0;
        if (k == 0 || *end || k > r->n_columns)
            return err_set(e, "%.700s: %s '%s': without a header columns are numbers, 1 to %zu here", r->in.name, option,
                           name, r->n_columns);
        *at = (size_t)k - 1;
    }
    if (*at != SIZE_MAX) return 0;
    list_names(list, sizeof list, r->columns, r->n_columns);
    return err_set(e, "%.700s: there is no column '%s' (%s); its columns are: %s", r->in.name, name, option, list);
}

static char *copy(const char *s, size_t len)
{
    char *p = malloc(len + 1);
    if (!p) return NULL;
    if (len) memcpy(p, s, len);
    p[len] = 0;
    return p;
}

/* A column's name, with its NUL: the header's, or "column_3". Returns its size; to may be NULL. */
static size_t column_name(const rows *r, size_t i, char *to)
{
    char number[32];
    csv_field f = r->csv.fields[i];
    if (r->spec.no_header || !f.len) f = (csv_field){number, (size_t)snprintf(number, sizeof number, "column_%zu", i + 1)};
    if (to) memcpy(to, f.s, f.len), to[f.len] = 0;
    return f.len + 1;
}

/* In one piece of memory: there may be very many. */
static int name_columns(rows *r, pith_err *e)
{
    size_t n = r->csv.n, bytes = n * sizeof *r->columns;
    for (size_t i = 0; i < n; i++) bytes += column_name(r, i, NULL);
    r->columns = malloc(bytes);
    if (!r->columns) return err_nomem(e, bytes, "columns");
    char *p = (char *)(r->columns + n);
    for (r->n_columns = 0; r->n_columns < n; r->n_columns++) {
        r->columns[r->n_columns] = p;
        p += column_name(r, r->n_columns, p);
    }
    return 0;
}

/* One record into r->csv: 1, 0 at the end, ROWS_WAIT, -1. */
static int next_record(rows *r, int wait, pith_err *e)
{
    for (;;) {
        int k = csv_next(&r->csv, e);
        if (k < 0) return err_where(e, "%.480s", r->in.name);
        if (k > 0) return 1;
        if (r->csv.finished) return 0;
        if (!wait && !input_ready(&r->in)) return ROWS_WAIT;
        if (input_fill(&r->in, e)) return -1;
        if (csv_feed(&r->csv, r->in.buf + r->in.pos, r->in.len - r->in.pos, e)) return -1;
        r->in.pos = r->in.len;
        if (r->in.eof) csv_finish(&r->csv);
    }
}

static int open_columns(rows *r, pith_err *e)
{
    const rows_spec *s = &r->spec;
    r->csv = (csv){.sep = r->format == ROWS_TSV ? '\t' : ',', .quoting = r->format == ROWS_CSV};
    int k = next_record(r, 1, e);
    if (k < 0) return -1;
    if (k == 0) {
        if (s->no_header) return 0;
        return err_set(e, "%.700s: it is empty, expected a header row with the names of the columns", r->in.name);
    }
    if (name_columns(r, e)) return -1;
    r->pending = s->no_header;
    const char *text = s->text ? s->text : s->no_header ? "1" : "text";
    if (!s->text && r->n_columns == 1) r->text_at = 0;
    else if (find_column(r, text, "--column", &r->text_at, e)) return -1;
    if (s->pair_name && find_column(r, s->pair_name, "--pair-column", &r->pair_at, e)) return -1;
    if (s->label && find_column(r, s->label, "--label-column", &r->label_at, e)) return -1;
    return 0;
}

/* Of a file of `total` bytes, where part i of n begins: total * i / n, which may be too large to compute so. */
static uint64_t part(uint64_t total, uint64_t i, uint64_t n) { return total / n * i + total % n * i / n; }

/* Does a row that begins there belong to another shard? Those before it are read all the same, and so keep their numbers. */
static int before(const rows *r, uint64_t at) { return r->spec.shards && at < r->begin; }
static int after(const rows *r, uint64_t at) { return r->spec.shards && at >= r->end; }

int rows_open(rows *r, const rows_spec *s, pith_err *e)
{
    *r = (rows){.spec = *s, .format = s->format, .text_at = SIZE_MAX, .pair_at = SIZE_MAX, .label_at = SIZE_MAX};
    r->in.fd = -1;
    if (s->texts) {
        r->format = ROWS_ARGS;
        return 0;
    }
    if (r->format == ROWS_AUTO && by_suffix(s->path, &r->format, e)) return -1;
    if (input_open(&r->in, s->path, e)) return -1;
    if (s->shards) {
        r->begin = part(r->in.total, s->shard - 1, s->shards);
        r->end = part(r->in.total, s->shard, s->shards);
    }
    if (s->shards && !r->in.regular) {
        rows_close(r);
        return err_set(e, "%.700s: only a file can be cut in shards, for its size must be known", s->path);
    }
    if ((r->format == ROWS_CSV || r->format == ROWS_TSV) && open_columns(r, e)) {
        rows_close(r);
        return -1;
    }
    return 0;
}

void rows_close(rows *r)
{
    input_close(&r->in);
    csv_free(&r->csv);
    free(r->columns);
    r->columns = NULL;
    r->n_columns = 0;
}

void rows_drop(row *x)
{
    for (size_t i = 0; i < sizeof x->own / sizeof *x->own; i++) free(x->own[i]);
    free(x->fault);
    *x = (row){0};
}

/* ---- the rows themselves ---- */

int rows_refuse(row *x, const char *msg, pith_err *e)
{
    x->text = NULL;
    x->fault = copy(msg, strlen(msg));
    return x->fault ? 0 : err_nomem(e, strlen(msg), "a message");
}

static int from_record(rows *r, row *x, pith_err *e)
{
    const csv *c = &r->csv;
    size_t bytes = c->n * (sizeof(csv_field) + 1);
    x->line = c->line;
    for (size_t i = 0; i < c->n; i++) bytes += c->fields[i].len;
    x->own[0] = malloc(bytes ? bytes : 1);
    if (!x->own[0]) return err_nomem(e, bytes, "a row");
    csv_field *f = (csv_field *)(void *)x->own[0];
    char *p = x->own[0] + c->n * sizeof *f;
    for (size_t i = 0; i < c->n; i++) { /* each NUL-terminated: labels are looked up as strings */
        size_t len = c->fields[i].len;
        if (len) memcpy(p, c->fields[i].s, len);
        p[len] = 0;
        f[i] = (csv_field){p, len};
        p += len + 1;
    }
    x->fields = f;
    x->n_fields = c->n;
    if (c->n != r->n_columns) {
        char msg[96];
        snprintf(msg, sizeof msg, "%zu fields, expected %zu as in the %s", c->n, r->n_columns,
                 r->spec.no_header ? "first row" : "header");
        return rows_refuse(x, msg, e);
    }
    x->text = f[r->text_at].s;
    x->len = f[r->text_at].len;
    if (r->pair_at != SIZE_MAX) x->pair = f[r->pair_at].s, x->pair_len = f[r->pair_at].len;
    if (r->label_at != SIZE_MAX) x->label = f[r->label_at].s;
    return 0;
}

/* What is looked for among the members of a JSON row. */
typedef struct wanted {
    const char *name[3]; /* text, pair, label; NULL: not wanted */
    const char *value[3];
    size_t len[3];
    char list[600]; /* the names that are there */
    size_t list_len;
    int starved; /* memory */
} wanted;

static void member(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    wanted *w = ctx;
    size_t n = 0;
    char *name = jtext_decode(key, key_len, &n);
    if (!name) {
        w->starved = 1;
        return;
    }
    for (int i = 0; i < 3; i++)
        if (w->name[i] && strlen(w->name[i]) == n && memcmp(w->name[i], name, n) == 0) /* last one wins, as elsewhere */
            w->value[i] = value, w->len[i] = len;
    if (w->list_len + 80 < sizeof w->list)
        w->list_len += (size_t)snprintf(w->list + w->list_len, sizeof w->list - w->list_len, "%s%.60s",
                                        w->list_len ? ", " : "", name);
    free(name);
}

/* The string behind wanted i into x->own[slot]; 1: a fault was noted. */
static int json_text(const wanted *w, int i, row *x, const char *option, const char **s, size_t *len, pith_err *e)
{
    char msg[900];
    if (!w->value[i]) {
        snprintf(msg, sizeof msg, "no field '%.80s' (%s); the row has: %s", w->name[i], option,
                 w->list_len ? w->list : "none");
        return rows_refuse(x, msg, e) ? -1 : 1;
    }
    int string = w->value[i][0] == '"', label = i == 2;
    if (!string && !(label && strchr("-0123456789", w->value[i][0]))) {
        snprintf(msg, sizeof msg, "field '%.80s': expected a string%s, found %s", w->name[i], label ? " or a number" : "",
                 jtext_kind(w->value[i], w->len[i]));
        return rows_refuse(x, msg, e) ? -1 : 1;
    }
    x->own[i + 1] = string ? jtext_decode(w->value[i] + 1, w->len[i] - 2, len) : copy(w->value[i], *len = w->len[i]);
    if (!x->own[i + 1]) return err_nomem(e, w->len[i], "a row");
    *s = x->own[i + 1];
    return 0;
}

static int from_json(rows *r, row *x, const char *line, size_t len, pith_err *e)
{
    pith_err why = {{0}};
    size_t unused;
    if (jtext_check(line, len, &why)) return rows_refuse(x, why.msg, e);
    size_t at = 0;
    while (line[at] == ' ' || line[at] == '\t' || line[at] == '\r') at++; /* to the value, which is there */
    if (line[at] != '{') {
        char msg[80];
        snprintf(msg, sizeof msg, "expected an object, found %s", jtext_kind(line + at, len - at));
        return rows_refuse(x, msg, e);
    }
    x->raw = x->own[0] = copy(line, len); /* only now: what is refused may be very long */
    if (!x->own[0]) return err_nomem(e, len, "a row");
    x->raw_len = len;
    wanted w = {.name = {r->spec.text ? r->spec.text : "text", r->spec.pair_name, r->spec.label}};
    json_raw_members(x->raw, len, member, &w);
    if (w.starved) return err_nomem(e, len, "a row");
    int k = json_text(&w, 0, x, "--field", &x->text, &x->len, e);
    if (!k && w.name[1]) k = json_text(&w, 1, x, "--pair-field", &x->pair, &x->pair_len, e);
    if (!k && w.name[2]) k = json_text(&w, 2, x, "--label-field", &x->label, &unused, e);
    return k < 0 ? -1 : 0;
}

static int is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return 0;
    return 1;
}

static int from_lines(rows *r, int wait, row *x, pith_err *e)
{
    char *line;
    size_t len;
    for (;;) {
        uint64_t at = r->in.taken;
        if (after(r, at)) return 0;
        while (!input_line(&r->in, &line, &len)) {
            if (r->in.eof) return 0;
            if (!wait && !input_ready(&r->in)) return ROWS_WAIT;
            if (input_fill(&r->in, e)) return -1;
        }
        if (r->in.line == 1 && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) line += 3, len -= 3;
        if (len && line[len - 1] == '\r') len--;
        if (r->format == ROWS_JSONL && is_blank(line, len)) continue;
        if (!before(r, at)) break;
        r->number++;
    }
    x->line = r->in.line;
    if (r->format == ROWS_JSONL) return from_json(r, x, line, len, e) ? -1 : 1;
    x->own[0] = copy(line, len);
    if (!x->own[0]) return err_nomem(e, len, "a row");
    x->text = x->own[0];
    x->len = len;
    return 1;
}

int rows_next(rows *r, int wait, row *x, pith_err *e)
{
    int k;
    *x = (row){0};
    if (r->format == ROWS_ARGS) {
        if (r->number >= r->spec.n_texts) return 0;
        x->line = r->number + 1;
        x->text = r->spec.texts[r->number];
        x->len = strlen(x->text);
        k = 1;
    } else if (r->format == ROWS_CSV || r->format == ROWS_TSV) {
        do {
            k = r->pending ? 1 : next_record(r, wait, e);
            r->pending = 0;
        } while (k == 1 && before(r, r->csv.begin) && ++r->number);
        if (k == 1 && after(r, r->csv.begin)) {
            r->pending = 1; /* and stays the next one */
            k = 0;
        }
        if (k == 1 && from_record(r, x, e)) k = -1;
    } else {
        k = from_lines(r, wait, x, e);
    }
    if (k == 1) {
        x->number = ++r->number;
        if (r->spec.pair && x->text) x->pair = r->spec.pair, x->pair_len = strlen(r->spec.pair);
    } else {
        rows_drop(x);
    }
    return k;
}

const char *rows_where(const rows *r, const row *x, char *buf, size_t cap)
{
    if (r->format == ROWS_ARGS) snprintf(buf, cap, "text %llu", (unsigned long long)x->number);
    else snprintf(buf, cap, "%.800s: line %llu", r->in.name, (unsigned long long)x->line);
    return buf;
}

double rows_done(const rows *r)
{
    if (r->format == ROWS_ARGS) return r->spec.n_texts ? (double)r->number / (double)r->spec.n_texts : 1;
    if (!r->in.total) return -1;
    uint64_t taken = r->format == ROWS_CSV || r->format == ROWS_TSV ? r->csv.at : r->in.taken;
    if (r->spec.shards) return taken <= r->begin || r->end == r->begin ? 0 : (double)(taken - r->begin) / (double)(r->end - r->begin);
    return (double)taken / (double)r->in.total;
}
