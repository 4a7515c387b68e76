/* jinja_container: methods of lists, tuples, ranges and dicts. Those that change their object work only where the run was asked
 * to do as minja does. */
#include "tokenizer/jinja_impl.h"
#include <string.h>

static jval nothing(void) { return (jval){.type = J_UNDEFINED}; }

static jval copy(jrun *r, jval self, const jargs *a)
{
    if (!jinja_eval_bind(r, a, "", 0, NULL)) return nothing();
    if (self.type == J_DICT) {
        jdict *d = jinja_value_dict(r);
        for (size_t i = 0; i < self.u.d->n && !r->failed; i++) jinja_value_put(r, d, self.u.d->k[i], self.u.d->v[i]);
        return jdictv(d);
    }
    jlist *l = jinja_value_list(r, self.u.l->n);
    for (size_t i = 0; i < self.u.l->n && !r->failed; i++) jinja_value_push(r, l, self.u.l->v[i]);
    return jlistv(l);
}

static jval count(jrun *r, jval self, const jargs *a)
{
    jval v;
    int64_t n = 0;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    const jlist *l = jinja_value_items(r, self);
    for (size_t i = 0; i < l->n && !r->failed; i++) n += jinja_value_equal(r, l->v[i], v);
    return jint(n);
}

static jval index_(jrun *r, jval self, const jargs *a)
{
    jval v;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    const jlist *l = jinja_value_items(r, self);
    for (size_t i = 0; i < l->n && !r->failed; i++)
        if (jinja_value_equal(r, l->v[i], v)) return jint((int64_t)i);
    jinja_mem_fail(r, "ValueError", "the value is not in the %s", jinja_value_type(self));
    return nothing();
}

/* ---- dicts ---- */

static jval get(jrun *r, jval self, const jargs *a)
{
    jval v[2];
    if (!jinja_eval_bind(r, a, "key default", 1, v)) return nothing();
    if (v[0].type == J_LIST || v[0].type == J_DICT) jinja_mem_fail(r, "TypeError", "unhashable type: '%s'", jinja_value_type(v[0]));
    const jval *found = r->failed ? NULL : jinja_value_get(r, self.u.d, v[0]);
    return found ? *found : v[1].type == J_MISSING ? jnone() : v[1];
}

static jval view(jrun *r, jval self, const jargs *a, const char *name, int what)
{
    const jdict *d = self.u.d;
    if (!jinja_eval_bind(r, a, "", 0, NULL)) return nothing();
    jlist *l = jinja_value_list(r, d->n);
    for (size_t i = 0; i < d->n && !r->failed; i++) {
        jlist *pair = what == 2 ? jinja_value_list(r, 2) : NULL;
        if (pair) {
            jinja_value_push(r, pair, d->k[i]);
            jinja_value_push(r, pair, d->v[i]);
        }
        jinja_value_push(r, l, pair ? jtuplev(pair) : what ? d->v[i] : d->k[i]);
    }
    l->name = name;
    return (jval){.type = r->flags & JINJA_JAVASCRIPT ? J_LIST : J_VIEW, .u.l = l};
}
static jval keys(jrun *r, jval self, const jargs *a) { return view(r, self, a, "dict_keys", 0); }
static jval values(jrun *r, jval self, const jargs *a) { return view(r, self, a, "dict_values", 1); }
static jval items(jrun *r, jval self, const jargs *a) { return view(r, self, a, "dict_items", 2); }

/* ---- what changes its object ---- */

static jval append(jrun *r, jval self, const jargs *a)
{
    jval v;
    if (!jinja_eval_bind(r, a, "value", 1, &v)) return nothing();
    jinja_value_push(r, self.u.l, v);
    return jnone();
}

static jval pop_index(jrun *r, jval self, const jargs *a)
{
    jval v;
    jlist *l = self.u.l;
    int64_t at = -1, n = (int64_t)l->n;
    if (!jinja_eval_bind(r, a, "index", 0, &v)) return nothing();
    if (v.type != J_MISSING && !jinja_number_as_int(v, &at)) jinja_mem_fail(r, "TypeError", "pop() wants a whole number");
    if (at < 0) at += n;
    if (at < 0 || at >= n) jinja_mem_fail(r, "IndexError", n ? "pop index out of range" : "pop from empty list");
    if (!jinja_mem_step(r, l->n)) return nothing();
    v = l->v[at];
    memmove(l->v + at, l->v + at + 1, (size_t)(n - 1 - at) * sizeof *l->v);
    l->n--;
    return v;
}

static jval pop_key(jrun *r, jval self, const jargs *a)
{
    jval v[2];
    jdict *d = self.u.d;
    if (!jinja_eval_bind(r, a, "key default", 1, v)) return nothing();
    const jval *found = jinja_value_get(r, d, v[0]);
    if (!found) {
        if (v[1].type == J_MISSING) jinja_mem_fail(r, "KeyError", "pop(): the key is not in the dict");
        return v[1];
    }
    v[1] = *found;
    jinja_value_remove(r, d, (size_t)(found - d->v));
    return v[1];
}

static const struct {
    uint8_t type;
    const char *name;
    jfn *fn;
    bool changes;
} methods[] = {
    {J_LIST, "copy", copy, 0}, {J_LIST, "count", count, 0}, {J_LIST, "index", index_, 0}, {J_LIST, "append", append, 1},
    {J_LIST, "pop", pop_index, 1}, {J_LIST, "clear", NULL, 1}, {J_LIST, "extend", NULL, 1}, {J_LIST, "insert", NULL, 1},
    {J_LIST, "remove", NULL, 1}, {J_LIST, "reverse", NULL, 1}, {J_LIST, "sort", NULL, 1}, {J_TUPLE, "count", count, 0},
    {J_TUPLE, "index", index_, 0}, {J_RANGE, "count", count, 0}, {J_RANGE, "index", index_, 0}, {J_DICT, "copy", copy, 0}, {J_DICT, "get", get, 0}, {J_DICT, "items", items, 0},
    {J_DICT, "keys", keys, 0}, {J_DICT, "values", values, 0}, {J_DICT, "pop", pop_key, 1}, {J_DICT, "clear", NULL, 1},
    {J_DICT, "popitem", NULL, 1}, {J_DICT, "setdefault", NULL, 1}, {J_DICT, "update", NULL, 1},
};

jfn *jinja_container_find(jrun *r, jval obj, const jstr *name, bool *refused)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].type != obj.type || !jis(name, methods[i].name)) continue;
        *refused = methods[i].changes && (!(r->flags & JINJA_MINJA) || !methods[i].fn);
        return *refused ? NULL : methods[i].fn;
    }
    return NULL;
}
