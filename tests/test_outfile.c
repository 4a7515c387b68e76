/* The file that appears whole or not at all: targets of every kind, permissions, links, debris and living writers. What
 * failing calls and a kill do to it is in write_faults.bats. */
#define _GNU_SOURCE
#include "files.h"
#include "base/outfile.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <time.h>

static void open_ok(outfile *o, const char *path, int replace)
{
    pith_err e = {{0}};
    if (outfile_open(o, path, replace, &e)) fail_msg("%s", e.msg);
}

static void write_all(const char *path, int replace, const char *text)
{
    outfile o;
    pith_err e = {{0}};
    open_ok(&o, path, replace);
    if (outfile_pwrite(&o, text, strlen(text), 0, &e) || outfile_finish(&o, &e)) fail_msg("%s", e.msg);
    outfile_close(&o);
}

static void holds(const char *path, const char *text)
{
    char *s = util_read(path, NULL);
    assert_string_equal(s, text);
    free(s);
}

static void refused(const char *path, int replace, const char *message)
{
    outfile o;
    pith_err e = {{0}};
    assert_int_equal(outfile_open(&o, path, replace, &e), -1);
    if (!strstr(e.msg, message)) fail_msg("message '%s' lacks '%s'", e.msg, message);
    outfile_close(&o);
}

/* Files and folders in a folder. */
static int entries(const char *dir)
{
    int n = -2;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static void test_new_and_old(void **state)
{
    (void)state;
    files_mkdir("a");
    const char *path = files_path("a/t");
    outfile o;
    open_ok(&o, path, 0);
    assert_int_equal(outfile_pwrite(&o, "45", 2, 3, NULL), 0); /* in any order */
    assert_int_equal(outfile_pwrite(&o, "123", 3, 0, NULL), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(entries(files_path("a")), 1);
    assert_int_equal(outfile_finish(&o, NULL), 0);
    assert_string_equal(o.temp, "");
    outfile_close(&o);
    holds(path, "12345");
    assert_int_equal(entries(files_path("a")), 1);
    refused(path, 0, "is there already");
    holds(path, "12345");
    write_all(path, 1, "new");
    holds(path, "new");
    open_ok(&o, path, 1);
    assert_int_equal(outfile_pwrite(&o, "xyz", 3, 0, NULL), 0);
    outfile_close(&o);
    holds(path, "new");
    assert_int_equal(entries(files_path("a")), 1);
    outfile zero = {0};
    outfile_close(&zero);
}

static void test_reserve(void **state)
{
    (void)state;
    outfile o;
    pith_err e = {{0}};
    struct stat st;
    open_ok(&o, files_path("room"), 0);
    assert_int_equal(outfile_reserve(&o, 100000, &e), 0);
    assert_int_equal(outfile_reserve(&o, 0, &e), 0);
    assert_int_equal(outfile_reserve(&o, UINT64_MAX, &e), -1);
    assert_non_null(strstr(e.msg, "more than a file can hold"));
    assert_int_equal(fstat(o.fd, &st), 0);
    if (!st.st_blocks) {
        outfile_close(&o);
        printf("# skip: this file system reserves no room\n");
        skip();
    }
    assert_int_equal(st.st_size, 100000);
    e = (pith_err){{0}};
    assert_int_equal(outfile_reserve(&o, INT64_MAX, &e), -1);
    assert_non_null(strstr(e.msg, "room: no room for its 9223372036854775807 bytes: "));
    outfile_close(&o);
    assert_int_equal(access(files_path("room"), F_OK), -1);
}

static void test_permissions(void **state)
{
    (void)state;
    mode_t old = umask(027);
    const char *path = files_path("mode");
    write_all(path, 0, "1");
    assert_int_equal(mode_of(path), 0640);
    static const mode_t modes[] = {0600, 0666, 0444, 0751, 0000};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        outfile o;
        open_ok(&o, path, 1);
        assert_int_equal(mode_of(o.temp) & 077 & ~modes[i], 0); /* never readable to more */
        assert_int_equal(outfile_finish(&o, NULL), 0);
        outfile_close(&o);
        assert_int_equal(mode_of(path), modes[i]);
    }
    umask(old);
}

static void test_links(void **state)
{
    (void)state;
    char target[1024];
    files_mkdir("blobs");
    files_mkdir("links");
    files_write("blobs/b", "old", 3);
    assert_int_equal(symlink("../blobs/b", files_path("links/one")), 0);
    assert_int_equal(symlink("one", files_path("links/two")), 0);
    refused(files_path("links/two"), 0, "is there already");
    write_all(files_path("links/two"), 1, "new");
    holds(files_path("blobs/b"), "new");
    ssize_t n = readlink(files_path("links/two"), target, sizeof target);
    assert_true(n == 3 && !memcmp(target, "one", 3));
    assert_int_equal(entries(files_path("links")), 2);
    assert_int_equal(entries(files_path("blobs")), 1);
    assert_int_equal(symlink("nothing", files_path("links/broken")), 0);
    for (int replace = 0; replace < 2; replace++) refused(files_path("links/broken"), replace, "a symbolic link to nothing");
    assert_int_equal(symlink("loop", files_path("links/loop")), 0);
    refused(files_path("links/loop"), 1, strerror(ELOOP));
}

static void test_odd_targets(void **state)
{
    (void)state;
    files_mkdir("folder");
    refused("", 1, "an empty path");
    refused(files_path("folder"), 1, "is a directory");
    refused(files_path("folder/"), 1, "is a directory");
    refused(files_path("none/"), 1, "is a directory");
    refused(files_path("none/t"), 1, "cannot create a file in");
    refused(files_path("none/t"), 1, "none: No such file or directory");
    files_write("plain", "x", 1);
    refused(files_path("plain/t"), 1, "cannot write here: Not a directory");
    refused("/dev/null", 1, "not a regular file");
    assert_int_equal(mkfifo(files_path("fifo"), 0600), 0);
    refused(files_path("fifo"), 1, "not a regular file");
    char here[1024];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(files_dir), 0);
    write_all("relative", 0, "r"); /* in the current folder */
    write_all("./relative", 1, "s");
    assert_int_equal(chdir(here), 0);
    holds(files_path("relative"), "s");
}

static void test_long_names(void **state)
{
    (void)state;
    files_mkdir("long");
    for (size_t n = 238; n <= 255; n++) {
        for (int wide = 0; wide < 2; wide++) { /* names that would be cut inside a character */
            char name[300] = "long/", path[1024];
            size_t at = 5;
            if (wide && n % 2) name[at++] = 'x';
            while (at < 5 + n) {
                if (wide) memcpy(name + at, "\xc3\xa9", 2), at += 2;
                else name[at++] = 'n';
            }
            snprintf(path, sizeof path, "%s", files_path(name));
            outfile o;
            open_ok(&o, path, 0);
            const char *base = strrchr(o.temp, '/') + 1, *mark = strstr(base, ".pith-");
            assert_true(strlen(base) <= 255 && mark && (mark[-1] != '\xc3'));
            assert_int_equal(outfile_finish(&o, NULL), 0);
            outfile_close(&o);
            assert_int_equal(unlink(path), 0);
        }
    }
    char name[300] = "long/";
    memset(name + 5, 'n', 256);
    refused(files_path(name), 0, strerror(ENAMETOOLONG));
    assert_int_equal(entries(files_path("long")), 0);
}

static void test_debris(void **state)
{
    (void)state;
    files_mkdir("debris");
    static const char *const stale[] = {"debris/.t.pith-abc123", "debris/.t.pith-ZZZZZZ"};
    static const char *const others[] = {"debris/.t.pith-abc1234", "debris/.t.pith-abc", "debris/.u.pith-abc123", "debris/t.pith-abc123", "debris/.t.tmp-abc123"};
    for (int i = 0; i < 2; i++) files_write(stale[i], "half", 4);
    for (int i = 0; i < 5; i++) files_write(others[i], "mine", 4);
    files_mkdir("debris/.t.pith-folder");
    assert_int_equal(symlink("t.pith-abc123", files_path("debris/.t.pith-linked")), 0);
    outfile living, o;
    open_ok(&living, files_path("debris/t"), 0);
    int fd = open(files_path("debris/.t.pith-locked"), O_RDWR | O_CREAT, 0600); /* as a writer in another process holds it */
    assert_true(fd >= 0 && flock(fd, LOCK_EX) == 0);
    open_ok(&o, files_path("debris/t"), 0);
    for (int i = 0; i < 2; i++) assert_int_equal(access(files_path(stale[i]), F_OK), -1);
    for (int i = 0; i < 5; i++) holds(files_path(others[i]), "mine");
    assert_int_equal(access(living.temp, F_OK), 0);
    assert_int_equal(access(files_path("debris/.t.pith-folder"), F_OK), 0);
    assert_int_equal(access(files_path("debris/.t.pith-linked"), F_OK), 0);
    assert_int_equal(access(files_path("debris/.t.pith-locked"), F_OK), 0);
    close(fd);
    pith_err e = {{0}};
    assert_int_equal(outfile_finish(&living, &e), 0);
    outfile_close(&living);
    assert_int_equal(outfile_finish(&o, &e), -1); /* the other one was faster */
    assert_non_null(strstr(e.msg, "is there already"));
    outfile_close(&o);
    write_all(files_path("debris/t"), 1, "x");
    assert_int_equal(access(files_path("debris/.t.pith-locked"), F_OK), -1); /* its writer died */
    assert_int_equal(entries(files_path("debris")), 8);
}

static char busy[1024];

static void *many(void *arg)
{
    char text[20000];
    memset(text, *(char *)arg, sizeof text);
    for (int i = 0; i < 60; i++) {
        outfile o;
        pith_err e = {{0}};
        if (outfile_open(&o, busy, 1, &e) || outfile_pwrite(&o, text, sizeof text, 0, &e) || outfile_finish(&o, &e)) return strdup(e.msg);
        outfile_close(&o);
    }
    return NULL;
}

/* Writers of one target at once neither remove each other's files nor mix them. */
static void test_at_once(void **state)
{
    (void)state;
    pthread_t t[4];
    char letters[4] = "abcd";
    files_mkdir("busy");
    snprintf(busy, sizeof busy, "%s", files_path("busy/t"));
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, many, &letters[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *why;
        pthread_join(t[i], &why);
        if (why) fail_msg("%s", (char *)why);
    }
    size_t len;
    char *s = util_read(files_path("busy/t"), &len);
    assert_int_equal(len, 20000);
    for (size_t i = 1; i < len; i++) assert_int_equal(s[i], s[0]);
    free(s);
    assert_int_equal(entries(files_path("busy")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_new_and_old), cmocka_unit_test(test_reserve),    cmocka_unit_test(test_permissions), cmocka_unit_test(test_links),
                                       cmocka_unit_test(test_odd_targets), cmocka_unit_test(test_long_names), cmocka_unit_test(test_debris),      cmocka_unit_test(test_at_once)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
