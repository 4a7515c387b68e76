#include "tokenizer/charsmap.h"
#include "base/mem.h"
#include <stdint.h>
#include <string.h>
#include "tokenizer/unicode.h"

struct charsmap {
    uint32_t *unit; /* the trie */
    size_t n_units;
    char *text; /* what strings become, each with a NUL */
    size_t n_text;
};

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Returns the number of bytes, or SIZE_MAX. */
static size_t from_base64(const char *s, unsigned char *out)
{
    size_t n = 0;
    uint32_t bits = 0;
    int have = 0;
    for (; *s && *s != '='; s++) {
        int d = digit(*s);
        if (d < 0) return SIZE_MAX;
        bits = (bits << 6 | (uint32_t)d) & 0xffffff;
        have += 6;
        if (have >= 8) out[n++] = (unsigned char)(bits >> (have -= 8));
    }
    while (*s == '=') s++;
    return *s ? SIZE_MAX : n;
}

static uint32_t le32(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

charsmap *charsmap_open(const char *where, const char *base64, pith_err *e)
{
    size_t room = strlen(base64) + 1;
    charsmap *m = mem_zero(1, sizeof *m);
    unsigned char *b = mem_alloc(room);
    if (!m || !b) {
        mem_free(m);
        mem_free(b);
        return err_nomem(e, room, "the normalizer"), NULL;
    }
    size_t n = from_base64(base64, b);
    uint32_t trie = n != SIZE_MAX && n >= 4 ? le32(b) : 0;
    int rc = 0;
    if (n == SIZE_MAX)
        rc = err_set(e, "%s: not valid base64", where);
    else if (n < 4 || trie % 4 || trie > n - 4 || !trie)
        rc = err_set(e, "%s: a trie of %u bytes in a map of %zu", where, (unsigned)trie, n);
    if (!rc) {
        m->n_units = trie / 4;
        m->n_text = n - 4 - trie;
        if (!(m->unit = mem_alloc(trie)) || !(m->text = mem_alloc(m->n_text + 1))) rc = err_nomem(e, n, "the normalizer");
    }
    if (!rc) {
        for (size_t i = 0; i < m->n_units; i++) m->unit[i] = le32(b + 4 + 4 * i);
        memcpy(m->text, b + 4 + trie, m->n_text);
        m->text[m->n_text] = 0;
        if (unicode_valid(m->text, m->n_text) < m->n_text) rc = err_set(e, "%s: its texts are not valid UTF-8", where);
    }
    mem_free(b);
    if (!rc) return m;
    charsmap_free(m);
    return NULL;
}

void charsmap_free(charsmap *m)
{
    if (!m) return;
    mem_free(m->unit);
    mem_free(m->text);
    mem_free(m);
}

/* Units as darts-clone has them: bits 0-7 and 31 the label (31: a value), bit 8 a leaf follows, bit 9 and 10-30 the
 * offset to the children. */
static uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

const char *charsmap_find(const charsmap *m, const char *s, size_t n)
{
    uint32_t at = offset_of(m->unit[0]);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (!c) return NULL;
        at ^= c;
        if (at >= m->n_units) return NULL;
        uint32_t unit = m->unit[at];
        if ((unit & 0x800000ff) != c) return NULL;
        at ^= offset_of(unit);
        if (!(unit & 0x100)) continue;
        if (at >= m->n_units) return NULL;
        uint32_t value = m->unit[at] & 0x7fffffff;
        /* Never into the middle of a character. */
        return value < m->n_text && ((unsigned char)m->text[value] & 0xc0) != 0x80 ? m->text + value : NULL;
    }
    return NULL;
}
