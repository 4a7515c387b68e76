#define _DEFAULT_SOURCE
#include "cli/emit.h"
#include "base/err.h"
#include "base/memtext.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int emit_format(const batch_opts *o, report_format *f)
{
    *f = (report_format)o->output_format;
    if (*f != REPORT_AUTO) return 0;
    *f = REPORT_TEXT;
    if (!o->output || strcmp(o->output, "-") == 0) return 0;
    report_format by = report_by_suffix(o->output);
    const char *name = strrchr(o->output, '/');
    if (by != REPORT_AUTO) *f = by;
    else if (strchr(name ? name : o->output, '.'))
        return cli_usage("%s: the suffix tells no format; say --output-format text, json, jsonl or csv", o->output);
    return 0;
}

int emit_open(emit *m, const batch_opts *o, const batch *b, int append, pith_err *e)
{
    m->session = b->model->session;
    m->options = &b->options;
    m->report.model = b->model->model;
    m->report.rows = b->rows;
    m->report.top_k = o->top_k;
    m->report.windows = o->long_text == PITH_LONG_WINDOW;
    m->report.errors = o->on_error == BATCH_NULL;
    m->report.words = m->explain;
    if (report_open(&m->report, e) || output_open(&m->out, o->output, append, e)) return -1;
    struct winsize w;
    if (m->report.format == REPORT_TEXT && isatty(fileno(m->out.f))) {
        m->report.colour = cli_colour(m->out.f);
        if (ioctl(fileno(m->out.f), TIOCGWINSZ, &w) == 0) m->report.width = w.ws_col;
    }
    return 0;
}

static int put(emit *m, FILE *f, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    if (m->put) return m->put(m->ctx, f, x, res, error, e);
    report_item item = {.row = x, .result = res, .error = error};
    pith_word *words = NULL;
    if (m->explain && res &&
        pith_explain(m->session, x->text, x->len, res->label, m->options, &words, &item.n_words, e)) {
        char where[900];
        return err_where(e, "%.480s", rows_where(m->report.rows, x, where, sizeof where));
    }
    item.words = words;
    int bad = report_put(&m->report, f, &item, e);
    pith_free(words);
    return bad;
}

int emit_row(emit *m, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    return put(m, m->out.f, x, res, error, e);
}

int emit_flush(emit *m, pith_err *e) { return m->out.f ? output_commit(&m->out, e) : 0; }

int emit_finish(emit *m, pith_err *e)
{
    if (m->report.n_dropped)
        cli_note("%llu rows have fields that the first row lacks, which have no column in csv (jsonl keeps them)",
                 (unsigned long long)m->report.n_dropped);
    return m->out.f && (report_finish(&m->report, m->out.f, e) || output_finish(&m->out, e)) ? -1 : 0;
}

void emit_close(emit *m)
{
    output_abort(&m->out);
    report_close(&m->report);
}

/* ---- resume ---- */

typedef struct extent {
    uint64_t rows;      /* complete ones, without a header */
    uint64_t first_end; /* of the first row; a header comes before it */
    uint64_t last, end; /* the last complete row, and where it ends */
} extent;

static void count(extent *x, uint64_t begin, uint64_t end)
{
    if (x->rows++ == 0) x->first_end = end;
    x->last = begin;
    x->end = end;
}

static int scan_lines(input *in, extent *x, pith_err *e)
{
    char *line;
    size_t len;
    for (;;) {
        uint64_t begin = in->taken;
        if (input_line(in, &line, &len)) {
            if (in->taken - begin == len) return 0; /* no LF: half a row */
            count(x, begin, in->taken);
        } else if (in->eof) {
            return 0;
        } else if (input_fill(in, e)) {
            return -1;
        }
    }
}

static int scan_csv(input *in, csv *c, int header, extent *x, pith_err *e)
{
    for (;;) {
        while (csv_next(c, e) > 0)
            if (header) header = 0;
            else count(x, c->begin, c->end);
        if (in->eof) return 0; /* a record without its LF is half a row */
        if (input_fill(in, e) || csv_feed(c, in->buf + in->pos, in->len - in->pos, e)) return -1;
        in->pos = in->len;
    }
}

static int scan(const emit *m, extent *x, pith_err *e)
{
    input in;
    csv c = {.sep = ',', .quoting = 1};
    if (input_open(&in, m->out.name, e)) return -1;
    int bad = m->report.format == REPORT_CSV ? scan_csv(&in, &c, !m->report.rows->spec.no_header && m->report.rows->spec.shard <= 1, x, e)
                                             : scan_lines(&in, x, e);
    csv_free(&c);
    input_close(&in);
    return bad;
}

typedef struct rewrite {
    emit *m;
    char *s;
    size_t n;
} rewrite;

static int rewrite_row(void *ctx, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    rewrite *w = ctx;
    FILE *f = memtext_open(&w->s, &w->n);
    if (!f) return err_nomem(e, 0, "a row");
    int bad = put(w->m, f, x, res, error, e);
    return memtext_close(f, &w->s) ? err_nomem(e, 0, "a row") : bad;
}

/* The next row of the input, written anew, is bytes [begin, end) of the output; 0, or -1. */
static int same_row(emit *m, batch *b, uint64_t number, uint64_t begin, uint64_t end, pith_err *e)
{
    rewrite w = {.m = m};
    size_t n = (size_t)(end - begin);
    int k = batch_one(b, rewrite_row, &w, e);
    char *there = k == 1 ? malloc(n ? n : 1) : NULL;
    if (k == 1 && !there) k = err_nomem(e, n, "a row");
    ssize_t got = there && w.n == n ? pread(fileno(m->out.f), there, n, (off_t)begin) : 0;
    if (got < 0) k = err_set(e, "%.700s: cannot read: %s", m->out.name, strerror(errno));
    int same = there && w.n == n && got == (ssize_t)n && memcmp(there, w.s, n) == 0;
    free(there);
    free(w.s);
    if (k < 0) return -1;
    if (same) return 0;
    return err_set(e, "%.700s: row %llu is not what this input, model and these options give, so it is no earlier part of "
                      "this run; remove the file or choose another --output", m->out.name, (unsigned long long)number);
}

int emit_resume(emit *m, batch *b, uint64_t *done, pith_err *e)
{
    extent x = {0};
    *done = 0;
    if (scan(m, &x, e)) return -1;
    if (x.rows && same_row(m, b, 1, 0, x.first_end, e)) return -1;
    for (uint64_t i = 2; i < x.rows; i++) {
        row skipped;
        int k = rows_next(b->rows, 1, &skipped, e);
        rows_drop(&skipped);
        if (k < 0) return -1;
        if (k == 0)
            return err_set(e, "%.700s: has %llu rows, but the input only %llu; it is no earlier part of this run", m->out.name,
                           (unsigned long long)x.rows, (unsigned long long)i - 1);
    }
    if (x.rows > 1 && same_row(m, b, x.rows, x.last, x.end, e)) return -1;
    b->n_rows = b->n_failed = b->n_truncated = b->n_tokens = b->n_replaced = b->n_empty = 0;
    *done = x.rows;
    return output_cut(&m->out, (off_t)x.end, e);
}
