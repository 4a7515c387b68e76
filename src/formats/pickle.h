/* pickle: reads a pickle that torch.save wrote, as data. A machine with exactly the opcodes of torch's weights-only
 * loader: nothing is imported, looked up or run; what it may "call" is in rebuild.c's list of names. Nothing recurses,
 * repeated objects are references, so memory stays in proportion to the bytes read. Knows no files. */
#ifndef FORMATS_PICKLE_H
#define FORMATS_PICKLE_H
#include "base/err.h"
#include "compute/tensor.h"

enum { PICKLE_RANK = 64 }; /* dimensions of a tensor, as PyTorch's own limit */

typedef enum pickle_kind {
    PICKLE_NONE, PICKLE_BOOL, PICKLE_INT, PICKLE_LONG, PICKLE_FLOAT, PICKLE_STR, PICKLE_TUPLE, PICKLE_LIST, PICKLE_DICT,
    PICKLE_SET, PICKLE_GLOBAL, PICKLE_STORAGE, PICKLE_TENSOR, PICKLE_OTHER, PICKLE_MARK
} pickle_kind;

/* A value is small and copied; what is behind a pointer is shared by all who refer to it. */
typedef struct pickle_value {
    pickle_kind kind;
    uint32_t len; /* bytes of STR and LONG */
    union {
        int64_t i;                       /* INT, BOOL */
        const char *s;                   /* STR (UTF-8) and LONG (little-endian), in the pickle itself; not terminated */
        struct pickle_items *items;      /* TUPLE, LIST, DICT */
        const struct rebuild_name *name; /* GLOBAL */
        struct pickle_storage *storage;
        const struct pickle_tensor *tensor;
    } u;
} pickle_value;

typedef struct pickle_items {
    pickle_value *at; /* [n]; of a DICT: key, value, key, value, in the order written */
    size_t n, cap;
    int tensors;      /* there is a tensor in it, or in what it holds */
    int taken;        /* a LIST that a dict was made of: once only, or copies would grow beyond the bytes read */
} pickle_items;

typedef struct pickle_storage {
    int type;      /* dtype, or -1: bytes */
    pickle_value key; /* STR: where its bytes are, in the container's terms */
    uint64_t numel;   /* elements of `type` */
    uint64_t nbytes;
    size_t i;         /* index among the pickle's storages */
} pickle_storage;

/* Every element lies inside the storage. */
typedef struct pickle_tensor {
    const pickle_storage *storage;
    dtype type;
    uint64_t offset;  /* of the first element, in elements of `type` */
    uint64_t nbytes;  /* of all elements */
    size_t rank;
    const uint64_t *size, *stride; /* [rank], in elements */
    int parameter;    /* made by Parameter */
} pickle_tensor;

typedef struct pickle pickle;

/* Reads one pickle from the beginning of p[0..n), which must outlive it; *used is its length. `storage_items` is the
 * length of the tuple that names a storage: 5 in a zip, 6 in a legacy stream, 0: there may be none. NULL on error: the
 * message begins with "byte N" and names the opcode, or the refused name. */
pickle *pickle_read(const void *p, size_t n, size_t storage_items, size_t *used, pith_err *e);
void pickle_free(pickle *x);
pickle_value pickle_root(const pickle *x);
/* Every storage that is named, once for each time. */
size_t pickle_storages(const pickle *x);
const pickle_storage *pickle_storage_at(const pickle *x, size_t i);
/* Does v hold tensors, at any depth? */
static inline int pickle_holds(pickle_value v)
{
    return v.kind == PICKLE_TENSOR || ((v.kind == PICKLE_TUPLE || v.kind == PICKLE_LIST || v.kind == PICKLE_DICT) && v.u.items->tensors);
}
/* For rebuild.c: zeroed memory that lives as long as x, and room for n more values in a tuple, list or dict. */
void *pickle_alloc(pickle *x, size_t n, size_t size, pith_err *e);
int pickle_extend(pickle *x, pickle_items *to, const pickle_value *v, size_t n, pith_err *e);

#endif
