/* sandbox_rules: a program of the build (never of pith): writes a filter of sandbox.c, as the instructions that libseccomp makes of
 * the rules below, for the machine that pith is built for. So libseccomp is their author, and costs no start of pith
 * anything: 0.36 ms it took there.
 * usage: sandbox_rules ARCHITECTURE serve|verb [read]    read: in libseccomp's words, for people */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { XCOMP_FIRST = 0x1021, XCOMP_LAST = 0x1023 }; /* ARCH_GET_XCOMP_SUPP, ARCH_GET_XCOMP_PERM, ARCH_REQ_XCOMP_PERM */

/* Whatever their arguments are. What every program does that computes: */
static const int computing[] = {
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(fstat),
    SCMP_SYS(lseek), SCMP_SYS(poll), SCMP_SYS(ppoll),
    /* memory */
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    /* threads */
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(getcpu), SCMP_SYS(gettid),
    SCMP_SYS(getpid), SCMP_SYS(membarrier),
    /* signals and the end */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* time, randomness, and what the C library asks of the system */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
};

/* connections */
static const int serving[] = {
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
    SCMP_SYS(shutdown), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
};

/* Files, a terminal, and libraries that are loaded when they are first needed. Landlock says which files can be opened; chmod,
 * chown and the like, which it does not know, are missing here. */
static const int filing[] = {
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(creat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(pread64), SCMP_SYS(preadv),
    SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(readahead), SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(truncate),
    SCMP_SYS(ftruncate), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(syncfs), SCMP_SYS(sync_file_range), SCMP_SYS(flock),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(unlink),
    SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(fchmod), SCMP_SYS(umask),
    SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(pause), SCMP_SYS(mmap), SCMP_SYS(mprotect),
    SCMP_SYS(msync), SCMP_SYS(mincore), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(get_mempolicy),
    SCMP_SYS(set_mempolicy), SCMP_SYS(mbind), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getppid), SCMP_SYS(getpgrp), SCMP_SYS(getpgid), SCMP_SYS(uname), SCMP_SYS(times), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
};

/* What is only known when pith runs: a number that stands for it here, and what sandbox.c calls it. */
enum { PID = 0x50697468, PATH_HIGH = 0x50617468, PATH_LOW = 0x4e616d65 };
static const struct {
    uint32_t stand_in;
    const char *name;
} at_run_time[] = {{PID, "OWN_PID"}, {PATH_HIGH, "UNLINK_PATH_HIGH"}, {PATH_LOW, "UNLINK_PATH_LOW"}};

/* A filter that is being made; rc: the first error. What no rule names fails with EPERM. */
typedef struct filter {
    scmp_filter_ctx rules;
    uint32_t arch;
    int rc;
} filter;

typedef struct scmp_arg_cmp condition;
static condition masked(int arg, uint64_t mask, uint64_t v) { return (condition){(unsigned)arg, SCMP_CMP_MASKED_EQ, mask, v}; }
/* Of a pointer all bits count, of an int the kernel looks at 32. */
static condition same(int arg, uint64_t pointer) { return masked(arg, UINT64_MAX, pointer); }
static condition equal(int arg, uint32_t v) { return masked(arg, UINT32_MAX, v); }

/* Has that machine such a call? libseccomp takes the numbers of this one, and finds its own there. */
static int known(const filter *f, int call)
{
    char *name = seccomp_syscall_resolve_num_arch(seccomp_arch_native(), call);
    int there = name && seccomp_syscall_resolve_name_arch(f->arch, name) >= 0;
    free(name);
    return there;
}

static void rule(filter *f, uint32_t action, int call, unsigned n, const condition *c)
{
    if (!f->rc && known(f, call)) f->rc = seccomp_rule_add_array(f->rules, action, call, n, c);
}
static void answer(filter *f, uint32_t action, int call) { rule(f, action, call, 0, NULL); }
static void allow_if(filter *f, int call, condition c) { rule(f, SCMP_ACT_ALLOW, call, 1, &c); }
static void allow_each(filter *f, const int *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) answer(f, SCMP_ACT_ALLOW, calls[i]);
}
#define ALLOW_EACH(f, calls) allow_each(f, calls, sizeof(calls) / sizeof *(calls))

/* Threads, no processes: the arguments of clone3 cannot be looked at, so the C library shall use clone. Signals only to
 * itself. Another program would be the end of this one. */
static void compute_rules(filter *f)
{
    const uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    ALLOW_EACH(f, computing);
    allow_if(f, SCMP_SYS(clone), masked(0, thread, thread));
    answer(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    allow_if(f, SCMP_SYS(tgkill), equal(0, PID));
    allow_if(f, SCMP_SYS(prctl), equal(0, PR_SET_NAME));
    allow_if(f, SCMP_SYS(prlimit64), same(2, 0)); /* asking only */
    answer(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execve));
    answer(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execveat));
}

static void serve_rules(filter *f)
{
    const uint64_t unlink_path = (uint64_t)PATH_HIGH << 32 | PATH_LOW;
    ALLOW_EACH(f, serving);
    /* memory that is never code */
    allow_if(f, SCMP_SYS(mmap), masked(2, PROT_EXEC, 0));
    allow_if(f, SCMP_SYS(mprotect), masked(2, PROT_EXEC, 0));
    /* about an open file */
    allow_if(f, SCMP_SYS(newfstatat), equal(3, AT_EMPTY_PATH));
    allow_if(f, SCMP_SYS(ioctl), equal(1, TCGETS));
    allow_if(f, SCMP_SYS(unlink), same(0, unlink_path));
    allow_if(f, SCMP_SYS(unlinkat), same(1, unlink_path));
}

/* Of a terminal: its settings and size, but not TIOCSTI, which types into it. Of the processor: AMX's registers. */
static void verb_rules(filter *f)
{
    static const unsigned asked[] = {TCGETS, TCSETS, TCSETSW, TCSETSF, TCFLSH, TIOCGWINSZ, TIOCGPGRP, TIOCOUTQ, FIONREAD};
    ALLOW_EACH(f, filing);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) allow_if(f, SCMP_SYS(ioctl), equal(1, asked[i]));
    allow_if(f, SCMP_SYS(kill), equal(0, PID));
    for (uint32_t i = XCOMP_FIRST; i <= XCOMP_LAST; i++) allow_if(f, SCMP_SYS(arch_prctl), equal(0, i));
}

/* The kernel's struct sock_filter. */
typedef struct instruction {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
} instruction;

/* One a line, as an initializer. */
static int print(FILE *program)
{
    instruction x;
    rewind(program);
    while (fread(&x, sizeof x, 1, program) == 1) {
        char k[16];
        snprintf(k, sizeof k, "%#x", x.k);
        const char *name = k;
        for (size_t i = 0; i < sizeof at_run_time / sizeof *at_run_time; i++)
            if (x.k == at_run_time[i].stand_in) name = at_run_time[i].name;
        printf("{%#x, %u, %u, %s},\n", x.code, x.jt, x.jf, name);
    }
    return ferror(program) || fflush(stdout);
}

static int make(filter *f, const char *arch, int serves)
{
    f->arch = seccomp_arch_resolve_name(strcmp(arch, "powerpc64le") ? arch : "ppc64le");
    f->rules = f->arch ? seccomp_init(SCMP_ACT_ERRNO(EPERM)) : NULL;
    if (!f->rules) return -1;
    if (f->arch != seccomp_arch_native() && (seccomp_arch_add(f->rules, f->arch) || seccomp_arch_remove(f->rules, SCMP_ARCH_NATIVE))) return -1;
    f->rc = seccomp_attr_set(f->rules, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    compute_rules(f);
    (serves ? serve_rules : verb_rules)(f);
    return f->rc;
}

int main(int argc, char **argv)
{
    filter f = {0};
    FILE *program = tmpfile();
    if (argc < 3 || !program || make(&f, argv[1], !strcmp(argv[2], "serve")) || seccomp_export_bpf(f.rules, fileno(program)) ||
        (argc > 3 ? seccomp_export_pfc(f.rules, 1) : print(program))) {
        fprintf(stderr, "sandbox_rules: libseccomp makes no filter for '%s'; make SECCOMP=0 builds without\n", argc > 1 ? argv[1] : "");
        return 1;
    }
    return 0;
}
