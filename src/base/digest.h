/* digest: checksums; the one door to xxhash and nettle. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H
#include <stddef.h>
#include <stdint.h>

uint64_t digest_xxh3(const void *data, size_t len); /* XXH3_64bits, seed 0 */
typedef struct digest_stream digest_stream; /* the same of what comes in pieces */
digest_stream *digest_stream_new(void);     /* NULL: memory */
void digest_stream_add(digest_stream *d, const void *data, size_t len);
uint64_t digest_stream_take(digest_stream *d); /* of what was added since the last one; and begins anew */
void digest_stream_free(digest_stream *d);

enum { DIGEST_SHA256 = 32 }; /* bytes */
typedef struct digest_sha256 digest_sha256;
digest_sha256 *digest_sha256_new(void); /* NULL: memory */
void digest_sha256_add(digest_sha256 *d, const void *data, size_t len);
/* The sum of what was added, and d is freed. */
void digest_sha256_end(digest_sha256 *d, unsigned char out[DIGEST_SHA256]);

#endif
