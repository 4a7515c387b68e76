/* convert_plan: sizes, renames and how tensors fall into shards. The command line is in no library, so its file is
 * compiled in here. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "cli/convert_plan.c"

static void test_sizes(void **state)
{
    (void)state;
    static const struct { const char *text; uint64_t bytes; } good[] = {
        {"1", 1}, {"4096", 4096}, {"7B", 7}, {"5GB", 5000000000}, {"5gb", 5000000000}, {"20KB", 20000}, {"3MB", 3000000}, {"2TB", 2000000000000},
        {"1KiB", 1024}, {"500MiB", 524288000}, {"5GiB", 5368709120}, {"1TiB", 1099511627776}, {"0", UINT64_MAX}, {"0GB", UINT64_MAX}, {"all", UINT64_MAX},
        {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t n = 0;
        assert_int_equal(convert_plan_size(good[i].text, &n), 0);
        assert_true(n == good[i].bytes);
    }
    static const char *const bad[] = {"", "GB", "-1", "+1", "1.5GB", "5 GB", " 5GB", "5GB ", "5XB", "5G", "0x10", "1e9", "18446744073709551616", "18446744073709551615KB", "ALL"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t n = 0;
        assert_int_equal(convert_plan_size(bad[i], &n), -1);
    }
}

static void test_renames(void **state)
{
    (void)state;
    static const struct { const char *rule, *name, *want; } cases[] = {
        {"a=b", "a", "b"}, {"a=b", "aa", NULL}, {"a=b", "", NULL}, {"aa=b", "a", NULL},
        {"bert.*=*", "bert.pooler.bias", "pooler.bias"}, {"bert.*=*", "bert.", ""}, {"bert.*=*", "xbert.a", NULL}, {"bert.*=*", "bert", NULL},
        {"*.gamma=*.weight", "x.LayerNorm.gamma", "x.LayerNorm.weight"}, {"*.gamma=*.weight", "gamma", NULL}, {"*.gamma=*.weight", ".gamma", ".weight"},
        {"*=model.*", "x", "model.x"}, {"*=model.*", "", "model."},
        {"*.h.*.attn=*.layers.*.self_attn", "t.h.11.attn", "t.layers.11.self_attn"}, {"*.h.*.attn=*.layers.*.self_attn", "t.h.attn", NULL},
        {"a*a=x*y", "aa", "xy"}, {"a*a=x*y", "a", NULL}, {"a*a=x*y", "aba", "xby"}, {"a*b*c=*-*", "aXbYbZc", "X-YbZ"},
        {"**=<*|*>", "q", "<|q>"}, {"a*=b*=", "ac", "bc="}, {"[x]?=y", "[x]?", "y"}, {"[x]?=y", "xa", NULL},
        {"*\xc3\xa9*=*e*", "caf\xc3\xa9s", "cafes"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *out = NULL;
        pith_err e = {{0}};
        assert_int_equal(convert_plan_rename(cases[i].rule, cases[i].name, &out, &e), 0);
        if (cases[i].want) assert_string_equal(out ? out : "(no match)", cases[i].want);
        else assert_null(out);
        free(out);
    }
}

/* Every * pattern over a small alphabet against every short name: does it match as a plain backtracking matcher says, and
 * does what it took make up the name again? */
static int plain(const char *p, const char *s)
{
    if (!*p) return !*s;
    if (*p == '*') return plain(p + 1, s) || (*s && plain(p, s + 1));
    return *p == *s && plain(p + 1, s + 1);
}

static void number(char *out, const char *alphabet, unsigned n)
{
    unsigned base = (unsigned)strlen(alphabet);
    for (; n; n = (n - 1) / base) *out++ = alphabet[(n - 1) % base];
    *out = 0;
}

static void test_all_short_patterns(void **state)
{
    (void)state;
    size_t met = 0, unmet = 0;
    for (unsigned i = 1; i < 364; i++)
        for (unsigned k = 0; k < 127; k++) {
            char pattern[8], name[8], rule[20], *out = NULL;
            pith_err e = {{0}};
            number(pattern, "ab*", i);
            number(name, "ab", k);
            snprintf(rule, sizeof rule, "%s=%s", pattern, pattern);
            assert_int_equal(convert_plan_rename(rule, name, &out, &e), 0);
            assert_int_equal(out != NULL, plain(pattern, name));
            if (out) assert_string_equal(out, name);
            out ? met++ : unmet++;
            free(out);
        }
    assert_true(met > 1000 && unmet > 1000);
}

static void shards(const uint64_t *sizes, size_t n, uint64_t limit, size_t want_shards, const size_t *want)
{
    convert_plan_item items[16] = {{0}};
    convert_plan p = {.items = items, .n = n};
    pith_err e = {{0}};
    for (size_t i = 0; i < n; i++) items[i].nbytes = sizes[i];
    assert_int_equal(split(&p, limit, &e), 0);
    assert_int_equal(p.n_shards, want_shards);
    for (size_t i = 0; i < n; i++) assert_int_equal(items[i].shard, want[i]);
}

/* What huggingface_hub's split_torch_state_dict_into_shards gives for these. */
static void test_shards(void **state)
{
    (void)state;
    shards((uint64_t[]){4, 4, 4}, 3, 8, 2, (size_t[]){0, 0, 1});
    shards((uint64_t[]){4, 9, 4, 4}, 4, 8, 3, (size_t[]){0, 1, 0, 2});
    shards((uint64_t[]){9, 9}, 2, 8, 2, (size_t[]){0, 1});
    shards((uint64_t[]){8, 0, 0}, 3, 8, 1, (size_t[]){0, 0, 0});
    shards((uint64_t[]){1, 2, 3}, 3, UINT64_MAX, 1, (size_t[]){0, 0, 0});
    convert_plan_item items[2] = {{.nbytes = UINT64_MAX}, {.nbytes = 1}};
    convert_plan p = {.items = items, .n = 2};
    pith_err e = {{0}};
    assert_int_equal(split(&p, UINT64_MAX, &e), -1);
}

static void test_check(void **state)
{
    (void)state;
    static const char *const bad[] = {"a", "=b", "a=", "a*=b", "a=b*", "*a=*b*", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *item = bad[i];
        pith_err e = {{0}};
        convert_plan_options o = {.rename = {.items = &item, .n = 1}};
        assert_int_equal(convert_plan_check(&o, &e), -1);
        assert_non_null(strstr(e.msg, "--rename"));
    }
    static const char *const odd[] = {"a", "=b", ""};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const char *item = odd[i];
        pith_err e = {{0}};
        convert_plan_options o = {.metadata = {.items = &item, .n = 1}};
        assert_int_equal(convert_plan_check(&o, &e), -1);
        assert_non_null(strstr(e.msg, "--metadata"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_renames), cmocka_unit_test(test_all_short_patterns),
                                       cmocka_unit_test(test_shards), cmocka_unit_test(test_check)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
