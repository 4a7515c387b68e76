/* The page at /: one file with its script and style inside. It holds nothing that a key protects: what it shows it asks
 * for over the protocols, with the key that the reader gives it. */
#define _POSIX_C_SOURCE 200809L
#include "server/api.h"
#include "base/digest.h"
#include "base/memtext.h"
#include "base/page.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *const markup[] = {
#include "server/page.html.inc"
};
static const char *const style[] = {
#include "server/page.css.inc"
};
static const char *const script[] = {
#include "base/page.js.inc"
#include "server/page.js.inc"
};
static const page parts = {PAGE_PART(markup), PAGE_PART(style), PAGE_PART(script), NULL, NULL};

static int put_policy(const page *p, FILE *f, pith_err *e)
{
    fputs("default-src 'none'; ", f);
    if (page_policy(p, f, e)) return -1;
    fputs("; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
          "require-trusted-types-for 'script'; trusted-types 'none'", f);
    return 0;
}

/* What put writes, malloc'ed; NULL: memory. */
static char *text_of(int (*put)(const page *p, FILE *f, pith_err *e), size_t *len, pith_err *e)
{
    char *text = NULL;
    FILE *f = memtext_open(&text, len);
    int bad = !f || put(&parts, f, e);
    if (f && memtext_close(f, &text)) bad = 1;
    if (!bad) return text;
    free(text);
    return NULL;
}

void api_page(api_call *c)
{
    size_t len = 0, policy_len = 0;
    char *body = text_of(page_write, &len, &c->e), *policy = body ? text_of(put_policy, &policy_len, &c->e) : NULL;
    if (!policy) {
        free(body);
        api_fail(c, 500, NULL, NULL, "out of memory");
        return;
    }
    char tag[24];
    snprintf(tag, sizeof tag, "\"%016" PRIx64 "\"", digest_xxh3(body, len));
    const http_field fields[] = {{"Content-Security-Policy", policy}, {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"},
                                 {"Cross-Origin-Opener-Policy", "same-origin"}, {"Cache-Control", "no-cache"}, {"ETag", tag}};
    http_exchange *x = c->x;
    const char *known = http_header(x, "If-None-Match");
    int same = known && strstr(known, tag);
    api_done(c);
    if (same) {
        free(body);
        body = NULL;
        len = 0;
    }
    http_answer(x, same ? 304 : 200, same ? NULL : "text/html; charset=utf-8", body, len, fields, sizeof fields / sizeof *fields);
    free(policy);
}
