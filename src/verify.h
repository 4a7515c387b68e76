/* verify: what the files that make up pith_verify share. Not public. */
#ifndef VERIFY_H
#define VERIFY_H
#include "base/digest.h"
#include "engine.h"
#include "values.h"

enum { VERIFY_BLOCK = 1 << 16 }; /* bytes of a tensor that have a checksum of their own */

/* A file whose bytes count: weights, their index, and those beside them. */
typedef struct verify_file {
    char *path;
    const char *name; /* the end of path */
    uint64_t bytes;
    int weights; /* tensors or their index: another cut of the same model has others */
    unsigned char sha256[DIGEST_SHA256];
} verify_file;

typedef struct verify_tensor {
    const pith_weights *w;
    size_t index; /* in w */
    size_t file;  /* in verify.files */
    pith_tensor t;
    dtype type;
    /* What the pass found. */
    values_count values;
    uint64_t nan, inf;                 /* index of the first, UINT64_MAX: none */
    uint64_t zero_blocks, first_zero;  /* blocks of nothing but zeros */
    uint64_t hash, *blocks;            /* xxh3 of all bytes, and [n_blocks] of each block */
    size_t n_blocks;
} verify_tensor;

typedef struct verify {
    const char *path;
    char *beside; /* [beside_cap] where verify_has writes a path, which so cannot fail */
    size_t beside_cap;
    int is_dir;
    pith_verify_options o;
    pith_verdict *out;
    pith_weights *w;      /* all weights; NULL: they do not open as a whole */
    pith_weights **parts; /* [n_parts] then: the shards that open alone */
    size_t n_parts;
    json_doc *config;     /* config.json; NULL: none that can be read */
    verify_file *files;
    size_t n_files;
    verify_tensor *tensors; /* by file and offset */
    size_t n_tensors;
    int threads;
    int scan, digest;     /* what the pass looks for: values, checksums */
    int as_stored;        /* tensors' data are the files' own bytes */
    int odd_side;         /* something is wrong with a side file, and told: what fails for it is not told again */
} verify;

/* Hands out one finding, unless its check is to be skipped. Names in subject and message may be strangers': control characters are escaped. */
void verify_tell(verify *v, pith_check check, int failed, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Of an error's message that begins with the path that is verified, or a file in it: the rest, and that file's name ("":
 * none). */
const char *verify_subject(const verify *v, const char *msg, char name[PITH_ERR_MAX]);
/* Tells an error of another part as a failure. Its subject is the file that it begins with, else `subject`. */
void verify_tell_error(verify *v, pith_check check, const char *subject, const pith_err *why);
/* Is there such a file in the directory? Never, if what is verified is a file. */
int verify_has(const verify *v, const char *name);
/* Files of a model directory that are no weights: all that the library reads of one. NULL-terminated. */
extern const char *const verify_side_files[];

/* The checks. 0; 1: stopped; -1: it could not be done. */
int verify_files(verify *v, pith_err *e); /* the others build on what it opened */
int verify_tensors(verify *v, pith_err *e);
int verify_tokenizer(verify *v, pith_err *e);
int verify_values(verify *v, pith_err *e);
int verify_packed(verify *v, pith_err *e); /* a part of verify_values */
/* Every byte once: counts values if v->scan, sums blocks, tensors and files if v->digest. Threads share the work, and the
 * results do not depend on them. 0; 1: stopped; -1. */
int verify_pass(verify *v, pith_err *e);
/* "1,234,567" */
const char *verify_number(char buf[32], uint64_t n);

#endif
