/* corpus: what the tests of the tokenizer against the reference share: opening, comparing, and the golden corpora. */
#ifndef TESTS_CORPUS_H
#define TESTS_CORPUS_H
#include "util.h"
#include "cli/jtext.c" /* the command line is in no library */
#include "base/json.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

static inline tokenizer *open_or_fail(const char *dir)
{
    pith_err e = {{0}};
    tokenizer *t = tokenizer_open(dir, &e);
    if (!t) fail_msg("%s", e.msg);
    return t;
}

static inline void encode_or_fail(const tokenizer *t, const char *a, size_t n, const char *b, const tokenizer_options *o,
                           tokenizer_encoding *x)
{
    pith_err e = {{0}};
    if (tokenizer_encode(t, a, n, b, b ? strlen(b) : 0, o, x, NULL, &e)) fail_msg("%s", e.msg);
}

/* Compares a JSON array of numbers with n values. */
static inline void check_numbers(json want, const char *where, size_t n, const void *values, size_t size)
{
    size_t i = 0;
    for (json c = json_first(want); c.node; c = json_next(c), i++) {
        if (i >= n) break;
        double got = size == 1   ? ((const uint8_t *)values)[i]
                     : size == 4 ? ((const int32_t *)values)[i]
                                 : (double)((const uint64_t *)values)[i];
        if (got != json_num(c)) fail_msg("%s: [%zu] is %.0f, expected %.0f", where, i, got, json_num(c));
    }
    if (i != n || json_len(want) != n) fail_msg("%s: %zu values, expected %zu", where, n, json_len(want));
}

/* A JSON string cannot hold NUL here; the goldens' are read as this character (see show_nul). */
#define NUL_SHOWN "\\uE7FF"

static inline void check_decoded(const tokenizer *t, const tokenizer_encoding *x, bool skip, const char *want,
                          const char *where)
{
    pith_err e = {{0}};
    char *text, *shown = NULL;
    size_t len, n = 0;
    if (tokenizer_decode(t, x->ids, x->n, skip, &text, &len, &e)) fail_msg("%s: %s", where, e.msg);
    assert_non_null(shown = malloc(3 * len + 1));
    for (size_t i = 0; i < len; i++) {
        memcpy(shown + n, text[i] ? text + i : "\xee\x9f\xbf", text[i] ? 1 : 3);
        n += text[i] ? 1 : 3;
    }
    shown[n] = 0;
    if (strlen(want) != n || memcmp(want, shown, n))
        fail_msg("%s: decoded \"%s\", expected \"%s\"", where, shown, want);
    free(shown);
    free(text);
}

/* Id by id: whole characters each time, and together the same text. */
static inline void check_stream(const tokenizer *t, const int32_t *ids, size_t n, bool skip, const char *where)
{
    pith_err e = {{0}};
    char *whole;
    const char *part;
    size_t len, at = 0, k;
    tokenizer_stream *s = tokenizer_stream_open(t, skip, &e);
    if (!s || tokenizer_decode(t, ids, n, skip, &whole, &len, &e)) fail_msg("%s: %s", where, e.msg);
    for (size_t i = 0; i <= n; i++) {
        if (i < n ? tokenizer_stream_next(s, ids[i], &part, &k, &e) : tokenizer_stream_end(s, &part, &k, &e))
            fail_msg("%s: %s", where, e.msg);
        if (unicode_valid(part, k) < k) fail_msg("%s: broken UTF-8 after id %zu", where, i);
        if (k > len - at || memcmp(whole + at, part, k)) fail_msg("%s: streamed text differs after id %zu", where, i);
        at += k;
    }
    if (at != len) fail_msg("%s: %zu bytes streamed, expected %zu", where, at, len);
    tokenizer_stream_free(s);
    free(whole);
}

/* Replaces \u0000 in JSON text of equal length. */
static inline void show_nul(char *s, size_t n)
{
    for (size_t i = 0; i + 6 <= n; i++) {
        if (s[i] == '\\' && memcmp(s + i, "\\u0000", 6) == 0) memcpy(s + i, NUL_SHOWN, 6);
        if (s[i] == '\\') i++;
    }
}

static inline void check_case(const tokenizer *t, json c, const char *where)
{
    tokenizer_encoding x = {0};
    const char *a = json_str(json_get(c, "a"));
    json b = json_get(c, "b"), offsets = json_get(c, "offsets");
    tokenizer_options o = {.no_special = json_true(json_get(c, "plain")),
                           .max_length = (size_t)json_num(json_get(c, "max"))};
    encode_or_fail(t, a, strlen(a), json_typeof(b) == JSON_STRING ? json_str(b) : NULL, &o, &x);
    check_numbers(json_get(c, "ids"), where, x.n, x.ids, 4);
    check_numbers(json_get(c, "types"), where, x.n, x.type_ids, 1);
    check_numbers(json_get(c, "special"), where, x.n, x.special, 1);
    size_t i = 0;
    for (json p = json_first(offsets); p.node; p = json_next(p), i++) {
        uint64_t got[2] = {x.begin[i], x.end[i]};
        check_numbers(p, where, 2, got, 8);
    }
    check_decoded(t, &x, false, json_str(json_get(c, "decoded")), where);
    check_decoded(t, &x, true, json_str(json_get(c, "decoded_skip")), where);
    tokenizer_encoding_free(&x);
}

/* Texts of a corpus one by one: lines, or JSON strings a line. */
typedef struct corpus {
    char *text, *at, *end;
    char *decoded; /* of the JSON string at hand; it may hold NUL */
    bool json;
} corpus;

static inline corpus corpus_open(const char *path, bool as_json)
{
    size_t n;
    corpus c = {util_read(path, &n), NULL, NULL, NULL, as_json};
    if (strstr(path, ".dec.jsonl")) show_nul(c.text, n);
    c.at = c.text;
    c.end = c.text + n;
    return c;
}

static inline bool corpus_next(corpus *c, const char **s, size_t *len)
{
    free(c->decoded);
    c->decoded = NULL;
    if (c->at >= c->end) return false;
    char *nl = memchr(c->at, '\n', (size_t)(c->end - c->at));
    if (!nl) nl = c->end;
    *s = c->at;
    *len = (size_t)(nl - c->at);
    if (c->json) {
        assert_true(*len >= 2 && **s == '"' && jtext_check(*s, *len, NULL) == 0);
        *s = c->decoded = jtext_decode(*s + 1, *len - 2, len);
        assert_non_null(*s);
    }
    c->at = nl + 1;
    return true;
}

/* Spans lie in the text, in order, and begin and end with characters. */
static inline void check_spans(const tokenizer_encoding *x, const char *s, size_t len)
{
    uint64_t begin = 0;
    for (size_t i = 0; i < x->n; i++) {
        assert_true(x->begin[i] >= begin && x->begin[i] < x->end[i] && x->end[i] <= len);
        assert_true(((unsigned char)s[x->begin[i]] & 0xc0) != 0x80);
        assert_true(x->end[i] == len || ((unsigned char)s[x->end[i]] & 0xc0) != 0x80);
        begin = x->begin[i];
    }
}

/* Under a sanitizer a third of the lines, others for each tokenizer; with LONG=1 all. Takes t. */
static inline void check_corpus(tokenizer *t, const char *texts, bool as_json, const char *stem, const char *name, size_t n_lines)
{
    static const char *const suffixes[] = {"", ".plain", ".dec"};
    char rel[128];
    for (size_t k = 0; k < 3; k++) {
        snprintf(rel, sizeof rel, "golden/tokenizer/%s.%s%s.jsonl", stem, name, suffixes[k]);
        corpus in = corpus_open(util_need(texts), as_json), want = corpus_open(util_need(rel), false);
        tokenizer_encoding x = {0};
        tokenizer_options o = {.no_special = k > 0};
        const char *s = "", *w = "";
        size_t len = 0, wlen = 0, line = 0;
        while (corpus_next(&in, &s, &len)) {
            char where[160];
            snprintf(where, sizeof where, "%s line %zu", rel, ++line);
            if (!corpus_next(&want, &w, &wlen)) fail_msg("%s: no such line", where);
            if (UTIL_SANITIZED && !util_long() && (line + (size_t)name[strlen(name) - 1]) % 3) continue;
            json_doc *d = json_parse(rel, w, wlen, NULL);
            assert_non_null(d);
            encode_or_fail(t, s, len, NULL, &o, &x);
            if (k) check_spans(&x, s, len);
            if (k < 2) check_numbers(json_root(d), where, x.n, x.ids, 4);
            if (k == 2) check_decoded(t, &x, true, json_str(json_get(json_root(d), "skip")), where);
            if (k == 2) check_decoded(t, &x, false, json_str(json_get(json_root(d), "keep")), where);
            if (k == 2) check_stream(t, x.ids, x.n, true, where);
            if (k == 0) check_stream(t, x.ids, x.n, false, where);
            json_free(d);
        }
        assert_int_equal(line, n_lines);
        assert_false(corpus_next(&want, &w, &wlen));
        tokenizer_encoding_free(&x);
        free(in.text);
        free(want.text);
    }
    tokenizer_free(t);
}
#endif
