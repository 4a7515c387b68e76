#define _POSIX_C_SOURCE 200809L
#include "cli/input.h"
#include "base/err.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

int input_open(input *in, const char *path, pith_err *e)
{
    *in = (input){.name = path};
    if (!path || strcmp(path, "-") == 0) {
        in->name = "stdin";
        in->fd = STDIN_FILENO;
    } else {
        in->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (in->fd < 0) return err_set(e, "%.700s: cannot open: %s", path, strerror(errno));
    }
    struct stat st;
    if (fstat(in->fd, &st)) {
        err_set(e, "%.700s: cannot read: %s", in->name, strerror(errno));
        input_close(in);
        return -1;
    }
    if (S_ISDIR(st.st_mode)) {
        input_close(in);
        return err_set(e, "%.700s: is a directory, expected a file of rows", in->name);
    }
    in->regular = S_ISREG(st.st_mode);
    if (in->regular && st.st_size > 0) in->total = (uint64_t)st.st_size;
    return 0;
}

void input_close(input *in)
{
    if (in->fd > STDIN_FILENO) close(in->fd);
    free(in->buf);
    in->buf = NULL;
    in->fd = -1;
}

int input_ready(const input *in)
{
    if (in->eof) return 1;
    struct pollfd p = {.fd = in->fd, .events = POLLIN};
    return poll(&p, 1, 0) != 0;
}

/* A file that is no text at all gets its real name instead of a million odd rows. */
static int sniff(const input *in, pith_err *e)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *what;
    } known[] = {
        {"\x1f\x8b", 2, "gzip data; give it as: zcat FILE | pith ... --format FORMAT"},
        {"\xfd" "7zXZ", 5, "xz data; give it as: xzcat FILE | pith ... --format FORMAT"},
        {"\x28\xb5\x2f\xfd", 4, "zstd data; give it as: zstdcat FILE | pith ... --format FORMAT"},
        {"BZh91AY", 7, "bzip2 data; give it as: bzcat FILE | pith ... --format FORMAT"},
        {"PK\x03\x04", 4, "a zip file (or a spreadsheet); export the rows as CSV or JSONL"},
        {"PAR1\x15", 5, "a parquet file; export the rows as CSV or JSONL"},
        {"\xff\xfe", 2, "UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8"},
        {"\xfe\xff", 2, "UTF-16 text; convert it with: iconv -f UTF-16 -t UTF-8"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (in->len >= known[i].len && memcmp(in->buf, known[i].magic, known[i].len) == 0)
            return err_set(e, "%.700s: this is %s", in->name, known[i].what);
    return 0;
}

int input_fill(input *in, pith_err *e)
{
    if (in->eof) return 0;
    if (in->pos) {
        memmove(in->buf, in->buf + in->pos, in->len - in->pos);
        in->len -= in->pos;
        in->scanned -= in->scanned < in->pos ? in->scanned : in->pos;
        in->pos = 0;
    }
    if (in->cap - in->len < PIECE) {
        size_t cap = in->cap ? in->cap * 2 : PIECE;
        char *b = cap < in->cap ? NULL : realloc(in->buf, cap);
        if (!b) return err_nomem(e, cap, in->name);
        in->buf = b;
        in->cap = cap;
    }
    ssize_t n;
    do n = read(in->fd, in->buf + in->len, in->cap - in->len);
    while (n < 0 && errno == EINTR);
    if (n < 0) return err_set(e, "%.700s: cannot read: %s", in->name, strerror(errno));
    in->len += (size_t)n;
    if (n == 0) in->eof = 1;
    if (!in->first_done) {
        in->first_done = 1;
        return sniff(in, e);
    }
    return 0;
}

int input_line(input *in, char **line, size_t *len)
{
    char *start = in->buf ? in->buf + in->pos : NULL, *from = start ? start + in->scanned - in->pos : NULL;
    if (start && in->scanned < in->pos) from = start;
    char *lf = start ? memchr(from, '\n', in->len - (size_t)(from - in->buf)) : NULL;
    if (!lf) {
        in->scanned = in->len;
        if (!in->eof || in->pos == in->len) return 0;
    }
    *line = start;
    *len = lf ? (size_t)(lf - start) : in->len - in->pos;
    size_t used = *len + (lf != NULL);
    in->pos += used;
    in->taken += used;
    in->line++;
    return 1;
}

int input_next(input *in, char **line, size_t *len, pith_err *e)
{
    while (!input_line(in, line, len)) {
        if (in->eof) return 0;
        if (input_fill(in, e)) return -1;
    }
    return 1;
}
