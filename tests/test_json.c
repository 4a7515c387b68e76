#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "base/json.h"
#include <math.h>

static json_doc *parse(const char *text, pith_err *e) { return json_parse("doc.json", text, strlen(text), e); }

static void expect_bad(const char *text, size_t len, const char *part)
{
    pith_err e = {0};
    json_doc *d = json_parse("doc.json", text, len, &e);
    assert_null(d);
    if (!strstr(e.msg, part)) fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
}

static void test_parse_errors(void **state)
{
    (void)state;
    expect_bad("", 0, "it is empty");
    expect_bad("{\"a\":1,\n  oops}", 15, "line 2");
    expect_bad("{} x", 4, "text after the end");
    expect_bad("{\"a\":\"\xff\"}", 9, "line 1, column 7: not valid UTF-8");
    expect_bad("\"\xed\xa0\x80\"", 5, "not valid UTF-8");  /* a surrogate */
    expect_bad("\"\xc0\x80\"", 4, "not valid UTF-8");      /* overlong */
    expect_bad("\"\xf4\x90\x80\x80\"", 6, "not valid UTF-8"); /* past U+10FFFF */
    expect_bad("[\x01]", 3, "line 1, column 2: a control character, 0x01");
    expect_bad("{}\0", 3, "line 1, column 3: a control character, 0x00");
    expect_bad("[\n\"a\tb\"]", 8, "line 2, column 3: a control character, 0x09, in a string: it must be escaped");
    expect_bad("{\"a\\u0000b\":1}", 14, "line 1, column 4: a string with \\u0000");
    pith_err none = {0};
    json_free(parse("\"\\\\u0000\"", &none)); /* an escaped backslash, then text */
    assert_string_equal(none.msg, "");
    char deep[100000];
    memset(deep, '[', sizeof deep);
    expect_bad(deep, sizeof deep, "line 1, column 257: nested more than 256 values deep");
    memset(deep + 256, ']', 256);
    json_free(json_parse("doc.json", deep, 512, &none));
    assert_string_equal(none.msg, "");
}

typedef int getter(json obj, pith_err *e);
static int get_layers(json o, pith_err *e)
{
    uint64_t v;
    return json_get_size(o, "n_layers", 1, 100, &v, e);
}
static int get_deep(json o, pith_err *e)
{
    double v;
    return json_get_num(json_get(o, "rope"), "factor", &v, e);
}
static int get_second(json o, pith_err *e)
{
    uint64_t v;
    return json_as_size(json_next(json_first(json_get(o, "list"))), 0, 9, &v, e);
}

static void expect_get(const char *text, getter *get, const char *message)
{
    pith_err e = {0};
    json_doc *d = parse(text, &e);
    assert_non_null(d);
    int failed = get(json_root(d), &e);
    assert_int_equal(failed, *message ? -1 : 0);
    assert_string_equal(e.msg, message);
    json_free(d);
}

static void test_getters_name_the_path(void **state)
{
    (void)state;
    const char *range = "doc.json: n_layers: expected a whole number from 1 to 100, found ";
    char want[256];
    const char *const values[][2] = {{"0", "0"}, {"-1", "-1"}, {"101", "101"}, {"2147483648", "2147483648"},
                                     {"9223372036854775808", "9.2233720368547758e+18"}, {"1e400", "inf"}, {"1.5", "1.5"},
                                     {"null", "null"}, {"\"6\"", "\"6\""}, {"true", "true"}, {"[6]", "an array"},
                                     {"{}", "an object"}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"n_layers\": %s}", values[i][0]);
        snprintf(want, sizeof want, "%s%s", range, values[i][1]);
        expect_get(text, get_layers, want);
    }
    expect_get("{\"n_layers\": 6}", get_layers, "");
    expect_get("{\"n_layers\": 5, \"n_layers\": 0}", get_layers, "doc.json: n_layers: expected a whole number from 1 to 100, found 0");
    expect_get("{}", get_layers, "doc.json: n_layers is missing");
    expect_get("{\"rope\":{\"factor\":\"x\"}}", get_deep, "doc.json: rope.factor: expected a number, found \"x\"");
    expect_get("{\"rope\":{}}", get_deep, "doc.json: rope.factor is missing");
    expect_get("{\"list\":[1,true]}", get_second, "doc.json: list[1]: expected a whole number from 0 to 9, found true");
}

static void test_optional(void **state)
{
    (void)state;
    pith_err e = {0};
    json_doc *d = parse("{\"a\":null,\"b\":2.5,\"c\":\"t\",\"d\":false}", &e);
    json o = json_root(d);
    uint64_t n;
    double f;
    const char *s;
    int b;
    assert_int_equal(json_opt_size(o, "a", 0, 9, 7, &n, &e), 0);
    assert_int_equal(n, 7);
    assert_int_equal(json_opt_num(o, "b", 1, &f, &e), 0);
    assert_true(f == 2.5);
    assert_int_equal(json_opt_str(o, "none", "def", &s, &e), 0);
    assert_string_equal(s, "def");
    assert_int_equal(json_opt_bool(o, "d", 1, &b, &e), 0);
    assert_int_equal(b, 0);
    assert_int_equal(json_opt_bool(o, "c", 1, &b, &e), -1);
    assert_string_equal(e.msg, "doc.json: c: expected true or false, found \"t\"");
    json_free(d);
}

/* What was put comes back: strings as JSON, floats to the bit. */
static void test_put(void **state)
{
    (void)state;
    char *out = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&out, &len);
    json_put_str(f, "a\"\\\n\t\r\x01\x7f\xc3\xa9\xff\xe2\x82z\0y", 16);
    putc(' ', f);
    json_put_f32(f, NAN);
    putc(' ', f);
    json_put_f64(f, 0.1);
    fclose(f);
    assert_string_equal(out, "\"a\\\"\\\\\\n\\t\\r\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\\u0000y\" null 0.1");
    free(out);
    uint32_t seed = 1;
    for (int i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        float v, back;
        memcpy(&v, &seed, sizeof v);
        if (!isfinite(v)) continue;
        f = open_memstream(&out, &len);
        json_put_f32(f, v);
        fclose(f);
        back = strtof(out, NULL);
        assert_memory_equal(&v, &back, sizeof v);
        free(out);
    }
}

static void collect(void *ctx, const char *key, size_t key_len, const char *value, size_t value_len)
{
    char *out = ctx;
    sprintf(out + strlen(out), "%.*s=%.*s;", (int)key_len, key ? key : "", (int)value_len, value);
}

static void test_raw_members(void **state)
{
    (void)state;
    char out[512] = "";
    const char *t = " { \"id\" : 12345678901234567890 , \"a\\\"b\":\"x,}\\\"\",\"n\":{\"q\":[1,{\"r\":2}]},\"l\":[ 1 , 2 ], \"e\":1e400 } ";
    json_raw_members(t, strlen(t), collect, out);
    assert_string_equal(out, "id=12345678901234567890;a\\\"b=\"x,}\\\"\";n={\"q\":[1,{\"r\":2}]};l=[ 1 , 2 ];e=1e400;");
    out[0] = 0;
    json_raw_members("{}", 2, collect, out);
    assert_string_equal(out, "");
}

static void test_raw_items(void **state)
{
    (void)state;
    char out[512] = "";
    const char *t = " [ 12345678901234567890 ,{\"a\":\"]\\\",[\"} , [1,[2]],\"x\" , null ] ";
    json_raw_items(t, strlen(t), collect, out);
    assert_string_equal(out, "=12345678901234567890;={\"a\":\"]\\\",[\"};=[1,[2]];=\"x\";=null;");
    out[0] = 0;
    json_raw_items(" [ ] ", 5, collect, out);
    assert_string_equal(out, "");
}

/* A text that is cut anywhere, in memory that ends there: what comes before the cut is found, and no byte behind it is read. */
static void test_raw_cut(void **state)
{
    (void)state;
    const char *members = " { \"id\" : 12 , \"a\\\"b\":\"x,}\\\"\",\"n\":{\"q\":[1]} } ", *items = " [ 12 ,{\"a\":\"]\"} , [1,[2]],\"x\\\"\" ] ";
    for (int of = 0; of < 2; of++) {
        const char *t = of ? items : members, *const first = of ? "=12;" : "id=12;";
        size_t n = strlen(t), whole = (size_t)(strstr(t, "12 ,") - t) + 4;
        for (size_t i = 0; i <= n; i++) {
            char out[512] = "", *cut = malloc(i ? i : 1);
            assert_non_null(cut);
            memcpy(cut, t, i);
            if (of) json_raw_items(cut, i, collect, out);
            else json_raw_members(cut, i, collect, out);
            if (i >= whole && strncmp(out, first, strlen(first))) fail_msg("%.*s: %s", (int)i, t, out);
            free(cut);
        }
    }
    char out[512] = "";
    json_raw_members("{\"a\":1,x}", 9, collect, out);
    assert_string_equal(out, "a=1;");
    json_raw_members("12", 2, collect, out);
    json_raw_items("12", 2, collect, out);
    assert_string_equal(out, "a=1;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_errors), cmocka_unit_test(test_getters_name_the_path), cmocka_unit_test(test_optional),
        cmocka_unit_test(test_put),          cmocka_unit_test(test_raw_members), cmocka_unit_test(test_raw_items), cmocka_unit_test(test_raw_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
