/* The runs of a tortured command (torture.h): main is run in a forked child for n = 1, 2, ..., with the n-th call failing,
 * until no call is left that could. A run must
 *   - end by itself, with 0 or 1;
 *   - with 0: have said on stdout what the run without faults says, and have made the same files;
 *   - with 1: say why in one line on stderr, which begins with the program's name, and leave the files as they were before
 *     or as they should become, with nothing beside them;
 *   - leave no block, mapping or descriptor that the run without faults does not leave.
 * Environment:
 *   TORTURE=KINDS    which calls: memory map open read write thread (words), or all
 *   TORTURE_ON=1     the n-th and all after it fail
 *   TORTURE_FIRST=N  after the first N calls (default: all) only each
 *   TORTURE_STRIDE=K K-th
 *   TORTURE_N=N      only this one
 *   TORTURE_DIR=D    a folder of its own that the command writes into; TORTURE_OLD: a copy of what it was before
 *   TORTURE_IN=FILE  stdin
 *   TORTURE_NAME=P   what messages begin with (pith)
 *   TORTURE_TELLS=1  a run that fails may say so on stdout (reports)
 *   TORTURE_ANY_OUT=1 stdout tells times and is not compared
 *   TORTURE_POST=".." the command is a server on the unix socket s in TORTURE_DIR; a request a line: path, space, body. An
 *                    answer is the one without faults, or an error, or none; once only one call failed the next request
 *                    is answered in full, and SIGTERM ends it with 0
 * It prints what went wrong, and a line of figures. */
#include "torture.h"
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct text {
    char *s;
    size_t n;
} text;

/* A run and what came of it. */
typedef struct outcome {
    int status; /* of waitpid */
    text out, err;
    text replies, last; /* of the first round of requests, and of one after the fault */
    int answered;
    uint64_t files;
    int debris;
    torture_state left;
} outcome;

static int (*program)(int, char **, char **);
static int prog_argc;
static char **prog_argv, **prog_envp;
static const char *dir, *old, *posts, *name = "pith";
static int out_fd, err_fd, in_fd, tells, any_out;
static uint64_t old_files;
static int n_problems;

static const char *word(const char *key) { return getenv(key) && *getenv(key) ? getenv(key) : NULL; }

/* ---- files ---- */

static int is_debris(const char *s)
{
    const char *mark = *s == '.' ? strstr(s, ".pith-") : NULL;
    return mark && strlen(mark) > 6;
}

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)data)[i]) * 0x100000001b3;
    return h;
}

/* A number for all names and contents below a folder, in any order; what pith puts beside its targets is only counted. */
static uint64_t digest(const char *path, int *debris)
{
    uint64_t sum = 0;
    DIR *d = opendir(path);
    for (struct dirent *x; d && (x = readdir(d));) {
        char below[1024], data[65536];
        struct stat st;
        snprintf(below, sizeof below, "%s/%s", path, x->d_name);
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..") || lstat(below, &st)) continue;
        if (is_debris(x->d_name)) {
            ++*debris;
            continue;
        }
        if (S_ISSOCK(st.st_mode)) continue;
        uint64_t h = mix(0xcbf29ce484222325, x->d_name, strlen(x->d_name));
        if (S_ISDIR(st.st_mode)) {
            h += 7 * digest(below, debris);
        } else {
            int fd = open(below, O_RDONLY);
            for (ssize_t n; (n = read(fd, data, sizeof data)) > 0;) h = mix(h, data, (size_t)n);
            close(fd);
        }
        sum += h * 0x9e3779b97f4a7c15ull;
    }
    if (d) closedir(d);
    return sum;
}

static void reset_files(void)
{
    char command[2200];
    int debris = 0;
    if (posts) { /* a server that died leaves its socket */
        snprintf(command, sizeof command, "%s/s", dir);
        unlink(command);
    }
    if (!dir || (digest(dir, &debris) == old_files && !debris)) return;
    if (old) snprintf(command, sizeof command, "rm -rf '%s' && cp -rp '%s' '%s'", dir, old, dir);
    else snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", dir, dir);
    if (system(command)) fprintf(stderr, "torture: cannot run: %s\n", command), exit(99);
}

static text slurp(int fd)
{
    struct stat st = {0};
    fstat(fd, &st);
    text t = {malloc((size_t)st.st_size + 1), (size_t)st.st_size};
    if (pread(fd, t.s, t.n, 0) != (ssize_t)t.n) t.n = 0;
    t.s[t.n] = 0;
    return t;
}
static int same(text a, text b) { return a.n == b.n && !memcmp(a.s, b.s, a.n); }

/* ---- a run ---- */

static void child(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    lseek(in_fd, 0, SEEK_SET);
    dup2(in_fd, 0), dup2(out_fd, 1), dup2(err_fd, 2);
    close(in_fd), close(out_fd), close(err_fd);
    alarm(60); /* who hangs dies by a signal */
    torture->armed = 1;
    int status = program(prog_argc, prog_argv, prog_envp);
    torture_count_live();
    exit(status);
}

static void pause_ms(int ms) { nanosleep(&(struct timespec){0, ms * 1000000L}, NULL); }

/* One request; its status and body behind each other, or nothing. */
static void ask(const char *line, size_t len, char *reply, size_t cap)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char request[8192], got[65536];
    size_t path = strcspn(line, " "), n = 0;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%.90s/s", dir);
    *reply = 0;
    int k = snprintf(request, sizeof request, "POST %.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
                     (int)path, line, len - path - 1, (int)(len - path - 1), line + path + 1);
    if (!connect(fd, (void *)&to, sizeof to) && send(fd, request, (size_t)k, MSG_NOSIGNAL) == k) {
        struct pollfd p = {fd, POLLIN, 0};
        const char *body = NULL, *length;
        for (ssize_t r; n < sizeof got - 1 && poll(&p, 1, torture->on ? 1000 : 20000) == 1 && (r = read(fd, got + n, sizeof got - 1 - n)) > 0;) {
            n += (size_t)r;
            got[n] = 0; /* the server may keep the connection for a while after its answer */
            body = strstr(got, "\r\n\r\n"), length = strstr(got, "Content-Length: ");
            if (body && length && strlen(body + 4) >= (size_t)atol(length + 16)) break;
        }
        if (body && !strncmp(got, "HTTP/1.1 ", 9)) snprintf(reply, cap, "%.3s %s\n", got + 9, body + 4);
    }
    close(fd);
}

static text ask_all(void)
{
    text t = {calloc(1, 1 << 18), 0};
    for (const char *p = posts; *p;) {
        size_t len = strcspn(p, "\n");
        ask(p, len, t.s + t.n, 65536);
        t.n += strlen(t.s + t.n);
        t.s[t.n++] = '\f';
        p += len + (p[len] == '\n');
    }
    return t;
}

/* Until it is ready (asks, and ends it) or dead. */
static void serve(pid_t pid, outcome *o)
{
    for (int ready = 0; waitpid(pid, &o->status, WNOHANG) != pid; pause_ms(1)) {
        if (ready) continue;
        text log = slurp(err_fd);
        ready = strstr(log.s, ": ready\n") != NULL;
        free(log.s);
        if (!ready) continue;
        o->answered = 1;
        o->replies = ask_all(), o->last = ask_all();
        if (!same(o->replies, o->last)) { /* the fault may have been in either */
            free(o->last.s);
            o->last = ask_all();
        }
        kill(pid, SIGTERM);
    }
}

static void run_once(long at, int on, outcome *o)
{
    unsigned kinds = torture->kinds;
    *o = (outcome){0};
    reset_files();
    if (ftruncate(out_fd, 0) || ftruncate(err_fd, 0)) exit(99);
    lseek(out_fd, 0, SEEK_SET), lseek(err_fd, 0, SEEK_SET);
    *torture = (torture_state){.kinds = kinds, .at = at, .on = on};
    pid_t pid = fork();
    if (pid == 0) child();
    if (posts) serve(pid, o);
    else waitpid(pid, &o->status, 0);
    o->left = *torture;
    o->out = slurp(out_fd), o->err = slurp(err_fd);
    if (dir) o->files = digest(dir, &o->debris);
}
static void outcome_free(outcome *o) { free(o->out.s), free(o->err.s), free(o->replies.s), free(o->last.s); }

/* ---- what is right ---- */

static void problem(const outcome *o, const char *what)
{
    char where[64];
    if (n_problems++ >= 20) return;
    printf("# call %ld, %s: %s; status %#x", torture->at, *o->left.name ? o->left.name : "none failed", what, (unsigned)o->status);
    if (o->err.n) printf("; stderr: %.*s", (int)(o->err.n > 300 ? 300 : o->err.n - 1), o->err.s + (o->err.n > 301 ? o->err.n - 301 : 0));
    printf("\n#    ");
    for (int i = 2; i < o->left.n_frames && i < 10; i++) printf(" %s", torture_where(o->left.frames[i], where, sizeof where));
    printf("\n");
    fflush(stdout); /* or the next run writes it too */
}

/* Every line begins with the program's name (or is one of the access log); so many lines at most. */
static int lines_ok(text err, int max)
{
    int n = 0;
    for (const char *p = err.s; *p; n++) {
        size_t len = strcspn(p, "\n");
        if (p[len] != '\n' || (strncmp(p, name, strlen(name)) && !(posts && *p == '{'))) return 0;
        p += len + 1;
    }
    return n <= max;
}

/* Each reply is the one that is right, an error, or none. */
static int replies_ok(text is, text right)
{
    const char *a = is.s, *b = right.s;
    while (a < is.s + is.n && b < right.s + right.n) {
        size_t n = strcspn(a, "\f"), m = strcspn(b, "\f");
        if (n && !(n == m && !memcmp(a, b, n)) && !(*a == '4' || *a == '5')) return 0;
        a += n + 1, b += m + 1;
    }
    return 1;
}

static void leaks(const outcome *o, const outcome *good)
{
    char line[700], where[64];
    int n = 0;
    if (!o->left.ended) return;
    if (o->left.live > good->left.live) {
        n = snprintf(line, sizeof line, "%ld blocks are lost:", o->left.live - good->left.live);
        for (int i = 0; i < TORTURE_LEAKS && o->left.leaks[i]; i++)
            n += snprintf(line + n, sizeof line - (size_t)n, " %s", torture_where(o->left.leaks[i], where, sizeof where));
        problem(o, line);
    }
    if (o->left.maps > good->left.maps) problem(o, "a mapping is lost");
    if (o->left.fds > good->left.fds) problem(o, "a descriptor is lost");
}

static void judge(const outcome *o, const outcome *good)
{
    int exited = WIFEXITED(o->status), status = WEXITSTATUS(o->status);
    if (!exited || status > 1) {
        problem(o, exited ? "an odd exit status" : "a signal");
        return;
    }
    if (!posts) leaks(o, good); /* a server's threads end as they are; server.bats looks at its memory */
    if (posts) {
        if (o->answered && !(replies_ok(o->replies, good->replies) && replies_ok(o->last, good->replies))) problem(o, o->replies.s);
        if (!torture->on && o->answered && !same(o->last, good->replies)) problem(o, "it does not answer as before after a fault");
        int told = o->err.n && strstr(o->err.s, "stdout: cannot write"); /* the very last call: nothing was to be written, but who knows */
        if (!torture->on && o->answered && status && !told) problem(o, "it does not end with 0");
        if (!lines_ok(o->err, 1000) || (!o->answered && !o->err.n)) problem(o, "not a message on stderr");
        return;
    }
    if (status == 0 && !any_out && !same(o->out, good->out)) problem(o, "another output, and status 0");
    if (status == 0 && o->files != good->files) problem(o, "other files, and status 0");
    if (status == 0 && !lines_ok(o->err, 1000)) problem(o, "odd lines on stderr");
    if (status == 1 && !(o->err.n && lines_ok(o->err, 1)) && !(tells && o->out.n && !o->err.n)) problem(o, "not one line on stderr");
    if (status == 1 && dir && o->files != good->files && o->files != old_files) problem(o, "files neither old nor new");
    /* What took the place of the target is removed last; if that fails, the next run does it. */
    if (o->debris && !torture->on && o->files != good->files) problem(o, "something is left beside the target");
}

/* ---- all runs ---- */

static unsigned kinds_of(const char *s)
{
    static const char *const NAMES[TORTURE_KINDS] = {"memory", "map", "open", "read", "write", "thread"};
    unsigned kinds = 0;
    for (; *s; s += strcspn(s, " "), s += strspn(s, " "))
        for (int i = 0; i < TORTURE_KINDS; i++) {
            size_t len = strcspn(s, " ");
            if ((len == strlen(NAMES[i]) && !memcmp(s, NAMES[i], len)) || (len == 3 && !memcmp(s, "all", 3))) kinds |= 1u << i;
        }
    return kinds;
}

static int prepare(const char *kinds)
{
    void *frames[2];
    backtrace(frames, 2); /* loads what it needs now */
    torture = mmap(NULL, sizeof *torture, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (torture == MAP_FAILED) return -1;
    torture_modules();
    torture->kinds = kinds_of(kinds);
    dir = word("TORTURE_DIR"), old = word("TORTURE_OLD"), posts = word("TORTURE_POST");
    tells = word("TORTURE_TELLS") != NULL, any_out = word("TORTURE_ANY_OUT") != NULL;
    if (word("TORTURE_NAME")) name = word("TORTURE_NAME");
    out_fd = memfd_create("out", MFD_CLOEXEC), err_fd = memfd_create("err", MFD_CLOEXEC);
    in_fd = open(word("TORTURE_IN") ? word("TORTURE_IN") : "/dev/null", O_RDONLY);
    unsetenv("LD_PRELOAD");
    if (dir) old_files = digest(old ? old : dir, &(int){0});
    return torture->kinds && out_fd >= 0 && err_fd >= 0 && in_fd >= 0 ? 0 : -1;
}

/* What it does without faults, and who keeps blocks to the end. */
static int untouched(outcome *good)
{
    for (int i = 0; i < 64; i++) {
        run_once(0, 0, good);
        if (good->status || (posts && !(good->answered && same(good->replies, good->last)))) {
            problem(good, "without faults it fails");
            return -1;
        }
        if (!good->left.live) return 0;
        torture_known();
        if (word("TORTURE_SHOW"))
            for (int k = 0; k < TORTURE_LEAKS && good->left.leaks[k]; k++) {
                char where[64];
                printf("# kept to the end: %s\n", torture_where(good->left.leaks[k], where, sizeof where));
                fflush(stdout);
            }
        outcome_free(good);
    }
    printf("# it loses too many blocks without faults\n");
    return -1;
}

int torture_runs(int (*run)(int, char **, char **), int argc, char **argv, char **envp)
{
    const char *kinds = word("TORTURE");
    if (!kinds) return -1;
    program = run, prog_argc = argc, prog_argv = argv, prog_envp = envp;
    if (prepare(kinds)) {
        fprintf(stderr, "torture: cannot begin\n");
        return 99;
    }
    outcome good, o;
    if (untouched(&good)) return 1;
    long first = word("TORTURE_FIRST") ? atol(word("TORTURE_FIRST")) : 1L << 40;
    long stride = word("TORTURE_STRIDE") ? atol(word("TORTURE_STRIDE")) : 1, only = word("TORTURE_N") ? atol(word("TORTURE_N")) : 0;
    long runs = 0, failed = 0, calls = good.left.calls;
    for (long n = only ? only : 1;; n += n < first ? 1 : stride) {
        run_once(n, word("TORTURE_ON") != NULL, &o);
        int fired = *o.left.name != 0;
        if (fired) runs++, failed += o.status != 0;
        judge(&o, &good);
        outcome_free(&o);
        if (!fired || only) break;
    }
    reset_files();
    printf("# %s%s: %ld calls, %ld runs with a fault, %ld of them failed, %d problems\n", kinds, word("TORTURE_ON") ? " from there on" : "",
           calls, runs, failed, n_problems);
    return n_problems || (!runs && !only);
}
