/* jinja: the face of the room: templates, renderings and their results. */
#include "base/mem.h"
#include "tokenizer/jinja_impl.h"
#include <string.h>

enum { STEPS = 10000000 };
static const size_t memory_limit = (size_t)40 << 20, memory_most = (size_t)512 << 20, output_limit = (size_t)64 << 20, source_limit = (size_t)256 << 20;

/* The interned string of a name; NULL: the template does not mention it. */
static const jstr *find_name(const jinja_template *t, const char *name, size_t n)
{
    for (size_t i = 0; i < t->n_names; i++)
        if (t->names[i]->n == n && memcmp(t->names[i]->p, name, n) == 0) return t->names[i];
    return NULL;
}

jinja_template *jinja_parse(const char *name, const char *text, size_t len, const jinja_syntax *syntax, pith_err *e)
{
    static const jinja_syntax usual = {.trim_blocks = true, .lstrip_blocks = true};
    pith_err local = {0};
    jinja_template *t = mem_zero(1, sizeof *t);
    char *own_name = mem_copy(name);
    if (!t || !own_name) {
        mem_free(t);
        mem_free(own_name);
        err_nomem(e, sizeof *t, name);
        return NULL;
    }
    jrun r = {.e = e ? e : &local, .name = name, .line = 1, .steps = UINT64_MAX, .memory = source_limit};
    jparser p = {.r = &r};
    size_t n = 0;
    p.t = jinja_lex_all(&r, text, len, syntax ? syntax : &usual, &n);
    if (p.t) t->body = jinja_stmt_body(&p);
    t->pool = r.pool;
    t->name = own_name;
    t->names = p.names;
    t->n_names = p.n_names;
    if (r.failed) {
        jinja_free(t);
        return NULL;
    }
    t->loop = find_name(t, "loop", 4);
    t->caller = find_name(t, "caller", 6);
    t->kwargs = find_name(t, "kwargs", 6);
    t->varargs = find_name(t, "varargs", 7);
    return t;
}

void jinja_free(jinja_template *t)
{
    if (!t) return;
    jinja_mem_release(&t->pool);
    mem_free((void *)(uintptr_t)t->name);
    mem_free(t);
}

static void set_variable(jrun *r, const char *name, size_t n, jval v)
{
    const jstr *known = find_name(r->t, name, n);
    if (known) jinja_exec_assign(r, r->scope, known, v);
}

static void set_variables(jrun *r, const jinja_var *vars, size_t n)
{
    for (size_t i = 0; i < n && !r->failed; i++) {
        jval v = jinja_json_read(r, &vars[i]);
        if (r->failed) return;
        if (vars[i].name) set_variable(r, vars[i].name, strlen(vars[i].name), v);
        else if (v.type != J_DICT && v.type != J_NONE) jinja_mem_fail(r, NULL, "the variables are not a JSON object");
        else
            for (size_t k = 0; v.type == J_DICT && k < v.u.d->n; k++) set_variable(r, v.u.d->k[k].u.s->p, v.u.d->k[k].u.s->n, v.u.d->v[k]);
    }
}

/* Moves the text out of the run's memory and turns the mask into ranges. */
static int take_result(jrun *r, const jbuf *b, jinja_result *out)
{
    size_t ranges = 0;
    const uint8_t *m = b->mask;
    uint8_t all = b->source == JFOREIGN;
    for (size_t i = 0; i < b->n; i++) {
        bool foreign = m ? m[i] : all, before = i && (m ? m[i - 1] : all);
        ranges += foreign && !before;
    }
    out->text = mem_alloc(b->n + 1);
    out->foreign = ranges ? mem_alloc(ranges * sizeof *out->foreign) : NULL;
    if (!out->text || (ranges && !out->foreign)) {
        jinja_result_free(out);
        return err_nomem(r->e, b->n + ranges * sizeof *out->foreign, "the rendered text");
    }
    if (b->n) memcpy(out->text, b->p, b->n);
    out->text[b->n] = 0;
    out->len = b->n;
    for (size_t i = 0; i < b->n; i++) {
        if (!(m ? m[i] : all)) continue;
        size_t end = i;
        while (end < b->n && (m ? m[end] : all)) end++;
        out->foreign[out->n_foreign++] = (pith_range){i, end};
        i = end;
    }
    return 0;
}

/* What a rendering may hold grows with what it is given, which the template's author does not choose. */
static size_t memory_for(const jinja_var *vars, size_t n)
{
    size_t room = memory_limit;
    for (size_t i = 0; i < n && room < memory_most; i++) room = vars[i].len < (memory_most - room) / 32 ? room + 32 * vars[i].len : memory_most;
    return room;
}

int jinja_render(const jinja_template *t, const jinja_var *vars, size_t n, const jinja_options *o, jinja_result *out,
                 pith_err *e)
{
    static const jinja_options none = {0};
    pith_err local = {0};
    if (!o) o = &none;
    *out = (jinja_result){0};
    jrun r = {.e = e ? e : &local, .name = t->name, .line = 1, .flags = o->flags, .now = o->now, .t = t,
              .steps = o->limits.steps ? o->limits.steps : STEPS,
              .memory = o->limits.memory ? o->limits.memory : memory_for(vars, n)};
    jbuf text = {.r = &r, .limit = o->limits.output ? o->limits.output : output_limit};
    r.out = &text;
    r.scope = jinja_exec_push(&r, NULL);
    if (r.scope) set_variables(&r, vars, n);
    if (!r.failed) r.scope = jinja_exec_push(&r, r.scope);
    if (!r.failed) jinja_exec(&r, t->body);
    int rc = r.failed ? -1 : take_result(&r, &text, out);
    jinja_mem_release(&r.pool);
    return rc;
}

void jinja_result_free(jinja_result *r)
{
    mem_free(r->text);
    mem_free(r->foreign);
    *r = (jinja_result){0};
}
