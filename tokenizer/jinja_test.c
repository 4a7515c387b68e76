/* jinja_test: what may follow `is`. */
#include "tokenizer/jinja_impl.h"
#include <math.h>
#include <string.h>

static bool cased(jrun *r, jval v, const char *method)
{
    jval s = jstrv(jinja_text_str(r, v));
    jval fn = jinja_method_find(r, s, jinja_mem_lit(r, method));
    jargs none = {.of = method};
    return fn.type == J_FUNC && jinja_value_true(jinja_eval_call(r, fn, &none));
}

/* No argument. 1, 0, or -1: not such a test. */
static int plain(jrun *r, const jstr *name, jval v)
{
    int64_t i;
    bool list = v.type == J_LIST || v.type == J_TUPLE;
    if (jis(name, "defined")) return v.type != J_UNDEFINED;
    if (jis(name, "undefined")) return v.type == J_UNDEFINED;
    if (jis(name, "none")) return v.type == J_NONE;
    if (jis(name, "string")) return v.type == J_STR;
    if (jis(name, "mapping")) return v.type == J_DICT;
    if (jis(name, "boolean")) return v.type == J_BOOL;
    if (jis(name, "true")) return v.type == J_BOOL && v.u.b;
    if (jis(name, "false")) return v.type == J_BOOL && !v.u.b;
    if (jis(name, "integer")) return v.type == J_INT || v.type == J_BIGINT;
    if (jis(name, "float")) return v.type == J_FLOAT;
    if (jis(name, "number")) return jinja_number_is(v) || v.type == J_BIGINT;
    if (jis(name, "sequence")) return list || v.type == J_STR || v.type == J_DICT || v.type == J_RANGE || v.type == J_UNDEFINED;
    if (jis(name, "iterable"))
        return list || v.type == J_STR || v.type == J_DICT || v.type == J_RANGE || v.type == J_VIEW || v.type == J_ITER ||
               v.type == J_UNDEFINED || v.type == J_LOOP;
    if (jis(name, "callable")) return v.type == J_FUNC || v.type == J_MACRO || v.type == J_LOOP || v.type == J_UNDEFINED;
    if (jis(name, "escaped")) return v.markup;
    if (jis(name, "lower")) return cased(r, v, "islower");
    if (jis(name, "upper")) return cased(r, v, "isupper");
    if (jis(name, "odd") || jis(name, "even")) {
        bool odd = name->n == 3;
        if (v.type == J_FLOAT) return !isinf(v.u.f) && (fmod(fabs(v.u.f), 2) == 1) == odd && v.u.f == floor(v.u.f);
        if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
        if (!jinja_number_as_int(v, &i))
            return jinja_mem_fail(r, "TypeError", "is %s wants a number, not %s", odd ? "odd" : "even", jinja_value_type(v)), 0;
        return (i % 2 != 0) == odd;
    }
    return -1;
}

/* Identity, as far as it can be seen: one object, or equal scalars of one type. */
static bool same_as(jrun *r, jval a, jval b)
{
    if (a.type != b.type) return false;
    if (a.type == J_LIST || a.type == J_TUPLE || a.type == J_DICT || a.type >= J_VIEW) return a.u.l == b.u.l;
    return jinja_value_equal(r, a, b);
}

static bool named(const jstr *name, const char *words)
{
    while (*words) {
        size_t n = strcspn(words, " ");
        if (name->n == n && memcmp(name->p, words, n) == 0) return true;
        words += n + (words[n] == ' ');
    }
    return false;
}

static bool ordered(jrun *r, jval a, jval b, bool less, bool or_equal)
{
    int c = jinja_value_compare(r, a, b);
    return c != 2 && ((or_equal && c == 0) || (less ? c < 0 : c > 0));
}

/* One argument. */
static int binary(jrun *r, const jstr *name, jval a, jval b)
{
    if (named(name, "eq equalto ==")) return jinja_value_equal(r, a, b);
    if (named(name, "ne !=")) return !jinja_value_equal(r, a, b);
    if (named(name, "lt lessthan <")) return ordered(r, a, b, true, false);
    if (named(name, "le <=")) return ordered(r, a, b, true, true);
    if (named(name, "gt greaterthan >")) return ordered(r, a, b, false, false);
    if (named(name, "ge >=")) return ordered(r, a, b, false, true);
    if (named(name, "in")) return jinja_value_contains(r, b, a);
    if (named(name, "sameas")) return same_as(r, a, b);
    if (named(name, "divisibleby")) {
        if (!jinja_number_is(a) || !jinja_number_is(b))
            return jinja_mem_fail(r, "TypeError", "divisibleby wants numbers"), 0;
        jval rest = jinja_number_binary(r, T_MOD, a, b);
        return !r->failed && !jinja_value_true(rest);
    }
    return -1;
}

bool jinja_test_apply(jrun *r, const jstr *name, const jargs *a)
{
    int n = (int)(name->n > 60 ? 60 : name->n), yes = -1;
    if (r->failed || a->n == 0) return false;
    if (a->n == 1 && !a->n_kw) yes = plain(r, name, a->v[0]);
    if (a->n == 2 && !a->n_kw) yes = binary(r, name, a->v[0], a->v[1]);
    if (a->n == 1 && !a->n_kw && yes < 0 && named(name, "filter test"))
        jinja_mem_fail(r, "TemplateAssertionError", "the test '%.*s' is not supported", n, name->p);
    if (yes < 0)
        jinja_mem_fail(r, "TemplateAssertionError", "No test named '%.*s' with %zu argument(s).", n, name->p, a->n - 1 + a->n_kw);
    return yes > 0;
}
