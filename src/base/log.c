#include "base/log.h"
#include <stdarg.h>
#include <stdio.h>

/* Written by log_set alone. */
static pith_log_fn *hears;
static void *hears_ctx;

void log_set(pith_log_fn *fn, void *ctx)
{
    hears = fn;
    hears_ctx = ctx;
}

void log_tell(pith_log_level level, const char *fmt, ...)
{
    char line[PITH_ERR_MAX];
    va_list ap;
    if (!hears) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    for (char *c = line; *c; c++) /* a name from a file may hold anything */
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    hears(hears_ctx, level, line);
}

