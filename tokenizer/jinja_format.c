/* jinja_format: "..." % values and "...".format(values). Widths and precisions are bounded. */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct spec {
    uint32_t fill; /* 0: not given */
    char align;    /* < > ^ = or 0 */
    char sign;     /* + - space */
    bool alternate, zero, comma;
    int64_t width, precision; /* -1: not given */
    char type;                /* 0: not given */
} spec;

static jval nothing(void) { return (jval){.type = J_UNDEFINED}; }

static void wrong_type(jrun *r, char type, jval v)
{
    if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
    jinja_mem_fail(r, "TypeError", "format '%c' does not fit a value of type %s", type, jinja_value_type(v));
}

/* Text of prefix (sign, 0x) and digits, padded. */
static void put_padded(jbuf *b, const char *prefix, const char *digits, const spec *s)
{
    jrun *r = b->r;
    const jstr *sign = jinja_mem_lit(r, prefix), *body = jinja_mem_lit(r, digits);
    uint32_t fill = s->fill ? s->fill : s->zero ? '0' : ' ';
    char align = s->align ? s->align : s->zero ? '=' : '>';
    if (align == '=') {
        jinja_mem_putstr(b, sign);
        jinja_mem_putstr(b, jinja_method_pad(r, body, s->width - (int64_t)sign->n, fill, 'l', JOURS));
        return;
    }
    body = jinja_mem_concat(r, sign, body);
    jinja_mem_putstr(b, jinja_method_pad(r, body, s->width, fill, align == '<' ? 'r' : align == '^' ? 'm' : 'l', JOURS));
}

static const char *sign_of(bool minus, const spec *s) { return minus ? "-" : s->sign == '+' ? "+" : s->sign == ' ' ? " " : ""; }

/* A double has 309 digits before the point and here 300 behind it; with commas and a sign they are less than TEXT_MOST. */
enum { TEXT_MOST = 720, GROUPED_MOST = 300 };

/* Do zeros fill up what is too narrow, behind the sign? */
static bool zero_filled(const spec *s) { return s->fill ? s->fill == '0' && s->align == '=' : s->zero && (!s->align || s->align == '='); }

/* 1234567 -> 1,234,567; only the digits before the point. Zeros that fill up are grouped too. */
static void group(jrun *r, char text[TEXT_MOST], const char *prefix, const spec *s)
{
    char out[TEXT_MOST];
    size_t whole = strspn(text, "0123456789"), rest = strlen(text) - whole, k = sizeof out;
    int64_t least = zero_filled(s) ? s->width - (int64_t)strlen(prefix) - (int64_t)rest - (s->type == '%') : 0;
    if (least > GROUPED_MOST) {
        jinja_mem_fail(r, "ValueError", "width %lld is beyond %d with ','", (long long)s->width, GROUPED_MOST);
        return;
    }
    for (size_t n = 0; whole && (n < whole || (int64_t)(sizeof out - k) < least); n++) {
        if (n && n % 3 == 0) out[--k] = ',';
        out[--k] = n < whole ? text[whole - 1 - n] : '0';
    }
    memmove(text + (sizeof out - k), text + whole, rest + 1);
    memcpy(text, out + k, sizeof out - k);
}

static void put_int(jbuf *b, int64_t i, const spec *s)
{
    char text[TEXT_MOST], prefix[8];
    uint64_t v = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    int base = s->type == 'x' || s->type == 'X' ? 16 : s->type == 'o' ? 8 : s->type == 'b' ? 2 : 10;
    size_t at = GROUPED_MOST + 1;
    if (s->precision > GROUPED_MOST) {
        jinja_mem_fail(b->r, "ValueError", "precision %lld is beyond %d", (long long)s->precision, GROUPED_MOST);
        return;
    }
    text[at] = 0;
    do text[--at] = (s->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[v % (uint64_t)base];
    while (v /= (uint64_t)base);
    while (s->precision > (int64_t)(GROUPED_MOST + 1 - at)) text[--at] = '0'; /* %.5d */
    memmove(text, text + at, GROUPED_MOST + 2 - at);
    snprintf(prefix, sizeof prefix, "%s%s", sign_of(i < 0, s),
             !s->alternate || base == 10 ? "" : base == 16 ? (s->type == 'X' ? "0X" : "0x") : base == 8 ? "0o" : "0b");
    if (s->comma) group(b->r, text, prefix, s);
    put_padded(b, prefix, text, s);
}

/* No type but a precision: as 'g', but one digit stays behind the point, and an exponent comes a digit earlier. */
static void plain_float(double d, int precision, bool alternate, char *text)
{
    if (precision < 1) precision = 1;
    jinja_number_fixed(d, precision, 'g', alternate, text, TEXT_MOST - 2);
    if (!isfinite(d) || strchr(text, 'e')) return;
    size_t whole = strspn(text, "0123456789");
    if (whole < (size_t)precision || d == 0) {
        if (!text[whole]) strcat(text, ".0");
        return;
    }
    jinja_number_fixed(d, precision - 1, 'e', alternate, text, TEXT_MOST - 2);
    char *e = strchr(text, 'e'), *end = e;
    if (!alternate && memchr(text, '.', (size_t)(e - text))) {
        while (end[-1] == '0') end--;
        if (end[-1] == '.') end--;
    }
    memmove(end, e, strlen(e) + 1);
}

static void put_float(jbuf *b, double d, const spec *s)
{
    char text[TEXT_MOST], kind = s->type == 'n' ? 'g' : (char)(s->type | 0x20);
    int64_t precision = s->precision < 0 ? 6 : s->precision;
    const char *prefix = sign_of(signbit(d) && !isnan(d), s);
    if (precision > 300) {
        jinja_mem_fail(b->r, "ValueError", "precision %lld is beyond 300", (long long)precision);
        return;
    }
    if (s->type == '%') d *= 100, kind = 'f';
    if (!s->type && s->precision < 0) jinja_number_repr(fabs(d), text);
    else if (!s->type) plain_float(fabs(d), (int)precision, s->alternate, text);
    else if (!jinja_number_fixed(fabs(d), (int)precision, kind, s->alternate, text, sizeof text - 2)) text[0] = 0;
    if (s->type == 'E' || s->type == 'G')
        for (char *p = text; *p; p++) *p = *p == 'e' ? 'E' : *p;
    if (s->comma) group(b->r, text, prefix, s);
    if (s->type == '%') strcat(text, "%");
    put_padded(b, prefix, text, s);
}

static void put_text(jbuf *b, const jstr *t, const spec *s)
{
    jrun *r = b->r;
    if (s->precision >= 0) t = jinja_mem_slice(r, t, 0, jinja_value_offset(r, t, (size_t)s->precision));
    char side = s->align == '>' ? 'l' : s->align == '^' ? 'm' : 'r';
    jinja_mem_putstr(b, jinja_method_pad(r, t, s->width, s->fill ? s->fill : ' ', side, JOURS));
}

/* The character of a number. */
static void put_char(jbuf *b, jval v, const spec *s)
{
    jrun *r = b->r;
    jbuf t = {.r = r};
    int64_t i;
    if (!jinja_number_as_int(v, &i)) wrong_type(r, 'c', v);
    else if (i < 0 || i > 0x10ffff || (i >= 0xd800 && i < 0xe000)) jinja_mem_fail(r, "OverflowError", "%lld is no character", (long long)i);
    else jinja_mem_putc(&t, (uint32_t)i, JOURS);
    spec right = *s;
    if (!right.align) right.align = '>';
    if (!r->failed) put_text(b, jinja_mem_done(&t), &right);
}

/* ---- % ---- */

typedef struct percent {
    jval args;
    bool markup;
    const jdict *d;
    size_t used;
} percent;

static jval next_arg(jrun *r, percent *p)
{
    if (p->args.type != J_TUPLE) {
        if (p->used++ == 0) return p->args;
    } else if (p->used < p->args.u.l->n) {
        return p->args.u.l->v[p->used++];
    }
    jinja_mem_fail(r, "TypeError", "not enough arguments for format string");
    return nothing();
}

static int64_t number_at(const jstr *f, size_t *at)
{
    int64_t v = 0;
    for (; *at < f->n && f->p[*at] >= '0' && f->p[*at] <= '9'; (*at)++)
        if (v < INT64_MAX / 20) v = v * 10 + (f->p[*at] - '0');
    return v;
}

static int64_t star_or_number(jrun *r, const jstr *f, size_t *at, percent *p)
{
    int64_t v;
    if (*at >= f->n || f->p[*at] != '*') return number_at(f, at);
    (*at)++;
    jval x = next_arg(r, p);
    if (!r->failed && !jinja_number_as_int(x, &v)) jinja_mem_fail(r, "TypeError", "* wants int");
    return r->failed ? 0 : v;
}

static const jstr *escaped(jrun *r, const jstr *s)
{
    jbuf b = {.r = r};
    jinja_text_escape(&b, s);
    return jinja_mem_done(&b);
}

static void put_percent(jbuf *b, jval v, spec *s, bool markup)
{
    jrun *r = b->r;
    int64_t i;
    if (s->type == 's') {
        const jstr *text = jinja_text_str(r, v);
        put_text(b, markup && !v.markup ? escaped(r, text) : text, s);
    } else if (s->type == 'r' || s->type == 'a') {
        jbuf t = {.r = r};
        jinja_text_repr(&t, v);
        put_text(b, markup ? escaped(r, jinja_mem_done(&t)) : jinja_mem_done(&t), s);
    } else if (s->type == 'd' || s->type == 'i' || s->type == 'u' || s->type == 'x' || s->type == 'X' || s->type == 'o') {
        if (v.type == J_FLOAT && fabs(v.u.f) < 9e18 && s->type != 'x' && s->type != 'X' && s->type != 'o') v = jint((int64_t)v.u.f);
        if (jinja_number_as_int(v, &i)) put_int(b, i, s);
        else if (v.type == J_FLOAT && isfinite(v.u.f) && v.u.f == floor(v.u.f))
            jinja_mem_fail(r, "OverflowError", "a whole number beyond 64 bits: templates here compute with -2^63 .. 2^63-1");
        else wrong_type(r, s->type, v);
    } else if (s->type == 'c') {
        s->precision = -1;
        if (v.type == J_STR && jinja_value_chars(r, v.u.s) == 1) put_text(b, v.u.s, s);
        else put_char(b, v, s);
    } else if (s->type && strchr("eEfFgG", s->type)) {
        if (!jinja_number_is(v)) wrong_type(r, s->type, v);
        else put_float(b, jinja_number_double(v), s);
    } else {
        jinja_mem_fail(r, "ValueError", "unsupported format character '%c'", s->type ? s->type : '?');
    }
}

/* One conversion; at: behind the %. Returns the place behind it. */
static size_t conversion(jbuf *b, const jstr *f, size_t at, percent *p)
{
    jrun *r = b->r;
    spec s = {.precision = -1};
    jval v = {.type = J_MISSING};
    if (at < f->n && f->p[at] == '%') {
        jinja_mem_puts(b, "%");
        return at + 1;
    }
    if (at < f->n && f->p[at] == '(') {
        const char *close = memchr(f->p + at, ')', f->n - at);
        if (!close || !p->d) {
            jinja_mem_fail(r, "TypeError", close ? "format requires a mapping" : "incomplete format key");
            return f->n;
        }
        const jval *found = jinja_value_get(r, p->d, jstrv(jinja_mem_slice(r, f, at + 1, (size_t)(close - f->p))));
        if (!found) jinja_mem_fail(r, "KeyError", "%.*s", (int)(close - f->p - (ptrdiff_t)at) - 1, f->p + at + 1);
        v = found ? *found : nothing();
        at = (size_t)(close - f->p) + 1;
        p->used = 1;
    }
    for (; at < f->n && f->p[at] && strchr("-+ 0#", f->p[at]); at++) {
        char c = f->p[at];
        if (c == '-') s.align = '<';
        else if (c == '0') s.zero = true;
        else if (c == '#') s.alternate = true;
        else if (s.sign != '+') s.sign = c;
    }
    s.width = star_or_number(r, f, &at, p);
    if (s.width < 0) s.align = '<', s.width = s.width == INT64_MIN ? INT64_MAX : -s.width;
    if (at < f->n && f->p[at] == '.') {
        at++;
        s.precision = star_or_number(r, f, &at, p);
        if (s.precision < 0) s.precision = 0;
    }
    while (at < f->n && (f->p[at] == 'l' || f->p[at] == 'h' || f->p[at] == 'L')) at++;
    if (at >= f->n) {
        jinja_mem_fail(r, "ValueError", "incomplete format");
        return f->n;
    }
    s.type = f->p[at++];
    if (s.align == '<') s.zero = false;
    if (v.type == J_MISSING) v = next_arg(r, p);
    if (!s.align && strchr("srac", s.type)) s.align = '>';
    if (!r->failed) put_percent(b, v, &s, p->markup);
    return at;
}

jval jinja_format_percent(jrun *r, jval format, jval args)
{
    const jstr *f = format.u.s;
    jbuf b = {.r = r};
    percent p = {.args = args, .markup = format.markup, .d = args.type == J_DICT ? args.u.d : NULL};
    size_t at = 0;
    while (at < f->n && !r->failed) {
        const char *hit = memchr(f->p + at, '%', f->n - at);
        size_t end = hit ? (size_t)(hit - f->p) : f->n;
        jinja_mem_putslice(&b, f, at, end);
        jinja_mem_step(r, 1);
        at = hit ? conversion(&b, f, end + 1, &p) : end;
    }
    bool all = args.type == J_TUPLE ? p.used == args.u.l->n
                                    : p.used || p.d || args.type == J_LIST || args.type == J_RANGE || args.type == J_UNDEFINED;
    if (!all) jinja_mem_fail(r, "TypeError", "not all arguments converted during string formatting");
    return (jval){.type = J_STR, .markup = format.markup, .u.s = jinja_mem_done(&b)};
}

/* ---- {} ---- */

static spec parse_spec(jrun *r, const jstr *f)
{
    spec s = {.precision = -1};
    size_t at = 0, len = 0;
    uint32_t c = f->n ? unicode_decode(f->p, &len) : 0;
    if (len < f->n && f->p[len] && strchr("<>=^", f->p[len])) {
        s.fill = c;
        s.align = f->p[len];
        at = len + 1;
    } else if (f->n && f->p[0] && strchr("<>=^", f->p[0])) {
        s.align = f->p[at++];
    }
    if (at < f->n && f->p[at] && strchr("+- ", f->p[at])) s.sign = f->p[at++];
    if (at < f->n && f->p[at] == '#') s.alternate = true, at++;
    if (at < f->n && f->p[at] == '0') s.zero = true, at++;
    s.width = number_at(f, &at);
    if (at < f->n && f->p[at] == ',') s.comma = true, at++;
    if (at < f->n && f->p[at] == '.') {
        at++;
        s.precision = number_at(f, &at);
    }
    if (at < f->n) s.type = f->p[at++];
    if (at < f->n) jinja_mem_fail(r, "ValueError", "Invalid format specifier");
    return s;
}

/* As Python: a text has no sign, no # and no comma, and nothing behind a sign; a character neither; only decimals have commas. */
static void check_spec(jrun *r, jval v, const spec *s)
{
    bool text = v.type == J_STR, bare = text || s->type == 'c';
    if (bare && (s->sign || s->alternate)) jinja_mem_fail(r, "ValueError", "%s not allowed in a format of a text or character", s->sign ? "Sign" : "Alternate form (#)");
    if (text && s->align == '=') jinja_mem_fail(r, "ValueError", "'=' alignment not allowed in string format specifier");
    if (s->comma && (text || (s->type && strchr("bcnoxXs", s->type)))) jinja_mem_fail(r, "ValueError", "Cannot specify ',' with '%c'.", s->type ? s->type : 's');
}

static void put_spec(jbuf *b, jval v, const jstr *f)
{
    jrun *r = b->r;
    int64_t i;
    spec s = parse_spec(r, f);
    check_spec(r, v, &s);
    if (r->failed) return;
    if (f->n == 0) jinja_text_put(b, v);
    else if (v.type == J_STR && (!s.type || s.type == 's')) {
        if (s.zero && !s.fill) s.fill = '0';
        put_text(b, v.u.s, &s);
    } else if (jinja_number_is(v) && s.type && strchr("eEfFgG%", s.type)) put_float(b, jinja_number_double(v), &s);
    else if (v.type == J_FLOAT && (!s.type || s.type == 'n')) put_float(b, v.u.f, &s);
    else if (s.type == 'c' && s.precision < 0) put_char(b, v, &s);
    else if (jinja_number_as_int(v, &i) && s.precision < 0 && (!s.type || strchr("dxXobn", s.type))) put_int(b, i, &s);
    else wrong_type(r, s.type ? s.type : ' ', v);
}

typedef struct braces {
    const jargs *a;
    bool markup;
    size_t next;   /* of {} */
    bool numbered; /* {0} was seen */
} braces;

static jval field_root(jrun *r, const jstr *name, braces *x)
{
    size_t at = 0;
    int64_t i = number_at(name, &at);
    if (at == name->n) {
        if (name->n == 0) i = (int64_t)x->next++;
        else x->numbered = true;
        if (x->numbered && x->next)
            jinja_mem_fail(r, "ValueError", "cannot switch between automatic field numbering and manual field specification");
        if ((uint64_t)i < x->a->n) return x->a->v[i];
        jinja_mem_fail(r, "IndexError", "Replacement index %lld out of range for positional args tuple", (long long)i);
        return nothing();
    }
    for (size_t k = 0; k < x->a->n_kw; k++)
        if (x->a->kw_name[k]->n == name->n && memcmp(x->a->kw_name[k]->p, name->p, name->n) == 0) return x->a->kw[k];
    jinja_mem_fail(r, "KeyError", "'%.*s'", (int)(name->n > 60 ? 60 : name->n), name->p);
    return nothing();
}

/* "name.attr[key]" */
static jval field(jrun *r, const jstr *f, braces *x)
{
    size_t at = 0;
    while (at < f->n && f->p[at] != '.' && f->p[at] != '[') at++;
    jval v = field_root(r, jinja_mem_slice(r, f, 0, at), x);
    while (at < f->n && !r->failed) {
        bool item = f->p[at++] == '[';
        size_t begin = at, digits = at;
        while (at < f->n && (item ? f->p[at] != ']' : f->p[at] != '.' && f->p[at] != '[')) at++;
        int64_t i = number_at(f, &digits);
        if (at == begin || (item && at >= f->n)) jinja_mem_fail(r, "ValueError", at == begin ? "Empty attribute in format string" : "Missing ']' in format string");
        const jstr *name = jinja_mem_slice(r, f, begin, at);
        v = item ? jinja_eval_item(r, v, digits == at ? jint(i) : jstrv(name)) : jinja_eval_attr(r, v, jstrv(name));
        if (item) at++;
    }
    return v;
}

/* One replacement, f[at] being behind the opening brace; the place behind the closing one. */
static size_t replacement(jbuf *b, const jstr *f, size_t at, braces *x)
{
    jrun *r = b->r;
    size_t end = at, colon, bang;
    while (end < f->n && f->p[end] != '}' && f->p[end] != '{') end++;
    if (end >= f->n || f->p[end] == '{') {
        jinja_mem_fail(r, "ValueError", end >= f->n ? "expected '}' before end of string" : "fields inside format specifiers are not supported");
        return f->n;
    }
    for (bang = at; bang < end && f->p[bang] != '!' && f->p[bang] != ':'; bang++) {}
    for (colon = bang; colon < end && f->p[colon] != ':'; colon++) {}
    jval v = field(r, jinja_mem_slice(r, f, at, bang), x);
    if (r->failed) return f->n;
    if (bang < colon) {
        char how = bang + 2 == colon ? f->p[bang + 1] : 0;
        jbuf t = {.r = r};
        if (how == 'r') jinja_text_repr(&t, v);
        else if (how == 's') jinja_text_put(&t, v);
        else jinja_mem_fail(r, "ValueError", "Unknown conversion specifier");
        v = jstrv(jinja_mem_done(&t));
    }
    jbuf part = {.r = r};
    put_spec(x->markup && !v.markup ? &part : b, v, jinja_mem_slice(r, f, colon < end ? colon + 1 : end, end));
    jinja_text_escape(b, jinja_mem_done(&part));
    return end + 1;
}

jval jinja_format_braces(jrun *r, jval self, const jargs *a)
{
    const jstr *f = self.u.s;
    jbuf b = {.r = r};
    braces x = {.a = a, .markup = self.markup};
    for (size_t at = 0; at < f->n && !r->failed;) {
        char c = f->p[at];
        size_t end = at;
        while (end < f->n && f->p[end] != '{' && f->p[end] != '}') end++;
        jinja_mem_putslice(&b, f, at, end);
        jinja_mem_step(r, 1);
        at = end;
        if (at >= f->n) break;
        c = f->p[at];
        if (at + 1 < f->n && f->p[at + 1] == c) {
            jinja_mem_putslice(&b, f, at, at + 1);
            at += 2;
        } else if (c == '}') {
            jinja_mem_fail(r, "ValueError", "Single '}' encountered in format string");
        } else {
            at = replacement(&b, f, at + 1, &x);
        }
    }
    jval v = jstrv(jinja_mem_done(&b));
    v.markup = self.markup;
    return v;
}
