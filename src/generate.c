/* generate: several texts written at once. Requests have slots; a step is one forward over whatever every slot has not
 * computed yet, the next chunk of a prompt or its last token; then each slot that is complete chooses its next token.
 * What any slot has computed of a prompt is copied, and what one is computing now is waited for.
 * Owns caches and schedule; how a token is chosen is sample.c's, how tokens become text stream.c's. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/mem.h"
#include "base/par.h"
#include "compute/sample.h"
#include "engine.h"
#include "stream.h"
#include <string.h>

enum { DEFAULT_CHUNK = 512, DEFAULT_CHUNK_BUSY = 32 };
enum { BUSY_MOST = 4 }; /* times chunk_busy that a step may grow to for many short prompts */
enum { WORTH_WAITING = 32 }; /* tokens that another slot is about to compute: fewer do not make up for a step */

typedef struct slot {
    int busy;
    int waits;        /* for another slot, which computes the same beginning */
    uint64_t used;    /* when a request last began here, or took what is here */
    kv_cache cache;
    int32_t *ids;     /* [n] prompt and answer; the first cache.n are in the cache */
    size_t n, cap;
    size_t todo;      /* of them in this step */
    size_t n_answer, max_answer, n_reused;
    size_t n_top;
    int logprobs, ignore_eos, shift;
    sample_state sample;
    stream text;
    pith_on_token *on_token;
    void *ctx;
} slot;

struct pith_generator {
    const pith_model *m;
    pith_session *session;
    kv_shape shape; /* of the caches */
    size_t context, chunk, chunk_busy, n_slot;
    size_t turn; /* slot whose prompt comes first */
    int hurry;
    int (*unwanted)(void *ctx);
    void *ctx;
    slot *slots;
    uint64_t clock;
    /* of a step, [n_slot] */
    pith_seq *seqs;
    kv_cache **caches;
    size_t *which;
    float *logits; /* [n_slot][vocab] */
    sample_work work;
    pith_logprob *top; /* [n_top_cap] */
    size_t n_top_cap;
    pith_generator_stats stats;
};

/* ---- the generator ---- */

static int allocate(pith_generator *g, pith_err *e)
{
    uint64_t logits;
    size_t n = g->n_slot, vocab = (size_t)g->m->dims.vocab;
    if (__builtin_mul_overflow((uint64_t)n * sizeof(float), (uint64_t)vocab, &logits) || logits > SIZE_MAX / 2 ||
        n > SIZE_MAX / 2 / sizeof(slot))
        return err_set(e, "%zu sequences at once do not fit memory; use fewer", n);
    g->slots = mem_zero(n, sizeof *g->slots);
    g->seqs = mem_zero(n, sizeof *g->seqs);
    g->caches = mem_zero(n, sizeof(kv_cache *));
    g->which = mem_zero(n, sizeof *g->which);
    g->logits = mem_alloc((size_t)logits);
    if (!g->slots || !g->seqs || !g->caches || !g->which || !g->logits) return err_nomem(e, (size_t)logits, "logits");
    for (size_t i = 0; i < n; i++) g->slots[i].cache.shape = g->shape;
    g->session = pith_session_new(g->m, e);
    return !g->session || sample_work_init(&g->work, vocab, e) ? -1 : 0;
}

pith_generator *pith_generator_new(const pith_model *m, const pith_generator_options *o, pith_err *e)
{
    const pith_generator_options defaults = {0};
    if (!o) o = &defaults;
    if (!m->dims.causal || m->dims.n_labels) {
        err_set(e, "the model writes no text: it is %s (%s)",
                m->dims.n_labels ? "a classifier; use it with classify" : "an encoder", m->type);
        return NULL;
    }
    pith_generator *g = mem_zero(1, sizeof *g);
    if (!g) {
        err_nomem(e, sizeof *g, "a generator");
        return NULL;
    }
    size_t most = pith_model_max_positions(m);
    g->m = m;
    g->shape = m->dims.kv;
    g->shape.half = o->half_cache;
    g->context = o->context && (o->context < most || m->dims.stretches) ? o->context : most;
    g->chunk = o->chunk ? o->chunk : DEFAULT_CHUNK;
    g->chunk_busy = o->chunk_busy ? o->chunk_busy : DEFAULT_CHUNK_BUSY;
    if (g->chunk_busy > g->chunk) g->chunk_busy = g->chunk;
    g->n_slot = o->sequences ? o->sequences : 1;
    if (allocate(g, e) == 0) return g;
    pith_generator_free(g);
    return NULL;
}

/* The slot is free again; its cache and ids stay for a prompt that begins the same. */
static void finish(slot *s)
{
    s->busy = 0;
    sample_free(&s->sample);
    stream_close(&s->text);
}

void pith_generator_free(pith_generator *g)
{
    if (!g) return;
    for (size_t i = 0; g->slots && i < g->n_slot; i++) {
        finish(&g->slots[i]);
        kv_free(&g->slots[i].cache);
        mem_free(g->slots[i].ids);
    }
    sample_work_free(&g->work);
    pith_session_free(g->session);
    mem_free(g->slots);
    mem_free(g->seqs);
    mem_free(g->caches);
    mem_free(g->which);
    mem_free(g->logits);
    mem_free(g->top);
    mem_free(g);
}

size_t pith_generator_context(const pith_generator *g) { return g->context; }

size_t pith_generator_room(const pith_generator *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n_slot; i++) n += !g->slots[i].busy;
    return n;
}

void pith_generator_hurry(pith_generator *g, int hurry) { g->hurry = hurry; }

void pith_generator_watch(pith_generator *g, int (*unwanted)(void *ctx), void *ctx)
{
    g->unwanted = unwanted;
    g->ctx = ctx;
}

pith_generator_stats pith_generator_statistics(const pith_generator *g)
{
    pith_generator_stats s = g->stats;
    for (size_t i = 0; i < g->n_slot; i++) s.cache_bytes += kv_bytes(g->shape, g->slots[i].cache.cap);
    return s;
}

/* ---- requests ---- */

pith_request pith_request_new(const pith_model *m)
{
    return (pith_request){.sampling = m->sampling, .max_tokens = m->max_new_tokens};
}

const int32_t *pith_model_eos(const pith_model *m, size_t *n)
{
    *n = m->n_eos;
    return m->eos;
}

static int check_prompt(const pith_generator *g, const int32_t *ids, size_t n, pith_err *e)
{
    uint64_t vocab = g->m->dims.vocab;
    if (n >= g->context)
        return err_set(e, "the prompt has %zu tokens, but the context holds %zu, the answer included (%s); shorten the prompt%s", n,
                       g->context,
                       g->context == pith_model_max_positions(g->m) ? "the model's max_position_embeddings" : "--context",
                       g->context < pith_model_max_positions(g->m) ? " or enlarge the context" : "");
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint64_t)ids[i] >= vocab)
            return err_set(e, "prompt, token %zu: id %d is outside the model's vocabulary of %llu%s", i, ids[i],
                           (unsigned long long)vocab,
                           g->m->tokenizer.t && tokenizer_vocab_size(g->m->tokenizer.t) > vocab
                               ? ", which is smaller than the tokenizer's; do the two belong together?"
                               : "");
    return 0;
}

/* ---- what is computed already ---- */

/* Tokens at the beginning of ids that are the slot's too; most: how many are looked at. */
static size_t common(const slot *s, size_t most, const int32_t *ids, size_t n)
{
    size_t i = 0;
    while (i < most && i < n && s->ids[i] == ids[i]) i++;
    return i;
}

/* The free slot for a prompt: the one whose content it goes on from, if most of that is used. Else the one unused for
 * longest, so that what others may ask for again stays; settle() copies. */
static slot *choose(pith_generator *g, const int32_t *ids, size_t n)
{
    slot *best = NULL, *oldest = NULL;
    size_t most = 0;
    for (size_t i = 0; i < g->n_slot; i++) {
        slot *s = &g->slots[i];
        if (s->busy) continue;
        size_t c = common(s, s->cache.n, ids, n);
        if (c > most && c >= s->cache.n - s->cache.n / 4) {
            best = s;
            most = c;
        }
        if (!oldest || s->used < oldest->used) oldest = s;
    }
    return best ? best : oldest;
}

static int in_prompt(const slot *s) { return s->busy && (s->n_answer == 0 || s->n - s->cache.n > 1); }

/* Takes over what another slot holds of the prompt, if that is more. While one that came earlier is about to compute more
 * of it the slot waits. (All caches are opened for lengths with the same rotary frequencies: see begin.) */
static void settle(pith_generator *g, slot *s)
{
    size_t have = s->cache.n, soon = 0;
    slot *from = NULL;
    for (size_t i = 0; i < g->n_slot; i++) {
        slot *o = &g->slots[i];
        int ahead = in_prompt(o) && o->used < s->used;
        size_t c = o == s ? 0 : common(o, ahead ? o->n : o->cache.n, s->ids, s->n - 1);
        if (c > soon) soon = c;
        if (c > o->cache.n) c = o->cache.n;
        if (c <= have) continue;
        have = c;
        from = o;
    }
    s->waits = soon >= have + (s->waits ? 1 : WORTH_WAITING);
    if (s->waits || !from) return;
    g->stats.reused_tokens += have - s->cache.n;
    s->n_reused = have;
    kv_copy(&s->cache, &from->cache, have);
    if (!from->busy) from->used = ++g->clock;
}

/* ---- requests ---- */

static int hold_ids(slot *s, const int32_t *ids, size_t n, pith_err *e)
{
    if (n > s->cap) {
        int32_t *b = mem_resize(s->ids, n * sizeof *b);
        if (!b) return err_nomem(e, n * sizeof *b, "tokens");
        s->ids = b;
        s->cap = n;
    }
    memcpy(s->ids, ids, n * sizeof *ids);
    s->n = n;
    return 0;
}

static int room_for_top(pith_generator *g, size_t n, pith_err *e)
{
    if (n > g->m->dims.vocab)
        return err_set(e, "%zu logprobs a token: the vocabulary has only %llu", n, (unsigned long long)g->m->dims.vocab);
    if (n <= g->n_top_cap) return 0;
    pith_logprob *b = mem_resize(g->top, n * sizeof *b);
    if (!b) return err_nomem(e, n * sizeof *b, "logprobs");
    g->top = b;
    g->n_top_cap = n;
    return 0;
}

/* Room for so many tokens in the slot's cache. Where memory is short what free slots hold is given up. */
static int hold_tokens(pith_generator *g, slot *s, size_t n, pith_err *e)
{
    pith_err first = {{0}};
    if (!kv_reserve(&s->cache, n, &first)) return 0;
    for (size_t i = 0; i < g->n_slot; i++) {
        if (g->slots[i].busy || &g->slots[i] == s) continue;
        kv_free(&g->slots[i].cache);
        g->slots[i].cache.shape = g->shape;
    }
    return kv_reserve(&s->cache, n, e);
}

static int begin(pith_generator *g, slot *s, const pith_request *r, const int32_t *ids, size_t n, pith_err *e)
{
    size_t keep = common(s, s->cache.n, ids, n), left = g->context - n;
    if (keep == n) keep--; /* the last token's logits are needed */
    if (r->shift) left = SIZE_MAX;
    s->max_answer = r->max_tokens && r->max_tokens < left ? r->max_tokens : left;
    s->shift = r->shift;
    s->n_answer = 0;
    s->n_top = r->n_top;
    s->logprobs = r->logprobs || r->n_top;
    s->ignore_eos = r->ignore_eos;
    s->on_token = r->on_token;
    s->ctx = r->ctx;
    if (room_for_top(g, r->n_top, e)) return -1;
    s->cache.n = keep;
    if (hold_ids(s, ids, n, e)) {
        s->cache.n = 0;
        return -1;
    }
    /* Past the model's own positions the rotation depends on the length a cache is opened for: the context's. */
    if (hold_tokens(g, s, g->context > g->m->dims.max_positions ? g->context : n, e) ||
        sample_init(&s->sample, &r->sampling, (size_t)g->m->dims.vocab, e))
        return -1;
    if (stream_open(&s->text, g->m->tokenizer.t, ids, n, r->stop, r->n_stop, e)) {
        sample_free(&s->sample);
        return -1;
    }
    for (size_t i = 0; i < n; i++) sample_see(&s->sample, ids[i], 0);
    s->n_reused = keep;
    g->stats.reused_tokens += keep;
    s->used = ++g->clock;
    s->busy = 1;
    s->waits = 0;
    settle(g, s);
    return 0;
}

/* The n tokens without those after the first that are too many, allocated. */
static int32_t *shortened(const pith_generator *g, const int32_t *ids, size_t *n, pith_err *e)
{
    size_t keep = g->context / 2 ? g->context / 2 : 1;
    int32_t *b = mem_alloc(keep * sizeof *b);
    if (!b) {
        err_nomem(e, keep * sizeof *b, "tokens");
        return NULL;
    }
    b[0] = ids[0];
    memcpy(b + 1, ids + *n - (keep - 1), (keep - 1) * sizeof *b);
    *n = keep;
    return b;
}

int pith_generator_add(pith_generator *g, const pith_request *r, pith_err *e)
{
    const int32_t *ids = r->n ? r->ids : &g->m->bos;
    size_t n = r->n ? r->n : 1;
    if (!r->n && g->m->bos < 0) return err_set(e, "the prompt has no tokens, and the model no bos token to begin with");
    int32_t *own = NULL;
    if (r->shift && n >= g->context && !(own = shortened(g, ids, &n, e))) return -1;
    if (own) ids = own;
    slot *s = choose(g, ids, n);
    int bad = check_prompt(g, ids, n, e);
    if (!bad) bad = s ? begin(g, s, r, ids, n, e) : err_set(e, "all %zu sequences are busy", g->n_slot);
    mem_free(own);
    return bad;
}

void pith_generator_cancel(pith_generator *g, const void *ctx)
{
    for (size_t i = 0; i < g->n_slot; i++)
        if (g->slots[i].busy && g->slots[i].ctx == ctx) finish(&g->slots[i]);
}

/* ---- a step ---- */

static int is_eos(const pith_model *m, int32_t id)
{
    for (size_t i = 0; i < m->n_eos; i++)
        if (m->eos[i] == id) return 1;
    return 0;
}

static void fail(slot *s, const char *why)
{
    s->on_token(s->ctx, &(pith_token){.id = -1, .text = "", .finish = PITH_FINISH_ERROR, .error = why});
    finish(s);
}

/* The slot's prompt and answer so far are computed; logits are its last token's. */
static void advance(pith_generator *g, slot *s, const float *logits)
{
    pith_err why = {{0}};
    pith_token t = {.id = -1, .n_reused = s->n_reused};
    int stopped = 0, eos = 0;
    if (sample_next(&s->sample, g->m->op.kernels, &g->work, logits, &t.id, &why)) {
        fail(s, why.msg);
        return;
    }
    if (s->logprobs) {
        sample_logprobs(g->m->op.kernels, &g->work, logits, t.id, &t.logprob, g->top, s->n_top);
        t.top = g->top;
        t.n_top = s->n_top;
    }
    sample_see(&s->sample, t.id, 1);
    s->n_answer++;
    eos = !s->ignore_eos && is_eos(g->m, t.id);
    if (eos) t.finish = PITH_FINISH_STOP;
    else if (s->n_answer >= s->max_answer) t.finish = PITH_FINISH_LENGTH;
    if (stream_push(&s->text, eos ? -1 : t.id, t.finish != PITH_FINISH_NONE, &stopped, &why)) {
        fail(s, why.msg);
        return;
    }
    if (stopped) t.finish = PITH_FINISH_STOP;
    t.text = s->text.out.s;
    t.len = s->text.out.len;
    g->stats.new_tokens++;
    s->ids[s->n++] = t.id;
    if (s->shift && s->n == g->context) {
        size_t keep = g->context / 2 ? g->context / 2 : 1;
        memmove(s->ids + 1, s->ids + s->n - (keep - 1), (keep - 1) * sizeof *s->ids);
        s->n = keep;
        s->cache.n = keep > 1 ? 1 : 0;
    }
    if (s->on_token(s->ctx, &t) || t.finish != PITH_FINISH_NONE) finish(s);
}

/* Room for one more id and for everything up to it in the cache, which grows by halves: no larger than the request can
 * need. */
static int reserve(pith_generator *g, slot *s, pith_err *e)
{
    size_t most = s->shift || s->max_answer > g->context ? g->context : s->n - s->n_answer + s->max_answer;
    if (s->n == s->cap) {
        size_t cap = s->n + s->n / 2 + 32;
        if (cap > g->context) cap = g->context;
        int32_t *b = mem_resize(s->ids, cap * sizeof *b);
        if (!b) return err_nomem(e, cap * sizeof *b, "tokens");
        s->ids = b;
        s->cap = cap;
    }
    size_t want = s->n + s->n / 2 + 256;
    return s->n <= s->cache.length ? 0 : hold_tokens(g, s, want < most ? want : most, e);
}

/* Tokens of prompts in this step. While answers are being written it stays small, so that they do not stall; only where
 * more short prompts wait than are being written it grows some, or a crowd that comes at once would trickle in. */
static size_t room_for_prompts(const pith_generator *g)
{
    size_t writing = 0, brief = 0;
    for (size_t i = 0; i < g->n_slot; i++) {
        const slot *s = &g->slots[i];
        writing += s->busy && !in_prompt(s);
        brief += in_prompt(s) && !s->waits && (s->n - s->cache.n) / BUSY_MOST <= g->chunk_busy;
    }
    if (!writing) return g->hurry ? g->chunk_busy : g->chunk;
    size_t times = brief ? 1 + (brief - 1) / writing : 1, left = g->chunk / g->chunk_busy;
    if (times > BUSY_MOST) times = BUSY_MOST;
    return (times < left ? times : left) * g->chunk_busy;
}

/* Gives the prompts their shares of the step: equal ones, and what some do not need to the others, beginning where the
 * last step ended. */
static void share(pith_generator *g)
{
    size_t prompts = 0, start = g->turn;
    for (size_t i = 0; i < g->n_slot; i++) {
        slot *s = &g->slots[i];
        if (s->busy && s->waits) settle(g, s);
        s->todo = s->busy && !in_prompt(s) ? s->n - s->cache.n : 0;
        prompts += in_prompt(s) && !s->waits;
    }
    size_t room = room_for_prompts(g);
    size_t most = room < prompts ? 1 : room / (prompts ? prompts : 1);
    for (int pass = 0; pass < 2; pass++, most = room)
        for (size_t k = 0; k < g->n_slot && room; k++) {
            slot *s = &g->slots[(start + k) % g->n_slot];
            if (!in_prompt(s) || s->waits) continue;
            size_t take = s->n - s->cache.n - s->todo;
            if (take > most) take = most;
            if (take > room) take = room;
            s->todo += take;
            room -= take;
            if (take) g->turn = (start + k + 1) % g->n_slot;
        }
}

/* What every slot computes now; *n tokens together. Returns how many slots. */
static size_t schedule(pith_generator *g, size_t *n, int *prompts)
{
    size_t count = 0;
    *n = 0;
    *prompts = 0;
    share(g);
    for (size_t i = 0; i < g->n_slot; i++) {
        slot *s = &g->slots[i];
        if (!s->todo) continue;
        *prompts |= in_prompt(s);
        g->seqs[count] = (pith_seq){s->ids + s->cache.n, NULL, s->todo};
        g->caches[count] = &s->cache;
        g->which[count++] = i;
        *n += s->todo;
    }
    return count;
}

static void account(pith_generator *g, size_t count, size_t n, int prompts, double seconds)
{
    pith_generator_stats *t = &g->stats;
    if (prompts) {
        for (size_t k = 0; k < count; k++)
            if (g->seqs[k].n > 1 || !g->slots[g->which[k]].n_answer) t->prompt_tokens += g->seqs[k].n;
        t->prefill_seconds += seconds;
        return;
    }
    t->decode_seconds += seconds;
    t->decode_tokens += n;
    t->decode_bytes += g->m->dims.streamed ? g->m->dims.streamed : g->m->dims.bytes;
    for (size_t k = 0; k < count; k++) t->decode_bytes += kv_bytes(g->shape, g->caches[k]->n);
}

int pith_generator_step(pith_generator *g, pith_err *e)
{
    double start = clock_now();
    int prompts;
    size_t n, vocab = (size_t)g->m->dims.vocab;
    for (size_t i = 0; i < g->n_slot; i++) {
        pith_err why = {{0}};
        if (g->slots[i].busy && reserve(g, &g->slots[i], &why)) fail(&g->slots[i], why.msg);
    }
    size_t count = schedule(g, &n, &prompts);
    if (!count) return 0;
    engine_run r = {.seqs = g->seqs, .n = count, .cache = g->caches, .logits = g->logits, .unwanted = g->unwanted, .ctx = g->ctx};
    int rc = engine_forward(g->session, &r, e);
    if (rc) return rc;
    account(g, count, n, prompts, clock_now() - start);
    unsigned long mode = par_fp_enter();
    for (size_t k = 0; k < count; k++) {
        slot *s = &g->slots[g->which[k]];
        if (s->cache.n == s->n) advance(g, s, g->logits + k * vocab);
    }
    par_fp_leave(mode);
    for (size_t i = 0; i < g->n_slot; i++)
        if (g->slots[i].busy) return 1;
    return 0;
}
