/* The normalizer "Precompiled": its base64, its trie (darts-clone's units) and its texts, right and broken. */
#include "util.h"
#include "base/mem.h"
#include "tokenizer/charsmap.h"

static long countdown; /* > 0: allocations until the one that fails */
static void *door(void *ctx, void *p, size_t bytes)
{
    (void)ctx;
    if (!bytes) return free(p), NULL;
    return countdown > 0 && --countdown == 0 ? NULL : realloc(p, bytes);
}

enum { UNITS = 0x204 };
typedef struct map {
    uint32_t unit[UNITS];
    const char *text;
    size_t n_text;
} map;

/* "a" becomes the text at `value`. */
static map one_key(uint32_t value, const char *text, size_t n)
{
    map m = {.text = text, .n_text = n};
    m.unit[0] = 0x100u << 10;
    m.unit[0x100 ^ 'a'] = 'a' | 0x100 | (0x161u ^ 0x200u) << 10;
    m.unit[0x200] = value | 0x80000000u;
    return m;
}

static char *base64(const map *m, size_t trie)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 4 + trie + m->n_text, k = 0;
    unsigned char *b = calloc(n + 2, 1);
    char *out = malloc(n * 2 + 8);
    assert_true(b && out);
    for (int i = 0; i < 4; i++) b[i] = (unsigned char)(trie >> 8 * i);
    for (size_t i = 0; i < trie / 4; i++)
        for (int j = 0; j < 4; j++) b[4 + 4 * i + (size_t)j] = (unsigned char)(m->unit[i] >> 8 * j);
    memcpy(b + 4 + trie, m->text, m->n_text);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
        for (int j = 3; j >= 0; j--) out[k++] = digits[v >> 6 * j & 63];
    }
    k -= (3 - n % 3) % 3;
    for (size_t i = 0; i < (3 - n % 3) % 3; i++) out[k++] = '=';
    out[k] = 0;
    free(b);
    return out;
}

static charsmap *open_map(const map *m)
{
    pith_err e = {{0}};
    char *s = base64(m, UNITS * 4);
    charsmap *c = charsmap_open("here", s, &e);
    if (!c) fail_msg("%s", e.msg);
    free(s);
    return c;
}

static void test_finds(void **state)
{
    (void)state;
    static const char text[] = "A\0\xc3\xa9x?>~\xef\xbf\xbd";
    map m = one_key(2, text, sizeof text);
    charsmap *c = open_map(&m);
    assert_string_equal(charsmap_find(c, "a", 1), "\xc3\xa9x?>~\xef\xbf\xbd");
    assert_string_equal(charsmap_find(c, "ab", 2), "\xc3\xa9x?>~\xef\xbf\xbd"); /* the shortest that is there */
    assert_null(charsmap_find(c, "b", 1));
    assert_null(charsmap_find(c, "", 0));
    assert_null(charsmap_find(c, "\0a", 2));
    charsmap_free(c);
    /* Into the middle of a character, behind the texts, out of the trie: nothing. */
    static const uint32_t values[] = {3, sizeof text, 0x7fffffff};
    for (size_t i = 0; i < 3; i++) {
        m = one_key(values[i], text, sizeof text);
        c = open_map(&m);
        assert_null(charsmap_find(c, "a", 1));
        charsmap_free(c);
    }
    m = one_key(0, text, sizeof text);
    m.unit[0x161] = 'a' | 0x100 | 0x800u << 10;
    c = open_map(&m);
    assert_null(charsmap_find(c, "a", 1));
    charsmap_free(c);
    m.unit[0x161] = 'a' | 0x800u << 10; /* no leaf, children out of the trie */
    c = open_map(&m);
    assert_null(charsmap_find(c, "ab", 2));
    assert_null(charsmap_find(c, "a", 1));
    charsmap_free(c);
    m.unit[0] = 0x200 | 0x1000u << 10; /* the wide offset */
    c = open_map(&m);
    assert_null(charsmap_find(c, "a", 1));
    charsmap_free(c);
    charsmap_free(NULL);
}

static void refused(const char *s)
{
    pith_err e = {{0}};
    assert_null(charsmap_open("here", s, &e));
    if (strncmp(e.msg, "here: ", 6)) fail_msg("\"%s\": \"%s\"", s, e.msg);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const broken[] = {"", "A", "AAAA", "!AAA", "A A=", "AA=A", "AAAAAA==", "/////w==", "AwAAAAAA", "z+9a", "-_aa", "{}~`", "\x7f@[:;"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) refused(broken[i]);
    static const char bad[] = "A\0\xff";
    map m = one_key(0, bad, sizeof bad);
    char *s = base64(&m, UNITS * 4);
    refused(s);
    s[40] = '!';
    refused(s);
    free(s);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "A";
    map m = one_key(0, text, sizeof text);
    char *s = base64(&m, UNITS * 4);
    charsmap *c = NULL;
    for (long n = 1; !c; n++) {
        pith_err e = {{0}};
        countdown = n;
        c = charsmap_open("here", s, &e);
        assert_int_equal(c == NULL, strstr(e.msg, "memory") != NULL);
        assert_true(n < 10 && (n > 3 || !c));
    }
    countdown = 0;
    charsmap_free(c);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_finds), cmocka_unit_test(test_refusals), cmocka_unit_test(test_no_memory)};
    if (mem_set(door, NULL)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
