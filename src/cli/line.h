/* line: lines typed by a person, with editing and a history on a terminal (edit.h); elsewhere lines are just read. */
#ifndef CLI_LINE_H
#define CLI_LINE_H
#include "pith.h"

typedef struct line_editor line_editor;

line_editor *line_open(pith_err *e);
void line_close(line_editor *l);
enum { LINE_END, LINE_TEXT, LINE_INTERRUPTED };
/* The next line without its line end, valid until the next call; a last backslash goes on in a further line. prompt is
 * shown on a terminal. LINE_INTERRUPTED: Ctrl-C (under guard_catch(GUARD_READ)); what was typed is gone. */
int line_read(line_editor *l, const char *prompt, char **text);

#endif
