/* batch: rows in, computed rows out (classified, unless a verb computes something else), in order and in memory that does
 * not grow with their number. What becomes of a computed row is the verb's. */
#ifndef CLI_BATCH_H
#define CLI_BATCH_H
#include "cli/cli.h"
#include "cli/load.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/rows.h"

typedef struct batch_opts {
    const char *input, *field, *column, *pair, *pair_field, *pair_column, *output;
    int format, no_header;
    int output_format;
    uint64_t top_k, max_length, stride, batch_tokens;
    int activation, long_text, pool, strict, no_parse_special, on_error;
} batch_opts;

enum { BATCH_FAIL, BATCH_SKIP, BATCH_NULL }; /* on_error */

#define BATCH_ROW_OPTIONS(T)                                                                                           \
    {CLI_TITLE, 0, 0, 0, 0, 0, "Input", 0, 0, 0},                                                                      \
    {CLI_INPUT, 'f', "input", "FILE", 0, 0, "rows of a file; - is stdin", offsetof(T, b.input), 0, 0},                  \
    {CLI_CHOICE, 0, "format", ROWS_FORMATS, "auto", 0, "of the input; auto: by suffix, else text, a row a line",       \
     offsetof(T, b.format), 0, 0},                                                                                     \
    {CLI_STRING, 0, "field", "NAME", 0, 0, "jsonl: the field with the text [text]", offsetof(T, b.field), 0, 0},       \
    {CLI_STRING, 0, "column", "NAME", 0, 0, "csv, tsv: the column with the text [text, or the only one]",              \
     offsetof(T, b.column), 0, 0},                                                                                     \
    {CLI_FLAG, 0, "no-header", 0, 0, 0, "csv, tsv: there is no header row; columns are numbers from 1",                \
     offsetof(T, b.no_header), 0, 0},                                                                                  \
    {CLI_CHOICE, 0, "on-error", "fail|skip|null", "fail", 0,                                                           \
     "a row that cannot be used ends the work, is left out, or gets a result of null", offsetof(T, b.on_error), 0, 0}

#define BATCH_INPUT_OPTIONS(T)                                                                                         \
    BATCH_ROW_OPTIONS(T),                                                                                              \
    {CLI_STRING, 0, "pair", "TEXT", 0, 0, "a second text, for every row", offsetof(T, b.pair), 0, 0},                  \
    {CLI_STRING, 0, "pair-field", "NAME", 0, 0, "jsonl: the field with the second text", offsetof(T, b.pair_field), 0, 0}, \
    {CLI_STRING, 0, "pair-column", "NAME", 0, 0, "csv, tsv: the column with the second text",                          \
     offsetof(T, b.pair_column), 0, 0}

#define BATCH_OUTPUT_OPTIONS(T)                                                                                        \
    {CLI_OUTPUT, 'o', "output", "FILE", 0, 0, "write here; appears under its name when it is complete",                  \
     offsetof(T, b.output), 0, 0},                                                                                     \
    {CLI_CHOICE, 0, "output-format", REPORT_FORMATS, "auto", 0, "auto: by suffix, else text",                          \
     offsetof(T, b.output_format), 0, 0},                                                                              \
    {CLI_SIZE, 0, "top-k", "N|all", 0, 0, "labels shown, best first [text, csv: 1; json: all]",                        \
     offsetof(T, b.top_k), 1, UINT64_MAX}

/* How a text is read. */
#define BATCH_READ_OPTIONS(T)                                                                                          \
    {CLI_SIZE, 0, "max-length", "N", 0, 0, "tokens the model reads of a text; default: what the model allows",         \
     offsetof(T, b.max_length), 1, UINT32_MAX},                                                                        \
    {CLI_SIZE, 0, "batch-tokens", "N", "8192", 0, "tokens computed at once, at most", offsetof(T, b.batch_tokens), 1,  \
     UINT32_MAX},                                                                                                      \
    {CLI_FLAG, 0, "strict", 0, 0, 0, "refuse invalid UTF-8 instead of reading it as U+FFFD", offsetof(T, b.strict), 0, \
     0},                                                                                                               \
    {CLI_FLAG, 0, "no-parse-special", 0, 0, 0, "special tokens written in a text, as [SEP], are text",                 \
     offsetof(T, b.no_parse_special), 0, 0}

#define BATCH_TEXT_OPTIONS(T)                                                                                          \
    {CLI_TITLE, 0, 0, 0, 0, 0, "Text and scores", 0, 0, 0},                                                            \
    {CLI_CHOICE, 0, "activation", "auto|softmax|sigmoid|none", "auto", 0,                                              \
     "from logits to scores; auto: what the model's config says", offsetof(T, b.activation), 0, 0},                    \
    {CLI_CHOICE, 0, "long", "truncate|head-tail|window", "truncate", 0,                                                \
     "texts over max-length: read the start, start and end, or all of it in windows", offsetof(T, b.long_text), 0, 0}, \
    {CLI_SIZE, 0, "stride", "N", 0, 0, "tokens from one window to the next; default: half a window",                   \
     offsetof(T, b.stride), 1, UINT32_MAX},                                                                            \
    {CLI_CHOICE, 0, "pool", "mean|max", "mean", 0, "how the windows' results become one", offsetof(T, b.pool), 0, 0},  \
    BATCH_READ_OPTIONS(T)

/* x->text is NULL and error set for a row that failed; res is NULL then too. */
typedef int batch_sink(void *ctx, const row *x, const pith_result *res, const char *error, pith_err *e);

typedef struct batch {
    rows *rows;
    const load *model;
    pith_classify_options options;
    int on_error;
    /* Instead of pith_classify: fills results, whose scores have room for `width` floats. NULL: it is that. */
    int (*compute)(void *ctx, const pith_text *texts, size_t n, pith_result *results, pith_err *e);
    size_t width;
    batch_sink *sink;
    int (*flush)(void *ctx, pith_err *e); /* after each round of rows; NULL: none */
    /* Why a row that reads well is of no use, written to buf; NULL: it is. NULL: all are. */
    const char *(*refuse)(void *ctx, const row *x, char *buf, size_t cap);
    void *ctx;
    progress progress;
    uint64_t n_rows, n_failed, n_truncated, n_tokens, n_replaced, n_empty;
    double seconds; /* of computing alone */
    size_t chunk;   /* rows of the next round */
} batch;

/* From options and arguments to what the rows are. label: field or column of it, NULL: none. 0 or CLI_USAGE. */
int batch_spec(const batch_opts *o, int argc, char **argv, const char *label, rows_spec *s);
pith_classify_options batch_classify_options(const batch_opts *o);
/* Checks options against the model that is now known. */
int batch_check(const batch_opts *o, const load *l, pith_err *e);
/* All rows that are left. -1: stopped; rows before the one that stopped it were delivered. */
int batch_run(batch *b, pith_err *e);
/* The next row alone, to `sink` instead: 1, 0 at the end, -1. */
int batch_one(batch *b, batch_sink *sink, void *ctx, pith_err *e);
/* Notes on rows that failed, were cut or held invalid UTF-8; with -v the figures. */
void batch_summary(const batch *b);

#endif
