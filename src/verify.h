/* verify: what the files that make up pith_verify share. Not public. */
#ifndef VERIFY_H
#define VERIFY_H
#include "engine.h"

typedef struct verify {
    const char *path;
    int is_dir;
    pith_verify_options o;
    pith_verdict *out;
    pith_weights *w;      /* all weights; NULL: they do not open as a whole */
    pith_weights **parts; /* [n_parts] then: the shards that open alone */
    size_t n_parts;
    json_doc *config;     /* config.json; NULL: none that can be read */
    int odd_side;         /* something is wrong with a side file, and told: what fails for it is not told again */
} verify;

/* Hands out one finding, unless its check is to be skipped. Names in subject and message may be strangers': control characters are escaped. */
void verify_tell(verify *v, pith_check check, int failed, const char *subject, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Tells an error of another part as a failure. The path it begins with, or the file of the directory, is its subject;
 * else `subject` is. */
void verify_tell_error(verify *v, pith_check check, const char *subject, const pith_err *why);
/* Is there such a file in the directory? Never, if what is verified is a file. */
int verify_has(const verify *v, const char *name);
/* Files of a model directory that are no weights: all that the library reads of one. NULL-terminated. */
extern const char *const verify_side_files[];

/* The checks. 0; 1: stopped; -1: it could not be done. */
int verify_files(verify *v, pith_err *e); /* the others build on what it opened */
int verify_tensors(verify *v, pith_err *e);
int verify_tokenizer(verify *v, pith_err *e);

#endif
