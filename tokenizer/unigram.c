/* unigram: of all ways to cut a word into pieces the one with the greatest sum of their scores (Viterbi). A character
 * that is no piece costs more than the worst one; such characters in a row are one unknown token, or their bytes. */
#include "tokenizer/tokmodel.h"
#include "tokenizer/unicode.h"
#include "tokenizer/wordcache.h"
#include <float.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_PENALTY 10.0

typedef struct unigram {
    double *score; /* by id */
    double unknown_score;
    int32_t unknown; /* -1: none */
    bool byte_fallback;
    int32_t byte_id[256]; /* of <0xNN>; -1: none */
} unigram;

/* The best way to come to a place of the word. */
typedef struct unigram_node {
    double score;
    uint32_t start; /* of the last piece; NONE: no way yet */
    int32_t id;
} unigram_node;
#define NONE UINT32_MAX

typedef struct unigram_scratch {
    unigram_node *node;
    size_t cap;
    wordcache cache;
} unigram_scratch;

static void unigram_scratch_free(void *scratch)
{
    unigram_scratch *s = scratch;
    if (!s) return;
    free(s->node);
    wordcache_free(&s->cache);
    free(s);
}

static void reach(unigram_node *to, double score, size_t start, int32_t id)
{
    if (to->start == NONE || score > to->score) *to = (unigram_node){score, (uint32_t)start, id};
}

static int find_path(const unigram *u, const vocab *v, unigram_node *node, const char *word, size_t n, pith_err *e)
{
    for (size_t i = 0; i <= n; i++) node[i] = (unigram_node){0, NONE, -1};
    for (size_t i = 0, len; i < n; i += len) {
        bool single = false;
        double here = node[i].score;
        vocab_walk w = {0};
        unicode_decode(word + i, &len);
        for (int32_t id; (id = vocab_next(v, word + i, n - i, &w)) >= 0;) {
            reach(&node[i + w.len], u->score[id] + here, i, id);
            single |= w.len == len;
        }
        if (single) continue;
        if (u->unknown < 0)
            return err_set(e, "tokenizer.json: model.unk_id is null, but the text has an unknown character");
        reach(&node[i + len], u->unknown_score + here, i, u->unknown);
    }
    return 0;
}

static int put_unknown(const unigram *u, const vocab *v, const char *text, size_t begin, size_t end,
                       tokenizer_encoding *out, pith_err *e)
{
    size_t n = end - begin;
    bool bytes = u->byte_fallback;
    int32_t id = vocab_find(v, text + begin, n);
    if (encoding_reserve(out, n, e)) return -1;
    for (size_t i = begin; i < end && bytes; i++) bytes = u->byte_id[(unsigned char)text[i]] >= 0;
    if (id < 0 && bytes) {
        for (size_t i = begin; i < end; i++) encoding_put(out, u->byte_id[(unsigned char)text[i]], begin, end);
        return 0;
    }
    encoding_put(out, id >= 0 ? id : u->unknown, begin, end);
    return 0;
}

static int encode(const unigram *u, const vocab *v, unigram_scratch *s, const char *text, size_t begin, size_t end,
                  tokenizer_encoding *out, pith_err *e)
{
    size_t n = end - begin;
    if (n >= NONE) return err_set(e, "text: a word of %zu bytes is too long for Unigram (at most 4 GB)", n);
    if (n >= s->cap) {
        size_t cap = n + n / 2 + 64;
        unigram_node *p = realloc(s->node, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "a word");
        s->node = p;
        s->cap = cap;
    }
    if (find_path(u, v, s->node, text + begin, n, e)) return -1;
    /* Backwards, each piece's start learns its end; the start of an unknown run that of the whole run. */
    unigram_node *node = s->node;
    for (size_t at = n, to = n; at > 0; to = at) {
        int32_t id = node[at].id;
        do at = node[at].start;
        while (id == u->unknown && at > 0 && node[at].id == u->unknown);
        node[at].score = (double)to;
    }
    for (size_t at = 0; at < n;) {
        size_t to = (size_t)node[at].score;
        int32_t id = node[to].id;
        if (id == u->unknown) {
            if (put_unknown(u, v, text, begin + at, begin + to, out, e)) return -1;
        } else {
            if (encoding_reserve(out, 1, e)) return -1;
            encoding_put(out, id, begin + at, begin + to);
        }
        at = to;
    }
    return 0;
}

static int unigram_word(const void *m, const vocab *v, const char *text, size_t begin, size_t end, void **scratch,
                        tokenizer_encoding *out, pith_err *e)
{
    unigram_scratch *s = *scratch;
    size_t n = end - begin, first = out->n;
    if (!s && !(s = *scratch = calloc(1, sizeof *s))) return err_nomem(e, sizeof *s, "words");
    if (n > WORDCACHE_LONGEST) return encode(m, v, s, text, begin, end, out, e);
    uint64_t hash = wordcache_hash(text + begin, n);
    int found = wordcache_get(&s->cache, hash, text + begin, n, begin, out, e);
    if (found) return found < 0 ? -1 : 0;
    if (encode(m, v, s, text, begin, end, out, e)) return -1;
    return wordcache_put(&s->cache, hash, text + begin, n, begin, out, first, e);
}

/* ---- tokenizer.json ---- */

static void unigram_close(void *m)
{
    unigram *u = m;
    if (!u) return;
    free(u->score);
    free(u);
}

/* "vocab" is a list of [piece, score]; ids are places in it. */
static int read_pieces(unigram *u, json model, vocab *v, pith_err *e)
{
    json list;
    double least = DBL_MAX;
    if (json_get_array(model, "vocab", &list, e)) return -1;
    size_t n = json_len(list), i = 0;
    if (n > INT32_MAX) return json_expected(list, "fewer than 2^31 pieces", e);
    if (!(u->score = malloc((n + 1) * sizeof *u->score))) return err_nomem(e, n * sizeof *u->score, "the vocabulary");
    v->prefixes = true;
    for (json c = json_first(list); c.node; c = json_next(c), i++) {
        json piece = json_first(c), score = json_next(piece);
        if (json_typeof(piece) != JSON_STRING || json_typeof(score) != JSON_NUMBER || json_next(score).node)
            return json_expected(c, "[piece, score]", e);
        u->score[i] = json_num(score);
        if (u->score[i] < least) least = u->score[i];
        if (vocab_add(v, json_str(piece), strlen(json_str(piece)), (int32_t)i, e)) return -1;
    }
    u->unknown_score = (n ? least : 0) - UNKNOWN_PENALTY;
    return vocab_close(v, "tokenizer.json: model.vocab", e);
}

static int read_unknown(unigram *u, json model, const vocab *known, size_t n, pith_err *e)
{
    uint64_t id;
    json v = json_get(model, "unk_id");
    u->unknown = -1;
    if (json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL) return 0;
    if (!n) return json_expected(v, "null where model.vocab is empty", e);
    if (json_as_size(v, 0, n - 1, &id, e)) return -1;
    u->unknown = (int32_t)id;
    /* A piece that stands twice has its later id. */
    return vocab_at(known, u->unknown) ? 0 : err_set(e, "tokenizer.json: model.unk_id: piece %d stands twice in model.vocab, and has another id", u->unknown);
}

static void *unigram_open(json v, bool bytes, vocab *vocabulary, pith_err *e)
{
    (void)bytes;
    int fallback;
    unigram *u = calloc(1, sizeof *u);
    if (!u) return err_nomem(e, sizeof *u, "the tokenizer"), NULL;
    if (json_opt_bool(v, "byte_fallback", 0, &fallback, e) || read_pieces(u, v, vocabulary, e) ||
        read_unknown(u, v, vocabulary, json_len(json_get(v, "vocab")), e)) {
        unigram_close(u);
        return NULL;
    }
    u->byte_fallback = fallback;
    for (unsigned i = 0; i < 256; i++) {
        static const char HEX[] = "0123456789ABCDEF";
        const char name[6] = {'<', '0', 'x', HEX[i >> 4], HEX[i & 15], '>'};
        u->byte_id[i] = vocab_find(vocabulary, name, 6);
    }
    return u;
}

const tokmodel unigram_model = {"Unigram", false, unigram_open, unigram_close, unigram_word, unigram_scratch_free};
