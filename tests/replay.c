/* main of a fuzzer that only runs the files it is given, where there is no libFuzzer. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        size_t n;
        char *all = fuzz_read(argv[i], &n), *exact = fuzz_copy(all, n);
        free(all);
        LLVMFuzzerTestOneInput((const uint8_t *)exact, n);
        free(exact);
    }
    printf("%d files replayed\n", argc - 1);
    return 0;
}
