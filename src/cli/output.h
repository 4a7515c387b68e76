/* output: where results go. A file appears under its name only when it is complete (base/outfile). With resume
 * it is appended to instead, always whole rows. stdout and devices are written directly. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H
#include "base/outfile.h"
#include <stdio.h>
#include <sys/types.h>

typedef struct output {
    FILE *f;
    const char *name; /* the path as given; "stdout" */
    outfile file;     /* a new file */
    int append;
    off_t complete;   /* of an appended file: bytes that are whole rows */
} output;

/* path NULL or "-": stdout. append: open or create, read and write, positioned at the start. */
int output_open(output *o, const char *path, int append, pith_err *e);
/* What was written so far is complete rows: pushes it out. */
int output_commit(output *o, pith_err *e);
/* Cuts an appended file at `end` and goes on there. */
int output_cut(output *o, off_t end, pith_err *e);
/* Everything is written: the file gets its name. */
int output_finish(output *o, pith_err *e);
/* Gives up: nothing new stays, but for the complete rows of an appended file. No-op after output_finish. */
void output_abort(output *o);

#endif
