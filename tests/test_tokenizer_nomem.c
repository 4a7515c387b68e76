/* Memory runs out: for n = 1, 2, ... the n-th allocation of opening, encoding and decoding fails. Each time there is
 * an error, or the same result, and nothing is left allocated. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include <errno.h>
#include "tokenizer/tokenizer.h"
#include <unistd.h>

#if !UTIL_SANITIZED && defined(__GLIBC__)
/* glibc's allocator under its other names, so that a program can put its own in front. */
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void __libc_free(void *p);

static long countdown; /* > 0: allocations until the one that fails */
static long live;      /* allocations of this thread minus frees, while watching */
static int watching;

/* Seen by the shared libraries too, so that what libc allocates and we free is counted on both sides. */
#define EVERYWHERE __attribute__((visibility("default")))

static int fails(void)
{
    if (!watching || countdown <= 0 || --countdown) return 0;
    errno = ENOMEM;
    return 1;
}
EVERYWHERE void *malloc(size_t n)
{
    void *p = fails() ? NULL : __libc_malloc(n);
    live += watching && p;
    return p;
}
EVERYWHERE void *calloc(size_t n, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(n, size);
    live += watching && p;
    return p;
}
EVERYWHERE void *realloc(void *old, size_t n)
{
    void *p = fails() ? NULL : __libc_realloc(old, n);
    live += watching && p && !old;
    return p;
}
EVERYWHERE void free(void *p)
{
    live -= watching && p;
    __libc_free(p);
}

static const char JSON[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[SEP]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
    "\"normalized\":false,\"special\":true},{\"id\":9,\"content\":\"\xc3\xa9x\",\"single_word\":false,\"lstrip\":false,"
    "\"rstrip\":false,\"normalized\":true,\"special\":false}],\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{"
    "\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":false,\"lowercase\":"
    "true},{\"type\":\"NFD\"}]},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":{\"type\":"
    "\"BertProcessing\",\"sep\":[\"[SEP]\",1],\"cls\":[\"[CLS]\",2]},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\","
    "\"cleanup\":true},\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"[SEP]\":1,\"[CLS]\":2,\"a\":3,\"##b\":4,\"\xe5\x8d\x9a\":6,"
    "\"i\xcc\x87\":5}}}";
/* Invalid bytes, long runs of marks, a character that becomes two, added tokens. */
static const char TEXT[] = "ab\xff[SEP]\xe5\x8d\x9a\xc4\xb0 a\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3"
                           "\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3\xcc\x81\xcc\xa3 \xc3\xa9x abab";

#define MARK "\xe2\x96\x81"
#define ADDED "\"added_tokens\":[{\"id\":1,\"content\":\"<x>\",\"single_word\":false,\"lstrip\":true,\"rstrip\":false,\"normalized\":true,\"special\":true}]"
/* Every component that allocates, in three files. */
static const char *const MORE[] = {
    "{" ADDED ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"c+\"},"
    "\"content\":\"b\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}\"},"
    "\"behavior\":\"Contiguous\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true},{\"type\":\"Digits\","
    "\"individual_digits\":true}]},\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},{\"type\":"
    "\"RobertaProcessing\",\"sep\":[\"<x>\",1],\"cls\":[\"<x>\",1],\"trim_offsets\":true}]},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
    "\"BPE\",\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"\\u0120a\":4,\"1\":5},\"merges\":[\"a b\",[\"\\u0120\",\"a\"]]}}",
    "{" ADDED ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"},{\"type\":\"Replace\","
    "\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}]},\"decoder\":{\"type\":"
    "\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"" MARK "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1},{\"type\":\"BPEDecoder\",\"suffix\":\"a\"}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"a\","
    "\"byte_fallback\":true,\"end_of_word_suffix\":\"b\",\"vocab\":{\"a\":0,\"" MARK "\":1,\"<0xC3>\":2,\"b\":3},\"merges\":[]}}",
    "{" ADDED ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"first\",\"split\":true},\"decoder\":{\"type\":"
    "\"Metaspace\",\"replacement\":\"" MARK "\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],[\"a\",-1],"
    "[\"" MARK "a\",-2],[\"<0xC3>\",-3]]}}",
};
#define N_MORE (sizeof MORE / sizeof *MORE)

/* Runs fn with the n-th allocation failing for growing n, until none fails. Returns how many did. */
static long every(int (*fn)(pith_err *e))
{
    for (long n = 1;; n++) {
        pith_err e = {{0}};
        live = 0;
        countdown = n;
        watching = 1;
        int rc = fn(&e);
        watching = 0;
        assert_int_equal(live, 0);
        if (countdown > 0) { /* it never came to the n-th */
            assert_int_equal(rc, 0);
            assert_string_equal(e.msg, "");
            return n - 1;
        }
        if (rc == 0) continue; /* something that is not needed, as stdio's buffer */
        if (!strstr(e.msg, "memory") && !strstr(e.msg, "not valid JSON")) fail_msg("allocation %ld: \"%s\"", n, e.msg);
    }
}

static int open_json(pith_err *e)
{
    tokenizer *t = tokenizer_from_json("t", JSON, sizeof JSON - 1, e);
    tokenizer_free(t);
    return t ? 0 : -1;
}

static const char *more_json;
static int open_more(pith_err *e)
{
    tokenizer *t = tokenizer_from_json("t", more_json, strlen(more_json), e);
    tokenizer_free(t);
    return t ? 0 : -1;
}

static const char *dir;
static int open_dir(pith_err *e)
{
    tokenizer *t = tokenizer_open(dir, e);
    tokenizer_free(t);
    return t ? 0 : -1;
}

static const tokenizer *shared;
static int encode(pith_err *e)
{
    tokenizer_encoding x = {0};
    int rc = tokenizer_encode(shared, TEXT, sizeof TEXT - 1, "a b", 3, NULL, &x, NULL, e);
    tokenizer_encoding_free(&x);
    return rc;
}

static int decode(pith_err *e)
{
    static const int32_t ids[] = {2, 3, 4, 6, 0, 7, 1};
    char *text = NULL;
    size_t len;
    int rc = tokenizer_decode(shared, ids, 7, false, &text, &len, e);
    if (!rc) free(text);
    return rc;
}

static int stream(pith_err *e)
{
    static const int32_t ids[] = {0, 1, 2, 3, 2, 0, 1};
    const char *text;
    size_t len;
    tokenizer_stream *s = tokenizer_stream_open(shared, false, e);
    int rc = s ? 0 : -1;
    for (size_t i = 0; i < 7 && !rc; i++) rc = tokenizer_stream_next(s, ids[i], &text, &len, e);
    if (!rc) rc = tokenizer_stream_end(s, &text, &len, e);
    tokenizer_stream_free(s);
    return rc;
}

static void test_open(void **state)
{
    (void)state;
    assert_true(every(open_json) > 40);
    for (size_t i = 0; i < N_MORE; i++) {
        more_json = MORE[i];
        assert_true(every(open_more) > 40);
    }
}

static void test_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MORE; i++) {
        pith_err e = {{0}};
        tokenizer *t = tokenizer_from_json("t", MORE[i], strlen(MORE[i]), &e);
        if (!t) fail_msg("%s", e.msg);
        shared = t;
        assert_true(every(encode) > 8);
        assert_true(every(decode) >= 3);
        assert_true(every(stream) >= 3);
        tokenizer_free(t);
    }
}

/* The files that stand in for tokenizer.json. */
static void test_open_others(void **state)
{
    (void)state;
    static const char *const FILES[][2] = {{"vocab.json", "{\"a\":0,\"b\":1,\"ab\":2}"}, {"merges.txt", "a b\n"},
                                           {"tokenizer_config.json", "{\"unk_token\":null,\"bos_token\":null,\"eos_token\":\"a\"}"},
                                           {"tokenizer.model", "\n\003\n\001a\n\003\n\001b\n\004\n\002ab\022\002\030\002"}};
    char path[] = "/tmp/pith-test-XXXXXX", file[64];
    assert_non_null(dir = mkdtemp(path));
    for (size_t i = 0; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", dir, FILES[i][0]);
        FILE *f = fopen(file, "wb");
        assert_non_null(f);
        fputs(FILES[i][1], f);
        fclose(f);
    }
    assert_true(every(open_dir) > 40);
    snprintf(file, sizeof file, "%s/vocab.json", dir);
    unlink(file);
    snprintf(file, sizeof file, "%s/tokenizer_config.json", dir);
    FILE *f = fopen(file, "wb");
    fputs("{\"add_bos_token\":false}", f);
    fclose(f);
    assert_true(every(open_dir) > 40);
    for (size_t i = 1; i < 4; i++) {
        snprintf(file, sizeof file, "%s/%s", dir, FILES[i][0]);
        unlink(file);
    }
    rmdir(dir);
}

static void test_open_vocabtxt(void **state)
{
    (void)state;
    char path[] = "/tmp/pith-test-XXXXXX", file[64];
    assert_non_null(dir = mkdtemp(path));
    snprintf(file, sizeof file, "%s/vocab.txt", dir);
    FILE *f = fopen(file, "wb");
    assert_non_null(f);
    fputs("[UNK]\n[CLS]\n[SEP]\nab\n", f);
    fclose(f);
    assert_true(every(open_dir) > 40);
    unlink(file);
    rmdir(dir);
}

static void test_encode_decode(void **state)
{
    (void)state;
    pith_err e = {{0}};
    tokenizer *t = tokenizer_from_json("t", JSON, sizeof JSON - 1, &e);
    assert_non_null(t);
    shared = t;
    assert_true(every(encode) > 20);
    assert_true(every(decode) >= 4);
    tokenizer_free(t);
}
#else
static void test_open(void **state)
{
    (void)state;
    printf("# skip: allocations cannot be made to fail under a sanitizer or another C library\n");
    skip();
}
#define test_open_vocabtxt test_open
#define test_encode_decode test_open
#define test_more test_open
#define test_open_others test_open
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_vocabtxt),
        cmocka_unit_test(test_encode_decode),
        cmocka_unit_test(test_more),
        cmocka_unit_test(test_open_others),
    };
    return cmocka_run_group_tests_name("tokenizer_nomem", tests, NULL, NULL);
}
