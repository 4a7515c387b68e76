/* zip: end record, directory and local headers, each compared with the others: a file that two readers could read in two
 * ways is refused. */
#include "formats/zip.h"
#include "base/checked.h"
#include "formats/scan.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { END = 22, END64 = 56, LOCATOR = 20, ENTRY = 46, LOCAL = 30 }; /* bytes of the records, without what varies */

typedef struct member {
    zip_member m;
    uint64_t begin, end; /* from its local header to behind its last byte */
} member;

struct zip {
    const unsigned char *p;
    size_t n;
    uint64_t dir, dir_size, entries; /* the central directory */
    member *members;
    size_t count;
    char *names;
};

static unsigned get16(const unsigned char *p) { return (unsigned)checked_le(p, 2); }
static uint32_t get32(const unsigned char *p) { return (uint32_t)checked_le(p, 4); }
static uint64_t get64(const unsigned char *p) { return checked_le(p, 8); }

/* ---- end record ---- */

/* Where the end record begins: nothing may follow it but its own comment. */
static int find_end(const zip *z, size_t *at, pith_err *e)
{
    *at = 0;
    for (size_t comment = 0; comment <= 0xffff && comment + END <= z->n; comment++) {
        *at = z->n - END - comment;
        if (get32(z->p + *at) == 0x06054b50 && get16(z->p + *at + 20) == comment) return 0;
    }
    return err_set(e, "no end record of a zip archive: the file is cut off, or has bytes behind its end; download it again");
}

/* The Zip64 end record, where a locator before the plain one points to it. What both tell must agree. */
static int read_end64(zip *z, const unsigned char *end, size_t *stop, pith_err *e)
{
    size_t at = (size_t)(end - z->p) - LOCATOR;
    const unsigned char *locator = z->p + at;
    uint64_t begin = get64(locator + 8), from, behind;
    if (checked_add(begin, END64, &behind) || behind > at) return err_set(e, "the Zip64 end record lies outside the file; download it again");
    const unsigned char *p = z->p + begin;
    if (get32(p) != 0x06064b50 || checked_add(begin, 12, &from) || checked_add(from, get64(p + 4), &behind) || behind != at)
        return err_set(e, "the Zip64 end record is broken; download it again");
    if (get32(p + 16) || get32(p + 20) || get32(locator + 4) || get64(p + 24) != get64(p + 32)) return err_set(e, "a zip archive in several parts is not read");
    z->entries = get64(p + 32);
    z->dir_size = get64(p + 40);
    z->dir = get64(p + 48);
    *stop = (size_t)begin;
    if ((get16(end + 10) != 0xffff && get16(end + 10) != z->entries) || (get32(end + 12) != UINT32_MAX && get32(end + 12) != z->dir_size) ||
        (get32(end + 16) != UINT32_MAX && get32(end + 16) != z->dir))
        return err_set(e, "its two end records disagree; download it again");
    return 0;
}

static int read_end(zip *z, pith_err *e)
{
    size_t at, stop;
    uint64_t behind;
    if (find_end(z, &at, e)) return -1;
    const unsigned char *p = z->p + at;
    stop = at;
    if (at >= LOCATOR && get32(p - LOCATOR) == 0x07064b50) {
        if (read_end64(z, p, &stop, e)) return -1;
    } else {
        if (get16(p + 4) || get16(p + 6) || get16(p + 8) != get16(p + 10)) return err_set(e, "a zip archive in several parts is not read");
        z->entries = get16(p + 10);
        z->dir_size = get32(p + 12);
        z->dir = get32(p + 16);
    }
    if (checked_add(z->dir, z->dir_size, &behind) || behind != stop)
        return err_set(e, "the zip directory (%llu bytes at %llu) does not end where the end record begins (%zu): the file is damaged; download it again",
                       (unsigned long long)z->dir_size, (unsigned long long)z->dir, stop);
    if (z->entries > z->dir_size / ENTRY) return err_set(e, "%llu members promised in a zip directory of %llu bytes", (unsigned long long)z->entries, (unsigned long long)z->dir_size);
    return 0;
}

/* ---- directory ---- */

/* Replaces the saturated ones of size, stored size and offset by those of the Zip64 extra field. */
static int read_extra(const unsigned char *p, size_t n, uint64_t v[3])
{
    int want = 0;
    for (int i = 0; i < 3; i++) want += v[i] == UINT32_MAX;
    if (!want) return 0;
    while (n >= 4) {
        size_t id = get16(p), size = get16(p + 2);
        if (size > n - 4) return -1;
        if (id == 1) {
            if (size < (size_t)want * 8) return -1;
            p += 4;
            for (int i = 0; i < 3; i++) {
                if (v[i] != UINT32_MAX) continue;
                v[i] = get64(p);
                p += 8;
            }
            return 0;
        }
        p += 4 + size;
        n -= 4 + size;
    }
    return -1;
}

/* The local header must say the same; where the bytes begin, only it tells. */
static int read_local(const zip *z, member *x, size_t name_len, pith_err *e)
{
    uint64_t head;
    if (checked_add(x->begin, LOCAL, &head) || head > z->dir) return err_set(e, "its local header lies outside the file");
    const unsigned char *p = z->p + x->begin;
    if (get32(p) != 0x04034b50) return err_set(e, "there is no local header where the directory has it");
    if (get16(p + 6) & 1 || get16(p + 8)) return err_set(e, "its local header says compressed or encrypted, the directory does not");
    if (checked_add(head, get16(p + 26) + get16(p + 28), &x->m.offset) || x->m.offset > z->dir) return err_set(e, "its local header runs out of the file");
    if (get16(p + 26) != name_len || memcmp(p + LOCAL, x->m.name, name_len)) return err_set(e, "its local header is another member's");
    if (checked_add(x->m.offset, x->m.size, &x->end) || x->end > z->dir)
        return err_set(e, "truncated: %llu bytes at %llu, but the directory begins at %llu", (unsigned long long)x->m.size, (unsigned long long)x->m.offset, (unsigned long long)z->dir);
    return 0;
}

static int read_member(const zip *z, const unsigned char *p, member *x, char *name, pith_err *e)
{
    size_t name_len = get16(p + 28);
    memcpy(name, p + ENTRY, name_len);
    name[name_len] = 0;
    uint64_t v[3] = {get32(p + 24), get32(p + 20), get32(p + 42)};
    x->m.name = name;
    x->m.crc = get32(p + 16);
    if (strlen(name) != name_len) return err_set(e, "a NUL in its name");
    if (get16(p + 8) & 1) return err_set(e, "it is encrypted; decrypt it first");
    if (get16(p + 10)) return err_set(e, "it is compressed (method %u): PyTorch stores members as they are, and only that is read; write it again with torch.save", get16(p + 10));
    if (read_extra(p + ENTRY + name_len, get16(p + 30), v)) return err_set(e, "its Zip64 sizes are missing");
    if (get16(p + 34)) return err_set(e, "it lies in another part of the archive");
    if (v[0] != v[1]) return err_set(e, "stored as it is, but %llu bytes became %llu", (unsigned long long)v[0], (unsigned long long)v[1]);
    x->m.size = v[0];
    x->begin = v[2];
    return read_local(z, x, name_len, e);
}

static int read_directory(zip *z, pith_err *e)
{
    size_t n = (size_t)z->entries, size = (size_t)z->dir_size;
    const unsigned char *p = z->p + z->dir;
    char show[SCAN_SHOW];
    z->members = malloc(n ? n * sizeof *z->members : 1);
    z->names = malloc(size ? size : 1);
    if (!z->members || !z->names) return err_nomem(e, n * sizeof *z->members + size, "the zip directory");
    char *name = z->names;
    for (; z->count < n; z->count++) {
        size_t at = (size_t)(p - z->p), left = size - (at - (size_t)z->dir);
        if (left < ENTRY || get32(p) != 0x02014b50) return err_set(e, "zip directory, byte %zu: no entry where number %zu of %zu must be; the file is damaged, download it again", at, z->count + 1, n);
        size_t length = (size_t)ENTRY + get16(p + 28) + get16(p + 30) + get16(p + 32);
        if (length > left) return err_set(e, "zip directory, byte %zu: an entry of %zu bytes where %zu are left; the file is damaged, download it again", at, length, left);
        if (read_member(z, p, &z->members[z->count], name, e)) return err_where(e, "member %s", scan_show(show, name, strlen(name)));
        name += get16(p + 28) + 1;
        p += length;
    }
    if (p != z->p + z->dir + size) return err_set(e, "zip directory: %zu members promised, but there is more; the file is damaged, download it again", n);
    return 0;
}

static int by_begin(const void *a, const void *b)
{
    const member *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int by_name(const void *a, const void *b) { return strcmp(((const member *)a)->m.name, ((const member *)b)->m.name); }

/* Members that share bytes, or a name. */
static int check_apart(zip *z, pith_err *e)
{
    char show[SCAN_SHOW], other[SCAN_SHOW];
    qsort(z->members, z->count, sizeof *z->members, by_begin);
    for (size_t i = 1; i < z->count; i++) {
        const member *a = &z->members[i - 1], *b = &z->members[i];
        if (a->end > b->begin)
            return err_set(e, "members %s and %s overlap; the file is damaged or a trap", scan_show(show, a->m.name, strlen(a->m.name)), scan_show(other, b->m.name, strlen(b->m.name)));
    }
    qsort(z->members, z->count, sizeof *z->members, by_name);
    for (size_t i = 1; i < z->count; i++) {
        const char *name = z->members[i].m.name;
        if (!strcmp(name, z->members[i - 1].m.name)) return err_set(e, "member %s is there twice; which of the two is meant cannot be known", scan_show(show, name, strlen(name)));
    }
    return 0;
}

zip *zip_open(const void *p, size_t n, pith_err *e)
{
    zip *z = calloc(1, sizeof *z);
    if (!z) return err_nomem(e, sizeof *z, "a zip archive"), NULL;
    z->p = p;
    z->n = n;
    if (!read_end(z, e) && !read_directory(z, e) && !check_apart(z, e)) return z;
    zip_close(z);
    return NULL;
}

void zip_close(zip *z)
{
    if (!z) return;
    free(z->members);
    free(z->names);
    free(z);
}

size_t zip_count(const zip *z) { return z->count; }
const zip_member *zip_at(const zip *z, size_t i) { return &z->members[i].m; }

const zip_member *zip_find(const zip *z, const char *prefix, size_t k, const char *name, size_t n)
{
    size_t lo = 0, hi = z->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const char *m = z->members[mid].m.name;
        size_t len = strlen(m), head = len < k ? len : k, tail = len - head < n ? len - head : n;
        int c = memcmp(m, prefix, head);
        if (!c && head == k) c = memcmp(m + k, name, tail);
        if (!c) c = len < k + n ? -1 : len > k + n;
        if (!c) return &z->members[mid].m;
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

uint32_t zip_crc(const void *p, size_t n) { return (uint32_t)crc32_z(0, p, n); }
uint32_t zip_crc_join(uint32_t a, uint32_t b, size_t n) { return (uint32_t)crc32_combine(a, b, (z_off_t)n); }
