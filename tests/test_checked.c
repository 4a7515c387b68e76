/* The arithmetic on numbers from files: every case there is at 8 bits, against arithmetic that is wide enough; at 64 bits
 * the edges. Both widths are the same text, base/checked.inc. */
#include "util.h"
#include "base/checked.h"

#define CHECKED_T uint8_t
#define CHECKED_SIZE nibble
#define CHECKED_SIZE_MAX 15
#define CHECKED(f) narrow_##f
typedef uint8_t nibble; /* stands for a size_t that is narrower than the numbers */
#include "base/checked.inc"

#define U64 UINT64_MAX

static void test_add_and_mul_at_8_bits(void **state)
{
    (void)state;
    size_t over = 0;
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            uint8_t r;
            assert_int_equal(narrow_add((uint8_t)a, (uint8_t)b, &r), a + b > 255 ? -1 : 0);
            if (a + b <= 255) assert_int_equal(r, a + b);
            assert_int_equal(narrow_mul((uint8_t)a, (uint8_t)b, &r), a * b > 255 ? -1 : 0);
            if (a * b <= 255) assert_int_equal(r, a * b);
            over += a * b > 255;
            if (b) assert_int_equal(narrow_pieces((uint8_t)a, (uint8_t)b), (a + b - 1) / b);
            if (b < 10) {
                r = (uint8_t)a;
                assert_int_equal(narrow_digit(&r, b), a * 10 + b > 255 ? -1 : 0);
                if (a * 10 + b <= 255) assert_int_equal(r, a * 10 + b);
            }
        }
    assert_int_equal(over, 63568); /* counted with Python's numbers */
}

static void test_products_at_8_bits(void **state)
{
    (void)state;
    uint8_t r = 7;
    assert_int_equal(narrow_product(NULL, 0, &r), 0);
    assert_int_equal(r, 1);
    size_t wrong = 0; /* an assertion a case would take longer than the case */
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (unsigned c = 0; c < 256; c++) {
                const uint8_t v[3] = {(uint8_t)a, (uint8_t)b, (uint8_t)c};
                const unsigned want = a * b * c;
                const int bad = narrow_product(v, 3, &r);
                wrong += want > 255 ? bad != -1 : bad || r != want;
            }
    assert_int_equal(wrong, 0);
}

static void test_size_at_8_bits(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        nibble r = 99;
        assert_int_equal(narrow_size((uint8_t)a, &r), a > 15 ? -1 : 0);
        if (a <= 15) assert_int_equal(r, a);
    }
}

/* Around every power of two and around its square root, against 128 bits. */
static void test_edges_at_64_bits(void **state)
{
    (void)state;
    uint64_t edges[64 * 5 + 2], r;
    size_t n = 0;
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t d = 0; d < 5; d++) edges[n++] = ((uint64_t)1 << bit) + d - 2;
    edges[n++] = U64 / 3;
    edges[n++] = U64 / 10;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            __extension__ typedef unsigned __int128 wide;
            const wide a = edges[i], b = edges[j], sum = a + b, product = a * b;
            assert_int_equal(checked_add(edges[i], edges[j], &r), sum > U64 ? -1 : 0);
            if (sum <= U64) assert_true(r == (uint64_t)sum);
            assert_int_equal(checked_mul(edges[i], edges[j], &r), product > U64 ? -1 : 0);
            if (product <= U64) assert_true(r == (uint64_t)product);
            const uint64_t v[] = {edges[i], 1, edges[j]};
            assert_int_equal(checked_product(v, 3, &r), product > U64 ? -1 : 0);
            if (edges[j]) assert_true(checked_pieces(edges[i], edges[j]) == (uint64_t)((a + b - 1) / b));
            for (unsigned d = 0; d < 10; d++) {
                r = edges[i];
                assert_int_equal(checked_digit(&r, d), a * 10 + d > U64 ? -1 : 0);
            }
        }
    assert_int_equal(checked_product((const uint64_t[]){U64, U64, 0}, 3, &r), 0);
    assert_true(r == 0);
    size_t size;
    assert_int_equal(checked_size(U64, &size), U64 > SIZE_MAX ? -1 : 0);
    assert_int_equal(checked_size(0, &size), 0);
    assert_int_equal(size, 0);
}

static void test_little_endian(void **state)
{
    (void)state;
    const unsigned char p[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
    static const uint64_t want[] = {0, 0x11, 0x2211, 0x332211, 0x44332211, 0x5544332211, 0x665544332211, 0x77665544332211, 0x8877665544332211};
    for (size_t n = 0; n < sizeof want / sizeof *want; n++) assert_true(checked_le(p, n) == want[n]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_and_mul_at_8_bits), cmocka_unit_test(test_products_at_8_bits), cmocka_unit_test(test_size_at_8_bits),
        cmocka_unit_test(test_edges_at_64_bits),      cmocka_unit_test(test_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
