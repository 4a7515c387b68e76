/* checkpoints: what the tests of PyTorch files share: bytes that grow, pickles opcode by opcode, zip archives. */
#ifndef TESTS_CHECKPOINTS_H
#define TESTS_CHECKPOINTS_H
#include "files.h"
#include "formats/zip.h"

typedef struct bytes {
    unsigned char *p;
    size_t n, cap;
} bytes;

static inline void put(bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n) + 64;
        b->p = realloc(b->p, b->cap);
        assert_non_null(b->p);
    }
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void put_le(bytes *b, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) put(b, &(unsigned char){(unsigned char)(i < 8 ? v >> 8 * i : 0)}, 1);
}

static inline void set_le(bytes *b, size_t at, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) b->p[at + (size_t)i] = (unsigned char)(v >> 8 * i);
}

static inline void bytes_free(bytes *b)
{
    free(b->p);
    *b = (bytes){0};
}

/* ---- pickles ---- */

#define OP(b, text) put(b, text, sizeof text - 1) /* opcodes as they are */
#define ORDERED_DICT "ccollections\nOrderedDict\n)R"
#define MAGIC "\x80\2\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x19.\x80\2M\xe9\3."

static inline void pk_str(bytes *b, const char *s)
{
    OP(b, "X");
    put_le(b, strlen(s), 4);
    put(b, s, strlen(s));
}

static inline void pk_int(bytes *b, uint64_t v)
{
    if (v >> 31) {
        OP(b, "\x8a\x08");
        put_le(b, v, 8);
    } else {
        OP(b, "J");
        put_le(b, v, 4);
    }
}

static inline void pk_global(bytes *b, const char *module, const char *name)
{
    OP(b, "c");
    put(b, module, strlen(module));
    OP(b, "\n");
    put(b, name, strlen(name));
    OP(b, "\n");
}

/* A storage's persistent id, of 5 parts or 6. */
static inline void pk_storage(bytes *b, const char *type, const char *key, uint64_t numel, int parts)
{
    OP(b, "(");
    pk_str(b, "storage");
    pk_global(b, !strcmp(type, "UntypedStorage") ? "torch.storage" : "torch", type);
    pk_str(b, key);
    pk_str(b, "cpu");
    pk_int(b, numel);
    if (parts == 6) OP(b, "N");
    OP(b, "tQ");
}

typedef struct view {
    const char *storage, *key;
    uint64_t numel, offset;
    size_t rank;
    uint64_t size[4], stride[4];
    const char *dtype; /* not NULL: version 3 */
    int parts;         /* of the persistent id; 0: 5 */
} view;

static inline void pk_numbers(bytes *b, const uint64_t *v, size_t n)
{
    OP(b, "(");
    for (size_t i = 0; i < n; i++) pk_int(b, v[i]);
    OP(b, "t");
}

static inline void pk_tensor(bytes *b, view v)
{
    pk_global(b, "torch._utils", v.dtype ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    OP(b, "(");
    pk_storage(b, v.storage, v.key, v.numel, v.parts ? v.parts : 5);
    pk_int(b, v.offset);
    pk_numbers(b, v.size, v.rank);
    pk_numbers(b, v.stride, v.rank);
    OP(b, "\x89" ORDERED_DICT);
    if (v.dtype) pk_global(b, "torch", v.dtype);
    OP(b, "tR");
}

/* ---- zip archives ---- */

typedef struct archive {
    bytes file, dir;
    size_t n;
} archive;

/* Adds a member as torch.save does: its sizes stand in the directory only. zip64: there in an extra field. */
static inline void archive_add(archive *a, const char *name, const void *p, size_t n, int zip64)
{
    size_t len = strlen(name), at = a->file.n;
    uint32_t crc = zip_crc(p, n);
    OP(&a->file, "PK\3\4\0\0\x08\x08\0\0\0\0\0\0");
    put_le(&a->file, 0, 12);
    put_le(&a->file, len, 2);
    put_le(&a->file, 0, 2);
    put(&a->file, name, len);
    put(&a->file, p, n);
    OP(&a->dir, "PK\1\2\0\0\0\0\x08\x08\0\0\0\0\0\0");
    put_le(&a->dir, crc, 4);
    put_le(&a->dir, zip64 ? UINT32_MAX : n, 4);
    put_le(&a->dir, zip64 ? UINT32_MAX : n, 4);
    put_le(&a->dir, len, 2);
    put_le(&a->dir, zip64 ? 33 : 0, 2);
    OP(&a->dir, "\0\0\0\0\0\0\0\0\0\0");
    put_le(&a->dir, zip64 ? UINT32_MAX : at, 4);
    put(&a->dir, name, len);
    if (zip64) {
        OP(&a->dir, "FB\1\0Z\1\0\x18\0"); /* another field stands before it */
        put_le(&a->dir, n, 8);
        put_le(&a->dir, n, 8);
        put_le(&a->dir, at, 8);
    }
    a->n++;
}

/* The whole file, which the caller frees. */
static inline bytes archive_end(archive *a, int zip64)
{
    bytes f = a->file;
    size_t at = f.n, end;
    put(&f, a->dir.p, a->dir.n);
    end = f.n;
    if (zip64) {
        OP(&f, "PK\6\6");
        put_le(&f, 44, 8);
        put_le(&f, 0, 12);
        put_le(&f, a->n, 8);
        put_le(&f, a->n, 8);
        put_le(&f, a->dir.n, 8);
        put_le(&f, at, 8);
        OP(&f, "PK\6\7\0\0\0\0");
        put_le(&f, end, 8);
        put_le(&f, 1, 4);
    }
    OP(&f, "PK\5\6\0\0\0\0");
    put_le(&f, zip64 ? 0xffff : a->n, 2);
    put_le(&f, zip64 ? 0xffff : a->n, 2);
    put_le(&f, zip64 ? UINT32_MAX : a->dir.n, 4);
    put_le(&f, zip64 ? UINT32_MAX : at, 4);
    put_le(&f, 0, 2);
    bytes_free(&a->dir);
    *a = (archive){0};
    return f;
}

/* Each of the words, separated by '|', is in the message, which is one clean line. */
static inline void check_words(const char *msg, const char *words)
{
    char buf[512];
    snprintf(buf, sizeof buf, "%s", words);
    if (!*msg || strchr(msg, '\n')) fail_msg("message '%s', expected '%s'", msg, words);
    for (char *w = strtok(buf, "|"); w; w = strtok(NULL, "|"))
        if (!strstr(msg, w)) fail_msg("message '%s' lacks '%s'", msg, w);
}
#endif
