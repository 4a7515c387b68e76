/* What the fuzzers share: see fuzz.h. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "fuzz.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

void demand(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

void demand_message(const pith_err *e)
{
    demand(e->msg[0] != 0, "a refusal says why");
    for (const char *p = e->msg; *p; p++) demand((unsigned char)*p >= 0x20 && *p != 0x7f, "a message is one clean line");
}

void demand_either(int worked, const pith_err *e)
{
    if (worked) demand(!e->msg[0], "what worked has no message");
    else demand_message(e);
}

char *fuzz_copy(const void *data, size_t n)
{
    char *p = malloc(n ? n : 1);
    demand(p != NULL, "memory");
    return n ? memcpy(p, data, n) : p;
}

char *fuzz_part(fuzz_input *in, size_t *n)
{
    const uint8_t *p = in->at;
    if (!p) return NULL;
    const uint8_t *cut = in->n ? memchr(p, 0xfe, in->n) : NULL;
    *n = cut ? (size_t)(cut - p) : in->n;
    in->at = cut ? cut + 1 : NULL;
    in->n = cut ? in->n - *n - 1 : 0;
    return fuzz_copy(p, *n);
}

static double seconds(clockid_t of)
{
    struct timespec t;
    clock_gettime(of, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds of one clock that an input takes. */
static double run(clockid_t of, const uint8_t *data, size_t n)
{
    double begin = seconds(of);
    fuzz_one(data, n);
    fuzz_clear();
    return seconds(of) - begin;
}

/* What counts is processor time, since other work on the machine makes nothing slow. Asking for it is a system call, so it is
 * asked only of what took long by the clock on the wall, and that runs again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (run(CLOCK_MONOTONIC, data, n) >= 1) demand(run(CLOCK_PROCESS_CPUTIME_ID, data, n) < 1, "an input takes less than a second");
    return 0;
}

/* ---- files in memory: what stands behind -Wl,--wrap ---- */

enum { FILES = 16, OPENED = 64, FIRST_FD = 1 << 20 };
static struct { char path[128]; const void *data; size_t n; } files[FILES];
static struct { size_t file, at; int used; } opened[OPENED];
static void *maps[OPENED];
static size_t map_len[OPENED];
static size_t n_files, n_opened, n_maps;

void fuzz_clear(void)
{
    demand(!n_opened && !n_maps, "what was opened and mapped is given back");
    n_files = 0;
}

const char *fuzz_put(const char *name, const void *data, size_t n)
{
    if (!*name) return FUZZ_DIR;
    demand(n_files < FILES, "room for a file");
    snprintf(files[n_files].path, sizeof files->path, FUZZ_DIR "/%s", name);
    files[n_files].data = data;
    files[n_files].n = n;
    return files[n_files++].path;
}

static int ours(const char *path)
{
    for (size_t i = 0; i < sizeof FUZZ_DIR - 1; i++)
        if (path[i] != FUZZ_DIR[i]) return 0;
    return path[sizeof FUZZ_DIR - 1] == '/' || !path[sizeof FUZZ_DIR - 1];
}

/* Index of the file; FILES: the folder; -1. */
static int find(const char *path)
{
    if (!path[strlen(FUZZ_DIR)]) return FILES;
    for (size_t i = n_files; i-- > 0;)
        if (!strcmp(files[i].path, path)) return (int)i;
    errno = ENOENT;
    return -1;
}

static int fill(int file, struct stat *st)
{
    if (file < 0) return -1;
    *st = (struct stat){.st_mode = file == FILES ? S_IFDIR | 0755 : S_IFREG | 0644, .st_nlink = 1};
    if (file < FILES) st->st_size = (off_t)files[file].n;
    return 0;
}

/* MemorySanitizer does not know what stat writes. */
static struct stat *emptied(struct stat *st) { return memset(st, 0, sizeof *st); }

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (!ours(path)) return __real_fopen(path, mode);
    int i = find(path);
    if (i < 0 || i == FILES) return NULL;
    FILE *f = fmemopen((void *)(uintptr_t)files[i].data, files[i].n, "rb");
    if (f) setvbuf(f, NULL, _IONBF, 0); /* what is in memory needs no buffer */
    return f;
}

static int open_file(const char *path)
{
    int f = find(path);
    for (int i = 0; f >= 0 && f < FILES && i < OPENED; i++) {
        if (opened[i].used) continue;
        opened[i].used = 1, opened[i].at = 0, opened[i].file = (size_t)f, n_opened++;
        return FIRST_FD + i;
    }
    return -1;
}

static ssize_t read_at(size_t file, void *to, size_t n, size_t at)
{
    size_t left = at < files[file].n ? files[file].n - at : 0;
    if (n > left) n = left;
    if (n) memcpy(to, (const char *)files[file].data + at, n);
    return (ssize_t)n;
}

/* A name with and without 64 at its end. */
#define BOTH(TWICE) TWICE() TWICE(64)
#define OPEN(x)                                                                                                       \
    int __real_open##x(const char *path, int flags, ...);                                                              \
    int __wrap_open##x(const char *path, int flags, ...);                                                              \
    int __wrap_open##x(const char *path, int flags, ...)                                                               \
    {                                                                                                                  \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, int) : 0;                                                \
        va_end(ap);                                                                                                    \
        return ours(path) ? open_file(path) : __real_open##x(path, flags, mode);                                       \
    }
#define STAT(x)                                                                                                       \
    int __real_stat##x(const char *path, struct stat *st);                                                             \
    int __wrap_stat##x(const char *path, struct stat *st);                                                             \
    int __wrap_stat##x(const char *path, struct stat *st) { return ours(path) ? fill(find(path), st) : __real_stat##x(path, emptied(st)); } \
    int __real_lstat##x(const char *path, struct stat *st);                                                            \
    int __wrap_lstat##x(const char *path, struct stat *st);                                                            \
    int __wrap_lstat##x(const char *path, struct stat *st) { return ours(path) ? fill(find(path), st) : __real_lstat##x(path, emptied(st)); } \
    int __real_fstat##x(int fd, struct stat *st);                                                                      \
    int __wrap_fstat##x(int fd, struct stat *st);                                                                      \
    int __wrap_fstat##x(int fd, struct stat *st)                                                                       \
    {                                                                                                                  \
        return fd >= FIRST_FD ? fill((int)opened[fd - FIRST_FD].file, st) : __real_fstat##x(fd, emptied(st));          \
    }
#define PREAD(x)                                                                                                      \
    ssize_t __real_pread##x(int fd, void *to, size_t n, off_t at);                                                     \
    ssize_t __wrap_pread##x(int fd, void *to, size_t n, off_t at);                                                     \
    ssize_t __wrap_pread##x(int fd, void *to, size_t n, off_t at)                                                      \
    {                                                                                                                  \
        return fd >= FIRST_FD ? read_at(opened[fd - FIRST_FD].file, to, n, (size_t)at) : __real_pread##x(fd, to, n, at); \
    }
/* Mappings of files are copies that end where the file ends; memory of one's own ends where it ends, not on a page. */
#define MMAP(x)                                                                                                       \
    void *__real_mmap##x(void *addr, size_t n, int prot, int flags, int fd, off_t at);                                 \
    void *__wrap_mmap##x(void *addr, size_t n, int prot, int flags, int fd, off_t at);                                 \
    void *__wrap_mmap##x(void *addr, size_t n, int prot, int flags, int fd, off_t at)                                  \
    {                                                                                                                  \
        if (fd < 0) return map(n, FILES, 0);                                                                           \
        return fd >= FIRST_FD ? map(n, opened[fd - FIRST_FD].file, (size_t)at) : __real_mmap##x(addr, n, prot, flags, fd, at); \
    }

static void *map(size_t n, size_t file, size_t at)
{
    void *p = NULL;
    size_t i = 0;
    while (i < OPENED && maps[i]) i++;
    if (!n || i == OPENED || posix_memalign(&p, 64, n)) return errno = EINVAL, MAP_FAILED;
    memset(p, 0, n);
    if (file < FILES) read_at(file, p, n, at);
    map_len[i] = n, n_maps++;
    return maps[i] = p;
}

BOTH(OPEN)
BOTH(STAT)
BOTH(PREAD)
BOTH(MMAP)

static int index_of(const void *p)
{
    for (int i = 0; i < OPENED; i++)
        if (p && maps[i] == p) return i;
    return -1;
}

int __real_munmap(void *p, size_t n);
int __wrap_munmap(void *p, size_t n);
int __wrap_munmap(void *p, size_t n)
{
    int i = index_of(p);
    if (i < 0) return __real_munmap(p, n);
    free(maps[i]);
    maps[i] = NULL, n_maps--;
    return 0;
}

/* What a file has may always be dropped: the copy stays. */
int __real_madvise(void *p, size_t n, int advice);
int __wrap_madvise(void *p, size_t n, int advice);
int __wrap_madvise(void *p, size_t n, int advice)
{
    for (size_t i = 0; i < OPENED; i++)
        if (maps[i] && (uintptr_t)p >= (uintptr_t)maps[i] && (uintptr_t)p - (uintptr_t)maps[i] < map_len[i]) return 0;
    return __real_madvise(p, n, advice);
}

ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n)
{
    if (fd < FIRST_FD) return __real_read(fd, to, n);
    ssize_t got = read_at(opened[fd - FIRST_FD].file, to, n, opened[fd - FIRST_FD].at);
    opened[fd - FIRST_FD].at += (size_t)got;
    return got;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    if (fd < FIRST_FD) return __real_close(fd);
    demand(opened[fd - FIRST_FD].used, "what is closed is open");
    opened[fd - FIRST_FD].used = 0, n_opened--;
    return 0;
}

char *fuzz_read(const char *path, size_t *n)
{
    FILE *f = __real_fopen(path, "rb");
    size_t cap = 1 << 20, got = 0, r;
    char *p = f ? malloc(cap) : NULL;
    while (p && (r = fread(p + got, 1, cap - got, f)) > 0)
        if ((got += r) == cap) p = realloc(p, cap *= 2);
    if (f) fclose(f);
    if (!p) fprintf(stderr, "%s: cannot be read; run this in the source tree\n", path);
    demand(p != NULL, "a file of the source tree");
    *n = got;
    return p;
}
