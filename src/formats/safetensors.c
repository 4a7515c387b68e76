/* safetensors: from a path to checked, named, mapped tensors. Owns the files, their mappings and the index of names;
 * header.c owns what a header may say, shards.c what an index may say. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "formats/safetensors.h"
#include "base/path.h"
#include "base/checked.h"
#include "formats/header.h"
#include "formats/mapped.h"
#include "formats/scan.h"
#include "formats/shards.h"
#include "formats/sniff.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct file {
    mapped m;
    header_file head;
} file;

struct safetensors {
    header table;
    file *files;
    size_t n_files;
    uint64_t *slots; /* open addressing: 32 bits of hash, 32 bits of index + 1; 0 is empty */
    size_t n_slots;  /* a power of two, at least twice the entries */
    uint64_t key[2]; /* of the hash, so that no file can be made to collide */
    char **warnings;
    size_t n_warnings;
};

/* ---- names ---- */

static uint64_t rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0], v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2], v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein): a keyed hash that strangers cannot aim at. */
static uint64_t hash_name(const uint64_t key[2], const char *s, size_t n)
{
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du, key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    uint64_t w, last = (uint64_t)n << 56;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        memcpy(&w, s + i, 8);
        v[3] ^= w;
        sip_round(v);
        v[0] ^= w;
    }
    for (int shift = 0; i < n; i++, shift += 8) last |= (uint64_t)(unsigned char)s[i] << shift;
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (int k = 0; k < 3; k++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that holds `name`, or the empty one where it belongs. The upper half of the hash is the tag. */
static uint64_t *slot_of(const safetensors *s, const char *name, uint64_t hash)
{
    size_t i = (size_t)hash & (s->n_slots - 1);
    for (; s->slots[i]; i = (i + 1) & (s->n_slots - 1))
        if (s->slots[i] >> 32 == hash >> 32 && !strcmp(s->table.entries[(uint32_t)s->slots[i] - 1].name, name)) break;
    return &s->slots[i];
}

static int duplicate(const safetensors *s, const safetensors_entry *x, const safetensors_entry *y, pith_err *e)
{
    char show[SCAN_SHOW];
    const char *a = s->files[x->file].m.path, *b = s->files[y->file].m.path;
    scan_show(show, x->name, strlen(x->name));
    if (x->file == y->file) return err_set(e, HEADER_TWICE, show), err_where(e, "%s", a);
    return err_set(e, "tensor %s is both in %s and in %s", show, a, b);
}

static int index_names(safetensors *s, pith_err *e)
{
    enum { AHEAD = 32 }; /* a big table's slots are cache misses: ask for many at once */
    size_t n = s->table.n;
    const safetensors_entry *x = s->table.entries;
    struct timespec now = {0, 0};
    if (n >= UINT32_MAX) return err_set(e, "over %u tensors", UINT32_MAX - 1);
    for (s->n_slots = 4; s->n_slots < 2 * n;) s->n_slots *= 2;
    s->slots = calloc(s->n_slots, sizeof *s->slots);
    if (!s->slots) return err_nomem(e, s->n_slots * sizeof *s->slots, "the index of names");
    clock_gettime(CLOCK_MONOTONIC, &now);
    s->key[0] = (uint64_t)(uintptr_t)s->slots ^ (uint64_t)now.tv_nsec << 32;
    s->key[1] = (uint64_t)(uintptr_t)&now ^ (uint64_t)now.tv_sec << 32;
    for (size_t first = 0; first < n; first += AHEAD) {
        uint64_t hash[AHEAD];
        size_t k = n - first < AHEAD ? n - first : AHEAD;
        for (size_t i = 0; i < k; i++) __builtin_prefetch(x[first + i].name);
        for (size_t i = 0; i < k; i++) {
            hash[i] = hash_name(s->key, x[first + i].name, strlen(x[first + i].name));
            __builtin_prefetch(&s->slots[hash[i] & (s->n_slots - 1)], 1);
        }
        for (size_t i = 0; i < k; i++) {
            uint64_t *slot = slot_of(s, x[first + i].name, hash[i]);
            if (*slot) return duplicate(s, &x[(uint32_t)*slot - 1], &x[first + i], e);
            *slot = hash[i] >> 32 << 32 | (uint32_t)(first + i + 1);
        }
    }
    return 0;
}

/* ---- one file ---- */

static const char *commas(char buf[32], uint64_t v)
{
    char raw[24];
    int n = snprintf(raw, sizeof raw, "%llu", (unsigned long long)v), to = 0;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) buf[to++] = ',';
        buf[to++] = raw[i];
    }
    buf[to] = 0;
    return buf;
}

/* The length of the header, or -1. A file that cannot be one is named for what it is: a real one of the 67 MB header
 * that "PK\3\4" would mean has its brace where a zip has none. */
static int check_frame(int fd, uint64_t size, size_t *len, pith_err *e)
{
    unsigned char first[SNIFF_BYTES] = {0};
    char a[32], b[32];
    size_t n = size < sizeof first ? (size_t)size : sizeof first;
    if (!n) return err_set(e, "the file is empty: the download did not finish; download it again");
    if (header_pread(fd, first, n, 0, e)) return -1;
    const uint64_t want = checked_le(first, 8);
    int fits = size >= 8 && want <= HEADER_MAX && want <= size - 8;
    *len = (size_t)(fits ? want : 0);
    if (fits && want && strchr("{ \t\r\n", first[8]) && first[8]) return 0;
    if (sniff_bytes(first, n, "safetensors", e)) return -1;
    if (size < 8) return err_set(e, "only %zu bytes: a safetensors file begins with 8 bytes of header length; download it again", n);
    if (want > HEADER_MAX)
        return err_set(e, "its first 8 bytes promise a header of %s bytes, the limit is %s: this is not a safetensors file", commas(a, want), commas(b, HEADER_MAX));
    if (!fits)
        return err_set(e, "truncated: a header of %s bytes in a file of %s; the download is incomplete, or this is not a safetensors file", commas(a, want), commas(b, size));
    if (!want) return err_set(e, "the header is empty: the file was not written to its end, or is not a safetensors file");
    return 0;
}

/* The data must end where the file does. */
static int check_end(uint64_t size, uint64_t want, pith_err *e)
{
    char a[32], b[32];
    if (size < want) return err_set(e, "truncated: %s of %s bytes, the download is incomplete; download it again", commas(a, size), commas(b, want));
    if (size > want) return err_set(e, "%s trailing bytes after the last tensor (which ends at %s): not the file its header describes; download it again", commas(a, size - want), commas(b, want));
    return 0;
}

/* Gives the entries [first, n) of f their data: mapped or read. */
static int load_data(safetensors *s, file *f, int fd, size_t first, uint64_t start, int no_mmap, pith_err *e)
{
    if (mapped_load(&f->m, fd, start, no_mmap, e)) return -1;
    for (size_t i = first; i < s->table.n; i++) s->table.entries[i].t.data = mapped_at(&f->m, s->table.entries[i].offset);
    return 0;
}

static int read_file(safetensors *s, file *f, int fd, const safetensors_options *o, pith_err *e)
{
    size_t len, first = s->table.n;
    if (check_frame(fd, f->m.size, &len, e)) return -1;
    if (header_read(&s->table, &f->head, (size_t)(f - s->files), fd, len, e)) return -1;
    uint64_t start = 8 + (uint64_t)len, end;
    if (checked_add(start, f->head.data_bytes, &end)) return err_set(e, "offsets over 2^64");
    if (check_end(f->m.size, end, e)) return -1;
    return o->header_only ? 0 : load_data(s, f, fd, first, start, o->no_mmap, e);
}

static int open_file(safetensors *s, size_t i, const char *path, const safetensors_options *o, pith_err *e)
{
    file *f = &s->files[i];
    int fd = mapped_open(&f->m, path, e);
    int bad = fd < 0 || read_file(s, f, fd, o, e);
    if (fd >= 0) close(fd);
    return bad ? err_where(e, "%s", path) : 0;
}

/* ---- warnings ---- */

static int warn(safetensors *s, const char *text, pith_err *e)
{
    char **p = realloc(s->warnings, (s->n_warnings + 1) * sizeof *p);
    size_t n = strlen(text) + 1;
    if (p) s->warnings = p;
    char *copy = p ? malloc(n) : NULL;
    if (!copy) return err_nomem(e, n, "a warning");
    memcpy(copy, text, n);
    s->warnings[s->n_warnings++] = copy;
    return 0;
}

static int warn_files(safetensors *s, pith_err *e)
{
    char text[1024], show[SCAN_SHOW];
    for (size_t i = 0; i < s->n_files; i++) {
        const header_file *h = &s->files[i].head;
        const char *path = s->files[i].m.path;
        if (h->n_unknown) {
            snprintf(text, sizeof text, "%.700s: %zu unknown fields ignored, the first in tensor %s", path, h->n_unknown, scan_show(show, h->unknown, strlen(h->unknown)));
            if (warn(s, text, e)) return -1;
        }
        if (h->n_nul) {
            snprintf(text, sizeof text, "%.700s: %zu strings hold a NUL, read as the characters \\u0000", path, h->n_nul);
            if (warn(s, text, e)) return -1;
        }
        if (h->meta_null) {
            snprintf(text, sizeof text, "%.700s: __metadata__ is null, read as absent", path);
            if (warn(s, text, e)) return -1;
        }
    }
    return 0;
}

/* ---- the whole ---- */

static int open_one(safetensors *s, const char *path, const safetensors_options *o, pith_err *e)
{
    s->files = calloc(1, sizeof *s->files);
    if (!s->files) return err_nomem(e, sizeof *s->files, path);
    s->n_files = 1;
    return open_file(s, 0, path, o, e) || index_names(s, e) || warn_files(s, e) ? -1 : 0;
}

static shards_tensor shard_tensor(const void *of, size_t i)
{
    const safetensors_entry *x = safetensors_at(of, i);
    return (shards_tensor){x->name, x->file, x->t.nbytes};
}

static size_t shard_find(const void *of, const char *name)
{
    const safetensors_entry *x = safetensors_find(of, name);
    return x ? (size_t)(x - safetensors_at(of, 0)) : SIZE_MAX;
}

static int open_shards(safetensors *s, const char *path, const safetensors_options *o, pith_err *e)
{
    uint64_t size;
    int fd = mapped_regular(path, &size, e);
    if (fd < 0) return err_where(e, "%s", path);
    close(fd);
    shards *x = shards_open(path, e);
    if (!x) return -1;
    size_t n = shards_count(x);
    s->files = calloc(n, sizeof *s->files);
    int bad = s->files ? 0 : err_nomem(e, n * sizeof *s->files, path);
    for (size_t i = 0; i < n && !bad; i++) {
        s->n_files = i + 1;
        bad = open_file(s, i, shards_path(x, i), o, e);
    }
    char odd[512];
    if (!bad) bad = index_names(s, e);
    const shards_table table = {s, s->table.n, shard_tensor, shard_find};
    if (!bad) bad = shards_check(x, &table, e) || warn_files(s, e);
    if (!bad && shards_odd_size(x, &table, odd, sizeof odd)) bad = warn(s, odd, e);
    shards_close(x);
    return bad ? -1 : 0;
}

static int open_dir(safetensors *s, const char *dir, const safetensors_options *o, pith_err *e)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    struct stat st;
    for (int i = 0; i < 2; i++) {
        char *path = path_join(dir, names[i], e);
        if (!path) return -1;
        int there = !lstat(path, &st); /* a dangling link is told as what it is */
        int bad = there ? (i ? open_shards : open_one)(s, path, o, e) : 0;
        free(path);
        if (there) return bad;
    }
    sniff_dir(dir, e);
    return err_where(e, "%s", dir);
}

static int is_index(const char *path)
{
    static const char tail[] = ".safetensors.index.json";
    size_t n = strlen(path), k = sizeof tail - 1;
    return n >= k && !strcmp(path + n - k, tail);
}

safetensors *safetensors_open(const char *path, const safetensors_options *o, pith_err *e)
{
    static const safetensors_options plain;
    struct stat st;
    pith_err ignored = {{0}};
    if (!e) e = &ignored;
    if (!o) o = &plain;
    if (stat(path, &st)) return err_set(e, "%s: cannot open: %s; check the path", path, strerror(errno)), NULL;
    safetensors *s = calloc(1, sizeof *s);
    if (!s) return err_nomem(e, sizeof *s, path), NULL;
    int bad = S_ISDIR(st.st_mode) ? open_dir(s, path, o, e) : is_index(path) ? open_shards(s, path, o, e) : open_one(s, path, o, e);
    if (!bad) return s;
    safetensors_close(s);
    return NULL;
}

void safetensors_close(safetensors *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n_files; i++) {
        file *f = &s->files[i];
        mapped_close(&f->m);
        header_file_free(&f->head);
    }
    for (size_t i = 0; i < s->n_warnings; i++) free(s->warnings[i]);
    header_free(&s->table);
    free(s->warnings);
    free(s->files);
    free(s->slots);
    free(s);
}

/* ---- access ---- */

size_t safetensors_count(const safetensors *s) { return s->table.n; }
const safetensors_entry *safetensors_at(const safetensors *s, size_t i) { return s->table.entries + i; }
size_t safetensors_files(const safetensors *s) { return s->n_files; }
const char *safetensors_file_name(const safetensors *s, size_t i) { return s->files[i].m.path; }
uint64_t safetensors_file_size(const safetensors *s, size_t i) { return s->files[i].m.size; }
size_t safetensors_metadata_count(const safetensors *s, size_t i) { return s->files[i].head.n_pairs; }
size_t safetensors_warnings(const safetensors *s) { return s->n_warnings; }
const char *safetensors_warning(const safetensors *s, size_t i) { return s->warnings[i]; }

const safetensors_entry *safetensors_find(const safetensors *s, const char *name)
{
    uint32_t i = (uint32_t)*slot_of(s, name, hash_name(s->key, name, strlen(name)));
    return i ? &s->table.entries[i - 1] : NULL;
}

void safetensors_metadata_at(const safetensors *s, size_t of, size_t i, const char **key, const char **value)
{
    const header_file *h = &s->files[of].head;
    *key = h->meta + h->pairs[i];
    *value = *key + strlen(*key) + 1;
}

void safetensors_release(const safetensors *s, const safetensors_entry *x) { mapped_release(&s->files[x->file].m, x->offset, x->t.nbytes); }

void safetensors_drop(const safetensors *s, const void *addr, size_t n)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (mapped_holds(&s->files[i].m, addr)) mapped_release(&s->files[i].m, (uint64_t)((const char *)addr - s->files[i].m.map), n);
}

const char *safetensors_mapped_at(const safetensors *s, const void *addr)
{
    for (size_t i = 0; i < s->n_files; i++)
        if (mapped_holds(&s->files[i].m, addr)) return s->files[i].m.path;
    return NULL;
}
