/* Patterns of tokenizer.json, written for oniguruma, translated to PCRE2: what they match, and what is refused because the two do not
 * mean the same by it. */
#include "util.h"
#include "tokenizer/regex.h"

/* All matches of a pattern in a text, separated by '|'. */
static const char *matches(const char *pattern, const char *text)
{
    static char out[1024];
    pith_err e = {{0}};
    size_t n = 0, begin, end, len = strlen(text);
    regex *r = regex_open("here", pattern, &e);
    if (!r) fail_msg("%s: %s", pattern, e.msg);
    regex_scratch *s = regex_scratch_new(r, &e);
    assert_non_null(s);
    out[0] = 0;
    for (size_t from = 0; from <= len && regex_next(r, s, text, len, from, &begin, &end, &e) > 0; from = end > from ? end : from + 1)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "", (int)(end - begin), text + begin);
    assert_string_equal(e.msg, "");
    regex_scratch_free(s);
    regex_free(r);
    return out;
}

static void test_matches(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"\\p{L}+", "ab1\xc3\xa9-\xe4\xb8\x80", "ab|\xc3\xa9|\xe4\xb8\x80"}, {"\\P{L}+", "ab1-c", "1-"}, {"[^\\p{L}\\s]+", "ab 1-c", "1-"},
        {"\\p{N}", "a1\xc2\xb2\xe2\x85\xa7", "1|\xc2\xb2|\xe2\x85\xa7"}, {"[\\P{N}]+", "a1b", "a|b"}, {"\\P{N}+", "12ab3", "ab"},
        {"\\s+", "a \t\xc2\x85\xe3\x80\x80" "b\x1c" "c", " \t\xc2\x85\xe3\x80\x80"}, {"\\S+", "a \xc2\xa0" "b", "a|b"}, {"[\\S]+", "a b", "a|b"},
        {"[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+", "abCD\xe4\xb8\x80", "CD\xe4\xb8\x80"}, {"[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+", "abCD", "ab"},
        {"\\u0041\\u00e9", "A\xc3\xa9" "A", "A\xc3\xa9"}, {"[\\u0041-\\u0043]+", "ABCD", "ABC"}, {"a\\vb", "a\x0b" "b", "a\x0b" "b"}, {"\\r?\\n", "a\r\nb\n", "\r\n|\n"},
        {"[^a]+", "abca", "bc"}, {"[a-c&]+", "a&d", "a&"}, {"(?i:A)b", "ab aB", "ab"}, {"(?:a|b)+(?=c)", "abc ab", "ab"}, {"(?<!a)b", "ab bb", "b|b"}, {"(?<=a)b(?!c)", "ab abc", "b"},
        {"(?>a+)b", "aab", "aab"}, {"(?i)A", "a", "a"}, {"(?-i:a)", "Aa", "a"}, {"(a)(b)", "ab", "ab"}, {"a{2,3}", "aaaa", "aaa"}, {"a{2}", "aaa", "aa"}, {"\\d+\\w", "12a", "12a"}, {"\\bA\\b", "A AA", "A"},
        {"\\.\\-\\\\", "x.-\\", ".-\\"}, {"^a$", "a\nb", "a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(matches(cases[i][0], cases[i][1]), cases[i][2])) fail_msg("%s in \"%s\": \"%s\", expected \"%s\"", cases[i][0], cases[i][1], matches(cases[i][0], cases[i][1]), cases[i][2]);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a\\", "a lone backslash"}, {"\\u12", "the escape near"}, {"\\u12g4", "the escape near"}, {"\\u", "the escape near"}, {"\\K", "the escape near \"\\K\""}, {"\\h", "the escape near"},
        {"\\1", "the escape near"}, {"[\\b]", "the escape near"}, {"\\\xc3\xa9", "the escape near"}, {"[]", "an empty class"}, {"[^]", "an empty class"}, {"[a[b]]", "a class within a class"},
        {"[a&&b]", "a class within a class"}, {"[ab", "a class without end"}, {"[a\\", "a lone backslash"}, {"(*FAIL)", "a verb"}, {"(?P<x>a)", "the group"}, {"(?<x>a)", "the group"}, {"(?#a)", "the group"},
        {"a{2}+", "an interval with +"}, {"(a", "not a valid pattern"}, {"a**b(", "not a valid pattern"}, {"[b-a]", "not a valid pattern"}, {"[\\K]", "the escape near"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_err e = {{0}};
        regex *r = regex_open("here", cases[i][0], &e);
        if (r || strncmp(e.msg, "here: ", 6) || !strstr(e.msg, cases[i][1])) fail_msg("%s: \"%s\" does not say \"%s\"", cases[i][0], e.msg, cases[i][1]);
    }
    /* Too long: as it is, and as what it stands for. */
    char *big = malloc((4 << 20) + 1);
    assert_non_null(big);
    static const struct {
        size_t n;
        const char *unit;
    } sizes[] = {{(1 << 20) + 1, "a"}, {4 << 20, "a"}, {60000, "\\p{L}"}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t k = strlen(sizes[i].unit);
        pith_err e = {{0}};
        for (size_t at = 0; at + k <= sizes[i].n; at += k) memcpy(big + at, sizes[i].unit, k);
        big[sizes[i].n / k * k] = 0;
        assert_null(regex_open("here", big, &e));
        assert_string_equal(e.msg, "here: the pattern is too long");
    }
    free(big);
    /* One that takes forever is given up. */
    pith_err e = {{0}};
    size_t begin, end;
    regex *r = regex_open("here", "(a+)+$b", &e);
    regex_scratch *s = regex_scratch_new(r, &e);
    assert_int_equal(regex_next(r, s, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", 41, 0, &begin, &end, &e) <= 0, 1);
    regex_scratch_free(s);
    regex_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_matches), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
