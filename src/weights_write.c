/* weights_write: pith_writer_* and pith_cast of the public header. Knows which bytes of each tensor have come; the layout
 * is formats/writer's, the file base/outfile's. */
#define _POSIX_C_SOURCE 200809L
#include "base/checked.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/outfile.h"
#include "base/par.h"
#include "compute/tensor.h"
#include "formats/writer.h"
#include <string.h>

typedef struct run {
    uint64_t begin, end;
} run;

/* Bytes [0, upto) have come, and those of the runs, ascending and apart: none as long as they come in order. */
typedef struct part {
    uint64_t upto;
    run *runs;
    size_t n, cap;
} part;

struct pith_writer {
    outfile file;
    writer_plan plan;
    size_t n;
    part *parts;
    char **names; /* for messages */
    int finished;
};

/* ---- which bytes have come ---- */

static int add_run(part *p, uint64_t begin, uint64_t end, pith_err *e)
{
    size_t lo = 0, hi = p->n; /* the first run that ends at or after begin */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (p->runs[mid].end < begin) lo = mid + 1;
        else hi = mid;
    }
    size_t past = lo; /* the first run that begins after end */
    for (; past < p->n && p->runs[past].begin <= end; past++) {
        if (p->runs[past].begin < begin) begin = p->runs[past].begin;
        if (p->runs[past].end > end) end = p->runs[past].end;
    }
    if (past == lo && p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 8;
        run *r = mem_resize(p->runs, cap * sizeof *r);
        if (!r) return err_nomem(e, cap * sizeof *r, "what is written so far");
        p->runs = r;
        p->cap = cap;
    }
    memmove(p->runs + lo + 1, p->runs + past, (p->n - past) * sizeof *p->runs);
    p->n = p->n - (past - lo) + 1;
    p->runs[lo] = (run){begin, end};
    return 0;
}

static int add_bytes(part *p, uint64_t begin, uint64_t end, pith_err *e)
{
    if (begin > p->upto) return add_run(p, begin, end, e);
    if (end > p->upto) p->upto = end;
    size_t k = 0;
    for (; k < p->n && p->runs[k].begin <= p->upto; k++)
        if (p->runs[k].end > p->upto) p->upto = p->runs[k].end;
    if (k) memmove(p->runs, p->runs + k, (p->n -= k) * sizeof *p->runs);
    return 0;
}

/* ---- the writer ---- */

static int keep_names(pith_writer *w, const pith_tensor *tensors, pith_err *e)
{
    size_t bytes = 0;
    for (size_t i = 0; i < w->n; i++) bytes += strlen(tensors[i].name) + 1;
    w->names = mem_alloc(w->n * sizeof *w->names + bytes);
    w->parts = mem_zero(w->n ? w->n : 1, sizeof *w->parts);
    if (!w->parts || (w->n && !w->names)) return err_nomem(e, w->n * (sizeof *w->names + sizeof *w->parts) + bytes, "the table of tensors");
    char *s = (char *)(w->names + w->n);
    for (size_t i = 0; i < w->n; i++) {
        w->names[i] = s;
        s = stpcpy(s, tensors[i].name) + 1;
    }
    return 0;
}

pith_writer *pith_writer_new(const char *path, const pith_tensor *tensors, size_t n, const pith_pair *metadata, size_t n_metadata, int replace, pith_err *e)
{
    pith_writer *w = mem_zero(1, sizeof *w);
    if (!w) return err_nomem(e, sizeof *w, "a writer"), NULL;
    w->n = n;
    if (writer_lay_out(&w->plan, tensors, n, metadata, n_metadata, e)) err_where(e, "%s", path);
    else if (!keep_names(w, tensors, e) && !outfile_open(&w->file, path, replace, e) && !outfile_reserve(&w->file, w->plan.size, e) &&
             !outfile_pwrite(&w->file, w->plan.head, w->plan.head_len, 0, e))
        return w;
    pith_writer_free(w);
    return NULL;
}

int pith_writer_put(pith_writer *w, size_t i, uint64_t offset, const void *data, size_t nbytes, pith_err *e)
{
    uint64_t end;
    if (w->finished) return err_set(e, "this writer has finished, nothing can be added to its file");
    if (i >= w->n) return err_set(e, "%.700s: tensor %zu of %zu: no such index", w->file.name, i, w->n);
    const writer_place *at = &w->plan.at[i];
    if (checked_add(offset, nbytes, &end) || end > at->nbytes)
        return err_set(e, "%.500s: tensor %.200s has %llu bytes, given are %zu from %llu", w->file.name, w->names[i], (unsigned long long)at->nbytes, nbytes, (unsigned long long)offset);
    if (nbytes == 0) return 0;
    return outfile_pwrite(&w->file, data, nbytes, at->offset + offset, e) ? -1 : add_bytes(&w->parts[i], offset, end, e);
}

int pith_writer_finish(pith_writer *w, pith_err *e)
{
    if (w->finished) return err_set(e, "this writer has finished already");
    for (size_t i = 0; i < w->n; i++) {
        const part *p = &w->parts[i];
        uint64_t nbytes = w->plan.at[i].nbytes;
        if (p->upto < nbytes)
            return err_set(e, "%.500s: bytes [%llu,%llu) of tensor %.200s (%llu bytes) were never written", w->file.name, (unsigned long long)p->upto,
                           (unsigned long long)(p->n ? p->runs[0].begin : nbytes), w->names[i], (unsigned long long)nbytes);
    }
    w->finished = 1;
    return outfile_finish(&w->file, e);
}

void pith_writer_free(pith_writer *w)
{
    if (!w) return;
    outfile_close(&w->file);
    writer_plan_free(&w->plan);
    for (size_t i = 0; w->parts && i < w->n; i++) mem_free(w->parts[i].runs);
    mem_free(w->parts);
    mem_free(w->names);
    mem_free(w);
}

/* ---- casts ---- */

int pith_cast(const char *from, const void *src, const char *to, void *dst, size_t n, uint64_t *n_overflow, pith_err *e)
{
    int a = tensor_dtype_find(from, strlen(from)), b = tensor_dtype_find(to, strlen(to));
    uint64_t over = 0;
    unsigned long mode = par_fp_enter();
    int bad = a < 0 || b < 0 ? -1 : tensor_cast((dtype)a, src, (dtype)b, dst, n, &over);
    par_fp_leave(mode);
    if (bad) return err_set(e, "a cast from %.100s to %.100s, expected two of F64, F32, F16, BF16", from, to);
    if (n_overflow) *n_overflow += over;
    return 0;
}
