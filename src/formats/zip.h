/* zip: the directory of a zip archive that torch.save wrote. Owns the container's rules: one central directory that ends
 * where its end record begins, members stored without compression or encryption, inside the file, apart from each other,
 * each under a name of its own; Zip64. The one door to zlib (its checksum only). Writes nothing and unpacks nothing:
 * names of members are compared, never used as paths. */
#ifndef FORMATS_ZIP_H
#define FORMATS_ZIP_H
#include "base/err.h"

typedef struct zip zip;

typedef struct zip_member {
    const char *name; /* NUL-terminated; in the archive's own bytes, which may be no UTF-8 */
    uint64_t offset;  /* of its first byte, in the file */
    uint64_t size;
    uint32_t crc;     /* as promised by the directory; not checked here */
} zip_member;

/* p[0..n) is the whole file, mapped or read; it must outlive the zip. Cost: the directory and one look at every member's
 * local header. NULL on error. */
zip *zip_open(const void *p, size_t n, pith_err *e);
void zip_close(zip *z);
size_t zip_count(const zip *z);
const zip_member *zip_at(const zip *z, size_t i); /* sorted by name */
/* The member called prefix[0..k) followed by name[0..n); NULL: there is none. Logarithmic. */
const zip_member *zip_find(const zip *z, const char *prefix, size_t k, const char *name, size_t n);
uint32_t zip_crc(const void *p, size_t n); /* CRC-32 */
/* CRC-32 of bytes whose CRC-32 is a, followed by n bytes whose CRC-32 is b. */
uint32_t zip_crc_join(uint32_t a, uint32_t b, size_t n);

#endif
