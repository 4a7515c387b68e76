/* convert_config: what changes in config.json, and that nothing else does. The command line is in no library, so its
 * file is compiled in here. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "cli/convert_config.c"

static convert_config of(const char *text) { return (convert_config){.path = strdup("config.json"), .text = strdup(text), .len = strlen(text)}; }

static void becomes(const char *text, const char *dtype, const char *want)
{
    pith_err e = {{0}};
    convert_config c = of(text);
    assert_int_equal(convert_config_set_dtype(&c, dtype, &e), 0);
    assert_int_equal(c.len, strlen(want));
    assert_memory_equal(c.text, want, c.len);
    assert_int_equal(c.changed, strcmp(text, want) != 0);
    convert_config_free(&c);
}

static void test_dtype(void **state)
{
    (void)state;
    becomes("{\"torch_dtype\": \"float32\"}", "BF16", "{\"torch_dtype\": \"bfloat16\"}");
    becomes("{\"dtype\":\"bfloat16\"}\n", "F16", "{\"dtype\":\"float16\"}\n");
    becomes("{\"torch_dtype\": \"torch.float16\", \"dtype\": \"half\"}", "F32", "{\"torch_dtype\": \"float32\", \"dtype\": \"float32\"}");
    /* Order, spelling of numbers, white space and escapes stay. */
    becomes(" {\r\n\t\"eps\": 1e-05, \"x\": 1.0000E0, \"big\": 12345678901234567890,\n\"s\":\"\\u00e9\\/\",  \"torch_dtype\"  :  \"float16\" , \"a\":[1 ,2]}  ", "BF16",
            " {\r\n\t\"eps\": 1e-05, \"x\": 1.0000E0, \"big\": 12345678901234567890,\n\"s\":\"\\u00e9\\/\",  \"torch_dtype\"  :  \"bfloat16\" , \"a\":[1 ,2]}  ");
    /* Parts of a model; not what is no type of the weights. */
    becomes("{\"text_config\": {\"torch_dtype\": \"float32\", \"n\": 1}, \"vision_config\": {\"dtype\": \"float32\"}, \"torch_dtype\": \"float32\"}", "BF16",
            "{\"text_config\": {\"torch_dtype\": \"bfloat16\", \"n\": 1}, \"vision_config\": {\"dtype\": \"bfloat16\"}, \"torch_dtype\": \"bfloat16\"}");
    becomes("{\"quantization_config\": {\"dtype\": \"float16\"}, \"_config\": {\"dtype\": \"float16\"}}", "BF16",
            "{\"quantization_config\": {\"dtype\": \"float16\"}, \"_config\": {\"dtype\": \"float16\"}}");
    becomes("{\"other\": {\"dtype\": \"float16\"}, \"list\": [{\"dtype\": \"float16\"}]}", "BF16", "{\"other\": {\"dtype\": \"float16\"}, \"list\": [{\"dtype\": \"float16\"}]}");
    becomes("{\"dtype\": \"auto\", \"torch_dtype\": null, \"x\": \"float16\"}", "BF16", "{\"dtype\": \"auto\", \"torch_dtype\": null, \"x\": \"float16\"}");
    becomes("{}", "BF16", "{}");
    becomes("{\"dtype\": \"bfloat16\"}", "BF16", "{\"dtype\": \"bfloat16\"}");
}

static void test_untied(void **state)
{
    (void)state;
    static const struct { const char *text; int want; } cases[] = {{"{\"tie_word_embeddings\": false}", 1}, {"{\"tie_word_embeddings\": true}", 0},
        {"{}", 0}, {"{\"tie_word_embeddings\": null}", 0}, {"{\"x\": {\"tie_word_embeddings\": false}}", 0}, {"[]", -1}, {"{", -1}, {"", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_err e = {{0}};
        convert_config c = of(cases[i].text);
        assert_int_equal(convert_config_untied(&c, &e), cases[i].want);
        assert_int_equal(e.msg[0] != 0, cases[i].want < 0);
        if (cases[i].want < 0) assert_int_equal(convert_config_set_dtype(&c, "F32", &e), -1);
        convert_config_free(&c);
    }
    convert_config none = {0};
    pith_err e = {{0}};
    assert_int_equal(convert_config_untied(&none, &e), 0);
    assert_int_equal(convert_config_set_dtype(&none, "F32", &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dtype), cmocka_unit_test(test_untied)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
