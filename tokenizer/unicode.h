/* unicode: UTF-8, and what the reference (huggingface/tokenizers 0.22) takes each code point for. The one door to
 * utf8proc, which supplies decompositions, compositions, combining classes and grapheme breaks; which code points have them, and every other class,
 * comes from generated tables, so that results do not depend on utf8proc's version of Unicode.
 * Knows nothing of tokenizers. */
#ifndef TOKENIZER_UNICODE_H
#define TOKENIZER_UNICODE_H
#include <stddef.h>
#include <stdint.h>

enum {
    UNICODE_SPACE = 1 << 0,       /* White_Space: \s, char::is_whitespace */
    UNICODE_PUNCTUATION = 1 << 1, /* what BertPreTokenizer isolates (Unicode 8) */
    UNICODE_CLEAN_DROP = 1 << 2,  /* what clean_text removes */
    UNICODE_CLEAN_SPACE = 1 << 3, /* what clean_text turns into a space */
    UNICODE_CJK = 1 << 4,         /* what handle_chinese_chars puts spaces around */
    UNICODE_MN = 1 << 5,          /* what strip_accents removes (Mn of Unicode 8) */
    UNICODE_MARK = 1 << 6,        /* what the StripAccents normalizer removes */
    UNICODE_WORD = 1 << 7,        /* \w */
    UNICODE_DECOMPOSES = 1 << 8,  /* NFD changes it */
    UNICODE_COMBINING = 1 << 9,   /* combining class is not 0 */
    UNICODE_LOWER = 1 << 10,      /* lowercase changes it */
    UNICODE_NUMERIC = 1 << 11,    /* what Digits cuts out: char::is_numeric */
    UNICODE_COMPAT = 1 << 12      /* NFKD changes it to something else than NFD */
};

/* Flags of any code point up to U+10FFFF; 0 above. */
unsigned unicode_class(uint32_t c);
/* Lowercase of one character, without context; out takes 2. Returns how many. */
size_t unicode_lower(uint32_t c, uint32_t out[2]);
/* Full decomposition: canonical, or also of compatibility characters; out takes UNICODE_COMPAT_MAX. Returns how many,
 * at least 1. */
#define UNICODE_COMPAT_MAX 18
size_t unicode_decompose_to(uint32_t c, int compat, uint32_t out[UNICODE_COMPAT_MAX]);
/* What two characters become in canonical composition; 0: they stay. */
uint32_t unicode_compose(uint32_t a, uint32_t b);
/* Does a user-perceived character end between a and b? *state is 0 at the start of a text. */
int unicode_grapheme_break(uint32_t a, uint32_t b, int32_t *state);
/* Canonical combining class, 0..254. */
unsigned unicode_combining(uint32_t c);

/* Length of the valid UTF-8 sequence at s[0..n), n > 0; 0 if there is none, and then *bad (1..3) is the length of the
 * maximal invalid part that one U+FFFD replaces (Unicode 15, 3.9, "maximal subpart"). */
size_t unicode_sequence(const char *s, size_t n, size_t *bad);
/* Is s[0..n), n > 0, the beginning of a valid sequence that is not complete? */
static inline int unicode_may_go_on(const char *s, size_t n)
{
    size_t bad;
    unsigned char b = (unsigned char)s[0];
    size_t want = b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc2 ? 2 : 1;
    return b <= 0xf4 && n < want && !unicode_sequence(s, n, &bad) && bad == n;
}
/* Offset of the first invalid byte; n if s is valid UTF-8. */
size_t unicode_valid(const char *s, size_t n);
/* Decodes one character of valid UTF-8 at s; *len is its length. */
static inline uint32_t unicode_decode(const char *s, size_t *len)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) return *len = 1, p[0];
    if (p[0] < 0xe0) return *len = 2, (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (p[0] < 0xf0) return *len = 3, (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return *len = 4, (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}
/* Start of the character of valid UTF-8 that ends before s + at; at > 0. */
static inline size_t unicode_before(const char *s, size_t at)
{
    do at--;
    while (at > 0 && ((unsigned char)s[at] & 0xc0) == 0x80);
    return at;
}
/* Writes c, a scalar value, as UTF-8; returns its length, 1..4. */
size_t unicode_encode(uint32_t c, char out[4]);

#endif
