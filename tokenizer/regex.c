#include "tokenizer/regex.h"
#include "base/mem.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "tokenizer/regex_tables.h"

/* Steps before a pattern is given up. A good one takes a few for each character; a bad one doubles with each. */
#define MATCH_LIMIT 20000000
#define HEAP_LIMIT_KIB (512 * 1024)
#define PATTERN_MAX (1 << 20) /* bytes of a translated pattern */

struct regex {
    pcre2_code *code;
    pcre2_match_context *context;
    bool jit;
    char where[96];
};

struct regex_scratch {
    pcre2_match_data *data;
};

/* ---- translation ---- */

typedef struct translation {
    char *out;
    size_t len, cap;
    const char *where;
    pith_err *e;
} translation;

static int put(translation *t, const char *s, size_t n)
{
    if (t->cap - t->len < n) {
        size_t cap = t->cap * 2 + n + 256;
        if (cap > PATTERN_MAX * 2) return err_set(t->e, "%s: the pattern is too long", t->where);
        char *p = mem_resize(t->out, cap);
        if (!p) return err_nomem(t->e, cap, "a pattern");
        t->out = p;
        t->cap = cap;
    }
    memcpy(t->out + t->len, s, n);
    t->len += n;
    return 0;
}

static int put_range(translation *t, uint32_t first, uint32_t last)
{
    char s[40];
    int n = snprintf(s, sizeof s, first == last ? "\\x{%x}" : "\\x{%x}-\\x{%x}", (unsigned)first, (unsigned)last);
    return put(t, s, (size_t)n);
}

typedef struct class_table {
    const char *name;
    const uint32_t (*range)[2];
    size_t n;
    bool outside; /* the complement */
} class_table;

#define TABLE(name, ranges, outside) {name, ranges, sizeof ranges / sizeof *ranges, outside}
/* Longer names before their beginnings. */
static const class_table CLASSES[] = {
    TABLE("\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}", ranges_upper, false),
    TABLE("\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}", ranges_lower, false),
    TABLE("\\p{L}", ranges_L, false),
    TABLE("\\p{N}", ranges_N, false),
    TABLE("\\s", ranges_s, false),
    TABLE("\\P{L}", ranges_L, true),
    TABLE("\\P{N}", ranges_N, true),
    TABLE("\\S", ranges_s, true),
};

/* As members of a class whose bracket is open. */
static int put_class(translation *t, const class_table *c)
{
    uint32_t next = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->outside && put_range(t, c->range[i][0], c->range[i][1])) return -1;
        if (c->outside && c->range[i][0] > next && put_range(t, next, c->range[i][0] - 1)) return -1;
        next = c->range[i][1] + 1;
    }
    return c->outside && next <= 0x10ffff ? put_range(t, next, 0x10ffff) : 0;
}

/* Two sequences of properties only mean a table inside brackets, where they are united. */
static const class_table *find_class(const char *p, bool inside)
{
    for (size_t i = inside ? 0 : 2; i < sizeof CLASSES / sizeof *CLASSES; i++)
        if (strncmp(p, CLASSES[i].name, strlen(CLASSES[i].name)) == 0) return &CLASSES[i];
    return NULL;
}

static int refuse(translation *t, const char *what, const char *at)
{
    return err_set(t->e, "%s: %s near \"%.12s\" is not supported in a pattern", t->where, what, at);
}

/* \uHHHH is \x{HHHH}; \v is one character; escapes that mean something else to PCRE2 are refused. *p moves on. */
static int put_escape(translation *t, const char **p, bool inside)
{
    const char *s = *p;
    const class_table *c = find_class(s, inside);
    if (c) {
        *p += strlen(c->name);
        return (!inside && put(t, "[", 1)) || put_class(t, c) || (!inside && put(t, "]", 1)) ? -1 : 0;
    }
    if (!s[1]) return refuse(t, "a lone backslash", s);
    if (s[1] == 'u') {
        for (int i = 2; i < 6; i++)
            if (!s[i] || !strchr("0123456789abcdefABCDEF", s[i])) return refuse(t, "the escape", s);
        *p += 6;
        return put(t, "\\x{", 3) || put(t, s + 2, 4) || put(t, "}", 1) ? -1 : 0;
    }
    if (s[1] == 'v') {
        *p += 2;
        return put(t, "\\x0b", 4);
    }
    bool letter = (s[1] >= 'a' && s[1] <= 'z') || (s[1] >= 'A' && s[1] <= 'Z') || (s[1] >= '0' && s[1] <= '9');
    if ((letter && !strchr(inside ? "rntfdDwWpPx" : "rntfdDwWpPxbBAz", s[1])) || (unsigned char)s[1] >= 0x80)
        return refuse(t, "the escape", s);
    *p += 2;
    return put(t, s, 2);
}

/* A bracket expression from its '['. */
static int put_bracket(translation *t, const char **p)
{
    const char *open = *p, *s = open + 1;
    if (put(t, "[", 1)) return -1;
    if (*s == '^' && put(t, s++, 1)) return -1;
    if (*s == ']') return refuse(t, "an empty class", open);
    while (*s && *s != ']') {
        if (*s == '[' || (s[0] == '&' && s[1] == '&')) return refuse(t, "a class within a class", open);
        if (*s == '\\' ? put_escape(t, &s, true) : put(t, s++, 1)) return -1;
    }
    if (!*s) return refuse(t, "a class without end", open);
    *p = s + 1;
    return put(t, "]", 1);
}

/* Only groups and options that mean the same in both. */
static int check_group(translation *t, const char *s)
{
    static const char *const GOOD[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:", "(?i)", "(?-i)"};
    if (s[1] == '*') return refuse(t, "a verb", s);
    if (s[1] != '?') return 0;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        if (strncmp(s, GOOD[i], strlen(GOOD[i])) == 0) return 0;
    return refuse(t, "the group", s);
}

static int translate(translation *t, const char *p)
{
    while (*p) {
        if (*p == '\\') {
            if (put_escape(t, &p, false)) return -1;
        } else if (*p == '[') {
            if (put_bracket(t, &p)) return -1;
        } else {
            if (*p == '(' && check_group(t, p)) return -1;
            /* A possessive interval to PCRE2, a repeated one to oniguruma. */
            if (*p == '}' && p[1] == '+') return refuse(t, "an interval with +", p);
            if (put(t, p++, 1)) return -1;
        }
    }
    return t->len > PATTERN_MAX ? err_set(t->e, "%s: the pattern is too long", t->where) : put(t, "", 1);
}

/* ---- opening ---- */

static void *give(size_t bytes, void *ctx)
{
    (void)ctx;
    return mem_alloc(bytes);
}
static void take_back(void *p, void *ctx)
{
    (void)ctx;
    mem_free(p);
}

/* What PCRE2 makes for a pattern takes its memory as the contexts do. */
static int contexts(regex *r, pcre2_compile_context **compile, pith_err *e)
{
    pcre2_general_context *memory = pcre2_general_context_create(give, take_back, NULL);
    if (memory) *compile = pcre2_compile_context_create(memory);
    if (memory) r->context = pcre2_match_context_create(memory);
    pcre2_general_context_free(memory);
    return *compile && r->context ? 0 : err_nomem(e, 64, "a pattern");
}

static int build(regex *r, const char *pattern, pith_err *e)
{
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_compile_context *compile = NULL;
    if (contexts(r, &compile, e)) {
        pcre2_compile_context_free(compile);
        return -1;
    }
    r->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
                            &code, &at, compile);
    pcre2_compile_context_free(compile);
    if (!r->code && code == PCRE2_ERROR_NOMEMORY) return err_nomem(e, strlen(pattern), "a pattern");
    if (!r->code) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        if (code == 121) return err_nomem(e, strlen(pattern), "a pattern");
        return err_set(e, "%s: not a valid pattern: %s", r->where, (const char *)text);
    }
    pcre2_set_match_limit(r->context, MATCH_LIMIT);
    pcre2_set_heap_limit(r->context, HEAP_LIMIT_KIB);
    r->jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0; /* without it: slower */
    return 0;
}

regex *regex_open(const char *where, const char *pattern, pith_err *e)
{
    regex *r = mem_zero(1, sizeof *r);
    if (!r) return err_nomem(e, sizeof *r, "a pattern"), NULL;
    snprintf(r->where, sizeof r->where, "%s", where);
    translation t = {.where = r->where, .e = e};
    if (translate(&t, pattern) || build(r, t.out, e)) {
        regex_free(r);
        r = NULL;
    }
    mem_free(t.out);
    return r;
}

void regex_free(regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    pcre2_match_context_free(r->context);
    mem_free(r);
}

/* ---- matching ---- */

regex_scratch *regex_scratch_new(const regex *r, pith_err *e)
{
    regex_scratch *s = mem_alloc(sizeof *s);
    if (s && !(s->data = pcre2_match_data_create_from_pattern(r->code, NULL))) {
        mem_free(s);
        s = NULL;
    }
    if (!s) err_nomem(e, sizeof *s, "matching a pattern");
    return s;
}

void regex_scratch_free(regex_scratch *s)
{
    if (!s) return;
    pcre2_match_data_free(s->data);
    mem_free(s);
}

int regex_next(const regex *r, regex_scratch *s, const char *text, size_t len, size_t from, size_t *begin, size_t *end,
               pith_err *e)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    if (r->jit) rc = pcre2_jit_match(r->code, subject, len, from, 0, s->data, r->context);
    /* Its stack is small; the interpreter has the heap. */
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(r->code, subject, len, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->data, r->context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc == PCRE2_ERROR_NOMEMORY) return err_nomem(e, len, "matching a pattern");
    if (rc < 0) {
        PCRE2_UCHAR what[128] = "";
        pcre2_get_error_message(rc, what, sizeof what);
        return err_set(e, "%s: matching a text of %zu bytes was given up at byte %zu: %s", r->where, len, from,
                       (const char *)what);
    }
    const PCRE2_SIZE *place = pcre2_get_ovector_pointer(s->data);
    *begin = place[0];
    *end = place[1];
    return 1;
}
