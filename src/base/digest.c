#include "base/digest.h"
#include <nettle/sha2.h>
#include <stdlib.h>
#include <xxhash.h>

uint64_t digest_xxh3(const void *data, size_t len) { return XXH3_64bits(data, len); }

struct digest_sha256 {
    struct sha256_ctx c;
};

digest_sha256 *digest_sha256_new(void)
{
    digest_sha256 *d = malloc(sizeof *d);
    if (d) sha256_init(&d->c);
    return d;
}

void digest_sha256_add(digest_sha256 *d, const void *data, size_t len) { sha256_update(&d->c, len, data); }

void digest_sha256_end(digest_sha256 *d, unsigned char out[DIGEST_SHA256])
{
    sha256_digest(&d->c, DIGEST_SHA256, out);
    free(d);
}
