/* bpe: a word begins as one piece a character (or byte); then the pair of neighbours that comes first in the list of
 * merges becomes one piece, the leftmost first, until no pair is in the list. */
#include "tokenizer/bytelevel.h"
#include "tokenizer/tokmodel.h"
#include "tokenizer/unicode.h"
#include "tokenizer/wordcache.h"
#include <stdlib.h>
#include <string.h>

typedef struct bpe_merge {
    int32_t left, right; /* left -1: a free slot */
    uint32_t rank;
    int32_t id; /* what the two become */
} bpe_merge;

typedef struct bpe {
    bool bytes, byte_fallback, fuse_unknown, ignore_merges;
    char *prefix, *suffix, *unknown_piece; /* NULL: none */
    int32_t unknown;      /* -1: not in the vocabulary, which matters only when a word needs it */
    int32_t byte_id[256]; /* bytes: of the letter; byte_fallback: of <0xNN>; -1: none */
    bpe_merge *slot;
    size_t n_slots;
    bool cuts; /* no piece has MARK after something else: a word can be cut before it, and pieces stay the same */
} bpe;

/* sentencepiece's space */
#define MARK "\xe2\x96\x81"

/* ---- the table of merges ---- */

static inline size_t place_of(const bpe *b, int32_t left, int32_t right)
{
    uint64_t h = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h ^ h >> 32) & (b->n_slots - 1);
}

static inline const bpe_merge *find_merge(const bpe *b, int32_t left, int32_t right)
{
    size_t i = place_of(b, left, right);
    for (; b->slot[i].left >= 0; i = (i + 1) & (b->n_slots - 1))
        if (b->slot[i].left == left && b->slot[i].right == right) return &b->slot[i];
    return NULL;
}

/* A pair that is listed twice has its last rank, as in the reference. */
static void add_merge(bpe *b, bpe_merge m)
{
    size_t i = place_of(b, m.left, m.right);
    while (b->slot[i].left >= 0 && (b->slot[i].left != m.left || b->slot[i].right != m.right))
        i = (i + 1) & (b->n_slots - 1);
    b->slot[i] = m;
}

/* ---- one word ---- */

typedef struct bpe_symbol {
    int32_t id; /* -1: it became part of another */
    uint32_t begin, end, prev, next;
} bpe_symbol;
#define NONE UINT32_MAX

typedef struct bpe_candidate {
    uint64_t key; /* rank, then place */
    int32_t id;
} bpe_candidate;

typedef struct bpe_scratch {
    bpe_symbol *symbol;
    size_t n, cap;
    bpe_candidate *heap; /* room for 3 * cap */
    size_t n_heap;
    char *letters;
    size_t cap_letters;
    wordcache cache;
} bpe_scratch;

static void bpe_scratch_free(void *scratch)
{
    bpe_scratch *s = scratch;
    if (!s) return;
    free(s->symbol);
    free(s->heap);
    free(s->letters);
    wordcache_free(&s->cache);
    free(s);
}

static int reserve_symbols(bpe_scratch *s, size_t n, pith_err *e)
{
    if (n <= s->cap) return 0;
    if (n > UINT32_MAX / 2) return err_set(e, "text: a word of %zu bytes is too long for BPE (at most 2 GB)", n);
    size_t cap = n + n / 2 + 64;
    bpe_symbol *p = realloc(s->symbol, cap * sizeof *p);
    if (p) s->symbol = p;
    bpe_candidate *h = p ? realloc(s->heap, 3 * cap * sizeof *h) : NULL;
    if (!h) return err_nomem(e, cap * (sizeof *p + 3 * sizeof *h), "a word");
    s->heap = h;
    s->cap = cap;
    return 0;
}

static char *reserve_letters(bpe_scratch *s, size_t n, pith_err *e)
{
    if (n <= s->cap_letters) return s->letters;
    char *p = realloc(s->letters, n * 2);
    if (!p) return err_nomem(e, n * 2, "a word"), NULL;
    s->letters = p;
    s->cap_letters = n * 2;
    return p;
}

static inline void add_symbol(bpe_scratch *s, int32_t id, size_t begin, size_t end)
{
    s->symbol[s->n++] = (bpe_symbol){id, (uint32_t)begin, (uint32_t)end, 0, 0};
}

/* A piece of the vocabulary that begins a word as one character, or -1. */
static int first_id(const bpe *b, const vocab *v, bpe_scratch *s, const char *c, size_t n, bool first, bool last,
                    int32_t *id, size_t *len, pith_err *e)
{
    size_t head = b->prefix && !first ? strlen(b->prefix) : 0, tail = b->suffix && last ? strlen(b->suffix) : 0;
    char *p = reserve_letters(s, head + tail + 4, e);
    if (!p) return -1;
    if (head) memcpy(p, b->prefix, head);
    if (b->bytes)
        n = bytelevel_letter((unsigned char)*c, p + head);
    else
        memcpy(p + head, c, n);
    if (tail) memcpy(p + head + n, b->suffix, tail);
    *len = head + n + tail;
    *id = vocab_find(v, p, *len);
    return 0;
}

/* Bytes that have pieces of their own: all of s->letters[0..len), or none. */
static bool add_fallback(const bpe *b, bpe_scratch *s, size_t len, size_t begin, size_t end)
{
    for (size_t i = 0; i < len; i++)
        if (b->byte_id[(unsigned char)s->letters[i]] < 0) return false;
    for (size_t i = 0; i < len; i++) add_symbol(s, b->byte_id[(unsigned char)s->letters[i]], begin, end);
    return true;
}

/* One symbol a character, by way of the vocabulary; what it lacks is spelled in bytes, or unknown, or (where the model
 * has no unknown token) nothing. */
static int split_characters(const bpe *b, const vocab *v, bpe_scratch *s, const char *word, size_t n, pith_err *e)
{
    bool pending = false; /* an unknown part that may still grow */
    size_t from = 0, to = 0, extra = (b->prefix ? strlen(b->prefix) : 0) + (b->suffix ? strlen(b->suffix) : 0) + 2;
    if (n > SIZE_MAX / extra || reserve_symbols(s, b->byte_fallback ? n * extra : n + 1, e)) return -1;
    for (size_t i = 0, k = 1; i < n; i += k) {
        int32_t id;
        size_t len;
        if (!b->bytes) unicode_decode(word + i, &k);
        if (first_id(b, v, s, word + i, k, i == 0, i + k == n, &id, &len, e)) return -1;
        if (id >= 0) {
            if (pending) add_symbol(s, b->unknown, from, to);
            pending = false;
            add_symbol(s, id, i, i + k);
            continue;
        }
        if (b->byte_fallback && add_fallback(b, s, len, i, i + k)) {
            /* In the reference an unknown part comes after bytes that follow it; spans stay in order. */
            from = i;
            to = i + k;
            continue;
        }
        if (!b->unknown_piece) continue;
        if (b->unknown < 0)
            return err_set(e, "tokenizer.json: model.unk_token \"%.60s\" is not in model.vocab, but the text has an unknown character",
                           b->unknown_piece);
        if (pending && !b->fuse_unknown) add_symbol(s, b->unknown, from, to);
        if (!pending || !b->fuse_unknown) from = i;
        to = i + k;
        pending = true;
    }
    if (pending) add_symbol(s, b->unknown, from, to);
    return 0;
}

static void sift_down(bpe_candidate *h, size_t n, size_t i)
{
    bpe_candidate x = h[i];
    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && h[k + 1].key < h[k].key) k++;
        if (h[k].key >= x.key) break;
        h[i] = h[k];
    }
    h[i] = x;
}

static void push(bpe_scratch *s, const bpe *b, uint32_t at)
{
    const bpe_symbol *x = &s->symbol[at];
    const bpe_merge *m = find_merge(b, x->id, s->symbol[x->next].id);
    if (!m) return;
    bpe_candidate c = {(uint64_t)m->rank << 32 | at, m->id};
    size_t i = s->n_heap++;
    for (; i > 0 && s->heap[(i - 1) / 2].key > c.key; i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static void merge_all(const bpe *b, bpe_scratch *s)
{
    s->n_heap = 0;
    for (size_t i = 0; i < s->n; i++) {
        bpe_symbol *x = &s->symbol[i];
        x->prev = i ? (uint32_t)i - 1 : NONE;
        x->next = i + 1 < s->n ? (uint32_t)i + 1 : NONE;
        const bpe_merge *m = x->next == NONE ? NULL : find_merge(b, x->id, x[1].id);
        if (m) s->heap[s->n_heap++] = (bpe_candidate){(uint64_t)m->rank << 32 | i, m->id};
    }
    for (size_t i = s->n_heap / 2; i > 0; i--) sift_down(s->heap, s->n_heap, i - 1);
    while (s->n_heap) {
        bpe_candidate top = s->heap[0];
        s->heap[0] = s->heap[--s->n_heap];
        if (s->n_heap) sift_down(s->heap, s->n_heap, 0);
        uint32_t at = (uint32_t)top.key;
        bpe_symbol *x = &s->symbol[at];
        if (x->id < 0 || x->next == NONE) continue;
        bpe_symbol *y = &s->symbol[x->next];
        const bpe_merge *m = find_merge(b, x->id, y->id);
        if (!m || m->id != top.id) continue; /* the pair is no longer there */
        x->id = top.id;
        x->end = y->end;
        x->next = y->next;
        y->id = -1;
        if (x->next != NONE) s->symbol[x->next].prev = at;
        if (x->prev != NONE) push(s, b, x->prev);
        if (x->next != NONE) push(s, b, at);
    }
}

/* Spans of parts of a character are the whole character's. */
static int put_symbols(const bpe *b, const bpe_scratch *s, const char *text, size_t begin, size_t end,
                       tokenizer_encoding *out, pith_err *e)
{
    if (encoding_reserve(out, s->n, e)) return -1;
    for (size_t i = 0; i < s->n; i++) {
        const bpe_symbol *x = &s->symbol[i];
        if (x->id < 0) continue;
        size_t from = begin + x->begin, to = begin + x->end;
        if (b->bytes) {
            while (from > begin && ((unsigned char)text[from] & 0xc0) == 0x80) from--;
            while (to < end && ((unsigned char)text[to] & 0xc0) == 0x80) to++;
        }
        encoding_put(out, x->id, from, to);
    }
    return 0;
}

/* The whole word as a piece; -1 if it is none. */
static int whole_word(const bpe *b, const vocab *v, bpe_scratch *s, const char *word, size_t n, int32_t *id, pith_err *e)
{
    *id = -1;
    if (n > v->longest) return 0;
    if (!b->bytes) return *id = vocab_find(v, word, n), 0;
    char *p = reserve_letters(s, 2 * n, e);
    if (!p) return -1;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) k += bytelevel_letter((unsigned char)word[i], p + k);
    *id = vocab_find(v, p, k);
    return 0;
}

static int encode(const bpe *b, const vocab *v, bpe_scratch *s, const char *text, size_t begin, size_t end,
                  tokenizer_encoding *out, pith_err *e)
{
    const char *word = text + begin;
    size_t n = end - begin;
    int32_t id = -1;
    if (b->ignore_merges && whole_word(b, v, s, word, n, &id, e)) return -1;
    if (id >= 0) {
        if (encoding_reserve(out, 1, e)) return -1;
        encoding_put(out, id, begin, end);
        return 0;
    }
    s->n = 0;
    if (b->bytes && !b->prefix && !b->suffix && !b->unknown_piece && !b->byte_fallback) {
        if (reserve_symbols(s, n, e)) return -1;
        for (size_t i = 0; i < n; i++)
            if (b->byte_id[(unsigned char)word[i]] >= 0) add_symbol(s, b->byte_id[(unsigned char)word[i]], i, i + 1);
    } else if (split_characters(b, v, s, word, n, e)) {
        return -1;
    }
    merge_all(b, s);
    return put_symbols(b, s, text, begin, end, out, e);
}

static int encode_cached(const bpe *b, const vocab *v, bpe_scratch *s, const char *text, size_t begin, size_t end,
                         tokenizer_encoding *out, pith_err *e)
{
    size_t n = end - begin, first = out->n;
    if (n > WORDCACHE_LONGEST) return encode(b, v, s, text, begin, end, out, e);
    uint64_t hash = wordcache_hash(text + begin, n);
    int found = wordcache_get(&s->cache, hash, text + begin, n, begin, out, e);
    if (found) return found < 0 ? -1 : 0;
    if (encode(b, v, s, text, begin, end, out, e)) return -1;
    return wordcache_put(&s->cache, hash, text + begin, n, begin, out, first, e);
}

/* The first MARK in text[at..end) with something else before it, or end. */
static size_t next_cut(const char *text, size_t at, size_t end)
{
    while (end - at >= 3 && memcmp(text + at, MARK, 3) == 0) at += 3;
    while (at < end) {
        const char *p = memchr(text + at, MARK[0], end - at);
        if (!p) return end;
        at = (size_t)(p - text);
        if (end - at >= 3 && memcmp(p, MARK, 3) == 0) return at;
        at++;
    }
    return end;
}

static int bpe_word(const void *m, const vocab *v, const char *text, size_t begin, size_t end, void **scratch,
                    tokenizer_encoding *out, pith_err *e)
{
    const bpe *b = m;
    bpe_scratch *s = *scratch;
    if (!s && !(s = *scratch = calloc(1, sizeof *s))) return err_nomem(e, sizeof *s, "words");
    if (!b->cuts) return encode_cached(b, v, s, text, begin, end, out, e);
    for (size_t at = begin, to; at < end; at = to) {
        to = next_cut(text, at, end);
        if (encode_cached(b, v, s, text, at, to, out, e)) return -1;
    }
    return 0;
}

/* ---- tokenizer.json ---- */

static void bpe_close(void *m)
{
    bpe *b = m;
    if (!b) return;
    free(b->prefix);
    free(b->suffix);
    free(b->unknown_piece);
    free(b->slot);
    free(b);
}

/* An optional string; NULL for none, and where it is empty and that means the same. */
static int read_string(json v, const char *key, bool empty, char **out, pith_err *e)
{
    const char *s;
    *out = NULL;
    if (json_opt_str(v, key, NULL, &s, e)) return -1;
    if (!s || (!*s && !empty)) return 0;
    size_t n = strlen(s) + 1;
    if (!(*out = malloc(n))) return err_nomem(e, n, "the tokenizer");
    memcpy(*out, s, n);
    return 0;
}

static int read_settings(bpe *b, json v, pith_err *e)
{
    double dropout;
    int fuse, fallback, ignore;
    if (json_opt_num(v, "dropout", 0, &dropout, e) || json_opt_bool(v, "fuse_unk", 0, &fuse, e) ||
        json_opt_bool(v, "byte_fallback", 0, &fallback, e) || json_opt_bool(v, "ignore_merges", 0, &ignore, e))
        return -1;
    if (dropout != 0) return json_expected(json_get(v, "dropout"), "null or 0 (merges are never dropped)", e);
    b->fuse_unknown = fuse;
    b->byte_fallback = fallback;
    b->ignore_merges = ignore;
    return read_string(v, "continuing_subword_prefix", false, &b->prefix, e) ||
                   read_string(v, "end_of_word_suffix", false, &b->suffix, e) ||
                   read_string(v, "unk_token", true, &b->unknown_piece, e)
               ? -1
               : 0;
}

/* The two pieces of one merge: "a b", or ["a", "b"]. Not terminated. */
static int read_pair(json c, const char *part[2], size_t len[2], pith_err *e)
{
    if (json_typeof(c) == JSON_STRING) {
        const char *s = json_str(c), *space = strchr(s, ' ');
        if (!space || strchr(space + 1, ' ')) return json_expected(c, "two pieces with one space between", e);
        part[0] = s;
        len[0] = (size_t)(space - s);
        part[1] = space + 1;
        len[1] = strlen(space + 1);
        return 0;
    }
    json a = json_first(c), b = json_next(a);
    if (json_typeof(a) != JSON_STRING || json_typeof(b) != JSON_STRING || json_next(b).node)
        return json_expected(c, "two pieces", e);
    part[0] = json_str(a);
    len[0] = strlen(part[0]);
    part[1] = json_str(b);
    len[1] = strlen(part[1]);
    return 0;
}

/* Some merges at once: looking up one after the other would wait for memory most of the time. */
#define BATCH (VOCAB_MANY / 3)
typedef struct merge_batch {
    const char *s[VOCAB_MANY]; /* of each merge the left piece, the right one, and the two together */
    size_t len[VOCAB_MANY], index[BATCH];
    size_t n; /* merges */
    char *buffer;
    size_t used, cap;
} merge_batch;

static int add_batch(const vocab *v, merge_batch *m, bpe_merge *list, size_t *n, pith_err *e)
{
    int32_t id[VOCAB_MANY];
    size_t at = 0;
    for (size_t i = 0; i < m->n; i++) { /* the buffer may have moved */
        m->s[3 * i + 2] = m->buffer + at;
        at += m->len[3 * i + 2];
    }
    for (size_t i = 0; i < 3 * m->n; i++) id[i] = -1;
    vocab_find_many(v, m->s, m->len, 3 * m->n, id);
    for (size_t i = 0; i < 3 * m->n; i++)
        if (id[i] < 0)
            return err_set(e, "tokenizer.json: model.merges[%zu]: \"%.*s\" is not in model.vocab", m->index[i / 3],
                           m->len[i] > 60 ? 60 : (int)m->len[i], m->s[i]);
    for (size_t i = 0; i < m->n; i++, ++*n)
        list[*n] = (bpe_merge){id[3 * i], id[3 * i + 1], (uint32_t)*n, id[3 * i + 2]};
    m->n = m->used = 0;
    return 0;
}

static int queue_merge(const bpe *b, merge_batch *m, json c, size_t index, pith_err *e)
{
    const char **part = m->s + 3 * m->n;
    size_t *len = m->len + 3 * m->n, skip = b->prefix ? strlen(b->prefix) : 0;
    if (read_pair(c, part, len, e)) return -1;
    if (len[1] < skip) return json_expected(c, "a second piece that begins with continuing_subword_prefix", e);
    len[2] = len[0] + len[1] - skip;
    if (m->cap - m->used <= len[2]) {
        size_t cap = m->cap * 2 + len[2] + 1024;
        char *p = realloc(m->buffer, cap);
        if (!p) return err_nomem(e, cap, "merges");
        m->buffer = p;
        m->cap = cap;
    }
    if (len[0]) memcpy(m->buffer + m->used, part[0], len[0]);
    if (len[1] > skip) memcpy(m->buffer + m->used + len[0], part[1] + skip, len[1] - skip);
    m->used += len[2];
    m->index[m->n++] = index;
    return 0;
}

static int index_merges(bpe *b, const bpe_merge *list, size_t n, pith_err *e)
{
    for (b->n_slots = 16; b->n_slots < n * 2;) b->n_slots *= 2;
    if (!(b->slot = malloc(b->n_slots * sizeof *b->slot))) return err_nomem(e, b->n_slots * sizeof *b->slot, "merges");
    memset(b->slot, 0xff, b->n_slots * sizeof *b->slot); /* left == -1 everywhere */
    for (size_t i = 0; i < n; i++) {
        if (i + 16 < n) __builtin_prefetch(&b->slot[place_of(b, list[i + 16].left, list[i + 16].right)]);
        add_merge(b, list[i]);
    }
    return 0;
}

static int read_list(const bpe *b, const vocab *v, json c, merge_batch *m, bpe_merge **list, size_t *n, pith_err *e)
{
    size_t cap = 0, index = 0;
    for (; c.node; c = json_next(c), index++) {
        if (json_typeof(c) == JSON_STRING && strncmp(json_str(c), "#version", 8) == 0) continue;
        if (*n + BATCH > cap) {
            cap = cap * 2 + 8192;
            bpe_merge *p = cap > UINT32_MAX / 4 ? NULL : realloc(*list, cap * sizeof *p);
            if (!p) return err_nomem(e, cap * sizeof *p, "merges");
            *list = p;
        }
        if (queue_merge(b, m, c, index, e) || (m->n == BATCH && add_batch(v, m, *list, n, e))) return -1;
    }
    return m->n ? add_batch(v, m, *list, n, e) : 0;
}

static int read_merges(bpe *b, const vocab *v, json model, pith_err *e)
{
    json array;
    bpe_merge *list = NULL;
    merge_batch m = {.n = 0};
    size_t n = 0;
    if (json_get_array(model, "merges", &array, e)) return -1;
    int rc = read_list(b, v, json_first(array), &m, &list, &n, e);
    if (!rc) rc = index_merges(b, list, n, e);
    free(m.buffer);
    free(list);
    return rc;
}

static void find_bytes(bpe *b, const vocab *v)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (unsigned i = 0; i < 256; i++) {
        char name[7] = {'<', '0', 'x', HEX[i >> 4], HEX[i & 15], '>', 0};
        size_t n = b->bytes && !b->byte_fallback ? bytelevel_letter((unsigned char)i, name) : 6;
        b->byte_id[i] = vocab_find(v, name, n);
    }
}

/* Cutting is exact if MARK is a piece, so that no unknown run goes over it, and none has it inside; and if a piece does
 * not depend on where in the word it stands. */
static bool can_cut(const bpe *b, const vocab *v)
{
    if (b->bytes || b->prefix || b->suffix || b->ignore_merges || vocab_find(v, MARK, 3) < 0) return false;
    for (size_t i = 0; i < v->n; i++) {
        const vocab_entry *x = vocab_nth(v, i);
        if (next_cut(x->text, 0, x->len) < x->len) return false;
    }
    return true;
}

static void *bpe_open(json v, bool bytes, vocab *vocabulary, pith_err *e)
{
    bpe *b = calloc(1, sizeof *b);
    if (!b) return err_nomem(e, sizeof *b, "the tokenizer"), NULL;
    b->bytes = bytes;
    if (read_settings(b, v, e) || vocab_read(vocabulary, v, e) || read_merges(b, vocabulary, v, e)) {
        bpe_close(b);
        return NULL;
    }
    b->unknown = b->unknown_piece ? vocab_find(vocabulary, b->unknown_piece, strlen(b->unknown_piece)) : -1;
    find_bytes(b, vocabulary);
    b->cuts = can_cut(b, vocabulary);
    return b;
}

const tokmodel bpe_model = {"BPE", true, bpe_open, bpe_close, bpe_word, bpe_scratch_free};
