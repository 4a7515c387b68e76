/* emit: computed rows to where they go: an output, in a format, explained if asked; and going on with an output that an
 * earlier run left incomplete. */
#ifndef CLI_EMIT_H
#define CLI_EMIT_H
#include "cli/batch.h"
#include "cli/output.h"
#include "cli/report.h"

typedef struct emit {
    output out;
    report report;
    pith_session *session;
    const pith_classify_options *options;
    int explain;
    /* Writes a row as something else than its labels; NULL: report_put. */
    int (*put)(void *ctx, FILE *f, const row *x, const pith_result *res, const char *error, pith_err *e);
    void *ctx;
} emit;

/* The format of the results, from --output-format, else the suffix of --output. 0 or CLI_USAGE. */
int emit_format(const batch_opts *o, report_format *f);
/* Set report.{format,words} before. */
int emit_open(emit *m, const batch_opts *o, const batch *b, int append, pith_err *e);
int emit_row(emit *m, const row *x, const pith_result *res, const char *error, pith_err *e);
int emit_flush(emit *m, pith_err *e);
int emit_finish(emit *m, pith_err *e);
/* For any state: what is not finished is given up. */
void emit_close(emit *m);
/* Counts the complete rows of an appended output, checks that this run would have written the first and the last of
 * them to the byte, cuts what is half-written, and takes those rows off the input. *done: how many. */
int emit_resume(emit *m, batch *b, uint64_t *done, pith_err *e);

#endif
