/* jinja_lex: template source to tokens: what jinja2's lexer does, with its rules for the whitespace around tags. */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <string.h>

typedef struct lexer {
    jrun *r;
    const jinja_syntax *syntax;
    const char *p;
    size_t n, at;
    uint32_t line;
    bool line_starting; /* what was read last ended with a newline */
    jtok *t;
    size_t n_t, cap;
    char *open; /* brackets that wait for their partners */
    size_t n_open, cap_open;
} lexer;

static void fail_at(lexer *x, const char *what)
{
    x->r->line = x->line;
    jinja_mem_fail(x->r, "TemplateSyntaxError", "%s", what);
}

static void emit(lexer *x, uint8_t type, jval v)
{
    if (x->r->failed) return;
    if (x->n_t == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        jtok *t = jinja_mem_grow(x->r, x->t, x->cap * sizeof *t, cap * sizeof *t);
        if (!t) return;
        x->t = t;
        x->cap = cap;
    }
    x->t[x->n_t++] = (jtok){.type = type, .line = x->line, .val = v};
}

static const jstr *piece(lexer *x, size_t begin, size_t end)
{
    jstr *s = jinja_mem_take(x->r, 1, sizeof *s);
    if (!s) return jinja_mem_lit(x->r, "");
    bool ascii = true;
    for (size_t i = begin; i < end && ascii; i++) ascii = (unsigned char)x->p[i] < 0x80;
    *s = (jstr){.p = x->p + begin, .n = end - begin, .ascii = ascii};
    return s;
}

static void advance(lexer *x, size_t to)
{
    for (size_t i = x->at; i < to; i++) x->line += x->p[i] == '\n';
    if (to > x->at) x->line_starting = x->p[to - 1] == '\n';
    x->at = to;
}

static size_t skip_space(const lexer *x, size_t at)
{
    while (at < x->n) {
        size_t len;
        if (!jinja_unicode_space(unicode_decode(x->p + at, &len))) break;
        at += len;
    }
    return at;
}

static size_t strip_right(const lexer *x, size_t begin, size_t end)
{
    while (end > begin) {
        size_t len, before = begin + unicode_before(x->p + begin, end - begin);
        if (!jinja_unicode_space(unicode_decode(x->p + before, &len))) break;
        end = before;
    }
    return end;
}

static bool starts(const lexer *x, size_t at, const char *what)
{
    size_t n = strlen(what);
    return x->n - at >= n && memcmp(x->p + at, what, n) == 0;
}

/* Emits the text before a tag, trimmed as the tag's sign and lstrip_blocks want. */
static void emit_text(lexer *x, size_t begin, size_t end, char sign, bool block)
{
    size_t keep = end;
    if (sign == '-') {
        keep = strip_right(x, begin, end);
    } else if (sign != '+' && x->syntax->lstrip_blocks && block) {
        size_t line = end;
        while (line > begin && x->p[line - 1] != '\n') line--;
        if ((line > begin || x->line_starting) && strip_right(x, line, end) == line) keep = line;
    }
    if (keep > begin) emit(x, T_DATA, jstrv(piece(x, begin, keep)));
}

/* Where a tag ends: its closing mark at `at`, a sign before it, and the whitespace it takes along. 0: not here. */
static size_t tag_end(const lexer *x, size_t at, const char *close, bool block)
{
    if (starts(x, at, close)) {
        at += 2;
        return block && x->syntax->trim_blocks && at < x->n && x->p[at] == '\n' ? at + 1 : at;
    }
    if (at >= x->n || !starts(x, at + 1, close)) return 0;
    if (x->p[at] == '-') return skip_space(x, at + 3);
    return block && x->p[at] == '+' ? at + 3 : 0;
}

static void comment(lexer *x)
{
    size_t from = x->at, at = from;
    while (at < x->n && !starts(x, at, "#}")) at++;
    if (at >= x->n) {
        fail_at(x, "Missing end of comment tag");
        return;
    }
    if (at > from && (x->p[at - 1] == '-' || x->p[at - 1] == '+')) at--;
    advance(x, tag_end(x, at, "#}", true));
}

/* {% raw %} at `at`, sign included? The end of the tag, else 0. */
static size_t raw_tag(const lexer *x, size_t at, const char *name, bool begin)
{
    at = skip_space(x, at);
    if (!starts(x, at, name)) return 0;
    at = skip_space(x, at + strlen(name));
    if (!begin) return tag_end(x, at, "%}", true);
    if (starts(x, at, "%}")) return at + 2;
    return starts(x, at, "-%}") ? skip_space(x, at + 3) : 0;
}

static size_t after_sign(const lexer *x, size_t at, char *sign)
{
    *sign = at < x->n && (x->p[at] == '-' || x->p[at] == '+') ? x->p[at] : 0;
    return at + (*sign != 0);
}

static void raw(lexer *x)
{
    size_t from = x->at;
    for (size_t at = from; at < x->n; at++) {
        char sign;
        if (!starts(x, at, "{%")) continue;
        size_t end = raw_tag(x, after_sign(x, at + 2, &sign), "endraw", false);
        if (!end) continue;
        emit_text(x, from, at, sign, true);
        advance(x, end);
        return;
    }
    fail_at(x, "Missing end of raw directive");
}

/* ---- inside a tag ---- */

static size_t digits(const lexer *x, size_t at) /* (\d+_)*\d+ */
{
    size_t end = at;
    while (end < x->n && ((x->p[end] >= '0' && x->p[end] <= '9') ||
                          (x->p[end] == '_' && end > at && x->p[end - 1] != '_' && end + 1 < x->n && x->p[end + 1] >= '0' && x->p[end + 1] <= '9')))
        end++;
    return end;
}

static size_t float_end(const lexer *x, size_t at)
{
    size_t end = digits(x, at), frac = end;
    if (end == at || (at > 0 && x->p[at - 1] == '.')) return 0;
    if (end < x->n && x->p[end] == '.' && digits(x, end + 1) > end + 1) frac = digits(x, end + 1);
    if (frac < x->n && (x->p[frac] | 0x20) == 'e') {
        size_t e = frac + 1;
        if (e < x->n && (x->p[e] == '+' || x->p[e] == '-')) e++;
        if (digits(x, e) > e) return digits(x, e);
    }
    return frac > end ? frac : 0;
}

static size_t integer_end(const lexer *x, size_t at)
{
    char kind = at + 2 < x->n && x->p[at] == '0' ? (char)(x->p[at + 1] | 0x20) : 0;
    if (kind == 'x' || kind == 'o' || kind == 'b') {
        size_t end = at + 2;
        const char *set = kind == 'x' ? "0123456789abcdefABCDEF" : kind == 'o' ? "01234567" : "01";
        while (end < x->n && x->p[end] && (strchr(set, x->p[end]) || (x->p[end] == '_' && x->p[end - 1] != '_'))) end++;
        if (x->p[end - 1] == '_') end--;
        if (end > at + 2) return end;
    }
    if (x->p[at] != '0') return digits(x, at);
    size_t end = at + 1;
    while (end < x->n && (x->p[end] == '0' || (x->p[end] == '_' && end + 1 < x->n && x->p[end + 1] == '0'))) end++;
    return end;
}

static void number(lexer *x)
{
    size_t end = float_end(x, x->at);
    char buf[1024];
    double d;
    int64_t i;
    bool big = false;
    if (end) {
        size_t n = 0;
        bool good = end - x->at < sizeof buf;
        for (size_t k = x->at; k < end && good; k++)
            if (x->p[k] != '_') buf[n++] = x->p[k];
        if (good && jinja_number_parse(buf, n, &d)) emit(x, T_FLOAT, jfloat(d));
        else fail_at(x, "a number with too many digits");
    } else {
        end = integer_end(x, x->at);
        jstr s = {.p = x->p + x->at, .n = end - x->at};
        if (jinja_number_int(&s, 0, &i, &big) && !big) emit(x, T_INTEGER, jint(i));
        else fail_at(x, "a whole number beyond 64 bits");
    }
    advance(x, end);
}

static bool name_char(const lexer *x, size_t at, size_t *len)
{
    uint32_t c = unicode_decode(x->p + at, len);
    return c == '_' || jinja_unicode_alnum(c);
}

static void name(lexer *x)
{
    size_t end = x->at, len;
    while (end < x->n && name_char(x, end, &len)) end += len;
    emit(x, T_NAME, jstrv(piece(x, x->at, end)));
    advance(x, end);
}

static bool hex(const lexer *x, size_t at, size_t end, int n, uint32_t *c)
{
    *c = 0;
    if (end - at < (size_t)n) return false;
    for (int i = 0; i < n; i++) {
        int d = (unsigned char)x->p[at + (size_t)i], l = d | 0x20;
        if (d >= '0' && d <= '9') *c = *c * 16 + (uint32_t)(d - '0');
        else if (l >= 'a' && l <= 'f') *c = *c * 16 + (uint32_t)(l - 'a' + 10);
        else return false;
    }
    return true;
}

/* \xhh \uhhhh \Uhhhhhhhh at x->p[at] = the letter; returns the place behind, 0 if it is broken. */
static size_t escape_hex(lexer *x, jbuf *b, size_t at, size_t end)
{
    int n = x->p[at] == 'x' ? 2 : x->p[at] == 'u' ? 4 : 8;
    uint32_t c, low;
    if (!hex(x, at + 1, end, n, &c)) return 0;
    at += 1 + (size_t)n;
    if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && x->p[at] == '\\' && x->p[at + 1] == 'u' && hex(x, at + 2, end, 4, &low) &&
        low >= 0xdc00 && low < 0xe000) {
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    jinja_mem_putc(b, c, JOURS);
    return at;
}

/* One escape; at: behind the backslash. */
static size_t escape(lexer *x, jbuf *b, size_t at, size_t end)
{
    static const char *const from = "\\'\"abfnrtv", *const to = "\\'\"\a\b\f\n\r\t\v";
    char c = x->p[at];
    const char *hit = c ? strchr(from, c) : NULL;
    if (c == '\n') return at + 1;
    if (hit) {
        jinja_mem_putc(b, (uint32_t)to[hit - from], JOURS);
        return at + 1;
    }
    if (c >= '0' && c <= '7') {
        uint32_t v = 0;
        for (size_t k = 0; k < 3 && at < end && x->p[at] >= '0' && x->p[at] <= '7'; k++) v = v * 8 + (uint32_t)(x->p[at++] - '0');
        jinja_mem_putc(b, v, JOURS);
        return at;
    }
    if (c == 'x' || c == 'u' || c == 'U') {
        at = escape_hex(x, b, at, end);
        if (!at) fail_at(x, "a broken \\x, \\u or \\U escape in a string");
        return at ? at : end;
    }
    if (c == 'N') fail_at(x, "\\N{...} in a string is not supported: write the character itself");
    jinja_mem_put(b, "\\", 1, JOURS); /* not an escape: both characters stay */
    return at;
}

static void string(lexer *x)
{
    char quote = x->p[x->at];
    size_t end = x->at + 1;
    while (end < x->n && x->p[end] != quote) end += x->p[end] == '\\' ? 2 : 1;
    if (end >= x->n) {
        fail_at(x, "a string without end");
        return;
    }
    jbuf b = {.r = x->r};
    size_t from = x->at + 1;
    for (size_t at = from; at < end && !x->r->failed;) {
        if (x->p[at] != '\\') {
            at++;
            continue;
        }
        jinja_mem_put(&b, x->p + from, at - from, JOURS);
        from = escape(x, &b, at + 1, end);
        at = from;
    }
    if (from < end) jinja_mem_put(&b, x->p + from, end - from, JOURS);
    emit(x, T_STRING, jstrv(jinja_mem_done(&b)));
    advance(x, end + 1);
}

static const struct {
    const char *text;
    uint8_t type;
} operators[] = {
    {"//", T_FLOORDIV}, {"**", T_POW}, {"==", T_EQ}, {"!=", T_NE}, {"<=", T_LE}, {">=", T_GE}, {"+", T_ADD}, {"-", T_SUB},
    {"/", T_DIV}, {"*", T_MUL}, {"%", T_MOD}, {"~", T_TILDE}, {"[", T_LBRACKET}, {"]", T_RBRACKET}, {"(", T_LPAREN},
    {")", T_RPAREN}, {"{", T_LBRACE}, {"}", T_RBRACE}, {">", T_GT}, {"<", T_LT}, {"=", T_ASSIGN}, {".", T_DOT}, {":", T_COLON},
    {"|", T_PIPE}, {",", T_COMMA}, {";", T_SEMICOLON},
};

const char *jinja_lex_name(uint8_t type)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (operators[i].type == type) return operators[i].text;
    switch (type) {
    case T_EOF: return "end of template";
    case T_DATA: return "text";
    case T_VAR_BEGIN: return "{{";
    case T_VAR_END: return "end of print statement";
    case T_BLOCK_BEGIN: return "{%";
    case T_BLOCK_END: return "end of statement block";
    case T_NAME: return "name";
    case T_STRING: return "string";
    case T_INTEGER: return "integer";
    default: return "float";
    }
}

/* Keeps the account of brackets. */
static void bracket(lexer *x, char c)
{
    if (c == '(' || c == '[' || c == '{') {
        if (x->n_open == x->cap_open) {
            size_t cap = x->cap_open ? x->cap_open * 2 : 64;
            char *open = jinja_mem_grow(x->r, x->open, x->cap_open, cap);
            if (!open) return;
            x->open = open;
            x->cap_open = cap;
        }
        x->open[x->n_open++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        char what[48] = "unexpected ' '";
        what[12] = c;
        if (!x->n_open) fail_at(x, what);
        else if (x->open[--x->n_open] != c) {
            memcpy(what + 14, ", expected ' '", 15);
            what[26] = x->open[x->n_open];
            fail_at(x, what);
        }
    }
}

static void operator_(lexer *x)
{
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (!starts(x, x->at, operators[i].text)) continue;
        size_t n = strlen(operators[i].text);
        if (n == 1) bracket(x, x->p[x->at]);
        emit(x, operators[i].type, jnone());
        advance(x, x->at + n);
        return;
    }
    char what[64] = "unexpected character ";
    size_t len, at = strlen(what);
    unicode_decode(x->p + x->at, &len);
    memcpy(what + at, x->p + x->at, len);
    fail_at(x, what);
}

static void inside(lexer *x, bool block)
{
    x->n_open = 0;
    while (x->at < x->n && !x->r->failed) {
        size_t len, end = x->n_open ? 0 : tag_end(x, x->at, block ? "%}" : "}}", block);
        char c = x->p[x->at];
        if (end) {
            emit(x, block ? T_BLOCK_END : T_VAR_END, jnone());
            advance(x, end);
            return;
        }
        if (skip_space(x, x->at) > x->at) advance(x, skip_space(x, x->at));
        else if (c >= '0' && c <= '9') number(x);
        else if (name_char(x, x->at, &len)) name(x);
        else if (c == '\'' || c == '"') string(x);
        else operator_(x);
    }
    if (!x->r->failed) fail_at(x, block ? "a tag without its end: %}" : "a print statement without its end: }}");
}

static void tag(lexer *x, size_t at)
{
    char sign, kind = x->p[at + 1];
    size_t next = after_sign(x, at + 2, &sign);
    size_t raw_end = kind == '%' ? raw_tag(x, next, "raw", true) : 0;
    emit_text(x, x->at, at, sign, kind != '{');
    advance(x, raw_end ? raw_end : next);
    if (raw_end) {
        raw(x);
    } else if (kind == '#') {
        comment(x);
    } else {
        emit(x, kind == '%' ? T_BLOCK_BEGIN : T_VAR_BEGIN, jnone());
        inside(x, kind == '%');
    }
}

/* Newlines as \n, and without the last one unless it is wanted. */
static bool normalize(lexer *x, const char *text, size_t len)
{
    char *p = jinja_mem_grow(x->r, NULL, 0, len + 1);
    if (!p) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\r' && i + 1 < len && text[i + 1] == '\n') continue;
        p[x->n++] = text[i] == '\r' ? '\n' : text[i];
    }
    p[x->n] = 0;
    if (!x->syntax->keep_trailing_newline && x->n && p[x->n - 1] == '\n') x->n--;
    x->p = p;
    return true;
}

jtok *jinja_lex_all(jrun *r, const char *text, size_t len, const jinja_syntax *syntax, size_t *n)
{
    lexer x = {.r = r, .syntax = syntax, .line = 1, .line_starting = true};
    size_t valid = unicode_valid(text, len);
    if (valid < len) {
        for (size_t i = 0; i < valid; i++) x.line += text[i] == '\n';
        fail_at(&x, "not valid UTF-8");
        return NULL;
    }
    if (!normalize(&x, text, len)) return NULL;
    while (x.at < x.n && !r->failed) {
        size_t at = x.at;
        while (at < x.n && !(x.p[at] == '{' && at + 1 < x.n && (x.p[at + 1] == '{' || x.p[at + 1] == '%' || x.p[at + 1] == '#'))) at++;
        if (at < x.n) {
            tag(&x, at);
        } else {
            emit(&x, T_DATA, jstrv(piece(&x, x.at, at)));
            advance(&x, at);
        }
    }
    emit(&x, T_EOF, jnone());
    *n = x.n_t;
    return r->failed ? NULL : x.t;
}
