/* convert_plan: what `pith convert` will write: which tensors, under which names, as which dtype, in which file, with
 * which metadata. Decides, and touches no disk. */
#ifndef CLI_CONVERT_PLAN_H
#define CLI_CONVERT_PLAN_H
#include "cli/cli.h"

typedef struct convert_plan_options {
    const char *dtype;                           /* of the float tensors, "F32"; NULL: their own */
    cli_list include, exclude, rename, metadata; /* as typed */
    uint64_t max_shard;                          /* bytes; UINT64_MAX: one file */
    int keep_copies;                             /* tensors that share their memory are written one by one */
} convert_plan_options;

typedef struct convert_plan_item {
    size_t source;      /* index in the source */
    char *name;         /* in the target */
    const char *dtype;  /* in the target */
    uint64_t nbytes;    /* in the target */
    size_t shard;
    int cast;           /* dtype is not the source's */
} convert_plan_item;

typedef struct convert_plan {
    convert_plan_item *items; /* [n] in the source's order */
    size_t n;
    char **aliases;           /* [2 * n_aliases] name left out, name that is kept for it */
    size_t n_aliases;
    pith_pair *metadata;      /* [n_metadata] strings of the plan's own; what every file gets */
    size_t n_metadata;
    size_t n_shards, n_dropped; /* n_dropped: tensors that --include and --exclude left out */
    uint64_t nbytes;
} convert_plan;

/* "5GB", "500MiB", "4096", "all" (also "0"). -1: not a size. */
int convert_plan_size(const char *text, uint64_t *bytes);
/* Is what was typed well formed? Looks at no weights. */
int convert_plan_check(const convert_plan_options *o, pith_err *e);
/* `rule` is OLD=NEW. *out is the new name, malloc'ed, or NULL where OLD does not match. */
int convert_plan_rename(const char *rule, const char *name, char **out, pith_err *e);
/* A pattern that matches nothing, two tensors of one name and a plan without tensors are errors. */
int convert_plan_make(convert_plan *p, const pith_weights *w, const convert_plan_options *o, pith_err *e);
void convert_plan_free(convert_plan *p);
/* Is this one of the dtypes that --dtype changes? Its bytes per element, else 0. */
size_t convert_plan_float(const char *dtype);

#endif
