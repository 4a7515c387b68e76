/* pith_weights: a file's tensors, metadata and statistics through the public header. */
#include "files.h"
#include <float.h>
#include <math.h>
#include <time.h>

/* One tensor called "t" of `type` over n bytes. */
static pith_weights *open_one(const char *type, size_t count, const void *data, size_t n)
{
    char text[160];
    pith_err e = {{0}};
    snprintf(text, sizeof text, "{\"t\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}%s", type, count, n, n % 2 ? "" : " ");
    pith_weights *w = pith_weights_open(files_st("one.safetensors", text, 0, data, n), NULL, &e);
    if (!w) fail_msg("%s", e.msg);
    return w;
}

static pith_tensor_stats stats_of(const char *type, size_t count, const void *data, size_t n)
{
    pith_weights *w = open_one(type, count, data, n);
    pith_tensor_stats s;
    pith_err e = {{0}};
    if (pith_weights_stats(w, 0, &s, &e)) fail_msg("%s", e.msg);
    assert_int_equal(s.count, count);
    pith_weights_close(w);
    return s;
}

static void check(const char *what, pith_tensor_stats s, uint64_t nan, uint64_t inf, uint64_t zero, double min, double max, double mean, double tolerance)
{
    if (s.n_nan != nan || s.n_inf != inf || s.n_zero != zero || s.min != min || s.max != max || !(fabs(s.mean - mean) <= tolerance))
        fail_msg("%s: %llu NaN, %llu infinite, %llu zero, [%.17g, %.17g], mean %.17g; expected %llu %llu %llu [%.17g, %.17g] %.17g", what, (unsigned long long)s.n_nan,
                 (unsigned long long)s.n_inf, (unsigned long long)s.n_zero, s.min, s.max, s.mean, (unsigned long long)nan, (unsigned long long)inf, (unsigned long long)zero, min, max, mean);
}

/* Every code of the narrow formats once. The extremes are the formats' published ones. */
static void test_narrow(void **state)
{
    (void)state;
    static unsigned char bytes[256];
    static uint16_t halves[65536];
    for (unsigned i = 0; i < 256; i++) bytes[i] = (unsigned char)i;
    for (unsigned i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
    check("F8_E5M2", stats_of("F8_E5M2", 256, bytes, 256), 6, 2, 2, -57344, 57344, 0, 0);
    check("F8_E4M3", stats_of("F8_E4M3", 256, bytes, 256), 2, 0, 2, -448, 448, 0, 0);
    check("F8_E4M3FNUZ", stats_of("F8_E4M3FNUZ", 256, bytes, 256), 1, 0, 1, -240, 240, 0, 0);
    check("F8_E5M2FNUZ", stats_of("F8_E5M2FNUZ", 256, bytes, 256), 1, 0, 1, -57344, 57344, 0, 0);
    check("F8_E8M0", stats_of("F8_E8M0", 256, bytes, 256), 1, 0, 0, 0x1p-127, 0x1p127, 0x1p128 / 255, 0x1p80);
    check("U8", stats_of("U8", 256, bytes, 256), 0, 0, 1, 0, 255, 127.5, 0);
    check("I8", stats_of("I8", 256, bytes, 256), 0, 0, 1, -128, 127, -0.5, 0);
    check("BOOL", stats_of("BOOL", 256, bytes, 256), 0, 0, 1, 0, 1, 255.0 / 256, 0);
    check("I16", stats_of("I16", 65536, halves, sizeof halves), 0, 0, 1, -32768, 32767, -0.5, 0);
    check("U16", stats_of("U16", 65536, halves, sizeof halves), 0, 0, 1, 0, 65535, 32767.5, 0);
    check("F16", stats_of("F16", 65536, halves, sizeof halves), 2046, 2, 2, -65504, 65504, 0, 0);
    check("BF16", stats_of("BF16", 65536, halves, sizeof halves), 254, 2, 2, -0x1.fep127, 0x1.fep127, 0, 0x1p60);
}

/* Every code once, so a format's denormals are two for each mantissa but 0. */
static void test_denormals(void **state)
{
    (void)state;
    static const struct { const char *type; uint64_t want; } all[] = {
        {"F8_E5M2", 6}, {"F8_E4M3", 14}, {"F8_E8M0", 0}, {"F8_E4M3FNUZ", 14}, {"F8_E5M2FNUZ", 6}, {"U8", 0}, {"F16", 2046}, {"BF16", 254}, {"I16", 0}};
    static unsigned char bytes[256];
    static uint16_t halves[65536];
    for (unsigned i = 0; i < 256; i++) bytes[i] = (unsigned char)i;
    for (unsigned i = 0; i < 65536; i++) halves[i] = (uint16_t)i;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int wide = strstr(all[i].type, "16") != NULL;
        pith_tensor_stats s = wide ? stats_of(all[i].type, 65536, halves, sizeof halves) : stats_of(all[i].type, 256, bytes, 256);
        if (s.n_denormal != all[i].want) fail_msg("%s: %llu denormals", all[i].type, (unsigned long long)s.n_denormal);
    }
    static const double f64[] = {5e-324, -0.0, 0x0.fffffp-1022, 0x1p-1022, NAN, 1};
    static const float f32[] = {1e-45f, -0x0.fffffep-126f, 0x1p-126f, 0, INFINITY};
    assert_int_equal(stats_of("F64", 6, f64, sizeof f64).n_denormal, 2);
    assert_int_equal(stats_of("F32", 5, f32, sizeof f32).n_denormal, 2);
}

static void test_wide(void **state)
{
    (void)state;
    static const int32_t i32[] = {INT32_MIN, 0, INT32_MAX, 7, 1};
    static const uint32_t u32[] = {0, UINT32_MAX, 1};
    static const int64_t i64[] = {INT64_MIN, 9007199254740993, 0};
    static const uint64_t u64[] = {UINT64_MAX, 1};
    static const double f64[] = {DBL_MAX, DBL_MAX, DBL_MAX, -0.0, 5e-324, DBL_MAX / 2, NAN, -INFINITY};
    check("I32", stats_of("I32", 5, i32, sizeof i32), 0, 0, 1, INT32_MIN, INT32_MAX, 7.0 / 5, 1e-15);
    check("U32", stats_of("U32", 3, u32, sizeof u32), 0, 0, 1, 0, UINT32_MAX, 4294967296.0 / 3, 1e-6);
    check("I64", stats_of("I64", 3, i64, sizeof i64), 0, 0, 1, -0x1p63, 9007199254740992.0, (-0x1p63 + 9007199254740992.0) / 3, 1e3);
    check("U64", stats_of("U64", 2, u64, sizeof u64), 0, 0, 0, 1, 0x1p64, 0x1p63, 1);
    check("F64", stats_of("F64", 8, f64, sizeof f64), 1, 1, 1, -0.0, DBL_MAX, DBL_MAX / 6 * 3.5, 1e293);
    check("largest doubles", stats_of("F64", 3, f64, 24), 0, 0, 0, DBL_MAX, DBL_MAX, DBL_MAX, 0); /* their sum overflows */
    static const float f32[] = {FLT_MAX, FLT_MAX, 1e-45f, -0.0f, 0.0f, NAN, -NAN, INFINITY, -INFINITY};
    check("F32", stats_of("F32", 9, f32, sizeof f32), 2, 2, 2, -0.0, (double)FLT_MAX, 2 * (double)FLT_MAX / 5, 1e25);
    pith_tensor_stats s = stats_of("F32", 4, f32 + 5, 16);
    assert_true(s.n_nan == 2 && s.n_inf == 2 && isnan(s.min) && isnan(s.max) && isnan(s.mean));
    s = stats_of("F32", 0, "", 0);
    assert_true(s.n_nan == 0 && isnan(s.min) && isnan(s.max) && isnan(s.mean));
}

/* Blocks, lanes and tails against a plain loop, special values everywhere. */
static void test_lengths(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float x[N];
    uint32_t r = 1;
    for (size_t i = 0; i < N; i++) {
        r = r * 1664525 + 1013904223;
        x[i] = (float)((int32_t)r / 65536) * 0x1p-8f;
    }
    for (size_t n = 1; n <= N; n = n < 40 ? n + 1 : n * 5 / 4) {
        for (int special = 0; special < 2; special++) {
            double sum = 0, min = INFINITY, max = -INFINITY;
            uint64_t nan = 0, inf = 0, zero = 0;
            if (special) x[n / 2] = NAN, x[n - 1] = INFINITY, x[0] = 0;
            for (size_t i = 0; i < n; i++) {
                double v = (double)x[i];
                if (isnan(v)) nan++;
                else if (isinf(v)) inf++;
                else sum += v, zero += v == 0, min = fmin(min, v), max = fmax(max, v);
            }
            if (n - nan - inf > 0) check("F32", stats_of("F32", n, x, 4 * n), nan, inf, zero, min, max, sum / (double)(n - nan - inf), 1e-9);
            if (special) x[n / 2] = 2, x[n - 1] = 3, x[0] = 1;
        }
    }
}

static void test_access(void **state)
{
    (void)state;
    static const uint16_t data[] = {0x3f80, 0xc000, 0x7fc0, 0x0001};
    static const char text[] = "{\"__metadata__\":{\"format\":\"pt\"},\"c\":{\"dtype\":\"C64\",\"shape\":[],\"data_offsets\":[8,16]},\"a\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
                               "\"f\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[16,17]}}";
    char all[17] = {0};
    memcpy(all, data, 8);
    const char *path = files_st("w.safetensors", text, 0, all, sizeof all);
    for (int how = 0; how < 3; how++) {
        pith_err e = {{0}};
        pith_weights *w = pith_weights_open(path, &(pith_weights_options){.no_mmap = how == 1, .header_only = how == 2}, &e);
        pith_tensor t;
        pith_tensor_stats s;
        uint64_t size;
        const char *k, *v;
        float f[4];
        assert_non_null(w);
        assert_int_equal(pith_weights_count(w), 3);
        assert_int_equal(pith_weights_at(w, 3, &t), -1);
        assert_int_equal(pith_weights_find(w, "b", &t), -1);
        assert_int_equal(pith_weights_find(w, "a", &t), 0);
        assert_string_equal(t.name, "a");
        assert_string_equal(t.dtype, "BF16");
        assert_true(t.rank == 2 && t.shape[0] == 2 && t.shape[1] == 2 && t.nbytes == 8 && t.file == 0 && t.offset == 8 + sizeof text - 1);
        assert_int_equal(pith_weights_files(w), 1);
        assert_string_equal(pith_weights_file(w, 0, &size), path);
        assert_int_equal(size, 8 + sizeof text - 1 + 17);
        assert_null(pith_weights_file(w, 1, NULL));
        assert_int_equal(pith_weights_metadata_count(w, 0), 1);
        assert_int_equal(pith_weights_metadata_count(w, 9), 0);
        assert_int_equal(pith_weights_metadata(w, 0, 1, &k, &v), -1);
        assert_int_equal(pith_weights_metadata(w, 0, 0, &k, &v), 0);
        assert_string_equal(k, "format");
        assert_string_equal(v, "pt");
        assert_int_equal(pith_weights_warnings(w), 0);
        assert_null(pith_weights_warning(w, 0));
        if (how == 2) {
            assert_null(t.data);
            assert_int_equal(pith_weights_stats(w, 0, &s, &e), -1);
            assert_string_equal(e.msg, "a: opened for headers only; open it with data");
        } else {
            assert_memory_equal(t.data, data, 8);
            assert_int_equal(pith_weights_mapped_at(w, t.data) != NULL, how == 0);
            assert_int_equal(pith_weights_read_f32(w, 0, 1, 3, f, &e), 0);
            assert_true(f[0] == -2.0f && isnan(f[1]) && f[2] == 0x1p-133f);
            assert_int_equal(pith_weights_read_f32(w, 0, 4, 0, f, &e), 0);
            uint16_t raw[2];
            assert_int_equal(pith_weights_read(w, 0, 2, 2, raw, &e), 0);
            assert_memory_equal(raw, data + 2, sizeof raw);
            assert_int_equal(pith_weights_read_f32(w, 0, 2, 3, f, &e), -1);
            assert_string_equal(e.msg, "a: elements [2,+3) asked for, it has 4");
            assert_int_equal(pith_weights_read_f32(w, 0, UINT64_MAX, 2, f, NULL), -1);
            e = (pith_err){{0}};
            assert_int_equal(pith_weights_stats(w, 1, &s, &e), -1);
            assert_non_null(strstr(e.msg, "c: C64"));
            e = (pith_err){{0}};
            assert_int_equal(pith_weights_read_f32(w, 2, 0, 1, f, &e), -1);
            assert_non_null(strstr(e.msg, "f: F4"));
            assert_int_equal(pith_weights_stats(w, 3, &s, NULL), -1);
        }
        pith_weights_close(w);
    }
    assert_null(pith_weights_open(files_path("none"), NULL, NULL));
    pith_weights_close(NULL);
}

/* Published values of XXH3_64bits. */
static void test_hash(void **state)
{
    (void)state;
    assert_true(pith_hash("", 0) == 0x2d06800538d394c2u);
    assert_true(pith_hash("a", 1) == 0xe6c632b61e964e1fu);
    assert_true(pith_hash("abcd", 3) == 0x78af5f94892f3950u);
}

static void test_speed(void **state)
{
    (void)state;
    static const char *const types[] = {"F32", "BF16", "F16"};
    static const size_t n = 8 << 20;
    float *x = malloc(n);
    for (size_t i = 0; i < n / 4; i++) x[i] = (float)i * 1e-3f; /* as F16 too: finite, mostly */
    for (size_t i = 0; i < n / 2; i++) ((uint16_t *)(void *)x)[i] &= 0x3fff;
    for (int k = 0; k < 3; k++) {
        pith_weights *w = open_one(types[k], n / (k ? 2 : 4), x, n);
        double best = 1e9;
        for (int i = 0; i < 5; i++) {
            struct timespec a, b;
            pith_tensor_stats s;
            clock_gettime(CLOCK_MONOTONIC, &a);
            assert_int_equal(pith_weights_stats(w, 0, &s, NULL), 0);
            clock_gettime(CLOCK_MONOTONIC, &b);
            double t = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
            if (t < best) best = t;
        }
        printf("# statistics of %s: %.2f GB/s, %.0f M elements/s\n", types[k], (double)n / best * 1e-9, (double)n / (k ? 2 : 4) / best * 1e-6);
        pith_weights_close(w);
    }
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_narrow), cmocka_unit_test(test_wide), cmocka_unit_test(test_denormals), cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_access), cmocka_unit_test(test_hash), cmocka_unit_test(test_speed)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
