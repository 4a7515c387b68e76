/* checked: arithmetic on numbers that were read from a file. Each returns 0, or -1 on overflow. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H
#include <stddef.h>
#include <stdint.h>

static inline int checked_add(uint64_t a, uint64_t b, uint64_t *r) { return __builtin_add_overflow(a, b, r) ? -1 : 0; }
static inline int checked_mul(uint64_t a, uint64_t b, uint64_t *r) { return __builtin_mul_overflow(a, b, r) ? -1 : 0; }
/* a[0] * ... * a[n-1]; 1 for n = 0; any zero gives 0 even where the rest would overflow. */
static inline int checked_product(const uint64_t *a, size_t n, uint64_t *r)
{
    uint64_t p = 1;
    int over = 0;
    for (size_t i = 0; i < n; i++) {
        if (a[i] == 0) { *r = 0; return 0; }
        if (checked_mul(p, a[i], &p)) over = 1;
    }
    *r = p;
    return over ? -1 : 0;
}
static inline int checked_size(uint64_t a, size_t *r)
{
    if (a > SIZE_MAX) return -1;
    *r = (size_t)a;
    return 0;
}

#endif
