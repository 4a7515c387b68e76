/* shards: weight_map as a sorted list of files and a list of (tensor, file) pairs that point into the parsed index. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "formats/shards.h"
#include "base/checked.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/scan.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct shards {
    json_doc *doc;
    const char *base;  /* the index's own file name */
    char *path;        /* of the index */
    size_t dir_len;    /* of the directory in path, with its slash */
    const char **names; /* [n] sorted, plain */
    char **paths;       /* [n] */
    size_t n;
    struct { const char *name; size_t shard; } *map; /* [n_map] */
    size_t n_map;
    double total_size; /* < 0: not told */
};

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static int is_plain(const char *s) { return *s && !strchr(s, '/') && !strchr(s, '\\') && strcmp(s, ".") && strcmp(s, ".."); }

static size_t find(const shards *x, const char *name)
{
    const char **p = bsearch(&name, x->names, x->n, sizeof *x->names, by_name);
    return (size_t)(p - x->names);
}

/* Fills names and map from weight_map. */
static int read_map(shards *x, pith_err *e)
{
    json map, meta = json_get(json_root(x->doc), "metadata"), size = json_get(meta, "total_size");
    char show[SCAN_SHOW], other[SCAN_SHOW];
    x->total_size = json_typeof(size) == JSON_NUMBER ? json_num(size) : -1;
    if (json_get_object(json_root(x->doc), "weight_map", &map, e)) return -1;
    x->n_map = json_len(map);
    if (!x->n_map) return err_set(e, "weight_map is empty: the index lists no tensor; download it again");
    x->map = mem_alloc(x->n_map * sizeof *x->map);
    x->names = mem_alloc(x->n_map * sizeof *x->names);
    if (!x->map || !x->names) return err_nomem(e, x->n_map * sizeof *x->map, "the index");
    size_t i = 0;
    for (json v = json_first(map); v.node; v = json_next(v), i++) {
        const char *name = json_key(v), *file = json_str(v);
        if (json_typeof(v) != JSON_STRING) return json_expected(v, "a file name", e);
        if (!is_plain(file))
            return err_set(e, "weight_map maps %s to \"%s\": a shard must be a plain file name beside the index", scan_show(show, name, strlen(name)),
                           scan_show(other, file, strlen(file)));
        x->names[i] = file;
        x->map[i].name = name;
    }
    qsort(x->names, x->n_map, sizeof *x->names, by_name);
    for (i = 0; i < x->n_map; i++)
        if (!i || strcmp(x->names[i], x->names[x->n - 1])) x->names[x->n++] = x->names[i];
    i = 0;
    for (json v = json_first(map); v.node; v = json_next(v), i++) x->map[i].shard = find(x, json_str(v));
    return 0;
}

static int make_paths(shards *x, pith_err *e)
{
    x->paths = mem_zero(x->n, sizeof *x->paths);
    if (!x->paths) return err_nomem(e, x->n * sizeof *x->paths, "the index");
    for (size_t i = 0; i < x->n; i++) {
        size_t n = strlen(x->names[i]) + 1;
        x->paths[i] = mem_alloc(x->dir_len + n);
        if (!x->paths[i]) return err_nomem(e, x->dir_len + n, "the index");
        memcpy(x->paths[i], x->path, x->dir_len);
        memcpy(x->paths[i] + x->dir_len, x->names[i], n);
    }
    return 0;
}

/* Names up to three shards that are not there. */
static int check_present(const shards *x, pith_err *e)
{
    char list[3 * SCAN_SHOW + 8] = "", show[SCAN_SHOW];
    size_t missing = 0, n = 0;
    for (size_t i = 0; i < x->n; i++) {
        struct stat st;
        if (!stat(x->paths[i], &st) || (errno != ENOENT && errno != ENOTDIR)) continue; /* what else is wrong, opening it tells */
        if (missing++ < 3) n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", scan_show(show, x->names[i], strlen(x->names[i])));
    }
    if (!missing) return 0;
    return err_set(e, "%zu of %zu shards are missing: %s%s; download them into the same directory", missing, x->n, list, missing > 3 ? ", ..." : "");
}

shards *shards_open(const char *path, pith_err *e)
{
    shards *x = mem_zero(1, sizeof *x);
    size_t n = strlen(path) + 1;
    if (!x || !(x->path = mem_alloc(n))) {
        mem_free(x);
        return err_nomem(e, n, "the index"), NULL;
    }
    memcpy(x->path, path, n);
    const char *slash = strrchr(x->path, '/');
    x->base = slash ? slash + 1 : x->path;
    x->dir_len = (size_t)(x->base - x->path);
    x->doc = json_load(path, e);
    if (!x->doc) {
        shards_close(x);
        return NULL;
    }
    if (read_map(x, e) || make_paths(x, e) || check_present(x, e)) {
        if (e && strncmp(e->msg, path, n - 1)) err_where(e, "%s", path);
        shards_close(x);
        return NULL;
    }
    return x;
}

void shards_close(shards *x)
{
    if (!x) return;
    for (size_t i = 0; x->paths && i < x->n; i++) mem_free(x->paths[i]);
    mem_free(x->paths);
    mem_free(x->names);
    mem_free(x->map);
    json_free(x->doc);
    mem_free(x->path);
    mem_free(x);
}

size_t shards_count(const shards *x) { return x->n; }
const char *shards_path(const shards *x, size_t i) { return x->paths[i]; }

int shards_check(const shards *x, const shards_table *t, pith_err *e)
{
    unsigned char *listed = mem_zero(t->n ? t->n : 1, 1);
    char show[SCAN_SHOW];
    if (!listed) return err_nomem(e, t->n, "checking the index");
    int bad = 0;
    for (size_t i = 0; i < x->n_map && !bad; i++) {
        const char *name = scan_show(show, x->map[i].name, strlen(x->map[i].name)), *file = x->names[x->map[i].shard];
        size_t at = t->find(t->of, x->map[i].name), in = at < t->n ? t->at(t->of, at).file : 0;
        if (at >= t->n) bad = err_set(e, "%s: maps %s to %s, which does not hold it: the two are of different versions; download both again", x->path, name, file);
        else if (in != x->map[i].shard)
            bad = err_set(e, "%s: maps %s to %s, but it lies in %s: the files are of different versions; download them again", x->path, name, file, x->names[in]);
        else if (listed[at]++)
            bad = err_set(e, "%s: lists %s twice", x->path, name);
    }
    for (size_t i = 0; i < t->n && !bad; i++) {
        shards_tensor one = t->at(t->of, i);
        if (!listed[i])
            bad = err_set(e, "%s: %s holds %s, which the index does not list: the two are of different versions; download both again", x->path, x->names[one.file],
                          scan_show(show, one.name, strlen(one.name)));
    }
    mem_free(listed);
    return bad;
}

int shards_odd_size(const shards *x, const shards_table *t, char *buf, size_t cap)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < t->n; i++)
        if (checked_add(sum, t->at(t->of, i).nbytes, &sum)) sum = UINT64_MAX;
    if (x->total_size < 0 || x->total_size == (double)sum) return 0;
    snprintf(buf, cap, "%s: metadata.total_size is %.0f, the tensors hold %llu bytes", x->base, x->total_size, (unsigned long long)sum);
    return 1;
}
