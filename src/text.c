/* text: the tokenizer's part of pith.h, and texts packed into forwards for those who compute with them. */
#include "engine.h"
#include "base/mem.h"
#include <string.h>

enum { DEFAULT_BATCH_TOKENS = 8192 };

pith_tokenizer *pith_tokenizer_open(const char *dir, pith_err *e)
{
    pith_tokenizer *p = mem_zero(1, sizeof *p);
    if (!p) {
        err_nomem(e, sizeof *p, "a tokenizer");
        return NULL;
    }
    p->t = tokenizer_open(dir, e);
    if (p->t) return p;
    mem_free(p);
    return NULL;
}

void pith_tokenizer_close(pith_tokenizer *t)
{
    if (!t) return;
    tokenizer_free(t->t);
    mem_free(t);
}

int pith_tokenize(const pith_tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                  const pith_tokenize_options *o, pith_tokens *out, pith_err *e)
{
    tokenizer_options to = {0};
    tokenizer_encoding x = {0};
    *out = (pith_tokens){0};
    if (o)
        to = (tokenizer_options){.no_special = o->no_special, .no_parse_special = o->no_parse_special,
                                 .strict = o->strict || o->n_foreign, .max_length = o->max_length,
                                 .foreign = o->foreign, .n_foreign = o->n_foreign};
    if (tokenizer_encode(t->t, text, len, pair, pair_len, &to, &x, &out->n_full, e)) {
        tokenizer_encoding_free(&x);
        return -1;
    }
    out->n = x.n, out->ids = x.ids, out->type_ids = x.type_ids, out->special = x.special;
    out->begin = x.begin, out->end = x.end, out->n_replaced = x.n_replaced;
    mem_free(x.second);
    return 0;
}

void pith_tokens_free(pith_tokens *x)
{
    mem_free((void *)(uintptr_t)x->ids);
    mem_free((void *)(uintptr_t)x->type_ids);
    mem_free((void *)(uintptr_t)x->special);
    mem_free((void *)(uintptr_t)x->begin);
    mem_free((void *)(uintptr_t)x->end);
    *x = (pith_tokens){0};
}

int pith_detokenize(const pith_tokenizer *t, const int32_t *ids, size_t n, int skip_special, char **out, size_t *len,
                    pith_err *e)
{
    return tokenizer_decode(t->t, ids, n, skip_special != 0, out, len, e);
}

const char *pith_token_piece(const pith_tokenizer *t, int32_t id) { return tokenizer_piece(t->t, id); }

int pith_token_text(const pith_tokenizer *t, int32_t id, char **out, size_t *len, pith_err *e)
{
    return tokenizer_token_text(t->t, id, out, len, e);
}

/* ---- texts packed into forwards ---- */

int engine_pack_open(engine_pack *p, const pith_model *m, pith_err *e)
{
    size_t most = pith_model_max_positions(m);
    if (!m->tokenizer.t)
        return err_set(e, "the model's directory holds no tokenizer (tokenizer.json or vocab.txt), so it cannot read text");
    if (p->max_length > most)
        return err_set(e, "max length %zu is over the model's %zu positions (max_position_embeddings)", p->max_length, most);
    if (!p->max_length) p->max_length = pith_model_max_length(m);
    if (!p->batch_tokens) p->batch_tokens = DEFAULT_BATCH_TOKENS;
    p->t = m->tokenizer.t;
    return 0;
}

int engine_pack_read(engine_pack *p, const pith_text *t, pith_err *e)
{
    p->paired = t->pair != NULL;
    p->pair.n = p->pair.n_replaced = 0;
    if (tokenizer_encode_plain(p->t, t->text, t->len, &p->read, &p->text, e)) return -1;
    return t->pair ? tokenizer_encode_plain(p->t, t->pair, t->pair_len, &p->read, &p->pair, e) : 0;
}

int engine_pack_room(const engine_pack *p, size_t *room, pith_err *e)
{
    size_t special = tokenizer_n_special(p->t, p->paired);
    if (special >= p->max_length)
        return err_set(e, "max length %zu leaves no room beside %zu special tokens", p->max_length, special);
    *room = p->max_length - special;
    return 0;
}

static int grow(engine_pack *p, pith_err *e)
{
    size_t cap = p->cap ? 2 * p->cap : 64;
    engine_piece *pieces = mem_resize(p->pieces, cap * sizeof *pieces);
    if (pieces) p->pieces = pieces;
    pith_seq *seqs = mem_resize(p->seqs, cap * sizeof *seqs);
    if (seqs) p->seqs = seqs;
    if (!pieces || !seqs) return err_nomem(e, cap * sizeof *pieces, "a batch");
    memset(p->pieces + p->cap, 0, (cap - p->cap) * sizeof *pieces);
    p->cap = cap;
    return 0;
}

int engine_pack_add(engine_pack *p, size_t text, size_t a0, size_t a1, size_t nb, size_t *n, pith_err *e)
{
    const tokenizer_encoding *b = p->paired ? &p->pair : NULL;
    *n = a1 - a0 + nb + tokenizer_n_special(p->t, p->paired);
    if (p->n && p->n_tokens + *n > p->batch_tokens && engine_pack_flush(p, e)) return -1;
    if (p->n == p->cap && grow(p, e)) return -1;
    engine_piece *x = &p->pieces[p->n];
    x->text = text;
    if (tokenizer_assemble(p->t, &p->text, a0, a1, b, 0, nb, &x->x, e)) return -1;
    p->seqs[p->n++] = (pith_seq){x->x.ids, x->x.type_ids, x->x.n};
    p->n_tokens += *n = x->x.n;
    return 0;
}

int engine_pack_flush(engine_pack *p, pith_err *e)
{
    if (!p->n) return 0;
    if (p->run(p->ctx, e)) return -1;
    p->n = p->n_tokens = 0;
    return 0;
}

int engine_pack_out(engine_pack *p, size_t n, size_t each, pith_err *e)
{
    size_t floats, bytes;
    if (__builtin_mul_overflow(n, each, &floats) || __builtin_mul_overflow(floats, sizeof *p->out, &bytes))
        return err_set(e, "a batch of %zu times %zu numbers does not fit memory; use a smaller one", n, each);
    if (floats <= p->n_out) return 0;
    mem_free(p->out);
    p->out = mem_alloc(bytes);
    p->n_out = p->out ? floats : 0;
    return p->out ? 0 : err_nomem(e, bytes, "a batch");
}

void engine_pack_free(engine_pack *p)
{
    for (size_t i = 0; i < p->cap; i++) tokenizer_encoding_free(&p->pieces[i].x);
    tokenizer_encoding_free(&p->text);
    tokenizer_encoding_free(&p->pair);
    mem_free(p->pieces);
    mem_free(p->seqs);
    mem_free(p->out);
}
