/* The zip container: what torch.save writes, and every way in which an archive can contradict itself. */
#include "checkpoints.h"
#include <time.h>

static bytes good(int zip64)
{
    archive a = {0};
    archive_add(&a, "m/data.pkl", "pickle", 6, zip64);
    archive_add(&a, "m/data/0", "0123456789", 10, 0);
    archive_add(&a, "m/version", "3\n", 2, zip64);
    return archive_end(&a, zip64);
}

static void refused(const bytes *b, const char *words)
{
    pith_err e = {{0}};
    zip *z = zip_open(b->p, b->n, &e);
    if (z) fail_msg("accepted; expected a refusal with '%s'", words);
    check_words(e.msg, words);
}

static const zip_member *find(const zip *z, const char *prefix, const char *name) { return zip_find(z, prefix, strlen(prefix), name, strlen(name)); }

/* The check value of CRC-32 (ISO-HDLC) in the catalogue of parametrised CRC algorithms. */
static void test_crc(void **state)
{
    (void)state;
    assert_true(zip_crc("123456789", 9) == 0xcbf43926u);
    assert_true(zip_crc("", 0) == 0);
    assert_true(zip_crc_join(zip_crc("1234", 4), zip_crc("56789", 5), 5) == 0xcbf43926u);
    assert_true(zip_crc_join(0, zip_crc("123456789", 9), 9) == 0xcbf43926u);
}

static void test_good(void **state)
{
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        bytes b = good(zip64);
        pith_err e = {{0}};
        zip *z = zip_open(b.p, b.n, &e);
        if (!z) fail_msg("%s", e.msg);
        assert_int_equal(zip_count(z), 3);
        assert_string_equal(zip_at(z, 0)->name, "m/data.pkl");
        assert_string_equal(zip_at(z, 2)->name, "m/version");
        const zip_member *m = find(z, "m/", "data/0");
        assert_non_null(m);
        assert_ptr_equal(m, find(z, "m/data/", "0"));
        assert_ptr_equal(m, find(z, "", "m/data/0"));
        assert_ptr_equal(m, find(z, "m/data/0", ""));
        assert_int_equal(m->size, 10);
        assert_memory_equal(b.p + m->offset, "0123456789", 10);
        assert_true(m->crc == zip_crc("0123456789", 10));
        assert_null(find(z, "m/data/", "1"));
        assert_null(find(z, "m/data/", ""));
        assert_null(find(z, "m/data/", "00"));
        assert_null(find(z, "n/data/", "0"));
        assert_null(find(z, "m/data/0/and/more", "0"));
        zip_close(z);
        bytes_free(&b);
    }
    zip_close(NULL);
}

/* A comment belongs to the end record; bytes behind the end belong to nobody. */
static void test_end(void **state)
{
    (void)state;
    bytes b = good(0);
    OP(&b, "hello");
    refused(&b, "no end record");
    set_le(&b, b.n - 7, 5, 2);
    zip *z = zip_open(b.p, b.n, NULL);
    assert_non_null(z);
    zip_close(z);
    bytes_free(&b);
    archive a = {0};
    b = archive_end(&a, 0);
    z = zip_open(b.p, b.n, NULL); /* an empty archive is one */
    assert_int_equal(zip_count(z), 0);
    assert_null(find(z, "", "x"));
    zip_close(z);
    bytes_free(&b);
}

enum { LOCAL0 = 0, LOCAL1 = 30 + 10 + 6 }; /* local headers in good(0) */

static void test_refused(void **state)
{
    (void)state;
    bytes b = good(0);
    size_t n = b.n, end = n - 22, dir = (size_t)(b.p[end + 16] | b.p[end + 17] << 8), second = dir + 46 + 10;
    const struct { size_t at; int size; uint64_t v; const char *words; } all[] = {
        {LOCAL0, 4, 0, "m/data.pkl|no local header"},
        {LOCAL0 + 6, 2, 1, "m/data.pkl|compressed or encrypted"},
        {LOCAL0 + 8, 2, 8, "m/data.pkl|compressed or encrypted"},
        {LOCAL0 + 26, 2, 9, "m/data.pkl|another member's"},
        {LOCAL0 + 26, 2, 65535, "m/data.pkl|runs out of the file"},
        {LOCAL0 + 28, 2, 65535, "m/data.pkl|runs out of the file"},
        {LOCAL0 + 28, 2, 20, "members m/data.pkl and m/data/0 overlap"},
        {LOCAL1 + 30, 1, 'n', "m/data/0|another member's"},
        {dir, 4, 0, "no entry where number 1 of 3"},
        {dir + 8, 2, 1, "m/data.pkl|encrypted"},
        {dir + 10, 2, 8, "m/data.pkl|compressed (method 8)"},
        {dir + 20, 4, 7, "m/data.pkl|6 bytes became 7"},
        {dir + 24, 4, UINT32_MAX, "m/data.pkl|Zip64 sizes are missing"},
        {dir + 28, 2, 65535, "an entry of 65581 bytes where"},
        {dir + 30, 2, 65535, "an entry of 65591 bytes where"},
        {dir + 32, 2, 1, "no entry where number 2 of 3"},
        {dir + 34, 2, 1, "m/data.pkl|another part"},
        {dir + 42, 4, 0x7fffffff, "m/data.pkl|local header lies outside"},
        {dir + 42, 4, dir, "m/data.pkl|outside"},
        {dir + 42, 4, LOCAL1, "m/data.pkl|another member's"},
        {dir + 46, 1, 0, "NUL in its name"},
        {second + 20, 8, 500 | (uint64_t)500 << 32, "m/data/0|truncated: 500 bytes"},
        {end, 4, 0, "no end record"},
        {end + 4, 2, 1, "several parts"},
        {end + 8, 2, 2, "several parts"},
        {end + 8, 4, 4 | 4 << 16, "4 members promised"},
        {end + 8, 4, 2 | 2 << 16, "2 members promised, but there is more"},
        {end + 8, 4, 60000 | (uint64_t)60000 << 16, "60000 members promised"},
        {end + 12, 4, 10, "does not end where the end record begins"},
        {end + 16, 4, 0, "does not end where the end record begins"},
        {end + 16, 4, UINT32_MAX, "does not end where the end record begins"},
        {end + 20, 2, 1, "no end record"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bytes c = {0};
        put(&c, b.p, n);
        set_le(&c, all[i].at, all[i].v, all[i].size);
        refused(&c, all[i].words);
        bytes_free(&c);
    }
    bytes_free(&b);
}

static void test_zip64_refused(void **state)
{
    (void)state;
    bytes b = good(1);
    size_t n = b.n, end = n - 22, locator = end - 20, end64 = locator - 56;
    const struct { size_t at; int size; uint64_t v; const char *words; } all[] = {
        {end64, 4, 0, "Zip64 end record is broken"},
        {end64 + 4, 8, UINT64_MAX - 3, "Zip64 end record is broken"},
        {end64 + 4, 8, 45, "Zip64 end record is broken"},
        {end64 + 16, 4, 1, "several parts"},
        {end64 + 24, 8, 2, "several parts"},
        {end64 + 32, 8, UINT64_MAX, "several parts"},
        {end64 + 40, 8, UINT64_MAX, "does not end where"},
        {end64 + 48, 8, UINT64_MAX - 5, "does not end where"},
        {locator + 8, 8, UINT64_MAX - 20, "outside the file"},
        {locator + 8, 8, end64 - 1, "Zip64 end record is broken"},
        {end + 10, 2, 2, "two end records disagree"},
        {end + 12, 4, 2, "two end records disagree"},
        {end + 16, 4, 2, "two end records disagree"},
        {locator, 4, 0, "does not end where"}, /* then the plain record's values count as they are */
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bytes c = {0};
        put(&c, b.p, n);
        set_le(&c, all[i].at, all[i].v, all[i].size);
        refused(&c, all[i].words);
        bytes_free(&c);
    }
    bytes_free(&b);
}

static void test_names(void **state)
{
    (void)state;
    archive a = {0};
    archive_add(&a, "m/x", "1", 1, 0);
    archive_add(&a, "m/x", "2", 1, 0);
    bytes b = archive_end(&a, 0);
    refused(&b, "m/x is there twice");
    bytes_free(&b);
    archive_add(&a, "a\xff\x1b[2J", "1", 1, 0);
    archive_add(&a, "a\xff\x1b[2J", "2", 1, 0);
    b = archive_end(&a, 0);
    refused(&b, "a\\xff\\u001b[2J is there twice");
    bytes_free(&b);
}

/* Every cut is refused; a byte changed anywhere is refused or harmless: members stay inside the file. */
static void test_mutations(void **state)
{
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        bytes b = good(zip64);
        for (size_t n = 0; n < b.n; n++) {
            unsigned char *cut = malloc(n ? n : 1); /* a block of its own, so that a sanitizer sees its end */
            pith_err e = {{0}};
            memcpy(cut, b.p, n);
            assert_null(zip_open(cut, n, &e));
            assert_true(e.msg[0]);
            free(cut);
        }
        for (size_t i = 0; i < b.n; i++) {
            unsigned char old = b.p[i];
            for (int k = 0; k < 4; k++) {
                b.p[i] = (unsigned char)(k == 0 ? 0 : k == 1 ? 0xff : k == 2 ? old + 1 : old ^ 0x80);
                zip *z = zip_open(b.p, b.n, NULL);
                for (size_t m = 0; z && m < zip_count(z); m++) assert_true(zip_at(z, m)->offset <= b.n && zip_at(z, m)->size <= b.n - zip_at(z, m)->offset);
                zip_close(z);
            }
            b.p[i] = old;
        }
        bytes_free(&b);
    }
}

static void test_many(void **state)
{
    (void)state;
    archive a = {0};
    char name[32];
    enum { N = 100000 };
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "archive/data/%d", (int)((long long)i * 7919 % N));
        archive_add(&a, name, "x", 1, 0);
    }
    bytes b = archive_end(&a, 1);
    struct timespec t0, t1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
    zip *z = zip_open(b.p, b.n, NULL);
    assert_int_equal(zip_count(z), N);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "%d", i);
        assert_non_null(find(z, "archive/data/", name));
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
    double s = (double)(t1.tv_sec - t0.tv_sec) + 1e-9 * (double)(t1.tv_nsec - t0.tv_nsec);
    printf("# %d members opened and found in %.0f ms\n", N, 1e3 * s);
    assert_true(s < 5); /* quadratic look-up would take minutes */
    zip_close(z);
    bytes_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc), cmocka_unit_test(test_good), cmocka_unit_test(test_end), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_zip64_refused), cmocka_unit_test(test_names), cmocka_unit_test(test_mutations), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
