/* verify_files: the structural rules. What opens as a whole is right; where it does not, every shard is looked at alone,
 * so that all that is wrong is told. Leaves what could be opened in v->w or v->parts, and in v->config. */
#include "base/path.h"
#include "formats/sniff.h"
#include "verify.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- files beside the weights ---- */

static int is_json(const char *name)
{
    size_t n = strlen(name);
    return n > 5 && !strcmp(name + n - 5, ".json");
}

/* What stands in for a file that was not downloaded is named first: to say that it is no JSON would be no help. */
static int check_side_file(const char *path, const char *name, json_doc **doc, pith_err *why)
{
    unsigned char first[SNIFF_BYTES];
    FILE *f = fopen(path, "rb");
    if (!f) return err_set(why, "%s: cannot open: %s", name, strerror(errno));
    size_t n = fread(first, 1, sizeof first, f);
    int bad = ferror(f) ? err_set(why, "cannot read: %s", strerror(errno)) : 0;
    fclose(f);
    if (bad || sniff_stand_in(first, n, why)) return err_where(why, "%s", name);
    if (!is_json(name)) return 0;
    *doc = json_load(path, why);
    return *doc ? 0 : -1;
}

static int check_side_files(verify *v, pith_err *e)
{
    for (size_t i = 0; verify_side_files[i]; i++) {
        const char *name = verify_side_files[i];
        if (!verify_has(v, name)) continue;
        pith_err why = {{0}};
        json_doc *doc = NULL;
        char *path = path_join(v->path, name, e);
        if (!path) return -1;
        if (check_side_file(path, name, &doc, &why)) {
            verify_tell_error(v, PITH_CHECK_FILES, name, &why);
            v->odd_side = 1;
        }
        free(path);
        if (strcmp(name, "config.json")) json_free(doc);
        else v->config = doc;
    }
    if (v->is_dir && !verify_has(v, "config.json"))
        verify_tell(v, PITH_CHECK_FILES, 1, "config.json", "is not there, so this is no Hugging Face model directory; download it");
    return 0;
}

/* ---- what the pass goes over ---- */

static int add_file(verify *v, const char *path, int weights, pith_err *e)
{
    struct stat st;
    size_t n = strlen(path) + 1;
    char *copy = malloc(n);
    verify_file *more = realloc(v->files, (v->n_files + 1) * sizeof *more);
    if (more) v->files = more;
    if (!copy || !more || stat(path, &st)) {
        free(copy);
        return !copy || !more ? err_nomem(e, n + (v->n_files + 1) * sizeof *more, path) : err_set(e, "%s: cannot open: %s", path, strerror(errno));
    }
    memcpy(copy, path, n);
    const char *slash = strrchr(copy, '/');
    v->files[v->n_files++] = (verify_file){.path = copy, .name = slash ? slash + 1 : copy, .bytes = (uint64_t)st.st_size, .weights = weights};
    return 0;
}

/* ---- shards ---- */

typedef struct place {
    const char *tensor, *file; /* in the index */
} place;

static int by_file(const void *a, const void *b)
{
    const place *x = a, *y = b;
    int c = strcmp(x->file, y->file);
    return c ? c : strcmp(x->tensor, y->tensor);
}

static int is_plain(const char *s) { return *s && !strchr(s, '/') && !strchr(s, '\\') && strcmp(s, ".") && strcmp(s, ".."); }

/* The n tensors p that the index maps to one shard, and the shard. */
static int check_shard(verify *v, const char *dir, const place *p, size_t n, pith_err *e)
{
    const char *file = p[0].file;
    pith_err why = {{0}};
    pith_tensor t;
    if (!is_plain(file)) {
        verify_tell(v, PITH_CHECK_FILES, 1, file, "the index names it: a shard must be a plain file name beside the index");
        return 0;
    }
    struct stat st;
    char *path = path_join(dir, file, e);
    if (!path) return -1;
    if (stat(path, &st)) {
        verify_tell(v, PITH_CHECK_FILES, 1, file, "%s, but the index maps %zu tensors to it; download it into the same directory",
                    errno == ENOENT || errno == ENOTDIR ? "is not there" : strerror(errno), n);
        free(path);
        return 0;
    }
    pith_weights *w = pith_weights_open(path, &(pith_weights_options){.no_mmap = v->o.no_mmap}, &why);
    size_t skip = strlen(path) + 2; /* "path: " */
    if (!w) verify_tell(v, PITH_CHECK_FILES, 1, file, "%s", strlen(why.msg) > skip && !strncmp(why.msg, path, skip - 2) ? why.msg + skip : why.msg);
    int bad = w ? 0 : add_file(v, path, 1, e); /* its bytes can be compared all the same */
    free(path);
    if (!w) return bad;
    v->parts[v->n_parts++] = w;
    for (size_t i = 0; i < n; i++)
        if (pith_weights_find(w, p[i].tensor, &t))
            verify_tell(v, PITH_CHECK_FILES, 1, p[i].tensor, "the index maps it to %s, which does not hold it: the two are of different versions; download both again", file);
        else if (i && !strcmp(p[i].tensor, p[i - 1].tensor))
            verify_tell(v, PITH_CHECK_FILES, 1, p[i].tensor, "the index lists it twice");
    for (size_t i = 0; !pith_weights_at(w, i, &t); i++) {
        place key = {t.name, p[0].file};
        if (!bsearch(&key, p, n, sizeof *p, by_file))
            verify_tell(v, PITH_CHECK_FILES, 1, t.name, "lies in %s, but the index does not map it there: the two are of different versions; download both again", file);
    }
    return 0;
}

/* The shards of an index, one by one. */
static int check_shards(verify *v, const char *index, pith_err *e)
{
    const char *slash = strrchr(index, '/');
    json_doc *doc = json_load(index, NULL);
    json map = json_get(json_root(doc), "weight_map");
    size_t n = json_typeof(map) == JSON_OBJECT ? json_len(map) : 0, i = 0;
    place *p = malloc((n + 1) * sizeof *p);
    char *dir = malloc(strlen(index) + 2);
    v->parts = malloc((n + 1) * sizeof *v->parts);
    int bad = !p || !dir || !v->parts ? err_nomem(e, (n + 1) * sizeof *p, "the index") : 0;
    if (!bad) sprintf(dir, "%.*s", slash ? (int)(slash - index) : 1, slash ? index : ".");
    for (json c = json_first(map); !bad && i < n; c = json_next(c)) p[i++] = (place){json_key(c), json_str(c)};
    if (!bad && n) qsort(p, n, sizeof *p, by_file);
    for (size_t first = 0, last; first < n && !bad; first = last) {
        for (last = first; last < n && !strcmp(p[last].file, p[first].file);) last++;
        bad = check_shard(v, dir, p + first, last - first, e);
    }
    free(dir);
    free(p);
    json_free(doc);
    return bad;
}

/* The index that opening looked at, malloc'ed; NULL: there is none. -1: memory. */
static int find_index(const verify *v, char **index, pith_err *e)
{
    static const char tail[] = ".index.json";
    static const char *const names[] = {"model.safetensors.index.json", "pytorch_model.bin.index.json"};
    size_t n = strlen(v->path), k = sizeof tail - 1;
    const char *dir = v->is_dir ? v->path : "", *name = NULL;
    *index = NULL;
    if (!v->is_dir && n > k && !strcmp(v->path + n - k, tail)) name = v->path;
    if (v->is_dir && !verify_has(v, "model.safetensors"))
        for (size_t i = 0; i < sizeof names / sizeof *names && !name; i++)
            if (verify_has(v, names[i])) name = names[i];
    return name && !(*index = path_join(dir, name, e)) ? -1 : 0;
}

/* The one file that does not open: its bytes can be compared all the same. */
static int add_broken(verify *v, pith_err *e)
{
    static const char *const names[] = {"model.safetensors", "pytorch_model.bin"};
    struct stat st;
    if (!v->is_dir) return stat(v->path, &st) || !S_ISREG(st.st_mode) ? 0 : add_file(v, v->path, 1, e);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!verify_has(v, names[i])) continue;
        char *path = path_join(v->path, names[i], e);
        int bad = path ? add_file(v, path, 1, e) : -1;
        free(path);
        return bad;
    }
    return 0;
}

static int check_weights(verify *v, pith_err *e)
{
    pith_err why = {{0}};
    v->w = pith_weights_open(v->path, &(pith_weights_options){.no_mmap = v->o.no_mmap}, &why);
    if (v->w) {
        char name[PITH_ERR_MAX];
        for (size_t i = 0; i < pith_weights_warnings(v->w); i++) {
            const char *rest = verify_subject(v, pith_weights_warning(v->w, i), name);
            verify_tell(v, PITH_CHECK_FILES, 0, name, "%s", rest);
        }
        return 0;
    }
    if (v->o.skip >> PITH_CHECK_FILES & 1) return err_set(e, "%s", why.msg);
    size_t before = v->out->failed[PITH_CHECK_FILES];
    char *index;
    int bad = find_index(v, &index, e);
    if (index) bad = check_shards(v, index, e);
    if (!bad && v->out->failed[PITH_CHECK_FILES] == before) verify_tell_error(v, PITH_CHECK_FILES, "", &why);
    if (!bad && !index) bad = add_broken(v, e);
    free(index);
    return bad;
}

static int by_place(const void *a, const void *b)
{
    const verify_tensor *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return x->t.offset < y->t.offset ? -1 : x->t.offset > y->t.offset;
}

static int add_weights(verify *v, const pith_weights *w, pith_err *e)
{
    size_t first = v->n_files, count = pith_weights_count(w);
    for (size_t i = 0; i < pith_weights_files(w); i++)
        if (add_file(v, pith_weights_file(w, i, NULL), 1, e)) return -1;
    verify_tensor *more = realloc(v->tensors, (v->n_tensors + count + 1) * sizeof *more);
    if (!more) return err_nomem(e, (v->n_tensors + count + 1) * sizeof *more, "tensors");
    v->tensors = more;
    v->as_stored &= !strcmp(pith_weights_format(w), "safetensors");
    for (size_t i = 0; i < count; i++) {
        verify_tensor *t = &v->tensors[v->n_tensors++];
        *t = (verify_tensor){.w = w, .index = i, .nan = UINT64_MAX, .inf = UINT64_MAX};
        pith_weights_at(w, i, &t->t);
        t->file = first + t->t.file;
        t->type = (dtype)tensor_dtype_find(t->t.dtype, strlen(t->t.dtype));
        v->out->bytes += t->t.nbytes;
        v->out->parameters += tensor_count((tensor){.shape = t->t.shape, .rank = t->t.rank});
    }
    return 0;
}

static int list(verify *v, pith_err *e)
{
    char *index;
    int bad = find_index(v, &index, e);
    if (index) bad = add_file(v, index, 1, e);
    free(index);
    for (size_t i = 0; verify_side_files[i] && !bad; i++) {
        if (!verify_has(v, verify_side_files[i])) continue;
        char *path = path_join(v->path, verify_side_files[i], e);
        bad = path ? add_file(v, path, 0, e) : -1;
        free(path);
    }
    v->as_stored = 1;
    for (size_t i = 0; i < v->n_parts && !bad; i++) bad = add_weights(v, v->parts[i], e);
    if (v->w && !bad) bad = add_weights(v, v->w, e);
    if (v->n_tensors) qsort(v->tensors, v->n_tensors, sizeof *v->tensors, by_place);
    v->out->files = v->n_files;
    v->out->tensors = v->n_tensors;
    return bad;
}

int verify_files(verify *v, pith_err *e)
{
    v->out->done |= ~v->o.skip & 1u << PITH_CHECK_FILES;
    return check_side_files(v, e) || check_weights(v, e) || list(v, e) ? -1 : 0;
}
