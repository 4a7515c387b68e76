/* torch: files, their tensors under names, the index of shards, and reading what does not lie in a row. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "formats/torch.h"
#include "base/checked.h"
#include "base/mem.h"
#include "base/par.h"
#include "base/path.h"
#include "formats/checkpoint.h"
#include "formats/header.h"
#include "formats/mapped.h"
#include "formats/scan.h"
#include "formats/shards.h"
#include "formats/zip.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct file {
    mapped m;
    checkpoint c; /* its tree holds shapes and strides */
    char *names;
} file;

struct torch {
    torch_entry *entries;
    size_t n, cap;
    torch_entry **by_name; /* [n] sorted */
    file *files;
    size_t n_files;
    char **warnings;
    size_t n_warnings;
};

static uint64_t size_of(const torch_entry *x) { return tensor_dtypes[x->t.type].bits / 8; }

/* ---- warnings ---- */

static int warn(torch *x, const char *text, pith_err *e)
{
    char **p = mem_resize(x->warnings, (x->n_warnings + 1) * sizeof *p);
    if (p) x->warnings = p;
    char *copy = p ? mem_copy(text) : NULL;
    if (!copy) return err_nomem(e, strlen(text) + 1, "a warning");
    x->warnings[x->n_warnings++] = copy;
    return 0;
}

/* "WHAT: a, b, c, ...": the keys of d but for tensors and for `skip`. Nothing, if there are none. */
static int warn_left_out(torch *x, const file *f, const char *what, const pickle_items *d, const pickle_items *skip, pith_err *e)
{
    enum { TOLD = 5 };
    char text[1024], show[SCAN_SHOW];
    size_t n = (size_t)snprintf(text, sizeof text, "%.300s: %s", f->m.path, what), count = 0;
    for (size_t i = 0; i < d->n; i += 2) {
        pickle_value k = d->at[i], v = d->at[i + 1];
        if ((!skip && v.kind == PICKLE_TENSOR) || (v.kind == PICKLE_DICT && v.u.items == skip)) continue;
        if (count < TOLD && k.kind == PICKLE_STR) n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", count ? ", " : " ", scan_show(show, k.u.s, k.len));
        else if (count < TOLD) n += (size_t)snprintf(text + n, sizeof text - n, "%sa key that is no string", count ? ", " : " ");
        count++;
    }
    if (count > TOLD) snprintf(text + n, sizeof text - n, ", ... (%zu in all)", count);
    return count ? warn(x, text, e) : 0;
}

/* ---- one file: from its dict to entries ---- */

/* Row-major without gaps, where it matters. */
static int in_a_row(const torch_entry *x)
{
    uint64_t step = 1;
    for (size_t i = x->t.rank; x->t.nbytes && i; i--) {
        if (x->t.shape[i - 1] != 1 && x->stride[i - 1] != step) return 0;
        step *= x->t.shape[i - 1];
    }
    return 1;
}

static int add_entry(torch *x, const file *f, const char *name, const pickle_tensor *t, pith_err *e)
{
    if (x->n == x->cap) {
        size_t cap = x->cap ? 2 * x->cap : 256;
        torch_entry *p = cap < UINT32_MAX ? mem_resize(x->entries, cap * sizeof *p) : NULL;
        if (!p) return err_nomem(e, cap * sizeof *p, "the tensors");
        x->entries = p;
        x->cap = cap;
    }
    const checkpoint_storage *s = &f->c.storages[f->c.storage_of[t->storage->i]];
    torch_entry *to = &x->entries[x->n];
    *to = (torch_entry){.name = name, .t = {.shape = t->size, .rank = t->rank, .nbytes = t->nbytes, .type = t->type}, .file = (size_t)(f - x->files), .stride = t->stride, .same = x->n};
    to->offset = s->offset + t->offset * size_of(to); /* inside the storage: rebuild.c has seen to it */
    x->n++;
    return 0;
}

/* The tensors of the dict. What they take in all is bounded by the file: repeated elements must not turn a few bytes into
 * terabytes. */
static int add_entries(torch *x, file *f, pith_err *e)
{
    enum { REPEATED = 16, SMALL = 1 << 24 };
    const pickle_items *d = f->c.dict;
    char show[SCAN_SHOW];
    size_t room = 1;
    uint64_t sum = 0;
    for (size_t i = 0; i < d->n; i += 2)
        if (d->at[i + 1].kind == PICKLE_TENSOR) room += (size_t)d->at[i].len + 1;
    if (room - 1 > f->m.size + d->n) return err_set(e, "the tensors' names take more bytes than the file has: some are there twice");
    char *name = f->names = mem_alloc(room);
    if (!name) return err_nomem(e, room, "names");
    for (size_t i = 0; i < d->n; i += 2) {
        pickle_value k = d->at[i], v = d->at[i + 1];
        if (v.kind != PICKLE_TENSOR) continue;
        if (k.kind != PICKLE_STR) return err_set(e, "a tensor whose key is no string has no name");
        if (memchr(k.u.s, 0, k.len)) return err_set(e, "tensor %s: a NUL in its name", scan_show(show, k.u.s, k.len));
        memcpy(name, k.u.s, k.len);
        name[k.len] = 0;
        if (checked_add(sum, v.u.tensor->nbytes, &sum) || sum / REPEATED > f->m.size + SMALL)
            return err_set(e, "tensor %s: with it the tensors would take %llu bytes, the file has %llu: elements repeated so often are refused", scan_show(show, k.u.s, k.len),
                           (unsigned long long)sum, (unsigned long long)f->m.size);
        if (add_entry(x, f, name, v.u.tensor, e)) return -1;
        name += k.len + 1;
    }
    return 0;
}

enum { PART = 1 << 22 };

typedef struct part {
    uint64_t offset;
    size_t n;
    uint32_t crc;
} part;

typedef struct sums {
    const mapped *m;
    part *parts;
} sums;

static void sum_part(void *ctx, size_t i, int tid)
{
    const sums *s = ctx;
    part *x = &s->parts[i];
    (void)tid;
    x->crc = zip_crc(mapped_at(s->m, x->offset), x->n);
    mapped_release(s->m, x->offset, x->n);
}

/* The bytes of every storage have the checksum that the archive promises (a legacy stream has none). This is where they
 * are compared: once, on opening for data, so that whoever gets `data` may trust it. All processors take parts of all
 * storages and give their pages back. */
static int check_storages(const file *f, pith_err *e)
{
    size_t n = 0, k = 0;
    const checkpoint_storage *s = f->c.storages;
    for (size_t i = 0; i < f->c.n_storages; i++) n += s[i].checked ? (size_t)(s[i].nbytes / PART) + 1 : 0;
    if (!n) return 0;
    sums all = {.m = &f->m, .parts = mem_alloc(n * sizeof *all.parts)};
    if (!all.parts) return err_nomem(e, n * sizeof *all.parts, "the checksums");
    for (size_t i = 0; i < f->c.n_storages; i++)
        for (uint64_t at = 0; s[i].checked && at < s[i].nbytes; at += PART)
            all.parts[k++] = (part){.offset = s[i].offset + at, .n = s[i].nbytes - at < PART ? (size_t)(s[i].nbytes - at) : PART};
    par_for(par_cpus(), k, sum_part, &all);
    const part *x = all.parts;
    int bad = 0;
    for (size_t i = 0; i < f->c.n_storages && !bad; i++) {
        uint32_t crc = 0;
        for (uint64_t at = 0; s[i].checked && at < s[i].nbytes; at += PART, x++) crc = zip_crc_join(crc, x->crc, x->n);
        if (s[i].checked && crc != s[i].crc)
            bad = err_set(e, "the %llu bytes at %llu do not have the checksum that is written beside them: the file is damaged; download it again", (unsigned long long)s[i].nbytes,
                          (unsigned long long)s[i].offset);
    }
    mem_free(all.parts);
    return bad;
}

static int read_file(torch *x, file *f, const torch_options *o, pith_err *e)
{
    size_t first = x->n;
    char what[SCAN_SHOW + 64], show[SCAN_SHOW];
    if (checkpoint_read(&f->c, mapped_at(&f->m, 0), (size_t)f->m.size, o->key, e)) return -1;
    if (f->c.beside) {
        snprintf(what, sizeof what, "the tensors are those at %s; left out:", scan_show(show, f->c.key, strlen(f->c.key)));
        if (warn_left_out(x, f, what, f->c.beside, f->c.dict, e)) return -1;
    }
    if (warn_left_out(x, f, "left out, as they are no tensors:", f->c.dict, NULL, e) || add_entries(x, f, e)) return -1;
    if (o->header_only) {
        mapped_unload(&f->m);
        return 0;
    }
    if (check_storages(f, e)) return -1;
    for (size_t i = first; i < x->n; i++)
        if (in_a_row(&x->entries[i])) x->entries[i].t.data = mapped_at(&f->m, x->entries[i].offset);
    return 0;
}

static int open_file(torch *x, size_t i, const char *path, const torch_options *o, pith_err *e)
{
    file *f = &x->files[i];
    int fd = mapped_open(&f->m, path, e), bad = fd < 0;
    if (!bad && !f->m.size) bad = err_set(e, "the file is empty: the download did not finish; download it again");
    if (!bad) bad = mapped_load(&f->m, fd, 0, o->no_mmap, e) || read_file(x, f, o, e);
    if (fd >= 0) close(fd);
    return bad ? err_where(e, "%s", path) : 0;
}

/* ---- names, and views that are the same ---- */

/* Of two that are equal the one that was written first comes first. */
static int by_name(const void *a, const void *b)
{
    const torch_entry *x = *(torch_entry *const *)a, *y = *(torch_entry *const *)b;
    int c = strcmp(x->name, y->name);
    return c ? c : x < y ? -1 : x > y;
}

static int compare(uint64_t a, uint64_t b) { return a < b ? -1 : a > b; }

static int compare_views(const torch_entry *x, const torch_entry *y)
{
    int c = compare(x->file, y->file);
    if (!c) c = compare(x->offset, y->offset);
    if (!c) c = compare(x->t.type, y->t.type);
    if (!c) c = compare(x->t.rank, y->t.rank);
    for (size_t i = 0; !c && i < x->t.rank; i++) {
        c = compare(x->t.shape[i], y->t.shape[i]);
        if (!c && x->t.shape[i] != 1) c = compare(x->stride[i], y->stride[i]);
    }
    return c;
}

static int by_view(const void *a, const void *b)
{
    const torch_entry *x = *(torch_entry *const *)a, *y = *(torch_entry *const *)b;
    int c = compare_views(x, y);
    return c ? c : x < y ? -1 : x > y;
}

static int index_names(torch *x, pith_err *e)
{
    char show[SCAN_SHOW];
    torch_entry **order = mem_alloc((x->n + 1) * sizeof *order);
    if (!order) return err_nomem(e, x->n * sizeof *order, "the index of names");
    x->by_name = order;
    for (size_t i = 0; i < x->n; i++) order[i] = &x->entries[i];
    qsort(order, x->n, sizeof *order, by_view);
    for (size_t i = 1; i < x->n; i++) { /* the first of equals has the smallest index */
        torch_entry *a = order[i - 1], *b = order[i];
        if (b->t.nbytes && !compare_views(a, b)) b->same = a->same;
    }
    qsort(order, x->n, sizeof *order, by_name);
    for (size_t i = 1; i < x->n; i++) {
        const torch_entry *a = order[i - 1], *b = order[i];
        if (strcmp(a->name, b->name)) continue;
        scan_show(show, a->name, strlen(a->name));
        if (a->file == b->file) return err_set(e, "%s: " HEADER_TWICE, x->files[a->file].m.path, show);
        return err_set(e, "tensor %s is both in %s and in %s", show, x->files[a->file].m.path, x->files[b->file].m.path);
    }
    return 0;
}

const torch_entry *torch_find(const torch *x, const char *name)
{
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strcmp(x->by_name[mid]->name, name);
        if (!c) return x->by_name[mid];
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

/* ---- the whole ---- */

static shards_tensor shard_tensor(const void *of, size_t i)
{
    const torch_entry *x = torch_at(of, i);
    return (shards_tensor){x->name, x->file, x->t.nbytes};
}

static size_t shard_find(const void *of, const char *name)
{
    const torch_entry *x = torch_find(of, name);
    return x ? (size_t)(x - torch_at(of, 0)) : SIZE_MAX;
}

static int open_one(torch *x, const char *path, const torch_options *o, pith_err *e)
{
    x->files = mem_zero(1, sizeof *x->files);
    if (!x->files) return err_nomem(e, sizeof *x->files, path);
    x->n_files = 1;
    return open_file(x, 0, path, o, e) || index_names(x, e) ? -1 : 0;
}

static int open_shards(torch *x, const char *path, const torch_options *o, pith_err *e)
{
    uint64_t size;
    int fd = mapped_regular(path, &size, e);
    if (fd < 0) return err_where(e, "%s", path);
    close(fd);
    shards *s = shards_open(path, e);
    if (!s) return -1;
    size_t n = shards_count(s);
    x->files = mem_zero(n, sizeof *x->files);
    int bad = x->files ? 0 : err_nomem(e, n * sizeof *x->files, path);
    for (size_t i = 0; i < n && !bad; i++) {
        x->n_files = i + 1;
        bad = open_file(x, i, shards_path(s, i), o, e);
        if (!bad && strcmp(x->files[i].c.key, x->files[0].c.key))
            bad = err_set(e, "%s: its tensors lie at \"%s\", those of the first shard at \"%s\"", shards_path(s, i), x->files[i].c.key, x->files[0].c.key);
    }
    char odd[512];
    if (!bad) bad = index_names(x, e);
    const shards_table table = {x, x->n, shard_tensor, shard_find};
    if (!bad) bad = shards_check(s, &table, e);
    if (!bad && shards_odd_size(s, &table, odd, sizeof odd)) bad = warn(x, odd, e);
    shards_close(s);
    return bad ? -1 : 0;
}

static int ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && !strcasecmp(s + n - k, tail);
}

static int is_index(const char *path) { return ends_with(path, ".bin.index.json"); }

/* Path of the first of the names that is in the directory (a dangling link too), allocated; NULL: none is, or memory. */
static char *first_of(const char *dir, const char *const names[2], pith_err *e)
{
    struct stat st;
    for (int i = 0; i < 2; i++) {
        char *path = path_join(dir, names[i], e);
        if (!path || !lstat(path, &st)) return path;
        mem_free(path);
    }
    return NULL;
}

static const char *const ours[2] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
static const char *const theirs[2] = {"model.safetensors", "model.safetensors.index.json"};

/* Begins as a zip or a pickle; a header of safetensors whose length looks so has zeros and a brace where they do not. */
static int begins_so(const unsigned char *p, size_t n)
{
    if (n < 4) return 0;
    if (n > 8 && !p[4] && !p[5] && !p[6] && !p[7] && p[8] && strchr("{ \t\r\n", p[8])) return 0;
    return !memcmp(p, "PK\3\4", 4) || !memcmp(p, "PK\5\6", 4) || (p[0] == 0x80 && p[1] >= 2 && p[1] <= 5);
}

int torch_is(const char *path)
{
    static const char *const tails[] = {".bin", ".pt", ".pth", ".ckpt"};
    struct stat st;
    if (stat(path, &st)) return 0;
    if (S_ISDIR(st.st_mode)) {
        char *a = first_of(path, theirs, NULL), *b = a ? NULL : first_of(path, ours, NULL);
        int yes = b != NULL;
        mem_free(a);
        mem_free(b);
        return yes;
    }
    if (is_index(path)) return 1;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (ends_with(path, tails[i])) return 1;
    unsigned char first[16] = {0};
    uint64_t size = 0;
    int fd = mapped_regular(path, &size, NULL);
    if (fd < 0) return 0;
    int bad = header_pread(fd, first, size < sizeof first ? (size_t)size : sizeof first, 0, NULL);
    close(fd);
    return !bad && begins_so(first, size < sizeof first ? (size_t)size : sizeof first);
}

torch *torch_open(const char *path, const torch_options *o, pith_err *e)
{
    static const torch_options plain;
    struct stat st;
    pith_err ignored = {{0}};
    if (!e) e = &ignored;
    if (!o) o = &plain;
    if (stat(path, &st)) return err_set(e, "%s: cannot open: %s; check the path", path, strerror(errno)), NULL;
    torch *x = mem_zero(1, sizeof *x);
    char *found = S_ISDIR(st.st_mode) ? first_of(path, ours, e) : NULL;
    int bad = x ? 0 : err_nomem(e, sizeof *x, path);
    if (!bad && S_ISDIR(st.st_mode) && !found) bad = err_set(e, "%s: no %s and no %s here", path, ours[0], ours[1]);
    const char *at = found ? found : path;
    if (!bad) bad = (is_index(at) ? open_shards : open_one)(x, at, o, e);
    mem_free(found);
    if (!bad) return x;
    torch_close(x);
    return NULL;
}

void torch_close(torch *x)
{
    if (!x) return;
    for (size_t i = 0; i < x->n_files; i++) {
        mapped_close(&x->files[i].m);
        checkpoint_free(&x->files[i].c);
        mem_free(x->files[i].names);
    }
    for (size_t i = 0; i < x->n_warnings; i++) mem_free(x->warnings[i]);
    mem_free(x->warnings);
    mem_free(x->files);
    mem_free(x->by_name);
    mem_free(x->entries);
    mem_free(x);
}

/* ---- access ---- */

size_t torch_count(const torch *x) { return x->n; }
const torch_entry *torch_at(const torch *x, size_t i) { return x->entries + i; }
const char *torch_key(const torch *x) { return x->files[0].c.key; }
size_t torch_files(const torch *x) { return x->n_files; }
const char *torch_file_name(const torch *x, size_t i) { return x->files[i].m.path; }
uint64_t torch_file_size(const torch *x, size_t i) { return x->files[i].m.size; }
size_t torch_warnings(const torch *x) { return x->n_warnings; }
const char *torch_warning(const torch *x, size_t i) { return x->warnings[i]; }

const char *torch_mapped_at(const torch *x, const void *addr)
{
    for (size_t i = 0; i < x->n_files; i++)
        if (mapped_holds(&x->files[i].m, addr)) return x->files[i].m.path;
    return NULL;
}

/* Bytes from the first element of the view to behind its last. */
static uint64_t extent(const torch_entry *x)
{
    uint64_t last = 0;
    if (!x->t.nbytes) return 0;
    for (size_t i = 0; i < x->t.rank; i++) last += (x->t.shape[i] - 1) * x->stride[i];
    return (last + 1) * size_of(x);
}

void torch_release(const torch *x, const torch_entry *t) { mapped_release(&x->files[t->file].m, t->offset, extent(t)); }

/* out[i] = the element of `size` bytes at p + i * stride elements. */
static void copy_strided(char *out, const char *p, uint64_t stride, size_t n, uint64_t size)
{
#define COPY(bytes) for (size_t i = 0; i < n; i++) memcpy(out + i * (bytes), p + i * stride * (bytes), bytes)
    if (stride == 1) memcpy(out, p, n * size);
    else if (size == 1) COPY(1);
    else if (size == 2) COPY(2);
    else if (size == 4) COPY(4);
    else COPY(8);
#undef COPY
}

/* Rows of the innermost dimension, after those that lie in a row with it are taken together; the others count as an
 * odometer. */
static void gather(const torch_entry *t, const char *base, uint64_t first, size_t n, char *out)
{
    uint64_t shape[PICKLE_RANK], stride[PICKLE_RANK], at[PICKLE_RANK], size = size_of(t);
    size_t rank = 0;
    for (size_t i = 0; i < t->t.rank; i++) {
        if (t->t.shape[i] == 1) continue;
        if (rank && stride[rank - 1] == t->t.shape[i] * t->stride[i]) {
            shape[rank - 1] *= t->t.shape[i];
            stride[rank - 1] = t->stride[i];
            continue;
        }
        shape[rank] = t->t.shape[i];
        stride[rank++] = t->stride[i];
    }
    for (size_t i = rank; i; first /= shape[--i]) at[i - 1] = first % shape[i - 1];
    while (n) {
        const char *p = base;
        for (size_t i = 0; i < rank; i++) p += at[i] * stride[i] * size;
        uint64_t left = shape[rank - 1] - at[rank - 1];
        size_t k = left < n ? (size_t)left : n;
        copy_strided(out, p, stride[rank - 1], k, size);
        out += k * size;
        n -= k;
        at[rank - 1] += k;
        for (size_t i = rank - 1; i && at[i] == shape[i]; i--) at[i] = 0, at[i - 1]++;
    }
}

void torch_read(const torch *x, const torch_entry *t, uint64_t first, size_t n, void *out)
{
    uint64_t size = size_of(t);
    if (!n) return;
    if (t->t.data) memcpy(out, (const char *)t->t.data + first * size, n * size);
    else gather(t, mapped_at(&x->files[t->file].m, t->offset), first, n, out);
}
