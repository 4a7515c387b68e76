/* header: one forward pass over the header's text into the table, then order, overlaps and holes. The text lies in
 * anonymous pages that are given back as the pass leaves them behind, so text and table never stand side by side
 * in full; it is read, not mapped, because a file that shrinks must not take the reader down. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "formats/header.h"
#include "base/checked.h"
#include "formats/scan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DROP_STEP = 1 << 20, SHAPE_CACHE = 256, BLOCK_MIN = 1 << 12, BLOCK_MAX = 1 << 20 };

struct header_block {
    struct header_block *next;
    size_t used, cap;
    uint64_t bytes[];
};

typedef struct reader {
    scan c;
    header *h;
    header_file *f;
    size_t file, first; /* first entry of this file */
    char *dropped;      /* pages before this are given back */
    uint64_t *dims;     /* the shape being read */
    size_t cap_dims;
    uint64_t shape_bytes, shape_limit;
    uint64_t prev_end, max_end, sum; /* ends and bytes of the tensors so far */
    int sorted;
    size_t type_len; /* the last dtype, which is nearly always the next one too */
    char type_name[16];
    dtype type;
    int meta_seen;
    struct { const uint64_t *shape; size_t rank; } shapes[SHAPE_CACHE]; /* models repeat few shapes */
    pith_err *e;
} reader;

/* ---- memory ---- */

int header_pread(int fd, void *to, size_t n, uint64_t at, pith_err *e)
{
    char *p = to;
    size_t done = 0;
    while (done < n) {
        size_t step = n - done < (1u << 30) ? n - done : 1u << 30;
        ssize_t r = pread(fd, p + done, step, (off_t)(at + done));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return err_set(e, "cannot read: %s", strerror(errno));
        if (r == 0) return err_set(e, "the file shrank while it was read; is something still writing it?");
        done += (size_t)r;
    }
    return 0;
}

/* n bytes that live as long as the table, aligned to 8 if asked; NULL without memory. */
static void *keep(header *h, size_t n, int aligned, pith_err *e)
{
    struct header_block *b = h->blocks;
    size_t used = b ? b->used : 0;
    if (aligned) used = (used + 7) & ~(size_t)7;
    if (!b || used > b->cap || n > b->cap - used) {
        size_t cap = b ? b->cap * 2 : BLOCK_MIN;
        if (cap > BLOCK_MAX) cap = BLOCK_MAX;
        if (cap < n) cap = (n + 7) & ~(size_t)7;
        b = malloc(sizeof *b + cap);
        if (!b) return err_nomem(e, sizeof *b + cap, "names and shapes"), NULL;
        *b = (struct header_block){h->blocks, 0, cap};
        h->blocks = b;
        used = 0;
    }
    b->used = used + n;
    return (char *)b->bytes + used;
}

/* Doubles a table of `size`-byte items until it holds `want`. */
static int grow(void **items, size_t *cap, size_t want, size_t size, const char *what, pith_err *e)
{
    if (want <= *cap) return 0;
    size_t n = *cap < 16 ? 16 : *cap;
    while (n < want) n *= 2;
    void *p = realloc(*items, n * size);
    if (!p) return err_nomem(e, n * size, what);
    *items = p;
    *cap = n;
    return 0;
}

/* Gives back the pages of the text that lie wholly before `upto`. */
static void drop(reader *r, char *upto)
{
    size_t n = (size_t)(upto - r->dropped) & ~(size_t)(DROP_STEP - 1);
    if (!n) return;
    madvise(r->dropped, n, MADV_DONTNEED);
    r->dropped += n;
}

/* Copies a string out of the text, dropping the text behind it: one string may be the whole header. */
static void copy_out(reader *r, char *to, scan_str s)
{
    for (size_t i = 0; i < s.n; i += DROP_STEP) {
        size_t n = s.n - i < DROP_STEP ? s.n - i : DROP_STEP;
        memcpy(to + i, s.s + i, n);
        if (s.n > DROP_STEP) drop(r, s.s + i + n);
    }
    to[s.n] = 0;
}

/* ---- fields of a tensor ---- */

static int read_dtype(reader *r, dtype *out)
{
    scan_str s;
    if (scan_string(&r->c, "a dtype in quotes", &s)) return -1;
    if (!r->type_len || s.n != r->type_len || memcmp(s.s, r->type_name, s.n)) {
        int t = tensor_dtype_find(s.s, s.n);
        char show[SCAN_SHOW];
        if (t < 0 || s.n >= sizeof r->type_name)
            return err_set(r->e, "dtype \"%s\" is none of the 22 of the format (F32, F16, BF16, I64, ...)", scan_show(show, s.s, s.n));
        memcpy(r->type_name, s.s, s.n);
        r->type_len = s.n;
        r->type = (dtype)t;
    }
    *out = r->type;
    return 0;
}

static uint64_t hash_dims(const uint64_t *dims, size_t rank)
{
    uint64_t hash = rank;
    for (size_t i = 0; i < rank; i++) hash = (hash ^ dims[i]) * 0x9e3779b97f4a7c15u, hash ^= hash >> 29;
    return hash;
}

/* Keeps dims[0..rank) in the table, or finds the same shape there. */
static const uint64_t *keep_shape(reader *r, size_t rank)
{
    size_t slot = hash_dims(r->dims, rank) % SHAPE_CACHE;
    if (r->shapes[slot].shape && r->shapes[slot].rank == rank && (!rank || !memcmp(r->shapes[slot].shape, r->dims, rank * sizeof *r->dims)))
        return r->shapes[slot].shape;
    r->shape_bytes += rank * sizeof *r->dims;
    if (r->shape_bytes > r->shape_limit)
        return err_set(r->e, "the shapes of this header would take over %llu bytes of memory: a broken or hostile header", (unsigned long long)r->shape_limit), NULL;
    uint64_t *p = keep(r->h, rank * sizeof *p, 1, r->e);
    if (!p) return NULL;
    if (rank) memcpy(p, r->dims, rank * sizeof *p);
    r->shapes[slot].shape = p;
    r->shapes[slot].rank = rank;
    return p;
}

static int read_shape(reader *r, tensor *t)
{
    static const char what[] = "a dimension (whole number)";
    size_t rank = 0;
    if (scan_char(&r->c, '[')) return -1;
    if (scan_peek(&r->c) == ']') {
        r->c.at++;
    } else {
        for (int more = 1; more;) {
            if (rank >= r->shape_limit / sizeof *r->dims) return err_set(r->e, "a shape of over %zu dimensions: a broken or hostile header", rank);
            if (grow((void **)&r->dims, &r->cap_dims, rank + 1, sizeof *r->dims, "a shape", r->e)) return -1;
            if (scan_u64(&r->c, what, &r->dims[rank++])) return -1;
            more = scan_more(&r->c, ']');
            if (more < 0) return -1;
            drop(r, r->c.at);
        }
    }
    t->rank = rank;
    t->shape = keep_shape(r, rank);
    return t->shape ? 0 : -1;
}

static int read_offsets(reader *r, uint64_t *begin, uint64_t *end)
{
    static const char what[] = "an offset (whole number)";
    if (scan_char(&r->c, '[') || scan_u64(&r->c, what, begin) || scan_char(&r->c, ',') || scan_u64(&r->c, what, end)) return -1;
    return scan_char(&r->c, ']');
}

/* Sets nbytes: dtype x shape must be exactly the bytes between the offsets. */
static int check_size(reader *r, safetensors_entry *x, uint64_t end)
{
    tensor *t = &x->t;
    uint64_t count, bits;
    const char *type = tensor_dtypes[t->type].name;
    unsigned long long begin = x->offset;
    if (end < x->offset) return err_set(r->e, "data_offsets [%llu,%llu]: the end lies before the beginning", begin, (unsigned long long)end);
    t->nbytes = end - x->offset;
    if (checked_product(t->shape, t->rank, &count) || checked_mul(count, tensor_dtypes[t->type].bits, &bits))
        return err_set(r->e, "%s of this shape is over 2^64 bits: a broken or hostile header", type);
    if (bits % 8) return err_set(r->e, "%llu elements of %s do not end on a whole byte", (unsigned long long)count, type);
    if (bits / 8 != t->nbytes)
        return err_set(r->e, "%llu elements of %s are %llu bytes, but data_offsets [%llu,%llu] hold %llu", (unsigned long long)count, type, (unsigned long long)(bits / 8),
                       begin, (unsigned long long)end, (unsigned long long)t->nbytes);
    return 0;
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4 };

static int read_fields(reader *r, safetensors_entry *x, uint64_t *end)
{
    static const char *const names[] = {"dtype", "shape", "data_offsets"};
    unsigned seen = 0;
    if (scan_char(&r->c, '{')) return -1;
    if (scan_peek(&r->c) == '}') return err_set(r->e, "an empty entry: dtype, shape and data_offsets are missing");
    for (int more = 1; more;) {
        scan_str k;
        if (scan_string(&r->c, "a field's name in quotes", &k) || scan_char(&r->c, ':')) return -1;
        unsigned bit = 0;
        for (unsigned i = 0; i < 3; i++)
            if (k.n == strlen(names[i]) && !memcmp(k.s, names[i], k.n)) bit = 1u << i;
        if (bit & seen) return err_set(r->e, "field %.*s twice", (int)k.n, k.s);
        seen |= bit;
        int bad;
        if (bit == HAS_DTYPE) bad = read_dtype(r, &x->t.type);
        else if (bit == HAS_SHAPE) bad = read_shape(r, &x->t);
        else if (bit == HAS_OFFSETS) bad = read_offsets(r, &x->offset, end);
        else {
            bad = scan_skip(&r->c, 2);
            if (!r->f->n_unknown++) r->f->unknown = x->name;
        }
        if (bad) return -1;
        more = scan_more(&r->c, '}');
        if (more < 0) return -1;
    }
    for (unsigned i = 0; i < 3; i++)
        if (!(seen & 1u << i)) return err_set(r->e, "%s is missing", names[i]);
    return 0;
}

/* Returns 0, -1, or 1 where the tensors read so far are known to overlap, so that nothing more need be read. */
static int read_tensor(reader *r, scan_str key)
{
    header *h = r->h;
    if (grow((void **)&h->entries, &h->cap, h->n + 1, sizeof *h->entries, "the table of tensors", r->e)) return -1;
    char *name = keep(h, key.n + 1, 0, r->e);
    if (!name) return -1;
    if (r->c.nul) r->f->n_nul++;
    copy_out(r, name, key);
    safetensors_entry *x = &h->entries[h->n];
    *x = (safetensors_entry){.name = name, .file = r->file};
    uint64_t end = 0;
    if (read_fields(r, x, &end) || check_size(r, x, end)) {
        char show[SCAN_SHOW];
        return err_where(r->e, "tensor %s", scan_show(show, name, key.n));
    }
    h->n++;
    if (x->offset < r->prev_end) r->sorted = 0;
    r->prev_end = end;
    if (end > r->max_end) r->max_end = end;
    /* Tensors that do not overlap fit side by side below the highest end. */
    return checked_add(r->sum, x->t.nbytes, &r->sum) || r->sum > r->max_end;
}

/* ---- __metadata__ ---- */

static int add_meta(reader *r, scan_str s)
{
    header_file *f = r->f;
    if (r->c.nul) f->n_nul++;
    if (grow((void **)&f->meta, &f->meta_cap, f->meta_len + s.n + 1, 1, "metadata", r->e)) return -1;
    copy_out(r, f->meta + f->meta_len, s);
    f->meta_len += s.n + 1;
    return 0;
}

static int read_meta(reader *r)
{
    header_file *f = r->f;
    scan_str s;
    if (r->meta_seen++) return err_set(r->e, "__metadata__ twice");
    if (scan_peek(&r->c) == 'n') {
        f->meta_null = 1;
        return scan_skip(&r->c, 1);
    }
    if (scan_char(&r->c, '{')) return err_where(r->e, "__metadata__");
    if (scan_peek(&r->c) == '}') return r->c.at++, 0;
    for (int more = 1; more;) {
        if (grow((void **)&f->pairs, &f->cap_pairs, f->n_pairs + 1, sizeof *f->pairs, "metadata", r->e)) return -1;
        f->pairs[f->n_pairs] = (uint32_t)f->meta_len; /* fits: decoded text is not longer than the header */
        if (scan_string(&r->c, "a key in quotes", &s) || add_meta(r, s) || scan_char(&r->c, ':') ||
            scan_string(&r->c, "a string", &s) || add_meta(r, s) || (more = scan_more(&r->c, '}')) < 0)
            return err_where(r->e, "__metadata__");
        f->n_pairs++;
        drop(r, r->c.at);
    }
    return 0;
}

/* ---- order ---- */

/* Stable sort of the file's entries by where they begin, empty ones first among equals: a radix sort of indices, then
 * the entries follow them around each cycle. Linear whatever the order was. */
static int sort_entries(safetensors_entry *x, size_t n, pith_err *e)
{
    uint32_t *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
    if (!a || !b) {
        free(a);
        free(b);
        return err_nomem(e, 2 * n * sizeof *a, "sorting the tensors");
    }
    for (size_t i = 0; i < n; i++) a[i] = (uint32_t)i;
    for (int pass = 0; pass < 9; pass++) {
        uint32_t count[256] = {0};
        int shift = 8 * (pass - 1);
#define DIGIT(i) (pass ? (unsigned)(x[i].offset >> shift) & 255u : x[i].t.nbytes != 0)
        for (size_t i = 0; i < n; i++) count[DIGIT(i)]++;
        if (count[DIGIT(0)] == n) continue;
        for (uint32_t i = 0, at = 0; i < 256; i++) {
            uint32_t c = count[i];
            count[i] = at;
            at += c;
        }
        for (size_t i = 0; i < n; i++) {
            __builtin_prefetch(&x[a[i + 16 < n ? i + 16 : i]].offset); /* visits the entries in no order at all */
            b[count[DIGIT(a[i])]++] = a[i];
        }
#undef DIGIT
        uint32_t *t = a;
        a = b;
        b = t;
    }
    for (uint32_t i = 0; i < n; i++) {
        safetensors_entry held = x[i];
        uint32_t to = i;
        while (a[to] != i) {
            uint32_t from = a[to];
            x[to] = x[from];
            a[to] = to;
            to = from;
        }
        x[to] = held;
        a[to] = to;
    }
    free(a);
    free(b);
    return 0;
}

static int check_order(const safetensors_entry *x, size_t n, pith_err *e)
{
    uint64_t at = 0;
    char name[SCAN_SHOW], prev[SCAN_SHOW];
    for (size_t i = 0; i < n; i++) {
        uint64_t begin = x[i].offset;
        if (begin == at) {
            at = begin + x[i].t.nbytes; /* the end, which was read from the file as such */
            continue;
        }
        scan_show(name, x[i].name, strlen(x[i].name));
        if (i) scan_show(prev, x[i - 1].name, strlen(x[i - 1].name));
        if (i && !strcmp(x[i].name, x[i - 1].name)) return err_set(e, HEADER_TWICE, name);
        if (begin < at)
            return err_set(e, "tensor %s overlaps tensor %s: it begins at %llu, before the other's end at %llu", name, prev, (unsigned long long)begin, (unsigned long long)at);
        return err_set(e, "tensor %s begins at %llu, but the %llu bytes before it belong to no tensor (%s%s)", name, (unsigned long long)begin,
                       (unsigned long long)(begin - at), i ? "the one before is " : "the first must begin at 0", i ? prev : "");
    }
    return 0;
}

/* ---- the whole ---- */

static int read_object(reader *r)
{
    scan *c = &r->c;
    if (scan_char(c, '{')) return -1;
    if (scan_peek(c) == '}') {
        c->at++;
    } else {
        for (int more = 1; more;) {
            scan_str key;
            if (scan_string(c, "a tensor's name in quotes", &key) || scan_char(c, ':')) return -1;
            if (key.n == 12 && !memcmp(key.s, "__metadata__", 12)) {
                if (read_meta(r)) return -1;
            } else {
                int got = read_tensor(r, key);
                if (got) return got;
            }
            drop(r, c->at);
            more = scan_more(c, '}');
            if (more < 0) return -1;
        }
    }
    scan_peek(c);
    return c->at == c->end ? 0 : scan_fail(c, "nothing but whitespace after the object");
}

static int read_text(reader *r, size_t len)
{
    header *h = r->h;
    r->first = h->n;
    r->sorted = 1;
    r->shape_limit = len / 4 + (8u << 20); /* honest headers stay far below: a dimension is 8 bytes, an entry 60 */
    int got = read_object(r);
    if (got < 0) return -1;
    safetensors_entry *x = h->entries ? h->entries + r->first : NULL;
    size_t n = h->n - r->first;
    if (!r->sorted || got) {
        if (sort_entries(x, n, r->e)) return -1;
    }
    if (check_order(x, n, r->e)) return -1;
    r->f->data_bytes = r->max_end;
    return 0;
}

int header_read(header *h, header_file *f, size_t file, int fd, size_t len, pith_err *e)
{
    reader *r = calloc(1, sizeof *r);
    if (!r) return err_nomem(e, sizeof *r, "a header");
    char *text = mmap(NULL, len + SCAN_PAD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED) {
        free(r);
        return err_nomem(e, len, "a header");
    }
    r->c = (scan){text, text, text + len, 0, e};
    r->h = h;
    r->f = f;
    r->file = file;
    r->dropped = text;
    r->e = e;
    int bad = header_pread(fd, text, len, 8, e) || read_text(r, len);
    munmap(text, len + SCAN_PAD);
    free(r->dims);
    if (!bad) {
        for (size_t i = r->first; i < h->n; i++) h->entries[i].offset += 8 + len; /* at most 2^63: bytes, not bits */
    }
    free(r);
    return bad ? -1 : 0;
}

void header_free(header *h)
{
    for (struct header_block *b = h->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(h->entries);
    *h = (header){0};
}

void header_file_free(header_file *f)
{
    free(f->meta);
    free(f->pairs);
    *f = (header_file){0};
}
