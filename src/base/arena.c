#define _POSIX_C_SOURCE 200809L
#include "base/arena.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

void *arena_take(arena *a, size_t n, size_t size)
{
    size_t bytes, next;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX - 63 ||
        __builtin_add_overflow(a->used, (bytes + 63) & ~(size_t)63, &next)) {
        a->overflow = 1;
        return NULL;
    }
    char *p = a->base ? a->base + a->used : NULL;
    a->used = next;
    assert(!a->base || a->used <= a->cap);
    return p;
}

int arena_reserve(arena *a, size_t bytes, pith_err *e)
{
    if (bytes > a->cap || !a->base) {
        void *p = NULL;
        size_t cap = bytes ? bytes : 64;
        if (posix_memalign(&p, 64, cap)) return err_nomem(e, cap, "working memory");
        free(a->base);
        a->base = p;
        a->cap = cap;
    }
    a->used = 0;
    return 0;
}

void arena_free(arena *a)
{
    free(a->base);
    *a = (arena){0};
}
