#include "cli/jtext.h"
#include "base/err.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 256 };

typedef struct scan {
    const char *s;
    size_t at, len;
} scan;

static void space(scan *c)
{
    while (c->at < c->len && strchr(" \t\r\n", c->s[c->at]) && c->s[c->at]) c->at++;
}
static int is(const scan *c, char x) { return c->at < c->len && c->s[c->at] == x; }
static int digits(scan *c)
{
    size_t from = c->at;
    while (c->at < c->len && c->s[c->at] >= '0' && c->s[c->at] <= '9') c->at++;
    return c->at > from ? 0 : -1;
}
static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int number(scan *c)
{
    if (is(c, '-')) c->at++;
    if (is(c, '0')) c->at++;
    else if (digits(c)) return -1;
    if (is(c, '.')) {
        c->at++;
        if (digits(c)) return -1;
    }
    if (is(c, 'e') || is(c, 'E')) {
        c->at++;
        if (is(c, '+') || is(c, '-')) c->at++;
        if (digits(c)) return -1;
    }
    return 0;
}

static int string(scan *c)
{
    for (c->at++; c->at < c->len; c->at++) {
        unsigned char x = (unsigned char)c->s[c->at];
        if (x == '"') {
            c->at++;
            return 0;
        }
        if (x < 0x20) return -1;
        if (x != '\\') continue;
        c->at++;
        if (c->at >= c->len) return -1;
        if (c->s[c->at] == 'u') {
            for (int i = 0; i < 4; i++)
                if (++c->at >= c->len || hex(c->s[c->at]) < 0) return -1;
        } else if (!c->s[c->at] || !strchr("\"\\/bfnrt", c->s[c->at])) {
            return -1;
        }
    }
    return -1;
}

static int value(scan *c, int depth);

static int members(scan *c, char close, int depth)
{
    c->at++;
    space(c);
    if (is(c, close)) {
        c->at++;
        return 0;
    }
    for (;;) {
        space(c);
        if (close == '}') {
            if (!is(c, '"') || string(c)) return -1;
            space(c);
            if (!is(c, ':')) return -1;
            c->at++;
        }
        if (value(c, depth + 1)) return -1;
        if (is(c, close)) break;
        if (!is(c, ',')) return -1;
        c->at++;
    }
    c->at++;
    return 0;
}

/* A value and the white space on both sides of it. */
static int value(scan *c, int depth)
{
    static const char *const word[] = {"true", "false", "null"};
    int bad = -1;
    space(c);
    if (c->at >= c->len || depth > MAX_DEPTH) return -1;
    char x = c->s[c->at];
    if (x == '{') bad = members(c, '}', depth);
    else if (x == '[') bad = members(c, ']', depth);
    else if (x == '"') bad = string(c);
    else if (x == '-' || (x >= '0' && x <= '9')) bad = number(c);
    else
        for (size_t i = 0; i < 3 && bad; i++) {
            size_t n = strlen(word[i]);
            if (c->len - c->at < n || memcmp(c->s + c->at, word[i], n) != 0) continue;
            c->at += n;
            bad = 0;
        }
    if (!bad) space(c);
    return bad;
}

int jtext_check(const char *s, size_t len, pith_err *e)
{
    scan c = {s, 0, len};
    if (value(&c, 0)) {
        if (c.at >= len) return err_set(e, "not valid JSON: it ends too early, at column %zu", len + 1);
        return err_set(e, "not valid JSON at column %zu", c.at + 1);
    }
    if (c.at < len) return err_set(e, "not valid JSON: text after the value, at column %zu", c.at + 1);
    return 0;
}

static size_t put_utf8(char *o, unsigned long cp)
{
    if (cp < 0x80) {
        o[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        o[0] = (char)(0xc0 | cp >> 6);
        o[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        o[0] = (char)(0xe0 | cp >> 12);
        o[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        o[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    o[0] = (char)(0xf0 | cp >> 18);
    o[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    o[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    o[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

static unsigned long hex4(const char *s)
{
    unsigned long v = 0;
    for (int i = 0; i < 4; i++) v = v << 4 | (unsigned long)hex(s[i]);
    return v;
}

char *jtext_decode(const char *raw, size_t len, size_t *n)
{
    char *o = malloc(len + 1); /* no escape is shorter than what it stands for */
    if (!o) return NULL;
    size_t k = 0;
    for (size_t i = 0; i < len; i++) {
        if (raw[i] != '\\') {
            o[k++] = raw[i];
            continue;
        }
        char x = raw[++i];
        if (x != 'u') {
            const char *p = strchr("b\bf\fn\nr\rt\t", x);
            o[k++] = p ? p[1] : x;
            continue;
        }
        unsigned long cp = hex4(raw + i + 1);
        i += 4;
        if (cp >= 0xd800 && cp < 0xdc00 && i + 6 < len && raw[i + 1] == '\\' && raw[i + 2] == 'u') {
            unsigned long low = hex4(raw + i + 3);
            if (low >= 0xdc00 && low < 0xe000) {
                cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
                i += 6;
            }
        }
        k += put_utf8(o + k, cp >= 0xd800 && cp < 0xe000 ? 0xfffd : cp);
    }
    o[k] = 0;
    *n = k;
    return o;
}

const char *jtext_kind(const char *raw, size_t len)
{
    switch (len ? raw[0] : 0) {
    case '"': return "a string";
    case '{': return "an object";
    case '[': return "an array";
    case 't': return "true";
    case 'f': return "false";
    case 'n': return "null";
    default: return "a number";
    }
}

int jtext_ids(const char *s, size_t len, int32_t **ids, size_t *n, pith_err *e)
{
    *ids = NULL;
    *n = 0;
    if (jtext_check(s, len, e)) return -1;
    scan c = {s, 0, len};
    space(&c);
    if (!is(&c, '[')) return err_set(e, "expected an array of token ids, found %s", jtext_kind(s + c.at, len - c.at));
    size_t commas = 1;
    for (size_t i = c.at; i < len; i++) commas += s[i] == ',';
    int32_t *out = malloc(commas * sizeof *out);
    if (!out) return err_nomem(e, commas * sizeof *out, "token ids");
    for (c.at++, space(&c); !is(&c, ']'); space(&c)) {
        int64_t v = 0;
        size_t from = c.at;
        while (c.at < len && s[c.at] >= '0' && s[c.at] <= '9' && v <= INT32_MAX) v = v * 10 + (s[c.at++] - '0');
        space(&c);
        if (c.at == from || v > INT32_MAX || !(is(&c, ',') || is(&c, ']'))) {
            free(out);
            return err_set(e, "column %zu: expected a token id (a whole number below 2^31), found %.20s", from + 1,
                           s[from] == '-' || (s[from] >= '0' && s[from] <= '9') ? "another number"
                                                                                : jtext_kind(s + from, len - from));
        }
        out[(*n)++] = (int32_t)v;
        if (is(&c, ',')) c.at++;
    }
    *ids = out;
    return 0;
}
