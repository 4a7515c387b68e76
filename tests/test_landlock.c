/* landlock: what can be reached beneath what was named, and what cannot, each tried in a process of its own. The command
 * line is in no library, so its file is compiled in here. */
#define _GNU_SOURCE
#include "util.h"
#include "cli/landlock.c"
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { NO_LANDLOCK = 200, REFUSED };
static char root[64], given[80], secret[80], inside[96], made[96], beyond[96], link_out[96];

/* In a process that may `rights` to `path`: 0, an errno, or one of the above. */
static int tried(int (*what)(void), const char *path, int rights)
{
    fflush(NULL);
    pid_t p = fork();
    if (p == 0) {
        landlock l;
        pith_err e = {{0}};
        if (landlock_begin(&l, &e)) _exit(NO_LANDLOCK);
        if (landlock_allow(&l, path, rights, &e) || landlock_hold(&l, &e)) _exit(REFUSED);
        landlock_end(&l);
        errno = 0;
        _exit(what() < 0 ? errno : 0);
    }
    int status;
    assert_int_equal(waitpid(p, &status, 0), p);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int read_inside(void) { return open(inside, O_RDONLY); }
static int read_link(void) { return open(link_out, O_RDONLY); }
static int read_secret(void) { return open(secret, O_RDONLY); }
static int read_secret_up(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/../secret", given);
    return open(path, O_RDONLY);
}
static int list_given(void) { return open(given, O_RDONLY | O_DIRECTORY); }
static int list_root(void) { return open(root, O_RDONLY | O_DIRECTORY); }
static int write_inside(void) { return open(inside, O_WRONLY); }
static int write_secret(void) { return open(secret, O_WRONLY); }
static int cut_inside(void) { return truncate(inside, 1); }
static int cut_secret(void) { return truncate(secret, 1); }
static int make_inside(void)
{
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || rename(made, inside) || mkdir(made, 0700)) return -1;
    char deeper[112];
    snprintf(deeper, sizeof deeper, "%s/x", made);
    return rename(inside, deeper) || rename(deeper, inside) || rmdir(made) || unlink(inside) ? -1 : 0;
}
static int make_beyond(void) { return open(beyond, O_WRONLY | O_CREAT, 0600); }
static int move_in(void) { return rename(secret, made); }
static int move_out(void) { return rename(inside, beyond); }
static int make_link(void) { return symlink(secret, made); }
static int make_fifo(void) { return mknod(made, S_IFIFO | 0600, 0); }
static int run(void)
{
    char *const argv[] = {"true", NULL};
    return execv("/bin/true", argv);
}
static int connect_tcp(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a, sizeof a);
}
static int signal_parent(void) { return kill(getppid(), 0); }

static void put(const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("text", f);
    fclose(f);
}

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/test_landlock.XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(given, sizeof given, "%s/given", root);
    snprintf(secret, sizeof secret, "%s/secret", root);
    snprintf(inside, sizeof inside, "%s/inside", given);
    snprintf(made, sizeof made, "%s/made", given);
    snprintf(beyond, sizeof beyond, "%s/beyond", root);
    snprintf(link_out, sizeof link_out, "%s/link", given);
    assert_int_equal(mkdir(given, 0700), 0);
    put(inside);
    put(secret);
    return symlink(secret, link_out);
}

static int teardown(void **state)
{
    (void)state;
    unlink(link_out);
    unlink(inside);
    unlink(made);
    unlink(beyond);
    unlink(secret);
    rmdir(given);
    return rmdir(root);
}

static int version(void)
{
    landlock l;
    pith_err e = {{0}};
    int n = landlock_begin(&l, &e) ? 0 : l.version;
    landlock_end(&l);
    if (!n) printf("# skip: %s\n", e.msg);
    return n;
}

static void test_reading(void **state)
{
    (void)state;
    if (!version()) skip();
    const int r = LANDLOCK_READ;
    assert_int_equal(tried(read_inside, given, r), 0);
    assert_int_equal(tried(list_given, given, r), 0);
    assert_int_equal(tried(read_secret, given, r), EACCES);
    assert_int_equal(tried(read_secret_up, given, r), EACCES);
    assert_int_equal(tried(read_link, given, r), EACCES); /* the link lies inside, what it names does not */
    assert_int_equal(tried(list_root, given, r), EACCES);
    assert_int_equal(tried(write_inside, given, r), EACCES);
    assert_int_equal(tried(make_inside, given, r), EACCES);
    assert_int_equal(tried(read_link, link_out, r), 0); /* a rule goes where a link leads */
    assert_int_equal(tried(read_inside, inside, r), 0);
    assert_int_equal(tried(list_given, inside, r), EACCES);
    assert_int_equal(tried(read_inside, "/nonexistent/path", r), EACCES); /* names nothing, gives nothing */
    assert_int_equal(tried(run, "/", r), EACCES);
}

static void test_writing(void **state)
{
    (void)state;
    int known = version();
    if (!known) skip();
    const int w = LANDLOCK_READ | LANDLOCK_WRITE;
    assert_int_equal(tried(write_inside, given, w), 0);
    assert_int_equal(tried(cut_inside, given, w), 0);
    assert_int_equal(tried(write_secret, given, w), EACCES);
    assert_int_equal(tried(make_beyond, given, w), EACCES);
    assert_int_equal(tried(make_link, given, w), EACCES);
    assert_int_equal(tried(make_fifo, given, w), EACCES);
    int in = tried(move_in, given, w), out = tried(move_out, given, w);
    assert_true(in == EACCES || in == EXDEV);
    assert_true(out == EACCES || out == EXDEV);
    if (known >= 3) assert_int_equal(tried(cut_secret, given, w), EACCES);
    assert_int_equal(access(secret, F_OK), 0);
    assert_int_equal(tried(make_inside, given, w), 0); /* takes `inside` away */
}

static void test_beside_files(void **state)
{
    (void)state;
    int known = version();
    if (!known) skip();
    if (known >= 4) assert_int_equal(tried(connect_tcp, given, LANDLOCK_READ), EACCES);
    if (known >= 6) assert_int_equal(tried(signal_parent, given, LANDLOCK_READ), EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_beside_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
