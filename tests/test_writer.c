/* Written .safetensors files: byte for byte what the reference writer makes, whole, and read back by our reader and by
 * Python. */
#define _GNU_SOURCE
#include "files.h"
#include <errno.h>

/* ---- the n-th allocation fails ---- */

static long fail_at, n_calls;
static int fails(void) { return fail_at && ++n_calls == fail_at; }
#define WRAP(name, params, ...)                                                                                        \
    void *__real_##name params;                                                                                        \
    void *__wrap_##name params;                                                                                        \
    void *__wrap_##name params { return fails() ? (errno = ENOMEM, NULL) : __real_##name(__VA_ARGS__); }
WRAP(malloc, (size_t n), n)
WRAP(calloc, (size_t n, size_t size), n, size)
WRAP(realloc, (void *p, size_t n), p, n)

/* ---- help ---- */

typedef struct one {
    pith_tensor t;
    const void *data;
    size_t n;
} one;

#define SHAPE(...) .shape = (const uint64_t[]){__VA_ARGS__}, .rank = sizeof((const uint64_t[]){__VA_ARGS__}) / 8

static pith_writer *begin(const char *path, const one *x, size_t n, const pith_pair *m, size_t n_meta, pith_err *e)
{
    pith_tensor *t = calloc(n + 1, sizeof *t);
    for (size_t i = 0; i < n; i++) t[i] = x[i].t;
    pith_writer *w = pith_writer_new(path, t, n, m, n_meta, 1, e);
    memset(t, 0xee, n * sizeof *t); /* what was given may go away */
    free(t);
    return w;
}

static const char *write_file(const char *name, const one *x, size_t n, const pith_pair *m, size_t n_meta)
{
    const char *path = files_path(name);
    pith_err e = {{0}};
    pith_writer *w = begin(path, x, n, m, n_meta, &e);
    for (size_t i = 0; i < n && w && !e.msg[0]; i++) pith_writer_put(w, i, 0, x[i].data, x[i].n, &e);
    if (!w || e.msg[0] || pith_writer_finish(w, &e)) fail_msg("%s: %s", name, e.msg);
    pith_writer_free(w);
    return path;
}

static void is(const char *path, const void *bytes, size_t n)
{
    size_t len;
    char *s = util_read(path, &len);
    if (len != n || memcmp(s, bytes, n)) fail_msg("%s: %zu bytes '%.*s', expected %zu", path, len, (int)len - 8, s + 8, n);
    free(s);
}

/* ---- what is in the file ---- */

/* The bytes that the reference writer's own tests expect. */
static void test_published(void **state)
{
    (void)state;
    static const unsigned char data[] = {0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64, 0, 0, 160, 64};
    static const unsigned char attn0[] = {72,  0,   0,   0,   0,   0,   0,   0,  123, 34, 97,  116, 116, 110, 48, 34, 58, 123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  70,  51, 50, 34,
                                          44,  34,  115, 104, 97,  112, 101, 34, 58,  91, 49,  44,  49,  44,  50, 44, 51, 93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116,
                                          115, 34,  58,  91,  48,  44,  50,  52, 93,  125, 125, 32, 32,  32,  32, 32, 32, 32,  0,   0,   0,   0,   0,   0,   128, 63,  0,   0,   0,   64,  0,
                                          0,   64,  64,  0,   0,   128, 64,  0,  0,   160, 64};
    const one x = {{.name = "attn0", .dtype = "F32", SHAPE(1, 1, 2, 3)}, data, 24};
    is(write_file("attn0", &x, 1, NULL, 0), attn0, sizeof attn0);
    const one test = {{.name = "test", .dtype = "I32"}, "\0\0\0\0", 4};
    static const char scalar[] = "8\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]}}\0\0\0";
    is(write_file("scalar", &test, 1, NULL, 0), scalar, sizeof scalar);
    is(write_file("empty", NULL, 0, NULL, 0), "\x08\0\0\0\0\0\0\0{}      ", 16);
}

/* Worked out by hand: order, escapes, metadata as given, a tensor without elements, padding. */
static void test_by_hand(void **state)
{
    (void)state;
    const one x[] = {{{.name = "w", .dtype = "F16", SHAPE(2)}, "wxyz", 4},
                     {{.name = "\xc3\xa9\"\\/\b\f\n\r\t\x01\x1f\x7f", .dtype = "I64"}, "abcdefgh", 8},
                     {{.name = "bb", .dtype = "F16", SHAPE(1, 0)}, "", 0},
                     {{.name = "a", .dtype = "F4", SHAPE(2, 3)}, "456", 3}};
    static const pith_pair meta[] = {{"format", "pt"}, {"a\t", "\xe2\x82\xac"}, {"", ""}};
    static const char want[] = "\x30\1\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\",\"a\\t\":\"\xe2\x82\xac\",\"\":\"\"},"
                               "\"\xc3\xa9\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                               "\"bb\":{\"dtype\":\"F16\",\"shape\":[1,0],\"data_offsets\":[8,8]},\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                               "\"a\":{\"dtype\":\"F4\",\"shape\":[2,3],\"data_offsets\":[12,15]}}       abcdefghwxyz456";
    is(write_file("hand", x, 4, meta, 3), want, sizeof want - 1);
}

/* All 22, given in no order: the reference's order is written out here. */
static void test_order(void **state)
{
    (void)state;
    static const char *const order[] = {"U64", "I64",     "F64",     "C64",     "F32",         "U32",         "I32", "BF16", "F16",     "U16",     "I16",
                                        "F8_E5M2FNUZ", "F8_E4M3FNUZ", "F8_E8M0", "F8_E4M3", "F8_E5M2", "I8",  "U8",  "F6_E3M2", "F6_E2M3", "F4",  "BOOL"};
    enum { TYPES = 22 };
    static const uint64_t four = 4;
    one x[3 * TYPES];
    char names[3 * TYPES][32], bytes[64] = "some bytes to be written, of whatever kind they are, sixty-three";
    for (size_t k = 0; k < 3 * TYPES; k++) {
        size_t type = k * 7 % TYPES; /* each three times */
        snprintf(names[k], sizeof names[k], "%c.%s", (int)("Z_a"[k / TYPES]), order[type]);
        unsigned bits = type < 4 ? 64 : type < 7 ? 32 : type < 11 ? 16 : type == 18 || type == 19 ? 6 : type == 20 ? 4 : 8;
        x[k] = (one){{.name = names[k], .dtype = order[type], .shape = &four, .rank = 1}, bytes, bits / 2};
    }
    const char *path = write_file("order", x, 3 * TYPES, NULL, 0);
    pith_weights *w = pith_weights_open(path, NULL, NULL);
    assert_non_null(w);
    assert_int_equal(pith_weights_count(w), 3 * TYPES);
    for (size_t i = 0; i < 3 * TYPES; i++) { /* in the file's order: "Z" < "_" < "a" */
        pith_tensor t;
        assert_int_equal(pith_weights_at(w, i, &t), 0);
        assert_string_equal(t.dtype, order[i / 3]);
        assert_int_equal(t.name[0], "Z_a"[i % 3]);
        assert_memory_equal(t.data, bytes, t.nbytes);
    }
    pith_weights_close(w);
}

/* ---- pieces ---- */

enum { N = 3000 };

static uint64_t seed = 5;
static uint64_t noise(void) { return (seed = seed * 6364136223846793005u + 1442695040888963407u) >> 33; }


typedef struct piece {
    size_t i, from, n;
} piece;

/* Pieces of two tensors of N bytes that cover them: ascending, descending, shuffled, or with some at random before. */
static size_t cut(piece *p, int how)
{
    size_t n = 0, size = how < 2 ? 100 : (size_t)how * 7;
    for (; how >= 20 && n < 50; n++) {
        p[n] = (piece){noise() & 1, noise() % N, 1 + noise() % 200};
        if (p[n].n > N - p[n].from) p[n].n = N - p[n].from;
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t from = 0; from < N; from += size) p[n++] = (piece){i, from, N - from < size ? N - from : size};
    for (size_t k = 0; how && k < n; k++) {
        size_t other = how == 1 ? n - 1 - k : noise() % n;
        if (how == 1 && other <= k) break;
        piece t = p[k];
        p[k] = p[other];
        p[other] = t;
    }
    return n;
}

/* After every piece the writer knows what is missing. */
static void test_pieces(void **state)
{
    (void)state;
    unsigned char data[2][N];
    piece p[3 * N];
    for (int i = 0; i < 2 * N; i++) data[i / N][i % N] = (unsigned char)noise();
    for (int how = 0; how < 40; how++) {
        const one x[2] = {{{.name = "a", .dtype = "U8", SHAPE(N)}, data[0], N}, {{.name = "b", .dtype = "U8", SHAPE(2, N / 2)}, data[1], N}};
        const char *path = files_path("pieces");
        pith_err e = {{0}};
        pith_writer *w = begin(path, x, 2, NULL, 0, &e);
        assert_non_null(w);
        unsigned char seen[2][N] = {{0}};
        size_t n = cut(p, how);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(pith_writer_put(w, p[k].i, p[k].from, data[p[k].i] + p[k].from, p[k].n, &e), 0);
            memset(seen[p[k].i] + p[k].from, 1, p[k].n);
            size_t i = memchr(seen[0], 0, N) ? 0 : 1;
            const unsigned char *gap = memchr(seen[i], 0, N);
            if (!gap) continue;
            const unsigned char *end = memchr(gap, 1, (size_t)(seen[i] + N - gap));
            char want[128];
            snprintf(want, sizeof want, "bytes [%zu,%zu) of tensor %s (3000 bytes) were never written", (size_t)(gap - seen[i]), end ? (size_t)(end - seen[i]) : N, i ? "b" : "a");
            assert_int_equal(pith_writer_finish(w, &e), -1);
            if (!strstr(e.msg, want)) fail_msg("'%s', expected '%s'", e.msg, want);
            e = (pith_err){{0}};
        }
        if (pith_writer_finish(w, &e)) fail_msg("%s", e.msg);
        pith_writer_free(w);
        pith_weights *r = pith_weights_open(path, NULL, &e);
        assert_non_null(r);
        for (size_t i = 0; i < 2; i++) {
            pith_tensor t;
            pith_weights_at(r, i, &t);
            assert_memory_equal(t.data, data[i], N);
        }
        pith_weights_close(r);
    }
}

static void test_in_order_keeps_nothing(void **state)
{
    (void)state;
    const one x = {{.name = "a", .dtype = "U8", SHAPE(1000)}, NULL, 0};
    pith_writer *w = begin(files_path("in-order"), &x, 1, NULL, 0, NULL);
    assert_non_null(w);
    fail_at = 1, n_calls = 0; /* no allocation at all */
    for (uint64_t i = 0; i < 1000; i++) assert_int_equal(pith_writer_put(w, 0, i, "x", 1, NULL), 0);
    fail_at = 0;
    assert_int_equal(n_calls, 0);
    assert_int_equal(pith_writer_finish(w, NULL), 0);
    pith_writer_free(w);
}

static void test_put_refused(void **state)
{
    (void)state;
    const one x = {{.name = "a\x1b[2J", .dtype = "F32", SHAPE(2, 2)}, "0123456789abcdef", 16};
    const char *path = files_path("refused");
    for (int how = 0; how < 5; how++) {
        static const struct { size_t i; uint64_t at; size_t n; const char *message; } bad[] = {
            {1, 0, 4, "tensor 1 of 1: no such index"}, {0, 0, 17, "has 16 bytes, given are 17 from 0"}, {0, 16, 1, "given are 1 from 16"},
            {0, UINT64_MAX, 2, "given are 2 from 18446744073709551615"}, {0, 17, 0, "given are 0 from 17"}};
        pith_err e = {{0}};
        pith_writer *w = begin(path, &x, 1, NULL, 0, &e);
        assert_non_null(w);
        assert_int_equal(pith_writer_put(w, bad[how].i, bad[how].at, x.data, bad[how].n, &e), -1);
        if (!strstr(e.msg, bad[how].message) || strchr(e.msg, 0x1b)) fail_msg("%s", e.msg);
        assert_int_equal(pith_writer_put(w, 0, 16, NULL, 0, NULL), 0);
        pith_writer_free(w);
        assert_int_equal(access(path, F_OK), -1);
    }
    pith_writer *w = begin(path, &x, 1, NULL, 0, NULL);
    assert_int_equal(pith_writer_put(w, 0, 0, x.data, 16, NULL), 0);
    assert_int_equal(pith_writer_finish(w, NULL), 0);
    pith_err e = {{0}};
    assert_int_equal(pith_writer_put(w, 0, 0, x.data, 16, &e), -1);
    assert_string_equal(e.msg, "this writer has finished, nothing can be added to its file");
    assert_int_equal(pith_writer_finish(w, NULL), -1);
    pith_writer_free(w);
    pith_writer_free(NULL);
    e = (pith_err){{0}};
    assert_null(pith_writer_new(path, &x.t, 1, NULL, 0, 0, &e));
    assert_non_null(strstr(e.msg, "refused: is there already"));
}

/* ---- what is refused before anything is written ---- */

static void refuse(const char *what, const one *x, size_t n, const pith_pair *m, size_t n_meta, const char *message)
{
    pith_err e = {{0}};
    const char *path = files_path("never");
    if (begin(path, x, n, m, n_meta, &e)) fail_msg("%s was accepted", what);
    if (!strstr(e.msg, message)) fail_msg("%s: '%s', expected '%s'", what, e.msg, message);
    if (strncmp(e.msg, path, strlen(path))) fail_msg("%s: '%s' does not name the file", what, e.msg);
    for (const char *p = e.msg; *p; p++) assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void test_refused(void **state)
{
    (void)state;
#define ONE(name_, dtype_, ...) ((const one[]){{{.name = name_, .dtype = dtype_, SHAPE(__VA_ARGS__)}, NULL, 0}})
    const one twice[] = {{{.name = "a", .dtype = "F32"}, NULL, 0}, {{.name = "b", .dtype = "F32"}, NULL, 0}, {{.name = "a", .dtype = "I8"}, NULL, 0}};
    const one huge[] = {{{.name = "a", .dtype = "U8", SHAPE(1ull << 62)}, NULL, 0}, {{.name = "b", .dtype = "U8", SHAPE(1ull << 62)}, NULL, 0}};
    refuse("a name twice", twice, 3, NULL, 0, "tensor name a twice");
    refuse("metadata as a tensor", ONE("__metadata__", "F32", 1), 1, NULL, 0, "__metadata__");
    refuse("no name", ONE(NULL, "F32", 1), 1, NULL, 0, "a tensor's name is missing");
    refuse("no dtype", ONE("a", NULL, 1), 1, NULL, 0, "dtype (none)");
    refuse("unknown dtype", ONE("a", "float32", 1), 1, NULL, 0, "tensor a: dtype float32 is none of the 22");
    refuse("half a byte", ONE("a", "F4", 3), 1, NULL, 0, "3 elements of F4 do not end on a whole byte");
    refuse("six bits", ONE("a", "F6_E2M3", 2), 1, NULL, 0, "whole byte");
    refuse("over 2^64 elements", ONE("a", "U8", 1ull << 33, 1ull << 33), 1, NULL, 0, "over 2^64 bits");
    refuse("over 2^64 bits", ONE("a", "F64", 1ull << 58), 1, NULL, 0, "over 2^64 bits");
    refuse("over 2^63 bytes together", huge, 2, NULL, 0, "over 2^64 bits");
    refuse("a name in Latin-1", ONE("caf\xe9", "F32", 1), 1, NULL, 0, "a tensor's name caf");
    refuse("a name in Latin-1", ONE("caf\xe9", "F32", 1), 1, NULL, 0, "is not UTF-8, as the format demands: byte 0xe9 at 3");
    refuse("a surrogate", ONE("\xed\xa0\x80", "F32", 1), 1, NULL, 0, "UTF-8");
    refuse("an overlong NUL", ONE("\xc0\x80", "F32", 1), 1, NULL, 0, "UTF-8");
    refuse("a key twice", NULL, 0, (const pith_pair[]){{"k", "1"}, {"l", "1"}, {"k", "1"}}, 3, "metadata key k twice");
    refuse("a key in Latin-1", NULL, 0, (const pith_pair[]){{"\xff", "1"}}, 1, "a metadata key");
    refuse("a value in Latin-1", NULL, 0, (const pith_pair[]){{"k", "\xff"}}, 1, "a metadata value");
    refuse("no value", NULL, 0, (const pith_pair[]){{"k", NULL}}, 1, "a metadata value is missing");
    const one none[] = {{{.name = "a", .dtype = "U8", SHAPE(1ull << 33, 1ull << 33, 0)}, "", 0}};
    write_file("zero-sized", none, 1, NULL, 0); /* a zero anywhere makes it nothing */
}

/* The header may have 100,000,000 bytes, and our reader takes as many. */
static void test_header_limit(void **state)
{
    (void)state;
    static const char around[] = "{\"__metadata__\":{\"\":\"\"}}";
    size_t n = 100000000 - (sizeof around - 1);
    char *value = malloc(n + 2);
    memset(value, 'v', n + 1);
    value[n + 1] = 0;
    refuse("a header of 100,000,001 bytes", NULL, 0, (const pith_pair[]){{"", value}}, 1, "the header would be over 100000000 bytes");
    value[n] = 0;
    const char *path = write_file("limit", NULL, 0, (const pith_pair[]){{"", value}}, 1);
    struct stat st;
    assert_true(stat(path, &st) == 0 && st.st_size == 100000008);
    pith_weights *w = pith_weights_open(path, NULL, NULL);
    const char *k, *v;
    assert_non_null(w);
    assert_int_equal(pith_weights_metadata(w, 0, 0, &k, &v), 0);
    assert_string_equal(v, value);
    pith_weights_close(w);
    free(value);
    unlink(path);
}

/* ---- read back ---- */

static void test_reads_back(void **state)
{
    (void)state;
    one *x = calloc(N, sizeof *x);
    char (*names)[40] = calloc(N, sizeof *names);
    uint64_t (*shapes)[3] = calloc(N, sizeof *shapes);
    static unsigned char bytes[6000];
    static const char *const types[] = {"F32", "BF16", "I64", "BOOL", "F8_E4M3", "U16"};
    static const size_t widths[] = {4, 2, 8, 1, 1, 2};
    static const char *const words[] = {"layer", "\xe5\xb1\x82", "\xf0\x9f\x98\x80", "a\"b", "c\\d", "e\nf", "\x7f", "\x02"};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)noise();
    for (size_t i = 0; i < N; i++) {
        size_t type = noise() % 6, rank = noise() % 4, count = 1;
        snprintf(names[i], sizeof names[i], "%s.%d", words[noise() % 8], (int)(i * 1237 % N));
        for (size_t k = 0; k < rank; k++) count *= shapes[i][k] = noise() % 9;
        x[i] = (one){{.name = names[i], .dtype = types[type], .shape = shapes[i], .rank = rank}, bytes + i % 500, count * widths[type]};
    }
    static const pith_pair meta[] = {{"z", "1"}, {"a", "\xe5\xb1\x82\n"}};
    const char *path = write_file("back.safetensors", x, N, meta, 2);
    pith_err e = {{0}};
    pith_weights *w = pith_weights_open(path, NULL, &e);
    if (!w) fail_msg("%s", e.msg);
    assert_int_equal(pith_weights_count(w), N);
    assert_int_equal(pith_weights_warnings(w), 0);
    FILE *f = fopen(files_path("list"), "wb"); /* for Python: name, dtype, shape and bytes of each, in hexadecimal */
    for (size_t i = 0; i < N; i++) {
        pith_tensor t;
        assert_int_equal(pith_weights_find(w, x[i].t.name, &t), 0);
        assert_string_equal(t.dtype, x[i].t.dtype);
        assert_true(t.rank == x[i].t.rank && !memcmp(t.shape, x[i].t.shape, 8 * t.rank) && t.nbytes == x[i].n);
        assert_memory_equal(t.data, x[i].data, x[i].n);
        for (const char *p = t.name; *p; p++) fprintf(f, "%02x", (unsigned char)*p);
        fprintf(f, " %s ", t.dtype);
        for (size_t k = 0; k < t.rank; k++) fprintf(f, "%s%d", k ? "," : "", (int)t.shape[k]);
        fputs(" ", f);
        for (size_t k = 0; k < t.nbytes; k++) fprintf(f, "%02x", ((const unsigned char *)t.data)[k]);
        fputs("\n", f);
    }
    fclose(f);
    pith_weights_close(w);
    char command[2048];
    snprintf(command, sizeof command,
             "cd %s && /usr/bin/python3 -c '\n"
             "import json\n"
             "b = open(\"back.safetensors\", \"rb\").read()\n"
             "n = int.from_bytes(b[:8], \"little\")\n"
             "h = json.loads(b[8:8 + n].decode(\"utf-8\"))\n"
             "assert n %% 8 == 0 and list(h.pop(\"__metadata__\").items()) == [(\"z\", \"1\"), (\"a\", \"\\u5c42\\n\")]\n"
             "at = 0\n"
             "for v in h.values():\n"
             "    assert v[\"data_offsets\"][0] == at and list(v) == [\"dtype\", \"shape\", \"data_offsets\"]\n"
             "    at = v[\"data_offsets\"][1]\n"
             "assert 8 + n + at == len(b)\n"
             "for line in open(\"list\"):\n"
             "    name, dtype, shape, data = line.rstrip(\"\\n\").split(\" \")\n"
             "    v = h.pop(bytes.fromhex(name).decode(\"utf-8\"))\n"
             "    begin, end = v[\"data_offsets\"]\n"
             "    assert v[\"dtype\"] == dtype and v[\"shape\"] == [int(d) for d in shape.split(\",\") if d]\n"
             "    assert b[8 + n + begin:8 + n + end] == bytes.fromhex(data)\n"
             "assert not h'",
             files_dir);
    assert_int_equal(system(command), 0);
    free(x);
    free(names);
    free(shapes);
}

/* Every allocation that can fail: a message, no file, nothing left. */
static void test_no_memory(void **state)
{
    (void)state;
    files_mkdir("memory");
    const one x[] = {{{.name = "a", .dtype = "U8", SHAPE(64)}, NULL, 0}, {{.name = "b", .dtype = "U8", SHAPE(8)}, NULL, 0}};
    static const pith_pair meta[] = {{"k", "v"}};
    const char *path = files_path("memory/t");
    pith_tensor t[] = {x[0].t, x[1].t};
    int bad = 1;
    for (long n = 1; bad; n++) {
        pith_err e = {{0}};
        fail_at = n, n_calls = 0;
        pith_writer *w = pith_writer_new(path, t, 2, meta, 1, 0, &e);
        bad = !w;
        for (uint64_t at = 64; w && !bad && at;) bad = pith_writer_put(w, 0, at -= 2, "x", 1, &e); /* runs to be kept */
        for (uint64_t at = 0; w && !bad && at < 64; at += 2) bad = pith_writer_put(w, 0, at + 1, "y", 1, &e);
        if (w && !bad) bad = pith_writer_put(w, 1, 0, "abcdefgh", 8, &e) || pith_writer_finish(w, &e);
        long reached = n_calls;
        fail_at = 0;
        pith_writer_free(w);
        if (bad && !strstr(e.msg, "memory")) fail_msg("allocation %ld: '%s'", n, e.msg);
        if (!bad) assert_true(reached < n && n > 8);
        assert_int_equal(access(path, F_OK), bad ? -1 : 0);
    }
    DIR *d = opendir(files_path("memory"));
    int found = -2;
    while (readdir(d)) found++;
    closedir(d);
    assert_int_equal(found, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_published),   cmocka_unit_test(test_by_hand), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_pieces),      cmocka_unit_test(test_in_order_keeps_nothing), cmocka_unit_test(test_put_refused),
                                       cmocka_unit_test(test_refused),     cmocka_unit_test(test_header_limit), cmocka_unit_test(test_reads_back),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
