/* quantize: writes a model's weights as the engine packs them, so that the next start is a mapping. What is written is
 * what a load has packed. */
#include "engine.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/par.h"
#include "compute/quant.h"
#include "formats/writer.h"
#include <string.h>

/* One matrix that loading packed. */
typedef struct matrix {
    char *name;          /* that the model asks for */
    const safetensors_entry *from; /* that tensor in the file; NULL: it is another one, tied */
    dtype type;
    const void *panels;
    uint64_t bytes;
} matrix;

typedef struct job {
    pith_model *m;
    matrix *list;
    size_t n, cap;
    dtype type; /* of the matrices that are written packed */
    pith_tensor *out;
    uint64_t (*shapes)[3];
    size_t n_out;
    const pith_quantize_options *o;
    pith_err *e;
    int failed, stopped;
} job;

static int stopped(job *j)
{
    if (j->o->stop && !j->stopped) j->stopped = j->o->stop(j->o->ctx) != 0;
    return j->stopped;
}

static int record(void *ctx, const char *name, const char *in_file, dtype type, const void *panels, uint64_t bytes)
{
    job *j = ctx;
    if (j->n == j->cap) {
        size_t cap = j->cap ? 2 * j->cap : 64;
        matrix *p = mem_resize(j->list, cap * sizeof *p);
        if (!p) {
            return j->failed = err_nomem(j->e, cap * sizeof *p, "a list of matrices");
        }
        j->list = p;
        j->cap = cap;
    }
    char *copy = mem_copy(name);
    if (!copy) return j->failed = err_nomem(j->e, strlen(name) + 1, "a name");
    j->list[j->n++] = (matrix){copy, in_file ? safetensors_find(j->m->files, in_file) : NULL, type, panels, bytes};
    return stopped(j);
}

/* The type that most bytes have, where it is not said. */
static dtype common_type(const job *j)
{
    static const dtype types[] = {DT_F32, DT_F16, DT_BF16};
    uint64_t most = 0;
    dtype best = DT_F32;
    for (size_t t = 0; t < 3; t++) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < j->n; i++) bytes += j->list[i].type == types[t] ? j->list[i].bytes : 0;
        if (bytes > most) most = bytes, best = types[t];
    }
    return best;
}

/* As U64, which stands first in a file: blocks are whole cache lines, and so each stays on a line. */
static void add_packed(job *j, const matrix *x)
{
    const int quant = j->type == DT_Q8 || j->type == DT_Q4;
    size_t unit = quant ? 64 : QUANT_PANEL * (j->type == DT_F32 ? 4 : 2); /* a cache line, or a column of a panel */
    uint64_t rows = x->from ? x->from->t.shape[0] : j->m->dims.vocab, panels = checked_pieces(rows, QUANT_PANEL);
    uint64_t *shape = j->shapes[j->n_out];
    shape[0] = panels, shape[1] = panels ? x->bytes / unit / panels : 0, shape[2] = unit / 8;
    j->out[j->n_out++] = (pith_tensor){.name = x->name, .dtype = "U64", .shape = shape, .rank = 3, .data = x->panels, .nbytes = x->bytes};
}

static int list_tensors(job *j)
{
    size_t count = safetensors_count(j->m->files), cap = count + j->n + 1;
    j->out = mem_zero(cap, sizeof *j->out);
    j->shapes = mem_zero(cap, sizeof *j->shapes);
    char *taken = mem_zero(cap, 1);
    if (!j->out || !j->shapes || !taken) {
        mem_free(taken);
        return err_nomem(j->e, cap * sizeof *j->out, "a list of tensors");
    }
    for (size_t i = 0; i < j->n; i++) {
        const safetensors_entry *from = j->list[i].from;
        if (j->list[i].type != j->type) continue;
        if (from) taken[from - safetensors_at(j->m->files, 0)] = 1;
        add_packed(j, &j->list[i]);
    }
    for (size_t i = 0; i < count; i++) {
        const safetensors_entry *x = safetensors_at(j->m->files, i);
        if (taken[i]) continue;
        j->out[j->n_out++] = (pith_tensor){.name = x->name, .dtype = tensor_dtypes[x->t.type].name, .shape = x->t.shape, .rank = x->t.rank, .data = x->t.data, .nbytes = x->t.nbytes};
    }
    mem_free(taken);
    return 0;
}

/* Spaces that make the header end on a cache line. It ends on 8 bytes without them, so eight of them are eight bytes more. */
static int pad_header(const job *j, pith_pair *metadata, size_t n, char pad[64], pith_err *e)
{
    writer_plan p = {0};
    *pad = 0;
    if (writer_lay_out(&p, j->out, j->n_out, metadata, n, e)) return -1;
    size_t k = (64 - p.head_len % 64) % 64;
    writer_plan_free(&p);
    memset(pad, ' ', k);
    pad[k] = 0;
    return 0;
}

static int write_file(job *j, const char *type, const char *path)
{
    enum { PIECE = 16 << 20 };
    char pad[64];
    pith_pair metadata[] = {{BIND_LAYOUT_KEY, BIND_LAYOUT}, {BIND_TYPE_KEY, type}, {"pith.pad", pad}};
    if (pad_header(j, metadata, 3, pad, j->e)) return -1;
    pith_writer *w = pith_writer_new(path, j->out, j->n_out, metadata, 3, j->o->replace, j->e);
    int bad = !w;
    for (size_t i = 0; i < j->n_out && !bad; i++)
        for (uint64_t at = 0; at < j->out[i].nbytes && !bad; at += PIECE) {
            uint64_t left = j->out[i].nbytes - at;
            bad = stopped(j) || pith_writer_put(w, i, at, (const char *)j->out[i].data + at, left < PIECE ? (size_t)left : PIECE, j->e);
        }
    if (!bad) bad = pith_writer_finish(w, j->e);
    pith_writer_free(w);
    return bad;
}

int pith_quantize(const char *dir, const char *type, const char *path, const pith_quantize_options *o, pith_err *e)
{
    const pith_quantize_options defaults = {0};
    pith_model *m = mem_zero(1, sizeof *m);
    job j = {.m = m, .o = o ? o : &defaults, .e = e};
    const char *architecture = NULL;
    if (!m) return err_nomem(e, sizeof *m, "model");
    int keep = !strcmp(type, "keep");
    m->op.threads = par_cpus();
    m->op.kernels = kernel_find(NULL, e);
    unsigned long mode = par_fp_enter();
    int bad = !m->op.kernels || engine_dtype(keep ? NULL : type, &m->op.weights, e) || engine_config(m, dir, &architecture, e) ||
              engine_weights(m, dir, architecture, &(engine_source){.record = record, .ctx = &j}, e) || j.failed;
    par_fp_leave(mode);
    j.type = keep ? common_type(&j) : m->op.weights;
    if (!bad) bad = list_tensors(&j) || write_file(&j, bind_type_name(j.type), path);
    for (size_t i = 0; i < j.n; i++) mem_free(j.list[i].name);
    mem_free(j.list);
    mem_free(j.out);
    mem_free(j.shapes);
    pith_model_close(m);
    if (j.stopped && e) *e = (pith_err){0};
    return j.stopped ? 1 : bad ? -1 : 0;
}
