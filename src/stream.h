/* stream: the text of one answer as its tokens come. Text is handed out once no later token can change it: a character
 * whose bytes are not all there waits, and so does what may be the beginning of a stop string. Not public. */
#ifndef STREAM_H
#define STREAM_H
#include "tokenizer/tokenizer.h"

typedef struct stream_string {
    char *s;
    size_t len, cap;
} stream_string;

/* A zeroed struct is valid and empty. */
typedef struct stream {
    tokenizer_stream *decoder; /* NULL: there is no text */
    stream_string hold;        /* decoded, not handed out */
    stream_string out;
    char **stop; /* [n_stop] */
    size_t n_stop;
} stream;

/* prompt [n]: what the answer follows; its text decides how the answer's begins (a leading space, or not). */
int stream_open(stream *s, const tokenizer *t, const int32_t *prompt, size_t n, const char *const *stop, size_t n_stop,
                pith_err *e);
void stream_close(stream *s);
/* The next token; id < 0: none. last: nothing follows, everything is handed out. Afterwards s->out is the text that
 * became certain, NUL-terminated. *stopped: a stop string was met; out ends before it. */
int stream_push(stream *s, int32_t id, int last, int *stopped, pith_err *e);

#endif
