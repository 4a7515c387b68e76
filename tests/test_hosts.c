/* hosts: what a request's Host may say. */
#include "server/hosts.h"
#include "util.h"

static void addresses_and_names(void **state)
{
    (void)state;
    static const char *const names[] = {"models.example.com", "box"};
    static const char *const good[] = {
        "localhost", "LocalHost:8080", "localhost.", "localhost.:8080", "localhost:", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3:1", "192.168.7.7:80",
        "[::1]", "[::1]:8080", "[2001:db8::1]:443", "[::ffff:127.0.0.1]:8080", "box", "Box:8080", "models.example.com", "models.EXAMPLE.com.:443",
    };
    static const char *const bad[] = {
        "", ":", ":8080", ".", "example.com", "example.com:8080", "xbox", "box.evil.com", "localhost.evil.com", "127.0.0.1.evil.com", "evil.com:127.0.0.1",
        "localhost:8080.evil.com", "localhost@evil.com", "127.0.0.1:80:80", "[::1]evil.com", "[::1", "[]", "[", "[localhost]", "::1", "127.1", "0x7f000001",
        "2130706433", "localhost..", "localhost evil.com", "[::1]:80x",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!hosts_allowed(good[i], names, 2)) fail_msg("\"%s\" is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hosts_allowed(bad[i], names, 2)) fail_msg("\"%s\" is let in", bad[i]);
    assert_true(hosts_allowed(NULL, NULL, 0));
    assert_false(hosts_allowed("box", NULL, 0));
    char longest[600];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_false(hosts_allowed(longest, names, 2));
    longest[0] = '[';
    assert_false(hosts_allowed(longest, names, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_and_names)};
    return cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
}
