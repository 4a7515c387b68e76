#include "tokenizer/wordcache.h"
#include "base/mem.h"
#include <string.h>

#define SLOTS_MAX (1 << 16)
#define POOL_MAX (1 << 20) /* words of 4 bytes */

uint64_t wordcache_hash(const char *word, size_t len)
{
    const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t h = len * k, x;
    while (len >= 8) {
        memcpy(&x, word, 8);
        h = (h ^ x) * k;
        h ^= h >> 32;
        word += 8;
        len -= 8;
    }
    x = 0;
    if (len) memcpy(&x, word, len);
    h = (h ^ x) * k;
    return h ^ h >> 29;
}

static size_t place_of(const wordcache *c, uint64_t hash, const char *word, size_t len)
{
    size_t i = (size_t)hash & (c->n_slots - 1);
    for (; c->slot[i].len; i = (i + 1) & (c->n_slots - 1)) {
        const wordcache_slot *s = &c->slot[i];
        if (s->hash == hash && s->len == len && memcmp(c->pool + s->at, word, len) == 0) break;
    }
    return i;
}

int wordcache_get(const wordcache *c, uint64_t hash, const char *word, size_t len, size_t begin,
                  tokenizer_encoding *out, pith_err *e)
{
    if (!c->n_slots) return 0;
    const wordcache_slot *s = &c->slot[place_of(c, hash, word, len)];
    if (!s->len) return 0;
    if (encoding_reserve(out, s->n, e)) return -1;
    const uint32_t *p = c->pool + s->at + (len + 3) / 4;
    for (uint32_t i = 0; i < s->n; i++, p += 2) encoding_put(out, (int32_t)p[0], begin + (p[1] & 0xff), begin + (p[1] >> 8));
    return 1;
}

/* An empty table of n slots; what was there is put in again unless it starts anew. */
static int resize(wordcache *c, size_t n, bool anew, pith_err *e)
{
    wordcache_slot *slot = mem_zero(n, sizeof *slot);
    if (!slot) return err_nomem(e, n * sizeof *slot, "words");
    for (size_t k = 0; k < c->n_slots && !anew; k++) {
        if (!c->slot[k].len) continue;
        size_t i = (size_t)c->slot[k].hash & (n - 1);
        while (slot[i].len) i = (i + 1) & (n - 1);
        slot[i] = c->slot[k];
    }
    if (anew) c->n_pool = c->n_used = 0;
    mem_free(c->slot);
    c->slot = slot;
    c->n_slots = n;
    return 0;
}

int wordcache_put(wordcache *c, uint64_t hash, const char *word, size_t len, size_t begin,
                  const tokenizer_encoding *out, size_t first, pith_err *e)
{
    size_t n = out->n - first, need = (len + 3) / 4 + 2 * n;
    if (n > 2 * WORDCACHE_LONGEST) return 0;
    bool anew = c->n_pool + need > POOL_MAX || (c->n_used >= SLOTS_MAX / 2);
    if (anew || c->n_used >= c->n_slots / 2) {
        size_t slots = anew || !c->n_slots ? 512 : c->n_slots * 2;
        if (resize(c, slots, anew, e)) return -1;
    }
    if (c->cap_pool - c->n_pool < need) {
        size_t cap = c->cap_pool * 2 + need + 1024;
        uint32_t *p = mem_resize(c->pool, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "words");
        c->pool = p;
        c->cap_pool = cap;
    }
    uint32_t *p = c->pool + c->n_pool;
    memcpy(p, word, len);
    p += (len + 3) / 4;
    for (size_t i = first; i < out->n; i++) {
        *p++ = (uint32_t)out->ids[i];
        *p++ = (uint32_t)(out->begin[i] - begin) | (uint32_t)(out->end[i] - begin) << 8;
    }
    wordcache_slot *s = &c->slot[place_of(c, hash, word, len)];
    *s = (wordcache_slot){hash, (uint32_t)c->n_pool, (uint32_t)n, (uint32_t)len};
    c->n_pool += need;
    c->n_used++;
    return 0;
}

void wordcache_free(wordcache *c)
{
    mem_free(c->slot);
    mem_free(c->pool);
    *c = (wordcache){0};
}
