#include "tokenizer/unicode.h"
#include <stdbool.h>
#include <string.h>
#include <utf8proc.h>
#include "tokenizer/unicode_tables.h"

unsigned unicode_class(uint32_t c)
{
    if (c > 0x10ffff) return 0;
    return kind[leaf[mid[top[c >> 12]][c >> 6 & 63]][c & 63] - 'A'];
}

size_t unicode_lower(uint32_t c, uint32_t out[2])
{
    out[0] = c;
    if (!(unicode_class(c) & UNICODE_LOWER)) return 1;
    if (c == 0x130) { /* I with dot above: the dot stays, as a combining mark */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    size_t a = 0, b = sizeof lower_runs / sizeof *lower_runs;
    while (b - a > 1) {
        size_t m = a + (b - a) / 2;
        if (lower_runs[m].first <= c)
            a = m;
        else
            b = m;
    }
    out[0] = (uint32_t)((int32_t)c + lower_runs[a].delta);
    return 1;
}

size_t unicode_decompose_to(uint32_t c, int compat, uint32_t out[UNICODE_COMPAT_MAX])
{
    out[0] = c;
    unsigned class = unicode_class(c);
    bool by_compat = compat && class & UNICODE_COMPAT;
    if (!by_compat && !(class & UNICODE_DECOMPOSES)) return 1;
    if (c >= 0xac00 && c <= 0xd7a3) { /* Hangul, Unicode 3.12 */
        uint32_t s = c - 0xac00;
        out[0] = 0x1100 + s / 588;
        out[1] = 0x1161 + s % 588 / 28;
        out[2] = 0x11a7 + s % 28;
        return s % 28 ? 3 : 2;
    }
    utf8proc_int32_t d[UNICODE_COMPAT_MAX];
    int boundary = 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char((utf8proc_int32_t)c, d, UNICODE_COMPAT_MAX,
                                by_compat ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > UNICODE_COMPAT_MAX) return 1;
    for (utf8proc_ssize_t i = 0; i < n; i++) out[i] = (uint32_t)d[i];
    return (size_t)n;
}

uint32_t unicode_compose(uint32_t a, uint32_t b)
{
    if (b >= 0x1161 && b <= 0x1175 && a >= 0x1100 && a <= 0x1112) return 0xac00 + ((a - 0x1100) * 21 + (b - 0x1161)) * 28;
    if (b >= 0x11a8 && b <= 0x11c2 && a >= 0xac00 && a <= 0xd7a3 && (a - 0xac00) % 28 == 0) return a + (b - 0x11a7);
    if (!(unicode_class(b) & (UNICODE_COMBINING | UNICODE_MARK))) return 0;
    utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1) return 0;
    uint32_t c = (uint32_t)pair[0];
    return unicode_class(c) & UNICODE_DECOMPOSES ? c : 0; /* not one that the reference does not know */
}

int unicode_grapheme_break(uint32_t a, uint32_t b, int32_t *state)
{
    utf8proc_int32_t s = *state;
    int cut = utf8proc_grapheme_break_stateful((utf8proc_int32_t)a, (utf8proc_int32_t)b, &s);
    *state = s;
    return cut;
}

unsigned unicode_combining(uint32_t c)
{
    if (!(unicode_class(c) & UNICODE_COMBINING)) return 0;
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}

size_t unicode_sequence(const char *s, size_t n, size_t *bad)
{
    const unsigned char *p = (const unsigned char *)s;
    *bad = 1;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    size_t want = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    /* The second byte's range is what excludes overlong forms, surrogates and code points past U+10FFFF. */
    unsigned lo = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned hi = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (n < 2 || p[1] < lo || p[1] > hi) return 0;
    for (*bad = 2; *bad < want; ++*bad)
        if (*bad >= n || (p[*bad] & 0xc0) != 0x80) return 0;
    return want;
}

size_t unicode_valid(const char *s, size_t n)
{
    size_t i = 0, bad;
    while (i < n) {
        uint64_t eight;
        while (n - i >= 8 && (memcpy(&eight, s + i, 8), !(eight & 0x8080808080808080u))) i += 8;
        if (i >= n) break;
        size_t len = unicode_sequence(s + i, n - i, &bad);
        if (!len) return i;
        i += len;
    }
    return n;
}

size_t unicode_encode(uint32_t c, char out[4])
{
    if (c < 0x80) return out[0] = (char)c, 1;
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}
