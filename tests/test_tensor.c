/* The dtype table and the conversions to float, against values worked out from each format's definition. */
#include "util.h"
#include "compute/tensor.h"
#include <math.h>

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned bits;
    } want[] = {{"BOOL", 8},     {"F4", 4},      {"F6_E2M3", 6},     {"F6_E3M2", 6},     {"U8", 8},   {"I8", 8},
                {"F8_E5M2", 8},  {"F8_E4M3", 8}, {"F8_E8M0", 8},     {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
                {"I16", 16},     {"U16", 16},    {"F16", 16},        {"BF16", 16},       {"I32", 32}, {"U32", 32},
                {"F32", 32},     {"C64", 64},    {"F64", 64},        {"I64", 64},        {"U64", 64}};
    assert_int_equal(DT_COUNT, 22);
    assert_int_equal(sizeof want / sizeof *want, 22);
    for (int i = 0; i < DT_COUNT; i++) {
        assert_string_equal(tensor_dtypes[i].name, want[i].name);
        assert_int_equal(tensor_dtypes[i].bits, want[i].bits);
        assert_int_equal(tensor_dtype_find(want[i].name, strlen(want[i].name)), i);
    }
    assert_int_equal(tensor_dtype_find("F3", 2), -1);
    assert_int_equal(tensor_dtype_find("F32x", 4), -1);
    assert_int_equal(tensor_dtype_find("F32x", 3), DT_F32);
    assert_int_equal(tensor_dtype_find("f32", 3), -1);
    assert_int_equal(tensor_dtype_find("", 0), -1);
}

static void test_count(void **state)
{
    (void)state;
    const uint64_t shape[] = {3, 5, 7}, zero[] = {3, 0, 7};
    assert_int_equal(tensor_count((tensor){.shape = shape, .rank = 3}), 105);
    assert_int_equal(tensor_count((tensor){.shape = zero, .rank = 3}), 0);
    assert_int_equal(tensor_count((tensor){0}), 1);
}

/* sign, exponent, mantissa by the definition, in double */
static double by_definition(unsigned v, int ebits, int mbits, int bias)
{
    unsigned man = v & ((1u << mbits) - 1), exp = v >> mbits & ((1u << ebits) - 1);
    double sign = v >> (ebits + mbits) & 1 ? -1 : 1;
    if (exp == 0) return sign * ldexp(man, 1 - bias - mbits);
    return sign * ldexp(1 + ldexp(man, -mbits), (int)exp - bias);
}

static void same(float got, double want, unsigned code)
{
    float w = (float)want;
    if (isnan(want) ? isnan(got) : !memcmp(&got, &w, sizeof w)) return;
    fail_msg("code %#x: got %a, expected %a", code, (double)got, want);
}

static void test_f16(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 65536; h++) {
        double want = by_definition(h, 5, 10, 15);
        if ((h >> 10 & 31) == 31) want = h & 0x3ff ? NAN : h >> 15 ? -INFINITY : INFINITY;
        same(tensor_f16_to_f32((uint16_t)h), want, h);
        want = by_definition(h, 8, 7, 127);
        if ((h >> 7 & 255) == 255) want = h & 0x7f ? NAN : h >> 15 ? -INFINITY : INFINITY;
        same(tensor_bf16_to_f32((uint16_t)h), want, h);
    }
}

static float read_one(dtype type, const void *value, size_t size)
{
    unsigned char raw[64] = {0};
    float got[3] = {77, 77, 77};
    memcpy(raw + 1 + size, value, size); /* element 1 of data that is aligned to nothing */
    assert_int_equal(tensor_read_f32((tensor){.data = raw + 1, .type = type}, 1, 1, got + 1), 0);
    assert_true(got[0] == 77 && got[2] == 77);
    return got[1];
}

static void test_f8(void **state)
{
    (void)state;
    for (unsigned v = 0; v < 256; v++) {
        uint8_t b = (uint8_t)v;
        double want = by_definition(v, 4, 3, 7);
        same(read_one(DT_F8_E4M3, &b, 1), (v & 0x7f) == 0x7f ? NAN : want, v);
        want = by_definition(v, 5, 2, 15);
        if ((v & 0x7c) == 0x7c) want = v & 3 ? NAN : v & 0x80 ? -INFINITY : INFINITY;
        same(read_one(DT_F8_E5M2, &b, 1), want, v);
        same(read_one(DT_F8_E8M0, &b, 1), v == 255 ? NAN : ldexp(1, (int)v - 127), v);
        same(read_one(DT_F8_E4M3FNUZ, &b, 1), v == 0x80 ? NAN : by_definition(v, 4, 3, 8), v);
        same(read_one(DT_F8_E5M2FNUZ, &b, 1), v == 0x80 ? NAN : by_definition(v, 5, 2, 16), v);
        same(read_one(DT_U8, &b, 1), v, v);
        same(read_one(DT_I8, &b, 1), v < 128 ? (double)v : (double)v - 256, v);
        same(read_one(DT_BOOL, &b, 1), v != 0, v);
    }
    /* published extremes (OCP 8-bit formats) */
    assert_true(read_one(DT_F8_E4M3, "\x7e", 1) == 448.0f);
    assert_true(read_one(DT_F8_E5M2, "\x7b", 1) == 57344.0f);
    assert_true(read_one(DT_F8_E4M3FNUZ, "\x7f", 1) == 240.0f);
    assert_true(read_one(DT_F8_E5M2FNUZ, "\x7f", 1) == 57344.0f);
}

#define READ(type, T, value)                                                                                           \
    do {                                                                                                               \
        T v_ = (value);                                                                                                \
        same(read_one(type, &v_, sizeof v_), (double)(float)v_, 0);                                                    \
    } while (0)

static void test_wide(void **state)
{
    (void)state;
    READ(DT_I16, int16_t, -32768);
    READ(DT_U16, uint16_t, 65535);
    READ(DT_I32, int32_t, INT32_MIN);
    READ(DT_U32, uint32_t, UINT32_MAX);
    READ(DT_F32, float, -0x1.234568p-140f);
    READ(DT_F32, float, -0.0f);
    /* halfway cases go to even */
    int32_t i = 16777217;
    same(read_one(DT_I32, &i, 4), 16777216.0, 0);
    i = 16777219;
    same(read_one(DT_I32, &i, 4), 16777220.0, 0);
    int64_t l = INT64_MIN;
    same(read_one(DT_I64, &l, 8), -0x1p63, 0);
    l = (1ll << 62) + (1ll << 38) + 1; /* just over half: up */
    same(read_one(DT_I64, &l, 8), 0x1.000002p62, 0);
    uint64_t u = UINT64_MAX;
    same(read_one(DT_U64, &u, 8), 0x1p64, 0);
    double d = 1 + 0x1p-24;
    same(read_one(DT_F64, &d, 8), 1, 0);
    d = 1e300;
    same(read_one(DT_F64, &d, 8), INFINITY, 0);
    d = NAN;
    same(read_one(DT_F64, &d, 8), NAN, 0);
}

static void test_refused(void **state)
{
    (void)state;
    unsigned char raw[32] = {0};
    float out[4];
    static const dtype no[] = {DT_F4, DT_F6_E2M3, DT_F6_E3M2, DT_C64, DT_COUNT};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_int_equal(tensor_read_f32((tensor){.data = raw, .type = no[i]}, 0, 1, out), -1);
    for (int t = 0; t < DT_COUNT; t++) { /* nothing asked for is nothing touched, even where there is no data */
        int ok = tensor_dtypes[t].bits >= 8 && t != DT_C64;
        assert_int_equal(tensor_read_f32((tensor){.type = (dtype)t}, 0, 0, NULL), ok ? 0 : -1);
    }
}

static float float_of(uint32_t u)
{
    union { uint32_t u; float f; } v = {u};
    return v.f;
}

/* Every half comes back as itself. */
static void test_half_round_trip(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = tensor_f16_to_f32((uint16_t)h);
        uint16_t back = tensor_f32_to_f16(f);
        if (isnan(f)) assert_true((back & 0x7fff) == 0x7e00 && (back & 0x8000) == (h & 0x8000));
        else assert_int_equal(back, h);
    }
}

/* What lies between two halves goes to the nearer one, and from the middle to the even one. */
static void test_half_rounding(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < 0x7c00; h++) {
        float a = tensor_f16_to_f32(h), b = h == 0x7bff ? 65536.0f : tensor_f16_to_f32((uint16_t)(h + 1));
        float middle = (a + b) / 2; /* exact: halves have 11 bits */
        uint16_t even = h & 1 ? (uint16_t)(h + 1) : h;
        assert_int_equal(tensor_f32_to_f16(middle), even);
        assert_int_equal(tensor_f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(tensor_f32_to_f16(nextafterf(middle, 1e9f)), h + 1);
        assert_int_equal(tensor_f32_to_f16(-middle), even | 0x8000);
    }
    assert_int_equal(tensor_f32_to_f16(INFINITY), 0x7c00);
    assert_int_equal(tensor_f32_to_f16(-1e30f), 0xfc00);
    assert_int_equal(tensor_f32_to_f16(float_of(1)), 0);
    assert_int_equal(tensor_f32_to_f16(float_of(0x80000001)), 0x8000);
}

static void test_at(void **state)
{
    (void)state;
    static const float x[2][3][4] = {{{0}}, {{7}}};
    const uint64_t shape[] = {2, 3, 4}, none[] = {0, 5};
    tensor t = tensor_at((tensor){x, shape, 3, sizeof x, DT_F32, 0}, 1);
    assert_ptr_equal(t.data, x[1]);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.shape[0], 3);
    assert_int_equal(t.nbytes, sizeof x[1]);
    assert_int_equal(tensor_at((tensor){x, none, 2, 0, DT_F32, 0}, 0).nbytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_count), cmocka_unit_test(test_f16),
        cmocka_unit_test(test_f8),    cmocka_unit_test(test_wide),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_half_round_trip),
        cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
