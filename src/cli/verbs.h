/* verbs: the table of all verbs, in the order in which people are told of them. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H
#include "cli/cli.h"
#include "cli/confine.h"

/* NULL: there are no more. */
const cli_verb *verbs_at(size_t i);
const cli_verb *verbs_find(const char *name);
/* What it needs beside the files that its options name. */
const confine_needs *verbs_needs(const cli_verb *v);

#endif
