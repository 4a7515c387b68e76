/* sandbox: what the process can no longer do, tried one by one, each in a process of its own; and what it still can. */
#define _GNU_SOURCE
#include "server/sandbox.h"
#include "base/par.h"
#include "util.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int listener, unconnected; /* made before the sandbox */
static struct sockaddr_in address;
static char mine[64], other[64];

enum { HELD = 100, FAILED_OTHERWISE, NO_SANDBOX };

/* 0: it was done; HELD: it failed with EPERM. */
static int result(long rc) { return rc >= 0 ? 0 : errno == EPERM ? HELD : FAILED_OTHERWISE; }

static int open_read(void) { return result(open("/etc/passwd", O_RDONLY)); }
static int open_write(void) { return result(open("/tmp/test_sandbox_made", O_WRONLY | O_CREAT, 0600)); }
static int open_syscall(void) { return result(syscall(SYS_openat, AT_FDCWD, "/", O_RDONLY | O_DIRECTORY)); }
static int open_proc(void) { return result(open("/proc/self/mem", O_RDWR)); }
static int socket_tcp(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
static int socket_udp(void) { return result(socket(AF_INET, SOCK_DGRAM, 0)); }
static int socket_pair(void)
{
    int v[2];
    return result(socketpair(AF_UNIX, SOCK_STREAM, 0, v));
}
static int socket_unix(void) { return result(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int connect_made(void) { return result(connect(unconnected, (struct sockaddr *)&address, sizeof address)); }
static int bind_made(void) { return result(bind(unconnected, (struct sockaddr *)&address, sizeof address)); }
static int listen_made(void) { return result(listen(unconnected, 1)); }
static int do_fork(void)
{
    pid_t p = fork();
    if (p == 0) _exit(0);
    return result(p);
}
static int kill_parent(void) { return result(kill(getppid(), 0)); }
static int trace_parent(void) { return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)); }
static int code_mmap(void) { return result(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0); }
static int code_mprotect(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}
static int unlink_other(void) { return result(unlink(other)); }
static int rename_mine(void) { return result(rename(mine, other)); }
static int chmod_mine(void) { return result(chmod(mine, 0777)); }
static int chown_mine(void) { return result(chown(mine, (uid_t)-1, (gid_t)-1)); }
static int new_namespace(void) { return result(unshare(0)); }
static int read_other_process(void) { return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0UL, NULL, 0UL, 0UL)); }
static int kill_group(void) { return result(kill(0, 0)); }
static int signal_parents_thread(void) { return result(syscall(SYS_tgkill, getppid(), getppid(), 0)); }
static int type_into_terminal(void) { return result(ioctl(0, TIOCSTI, "x")); }
static int become_tracee(void) { return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }
static int memory_file(void) { return result(syscall(SYS_memfd_create, "x", 0)); }
static int go_elsewhere(void) { return result(chdir("/")); }
static int read_directory(void) { return result(access("/etc/passwd", R_OK)); }
static int uring(void)
{
#ifdef SYS_io_uring_setup
    char p[256] = {0};
    return result(syscall(SYS_io_uring_setup, 1, p));
#else
    return HELD;
#endif
}
static int execute(void)
{
    char *const argv[] = {"true", NULL};
    return result(execv("/bin/true", argv));
}

static int unlink_mine(void) { return result(unlink(mine)); }

/* What a verb needs. */
static int file_work(void)
{
    char made[80], b[8], *code;
    struct stat st;
    snprintf(made, sizeof made, "%s.made", mine);
    int fd = open(made, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || pwrite(fd, "hello", 5, 0) != 5 || fchmod(fd, 0644) || fsync(fd) || ftruncate(fd, 4) || pread(fd, b, 8, 0) != 4 || fstat(fd, &st)) return 1;
    code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* PCRE2's */
    if (code == MAP_FAILED) return 2;
    if (rename(made, other) || stat(other, &st) || st.st_size != 4 || access(other, R_OK) || mkdir(made, 0700) || rmdir(made)) return 3;
    isatty(fd);
    if (errno == EPERM || raise(0) || kill(getpid(), 0)) return 4;
    close(fd);
    return 0;
}

static void *add(void *ctx)
{
    ++*(int *)ctx;
    return malloc(3 << 20);
}
static void item(void *ctx, size_t i, int tid)
{
    (void)tid;
    ((char *)ctx)[i] = 1;
}

/* What serving needs. */
static int work(void)
{
    int n = 0;
    for (int i = 0; i < 20; i++) {
        pthread_t t;
        void *p;
        if (pthread_create(&t, NULL, add, &n) || pthread_join(t, &p) || !p) return 1;
        free(p);
    }
    char *big = calloc(1, 300 << 20), done[64] = {0};
    if (!big) return 2;
    big[299 << 20] = 1;
    big = realloc(big, 400 << 20);
    free(big);
    par_for(4, sizeof done, item, done);
    if (memchr(done, 0, sizeof done)) return 3;
    return 0;
}

static int serve_work(void)
{
    int bad = work();
    if (bad) return bad;
    struct pollfd p = {.fd = listener, .events = POLLIN};
    if (poll(&p, 1, 2000) != 1) return 4;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int))) return 5;
    if (send(fd, "hi", 2, MSG_NOSIGNAL) != 2 || fcntl(fd, F_DUPFD_CLOEXEC, 3) < 0 || shutdown(fd, SHUT_WR) || close(fd)) return 6;
    time_t now = time(NULL);
    struct tm local;
    if (!localtime_r(&now, &local)) return 7;
    return 0;
}

/* A thread that was there before is shut in too. */
static pthread_barrier_t step;
static int of_thread;
static void *earlier(void *ctx)
{
    (void)ctx;
    pthread_barrier_wait(&step); /* it runs */
    pthread_barrier_wait(&step); /* the process is in the sandbox */
    of_thread = open_read();
    pthread_barrier_wait(&step);
    return NULL;
}
static int other_thread(void)
{
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    return of_thread;
}

static int serving(pith_err *e) { return sandbox_enter(mine, e); }

/* The status a process ends with that does this in the sandbox. */
static int try_in(int (*enter)(pith_err *e), int (*what)(void), int threads)
{
    fflush(NULL);
    pid_t p = fork();
    if (p == 0) {
        pith_err e = {{0}};
        pthread_t t;
        if (threads) {
            pthread_barrier_init(&step, NULL, 2);
            if (pthread_create(&t, NULL, earlier, NULL)) _exit(FAILED_OTHERWISE);
            pthread_barrier_wait(&step);
        }
        if (enter(&e)) _exit(NO_SANDBOX);
        _exit(what());
    }
    int status;
    assert_int_equal(waitpid(p, &status, 0), p);
    return status;
}

static int try(int (*what)(void), int threads) { return try_in(serving, what, threads); }

static int setup(void **state)
{
    (void)state;
    snprintf(mine, sizeof mine, "/tmp/test_sandbox.%d.a", (int)getpid());
    snprintf(other, sizeof other, "/tmp/test_sandbox.%d.b", (int)getpid());
    fclose(fopen(mine, "w"));
    fclose(fopen(other, "w"));
    address = (struct sockaddr_in){.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unconnected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t n = sizeof address;
    return listener < 0 || unconnected < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 8) ||
           getsockname(listener, (struct sockaddr *)&address, &n);
}

static int teardown(void **state)
{
    (void)state;
    unlink(mine);
    unlink(other);
    close(listener);
    close(unconnected);
    return 0;
}

static int without_sandbox(void)
{
    int status = try(open_read, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != NO_SANDBOX) return 0;
    printf("# skip: this kernel has no seccomp\n");
    return 1;
}

/* A server's lets nothing be opened. */
static int without_servers(void)
{
#if defined(__clang__) && defined(_OPENMP)
    printf("# skip: clang's OpenMP opens files after the sandbox stands\n");
    return 1;
#else
    return without_sandbox();
#endif
}

static void test_held(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*what)(void);
    } cases[] = {{"open to read", open_read}, {"open to write", open_write}, {"openat", open_syscall}, {"/proc/self/mem", open_proc},
                 {"socket TCP", socket_tcp}, {"socket UDP", socket_udp}, {"socket unix", socket_unix}, {"socketpair", socket_pair}, {"connect", connect_made},
                 {"bind", bind_made}, {"listen", listen_made}, {"fork", do_fork}, {"kill", kill_parent}, {"ptrace", trace_parent},
                 {"mmap of code", code_mmap}, {"mprotect to code", code_mprotect}, {"unlink", unlink_other}, {"rename", rename_mine},
                 {"chdir", go_elsewhere}, {"access", read_directory}, {"io_uring", uring}};
    if (without_servers()) skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = try(cases[i].what, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != HELD) fail_msg("%s: status %x, expected EPERM", cases[i].name, (unsigned)status);
    }
    int status = try(execute, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) fail_msg("exec: status %x, expected SIGSYS", (unsigned)status);
    status = try(other_thread, 1);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != HELD) fail_msg("another thread: status %x, expected EPERM", (unsigned)status);
}

static void test_verb(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*what)(void);
    } cases[] = {{"socket TCP", socket_tcp}, {"socket UDP", socket_udp}, {"socket unix", socket_unix}, {"socketpair", socket_pair},
                 {"connect", connect_made}, {"bind", bind_made}, {"listen", listen_made}, {"fork", do_fork}, {"kill", kill_parent},
                 {"kill of the group", kill_group}, {"tgkill", signal_parents_thread}, {"ptrace", trace_parent}, {"being traced", become_tracee},
                 {"another process's memory", read_other_process}, {"unshare", new_namespace}, {"chdir", go_elsewhere}, {"chmod", chmod_mine},
                 {"chown", chown_mine}, {"memfd", memory_file}, {"TIOCSTI", type_into_terminal}, {"io_uring", uring}};
    if (without_sandbox()) skip();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = try_in(sandbox_enter_verb, cases[i].what, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != HELD) fail_msg("%s: status %x, expected EPERM", cases[i].name, (unsigned)status);
    }
    int status = try_in(sandbox_enter_verb, execute, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS) fail_msg("exec: status %x, expected SIGSYS", (unsigned)status);
    status = try_in(sandbox_enter_verb, file_work, 0);
    if (status) fail_msg("work with files: status %x", (unsigned)status);
    status = try_in(sandbox_enter_verb, work, 0);
    if (status) fail_msg("work: status %x", (unsigned)status);
}

static void test_allowed(void **state)
{
    (void)state;
    if (without_servers()) skip();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int status = try(serve_work, 0);
    if (status) fail_msg("work: status %x", (unsigned)status);
    char b[3] = {0};
    assert_int_equal(recv(fd, b, 2, MSG_WAITALL), 2);
    assert_string_equal(b, "hi");
    close(fd);
    assert_int_equal(try(unlink_mine, 0), 0);
    assert_int_equal(access(mine, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_held, setup, teardown),
        cmocka_unit_test_setup_teardown(test_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verb, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
