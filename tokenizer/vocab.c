#include "tokenizer/vocab.h"
#include <stdlib.h>
#include <string.h>

#define EMPTY UINT32_MAX
#define INNER (UINT32_MAX - 1) /* begins a piece, is none itself */
/* Beginnings are remembered up to this length; a walk along a longer piece goes on to the longest piece's length. */
#define PREFIX_MAX 64

static size_t slot_of(const vocab *v, uint64_t h) { return (size_t)(h ^ h >> 32) & (v->n_slots - 1); }
static uint32_t tag_of(uint64_t h) { return (uint32_t)(h >> 32); }

/* Puts an entry, or a beginning, into the first free place; a beginning that is already known in any form is not
 * repeated (equal tags may stand for different strings: every find compares the text). */
static void insert(vocab *v, uint64_t h, uint32_t what)
{
    uint32_t tag = tag_of(h);
    size_t i = slot_of(v, h);
    for (; v->slot[i].what != EMPTY; i = (i + 1) & (v->n_slots - 1)) {
        if (v->slot[i].tag != tag) continue;
        if (what == INNER) return;
        if (v->slot[i].what == INNER) {
            v->slot[i].what = what;
            return;
        }
    }
    v->slot[i] = (vocab_slot){tag, what};
    v->n_used++;
}

static void insert_entry(vocab *v, uint32_t k)
{
    const vocab_entry *x = &v->entry[k];
    const char *s = v->text + x->at;
    uint64_t h = VOCAB_HASH;
    for (size_t i = 0; i < x->len; i++) {
        h = vocab_hash(h, (unsigned char)s[i]);
        if (v->prefixes && i + 1 < x->len && i < PREFIX_MAX) insert(v, h, INNER);
    }
    insert(v, h, k);
}

/* A table for all entries so far and one more piece of len bytes, at most half full. */
static int make_room(vocab *v, size_t len, pith_err *e)
{
    size_t more = 1 + (v->prefixes ? len < PREFIX_MAX ? len : PREFIX_MAX : 0);
    if (v->n_slots && v->n_used + more <= v->n_slots / 2) return 0;
    size_t n = v->n_slots ? v->n_slots : 1024;
    while ((v->n_used + more) > n / 4) n *= 2;
    vocab_slot *slot = n > SIZE_MAX / sizeof *slot ? NULL : malloc(n * sizeof *slot);
    if (!slot) return err_nomem(e, n * sizeof *slot, "the vocabulary");
    free(v->slot);
    v->slot = slot;
    v->n_slots = n;
    v->n_used = 0;
    memset(slot, 0xff, n * sizeof *slot); /* EMPTY everywhere */
    for (size_t i = 0; i < v->n; i++) insert_entry(v, (uint32_t)i);
    return 0;
}

static vocab_entry *find(const vocab *v, uint64_t h, const char *head, size_t head_len, const char *s, size_t n)
{
    uint32_t tag = tag_of(h);
    for (size_t i = slot_of(v, h); v->slot[i].what != EMPTY; i = (i + 1) & (v->n_slots - 1)) {
        if (v->slot[i].tag != tag || v->slot[i].what == INNER) continue;
        vocab_entry *x = &v->entry[v->slot[i].what];
        const char *t = v->text + x->at;
        if (x->len == head_len + n && memcmp(t, head, head_len) == 0 && memcmp(t + head_len, s, n) == 0) return x;
    }
    return NULL;
}

static vocab_entry *find_piece(const vocab *v, const char *s, size_t n)
{
    if (!v->n_slots) return NULL;
    uint64_t h = VOCAB_HASH;
    for (size_t i = 0; i < n; i++) h = vocab_hash(h, (unsigned char)s[i]);
    return find(v, h, "", 0, s, n);
}

int vocab_add(vocab *v, const char *piece, size_t len, int32_t id, pith_err *e)
{
    vocab_entry *old = find_piece(v, piece, len);
    if (old) {
        old->id = id;
        return 0;
    }
    if (v->n >= INNER - 1 || len >= UINT32_MAX) return err_set(e, "vocabulary: too large");
    if (v->n == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 1024;
        vocab_entry *p = realloc(v->entry, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "the vocabulary");
        v->entry = p;
        v->cap = cap;
    }
    if (v->text_cap - v->text_len < len + 1) {
        size_t cap = v->text_cap * 2 + len + 4096;
        char *p = realloc(v->text, cap);
        if (!p) return err_nomem(e, cap, "the vocabulary");
        v->text = p;
        v->text_cap = cap;
    }
    if (make_room(v, len, e)) return -1;
    memcpy(v->text + v->text_len, piece, len);
    v->text[v->text_len + len] = 0;
    v->entry[v->n] = (vocab_entry){v->text_len, (uint32_t)len, id};
    v->text_len += len + 1;
    insert_entry(v, (uint32_t)v->n++);
    if (len > v->longest) v->longest = len;
    return 0;
}

static int by_id(const void *a, const void *b)
{
    int32_t x = ((const vocab_entry *)a)->id, y = ((const vocab_entry *)b)->id;
    return (x > y) - (x < y);
}

int vocab_close(vocab *v, const char *where, pith_err *e)
{
    bool sorted = true;
    for (size_t i = 1; i < v->n && sorted; i++) sorted = v->entry[i - 1].id < v->entry[i].id;
    if (!sorted) {
        qsort(v->entry, v->n, sizeof *v->entry, by_id);
        for (size_t i = 1; i < v->n; i++)
            if (v->entry[i - 1].id == v->entry[i].id)
                return err_set(e, "%s: \"%.60s\" and \"%.60s\" both have id %d", where,
                               vocab_text(v, &v->entry[i - 1]), vocab_text(v, &v->entry[i]), (int)v->entry[i].id);
        memset(v->slot, 0xff, v->n_slots * sizeof *v->slot);
        v->n_used = 0;
        for (size_t i = 0; i < v->n; i++) insert_entry(v, (uint32_t)i);
    }
    v->dense = v->n == vocab_size(v);
    return 0;
}

int vocab_read(vocab *v, json model, pith_err *e)
{
    json object;
    if (json_get_object(model, "vocab", &object, e)) return -1;
    for (json c = json_first(object); c.node; c = json_next(c)) {
        uint64_t id;
        const char *piece = json_key(c);
        if (json_as_size(c, 0, INT32_MAX, &id, e) || vocab_add(v, piece, strlen(piece), (int32_t)id, e)) return -1;
    }
    return vocab_close(v, "tokenizer.json: model.vocab", e);
}

void vocab_free(vocab *v)
{
    free(v->text);
    free(v->entry);
    free(v->slot);
    *v = (vocab){0};
}

int32_t vocab_find(const vocab *v, const char *piece, size_t len)
{
    const vocab_entry *x = find_piece(v, piece, len);
    return x ? x->id : -1;
}

const vocab_entry *vocab_at(const vocab *v, int32_t id)
{
    if (id < 0) return NULL;
    if (v->dense) return (size_t)id < v->n ? &v->entry[id] : NULL;
    size_t a = 0, b = v->n;
    while (a < b) {
        size_t m = a + (b - a) / 2;
        if (v->entry[m].id == id) return &v->entry[m];
        if (v->entry[m].id < id)
            a = m + 1;
        else
            b = m;
    }
    return NULL;
}

/* Does any piece begin like this? May err on the side of yes. */
static bool known(const vocab *v, uint64_t h, bool *piece)
{
    uint32_t tag = tag_of(h);
    bool seen = *piece = false;
    for (size_t i = slot_of(v, h); v->slot[i].what != EMPTY; i = (i + 1) & (v->n_slots - 1)) {
        if (v->slot[i].tag != tag) continue;
        seen = true;
        if (v->slot[i].what != INNER) *piece = true;
    }
    return seen;
}

int32_t vocab_longest(const vocab *v, const char *head, size_t head_len, uint64_t head_hash, const char *s, size_t n,
                      size_t *len)
{
    int32_t id = -1;
    if (!v->n_slots || v->longest <= head_len) return -1;
    if (n > v->longest - head_len) n = v->longest - head_len;
    uint64_t h = head_hash;
    for (size_t i = 0; i < n; i++) {
        bool piece;
        h = vocab_hash(h, (unsigned char)s[i]);
        if (!known(v, h, &piece)) {
            if (head_len + i < PREFIX_MAX) break;
            continue;
        }
        const vocab_entry *x = piece ? find(v, h, head, head_len, s, i + 1) : NULL;
        if (x) {
            id = x->id;
            *len = i + 1;
        }
    }
    return id;
}
