/* weights: pith_weights_* of the public header, over formats/safetensors and formats/torch. */
#include "base/checked.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/par.h"
#include "compute/tensor.h"
#include "formats/safetensors.h"
#include "formats/torch.h"
#include <string.h>

/* One of the two back ends; the other is NULL. */
struct pith_weights {
    safetensors *s;
    torch *t;
    int header_only;
};

uint64_t pith_hash(const void *data, size_t len) { return digest_xxh3(data, len); }

pith_weights *pith_weights_open(const char *path, const pith_weights_options *o, pith_err *e)
{
    const pith_weights_options defaults = {0};
    if (!o) o = &defaults;
    pith_weights *w = mem_zero(1, sizeof *w);
    if (!w) return err_nomem(e, sizeof *w, path), NULL;
    w->header_only = o->header_only;
    if (torch_is(path)) w->t = torch_open(path, &(torch_options){.no_mmap = o->no_mmap, .header_only = o->header_only, .key = o->key}, e);
    else w->s = safetensors_open(path, &(safetensors_options){.no_mmap = o->no_mmap, .header_only = o->header_only}, e);
    if (w->s || w->t) return w;
    mem_free(w);
    return NULL;
}

void pith_weights_close(pith_weights *w)
{
    if (!w) return;
    safetensors_close(w->s);
    torch_close(w->t);
    mem_free(w);
}

size_t pith_weights_count(const pith_weights *w) { return w->s ? safetensors_count(w->s) : torch_count(w->t); }

unsigned pith_dtype_bits(const char *name)
{
    int type = tensor_dtype_find(name, strlen(name));
    return type < 0 ? 0 : tensor_dtypes[type].bits;
}

static pith_tensor tell(size_t i, const char *name, tensor t, size_t file, uint64_t offset)
{
    return (pith_tensor){.index = i, .name = name, .dtype = tensor_dtypes[t.type].name, .shape = t.shape, .rank = t.rank, .nbytes = t.nbytes, .offset = offset, .file = file, .data = t.data};
}

int pith_weights_at(const pith_weights *w, size_t i, pith_tensor *out)
{
    if (i >= pith_weights_count(w)) return -1;
    if (w->s) {
        const safetensors_entry *x = safetensors_at(w->s, i);
        *out = tell(i, x->name, x->t, x->file, x->offset);
    } else {
        const torch_entry *x = torch_at(w->t, i);
        *out = tell(i, x->name, x->t, x->file, x->offset);
    }
    return 0;
}

int pith_weights_find(const pith_weights *w, const char *name, pith_tensor *out)
{
    const safetensors_entry *s = w->s ? safetensors_find(w->s, name) : NULL;
    const torch_entry *t = w->t ? torch_find(w->t, name) : NULL;
    if (s) *out = tell((size_t)(s - safetensors_at(w->s, 0)), s->name, s->t, s->file, s->offset);
    if (t) *out = tell((size_t)(t - torch_at(w->t, 0)), t->name, t->t, t->file, t->offset);
    return s || t ? 0 : -1;
}

size_t pith_weights_files(const pith_weights *w) { return w->s ? safetensors_files(w->s) : torch_files(w->t); }
size_t pith_weights_warnings(const pith_weights *w) { return w->s ? safetensors_warnings(w->s) : torch_warnings(w->t); }
const char *pith_weights_mapped_at(const pith_weights *w, const void *addr) { return w->s ? safetensors_mapped_at(w->s, addr) : torch_mapped_at(w->t, addr); }
const char *pith_weights_format(const pith_weights *w) { return w->s ? "safetensors" : "PyTorch"; }
const char *pith_weights_key(const pith_weights *w) { return w->s ? "" : torch_key(w->t); }
size_t pith_weights_same(const pith_weights *w, size_t i) { return w->t && i < torch_count(w->t) ? torch_at(w->t, i)->same : i; }

void pith_weights_release(const pith_weights *w, size_t i)
{
    if (i >= pith_weights_count(w)) return;
    if (w->s) safetensors_release(w->s, safetensors_at(w->s, i));
    else torch_release(w->t, torch_at(w->t, i));
}

const char *pith_weights_file(const pith_weights *w, size_t file, uint64_t *size)
{
    if (file >= pith_weights_files(w)) return NULL;
    if (size) *size = w->s ? safetensors_file_size(w->s, file) : torch_file_size(w->t, file);
    return w->s ? safetensors_file_name(w->s, file) : torch_file_name(w->t, file);
}

size_t pith_weights_metadata_count(const pith_weights *w, size_t file)
{
    return w->s && file < safetensors_files(w->s) ? safetensors_metadata_count(w->s, file) : 0;
}

int pith_weights_metadata(const pith_weights *w, size_t file, size_t i, const char **key, const char **value)
{
    if (i >= pith_weights_metadata_count(w, file)) return -1;
    safetensors_metadata_at(w->s, file, i, key, value);
    return 0;
}

const char *pith_weights_warning(const pith_weights *w, size_t i)
{
    if (i >= pith_weights_warnings(w)) return NULL;
    return w->s ? safetensors_warning(w->s, i) : torch_warning(w->t, i);
}

/* 0 if elements [first, first+n) of tensor i can be read, else -1 and why. */
static int readable(const pith_weights *w, size_t i, uint64_t first, size_t n, tensor *t, pith_err *e)
{
    pith_tensor x;
    uint64_t end;
    if (pith_weights_at(w, i, &x)) return err_set(e, "tensor %zu of %zu: no such index", i, pith_weights_count(w));
    *t = w->s ? safetensors_at(w->s, i)->t : torch_at(w->t, i)->t;
    if (tensor_dtypes[t->type].bits < 8) return err_set(e, "%.200s: %s has no elements of whole bytes to read", x.name, x.dtype);
    if (w->header_only) return err_set(e, "%.200s: opened for headers only; open it with data", x.name);
    if (checked_add(first, n, &end) || end > tensor_count(*t))
        return err_set(e, "%.200s: elements [%llu,+%zu) asked for, it has %llu", x.name, (unsigned long long)first, n, (unsigned long long)tensor_count(*t));
    return 0;
}

int pith_weights_read(const pith_weights *w, size_t i, uint64_t first, size_t n, void *out, pith_err *e)
{
    tensor t;
    if (readable(w, i, first, n, &t, e)) return -1;
    size_t size = tensor_dtypes[t.type].bits / 8;
    if (w->t) torch_read(w->t, torch_at(w->t, i), first, n, out);
    else if (n) memcpy(out, (const char *)t.data + first * size, n * size);
    return 0;
}

int pith_weights_read_f32(const pith_weights *w, size_t i, uint64_t first, size_t n, float *out, pith_err *e)
{
    enum { PIECE = 4096 }; /* bytes of elements that do not lie in a row, gathered and converted at a time */
    tensor t;
    if (readable(w, i, first, n, &t, e)) return -1;
    size_t size = tensor_dtypes[t.type].bits / 8;
    char piece[PIECE];
    unsigned long mode = par_fp_enter();
    int bad = 0;
    if (t.data) bad = tensor_read_f32(t, first, n, out);
    for (size_t k; !t.data && n && !bad; first += k, out += k, n -= k) {
        k = n < PIECE / size ? n : PIECE / size;
        torch_read(w->t, torch_at(w->t, i), first, k, piece);
        bad = tensor_read_f32((tensor){.data = piece, .type = t.type}, 0, k, out);
    }
    par_fp_leave(mode);
    return bad ? err_set(e, "%.200s: %s cannot be read as float", w->s ? safetensors_at(w->s, i)->name : torch_at(w->t, i)->name, tensor_dtypes[t.type].name) : 0;
}
