/* shards: the index of a model in several files (model.safetensors.index.json, pytorch_model.bin.index.json). Owns the index's rules: plain file
 * names, every shard present, every tensor in exactly the shard it is mapped to. Opens no shard. */
#ifndef FORMATS_SHARDS_H
#define FORMATS_SHARDS_H
#include "base/err.h"

typedef struct shards shards;

/* The tensors of all shards together, whatever reads them. */
typedef struct shards_tensor {
    const char *name;
    size_t file; /* index of its shard, in the order of shards_path */
    uint64_t nbytes;
} shards_tensor;

typedef struct shards_table {
    const void *of;
    size_t n;
    shards_tensor (*at)(const void *of, size_t i);
    size_t (*find)(const void *of, const char *name); /* index; SIZE_MAX: not there */
} shards_table;

/* Reads the index at `path`; all shards it lists must lie in the same directory. NULL on error. */
shards *shards_open(const char *path, pith_err *e);
void shards_close(shards *x);
size_t shards_count(const shards *x);
/* Path of shard i; sorted by name. Lives as long as x. */
const char *shards_path(const shards *x, size_t i);
/* Compares the tensors with the map. 0, or -1. */
int shards_check(const shards *x, const shards_table *t, pith_err *e);
/* Where the index tells a total_size that the tensors do not have: writes a warning to buf and returns 1, else 0. */
int shards_odd_size(const shards *x, const shards_table *t, char *buf, size_t cap);

#endif
