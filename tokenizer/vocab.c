#include "tokenizer/vocab.h"
#include "base/mem.h"
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

static vocab_entry *entry_at(const vocab *v, uint32_t what)
{
    return (vocab_entry *)(void *)(v->block + (size_t)what * 4);
}

static void insert_entry(vocab *v, uint32_t what)
{
    const vocab_entry *x = entry_at(v, what);
    uint64_t h = VOCAB_HASH;
    for (size_t i = 0; i < x->len; i++) {
        h = vocab_hash(h, (unsigned char)x->text[i]);
        if (v->prefixes && i + 1 < x->len && i < PREFIX_MAX) insert(v, h, INNER);
    }
    insert(v, h, what);
}

/* A table for all entries so far and one more piece of len bytes, at most half full. */
static int make_room(vocab *v, size_t len, pith_err *e)
{
    size_t more = 1 + (v->prefixes ? len < PREFIX_MAX ? len : PREFIX_MAX : 0);
    if (v->n_slots && v->n_used + more <= v->n_slots / 2) return 0;
    size_t n = v->n_slots ? v->n_slots : 1024;
    while ((v->n_used + more) > n / 4) n *= 2;
    vocab_slot *slot = n > SIZE_MAX / sizeof *slot ? NULL : mem_alloc(n * sizeof *slot);
    if (!slot) return err_nomem(e, n * sizeof *slot, "the vocabulary");
    mem_free(v->slot);
    v->slot = slot;
    v->n_slots = n;
    v->n_used = 0;
    memset(slot, 0xff, n * sizeof *slot); /* EMPTY everywhere */
    for (size_t i = 0; i < v->n; i++) insert_entry(v, v->entry[i]);
    return 0;
}

/* memcmp is a call; pieces are short. */
static inline bool same(const char *a, const char *b, size_t n)
{
    uint64_t x, y;
    if (n < 8) {
        for (size_t i = 0; i < n; i++)
            if (a[i] != b[i]) return false;
        return true;
    }
    for (size_t i = 0; i + 8 < n; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y) return false;
    }
    memcpy(&x, a + n - 8, 8);
    memcpy(&y, b + n - 8, 8);
    return x == y;
}

static vocab_entry *find(const vocab *v, uint64_t h, const char *head, size_t head_len, const char *s, size_t n)
{
    uint32_t tag = tag_of(h);
    for (size_t i = slot_of(v, h); v->slot[i].what != EMPTY; i = (i + 1) & (v->n_slots - 1)) {
        if (v->slot[i].tag != tag || v->slot[i].what == INNER) continue;
        vocab_entry *x = entry_at(v, v->slot[i].what);
        if (x->len == head_len + n && same(x->text, head, head_len) && same(x->text + head_len, s, n)) return x;
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
    size_t size = (sizeof(vocab_entry) + len + 1 + 3) & ~(size_t)3;
    if (len >= UINT32_MAX || v->block_len / 4 >= INNER) return err_set(e, "vocabulary: more than 16 GB of pieces");
    if (v->n == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 1024;
        uint32_t *p = mem_resize(v->entry, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "the vocabulary");
        v->entry = p;
        v->cap = cap;
    }
    if (v->block_cap - v->block_len < size) {
        size_t cap = v->block_cap * 2 + size + 4096;
        char *p = mem_resize(v->block, cap);
        if (!p) return err_nomem(e, cap, "the vocabulary");
        v->block = p;
        v->block_cap = cap;
    }
    if (make_room(v, len, e)) return -1;
    uint32_t what = (uint32_t)(v->block_len / 4);
    vocab_entry *x = entry_at(v, what);
    *x = (vocab_entry){.id = id, .len = (uint32_t)len};
    memcpy(x->text, piece, len);
    x->text[len] = 0;
    v->block_len += size;
    v->entry[v->n++] = what;
    insert_entry(v, what);
    if (len > v->longest) v->longest = len;
    return 0;
}

typedef struct id_place {
    int32_t id;
    uint32_t what;
} id_place;

static int by_id(const void *a, const void *b)
{
    int32_t x = ((const id_place *)a)->id, y = ((const id_place *)b)->id;
    return (x > y) - (x < y);
}

static int sort_entries(vocab *v, pith_err *e)
{
    id_place *p = mem_alloc(v->n * sizeof *p);
    if (!p) return err_nomem(e, v->n * sizeof *p, "the vocabulary");
    for (size_t i = 0; i < v->n; i++) p[i] = (id_place){vocab_nth(v, i)->id, v->entry[i]};
    qsort(p, v->n, sizeof *p, by_id);
    for (size_t i = 0; i < v->n; i++) v->entry[i] = p[i].what;
    mem_free(p);
    return 0;
}

int vocab_close(vocab *v, const char *where, pith_err *e)
{
    bool sorted = true;
    for (size_t i = 1; i < v->n && sorted; i++) sorted = vocab_nth(v, i - 1)->id < vocab_nth(v, i)->id;
    if (!sorted && sort_entries(v, e)) return -1;
    for (size_t i = 1; i < v->n && !sorted; i++) {
        const vocab_entry *a = vocab_nth(v, i - 1), *b = vocab_nth(v, i);
        if (a->id == b->id)
            return err_set(e, "%s: \"%.60s\" and \"%.60s\" both have id %d", where, a->text, b->text, (int)a->id);
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
    mem_free(v->block);
    mem_free(v->entry);
    mem_free(v->slot);
    *v = (vocab){0};
}

int32_t vocab_find(const vocab *v, const char *piece, size_t len)
{
    const vocab_entry *x = find_piece(v, piece, len);
    return x ? x->id : -1;
}

void vocab_find_many(const vocab *v, const char *const *piece, const size_t *len, size_t n, int32_t *id)
{
    uint64_t h[VOCAB_MANY];
    if (n > VOCAB_MANY || !v->n_slots) n = 0;
    for (size_t i = 0; i < n; i++) {
        h[i] = VOCAB_HASH;
        for (size_t k = 0; k < len[i]; k++) h[i] = vocab_hash(h[i], (unsigned char)piece[i][k]);
        __builtin_prefetch(&v->slot[slot_of(v, h[i])]);
    }
    for (size_t i = 0; i < n; i++) {
        const vocab_slot *s = &v->slot[slot_of(v, h[i])];
        if (s->what < INNER) __builtin_prefetch(entry_at(v, s->what));
    }
    for (size_t i = 0; i < n; i++) {
        const vocab_entry *x = find(v, h[i], "", 0, piece[i], len[i]);
        id[i] = x ? x->id : -1;
    }
}

const vocab_entry *vocab_at(const vocab *v, int32_t id)
{
    if (id < 0) return NULL;
    if (v->dense) return (size_t)id < v->n ? vocab_nth(v, (size_t)id) : NULL;
    size_t a = 0, b = v->n;
    while (a < b) {
        size_t m = a + (b - a) / 2;
        const vocab_entry *x = vocab_nth(v, m);
        if (x->id == id) return x;
        if (x->id < id)
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

int32_t vocab_next(const vocab *v, const char *s, size_t n, vocab_walk *w)
{
    if (!v->n_slots) return -1;
    if (n > v->longest) n = v->longest;
    uint64_t h = w->len ? w->hash : VOCAB_HASH;
    for (size_t i = w->len; i < n; i++) {
        bool piece;
        h = vocab_hash(h, (unsigned char)s[i]);
        if (!known(v, h, &piece)) {
            if (i < PREFIX_MAX) break;
            continue;
        }
        const vocab_entry *x = piece ? find(v, h, "", 0, s, i + 1) : NULL;
        if (x) {
            *w = (vocab_walk){h, i + 1};
            return x->id;
        }
    }
    return -1;
}
