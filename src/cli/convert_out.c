#define _GNU_SOURCE
#include "cli/convert_out.h"
#include "base/err.h"
#include "base/path.h"
#include "base/platform.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX ".pith-convert-"
#define ASIDE ".pith-replaced-"

static int broken(const char *path, const char *what, pith_err *e)
{
    return err_set(e, "%.700s: cannot %s: %s", path, what, strerror(errno));
}

/* ---- removing: only what convert makes or may replace, so two levels deep ---- */

static int empty(int fd, int levels)
{
    DIR *d = fdopendir(fd);
    if (!d) return close(fd), -1;
    for (int again = 1; again;) { /* some file systems lose entries of a directory that shrinks while it is read */
        again = 0;
        rewinddir(d);
        for (const struct dirent *x; (x = readdir(d));) {
            if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) continue;
            if (unlinkat(dirfd(d), x->d_name, 0) == 0) {
                again = 1;
                continue;
            }
            int sub = levels ? openat(dirfd(d), x->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
            if (sub >= 0 && empty(sub, levels - 1) == 0 && unlinkat(dirfd(d), x->d_name, AT_REMOVEDIR) == 0) again = 1;
        }
    }
    closedir(d);
    return 0;
}

static int remove_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : -1;
    empty(fd, 1);
    return rmdir(path) && errno != ENOENT ? -1 : 0;
}

/* What runs that were killed left in `parent`. A place that is locked belongs to a run that lives. */
static void remove_debris(const char *parent)
{
    DIR *d = opendir(parent);
    if (!d) return;
    for (const struct dirent *x; (x = readdir(d));) {
        struct stat st;
        if (strncmp(x->d_name, PREFIX, sizeof PREFIX - 1) != 0 || strlen(x->d_name) != sizeof PREFIX - 1 + 6) continue;
        int fd = openat(dirfd(d), x->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        pith_err none = {{0}};
        char *path = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0 ? path_join(parent, x->d_name, &none) : NULL;
        if (path) remove_folder(path);
        free(path);
        if (fd >= 0) close(fd);
    }
    closedir(d);
}

/* ---- the target ---- */

/* Finds parent and base; links in dst are followed. */
static int split(convert_out *o, const char *dst, pith_err *e)
{
    size_t n = strlen(dst);
    while (n > 1 && dst[n - 1] == '/') n--;
    char *copy = strndup(dst, n), *real = copy ? realpath(copy, NULL) : NULL;
    struct stat st;
    o->exists = real != NULL;
    if (!copy) return err_nomem(e, n, "a path");
    if (!real && lstat(copy, &st) == 0) {
        free(copy);
        return broken(dst, "follow", e);
    }
    char *slash = strrchr(real ? real : copy, '/');
    o->base = strdup(slash ? slash + 1 : copy);
    if (slash) slash[slash == (real ? real : copy)] = 0; /* "/" stays */
    o->parent = real ? strdup(real) : realpath(slash ? copy : ".", NULL);
    if (!o->parent) err_set(e, "%.700s: the folder it should lie in: %s; make it first", dst, strerror(errno));
    else if (!o->base || !(o->path = path_join(o->parent, o->base, e))) err_nomem(e, n, "a path");
    free(copy);
    free(real);
    return o->path ? 0 : -1;
}

static int is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (const struct dirent *x; d && (x = readdir(d));) n += strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0;
    if (d) closedir(d);
    return d && n == 0;
}

/* parent/.pith-replaced-BASE, malloc'ed. */
static char *aside_path(const convert_out *o, pith_err *e)
{
    size_t n = strlen(o->base) + sizeof ASIDE;
    char *name = malloc(n), *path = NULL;
    if (!name) return err_nomem(e, n, "a path"), NULL;
    snprintf(name, n, ASIDE "%s", o->base);
    path = path_join(o->parent, name, e);
    free(name);
    return path;
}

/* A run without RENAME_EXCHANGE that died between its two renames. */
static int bring_back(convert_out *o, pith_err *e)
{
    char *aside = aside_path(o, e);
    if (!aside) return -1;
    struct stat st;
    if (lstat(aside, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid()) {
        if (!o->exists && rename(aside, o->path) == 0) o->exists = 1;
        else if (o->exists) remove_folder(aside);
    }
    free(aside);
    return 0;
}

static int check_file(convert_out *o, int force, pith_err *e)
{
    struct stat st;
    if (!o->exists) return 0;
    if (stat(o->path, &st)) return broken(o->name, "look at it", e);
    if (!S_ISREG(st.st_mode)) return err_set(e, "%.700s: is no file; give another name", o->name);
    if (!force) return err_set(e, "%.700s: exists already; --force replaces it", o->name);
    o->mode = st.st_mode & 07777;
    return 0;
}

static int check_directory(convert_out *o, const char *src, int force, pith_err *e)
{
    struct stat st, up;
    if (!o->exists) return 0;
    if (stat(o->path, &st) || stat(o->parent, &up)) return broken(o->name, "look at it", e);
    if (!S_ISDIR(st.st_mode)) return err_set(e, "%.700s: is a file, and the name does not end in .safetensors: it is neither a directory nor a file to write", o->name);
    if (st.st_dev != up.st_dev) return err_set(e, "%.700s: another disk is mounted here, so it cannot be replaced as a whole; give a folder in it", o->name);
    o->mode = st.st_mode & 07777;
    o->replaces = !is_empty(o->path);
    if (!o->replaces) return 0;
    if (!force) return err_set(e, "%.700s: exists already and is not empty; --force replaces a model directory", o->name);
    char *from = realpath(src, NULL);
    size_t n = strlen(o->path);
    int within = from && strncmp(from, o->path, n) == 0 && from[n] == '/';
    free(from);
    if (within) return err_set(e, "%.400s: lies in %.400s, which would be replaced; give a file there (%.100s/model.safetensors), or another directory", src, o->name, o->name);
    return 0;
}

int convert_out_target(convert_out *o, const char *dst, const char *src, int force, pith_err *e)
{
    size_t n = strlen(dst), suffix = strlen(".safetensors");
    struct stat st;
    *o = (convert_out){.name = dst, .fd = -1};
    if (!n) return err_set(e, "DST is empty");
    if (split(o, dst, e)) return -1;
    if (!*o->base) return err_set(e, "%.700s: cannot be replaced; give a folder in it", dst);
    int file = n > suffix && strcmp(dst + n - suffix, ".safetensors") == 0 && !(stat(dst, &st) == 0 && S_ISDIR(st.st_mode));
    if (file && !(o->file = strdup(o->base))) return err_nomem(e, n, "a path");
    if (file) return check_file(o, force, e);
    return bring_back(o, e) || check_directory(o, src, force, e) ? -1 : 0;
}

/* ---- the place ---- */

int convert_out_begin(convert_out *o, pith_err *e)
{
    remove_debris(o->parent);
    for (int tries = 0; tries < 100; tries++) {
        struct stat st, now;
        free(o->place);
        o->place = path_join(o->parent, PREFIX "XXXXXX", e);
        if (!o->place) return -1;
        if (!mkdtemp(o->place)) {
            free(o->place);
            o->place = NULL;
            return err_set(e, "%.700s: cannot write in %.200s: %s", o->name, o->parent, strerror(errno));
        }
        o->fd = open(o->place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        /* Another run may have taken it for debris before it was locked. Some network file systems lock no directories:
         * there nobody removes one either. */
        if (o->fd >= 0 && (flock(o->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && fstat(o->fd, &st) == 0 &&
            stat(o->place, &now) == 0 && st.st_ino == now.st_ino && st.st_dev == now.st_dev)
            return 0;
        if (o->fd >= 0) close(o->fd);
        o->fd = -1;
        rmdir(o->place); /* if it was not removed, it could not be looked at */
    }
    return err_set(e, "%.700s: cannot keep a temporary folder in %.200s: something removes it", o->name, o->parent);
}

/* ---- becoming the target ---- */

static int unsupported(void) { return errno == EINVAL || errno == ENOSYS || errno == ENOTSUP; }

/* Of a file that may be opened: the sandbox knows no other. */
static int set_mode(const char *path, mode_t mode)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), bad = fd < 0 || fchmod(fd, mode), why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return bad;
}

static int commit_file(convert_out *o, int force, pith_err *e)
{
    char *from = path_join(o->place, o->file, e);
    if (!from) return -1;
    int bad = o->exists && set_mode(from, o->mode);
    if (!bad) {
        bad = force ? rename(from, o->path) : platform_rename_new(from, o->path);
        if (bad && !force && unsupported()) bad = access(o->path, F_OK) == 0 ? (errno = EEXIST, -1) : rename(from, o->path);
    }
    if (bad) broken(o->name, "give the file its name", e);
    free(from);
    return bad;
}

/* Where two directories cannot be exchanged at once: for a moment there is none; a run that dies then leaves the old one
 * under another name, and the next brings it back. */
static int set_aside(convert_out *o, pith_err *e)
{
    char *aside = aside_path(o, e);
    if (!aside) return -1;
    int bad = rename(o->path, aside) ? broken(o->name, "replace it", e) : 0;
    if (!bad && rename(o->place, o->path)) {
        bad = broken(o->name, "replace it", e);
        if (rename(aside, o->path)) err_where(e, "what was there is now %s", aside);
    }
    if (bad) {
        free(aside);
        return -1;
    }
    free(o->place);
    o->place = aside; /* what is to be removed now */
    return 0;
}

static int commit_directory(convert_out *o, const convert_files *coming, pith_err *e)
{
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(o->fd, o->exists ? o->mode : 0777 & ~mask) || fsync(o->fd)) return broken(o->place, "write", e);
    if (!o->replaces) {
        if (rename(o->place, o->path)) return broken(o->name, "give the directory its name", e);
        free(o->place);
        o->place = NULL;
        return 0;
    }
    if (convert_files_replaceable(o->path, coming, e)) return -1;
    if (platform_rename_exchange(o->place, o->path) == 0) return 0;
    return unsupported() ? set_aside(o, e) : broken(o->name, "replace it", e);
}

int convert_out_commit(convert_out *o, int force, const convert_files *coming, pith_err *e)
{
    if (o->file ? commit_file(o, force, e) : commit_directory(o, coming, e)) return -1;
    int bad = convert_files_sync(o->parent, e), left = 0;
    if (o->place && remove_folder(o->place)) left = 1;
    if (left && !bad) err_set(e, "%.700s: done, but what was there before is left in %.300s: %s; remove it", o->name, o->place, strerror(errno));
    free(o->place);
    o->place = NULL;
    return bad ? -1 : left;
}

void convert_out_say(const convert_out *o, pith_err *e)
{
    const char *at = o->place ? strstr(e->msg, o->place) : NULL;
    if (!at) return;
    pith_err said = {{0}};
    size_t skip = strlen(o->place);
    if (o->file && at[skip] == '/') skip += 1 + strcspn(at + skip + 1, ":");
    err_set(&said, "%.*s%.300s%s", (int)(at - e->msg), e->msg, o->name, at + skip);
    *e = said;
}

void convert_out_close(convert_out *o)
{
    if (o->place) remove_folder(o->place);
    if (o->fd >= 0) close(o->fd);
    free(o->place);
    free(o->parent);
    free(o->base);
    free(o->path);
    free(o->file);
    *o = (convert_out){.fd = -1};
}
