/* load: from what -m says to an open model: bundled names, the places they are looked for, notes on stderr. */
#ifndef CLI_LOAD_H
#define CLI_LOAD_H
#include "cli/cli.h"

/* The directory that -m means, malloc'd: itself, or a bundled model by name. NULL with the bundled names found. */
char *load_path(const char *model, pith_err *e);
/* Prints the names of the bundled models, one a line. */
void load_bundled(FILE *f);

enum { LOAD_PLACES = 4 };
/* Where bundled models may lie, in this order; malloc'd, entries may be NULL. */
void load_places(char *at[LOAD_PLACES]);

typedef struct load {
    char *path;
    pith_model *model;
    pith_session *session;
    double seconds; /* opening took */
} load;

/* Opens model and session, tells warnings and, with -v, the plan. */
int load_open(load *l, const cli_model_opts *o, pith_err *e);
void load_close(load *l);

#endif
