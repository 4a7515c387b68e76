/* sniff: names what a file or a directory really is when it is not what was asked for, and what to do about it.
 * Decides nothing: it is asked after the rules of the format have already said no. */
#ifndef FORMATS_SNIFF_H
#define FORMATS_SNIFF_H
#include "base/err.h"

enum { SNIFF_BYTES = 512 }; /* of a file's beginning: as much as sniff_bytes can use */

/* If p[0..n) is the beginning of a known foreign format, sets "this is WHAT, not WANTED: what next" and
 * returns -1; 0 if it is nothing known. */
int sniff_bytes(const unsigned char *p, size_t n, const char *wanted, pith_err *e);
/* The same for what stands in for any file that was not downloaded: a git-lfs pointer, a web page. */
int sniff_stand_in(const unsigned char *p, size_t n, pith_err *e);
/* `dir` holds neither model.safetensors nor its index: says what it holds instead. Always -1. */
int sniff_dir(const char *dir, pith_err *e);

#endif
