#include "base/csv.h"
#include "base/mem.h"
#include <string.h>

enum { START, PLAIN, QUOTED, QUOTE_SEEN, CR_SEEN };

static int grow(void **p, size_t *cap, size_t need, size_t size, pith_err *e)
{
    if (need <= *cap) return 0;
    size_t c = *cap ? *cap : 64;
    while (c < need) {
        if (c > SIZE_MAX / 2) return err_nomem(e, need, "a CSV record");
        c *= 2;
    }
    void *q = c > SIZE_MAX / size ? NULL : mem_resize(*p, c * size);
    if (!q) return err_nomem(e, c, "a CSV record");
    *p = q;
    *cap = c;
    return 0;
}

int csv_feed(csv *r, const char *bytes, size_t n, pith_err *e)
{
    if (r->pos) {
        memmove(r->in, r->in + r->pos, r->len - r->pos);
        r->len -= r->pos;
        r->pos = 0;
    }
    if (n > SIZE_MAX - r->len) return err_nomem(e, n, "CSV input");
    if (grow((void **)&r->in, &r->cap, r->len + n, 1, e)) return -1;
    if (n) memcpy(r->in + r->len, bytes, n);
    r->len += n;
    return 0;
}

void csv_finish(csv *r) { r->finished = 1; }

static int end_field(csv *r, pith_err *e)
{
    if (grow((void **)&r->field, &r->field_cap, r->n_ends + 1, sizeof *r->field, e)) return -1;
    r->field[r->n_ends++].len = r->rec_len; /* where it ends, until its record does */
    r->state = START;
    return 0;
}

/* Points the fields into rec, which no longer moves. */
static int end_record(csv *r, pith_err *e)
{
    if (end_field(r, e)) return -1;
    size_t from = 0;
    for (size_t i = 0; i < r->n_ends; i++) {
        size_t end = r->field[i].len;
        r->field[i] = (csv_field){r->rec ? r->rec + from : "", end - from};
        from = end;
    }
    r->fields = r->field;
    r->n = r->n_ends;
    r->end = r->at;
    r->done = 1;
    return 0;
}

static void begin_record(csv *r)
{
    r->rec_len = r->n_ends = 0;
    r->state = START;
    r->begin = r->at;
    r->line = r->at_line + 1;
    r->done = 0;
}

static int put(csv *r, char c, pith_err *e)
{
    if (grow((void **)&r->rec, &r->rec_cap, r->rec_len + 1, 1, e)) return -1;
    r->rec[r->rec_len++] = c;
    return 0;
}

static char take(csv *r)
{
    char c = r->in[r->pos++];
    r->at++;
    if (c == '\n') r->at_line++;
    return c;
}

/* 0: the byte was used, -1: memory. A record that ended sets done. */
static int step(csv *r, char c, pith_err *e)
{
    if (r->state == QUOTED) {
        if (c != '"') return put(r, c, e);
        r->state = QUOTE_SEEN;
        return 0;
    }
    if (r->state == QUOTE_SEEN && c == '"') {
        r->state = QUOTED;
        return put(r, c, e);
    }
    if (r->state == CR_SEEN && c != '\n') { /* a CR on its own is text */
        r->state = PLAIN;
        if (put(r, '\r', e)) return -1;
    }
    if (c == '\n') {
        int blank = r->n_ends == 0 && r->rec_len == 0 && (r->state == START || r->state == CR_SEEN);
        if (!blank) return end_record(r, e);
        begin_record(r);
        return 0;
    }
    if (c == r->sep) return end_field(r, e);
    if (c == '\r') {
        r->state = CR_SEEN;
        return 0;
    }
    if (c == '"' && r->quoting && r->state == START) {
        r->state = QUOTED;
        return 0;
    }
    r->state = PLAIN; /* also text after a closing quote: kept, as other readers do */
    return put(r, c, e);
}

/* A byte order mark is no part of the first field. 0: it may still be coming. */
static int past_bom(csv *r)
{
    static const char bom[3] = {(char)0xef, (char)0xbb, (char)0xbf};
    size_t have = r->len - r->pos < 3 ? r->len - r->pos : 3;
    int is = memcmp(r->in ? r->in + r->pos : "", bom, have) == 0;
    if (is && have < 3 && !r->finished) return 0;
    if (is && have == 3) r->pos += 3, r->at += 3;
    r->bom_done = 1;
    begin_record(r);
    return 1;
}

int csv_next(csv *r, pith_err *e)
{
    if (!r->bom_done && !past_bom(r)) return 0;
    if (r->done) begin_record(r);
    while (r->pos < r->len) {
        if (step(r, take(r), e)) return -1;
        if (r->done) return 1;
    }
    if (!r->finished) return 0;
    if (r->state == QUOTED)
        return err_set(e, "line %llu: a quote opened in this record never closes", (unsigned long long)r->line);
    if (r->n_ends == 0 && r->rec_len == 0 && (r->state == START || r->state == CR_SEEN)) return 0;
    return end_record(r, e) ? -1 : 1;
}

void csv_free(csv *r)
{
    mem_free(r->in);
    mem_free(r->rec);
    mem_free(r->field);
    *r = (csv){.sep = r->sep, .quoting = r->quoting};
}

void csv_put(FILE *f, int first, const char *s, size_t len)
{
    if (!first) fputc(',', f);
    /* Else a record of one empty field would be a blank line, and what the first field begins with a byte order mark. */
    int quote = first && (len == 0 || (len >= 3 && !memcmp(s, "\xef\xbb\xbf", 3)));
    for (size_t i = 0; i < len && !quote; i++)
        quote = s[i] == ',' || s[i] == '"' || s[i] == '\n' || s[i] == '\r';
    if (!quote) {
        fwrite(s, 1, len, f);
        return;
    }
    fputc('"', f);
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '"') fputc('"', f);
        fputc(s[i], f);
    }
    fputc('"', f);
}
