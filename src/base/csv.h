/* csv: records of comma- or tab-separated values as a stream: bytes are pushed in as they arrive, records come out
 * when they are complete. RFC 4180 (quotes, quotes doubled, line breaks inside quotes), a byte order mark and LF or
 * CRLF line ends; fields and records of any size; blank lines are no records. Does no I/O on the reading side.
 *
 *     csv r = {.sep = ',', .quoting = 1};
 *     while (bytes arrive) { csv_feed(&r, bytes, n, &e); while ((k = csv_next(&r, &e)) > 0) use(r.fields, r.n); }
 *     csv_finish(&r); one last round of csv_next; csv_free(&r); */
#ifndef BASE_CSV_H
#define BASE_CSV_H
#include "base/err.h"
#include <stdint.h>
#include <stdio.h>

typedef struct csv_field {
    const char *s; /* not NUL-terminated; may hold NUL */
    size_t len;
} csv_field;

/* Set sep and quoting, the rest zero. Without quoting a quote is text and every LF ends a record (TSV). */
typedef struct csv {
    char sep;
    int quoting;
    /* The last record: valid until the next csv_feed, csv_next or csv_free. */
    const csv_field *fields;
    size_t n;
    uint64_t line;  /* of its first byte, from 1 */
    uint64_t begin; /* its first byte in the stream */
    uint64_t end;   /* the byte after its line end */

    char *in;       /* bytes not read yet: in[pos .. len) */
    size_t pos, len, cap;
    char *rec;      /* the record's bytes without quotes */
    size_t rec_len, rec_cap;
    csv_field *field;
    size_t n_ends, field_cap;
    uint64_t at, at_line; /* of in[pos] */
    int state, finished, bom_done, done;
} csv;

int csv_feed(csv *r, const char *bytes, size_t n, pith_err *e);
/* No more bytes will come: what is left is the last record. */
void csv_finish(csv *r);
/* 1: a record; 0: more bytes are needed, or the end after csv_finish; -1: memory, or a quote that never closes. */
int csv_next(csv *r, pith_err *e);
void csv_free(csv *r);

/* Writes one field, quoted if it has to be; first: it opens a record (no separator before it). */
void csv_put(FILE *f, int first, const char *s, size_t len);

#endif
