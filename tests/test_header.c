/* What a header may say: rules 2 to 14 of the format, one file each, and the words of every refusal. */
#include "files.h"
#include "formats/header.h"

#define F32_22 "{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"
static const char zeros[128];

static void refuse(const char *text, size_t n, const char *words)
{
    const char *path = files_st("x.safetensors", text, 0, zeros, n);
    files_refused(path, words);
    files_refused(path, path); /* the message says which file */
}

static void test_values(void **state)
{
    (void)state;
    static const unsigned char data[] = {1, 0, 0, 128, 63, 0, 0, 0, 64, 255, 255, 255, 255, 255, 255, 255, 127};
    static const char text[] =
        "{\"last\":{\"shape\":[],\"dtype\":\"I64\",\"data_offsets\":[9,17]},\"__metadata__\":{\"format\":\"pt\",\"b\":\"\",\"a\":\"\\u00e9\\n\"},"
        "\"odd\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[1,9]},\"empty\":{\"dtype\":\"F16\",\"shape\":[3,0],\"data_offsets\":[1,1]},"
        "\"first\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}  ";
    const char *path = files_st("values.safetensors", text, 0, data, sizeof data);
    for (int mode = 0; mode < 3; mode++) {
        safetensors_options o = {.no_mmap = mode == 1, .header_only = mode == 2};
        safetensors *s = files_open(path, &o);
        static const char *const order[] = {"first", "empty", "odd", "last"};
        assert_int_equal(safetensors_count(s), 4);
        for (size_t i = 0; i < 4; i++) {
            assert_string_equal(safetensors_at(s, i)->name, order[i]);
            assert_ptr_equal(safetensors_find(s, order[i]), safetensors_at(s, i));
            if (mode == 2) assert_null(safetensors_at(s, i)->t.data);
        }
        const safetensors_entry *odd = safetensors_at(s, 2), *last = safetensors_at(s, 3);
        assert_null(safetensors_find(s, "od"));
        assert_int_equal(odd->offset, 8 + sizeof text - 1 + 1);
        assert_int_equal(odd->t.nbytes, 8);
        assert_int_equal(odd->t.rank, 2);
        assert_int_equal(odd->t.shape[1], 2);
        assert_int_equal(odd->t.type, DT_F32);
        assert_int_equal(last->t.rank, 0);
        assert_int_equal(tensor_count(last->t), 1);
        assert_int_equal(tensor_count(safetensors_at(s, 1)->t), 0);
        if (mode < 2) {
            float f[2];
            int64_t wide;
            memcpy(f, odd->t.data, 8);
            memcpy(&wide, last->t.data, 8);
            assert_true(f[0] == 1.0f && f[1] == 2.0f);
            assert_true(wide == INT64_MAX);
        }
        const char *k, *v;
        assert_int_equal(safetensors_metadata_count(s, 0), 3);
        safetensors_metadata_at(s, 0, 0, &k, &v);
        assert_string_equal(k, "format");
        assert_string_equal(v, "pt");
        safetensors_metadata_at(s, 0, 2, &k, &v);
        assert_string_equal(k, "a");
        assert_string_equal(v, "\xc3\xa9\n");
        assert_int_equal(safetensors_warnings(s), 0);
        safetensors_close(s);
    }
}

static void test_dtypes(void **state)
{
    (void)state;
    /* name, bits: the format's own list, written out here a second time on purpose */
    static const struct { const char *name; size_t bits; } all[] = {
        {"BOOL", 8}, {"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8}, {"I8", 8}, {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
        {"I16", 16}, {"U16", 16}, {"F16", 16}, {"BF16", 16}, {"I32", 32}, {"U32", 32}, {"F32", 32}, {"C64", 64}, {"F64", 64}, {"I64", 64}, {"U64", 64}};
    char text[256], words[64];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (int more = -1; more <= 1; more++) {
            size_t n = all[i].bits + (size_t)more; /* 8 elements */
            snprintf(text, sizeof text, "{\"a\":{\"dtype\":\"%s\",\"shape\":[4,2],\"data_offsets\":[0,%zu]}}", all[i].name, n);
            if (more) {
                snprintf(words, sizeof words, "tensor a|%s are %zu bytes", all[i].name, all[i].bits);
                refuse(text, n, words);
                continue;
            }
            safetensors *s = files_open(files_st("x.safetensors", text, 0, zeros, n), NULL);
            assert_string_equal(tensor_dtypes[safetensors_at(s, 0)->t.type].name, all[i].name);
            safetensors_close(s);
        }
    }
    refuse("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "tensor a|3 elements of F4|whole byte");
    refuse("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "2 elements of F6_E2M3|whole byte");
}

static void test_integers(void **state)
{
    (void)state;
    safetensors *s = files_open(files_st("x.safetensors", "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9007199254740993,18446744073709551615],\"data_offsets\":[0,0]}}", 0, "", 0), NULL);
    assert_true(safetensors_at(s, 0)->t.shape[1] == 9007199254740993u); /* 2^53+1: a double cannot */
    assert_true(safetensors_at(s, 0)->t.shape[2] == UINT64_MAX);
    safetensors_close(s);
#define SHAPE(x) "{\"a\":{\"dtype\":\"F32\",\"shape\":[" x "],\"data_offsets\":[0,16]}}"
    refuse(SHAPE("18446744073709551616"), 16, "tensor a|over 2^64-1");
    refuse(SHAPE("2.0,2"), 16, "tensor a|whole number|found '.'");
    refuse(SHAPE("4e0"), 16, "whole number|found 'e'");
    refuse(SHAPE("-4"), 16, "whole number|found '-'");
    refuse(SHAPE("-0"), 16, "whole number|found '-'");
    refuse(SHAPE("04"), 16, "begins with 0");
    refuse(SHAPE("\"4\""), 16, "whole number|found '\"'");
    refuse(SHAPE("4,"), 16, "whole number|found ']'");
    refuse(SHAPE("4294967296,4294967296"), 16, "tensor a|over 2^64 bits");
    refuse(SHAPE("4611686018427387908"), 16, "tensor a|over 2^64 bits");
    refuse(SHAPE("3,3"), 16, "9 elements of F32 are 36 bytes, but data_offsets [0,16] hold 16");
}

static void test_fields(void **state)
{
    (void)state;
    refuse("{\"a\":{}}", 0, "tensor a|empty entry");
    refuse("{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "tensor a|dtype is missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", 16, "tensor a|shape is missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", 16, "tensor a|data_offsets is missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "tensor a|shape twice");
    refuse("{\"a\":{\"dtype\":\"float32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, "tensor a|\"float32\"|none of the 22");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16, "tensor a|[16,0]|the end lies before");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]}}", 16, "tensor a|expected ']'");
    refuse("{\"a\":null}", 0, "tensor a|expected '{', found 'n'");
    /* unknown fields: legal, told once */
    safetensors *s = files_open(files_st("x.safetensors", "{\"a\":{\"dtype\":\"F32\",\"x\":{\"y\":[1,-2.5e+3,null,\"\\ud83d\\ude00\",{}]},\"shape\":[4],\"data_offsets\":[0,16]},"
        "\"b\":{\"q\":true,\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]}}", 0, zeros, 16), NULL);
    assert_int_equal(safetensors_warnings(s), 1);
    assert_non_null(strstr(safetensors_warning(s, 0), "2 unknown fields"));
    assert_non_null(strstr(safetensors_warning(s, 0), "tensor a"));
    safetensors_close(s);
}

static void test_metadata(void **state)
{
    (void)state;
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__|expected a string, found '1'");
    refuse("{\"__metadata__\":[]}", 0, "__metadata__|expected '{'");
    refuse("{\"__metadata__\":{},\"\\u005f_metadata__\":{}}", 0, "__metadata__ twice");
    safetensors_close(files_open(files_st("x.safetensors", "{\"__metadata__\":{}}", 0, "", 0), NULL));
    safetensors *s = files_open(files_st("x.safetensors", "{\"__metadata__\":null}", 0, "", 0), NULL);
    assert_int_equal(safetensors_metadata_count(s, 0), 0);
    assert_non_null(strstr(safetensors_warning(s, 0), "__metadata__ is null"));
    safetensors_close(s);
}

static void test_order(void **state)
{
    (void)state;
#define U8(name, n, a, b) "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" #n "],\"data_offsets\":[" #a "," #b "]}"
    refuse("{" U8("a", 4, 0, 4) "," U8("b", 4, 3, 7) "}", 7, "tensor b overlaps tensor a|begins at 3|end at 4");
    refuse("{" U8("a", 4, 0, 4) "," U8("b", 4, 5, 9) "}", 9, "tensor b begins at 5|1 bytes before it|a)");
    refuse("{" U8("a", 4, 4, 8) "}", 8, "tensor a begins at 4|must begin at 0");
    refuse("{" U8("z", 0, 2, 2) "," U8("a", 4, 0, 4) "}", 4, "overlaps tensor");
    refuse("{" U8("a", 4, 0, 4) "," U8("a", 4, 4, 8) "}", 8, "duplicate tensor name: a");
    refuse("{" U8("a", 4, 0, 4) "," U8("a", 4, 0, 4) "}", 4, "duplicate tensor name: a");
    refuse("{" U8("a", 4, 0, 4) "," U8("\\u0061", 4, 4, 8) "}", 8, "duplicate tensor name: a");
    refuse("{" U8("a", 4, 0, 4) "}", 5, "1 trailing bytes");
    refuse("{" U8("a", 12345678, 0, 12345678) "}", 4, "truncated: 79 of 12,345,753 bytes|download");
    /* any order of names, empty tensors anywhere: the order of offsets comes out, ties in the order written */
    safetensors *s = files_open(files_st("x.safetensors", "{" U8("e2", 0, 4, 4) "," U8("b", 4, 4, 8) "," U8("e1", 0, 0, 0) "," U8("a", 4, 0, 4) "," U8("e3", 0, 4, 4) "," U8("e0", 0, 0, 0) "}", 0,
                                         zeros, 8), NULL);
    static const char *const want[] = {"e1", "e0", "a", "e2", "e3", "b"};
    for (size_t i = 0; i < 6; i++) assert_string_equal(safetensors_at(s, i)->name, want[i]);
    safetensors_close(s);
}

static void test_strings(void **state)
{
    (void)state;
#define NAMED(x) "{\"" x "\":" F32_22 "}"
    refuse(NAMED("a\xff"), 16, "expected UTF-8, found byte 0xff");
    refuse(NAMED("12345678\xc0\xaf"), 16, "expected UTF-8, found byte 0xc0");
    refuse(NAMED("\xed\xa0\x80"), 16, "expected UTF-8");
    refuse(NAMED("\xf4\x90\x80\x80"), 16, "expected UTF-8");
    refuse(NAMED("a\tb"), 16, "no control character|0x09");
    refuse(NAMED("a\\x41"), 16, "after a backslash, found 'x'");
    refuse(NAMED("\\ud800"), 16, "surrogates");
    refuse(NAMED("\\ude00\\ud83d"), 16, "surrogates");
    refuse(NAMED("\\u00g1"), 16, "four hexadecimal digits");
    refuse("{\"abc", 0, "closing quote|the end of the header");
    refuse("{}x", 0, "byte 2|nothing but whitespace|found 'x'");
    refuse("\xef\xbb\xbf{}", 0, "expected '{', found byte 0xef");
    /* kept as written, printed escaped */
    safetensors *s = files_open(files_st("x.safetensors", NAMED("\\u0041\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83e\\udd99 \xe9\x87\x8d"), 0, zeros, 16), NULL);
    assert_string_equal(safetensors_at(s, 0)->name, "A\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\xa6\x99 \xe9\x87\x8d");
    assert_non_null(safetensors_find(s, "A\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\xa6\x99 \xe9\x87\x8d"));
    safetensors_close(s);
    s = files_open(files_st("x.safetensors", NAMED("a\\u0000b"), 0, zeros, 16), NULL);
    assert_string_equal(safetensors_at(s, 0)->name, "a\\u0000b"); /* a NUL would end a C string */
    assert_non_null(strstr(safetensors_warning(s, 0), "NUL"));
    safetensors_close(s);
    refuse("{\"\\u001b[2J\\u009b31m\\u007f\":{}}", 0, "tensor \\u001b[2J\\u009b31m\\u007f");
    refuse("{\"%s%n%s\":{}}", 0, "tensor %s%n%s");
    /* a name of a megabyte does not fill the message */
    char *big = malloc(1100000);
    int n = sprintf(big, "{\"");
    memset(big + n, 'x', 1000000);
    sprintf(big + n + 1000000, "\":{}}");
    refuse(big, 0, "xxx...: an empty entry");
    sprintf(big + n + 1000000, "\":" F32_22 "}");
    s = files_open(files_st("x.safetensors", big, 0, zeros, 16), NULL);
    assert_int_equal(strlen(safetensors_at(s, 0)->name), 1000000);
    safetensors_close(s);
    free(big);
}

static void test_nesting(void **state)
{
    (void)state;
    char *t = malloc(3000000);
    for (size_t depth = 1; depth < 1000001; depth *= 10) {
        size_t n = (size_t)sprintf(t, "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":");
        memset(t + n, '[', depth);
        memset(t + n + depth, ']', depth);
        strcpy(t + n + 2 * depth, "}}");
        if (depth < 127) safetensors_close(files_open(files_st("x.safetensors", t, 0, "", 0), NULL));
        else refuse(t, 0, "tensor a|nested deeper than 128");
    }
    free(t);
}

/* Every bit of a good header flipped, every byte dropped or doubled: a clean refusal or a file that hangs together. */
static void test_mutations(void **state)
{
    (void)state;
    static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},\"t0\":" F32_22 ",\"t1\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[16,22]}}";
    size_t n = 8 + sizeof good - 1 + 22, accepted = 0, tried = 0;
    unsigned char *base = calloc(1, n), *m = malloc(n + 1);
    base[0] = sizeof good - 1;
    memcpy(base + 8, good, sizeof good - 1);
    for (size_t i = 0; i < n; i++) {
        for (int how = 0; how < 11; how++) {
            size_t len = n;
            memcpy(m, base, n);
            if (how < 8) m[i] ^= (unsigned char)(1 << how);
            else if (how == 8) memmove(m + i, m + i + 1, --len - i);
            else if (how == 9) memmove(m + i + 1, base + i, len++ - i);
            else len = i;
            pith_err e = {{0}};
            safetensors *s = safetensors_open(files_write("m.safetensors", m, len), NULL, &e);
            tried++;
            if (!s) {
                assert_true(e.msg[0]);
                continue;
            }
            accepted++;
            uint64_t end = 8 + m[0];
            for (size_t k = 0; k < safetensors_count(s); k++) {
                assert_true(safetensors_at(s, k)->offset == end);
                end += safetensors_at(s, k)->t.nbytes;
            }
            assert_true(end == len);
            safetensors_close(s);
        }
    }
    assert_true(accepted > 100 && accepted < tried / 2); /* data, names and metadata may change freely */
    free(base);
    free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_dtypes), cmocka_unit_test(test_integers), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_metadata), cmocka_unit_test(test_order), cmocka_unit_test(test_strings), cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
