/* jtext against JSONTestSuite and against what must come out of strings. The command line is in no library, so its
 * file is compiled in here. */
#define _DEFAULT_SOURCE
#include "util.h"
#include "cli/jtext.c"
#include <dirent.h>

static int valid(const char *s, size_t len)
{
    pith_err e = {{0}};
    int bad = jtext_check(s, len, &e);
    assert_int_equal(bad != 0, e.msg[0] != 0);
    return !bad;
}

/* Bytes above 0x7f are the tokenizer's business; the suite's cases that are only wrong there do not apply. */
static int only_ascii(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80) return 0;
    return 1;
}

static void suite(void **state)
{
    (void)state;
    const char *root = util_need("corpora/json/test_parsing");
    DIR *d = opendir(root);
    int yes = 0, no = 0, skipped = 0;
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d)) != NULL;) {
        char path[2048];
        size_t len;
        if (x->d_name[0] == '.' || x->d_name[1] != '_') continue;
        snprintf(path, sizeof path, "%s/%s", root, x->d_name);
        char *s = util_read(path, &len);
        /* In a buffer of exactly its size, so that a sanitizer sees a step too far. */
        char *exact = malloc(len ? len : 1);
        memcpy(exact, s, len);
        int ok = valid(exact, len), ascii = only_ascii(s, len);
        free(s);
        free(exact);
        if (x->d_name[0] == 'y') {
            if (!ok) fail_msg("%s was refused", x->d_name);
            yes++;
        } else if (x->d_name[0] == 'n' && ascii) {
            if (ok) fail_msg("%s was accepted", x->d_name);
            no++;
        } else {
            skipped++;
        }
    }
    closedir(d);
    printf("# %d accepted, %d refused, %d free or not ASCII\n", yes, no, skipped);
    assert_in_range(yes, 90, 400);
    assert_in_range(no, 150, 400);
}

static void own_cases(void **state)
{
    (void)state;
    static const char *const good[] = {"{}", " [1, 2 ]\r", "\"\\u0000\\ud800\"", "-0.1e+9", "{\"a\":{\"a\":[[]]},\"a\":1}", "\"\xff\""};
    static const char *const bad[] = {"", " ", "{", "[1,]", "{\"a\":1,}", "{\"a\" 1}", "{a:1}", "01", "1.", ".1", "+1", "1e", "-",
                                      "\"a", "\"\\x\"", "\"\\u12g4\"", "\"\\", "\"\t\"", "nul", "[1] 2", "'a'", "NaN", "[1}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!valid(good[i], strlen(good[i]))) fail_msg("%s was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (valid(bad[i], strlen(bad[i]))) fail_msg("%s was accepted", bad[i]);
    assert_false(valid("\"a\0b\"", 5));
    assert_false(valid("[\0]", 3));
    size_t n = 1000000; /* nesting is bounded, so a stranger cannot overflow the stack */
    char *deep = malloc(n);
    memset(deep, '[', n);
    assert_false(valid(deep, n));
    free(deep);
}

static void strings(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *want;
        size_t n;
    } t[] = {{"", "", 0},
             {"plain", "plain", 5},
             {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t", 8},
             {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac", 6},
             {"x\\u0000y", "x\0y", 3},
             {"\\ud83d\\ude00", "\xf0\x9f\x98\x80", 4},
             {"\\ud83d", "\xef\xbf\xbd", 3},
             {"\\ude00\\ud83d", "\xef\xbf\xbd\xef\xbf\xbd", 6},
             {"\\ud83dx\\u0041", "\xef\xbf\xbdxA", 5},
             {"\\ud83d\\ud83d\\ude00", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7},
             {"\xff", "\xff", 1}};
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        size_t n = 99, len = strlen(t[i].raw);
        char *raw = malloc(len ? len : 1);
        memcpy(raw, t[i].raw, len);
        char *s = jtext_decode(raw, len, &n);
        assert_int_equal(n, t[i].n);
        assert_memory_equal(s, t[i].want, n + 1);
        free(raw);
        free(s);
    }
}

static void ids(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "1", "{}", "[1.5]", "[-1]", "[1e3]", "[2147483648]", "[99999999999999999999]",
                                      "[\"1\"]", "[null]", "[[1]]", "[1,2", "[1] x"};
    int32_t *v;
    size_t n;
    pith_err e = {{0}};
    assert_int_equal(jtext_ids(" [ 1 ,2147483647, 0]\r", 21, &v, &n, &e), 0);
    assert_int_equal(n, 3);
    assert_int_equal(v[0], 1);
    assert_int_equal(v[1], 2147483647);
    assert_int_equal(v[2], 0);
    free(v);
    assert_int_equal(jtext_ids("[]", 2, &v, &n, &e), 0);
    assert_int_equal(n, 0);
    free(v);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pith_err why = {{0}};
        if (!jtext_ids(bad[i], strlen(bad[i]), &v, &n, &why) || !why.msg[0]) fail_msg("%s was accepted", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest t[] = {cmocka_unit_test(suite), cmocka_unit_test(own_cases), cmocka_unit_test(strings),
                                   cmocka_unit_test(ids)};
    return cmocka_run_group_tests(t, NULL, NULL);
}
