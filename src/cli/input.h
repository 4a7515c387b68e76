/* input: bytes of a file or stdin, and lines of them, with the one question that pipes need: would reading wait? */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H
#include "pith.h"

typedef struct input {
    int fd;
    const char *name; /* for messages: the path, or "stdin" */
    char *buf;        /* read and not yet used: buf[pos .. len) */
    size_t pos, len, cap, scanned;
    int eof, first_done, regular;
    uint64_t total; /* bytes of a regular file, 0: unknown */
    uint64_t taken; /* bytes handed out */
    uint64_t line;  /* lines handed out by input_line */
} input;

/* path NULL or "-": stdin. */
int input_open(input *in, const char *path, pith_err *e);
void input_close(input *in);
/* Would reading more return at once? */
int input_ready(const input *in);
/* Reads what is there, waiting if nothing is; sets eof at the end. Refuses compressed and UTF-16 files by name. */
int input_fill(input *in, pith_err *e);
/* The next line without its LF (a CR stays): 1 a line, valid until the next call; 0 more must be read first
 * (input_fill), or the end once eof is set; the last line may lack its LF. */
int input_line(input *in, char **line, size_t *len);
/* The next line, read for as it must be: 1; 0: the end; -1. */
int input_next(input *in, char **line, size_t *len, pith_err *e);

#endif
