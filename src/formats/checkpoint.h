/* checkpoint: one file that torch.save wrote, in memory: which container it is, where its storages lie, and which dict
 * of it holds the tensors. Opens no file. */
#ifndef FORMATS_CHECKPOINT_H
#define FORMATS_CHECKPOINT_H
#include "formats/pickle.h"

typedef struct checkpoint_storage {
    uint64_t offset, nbytes; /* in the file */
    uint32_t crc;            /* if checked */
    int checked;
} checkpoint_storage;

/* Storages that several tensors name are one. Text lies in the file's bytes, but for key. */
typedef struct checkpoint {
    struct pickle *tree;
    checkpoint_storage *storages;
    size_t n_storages;
    size_t *storage_of;        /* [pickle_storages] index into storages */
    const pickle_items *dict;  /* the chosen one: it holds tensors */
    const pickle_items *beside; /* the dict it was found in, if it was searched for; else NULL */
    char *key;                 /* the way to it; "": the root */
} checkpoint;

/* Reads the file p[0..n). key: the way to the dict, names joined by '.'; "": the root; NULL: found. c must be zeroed, and
 * freed in any case. */
int checkpoint_read(checkpoint *c, const void *p, size_t n, const char *key, pith_err *e);
void checkpoint_free(checkpoint *c);

#endif
