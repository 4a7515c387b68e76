#define _POSIX_C_SOURCE 200809L
#include "cli/guard.h"
#include "cli/cli.h"
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static volatile guard_finder mapped_by;
static const void *volatile mapped_ctx;
static const char *volatile temp_path;
static volatile int append_fd = -1;
static volatile off_t append_complete;
static volatile sig_atomic_t catching, interrupted;
static volatile int *volatile counted;

static void put(const char *s)
{
    size_t n = strlen(s);
    while (n) {
        ssize_t k = write(STDERR_FILENO, s, n);
        if (k <= 0) return;
        s += k;
        n -= (size_t)k;
    }
}

/* Nothing half-written stays behind. Only async-signal-safe calls. */
static void tidy(void)
{
    if (temp_path) unlink(temp_path);
    if (append_fd >= 0 && ftruncate(append_fd, append_complete)) put("pith: the output may end in half a row\n");
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    (void)context;
    const char *file = mapped_by ? mapped_by(mapped_ctx, info->si_addr) : NULL;
    if (!file) { /* not ours: die as if there were no handler */
        signal(sig, SIG_DFL);
        return;
    }
    /* Of threads that compute together several come by. One speaks, and ends them all. */
    while (atomic_flag_test_and_set(&told)) poll(NULL, 0, -1);
    put("pith: ");
    put(file);
    put(": the file changed or shrank while it was mapped (a download still running, or replaced in place?); "
        "try again when it is complete, or use --no-mmap\n");
    tidy();
    _exit(CLI_FAILED);
}

static void on_end(int sig)
{
    if (counted && *counted < 2) {
        ++*counted;
        return;
    }
    if (sig == SIGINT && catching && !interrupted) {
        interrupted = 1;
        return;
    }
    tidy();
    if (isatty(STDERR_FILENO)) put("\n");
    _exit(128 + sig);
}

static void handle(int sig, const struct sigaction *a)
{
    struct sigaction old;
    /* What the caller ignores (nohup, background jobs) stays ignored. */
    if (sig != SIGBUS && sigaction(sig, NULL, &old) == 0 && old.sa_handler == SIG_IGN) return;
    sigaction(sig, a, NULL);
}

void guard_install(void)
{
    struct sigaction bus = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, end = {.sa_handler = on_end};
    sigemptyset(&bus.sa_mask);
    sigfillset(&end.sa_mask);
    handle(SIGBUS, &bus);
    handle(SIGINT, &end);
    handle(SIGTERM, &end);
    handle(SIGHUP, &end);
    /* `pith ... | head` ends quietly even under a parent that ignores SIGPIPE. */
    signal(SIGPIPE, SIG_DFL);
    /* A file over the limit (ulimit -f) is an error to be told, like a full disk. */
    signal(SIGXFSZ, SIG_IGN);
}

void guard_mapped(guard_finder at, const void *ctx)
{
    mapped_by = NULL; /* a finder never meets another's ctx */
    mapped_ctx = ctx;
    mapped_by = at;
}

const char *guard_path(const void *path, const void *addr)
{
    (void)addr;
    return path;
}

const char *guard_model(const void *model, const void *addr) { return pith_model_mapped_at(model, addr); }

const char *guard_weights(const void *weights, const void *addr) { return pith_weights_mapped_at(weights, addr); }

void guard_temp(const char *path) { temp_path = path; }

void guard_append(int fd, off_t complete)
{
    append_complete = complete;
    append_fd = fd;
}

void guard_catch(int how)
{
    struct sigaction a;
    if (sigaction(SIGINT, NULL, &a) == 0 && a.sa_handler == on_end) {
        a.sa_flags = how == GUARD_CATCH ? SA_RESTART : 0;
        sigaction(SIGINT, &a, NULL);
    }
    interrupted = 0;
    catching = how != GUARD_END;
}

void guard_count(volatile int *n) { counted = n; }

int guard_interrupted(void) { return interrupted; }

int guard_unwanted(void *unused)
{
    (void)unused;
    return interrupted;
}
