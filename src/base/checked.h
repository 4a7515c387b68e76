/* checked: arithmetic on numbers that were read from a file. Each returns 0, or -1 on overflow, where there can be one.
 * tests/arithmetic.sh finds arithmetic on such numbers that goes around it. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H
#include <stddef.h>
#include <stdint.h>

#define CHECKED_T uint64_t
#define CHECKED_SIZE size_t
#define CHECKED_SIZE_MAX SIZE_MAX
#define CHECKED(f) checked_##f
#include "base/checked.inc"
#undef CHECKED_T
#undef CHECKED_SIZE
#undef CHECKED_SIZE_MAX
#undef CHECKED

/* p[0..n), n <= 8, least significant byte first. */
static inline uint64_t checked_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (; n; n--) v = v << 8 | p[n - 1];
    return v;
}

#endif
