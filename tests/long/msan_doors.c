/* What MSan must be told: the C library's calls that clang's runtime does not know, and what the other libraries write,
 * since they are not instrumented. Each library has one door in pith, so this is short. Linked into the parsers' tests by
 * --wrap; what is unpoisoned is only what the callee promises to write. Weak: the fuzzers have some calls of their own. */
#define _GNU_SOURCE
#define PCRE2_CODE_UNIT_WIDTH 8
#include <cjson/cJSON.h>
#include <pcre2.h>
#include <sanitizer/msan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <utf8proc.h>

#define DOOR(type, name, ...)                                                              \
    type __real_##name(__VA_ARGS__);                                                       \
    __attribute__((weak)) type __wrap_##name(__VA_ARGS__);                                 \
    type __wrap_##name(__VA_ARGS__)

DOOR(int, stat64, const char *path, struct stat *st)
{
    int bad = __real_stat64(path, st);
    if (!bad) __msan_unpoison(st, sizeof *st);
    return bad;
}

DOOR(int, fstat64, int fd, struct stat *st)
{
    int bad = __real_fstat64(fd, st);
    if (!bad) __msan_unpoison(st, sizeof *st);
    return bad;
}

DOOR(int, stat, const char *path, struct stat *st)
{
    int bad = __real_stat(path, st);
    if (!bad) __msan_unpoison(st, sizeof *st);
    return bad;
}

DOOR(int, fstat, int fd, struct stat *st)
{
    int bad = __real_fstat(fd, st);
    if (!bad) __msan_unpoison(st, sizeof *st);
    return bad;
}

/* memtext's: what the C library gives to its callback. */
static cookie_write_function_t *taken;
__attribute__((no_sanitize("memory"))) static ssize_t take(void *ctx, const char *data, size_t n)
{
    __msan_unpoison(data, n);
    return taken(ctx, data, n);
}

DOOR(FILE *, fopencookie, void *ctx, const char *how, cookie_io_functions_t io)
{
    taken = io.write;
    io.write = take;
    return __real_fopencookie(ctx, how, io);
}

/* cJSON zeroes its nodes and writes its strings before it gives them away. Not malloc or aligned_alloc, whose calls some tests count. */
static void *unpoisoned(size_t n)
{
    void *p;
    if (posix_memalign(&p, 16, n)) return NULL;
    __msan_unpoison(p, n);
    return p;
}

__attribute__((constructor)) static void hook_cjson(void)
{
    cJSON_Hooks hooks = {unpoisoned, free};
    cJSON_InitHooks(&hooks);
}

DOOR(utf8proc_ssize_t, utf8proc_decompose_char, utf8proc_int32_t c, utf8proc_int32_t *to, utf8proc_ssize_t cap, utf8proc_option_t options, int *last)
{
    utf8proc_ssize_t n = __real_utf8proc_decompose_char(c, to, cap, options, last);
    if (n > 0) __msan_unpoison(to, (size_t)(n < cap ? n : cap) * sizeof *to);
    return n;
}

DOOR(size_t *, pcre2_get_ovector_pointer_8, pcre2_match_data *m)
{
    size_t *p = __real_pcre2_get_ovector_pointer_8(m);
    __msan_unpoison(p, 2 * pcre2_get_ovector_count(m) * sizeof *p);
    return p;
}

DOOR(pcre2_code *, pcre2_compile_8, PCRE2_SPTR s, size_t n, uint32_t options, int *error, size_t *at, pcre2_compile_context *c)
{
    pcre2_code *code = __real_pcre2_compile_8(s, n, options, error, at, c);
    __msan_unpoison(error, sizeof *error);
    __msan_unpoison(at, sizeof *at);
    return code;
}

DOOR(int, pcre2_get_error_message_8, int code, PCRE2_UCHAR *to, size_t cap)
{
    int n = __real_pcre2_get_error_message_8(code, to, cap);
    if (n >= 0) __msan_unpoison(to, (size_t)n + 1);
    return n;
}
