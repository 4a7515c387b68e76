/* libc's functions are called last, so that compilers jump to them: tests that ask who allocates see the caller of these. */
#define _POSIX_C_SOURCE 200809L
#include "base/mem.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Written by mem_set alone, while nobody has taken anything. */
static mem_fn *own;
static void *own_ctx;
static atomic_int taken;

int mem_set(mem_fn *fn, void *ctx)
{
    if (atomic_load(&taken)) return -1;
    own = fn;
    own_ctx = ctx;
    return 0;
}

/* Written once: a line that all threads write would be slow. */
static void mark(void)
{
    if (!atomic_load_explicit(&taken, memory_order_relaxed)) atomic_store(&taken, 1);
}

static void *ask(void *p, size_t bytes)
{
    void *got = own(own_ctx, p, bytes);
    if (!got) errno = ENOMEM;
    return got;
}

void *mem_alloc(size_t bytes)
{
    mark();
    if (!bytes) bytes = 1;
    return own ? ask(NULL, bytes) : malloc(bytes);
}

void *mem_zero(size_t n, size_t size)
{
    size_t bytes;
    mark();
    if (!n || !size) n = size = 1;
    if (!own) return calloc(n, size);
    if (__builtin_mul_overflow(n, size, &bytes)) return errno = ENOMEM, NULL;
    void *p = ask(NULL, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

void *mem_resize(void *p, size_t bytes)
{
    mark();
    if (!bytes) bytes = 1;
    return own ? ask(p, bytes) : realloc(p, bytes);
}

void mem_free(void *p)
{
    if (!own) free(p);
    else if (p) own(own_ctx, p, 0);
}

char *mem_copy_n(const char *s, size_t len)
{
    len = strnlen(s, len);
    char *p = mem_alloc(len + 1);
    if (!p) return NULL;
    memcpy(p, s, len);
    p[len] = 0;
    return p;
}

char *mem_copy(const char *s)
{
    size_t bytes = strlen(s) + 1;
    char *p = mem_alloc(bytes);
    return p ? memcpy(p, s, bytes) : NULL;
}

/* Of a program's own memory, whose alignment is not known: what it gave stands just before what is given on. */
void *mem_aligned(size_t align, size_t bytes)
{
    size_t all;
    mark();
    if (!bytes) bytes = 1;
    if (__builtin_add_overflow(bytes, align + sizeof(void *) - 1, &all)) return errno = ENOMEM, NULL;
    if (!own) return aligned_alloc(align, (bytes + align - 1) & ~(align - 1));
    char *p = ask(NULL, all);
    if (!p) return NULL;
    char *at = p + sizeof p;
    at += -(uintptr_t)at & (align - 1);
    memcpy(at - sizeof p, &p, sizeof p);
    return at;
}

void mem_free_aligned(void *p)
{
    void *given = p;
    if (p && own) memcpy(&given, (char *)p - sizeof p, sizeof given);
    mem_free(given);
}

char *mem_adopt(char *libc)
{
    if (!own || !libc) return libc;
    char *p = mem_copy(libc);
    free(libc);
    return p;
}
