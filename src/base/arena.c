#include "base/arena.h"
#include "base/mem.h"
#include <assert.h>
#include <stdint.h>

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
        size_t cap = bytes ? bytes : 64;
        void *p = mem_aligned(64, cap);
        if (!p) return err_nomem(e, cap, "working memory");
        mem_free_aligned(a->base);
        a->base = p;
        a->cap = cap;
    }
    a->used = 0;
    return 0;
}

void arena_free(arena *a)
{
    mem_free_aligned(a->base);
    *a = (arena){0};
}
