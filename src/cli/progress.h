/* progress: one line on a terminal's stderr that tells how far long work is, once it takes longer than a second. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H
#include <stdint.h>

typedef struct progress {
    const char *unit; /* "rows"; "bytes" are shown as MB, GB, ... */
    const char *what; /* said before the count; NULL: nothing */
    double start, last;
    double base; /* share that was done before the start (a resumed file) */
    int on, shown;
} progress;

/* results_on_terminal: the results scroll by there, which is progress enough. */
void progress_start(progress *p, const char *unit, int results_on_terminal);
/* share: of the work that is done, in [0, 1], or negative: unknown. */
void progress_update(progress *p, uint64_t count, double share);
/* Takes the line away, before something else is written and at the end. */
void progress_clear(progress *p);

#endif
