/* Memory ends at the n-th allocation, for n = 1, 2, ... until there is enough: a CSV file, long texts through every normalizer,
 * pre-tokenizer, model and decoder, the binding of weights. Each time there is an error that says so and nothing is left allocated,
 * or the same result as ever. Through the library's own door (base/mem.h), so under sanitizers too; test_tokenizer_nomem.c does
 * as much with what libc takes. */
#include "files.h"
#include "base/chunks.h"
#include "base/csv.h"
#include "base/mem.h"
#include "formats/bind.h"
#include "tokenizer/tokenizer.h"

static long countdown, live; /* countdown > 0: allocations until the one that fails */
static void *door(void *ctx, void *p, size_t bytes)
{
    (void)ctx;
    if (!bytes) {
        live--;
        free(p);
        return NULL;
    }
    if (countdown > 0 && --countdown == 0) return NULL;
    void *q = realloc(p, bytes);
    live += q && !p;
    return q;
}

/* What a run came to: a number for all of it. */
typedef int run_fn(const void *what, uint64_t *sum, pith_err *e);

/* Returns how many allocations failed. */
static long every(run_fn *run, const void *what)
{
    uint64_t want = 0;
    pith_err none = {{0}};
    countdown = 0;
    if (run(what, &want, &none)) fail_msg("with all memory: %s", none.msg);
    for (long n = 1;; n++) {
        pith_err e = {{0}};
        uint64_t sum = 0;
        long before = live;
        countdown = n;
        int rc = run(what, &sum, &e);
        bool came = countdown == 0;
        countdown = 0;
        assert_int_equal(live, before);
        if (rc && !strstr(e.msg, "memory")) fail_msg("allocation %ld: \"%s\"", n, e.msg);
        if (!rc) assert_true(sum == want);
        if (!came) return n - 1;
    }
}

static uint64_t mix(uint64_t sum, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) sum = (sum ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
    return sum * 31 + n;
}

/* ---- CSV ---- */

static int read_csv(const void *what, uint64_t *sum, pith_err *e)
{
    const char *text = what;
    csv r = {.sep = ',', .quoting = 1};
    int k = 0;
    for (size_t at = 0, n = strlen(text); at <= n && k >= 0; at += 1000) {
        k = at < n ? csv_feed(&r, text + at, n - at < 1000 ? n - at : 1000, e) : 0;
        if (at + 1000 > n) csv_finish(&r);
        while (!k && (k = csv_next(&r, e)) > 0) {
            for (size_t i = 0; i < r.n; i++) *sum = mix(*sum, r.fields[i].s, r.fields[i].len);
            k = 0;
        }
    }
    csv_free(&r);
    return k < 0 ? -1 : 0;
}

static void test_csv(void **state)
{
    (void)state;
    char *text = malloc(60000);
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "a,\"b \"\"c\"\"\",d\r\n");
    for (int i = 0; i < 500; i++) n += (size_t)sprintf(text + n, "%d,", i);
    n += (size_t)sprintf(text + n, "\r\r\n");
    for (int i = 0; i < 300; i++) n += (size_t)sprintf(text + n, "x\ry,\"%0100d\"\n", i);
    assert_true(every(read_csv, text) > 10);
    free(text);
}

/* ---- tokenizers ---- */

#define MARK "\xe2\x96\x81"
#define ADDED "\"added_tokens\":[{\"id\":0,\"content\":\"<x>\",\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"normalized\":true,\"special\":true}]"
#define LEVEL "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"b\":2}}"
static const char *const FILES[] = {
    "{" ADDED ",\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":true,\"lowercase\":true},"
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}," LEVEL "}",
    "{" ADDED ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKD\"},{\"type\":\"Lowercase\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},"
    "\"content\":\"abab\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"b\"},\"content\":\"bbb\"},{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s\"},\"behavior\":\"MergedWithNext\",\"invert\":false},"
    "{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}]}," LEVEL "}",
    "{" ADDED ",\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true},\"post_processor\":{\"type\":\"ByteLevel\","
    "\"trim_offsets\":true},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"\\u0120a\":4,\"1\":5},"
    "\"merges\":[\"a b\",\"\\u0120 a\"]}}",
    "{" ADDED ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"always\",\"split\":true},\"decoder\":{\"type\":\"Sequence\","
    "\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"" MARK "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \","
    "\"start\":1,\"stop\":1}]},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"" MARK "\",-2],[\"b\",-3],[\"<0xC3>\",-9]]}}",
    "{" ADDED ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"never\",\"split\":false},\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\""
    MARK "\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"" MARK "\",-2],[\"b\",-3]]}}",
    "{" ADDED ",\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"a\"},\"content\":\"aa\"},{\"type\":\"BPEDecoder\",\"suffix\":\"b\"}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"u\":0,\"a\":1,\"b\":2,\"ab\":3,\"<0xC3>\":4},\"merges\":[\"a b\"]}}",
};
static char text[40000];

static void fill_text(void)
{
    static const char *const units[] = {"\xe5\x8d\x9a", "\xea\xb0\x81", "\xc4\xb0", "\xef\xb7\xba", "a\xcc\x81\xcc\xa3", "ab ", "-", "\xc3\xa9", "\xff", "<x> ", "a1b "};
    size_t n = 0;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        for (int k = 0; k < 300; k++) n += (size_t)snprintf(text + n, sizeof text - n, "%s", units[i]);
    for (int k = 0; k < 3000; k++) n += (size_t)snprintf(text + n, sizeof text - n, "w%d ", k); /* words that no cache knows */
}

static int encode(const void *what, uint64_t *sum, pith_err *e)
{
    tokenizer_encoding x = {0};
    int rc = tokenizer_encode(what, text, strlen(text), "a b", 3, NULL, &x, NULL, e);
    if (!rc) *sum = mix(mix(mix(*sum, x.ids, x.n * sizeof *x.ids), x.begin, x.n * sizeof *x.begin), x.end, x.n * sizeof *x.end);
    tokenizer_encoding_free(&x);
    return rc;
}

static int decode(const void *what, uint64_t *sum, pith_err *e)
{
    static int32_t ids[3000];
    char *out = NULL;
    const char *part;
    size_t len;
    for (int i = 0; i < 3000; i++) ids[i] = i * 7 % 6;
    int rc = tokenizer_decode(what, ids, 3000, false, &out, &len, e);
    if (!rc) *sum = mix(*sum, out, len);
    mem_free(out);
    tokenizer_stream *s = rc ? NULL : tokenizer_stream_open(what, false, e);
    if (!s) return -1;
    for (int i = 0; i < 3000 && !rc; i++) {
        rc = tokenizer_stream_next(s, ids[i], &part, &len, e);
        if (!rc) *sum = mix(*sum, part, len);
    }
    if (!rc) rc = tokenizer_stream_end(s, &part, &len, e);
    if (!rc) *sum = mix(*sum, part, len);
    tokenizer_stream_free(s);
    return rc;
}

static int token_texts(const void *what, uint64_t *sum, pith_err *e)
{
    int rc = 0;
    for (int32_t id = 0; id < 3 && !rc; id++) {
        char *out = NULL;
        size_t len = 0;
        rc = tokenizer_token_text(what, id, &out, &len, e);
        if (!rc) *sum = mix(*sum, out, len);
        mem_free(out);
    }
    return rc;
}

static void test_long_texts(void **state)
{
    (void)state;
    fill_text();
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        pith_err e = {{0}};
        tokenizer *t = tokenizer_from_json("t", FILES[i], strlen(FILES[i]), &e);
        if (!t) fail_msg("%s", e.msg);
        assert_true(every(encode, t) > 10);
        assert_true(every(decode, t) > 5);
        assert_true(every(token_texts, t) > 5);
        tokenizer_free(t);
    }
}

/* Pieces that spell bytes, as Rust's from_str_radix reads them: hexadecimal digits of either case, and a plus sign. */
static void test_byte_pieces(void **state)
{
    (void)state;
    static const char json[] = "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]},\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":{"
                               "\"<0x41>\":0,\"<0x4a>\":1,\"<0x4F>\":2,\"<0x+A>\":3,\"<0xG1>\":4,\"<0x4G>\":5,\"<0x4->\":6,\"<0x41)\":7,\"<1x41>\":8,\"<0x+>\":9,\"<0xc3>\":10,\"<0xA9>\":11,"
                               "\"<0xFf>\":12,\"<0x/0>\":13,\"<0x@0>\":14,\"<0x`0>\":15,\"<0x:0>\":16,\"a\":17}}}";
    static const char *const want[] = {"A", "J", "O", "\n", "<0xG1>", "<0x4G>", "<0x4->", "<0x41)", "<1x41>", "<0x+>", "\xef\xbf\xbd", "\xef\xbf\xbd", "\xef\xbf\xbd",
                                       "<0x/0>", "<0x@0>", "<0x`0>", "<0x:0>", "a"};
    pith_err e = {{0}};
    tokenizer *t = tokenizer_from_json("t", json, sizeof json - 1, &e);
    if (!t) fail_msg("%s", e.msg);
    for (int32_t id = 0; id < 18; id++) {
        char *out = NULL;
        size_t len;
        assert_int_equal(tokenizer_decode(t, &id, 1, false, &out, &len, &e), 0);
        assert_string_equal(out, want[id]);
        mem_free(out);
    }
    static const int32_t both[] = {10, 11};
    char *out = NULL;
    size_t len;
    assert_int_equal(tokenizer_decode(t, both, 2, false, &out, &len, &e), 0);
    assert_string_equal(out, "\xc3\xa9");
    mem_free(out);
    tokenizer_free(t);
}

/* ---- weights ---- */

static int bind_all(const void *what, uint64_t *sum, pith_err *e)
{
    bind *b = bind_new(what, e);
    tensor t = {0};
    if (!b) return -1;
    for (int i = 0; i < 20; i++) bind_alias(b, "no.weight", "none"), bind_prefix(b, "model."), bind_ignore(b, ".ids");
    bind_alias(b, "norm.weight", "norm.gamma");
    int rc = bind_vector(b, &t, 2, "hidden_size", "model.norm.weight") | bind_finish(b, NULL, e);
    if (!rc) *sum = t.nbytes;
    bind_free(b);
    return rc ? -1 : 0;
}

static void test_binding(void **state)
{
    (void)state;
    static const char header[] = "{\"norm.gamma\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"x.ids\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[8,16]}}";
    safetensors *s = files_open(files_st("m.safetensors", header, 0, "0123456789abcdef", 16), NULL);
    assert_true(every(bind_all, s) >= 6);
    safetensors_close(s);
}

/* Where there is no room for a chunk, what must be is taken alone; where there is none for that, nothing. */
static void test_chunks(void **state)
{
    (void)state;
    long refused = 0;
    for (long n = 1; n < 12; n++) {
        chunk_list l = {0};
        long before = live;
        countdown = n;
        for (size_t i = 0; i < 4; i++) {
            char *p = chunks_take(&l, (size_t)100 << 5 * i);
            if (p) memset(p, 1, (size_t)100 << 5 * i);
            refused += !p;
        }
        countdown = 0;
        chunks_free(&l);
        assert_int_equal(live, before);
    }
    assert_true(refused > 0);
    countdown = 1;
    assert_null(chunks_take(NULL, 10));
    countdown = 0;
    void *p = chunks_take(NULL, 0);
    assert_non_null(p);
    mem_free_aligned(p);
    assert_null(chunks_take(NULL, SIZE_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_csv), cmocka_unit_test(test_long_texts), cmocka_unit_test(test_byte_pieces), cmocka_unit_test(test_binding), cmocka_unit_test(test_chunks)};
    if (mem_set(door, NULL)) return 1;
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
