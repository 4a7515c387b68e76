#define _POSIX_C_SOURCE 200809L
#include "manifest.h"
#include "base/json.h"
#include "base/memtext.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kind[] = "pith-manifest";

/* ---- writing ---- */

static void put_hex(FILE *f, uint64_t h) { fprintf(f, "%016llx", (unsigned long long)h); }

static void put_file(FILE *f, const verify_file *x, int last)
{
    fputs("  {\"name\": ", f);
    json_put_str(f, x->name, strlen(x->name));
    fprintf(f, ", \"bytes\": %llu, \"sha256\": \"", (unsigned long long)x->bytes);
    for (size_t i = 0; i < DIGEST_SHA256; i++) fprintf(f, "%02x", x->sha256[i]);
    fprintf(f, "\"}%s\n", last ? "" : ",");
}

static void put_tensor(FILE *f, const verify_tensor *x, int last)
{
    fputs("  {\"name\": ", f);
    json_put_str(f, x->t.name, strlen(x->t.name));
    fprintf(f, ", \"dtype\": \"%s\", \"shape\": [", x->t.dtype);
    for (size_t i = 0; i < x->t.rank; i++) fprintf(f, "%s%llu", i ? "," : "", (unsigned long long)x->t.shape[i]);
    fputs("], \"xxh3\": \"", f);
    put_hex(f, x->hash);
    if (x->n_blocks > 1) fputs("\", \"blocks\": \"", f);
    for (size_t i = 0; i < x->n_blocks && x->n_blocks > 1; i++) put_hex(f, x->blocks[i]);
    fprintf(f, "\"}%s\n", last ? "" : ",");
}

static int by_name(const void *a, const void *b)
{
    const verify_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->t.name, (*y)->t.name);
}

/* The tensors by name, malloc'ed. */
static const verify_tensor **sorted(const verify *v, pith_err *e)
{
    const verify_tensor **list = malloc((v->n_tensors + 1) * sizeof *list);
    if (!list) return err_nomem(e, (v->n_tensors + 1) * sizeof *list, "the manifest"), NULL;
    for (size_t i = 0; i < v->n_tensors; i++) list[i] = &v->tensors[i];
    if (v->n_tensors) qsort(list, v->n_tensors, sizeof *list, by_name);
    return list;
}

int manifest_write(const verify *v, outfile *o, pith_err *e)
{
    char *text = NULL;
    size_t n = 0;
    const verify_tensor **list = sorted(v, e);
    FILE *f = list ? memtext_open(&text, &n) : NULL;
    if (f) {
        fprintf(f, "{\"kind\": \"%s\", \"version\": 1, \"block\": %d,\n \"files\": [\n", kind, VERIFY_BLOCK);
        for (size_t i = 0; i < v->n_files; i++) put_file(f, &v->files[i], i + 1 == v->n_files);
        fputs(" ],\n \"tensors\": [\n", f);
        for (size_t i = 0; i < v->n_tensors; i++) put_tensor(f, list[i], i + 1 == v->n_tensors);
        fputs(" ]}\n", f);
    }
    free(list);
    int bad = !f || memtext_close(f, &text);
    if (bad) err_nomem(e, n, "the manifest");
    else bad = outfile_pwrite(o, text, n, 0, e) || outfile_finish(o, e);
    free(text);
    return bad ? -1 : 0;
}

/* ---- reading ---- */

typedef struct entry {
    const char *name, *dtype, *blocks;
    json shape;
    uint64_t hash;
} entry;

typedef struct record {
    const char *name, *sha256; /* 64 hex digits */
    uint64_t bytes;
    int seen;
} record;

struct manifest {
    json_doc *doc;
    entry *tensors; /* by name */
    record *files;
    size_t n_tensors, n_files;
};

static int is_hex(const char *s, size_t n) { return strlen(s) == n && strspn(s, "0123456789abcdef") == n; }

static uint64_t hex64(const char *s)
{
    char digits[17];
    memcpy(digits, s, 16);
    digits[16] = 0;
    return strtoull(digits, NULL, 16);
}

static int entry_order(const void *a, const void *b) { return strcmp(((const entry *)a)->name, ((const entry *)b)->name); }

static int read_tensor(json c, entry *x, pith_err *e)
{
    const char *hash;
    uint64_t dim;
    if (json_get_str(c, "name", &x->name, e) || json_get_str(c, "dtype", &x->dtype, e) || json_get_array(c, "shape", &x->shape, e) ||
        json_get_str(c, "xxh3", &hash, e) || json_opt_str(c, "blocks", "", &x->blocks, e))
        return -1;
    if (!is_hex(hash, 16)) return json_expected(json_get(c, "xxh3"), "16 hex digits", e);
    if (strlen(x->blocks) % 16 || !is_hex(x->blocks, strlen(x->blocks))) return json_expected(json_get(c, "blocks"), "16 hex digits for each block", e);
    for (json d = json_first(x->shape); d.node; d = json_next(d))
        if (json_as_size(d, 0, (uint64_t)1 << 53, &dim, e)) return -1;
    x->hash = hex64(hash);
    return 0;
}

static int read_file(json c, record *x, pith_err *e)
{
    if (json_get_str(c, "name", &x->name, e) || json_get_size(c, "bytes", 0, (uint64_t)1 << 53, &x->bytes, e) || json_get_str(c, "sha256", &x->sha256, e))
        return -1;
    return is_hex(x->sha256, 2 * DIGEST_SHA256) ? 0 : json_expected(json_get(c, "sha256"), "64 hex digits", e);
}

static int read_all(manifest *m, pith_err *e)
{
    json root = json_root(m->doc), tensors, files;
    const char *what;
    uint64_t version, block;
    if (json_get_str(root, "kind", &what, e)) return -1;
    if (strcmp(what, kind)) return json_expected(json_get(root, "kind"), "\"pith-manifest\"", e);
    if (json_get_size(root, "version", 1, 1, &version, e) || json_get_size(root, "block", VERIFY_BLOCK, VERIFY_BLOCK, &block, e) ||
        json_get_array(root, "files", &files, e) || json_get_array(root, "tensors", &tensors, e))
        return -1;
    size_t n = json_len(tensors), k = json_len(files);
    m->tensors = calloc(n + 1, sizeof *m->tensors);
    m->files = calloc(k + 1, sizeof *m->files);
    if (!m->tensors || !m->files) return err_nomem(e, (n + 1) * sizeof *m->tensors + (k + 1) * sizeof *m->files, "the manifest");
    for (json c = json_first(tensors); c.node; c = json_next(c))
        if (read_tensor(c, &m->tensors[m->n_tensors++], e)) return -1;
    for (json c = json_first(files); c.node; c = json_next(c))
        if (read_file(c, &m->files[m->n_files++], e)) return -1;
    if (n) qsort(m->tensors, n, sizeof *m->tensors, entry_order);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(m->tensors[i].name, m->tensors[i - 1].name)) return err_set(e, "tensor \"%.100s\" is listed twice", m->tensors[i].name);
    return 0;
}

manifest *manifest_open(const char *path, pith_err *e)
{
    manifest *m = calloc(1, sizeof *m);
    if (!m) return err_nomem(e, sizeof *m, "the manifest"), NULL;
    m->doc = json_load(path, e);
    if (m->doc && !read_all(m, e)) return m;
    if (m->doc && e && strncmp(e->msg, path, strlen(path))) err_where(e, "%s", path);
    manifest_close(m);
    return NULL;
}

void manifest_close(manifest *m)
{
    if (!m) return;
    free(m->tensors);
    free(m->files);
    json_free(m->doc);
    free(m);
}

/* ---- comparing ---- */

/* "F32 [2,3]" */
static const char *form(char buf[256], const pith_tensor *t, const entry *y)
{
    size_t n = (size_t)snprintf(buf, 256, "%.32s [", t ? t->dtype : y->dtype), i = 0;
    if (t)
        for (; i < t->rank && n < 220; i++) n += (size_t)snprintf(buf + n, 256 - n, "%s%llu", i ? "," : "", (unsigned long long)t->shape[i]);
    else
        for (json d = json_first(y->shape); d.node && n < 220; d = json_next(d), i++) n += (size_t)snprintf(buf + n, 256 - n, "%s%.0f", i ? "," : "", json_num(d));
    snprintf(buf + n, 256 - n, "]");
    return buf;
}

static int same_form(const pith_tensor *t, const entry *y)
{
    size_t i = 0;
    if (strcmp(t->dtype, y->dtype) || json_len(y->shape) != t->rank) return 0;
    for (json d = json_first(y->shape); d.node; d = json_next(d))
        if (json_num(d) != (double)t->shape[i++]) return 0;
    return 1;
}

/* The ranges of bytes whose blocks differ, and their share. */
static void tell_blocks(verify *v, const verify_tensor *x, const entry *y)
{
    char text[512], a[32], b[32];
    size_t n = 0, ranges = 0, differ = 0;
    for (size_t i = 0; i < x->n_blocks; i++) {
        size_t first = i;
        while (i < x->n_blocks && x->blocks[i] != hex64(y->blocks + 16 * i)) i++;
        if (i == first) continue;
        differ += i - first;
        uint64_t end = (uint64_t)i * VERIFY_BLOCK;
        if (ranges++ < 4)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s-%s", ranges > 1 ? ", " : "", verify_number(a, (uint64_t)first * VERIFY_BLOCK),
                                  verify_number(b, (end < x->t.nbytes ? end : x->t.nbytes) - 1));
    }
    if (!differ) {
        verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->t.name, "its xxh3 differs, but that of no block does: the manifest contradicts itself");
        return;
    }
    verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->t.name, "bytes %s%s differ (%s of %s blocks, %.3g%%)", text, ranges > 4 ? ", ..." : "", verify_number(a, differ),
                verify_number(b, x->n_blocks), 100 * (double)differ / (double)x->n_blocks);
}

/* 1: equal; 0: not, and told; -1. */
static int compare_tensor(verify *v, const verify_tensor *x, const entry *y, pith_err *e)
{
    char a[256], b[256];
    if (!same_form(&x->t, y)) {
        verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->t.name, "is %s, in the manifest %s", form(a, &x->t, NULL), form(b, NULL, y));
        return 0;
    }
    if (x->hash == y->hash) return 1;
    if (x->n_blocks < 2)
        verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->t.name, "bytes 0-%s differ (its only block)", verify_number(a, x->t.nbytes ? x->t.nbytes - 1 : 0));
    else if (strlen(y->blocks) != 16 * x->n_blocks)
        return err_set(e, "the manifest: tensor \"%.100s\" has %zu blocks, expected %zu", y->name, strlen(y->blocks) / 16, x->n_blocks);
    else tell_blocks(v, x, y);
    return 0;
}

/* 1: all tensors are there and equal; 0: not, and told; -1. */
static int compare_tensors(verify *v, const manifest *m, pith_err *e)
{
    char buf[256];
    const verify_tensor **list = sorted(v, e);
    int equal = list ? 1 : -1, whole = v->w != NULL;
    size_t i = 0, k = 0;
    while (equal >= 0 && (i < v->n_tensors || k < m->n_tensors)) {
        const verify_tensor *x = i < v->n_tensors ? list[i] : NULL;
        const entry *y = k < m->n_tensors ? &m->tensors[k] : NULL;
        int order = !x ? 1 : !y ? -1 : strcmp(x->t.name, y->name), one = 0;
        if (order < 0) verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->t.name, "is not in the manifest (%s)", form(buf, &x->t, NULL));
        else if (order > 0 && whole) verify_tell(v, PITH_CHECK_CHECKSUMS, 1, y->name, "is not there, the manifest has it (%s)", form(buf, NULL, y));
        else if (!order) one = compare_tensor(v, x, y, e);
        i += order <= 0, k += order >= 0;
        equal = one < 0 ? -1 : equal && one;
    }
    free(list);
    return equal;
}

static int ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && !strcmp(s + n - k, tail);
}

static int is_weights(const char *name)
{
    static const char *const tails[] = {".safetensors", ".index.json", ".bin", ".pt", ".pth"};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
        if (ends_with(name, tails[i])) return 1;
    return 0;
}

static record *find_file(const manifest *m, const char *name)
{
    for (size_t i = 0; i < m->n_files; i++)
        if (!strcmp(m->files[i].name, name)) return &m->files[i];
    return NULL;
}

static int same_file(const verify_file *x, const record *y)
{
    char hex[2 * DIGEST_SHA256 + 1];
    for (size_t i = 0; i < DIGEST_SHA256; i++) snprintf(hex + 2 * i, 3, "%02x", x->sha256[i]);
    return !strcmp(hex, y->sha256);
}

/* equal: all tensors are. What then differs in files of weights is told once, as a remark. */
static void compare_files(verify *v, const manifest *m, int equal)
{
    int recut = 0;
    char a[32], b[32];
    for (size_t i = 0; i < v->n_files; i++) {
        const verify_file *x = &v->files[i];
        record *y = find_file(m, x->name);
        if (y) y->seen = 1;
        if (y && same_file(x, y)) continue;
        if (x->weights && equal) recut = 1;
        else if (y && x->bytes == y->bytes) verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->name, "sha256 differs from the manifest's");
        else if (y) verify_tell(v, PITH_CHECK_CHECKSUMS, 1, x->name, "has %s bytes, in the manifest %s", verify_number(a, x->bytes), verify_number(b, y->bytes));
        else verify_tell(v, PITH_CHECK_CHECKSUMS, x->weights, x->name, "is not in the manifest");
    }
    for (size_t i = 0; i < m->n_files; i++) {
        const record *y = &m->files[i];
        if (y->seen || (!v->is_dir && !is_weights(y->name))) continue;
        if (is_weights(y->name) && equal) recut = 1;
        else verify_tell(v, PITH_CHECK_CHECKSUMS, 1, y->name, "is not there, the manifest has it");
    }
    if (recut)
        verify_tell(v, PITH_CHECK_CHECKSUMS, 0, "", "all %s tensors are equal, but the files of weights are not: they are cut, ordered or described in another way",
                    verify_number(a, v->n_tensors));
}

int manifest_compare(verify *v, const manifest *m, pith_err *e)
{
    int equal = compare_tensors(v, m, e);
    if (equal < 0) return -1;
    compare_files(v, m, equal);
    v->out->done |= 1u << PITH_CHECK_CHECKSUMS;
    return 0;
}
