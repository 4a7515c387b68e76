#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "base/platform.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif
#ifdef __linux__
#include <sys/auxv.h>
#include <sys/syscall.h>
#endif
#if defined(__linux__) || defined(__APPLE__)
#include <sys/random.h> /* getentropy; the BSDs have it in unistd.h */
#endif

/* ---- files ---- */

#ifdef __linux__
enum { NO_REPLACE = 1, EXCHANGE = 2 };
#ifdef RENAME_NOREPLACE
static int rename2(const char *from, const char *to, unsigned how) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, how); }
#else /* musl leaves it to the caller */
static int rename2(const char *from, const char *to, unsigned how)
{
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, how);
}
#endif
#elif defined(__APPLE__)
enum { NO_REPLACE = RENAME_EXCL, EXCHANGE = RENAME_SWAP };
static int rename2(const char *from, const char *to, unsigned how) { return renamex_np(from, to, how); }
#else
enum { NO_REPLACE, EXCHANGE };
static int rename2(const char *from, const char *to, unsigned how)
{
    (void)from, (void)to, (void)how;
    errno = ENOSYS;
    return -1;
}
#endif

int platform_rename_new(const char *from, const char *to) { return rename2(from, to, NO_REPLACE); }
int platform_rename_exchange(const char *a, const char *b) { return rename2(a, b, EXCHANGE); }

int platform_reserve(int fd, uint64_t size)
{
#ifdef __linux__
    return size ? fallocate(fd, 0, 0, (off_t)size) : 0;
#else
    (void)fd, (void)size;
    return 0;
#endif
}

void platform_write_back(int fd, uint64_t at, size_t n, uint64_t before, size_t n_before)
{
#ifdef SYNC_FILE_RANGE_WRITE
    sync_file_range(fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);
    if (n_before) sync_file_range(fd, (off_t)before, (off_t)n_before, SYNC_FILE_RANGE_WAIT_BEFORE);
#else
    (void)fd, (void)at, (void)n, (void)before, (void)n_before;
#endif
}

int platform_sync_all(int fd)
{
#ifdef __linux__
    return syncfs(fd);
#else
    (void)fd;
    sync();
    return 0;
#endif
}

/* ---- memory and randomness ---- */

void platform_huge(void *p, size_t n)
{
#ifdef MADV_HUGEPAGE
    madvise(p, n, MADV_HUGEPAGE);
#else
    (void)p, (void)n;
#endif
}

int platform_random(void *p, size_t n) { return getentropy(p, n); }

/* ---- processors ---- */

#ifdef __linux__
_Static_assert(sizeof(platform_cpus) >= sizeof(cpu_set_t), "a set of processors does not fit");

void platform_cpus_get(platform_cpus *out)
{
    cpu_set_t set;
    *out = (platform_cpus){{0}};
    if (sched_getaffinity(0, sizeof set, &set) == 0) memcpy(out->set, &set, sizeof set);
}

static int cpus_allowed(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
}

int platform_cpu(void) { return sched_getcpu(); }

void platform_keep_off(int cpu, const platform_cpus *allowed, const pthread_t *threads, int n, int one)
{
    int next = -1;
    cpu_set_t rest, single;
    memcpy(&rest, allowed->set, sizeof rest);
    CPU_CLR((size_t)cpu, &rest);
    if (!CPU_COUNT(&rest)) return;
    for (int i = 0; i < n; i++) {
        do next = (next + 1) % CPU_SETSIZE;
        while (!CPU_ISSET((size_t)next, &rest));
        CPU_ZERO(&single);
        CPU_SET((size_t)next, &single);
        pthread_setaffinity_np(threads[i], sizeof single, one ? &single : &rest);
    }
}
#else
void platform_cpus_get(platform_cpus *out) { *out = (platform_cpus){{0}}; }

static int cpus_allowed(void) { return 0; }

int platform_cpu(void) { return -1; }

void platform_keep_off(int cpu, const platform_cpus *allowed, const pthread_t *threads, int n, int one)
{
    (void)cpu, (void)allowed, (void)threads, (void)n, (void)one;
}
#endif

int platform_cpus_count(void)
{
    int n = cpus_allowed();
    long all = n > 0 ? n : sysconf(_SC_NPROCESSORS_ONLN);
    return all > 0 && all < 1 << 16 ? (int)all : 1;
}

#if defined(__linux__) && defined(__aarch64__)
enum { DOT = 1 << 20, I8MM = 1 << 13 }; /* of AT_HWCAP and AT_HWCAP2 */
int platform_arm_dot(void) { return (getauxval(AT_HWCAP) & DOT) != 0; }
int platform_arm_i8mm(void) { return platform_arm_dot() && (getauxval(AT_HWCAP2) & I8MM); }
#else
int platform_arm_dot(void) { return 0; }
int platform_arm_i8mm(void) { return 0; }
#endif

int platform_amx(void)
{
#if defined(__linux__) && defined(__x86_64__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) ? -1 : 0;
#else
    return -1;
#endif
}

/* ---- the program ---- */

ssize_t platform_program(char *path, size_t size)
{
#if defined(__linux__)
    return readlink("/proc/self/exe", path, size);
#elif defined(__APPLE__)
    uint32_t n = size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
    return _NSGetExecutablePath(path, &n) ? (ssize_t)size : (ssize_t)strlen(path);
#elif defined(__NetBSD__)
    return readlink("/proc/curproc/exe", path, size);
#else
    return readlink("/proc/curproc/file", path, size); /* where the BSDs mount it */
#endif
}
