/* score: the probabilities of a given text's tokens, window by window. */
#include "base/mem.h"
#include "base/par.h"
#include "compute/sample.h"
#include "engine.h"
#include <string.h>

/* CHUNK tokens are computed at once; of their logits there are never more than LOGITS floats. */
enum { CHUNK = 256, DEFAULT_WINDOW = 2048 };
static const size_t LOGITS = 1 << 24;

typedef struct scorer {
    pith_session *s;
    const int32_t *ids;
    float *logprobs, *logits;
    size_t vocab, rows; /* of logits */
    sample_work work;
    kv_cache cache;
} scorer;

/* Row k predicts the token after it: ids[first + k + 1]. */
static int rows_done(scorer *j, size_t first, size_t n, pith_err *e)
{
    unsigned long mode = par_fp_enter();
    int bad = 0;
    for (size_t k = 0; k < n && !bad; k++) {
        const float *row = j->logits + k * j->vocab;
        bad = sample_check(row, j->vocab, e);
        if (!bad) sample_logprobs(j->s->m->op.kernels, &j->work, row, j->ids[first + k + 1], &j->logprobs[first + k + 1], NULL, 0);
    }
    par_fp_leave(mode);
    return bad;
}

/* Tokens ids[begin .. end) as one window; those from `from` on are scored. The last token is not computed: it predicts
 * nothing that is asked for. */
static int window(scorer *j, size_t begin, size_t from, size_t end, pith_err *e)
{
    kv_cache *cache = &j->cache;
    cache->n = 0;
    for (size_t at = begin, n; at < end - 1; at += n) {
        int wanted = at + 1 >= from;
        size_t most = wanted ? j->rows : CHUNK, stop = wanted ? end - 1 : from - 1;
        n = stop - at < most ? stop - at : most;
        pith_seq q = {j->ids + at, NULL, n};
        engine_run r = {.seqs = &q, .n = 1, .cache = &cache, .every_token = wanted, .logits = wanted ? j->logits : NULL};
        if (engine_forward(j->s, &r, e) || (wanted && rows_done(j, at, n, e))) return -1;
    }
    return 0;
}

static int open_scorer(scorer *j, size_t most, pith_err *e)
{
    j->rows = LOGITS / j->vocab ? LOGITS / j->vocab : 1;
    if (j->rows > CHUNK) j->rows = CHUNK;
    j->logits = mem_alloc(j->rows * j->vocab * sizeof *j->logits);
    if (!j->logits) return err_nomem(e, j->rows * j->vocab * sizeof *j->logits, "logits");
    return sample_work_init(&j->work, j->vocab, e) || kv_init(&j->cache, j->s->m->dims.kv, most, e) ? -1 : 0;
}

static void close_scorer(scorer *j)
{
    mem_free(j->logits);
    sample_work_free(&j->work);
    kv_free(&j->cache);
}

static int check(const pith_model *m, const int32_t *ids, size_t n, size_t size, size_t stride, pith_err *e)
{
    if (!m->dims.causal || m->dims.n_labels)
        return err_set(e, "the model predicts no tokens: it is %s (%s)",
                       m->dims.n_labels ? "a classifier" : "an encoder", m->type);
    if (size < 2 || size > m->dims.max_positions)
        return err_set(e, "a window of %zu tokens: expected 2 to %llu (the model's max_position_embeddings)", size,
                       (unsigned long long)m->dims.max_positions);
    if (!stride || stride >= size)
        return err_set(e, "a stride of %zu tokens: expected 1 to %zu, less than the window", stride, size - 1);
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint64_t)ids[i] >= m->dims.vocab)
            return err_set(e, "token %zu: id %d is outside the model's vocabulary of %llu", i, ids[i],
                           (unsigned long long)m->dims.vocab);
    return 0;
}

int pith_score(pith_session *s, const int32_t *ids, size_t n, const pith_score_options *o, float *logprobs, pith_err *e)
{
    const pith_score_options defaults = {0};
    if (!o) o = &defaults;
    size_t most = pith_model_max_positions(s->m);
    size_t size = o->window ? o->window : most < DEFAULT_WINDOW ? most : DEFAULT_WINDOW;
    size_t stride = o->stride ? o->stride : size / 2;
    scorer j = {.s = s, .ids = ids, .logprobs = logprobs, .vocab = (size_t)s->m->dims.vocab};
    if (check(s->m, ids, n, size, stride, e)) return -1;
    if (n) logprobs[0] = 0;
    if (n < 2) return 0;
    int bad = open_scorer(&j, size < n ? size : n, e);
    for (size_t done = 1; done < n && !bad;) {
        size_t end = done == 1 ? size : done + stride;
        if (end > n) end = n;
        bad = window(&j, done == 1 || end < size ? 0 : end - size, done, end, e);
        done = end;
        if (!bad && o->on_progress && o->on_progress(o->ctx, done)) bad = 1;
    }
    close_scorer(&j);
    return bad;
}
