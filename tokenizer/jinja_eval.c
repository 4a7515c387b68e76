/* jinja_eval: expressions at work. */
#include "tokenizer/jinja_impl.h"
#include <stdio.h>
#include <string.h>

static jval undefined(void) { return (jval){.type = J_UNDEFINED}; }

/* ---- operators ---- */

static jval type_error(jrun *r, const char *op, jval a, jval b)
{
    if (a.type == J_UNDEFINED) jinja_value_undef_fail(r, a);
    if (b.type == J_UNDEFINED) jinja_value_undef_fail(r, b);
    if (a.type == J_BIGINT || b.type == J_BIGINT)
        jinja_mem_fail(r, "OverflowError", "a whole number beyond 64 bits: templates here compute with -2^63 .. 2^63-1");
    jinja_mem_fail(r, "TypeError", "unsupported operand type(s) for %s: '%s' and '%s'", op, jinja_value_type(a),
                   jinja_value_type(b));
    return undefined();
}

static jval escaped(jrun *r, jval v)
{
    if (v.markup) return v;
    jbuf b = {.r = r};
    jinja_text_escape(&b, v.u.s);
    return (jval){.type = J_STR, .markup = true, .u.s = jinja_mem_done(&b)};
}

static jval add_strings(jrun *r, jval a, jval b)
{
    bool markup = a.markup || b.markup;
    if (markup) {
        a = escaped(r, a);
        b = escaped(r, b);
    }
    return (jval){.type = J_STR, .markup = markup, .u.s = jinja_mem_concat(r, a.u.s, b.u.s)};
}

jval jinja_eval_add(jrun *r, jval a, jval b)
{
    if (a.type == J_STR && b.type == J_STR) return add_strings(r, a, b);
    if (jinja_number_is(a) && jinja_number_is(b)) return jinja_number_binary(r, T_ADD, a, b);
    if ((r->flags & JINJA_JAVASCRIPT) && a.type != J_UNDEFINED && b.type != J_UNDEFINED && a.type <= J_STR && b.type <= J_STR)
        return jstrv(jinja_mem_concat(r, jinja_text_str(r, a), jinja_text_str(r, b)));
    if ((a.type == J_LIST || a.type == J_TUPLE) && a.type == b.type) {
        jlist *l = jinja_value_list(r, a.u.l->n + b.u.l->n);
        for (size_t i = 0; i < a.u.l->n; i++) jinja_value_push(r, l, a.u.l->v[i]);
        for (size_t i = 0; i < b.u.l->n; i++) jinja_value_push(r, l, b.u.l->v[i]);
        return (jval){.type = a.type, .u.l = l};
    }
    if (a.type == J_STR && b.type != J_UNDEFINED)
        jinja_mem_fail(r, "TypeError", "can only concatenate str (not \"%s\") to str", jinja_value_type(b));
    return type_error(r, "+", a, b);
}

static jval repeat(jrun *r, jval what, int64_t times)
{
    size_t bytes = what.type == J_STR ? what.u.s->n : what.u.l->n * sizeof(jval);
    if (bytes && times > 0 && (uint64_t)times > r->memory / bytes) {
        jinja_mem_fail(r, "MemoryError", "%lld times %zu bytes is more than the memory that is allowed", (long long)times, bytes);
        return undefined();
    }
    if (what.type == J_STR) {
        jbuf b = {.r = r};
        for (int64_t i = 0; what.u.s->n && i < times && jinja_mem_step(r, 1); i++) jinja_mem_putstr(&b, what.u.s);
        return (jval){.type = J_STR, .markup = what.markup, .u.s = jinja_mem_done(&b)};
    }
    jlist *l = jinja_value_list(r, 0);
    for (int64_t i = 0; what.u.l->n && i < times && jinja_mem_step(r, 1); i++)
        for (size_t k = 0; k < what.u.l->n && !r->failed; k++) jinja_value_push(r, l, what.u.l->v[k]);
    return (jval){.type = what.type, .u.l = l};
}

static bool repeats(jval v) { return v.type == J_STR || v.type == J_LIST || v.type == J_TUPLE; }

static jval binary(jrun *r, int op, jval a, jval b)
{
    int64_t n;
    if (op == T_ADD) return jinja_eval_add(r, a, b);
    if (jinja_number_is(a) && jinja_number_is(b)) return jinja_number_binary(r, op, a, b);
    if (op == T_MOD && a.type == J_STR) {
        return jinja_format_percent(r, a, b);
    }
    if (op == T_MUL && repeats(a) && jinja_number_as_int(b, &n)) return repeat(r, a, n);
    if (op == T_MUL && repeats(b) && jinja_number_as_int(a, &n)) return repeat(r, b, n);
    return type_error(r, jinja_lex_name((uint8_t)op), a, b);
}

static bool compare(jrun *r, int op, jval a, jval b)
{
    if (op == T_EQ) return jinja_value_equal(r, a, b);
    if (op == T_NE) return !jinja_value_equal(r, a, b);
    if (op == T_IN) return jinja_value_contains(r, b, a);
    if (op == T_NOTIN) return !jinja_value_contains(r, b, a);
    int c = jinja_value_compare(r, a, b);
    if (c == 2) return false;
    return op == T_LT ? c < 0 : op == T_LE ? c <= 0 : op == T_GT ? c > 0 : c >= 0;
}

static jval compare_chain(jrun *r, const jnode *n)
{
    jval left = jinja_eval(r, n->a);
    bool good = true;
    for (size_t i = 0; i < n->n && good && !r->failed; i++) {
        jval right = jinja_eval(r, n->v[i]->a);
        if (!r->failed) good = compare(r, n->v[i]->op, left, right);
        left = right;
    }
    return jbool(good);
}

/* ---- members ---- */

static jval unsafe(jrun *r, jval obj, const jstr *name)
{
    char msg[200];
    snprintf(msg, sizeof msg, "access to attribute '%.*s' of '%s' object is unsafe.", (int)(name->n > 80 ? 80 : name->n), name->p,
             jinja_value_type(obj));
    return jinja_value_undefined(r, msg);
}

static bool private_name(const jstr *s) { return s->n > 4 && memcmp(s->p, "__", 2) == 0 && memcmp(s->p + s->n - 2, "__", 2) == 0; }

/* What getattr(obj, name) finds; J_MISSING: nothing. */
static jval attribute(jrun *r, jval obj, const jstr *name)
{
    if (private_name(name)) return unsafe(r, obj, name);
    if (obj.type == J_NAMESPACE) {
        const jval *v = jinja_value_get(r, obj.u.d, jstrv(name));
        return v ? *v : (jval){.type = J_MISSING};
    }
    if (obj.type == J_LOOP) return jinja_exec_loop_attr(r, obj.u.loop, name);
    if (obj.type == J_MACRO && jis(name, "name")) return jstrv(jinja_mem_lit(r, obj.u.macro->name));
    return jinja_method_find(r, obj, name);
}

/* What obj[key] finds; J_MISSING: nothing. */
static jval element(jrun *r, jval obj, jval key)
{
    int64_t i;
    if (obj.type == J_DICT) {
        const jval *v = jinja_value_get(r, obj.u.d, key);
        return v ? *v : (jval){.type = J_MISSING};
    }
    bool sequence = obj.type == J_LIST || obj.type == J_TUPLE || obj.type == J_RANGE || obj.type == J_STR;
    if (!sequence || !jinja_number_as_int(key, &i)) return (jval){.type = J_MISSING};
    jval v = jinja_value_index(r, obj, i);
    if (v.type == J_STR && obj.type == J_STR) v.markup = obj.markup;
    return v;
}

jval jinja_eval_attr(jrun *r, jval obj, jval name)
{
    if (r->failed) return undefined();
    if (obj.type == J_UNDEFINED) {
        jinja_value_undef_fail(r, obj);
        return undefined();
    }
    jval v = attribute(r, obj, name.u.s);
    if (v.type == J_MISSING) v = element(r, obj, name);
    return v.type == J_MISSING ? jinja_value_no_attr(r, obj, name) : v;
}

jval jinja_eval_item(jrun *r, jval obj, jval key)
{
    if (r->failed) return undefined();
    if (obj.type == J_UNDEFINED) {
        jinja_value_undef_fail(r, obj);
        return undefined();
    }
    jval v = element(r, obj, key);
    if (v.type == J_MISSING && key.type == J_STR) v = attribute(r, obj, key.u.s);
    return v.type == J_MISSING ? jinja_value_no_attr(r, obj, key) : v;
}

static jval slice(jrun *r, jval obj, const jnode *n)
{
    const jnode *part[3] = {n->a, n->b, n->c};
    jval bound[3];
    for (int i = 0; i < 3; i++) bound[i] = part[i] ? jinja_eval(r, part[i]) : (jval){.type = J_MISSING};
    return r->failed ? undefined() : jinja_value_slice(r, obj, bound);
}

/* ---- calls ---- */

static void push_keyword(jrun *r, jargs *a, size_t *cap, const jstr *name, jval v)
{
    for (size_t i = 0; i < a->n_kw; i++)
        if (a->kw_name[i]->n == name->n && memcmp(a->kw_name[i]->p, name->p, name->n) == 0)
            jinja_mem_fail(r, "TypeError", "%s() got multiple values for keyword argument '%.*s'", a->of,
                           (int)(name->n > 80 ? 80 : name->n), name->p);
    if (a->n_kw == *cap) {
        size_t more = *cap ? *cap * 2 : 4;
        const jstr **names = jinja_mem_grow(r, a->kw_name, *cap * sizeof(const jstr *), more * sizeof(const jstr *));
        if (names) a->kw_name = names;
        jval *kw = names ? jinja_mem_grow(r, a->kw, *cap * sizeof *kw, more * sizeof *kw) : NULL;
        if (!kw) return;
        a->kw = kw;
        *cap = more;
    }
    a->kw_name[a->n_kw] = name;
    a->kw[a->n_kw++] = v;
}

static void push_mapping(jrun *r, jargs *a, size_t *cap, jval v)
{
    if (v.type != J_DICT) {
        jinja_mem_fail(r, "TypeError", "%s() argument after ** must be a mapping, not %s", a->of, jinja_value_type(v));
        return;
    }
    for (size_t i = 0; i < v.u.d->n && jinja_mem_step(r, 1 + a->n_kw); i++) {
        if (v.u.d->k[i].type != J_STR) jinja_mem_fail(r, "TypeError", "%s() keywords must be strings", a->of);
        else push_keyword(r, a, cap, v.u.d->k[i].u.s, v.u.d->v[i]);
    }
}

bool jinja_eval_args(jrun *r, const jnode *of, const jval *first, jargs *out)
{
    size_t kw_cap = 0;
    jlist *l = jinja_value_list(r, of->n + 1);
    if (first) jinja_value_push(r, l, *first);
    for (size_t i = 0; i < of->n && !r->failed; i++) {
        const jnode *n = of->v[i];
        if (n->kind != N_ARG) {
            jinja_value_push(r, l, jinja_eval(r, n));
            continue;
        }
        jval v = jinja_eval(r, n->a);
        if (r->failed) break;
        if (n->op == ARG_KEYWORD) push_keyword(r, out, &kw_cap, n->name, v);
        else if (n->op == ARG_STARSTAR) push_mapping(r, out, &kw_cap, v);
        else {
            const jlist *more = jinja_value_items(r, v);
            for (size_t k = 0; k < more->n && !r->failed; k++) jinja_value_push(r, l, more->v[k]);
        }
    }
    out->v = l->v;
    out->n = l->n;
    return !r->failed;
}

bool jinja_eval_bind(jrun *r, const jargs *a, const char *names, size_t need, jval *out)
{
    size_t n = 0, kw_used = 0;
    for (const char *p = names; *p && !r->failed; n++) {
        size_t len = strcspn(p, " ");
        out[n] = (jval){.type = J_MISSING};
        if (n < a->n) out[n] = a->v[n];
        for (size_t k = 0; k < a->n_kw; k++) {
            if (a->kw_name[k]->n != len || memcmp(a->kw_name[k]->p, p, len) != 0) continue;
            if (n < a->n) jinja_mem_fail(r, "TypeError", "%s() got multiple values for argument '%.*s'", a->of, (int)len, p);
            out[n] = a->kw[k];
            kw_used++;
        }
        if (n < need && out[n].type == J_MISSING)
            jinja_mem_fail(r, "TypeError", "%s() missing the argument '%.*s'", a->of, (int)len, p);
        p += len + (p[len] == ' ');
    }
    if (a->n > n) jinja_mem_fail(r, "TypeError", "%s() takes at most %zu arguments, %zu given", a->of, n, a->n);
    if (kw_used < a->n_kw) jinja_mem_fail(r, "TypeError", "%s() got an unexpected keyword argument", a->of);
    return !r->failed;
}

jval jinja_eval_call(jrun *r, jval callee, const jargs *a)
{
    if (r->failed || !jinja_mem_enter(r)) return undefined();
    jval v = undefined();
    switch (callee.type) {
    case J_MACRO: v = jinja_exec_macro(r, callee.u.macro, a); break;
    case J_FUNC: v = callee.u.func->fn(r, callee.u.func->self, a); break;
    case J_LOOP:
        if (jinja_eval_bind(r, a, "iterable", 1, &v)) v = jinja_exec_loop(r, callee.u.loop, v);
        break;
    case J_UNDEFINED: jinja_value_undef_fail(r, callee); break;
    default: jinja_mem_fail(r, "TypeError", "'%s' object is not callable", jinja_value_type(callee));
    }
    r->depth--;
    return v;
}

static const char *callee_name(jval v)
{
    return v.type == J_MACRO ? v.u.macro->name : v.type == J_FUNC ? v.u.func->name : v.type == J_LOOP ? "loop" : "call";
}

static jval call(jrun *r, const jnode *n)
{
    jval callee = jinja_eval(r, n->a);
    jargs a = {.of = callee_name(callee)};
    if (r->failed || !jinja_eval_args(r, n, NULL, &a)) return undefined();
    r->line = n->line;
    return jinja_eval_call(r, callee, &a);
}

static jval filter(jrun *r, const jnode *n)
{
    jval operand = n->a ? jinja_eval(r, n->a) : r->input;
    jargs a = {.of = "filter"};
    if (r->failed || !jinja_eval_args(r, n, &operand, &a)) return undefined();
    r->line = n->line;
    return jinja_filter_apply(r, n->name, &a);
}

static jval test(jrun *r, const jnode *n)
{
    jval operand = jinja_eval(r, n->a);
    jargs a = {.of = "test"};
    if (r->failed || !jinja_eval_args(r, n, &operand, &a)) return undefined();
    r->line = n->line;
    return jbool(jinja_test_apply(r, n->name, &a));
}

/* ---- the rest ---- */

static jval name(jrun *r, const jnode *n)
{
    jval v = jinja_exec_lookup(r, n->name);
    if (v.type == J_MISSING) v = jinja_global_find(r, n->name);
    if (v.type == J_MISSING && (r->flags & JINJA_JAVASCRIPT) && jis(n->name, "null")) return jnone();
    return v.type == J_MISSING ? jinja_value_no_name(r, n->name) : v;
}

static jval collect(jrun *r, const jnode *n, jtype type)
{
    jlist *l = jinja_value_list(r, n->n);
    for (size_t i = 0; i < n->n && !r->failed; i++) jinja_value_push(r, l, jinja_eval(r, n->v[i]));
    return (jval){.type = (uint8_t)type, .u.l = l};
}

static jval dict(jrun *r, const jnode *n)
{
    jdict *d = jinja_value_dict(r);
    for (size_t i = 0; i + 1 < n->n && !r->failed; i += 2) {
        jval k = jinja_eval(r, n->v[i]);
        jval v = jinja_eval(r, n->v[i + 1]);
        if (!r->failed) jinja_value_put(r, d, k, v);
    }
    return jdictv(d);
}

static jval concat(jrun *r, const jnode *n)
{
    jbuf b = {.r = r};
    for (size_t i = 0; i < n->n && !r->failed; i++) jinja_text_put(&b, jinja_eval(r, n->v[i]));
    return jstrv(jinja_mem_done(&b));
}

static jval sign(jrun *r, const jnode *n)
{
    jval v = jinja_eval(r, n->a);
    int64_t i;
    if (r->failed) return v;
    if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
    if (!jinja_number_is(v)) {
        jinja_mem_fail(r, "TypeError", "bad operand type for unary %s: '%s'", n->kind == N_NEG ? "-" : "+", jinja_value_type(v));
        return v;
    }
    if (n->kind == N_NEG) return jinja_number_negate(r, v);
    return jinja_number_as_int(v, &i) ? jint(i) : v;
}

static jval condition(jrun *r, const jnode *n)
{
    char msg[120];
    jval c = jinja_eval(r, n->b);
    if (r->failed) return c;
    if (jinja_value_true(c)) return jinja_eval(r, n->a);
    if (n->c) return jinja_eval(r, n->c);
    snprintf(msg, sizeof msg, "the inline if-expression on line %u evaluated to false and no else section was defined.", n->line);
    return jinja_value_undefined(r, msg);
}

static jval logic(jrun *r, const jnode *n)
{
    jval v = jinja_eval(r, n->a);
    if (r->failed || jinja_value_true(v) == (n->kind == N_OR)) return v;
    return jinja_eval(r, n->b);
}

static jval operation(jrun *r, const jnode *n)
{
    jval a = jinja_eval(r, n->a), b = jinja_eval(r, n->b);
    if (r->failed) return undefined();
    r->line = n->line;
    return binary(r, n->op, a, b);
}

static jval item(jrun *r, const jnode *n)
{
    jval obj = jinja_eval(r, n->a);
    if (r->failed) return undefined();
    if (n->b->kind == N_SLICE) return slice(r, obj, n->b);
    jval key = jinja_eval(r, n->b);
    r->line = n->line;
    return jinja_eval_item(r, obj, key);
}

static jval eval(jrun *r, const jnode *n)
{
    switch (n->kind) {
    case N_CONST: return n->val;
    case N_NAME: return name(r, n);
    case N_TUPLE: return collect(r, n, J_TUPLE);
    case N_LIST: return collect(r, n, J_LIST);
    case N_DICT: return dict(r, n);
    case N_ATTR: return jinja_eval_attr(r, jinja_eval(r, n->a), n->val);
    case N_ITEM: return item(r, n);
    case N_CALL: return call(r, n);
    case N_FILTER: return filter(r, n);
    case N_TEST: return test(r, n);
    case N_BINARY: return operation(r, n);
    case N_COMPARE: return compare_chain(r, n);
    case N_AND:
    case N_OR: return logic(r, n);
    case N_NOT: return jbool(!jinja_value_true(jinja_eval(r, n->a)));
    case N_NEG:
    case N_POS: return sign(r, n);
    case N_CONCAT: return concat(r, n);
    case N_COND: return condition(r, n);
    default: jinja_mem_fail(r, "TypeError", "a slice stands alone between brackets"); return undefined();
    }
}

jval jinja_eval(jrun *r, const jnode *n)
{
    if (!jinja_mem_step(r, 1) || !jinja_mem_enter(r)) return undefined();
    r->line = n->line;
    jval v = eval(r, n);
    r->depth--;
    return r->failed ? undefined() : v;
}
