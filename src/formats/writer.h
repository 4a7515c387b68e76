/* writer: what a safetensors file of given tensors looks like: their order, their places, the header's text. Byte for
 * byte what the reference writer makes of the same tensors. Opens no file. */
#ifndef FORMATS_WRITER_H
#define FORMATS_WRITER_H
#include "base/err.h"

typedef struct writer_place {
    uint64_t offset, nbytes; /* in the file */
} writer_place;

typedef struct writer_plan {
    char *head; /* [head_len] what stands before the data: length, header, padding */
    size_t head_len;
    writer_place *at; /* [n] in the order given */
    uint64_t size;    /* of the file */
} writer_plan;

/* Of each tensor name, dtype and shape are looked at. Metadata comes first, in the order given. Refused: a name or key
 * twice, "__metadata__" as a name, text that is not UTF-8, an unknown dtype, elements that do not end on a whole byte,
 * sizes that overflow, a header of over 100,000,000 bytes. */
int writer_lay_out(writer_plan *p, const pith_tensor *tensors, size_t n, const pith_pair *metadata, size_t n_metadata, pith_err *e);
void writer_plan_free(writer_plan *p);

#endif
