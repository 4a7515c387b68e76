/* scan: the tokens of a strict JSON reader. The NUL bytes after the text are illegal everywhere in JSON, so they stop
 * every loop; only the words of a message ask whether a NUL is the end of the text or one inside it. */
#include "formats/scan.h"
#include "base/checked.h"
#include <stdio.h>
#include <string.h>

#define ONES 0x0101010101010101u
#define HIGH 0x8080808080808080u

static uint64_t load64(const char *p)
{
    uint64_t w;
    memcpy(&w, p, 8);
    return w;
}

/* Some byte of w is zero: its high bit is set in the result (bits above the first zero byte may be wrong). */
static uint64_t zero_byte(uint64_t w) { return (w - ONES) & ~w & HIGH; }

int scan_fail(scan *c, const char *expected)
{
    unsigned char found = (unsigned char)*c->at;
    size_t pos = (size_t)(c->at - c->text);
    if (c->at == c->end) return err_set(c->e, "header, byte %zu: expected %s, found the end of the header", pos, expected);
    if (found < 0x20 || found >= 0x7f)
        return err_set(c->e, "header, byte %zu: expected %s, found byte 0x%02x", pos, expected, found);
    return err_set(c->e, "header, byte %zu: expected %s, found '%c'", pos, expected, found);
}

char scan_peek(scan *c)
{
    char *p = c->at;
    if ((unsigned char)*p > ' ') return *p;
    for (;;) {
        while (load64(p) == ONES * ' ') p += 8; /* headers are padded with spaces, hostile ones with megabytes */
        if (*p != ' ' && *p != '\n' && *p != '\t' && *p != '\r') break;
        p++;
    }
    c->at = p;
    return *p;
}

int scan_char(scan *c, char want)
{
    if (scan_peek(c) == want) {
        c->at++;
        return 0;
    }
    const char what[] = {'\'', want, '\'', 0};
    return scan_fail(c, what);
}

int scan_more(scan *c, char close)
{
    char ch = scan_peek(c);
    if (ch != ',' && ch != close) return scan_fail(c, close == '}' ? "',' or '}'" : "',' or ']'");
    c->at++;
    return ch == ',';
}

/* Length of the well-formed UTF-8 sequence at p, 0 if there is none (Unicode, table 3-7). */
static size_t utf8(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (p[1] & 0xc0) != 0x80) return 0;
    if (p[0] < 0xe0) return 2;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[2] & 0xc0) != 0x80) return 0;
    if (p[0] < 0xf0) return 3;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) || (p[3] & 0xc0) != 0x80) return 0;
    return 4;
}

/* First byte from p on that is not plain: a quote, a backslash, a control character, or badly formed UTF-8. */
static char *plain_end(char *p)
{
    for (;;) {
        uint64_t w = load64(p);
        uint64_t odd = (w | zero_byte(w ^ (ONES * '"')) | zero_byte(w ^ (ONES * '\\')) | ((w - ONES * 0x20) & ~w)) & HIGH;
        if (!odd) {
            p += 8;
            continue;
        }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        p += __builtin_ctzll(odd) / 8; /* the lowest mark is exact: borrows only run upward */
#endif
        unsigned char ch = (unsigned char)*p;
        if (ch == '"' || ch == '\\' || ch < 0x20) return p;
        size_t n = utf8(p);
        if (!n) return p;
        p += n;
    }
}

/* Four hexadecimal digits at p; -1 if they are not. */
static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int d = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : p[i] >= 'a' && p[i] <= 'f' ? p[i] - 'a' + 10 : p[i] >= 'A' && p[i] <= 'F' ? p[i] - 'A' + 10 : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

static char *put_utf8(char *to, unsigned u)
{
    if (u < 0x80) {
        *to++ = (char)u;
    } else if (u < 0x800) {
        *to++ = (char)(0xc0 | u >> 6);
        *to++ = (char)(0x80 | (u & 63));
    } else if (u < 0x10000) {
        *to++ = (char)(0xe0 | u >> 12);
        *to++ = (char)(0x80 | (u >> 6 & 63));
        *to++ = (char)(0x80 | (u & 63));
    } else {
        *to++ = (char)(0xf0 | u >> 18);
        *to++ = (char)(0x80 | (u >> 12 & 63));
        *to++ = (char)(0x80 | (u >> 6 & 63));
        *to++ = (char)(0x80 | (u & 63));
    }
    return to;
}

/* Decodes the escape at c->at (a backslash) to `to`, never longer than it was written; NULL on error. */
static char *escape(scan *c, char *to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char kind = c->at[1];
    const char *k = kind ? strchr(from, kind) : NULL;
    if (k) {
        *to++ = into[k - from];
        c->at += 2;
        return to;
    }
    if (kind != 'u') {
        c->at++;
        return scan_fail(c, "one of \"\\/bfnrtu after a backslash"), NULL;
    }
    int u = hex4(c->at + 2);
    if (u < 0) return scan_fail(c, "four hexadecimal digits after \\u"), NULL;
    if (u == 0) {
        c->nul = 1;
        memmove(to, "\\u0000", 6);
        c->at += 6;
        return to + 6;
    }
    if (u >= 0xd800 && u < 0xe000) {
        int low = u < 0xdc00 && c->at[6] == '\\' && c->at[7] == 'u' ? hex4(c->at + 8) : -1;
        if (low < 0xdc00 || low > 0xdfff) return scan_fail(c, "a pair of surrogates (\\ud800-\\udbff, \\udc00-\\udfff)"), NULL;
        c->at += 12;
        return put_utf8(to, 0x10000u + ((unsigned)(u - 0xd800) << 10) + (unsigned)(low - 0xdc00));
    }
    c->at += 6;
    return put_utf8(to, (unsigned)u);
}

int scan_string(scan *c, const char *what, scan_str *out)
{
    if (scan_peek(c) != '"') return scan_fail(c, what);
    char *start = c->at + 1, *to = start;
    c->at = start;
    c->nul = 0;
    for (;;) {
        char *stop = plain_end(c->at);
        size_t n = (size_t)(stop - c->at);
        if (to != c->at) memmove(to, c->at, n);
        to += n;
        c->at = stop;
        if (*stop == '"') break;
        if (*stop == '\\') {
            to = escape(c, to);
            if (!to) return -1;
            continue;
        }
        if (stop == c->end) return scan_fail(c, "the closing quote of a string");
        return scan_fail(c, (unsigned char)*stop < 0x20 ? "no control character in a string (it must be escaped)" : "UTF-8");
    }
    c->at++;
    *out = (scan_str){start, (size_t)(to - start)};
    return 0;
}

int scan_u64(scan *c, const char *what, uint64_t *out)
{
    uint64_t v = 0;
    char ch = scan_peek(c);
    if (ch < '0' || ch > '9') return scan_fail(c, what);
    const char *first = c->at;
    for (; (ch = *c->at) >= '0' && ch <= '9'; c->at++) {
        if (checked_digit(&v, (unsigned)(ch - '0'))) return err_set(c->e, "header, byte %zu: %s is over 2^64-1", (size_t)(first - c->text), what);
    }
    if (*first == '0' && c->at - first > 1) return err_set(c->e, "header, byte %zu: a number begins with 0", (size_t)(first - c->text));
    if (ch == '.' || ch == 'e' || ch == 'E') return scan_fail(c, what);
    *out = v;
    return 0;
}

static int digits(scan *c)
{
    if (*c->at < '0' || *c->at > '9') return scan_fail(c, "a digit");
    while (*c->at >= '0' && *c->at <= '9') c->at++;
    return 0;
}

/* A number, string, true, false or null. */
static int skip_scalar(scan *c)
{
    static const char *const words[] = {"true", "false", "null"};
    char ch = *c->at;
    scan_str s;
    if (ch == '"') return scan_string(c, "a string", &s);
    if (ch == '-' || (ch >= '0' && ch <= '9')) {
        if (ch == '-') c->at++;
        if (*c->at == '0') c->at++;
        else if (digits(c)) return -1;
        if (*c->at == '.' && (c->at++, digits(c))) return -1;
        if (*c->at != 'e' && *c->at != 'E') return 0;
        c->at++;
        if (*c->at == '+' || *c->at == '-') c->at++;
        return digits(c);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i]);
        if (strncmp(c->at, words[i], n)) continue;
        c->at += n;
        return 0;
    }
    return scan_fail(c, "a value");
}

static int skip_key(scan *c)
{
    scan_str s;
    return scan_string(c, "a name in quotes", &s) || scan_char(c, ':') ? -1 : 0;
}

int scan_skip(scan *c, size_t depth)
{
    unsigned char is_object[SCAN_DEPTH];
    size_t floor = depth;
    for (;;) { /* a value is due */
        char ch = scan_peek(c);
        if (ch == '{' || ch == '[') {
            if (depth == SCAN_DEPTH) return err_set(c->e, "header, byte %zu: nested deeper than %d values", (size_t)(c->at - c->text), SCAN_DEPTH);
            is_object[depth++] = ch == '{';
            c->at++;
            if (scan_peek(c) != (ch == '{' ? '}' : ']')) {
                if (ch == '{' && skip_key(c)) return -1;
                continue;
            }
            c->at++;
            depth--;
        } else if (skip_scalar(c)) {
            return -1;
        }
        for (;;) { /* a value has ended */
            if (depth == floor) return 0;
            int more = scan_more(c, is_object[depth - 1] ? '}' : ']');
            if (more < 0) return -1;
            if (more) break;
            depth--;
        }
        if (is_object[depth - 1] && skip_key(c)) return -1;
    }
}

/* As utf8, for text that ends after n bytes. */
static size_t utf8_within(const char *s, size_t n)
{
    char last[4] = {0};
    if (n < 4) memcpy(last, s, n);
    return utf8(n < 4 ? last : s);
}

size_t scan_utf8(const char *s, size_t n)
{
    size_t i = 0;
    for (size_t k; i < n && (k = utf8_within(s + i, n - i)) > 0;) i += k;
    return i;
}

const char *scan_show(char buf[SCAN_SHOW], const char *s, size_t n)
{
    size_t to = 0, i = 0;
    while (i < n && to < 96) {
        unsigned char ch = (unsigned char)s[i];
        unsigned char next = i + 1 < n ? (unsigned char)s[i + 1] : 0;
        size_t k = utf8_within(s + i, n - i);
        if (!k) {
            to += (size_t)snprintf(buf + to, SCAN_SHOW - to, "\\x%02x", ch);
            k = 1;
        } else if (ch < 0x20 || ch == 0x7f) {
            to += (size_t)snprintf(buf + to, SCAN_SHOW - to, "\\u%04x", ch);
        } else if (ch == 0xc2 && next < 0xa0) { /* C1: a terminal may obey these too */
            to += (size_t)snprintf(buf + to, SCAN_SHOW - to, "\\u%04x", next);
        } else {
            memcpy(buf + to, s + i, k);
            to += k;
        }
        i += k;
    }
    snprintf(buf + to, SCAN_SHOW - to, "%s", i < n ? "..." : "");
    return buf;
}
