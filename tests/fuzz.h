/* fuzz: what the fuzzers share. Each tests/fuzz_NAME.c defines fuzz_one; the library's own code is linked as it is, but for
 * the calls that reach files: below FUZZ_DIR they see only files in memory (fuzz.c), so that a run costs no system call and
 * AddressSanitizer sees a read past a mapping's end, which memory mapped for its own sake has too. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H
#include "base/err.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_DIR "/fuzz"

/* One input, in memory that ends where it ends. */
void fuzz_one(const uint8_t *data, size_t n);

/* What must hold; else the run ends as a crash. */
void demand(int holds, const char *what);
/* A refusal says why, in one clean line. */
void demand_message(const pith_err *e);
/* Either it worked and there is no message, or there is one. */
void demand_either(int worked, const pith_err *e);

/* Adds FUZZ_DIR/name, which holds these bytes (not copied), and returns its path; "" stands for the folder. */
const char *fuzz_put(const char *name, const void *data, size_t n);
void fuzz_clear(void);
/* Not in memory: the bytes of a file of the source tree, malloc'ed; the fuzzers run in its root. */
char *fuzz_read(const char *path, size_t *n);

/* What is left of an input that is cut into parts. */
typedef struct fuzz_input {
    const uint8_t *at;
    size_t n;
} fuzz_input;
/* The bytes up to the next 0xfe (which is in no UTF-8 text), malloc'ed, no longer than they are; *n of them. All of them
 * where there is none; NULL where nothing is left. */
char *fuzz_part(fuzz_input *in, size_t *n);
char *fuzz_copy(const void *data, size_t n);
#endif
