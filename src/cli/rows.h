/* rows: the texts of a batch, one after the other, from arguments, lines, JSONL, CSV or TSV, as a stream. Says which
 * row is broken and why; what becomes of broken rows is the caller's business. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H
#include "base/csv.h"
#include "cli/input.h"

typedef enum rows_format { ROWS_AUTO, ROWS_TEXT, ROWS_JSONL, ROWS_CSV, ROWS_TSV, ROWS_ARGS } rows_format;
#define ROWS_FORMATS "auto|text|jsonl|csv|tsv" /* in the order of the enum */

typedef struct rows_spec {
    const char *path; /* NULL or "-": stdin */
    char **texts;     /* not NULL: these are the rows, and there is no file */
    size_t n_texts;
    rows_format format;       /* auto: by the path's suffix, text without one */
    const char *text;         /* field or column; NULL: "text", or the only column */
    const char *pair_name;    /* field or column of the second text; NULL: none */
    const char *label;        /* field or column of the label; NULL: none */
    const char *pair;         /* a second text for every row; NULL: none */
    int no_header;            /* csv, tsv: columns are numbers from 1 */
    uint64_t shard, shards;   /* only the rows that begin in part 1 .. shards of the file's bytes; 0 shards: all */
} rows_spec;

typedef struct row {
    uint64_t number, line; /* of the row and of its first line, from 1 */
    const char *text, *pair;
    size_t len, pair_len;
    const char *label; /* as written, without JSON quotes; NULL: not asked for */
    const char *raw;   /* JSONL: the row */
    size_t raw_len;
    const csv_field *fields; /* csv, tsv: all of them */
    size_t n_fields;
    char *fault; /* why the row cannot be used; text is NULL then */
    char *own[4];
} row;

typedef struct rows {
    rows_spec spec;
    rows_format format;
    input in;
    csv csv;
    char **columns; /* csv, tsv */
    size_t n_columns, text_at, pair_at, label_at;
    uint64_t number;
    uint64_t begin, end; /* bytes where a shard's rows begin */
    int pending; /* the record that csv holds is the next row */
} rows;

enum { ROWS_WAIT = 2 };

/* Opens, reads a header and finds the columns, so that a wrong name fails before any work. */
int rows_open(rows *r, const rows_spec *s, pith_err *e);
void rows_close(rows *r);
/* 1: a row, for rows_drop; 0: the end; ROWS_WAIT: the next row is not here yet and `wait` is 0; -1: cannot go on. */
int rows_next(rows *r, int wait, row *out, pith_err *e);
void rows_drop(row *x);
/* Marks a row as one that cannot be used; its text is NULL from then on. */
int rows_refuse(row *x, const char *why, pith_err *e);
/* "reviews.csv: line 7", "text 2". */
const char *rows_where(const rows *r, const row *x, char *buf, size_t cap);
/* Share of the input that was handed out, in [0, 1]; -1: unknown. */
double rows_done(const rows *r);

#endif
