/* findings: what pith verify found out, kept until it is told: as lines for people, or as one JSON object. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H
#include "cli/forward.h"

/* The library's checks, and the one made here. */
enum { FINDINGS_FORWARD = PITH_CHECKS, FINDINGS_CHECKS };

typedef struct finding {
    int check, failed;
    int in_row; /* a row of the forward tells it too */
    char *subject, *message;
} finding;

typedef struct findings {
    const char *path;
    finding *at;
    size_t n;
    pith_verdict verdict; /* of the library */
    const forward *forward;
    int done[FINDINGS_CHECKS];
    char why_not[FINDINGS_CHECKS][200]; /* a check was not made */
    int no_memory;
} findings;

extern const char *const findings_names[FINDINGS_CHECKS];

void findings_add(findings *x, int check, int failed, const char *subject, const char *message);
size_t findings_count(const findings *x, int check, int failed); /* check -1: of all */
void findings_put_text(const findings *x, FILE *f);
void findings_put_json(const findings *x, FILE *f);
void findings_free(findings *x);

#endif
