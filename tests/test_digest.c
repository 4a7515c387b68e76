/* digest: published values. */
#include "base/digest.h"
#include "util.h"

/* FIPS 180-4's example texts, the second in pieces. */
static void test_sha256(void **state)
{
    (void)state;
    static const unsigned char abc[DIGEST_SHA256] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
                                                     0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    static const unsigned char two[DIGEST_SHA256] = {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26, 0x93, 0x0c, 0x3e, 0x60, 0x39,
                                                     0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1};
    static const char text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    unsigned char got[DIGEST_SHA256];
    digest_sha256 *d = digest_sha256_new();
    digest_sha256_add(d, "abc", 3);
    digest_sha256_end(d, got);
    assert_memory_equal(got, abc, sizeof abc);
    d = digest_sha256_new();
    digest_sha256_add(d, text, 20);
    digest_sha256_add(d, text + 20, 36);
    digest_sha256_end(d, got);
    assert_memory_equal(got, two, sizeof two);
}

/* In pieces of any size it is the same, and a taken sum leaves nothing behind. */
static void test_stream(void **state)
{
    (void)state;
    static unsigned char data[70000];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 7 + i / 251);
    digest_stream *d = digest_stream_new();
    assert_true(digest_stream_take(d) == 0x2d06800538d394c2u); /* of nothing: published */
    for (size_t piece = 1; piece < sizeof data; piece = piece * 3 + 1) {
        for (size_t at = 0; at < sizeof data; at += piece) digest_stream_add(d, data + at, at + piece < sizeof data ? piece : sizeof data - at);
        assert_true(digest_stream_take(d) == digest_xxh3(data, sizeof data));
    }
    digest_stream_free(d);
    digest_stream_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha256), cmocka_unit_test(test_stream)};
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
