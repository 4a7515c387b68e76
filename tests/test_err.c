#include "util.h"
#include "base/arena.h"
#include "base/checked.h"
#include "base/err.h"

static void test_first_cause_wins(void **state)
{
    (void)state;
    pith_err e = {0};
    assert_int_equal(err_set(&e, "first %d", 1), -1);
    assert_int_equal(err_set(&e, "second"), -1);
    assert_string_equal(e.msg, "first 1");
    err_where(&e, "file %s", "x");
    assert_string_equal(e.msg, "file x: first 1");
    assert_int_equal(err_set(NULL, "nobody listens"), -1);
    pith_err none = {0};
    err_where(&none, "no error, no place");
    assert_string_equal(none.msg, "");
}

static void test_one_line_of_bounded_length(void **state)
{
    (void)state;
    pith_err e = {0};
    err_set(&e, "name \"a\nb\x1b[2J\"");
    assert_string_equal(e.msg, "name \"a\\x0ab\\x1b[2J\"");
    char big[5000];
    memset(big, '\n', sizeof big - 1);
    big[sizeof big - 1] = 0;
    pith_err f = {0};
    err_set(&f, "%s", big);
    assert_true(strlen(f.msg) < PITH_ERR_MAX);
    assert_null(strchr(f.msg, '\n'));
    err_where(&f, "%s", big);
    assert_true(strlen(f.msg) < PITH_ERR_MAX);
}

static void test_arena_measures_then_places(void **state)
{
    (void)state;
    pith_err e = {0};
    arena measure = {0}, a = {0};
    assert_null(arena_take(&measure, 3, 5));
    assert_null(arena_take(&measure, 100, 4));
    assert_int_equal(measure.used, 64 + 448);
    assert_int_equal(arena_reserve(&a, measure.used, &e), 0);
    char *p = arena_take(&a, 3, 5), *q = arena_take(&a, 100, 4);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_ptr_equal(q, p + 64);
    assert_int_equal(a.used, a.cap);
    void *before = a.base;
    assert_int_equal(arena_reserve(&a, 100, &e), 0);
    assert_ptr_equal(a.base, before);
    assert_null(arena_take(&measure, SIZE_MAX / 2, 3));
    assert_int_equal(measure.overflow, 1);
    arena_free(&a);
    arena huge = {0};
    assert_int_equal(arena_reserve(&huge, SIZE_MAX / 4, &e), -1);
    assert_non_null(strstr(e.msg, "out of memory"));
}

static void test_checked(void **state)
{
    (void)state;
    uint64_t r;
    assert_int_equal(checked_mul(UINT64_MAX / 2, 2, &r), 0);
    assert_int_equal(checked_mul(UINT64_MAX / 2 + 1, 2, &r), -1);
    assert_int_equal(checked_add(UINT64_MAX, 1, &r), -1);
    const uint64_t shape[] = {1ull << 40, 1ull << 40, 0};
    assert_int_equal(checked_product(shape, 2, &r), -1);
    assert_int_equal(checked_product(shape, 3, &r), 0);
    assert_int_equal(r, 0);
    assert_int_equal(checked_product(shape, 0, &r), 0);
    assert_int_equal(r, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_cause_wins), cmocka_unit_test(test_one_line_of_bounded_length),
        cmocka_unit_test(test_arena_measures_then_places), cmocka_unit_test(test_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
