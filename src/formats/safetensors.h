/* safetensors: reads (and later writes) the format, one file or a sharded directory. Owns the mapping and the
 * index of names; knows nothing of models. Rules and their numbers: the format's specification and reference
 * reader; every refusal says which rule, where, expected and found. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H
#include "base/err.h"
#include "compute/tensor.h"

typedef struct safetensors safetensors;

typedef struct safetensors_entry {
    const char *name; /* UTF-8; an escaped NUL stays written as the six characters \u0000 */
    tensor t;         /* t.data is NULL where the file was opened for its header only */
    size_t file;      /* index of the shard it lies in */
    uint64_t offset;  /* of its first byte in that file */
} safetensors_entry;

typedef struct safetensors_options {
    int no_mmap;     /* read into memory instead of mapping */
    int header_only; /* check everything but give no data */
} safetensors_options;

/* `path` is a .safetensors file, an index (*.safetensors.index.json), or a directory holding model.safetensors
 * or model.safetensors.index.json. NULL on error. */
safetensors *safetensors_open(const char *path, const safetensors_options *o, pith_err *e);
void safetensors_close(safetensors *s);

size_t safetensors_count(const safetensors *s);
/* In file order (shard by shard, by offset). */
const safetensors_entry *safetensors_at(const safetensors *s, size_t i);
const safetensors_entry *safetensors_find(const safetensors *s, const char *name); /* NULL: not there */
size_t safetensors_files(const safetensors *s);
/* The path it was opened by. */
const char *safetensors_file_name(const safetensors *s, size_t file);
uint64_t safetensors_file_size(const safetensors *s, size_t file);
/* The __metadata__ pairs of a file, in the order written. */
size_t safetensors_metadata_count(const safetensors *s, size_t file);
void safetensors_metadata_at(const safetensors *s, size_t file, size_t i, const char **key, const char **value);
/* What was odd but legal (unknown extra fields, total_size that differs): one line each. */
size_t safetensors_warnings(const safetensors *s);
const char *safetensors_warning(const safetensors *s, size_t i);
/* Tells the kernel that a tensor's pages are not needed any more (after packing); no-op without a mapping. */
void safetensors_release(const safetensors *s, const safetensors_entry *t);
/* The same of n bytes at an address, wherever it is; from any thread. */
void safetensors_drop(const safetensors *s, const void *addr, size_t n);
/* Is `addr` inside one of the mappings? The file's name, else NULL. Async-signal-safe: for a SIGBUS handler. */
const char *safetensors_mapped_at(const safetensors *s, const void *addr);

#endif
