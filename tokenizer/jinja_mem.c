/* jinja_mem: memory of one parse or rendering, its limits, and text being built with the mark of where each byte came
 * from. Every allocation of the room except the final result goes through `from_system`. */
#include "base/mem.h"
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Blocks up to BIG bytes are cut from chunks and never freed before the end; larger ones are blocks of their own that
 * can grow in place. */
enum { CHUNK = 1 << 16, BIG = 1 << 13 };

struct jblock {
    struct jblock *next, *prev;
    size_t bytes;
    size_t pad; /* keeps what follows aligned to 16 */
};

void jinja_mem_fail(jrun *r, const char *kind, const char *fmt, ...)
{
    if (r->failed) return;
    char msg[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    r->failed = true;
    err_set(r->e, "%.200s: line %u: %s%s%s", r->name, r->line, kind ? kind : "", kind ? ": " : "", msg);
}

bool jinja_mem_step(jrun *r, uint64_t n)
{
    if (r->failed) return false;
    if (n > r->steps) {
        jinja_mem_fail(r, NULL, "the template takes more steps than are allowed: an endless loop, or far too much input");
        return false;
    }
    r->steps -= n;
    return true;
}

bool jinja_mem_bytes(jrun *r, size_t n) { return jinja_mem_step(r, n / 32); }

bool jinja_mem_enter(jrun *r)
{
    if (r->failed) return false;
    if (r->depth >= JINJA_DEPTH) {
        jinja_mem_fail(r, "RecursionError", "nested more than %d levels deep", JINJA_DEPTH);
        return false;
    }
    r->depth++;
    return true;
}

/* p NULL: a new block. NULL: over the limit, or the system has no more. */
static struct jblock *from_system(jrun *r, struct jblock *p, size_t bytes)
{
    size_t had = p ? p->bytes : 0;
    struct jblock *b = NULL;
    if (r->failed) return NULL;
    if (bytes > r->memory || r->pool.held - had > r->memory - bytes) {
        jinja_mem_fail(r, "MemoryError", "the template wants more than the %zu bytes of memory that are allowed", r->memory);
        return NULL;
    }
    if (!(b = mem_resize(p, bytes))) {
        r->failed = true;
        err_nomem(r->e, bytes, r->name);
        return NULL;
    }
    b->bytes = bytes;
    r->pool.held += bytes - had;
    return b;
}

static void *take_big(jrun *r, size_t bytes)
{
    struct jblock *b = bytes > SIZE_MAX / 4 ? NULL : from_system(r, NULL, bytes + sizeof *b);
    if (!b) {
        jinja_mem_fail(r, "MemoryError", "the template wants %zu bytes at once", bytes);
        return NULL;
    }
    b->prev = NULL;
    b->next = r->pool.big;
    if (b->next) b->next->prev = b;
    r->pool.big = b;
    return b + 1;
}

static void *take(jrun *r, size_t bytes)
{
    if (bytes > BIG) return take_big(r, bytes);
    size_t need = (bytes + 15) & ~(size_t)15;
    if (need > r->pool.left) {
        struct jblock *b = from_system(r, NULL, CHUNK);
        if (!b) return NULL;
        b->next = r->pool.small;
        r->pool.small = b;
        r->pool.at = (char *)(b + 1);
        r->pool.left = CHUNK - sizeof *b;
    }
    void *p = r->pool.at;
    r->pool.at += need;
    r->pool.left -= need;
    return p;
}

void *jinja_mem_take(jrun *r, size_t n, size_t size)
{
    size_t bytes;
    if (r->failed) return NULL;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        jinja_mem_fail(r, "MemoryError", "the template wants %zu things at once", n);
        return NULL;
    }
    void *p = take(r, bytes ? bytes : 1);
    if (p) memset(p, 0, bytes);
    return p;
}

void *jinja_mem_grow(jrun *r, void *p, size_t old_bytes, size_t bytes)
{
    if (p && old_bytes > BIG) {
        if (bytes > SIZE_MAX / 4) return take_big(r, bytes);
        struct jblock *b = from_system(r, (struct jblock *)p - 1, bytes + sizeof *b);
        if (!b) return NULL;
        if (b->prev) b->prev->next = b;
        else r->pool.big = b;
        if (b->next) b->next->prev = b;
        return b + 1;
    }
    void *q = take(r, bytes);
    if (q && p) memcpy(q, p, old_bytes);
    return q;
}

void jinja_mem_release(jpool *p)
{
    for (struct jblock *b = p->small, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    for (struct jblock *b = p->big, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    *p = (jpool){0};
}

/* ---- strings ---- */

static const jstr empty = {.p = "", .ascii = true};

static bool is_ascii(const char *p, size_t n)
{
    unsigned char all = 0;
    for (size_t i = 0; i < n; i++) all |= (unsigned char)p[i];
    return all < 0x80;
}

const jstr *jinja_mem_str(jrun *r, const char *p, size_t n, int source)
{
    if (n == 0) return &empty;
    jstr *s = jinja_mem_take(r, 1, sizeof *s);
    char *copy = s ? take(r, n) : NULL;
    if (!copy) return &empty;
    memcpy(copy, p, n);
    *s = (jstr){.p = copy, .n = n, .source = (uint8_t)source, .ascii = is_ascii(p, n)};
    return s;
}

const jstr *jinja_mem_lit(jrun *r, const char *literal) { return jinja_mem_str(r, literal, strlen(literal), JOURS); }

const jstr *jinja_mem_slice(jrun *r, const jstr *s, size_t begin, size_t end)
{
    if (begin >= end) return &empty;
    if (begin == 0 && end == s->n) return s;
    jstr *t = jinja_mem_take(r, 1, sizeof *t);
    if (!t) return &empty;
    *t = (jstr){.p = s->p + begin, .n = end - begin, .source = s->source, .ascii = s->ascii};
    if (s->mask) t->mask = s->mask + begin;
    return t;
}

int jinja_mem_source(const jstr *s, size_t byte) { return s->source == JMIXED ? s->mask[byte] : s->source; }

/* Marks mask[0..n) as s says. */
static void fill_mask(uint8_t *mask, const jstr *s)
{
    if (s->source == JMIXED) memcpy(mask, s->mask, s->n);
    else memset(mask, s->source, s->n);
}

static jroom *room_for(jrun *r, const jstr *a, size_t n)
{
    jroom *room = a->room;
    if (room && room->used == a->n && room->cap - room->used >= n - a->n) return room;
    room = jinja_mem_take(r, 1, sizeof *room);
    /* Only a string that has been extended before gets more room than it needs. */
    size_t cap = a->room ? n * 2 : n + n / 4;
    char *p = room ? jinja_mem_grow(r, NULL, 0, cap) : NULL;
    if (!p) return NULL;
    memcpy(p, a->p, a->n);
    *room = (jroom){.p = p, .used = a->n, .cap = cap};
    if (a->source == JMIXED) {
        if (!(room->mask = jinja_mem_grow(r, NULL, 0, cap))) return NULL;
        fill_mask(room->mask, a);
    }
    return room;
}

const jstr *jinja_mem_concat(jrun *r, const jstr *a, const jstr *b)
{
    if (a->n == 0) return b;
    if (b->n == 0) return a;
    size_t n = a->n + b->n;
    jstr *s = jinja_mem_take(r, 1, sizeof *s);
    jroom *room = s && jinja_mem_bytes(r, b->n) ? room_for(r, a, n) : NULL;
    if (!room) return &empty;
    if (!room->mask && (a->source != b->source || b->source == JMIXED)) {
        if (!(room->mask = jinja_mem_grow(r, NULL, 0, room->cap))) return &empty;
        memset(room->mask, a->source, a->n);
    }
    memcpy(room->p + a->n, b->p, b->n);
    if (room->mask) fill_mask(room->mask + a->n, b);
    room->used = n;
    *s = (jstr){.p = room->p, .n = n, .mask = room->mask, .room = room, .ascii = a->ascii && b->ascii,
                .source = room->mask ? JMIXED : a->source};
    return s;
}

/* ---- text being built ---- */

/* Makes room for n more bytes. */
static bool reserve(jbuf *b, size_t n)
{
    if (b->r->failed) return false;
    if (b->limit && n > b->limit - b->n) {
        jinja_mem_fail(b->r, NULL, "the text is longer than the %zu bytes that are allowed", b->limit);
        return false;
    }
    if (n <= b->cap - b->n) return true;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->n < n) {
        if (cap > SIZE_MAX / 4) {
            jinja_mem_fail(b->r, "MemoryError", "the template wants a text of %zu bytes", n);
            return false;
        }
        cap *= 2;
    }
    char *p = jinja_mem_grow(b->r, b->p, b->cap, cap);
    if (!p) return false;
    b->p = p;
    if (b->mask) {
        uint8_t *mask = jinja_mem_grow(b->r, b->mask, b->cap, cap);
        if (!mask) return false;
        b->mask = mask;
    }
    b->cap = cap;
    return true;
}

/* The next n bytes are of this source (not JMIXED unless a mask is there to be filled). */
static bool note_source(jbuf *b, int source)
{
    if (b->n == 0 && !b->mask && source != JMIXED) b->source = (uint8_t)source;
    if (b->mask || source == b->source) return true;
    if (!(b->mask = jinja_mem_grow(b->r, NULL, 0, b->cap))) return false;
    memset(b->mask, b->source, b->n);
    b->source = JMIXED;
    return true;
}

void jinja_mem_put(jbuf *b, const char *p, size_t n, int source)
{
    if (n == 0 || !reserve(b, n) || !jinja_mem_bytes(b->r, n) || !note_source(b, source)) return;
    memcpy(b->p + b->n, p, n);
    if (b->mask) memset(b->mask + b->n, source, n);
    if (!b->ascii_no) b->ascii_no = !is_ascii(p, n);
    b->n += n;
}

void jinja_mem_puts(jbuf *b, const char *s) { jinja_mem_put(b, s, strlen(s), JOURS); }

void jinja_mem_putc(jbuf *b, uint32_t c, int source)
{
    char out[4];
    size_t n = c < 0x80 ? (out[0] = (char)c, 1u) : unicode_encode(c, out);
    jinja_mem_put(b, out, n, source);
}

void jinja_mem_putslice(jbuf *b, const jstr *s, size_t begin, size_t end)
{
    if (begin >= end) return;
    size_t n = end - begin;
    if (s->source != JMIXED) {
        jinja_mem_put(b, s->p + begin, n, s->source);
        return;
    }
    if (!reserve(b, n) || !jinja_mem_bytes(b->r, n) || !note_source(b, JMIXED)) return;
    memcpy(b->p + b->n, s->p + begin, n);
    memcpy(b->mask + b->n, s->mask + begin, n);
    if (!s->ascii) b->ascii_no = true;
    b->n += n;
}

void jinja_mem_putstr(jbuf *b, const jstr *s) { jinja_mem_putslice(b, s, 0, s->n); }

const jstr *jinja_mem_done(jbuf *b)
{
    jstr *s = b->n ? jinja_mem_take(b->r, 1, sizeof *s) : NULL;
    if (!s) return &empty;
    *s = (jstr){.p = b->p, .n = b->n, .ascii = !b->ascii_no};
    s->source = b->mask ? JMIXED : b->source;
    s->mask = b->mask;
    return s;
}
