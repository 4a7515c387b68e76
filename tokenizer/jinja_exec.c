/* jinja_exec: statements at work: scopes, loops, macros. */
#include "tokenizer/jinja_impl.h"
#include <string.h>

/* ---- scopes ---- */

jscope *jinja_exec_push(jrun *r, jscope *parent)
{
    jscope *s = jinja_mem_take(r, 1, sizeof *s);
    if (s) s->parent = parent;
    return s;
}

jval jinja_exec_lookup(jrun *r, const jstr *name)
{
    for (const jscope *s = r->scope; s; s = s->parent)
        for (size_t i = 0; i < s->n; i++)
            if (s->name[i] == name) return s->v[i];
    return (jval){.type = J_MISSING};
}

void jinja_exec_assign(jrun *r, jscope *s, const jstr *name, jval v)
{
    if (r->failed) return;
    for (size_t i = 0; i < s->n; i++)
        if (s->name[i] == name) {
            s->v[i] = v;
            return;
        }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        const jstr **names = jinja_mem_grow(r, s->name, s->cap * sizeof(const jstr *), cap * sizeof(const jstr *));
        if (names) s->name = names;
        jval *vals = names ? jinja_mem_grow(r, s->v, s->cap * sizeof *vals, cap * sizeof *vals) : NULL;
        if (!vals) return;
        s->v = vals;
        s->cap = cap;
    }
    s->name[s->n] = name;
    s->v[s->n++] = v;
}

static void assign_member(jrun *r, const jnode *target, jval v)
{
    jval ns = jinja_exec_lookup(r, target->name);
    if (ns.type != J_NAMESPACE) {
        jinja_mem_fail(r, "TemplateRuntimeError", "cannot assign attribute on non-namespace object");
        return;
    }
    jinja_value_put(r, ns.u.d, target->val, v);
}

static void assign(jrun *r, const jnode *target, jval v)
{
    if (r->failed) return;
    if (target->kind == N_NAME) {
        jinja_exec_assign(r, r->scope, target->name, v);
    } else if (target->kind == N_NSREF) {
        assign_member(r, target, v);
    } else {
        if (v.type == J_UNDEFINED) v = jtuplev(jinja_value_list(r, 0));
        const jlist *l = jinja_value_items(r, v);
        if (l->n != target->n)
            jinja_mem_fail(r, "ValueError", "%s values to unpack (expected %zu, got %zu)",
                           l->n < target->n ? "not enough" : "too many", target->n, l->n);
        for (size_t i = 0; i < target->n && !r->failed; i++) assign(r, target->v[i], l->v[i]);
    }
}

/* A macro made now looks into this scope and those around it for as long as it lives. */
static void keep_scopes(jscope *s)
{
    for (; s && !s->kept; s = s->parent) s->kept = true;
}

/* ---- text of a body ---- */

/* Runs a body in a scope of its own, its text into b (NULL: where text goes now). */
static void exec_inner(jrun *r, const jnode *body, jbuf *b)
{
    jscope *outer = r->scope;
    jbuf *out = r->out;
    if (b) r->out = b;
    r->scope = jinja_exec_push(r, outer);
    if (r->scope) jinja_exec(r, body);
    r->scope = outer;
    r->out = out;
}

static jval filtered(jrun *r, const jnode *filters, jval v)
{
    jval before = r->input;
    r->input = v;
    v = jinja_eval(r, filters);
    r->input = before;
    return v;
}

/* ---- macros ---- */

static const jval *keyword(const jargs *a, const jstr *name)
{
    for (size_t i = 0; i < a->n_kw; i++)
        if (a->kw_name[i] == name || (a->kw_name[i]->n == name->n && memcmp(a->kw_name[i]->p, name->p, name->n) == 0))
            return &a->kw[i];
    return NULL;
}

static void bind_parameters(jrun *r, const jnode *n, const jargs *a, size_t *used)
{
    for (size_t i = 0; i < n->n && !r->failed; i++) {
        const jnode *param = n->v[i];
        const jval *kw = i < a->n ? NULL : keyword(a, param->name);
        jval v;
        *used += kw != NULL;
        if (i < a->n) v = a->v[i];
        else if (kw) v = *kw;
        else if (param->a) v = jinja_eval(r, param->a);
        else {
            jbuf b = {.r = r};
            jinja_mem_puts(&b, "parameter '");
            jinja_mem_putstr(&b, param->name);
            jinja_mem_puts(&b, "' was not provided");
            jinja_mem_putc(&b, 0, JOURS);
            v = jinja_value_undefined(r, r->failed ? "" : b.p);
        }
        jinja_exec_assign(r, r->scope, param->name, v);
    }
}

static jval rest_of_keywords(jrun *r, const jnode *n, const jargs *a)
{
    jdict *d = jinja_value_dict(r);
    for (size_t i = 0; i < a->n_kw && !r->failed; i++) {
        bool taken = (n->op & MACRO_CALLER) && jis(a->kw_name[i], "caller");
        for (size_t k = 0; k < n->n; k++) taken = taken || keyword(&(jargs){.kw_name = &a->kw_name[i], .kw = &a->kw[i], .n_kw = 1}, n->v[k]->name);
        if (!taken) jinja_value_put(r, d, jstrv(a->kw_name[i]), a->kw[i]);
    }
    return jdictv(d);
}

/* caller, kwargs and varargs: only for a macro that mentions them; other arguments too many are errors. */
static void bind_specials(jrun *r, const jmacro *m, const jargs *a, size_t used)
{
    const jnode *n = m->node;
    const jinja_template *t = r->t;
    if (n->op & MACRO_CALLER) {
        bool own = false;
        for (size_t i = 0; i < n->n; i++) own = own || n->v[i]->name == t->caller;
        const jval *c = own ? NULL : keyword(a, t->caller);
        used += c != NULL;
        if (!own) jinja_exec_assign(r, r->scope, t->caller, c ? *c : jinja_value_undefined(r, "No caller defined"));
    }
    if (n->op & MACRO_KWARGS) {
        jinja_exec_assign(r, r->scope, t->kwargs, rest_of_keywords(r, n, a));
    } else if (used < a->n_kw) {
        jinja_mem_fail(r, "TypeError", "macro '%s' takes no keyword argument '%.*s'", m->name,
                       (int)(a->kw_name[0]->n > 60 ? 60 : a->kw_name[0]->n), a->kw_name[0]->p);
    }
    if (n->op & MACRO_VARARGS) {
        jlist *l = jinja_value_list(r, 0);
        for (size_t i = n->n; i < a->n && !r->failed; i++) jinja_value_push(r, l, a->v[i]);
        jinja_exec_assign(r, r->scope, t->varargs, jtuplev(l));
    } else if (a->n > n->n) {
        jinja_mem_fail(r, "TypeError", "macro '%s' takes not more than %zu argument(s)", m->name, n->n);
    }
}

jval jinja_exec_macro(jrun *r, jmacro *m, const jargs *a)
{
    jscope *outer = r->scope;
    jbuf *out = r->out, b = {.r = r, .limit = out->limit};
    size_t used = 0;
    if (!(r->scope = jinja_exec_push(r, m->scope))) {
        r->scope = outer;
        return jnone();
    }
    r->out = &b;
    bind_parameters(r, m->node, a, &used);
    if (!r->failed) bind_specials(r, m, a, used);
    if (!r->failed) jinja_exec(r, m->node->b);
    r->scope = outer;
    r->out = out;
    return jstrv(jinja_mem_done(&b));
}

static jval make_macro(jrun *r, const jnode *n, const char *name)
{
    jmacro *m = jinja_mem_take(r, 1, sizeof *m);
    if (!m) return jnone();
    keep_scopes(r->scope);
    *m = (jmacro){.node = n, .scope = r->scope, .name = name};
    return (jval){.type = J_MACRO, .u.macro = m};
}

static void exec_macro(jrun *r, const jnode *n)
{
    char *name = jinja_mem_take(r, n->name->n + 1, 1);
    if (!name) return;
    memcpy(name, n->name->p, n->name->n);
    jinja_exec_assign(r, r->scope, n->name, make_macro(r, n, name));
}

static void exec_call_block(jrun *r, const jnode *n)
{
    jval caller = make_macro(r, n, "caller"), callee = jinja_eval(r, n->a->a);
    jargs a = {.of = "call"};
    if (r->failed || !jinja_eval_args(r, n->a, NULL, &a)) return;
    const jstr **names = jinja_mem_take(r, a.n_kw + 1, sizeof *names);
    jval *kw = jinja_mem_take(r, a.n_kw + 1, sizeof *kw);
    if (!names || !kw) return;
    for (size_t i = 0; i < a.n_kw; i++) names[i] = a.kw_name[i], kw[i] = a.kw[i];
    names[a.n_kw] = r->t->caller;
    kw[a.n_kw++] = caller;
    a.kw_name = names;
    a.kw = kw;
    r->line = n->line;
    jinja_text_put(r->out, jinja_eval_call(r, callee, &a));
}

/* ---- loops ---- */

/* The items that pass the loop's own condition. */
static jlist *passing(jrun *r, const jnode *n, const jlist *items)
{
    jlist *l = jinja_value_list(r, 0);
    jscope *outer = r->scope;
    if (!(r->scope = jinja_exec_push(r, outer))) {
        r->scope = outer;
        return l;
    }
    for (size_t i = 0; i < items->n && !r->failed; i++) {
        assign(r, n->a, items->v[i]);
        if (!r->failed && jinja_value_true(jinja_eval(r, n->c))) jinja_value_push(r, l, items->v[i]);
    }
    r->scope = outer;
    return l;
}

static void run_loop(jrun *r, const jnode *n, jlist *items, size_t depth)
{
    jscope *outer = r->scope, *inner = NULL;
    jloop *l = jinja_mem_take(r, 1, sizeof *l);
    if (!l) return;
    if (n->c) items = passing(r, n, items);
    *l = (jloop){.items = items, .depth = depth, .node = n->flag ? n : NULL, .scope = outer};
    for (; l->i < items->n && !r->failed; l->i++) {
        if (!inner || inner->kept) inner = jinja_exec_push(r, outer);
        if (!inner) break;
        inner->n = 0;
        r->scope = inner;
        if (r->t->loop) jinja_exec_assign(r, inner, r->t->loop, (jval){.type = J_LOOP, .u.loop = l});
        assign(r, n->a, items->v[l->i]);
        if (!r->failed) jinja_exec(r, n->v[0]);
        int jump = r->jump;
        r->jump = 0;
        if (jump == JUMP_BREAK) break;
    }
    if (l->i && l->i == items->n) l->i--; /* who kept `loop` finds it at the last item */
    r->scope = outer;
    if (items->n == 0 && n->n > 1 && !r->failed) exec_inner(r, n->v[1], NULL);
}

static void exec_for(jrun *r, const jnode *n)
{
    jval v = jinja_eval(r, n->b);
    if (r->failed) return;
    jlist *items = jinja_value_items(r, v);
    if (!r->failed) run_loop(r, n, items, 0);
}

jval jinja_exec_loop(jrun *r, jloop *l, jval v)
{
    if (!l->node) {
        jinja_mem_fail(r, "TypeError", "The loop must have the 'recursive' marker to be called recursively.");
        return jnone();
    }
    jscope *outer = r->scope;
    jbuf *out = r->out, b = {.r = r, .limit = out->limit};
    jlist *items = jinja_value_items(r, v);
    r->scope = l->scope;
    r->out = &b;
    if (!r->failed) run_loop(r, l->node, items, l->depth + 1);
    r->scope = outer;
    r->out = out;
    return jstrv(jinja_mem_done(&b));
}

static jval loop_cycle(jrun *r, jval self, const jargs *a)
{
    if (a->n == 0 || a->n_kw) {
        jinja_mem_fail(r, "TypeError", "no items for cycling given");
        return jnone();
    }
    return a->v[self.u.loop->i % a->n];
}

static jval loop_changed(jrun *r, jval self, const jargs *a)
{
    jloop *l = self.u.loop;
    jval now = jtuplev(jinja_value_list(r, a->n));
    for (size_t i = 0; i < a->n; i++) jinja_value_push(r, now.u.l, a->v[i]);
    if (r->failed || (l->last_changed.type == J_TUPLE && jinja_value_equal(r, l->last_changed, now))) return jbool(false);
    l->last_changed = now;
    return jbool(true);
}

static jval bound(jrun *r, const char *name, jfn *fn, jval self)
{
    jfunc *f = jinja_mem_take(r, 1, sizeof *f);
    if (!f) return jnone();
    *f = (jfunc){.name = name, .fn = fn, .self = self};
    return (jval){.type = J_FUNC, .u.func = f};
}

jval jinja_exec_loop_attr(jrun *r, jloop *l, const jstr *name)
{
    size_t n = l->items->n;
    jval self = {.type = J_LOOP, .u.loop = l};
    if (jis(name, "index")) return jint((int64_t)l->i + 1);
    if (jis(name, "index0")) return jint((int64_t)l->i);
    if (jis(name, "first")) return jbool(l->i == 0);
    if (jis(name, "last")) return jbool(l->i + 1 >= n);
    if (jis(name, "length")) return jint((int64_t)n);
    if (jis(name, "revindex")) return jint((int64_t)n - (int64_t)l->i);
    if (jis(name, "revindex0")) return jint((int64_t)n - (int64_t)l->i - 1);
    if (jis(name, "depth")) return jint((int64_t)l->depth + 1);
    if (jis(name, "depth0")) return jint((int64_t)l->depth);
    if (jis(name, "previtem"))
        return l->i > 0 ? l->items->v[l->i - 1] : jinja_value_undefined(r, "there is no previous item");
    if (jis(name, "nextitem"))
        return l->i + 1 < n ? l->items->v[l->i + 1] : jinja_value_undefined(r, "there is no next item");
    if (jis(name, "cycle")) return bound(r, "cycle", loop_cycle, self);
    if (jis(name, "changed")) return bound(r, "changed", loop_changed, self);
    return (jval){.type = J_MISSING};
}

/* ---- statements ---- */

static void exec_if(jrun *r, const jnode *n)
{
    for (size_t i = 0; i + 1 < n->n && !r->failed; i += 2)
        if (jinja_value_true(jinja_eval(r, n->v[i]))) {
            jinja_exec(r, n->v[i + 1]);
            return;
        }
    if (n->c && !r->failed) jinja_exec(r, n->c);
}

static void exec_set_block(jrun *r, const jnode *n)
{
    jbuf b = {.r = r, .limit = r->out->limit};
    exec_inner(r, n->b, &b);
    if (r->failed) return;
    jval v = jstrv(jinja_mem_done(&b));
    assign(r, n->a, n->c ? filtered(r, n->c, v) : v);
}

static void exec_filter_block(jrun *r, const jnode *n)
{
    jbuf b = {.r = r, .limit = r->out->limit};
    exec_inner(r, n->b, &b);
    if (!r->failed) jinja_text_put(r->out, filtered(r, n->a, jstrv(jinja_mem_done(&b))));
}

static void exec_with(jrun *r, const jnode *n)
{
    jscope *outer = r->scope, *inner = jinja_exec_push(r, outer);
    for (size_t i = 0; inner && i + 1 < n->n && !r->failed; i += 2) {
        jval v = jinja_eval(r, n->v[i + 1]); /* sees the outer names */
        r->scope = inner;
        assign(r, n->v[i], v);
        r->scope = outer;
    }
    if (!inner || r->failed) return;
    r->scope = inner;
    jinja_exec(r, n->b);
    r->scope = outer;
}

static void exec(jrun *r, const jnode *n)
{
    switch (n->kind) {
    case N_DATA: jinja_mem_putstr(r->out, n->val.u.s); break;
    case N_PRINT:
        for (size_t i = 0; i < n->n && !r->failed; i++) {
            jval v = jinja_eval(r, n->v[i]);
            if (!r->failed) jinja_text_put(r->out, v);
        }
        break;
    case N_BLOCK:
        for (size_t i = 0; i < n->n && !r->failed && !r->jump; i++) jinja_exec(r, n->v[i]);
        break;
    case N_IF: exec_if(r, n); break;
    case N_FOR: exec_for(r, n); break;
    case N_SET: assign(r, n->a, jinja_eval(r, n->b)); break;
    case N_SETBLOCK: exec_set_block(r, n); break;
    case N_MACRO: exec_macro(r, n); break;
    case N_CALLBLOCK: exec_call_block(r, n); break;
    case N_FILTERBLOCK: exec_filter_block(r, n); break;
    case N_WITH: exec_with(r, n); break;
    case N_SCOPE: exec_inner(r, n->b, NULL); break;
    case N_BREAK: r->jump = JUMP_BREAK; break;
    default: r->jump = JUMP_CONTINUE; break;
    }
}

void jinja_exec(jrun *r, const jnode *n)
{
    if (!jinja_mem_step(r, 1) || !jinja_mem_enter(r)) return;
    r->line = n->line;
    exec(r, n);
    r->depth--;
}
