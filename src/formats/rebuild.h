/* rebuild: every name a checkpoint may use, and what calling it means: descriptions of storages and tensors. Owns the
 * allow-list and the arithmetic of sizes, strides and storages. Names are compared as text, nothing is looked up. */
#ifndef FORMATS_REBUILD_H
#define FORMATS_REBUILD_H
#include "formats/pickle.h"

typedef enum rebuild_kind {
    REBUILD_ORDERED_DICT, REBUILD_TENSOR, REBUILD_TENSOR_V2, REBUILD_TENSOR_V3, REBUILD_PARAMETER, REBUILD_PARAMETER_STATE,
    REBUILD_FROM_TYPE, REBUILD_NEW_PARAMETER, REBUILD_TENSOR_TYPE, REBUILD_SIZE, REBUILD_DEVICE, REBUILD_DTYPE, REBUILD_STORAGE
} rebuild_kind;

typedef struct rebuild_name {
    const char *module, *name;
    rebuild_kind kind;
    int type; /* of DTYPE and STORAGE: the dtype; -1: bytes (UntypedStorage); -2: none that safetensors has */
} rebuild_name;

/* NULL and an error unless module.name is on the list. */
const rebuild_name *rebuild_find(const char *module, size_t module_len, const char *name, size_t name_len, pith_err *e);
/* f(*args) */
int rebuild_call(pickle *x, pickle_value f, pickle_value args, pickle_value *out, pith_err *e);
/* What a persistent id of `items` parts names. */
int rebuild_storage(pickle *x, pickle_value id, size_t items, pickle_value *out, pith_err *e);
/* May `state` be given to `object`? What is legal has no bearing on the weights. */
int rebuild_state(pickle_value object, pickle_value state, pith_err *e);
const char *rebuild_kind_name(pickle_value v); /* for messages: "a list" */

#endif
