/* weights: pith_weights_* of the public header, over formats/safetensors and formats/torch. */
#include "base/checked.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/par.h"
#include "compute/tensor.h"
#include "formats/safetensors.h"
#include <stdlib.h>
#include <string.h>

struct pith_weights {
    safetensors *s;
};

uint64_t pith_hash(const void *data, size_t len) { return digest_xxh3(data, len); }

pith_weights *pith_weights_open(const char *path, const pith_weights_options *o, pith_err *e)
{
    const pith_weights_options defaults = {0};
    if (!o) o = &defaults;
    const safetensors_options so = {.no_mmap = o->no_mmap, .header_only = o->header_only};
    pith_weights *w = calloc(1, sizeof *w);
    if (!w) return err_nomem(e, sizeof *w, path), NULL;
    w->s = safetensors_open(path, &so, e);
    if (w->s) return w;
    free(w);
    return NULL;
}

void pith_weights_close(pith_weights *w)
{
    if (!w) return;
    safetensors_close(w->s);
    free(w);
}

static int tell(const safetensors_entry *x, pith_tensor *out)
{
    if (!x) return -1;
    *out = (pith_tensor){.name = x->name, .dtype = tensor_dtypes[x->t.type].name, .shape = x->t.shape, .rank = x->t.rank,
                         .nbytes = x->t.nbytes, .offset = x->offset, .file = x->file, .data = x->t.data};
    return 0;
}

static const safetensors_entry *at(const pith_weights *w, size_t i) { return i < safetensors_count(w->s) ? safetensors_at(w->s, i) : NULL; }

size_t pith_weights_count(const pith_weights *w) { return safetensors_count(w->s); }
int pith_weights_at(const pith_weights *w, size_t i, pith_tensor *out) { return tell(at(w, i), out); }
int pith_weights_find(const pith_weights *w, const char *name, pith_tensor *out) { return tell(safetensors_find(w->s, name), out); }
size_t pith_weights_files(const pith_weights *w) { return safetensors_files(w->s); }
size_t pith_weights_warnings(const pith_weights *w) { return safetensors_warnings(w->s); }
const char *pith_weights_mapped_at(const pith_weights *w, const void *addr) { return safetensors_mapped_at(w->s, addr); }
const char *pith_weights_format(const pith_weights *w) { return w->s ? "safetensors" : "PyTorch"; }
const char *pith_weights_key(const pith_weights *w) { return w->s ? "" : ""; }
size_t pith_weights_same(const pith_weights *w, size_t i) { return w->s ? i : i; }

void pith_weights_release(const pith_weights *w, size_t i)
{
    if (at(w, i)) safetensors_release(w->s, at(w, i));
}

const char *pith_weights_file(const pith_weights *w, size_t file, uint64_t *size)
{
    if (file >= safetensors_files(w->s)) return NULL;
    if (size) *size = safetensors_file_size(w->s, file);
    return safetensors_file_name(w->s, file);
}

size_t pith_weights_metadata_count(const pith_weights *w, size_t file)
{
    return file < safetensors_files(w->s) ? safetensors_metadata_count(w->s, file) : 0;
}

int pith_weights_metadata(const pith_weights *w, size_t file, size_t i, const char **key, const char **value)
{
    if (i >= pith_weights_metadata_count(w, file)) return -1;
    safetensors_metadata_at(w->s, file, i, key, value);
    return 0;
}

const char *pith_weights_warning(const pith_weights *w, size_t i) { return i < safetensors_warnings(w->s) ? safetensors_warning(w->s, i) : NULL; }

/* Tensor i if elements [first, first+n) of it can be read, else NULL and why. */
static const safetensors_entry *readable(const pith_weights *w, size_t i, uint64_t first, size_t n, pith_err *e)
{
    const safetensors_entry *x = at(w, i);
    uint64_t end;
    if (!x) return err_set(e, "tensor %zu of %zu: no such index", i, safetensors_count(w->s)), NULL;
    const tensor_dtype *type = &tensor_dtypes[x->t.type];
    if (type->bits < 8) return err_set(e, "%.200s: %s has no elements of whole bytes to read", x->name, type->name), NULL;
    if (!x->t.data) return err_set(e, "%.200s: opened for headers only; open it with data", x->name), NULL;
    if (checked_add(first, n, &end) || end > tensor_count(x->t))
        return err_set(e, "%.200s: elements [%llu,+%zu) asked for, it has %llu", x->name, (unsigned long long)first, n, (unsigned long long)tensor_count(x->t)), NULL;
    return x;
}

int pith_weights_read(const pith_weights *w, size_t i, uint64_t first, size_t n, void *out, pith_err *e)
{
    const safetensors_entry *x = readable(w, i, first, n, e);
    if (!x) return -1;
    size_t size = tensor_dtypes[x->t.type].bits / 8;
    if (n) memcpy(out, (const char *)x->t.data + first * size, n * size);
    return 0;
}

int pith_weights_read_f32(const pith_weights *w, size_t i, uint64_t first, size_t n, float *out, pith_err *e)
{
    const safetensors_entry *x = readable(w, i, first, n, e);
    if (!x) return -1;
    unsigned long mode = par_fp_enter();
    int bad = tensor_read_f32(x->t, first, n, out);
    par_fp_leave(mode);
    return bad ? err_set(e, "%.200s: %s cannot be read as float", x->name, tensor_dtypes[x->t.type].name) : 0;
}
