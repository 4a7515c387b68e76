/* jinja_stmt: tags to a tree. */
#include "tokenizer/jinja_impl.h"
#include <stdio.h>
#include <string.h>

static const jtok *current(const jparser *p) { return &p->t[p->at]; }
static uint32_t skip_tag_name(jparser *p)
{
    uint32_t line = current(p)->line;
    p->at++;
    return line;
}

/* N_BLOCK: v of statements, up to a tag named in `ends` ("else endif"; NULL: up to the end of the template). The ending
 * tag's name is the current token then. */
static jnode *body(jparser *p, const char *ends);

static bool named_in(const jstr *name, const char *words)
{
    while (*words) {
        size_t n = strcspn(words, " ");
        if (name->n == n && memcmp(name->p, words, n) == 0) return true;
        words += n + (words[n] == ' ');
    }
    return false;
}

/* The rest of the opening tag, the body, and the name of the ending tag, which is eaten. */
static jnode *body_to(jparser *p, const char *ends)
{
    jinja_parse_skip(p, T_COLON);
    jinja_parse_expect(p, T_BLOCK_END);
    jnode *n = body(p, ends);
    if (!p->r->failed && current(p)->type == T_EOF)
        jinja_parse_fail(p, current(p)->line, "the template ends where a tag is still open: expected '%s'", ends);
    return n;
}

/* ---- assignment targets ---- */

static void check_target(jparser *p, const jnode *n)
{
    if (p->r->failed || !n) return;
    if (n->kind == N_NAME) return;
    if (n->kind != N_TUPLE) {
        jinja_parse_fail(p, n->line, "can't assign to what is not a name");
        return;
    }
    for (size_t i = 0; i < n->n; i++) check_target(p, n->v[i]);
}

static jnode *name_target(jparser *p)
{
    const jtok *t = jinja_parse_expect(p, T_NAME);
    jnode *n = p->r->failed ? NULL : jinja_parse_node(p, N_NAME, t->line);
    if (n) n->name = jinja_parse_intern(p, t->val.u.s);
    if (n && named_in(n->name, "true false none True False None")) jinja_parse_fail(p, t->line, "can't assign to 'const'");
    return n;
}

/* A name, a tuple of names, or (where `attribute`) N_NSREF: name . val. */
static jnode *target(jparser *p, const char *end, bool attribute)
{
    if (attribute && jinja_parse_is(p, T_NAME) && p->t[p->at + 1].type == T_DOT) {
        jnode *n = jinja_parse_node(p, N_NSREF, current(p)->line);
        if (!n) return NULL;
        n->name = jinja_parse_intern(p, current(p)->val.u.s);
        p->at += 2;
        n->val = jinja_parse_expect(p, T_NAME)->val;
        return n;
    }
    jnode *n = jinja_parse_tuple(p, TUPLE_SIMPLE, end);
    check_target(p, n);
    return n;
}

/* ---- tags ---- */

/* N_SET: a = b. N_SETBLOCK: a, c: filters or NULL, b: body. */
static jnode *set(jparser *p)
{
    uint32_t line = skip_tag_name(p);
    jnode *to = target(p, NULL, true);
    bool block = !jinja_parse_skip(p, T_ASSIGN);
    jnode *n = p->r->failed ? NULL : jinja_parse_node(p, block ? N_SETBLOCK : N_SET, line);
    if (!n) return NULL;
    n->a = jinja_parse_child(p, n, to);
    if (!block) {
        n->b = jinja_parse_child(p, n, jinja_parse_tuple(p, 0, NULL));
        return n;
    }
    n->c = jinja_parse_child(p, n, jinja_parse_filters(p, NULL, false));
    n->b = jinja_parse_child(p, n, body_to(p, "endset"));
    p->at += !p->r->failed;
    return n;
}

/* N_FOR: a target, b iterable, c condition or NULL, v[0] body, v[1] else if there; flag: recursive. */
static jnode *for_loop(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_FOR, skip_tag_name(p));
    if (!n) return NULL;
    n->a = jinja_parse_child(p, n, target(p, "in", false));
    if (!p->r->failed && !jinja_parse_skip_word(p, "in")) jinja_parse_fail(p, n->line, "expected 'in' in a for tag");
    n->b = jinja_parse_child(p, n, jinja_parse_tuple(p, TUPLE_NOCOND, "recursive"));
    if (jinja_parse_skip_word(p, "if")) n->c = jinja_parse_child(p, n, jinja_parse_expr(p, true));
    n->flag = jinja_parse_skip_word(p, "recursive");
    p->in_loop++;
    jinja_parse_add(p, n, body_to(p, "endfor else"));
    p->in_loop--;
    if (jinja_parse_skip_word(p, "else")) jinja_parse_add(p, n, body_to(p, "endfor"));
    p->at += !p->r->failed;
    return n;
}

/* N_IF: v: condition, body, condition, body, ...; c: else or NULL. */
static jnode *if_tag(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_IF, skip_tag_name(p));
    while (n && !p->r->failed) {
        jinja_parse_add(p, n, jinja_parse_tuple(p, TUPLE_NOCOND, NULL));
        jinja_parse_add(p, n, body_to(p, "elif else endif"));
        if (jinja_parse_skip_word(p, "elif")) continue;
        if (jinja_parse_skip_word(p, "else")) n->c = jinja_parse_child(p, n, body_to(p, "endif"));
        p->at += !p->r->failed;
        break;
    }
    return n;
}

/* v of N_PARAM: name, a: default or NULL. */
static void signature(jparser *p, jnode *of)
{
    bool defaults = false;
    jinja_parse_expect(p, T_LPAREN);
    while (!p->r->failed && !jinja_parse_is(p, T_RPAREN)) {
        if (of->n) jinja_parse_expect(p, T_COMMA);
        jnode *name = name_target(p), *n = name ? jinja_parse_node(p, N_PARAM, name->line) : NULL;
        if (!n) return;
        n->name = name->name;
        for (size_t i = 0; i < of->n; i++)
            if (of->v[i]->name == n->name) jinja_parse_fail(p, n->line, "duplicate argument '%.*s'", (int)(n->name->n > 60 ? 60 : n->name->n), n->name->p);
        if (jinja_parse_skip(p, T_ASSIGN)) {
            n->a = jinja_parse_child(p, n, jinja_parse_expr(p, true));
            defaults = true;
        } else if (defaults) {
            jinja_parse_fail(p, n->line, "non-default argument follows default argument");
        }
        jinja_parse_add(p, of, n);
    }
    jinja_parse_expect(p, T_RPAREN);
}

/* The body of a macro or call block into b, and which of caller, kwargs, varargs it mentions into op. */
static void macro_body(jparser *p, jnode *n, const char *end)
{
    size_t callers = p->callers, kwargs = p->kwargs, varargs = p->varargs, in_loop = p->in_loop;
    p->in_loop = 0;
    n->b = jinja_parse_child(p, n, body_to(p, end));
    p->in_loop = in_loop;
    n->op = (uint8_t)((p->callers > callers ? MACRO_CALLER : 0) | (p->kwargs > kwargs ? MACRO_KWARGS : 0) |
                      (p->varargs > varargs ? MACRO_VARARGS : 0));
    for (size_t i = 0; (n->op & MACRO_CALLER) && i < n->n; i++)
        if (!n->v[i]->a && jis(n->v[i]->name, "caller")) jinja_parse_fail(p, n->line, "the argument 'caller' must have a default");
    p->at += !p->r->failed;
}

/* N_MACRO: name, v parameters, b body, op MACRO_ flags. */
static jnode *macro(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_MACRO, skip_tag_name(p)), *name = name_target(p);
    if (!n || !name) return NULL;
    n->name = name->name;
    signature(p, n);
    if (!p->r->failed) macro_body(p, n, "endmacro");
    return n;
}

/* N_CALLBLOCK: a the call; otherwise as N_MACRO. */
static jnode *call_block(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_CALLBLOCK, skip_tag_name(p));
    if (!n) return NULL;
    if (jinja_parse_is(p, T_LPAREN)) signature(p, n);
    n->a = jinja_parse_child(p, n, jinja_parse_expr(p, true));
    if (p->r->failed) return NULL;
    if (n->a->kind != N_CALL) {
        jinja_parse_fail(p, n->line, "expected call");
        return NULL;
    }
    jinja_parse_intern(p, jinja_mem_lit(p->r, "caller"));
    macro_body(p, n, "endcall");
    return n;
}

/* N_FILTERBLOCK: a filters, b body. */
static jnode *filter_block(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_FILTERBLOCK, skip_tag_name(p));
    if (!n) return NULL;
    n->a = jinja_parse_child(p, n, jinja_parse_filters(p, NULL, true));
    n->b = jinja_parse_child(p, n, body_to(p, "endfilter"));
    p->at += !p->r->failed;
    return n;
}

/* N_WITH: v: target, value, target, value, ...; b body. */
static jnode *with(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_WITH, skip_tag_name(p));
    while (n && !p->r->failed && !jinja_parse_is(p, T_BLOCK_END)) {
        if (n->n) jinja_parse_expect(p, T_COMMA);
        jinja_parse_add(p, n, target(p, NULL, false));
        jinja_parse_expect(p, T_ASSIGN);
        jinja_parse_add(p, n, jinja_parse_expr(p, true));
    }
    if (!n) return NULL;
    n->b = jinja_parse_child(p, n, body_to(p, "endwith"));
    p->at += !p->r->failed;
    return n;
}

/* N_SCOPE: b body. generation marks what the model says, autoescape changes nothing in a text that is no html. */
static jnode *scope(jparser *p, const char *end)
{
    bool escape = jinja_parse_word(p, "autoescape");
    jnode *n = jinja_parse_node(p, N_SCOPE, skip_tag_name(p));
    if (!n) return NULL;
    if (escape) {
        jnode *on = jinja_parse_expr(p, true);
        if (on && (on->kind != N_CONST || jinja_value_true(on->val)))
            jinja_parse_fail(p, n->line, "autoescape is not supported: a prompt is no html");
    }
    n->b = jinja_parse_child(p, n, body_to(p, end));
    p->at += !p->r->failed;
    return n;
}

/* N_PRINT: v of expressions. */
static jnode *print_tag(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_PRINT, skip_tag_name(p));
    while (n && !p->r->failed && !jinja_parse_is(p, T_BLOCK_END)) {
        if (n->n) jinja_parse_expect(p, T_COMMA);
        jinja_parse_add(p, n, jinja_parse_expr(p, true));
    }
    return n;
}

static jnode *loop_control(jparser *p)
{
    jkind kind = jinja_parse_word(p, "break") ? N_BREAK : N_CONTINUE;
    uint32_t line = skip_tag_name(p);
    if (!p->in_loop) jinja_parse_fail(p, line, "%s outside of a loop", kind == N_BREAK ? "break" : "continue");
    return jinja_parse_node(p, kind, line);
}

static jnode *statement(jparser *p)
{
    const jtok *t = current(p);
    if (t->type != T_NAME) {
        jinja_parse_fail(p, t->line, "tag name expected");
        return NULL;
    }
    const jstr *s = t->val.u.s;
    if (jis(s, "set")) return set(p);
    if (jis(s, "for")) return for_loop(p);
    if (jis(s, "if")) return if_tag(p);
    if (jis(s, "macro")) return macro(p);
    if (jis(s, "call")) return call_block(p);
    if (jis(s, "filter")) return filter_block(p);
    if (jis(s, "with")) return with(p);
    if (jis(s, "print")) return print_tag(p);
    if (jis(s, "generation")) return scope(p, "endgeneration");
    if (jis(s, "autoescape")) return scope(p, "endautoescape");
    if (jis(s, "break") || jis(s, "continue")) return loop_control(p);
    int n = (int)(s->n > 60 ? 60 : s->n);
    if (named_in(s, "include import from extends block"))
        jinja_parse_fail(p, t->line, "the tag '%.*s' is not supported: a chat template stands alone", n, s->p);
    else
        jinja_parse_fail(p, t->line, "unknown tag '%.*s'", n, s->p);
    return NULL;
}

static jnode *body(jparser *p, const char *ends)
{
    jnode *n = jinja_parse_node(p, N_BLOCK, current(p)->line), *print;
    if (!n || !jinja_parse_enter(p)) return NULL;
    while (!p->r->failed && current(p)->type != T_EOF) {
        const jtok *t = current(p);
        p->at++;
        if (t->type == T_DATA) {
            jnode *data = jinja_parse_node(p, N_DATA, t->line);
            if (data) data->val = t->val;
            jinja_parse_add(p, n, data);
        } else if (t->type == T_VAR_BEGIN) {
            if ((print = jinja_parse_node(p, N_PRINT, t->line))) jinja_parse_add(p, print, jinja_parse_tuple(p, 0, NULL));
            jinja_parse_add(p, n, print);
            jinja_parse_expect(p, T_VAR_END);
        } else {
            if (ends && current(p)->type == T_NAME && named_in(current(p)->val.u.s, ends)) break;
            jinja_parse_add(p, n, statement(p));
            jinja_parse_expect(p, T_BLOCK_END);
        }
    }
    p->depth--;
    return n;
}

jnode *jinja_stmt_body(jparser *p) { return body(p, NULL); }
