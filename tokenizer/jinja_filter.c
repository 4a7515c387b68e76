/* jinja_filter: filters over sequences and mappings, and which filters there are. Those that make text of text are in
 * jinja_strfilter. */
#include "tokenizer/jinja_impl.h"
#include <string.h>

static jval nothing(void) { return (jval){.type = J_UNDEFINED}; }
static bool given(jval v) { return v.type != J_MISSING && v.type != J_NONE; }

/* ---- attributes and keys ---- */

static jval part_of(jrun *r, jval v, const jstr *s, size_t begin, size_t end)
{
    jstr part = {.p = s->p + begin, .n = end - begin, .ascii = s->ascii};
    int64_t i;
    bool big, digits = end > begin;
    for (size_t k = begin; k < end; k++) digits = digits && s->p[k] >= '0' && s->p[k] <= '9';
    if (digits && jinja_number_int(&part, 10, &i, &big) && !big) return jinja_eval_item(r, v, jint(i));
    return jinja_eval_item(r, v, jstrv(jinja_mem_slice(r, s, begin, end)));
}

/* v.attribute, where attribute may be "a.b.0" or a number. */
static jval get_attribute(jrun *r, jval v, jval attribute)
{
    if (attribute.type != J_STR) return jinja_eval_item(r, v, attribute);
    const jstr *s = attribute.u.s;
    for (size_t at = 0; at <= s->n && !r->failed; ) {
        const char *dot = at < s->n ? memchr(s->p + at, '.', s->n - at) : NULL;
        size_t end = dot ? (size_t)(dot - s->p) : s->n;
        v = part_of(r, v, s, at, end);
        at = end + 1;
    }
    return v;
}

static jval without_case(jrun *r, jval v, bool case_sensitive)
{
    return v.type == J_STR && !case_sensitive ? jstrv(jinja_method_case(r, v.u.s, JU_LOWER)) : v;
}

static jval sort_key(jrun *r, jval v, jval attribute, bool case_sensitive)
{
    if (given(attribute)) v = get_attribute(r, v, attribute);
    return without_case(r, v, case_sensitive);
}

/* "a,b": a tuple of both. */
static jval multi_key(jrun *r, jval v, jval attribute, bool case_sensitive)
{
    const jstr *s = attribute.type == J_STR ? attribute.u.s : NULL;
    if (!s || !memchr(s->p, ',', s->n)) return sort_key(r, v, attribute, case_sensitive);
    jlist *l = jinja_value_list(r, 0);
    for (size_t at = 0; at <= s->n && !r->failed;) {
        const char *comma = at < s->n ? memchr(s->p + at, ',', s->n - at) : NULL;
        size_t end = comma ? (size_t)(comma - s->p) : s->n;
        jinja_value_push(r, l, sort_key(r, v, jstrv(jinja_mem_slice(r, s, at, end)), case_sensitive));
        at = end + 1;
    }
    return jtuplev(l);
}

/* ---- sorting: stable, as Python's ---- */

typedef struct keyed {
    jval key, v;
} keyed;

static void merge_sort(jrun *r, keyed *x, keyed *spare, size_t n, bool reverse, bool equal_first)
{
    if (n < 2 || r->failed) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    merge_sort(r, x, spare, half, reverse, equal_first);
    merge_sort(r, x + half, spare, n - half, reverse, equal_first);
    while (i < half && j < n) {
        int c = equal_first && jinja_value_equal(r, x[j].key, x[i].key) ? 0 : jinja_value_compare(r, x[j].key, x[i].key);
        spare[k++] = (reverse ? c == 1 : c == -1) ? x[j++] : x[i++];
    }
    while (i < half) spare[k++] = x[i++];
    while (j < n) spare[k++] = x[j++];
    memcpy(x, spare, n * sizeof *x);
}

/* Sorts x[0..n), which lies in the run's memory. equal_first: values without an order may be equal (the keys of `sort`
 * are lists in Python). */
static void sort_keyed(jrun *r, keyed *x, size_t n, bool reverse, bool equal_first)
{
    keyed *spare = jinja_mem_take(r, n, sizeof *spare);
    if (spare) merge_sort(r, x, spare, n, reverse, equal_first);
}

static jlist *values_of(jrun *r, const keyed *x, size_t n)
{
    jlist *l = jinja_value_list(r, n);
    for (size_t i = 0; i < n && !r->failed; i++) jinja_value_push(r, l, x[i].v);
    return l;
}

static jval sort(jrun *r, jval self, const jargs *a)
{
    jval v[4]; /* value reverse case_sensitive attribute */
    (void)self;
    if (!jinja_eval_bind(r, a, "value reverse case_sensitive attribute", 1, v)) return nothing();
    const jlist *l = jinja_value_items(r, v[0]);
    keyed *x = jinja_mem_take(r, l->n, sizeof *x);
    if (!x) return nothing();
    for (size_t i = 0; i < l->n && !r->failed; i++)
        x[i] = (keyed){multi_key(r, l->v[i], v[3], jinja_value_true(v[2])), l->v[i]};
    if (!r->failed) sort_keyed(r, x, l->n, jinja_value_true(v[1]), true);
    return jlistv(values_of(r, x, l->n));
}

static jval dictsort(jrun *r, jval self, const jargs *a)
{
    jval v[4]; /* value case_sensitive by reverse */
    (void)self;
    if (!jinja_eval_bind(r, a, "value case_sensitive by reverse", 1, v)) return nothing();
    bool by_value = v[2].type == J_STR && jis(v[2].u.s, "value");
    if (v[2].type != J_MISSING && !by_value && !(v[2].type == J_STR && jis(v[2].u.s, "key")))
        jinja_mem_fail(r, "FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
    if (v[0].type != J_DICT) jinja_mem_fail(r, "TypeError", "dictsort wants a mapping, not %s", jinja_value_type(v[0]));
    if (r->failed) return nothing();
    const jdict *d = v[0].u.d;
    keyed *x = jinja_mem_take(r, d->n, sizeof *x);
    if (!x) return nothing();
    for (size_t i = 0; i < d->n && !r->failed; i++) {
        jlist *pair = jinja_value_list(r, 2);
        jinja_value_push(r, pair, d->k[i]);
        jinja_value_push(r, pair, d->v[i]);
        x[i] = (keyed){without_case(r, by_value ? d->v[i] : d->k[i], jinja_value_true(v[1])), jtuplev(pair)};
    }
    if (r->failed) return nothing();
    sort_keyed(r, x, d->n, jinja_value_true(v[3]), false);
    return jlistv(values_of(r, x, d->n));
}

static jval groupby(jrun *r, jval self, const jargs *a)
{
    jval v[4]; /* value attribute default case_sensitive */
    (void)self;
    if (!jinja_eval_bind(r, a, "value attribute default case_sensitive", 2, v)) return nothing();
    const jlist *l = jinja_value_items(r, v[0]);
    keyed *x = jinja_mem_take(r, l->n, sizeof *x);
    if (!x) return nothing();
    jlist *groups = jinja_value_list(r, 0);
    bool exact = jinja_value_true(v[3]);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        jval key = get_attribute(r, l->v[i], v[1]);
        if (key.type == J_UNDEFINED && given(v[2])) key = v[2];
        x[i] = (keyed){without_case(r, key, exact), l->v[i]};
    }
    if (r->failed) return nothing();
    sort_keyed(r, x, l->n, false, false);
    for (size_t i = 0; i < l->n && !r->failed;) {
        jlist *group = jinja_value_list(r, 2), *members = jinja_value_list(r, 0);
        size_t first = i;
        for (; i < l->n && !r->failed && jinja_value_equal(r, x[first].key, x[i].key); i++) jinja_value_push(r, members, x[i].v);
        jval key = get_attribute(r, x[first].v, v[1]);
        if (key.type == J_UNDEFINED && given(v[2])) key = v[2];
        group->name = "group"; /* jinja_method_find gives it .grouper and .list */
        jinja_value_push(r, group, key);
        jinja_value_push(r, group, jlistv(members));
        jinja_value_push(r, groups, jtuplev(group));
    }
    return jlistv(groups);
}

static jval extreme(jrun *r, const jargs *a, int wanted)
{
    jval v[3]; /* value case_sensitive attribute */
    if (!jinja_eval_bind(r, a, "value case_sensitive attribute", 1, v)) return nothing();
    const jlist *l = jinja_value_items(r, v[0]);
    if (l->n == 0) return jinja_value_undefined(r, "No aggregated item, sequence was empty.");
    size_t best = 0;
    jval best_key = sort_key(r, l->v[0], v[2], jinja_value_true(v[1]));
    for (size_t i = 1; i < l->n && !r->failed; i++) {
        jval key = sort_key(r, l->v[i], v[2], jinja_value_true(v[1]));
        if (!r->failed && jinja_value_compare(r, key, best_key) == wanted) best = i, best_key = key;
    }
    return l->v[best];
}
static jval min(jrun *r, jval self, const jargs *a) { return (void)self, extreme(r, a, -1); }
static jval max(jrun *r, jval self, const jargs *a) { return (void)self, extreme(r, a, 1); }

static jval unique(jrun *r, jval self, const jargs *a)
{
    jval v[3]; /* value case_sensitive attribute */
    (void)self;
    if (!jinja_eval_bind(r, a, "value case_sensitive attribute", 1, v)) return nothing();
    const jlist *l = jinja_value_items(r, v[0]);
    jlist *out = jinja_value_list(r, 0);
    jdict *seen = jinja_value_dict(r);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        jval key = sort_key(r, l->v[i], v[2], jinja_value_true(v[1]));
        size_t before = seen->n;
        if (!r->failed) jinja_value_put(r, seen, key, jnone());
        if (seen->n > before) jinja_value_push(r, out, l->v[i]);
    }
    return jinja_value_iter(r, out, "generator");
}

/* ---- taking apart ---- */

static jval list(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    const jlist *l = jinja_value_items(r, v);
    jlist *out = jinja_value_list(r, l->n);
    for (size_t i = 0; i < l->n && !r->failed; i++) jinja_value_push(r, out, l->v[i]);
    return jlistv(out);
}

static jval first(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "seq", 1, &v)) return nothing();
    if (v.type == J_ITER) {
        if (v.u.l->at == v.u.l->n) return jinja_value_undefined(r, "No first item, sequence was empty.");
        return v.u.l->v[v.u.l->at++];
    }
    if (v.type == J_STR && v.u.s->n) return jinja_value_index(r, v, 0);
    const jlist *l = jinja_value_items(r, v);
    return l->n ? l->v[0] : jinja_value_undefined(r, "No first item, sequence was empty.");
}

static jval last(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "seq", 1, &v)) return nothing();
    if (v.type == J_ITER) {
        jinja_mem_fail(r, "TypeError", "'%s' object is not reversible", v.u.l->name);
        return nothing();
    }
    const jlist *l = jinja_value_items(r, v);
    return l->n ? l->v[l->n - 1] : jinja_value_undefined(r, "No last item, sequence was empty.");
}

static jval length(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    return jinja_eval_bind(r, a, "value", 1, &v) ? jint(jinja_value_len(r, v)) : nothing();
}

static jval reverse(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    if (v.type == J_STR) {
        jval bound[3] = {{.type = J_MISSING}, {.type = J_MISSING}, jint(-1)};
        return jinja_value_slice(r, v, bound);
    }
    const jlist *l = jinja_value_items(r, v);
    jlist *out = jinja_value_list(r, l->n);
    for (size_t i = l->n; i > 0 && !r->failed; i--) jinja_value_push(r, out, l->v[i - 1]);
    return v.type == J_ITER ? jlistv(out) : jinja_value_iter(r, out, "list_reverseiterator");
}

static jval items(jrun *r, jval self, const jargs *a)
{
    jval v;
    (void)self;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    jlist *out = jinja_value_list(r, 0);
    if (v.type != J_DICT && v.type != J_UNDEFINED) jinja_mem_fail(r, "TypeError", "Can only get item pairs from a mapping.");
    for (size_t i = 0; v.type == J_DICT && i < v.u.d->n && !r->failed; i++) {
        jlist *pair = jinja_value_list(r, 2);
        jinja_value_push(r, pair, v.u.d->k[i]);
        jinja_value_push(r, pair, v.u.d->v[i]);
        jinja_value_push(r, out, jtuplev(pair));
    }
    return jinja_value_iter(r, out, "generator");
}

static jval batch(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    int64_t n = 0;
    (void)self;
    if (!jinja_eval_bind(r, a, "value linecount fill_with", 2, v)) return nothing();
    if (!jinja_number_as_int(v[1], &n)) jinja_mem_fail(r, "TypeError", "batch wants a whole number of items");
    const jlist *l = jinja_value_items(r, v[0]);
    jlist *out = jinja_value_list(r, 0), *row = NULL;
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        if (!row || (int64_t)row->n == n) {
            row = jinja_value_list(r, 0);
            jinja_value_push(r, out, jlistv(row));
        }
        jinja_value_push(r, row, l->v[i]);
    }
    while (row && given(v[2]) && (int64_t)row->n < n && !r->failed) jinja_value_push(r, row, v[2]);
    return jinja_value_iter(r, out, "generator");
}

static jval slice(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    int64_t n = 0;
    (void)self;
    if (!jinja_eval_bind(r, a, "value slices fill_with", 2, v)) return nothing();
    if (!jinja_number_as_int(v[1], &n) || n == 0) jinja_mem_fail(r, "TypeError", "slice wants a number of slices");
    const jlist *l = jinja_value_items(r, v[0]);
    jlist *out = jinja_value_list(r, 0);
    if (r->failed || n <= 0) return jinja_value_iter(r, out, "generator");
    size_t each = l->n / (size_t)n, more = l->n % (size_t)n, at = 0;
    for (size_t i = 0; i < (size_t)n && !r->failed; i++) {
        jlist *part = jinja_value_list(r, 0);
        size_t end = at + each + (i < more);
        for (; at < end; at++) jinja_value_push(r, part, l->v[at]);
        if (given(v[2]) && i >= more) jinja_value_push(r, part, v[2]);
        jinja_value_push(r, out, jlistv(part));
    }
    return jinja_value_iter(r, out, "generator");
}

static jval attr(jrun *r, jval self, const jargs *a)
{
    jval v[2];
    (void)self;
    if (!jinja_eval_bind(r, a, "obj name", 2, v)) return nothing();
    const jstr *name = jinja_text_str(r, v[1]);
    if (v[0].type == J_NAMESPACE || v[0].type == J_LOOP || v[0].type == J_UNDEFINED) return jinja_eval_attr(r, v[0], jstrv(name));
    jval found = jinja_method_find(r, v[0], name);
    return found.type == J_MISSING ? jinja_value_no_attr(r, v[0], v[1]) : found;
}

/* ---- putting together ---- */

static jval join(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    jbuf b = {.r = r};
    (void)self;
    if (!jinja_eval_bind(r, a, "value d attribute", 1, v)) return nothing();
    const jstr *d = v[1].type == J_MISSING ? jinja_mem_lit(r, "") : jinja_text_str(r, v[1]);
    const jlist *l = jinja_value_items(r, v[0]);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        if (i) jinja_mem_putstr(&b, d);
        jinja_text_put(&b, given(v[2]) ? get_attribute(r, l->v[i], v[2]) : l->v[i]);
    }
    return jstrv(jinja_mem_done(&b));
}

static jval sum(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    (void)self;
    if (!jinja_eval_bind(r, a, "iterable attribute start", 1, v)) return nothing();
    jval total = v[2].type == J_MISSING ? jint(0) : v[2];
    const jlist *l = jinja_value_items(r, v[0]);
    for (size_t i = 0; i < l->n && !r->failed; i++)
        total = jinja_eval_add(r, total, given(v[1]) ? get_attribute(r, l->v[i], v[1]) : l->v[i]);
    return total;
}

static jval default_(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    (void)self;
    if (!jinja_eval_bind(r, a, "value default_value boolean", 1, v)) return nothing();
    bool use = v[0].type == J_UNDEFINED || (jinja_value_true(v[2]) && !jinja_value_true(v[0]));
    if (!use) return v[0];
    return v[1].type == J_MISSING ? jstrv(jinja_mem_lit(r, "")) : v[1];
}

/* transformers' tojson. */
static jval tojson(jrun *r, jval self, const jargs *a)
{
    jval v[5];
    int64_t n;
    jdump o = {0};
    jbuf b = {.r = r};
    (void)self;
    if (!jinja_eval_bind(r, a, "value ensure_ascii indent separators sort_keys", 1, v)) return nothing();
    o.ascii = jinja_value_true(v[1]);
    o.sort = jinja_value_true(v[4]);
    if (v[2].type == J_STR) o.indent = v[2].u.s;
    else if (jinja_number_as_int(v[2], &n)) o.indent = jinja_method_pad(r, jinja_mem_lit(r, ""), n, ' ', 'r', JOURS);
    else if (given(v[2])) jinja_mem_fail(r, "TypeError", "tojson: indent wants a number or a string");
    if (given(v[3])) {
        const jlist *l = jinja_value_items(r, v[3]);
        if (l->n != 2 || l->v[0].type != J_STR || l->v[1].type != J_STR)
            jinja_mem_fail(r, "TypeError", "tojson: separators wants two strings");
        else o.item = l->v[0].u.s, o.key = l->v[1].u.s;
    }
    if (!r->failed) jinja_text_json(&b, v[0], &o);
    return jstrv(jinja_mem_done(&b));
}

/* ---- filters that take filters and tests ---- */

static jval map(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    (void)self;
    if (a->n == 0 || !jinja_value_true(a->v[0])) return jinja_value_iter(r, jinja_value_list(r, 0), "generator");
    jlist *out = jinja_value_list(r, 0);
    bool by_attribute = a->n == 1;
    if (by_attribute && !jinja_eval_bind(r, a, "value attribute default", 2, v)) return nothing();
    if (!by_attribute && a->v[1].type != J_STR) jinja_mem_fail(r, "FilterArgumentError", "map requires a filter argument");
    const jlist *l = jinja_value_items(r, a->v[0]);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        jval x;
        if (by_attribute) {
            x = get_attribute(r, l->v[i], v[1]);
            if (x.type == J_UNDEFINED && given(v[2])) x = v[2];
        } else {
            jargs inner = *a;
            inner.n = a->n - 1;
            inner.v = jinja_mem_take(r, inner.n, sizeof *inner.v);
            if (!inner.v) break;
            memcpy(inner.v, a->v + 1, inner.n * sizeof *inner.v);
            inner.v[0] = l->v[i];
            x = jinja_filter_apply(r, a->v[1].u.s, &inner);
        }
        jinja_value_push(r, out, x);
    }
    return jinja_value_iter(r, out, "generator");
}

/* fixed: how many of the arguments come before the name of the test. */
static jval pick(jrun *r, const jargs *a, bool attribute, bool wanted)
{
    size_t fixed = attribute ? 2 : 1;
    jlist *out = jinja_value_list(r, 0);
    if (a->n && !jinja_value_true(a->v[0])) return jinja_value_iter(r, out, "generator");
    if (a->n < fixed) jinja_mem_fail(r, "FilterArgumentError", "Missing parameter for attribute name");
    if (a->n > fixed && a->v[fixed].type != J_STR) jinja_mem_fail(r, "FilterArgumentError", "the name of a test is a string");
    if (r->failed) return nothing();
    const jlist *l = jinja_value_items(r, a->v[0]);
    jargs inner = *a;
    inner.of = "test";
    inner.n = a->n > fixed ? a->n - fixed : 1;
    inner.v = jinja_mem_take(r, inner.n, sizeof *inner.v);
    if (!inner.v) return nothing();
    if (a->n > fixed) memcpy(inner.v, a->v + fixed, inner.n * sizeof *inner.v);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        inner.v[0] = attribute ? get_attribute(r, l->v[i], a->v[1]) : l->v[i];
        bool good = a->n > fixed ? jinja_test_apply(r, a->v[fixed].u.s, &inner) : jinja_value_true(inner.v[0]);
        if (good == wanted) jinja_value_push(r, out, l->v[i]);
    }
    return jinja_value_iter(r, out, "generator");
}
static jval select(jrun *r, jval self, const jargs *a) { return (void)self, pick(r, a, false, true); }
static jval reject(jrun *r, jval self, const jargs *a) { return (void)self, pick(r, a, false, false); }
static jval selectattr(jrun *r, jval self, const jargs *a) { return (void)self, pick(r, a, true, true); }
static jval rejectattr(jrun *r, jval self, const jargs *a) { return (void)self, pick(r, a, true, false); }

jval jinja_filter_apply(jrun *r, const jstr *name, const jargs *a)
{
    static const struct {
        const char *name;
        jfn *fn;
    } all[] = {{"attr", attr}, {"batch", batch}, {"count", length}, {"d", default_}, {"default", default_}, {"dictsort", dictsort},
               {"first", first}, {"groupby", groupby}, {"items", items}, {"join", join}, {"last", last}, {"length", length},
               {"list", list}, {"map", map}, {"max", max}, {"min", min}, {"reject", reject}, {"rejectattr", rejectattr},
               {"reverse", reverse}, {"select", select}, {"selectattr", selectattr}, {"slice", slice}, {"sort", sort},
               {"sum", sum}, {"tojson", tojson}, {"unique", unique}};
    jfn *fn = jinja_strfilter_find(name);
    for (size_t i = 0; i < sizeof all / sizeof all[0] && !fn; i++)
        if (jis(name, all[i].name)) fn = all[i].fn;
    int n = (int)(name->n > 60 ? 60 : name->n);
    char of[64];
    if (!fn) {
        jinja_mem_fail(r, "TemplateAssertionError", "No filter named '%.*s'.", n, name->p);
        return nothing();
    }
    if (!jinja_mem_enter(r)) return nothing();
    memcpy(of, name->p, (size_t)n);
    of[n] = 0;
    jargs named = *a;
    named.of = of;
    jval v = fn(r, jnone(), &named);
    r->depth--;
    return v;
}
