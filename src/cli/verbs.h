/* verbs: the table of all verbs, in the order in which people are told of them. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H
#include "cli/cli.h"

/* NULL: there are no more. */
const cli_verb *verbs_at(size_t i);
const cli_verb *verbs_find(const char *name);

#endif
