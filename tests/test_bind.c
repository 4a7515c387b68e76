/* The weight binder: names, shapes, aliases, what is left over, and the words of its errors. */
#include "files.h"
#include "formats/bind.h"

#define T(name, type, shape, a, b) "\"" name "\":{\"dtype\":\"" type "\",\"shape\":[" shape "],\"data_offsets\":[" #a "," #b "]}"

static const char header_text[] = "{"
    T("layer.0.lin.weight", "F32", "2,3", 0, 24) ","
    T("layer.0.lin.bias", "F16", "2", 24, 28) ","
    T("layer.0.LayerNorm.gamma", "BF16", "3", 28, 34) ","
    T("bert.embed.weight", "F32", "1,1", 34, 38) ","
    T("embed.position_ids", "I64", "1", 38, 46) ","
    T("layer.0.q.weight", "F64", "1,1", 46, 54) "}";

static safetensors *open_model(void)
{
    static char data[54];
    for (int i = 0; i < 54; i++) data[i] = (char)i;
    return files_open(files_st("model.safetensors", header_text, 0, data, sizeof data), NULL);
}

static bind *begin(safetensors *s)
{
    pith_err e = {{0}};
    bind *b = bind_new(s, &e);
    assert_non_null(b);
    return b;
}

/* The binder's error after one failing call, which must stick. */
static void failing(bind *b, const char *want)
{
    pith_err e = {{0}};
    tensor t;
    assert_int_equal(bind_vector(b, &t, 2, "out_features", "layer.0.lin.bias"), -1); /* fine in itself */
    assert_int_equal(bind_finish(b, NULL, &e), -1);
    assert_string_equal(e.msg, want);
    bind_free(b);
}

static void test_good(void **state)
{
    (void)state;
    safetensors *s = open_model();
    bind *b = begin(s);
    tensor w = {0}, v = {0};
    pith_err e = {{0}};
    assert_int_equal(bind_matrix(b, &w, 2, 3, "out_features,in_features", "layer.%d.lin.weight", 0), 0);
    assert_int_equal(bind_vector(b, &v, 2, "out_features", "layer.%d.lin.%s", 0, "bias"), 0);
    assert_int_equal(w.type, DT_F32);
    assert_int_equal(w.rank, 2);
    assert_int_equal(w.nbytes, 24);
    assert_int_equal(((const unsigned char *)v.data)[0], 24);
    assert_true(bind_has(b, "layer.%d.q.weight", 0));
    assert_false(bind_has(b, "layer.%d.q.weight", 1));
    bind_alias(b, "LayerNorm.weight", "LayerNorm.gamma");
    bind_prefix(b, "bert.");
    bind_ignore(b, ".position_ids");
    assert_int_equal(bind_finish(b, "is the model larger?", &e), -1);
    assert_string_equal(e.msg, "3 tensors that this model does not use: layer.0.LayerNorm.gamma, bert.embed.weight, layer.0.q.weight; is the model larger?");
    assert_int_equal(bind_vector(b, &v, 3, "hidden_size", "bert.layer.0.LayerNorm.weight"), 0); /* prefix and alias together */
    assert_int_equal(v.type, DT_BF16);
    assert_true(bind_has(b, "bert.layer.0.LayerNorm.weight"));
    assert_int_equal(bind_matrix(b, &w, 1, 1, "a,b", "bert.embed.weight"), 0);
    bind_ignore(b, "q.weight");
    assert_int_equal(bind_matrix(b, &w, 1, 1, "a,b", "bert.embed.weight"), 0); /* twice is legal: tied weights */
    e = (pith_err){{0}};
    assert_int_equal(bind_finish(b, NULL, &e), 0);
    assert_string_equal(e.msg, "");
    bind_free(b);
    safetensors_close(s);
}

static void test_errors(void **state)
{
    (void)state;
    safetensors *s = open_model();
    tensor t;
    bind *b = begin(s);
    assert_int_equal(bind_matrix(b, &t, 2, 4, "out_features,hidden_size", "layer.%d.lin.weight", 0), -1);
    assert_int_equal(bind_matrix(b, &t, 9, 9, "x,y", "not.there"), -1); /* the first cause wins */
    failing(b, "layer.0.lin.weight: shape [2,3], expected [2,4] (out_features,hidden_size): config.json and weights contradict each other");
    b = begin(s);
    assert_int_equal(bind_vector(b, &t, 2, "hidden_size", "layer.0.lin.weight"), -1); /* the rank counts too */
    failing(b, "layer.0.lin.weight: shape [2,3], expected [2] (hidden_size): config.json and weights contradict each other");
    b = begin(s);
    bind_alias(b, "LayerNorm.weight", "LayerNorm.gamma");
    assert_int_equal(bind_vector(b, &t, 4, "hidden_size", "layer.0.LayerNorm.weight"), -1);
    failing(b, "layer.0.LayerNorm.weight (here layer.0.LayerNorm.gamma): shape [3], expected [4] (hidden_size): config.json and weights contradict each other");
    b = begin(s);
    assert_int_equal(bind_vector(b, &t, 1, "n", "embed.position_ids"), -1);
    failing(b, "embed.position_ids: dtype I64, supported are F32, F16 and BF16; convert the weights to one of them");
    b = begin(s);
    assert_int_equal(bind_matrix(b, &t, 1, 1, "a,b", "layer.0.q.weight"), -1);
    failing(b, "layer.0.q.weight: dtype F64, supported are F32, F16 and BF16; convert the weights to one of them");
    b = begin(s);
    assert_int_equal(bind_matrix(b, &t, 2, 3, "out_features,in_features", "model.layer.0.lin.weight"), -1);
    failing(b, "model.layer.0.lin.weight: not in model.safetensors (expected [2,3] out_features,in_features); the nearest name there is layer.0.lin.weight");
    b = begin(s);
    assert_int_equal(bind_vector(b, &t, 2, "n", "classifier"), -1);
    failing(b, "classifier: not in model.safetensors (expected [2] n); is this file of another model?");
    b = begin(s);
    assert_int_equal(bind_vector(b, &t, 2, "n", "%2000d", 1), -1);
    assert_false(bind_has(b, "%2000d", 1));
    pith_err e = {{0}};
    assert_int_equal(bind_finish(b, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "a tensor's name over 1024 bytes"));
    bind_free(b);
    safetensors_close(s);
    bind_free(NULL);
}

static void note(void *ctx, const char *name, const char *message)
{
    char *text = ctx;
    size_t n = strlen(text);
    snprintf(text + n, 4096 - n, "%s: %s\n", name, message);
}

/* Everything is told and nothing fails, until more is missing than a file of that size can lack. */
static void test_tell(void **state)
{
    (void)state;
    char text[4096] = "";
    safetensors *s = files_open(files_path("model.safetensors"), &(safetensors_options){.header_only = 1});
    pith_err e = {{0}};
    tensor t = {.data = text};
    bind *b = begin(s);
    bind_tell(b, note, text);
    bind_alias(b, "LayerNorm.weight", "LayerNorm.gamma");
    assert_int_equal(bind_matrix(b, &t, 2, 4, "out,in", "layer.0.lin.weight"), 0);
    assert_null(t.data);
    assert_int_equal(bind_vector(b, &t, 4, "n", "layer.0.LayerNorm.weight"), 0);
    assert_int_equal(bind_vector(b, &t, 2, "n", "layer.0.lin.bias"), 0); /* as it should be */
    assert_null(t.data);
    assert_int_equal(t.rank, 1);
    assert_int_equal(bind_matrix(b, &t, 1, 1, "a,b", "layer.0.q.weight"), 0);
    assert_int_equal(bind_vector(b, &t, 3, "n", "not.there"), 0);
    e = (pith_err){"the config is wrong"};
    assert_int_equal(bind_finish(b, NULL, &e), -1); /* not all was asked for: what is left over is not known */
    e = (pith_err){{0}};
    assert_int_equal(bind_finish(b, NULL, &e), 0);
    assert_string_equal(text, "layer.0.lin.weight: shape [2,3], expected [2,4] (out,in): config.json and weights contradict each other\n"
                              "layer.0.LayerNorm.gamma: shape [3], expected [4] (n): config.json and weights contradict each other\n"
                              "layer.0.q.weight: dtype F64, supported are F32, F16 and BF16; convert the weights to one of them\n"
                              "not.there: is not there (expected [3] n)\n"
                              "bert.embed.weight: is nothing that this model uses\n"
                              "embed.position_ids: is nothing that this model uses\n");
    int n = 1;
    for (; !bind_vector(b, &t, 3, "n", "layer.%d.w", n) && n < 5000; n++) text[0] = 0;
    assert_int_equal(n, 6 + 1000);
    assert_int_equal(bind_vector(b, &t, 2, "n", "layer.0.lin.bias"), -1);
    assert_int_equal(bind_finish(b, NULL, &e), -1);
    assert_string_equal(e.msg, "over 1006 tensors are missing, where 6 are there; the others are not told: is config.json that of these weights?");
    bind_free(b);
    safetensors_close(s);
}

/* 20,000 tensors bound and finished: nothing in it may be quadratic. */
static void test_many(void **state)
{
    (void)state;
    enum { N = 20000 };
    char *t = malloc(N * 120 + 3), *p = t;
    *p++ = '{';
    for (int i = 0; i < N; i++) p += sprintf(p, "%s\"model.layers.%d.mlp.w.weight\":{\"dtype\":\"F32\",\"shape\":[0,%d],\"data_offsets\":[0,0]}", i ? "," : "", i, i);
    strcpy(p, "}");
    safetensors *s = files_open(files_st("many.safetensors", t, 0, "", 0), NULL);
    free(t);
    bind *b = begin(s);
    tensor x;
    pith_err e = {{0}};
    alarm(20);
    for (int i = 1; i < N; i++) assert_int_equal(bind_matrix(b, &x, 0, (uint64_t)i, "a,b", "model.layers.%d.mlp.w.weight", i), 0);
    assert_int_equal(bind_finish(b, NULL, &e), -1);
    alarm(0);
    assert_string_equal(e.msg, "1 tensor that this model does not use: model.layers.0.mlp.w.weight");
    bind_free(b);
    safetensors_close(s);
}

/* Two matrices of 3 x 40 packed as Q8, one of them under the name of an embedding. */
static safetensors *open_packed(const char *layout, const char *type)
{
    static char data[2 * 2112 + 12];
    char text[600];
    snprintf(text, sizeof text, "{\"__metadata__\":{\"pith.layout\":\"%s\",\"pith.weights\":\"%s\"},"
             T("a.weight", "U64", "1,33,8", 0, 2112) "," T("embed.weight", "U64", "1,33,8", 2112, 4224) "," T("v", "F32", "3", 4224, 4236) "}", layout, type);
    return files_open(files_st("packed.safetensors", text, 0, data, sizeof data), NULL);
}

static void test_packed(void **state)
{
    (void)state;
    static const char *const names[] = {"q8", "q4", "f32", "f16", "bf16"};
    for (size_t i = 0; i < 5; i++) assert_string_equal(bind_type_name(bind_type_find(names[i])), names[i]);
    assert_int_equal(bind_type_find("q5"), 0);
    assert_string_equal(bind_type_name(DT_U64), "");
    safetensors *s = open_packed("2", "q8");
    bind *b = begin(s);
    tensor t = {0};
    dtype type;
    pith_err e = {{0}};
    assert_false(bind_has_packed(b, "a.weight")); /* not asked yet */
    assert_int_equal(bind_packed(b, &type), 0);
    assert_int_equal(type, DT_Q8);
    assert_true(bind_has_packed(b, "a.weight"));
    assert_false(bind_has_packed(b, "v"));
    assert_false(bind_has_packed(b, "none"));
    assert_int_equal(bind_weight(b, &t, 3, 40, "n,k", "a.weight"), 0);
    assert_int_equal(t.type, DT_Q8);
    assert_int_equal(t.panels, 1);
    assert_int_equal(t.shape[0], 3);
    assert_int_equal(t.shape[1], 40);
    assert_int_equal(bind_parameters(b), 120);
    bind_copy(b);
    bind_copy(b);
    assert_int_equal(bind_parameters(b), 0);
    assert_int_equal(bind_vector(b, &t, 3, "n", "v"), 0);
    assert_int_equal(t.panels, 0);
    assert_int_equal(bind_parameters(b), 3);
    assert_int_equal(bind_widest(b), 40);
    assert_int_equal(bind_matrix(b, &t, 3, 40, "n,k", "embed.weight"), -1);
    assert_int_equal(bind_finish(b, NULL, &e), -1);
    assert_string_equal(e.msg, "embed.weight: shape [1,33,8], expected [3,40] (n,k): config.json and weights contradict each other");
    bind_free(b);
    static const struct {
        uint64_t rows, cols;
    } wrong[] = {{33, 40}, {0, 40}, {3, 32}, {3, 65}, {UINT64_MAX, 40}, {3, UINT64_MAX}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        b = begin(s);
        assert_int_equal(bind_packed(b, &type), 0);
        assert_int_equal(bind_weight(b, &t, wrong[i].rows, wrong[i].cols, "n,k", "a.weight"), -1);
        bind_free(b);
    }
    safetensors_close(s);
    static const char *const odd[][2] = {{"1", "q8"}, {"2", "q5"}, {"2", ""}, {"", "q8"}};
    for (size_t i = 0; i < 4; i++) {
        s = open_packed(odd[i][0], odd[i][1]);
        b = begin(s);
        e = (pith_err){{0}};
        assert_int_equal(bind_packed(b, &type), -1);
        assert_int_equal(bind_finish(b, NULL, &e), -1);
        assert_non_null(strstr(e.msg, "which this version of pith does not know"));
        bind_free(b);
        safetensors_close(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_errors), cmocka_unit_test(test_tell), cmocka_unit_test(test_packed), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
