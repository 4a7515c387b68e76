#define _POSIX_C_SOURCE 200809L
#include "server/head.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int nibble(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *head_path(const char *target, const char **why)
{
    if (strncasecmp(target, "http://", 7) == 0) {
        target += 7 + strcspn(target + 7, "/?");
        if (*target != '/') target = "/";
    }
    *why = "the request's target is not a path";
    if (*target != '/' && strcmp(target, "*") != 0) return NULL;
    char *path = malloc(strlen(target) + 1), *p = path;
    if (!path) return NULL;
    for (const char *s = target; *s && *s != '?'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '%') {
            int hi = nibble((unsigned char)s[1]), lo = hi < 0 ? -1 : nibble((unsigned char)s[2]);
            if (lo < 0 || (hi == 0 && lo == 0)) {
                *why = "the request's target has a bad % escape";
                free(path);
                return NULL;
            }
            c = (unsigned char)(hi * 16 + lo);
            s += 2;
        } else if (c <= 0x20 || c >= 0x7f || c == '#') {
            *why = "the request's target has a character that must be escaped";
            free(path);
            return NULL;
        }
        *p++ = (char)c;
    }
    *p = 0;
    return path;
}

int head_is_token(const char *s)
{
    if (!*s) return 0;
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("!#$%&'*+-.^_`|~", *s)) return 0;
    return 1;
}

void head_begin(head *h) { *h = (head){.length = UINT64_MAX}; }

static void fault(head *h, const char *why)
{
    if (!h->why) h->why = why;
}

static void content_length(head *h, const char *s)
{
    uint64_t v = 0;
    if (!*s) fault(h, "Content-Length: not a number");
    for (; *s; s++) {
        if (*s < '0' || *s > '9') {
            fault(h, "Content-Length: not a number");
            return;
        }
        v = v > (UINT64_MAX - 10) / 10 ? UINT64_MAX - 1 : v * 10 + (uint64_t)(*s - '0');
    }
    h->length = v;
}

void head_field(head *h, const char *name, const char *value)
{
    if (!value) value = "";
    if (!head_is_token(name)) fault(h, "a field's name is not a token (white space before the colon, or a control character?)");
    for (const char *p = value; *p; p++)
        if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f) fault(h, "a field's value has a control character");
    if (strcasecmp(name, "Host") == 0) {
        h->n_host++;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        h->n_length++;
        content_length(h, value);
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        h->n_encoding++;
        h->chunked = strcasecmp(value, "chunked") == 0;
    } else if (strcasecmp(name, "Expect") == 0) {
        h->expect = 1;
    }
}

void head_lines(head *h, const char *p, const char *end)
{
    while (end - p >= 4 && !p[0] && !p[1]) {
        p += 2;
        if (end - p == 2 && !p[0] && !p[1]) return;
        if (!*p || *p == ' ' || *p == '\t') break;
        p += strnlen(p, (size_t)(end - p));
        if (p == end) break;
        p++;
        p += strnlen(p, (size_t)(end - p));
    }
    fault(h, "a line of the head is not name: value and CR LF (LF alone, NUL, a folded line?)");
}

int head_end(head *h, const char *method, const char *version)
{
    int one = strcmp(version, "HTTP/1.0") != 0; /* 1.1 or a later 1.x */
    if (!head_is_token(method)) fault(h, "the method is not a token");
    if (h->n_host > 1 || (one && !h->n_host)) fault(h, "expected one Host field");
    if (h->n_length > 1) fault(h, "several Content-Length fields");
    if (h->n_length && h->n_encoding) fault(h, "Content-Length and Transfer-Encoding together");
    if (h->n_encoding > 1 || (h->n_encoding && !one)) fault(h, "Transfer-Encoding: several, or in HTTP/1.0");
    if (h->why) return 400;
    if (h->n_encoding && !h->chunked) {
        h->why = "Transfer-Encoding: only chunked is understood";
        return 501;
    }
    int body = strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    if (body && !h->n_length && !h->n_encoding) {
        h->why = "Content-Length is missing";
        return 411;
    }
    return 0;
}
