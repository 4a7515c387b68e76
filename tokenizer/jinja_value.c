/* jinja_value: truth, equality, order, containers, slices: Python's, for the types templates meet. */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <math.h>
#include <string.h>

jval jinja_value_undefined(jrun *r, const char *hint)
{
    jundef *u = jinja_mem_take(r, 1, sizeof *u);
    if (u) u->hint = jinja_mem_lit(r, hint);
    return (jval){.type = J_UNDEFINED, .u.undef = u};
}

static jval undefined_member(jrun *r, const char *owner, jval name)
{
    jundef *u = jinja_mem_take(r, 1, sizeof *u);
    jval *copy = u ? jinja_mem_take(r, 1, sizeof *copy) : NULL;
    if (!copy) return (jval){.type = J_UNDEFINED};
    *copy = name;
    u->name = copy;
    u->owner = owner;
    return (jval){.type = J_UNDEFINED, .u.undef = u};
}

jval jinja_value_no_name(jrun *r, const jstr *name) { return undefined_member(r, NULL, jstrv(name)); }
jval jinja_value_no_attr(jrun *r, jval obj, jval name) { return undefined_member(r, jinja_value_type(obj), name); }

void jinja_value_undef_fail(jrun *r, jval v)
{
    const jundef *u = v.u.undef;
    if (r->failed || !u) return;
    if (u->hint) {
        bool unsafe = u->hint->n > 9 && memcmp(u->hint->p, "access to", 9) == 0;
        jinja_mem_fail(r, unsafe ? "SecurityError" : "UndefinedError", "%.*s", (int)(u->hint->n > 400 ? 400 : u->hint->n),
                       u->hint->p);
        return;
    }
    jbuf b = {.r = r};
    jinja_text_repr(&b, *u->name);
    int n = (int)(b.n > 300 ? 300 : b.n);
    if (!u->owner) jinja_mem_fail(r, "UndefinedError", "%.*s is undefined", n, b.p);
    else
        jinja_mem_fail(r, "UndefinedError", "'%s%s' has no %s %.*s", u->owner, strcmp(u->owner, "None") ? " object" : "",
                       u->name->type == J_STR ? "attribute" : "element", n, b.p);
}

const char *jinja_value_type(jval v)
{
    switch (v.type) {
    case J_UNDEFINED: return "Undefined";
    case J_NONE: return "None";
    case J_BOOL: return "bool";
    case J_INT:
    case J_BIGINT: return "int";
    case J_FLOAT: return "float";
    case J_STR: return "str";
    case J_LIST: return "list";
    case J_TUPLE: return "tuple";
    case J_VIEW:
    case J_ITER: return v.u.l->name;
    case J_RANGE: return "range";
    case J_DICT: return "dict";
    case J_NAMESPACE: return "Namespace";
    case J_MACRO: return "Macro";
    case J_LOOP: return "LoopContext";
    default: return "function";
    }
}

bool jinja_value_true(jval v)
{
    switch (v.type) {
    case J_MISSING:
    case J_UNDEFINED:
    case J_NONE: return false;
    case J_BOOL: return v.u.b;
    case J_INT: return v.u.i != 0;
    case J_FLOAT: return v.u.f != 0;
    case J_STR: return v.u.s->n != 0;
    case J_LIST:
    case J_TUPLE:
    case J_VIEW: return v.u.l->n != 0;
    case J_RANGE: return v.u.range->n != 0;
    case J_DICT: return v.u.d->n != 0;
    default: return true; /* an iterator, even an empty one */
    }
}

static bool is_list(jval v) { return v.type == J_LIST || v.type == J_TUPLE; }

static bool equal_lists(jrun *r, const jlist *a, const jlist *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n && !r->failed; i++)
        if (!jinja_value_equal(r, a->v[i], b->v[i])) return false;
    return true;
}

/* dict.keys() and items() are sets to ==. */
static bool equal_views(jrun *r, const jlist *a, const jlist *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->name, "dict_values") == 0) return a == b;
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same && !r->failed; i++) {
        same = false;
        for (size_t k = 0; k < b->n && !same && !r->failed; k++) same = jinja_value_equal(r, a->v[i], b->v[k]);
    }
    return same;
}

static bool equal_dicts(jrun *r, const jdict *a, const jdict *b)
{
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n && !r->failed; i++) {
        const jval *other = jinja_value_get(r, b, a->k[i]);
        if (!other || !jinja_value_equal(r, a->v[i], *other)) return false;
    }
    return true;
}

/* An int against a float, exactly: 2^53 + 1 is not 2.0^53. */
static int compare_int_float(int64_t i, double f)
{
    if (isnan(f)) return 2;
    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    int64_t whole = (int64_t)f;
    if (i != whole) return i < whole ? -1 : 1;
    double rest = f - (double)whole;
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

static int compare_numbers(jval a, jval b)
{
    int64_t i, j;
    bool ai = jinja_number_as_int(a, &i), bi = jinja_number_as_int(b, &j);
    if (ai && bi) return i < j ? -1 : i > j;
    if (ai) return compare_int_float(i, b.u.f);
    if (bi) {
        int c = compare_int_float(j, a.u.f);
        return c == 2 ? 2 : -c;
    }
    if (isnan(a.u.f) || isnan(b.u.f)) return 2;
    return a.u.f < b.u.f ? -1 : a.u.f > b.u.f;
}

bool jinja_value_equal(jrun *r, jval a, jval b)
{
    if (!jinja_mem_step(r, 1)) return false;
    if (jinja_number_is(a) && jinja_number_is(b)) {
        if ((r->flags & JINJA_JAVASCRIPT) && (a.type == J_BOOL) != (b.type == J_BOOL)) return false;
        return compare_numbers(a, b) == 0;
    }
    if (a.type != b.type) return false;
    switch (a.type) {
    case J_STR:
    case J_BIGINT:
        return jinja_mem_bytes(r, a.u.s->n) && a.u.s->n == b.u.s->n && memcmp(a.u.s->p, b.u.s->p, a.u.s->n) == 0;
    case J_UNDEFINED:
    case J_NONE: return true;
    case J_LIST:
    case J_TUPLE:
    case J_VIEW:
    case J_DICT: {
        if (!jinja_mem_enter(r)) return false;
        bool same = a.type == J_DICT ? equal_dicts(r, a.u.d, b.u.d)
                    : a.type == J_VIEW ? equal_views(r, a.u.l, b.u.l) : equal_lists(r, a.u.l, b.u.l);
        r->depth--;
        return same;
    }
    case J_RANGE:
        return a.u.range->n == b.u.range->n &&
               (a.u.range->n == 0 || (a.u.range->start == b.u.range->start &&
                                      (a.u.range->n == 1 || a.u.range->step == b.u.range->step)));
    default: return a.u.l == b.u.l;
    }
}

int jinja_value_compare(jrun *r, jval a, jval b)
{
    if (!jinja_mem_step(r, 1)) return 0;
    if (jinja_number_is(a) && jinja_number_is(b)) return compare_numbers(a, b);
    if (a.type == J_STR && b.type == J_STR) {
        size_t n = a.u.s->n < b.u.s->n ? a.u.s->n : b.u.s->n;
        jinja_mem_bytes(r, n);
        int c = memcmp(a.u.s->p, b.u.s->p, n); /* the order of UTF-8 is the order of code points */
        return c ? (c < 0 ? -1 : 1) : a.u.s->n < b.u.s->n ? -1 : a.u.s->n > b.u.s->n;
    }
    if (is_list(a) && a.type == b.type) {
        const jlist *x = a.u.l, *y = b.u.l;
        if (!jinja_mem_enter(r)) return 0;
        int c = x->n < y->n ? -1 : x->n > y->n;
        for (size_t i = 0; i < x->n && i < y->n && !r->failed; i++)
            if (!jinja_value_equal(r, x->v[i], y->v[i])) {
                c = jinja_value_compare(r, x->v[i], y->v[i]);
                break;
            }
        r->depth--;
        return c;
    }
    if (a.type == J_UNDEFINED) jinja_value_undef_fail(r, a);
    if (b.type == J_UNDEFINED) jinja_value_undef_fail(r, b);
    jinja_mem_fail(r, "TypeError", "'<' not supported between instances of '%s' and '%s'", jinja_value_type(a),
                   jinja_value_type(b));
    return 0;
}

/* ---- lists ---- */

jlist *jinja_value_list(jrun *r, size_t cap)
{
    jlist *l = jinja_mem_take(r, 1, sizeof *l);
    if (l && cap) {
        l->v = jinja_mem_take(r, cap, sizeof *l->v);
        l->cap = cap;
    }
    return r->failed ? &r->spare_list : l;
}

void jinja_value_push(jrun *r, jlist *l, jval v)
{
    if (!jinja_mem_step(r, 1)) return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        if (cap > SIZE_MAX / 64) {
            jinja_mem_fail(r, "MemoryError", "a list of %zu items", l->n);
            return;
        }
        jval *p = jinja_mem_grow(r, l->v, l->cap * sizeof *p, cap * sizeof *p);
        if (!p) return;
        l->v = p;
        l->cap = cap;
    }
    l->v[l->n++] = v;
}

jval jinja_value_iter(jrun *r, jlist *l, const char *name)
{
    if (r->flags & JINJA_JAVASCRIPT) return jlistv(l);
    l->name = name;
    return (jval){.type = J_ITER, .u.l = l};
}

static jlist *chars_of(jrun *r, const jstr *s)
{
    jlist *l = jinja_value_list(r, 0);
    for (size_t at = 0, len; at < s->n && !r->failed; at += len) {
        unicode_decode(s->p + at, &len);
        jinja_value_push(r, l, jstrv(jinja_mem_slice(r, s, at, at + len)));
    }
    return l;
}

jlist *jinja_value_items(jrun *r, jval v)
{
    jlist *l;
    switch (v.type) {
    case J_LIST:
    case J_TUPLE:
    case J_VIEW: return v.u.l;
    case J_ITER: {
        l = jinja_value_list(r, 0);
        if (r->failed) return l;
        size_t at = v.u.l->at;
        l->v = v.u.l->v ? v.u.l->v + at : NULL;
        l->n = v.u.l->n - at;
        v.u.l->at = v.u.l->n;
        l->cap = l->n; /* nothing may grow in somebody else's memory */
        return l;
    }
    case J_STR: return chars_of(r, v.u.s);
    case J_DICT:
        l = jinja_value_list(r, v.u.d->n);
        for (size_t i = 0; i < v.u.d->n; i++) jinja_value_push(r, l, v.u.d->k[i]);
        return l;
    case J_RANGE:
        l = jinja_value_list(r, 0);
        for (uint64_t i = 0; i < v.u.range->n && !r->failed; i++)
            jinja_value_push(r, l, jinja_value_index(r, v, (int64_t)i));
        return l;
    case J_UNDEFINED: return jinja_value_list(r, 0);
    default:
        jinja_mem_fail(r, "TypeError", "'%s%s' object is not iterable", jinja_value_type(v), v.type == J_NONE ? "Type" : "");
        return &r->spare_list;
    }
}

int64_t jinja_value_len(jrun *r, jval v)
{
    switch (v.type) {
    case J_STR: return (int64_t)jinja_value_chars(r, v.u.s);
    case J_LIST:
    case J_TUPLE:
    case J_VIEW: return (int64_t)v.u.l->n;
    case J_DICT: return (int64_t)v.u.d->n;
    case J_RANGE: return (int64_t)v.u.range->n;
    case J_UNDEFINED: return 0;
    case J_LOOP: return (int64_t)v.u.loop->items->n;
    default:
        jinja_mem_fail(r, "TypeError", "object of type '%s%s' has no len()", jinja_value_type(v),
                       v.type == J_NONE ? "Type" : "");
        return 0;
    }
}

/* Equal keys have equal hashes: 1, 1.0 and true are one key. False: v cannot be a key. */
static bool hash_of(jrun *r, jval v, uint32_t *h)
{
    uint64_t x = 1469598103934665603u;
    int64_t i;
    if (!jinja_mem_step(r, 1)) return true; /* the run is over */
    if (v.type == J_FLOAT && fabs(v.u.f) < 9e18 && v.u.f == floor(v.u.f)) v = jint((int64_t)v.u.f);
    if (v.type == J_STR || v.type == J_BIGINT) {
        for (size_t k = 0; k < v.u.s->n; k++) x = (x ^ (unsigned char)v.u.s->p[k]) * 1099511628211u;
        jinja_mem_bytes(r, v.u.s->n);
    } else if (jinja_number_as_int(v, &i)) {
        x ^= (uint64_t)i * 0x9e3779b97f4a7c15u;
    } else if (v.type == J_FLOAT) {
        uint64_t bits;
        memcpy(&bits, &v.u.f, sizeof bits);
        x ^= bits * 0x9e3779b97f4a7c15u;
    } else if (v.type == J_TUPLE) {
        if (!jinja_mem_enter(r)) return false;
        bool good = true;
        for (size_t k = 0; k < v.u.l->n && good && !r->failed; k++) {
            uint32_t one = 0;
            good = hash_of(r, v.u.l->v[k], &one);
            x = (x ^ one) * 1099511628211u;
        }
        r->depth--;
        if (!good) return false;
    } else if (v.type == J_LIST || v.type == J_DICT || v.type == J_VIEW) {
        return false;
    } else if (v.type != J_NONE && v.type != J_UNDEFINED) {
        x ^= (uintptr_t)v.u.l;
    }
    *h = (uint32_t)(x ^ x >> 32);
    return true;
}

bool jinja_value_contains(jrun *r, jval in, jval what)
{
    if (in.type == J_STR) {
        if (what.type != J_STR) {
            if (what.type == J_UNDEFINED && (r->flags & JINJA_JAVASCRIPT)) return false;
            jinja_mem_fail(r, "TypeError", "'in <string>' requires string as left operand, not %s", jinja_value_type(what));
            return false;
        }
        return jinja_method_find_bytes(r, in.u.s->p, in.u.s->n, what.u.s->p, what.u.s->n) != NULL;
    }
    if (in.type == J_DICT || (in.type == J_VIEW && strcmp(in.u.l->name, "dict_keys") == 0)) {
        uint32_t h = 0;
        if (!hash_of(r, what, &h)) jinja_mem_fail(r, "TypeError", "unhashable type: '%s'", jinja_value_type(what));
        if (in.type == J_DICT) return jinja_value_get(r, in.u.d, what) != NULL;
    }
    if (in.type == J_RANGE) {
        const struct jrange *g = in.u.range;
        int64_t i;
        if (what.type == J_FLOAT && what.u.f == floor(what.u.f) && fabs(what.u.f) < 9e15) what = jint((int64_t)what.u.f);
        if (!jinja_number_as_int(what, &i) || !g->n) return false;
        int64_t last = g->start + (int64_t)(g->n - 1) * g->step;
        if (g->step > 0 ? i < g->start || i > last : i > g->start || i < last) return false;
        uint64_t by = g->step > 0 ? (uint64_t)g->step : 0 - (uint64_t)g->step;
        uint64_t off = g->step > 0 ? (uint64_t)i - (uint64_t)g->start : (uint64_t)g->start - (uint64_t)i;
        return off % by == 0;
    }
    const jlist *l = jinja_value_items(r, in);
    for (size_t i = 0; i < l->n && !r->failed; i++)
        if (jinja_value_equal(r, l->v[i], what)) return true;
    return false;
}

/* ---- dicts ---- */

jdict *jinja_value_dict(jrun *r)
{
    jdict *d = jinja_mem_take(r, 1, sizeof *d);
    return d ? d : &r->spare_dict;
}

/* Index of k, or n. *hash is of k. */
static size_t find_key(jrun *r, const jdict *d, jval k, uint32_t hash)
{
    if (!d->slot) {
        for (size_t i = 0; i < d->n && !r->failed; i++)
            if (jinja_value_equal(r, d->k[i], k)) return i;
        return d->n;
    }
    for (size_t at = hash & (d->slots - 1); d->slot[at] && !r->failed; at = (at + 1) & (d->slots - 1)) {
        size_t i = d->slot[at] - 1;
        if (i < d->n && jinja_value_equal(r, d->k[i], k)) return i;
    }
    return d->n;
}

const jval *jinja_value_get(jrun *r, const jdict *d, jval k)
{
    uint32_t h = 0;
    if (k.type == J_ITER || !hash_of(r, k, &h)) return NULL;
    size_t i = find_key(r, d, k, h);
    return r->failed || i == d->n ? NULL : &d->v[i];
}

const jval *jinja_value_get_name(jrun *r, const jdict *d, const char *name)
{
    jstr s = {.p = name, .n = strlen(name), .ascii = true};
    return jinja_value_get(r, d, jstrv(&s));
}

static void rehash(jrun *r, jdict *d)
{
    size_t slots = 32;
    while (slots < d->cap * 2) slots *= 2;
    d->slot = NULL;
    uint32_t *slot = jinja_mem_take(r, slots, sizeof *slot);
    if (!slot) return;
    for (size_t i = 0; i < d->n; i++) {
        uint32_t h = 0;
        hash_of(r, d->k[i], &h);
        size_t at = h & (slots - 1);
        while (slot[at]) at = (at + 1) & (slots - 1);
        slot[at] = (uint32_t)i + 1;
    }
    d->slot = slot;
    d->slots = slots;
}

void jinja_value_put(jrun *r, jdict *d, jval k, jval v)
{
    uint32_t h = 0;
    if (!jinja_mem_step(r, 1)) return;
    if (!hash_of(r, k, &h)) {
        jinja_mem_fail(r, "TypeError", "unhashable type: '%s'", jinja_value_type(k));
        return;
    }
    size_t i = find_key(r, d, k, h);
    if (r->failed) return;
    if (i < d->n) {
        d->v[i] = v;
        return;
    }
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 8;
        if (cap > UINT32_MAX / 4) {
            jinja_mem_fail(r, "MemoryError", "a dict of %zu items", d->n);
            return;
        }
        jval *kp = jinja_mem_grow(r, d->k, d->cap * sizeof *kp, cap * sizeof *kp);
        if (kp) d->k = kp;
        jval *vp = kp ? jinja_mem_grow(r, d->v, d->cap * sizeof *vp, cap * sizeof *vp) : NULL;
        if (!vp) return;
        d->v = vp;
        d->cap = cap;
        if (cap > 16) rehash(r, d);
    }
    d->k[d->n] = k;
    d->v[d->n++] = v;
    if (d->slot && !r->failed) {
        size_t at = h & (d->slots - 1);
        while (d->slot[at]) at = (at + 1) & (d->slots - 1);
        d->slot[at] = (uint32_t)d->n;
    }
}

void jinja_value_remove(jrun *r, jdict *d, size_t i)
{
    if (!jinja_mem_step(r, d->n)) return;
    memmove(d->k + i, d->k + i + 1, (d->n - i - 1) * sizeof *d->k);
    memmove(d->v + i, d->v + i + 1, (d->n - i - 1) * sizeof *d->v);
    d->n--;
    if (d->slot) rehash(r, d);
}

/* ---- indexing ---- */

size_t jinja_value_chars(jrun *r, const jstr *s)
{
    if (s->ascii) return s->n;
    jinja_mem_bytes(r, s->n);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += ((unsigned char)s->p[i] & 0xc0) != 0x80;
    return n;
}

size_t jinja_value_offset(jrun *r, const jstr *s, size_t chars)
{
    if (s->ascii) return chars < s->n ? chars : s->n;
    size_t at = 0, len;
    for (; at < s->n && chars; chars--) {
        unicode_decode(s->p + at, &len);
        at += len;
    }
    jinja_mem_bytes(r, at);
    return at;
}

jval jinja_value_index(jrun *r, jval obj, int64_t i)
{
    int64_t n = jinja_value_len(r, obj);
    if (i < 0) i += n;
    if (r->failed || i < 0 || i >= n) return (jval){.type = J_MISSING};
    if (obj.type == J_LIST || obj.type == J_TUPLE) return obj.u.l->v[i];
    if (obj.type == J_RANGE) return jint(obj.u.range->start + i * obj.u.range->step);
    if (obj.type != J_STR) return (jval){.type = J_MISSING};
    const jstr *s = obj.u.s;
    size_t at = jinja_value_offset(r, s, (size_t)i), len = 0;
    if (at < s->n) unicode_decode(s->p + at, &len);
    return jstrv(jinja_mem_slice(r, s, at, at + len));
}

/* Python's rules for a slice of n items: the first index, the one before which it ends, and how many are taken. */
static bool slice_bounds(jrun *r, const jval bound[3], int64_t n, int64_t *start, int64_t *stop, int64_t *step, int64_t *count)
{
    int64_t v[3];
    bool given[3];
    for (int i = 0; i < 3; i++) {
        given[i] = bound[i].type != J_MISSING && bound[i].type != J_NONE;
        if (given[i] && !jinja_number_as_int(bound[i], &v[i])) {
            if (bound[i].type == J_UNDEFINED) jinja_value_undef_fail(r, bound[i]);
            jinja_mem_fail(r, "TypeError", "slice indices must be integers or None, not %s", jinja_value_type(bound[i]));
            return false;
        }
    }
    int64_t st = given[2] ? v[2] : 1;
    if (st == 0) {
        jinja_mem_fail(r, "ValueError", "slice step cannot be zero");
        return false;
    }
    int64_t low = st < 0 ? -1 : 0, high = st < 0 ? n - 1 : n;
    int64_t ends[2] = {st < 0 ? high : low, st < 0 ? low : high};
    for (int i = 0; i < 2; i++) {
        if (!given[i]) continue;
        int64_t x = v[i];
        if (x < 0) x = x < -n ? low : x + n;
        ends[i] = x > high ? high : x;
    }
    int64_t span = st > 0 ? ends[1] - ends[0] : ends[0] - ends[1];
    uint64_t stride = st > 0 ? (uint64_t)st : 0 - (uint64_t)st;
    *start = ends[0];
    *stop = ends[1];
    *step = st;
    *count = span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / stride) + 1;
    return true;
}

static jval slice_str(jrun *r, const jstr *s, int64_t start, int64_t step, int64_t count)
{
    if (count == 0) return jstrv(jinja_mem_slice(r, s, 0, 0));
    if (step == 1) {
        size_t begin = jinja_value_offset(r, s, (size_t)start);
        jstr rest = {.p = s->p + begin, .n = s->n - begin, .ascii = s->ascii};
        return jstrv(jinja_mem_slice(r, s, begin, begin + jinja_value_offset(r, &rest, (size_t)count)));
    }
    const jlist *l = chars_of(r, s);
    jbuf b = {.r = r};
    for (int64_t i = 0; i < count && !r->failed; i++) jinja_mem_putstr(&b, l->v[start + i * step].u.s);
    return jstrv(jinja_mem_done(&b));
}

jval jinja_value_slice(jrun *r, jval obj, const jval bound[3])
{
    int64_t start, stop, step, count;
    if (obj.type == J_UNDEFINED) {
        jinja_value_undef_fail(r, obj);
        return obj;
    }
    if (obj.type != J_STR && obj.type != J_LIST && obj.type != J_TUPLE && obj.type != J_RANGE) {
        jinja_mem_fail(r, "TypeError", "'%s' object is not subscriptable", jinja_value_type(obj));
        return jnone();
    }
    if (!slice_bounds(r, bound, jinja_value_len(r, obj), &start, &stop, &step, &count) || r->failed) return jnone();
    if (obj.type == J_STR) {
        jval v = slice_str(r, obj.u.s, start, step, count);
        v.markup = obj.markup;
        return v;
    }
    if (obj.type == J_RANGE) {
        struct jrange *g = jinja_mem_take(r, 1, sizeof *g);
        if (!g) return jnone();
        const struct jrange *of = obj.u.range;
        /* What does not fit lies past the ends, which only its text shows. */
        uint64_t first = (uint64_t)of->start, each = (uint64_t)of->step;
        *g = (struct jrange){(int64_t)(first + (uint64_t)start * each), (int64_t)(first + (uint64_t)stop * each), (int64_t)(each * (uint64_t)step), (uint64_t)count};
        return (jval){.type = J_RANGE, .u.range = g};
    }
    jlist *l = jinja_value_list(r, (size_t)count);
    for (int64_t i = 0; i < count && !r->failed; i++) jinja_value_push(r, l, obj.u.l->v[start + i * step]);
    return (jval){.type = obj.type, .u.l = l};
}
