/* Fuzzing of the checkpoint reader. The first byte says what the others are: a whole file as it is; a zip whose checksums
 * are put right first, so that changes get past them; a pickle, for which a zip with four storages is built; a pickle
 * inside a legacy stream with the same storages. What is accepted must hang together: names found, elements inside the
 * file, and every value read equal to a plain gather by the strides. */
#include "formats/torch.h"
#include "formats/zip.h"
#include "fuzz.h"
#include <zlib.h>

static volatile unsigned sink; /* what is read must be read */

/* Element k (row-major) of t, looked up in the file's own bytes. */
static const uint8_t *element(const torch_entry *t, uint64_t k, const uint8_t *file, size_t n, size_t size)
{
    uint64_t at = 0;
    for (size_t d = t->t.rank; d-- > 0;) {
        at += k % t->t.shape[d] * t->stride[d];
        k /= t->t.shape[d];
    }
    demand(at <= n / size && t->offset <= n && t->offset + (at + 1) * size <= n, "every element lies in the file");
    return file + t->offset + at * size;
}

static void check_values(const torch *x, const torch_entry *t, const uint8_t *file, size_t n)
{
    size_t size = tensor_dtypes[t->t.type].bits / 8;
    uint64_t count = 1;
    uint8_t got[64 * 16];
    for (size_t d = 0; d < t->t.rank; d++) count *= t->t.shape[d];
    demand(t->t.nbytes == count * size, "a tensor's bytes are those of its elements");
    if (!count) return;
    /* The corners, which bound all others, then runs from the start, the middle and the end. */
    (void)element(t, count - 1, file, n, size);
    for (int r = 0; r < 3; r++) {
        uint64_t m = count < 64 ? count : 64, first = (count - m) / 2 * (uint64_t)r;
        torch_read(x, t, first, (size_t)m, got);
        for (uint64_t k = 0; k < m; k++)
            demand(!memcmp(got + k * size, element(t, first + k, file, n, size), size), "what is read is what the strides say");
        if (t->t.data) demand(!memcmp((const uint8_t *)t->t.data + first * size, got, (size_t)m * size), "the view is what is read");
    }
}

static void one(const char *path, const torch_options *o, const uint8_t *file, size_t n)
{
    pith_err e = {{0}};
    torch *x = torch_open(path, o, &e);
    if (!x) {
        demand_message(&e);
        return;
    }
    for (size_t i = 0; i < torch_count(x); i++) {
        const torch_entry *t = torch_at(x, i);
        demand(torch_find(x, t->name) == t, "every tensor is found by its name");
        demand(t->same <= i && torch_at(x, t->same)->t.nbytes == t->t.nbytes, "the same view is an earlier one of the same size");
        demand(t->file < torch_files(x) && torch_file_size(x, t->file) == n, "every tensor lies in a file");
        if (o->header_only) demand(!t->t.data, "no data where only headers were asked for");
        else check_values(x, t, file, n);
        torch_release(x, t);
    }
    for (size_t i = 0; i < torch_warnings(x); i++) sink += (unsigned)strlen(torch_warning(x, i));
    sink += (unsigned)strlen(torch_key(x));
    torch_close(x);
}

/* Members inside the file and apart, whatever the directory says; on a copy that has nothing behind it. */
static void check_zip(const uint8_t *file, size_t n)
{
    pith_err e = {{0}};
    zip *z = zip_open(file, n, &e);
    if (!z) {
        demand_message(&e);
        return;
    }
    for (size_t i = 0; i < zip_count(z); i++) {
        const zip_member *m = zip_at(z, i);
        demand(m->offset <= n && m->size <= n - m->offset, "a member lies in the file");
        demand(zip_find(z, m->name, strlen(m->name), "", 0) == m, "a member is found by its name");
        for (size_t k = 0; k < i; k++) {
            const zip_member *p = zip_at(z, k);
            demand(p->offset + p->size <= m->offset || m->offset + m->size <= p->offset || !p->size || !m->size, "members lie apart");
        }
    }
    zip_close(z);
}

/* ---- building files ---- */

static uint8_t file[1 << 16];
static size_t at;

static void put(const void *p, size_t n)
{
    demand(n <= sizeof file - at, "the file fits");
    memcpy(file + at, p, n);
    at += n;
}

static void put_int(uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) file[at++] = (uint8_t)(v >> 8 * i);
}

static uint32_t crc(const uint8_t *p, size_t n)
{
    return (uint32_t)crc32(0, p, (unsigned)n);
}

/* The checksum of every member of the directory, as far as there is one. */
static void mend(uint8_t *p, size_t n)
{
    for (size_t i = 0; i + 46 <= n; i++) {
        if (memcmp(p + i, "PK\1\2", 4)) continue;
        uint32_t size, where;
        memcpy(&size, p + i + 24, 4);
        memcpy(&where, p + i + 42, 4);
        if (where > n || n - where < 30) continue;
        size_t begin = where + 30u + p[where + 26] + 256u * p[where + 27] + p[where + 28] + 256u * p[where + 29];
        if (begin > n || size > n - begin) continue;
        uint32_t sum = crc(p + begin, size);
        memcpy(p + i + 16, &sum, 4);
    }
}

static const uint32_t storages[] = {256, 64, 16, 0}; /* bytes of those with the keys 0, 1, 2, 3 */
enum { STORAGES = sizeof storages / sizeof *storages };
static uint8_t values[256];

static void build_zip(const uint8_t *pickle, size_t n)
{
    char name[STORAGES + 1][16];
    size_t local[STORAGES + 1], size[STORAGES + 1], dir;
    const uint8_t *body[STORAGES + 1];
    at = 0;
    for (int i = 0; i <= STORAGES; i++) {
        snprintf(name[i], sizeof name[i], i ? "x/data/%d" : "x/data.pkl", i - 1);
        body[i] = i ? values : pickle;
        size[i] = i ? storages[i - 1] : n;
        local[i] = at;
        put("PK\3\4\0\0\0\0\0\0\0\0\0\0", 14);
        put_int(crc(body[i], size[i]), 4), put_int(size[i], 4), put_int(size[i], 4);
        put_int(strlen(name[i]), 2), put_int(0, 2);
        put(name[i], strlen(name[i]));
        put(body[i], size[i]);
    }
    dir = at;
    for (int i = 0; i <= STORAGES; i++) {
        put("PK\1\2\0\0\0\0\0\0\0\0\0\0\0\0", 16);
        put_int(crc(body[i], size[i]), 4), put_int(size[i], 4), put_int(size[i], 4);
        put_int(strlen(name[i]), 2), put_int(0, 8), put_int(0, 4), put_int(local[i], 4);
        put(name[i], strlen(name[i]));
    }
    size_t end = at;
    put("PK\5\6\0\0\0\0", 8);
    put_int(STORAGES + 1, 2), put_int(STORAGES + 1, 2), put_int(end - dir, 4), put_int(dir, 4), put_int(0, 2);
}

static void build_legacy(const uint8_t *pickle, size_t n)
{
    static const char head[] = "\x80\2\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}(X\x10\0\0\0protocol_versionM\xe9\3X\r\0\0\0little_endian\x88u.";
    static const char keys[] = "\x80\2](X\1\0\0\0" "0X\1\0\0\0" "1X\1\0\0\0" "2X\1\0\0\0" "3e.";
    at = 0;
    put(head, sizeof head - 1);
    put(pickle, n);
    put(keys, sizeof keys - 1);
    for (int i = 0; i < STORAGES; i++) put_int(storages[i] / 4, 8), put(values, storages[i]);
}

void fuzz_one(const uint8_t *data, size_t n)
{
    if (!n || n > 20000) return;
    for (size_t i = 0; i < sizeof values; i++) values[i] = (uint8_t)(i * 7 + 1);
    int kind = data[0] & 3;
    at = 0;
    if (kind == 2) build_zip(data + 1, n - 1);
    else if (kind == 3) build_legacy(data + 1, n - 1);
    else put(data + 1, n - 1);
    if (kind == 1) mend(file, at);
    uint8_t *exact = malloc(at + 1); /* ASan sees a read past its end */
    demand(exact != NULL, "memory");
    uint8_t *copy = memcpy(exact + 1, file, at);
    if (kind < 2) check_zip(copy, at);
    const char *path = fuzz_put("model.bin", copy, at);
    one(path, &(torch_options){0}, copy, at);
    one(path, &(torch_options){.no_mmap = 1, .key = data[0] & 4 ? "" : NULL}, copy, at);
    one(path, &(torch_options){.header_only = 1, .key = data[0] & 8 ? "model" : NULL}, copy, at);
    free(exact);
}
