#define _XOPEN_SOURCE 700
#include "cli/output.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/guard.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int broken(const output *o, const char *what, pith_err *e)
{
    return err_set(e, "%.700s: cannot %s: %s", o->name, what, strerror(errno));
}

/* A new file beside the old one, with the old one's mode or the one a new file would get. */
static int open_temp(output *o, const struct stat *old, pith_err *e)
{
    size_t n = strlen(o->path) + 16;
    o->temp = malloc(n);
    if (!o->temp) return err_nomem(e, n, "a path");
    snprintf(o->temp, n, "%s.tmp-XXXXXX", o->path);
    int fd = mkstemp(o->temp);
    if (fd < 0) {
        free(o->temp);
        o->temp = NULL;
        return broken(o, "write here", e);
    }
    guard_temp(o->temp);
    mode_t mask = umask(0);
    umask(mask);
    o->f = fdopen(fd, "w");
    if (!o->f || fchmod(fd, old ? old->st_mode & 07777 : 0666 & ~mask)) {
        if (!o->f) close(fd);
        return broken(o, "write here", e);
    }
    return 0;
}

int output_open(output *o, const char *path, int append, pith_err *e)
{
    *o = (output){.name = path};
    if (!path || strcmp(path, "-") == 0) {
        o->name = "stdout";
        o->f = stdout;
        if (append) return err_set(e, "--resume needs a file to go on with: --output FILE");
        return 0;
    }
    struct stat st;
    int there = stat(path, &st) == 0;
    if (there && S_ISDIR(st.st_mode)) return err_set(e, "%.700s: is a directory, expected a file to write", path);
    /* A link stays one: what it points to is replaced. */
    o->path = there ? realpath(path, NULL) : strdup(path);
    if (!o->path) return err_nomem(e, strlen(path), "a path");
    if (append) {
        int fd = open(o->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (fd >= 0) o->f = fdopen(fd, "r+");
        if (!o->f) return broken(o, "open", e);
        struct stat now; /* what is there is not ours to cut until it is known to be complete rows */
        o->append = 1;
        o->complete = fstat(fd, &now) ? 0 : now.st_size;
        return 0;
    }
    if (!there || S_ISREG(st.st_mode)) return open_temp(o, there ? &st : NULL, e);
    o->f = fopen(path, "w");
    return o->f ? 0 : broken(o, "open", e);
}

int output_commit(output *o, pith_err *e)
{
    if (fflush(o->f) || ferror(o->f)) return broken(o, "write", e);
    if (o->append) guard_append(fileno(o->f), o->complete = ftello(o->f));
    return 0;
}

int output_cut(output *o, off_t end, pith_err *e)
{
    if (fflush(o->f) || fseeko(o->f, end, SEEK_SET) || ftruncate(fileno(o->f), end)) return broken(o, "resume", e);
    guard_append(fileno(o->f), o->complete = end);
    return 0;
}

int output_finish(output *o, pith_err *e)
{
    if (!o->f) return 0;
    if (output_commit(o, e)) return -1;
    if (o->f == stdout) return 0;
    guard_append(-1, 0);
    if (o->temp && fsync(fileno(o->f))) return broken(o, "write", e);
    int bad = fclose(o->f);
    o->f = NULL;
    if (bad) return broken(o, "write", e);
    if (o->temp && rename(o->temp, o->path)) return broken(o, "write", e);
    guard_temp(NULL);
    free(o->temp);
    free(o->path);
    o->temp = o->path = NULL;
    return 0;
}

void output_abort(output *o)
{
    if (o->f && o->f != stdout) {
        fclose(o->f); /* may push out rows after the last commit, whole or not */
        guard_append(-1, 0);
        if (o->append && truncate(o->path, o->complete))
            cli_error("%s: may end in half a row: %s", o->name, strerror(errno));
    }
    if (o->temp) unlink(o->temp);
    guard_temp(NULL);
    free(o->temp);
    free(o->path);
    *o = (output){0};
}
