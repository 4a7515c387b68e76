/* bind: the weight binder. A model names each tensor it wants with its shape in one call; the first error
 * sticks, later calls do nothing, and bind_finish tells it; tensors nobody asked for are reported. Where weights are
 * only to be checked (bind_tell) every error is told and nothing fails. */
#ifndef FORMATS_BIND_H
#define FORMATS_BIND_H
#include "base/err.h"
#include "formats/safetensors.h"
#include <stdarg.h>

typedef struct bind bind;

bind *bind_new(const safetensors *s, pith_err *e);
void bind_free(bind *b);

/* From now on a tensor that is not there or not as it is wanted is told, with its name and what is wrong, and the call
 * succeeds with a tensor without data (from a file opened for headers only no tensor has any): a model can be led
 * through all it wants. bind_finish tells each tensor left over. What still fails: more tensors missing than a file
 * of this size can be short of, which means that the config is of another model. */
typedef void bind_tell_fn(void *ctx, const char *name, const char *message);
void bind_tell(bind *b, bind_tell_fn *fn, void *ctx);

/* What files that pith_quantize wrote say of themselves: their matrices are packed for this layout. A file of several
 * shards is asked for its first. */
#define BIND_LAYOUT_KEY "pith.layout"
#define BIND_LAYOUT "2"
#define BIND_TYPE_KEY "pith.weights"
const char *bind_type_name(dtype type); /* "q8", ...; "" */
dtype bind_type_find(const char *name); /* 0: none of them */
/* The type that matrices are packed as (DT_Q8, ...); 0: none are. -1: packed in a way this version does not know. Matrices
 * are then found (bind_weight) packed, as U64 [panels][cache lines or columns][rest], or as they are. */
int bind_packed(bind *b, dtype *type);
int bind_has_packed(const bind *b, const char *name); /* is this one there, packed? */

/* From now on bind_loaded is told on; not 0: it fails. */
typedef int bind_record_fn(void *ctx, const char *name, const char *in_file, dtype type, const void *panels, uint64_t bytes);
void bind_record(bind *b, bind_record_fn *fn, void *ctx);
/* The matrix `base`.weight was packed to these panels. */
int bind_loaded(bind *b, const char *base, dtype type, const void *panels, uint64_t bytes);

/* Names that old checkpoints use: wherever a wanted name ends in `want` and is not there, the same name ending in
 * `have` is tried. Strings must outlive b. */
void bind_alias(bind *b, const char *want, const char *have);
/* A prefix that a checkpoint may have or lack (base model saved without its head: "bert."). Every wanted name that
 * starts with it and is not there is tried without it. */
void bind_prefix(bind *b, const char *prefix);
/* Tensors that are expected to be there and unused: no report ("*.position_ids"). Matches the end of a name. */
void bind_ignore(bind *b, const char *suffix);

/* Finds `fmt` (printf, for layer numbers), demands rank and shape. `why` names each dimension's config key, as
 * "hidden_size,dim" for messages: "...: shape [4864,896], expected [4864,1024] (intermediate_size,hidden_size)".
 * dtype must be F32, F16 or BF16. On success *t is a view into the file, which stays valid; its pages are
 * given back when the next tensor is bound, so that what is packed as it is bound is in memory once. Returns 0, or -1 with the error kept. */
int bind_matrix(bind *b, tensor *t, uint64_t rows, uint64_t cols, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* The same, and where the files are packed it may be a packed one: then t->panels is set. For matrices that are
 * multiplied with, as rows cannot be read out of it. */
int bind_weight(bind *b, tensor *t, uint64_t rows, uint64_t cols, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
int bind_vector(bind *b, tensor *t, uint64_t n, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
int bind_tensor(bind *b, tensor *t, const uint64_t *shape, size_t rank, const char *why, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
/* What was bound last is a copy of something bound before, and so no parameters of its own. */
void bind_copy(bind *b);
/* Of all that was bound: the elements, and the columns that a matrix has at most. */
uint64_t bind_parameters(const bind *b);
uint64_t bind_widest(const bind *b);
/* Is a tensor of that name there (aliases and prefix tried)? Asks, claims nothing. */
int bind_has(const bind *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* 0 if every call succeeded and no tensor is left over; else -1: the sticky error, or the leftovers named (a few
 * and a count; with the hint `hint`, may be NULL). Where e has an error already, not all was asked for: -1 at once. */
int bind_finish(bind *b, const char *hint, pith_err *e);

#endif
