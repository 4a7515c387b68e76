/* jinja_global: the functions every template can call. */
#include "tokenizer/jinja_impl.h"
#include <string.h>

static jval fail_value(void) { return (jval){.type = J_UNDEFINED}; }

static jval function(jrun *r, const char *name, jfn *fn, jval self)
{
    jfunc *f = jinja_mem_take(r, 1, sizeof *f);
    if (!f) return fail_value();
    *f = (jfunc){.name = name, .fn = fn, .self = self};
    return (jval){.type = J_FUNC, .u.func = f};
}

/* As jinja2's sandbox: at most 100,000 numbers. */
static jval range(jrun *r, jval self, const jargs *a)
{
    enum { RANGE_MAX = 100000 };
    jval v[3];
    int64_t n[3] = {0, 0, 1};
    (void)self;
    if (!jinja_eval_bind(r, a, "start stop step", 1, v)) return fail_value();
    for (int i = 0; i < 3; i++) {
        if (v[i].type == J_UNDEFINED) jinja_value_undef_fail(r, v[i]);
        if (v[i].type != J_MISSING && !jinja_number_as_int(v[i], &n[i]))
            jinja_mem_fail(r, "TypeError", "'%s' object cannot be interpreted as an integer", jinja_value_type(v[i]));
    }
    if (v[1].type == J_MISSING) n[1] = n[0], n[0] = 0;
    if (n[2] == 0) jinja_mem_fail(r, "ValueError", "range() arg 3 must not be zero");
    if (r->failed) return fail_value();
    uint64_t span = 0, step = n[2] > 0 ? (uint64_t)n[2] : 0 - (uint64_t)n[2];
    if (n[2] > 0 && n[1] > n[0]) span = (uint64_t)n[1] - (uint64_t)n[0];
    if (n[2] < 0 && n[1] < n[0]) span = (uint64_t)n[0] - (uint64_t)n[1];
    uint64_t count = span ? (span - 1) / step + 1 : 0;
    if (count > RANGE_MAX) {
        jinja_mem_fail(r, "OverflowError", "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).", RANGE_MAX);
        return fail_value();
    }
    struct jrange *g = jinja_mem_take(r, 1, sizeof *g);
    if (!g) return fail_value();
    *g = (struct jrange){n[0], n[1], n[2], count};
    return (jval){.type = J_RANGE, .u.range = g};
}

/* dict(mapping or pairs, **more) */
static jdict *make_dict(jrun *r, const jargs *a)
{
    jdict *d = jinja_value_dict(r);
    if (a->n > 1) jinja_mem_fail(r, "TypeError", "%s expected at most 1 argument, got %zu", a->of, a->n);
    if (a->n == 1 && a->v[0].type == J_DICT) {
        for (size_t i = 0; i < a->v[0].u.d->n && !r->failed; i++) jinja_value_put(r, d, a->v[0].u.d->k[i], a->v[0].u.d->v[i]);
    } else if (a->n == 1) {
        const jlist *l = jinja_value_items(r, a->v[0]);
        for (size_t i = 0; i < l->n && !r->failed; i++) {
            const jlist *pair = jinja_value_items(r, l->v[i]);
            if (pair->n != 2) jinja_mem_fail(r, "ValueError", "%s: element %zu has length %zu; 2 is required", a->of, i, pair->n);
            else jinja_value_put(r, d, pair->v[0], pair->v[1]);
        }
    }
    for (size_t i = 0; i < a->n_kw && !r->failed; i++) jinja_value_put(r, d, jstrv(a->kw_name[i]), a->kw[i]);
    return d;
}

static jval dict(jrun *r, jval self, const jargs *a) { return (void)self, jdictv(make_dict(r, a)); }

static jval namespace_(jrun *r, jval self, const jargs *a)
{
    (void)self;
    return (jval){.type = J_NAMESPACE, .u.d = make_dict(r, a)};
}

static void set_member(jrun *r, jval ns, const char *name, jval v)
{
    if (!r->failed) jinja_value_put(r, ns.u.d, jstrv(jinja_mem_lit(r, name)), v);
}

/* A cycler is a namespace; " items" and " at" cannot be named by a template. */
static jval cycler_move(jrun *r, jval self, int64_t by)
{
    const jval *items = jinja_value_get_name(r, self.u.d, " items"), *at = jinja_value_get_name(r, self.u.d, " at");
    if (!items || !at) return fail_value();
    int64_t n = (int64_t)items->u.l->n, i = by ? (at->u.i + by) % n : 0;
    jval now = items->u.l->v[at->u.i];
    jval next = items->u.l->v[i];
    set_member(r, self, " at", jint(i));
    set_member(r, self, "current", next);
    return by ? now : jnone();
}

static jval cycler_next(jrun *r, jval self, const jargs *a)
{
    return jinja_eval_bind(r, a, "", 0, NULL) ? cycler_move(r, self, 1) : fail_value();
}

static jval cycler_reset(jrun *r, jval self, const jargs *a)
{
    return jinja_eval_bind(r, a, "", 0, NULL) ? cycler_move(r, self, 0) : fail_value();
}

static jval cycler(jrun *r, jval self, const jargs *a)
{
    (void)self;
    if (a->n == 0 || a->n_kw) {
        jinja_mem_fail(r, "RuntimeError", "at least one item has to be provided");
        return fail_value();
    }
    jval ns = {.type = J_NAMESPACE, .u.d = jinja_value_dict(r)};
    jlist *items = jinja_value_list(r, a->n);
    for (size_t i = 0; i < a->n; i++) jinja_value_push(r, items, a->v[i]);
    set_member(r, ns, " items", jlistv(items));
    set_member(r, ns, " at", jint(0));
    set_member(r, ns, "current", a->v[0]);
    set_member(r, ns, "next", function(r, "next", cycler_next, ns));
    set_member(r, ns, "reset", function(r, "reset", cycler_reset, ns));
    return ns;
}

static jval joiner_call(jrun *r, jval self, const jargs *a)
{
    if (!jinja_eval_bind(r, a, "", 0, NULL)) return fail_value();
    const jval *used = jinja_value_get_name(r, self.u.d, "used"), *sep = jinja_value_get_name(r, self.u.d, "sep");
    if (!used || !sep) return fail_value();
    jval v = used->u.b ? *sep : jstrv(jinja_mem_lit(r, ""));
    set_member(r, self, "used", jbool(true));
    return v;
}

static jval joiner(jrun *r, jval self, const jargs *a)
{
    jval sep;
    (void)self;
    if (!jinja_eval_bind(r, a, "sep", 0, &sep)) return fail_value();
    if (sep.type == J_MISSING) sep = jstrv(jinja_mem_lit(r, ", "));
    jval ns = {.type = J_NAMESPACE, .u.d = jinja_value_dict(r)};
    set_member(r, ns, "sep", sep);
    set_member(r, ns, "used", jbool(false));
    return function(r, "joiner", joiner_call, ns);
}

static jval raise_exception(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "message", 1, &v)) return fail_value();
    const jstr *s = jinja_text_str(r, v);
    jinja_mem_fail(r, "TemplateError", "%.*s", (int)(s->n > 500 ? 500 : s->n), s->p);
    return fail_value();
}

static jval strftime_now(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "format", 1, &v)) return fail_value();
    if (v.type != J_STR) {
        jinja_mem_fail(r, "TypeError", "strftime_now() wants a string, not %s", jinja_value_type(v));
        return fail_value();
    }
    return jstrv(jinja_text_strftime(r, v.u.s));
}

jval jinja_global_find(jrun *r, const jstr *name)
{
    static const struct {
        const char *name;
        jfn *fn;
    } all[] = {{"range", range}, {"dict", dict}, {"namespace", namespace_}, {"cycler", cycler}, {"joiner", joiner},
               {"raise_exception", raise_exception}, {"strftime_now", strftime_now}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (jis(name, all[i].name) && (all[i].fn != strftime_now || r->now)) return function(r, all[i].name, all[i].fn, jnone());
    return (jval){.type = J_MISSING};
}
