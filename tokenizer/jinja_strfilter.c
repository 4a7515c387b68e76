/* jinja_strfilter: filters that make text or numbers of one value. */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static jval nothing(void) { return (jval){.type = J_UNDEFINED}; }
static bool given(jval v) { return v.type != J_MISSING && v.type != J_NONE; }

/* A string that stays html-safe if the operand was. */
static jval like(jval operand, const jstr *s) { return (jval){.type = J_STR, .markup = operand.markup, .u.s = s}; }

static const jstr *text_of(jrun *r, jval v)
{
    if (v.type == J_NONE && (r->flags & JINJA_MINJA)) return jinja_mem_lit(r, "");
    return jinja_text_str(r, v);
}

static int64_t whole(jrun *r, jval v, int64_t otherwise, const char *what)
{
    int64_t i = otherwise;
    if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
    if (given(v) && !jinja_number_as_int(v, &i)) jinja_mem_fail(r, "TypeError", "%s wants a whole number, not %s", what, jinja_value_type(v));
    return i;
}

static jval cased(jrun *r, const jargs *a, int how)
{
    jval v;
    if (!jinja_eval_bind(r, a, "s", 1, &v)) return nothing();
    return like(v, jinja_method_case(r, text_of(r, v), how));
}
static jval upper(jrun *r, jval self, const jargs *a) { return (void)self, cased(r, a, JU_UPPER); }
static jval lower(jrun *r, jval self, const jargs *a) { return (void)self, cased(r, a, JU_LOWER); }

static jval capitalize(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "s", 1, &v)) return nothing();
    return like(v, jinja_method_capitalize(r, text_of(r, v)));
}

/* Not str.title: words begin behind - space ( { [ < only. */
static jval title(jrun *r, jval self, const jargs *a)
{
    jval v;
    jbuf b = {.r = r};
    bool start = true;
    (void)self;
    if (!jinja_eval_bind(r, a, "s", 1, &v)) return nothing();
    const jstr *s = text_of(r, v);
    for (size_t at = 0, len; at < s->n && !r->failed; at += len) {
        uint32_t c = unicode_decode(s->p + at, &len), out[3];
        bool separates = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || jinja_unicode_space(c);
        size_t n = jinja_unicode_case(start ? JU_UPPER : JU_LOWER, c, out);
        for (size_t i = 0; i < n; i++) jinja_mem_putc(&b, out[i], jinja_mem_source(s, at));
        start = separates;
    }
    return jstrv(jinja_mem_done(&b));
}

static jval trim(jrun *r, jval self, const jargs *a)
{
    jval v[2];
    (void)self;
    if (!jinja_eval_bind(r, a, "value chars", 1, v)) return nothing();
    return like(v[0], jinja_method_strip(r, text_of(r, v[0]), given(v[1]) ? jinja_text_str(r, v[1]) : NULL, 3));
}

static jval replace(jrun *r, jval self, const jargs *a)
{
    jval v[4];
    (void)self;
    if (!jinja_eval_bind(r, a, "s old new count", 3, v)) return nothing();
    int64_t count = whole(r, v[3], -1, "replace");
    if (r->failed) return nothing();
    return jstrv(jinja_method_replace(r, text_of(r, v[0]), jinja_text_str(r, v[1]), jinja_text_str(r, v[2]), count));
}

static jval center(jrun *r, jval self, const jargs *a)
{
    jval v[2];
    (void)self;
    if (!jinja_eval_bind(r, a, "value width", 1, v)) return nothing();
    return like(v[0], jinja_method_pad(r, text_of(r, v[0]), whole(r, v[1], 80, "center"), ' ', 'c', JOURS));
}

static jval indent(jrun *r, jval self, const jargs *a)
{
    jval v[4];
    jbuf b = {.r = r};
    (void)self;
    if (!jinja_eval_bind(r, a, "s width first blank", 1, v)) return nothing();
    if (v[0].type == J_UNDEFINED) jinja_value_undef_fail(r, v[0]);
    if (v[0].type != J_STR) jinja_mem_fail(r, "TypeError", "indent wants a string, not %s", jinja_value_type(v[0]));
    if (r->failed) return nothing();
    const jstr *by = v[1].type == J_STR ? v[1].u.s
                                        : jinja_method_pad(r, jinja_mem_lit(r, ""), whole(r, v[1], 4, "indent"), ' ', 'r', JOURS);
    bool first = jinja_value_true(v[2]), blank = jinja_value_true(v[3]);
    const jlist *l = jinja_method_lines(r, jinja_mem_concat(r, v[0].u.s, jinja_mem_lit(r, "\n")), false);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        const jstr *line = l->v[i].u.s;
        if (i) jinja_mem_puts(&b, "\n");
        if (i ? blank || line->n : first) jinja_mem_putstr(&b, by);
        jinja_mem_putstr(&b, line);
    }
    return like(v[0], jinja_mem_done(&b));
}

static jval truncate(jrun *r, jval self, const jargs *a)
{
    jval v[5];
    (void)self;
    if (!jinja_eval_bind(r, a, "s length killwords end leeway", 1, v)) return nothing();
    const jstr *s = v[0].type == J_STR ? v[0].u.s : jinja_mem_lit(r, ""), *end = given(v[3]) ? jinja_text_str(r, v[3]) : jinja_mem_lit(r, "...");
    int64_t length = whole(r, v[1], 255, "truncate"), leeway = whole(r, v[4], 5, "truncate");
    int64_t end_chars = (int64_t)jinja_value_chars(r, end), chars = jinja_value_len(r, v[0]);
    if (length < end_chars) jinja_mem_fail(r, "AssertionError", "expected length >= %lld, got %lld", (long long)end_chars, (long long)length);
    if (leeway < 0) jinja_mem_fail(r, "AssertionError", "expected leeway >= 0, got %lld", (long long)leeway);
    if (r->failed || leeway > INT64_MAX - length || chars <= length + leeway) return v[0];
    if (v[0].type != J_STR) jinja_mem_fail(r, "TypeError", "truncate wants a string, not %s", jinja_value_type(v[0]));
    size_t cut = jinja_value_offset(r, s, (size_t)(length - end_chars));
    if (!jinja_value_true(v[2])) {
        size_t space = cut;
        while (space > 0 && s->p[space - 1] != ' ') space--;
        if (space > 0) cut = space - 1;
    }
    return jstrv(jinja_mem_concat(r, jinja_mem_slice(r, s, 0, cut), end));
}

static jval wordcount(jrun *r, jval self, const jargs *a)
{
    jval v;
    int64_t n = 0;
    bool in_word = false;
    (void)self;
    if (!jinja_eval_bind(r, a, "s", 1, &v)) return nothing();
    const jstr *s = text_of(r, v);
    jinja_mem_bytes(r, s->n);
    for (size_t at = 0, len; at < s->n; at += len) {
        uint32_t c = unicode_decode(s->p + at, &len);
        bool word = c == '_' || jinja_unicode_alnum(c);
        n += word && !in_word;
        in_word = word;
    }
    return jint(n);
}

static jval string(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    return v.type == J_STR ? v : jstrv(jinja_text_str(r, v));
}

static jval safe(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    return (jval){.type = J_STR, .markup = true, .u.s = jinja_text_str(r, v)};
}

static jval escape_any(jrun *r, const jargs *a, bool again)
{
    jval v;
    jbuf b = {.r = r};
    if (!jinja_eval_bind(r, a, "s", 1, &v)) return nothing();
    if (v.markup && !again) return v;
    jinja_text_escape(&b, jinja_text_str(r, v));
    return (jval){.type = J_STR, .markup = true, .u.s = jinja_mem_done(&b)};
}
static jval escape(jrun *r, jval self, const jargs *a) { return (void)self, escape_any(r, a, false); }
static jval forceescape(jrun *r, jval self, const jargs *a) { return (void)self, escape_any(r, a, true); }

/* value % (arguments) */
static jval format(jrun *r, jval self, const jargs *a)
{
    (void)self;
    if (a->n == 0) return nothing();
    if (a->n > 1 && a->n_kw) jinja_mem_fail(r, "FilterArgumentError", "can't handle positional and keyword arguments at the same time");
    jval with = jtuplev(jinja_value_list(r, a->n));
    for (size_t i = 1; i < a->n; i++) jinja_value_push(r, with.u.l, a->v[i]);
    if (a->n_kw) with = jdictv(jinja_value_dict(r));
    for (size_t i = 0; i < a->n_kw; i++) jinja_value_put(r, with.u.d, jstrv(a->kw_name[i]), a->kw[i]);
    return r->failed ? nothing() : jinja_format_percent(r, like(a->v[0], text_of(r, a->v[0])), with);
}

/* ---- numbers ---- */

static jval too_big(jrun *r)
{
    jinja_mem_fail(r, "OverflowError", "a whole number beyond 64 bits: templates here compute with -2^63 .. 2^63-1");
    return nothing();
}

static jval int_of_float(jrun *r, double d, jval otherwise)
{
    if (isnan(d)) return otherwise;
    if (!(fabs(d) < 9223372036854775808.0)) return too_big(r);
    return jint((int64_t)d);
}

static jval int_(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    int64_t i;
    double d;
    bool big = false;
    (void)self;
    if (!jinja_eval_bind(r, a, "value default base", 1, v)) return nothing();
    int64_t base = 10;
    jval otherwise = v[1].type == J_MISSING ? jint(0) : v[1];
    bool known = v[2].type == J_MISSING || (jinja_number_as_int(v[2], &base) && (base == 0 || (base >= 2 && base <= 36)));
    if (v[0].type == J_UNDEFINED) jinja_value_undef_fail(r, v[0]);
    if (v[0].type == J_BIGINT) return v[0];
    if (jinja_number_as_int(v[0], &i)) return jint(i);
    if (v[0].type == J_FLOAT) return int_of_float(r, v[0].u.f, otherwise);
    if (v[0].type != J_STR) return otherwise;
    if (known && jinja_number_int(v[0].u.s, (int)base, &i, &big)) return big ? too_big(r) : jint(i);
    /* As in jinja2, what is no whole number in that base may be a float. */
    return jinja_number_float(v[0].u.s, &d) && !isinf(d) ? int_of_float(r, d, otherwise) : otherwise;
}

static jval float_(jrun *r, jval self, const jargs *a)
{
    jval v[2];
    double d;
    (void)self;
    if (!jinja_eval_bind(r, a, "value default", 1, v)) return nothing();
    if (v[0].type == J_UNDEFINED) jinja_value_undef_fail(r, v[0]);
    if (jinja_number_is(v[0])) return jfloat(jinja_number_double(v[0]));
    if ((v[0].type == J_STR || v[0].type == J_BIGINT) && jinja_number_float(v[0].u.s, &d)) return jfloat(d);
    return v[1].type == J_MISSING ? jfloat(0) : v[1];
}

static jval abs_(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "x", 1, &v)) return nothing();
    if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
    if (!jinja_number_is(v)) jinja_mem_fail(r, "TypeError", "bad operand type for abs(): '%s'", jinja_value_type(v));
    if (r->failed) return nothing();
    if (v.type == J_FLOAT) return jfloat(fabs(v.u.f));
    if (v.type == J_BOOL) return jint(v.u.b);
    return v.u.i < 0 ? jinja_number_negate(r, v) : v;
}

static jval round_(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    (void)self;
    if (!jinja_eval_bind(r, a, "value precision method", 1, v)) return nothing();
    int64_t digits = whole(r, v[1], 0, "round");
    bool up = v[2].type == J_STR && jis(v[2].u.s, "ceil"), down = v[2].type == J_STR && jis(v[2].u.s, "floor");
    if (!up && !down && given(v[2]) && !(v[2].type == J_STR && jis(v[2].u.s, "common")))
        jinja_mem_fail(r, "FilterArgumentError", "method must be common, ceil or floor");
    if (v[0].type == J_UNDEFINED) jinja_value_undef_fail(r, v[0]);
    if (!jinja_number_is(v[0])) jinja_mem_fail(r, "TypeError", "type %s doesn't define __round__ method", jinja_value_type(v[0]));
    if (r->failed) return nothing();
    if (!up && !down) return jinja_number_round(r, v[0], digits);
    jval unit = jinja_number_binary(r, T_POW, jint(10), jint(digits));
    jval scaled = r->failed ? unit : jinja_number_binary(r, T_MUL, v[0], unit);
    if (r->failed) return nothing();
    double d = jinja_number_double(scaled);
    return jfloat((up ? ceil(d) : floor(d)) / jinja_number_double(unit));
}

static jval filesizeformat(jrun *r, jval self, const jargs *a)
{
    static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    static const char *const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    jval v[2];
    char text[400];
    double d = 0;
    (void)self;
    if (!jinja_eval_bind(r, a, "value binary", 1, v)) return nothing();
    bool two = jinja_value_true(v[1]), good = jinja_number_is(v[0]);
    if (good) d = jinja_number_double(v[0]);
    else if (v[0].type == J_STR) good = jinja_number_float(v[0].u.s, &d);
    if (!good || !isfinite(d)) jinja_mem_fail(r, "ValueError", "filesizeformat wants a number");
    if (r->failed) return nothing();
    double base = two ? 1024 : 1000, unit = base * base;
    if (d == 1) return jstrv(jinja_mem_lit(r, "1 Byte"));
    if (d < base) {
        snprintf(text, sizeof text, "%.0f Bytes", trunc(d));
        return jstrv(jinja_mem_lit(r, text));
    }
    size_t i = 0;
    for (; i < 7 && d >= unit; i++) unit *= base;
    jbuf b = {.r = r};
    jinja_mem_put(&b, text, jinja_number_fixed(base * d / unit, 1, 'f', false, text, sizeof text), JOURS);
    jinja_mem_puts(&b, " ");
    jinja_mem_puts(&b, two ? binary[i] : decimal[i]);
    return jstrv(jinja_mem_done(&b));
}

/* ---- urls ---- */

static void quote(jbuf *b, const jstr *s, bool query)
{
    for (size_t i = 0; i < s->n && !b->r->failed; i++) {
        unsigned char c = (unsigned char)s->p[i];
        char hex[4];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_.-~", c)) ||
                     (c == '/' && !query);
        if (plain || (c == ' ' && query)) hex[0] = plain ? (char)c : '+', hex[1] = 0;
        else snprintf(hex, sizeof hex, "%%%02X", c);
        jinja_mem_put(b, hex, strlen(hex), jinja_mem_source(s, i));
    }
}

static jval urlencode(jrun *r, jval self, const jargs *a)
{
    jval v;
    jbuf b = {.r = r};
    (void)self;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    if (v.type == J_DICT) {
        for (size_t i = 0; i < v.u.d->n && !r->failed; i++) {
            if (i) jinja_mem_puts(&b, "&");
            quote(&b, jinja_text_str(r, v.u.d->k[i]), true);
            jinja_mem_puts(&b, "=");
            quote(&b, jinja_text_str(r, v.u.d->v[i]), true);
        }
    } else if (v.type == J_LIST || v.type == J_TUPLE || v.type == J_VIEW || v.type == J_ITER || v.type == J_RANGE) {
        const jlist *l = jinja_value_items(r, v);
        for (size_t i = 0; i < l->n && !r->failed; i++) {
            const jlist *pair = jinja_value_items(r, l->v[i]);
            if (pair->n != 2) jinja_mem_fail(r, "ValueError", "urlencode wants pairs");
            if (r->failed) break;
            if (i) jinja_mem_puts(&b, "&");
            quote(&b, jinja_text_str(r, pair->v[0]), true);
            jinja_mem_puts(&b, "=");
            quote(&b, jinja_text_str(r, pair->v[1]), true);
        }
    } else {
        quote(&b, jinja_text_str(r, v), false);
    }
    return jstrv(jinja_mem_done(&b));
}

jfn *jinja_strfilter_find(const jstr *name)
{
    static const struct {
        const char *name;
        jfn *fn;
    } all[] = {{"abs", abs_}, {"capitalize", capitalize}, {"center", center}, {"e", escape}, {"escape", escape},
               {"filesizeformat", filesizeformat}, {"float", float_}, {"forceescape", forceescape}, {"format", format},
               {"indent", indent}, {"int", int_}, {"lower", lower}, {"replace", replace}, {"round", round_}, {"safe", safe},
               {"string", string}, {"title", title}, {"trim", trim}, {"truncate", truncate}, {"upper", upper},
               {"urlencode", urlencode}, {"wordcount", wordcount}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (jis(name, all[i].name)) return all[i].fn;
    return NULL;
}
