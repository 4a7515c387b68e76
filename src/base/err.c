#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names of tensors, keys and files come from strangers: nothing of theirs may move a terminal's cursor. */
static void escape_controls(char *msg, size_t cap)
{
    char out[PITH_ERR_MAX];
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)msg; *p && n + 5 < sizeof out; p++) {
        if (*p < 0x20 || *p == 0x7f)
            n += (size_t)snprintf(out + n, sizeof out - n, "\\x%02x", *p);
        else
            out[n++] = (char)*p;
    }
    out[n] = 0;
    snprintf(msg, cap, "%s", out);
}

int err_set(pith_err *e, const char *fmt, ...)
{
    if (!e || e->msg[0]) return -1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->msg, sizeof e->msg, fmt, ap);
    va_end(ap);
    escape_controls(e->msg, sizeof e->msg);
    return -1;
}

int err_nomem(pith_err *e, size_t bytes, const char *what)
{
    return err_set(e, "out of memory: %zu bytes for %s", bytes, what);
}

int err_where(pith_err *e, const char *fmt, ...)
{
    if (!e || !e->msg[0]) return -1;
    char where[PITH_ERR_MAX], old[PITH_ERR_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(where, sizeof where, fmt, ap);
    va_end(ap);
    memcpy(old, e->msg, sizeof old);
    escape_controls(where, sizeof where);
    size_t n = (size_t)snprintf(e->msg, sizeof e->msg, "%.500s: ", where);
    snprintf(e->msg + n, sizeof e->msg - n, "%.*s", (int)(sizeof e->msg - n - 1), old);
    return -1;
}
