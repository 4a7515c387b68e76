/* edit: a line typed on a terminal, with editing and a history; the one door to libedit. */
#ifndef CLI_EDIT_H
#define CLI_EDIT_H
#include "pith.h"

typedef struct edit edit;

/* *out NULL: this pith was built without (make EDIT=0). */
int edit_open(edit **out, pith_err *e);
void edit_close(edit *d);
/* As typed, with its line end, valid until the next call; NULL: the end, or an interrupt, after which edit_reset. */
const char *edit_line(edit *d, const char *prompt, size_t *len);
void edit_reset(edit *d);
/* Adds to the history. */
void edit_keep(edit *d, const char *text);

#endif
