/* convert_write: carries out a plan: streams the tensors into files, writes their index, and compares what the files
 * then hold with the source. Works in blocks: what it needs in memory does not grow with the tensors. */
#ifndef CLI_CONVERT_WRITE_H
#define CLI_CONVERT_WRITE_H
#include "cli/convert_plan.h"
#include "cli/progress.h"

typedef struct convert_write {
    const pith_weights *from;
    const convert_plan *plan;
    const char *dir;    /* where the files go */
    const char *file;   /* the only file's name; NULL: model.safetensors or shards with their index */
    int allow_overflow;
    uint64_t *overflow; /* [plan->n] finite values that became infinite */
    progress progress;
    uint64_t done;      /* bytes of the target written and compared, of twice plan->nbytes */
    char *in, *out, *back; /* blocks */
} convert_write;

/* The name of file i, malloc'ed. */
char *convert_write_name(const convert_write *c, size_t shard, pith_err *e);
/* 0; 1: interrupted (guard_interrupted); -1. */
int convert_write_files(convert_write *c, pith_err *e);
/* Opens what was written again. -1 also where anything differs. */
int convert_write_compare(convert_write *c, pith_err *e);
void convert_write_end(convert_write *c);

#endif
