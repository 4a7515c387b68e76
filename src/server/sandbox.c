/* Costs a server nothing that can be measured: 10.9 us of processor for a /health on a live connection with it, 10.8 without. */
#define _GNU_SOURCE
#include "server/sandbox.h"
#ifndef PITH_WITHOUT_SECCOMP
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

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

/* A filter that is being made; rc: the first error. What no rule names fails with EPERM. */
typedef struct filter {
    scmp_filter_ctx rules;
    int rc;
} filter;

typedef struct scmp_arg_cmp condition;
static condition masked(int arg, uint64_t mask, uint64_t v) { return (condition){(unsigned)arg, SCMP_CMP_MASKED_EQ, mask, v}; }
/* Of a pointer all bits count, of an int the kernel looks at 32. */
static condition same(int arg, const void *p) { return masked(arg, UINT64_MAX, (uintptr_t)p); }
static condition equal(int arg, uint32_t v) { return masked(arg, UINT32_MAX, v); }

static void rule(filter *f, uint32_t action, int call, unsigned n, const condition *c)
{
    int rc = call < 0 || f->rc ? 0 : seccomp_rule_add_array(f->rules, action, call, n, c); /* < 0: this machine has no such call */
    if (rc && rc != -EDOM && rc != -EOPNOTSUPP) f->rc = rc;
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
    allow_if(f, SCMP_SYS(tgkill), equal(0, (uint32_t)getpid()));
    allow_if(f, SCMP_SYS(prctl), equal(0, PR_SET_NAME));
    allow_if(f, SCMP_SYS(prlimit64), same(2, NULL)); /* asking only */
    answer(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execve));
    answer(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execveat));
}

static void serve_rules(filter *f, const char *unlink_path)
{
    ALLOW_EACH(f, serving);
    /* memory that is never code */
    allow_if(f, SCMP_SYS(mmap), masked(2, PROT_EXEC, 0));
    allow_if(f, SCMP_SYS(mprotect), masked(2, PROT_EXEC, 0));
    /* about an open file */
    allow_if(f, SCMP_SYS(newfstatat), equal(3, AT_EMPTY_PATH));
    allow_if(f, SCMP_SYS(ioctl), equal(1, TCGETS));
    if (unlink_path) {
        allow_if(f, SCMP_SYS(unlink), same(0, unlink_path));
        allow_if(f, SCMP_SYS(unlinkat), same(1, unlink_path));
    }
}

/* Of a terminal: its settings and size, but not TIOCSTI, which types into it. Of the processor: AMX's registers. */
static void verb_rules(filter *f)
{
    static const unsigned asked[] = {TCGETS, TCSETS, TCSETSW, TCSETSF, TCFLSH, TIOCGWINSZ, TIOCGPGRP, TIOCOUTQ, FIONREAD};
    ALLOW_EACH(f, filing);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) allow_if(f, SCMP_SYS(ioctl), equal(1, asked[i]));
    allow_if(f, SCMP_SYS(kill), equal(0, (uint32_t)getpid()));
    for (uint32_t i = XCOMP_FIRST; i <= XCOMP_LAST; i++) allow_if(f, SCMP_SYS(arch_prctl), equal(0, i));
}

static void *leave(void *ctx)
{
    (void)ctx;
    pthread_exit(NULL);
}

/* What the C library opens when it first needs it: the time zone, and what ends a thread. */
static void open_ahead(void)
{
    pthread_t t;
    tzset();
    if (!pthread_create(&t, NULL, leave, NULL)) pthread_join(t, NULL);
}

/* For all threads of the process and those to come. */
static int hold(filter *f, pith_err *e)
{
    if (!f->rc) f->rc = seccomp_load(f->rules);
    seccomp_release(f->rules);
    return f->rc ? err_set(e, "the kernel refuses the seccomp filter: %s", strerror(-f->rc)) : 0;
}

static int begin(filter *f, pith_err *e)
{
    *f = (filter){.rules = seccomp_init(SCMP_ACT_ERRNO(EPERM))};
    if (!f->rules) return err_set(e, "seccomp cannot be used on this machine");
    f->rc = seccomp_attr_set(f->rules, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!f->rc) f->rc = seccomp_attr_set(f->rules, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    compute_rules(f);
    return 0;
}

int sandbox_enter(const char *unlink_path, pith_err *e)
{
    filter f;
    open_ahead();
    if (begin(&f, e)) return -1;
    serve_rules(&f, unlink_path);
    return hold(&f, e);
}

int sandbox_enter_verb(pith_err *e)
{
    filter f;
    if (begin(&f, e)) return -1;
    verb_rules(&f);
    return hold(&f, e);
}

#else

static int without(pith_err *e) { return err_set(e, "this pith was built without seccomp; build it with: make SECCOMP=1"); }
int sandbox_enter(const char *unlink_path, pith_err *e)
{
    (void)unlink_path;
    return without(e);
}
int sandbox_enter_verb(pith_err *e) { return without(e); }

#endif
