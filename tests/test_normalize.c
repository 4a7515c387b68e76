/* The normalizer's own promises: what each byte of the result came from, marks in order however long the run, and
 * broken UTF-8 repaired. What single characters become is in test_unicode.c. */
#include "util.h"
#include "tokenizer/normalize.h"
#include "tokenizer/unicode.h"

static normalizer open_normalizer(const char *text)
{
    pith_err e = {{0}};
    normalizer z = {0};
    json_doc *d = json_parse("test", text, strlen(text), &e);
    if (!d || normalize_open(&z, json_root(d), &e)) fail_msg("%s", e.msg);
    json_free(d);
    return z;
}

#define BERT(clean, cjk, strip, lower)                                                                                 \
    "{\"type\":\"BertNormalizer\",\"clean_text\":" #clean ",\"handle_chinese_chars\":" #cjk ",\"strip_accents\":" #strip \
    ",\"lowercase\":" #lower "}"

/* Checks the text and, of each of its characters, where it came from: "b-e" separated by spaces. */
static void check(const char *config, const char *text, const char *want, const char *origins)
{
    normalizer z = open_normalizer(config);
    normalized n = {0};
    char got[1024] = "";
    size_t cursor = 0;
    assert_int_equal(normalize_run(&z, text, strlen(text), &n, NULL), 0);
    assert_int_equal(n.len, strlen(want));
    assert_memory_equal(n.text, want, n.len);
    for (size_t i = 0, len; i < n.len; i += len) {
        unicode_decode(n.text + i, &len);
        uint64_t b = i, e = i + len;
        normalize_origin(&n, &cursor, &b, &e);
        snprintf(got + strlen(got), sizeof got - strlen(got), i ? " %d-%d" : "%d-%d", (int)b, (int)e);
    }
    assert_string_equal(got, origins);
    normalize_result_free(&n);
    normalize_free(&z);
}

static void test_origins(void **state)
{
    (void)state;
    check(BERT(true, true, null, true), "", "", "");
    check(BERT(true, true, null, true), "aB", "ab", "0-1 1-2");
    check(BERT(true, true, null, true), "a\x01" "B\tc", "ab c", "0-1 2-3 3-4 4-5");
    check(BERT(true, true, null, true), "\x01\x02", "", "");
    check(BERT(true, true, null, true), "\xc3\x89x", "ex", "0-2 2-3");         /* shorter */
    check(BERT(true, true, null, true), "e\xcc\x81x", "ex", "0-1 3-4");        /* the mark goes, and with it its bytes */
    check(BERT(true, true, null, true), "a\xe3\x80\x80" "b", "a b", "0-1 1-4 4-5");
    check(BERT(true, true, null, true), "x\xe5\x8d\x9ay", "x \xe5\x8d\x9a y", "0-1 1-4 1-4 1-4 4-5");
    check(BERT(true, true, false, true), "\xd0\x94\xd0\x90", "\xd0\xb4\xd0\xb0", "0-2 2-4"); /* same length */
    check("{\"type\":\"Lowercase\"}", "\xc4\xb0z", "i\xcc\x87z", "0-2 0-2 2-3"); /* one becomes two */
    check("{\"type\":\"Lowercase\"}", "\xe1\xba\x9e!", "\xc3\x9f!", "0-3 3-4");
    check("{\"type\":\"NFD\"}", "\xed\x95\x9cz", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xabz", "0-3 0-3 0-3 3-4");
    check("{\"type\":\"NFD\"}", "\xc3\xa9", "e\xcc\x81", "0-2 0-2");
    /* marks out of order: as in the reference, places keep their order while marks change theirs */
    check("{\"type\":\"NFD\"}", "a\xcc\x81\xcc\xa3", "a\xcc\xa3\xcc\x81", "0-1 1-3 3-5");
    check("{\"type\":\"NFD\"}", "\xc3\xa1\xcc\xa3", "a\xcc\xa3\xcc\x81", "0-2 2-4 2-4");
}

/* Thousands of marks in wrong order: every one of the lower class comes first, wherever runs are cut. */
static void test_long_runs(void **state)
{
    (void)state;
    enum { N = 3000 };
    char *text = malloc(4 * N + 1);
    normalizer z = open_normalizer("{\"type\":\"NFD\"}");
    normalized n = {0};
    assert_non_null(text);
    text[0] = 'a';
    for (int i = 0; i < N; i++) memcpy(text + 1 + 4 * i, "\xcc\x81\xcc\xa3", 4);
    assert_int_equal(normalize_run(&z, text, 4 * N + 1, &n, NULL), 0);
    assert_int_equal(n.len, 4 * N + 1);
    for (int i = 0; i < N; i++) {
        assert_memory_equal(n.text + 1 + 2 * i, "\xcc\xa3", 2);
        assert_memory_equal(n.text + 1 + 2 * (N + i), "\xcc\x81", 2);
    }
    /* A run of 256 characters is cut before one that stands alone, not before a mark or what begins with one. */
    for (int at = 250; at < 262; at++) {
        char *p = text;
        for (int i = 0; i < at; i++, p += 2) memcpy(p, "\xd0\xb0", 2);
        memcpy(p, "\xcd\x84\xcc\xa3z", 5); /* U+0344 = U+0308 U+0301, both after U+0323 */
        assert_int_equal(normalize_run(&z, text, (size_t)(p - text) + 5, &n, NULL), 0);
        assert_int_equal(n.len, (size_t)(p - text) + 7);
        assert_memory_equal(n.text + (p - text), "\xcc\xa3\xcc\x88\xcc\x81z", 7);
        memcpy(p, "\xcc\x81\xe0\xbd\xb3z", 6); /* U+0F73, no mark itself = U+0F71 U+0F72, both before U+0301 */
        assert_int_equal(normalize_run(&z, text, (size_t)(p - text) + 6, &n, NULL), 0);
        assert_int_equal(n.len, (size_t)(p - text) + 9);
        assert_memory_equal(n.text + (p - text), "\xe0\xbd\xb1\xe0\xbd\xb2\xcc\x81z", 9);
    }
    normalize_result_free(&n);
    normalize_free(&z);
    free(text);
}

static void test_repair(void **state)
{
    (void)state;
    normalized n = {0};
    size_t replaced, cursor = 0;
    assert_int_equal(normalize_repair("a\xff\xf0\x9f\x98" "b\xc3\xa9", 8, &n, &replaced, NULL), 0);
    assert_int_equal(replaced, 2);
    assert_int_equal(n.len, 10);
    assert_memory_equal(n.text, "a\xef\xbf\xbd\xef\xbf\xbd" "b\xc3\xa9", 10);
    uint64_t spans[][4] = {{0, 1, 0, 1}, {0, 4, 0, 2}, {1, 4, 1, 2}, {1, 10, 1, 8}, {4, 7, 2, 5}, {7, 8, 5, 6}, {8, 10, 6, 8}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        normalize_origin(&n, &cursor, &spans[i][0], &spans[i][1]);
        assert_int_equal(spans[i][0], spans[i][2]);
        assert_int_equal(spans[i][1], spans[i][3]);
    }
    normalize_result_free(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_repair),
    };
    return cmocka_run_group_tests_name("normalize", tests, NULL, NULL);
}
