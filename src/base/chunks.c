#define _DEFAULT_SOURCE
#include "base/chunks.h"
#include "base/mem.h"
#include "base/platform.h"
#include <stdint.h>
#include <sys/mman.h>

enum { LINE = 64 };
static const size_t HUGE = (size_t)2 << 20, LEAST = (size_t)1 << 20, MOST = (size_t)64 << 20;

/* Lies in memory of its own: a chunk begins on a page. */
typedef struct chunk {
    struct chunk *next;
    char *at;
    size_t used, size;
} chunk;

/* A large piece asks for huge pages as far as it fills them: each is one fault, not 512, and without them the pages' tables
 * cost a twelfth of the read bandwidth. */
static void *pages(size_t bytes)
{
    const int large = bytes >= 2 * HUGE;
    void *p = mem_aligned(large ? HUGE : LINE, bytes);
    if (p && large) platform_huge(p, bytes / HUGE * HUGE);
    return p;
}

static chunk *grow(chunk_list *p, size_t bytes)
{
    /* The first pieces tell how much is to come: chunks grow from a few of them to MOST. */
    size_t size = bytes > p->bytes ? bytes : p->bytes;
    size = size < LEAST / 4 ? LEAST : size > MOST / 4 ? MOST : 4 * size;
    if (size < bytes) size = bytes;
    if (size >= HUGE) size = (size + HUGE - 1) / HUGE * HUGE;
    chunk *c = mem_alloc(sizeof *c);
    char *at = c ? pages(size) : NULL;
    if (c && !at && size > bytes) at = pages(size = bytes); /* little memory: no more than must be */
    if (!at) {
        mem_free(c);
        return NULL;
    }
    *c = (chunk){p->newest, at, 0, size};
    p->newest = c;
    p->bytes += size;
    return c;
}

void *chunks_take(chunk_list *p, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = bytes ? (bytes + LINE - 1) / LINE * LINE : LINE;
    if (!p) return pages(bytes);
    chunk *c = p->newest;
    if (!c || c->size - c->used < bytes) c = grow(p, bytes);
    if (!c) return NULL;
    char *at = c->at + c->used;
    c->used += bytes;
    return at;
}

void chunks_free(chunk_list *p)
{
    for (chunk *c = p->newest, *next; c; c = next) {
        next = c->next;
        mem_free_aligned(c->at);
        mem_free(c);
    }
    *p = (chunk_list){0};
}
