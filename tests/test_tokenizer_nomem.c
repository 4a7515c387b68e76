/* Memory runs out: for n = 1, 2, ... the n-th allocation of opening, encoding and decoding fails. Each time there is
 * an error, or the same result, and nothing is left allocated. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include <errno.h>
#include "tokenizer/tokenizer.h"
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define CAN_FAIL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CAN_FAIL 0
#endif
#endif
#if !defined(CAN_FAIL) && defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
#define CAN_FAIL 1
#elif !defined(CAN_FAIL)
#define CAN_FAIL 0
#endif

#if CAN_FAIL
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

static void test_open(void **state)
{
    (void)state;
    assert_true(every(open_json) > 40);
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
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_vocabtxt),
        cmocka_unit_test(test_encode_decode),
    };
    return cmocka_run_group_tests_name("tokenizer_nomem", tests, NULL, NULL);
}
