#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "base/outfile.h"
#include "base/mem.h"
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
#include <time.h>
#include <unistd.h>

static const char MARK[] = ".pith-";
enum { MARK_LEN = sizeof MARK - 1, RANDOM_LEN = 6, NAME_LEN = 255 - 1 - MARK_LEN - RANDOM_LEN };

static int broken(const outfile *o, const char *what, pith_err *e)
{
    return err_set(e, "%.700s: cannot %s: %s", o->name, what, strerror(errno));
}

/* The folder of path; allocated. */
static char *folder(const char *path, pith_err *e)
{
    const char *slash = strrchr(path, '/');
    char *s = !slash ? mem_copy(".") : slash == path ? mem_copy("/") : mem_copy_n(path, (size_t)(slash - path));
    if (!s) err_nomem(e, strlen(path), "a path");
    return s;
}

/* ---- the temporary file ---- */

/* "dir/.NAME.pith-XXXXXX". A name that would become too long for a file system is cut, between characters. */
static char *temp_path(const char *path, const char *dir, pith_err *e)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = strlen(base);
    if (n > NAME_LEN) {
        n = NAME_LEN;
        while (n && ((unsigned char)base[n] & 0xc0) == 0x80) n--;
    }
    char name[256];
    snprintf(name, sizeof name, ".%.*s%sXXXXXX", (int)n, base, MARK);
    return path_join(dir, name, e);
}

/* New letters for the XXXXXX. They need only differ: the file is created exclusively. */
static void vary(char *temp)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t x = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + ((uint64_t)getpid() << 40) + (uint64_t)(uintptr_t)temp;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    for (char *p = temp + strlen(temp) - RANDOM_LEN; *p; p++, x /= 36) *p = "abcdefghijklmnopqrstuvwxyz0123456789"[x % 36];
}

static int open_temp(outfile *o, const char *dir, pith_err *e)
{
    mode_t mode = o->there ? (mode_t)o->mode | S_IRUSR | S_IWUSR : 0666;
    struct stat st;
    for (int i = 0; i < 100; i++) {
        vary(o->temp);
        o->fd = open(o->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (o->fd < 0 && (errno == EEXIST || errno == EINTR)) continue;
        if (o->fd < 0) break;
        /* Another run may have taken it for debris before the lock was there. */
        int taken = flock(o->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK, lost = fstat(o->fd, &st), why = errno;
        if (!taken && !lost && st.st_nlink) return 0;
        if (lost) unlink(o->temp);
        close(o->fd);
        o->fd = -1;
        errno = lost ? why : EAGAIN;
        if (lost) break;
    }
    return err_set(e, "%.500s: cannot create a file in %.300s: %s", o->name, dir, strerror(errno));
}

/* Removes what killed writers of the same target left. */
static void clear_debris(const char *temp, const char *dir)
{
    const char *like = strrchr(temp, '/') + 1;
    size_t n = strlen(like) - RANDOM_LEN;
    DIR *d = opendir(dir);
    for (struct dirent *x; d && (x = readdir(d));) {
        struct stat here, there;
        if (strncmp(x->d_name, like, n) || strlen(x->d_name) != n + RANDOM_LEN) continue;
        int fd = openat(dirfd(d), x->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0) continue;
        /* With the lock held nobody else renames or removes it; before, its writer may have. */
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &here) == 0 && S_ISREG(here.st_mode) &&
            fstatat(dirfd(d), x->d_name, &there, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev)
            unlinkat(dirfd(d), x->d_name, 0);
        close(fd);
    }
    if (d) closedir(d);
}

/* ---- opening ---- */

static int exists(const outfile *o, pith_err *e)
{
    return err_set(e, "%.700s: is there already; remove it, choose another name, or ask for it to be replaced", o->name);
}

static int look_at_target(outfile *o, const char *path, pith_err *e)
{
    struct stat st;
    size_t n = strlen(path);
    if (!n) return err_set(e, "an empty path, expected a file to write");
    o->there = stat(path, &st) == 0;
    if (!o->there && errno != ENOENT) return broken(o, "write here", e);
    if (!o->there && lstat(path, &st) == 0) return err_set(e, "%.700s: a symbolic link to nothing, expected a file to write", path);
    if (path[n - 1] == '/' || (o->there && S_ISDIR(st.st_mode))) return err_set(e, "%.700s: is a directory, expected a file to write", path);
    if (o->there && !S_ISREG(st.st_mode)) return err_set(e, "%.700s: not a regular file, cannot be replaced by one", path);
    if (o->there && !o->replace) return exists(o, e);
    o->mode = o->there ? st.st_mode & 0777 : 0;
    o->path = o->there ? mem_adopt(realpath(path, NULL)) : mem_copy(path);
    return o->path ? 0 : broken(o, "write here", e);
}

int outfile_open(outfile *o, const char *path, int replace, pith_err *e)
{
    *o = (outfile){.fd = -1, .replace = replace, .name = mem_copy(path)};
    char *dir = NULL;
    int bad = o->name ? look_at_target(o, path, e) : err_nomem(e, strlen(path), "a path");
    if (!bad) bad = (dir = folder(o->path, e)) && (o->temp = temp_path(o->path, dir, e)) ? 0 : -1;
    if (!bad) {
        clear_debris(o->temp, dir);
        bad = open_temp(o, dir, e);
        if (bad) {
            mem_free(o->temp);
            o->temp = NULL;
        }
    }
    mem_free(dir);
    if (bad) outfile_close(o);
    return bad;
}

/* ---- writing ---- */

int outfile_reserve(outfile *o, uint64_t size, pith_err *e)
{
    if (size > INT64_MAX) return err_set(e, "%.700s: %llu bytes are more than a file can hold", o->name, (unsigned long long)size);
    int bad;
    do bad = platform_reserve(o->fd, size);
    while (bad && errno == EINTR);
    if (bad && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return err_set(e, "%.700s: no room for its %llu bytes: %s", o->name, (unsigned long long)size, strerror(errno));
    return 0;
}

/* What is large begins its way to the disk at once, and the piece before it is waited for: the sync at the end, which no
 * interrupt ends, has little left to do. Only a hint: what fails here fails there. */
static void settle(outfile *o, uint64_t at, size_t n)
{
    if (n < (size_t)1 << 20) return;
    platform_write_back(o->fd, at, n, o->piece, o->piece_len);
    o->piece = at;
    o->piece_len = n;
}

int outfile_pwrite(outfile *o, const void *data, size_t n, uint64_t at, pith_err *e)
{
    const char *p = data;
    while (n) {
        size_t step = n < (size_t)1 << 30 ? n : (size_t)1 << 30;
        ssize_t k = pwrite(o->fd, p, step, (off_t)at);
        if (k < 0 && errno == EINTR) continue;
        if (k == 0) errno = ENOSPC;
        if (k <= 0) return broken(o, "write", e);
        settle(o, at, (size_t)k);
        p += k;
        n -= (size_t)k;
        at += (uint64_t)k;
    }
    return 0;
}

int outfile_copy(outfile *o, int in, const char *from, uint64_t *at, pith_err *e)
{
    char piece[1 << 16];
    for (;;) {
        ssize_t n = read(in, piece, sizeof piece);
        if (n == 0) return 0;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(e, "%.700s: cannot read: %s", from, strerror(errno));
        if (outfile_pwrite(o, piece, (size_t)n, *at, e)) return -1;
        *at += (uint64_t)n;
    }
}

/* ---- its name ---- */

static int sync_file(int fd)
{
    int bad;
    do bad = fsync(fd);
    while (bad && errno == EINTR);
    return bad;
}

/* Without replacing anything. File systems offer different ways to say so; the last one leaves an empty file if the
 * program dies between its two steps. */
static int rename_new(const outfile *o)
{
    if (platform_rename_new(o->temp, o->path) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) return -1;
    if (link(o->temp, o->path) == 0) {
        unlink(o->temp);
        return 0;
    }
    if (errno != EPERM && errno != ENOSYS && errno != EOPNOTSUPP) return -1;
    int fd = open(o->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return -1;
    close(fd);
    if (rename(o->temp, o->path) == 0) return 0;
    int why = errno;
    unlink(o->path);
    errno = why;
    return -1;
}

/* The new name on disk. A folder that may not be read cannot be synced alone, but its file system can. */
static int sync_name(const outfile *o, const char *dir, pith_err *e)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 ? platform_sync_all(o->fd) : sync_file(fd);
    if (bad && errno == EINVAL) bad = 0; /* a file system that syncs no folders */
    int why = errno;
    if (fd >= 0) close(fd);
    return bad ? err_set(e, "%.700s: is written, but its folder cannot be synced: %s", o->name, strerror(why)) : 0;
}

static int give_name(outfile *o, pith_err *e)
{
    struct stat st;
    if (o->there && fstat(o->fd, &st) == 0 && (st.st_mode & 07777) != o->mode && fchmod(o->fd, o->mode)) return broken(o, "set its permissions", e);
    if (sync_file(o->fd)) return broken(o, "write", e);
    /* Still locked, so that no other run takes it for debris. */
    if (o->replace ? rename(o->temp, o->path) : rename_new(o)) return errno == EEXIST && !o->replace ? exists(o, e) : broken(o, "write", e);
    o->temp[0] = 0; /* not freed: a signal handler may know it */
    return 0;
}

int outfile_finish(outfile *o, pith_err *e)
{
    char *dir = folder(o->path, e); /* before anything is done: without memory nothing is */
    int bad = dir ? give_name(o, e) : -1;
    if (!bad) {
        bad = sync_name(o, dir, e);
        close(o->fd);
    }
    mem_free(dir);
    return bad;
}

void outfile_close(outfile *o)
{
    if (o->temp && o->temp[0]) {
        unlink(o->temp);
        close(o->fd);
    }
    mem_free(o->temp);
    mem_free(o->path);
    mem_free(o->name);
    *o = (outfile){0};
}
