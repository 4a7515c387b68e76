/* faults: the n-th allocation fails, or a file is cut before the n-th read. The Makefile wraps the allocators, mmap and
 * pread for the programs that include this. */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static long fail_at, calls; /* fail_at 0: never */
static long cut_at, reads; /* cut_at 0: never */
static const char *cut_path;

static int fails(void) { return fail_at && ++calls == fail_at; }

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__real_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
ssize_t __real_pread64(int fd, void *to, size_t n, off_t at);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off);
ssize_t __wrap_pread64(int fd, void *to, size_t n, off_t at);

void *__wrap_malloc(size_t n) { return fails() ? NULL : __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { return fails() ? NULL : __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { return fails() ? NULL : __real_realloc(p, n); }
void *__wrap_aligned_alloc(size_t align, size_t n) { return fails() ? NULL : __real_aligned_alloc(align, n); }
void *__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    errno = ENOMEM;
    return fails() ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, off);
}
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off) { return __wrap_mmap(at, n, prot, flags, fd, off); }
ssize_t __wrap_pread64(int fd, void *to, size_t n, off_t at)
{
    if (cut_at && ++reads == cut_at && truncate(cut_path, (off_t)(at + (off_t)n / 2))) return -1;
    return __real_pread64(fd, to, n, at);
}
#endif
