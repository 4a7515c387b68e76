/* header: reads the headers of one or more safetensors files into one table of entries. Owns the rules about a
 * header's content: grammar, fields, dtypes, sizes, order, overlaps and holes. Opens no file, maps nothing, looks
 * nothing up by name. Memory stays in proportion to the header, which may be 100 MB of lies. */
#ifndef FORMATS_HEADER_H
#define FORMATS_HEADER_H
#include "formats/safetensors.h"

#define HEADER_TWICE "duplicate tensor name: %s; which of the two is meant cannot be known"

enum { HEADER_MAX = 100000000 }; /* bytes, as in the reference reader */

typedef struct header {
    safetensors_entry *entries; /* sorted by offset within each file */
    size_t n, cap;
    struct header_block *blocks; /* names and shapes; never move */
} header;

/* What belongs to one file. */
typedef struct header_file {
    char *meta; /* __metadata__: key NUL value NUL, in the order written */
    size_t meta_len, meta_cap;
    uint32_t *pairs; /* [n_pairs] where each begins in meta */
    size_t n_pairs, cap_pairs;
    uint64_t data_bytes; /* where the last tensor ends, from the start of the data */
    size_t n_unknown;    /* fields that the format does not know */
    size_t n_nul;        /* names and metadata with an escaped NUL, kept as the characters \u0000 */
    int meta_null;       /* __metadata__ is null */
    const char *unknown; /* tensor of the first unknown field */
} header_file;

/* Reads `len` bytes at offset 8 of fd and appends its tensors: data NULL, `file` as their file, offset counted from the
 * start of the file. Together they cover [8+len, 8+len+f->data_bytes) without hole or overlap; whether the file ends
 * there is the caller's to ask. 0, or -1. */
int header_read(header *h, header_file *f, size_t file, int fd, size_t len, pith_err *e);
/* Reads exactly n bytes at an offset; "shrank" if there are fewer. */
int header_pread(int fd, void *to, size_t n, uint64_t at, pith_err *e);
void header_free(header *h);
void header_file_free(header_file *f);

#endif
