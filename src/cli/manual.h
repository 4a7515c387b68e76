/* manual: what the tables of options say, as source of the manual (scdoc, see its scdoc(5)). */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H
#include "cli/cli.h"

/* The page of a verb, pith-VERB(1). */
void manual_verb(const cli_verb *v, FILE *f);
/* For pith(1): each verb with its summary. */
void manual_verbs(FILE *f);

#endif
