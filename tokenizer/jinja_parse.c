/* jinja_parse: expressions to a tree, with jinja2's precedences, and what both halves of the parser share. */
#include "tokenizer/jinja_impl.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Brackets and tags inside one another, and operators in a row: bounds of recursion here and in jinja_eval. */
enum { NESTING = 150, TREE_DEPTH = 800 };

void jinja_parse_fail(jparser *p, uint32_t line, const char *fmt, ...)
{
    char msg[300];
    va_list ap;
    if (p->r->failed) return;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    p->r->line = line;
    jinja_mem_fail(p->r, "TemplateSyntaxError", "%s", msg);
}

static const jtok *current(const jparser *p) { return &p->t[p->at]; }
static const jtok *take(jparser *p)
{
    const jtok *t = current(p);
    if (t->type != T_EOF) p->at++;
    return t;
}
static bool next_is(const jparser *p, uint8_t type)
{
    return current(p)->type != T_EOF && p->t[p->at + 1].type == type;
}

bool jinja_parse_is(const jparser *p, uint8_t type) { return current(p)->type == type; }

bool jinja_parse_word(const jparser *p, const char *name)
{
    return current(p)->type == T_NAME && jis(current(p)->val.u.s, name);
}

bool jinja_parse_skip(jparser *p, uint8_t type)
{
    if (p->r->failed || !jinja_parse_is(p, type)) return false;
    take(p);
    return true;
}

bool jinja_parse_skip_word(jparser *p, const char *name)
{
    if (p->r->failed || !jinja_parse_word(p, name)) return false;
    take(p);
    return true;
}

static void unexpected(jparser *p, const char *expected)
{
    const jtok *t = current(p);
    const jstr *s = t->type == T_NAME || t->type == T_STRING ? t->val.u.s : NULL;
    int n = s ? (int)(s->n > 60 ? 60 : s->n) : 0;
    jinja_parse_fail(p, t->line, "expected %s, got %s%s%.*s%s", expected, jinja_lex_name(t->type), s ? " '" : "", n,
                     s ? s->p : "", s ? "'" : "");
}

const jtok *jinja_parse_expect(jparser *p, uint8_t type)
{
    char what[64];
    if (jinja_parse_is(p, type)) return take(p);
    snprintf(what, sizeof what, "%s%s%s", type >= T_ADD ? "'" : "", jinja_lex_name(type), type >= T_ADD ? "'" : "");
    unexpected(p, what);
    return current(p);
}

bool jinja_parse_enter(jparser *p)
{
    if (p->r->failed) return false;
    if (p->depth >= NESTING) {
        jinja_parse_fail(p, current(p)->line, "nested more than %d levels deep", NESTING);
        return false;
    }
    p->depth++;
    return true;
}

jnode *jinja_parse_node(jparser *p, jkind kind, uint32_t line)
{
    jnode *n = jinja_mem_take(p->r, 1, sizeof *n);
    if (!n) return NULL;
    n->kind = (uint8_t)kind;
    n->line = line;
    n->depth = 1;
    return n;
}

jnode *jinja_parse_child(jparser *p, jnode *of, jnode *child)
{
    if (of && child && of->depth <= child->depth) {
        of->depth = child->depth + 1;
        if (of->depth > TREE_DEPTH) jinja_parse_fail(p, of->line, "an expression of more than %d levels", TREE_DEPTH);
    }
    return child;
}

void jinja_parse_add(jparser *p, jnode *of, jnode *child)
{
    if (p->r->failed || !of || !child) return;
    if (!of->n || (of->n & (of->n - 1)) == 0) { /* room for 1, 2, 4, ... */
        size_t cap = of->n ? of->n * 2 : 1;
        jnode **v = jinja_mem_grow(p->r, of->v, of->n * sizeof(jnode *), cap * sizeof(jnode *));
        if (!v) return;
        of->v = v;
    }
    of->v[of->n++] = jinja_parse_child(p, of, child);
}

/* ---- names: one address for each ---- */

static uint32_t hash_of(const jstr *s)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < s->n; i++) h = (h ^ (unsigned char)s->p[i]) * 16777619u;
    return h;
}

static bool grow_names(jparser *p)
{
    size_t cap = p->cap_names ? p->cap_names * 2 : 64, slots = cap * 2;
    const jstr **names = jinja_mem_grow(p->r, p->names, p->n_names * sizeof(const jstr *), cap * sizeof(const jstr *));
    uint32_t *slot = names ? jinja_mem_take(p->r, slots, sizeof *slot) : NULL;
    if (!slot) return false;
    for (size_t i = 0; i < p->n_names; i++) {
        size_t at = hash_of(names[i]) & (slots - 1);
        while (slot[at]) at = (at + 1) & (slots - 1);
        slot[at] = (uint32_t)i + 1;
    }
    p->names = names;
    p->slot = slot;
    p->cap_names = cap;
    p->slots = slots;
    return true;
}

const jstr *jinja_parse_intern(jparser *p, const jstr *s)
{
    if (p->n_names == p->cap_names && !grow_names(p)) return s;
    size_t at = hash_of(s) & (p->slots - 1);
    for (; p->slot[at]; at = (at + 1) & (p->slots - 1)) {
        const jstr *have = p->names[p->slot[at] - 1];
        if (have->n == s->n && memcmp(have->p, s->p, s->n) == 0) return have;
    }
    p->names[p->n_names++] = s;
    p->slot[at] = (uint32_t)p->n_names;
    return s;
}

static jnode *constant(jparser *p, uint32_t line, jval v)
{
    jnode *n = jinja_parse_node(p, N_CONST, line);
    if (n) n->val = v;
    return n;
}

/* A node with up to two children. */
static jnode *pair(jparser *p, jkind kind, uint8_t op, uint32_t line, jnode *a, jnode *b)
{
    jnode *n = jinja_parse_node(p, kind, line);
    if (!n) return NULL;
    n->op = op;
    n->a = jinja_parse_child(p, n, a);
    n->b = jinja_parse_child(p, n, b);
    return n;
}

/* ---- primaries ---- */

static jnode *name_node(jparser *p)
{
    const jtok *t = take(p);
    const jstr *s = t->val.u.s;
    if (jis(s, "true") || jis(s, "True")) return constant(p, t->line, jbool(true));
    if (jis(s, "false") || jis(s, "False")) return constant(p, t->line, jbool(false));
    if (jis(s, "none") || jis(s, "None")) return constant(p, t->line, jnone());
    p->callers += jis(s, "caller");
    p->kwargs += jis(s, "kwargs");
    p->varargs += jis(s, "varargs");
    jnode *n = jinja_parse_node(p, N_NAME, t->line);
    if (n) n->name = jinja_parse_intern(p, s);
    return n;
}

static jnode *string_node(jparser *p)
{
    const jtok *t = take(p);
    const jstr *s = t->val.u.s;
    while (!p->r->failed && jinja_parse_is(p, T_STRING)) s = jinja_mem_concat(p->r, s, take(p)->val.u.s);
    return constant(p, t->line, jstrv(s));
}

static jnode *list_node(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_LIST, take(p)->line);
    while (!p->r->failed && !jinja_parse_is(p, T_RBRACKET)) {
        if (n->n) jinja_parse_expect(p, T_COMMA);
        if (jinja_parse_is(p, T_RBRACKET)) break;
        jinja_parse_add(p, n, jinja_parse_expr(p, true));
    }
    jinja_parse_expect(p, T_RBRACKET);
    return n;
}

/* v: key, value, key, value, ... */
static jnode *dict_node(jparser *p)
{
    jnode *n = jinja_parse_node(p, N_DICT, take(p)->line);
    while (!p->r->failed && !jinja_parse_is(p, T_RBRACE)) {
        if (n->n) jinja_parse_expect(p, T_COMMA);
        if (jinja_parse_is(p, T_RBRACE)) break;
        jinja_parse_add(p, n, jinja_parse_expr(p, true));
        jinja_parse_expect(p, T_COLON);
        jinja_parse_add(p, n, jinja_parse_expr(p, true));
    }
    jinja_parse_expect(p, T_RBRACE);
    return n;
}

static jnode *primary(jparser *p)
{
    jnode *n;
    const jtok *t = current(p);
    if (p->r->failed) return NULL;
    switch (t->type) {
    case T_NAME: return name_node(p);
    case T_STRING: return string_node(p);
    case T_INTEGER:
    case T_FLOAT: return constant(p, t->line, take(p)->val);
    case T_LPAREN:
        take(p);
        n = jinja_parse_tuple(p, TUPLE_PARENS, NULL);
        jinja_parse_expect(p, T_RPAREN);
        return n;
    case T_LBRACKET: return list_node(p);
    case T_LBRACE: return dict_node(p);
    default: unexpected(p, "an expression"); return NULL;
    }
}

static bool tuple_ends(const jparser *p, const char *end)
{
    return jinja_parse_is(p, T_VAR_END) || jinja_parse_is(p, T_BLOCK_END) || jinja_parse_is(p, T_RPAREN) ||
           (end && jinja_parse_word(p, end));
}

/* One expression, or several with commas: N_TUPLE with v. */
jnode *jinja_parse_tuple(jparser *p, int how, const char *end)
{
    uint32_t line = current(p)->line;
    jnode *first = NULL, *tuple = NULL;
    if (!jinja_parse_enter(p)) return NULL;
    while (!p->r->failed && !tuple_ends(p, end)) {
        jnode *n = how & TUPLE_SIMPLE ? primary(p) : jinja_parse_expr(p, !(how & TUPLE_NOCOND));
        bool comma = jinja_parse_is(p, T_COMMA);
        if (!first) first = n;
        if (comma && !tuple) {
            tuple = jinja_parse_node(p, N_TUPLE, line);
            jinja_parse_add(p, tuple, first);
        } else if (tuple) {
            jinja_parse_add(p, tuple, n);
        }
        if (!jinja_parse_skip(p, T_COMMA)) break;
    }
    p->depth--;
    if (tuple || first || p->r->failed) return tuple ? tuple : first;
    if (how & TUPLE_PARENS) return jinja_parse_node(p, N_TUPLE, line);
    unexpected(p, "an expression");
    return NULL;
}

/* ---- what follows a primary ---- */

static jnode *argument(jparser *p, uint8_t kind, const jstr *name, jnode *value)
{
    jnode *n = pair(p, N_ARG, kind, current(p)->line, value, NULL);
    if (n) n->name = name;
    return n;
}

/* "(...)": plain expressions, then N_ARG (keyword, *, **) into v of `of`. */
static void call_arguments(jparser *p, jnode *of)
{
    uint32_t line = jinja_parse_expect(p, T_LPAREN)->line;
    bool keyword = false, star = false, starstar = false, more = false, good = true;
    while (!p->r->failed && !jinja_parse_is(p, T_RPAREN)) {
        if (more) {
            jinja_parse_expect(p, T_COMMA);
            if (jinja_parse_is(p, T_RPAREN)) break;
        }
        more = true;
        if (jinja_parse_skip(p, T_MUL)) {
            good = good && !star && !starstar;
            star = true;
            jinja_parse_add(p, of, argument(p, ARG_STAR, NULL, jinja_parse_expr(p, true)));
        } else if (jinja_parse_skip(p, T_POW)) {
            good = good && !starstar;
            starstar = true;
            jinja_parse_add(p, of, argument(p, ARG_STARSTAR, NULL, jinja_parse_expr(p, true)));
        } else if (jinja_parse_is(p, T_NAME) && next_is(p, T_ASSIGN)) {
            const jstr *name = jinja_parse_intern(p, take(p)->val.u.s);
            take(p);
            good = good && !starstar;
            keyword = true;
            jinja_parse_add(p, of, argument(p, ARG_KEYWORD, name, jinja_parse_expr(p, true)));
        } else {
            good = good && !star && !starstar && !keyword;
            jinja_parse_add(p, of, jinja_parse_expr(p, true));
        }
        if (!good) jinja_parse_fail(p, line, "invalid syntax for function call expression");
    }
    jinja_parse_expect(p, T_RPAREN);
}

/* a: what is called; v: arguments. */
static jnode *call(jparser *p, jnode *callee)
{
    jnode *n = pair(p, N_CALL, 0, current(p)->line, callee, NULL);
    if (n) call_arguments(p, n);
    return n;
}

/* Between [ and ]: an expression, or N_SLICE (a : b : c, each may be NULL). */
static jnode *subscript(jparser *p)
{
    uint32_t line = current(p)->line;
    jnode *first = jinja_parse_is(p, T_COLON) ? NULL : jinja_parse_expr(p, true);
    if (p->r->failed || !jinja_parse_skip(p, T_COLON)) return first;
    jnode *n = pair(p, N_SLICE, 0, line, first, NULL);
    if (!n) return NULL;
    if (!jinja_parse_is(p, T_COLON) && !jinja_parse_is(p, T_RBRACKET) && !jinja_parse_is(p, T_COMMA))
        n->b = jinja_parse_child(p, n, jinja_parse_expr(p, true));
    if (jinja_parse_skip(p, T_COLON) && !jinja_parse_is(p, T_RBRACKET) && !jinja_parse_is(p, T_COMMA))
        n->c = jinja_parse_child(p, n, jinja_parse_expr(p, true));
    return n;
}

/* N_ATTR: a . val; N_ITEM: a [ b ]. */
static jnode *member(jparser *p, jnode *of)
{
    const jtok *t = take(p);
    if (t->type == T_DOT) {
        const jtok *what = take(p);
        if (what->type == T_INTEGER) return pair(p, N_ITEM, 0, t->line, of, constant(p, what->line, what->val));
        if (what->type != T_NAME) {
            jinja_parse_fail(p, what->line, "expected a name or number behind '.'");
            return NULL;
        }
        jnode *n = pair(p, N_ATTR, 0, t->line, of, NULL);
        if (n) n->val = what->val;
        return n;
    }
    jnode *key = subscript(p), *tuple = NULL;
    while (!p->r->failed && jinja_parse_skip(p, T_COMMA)) {
        if (!tuple) {
            tuple = jinja_parse_node(p, N_TUPLE, t->line);
            jinja_parse_add(p, tuple, key);
        }
        jinja_parse_add(p, tuple, subscript(p));
    }
    jinja_parse_expect(p, T_RBRACKET);
    return pair(p, N_ITEM, 0, t->line, of, tuple ? tuple : key);
}

static jnode *postfix(jparser *p, jnode *n)
{
    while (!p->r->failed) {
        if (jinja_parse_is(p, T_DOT) || jinja_parse_is(p, T_LBRACKET)) n = member(p, n);
        else if (jinja_parse_is(p, T_LPAREN)) n = call(p, n);
        else break;
    }
    return n;
}

static const jstr *dotted_name(jparser *p)
{
    const jstr *name = jinja_parse_expect(p, T_NAME)->val.u.s;
    while (!p->r->failed && jinja_parse_skip(p, T_DOT)) {
        name = jinja_mem_concat(p->r, name, jinja_mem_lit(p->r, "."));
        const jtok *t = jinja_parse_expect(p, T_NAME);
        if (!p->r->failed) name = jinja_mem_concat(p->r, name, t->val.u.s);
    }
    return name;
}

/* N_FILTER: a | name(v); a is NULL at the start of a filter block. */
jnode *jinja_parse_filters(jparser *p, jnode *n, bool inline_first)
{
    while (!p->r->failed && (inline_first || jinja_parse_skip(p, T_PIPE))) {
        uint32_t line = current(p)->line;
        const jstr *name = dotted_name(p);
        n = pair(p, N_FILTER, 0, line, n, NULL);
        if (!n || p->r->failed) return NULL;
        n->name = name;
        if (jinja_parse_is(p, T_LPAREN)) call_arguments(p, n);
        inline_first = false;
    }
    return n;
}

/* N_TEST: a is name(v). */
static jnode *test(jparser *p, jnode *of)
{
    uint32_t line = take(p)->line;
    bool negated = jinja_parse_skip_word(p, "not");
    const jstr *name = dotted_name(p);
    jnode *n = pair(p, N_TEST, 0, line, of, NULL);
    if (!n || p->r->failed) return NULL;
    n->name = name;
    uint8_t type = current(p)->type;
    if (type == T_LPAREN) {
        call_arguments(p, n);
    } else if ((type == T_NAME && !jinja_parse_word(p, "else") && !jinja_parse_word(p, "or") && !jinja_parse_word(p, "and")) ||
               type == T_STRING || type == T_INTEGER || type == T_FLOAT || type == T_LBRACKET || type == T_LBRACE) {
        if (jinja_parse_word(p, "is")) jinja_parse_fail(p, line, "You cannot chain multiple tests with is");
        jinja_parse_add(p, n, postfix(p, primary(p)));
    }
    return negated ? pair(p, N_NOT, 0, line, n, NULL) : n;
}

/* ---- operators, tightest first ---- */

static jnode *unary(jparser *p, bool with_filter)
{
    const jtok *t = current(p);
    jnode *n;
    if (t->type == T_SUB || t->type == T_ADD) {
        if (!jinja_parse_enter(p)) return NULL;
        take(p);
        n = pair(p, t->type == T_SUB ? N_NEG : N_POS, 0, t->line, unary(p, false), NULL);
        p->depth--;
    } else {
        n = primary(p);
    }
    n = postfix(p, n);
    while (with_filter && !p->r->failed) {
        if (jinja_parse_is(p, T_PIPE)) n = jinja_parse_filters(p, n, false);
        else if (jinja_parse_word(p, "is")) n = test(p, n);
        else if (jinja_parse_is(p, T_LPAREN)) n = call(p, n);
        else break;
    }
    return n;
}

/* Left-associative levels: N_BINARY with op, a, b. */
typedef jnode *level_fn(jparser *p);
static jnode *binary(jparser *p, level_fn *inner, const uint8_t ops[5])
{
    jnode *left = inner(p);
    while (!p->r->failed && current(p)->type && memchr(ops, current(p)->type, 5)) {
        const jtok *t = take(p);
        left = pair(p, N_BINARY, t->type, t->line, left, inner(p));
    }
    return left;
}

static jnode *operand(jparser *p) { return unary(p, true); }
static jnode *power(jparser *p) { return binary(p, operand, (const uint8_t[5]){T_POW}); }
static jnode *math2(jparser *p) { return binary(p, power, (const uint8_t[5]){T_MUL, T_DIV, T_FLOORDIV, T_MOD}); }

/* N_CONCAT: v joined by ~. */
static jnode *concat(jparser *p)
{
    uint32_t line = current(p)->line;
    jnode *first = math2(p), *n = NULL;
    while (!p->r->failed && jinja_parse_skip(p, T_TILDE)) {
        if (!n) {
            n = jinja_parse_node(p, N_CONCAT, line);
            jinja_parse_add(p, n, first);
        }
        jinja_parse_add(p, n, math2(p));
    }
    return n ? n : first;
}

static jnode *math1(jparser *p) { return binary(p, concat, (const uint8_t[5]){T_ADD, T_SUB}); }

/* N_COMPARE: a, then v of N_OPERAND (op, a). */
static jnode *compare(jparser *p)
{
    uint32_t line = current(p)->line;
    jnode *first = math1(p), *n = NULL;
    while (!p->r->failed) {
        uint8_t op = current(p)->type;
        if (jinja_parse_word(p, "in")) op = T_IN;
        else if (jinja_parse_word(p, "not") && next_is(p, T_NAME) && jis(p->t[p->at + 1].val.u.s, "in")) op = T_NOTIN;
        else if (op < T_EQ || op > T_GE) break;
        take(p);
        if (op == T_NOTIN) take(p);
        if (!n) n = pair(p, N_COMPARE, 0, line, first, NULL);
        jinja_parse_add(p, n, pair(p, N_OPERAND, op, line, math1(p), NULL));
    }
    return n ? n : first;
}

static jnode *negation(jparser *p)
{
    if (!jinja_parse_word(p, "not")) return compare(p);
    if (!jinja_parse_enter(p)) return NULL;
    uint32_t line = take(p)->line;
    jnode *n = pair(p, N_NOT, 0, line, negation(p), NULL);
    p->depth--;
    return n;
}

static jnode *conjunction(jparser *p)
{
    jnode *left = negation(p);
    while (!p->r->failed && jinja_parse_word(p, "and")) {
        uint32_t line = take(p)->line;
        left = pair(p, N_AND, 0, line, left, negation(p));
    }
    return left;
}

static jnode *disjunction(jparser *p)
{
    jnode *left = conjunction(p);
    while (!p->r->failed && jinja_parse_word(p, "or")) {
        uint32_t line = take(p)->line;
        left = pair(p, N_OR, 0, line, left, conjunction(p));
    }
    return left;
}

/* N_COND: a if b else c; c may be NULL. */
jnode *jinja_parse_expr(jparser *p, bool with_cond)
{
    if (!jinja_parse_enter(p)) return NULL;
    jnode *n = disjunction(p);
    while (with_cond && !p->r->failed && jinja_parse_word(p, "if")) {
        uint32_t line = take(p)->line;
        jnode *c = pair(p, N_COND, 0, line, n, disjunction(p));
        if (c && jinja_parse_skip_word(p, "else")) c->c = jinja_parse_child(p, c, jinja_parse_expr(p, true));
        n = c;
    }
    p->depth--;
    return p->r->failed ? NULL : n;
}
