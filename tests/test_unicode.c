/* What every one of the 1,112,064 scalar values becomes, against the tables of what the reference does with it; where
 * those are not there, against a hash of them. And UTF-8, valid and broken. */
#include "util.h"
#include "tokenizer/normalize.h"
#include "tokenizer/unicode.h"

#define BERT(clean, cjk, strip, lower)                                                                                 \
    "{\"type\":\"BertNormalizer\",\"clean_text\":" #clean ",\"handle_chinese_chars\":" #cjk ",\"strip_accents\":" #strip \
    ",\"lowercase\":" #lower "}"

static const struct {
    const char *table, *json;
    uint64_t hash; /* FNV-1a of every scalar's result, each followed by 0xff; from the golden tables */
} MAPPINGS[] = {
    {"bert_cased", BERT(true, true, null, false), 0x3ee120154c96a08e},
    {"bert_uncased", BERT(true, true, null, true), 0x7a56f3129a0b29a5},
    {"bert_clean_only", BERT(true, false, false, false), 0x64e6626ec725349e},
    {"bert_strip_only", BERT(false, false, true, false), 0xfc9d3b7a0efc4b07},
    {"nfd", "{\"type\":\"NFD\"}", 0x367a2034e4801e51},
    {"lowercase", "{\"type\":\"Lowercase\"}", 0x4b2e69a63593dc34},
    {"nfc", "{\"type\":\"NFC\"}", 0x0420af2407615d53},
    {"nfkc", "{\"type\":\"NFKC\"}", 0x50806b0dad4d7247},
    {"nfkd", "{\"type\":\"NFKD\"}", 0xd0815fe37d244062},
    {"strip_accents", "{\"type\":\"StripAccents\"}", 0xea88ea7d6dc66784},
};
#define N_MAPPINGS (sizeof MAPPINGS / sizeof *MAPPINGS)

static int is_scalar(uint32_t c) { return c < 0xd800 || c > 0xdfff; }
static uint64_t fnv(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
    return h;
}
#define FNV UINT64_C(0xcbf29ce484222325)

static normalizer open_normalizer(const char *text)
{
    pith_err e = {{0}};
    normalizer z = {0};
    json_doc *d = json_parse("test", text, strlen(text), &e);
    if (!d || normalize_open(&z, json_root(d), &e)) fail_msg("%s", e.msg);
    json_free(d);
    return z;
}

static void test_mappings_hash(void **state)
{
    (void)state;
    for (size_t m = 0; m < N_MAPPINGS; m++) {
        normalizer z = open_normalizer(MAPPINGS[m].json);
        normalized n = {0};
        uint64_t h = FNV;
        for (uint32_t c = 0; c < 0x110000; c++) {
            char utf8[4];
            if (!is_scalar(c)) continue;
            assert_int_equal(normalize_run(&z, utf8, unicode_encode(c, utf8), &n, NULL), 0);
            h = fnv(fnv(h, n.text, n.len), "\xff", 1);
        }
        if (h != MAPPINGS[m].hash) fail_msg("%s: hash 0x%016llx", MAPPINGS[m].table, (unsigned long long)h);
        normalize_result_free(&n);
        normalize_free(&z);
    }
}

static void test_mappings_golden(void **state)
{
    (void)state;
    util_need("golden/unicode/bert_cased.tsv");
    for (size_t m = 0; m < N_MAPPINGS; m++) {
        char rel[64];
        snprintf(rel, sizeof rel, "golden/unicode/%s.tsv", MAPPINGS[m].table);
        char *table = util_read(util_need(rel), NULL), *p = table;
        normalizer z = open_normalizer(MAPPINGS[m].json);
        normalized n = {0};
        uint32_t listed = (uint32_t)strtoul(p, &p, 16);
        for (uint32_t c = 0; c < 0x110000; c++) {
            char utf8[4], want[64];
            size_t len = unicode_encode(c, utf8), k = 0;
            if (!is_scalar(c)) continue;
            if (c != listed) {
                memcpy(want, utf8, k = len);
            } else {
                while (*p && *p != '\n')
                    if (*p == '\t' || *p == ' ' || *p == '\r')
                        p++;
                    else
                        k += unicode_encode((uint32_t)strtoul(p, &p, 16), want + k);
                listed = *p && p[1] ? (uint32_t)strtoul(p + 1, &p, 16) : UINT32_MAX;
            }
            assert_int_equal(normalize_run(&z, utf8, len, &n, NULL), 0);
            if (n.len != k || memcmp(n.text, want, k))
                fail_msg("%s: U+%04X becomes \"%.*s\", expected \"%.*s\"", MAPPINGS[m].table, c, (int)n.len, n.text,
                         (int)k, want);
        }
        assert_int_equal(listed, UINT32_MAX);
        normalize_result_free(&n);
        normalize_free(&z);
        free(table);
    }
}

/* Members of a range table, one byte a code point. */
static char *read_ranges(const char *path)
{
    char *text = util_read(path, NULL), *p = text, *in = calloc(0x110000, 1);
    assert_non_null(in);
    while (*p) {
        uint32_t first = (uint32_t)strtoul(p, &p, 16), last = first;
        if (*p == '.') last = (uint32_t)strtoul(p + 2, &p, 16);
        memset(in + first, 1, last - first + 1);
        while (*p == '\n' || *p == '\r') p++;
    }
    free(text);
    return in;
}

static void check_class(const char *path, unsigned flag)
{
    char *in = read_ranges(path);
    for (uint32_t c = 0; c < 0x110000; c++)
        if (is_scalar(c) && in[c] != ((unicode_class(c) & flag) != 0))
            fail_msg("%s: U+%04X is %sin it", path, c, in[c] ? "" : "not ");
    free(in);
}

static void test_class_golden(void **state)
{
    (void)state;
    check_class(util_need("golden/unicode/onig_s.ranges.txt"), UNICODE_SPACE);
    check_class(util_need("golden/unicode/bertpre_whitespace.ranges.txt"), UNICODE_SPACE);
    check_class(util_need("golden/unicode/punctuation.ranges.txt"), UNICODE_PUNCTUATION);
    check_class(util_need("golden/unicode/bertpre_isolated_punct.ranges.txt"), UNICODE_PUNCTUATION);
}

static void test_class(void **state)
{
    (void)state;
    uint64_t space = FNV, punctuation = FNV;
    check_class("tests/data/unicode/word.ranges.txt", UNICODE_WORD);
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (!is_scalar(c)) continue;
        char s = (unicode_class(c) & UNICODE_SPACE) != 0, p = (unicode_class(c) & UNICODE_PUNCTUATION) != 0;
        space = fnv(space, &s, 1);
        punctuation = fnv(punctuation, &p, 1);
    }
    assert_true(space == 0x6456ea463be947ac);
    assert_true(punctuation == 0xa3697819881abe1b);
    assert_int_equal(unicode_class(0x110000), 0);
    assert_int_equal(unicode_class(UINT32_MAX), 0);
}

static void test_utf8_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char s[4];
        size_t bad, len = 0, n = unicode_encode(c, s);
        if (!is_scalar(c)) {
            assert_int_equal(unicode_sequence(s, n, &bad), 0);
            assert_int_equal(bad, 1);
            continue;
        }
        assert_int_equal(unicode_sequence(s, n, &bad), n);
        assert_int_equal(unicode_decode(s, &len), c);
        assert_int_equal(len, n);
        assert_int_equal(unicode_before(s, n), 0);
        for (size_t cut = 1; cut < n; cut++) { /* a beginning is one invalid part, all of it */
            assert_int_equal(unicode_sequence(s, cut, &bad), 0);
            assert_int_equal(bad, cut);
        }
    }
}

/* Where the invalid parts lie, as Python's errors="replace" cuts them: "61 F1 80 80 E1 80 C2 62" is Unicode's table 3-8. */
static void test_maximal_subparts(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *lengths; /* of characters, and in upper case ('A' = 1) of invalid parts */
    } cases[] = {
        {"\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", 13, "aCBAaAaAAa"},
        {"\xc0\x80", 2, "AA"},              /* overlong NUL */
        {"\xe0\x80\xaf", 3, "AAA"},         /* overlong slash */
        {"\xf0\x80\x80\xaf", 4, "AAAA"},
        {"\xed\xa0\x80", 3, "AAA"},         /* surrogate */
        {"\xf4\x90\x80\x80", 4, "AAAA"},    /* past U+10FFFF */
        {"\xf5\x80\xff\xfe", 4, "AAAA"},
        {"\xf0\x9f\x98", 3, "C"},           /* cut off by the end */
        {"\xf0\x9f\x98\xf0\x9f\x98\x80", 7, "Cd"},
        {"\xe2\x82\x41\xe2\x82\xac", 6, "Bac"},
        {"\xc3\xc3\xa9", 3, "Ab"},
        {"12345678\x80\x39", 10, "aaaaaaaaAa"},
        {"1234567890123456\xc3\xa9\xff", 19, "aaaaaaaaaaaaaaaabA"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        size_t i = 0, first = cases[k].n;
        for (const char *l = cases[k].lengths; *l; l++) {
            size_t bad = 0, n = unicode_sequence(cases[k].bytes + i, cases[k].n - i, &bad);
            if (*l >= 'a') assert_int_equal(n, *l - 'a' + 1);
            if (*l < 'a') {
                assert_int_equal(n, 0);
                assert_int_equal(bad, *l - 'A' + 1);
                if (first == cases[k].n) first = i;
            }
            i += *l >= 'a' ? n : bad;
        }
        assert_int_equal(i, cases[k].n);
        assert_int_equal(unicode_valid(cases[k].bytes, cases[k].n), first);
    }
    assert_int_equal(unicode_valid("", 0), 0);
}

static void test_lower(void **state)
{
    (void)state;
    uint32_t to[2];
    assert_int_equal(unicode_lower(0x130, to), 2); /* the one that becomes two */
    assert_int_equal(to[0], 'i');
    assert_int_equal(to[1], 0x307);
    assert_int_equal(unicode_lower(0x3a3, to), 1); /* without context: never final sigma */
    assert_int_equal(to[0], 0x3c3);
    assert_int_equal(unicode_lower(0x1e9e, to), 1);
    assert_int_equal(to[0], 0xdf);
    assert_int_equal(unicode_lower('@', to), 1);
    assert_int_equal(to[0], '@');
}

static void test_decompose(void **state)
{
    (void)state;
    uint32_t d[UNICODE_COMPAT_MAX];
    assert_int_equal(unicode_decompose_to(0x1f82, 0, d), 4); /* the longest */
    assert_int_equal(d[0], 0x3b1);
    assert_int_equal(d[1], 0x313);
    assert_int_equal(d[2], 0x300);
    assert_int_equal(d[3], 0x345);
    assert_int_equal(unicode_decompose_to(0xac00, 0, d), 2);
    assert_int_equal(unicode_decompose_to(0xd7a3, 0, d), 3);
    assert_int_equal(d[2], 0x11c2);
    assert_int_equal(unicode_decompose_to(0x11938, 0, d), 1); /* newer than the reference's tables */
    assert_int_equal(unicode_combining(0x301), 230);
    assert_int_equal(unicode_combining(0x334), 1);
    assert_int_equal(unicode_combining(0x898), 0); /* newer, too */
    assert_int_equal(unicode_combining('a'), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mappings_hash), cmocka_unit_test(test_mappings_golden),
        cmocka_unit_test(test_class),         cmocka_unit_test(test_class_golden),
        cmocka_unit_test(test_utf8_round_trip), cmocka_unit_test(test_maximal_subparts),
        cmocka_unit_test(test_lower),         cmocka_unit_test(test_decompose),
    };
    return cmocka_run_group_tests_name("unicode", tests, NULL, NULL);
}
