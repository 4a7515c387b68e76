/* listen: addresses that are free, taken, no one's; sockets' files that are alive, dead, none. */
#define _GNU_SOURCE
#include "server/listen.h"
#include "util.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void refused(const char *host, unsigned port, const char *path, const char *message)
{
    pith_err e = {{0}};
    assert_int_equal(listen_open(host, &port, path, &e), -1);
    if (!strstr(e.msg, message)) fail_msg("message '%s' lacks '%s'", e.msg, message);
}

static int opened(const char *host, unsigned *port, const char *path)
{
    pith_err e = {{0}};
    int fd = listen_open(host, port, path, &e);
    if (fd < 0) fail_msg("%s", e.msg);
    return fd;
}

static void test_tcp(void **state)
{
    (void)state;
    unsigned port = 0;
    int fd = opened("127.0.0.1", &port, NULL);
    assert_true(listen_local(fd));
    assert_in_range(port, 1, 65535);
    refused("127.0.0.1", port, NULL, "another program listens there");
    refused("no such host", 0, NULL, "host 'no such host'");
    refused("192.0.2.1", 0, NULL, "cannot listen"); /* TEST-NET: not this machine's */
    refused("127.0.0.1", 65536, NULL, "expected 0 to 65535");
    close(fd);
    fd = opened("127.0.0.1", &port, NULL); /* the same again */
    close(fd);
    port = 0;
    fd = opened("localhost", &port, NULL);
    assert_true(listen_local(fd));
    close(fd);
    port = 0;
    fd = opened("0.0.0.0", &port, NULL);
    assert_false(listen_local(fd));
    close(fd);
    pith_err e = {{0}};
    port = 0;
    fd = listen_open("::1", &port, NULL, &e);
    if (fd >= 0) assert_true(listen_local(fd)), close(fd);
    else printf("# no IPv6 here: %s\n", e.msg);
}

static void test_unix(void **state)
{
    (void)state;
    char folder[] = "/tmp/test_listen.XXXXXX", path[64], longer[200];
    struct stat st;
    unsigned port = 0;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/s", folder);
    int fd = opened(NULL, &port, path);
    assert_false(listen_local(fd));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    refused(NULL, 0, path, "a living server's socket");
    close(fd);
    assert_int_equal(stat(path, &st), 0);
    fd = opened(NULL, &port, path); /* dead: replaced */
    refused(NULL, 0, path, "a living server's socket");
    close(fd);
    unlink(path);
    fclose(fopen(path, "w"));
    refused(NULL, 0, path, "there is a file");
    assert_int_equal(stat(path, &st), 0);
    unlink(path);
    assert_int_equal(symlink("/nowhere", path), 0);
    refused(NULL, 0, path, "there is a file");
    unlink(path);
    snprintf(longer, sizeof longer, "%s/%0100d", folder, 1);
    refused(NULL, 0, longer, "1 to 107 bytes");
    refused(NULL, 0, "", "1 to 107 bytes");
    snprintf(longer, sizeof longer, "%s/none/s", folder);
    refused(NULL, 0, longer, "cannot listen");
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tcp), cmocka_unit_test(test_unix)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
