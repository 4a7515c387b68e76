/* CSV and TSV from any bytes, fed in pieces of any size: the pieces change nothing; and rows that are written and read again are the
 * same rows. */
#define _POSIX_C_SOURCE 200809L
#include "base/csv.h"
#include "fuzz.h"

/* Everything read, one after the other: fields end in 0xff, records in 0xfe; what they hold is escaped. */
typedef struct table {
    char *s;
    size_t n;
    int failed;
    uint64_t rows;
} table;

static void put(FILE *f, csv_field x)
{
    for (size_t i = 0; i < x.len; i++) {
        unsigned char c = (unsigned char)x.s[i];
        if (c >= 0xfd) putc(0xfd, f);
        putc(c, f);
    }
    putc(0xff, f);
}

/* step: bytes fed at once. Written again to `copy`. */
static table read_all(const char *s, size_t n, int quoting, char sep, size_t step, FILE *copy)
{
    table t = {0};
    pith_err e = {{0}};
    csv r = {.sep = sep, .quoting = quoting};
    FILE *f = open_memstream(&t.s, &t.n);
    demand(f != NULL, "memory");
    uint64_t line = 0, end = 0;
    for (size_t at = 0; !t.failed;) {
        int k = csv_next(&r, &e);
        if (k < 0) t.failed = 1;
        if (k > 0) {
            demand(r.line > line && r.begin >= end && r.end > r.begin && r.end <= n && r.n > 0, "records follow each other");
            line = r.line, end = r.end, t.rows++;
            for (size_t i = 0; i < r.n; i++) {
                put(f, r.fields[i]);
                if (copy) csv_put(copy, i == 0, r.fields[i].s, r.fields[i].len);
            }
            putc(0xfe, f);
            if (copy) putc('\n', copy);
        } else if (k == 0) {
            if (r.finished) break;
            size_t m = step < n - at ? step : n - at;
            if (m) demand(csv_feed(&r, s + at, m, &e) == 0, "there is memory");
            at += m;
            if (at == n) csv_finish(&r);
        }
    }
    demand_either(!t.failed, &e);
    csv_free(&r);
    fclose(f);
    return t;
}

void fuzz_one(const uint8_t *data, size_t n)
{
    if (!n) return;
    int quoting = !(data[0] & 1);
    char sep = quoting ? ',' : '\t', *text = fuzz_copy(data + 1, n - 1), *again = NULL;
    size_t len = n - 1, again_len = 0;
    FILE *copy = quoting ? open_memstream(&again, &again_len) : NULL;
    table a = read_all(text, len, quoting, sep, len ? len : 1, copy), b = read_all(text, len, quoting, sep, 1 + (data[0] >> 1) % 16, NULL);
    if (copy) fclose(copy);
    demand(a.failed == b.failed && a.rows == b.rows && a.n == b.n && !memcmp(a.s, b.s, a.n), "pieces change nothing");
    if (copy && !a.failed) {
        table c = read_all(again, again_len, 1, sep, again_len ? again_len : 1, NULL);
        demand(!c.failed && c.rows == a.rows && c.n == a.n && !memcmp(a.s, c.s, a.n), "rows that are written are read as they were");
        free(c.s);
    }
    free(a.s);
    free(b.s);
    free(again);
    free(text);
}
