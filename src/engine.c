/* engine: directory -> config -> architecture -> weights -> session. Text and classification are in text.c and
 * classify.c, the files themselves in weights.c. */
#include "engine.h"
#include "base/par.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *pith_version(void) { return PITH_VERSION; }
void pith_free(void *p) { free(p); }

/* ---- open ---- */

static char *join(const char *dir, const char *name, pith_err *e)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *p = malloc(n);
    if (!p) {
        err_nomem(e, n, "a path");
        return NULL;
    }
    snprintf(p, n, "%s/%s", dir, name);
    return p;
}

static int exists(const char *dir, const char *name)
{
    pith_err ignored = {0};
    struct stat st;
    char *p = join(dir, name, &ignored);
    int there = p && stat(p, &st) == 0;
    free(p);
    return there;
}

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

static int open_config(pith_model *m, const char *dir, const char **architecture, pith_err *e)
{
    struct stat st;
    if (stat(dir, &st)) return err_set(e, "%s: no such model directory", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, "%s: is a file; a model is a directory with config.json, *.safetensors and tokenizer files "
                          "(`pith inspect` reads single files)", dir);
    if (!exists(dir, "config.json"))
        return err_set(e, "%s: holds no config.json, so it is no Hugging Face model directory", dir);
    char *path = join(dir, "config.json", e);
    if (path) m->config = json_load(path, e);
    free(path);
    if (!m->config) return -1;
    m->arch = model_find(json_root(m->config), &m->type, architecture, e);
    return m->arch ? 0 : err_where(e, "%s", dir);
}

static int open_tokenizer(pith_model *m, const char *dir, pith_err *e)
{
    if (!exists(dir, "tokenizer.json") && !exists(dir, "vocab.txt")) return 0;
    m->tokenizer.t = tokenizer_open(dir, e);
    return m->tokenizer.t ? 0 : -1;
}

static int open_weights(pith_model *m, const char *dir, const char *architecture, const pith_model_options *o, pith_err *e)
{
    const safetensors_options so = {.no_mmap = o->no_mmap};
    m->files = safetensors_open(dir, &so, e);
    if (!m->files) return -1;
    bind *b = bind_new(m->files, e);
    if (b) m->weights = m->arch->load(json_root(m->config), architecture, b, &m->op, &m->dims, e);
    bind_free(b);
    if (!m->weights) return err_where(e, "%s", dir);
    for (size_t i = 0; i < safetensors_count(m->files); i++) m->parameters += tensor_count(safetensors_at(m->files, i)->t);
    uint64_t n;
    if (m->dims.n_labels && model_labels(json_root(m->config), &n, &m->labels, e)) return -1;
    return read_activation(m, json_root(m->config), e);
}

pith_model *pith_model_open(const char *dir, const pith_model_options *o, pith_err *e)
{
    const pith_model_options defaults = {0};
    if (!o) o = &defaults;
    pith_model *m = calloc(1, sizeof *m);
    if (!m) {
        err_nomem(e, sizeof *m, "model");
        return NULL;
    }
    const char *architecture = NULL, *kernels = o->kernels ? o->kernels : getenv("PITH_KERNELS");
    m->op.threads = o->threads > 0 ? o->threads : par_cpus();
    m->op.kernels = kernel_find(kernels, e);
    unsigned long mode = par_fp_enter();
    int failed = !m->op.kernels || open_config(m, dir, &architecture, e) || open_tokenizer(m, dir, e) ||
                 open_weights(m, dir, architecture, o, e);
    par_fp_leave(mode);
    if (!failed) return m;
    pith_model_close(m);
    return NULL;
}

void pith_model_close(pith_model *m)
{
    if (!m) return;
    if (m->arch) m->arch->free(m->weights);
    safetensors_close(m->files);
    tokenizer_free(m->tokenizer.t);
    json_free(m->config);
    free(m->labels);
    free(m);
}

/* ---- facts ---- */

const char *pith_model_type(const pith_model *m) { return m->type; }
const char *pith_model_kernels(const pith_model *m) { return m->op.kernels->name; }
int pith_model_threads(const pith_model *m) { return m->op.threads; }
uint64_t pith_model_parameters(const pith_model *m) { return m->parameters; }
uint64_t pith_model_weight_bytes(const pith_model *m) { return m->arch->bytes(m->weights); }
size_t pith_model_hidden_size(const pith_model *m) { return (size_t)m->dims.hidden; }
size_t pith_model_vocab_size(const pith_model *m) { return (size_t)m->dims.vocab; }
size_t pith_model_max_positions(const pith_model *m) { return (size_t)m->dims.max_positions; }
size_t pith_model_n_labels(const pith_model *m) { return (size_t)m->dims.n_labels; }
const char *pith_model_label(const pith_model *m, size_t i) { return i < m->dims.n_labels ? m->labels[i] : NULL; }
const pith_tokenizer *pith_model_tokenizer(const pith_model *m) { return m->tokenizer.t ? &m->tokenizer : NULL; }
size_t pith_model_warnings(const pith_model *m) { return safetensors_warnings(m->files); }
const char *pith_model_warning(const pith_model *m, size_t i) { return safetensors_warning(m->files, i); }
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
    pith_session *s = calloc(1, sizeof *s);
    if (!s) err_nomem(e, sizeof *s, "a session");
    else s->m = m;
    return s;
}

void pith_session_free(pith_session *s)
{
    if (!s) return;
    arena_free(&s->memory);
    free(s);
}

static int check_seq(const pith_model *m, const pith_seq *q, size_t i, pith_err *e)
{
    if (!q->n) return err_set(e, "sequence %zu: has no tokens", i);
    if (q->n > m->dims.max_positions)
        return err_set(e, "sequence %zu: %zu tokens, but the model has %llu positions (max_position_embeddings); "
                          "truncate it (--max-length)", i, q->n, (unsigned long long)m->dims.max_positions);
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
    int32_t *ids;
    uint8_t *type_ids;
    size_t *start;
    void *work;
} buffers;

static buffers layout(const pith_session *s, const model_batch *b, arena *a)
{
    buffers x;
    x.ids = arena_take(a, b->n_tok, sizeof *x.ids);
    x.type_ids = arena_take(a, b->n_tok, sizeof *x.type_ids);
    x.start = arena_take(a, b->n_seq + 1, sizeof *x.start);
    x.work = s->m->arch->layout(s->m->weights, &s->m->op, b->n_tok, b->n_seq, b->max_len, a);
    return x;
}

int pith_run(pith_session *s, const pith_seq *seqs, size_t n, float *logits, float *hidden, pith_err *e)
{
    const pith_model *m = s->m;
    model_batch b = {.n_seq = n};
    if (!n) return 0;
    if (logits && !m->dims.n_labels)
        return err_set(e, "the model has no classification head (its architecture is a bare %s encoder)", m->type);
    for (size_t i = 0; i < n; i++) {
        if (check_seq(m, &seqs[i], i, e)) return -1;
        b.n_tok += seqs[i].n;
        if (seqs[i].n > b.max_len) b.max_len = seqs[i].n;
    }
    arena measure = {0};
    layout(s, &b, &measure);
    if (measure.overflow) return err_set(e, "a batch of %zu tokens does not fit memory; use a smaller one", b.n_tok);
    if (arena_reserve(&s->memory, measure.used, e)) return -1;
    buffers x = layout(s, &b, &s->memory);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        x.start[i] = at;
        memcpy(x.ids + at, seqs[i].ids, seqs[i].n * sizeof *x.ids);
        if (seqs[i].type_ids && m->dims.n_types > 1) memcpy(x.type_ids + at, seqs[i].type_ids, seqs[i].n);
        else memset(x.type_ids + at, 0, seqs[i].n);
        at += seqs[i].n;
    }
    x.start[n] = at;
    b.ids = x.ids, b.type_ids = x.type_ids, b.start = x.start;
    unsigned long mode = par_fp_enter();
    m->arch->forward(m->weights, &m->op, x.work, &b, logits, hidden);
    par_fp_leave(mode);
    return 0;
}
