/* Conversions of 16-bit floats, and views. */
#include "util.h"
#include "compute/tensor.h"
#include <math.h>

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
    tensor t = tensor_at((tensor){x, shape, 3, sizeof x, DT_F32}, 1);
    assert_ptr_equal(t.data, x[1]);
    assert_int_equal(t.rank, 2);
    assert_int_equal(t.shape[0], 3);
    assert_int_equal(t.nbytes, sizeof x[1]);
    assert_int_equal(tensor_at((tensor){x, none, 2, 0, DT_F32}, 0).nbytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_round_trip),
        cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
