/* fuzz: what the fuzzers share: demands, a file in memory, and main() of a build that only replays files (-DREPLAY). */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static inline void demand(int holds, const char *what)
{
    if (holds) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static inline void demand_message(const char *msg)
{
    demand(msg[0] != 0, "a refusal says why");
    for (const char *p = msg; *p; p++) demand((unsigned char)*p >= 0x20 && *p != 0x7f, "a message is one clean line");
}

/* Path of a file in memory that holds the bytes; rewritten each time. */
static inline const char *fuzz_file(int *fd, char path[64], const uint8_t *data, size_t n)
{
    if (*fd < 0) *fd = memfd_create("fuzz", 0);
    demand(*fd >= 0 && ftruncate(*fd, 0) == 0 && pwrite(*fd, data, n, 0) == (ssize_t)n, "a file in memory can be written");
    snprintf(path, 64, "/proc/self/fd/%d", *fd);
    return path;
}

#ifdef REPLAY
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        if (!f) continue;
        size_t cap = 1 << 20, n = 0, r;
        uint8_t *b = malloc(cap);
        while (b && (r = fread(b + n, 1, cap - n, f)) > 0) {
            n += r;
            if (n == cap) b = realloc(b, cap *= 2);
        }
        fclose(f);
        if (b) LLVMFuzzerTestOneInput(b, n);
        free(b);
    }
    printf("%d files replayed\n", argc - 1);
    return 0;
}
#endif
#endif
