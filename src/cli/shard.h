/* shard: one of several processes that share a file of rows. A row belongs to the shard in whose part of the file's bytes
 * it begins: the outputs of all, in order, are the output of one process, to the byte. */
#ifndef CLI_SHARD_H
#define CLI_SHARD_H
#include "cli/cli.h"
#include "cli/rows.h"

typedef struct shard {
    uint64_t number, of; /* 1 .. of; of 0: there is one process */
    char *output;        /* the file of this shard's results, malloc'ed; NULL: stdout */
} shard;

/* From "I/N", else from Slurm's environment where this is a task of an array and `from` is a file. In `to` {shard}
 * becomes the number, with as many digits as N has. May be NULL: all three. 0 or CLI_USAGE. */
int shard_choose(shard *s, const char *given, const char *from, const char *to);
void shard_drop(shard *s);
/* Part number i of `of` of a file that is written in parts, malloc'ed. */
char *shard_part(const char *output, uint64_t i, uint64_t of);
/* The parts 1 .. of become `output`, whole or not at all, and go. */
int shard_join(const char *output, uint64_t of, pith_err *e);

#endif
