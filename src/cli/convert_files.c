#define _XOPEN_SOURCE 700
#define _FILE_OFFSET_BITS 64
#include "cli/convert_files.h"
#include "base/err.h"
#include "base/outfile.h"
#include "base/path.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int any(const char *const *globs, const char *name)
{
    for (; *globs; globs++)
        if (fnmatch(*globs, name, 0) == 0) return 1;
    return 0;
}

static int is_weights(const char *name)
{
    static const char *const globs[] = {"*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data",
                                        "*.gguf", "*.ot", "*.tflite", "*.npz", "*.pkl", "*.safetensors.index.json", "*.bin.index.json",
                                        "*.h5.index.json", "*.msgpack.index.json", NULL};
    return any(globs, name);
}

/* A folder that is a part of the model. */
static int is_part(const char *name)
{
    size_t digits = strspn(name, "0123456789");
    return (digits && name[digits] == '_' && name[digits + 1]) || strcmp(name, "additional_chat_templates") == 0;
}

/* ---- the list ---- */

typedef struct place {
    const char *dir; /* as given */
    char *real;      /* where it is */
    char *blobs;     /* the Hugging Face cache's files, NULL: it is no snapshot */
} place;

static int find_place(place *p, const char *dir, pith_err *e)
{
    *p = (place){.dir = dir, .real = realpath(dir, NULL)};
    if (!p->real) return err_set(e, "%.700s: %s", dir, strerror(errno));
    char *slash = strrchr(p->real, '/'), *up;
    *slash = 0;
    up = strrchr(p->real, '/'); /* models--x/snapshots/REVISION beside models--x/blobs */
    if (up && strcmp(up, "/snapshots") == 0) {
        *up = 0;
        p->blobs = path_join(p->real, "blobs", e);
        *up = '/';
    }
    *slash = '/';
    return 0;
}

static int inside(const char *path, const char *dir)
{
    size_t n = dir ? strlen(dir) : 0;
    return n && strncmp(path, dir, n) == 0 && path[n] == '/';
}

static int check_link(const place *p, const char *path, pith_err *e)
{
    char *real = realpath(path, NULL);
    if (!real) return err_set(e, "%.700s: a link that leads nowhere: %s; remove it, or put the file there", path, strerror(errno));
    int bad = inside(real, p->real) || inside(real, p->blobs) ? 0 : -1;
    if (bad) err_set(e, "%.500s: a link out of the model's directory, to %.300s; put the file itself there if it belongs to the model", path, real);
    free(real);
    return bad;
}

static int push(char ***list, size_t *n, const char *sub, const char *name, pith_err *e)
{
    char **more = realloc(*list, (*n + 1) * sizeof *more);
    if (!more) return err_nomem(e, (*n + 1) * sizeof *more, "a list of files");
    *list = more;
    more[*n] = sub ? path_join(sub, name, e) : strdup(name);
    if (!more[*n]) return err_nomem(e, strlen(name), "a list of files");
    ++*n;
    return 0;
}

static int visit(convert_files *f, const place *p, const char *sub, const char *dir, const char *name, pith_err *e);

/* sub NULL: the directory itself, else a folder in it. */
static int walk(convert_files *f, const place *p, const char *sub, pith_err *e)
{
    char *dir = sub ? path_join(p->dir, sub, e) : strdup(p->dir);
    if (!dir) return err_nomem(e, strlen(p->dir), "a path");
    DIR *d = opendir(dir);
    int bad = d ? 0 : err_set(e, "%.700s: cannot read: %s", dir, strerror(errno));
    for (const struct dirent *x; !bad && (errno = 0, x = readdir(d));)
        if (x->d_name[0] != '.') bad = visit(f, p, sub, dir, x->d_name, e);
    if (d && !bad && errno) bad = err_set(e, "%.700s: cannot read: %s", dir, strerror(errno));
    if (d) closedir(d);
    free(dir);
    return bad;
}

static int visit(convert_files *f, const place *p, const char *sub, const char *dir, const char *name, pith_err *e)
{
    struct stat st;
    if (!sub && is_weights(name)) return 0;
    char *path = path_join(dir, name, e);
    if (!path) return -1;
    int bad = lstat(path, &st) ? err_set(e, "%.700s: %s", path, strerror(errno)) : 0, link = !bad && S_ISLNK(st.st_mode);
    if (link && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) bad = push(&f->left, &f->n_left, sub, name, e);
    else if (!bad && S_ISDIR(st.st_mode) && !sub && is_part(name)) bad = walk(f, p, name, e);
    else if (!bad && !link && !S_ISREG(st.st_mode)) bad = push(&f->left, &f->n_left, sub, name, e);
    else if (!bad) bad = (link && check_link(p, path, e)) || push(&f->names, &f->n, sub, name, e) ? -1 : 0;
    free(path);
    return bad;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int convert_files_list(convert_files *f, const char *dir, pith_err *e)
{
    place p;
    *f = (convert_files){0};
    if (find_place(&p, dir, e)) return -1;
    int bad = walk(f, &p, NULL, e);
    free(p.real);
    free(p.blobs);
    if (f->n) qsort(f->names, f->n, sizeof *f->names, by_name);
    if (f->n_left) qsort(f->left, f->n_left, sizeof *f->left, by_name);
    if (bad) convert_files_free(f);
    return bad;
}

void convert_files_free(convert_files *f)
{
    for (size_t i = 0; i < f->n; i++) free(f->names[i]);
    for (size_t i = 0; i < f->n_left; i++) free(f->left[i]);
    free(f->names);
    free(f->left);
    *f = (convert_files){0};
}

/* ---- writing ---- */

int convert_files_sync(const char *dir, pith_err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad = fd < 0;
    while (fd >= 0 && (bad = fsync(fd)) && errno == EINTR) {}
    if (bad) err_set(e, "%.700s: cannot write: %s", dir, strerror(errno));
    if (fd >= 0) close(fd);
    return bad ? -1 : 0;
}

int convert_files_put(const char *dir, const char *name, const char *data, size_t len, pith_err *e)
{
    char *path = path_join(dir, name, e);
    outfile o = {0};
    int bad = path && !outfile_open(&o, path, 0, e) && !outfile_pwrite(&o, data, len, 0, e) && !outfile_finish(&o, e) ? 0 : -1;
    outfile_close(&o);
    free(path);
    return bad;
}

static int copy(const char *from, const char *to, pith_err *e)
{
    struct stat st;
    outfile o = {0};
    uint64_t at = 0;
    int in = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC), bad = -1; /* never waits, even if it became a pipe meanwhile */
    if (in < 0 || fstat(in, &st)) err_set(e, "%.700s: cannot read: %s", from, strerror(errno));
    else if (!S_ISREG(st.st_mode)) err_set(e, "%.700s: is no file any more", from);
    else bad = outfile_open(&o, to, 0, e) || outfile_copy(&o, in, from, &at, e) || outfile_finish(&o, e) ? -1 : 0;
    outfile_close(&o);
    if (in >= 0) close(in);
    return bad;
}

int convert_files_copy(const convert_files *f, size_t i, const char *from, const char *to, pith_err *e)
{
    char *in = path_join(from, f->names[i], e), *out = in ? path_join(to, f->names[i], e) : NULL, *slash = strrchr(f->names[i], '/');
    int bad = out ? 0 : -1;
    size_t folder = slash && out ? strlen(out) - strlen(slash) : 0;
    if (folder) {
        out[folder] = 0;
        if (mkdir(out, 0777) && errno != EEXIST) bad = err_set(e, "%.700s: cannot make: %s", out, strerror(errno));
        out[folder] = '/';
    }
    if (!bad) bad = copy(in, out, e);
    if (!bad && folder) {
        out[folder] = 0;
        bad = convert_files_sync(out, e);
    }
    free(in);
    free(out);
    return bad;
}

/* ---- replacing ---- */

static int is_known(const char *name, const convert_files *coming)
{
    static const char *const globs[] = {"*config*.json", "*token*.json", "vocab*", "merges.txt", "modules.json", "chat_template*", "*.jinja", "*.model",
                                        "*.tiktoken", "README*", "LICENSE*", "NOTICE*", "USE_POLICY*", "requirements.txt", ".gitattributes", NULL};
    if (is_weights(name) || any(globs, name)) return 1;
    return coming && coming->n && bsearch(&name, coming->names, coming->n, sizeof *coming->names, by_name);
}

static int strange(const char *dir, const char *name, pith_err *e)
{
    return err_set(e, "%.600s: holds %.200s, which is no part of a model: --force replaces only directories that hold nothing but a model; choose another name, or remove it yourself",
                   dir, name);
}

/* A part's folder must hold files only. */
static int check_part(const char *dir, const char *name, pith_err *e)
{
    char *path = path_join(dir, name, e);
    DIR *d = path ? opendir(path) : NULL;
    int bad = d ? 0 : err_set(e, "%.700s/%.200s: cannot read: %s", dir, name, strerror(errno));
    for (const struct dirent *x; !bad && (x = readdir(d));) {
        struct stat st;
        if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) continue;
        if (fstatat(dirfd(d), x->d_name, &st, AT_SYMLINK_NOFOLLOW) || S_ISDIR(st.st_mode)) bad = strange(path, x->d_name, e);
    }
    if (d) closedir(d);
    free(path);
    return bad;
}

int convert_files_replaceable(const char *dir, const convert_files *coming, pith_err *e)
{
    DIR *d = opendir(dir);
    if (!d) return err_set(e, "%.700s: cannot read: %s", dir, strerror(errno));
    int bad = 0, model = 0;
    for (const struct dirent *x; !bad && (x = readdir(d));) {
        const char *name = x->d_name;
        struct stat st;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
        int there = fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        model |= is_weights(name) || strcmp(name, "config.json") == 0;
        if (there && S_ISDIR(st.st_mode) && is_part(name)) bad = check_part(dir, name, e);
        else if (!there || !(S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) || !is_known(name, coming)) bad = strange(dir, name, e);
    }
    closedir(d);
    if (!bad && !model) bad = err_set(e, "%.700s: holds no model (neither config.json nor weights): --force replaces only model directories", dir);
    return bad;
}
