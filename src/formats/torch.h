/* torch: PyTorch checkpoints (.bin, .pt, .pth: zip or legacy stream), one file or sharded with an index, as named tensors.
 * Owns the containers, the choice of the dict that holds the tensors, names, and storages against the file; zip.c owns
 * what a zip may be, pickle.c and rebuild.c what a pickle may say. */
#ifndef FORMATS_TORCH_H
#define FORMATS_TORCH_H
#include "base/err.h"
#include "compute/tensor.h"

typedef struct torch torch;

typedef struct torch_entry {
    const char *name; /* UTF-8 */
    tensor t;         /* t.data is NULL where the file was opened for its header only, and where elements do not lie in a
                       * row: torch_read gathers those */
    size_t file;      /* index of the shard it lies in */
    uint64_t offset;  /* of its first element in that file */
    const uint64_t *stride; /* [t.rank] in elements */
    size_t same;      /* the first entry that is the same view of the same storage; its own index if none */
} torch_entry;

typedef struct torch_options {
    int no_mmap;     /* read into memory instead of mapping */
    int header_only; /* check everything but the checksums of the tensors, and give no data */
    const char *key; /* the dict to take, names joined by '.'; "": the root itself; NULL: found */
} torch_options;

/* Is path for this reader? A file that begins as a zip or a pickle does, or is called .bin, .pt, .pth or .ckpt; an index
 * (*.bin.index.json); a directory with pytorch_model.bin or its index and without model.safetensors or its. */
int torch_is(const char *path);
/* NULL on error. Opened for data, the storages' checksums are compared: one pass over them. */
torch *torch_open(const char *path, const torch_options *o, pith_err *e);
void torch_close(torch *x);

size_t torch_count(const torch *x);
const torch_entry *torch_at(const torch *x, size_t i); /* shard by shard, in the order of the dict */
const torch_entry *torch_find(const torch *x, const char *name); /* NULL: not there */
const char *torch_key(const torch *x); /* where the tensors lay; "": at the root */
size_t torch_files(const torch *x);
const char *torch_file_name(const torch *x, size_t file);
uint64_t torch_file_size(const torch *x, size_t file);
size_t torch_warnings(const torch *x);
const char *torch_warning(const torch *x, size_t i);
/* Elements [first, first+n) in row-major order; the range is the caller's to check, and that there is data. */
void torch_read(const torch *x, const torch_entry *t, uint64_t first, size_t n, void *out);
void torch_release(const torch *x, const torch_entry *t);
/* Async-signal-safe, as safetensors_mapped_at. */
const char *torch_mapped_at(const torch *x, const void *addr);

#endif
