/* jinja_json: JSON text to values. cJSON keeps numbers as doubles and ends strings at \u0000; messages and tools must come
 * out as they went in, so this room reads them itself: strict JSON, whole numbers exact (beyond 64 bits as their digits),
 * the last of duplicate keys wins, as in Python. */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <string.h>

typedef struct reader {
    jrun *r;
    const jinja_var *var;
    const char *p;
    size_t n, at;
} reader;

static jval bad(reader *j, const char *what)
{
    size_t line = 1, column = 1;
    if (j->r->failed) return jnone();
    for (size_t i = 0; i < j->at && i < j->n; i++) {
        column++;
        if (j->p[i] == '\n') line++, column = 1;
    }
    j->r->failed = true;
    err_set(j->r->e, "%s: not valid JSON at line %zu, column %zu: %s", j->var->name ? j->var->name : "variables", line, column, what);
    return jnone();
}

static void skip_space(reader *j)
{
    while (j->at < j->n && memchr(" \t\r\n", j->p[j->at], 4)) j->at++;
}

static bool hex4(reader *j, uint32_t *c)
{
    *c = 0;
    for (int i = 0; i < 4; i++, j->at++) {
        int d = j->at < j->n ? (unsigned char)j->p[j->at] : 0, l = d | 0x20;
        if (d >= '0' && d <= '9') *c = *c * 16 + (uint32_t)(d - '0');
        else if (l >= 'a' && l <= 'f') *c = *c * 16 + (uint32_t)(l - 'a' + 10);
        else return false;
    }
    return true;
}

/* After "\u". */
static void read_unicode(reader *j, jbuf *b, int source)
{
    uint32_t c, low = 0;
    if (!hex4(j, &c)) {
        bad(j, "\\u wants four hexadecimal digits");
        return;
    }
    if (c >= 0xd800 && c < 0xdc00 && j->n - j->at >= 6 && j->p[j->at] == '\\' && j->p[j->at + 1] == 'u') {
        j->at += 2;
        if (!hex4(j, &low) || low < 0xdc00 || low > 0xdfff) low = 0;
    }
    if (c >= 0xd800 && c < 0xe000 && !low) {
        bad(j, "half of a surrogate pair");
        return;
    }
    jinja_mem_putc(b, low ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00) : c, source);
}

static jval read_string(reader *j, int source)
{
    static const char *const from = "\"\\/bfnrt", *const to = "\"\\/\b\f\n\r\t";
    jbuf b = {.r = j->r};
    size_t start = ++j->at;
    for (; j->at < j->n && !j->r->failed; ) {
        char c = j->p[j->at];
        if ((unsigned char)c < 0x20) return bad(j, "a control character in a string");
        if (c != '"' && c != '\\') {
            j->at++;
            continue;
        }
        if (c == '"' && b.n == 0) {
            j->at++;
            return jstrv(jinja_mem_str(j->r, j->p + start, j->at - 1 - start, source));
        }
        jinja_mem_put(&b, j->p + start, j->at - start, source);
        j->at++;
        if (c == '"') return jstrv(jinja_mem_done(&b));
        char e = j->at < j->n ? j->p[j->at++] : 0;
        const char *hit = e ? strchr(from, e) : NULL;
        if (e == 'u') read_unicode(j, &b, source);
        else if (hit) jinja_mem_putc(&b, (uint32_t)to[hit - from], source);
        else return bad(j, "an unknown escape");
        start = j->at;
    }
    return bad(j, "a string without end");
}

static size_t digits(const reader *j, size_t at)
{
    size_t n = 0;
    while (at + n < j->n && j->p[at + n] >= '0' && j->p[at + n] <= '9') n++;
    return n;
}

static jval read_number(reader *j)
{
    size_t start = j->at, at = j->at;
    bool minus = j->p[at] == '-', whole = true;
    at += minus;
    size_t n = digits(j, at);
    if (!n || (n > 1 && j->p[at] == '0')) return bad(j, "not a value");
    at += n;
    if (at < j->n && j->p[at] == '.') {
        if (!(n = digits(j, at + 1))) return bad(j, "a number without digits behind its point");
        at += 1 + n;
        whole = false;
    }
    if (at < j->n && (j->p[at] | 0x20) == 'e') {
        at++;
        if (at < j->n && (j->p[at] == '+' || j->p[at] == '-')) at++;
        if (!(n = digits(j, at))) return bad(j, "a number without digits in its exponent");
        at += n;
        whole = false;
    }
    j->at = at;
    if (!whole) {
        double d = 0;
        jinja_number_parse(j->p + start + minus, at - start - minus, &d);
        return jfloat(minus ? -d : d);
    }
    uint64_t v = 0;
    bool big = false;
    for (size_t i = start + minus; i < at && !big; i++)
        big = __builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(j->p[i] - '0'), &v);
    if (big || v > (uint64_t)INT64_MAX + minus)
        return (jval){.type = J_BIGINT, .u.s = jinja_mem_str(j->r, j->p + start, at - start, JOURS)};
    return jint(minus ? (int64_t)(0 - v) : (int64_t)v);
}

static bool plain_text(const jstr *s)
{
    for (size_t i = 0; i < s->n; i++) {
        unsigned char c = (unsigned char)s->p[i];
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-') return false;
    }
    return true;
}

static jval read_value(reader *j);

static jval read_object(reader *j)
{
    jdict *d = jinja_value_dict(j->r);
    int source = j->var->foreign ? JFOREIGN : JOURS;
    j->at++;
    for (skip_space(j); !j->r->failed; skip_space(j)) {
        if (d->n == 0 && j->at < j->n && j->p[j->at] == '}') break;
        if (j->at >= j->n || j->p[j->at] != '"') return bad(j, "expected a key");
        jval k = read_string(j, source);
        skip_space(j);
        if (j->at >= j->n || j->p[j->at] != ':') return bad(j, "expected ':'");
        j->at++;
        jval v = read_value(j);
        const char *plain = j->var->plain_key;
        if (v.type == J_STR && plain && jis(k.u.s, plain) && plain_text(v.u.s))
            v = jstrv(jinja_mem_str(j->r, v.u.s->p, v.u.s->n, JOURS));
        jinja_value_put(j->r, d, k, v);
        skip_space(j);
        if (j->at < j->n && j->p[j->at] == ',') j->at++;
        else break;
        skip_space(j);
        if (j->at < j->n && j->p[j->at] == '}') return bad(j, "a comma before '}'");
    }
    if (j->at >= j->n || j->p[j->at] != '}') return bad(j, "expected ',' or '}'");
    j->at++;
    return jdictv(d);
}

static jval read_array(reader *j)
{
    jlist *l = jinja_value_list(j->r, 0);
    j->at++;
    skip_space(j);
    if (j->at < j->n && j->p[j->at] == ']') {
        j->at++;
        return jlistv(l);
    }
    while (!j->r->failed) {
        jinja_value_push(j->r, l, read_value(j));
        skip_space(j);
        if (j->at >= j->n || j->p[j->at] != ',') break;
        j->at++;
    }
    if (j->at >= j->n || j->p[j->at] != ']') return bad(j, "expected ',' or ']'");
    j->at++;
    return jlistv(l);
}

static bool word(reader *j, const char *w)
{
    size_t n = strlen(w);
    if (j->n - j->at < n || memcmp(j->p + j->at, w, n) != 0) return false;
    j->at += n;
    return true;
}

static jval read_value(reader *j)
{
    jval v = jnone();
    skip_space(j);
    if (j->r->failed || j->at >= j->n) return bad(j, "a value is missing");
    char c = j->p[j->at];
    if (c == '{' || c == '[') {
        if (!jinja_mem_enter(j->r)) return jnone();
        v = c == '{' ? read_object(j) : read_array(j);
        j->r->depth--;
    } else if (c == '"') v = read_string(j, j->var->foreign ? JFOREIGN : JOURS);
    else if (word(j, "true")) v = jbool(true);
    else if (word(j, "false")) v = jbool(false);
    else if (!word(j, "null")) v = read_number(j);
    return v;
}

jval jinja_json_read(jrun *r, const jinja_var *var)
{
    if (!var->text) return jnone();
    size_t at = unicode_valid(var->text, var->len);
    reader j = {.r = r, .var = var, .p = var->text, .n = var->len, .at = at};
    if (at < var->len) return bad(&j, "not valid UTF-8");
    if (!var->json) return jstrv(jinja_mem_str(r, var->text, var->len, var->foreign ? JFOREIGN : JOURS));
    j.at = 0;
    jval v = read_value(&j);
    skip_space(&j);
    if (!r->failed && j.at < j.n) return bad(&j, "text after the end of the value");
    return v;
}
