/* engine: directory -> config -> architecture -> weights -> session. Text, classification and vectors are in
 * text.c, classify.c and embed.c, the files themselves in weights.c. */
#define _POSIX_C_SOURCE 200809L
#include "engine.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/path.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *pith_version(void) { return PITH_VERSION; }
void pith_free(void *p) { mem_free(p); }
void pith_set_log(pith_log_fn *fn, void *ctx) { log_set(fn, ctx); }

int pith_set_memory(pith_memory_fn *fn, void *ctx, pith_err *e)
{
    if (mem_set(fn, ctx)) return err_set(e, "memory was taken already; set the process's memory function before anything else of the library is called");
    if (fn) json_use_mem();
    return 0;
}

/* ---- open ---- */

/* problem_type and the number of labels decide, as in transformers' text-classification pipeline. */
static int read_activation(pith_model *m, json cfg, pith_err *e)
{
    const char *problem;
    if (json_opt_str(cfg, "problem_type", "", &problem, e)) return -1;
    m->activation = m->dims.n_labels == 1 ? PITH_ACTIVATION_SIGMOID : PITH_ACTIVATION_SOFTMAX;
    if (!strcmp(problem, "multi_label_classification")) m->activation = PITH_ACTIVATION_SIGMOID;
    else if (!strcmp(problem, "regression")) m->activation = PITH_ACTIVATION_NONE;
    else if (*problem && strcmp(problem, "single_label_classification"))
        return err_set(e, "config.json: problem_type \"%.80s\" is not supported (supported: single_label_classification, "
                          "multi_label_classification, regression)", problem);
    return 0;
}

int engine_where(const char *dir, pith_err *e)
{
    size_t n = strlen(dir);
    int begins = e && n && !strncmp(e->msg, dir, n) && (dir[n - 1] == '/' || e->msg[n] == '/' || e->msg[n] == ':');
    return begins ? -1 : err_where(e, "%s", dir);
}

int engine_config(pith_model *m, const char *dir, const char **architecture, pith_err *e)
{
    struct stat st;
    if (stat(dir, &st)) return err_set(e, "%s: no such model directory", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, "%s: is a file; a model is a directory with config.json, *.safetensors and tokenizer files "
                          "(`pith inspect` reads single files)", dir);
    int there = path_there(dir, "config.json", e);
    if (there < 0) return -1;
    if (!there) return err_set(e, "%s: holds no config.json, so it is no Hugging Face model directory", dir);
    char *path = path_join(dir, "config.json", e);
    if (path) m->config = json_load(path, e);
    mem_free(path);
    if (!m->config) return -1;
    m->arch = model_find(json_root(m->config), &m->type, architecture, e);
    return m->arch ? 0 : engine_where(dir, e);
}

static int open_tokenizer(pith_model *m, const char *dir, pith_err *e)
{
    int there = path_there(dir, "tokenizer.json", e);
    if (!there) there = path_there(dir, "vocab.txt", e);
    if (there <= 0) return there;
    m->tokenizer.t = tokenizer_open(dir, e);
    return m->tokenizer.t ? 0 : -1;
}

/* Weights that are packed already decide what they are computed as. */
static int packed_type(pith_model *m, const char *dir, bind *b, const engine_source *o, pith_err *e)
{
    dtype type, asked = m->op.weights;
    if (bind_packed(b, &type)) return bind_finish(b, NULL, e);
    if (!type) return 0;
    const char *is = bind_type_name(type);
    if (o->record) return err_set(e, "these weights are packed already, as %s; quantise the directory they were made from", is);
    m->op.weights = type == DT_Q8 || type == DT_Q4 ? type : 0;
    if (!asked || asked == type) {
        log_tell(PITH_LOG_INFO, "%s: the weights are packed, as %s", dir, is);
        return 0;
    }
    return err_set(e, "these weights are packed as %s, and do not become %s; open the directory they were made from, or leave out --dtype",
                   is, bind_type_name(asked));
}

/* As they are packed, so that a matrix is not in memory twice. */
static void drop(void *ctx, const void *w, size_t bytes) { safetensors_drop(((pith_model *)ctx)->files, w, bytes); }

int engine_weights(pith_model *m, const char *dir, const char *architecture, const engine_source *o, pith_err *e)
{
    const safetensors_options so = {.no_mmap = o->no_mmap, .header_only = o->tell != NULL};
    m->op.kept = &m->kept;
    m->op.packed = drop;
    m->op.packed_ctx = m;
    m->files = safetensors_open(dir, &so, e);
    if (!m->files) return -1;
    bind *b = bind_new(m->files, e);
    if (b && o->tell) bind_tell(b, o->tell, o->ctx);
    if (b && o->record) bind_record(b, o->record, o->ctx);
    if (b && !packed_type(m, dir, b, o, e)) m->weights = m->arch->load(json_root(m->config), architecture, b, &m->op, &m->dims, e);
    m->parameters = b ? bind_parameters(b) : 0;
    m->widest = b ? (size_t)bind_widest(b) : 0;
    bind_free(b);
    if (!m->weights) return engine_where(dir, e);
    uint64_t n;
    if (m->dims.n_labels && model_labels(json_root(m->config), &n, &m->labels, e)) return -1;
    return read_activation(m, json_root(m->config), e);
}

int engine_note(pith_model *m, pith_err *e, const char *fmt, ...)
{
    char text[PITH_ERR_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    char *copy = mem_copy(text);
    if (!copy) return err_nomem(e, strlen(text) + 1, "a warning");
    m->note[m->n_notes++] = copy;
    return 0;
}

/* Added tokens without an embedding are common and harmless until a text uses one (pith_run then names it). */
static int check_vocabulary(pith_model *m, pith_err *e)
{
    size_t n = m->tokenizer.t ? tokenizer_vocab_size(m->tokenizer.t) : 0;
    if (n <= m->dims.vocab) return 0;
    return engine_note(m, e, "the tokenizer has ids up to %zu, the model only up to %llu (vocab_size); a text that uses one of "
                             "the others will be refused: are tokenizer and weights of the same model?", n - 1,
                       (unsigned long long)m->dims.vocab - 1);
}

int engine_dtype(const char *name, dtype *out, pith_err *e)
{
    *out = 0;
    if (!name || !strcmp(name, "auto")) return 0;
    if (strcmp(name, "q8") && strcmp(name, "q4")) return err_set(e, "weights as '%.40s': unknown (there are auto, q8, q4)", name);
    *out = name[1] == '8' ? DT_Q8 : DT_Q4;
    return 0;
}

static void tell_open(const pith_model *m, const char *dir, double since)
{
    const dtype type = m->op.weights;
    log_tell(PITH_LOG_INFO, "%s: opened in %.0f ms: %s, %llu parameters, %llu bytes of weights%s%s, kernel set %s, %d threads", dir,
             1e3 * (clock_now() - since), m->type, (unsigned long long)m->parameters, (unsigned long long)m->dims.bytes,
             type ? " as " : "", type ? bind_type_name(type) : "", m->op.kernels->name, m->op.threads);
    for (size_t i = 0; i < pith_model_warnings(m); i++) log_tell(PITH_LOG_WARNING, "%s: %s", dir, pith_model_warning(m, i));
}

pith_model *pith_model_open(const char *dir, const pith_model_options *o, pith_err *e)
{
    const pith_model_options defaults = {0};
    if (!o) o = &defaults;
    pith_model *m = mem_zero(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    const double since = clock_now();
    const char *architecture = NULL, *kernels = o->kernels ? o->kernels : getenv("PITH_KERNELS");
    m->op.threads = o->threads > 0 ? o->threads : par_cpus();
    if (o->pin) par_pin();
    m->op.kernels = kernel_find(kernels, e);
    unsigned long mode = par_fp_enter();
    int failed = !m->op.kernels || engine_dtype(o->dtype, &m->op.weights, e) || engine_config(m, dir, &architecture, e) ||
                 open_tokenizer(m, dir, e) || engine_weights(m, dir, architecture, &(engine_source){.no_mmap = o->no_mmap}, e) ||
                 check_vocabulary(m, e) || (m->dims.causal ? engine_settings(m, dir, e) : engine_modules(m, dir, e));
    par_fp_leave(mode);
    if (failed) {
        pith_model_close(m);
        return NULL;
    }
    tell_open(m, dir, since);
    return m;
}

void pith_model_close(pith_model *m)
{
    if (!m) return;
    if (m->arch) m->arch->free(m->weights);
    chunks_free(&m->kept);
    safetensors_close(m->files);
    tokenizer_free(m->tokenizer.t);
    json_free(m->config);
    mem_free(m->labels);
    mem_free(m->eos);
    mem_free(m->vectors.prompt);
    mem_free(m->vectors.refused);
    for (size_t i = 0; i < m->n_notes; i++) mem_free(m->note[i]);
    mem_free(m);
}

/* ---- facts ---- */

const char *pith_model_type(const pith_model *m) { return m->type; }
const char *pith_model_kernels(const pith_model *m) { return m->op.kernels->name; }
int pith_model_threads(const pith_model *m) { return m->op.threads; }
uint64_t pith_model_parameters(const pith_model *m) { return m->parameters; }
uint64_t pith_model_weight_bytes(const pith_model *m) { return m->dims.bytes; }
size_t pith_model_hidden_size(const pith_model *m) { return (size_t)m->dims.hidden; }
size_t pith_model_vocab_size(const pith_model *m) { return (size_t)m->dims.vocab; }
size_t pith_model_max_positions(const pith_model *m) { return (size_t)m->dims.max_positions; }
int pith_model_is_causal(const pith_model *m) { return m->dims.causal; }
size_t pith_model_n_labels(const pith_model *m) { return (size_t)m->dims.n_labels; }
const char *pith_model_label(const pith_model *m, size_t i) { return i < m->dims.n_labels ? m->labels[i] : NULL; }
const pith_tokenizer *pith_model_tokenizer(const pith_model *m) { return m->tokenizer.t ? &m->tokenizer : NULL; }
size_t pith_model_warnings(const pith_model *m) { return safetensors_warnings(m->files) + m->n_notes; }
const char *pith_model_warning(const pith_model *m, size_t i)
{
    size_t n = safetensors_warnings(m->files);
    return i < n ? safetensors_warning(m->files, i) : i - n < m->n_notes ? m->note[i - n] : NULL;
}
const char *pith_model_mapped_at(const pith_model *m, const void *addr) { return safetensors_mapped_at(m->files, addr); }

size_t pith_model_max_length(const pith_model *m)
{
    size_t positions = pith_model_max_positions(m);
    size_t tokens = m->tokenizer.t ? tokenizer_model_max_length(m->tokenizer.t) : positions;
    return tokens < positions ? tokens : positions;
}

int pith_model_label_index(const pith_model *m, const char *name)
{
    for (size_t i = 0; i < m->dims.n_labels; i++)
        if (strcmp(m->labels[i], name) == 0) return (int)i;
    char *end;
    if (*name < '0' || *name > '9') return -1;
    unsigned long v = strtoul(name, &end, 10);
    return *end || v >= m->dims.n_labels ? -1 : (int)v;
}

/* ---- run ---- */

pith_session *pith_session_new(const pith_model *m, pith_err *e)
{
    pith_session *s = mem_zero(1, sizeof *s);
    if (!s) err_nomem(e, sizeof *s, "a session");
    else s->m = m;
    return s;
}

void pith_session_free(pith_session *s)
{
    if (!s) return;
    arena_free(&s->memory);
    mem_free(s);
}

/* before: tokens its cache holds */
static int check_seq(const pith_model *m, const pith_seq *q, size_t before, size_t i, pith_err *e)
{
    if (!q->n) return err_set(e, "sequence %zu: has no tokens", i);
    uint64_t most = m->dims.stretches ? INT32_MAX : m->dims.max_positions;
    if (q->n > most || before > most - q->n)
        return err_set(e, "sequence %zu: %zu tokens, but the model has %llu positions (max_position_embeddings); "
                          "truncate it (--max-length)", i, before + q->n, (unsigned long long)most);
    for (size_t t = 0; t < q->n; t++) {
        if (q->ids[t] < 0 || (uint64_t)q->ids[t] >= m->dims.vocab)
            return err_set(e, "sequence %zu, token %zu: id %d is outside the model's vocabulary of %llu", i, t, q->ids[t],
                           (unsigned long long)m->dims.vocab);
        /* A model without segments (DistilBERT) ignores them, as transformers does. */
        if (q->type_ids && m->dims.n_types > 1 && q->type_ids[t] >= m->dims.n_types)
            return err_set(e, "sequence %zu, token %zu: segment %d, but type_vocab_size is %llu", i, t, q->type_ids[t],
                           (unsigned long long)m->dims.n_types);
    }
    return 0;
}

typedef struct buffers {
    op_ctx op; /* the model's, with work memory of this forward */
    int32_t *ids;
    uint8_t *type_ids;
    size_t *start, *out;
    void *work;
} buffers;

static buffers layout(const pith_session *s, const model_extent *x, arena *a)
{
    buffers b = {.op = s->m->op};
    op_room_layout(&b.op, x->n_tok, a);
    op_rows_layout(&b.op, x->n_tok, s->m->widest, a);
    b.ids = arena_take(a, x->n_tok, sizeof *b.ids);
    b.type_ids = arena_take(a, x->n_tok, sizeof *b.type_ids);
    b.start = arena_take(a, x->n_seq + 1, sizeof *b.start);
    b.out = arena_take(a, x->n_out, sizeof *b.out);
    b.work = s->m->arch->layout(s->m->weights, &s->m->op, x, a);
    return b;
}

/* Which tokens' logits: all of them, or the last of each sequence. */
static void fill(const pith_session *s, const engine_run *r, const model_extent *x, buffers *b)
{
    size_t at = 0, out = 0;
    for (size_t i = 0; i < r->n; i++) {
        const pith_seq *q = &r->seqs[i];
        b->start[i] = at;
        memcpy(b->ids + at, q->ids, q->n * sizeof *b->ids);
        if (q->type_ids && s->m->dims.n_types > 1) memcpy(b->type_ids + at, q->type_ids, q->n);
        else memset(b->type_ids + at, 0, q->n);
        for (size_t t = r->every_token ? 0 : q->n - 1; t < q->n && out < x->n_out; t++) b->out[out++] = at + t;
        at += q->n;
    }
    b->start[r->n] = at;
}

int engine_forward(pith_session *s, const engine_run *r, pith_err *e)
{
    const pith_model *m = s->m;
    model_extent x = {.n_seq = r->n};
    for (size_t i = 0; i < r->n; i++) {
        size_t before = r->cache ? r->cache[i]->n : 0;
        if (check_seq(m, &r->seqs[i], before, i, e)) return -1;
        if (r->cache && r->seqs[i].n > r->cache[i]->length - before)
            return err_set(e, "sequence %zu: %zu tokens, but its context was opened for %zu; use a larger --context", i,
                           before + r->seqs[i].n, r->cache[i]->length);
        x.n_tok += r->seqs[i].n;
        if (r->seqs[i].n > x.max_len) x.max_len = r->seqs[i].n;
        if (before + r->seqs[i].n > x.most) x.most = before + r->seqs[i].n;
    }
    x.n_out = r->every_token ? x.n_tok : r->n;
    arena measure = {0};
    layout(s, &x, &measure);
    if (measure.overflow) return err_set(e, "a batch of %zu tokens does not fit memory; use a smaller one", x.n_tok);
    if (arena_reserve(&s->memory, measure.used, e)) return -1;
    buffers b = layout(s, &x, &s->memory);
    fill(s, r, &x, &b);
    model_batch batch = {.n_tok = x.n_tok, .n_seq = r->n, .ids = b.ids, .type_ids = b.type_ids, .start = b.start,
                         .cache = r->cache, .out = b.out, .n_out = x.n_out, .unwanted = r->unwanted, .ctx = r->ctx};
    unsigned long mode = par_fp_enter();
    int unwanted = m->arch->forward(m->weights, &b.op, b.work, &batch, r->logits, r->hidden);
    par_fp_leave(mode);
    if (unwanted) return 1;
    for (size_t i = 0; r->cache && i < r->n; i++) r->cache[i]->n += r->seqs[i].n;
    return 0;
}

/* A causal model needs a cache even for one forward; these live as long as the call. */
static int run_causal(pith_session *s, engine_run *r, pith_err *e)
{
    kv_cache *caches = mem_zero(r->n, sizeof *caches), **list = mem_zero(r->n, sizeof *list);
    int failed = !caches || !list ? err_nomem(e, r->n * sizeof *caches, "caches") : 0;
    for (size_t i = 0; i < r->n && !failed; i++) {
        list[i] = &caches[i];
        failed = kv_init(&caches[i], s->m->dims.kv, r->seqs[i].n, e);
    }
    r->cache = list;
    if (!failed) failed = engine_forward(s, r, e);
    for (size_t i = 0; caches && i < r->n; i++) kv_free(&caches[i]);
    mem_free(caches);
    mem_free(list);
    return failed;
}

int pith_run(pith_session *s, const pith_seq *seqs, size_t n, float *logits, float *hidden, pith_err *e)
{
    const model_dims *d = &s->m->dims;
    engine_run r = {.seqs = seqs, .n = n, .logits = logits, .hidden = hidden, .every_token = d->causal && !d->n_labels};
    if (!n) return 0;
    if (logits && !d->n_labels && !d->causal)
        return err_set(e, "the model has no classification head (its architecture is a bare %s encoder)", s->m->type);
    for (size_t i = 0; i < n; i++)
        if (check_seq(s->m, &seqs[i], 0, i, e)) return -1;
    return d->causal ? run_causal(s, &r, e) : engine_forward(s, &r, e);
}
