#include "base/digest.h"
#include "base/mem.h"
#include <nettle/sha2.h>
#include <xxhash.h>

uint64_t digest_xxh3(const void *data, size_t len) { return XXH3_64bits(data, len); }

struct digest_stream {
    XXH3_state_t *x;
};

digest_stream *digest_stream_new(void)
{
    digest_stream *d = mem_zero(1, sizeof *d);
    if (d) d->x = XXH3_createState();
    if (d && d->x) XXH3_64bits_reset(d->x);
    if (!d || d->x) return d;
    mem_free(d);
    return NULL;
}

void digest_stream_add(digest_stream *d, const void *data, size_t len) { XXH3_64bits_update(d->x, data, len); }

uint64_t digest_stream_take(digest_stream *d)
{
    uint64_t h = XXH3_64bits_digest(d->x);
    XXH3_64bits_reset(d->x);
    return h;
}

void digest_stream_free(digest_stream *d)
{
    if (d) XXH3_freeState(d->x);
    mem_free(d);
}

struct digest_sha256 {
    struct sha256_ctx c;
};

digest_sha256 *digest_sha256_new(void)
{
    digest_sha256 *d = mem_alloc(sizeof *d);
    if (d) sha256_init(&d->c);
    return d;
}

void digest_sha256_add(digest_sha256 *d, const void *data, size_t len) { sha256_update(&d->c, len, data); }

void digest_sha256_end(digest_sha256 *d, unsigned char out[DIGEST_SHA256])
{
    sha256_digest(&d->c, DIGEST_SHA256, out);
    mem_free(d);
}
