#define _POSIX_C_SOURCE 200809L
#include "cli/convert_write.h"
#include "cli/convert_files.h"
#include "cli/guard.h"
#include "base/checked.h"
#include "base/err.h"
#include "base/json.h"
#include "base/memtext.h"
#include "base/path.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 2 << 20 }; /* elements of at most 8 bytes come in blocks of BLOCK / 8 */

char *convert_write_name(const convert_write *c, size_t shard, pith_err *e)
{
    char buf[80];
    if (c->file || c->plan->n_shards == 1) snprintf(buf, sizeof buf, "model.safetensors");
    else snprintf(buf, sizeof buf, "model-%05zu-of-%05zu.safetensors", shard + 1, c->plan->n_shards);
    char *name = strdup(c->file ? c->file : buf);
    if (!name) err_nomem(e, sizeof buf, "a name");
    return name;
}

/* ---- blocks ---- */

/* How tensor x is walked: `units` of in_size bytes in the source and out_size in the target. Types without whole bytes
 * per element go byte by byte. */
typedef struct walk {
    const convert_plan_item *x;
    pith_tensor t;
    uint64_t units;
    size_t in_size, out_size;
    int raw;
} walk;

static int start(const convert_write *c, const convert_plan_item *x, walk *s, pith_err *e)
{
    *s = (walk){.x = x};
    if (pith_weights_at(c->from, x->source, &s->t) || checked_product(s->t.shape, s->t.rank, &s->units)) return err_set(e, "%.200s: its shape overflows", x->name);
    s->raw = s->units == 0 || s->t.nbytes % s->units != 0 || s->t.nbytes < s->units;
    if (s->raw) s->units = s->t.nbytes;
    s->in_size = s->raw ? 1 : (size_t)(s->t.nbytes / s->units);
    s->out_size = x->cast ? convert_plan_float(x->dtype) : s->in_size;
    return s->in_size <= 16 ? 0 : err_set(e, "%.200s: %s has no elements to copy", x->name, s->t.dtype);
}

static size_t block(const walk *s, uint64_t first)
{
    uint64_t most = BLOCK / (s->in_size > s->out_size ? s->in_size : s->out_size);
    return (size_t)(s->units - first < most ? s->units - first : most);
}

/* Units [first, first + n) as they are in the source, and cast. *bytes are what belongs in the target. */
static int fetch(const convert_write *c, const walk *s, uint64_t first, size_t n, const char **bytes, uint64_t *overflow, pith_err *e)
{
    *bytes = c->in;
    if (s->raw && !s->t.data) return err_set(e, "%.200s: %s does not lie in a row; it cannot be copied", s->x->name, s->t.dtype);
    if (s->raw) memcpy(c->in, (const char *)s->t.data + first, n);
    else if (pith_weights_read(c->from, s->x->source, first, n, c->in, e)) return -1;
    if (!s->x->cast) return 0;
    *bytes = c->out;
    return pith_cast(s->t.dtype, c->in, s->x->dtype, c->out, n, overflow, e);
}

static void advance(convert_write *c, uint64_t bytes)
{
    c->done += bytes;
    double all = 2 * (double)c->plan->nbytes;
    progress_update(&c->progress, c->done / 1000000, all > 0 ? (double)c->done / all : 1);
}

static int begin(convert_write *c, pith_err *e)
{
    if (!c->in) c->in = malloc(BLOCK);
    if (!c->out) c->out = malloc(BLOCK);
    if (!c->back) c->back = malloc(BLOCK);
    return c->in && c->out && c->back ? 0 : err_nomem(e, BLOCK, "blocks of tensors");
}

void convert_write_end(convert_write *c)
{
    free(c->in);
    free(c->out);
    free(c->back);
    c->in = c->out = c->back = NULL;
}

/* ---- writing ---- */

static int refuse_overflow(const walk *s, uint64_t n, pith_err *e)
{
    char some[32], all[32];
    return err_set(e, "%.200s: %s of %s finite values become infinite as %s; use another --dtype, or --allow-overflow to have infinities", s->x->name, cli_count(n, some),
                   cli_count(s->units, all), s->x->dtype);
}

static int put_tensor(convert_write *c, size_t item, pith_writer *w, size_t i, pith_err *e)
{
    walk s;
    if (start(c, &c->plan->items[item], &s, e)) return -1;
    for (uint64_t first = 0; first < s.units;) {
        const char *bytes;
        size_t n = block(&s, first);
        if (guard_interrupted()) return 1;
        if (fetch(c, &s, first, n, &bytes, &c->overflow[item], e) || pith_writer_put(w, i, first * s.out_size, bytes, n * s.out_size, e)) return -1;
        pith_weights_release(c->from, s.x->source);
        first += n;
        advance(c, n * s.out_size);
    }
    if (c->overflow[item] && !c->allow_overflow) return refuse_overflow(&s, c->overflow[item], e);
    return 0;
}

/* The tensors of a shard, and (in items) which of the plan they are. */
static size_t collect(const convert_write *c, size_t shard, pith_tensor *tensors, size_t *items)
{
    size_t n = 0;
    for (size_t i = 0; i < c->plan->n; i++) {
        const convert_plan_item *x = &c->plan->items[i];
        if (x->shard != shard) continue;
        pith_weights_at(c->from, x->source, &tensors[n]);
        tensors[n].name = x->name;
        tensors[n].dtype = x->dtype;
        tensors[n].nbytes = x->nbytes;
        items[n++] = i;
    }
    return n;
}

static int put_file(convert_write *c, size_t shard, pith_tensor *tensors, size_t *items, pith_err *e)
{
    char *name = convert_write_name(c, shard, e), *path = name ? path_join(c->dir, name, e) : NULL;
    size_t n = collect(c, shard, tensors, items);
    pith_writer *w = path ? pith_writer_new(path, tensors, n, c->plan->metadata, c->plan->n_metadata, 0, e) : NULL;
    int status = w ? 0 : -1;
    for (size_t i = 0; i < n && !status; i++) status = put_tensor(c, items[i], w, i, e);
    if (!status && pith_writer_finish(w, e)) status = -1;
    pith_writer_free(w);
    free(path);
    free(name);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const convert_plan_item *const *)a)->name, (*(const convert_plan_item *const *)b)->name);
}

/* model.safetensors.index.json as Hugging Face writes it. */
static int put_index(const convert_write *c, pith_err *e)
{
    const convert_plan *p = c->plan;
    const convert_plan_item **sorted = malloc(p->n * sizeof *sorted);
    char *text = NULL;
    size_t len = 0;
    FILE *f = sorted ? memtext_open(&text, &len) : NULL;
    if (!f) {
        free(sorted);
        return err_nomem(e, p->n * sizeof *sorted, "the index");
    }
    for (size_t i = 0; i < p->n; i++) sorted[i] = &p->items[i];
    qsort(sorted, p->n, sizeof *sorted, by_name);
    fprintf(f, "{\n  \"metadata\": {\n    \"total_size\": %llu\n  },\n  \"weight_map\": {", (unsigned long long)p->nbytes);
    for (size_t i = 0; i < p->n; i++) {
        fputs(i ? ",\n    " : "\n    ", f);
        json_put_str(f, sorted[i]->name, strlen(sorted[i]->name));
        fprintf(f, ": \"model-%05zu-of-%05zu.safetensors\"", sorted[i]->shard + 1, p->n_shards);
    }
    fputs("\n  }\n}\n", f);
    int bad = memtext_close(f, &text);
    bad = bad ? err_nomem(e, len, "the index") : convert_files_put(c->dir, "model.safetensors.index.json", text, len, e);
    free(text);
    free(sorted);
    return bad;
}

int convert_write_files(convert_write *c, pith_err *e)
{
    pith_tensor *tensors = malloc(c->plan->n * sizeof *tensors);
    size_t *items = malloc(c->plan->n * sizeof *items);
    int status = tensors && items ? begin(c, e) : err_nomem(e, c->plan->n * sizeof *tensors, "the plan");
    for (size_t s = 0; s < c->plan->n_shards && !status; s++) status = put_file(c, s, tensors, items, e);
    if (!status && c->plan->n_shards > 1) status = put_index(c, e);
    free(tensors);
    free(items);
    return status;
}

/* ---- comparing ---- */

static int differs(const walk *s, const char *how, pith_err *e)
{
    return err_set(e, "%.200s: what was written is not what was meant to be (%s): the disk or the memory may be faulty; nothing was put in place", s->x->name, how);
}

static int compare_tensor(convert_write *c, const convert_plan_item *x, const pith_weights *w, size_t at, pith_err *e)
{
    walk s;
    pith_tensor t;
    uint64_t ignored = 0;
    if (start(c, x, &s, e)) return -1;
    pith_weights_at(w, at, &t);
    if (strcmp(t.dtype, x->dtype) != 0 || t.nbytes != x->nbytes || t.rank != s.t.rank) return differs(&s, "dtype or size", e);
    if (t.rank && memcmp(t.shape, s.t.shape, t.rank * sizeof *t.shape) != 0) return differs(&s, "shape", e);
    for (uint64_t first = 0; first < s.units;) {
        const char *bytes;
        size_t n = block(&s, first);
        if (guard_interrupted()) return 1;
        if (fetch(c, &s, first, n, &bytes, &ignored, e)) return -1;
        memcpy(c->back, (const char *)t.data + first * s.out_size, n * s.out_size);
        if (memcmp(bytes, c->back, n * s.out_size) != 0) return differs(&s, "bytes", e);
        pith_weights_release(c->from, x->source);
        pith_weights_release(w, at);
        first += n;
        advance(c, n * s.out_size);
    }
    return 0;
}

/* Items and what was written, both in order of names, so that they go together one by one. */
static int compare_all(convert_write *c, const pith_weights *w, const convert_plan_item **sorted, pith_tensor *there, pith_err *e)
{
    int status = 0;
    for (size_t i = 0; i < c->plan->n && !status; i++) {
        if (strcmp(sorted[i]->name, there[i].name) != 0) return err_set(e, "%.200s is missing in what was written; nothing was put in place", sorted[i]->name);
        status = compare_tensor(c, sorted[i], w, (size_t)there[i].offset, e);
    }
    return status;
}

static int tensor_by_name(const void *a, const void *b) { return strcmp(((const pith_tensor *)a)->name, ((const pith_tensor *)b)->name); }

int convert_write_compare(convert_write *c, pith_err *e)
{
    size_t n = c->plan->n;
    char *path = c->file ? path_join(c->dir, c->file, e) : strdup(c->dir);
    pith_weights *w = path ? pith_weights_open(path, NULL, e) : NULL;
    const convert_plan_item **sorted = malloc(n * sizeof *sorted);
    pith_tensor *there = malloc(n * sizeof *there);
    int status = w && sorted && there ? begin(c, e) : err_nomem(e, n * sizeof *there, "comparing");
    if (!status && pith_weights_count(w) != n) status = err_set(e, "%zu tensors were written instead of %zu; nothing was put in place", pith_weights_count(w), n);
    for (size_t i = 0; i < n && !status; i++) {
        sorted[i] = &c->plan->items[i];
        pith_weights_at(w, i, &there[i]);
        there[i].offset = i; /* its index, kept through the sort */
    }
    if (!status) {
        qsort(sorted, n, sizeof *sorted, by_name);
        qsort(there, n, sizeof *there, tensor_by_name);
        status = compare_all(c, w, sorted, there, e);
    }
    pith_weights_close(w);
    free(there);
    free(sorted);
    free(path);
    return status;
}
