/* The strict tokens themselves; what a header makes of them is test_header's. */
#include "util.h"
#include "formats/scan.h"

/* A scan over a copy of text with the NUL bytes it needs; the sanitizer watches the end of it. */
static scan begin(const char *text, char **copy, pith_err *e)
{
    size_t n = strlen(text);
    *copy = calloc(1, n + SCAN_PAD);
    memcpy(*copy, text, n);
    *e = (pith_err){{0}};
    return (scan){*copy, *copy, *copy + n, 0, e};
}

static void test_strings(void **state)
{
    (void)state;
    static const struct { const char *text, *want; } all[] = {
        {"\"\"", ""}, {" \t\r\n\"a\"", "a"}, {"\"12345678\"", "12345678"}, {"\"1234567\\n89012345678\"", "1234567\n89012345678"},
        {"\"\\u0041\\u00e9\\u4e2d\\ud83d\\ude00\"", "A\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"}, {"\"\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"", "\x7f\xc2\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf"},
        {"\"\\uFFFF\\u0000\"", "\xef\xbf\xbf\\u0000"},
        {"\"", NULL}, {"\"a", NULL}, {"\"12345678", NULL}, {"\"\\", NULL}, {"\"\\u", NULL}, {"\"\\u00", NULL}, {"\"\\ud800", NULL}, {"\"\\ud800\\", NULL}, {"\"\\ud800\\u", NULL},
        {"\"\\ud800\\udc0", NULL}, {"\"\\udc00\"", NULL}, {"\"\\ud800\\ud800\"", NULL}, {"\"\n\"", NULL}, {"\"\x1f\"", NULL}, {"\"\xc1\xbf\"", NULL}, {"\"\xe0\x9f\xbf\"", NULL},
        {"\"\xed\xa0\x80\"", NULL}, {"\"\xf0\x8f\xbf\xbf\"", NULL}, {"\"\xf4\x90\x80\x80\"", NULL}, {"\"\xf5\x80\x80\x80\"", NULL}, {"\"\x80\"", NULL}, {"\"\xc3", NULL}, {"\"\xe2\x82", NULL},
        {"\"\xf0\x9f\x98", NULL}, {"\"\xc3\"", NULL}, {"'a'", NULL}, {"", NULL}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *copy;
        pith_err e;
        scan_str s;
        scan c = begin(all[i].text, &copy, &e);
        int bad = scan_string(&c, "a string", &s);
        if (bad != (all[i].want ? 0 : -1)) fail_msg("case %zu: %d %s", i, bad, e.msg);
        if (bad) assert_true(e.msg[0]);
        else if (s.n != strlen(all[i].want) || memcmp(s.s, all[i].want, s.n)) fail_msg("case %zu: '%.*s'", i, (int)s.n, s.s);
        if (!bad) assert_true(c.at == c.end);
        free(copy);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct { const char *text; int ok; uint64_t want; } all[] = {
        {"0", 1, 0}, {"7]", 1, 7}, {"9223372036854775807", 1, INT64_MAX}, {"18446744073709551615", 1, UINT64_MAX}, {"18446744073709551616", 0, 0}, {"99999999999999999999999", 0, 0},
        {"00", 0, 0}, {"01", 0, 0}, {"-1", 0, 0}, {"+1", 0, 0}, {"1.", 0, 0}, {"1.0", 0, 0}, {"1e3", 0, 0}, {"1E3", 0, 0}, {".5", 0, 0}, {"x", 0, 0}, {"", 0, 0}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *copy;
        pith_err e;
        uint64_t v = 1;
        scan c = begin(all[i].text, &copy, &e);
        if (scan_u64(&c, "a number", &v) != (all[i].ok ? 0 : -1) || (all[i].ok && v != all[i].want)) fail_msg("case %zu: %s", i, e.msg);
        free(copy);
    }
}

static void test_skip(void **state)
{
    (void)state;
    static const char *const good[] = {"null", "true", "false", "0", "-0", "-12.5e+30", "1E5", "\"a\\\"b\"", "[]", "{}", "[ [ ] , {} ]", "{\"a\":{\"b\":[1,2]},\"c\":null}", "[1,[2,[3,[4]]]]"};
    static const char *const bad[] = {"", "nul", "True", "-", "01", "1.", ".1", "1e", "1e+", "+1", "[", "]", "[1", "[1,", "[1,]", "[,1]", "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1", "[1}",
                                      "{\"a\":1]", "NaN", "Infinity", "'a'", "[1 2]", "{\"a\":1 \"b\":2}", "\"\\x\""};
    for (size_t k = 0; k < sizeof good / sizeof *good + sizeof bad / sizeof *bad; k++) {
        size_t n = sizeof good / sizeof *good;
        const char *text = k < n ? good[k] : bad[k - n];
        char *copy;
        pith_err e;
        scan c = begin(text, &copy, &e);
        int got = scan_skip(&c, 0) || scan_peek(&c) || c.at != c.end; /* "01": what is left over is the caller's to refuse */
        if (got != (k >= n)) fail_msg("%s: %d %s", text, got, e.msg);
        free(copy);
    }
    char deep[2 * SCAN_DEPTH + 3];
    for (size_t d = SCAN_DEPTH; d <= SCAN_DEPTH + 1; d++) {
        char *copy;
        pith_err e;
        memset(deep, '[', d);
        memset(deep + d, ']', d);
        deep[2 * d] = 0;
        scan c = begin(deep, &copy, &e);
        assert_int_equal(scan_skip(&c, 0), d > SCAN_DEPTH ? -1 : 0);
        free(copy);
    }
}

static void test_show(void **state)
{
    (void)state;
    char buf[SCAN_SHOW], text[3000];
    assert_string_equal(scan_show(buf, "a.b", 3), "a.b");
    assert_string_equal(scan_show(buf, "\x1b[2J\n\x7f\xc2\x9b\xc2\xa0", 10), "\\u001b[2J\\u000a\\u007f\\u009b\xc2\xa0");
    for (size_t unit = 1; unit <= 4; unit++) { /* cut between characters, never inside one */
        static const char *const chars[] = {"x", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80"};
        for (size_t i = 0; i < 500; i++) memcpy(text + i * unit, chars[unit - 1], unit);
        size_t n = strlen(scan_show(buf, text, 500 * unit));
        assert_true(n < SCAN_SHOW && n > 90 && (n - 3) % unit == 0);
        assert_string_equal(buf + n - 3, "...");
    }
    memset(text, 1, sizeof text);
    assert_true(strlen(scan_show(buf, text, sizeof text)) < SCAN_SHOW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strings), cmocka_unit_test(test_numbers), cmocka_unit_test(test_skip), cmocka_unit_test(test_show)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
