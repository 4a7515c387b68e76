#define _XOPEN_SOURCE 700
#include "cli/output.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/guard.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int broken(const output *o, const char *what, pith_err *e)
{
    return err_set(e, "%.700s: cannot %s: %s", o->name, what, strerror(errno));
}

/* Rows go through a stream of its own over the new file. */
static int open_new(output *o, pith_err *e)
{
    if (outfile_open(&o->file, o->name, 1, e)) return -1;
    guard_temp(o->file.temp);
    int fd = fcntl(o->file.fd, F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) o->f = fdopen(fd, "w");
    if (o->f) return 0;
    if (fd >= 0) close(fd);
    return broken(o, "write here", e);
}

static int open_append(output *o, pith_err *e)
{
    struct stat now;
    int fd = open(o->name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0) o->f = fdopen(fd, "r+");
    if (!o->f) return broken(o, "open", e);
    o->append = 1; /* what is there is not ours to cut until it is known to be complete rows */
    o->complete = fstat(fd, &now) ? 0 : now.st_size;
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
    if (append && !(there && S_ISDIR(st.st_mode))) return open_append(o, e);
    if (!there || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return open_new(o, e);
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
    int bad = fclose(o->f);
    o->f = NULL;
    if (bad) return broken(o, "write", e);
    bad = o->file.temp ? outfile_finish(&o->file, e) : 0;
    output_abort(o);
    return bad;
}

void output_abort(output *o)
{
    if (o->f && o->f != stdout) {
        fclose(o->f); /* may push out rows after the last commit, whole or not */
        guard_append(-1, 0);
        if (o->append && truncate(o->name, o->complete))
            cli_error("%s: may end in half a row: %s", o->name, strerror(errno));
    }
    guard_temp(NULL);
    outfile_close(&o->file);
    *o = (output){0};
}
