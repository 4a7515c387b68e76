/* digest: checksums; the one door to xxhash and nettle. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H
#include <stddef.h>
#include <stdint.h>

uint64_t digest_xxh3(const void *data, size_t len); /* XXH3_64bits, seed 0 */

enum { DIGEST_SHA256 = 32 }; /* bytes */
typedef struct digest_sha256 digest_sha256;
digest_sha256 *digest_sha256_new(void); /* NULL: memory */
void digest_sha256_add(digest_sha256 *d, const void *data, size_t len);
/* The sum of what was added, and d is freed. */
void digest_sha256_end(digest_sha256 *d, unsigned char out[DIGEST_SHA256]);

#endif
