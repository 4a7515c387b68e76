/* torture: a library to preload that runs one command again and again (torture_runs.c), each time with another call
 * failing: an allocation, a mapping, opening, reading or writing a file, starting a thread. Kinds and environment are told
 * there. What a run allocates is counted, too: what is live when main returns is lost.
 *
 * Not made to fail, and not counted, are allocations (and threads) by
 *   - the dynamic linker: a thread's first use of a library's thread-local storage. It ends the process when that fails;
 *   - libgomp: before main, and of its threads, which pith has tried for before (par.c). It ends the process, too.
 * No caller can prevent these. All else may fail: libc's own on the program's behalf (fopen, getline, pthread_create, ...),
 * and those of every other library.
 * Writes to 0, 1 and 2 by write(2) go through; streams' output fails where the program asks whether it did: fflush, fclose. */
#include "torture.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PUBLIC __attribute__((visibility("default")))
#define CALLER __builtin_return_address(0)

torture_state *torture;
static _Thread_local int inside __attribute__((tls_model("initial-exec")));

/* ---- who calls ---- */

typedef struct module {
    uintptr_t base, begin, end; /* its code */
    const char *name;
    int spared;
} module;
static module modules[64];
static int n_modules;

static int add_module(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size, (void)ctx;
    const char *slash = strrchr(info->dlpi_name, '/'), *name = slash ? slash + 1 : info->dlpi_name;
    for (int i = 0; i < info->dlpi_phnum && n_modules < 64; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X)) continue;
        uintptr_t begin = info->dlpi_addr + p->p_vaddr;
        int own = (uintptr_t)add_module >= begin && (uintptr_t)add_module < begin + p->p_memsz;
        int spared = own || !strncmp(name, "ld-", 3) || !strncmp(name, "libgomp", 7) || !strncmp(name, "libomp", 6);
        modules[n_modules++] = (module){info->dlpi_addr, begin, begin + p->p_memsz, *name ? name : "pith", spared};
    }
    return 0;
}
void torture_modules(void) { dl_iterate_phdr(add_module, NULL); }

static const module *module_of(const void *addr)
{
    for (int i = 0; i < n_modules; i++)
        if ((uintptr_t)addr >= modules[i].begin && (uintptr_t)addr < modules[i].end) return &modules[i];
    return NULL;
}

const char *torture_where(const void *addr, char *buf, size_t cap)
{
    const module *m = module_of(addr);
    snprintf(buf, cap, "%s+%#lx", m ? m->name : "?", (unsigned long)((uintptr_t)addr - (m ? m->base : 0)));
    return buf;
}

static int watched(const void *caller)
{
    if (!torture || !torture->armed || inside) return 0;
    const module *m = module_of(caller);
    return m && !m->spared;
}

/* ---- what fails ---- */

static int fails(unsigned kind, const char *name)
{
    if (!torture || !torture->armed || inside || !(torture->kinds & kind)) return 0;
    long n = __atomic_add_fetch(&torture->calls, 1, __ATOMIC_SEQ_CST);
    if (!torture->at || n < torture->at || (n > torture->at && !torture->on)) return 0;
    if (n == torture->at) {
        inside = 1;
        torture->n_frames = backtrace(torture->frames, TORTURE_FRAMES);
        snprintf(torture->name, sizeof torture->name, "%s", name);
        inside = 0;
    }
    return 1;
}

/* ---- what is live ---- */

typedef struct block {
    void *p;
    const void *caller;
} block;
enum { SLOTS = 1 << 17 };
static block blocks[SLOTS];
static long n_blocks, n_maps;
static volatile char held;
static const void *known[256];
static int n_known;

static void hold(void)
{
    while (__atomic_test_and_set(&held, __ATOMIC_ACQUIRE)) continue;
}
static void release(void) { __atomic_clear(&held, __ATOMIC_RELEASE); }
static size_t home(const void *p) { return (size_t)(((uintptr_t)p >> 4) * 0x9e3779b97f4a7c15ull >> 47); }

static void born(void *p, const void *caller)
{
    if (!p || !watched(caller)) return;
    hold();
    if (n_blocks < SLOTS / 2) {
        size_t i = home(p);
        while (blocks[i].p) i = (i + 1) % SLOTS;
        blocks[i] = (block){p, caller};
        n_blocks++;
    }
    release();
}

static void died(const void *p)
{
    if (!p || !n_blocks) return;
    hold();
    size_t i = home(p);
    while (blocks[i].p && blocks[i].p != p) i = (i + 1) % SLOTS;
    if (blocks[i].p) {
        n_blocks--;
        /* Close the gap: who stands behind it may belong before it. */
        for (size_t j = (i + 1) % SLOTS; blocks[j].p; j = (j + 1) % SLOTS)
            if ((j - home(blocks[j].p)) % SLOTS >= (j - i) % SLOTS) blocks[i] = blocks[j], i = j;
        blocks[i].p = NULL;
    }
    release();
}

static int is_known(const void *caller)
{
    for (int i = 0; i < n_known; i++)
        if (known[i] == caller) return 1;
    return 0;
}
void torture_known(void)
{
    for (int i = 0; i < TORTURE_LEAKS; i++)
        if (torture->leaks[i] && n_known < 256) known[n_known++] = torture->leaks[i];
}

void torture_count_live(void)
{
    int n = 0;
    torture->armed = 0;
    torture->live = torture->fds = 0;
    torture->maps = n_maps;
    memset(torture->leaks, 0, sizeof torture->leaks);
    for (size_t i = 0; i < SLOTS; i++) {
        if (!blocks[i].p || is_known(blocks[i].caller)) continue;
        torture->live++;
        if (n < TORTURE_LEAKS) torture->leaks[n++] = (void *)(uintptr_t)blocks[i].caller;
    }
    for (int fd = 0; fd < 256; fd++) torture->fds += fcntl(fd, F_GETFD) >= 0;
    torture->ended = 1;
}

/* ---- memory: glibc's allocator under its other names ---- */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

static int no_memory(const char *name, const void *caller)
{
    if (!watched(caller) || !fails(TORTURE_MEMORY, name)) return 0;
    errno = ENOMEM;
    return 1;
}
static void *got(void *p, const void *caller)
{
    born(p, caller);
    return p;
}

PUBLIC void *malloc(size_t n) { return no_memory("malloc", CALLER) ? NULL : got(__libc_malloc(n), CALLER); }
PUBLIC void *calloc(size_t n, size_t size) { return no_memory("calloc", CALLER) ? NULL : got(__libc_calloc(n, size), CALLER); }
PUBLIC void *realloc(void *old, size_t n)
{
    if (no_memory("realloc", CALLER)) return NULL;
    died(old);
    void *p = __libc_realloc(old, n);
    if (p || (old && n)) born(p ? p : old, CALLER);
    return p;
}
PUBLIC void *reallocarray(void *old, size_t n, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(n, size, &all)) return errno = ENOMEM, NULL;
    if (no_memory("reallocarray", CALLER)) return NULL;
    died(old);
    void *p = __libc_realloc(old, all);
    if (p || (old && all)) born(p ? p : old, CALLER);
    return p;
}
PUBLIC void *memalign(size_t align, size_t n) { return no_memory("memalign", CALLER) ? NULL : got(__libc_memalign(align, n), CALLER); }
PUBLIC void *aligned_alloc(size_t align, size_t n)
{
    return no_memory("aligned_alloc", CALLER) ? NULL : got(__libc_memalign(align, n), CALLER);
}
PUBLIC int posix_memalign(void **p, size_t align, size_t n)
{
    void *got_it = no_memory("posix_memalign", CALLER) ? NULL : got(__libc_memalign(align, n), CALLER);
    if (!got_it) return ENOMEM;
    *p = got_it;
    return 0;
}
PUBLIC void free(void *p)
{
    died(p);
    __libc_free(p);
}

/* ---- the other calls ---- */

#define REAL(type, name, params)                                                                                                           \
    static type(*real) params;                                                                                                             \
    if (!real) {                                                                                                                           \
        inside++;                                                                                                                          \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                                                                                         \
        inside--;                                                                                                                          \
    }

/* A function that may fail: then it sets errno to `error` and returns `bad`. The last are the arguments passed on. */
#define WRAP(kind, error, bad, type, name, params, ...)                                                                                    \
    PUBLIC type name params                                                                                                                \
    {                                                                                                                                      \
        REAL(type, name, params)                                                                                                           \
        if (watched(CALLER) && fails(kind, #name)) return errno = error, bad;                                                              \
        return real(__VA_ARGS__);                                                                                                          \
    }

#define WRAP_MMAP(name, off)                                                                                                               \
    PUBLIC void *name(void *at, size_t n, int prot, int flags, int fd, off from)                                                           \
    {                                                                                                                                      \
        REAL(void *, name, (void *, size_t, int, int, int, off))                                                                           \
        if (!watched(CALLER)) return real(at, n, prot, flags, fd, from);                                                                   \
        void *p = fails(TORTURE_MAP, #name) ? (errno = ENOMEM, MAP_FAILED) : real(at, n, prot, flags, fd, from);                           \
        if (p != MAP_FAILED) __atomic_add_fetch(&n_maps, 1, __ATOMIC_SEQ_CST);                                                             \
        return p;                                                                                                                          \
    }
WRAP_MMAP(mmap, off_t)
WRAP_MMAP(mmap64, off64_t)
PUBLIC int munmap(void *p, size_t n)
{
    REAL(int, munmap, (void *, size_t))
    if (watched(CALLER)) __atomic_sub_fetch(&n_maps, 1, __ATOMIC_SEQ_CST);
    return real(p, n);
}
WRAP(TORTURE_MAP, ENOMEM, -1, int, madvise, (void *p, size_t n, int how), p, n, how)
WRAP(TORTURE_MAP, ENOMEM, -1, int, posix_madvise, (void *p, size_t n, int how), p, n, how)
WRAP(TORTURE_MAP, ENOMEM, -1, int, mprotect, (void *p, size_t n, int how), p, n, how)

#define WRAP_OPEN(name, params, last, ...)                                                                                                 \
    PUBLIC int name params                                                                                                                 \
    {                                                                                                                                      \
        REAL(int, name, params)                                                                                                            \
        va_list ap;                                                                                                                        \
        va_start(ap, last);                                                                                                                \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                                                            \
        va_end(ap);                                                                                                                        \
        if (watched(CALLER) && fails(TORTURE_OPEN, #name)) return errno = EMFILE, -1;                                                      \
        return real(__VA_ARGS__, mode);                                                                                                    \
    }
WRAP_OPEN(open, (const char *path, int flags, ...), flags, path, flags)
WRAP_OPEN(open64, (const char *path, int flags, ...), flags, path, flags)
WRAP_OPEN(openat, (int dir, const char *path, int flags, ...), flags, dir, path, flags)
WRAP_OPEN(openat64, (int dir, const char *path, int flags, ...), flags, dir, path, flags)
WRAP(TORTURE_OPEN, EMFILE, NULL, FILE *, fopen, (const char *path, const char *mode), path, mode)
WRAP(TORTURE_OPEN, EMFILE, NULL, FILE *, fopen64, (const char *path, const char *mode), path, mode)
WRAP(TORTURE_OPEN, EMFILE, NULL, FILE *, fdopen, (int fd, const char *mode), fd, mode)
WRAP(TORTURE_OPEN, EMFILE, NULL, DIR *, opendir, (const char *path), path)
WRAP(TORTURE_OPEN, EMFILE, NULL, DIR *, fdopendir, (int fd), fd)
WRAP(TORTURE_OPEN, EMFILE, -1, int, socket, (int a, int b, int c), a, b, c)
WRAP(TORTURE_OPEN, EMFILE, -1, int, pipe, (int fds[2]), fds)
WRAP(TORTURE_OPEN, EMFILE, -1, int, pipe2, (int fds[2], int flags), fds, flags)
WRAP(TORTURE_OPEN, EMFILE, -1, int, eventfd, (unsigned n, int flags), n, flags)
WRAP(TORTURE_OPEN, EMFILE, -1, int, epoll_create1, (int flags), flags)

WRAP(TORTURE_READ, EIO, -1, ssize_t, read, (int fd, void *p, size_t n), fd, p, n)
WRAP(TORTURE_READ, EIO, -1, ssize_t, pread, (int fd, void *p, size_t n, off_t at), fd, p, n, at)
WRAP(TORTURE_READ, EIO, -1, ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), fd, p, n, at)
WRAP(TORTURE_READ, EIO, -1, int, fstat, (int fd, struct stat *st), fd, st)
WRAP(TORTURE_READ, EIO, -1, int, fstat64, (int fd, struct stat64 *st), fd, st)
WRAP(TORTURE_READ, EIO, NULL, struct dirent *, readdir, (DIR *d), d)
WRAP(TORTURE_READ, EIO, NULL, struct dirent64 *, readdir64, (DIR *d), d)
PUBLIC size_t fread(void *p, size_t size, size_t n, FILE *f)
{
    REAL(size_t, fread, (void *, size_t, size_t, FILE *))
    if (watched(CALLER) && fails(TORTURE_READ, "fread")) {
        f->_flags |= 0x20; /* glibc's mark of an error, which ferror looks at */
        return errno = EIO, 0;
    }
    return real(p, size, n, f);
}

#define WRITE(error, name, params, ...) WRAP(TORTURE_WRITE, error, -1, int, name, params, __VA_ARGS__)
#define WRITES(name, params, ...) WRAP(TORTURE_WRITE, ENOSPC, -1, ssize_t, name, params, __VA_ARGS__)
WRITES(pwrite, (int fd, const void *p, size_t n, off_t at), fd, p, n, at)
WRITES(pwrite64, (int fd, const void *p, size_t n, off64_t at), fd, p, n, at)
WRITES(copy_file_range, (int a, off64_t *x, int b, off64_t *y, size_t n, unsigned flags), a, x, b, y, n, flags)
WRITES(sendfile, (int a, int b, off_t *at, size_t n), a, b, at, n)
WRITES(send, (int fd, const void *p, size_t n, int flags), fd, p, n, flags)
WRITE(EIO, fsync, (int fd), fd)
WRITE(EIO, fdatasync, (int fd), fd)
WRITE(EIO, ftruncate, (int fd, off_t n), fd, n)
WRITE(EIO, ftruncate64, (int fd, off64_t n), fd, n)
WRITE(ENOSPC, fallocate, (int fd, int mode, off_t at, off_t n), fd, mode, at, n)
WRITE(ENOSPC, fallocate64, (int fd, int mode, off64_t at, off64_t n), fd, mode, at, n)
WRITE(EPERM, fchmod, (int fd, mode_t mode), fd, mode)
WRITE(EIO, rename, (const char *from, const char *to), from, to)
WRITE(EIO, renameat2, (int a, const char *from, int b, const char *to, unsigned flags), a, from, b, to, flags)
WRITE(EIO, link, (const char *from, const char *to), from, to)
WRITE(ENOSPC, mkdir, (const char *path, mode_t mode), path, mode)
PUBLIC ssize_t write(int fd, const void *p, size_t n)
{
    REAL(ssize_t, write, (int, const void *, size_t))
    const module *m = module_of(CALLER); /* libmicrohttpd's wake its own thread, which cannot fail: an eventfd has room */
    if (fd > 2 && watched(CALLER) && strncmp(m->name, "libmicrohttpd", 13) && fails(TORTURE_WRITE, "write")) return errno = ENOSPC, -1;
    return real(fd, p, n);
}
/* What the stream holds back is lost. */
static int lost(FILE *f, const char *name, const void *caller)
{
    if (!f || !__fwritable(f) || fileno(f) < 0 || fileno(f) == 2 || !watched(caller) || !fails(TORTURE_WRITE, name)) return 0;
    __fpurge(f);
    f->_flags |= 0x20;
    return 1;
}
PUBLIC int fflush(FILE *f)
{
    REAL(int, fflush, (FILE *))
    return lost(f, "fflush", CALLER) ? (errno = ENOSPC, EOF) : real(f);
}
PUBLIC int fclose(FILE *f)
{
    REAL(int, fclose, (FILE *))
    if (!lost(f, "fclose", CALLER)) return real(f);
    real(f);
    return errno = ENOSPC, EOF;
}

PUBLIC int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))
    return watched(CALLER) && fails(TORTURE_THREAD, "pthread_create") ? EAGAIN : real(t, a, fn, arg);
}

/* ---- the program ---- */

static int (*real_main)(int, char **, char **);

static int instead(int argc, char **argv, char **envp)
{
    int status = torture_runs(real_main, argc, argv, envp);
    return status < 0 ? real_main(argc, argv, envp) : status;
}

PUBLIC int __libc_start_main(int (*run)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                             void (*rtld_fini)(void), void *end)
{
    int (*real)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    real_main = run;
    return real(instead, argc, argv, init, fini, rtld_fini, end);
}
