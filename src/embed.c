/* embed: texts -> final hidden states of their tokens, those the tokenizer adds included -> one vector each, by pooling;
 * cut and normalised if asked.
 *
 *   cls    y = x[first token]
 *   mean   y = (x[0] + x[1] + ...) / n     one chain a column, tokens ascending, in float; one division
 *   max    y = max over tokens of each column
 *   normal y = y / max(sqrt(sum of y^2), 1e-12)   the sum is one chain of doubles, columns ascending
 *
 * So a vector's bits do not depend on what was computed beside it. Reimers and Gurevych 2019. */
#include "engine.h"
#include "base/mem.h"
#include "base/par.h"
#include <math.h>
#include <string.h>

typedef struct job {
    pith_session *s;
    pith_embed_options o; /* defaults filled in */
    const pith_text *texts;
    size_t n;
    float *vectors; /* [n][o.dimensions] */
    size_t *n_tokens;
    uint8_t *truncated;
    engine_pack pack;
    char *prompted; /* [room] prompt and text */
    size_t room;
} job;

/* x: the hidden states of n tokens. */
static void pool(const job *j, const float *x, size_t n, float *y)
{
    const kernel_set *k = j->s->m->op.kernels;
    size_t h = (size_t)j->s->m->dims.hidden, d = j->o.dimensions;
    memcpy(y, x, d * sizeof *y);
    for (size_t t = 1; t < n && j->o.pooling != PITH_POOLING_CLS; t++) {
        const float *next = x + t * h;
        if (j->o.pooling == PITH_POOLING_MEAN) k->add(next, y, d);
        else
            for (size_t i = 0; i < d; i++)
                if (next[i] > y[i] || next[i] != next[i]) y[i] = next[i]; /* a NaN stays */
    }
    for (size_t i = 0; i < d && j->o.pooling == PITH_POOLING_MEAN; i++) y[i] /= (float)n;
}

/* Normalises, and refuses what is no number. */
static int finish(const job *j, float *y, pith_err *e)
{
    double sum = 0;
    for (size_t i = 0; i < j->o.dimensions; i++) sum += (double)y[i] * (double)y[i];
    if (!isfinite(sum))
        return err_set(e, "the hidden states are not numbers (NaN, infinite): the weights may be damaged, "
                          "pith inspect --stats tells which");
    double norm = sqrt(sum);
    if (norm < 1e-12) norm = 1e-12;
    for (size_t i = 0; i < j->o.dimensions && j->o.normalize > 0; i++) y[i] = (float)((double)y[i] / norm);
    return 0;
}

static int run_batch(void *ctx, pith_err *e)
{
    job *j = ctx;
    engine_pack *p = &j->pack;
    size_t h = (size_t)j->s->m->dims.hidden;
    if (engine_pack_out(p, p->n_tokens, h, e) || pith_run(j->s, p->seqs, p->n, NULL, p->out, e)) return -1;
    const float *x = p->out;
    unsigned long mode = par_fp_enter();
    for (size_t i = 0; i < p->n; i++) {
        pool(j, x, p->seqs[i].n, j->vectors + p->pieces[i].text * j->o.dimensions);
        x += p->seqs[i].n * h;
    }
    par_fp_leave(mode);
    return 0;
}

static int read_text(job *j, size_t i, pith_err *e)
{
    pith_text t = j->texts[i];
    const char *prompt = j->s->m->vectors.prompt;
    if (!prompt) return engine_pack_read(&j->pack, &t, e);
    size_t n = strlen(prompt), need = n + t.len;
    if (need > j->room) {
        mem_free(j->prompted);
        j->room = 0;
        j->prompted = mem_alloc(need);
        if (!j->prompted) return err_nomem(e, need, "a text with its prompt");
        j->room = need;
    }
    memcpy(j->prompted, prompt, n);
    if (t.len) memcpy(j->prompted + n, t.text, t.len);
    t.text = j->prompted;
    t.len = need;
    return engine_pack_read(&j->pack, &t, e);
}

static int add_text(job *j, size_t i, pith_err *e)
{
    engine_pack *p = &j->pack;
    size_t room, n;
    if (read_text(j, i, e) || engine_pack_room(p, &room, e)) return -1;
    size_t na = p->text.n, nb = p->pair.n;
    int cut = na + nb > room;
    if (cut) tokenizer_truncate_pair(&na, &nb, room);
    if (engine_pack_add(p, i, 0, na, nb, &n, e)) return -1;
    if (j->n_tokens) j->n_tokens[i] = n;
    if (j->truncated) j->truncated[i] = (uint8_t)cut;
    return 0;
}

static int run(job *j, pith_err *e)
{
    for (size_t i = 0; i < j->n; i++)
        if (add_text(j, i, e)) return err_where(e, "text %zu", i);
    if (engine_pack_flush(&j->pack, e)) return -1;
    int bad = 0;
    unsigned long mode = par_fp_enter();
    for (size_t i = 0; i < j->n && !bad; i++)
        if (finish(j, j->vectors + i * j->o.dimensions, e)) bad = err_where(e, "text %zu", i);
    par_fp_leave(mode);
    return bad;
}

static int set_options(job *j, const pith_embed_options *o, pith_err *e)
{
    const pith_model *m = j->s->m;
    const engine_vectors *v = &m->vectors;
    size_t width = (size_t)m->dims.hidden;
    if (o) j->o = *o;
    if (m->dims.causal)
        return err_set(e, "the model gives no vectors: it reads from left to right (%s), and an encoder (BERT, DistilBERT) is needed",
                       m->type);
    if (v->refused) return err_set(e, "the model gives no vectors: %s", v->refused);
    if (j->o.dimensions > width) return err_set(e, "%zu dimensions: the model's vectors have %zu", j->o.dimensions, width);
    if (!j->o.dimensions) j->o.dimensions = width;
    if (j->o.pooling == PITH_POOLING_AUTO) j->o.pooling = v->pooling;
    if (!j->o.normalize) j->o.normalize = v->normalize ? 1 : -1;
    j->pack = (engine_pack){.max_length = j->o.max_length ? j->o.max_length : v->max_length, .batch_tokens = j->o.batch_tokens,
                            .run = run_batch, .ctx = j,
                            .read = {.strict = j->o.strict, .no_parse_special = j->o.no_parse_special}};
    return engine_pack_open(&j->pack, m, e);
}

size_t pith_model_embedding_size(const pith_model *m)
{
    return m->dims.causal || m->vectors.refused ? 0 : (size_t)m->dims.hidden;
}

pith_embed_options pith_embed_options_new(const pith_model *m)
{
    const engine_vectors *v = &m->vectors;
    return (pith_embed_options){.pooling = v->pooling,
                                .normalize = v->normalize ? 1 : -1,
                                .dimensions = pith_model_embedding_size(m),
                                .max_length = v->max_length ? v->max_length : pith_model_max_length(m)};
}

int pith_embed(pith_session *s, const pith_text *texts, size_t n, const pith_embed_options *o, float *vectors,
               size_t *n_tokens, uint8_t *truncated, pith_err *e)
{
    job j = {.s = s, .texts = texts, .n = n, .vectors = vectors, .n_tokens = n_tokens, .truncated = truncated};
    int failed = set_options(&j, o, e) || run(&j, e);
    engine_pack_free(&j.pack);
    mem_free(j.prompted);
    return failed ? -1 : 0;
}
