/* breakout: a library to preload (LD_PRELOAD) that tries, from inside a running pith, what a model that had taken it over
 * would try. It waits for the first weights to be read: when a file whose name ends in ".safetensors" is opened.
 *   BREAKOUT_TOLD=FD   gets a line "NAME ERRNO" for each attempt, 0: it was done
 *   BREAKOUT_READ=FILE, BREAKOUT_WRITE=FILE   outside of what the run was given
 *   BREAKOUT_INSIDE=FILE   may be read
 *   BREAKOUT_EXEC=1    last of all, start another program */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int told;

static void tell(const char *name, long rc)
{
    int why = rc < 0 ? errno : 0;
    if (dprintf(told, "%s %d\n", name, why) < 0) _exit(99);
}

static void files(void)
{
    const char *other = getenv("BREAKOUT_READ"), *made = getenv("BREAKOUT_WRITE"), *inside = getenv("BREAKOUT_INSIDE");
    int fd = open(inside, O_RDONLY);
    tell("inside", fd);
    close(fd);
    tell("write-inside", open(inside, O_WRONLY));
    tell("unlink-inside", unlink(inside));
    tell("read", open(other, O_RDONLY));
    tell("append", open(other, O_WRONLY | O_APPEND));
    tell("truncate", truncate(other, 0));
    tell("unlink", unlink(other));
    tell("rename", rename(other, made));
    tell("link", link(other, made));
    tell("symlink", symlink(other, made));
    tell("create", open(made, O_WRONLY | O_CREAT, 0600));
    tell("mkdir", mkdir(made, 0700));
    tell("list", open("/etc", O_RDONLY | O_DIRECTORY));
    tell("memory-file", (long)syscall(SYS_memfd_create, "x", 0));
    tell("proc-mem", open("/proc/self/mem", O_RDWR));
    tell("chmod", chmod(other, 0644));
    tell("chown", chown(other, (uid_t)-1, (gid_t)-1));
    tell("xattr", (long)syscall(SYS_setxattr, other, "user.x", "y", (size_t)1, 0));
}

static void network(void)
{
    int v[2];
    tell("socket-tcp", socket(AF_INET, SOCK_STREAM, 0));
    tell("socket-udp6", socket(AF_INET6, SOCK_DGRAM, 0));
    tell("socket-unix", socket(AF_UNIX, SOCK_STREAM, 0));
    tell("socket-netlink", socket(AF_NETLINK, SOCK_RAW, 0));
    tell("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, v));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
    tell("connect", connect(0, (struct sockaddr *)&a, sizeof a));
    tell("bind", bind(0, (struct sockaddr *)&a, sizeof a));
    tell("listen", listen(0, 1));
    tell("sendto", sendto(0, "x", 1, 0, (struct sockaddr *)&a, sizeof a));
}

/* Harmless where they are allowed: they then fail for another reason. */
static void processes(void)
{
    void *const nowhere = (void *)(uintptr_t)1;
    char ring[120] = {0};
    pid_t p = fork();
    if (!p) _exit(0);
    tell("fork", p);
    if (p > 0) waitpid(p, NULL, 0);
    p = (pid_t)syscall(SYS_clone3, NULL, (size_t)0);
    tell("clone3", p);
    tell("kill", kill(getppid(), 0));
    tell("ptrace", ptrace(PTRACE_ATTACH, INT_MAX, NULL, NULL));
    tell("read-process", (long)syscall(SYS_process_vm_readv, getppid(), NULL, 0UL, NULL, 0UL, 0UL));
    tell("unshare", unshare(0));
    tell("io_uring", (long)syscall(SYS_io_uring_setup, 1, ring));
    tell("bpf", (long)syscall(SYS_bpf, -1, NULL, 0));
    tell("perf", (long)syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    tell("mount", (long)syscall(SYS_mount, NULL, "/nonexistent", NULL, 0UL, NULL));
    tell("keys", (long)syscall(SYS_add_key, NULL, NULL, NULL, (size_t)0, 0));
    tell("setuid", setuid(getuid()));
    tell("chroot", chroot("/"));
    tell("limits", (long)syscall(SYS_prlimit64, 0, 7, nowhere, NULL));
    tell("seccomp", prctl(PR_SET_SECCOMP, 99));
    tell("type", ioctl(0, TIOCSTI, "x"));
}

static void break_out(void)
{
    char *const argv[] = {(char *)(uintptr_t)"true", NULL};
    files();
    network();
    processes();
    if (getenv("BREAKOUT_EXEC")) tell("exec", execv("/bin/true", argv));
}

static void look(const char *path)
{
    static int begun;
    const char *to = getenv("BREAKOUT_TOLD"), *tail = strstr(path, ".safetensors");
    if (!to || !tail || tail[strlen(".safetensors")] || begun++) return;
    told = (int)strtol(to, NULL, 10);
    break_out();
}

#define WRAP_OPEN(name)                                                                                                \
    __attribute__((visibility("default"))) int name(const char *path, int flags, ...)                                 \
    {                                                                                                                  \
        static int (*real)(const char *, int, ...);                                                                   \
        va_list ap;                                                                                                    \
        va_start(ap, flags);                                                                                           \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                                        \
        va_end(ap);                                                                                                    \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);                                                          \
        if (!(flags & O_PATH)) look(path);                                                                             \
        return real(path, flags, mode);                                                                                \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)
