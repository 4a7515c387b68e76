/* util: what the C tests share. Tests run from the repository's root. Goldens that are not part of the project lie in
 * $PITH_SHARED (default ../shared); a test that needs them and has none skips, and says so. */
#ifndef TESTS_UTIL_H
#define TESTS_UTIL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Path of a file or folder under the shared goldens, in one of 8 rotating buffers; NULL if it is not there. */
static inline const char *util_shared(const char *rel)
{
    static char buf[8][1024];
    static unsigned turn;
    const char *root = getenv("PITH_SHARED");
    char *p = buf[turn++ % 8];
    snprintf(p, 1024, "%s/%s", root && *root ? root : "../shared", rel);
    struct stat st;
    return stat(p, &st) ? NULL : p;
}
/* const char *p = util_need("golden/x"); skips the test, saying why, where it is not there. */
#define util_need(rel) (util_shared(rel) ? util_shared(rel) : (printf("# skip: no shared goldens (%s)\n", rel), skip(), ""))

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UTIL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define UTIL_SANITIZED 1
#endif
#endif
#ifndef UTIL_SANITIZED
#define UTIL_SANITIZED 0
#endif

/* LONG=1 (make test-long): whether every case runs, and not a choice of them. */
static inline int util_long(void)
{
    const char *l = getenv("LONG");
    return l && *l;
}

/* Whole file, NUL-terminated; fails the test if it cannot be read. */
static inline char *util_read(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("cannot open %s", path);
    size_t cap = 1 << 16, n = 0, r;
    char *b = malloc(cap + 1);
    while (b && (r = fread(b + n, 1, cap - n, f)) > 0) {
        n += r;
        if (n == cap) b = realloc(b, (cap *= 2) + 1);
    }
    fclose(f);
    if (!b) fail_msg("out of memory reading %s", path);
    b[n] = 0;
    if (len) *len = n;
    return b;
}
#endif
