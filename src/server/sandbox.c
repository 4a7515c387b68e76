#define _GNU_SOURCE
#include "server/sandbox.h"
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

/* Whatever their arguments are. */
static const int allowed[] = {
    /* connections */
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
    SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(shutdown), SCMP_SYS(close),
    SCMP_SYS(getsockopt), SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(fcntl),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(fstat),
    SCMP_SYS(lseek),
    /* memory */
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk),
    /* threads */
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity), SCMP_SYS(getcpu), SCMP_SYS(gettid),
    SCMP_SYS(getpid), SCMP_SYS(tgkill), SCMP_SYS(membarrier),
    /* signals and the end */
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* time, randomness, and what the C library asks of the system */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
};

/* A call that this machine does not have needs no rule. */
static int done(int rc) { return rc == -EDOM || rc == -EOPNOTSUPP ? 0 : rc; }

static int add_allowed(scmp_filter_ctx f)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof allowed / sizeof *allowed; i++) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0));
    return rc;
}

static int add_conditional(scmp_filter_ctx f, const char *unlink_path)
{
    const scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    int rc = 0;
    /* memory that is never code */
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
    /* threads, no processes; the arguments of clone3 cannot be looked at, so the C library shall use clone */
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread)));
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0));
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)));
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0))); /* asking only */
    /* of an open file */
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH)));
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TCGETS)));
    if (!rc && unlink_path) {
        const scmp_datum_t at = (scmp_datum_t)(uintptr_t)unlink_path;
        rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(unlink), 1, SCMP_A0(SCMP_CMP_EQ, at)));
        if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(unlinkat), 2, SCMP_A1(SCMP_CMP_EQ, at), SCMP_A2(SCMP_CMP_EQ, 0)));
    }
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execve), 0));
    if (!rc) rc = done(seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execveat), 0));
    return rc;
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

int sandbox_enter(const char *unlink_path, pith_err *e)
{
    open_ahead();
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!f) return err_set(e, "seccomp cannot be used on this machine");
    int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    if (!rc) rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!rc) rc = add_allowed(f);
    if (!rc) rc = add_conditional(f, unlink_path);
    if (!rc) rc = seccomp_load(f);
    seccomp_release(f);
    return rc ? err_set(e, "the kernel refuses the seccomp filter: %s", strerror(-rc)) : 0;
}
