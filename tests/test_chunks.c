/* Pieces lie on cache lines, apart from each other, and keep what is written to them. */
#include "util.h"
#include "base/chunks.h"

static void test_pieces(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 64, 65, 4096, 100000, 3 << 20, 1, 9 << 20, 70 << 20, 64, 5 << 20, 40 << 20, 40 << 20, 7};
    enum { N = sizeof sizes / sizeof sizes[0] };
    char *at[N];
    chunk_list c = {0};
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++) {
            at[i] = chunks_take(&c, sizes[i]);
            assert_non_null(at[i]);
            assert_int_equal((uintptr_t)at[i] % 64, 0);
            for (size_t k = 0; k < sizes[i]; k += 4096) at[i][k] = (char)i;
            if (sizes[i]) at[i][sizes[i] - 1] = (char)i;
        }
        for (size_t i = 0; i < N; i++) {
            for (size_t k = 0; k + 1 < sizes[i]; k += 4096) assert_int_equal(at[i][k], (char)i);
            if (sizes[i]) assert_int_equal(at[i][sizes[i] - 1], (char)i);
        }
        chunks_free(&c);
        assert_null(c.newest);
    }
    chunks_free(&c);
}

static void test_alone(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 64, 5 << 20};
    for (size_t i = 0; i < 4; i++) {
        char *p = chunks_take(NULL, sizes[i]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        memset(p, 1, sizes[i]);
        free(p);
    }
}

static void test_too_large(void **state)
{
    (void)state;
    chunk_list c = {0};
    char *p = chunks_take(&c, 100);
    assert_non_null(p);
    assert_null(chunks_take(&c, SIZE_MAX));
    assert_null(chunks_take(&c, SIZE_MAX - 100));
    assert_null(chunks_take(NULL, SIZE_MAX - 10));
    assert_true((char *)chunks_take(&c, 100) == p + 128); /* what was there is still used */
    chunks_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_alone), cmocka_unit_test(test_too_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
