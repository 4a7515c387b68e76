/* bench_tokenizer: seconds to open a tokenizer and MB/s of tokenizer_encode_plain, offsets included, on one core.
 * usage: bench_tokenizer DIR FILE [LINES]   FILE's text; with LINES, one call a line instead of one for the file. */
#define _POSIX_C_SOURCE 200809L
#include "tokenizer/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* processor time: other programs on the machine do not count */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static char *read_all(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0, cap = 1 << 20;
    char *b = f ? malloc(cap) : NULL;
    while (b && (n += fread(b + n, 1, cap - n, f)) == cap) {
        char *more = realloc(b, cap *= 2);
        if (!more) free(b);
        b = more;
    }
    if (f) fclose(f);
    *len = n;
    return b;
}

static int encode(const tokenizer *t, const char *text, size_t len, int lines, size_t *tokens, pith_err *e)
{
    tokenizer_encoding x = {0};
    int rc = 0;
    *tokens = 0;
    for (size_t i = 0; i < len && !rc;) {
        const char *end = lines ? memchr(text + i, '\n', len - i) : NULL;
        size_t n = end ? (size_t)(end - text) - i : len - i;
        rc = tokenizer_encode_plain(t, text + i, n, NULL, &x, e);
        *tokens += x.n;
        i += n + 1;
    }
    tokenizer_encoding_free(&x);
    return rc;
}

int main(int argc, char **argv)
{
    pith_err e = {{0}};
    size_t len, tokens = 0;
    char *text = argc > 2 ? read_all(argv[2], &len) : NULL;
    if (!text) {
        fprintf(stderr, "usage: bench_tokenizer DIR FILE [LINES]\n");
        return 2;
    }
    double best_open = 1e9, best = 1e9;
    tokenizer *t = NULL;
    for (int i = 0; i < 10; i++) {
        tokenizer_free(t);
        double t0 = now();
        t = tokenizer_open(argv[1], &e);
        double s = now() - t0;
        if (s < best_open) best_open = s;
    }
    for (int i = 0; i < 7 && t; i++) {
        double t0 = now();
        if (encode(t, text, len, argc > 3, &tokens, &e)) break;
        double s = now() - t0;
        if (s < best) best = s;
    }
    if (e.msg[0]) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    printf("open %.1f ms, %.1f MB in %zu tokens, %.1f MB/s\n", best_open * 1e3, (double)len / 1e6, tokens,
           (double)len / best / 1e6);
    tokenizer_free(t);
    free(text);
    return 0;
}
