/* report: one classified row as text, JSON or CSV. Decides nothing about which rows are written where. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H
#include "cli/rows.h"

typedef enum report_format { REPORT_AUTO, REPORT_TEXT, REPORT_JSON, REPORT_JSONL, REPORT_CSV } report_format;
#define REPORT_FORMATS "auto|text|json|jsonl|csv" /* in the order of the enum */

typedef struct report {
    report_format format;
    const pith_model *model;
    const rows *rows;
    uint64_t top_k;             /* 0: not asked for; UINT64_MAX: all */
    int windows, words, errors; /* rows may carry these members */
    const char *const *members; /* of a result that report_put does not write, NULL-terminated; NULL: a label's */
    const char *told;           /* the field with the text, where a result tells it by that name; NULL: it is told as the others */
    int colour, width;          /* of a terminal; 0: none */
    uint64_t n;                 /* rows written */
    uint64_t n_dropped;         /* csv from jsonl: rows with fields that have no column */
    char **names;               /* csv: the rows' own columns, renamed where they collide */
    char **keys;                /* csv from jsonl: the fields behind them, as written */
    size_t n_names;
    int headed;
    size_t *order;              /* [n_labels] scratch */
    size_t label_width;
} report;

/* A row and what is known of it. */
typedef struct report_item {
    const row *row;
    const pith_result *result; /* NULL: it failed */
    const char *error;         /* why */
    const pith_word *words;
    size_t n_words;
} report_item;

/* Format of a path by its suffix; REPORT_AUTO for none that is known. */
report_format report_by_suffix(const char *path);
int report_open(report *r, pith_err *e);
int report_put(report *r, FILE *f, const report_item *x, pith_err *e);
/* A row's own fields, after the members of a JSON object. */
int report_own(report *r, FILE *f, const row *x, pith_err *e);
/* Closes an array; writes a header that no row has called for. */
int report_finish(report *r, FILE *f, pith_err *e);
void report_close(report *r);

#endif
