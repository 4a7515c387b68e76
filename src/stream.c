#include "stream.h"
#include "base/mem.h"
#include <string.h>

static int append(stream_string *x, const char *s, size_t len, pith_err *e)
{
    if (x->cap - x->len <= len) {
        size_t cap = 2 * (x->len + len) + 64;
        char *b = mem_resize(x->s, cap);
        if (!b) return err_nomem(e, cap, "text");
        x->s = b;
        x->cap = cap;
    }
    if (len) memcpy(x->s + x->len, s, len);
    x->len += len;
    x->s[x->len] = 0;
    return 0;
}

static int copy_stops(stream *s, const char *const *stop, size_t n, pith_err *e)
{
    if (!n) return 0;
    if (!s->decoder) return err_set(e, "stop strings need a tokenizer, and the model has none");
    s->stop = mem_zero(n, sizeof *s->stop);
    if (!s->stop) return err_nomem(e, n * sizeof *s->stop, "stop strings");
    for (; s->n_stop < n; s->n_stop++) {
        size_t len = strlen(stop[s->n_stop]) + 1;
        if (len == 1) return err_set(e, "a stop string is empty");
        s->stop[s->n_stop] = mem_alloc(len);
        if (!s->stop[s->n_stop]) return err_nomem(e, len, "stop strings");
        memcpy(s->stop[s->n_stop], stop[s->n_stop], len);
    }
    return 0;
}

int stream_open(stream *s, const tokenizer *t, const int32_t *prompt, size_t n, const char *const *stop, size_t n_stop,
                pith_err *e)
{
    const char *unused;
    size_t len;
    *s = (stream){0};
    if (t) s->decoder = tokenizer_stream_open(t, true, e);
    int bad = (t && !s->decoder) || append(&s->out, "", 0, e) || copy_stops(s, stop, n_stop, e) ? -1 : 0;
    for (size_t i = 0; i < n && t && !bad; i++) bad = tokenizer_stream_next(s->decoder, prompt[i], &unused, &len, e);
    if (bad) stream_close(s);
    return bad;
}

void stream_close(stream *s)
{
    for (size_t i = 0; i < s->n_stop; i++) mem_free(s->stop[i]);
    mem_free(s->stop);
    tokenizer_stream_free(s->decoder);
    mem_free(s->hold.s);
    mem_free(s->out.s);
    *s = (stream){0};
}

/* Where x first stands in s (which may hold NUL), or n. */
static size_t find(const char *s, size_t n, const char *x)
{
    size_t len = strlen(x);
    for (size_t i = 0; i + len <= n; i++)
        if (s[i] == *x && memcmp(s + i, x, len) == 0) return i;
    return n;
}

/* Where the earliest stop string begins in the held text, else where the longest beginning of one at its end does. */
static size_t certain(const stream *s, int *stopped)
{
    size_t at = s->hold.len;
    for (size_t i = 0; i < s->n_stop; i++) {
        size_t hit = find(s->hold.s, s->hold.len, s->stop[i]);
        if (hit < at) {
            at = hit;
            *stopped = 1;
        }
    }
    for (size_t i = 0; i < s->n_stop && !*stopped; i++) {
        size_t len = strlen(s->stop[i]) - 1, tail = s->hold.len < len ? s->hold.len : len;
        for (; tail && s->hold.len - tail < at; tail--)
            if (memcmp(s->hold.s + s->hold.len - tail, s->stop[i], tail) == 0) at = s->hold.len - tail;
    }
    while (at && at < s->hold.len && ((unsigned char)s->hold.s[at] & 0xc0) == 0x80) at--;
    return at;
}

int stream_push(stream *s, int32_t id, int last, int *stopped, pith_err *e)
{
    *stopped = 0;
    s->out.len = 0;
    s->out.s[0] = 0;
    if (!s->decoder) return 0;
    const char *text;
    size_t len;
    if (id >= 0 && (tokenizer_stream_next(s->decoder, id, &text, &len, e) || append(&s->hold, text, len, e))) return -1;
    if (last && (tokenizer_stream_end(s->decoder, &text, &len, e) || append(&s->hold, text, len, e))) return -1;
    size_t at = certain(s, stopped);
    if (last && !*stopped) at = s->hold.len;
    if (append(&s->out, s->hold.s ? s->hold.s : "", at, e)) return -1;
    s->hold.len -= at;
    if (s->hold.len) memmove(s->hold.s, s->hold.s + at, s->hold.len);
    if (s->hold.s) s->hold.s[s->hold.len] = 0;
    return 0;
}
