/* forward: what a model computes, looked at from outside: prompts run to see that numbers come out, recorded, and
 * replayed against a recording. Knows what a difference means; how it is told is the caller's. */
#ifndef CLI_FORWARD_H
#define CLI_FORWARD_H
#include "cli/load.h"
#include "cli/recording.h"

typedef enum forward_verdict {
    FORWARD_RUNS,      /* finite numbers, not all equal; nothing to compare with */
    FORWARD_BIT_EQUAL, /* to the recording */
    FORWARD_WITHIN,    /* the tolerance */
    FORWARD_DIFFERENT,
    FORWARD_BROKEN     /* no sensible numbers at all */
} forward_verdict;

typedef struct forward_row {
    forward_verdict verdict;
    const char *recording; /* path; NULL: nothing to compare with */
    char *prompt;          /* NULL: token ids only */
    size_t number;         /* of the prompt, from 1 */
    size_t n_tokens;
    double max_diff, tolerance; /* NaN: no numbers were compared */
    char message[400];     /* why; "" */
} forward_row;

typedef struct forward {
    const load *l;
    double tolerance; /* times max(1, largest recorded logit) */
    forward_row *rows;
    size_t n_rows, n_replayed;
    float *numbers; /* of one prompt */
    size_t cap;
} forward;

/* What the default tolerance is, and why: forward.c. */
#define FORWARD_TOLERANCE "1e-4"

/* Each prompt of r, before forward_run. A row for each; -1 only if it could not be done (memory). */
int forward_replay(forward *f, const recording *r, pith_err *e);
/* The built-in prompts, or the lines of the file `prompts`; a few short ones unless they are to be recorded in `out`. */
int forward_run(forward *f, const char *prompts, FILE *out, pith_err *e);
void forward_free(forward *f);

#endif
