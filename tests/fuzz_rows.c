/* Rows of a batch from any bytes, in each format: what a row is, or why it cannot be used; nothing is lost between them. */
#include "cli/jtext.h"
#include "cli/rows.h"
#include "fuzz.h"

static volatile unsigned sink;

static void check(const rows *r, const row *x, uint64_t number, uint64_t line)
{
    char where[1024];
    demand(x->number == number, "rows are counted");
    demand(x->line > line, "each row begins on a later line");
    demand((x->text == NULL) == (x->fault != NULL), "a row has a text, or a fault");
    if (x->fault) {
        pith_err e;
        snprintf(e.msg, sizeof e.msg, "%s", x->fault);
        demand(x->fault[0] != 0, "a fault says why");
    }
    for (size_t i = 0; x->text && i < x->len; i++) sink += (unsigned char)x->text[i];
    for (size_t i = 0; x->pair && i < x->pair_len; i++) sink += (unsigned char)x->pair[i];
    for (size_t i = 0; i < x->n_fields; i++) sink += (unsigned)x->fields[i].len;
    if (x->label) sink += (unsigned)strlen(x->label);
    if (x->raw) demand(jtext_check(x->raw, x->raw_len, NULL) == 0, "a raw row is JSON");
    sink += (unsigned)strlen(rows_where(r, x, where, sizeof where));
    demand(rows_done(r) >= 0 && rows_done(r) <= 1, "a share of the input");
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"rows.txt", "rows.jsonl", "rows.csv", "rows.tsv"};
    if (!n) return;
    rows r;
    row x;
    int k, how = data[0];
    pith_err e = {{0}};
    rows_spec s = {.path = fuzz_put(names[how & 3], data + 1, n - 1), .pair_name = how & 4 ? "pair" : NULL, .label = how & 8 ? "label" : NULL, .no_header = how & 16 && !(how & 12),
                   .pair = how & 32 && !(how & 4) ? "second" : NULL};
    if (rows_open(&r, &s, &e)) {
        demand_message(&e);
        return;
    }
    uint64_t number = 0, line = 0;
    while ((k = rows_next(&r, 1, &x, &e)) == 1) {
        check(&r, &x, ++number, line);
        line = x.line;
        demand(number <= n, "no more rows than bytes");
        rows_drop(&x);
    }
    demand(k == 0 || k == -1, "rows end");
    demand_either(k == 0, &e);
    rows_close(&r);
}
