/* faults: a library to preload (LD_PRELOAD) that lets the n-th call that changes a file system fail, and can cut writes
 * short. Standard files (0, 1, 2) are left alone. Environment:
 *   FAULT_AT=N        the call that fails, from 1; unset: none
 *   FAULT_ERRNO=N     with what, a number (default EIO); only this once, or
 *   FAULT_ON=1        from there on
 *   FAULT_ONLY=NAMES  count only these functions (words; without "64")
 *   FAULT_SHORT=1     each write of two bytes or more does half of what it is asked to
 *   FAULT_TOLD=FILE   gets a line for each call that was made to fail: number and function
 *   FAULT_CUT=FILE    is cut to FAULT_CUT_TO bytes (default 0) when it has been mapped, or opened by fopen, for the
 *   FAULT_CUT_AT=N    N-th time (default 1)
 * What stdio writes by itself does not come by here. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int calls, ready;

/* Until here what is called comes from a sanitizer that begins, and the functions that it takes the place of cannot be called yet. */
__attribute__((constructor)) static void begin(void) { ready = 1; }

static long setting(const char *name, long otherwise)
{
    const char *s = ready ? getenv(name) : NULL;
    return s && *s ? strtol(s, NULL, 10) : otherwise;
}

static void tell(const char *name, int n)
{
    char line[64];
    const char *path = getenv("FAULT_TOLD");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    int len = snprintf(line, sizeof line, "%d %s\n", n, name);
    if (fd < 0) return;
    if (syscall(SYS_write, fd, line, (size_t)len) != len) _exit(99);
    syscall(SYS_close, fd);
}

/* Shall this call fail? */
static int fails(const char *name)
{
    const char *only = getenv("FAULT_ONLY");
    long at = setting("FAULT_AT", 0);
    if (!at) return 0;
    size_t len = strcspn(name, "6");
    int asked = !only || !*only;
    for (const char *p = only; p && *p && !asked; p += strcspn(p, " "), p += strspn(p, " "))
        asked = strcspn(p, " ") == len && !memcmp(p, name, len);
    if (!asked) return 0;
    int n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (n < at || (n > at && !setting("FAULT_ON", 0))) return 0;
    tell(name, n);
    errno = (int)setting("FAULT_ERRNO", EIO);
    return 1;
}

static size_t cut(size_t n) { return n > 1 && setting("FAULT_SHORT", 0) ? n / 2 : n; }

/* A function that may fail; `counts` says whether this call may, `...` are the arguments passed on. */
#define WRAP(type, name, params, counts, ...)                                                                                              \
    __attribute__((visibility("default"))) type name params                                                                                \
    {                                                                                                                                      \
        static type(*real) params;                                                                                                         \
        if ((counts) && fails(#name)) return -1;                                                                                           \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                              \
        return real(__VA_ARGS__);                                                                                                          \
    }

WRAP(ssize_t, write, (int fd, const void *p, size_t n), fd > 2, fd, p, fd > 2 ? cut(n) : n)
WRAP(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), 1, fd, p, cut(n), at)
WRAP(ssize_t, pwrite64, (int fd, const void *p, size_t n, off64_t at), 1, fd, p, cut(n), at)
WRAP(int, fsync, (int fd), 1, fd)
WRAP(int, fdatasync, (int fd), 1, fd)
WRAP(int, syncfs, (int fd), 1, fd)
WRAP(int, ftruncate, (int fd, off_t n), 1, fd, n)
WRAP(int, ftruncate64, (int fd, off64_t n), 1, fd, n)
WRAP(int, fallocate, (int fd, int mode, off_t at, off_t n), 1, fd, mode, at, n)
WRAP(int, fallocate64, (int fd, int mode, off64_t at, off64_t n), 1, fd, mode, at, n)
WRAP(int, fchmod, (int fd, mode_t mode), 1, fd, mode)
WRAP(int, rename, (const char *from, const char *to), 1, from, to)
WRAP(int, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), 1, a, from, b, to, flags)
WRAP(int, link, (const char *from, const char *to), 1, from, to)
WRAP(int, mkdir, (const char *path, mode_t mode), 1, path, mode)
WRAP(int, unlink, (const char *path), 1, path)
WRAP(int, unlinkat, (int dir, const char *path, int flags), 1, dir, path, flags)
WRAP(int, rmdir, (const char *path), 1, path)

/* Opening to write, or a folder to sync it. */
#define WRAP_OPEN(name, params, last, ...)                                                                                                 \
    __attribute__((visibility("default"))) int name params                                                                                 \
    {                                                                                                                                      \
        static int(*real) params;                                                                                                          \
        va_list ap;                                                                                                                        \
        va_start(ap, last);                                                                                                                \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                                                            \
        va_end(ap);                                                                                                                        \
        if ((flags & (O_WRONLY | O_RDWR | O_CREAT | O_DIRECTORY)) && fails(#name)) return -1;                                                            \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                              \
        return real(__VA_ARGS__, mode);                                                                                                    \
    }

WRAP_OPEN(open, (const char *path, int flags, ...), flags, path, flags)
WRAP_OPEN(open64, (const char *path, int flags, ...), flags, path, flags)
WRAP_OPEN(openat, (int dir, const char *path, int flags, ...), flags, dir, path, flags)
WRAP_OPEN(openat64, (int dir, const char *path, int flags, ...), flags, dir, path, flags)

/* ---- a file that another program cuts short while it is in use ---- */

static void cut_file(int fd)
{
    static int times;
    struct stat here, there;
    const char *path = getenv("FAULT_CUT");
    if (!path || fd < 0 || fstat(fd, &here) || stat(path, &there) || here.st_ino != there.st_ino || here.st_dev != there.st_dev) return;
    if (++times == setting("FAULT_CUT_AT", 1) && truncate(path, setting("FAULT_CUT_TO", 0))) _exit(99);
}

#define WRAP_MMAP(name, offset)                                                                                                            \
    __attribute__((visibility("default"))) void *name(void *at, size_t n, int prot, int flags, int fd, offset from)                        \
    {                                                                                                                                      \
        static void *(*real)(void *, size_t, int, int, int, offset);                                                                       \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                              \
        void *p = real(at, n, prot, flags, fd, from);                                                                                      \
        cut_file(fd);                                                                                                                      \
        return p;                                                                                                                          \
    }
WRAP_MMAP(mmap, off_t)
WRAP_MMAP(mmap64, off64_t)

#define WRAP_FOPEN(name)                                                                                                                   \
    __attribute__((visibility("default"))) FILE *name(const char *path, const char *how)                                                   \
    {                                                                                                                                      \
        static FILE *(*real)(const char *, const char *);                                                                                  \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                              \
        FILE *f = real(path, how);                                                                                                         \
        if (f) cut_file(fileno(f));                                                                                                        \
        return f;                                                                                                                          \
    }
WRAP_FOPEN(fopen)
WRAP_FOPEN(fopen64)
