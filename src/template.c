/* template: the chat templates' part of pith.h. */
#include "engine.h"
#include "base/mem.h"
#include "tokenizer/chat.h"
#include <string.h>

struct pith_template {
    chat *c;
};

static pith_template *wrap(chat *c, pith_err *e)
{
    if (!c) return NULL;
    pith_template *t = mem_zero(1, sizeof *t);
    if (t) t->c = c;
    else {
        err_nomem(e, sizeof *t, "a chat template");
        chat_close(c);
    }
    return t;
}

pith_template *pith_template_open(const char *dir, pith_err *e) { return wrap(chat_open(dir, e), e); }

pith_template *pith_template_open_file(const char *path, const char *bos, const char *eos, pith_err *e)
{
    return wrap(chat_open_file(path, bos, eos, e), e);
}

void pith_template_close(pith_template *t)
{
    if (!t) return;
    chat_close(t->c);
    mem_free(t);
}

static size_t length(const char *s) { return s ? strlen(s) : 0; }

/* A date that does not exist would index beyond the names of months. */
static int check_date(const pith_template_options *o, pith_err *e)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (o->year >= 1 && o->year <= 9999 && o->month >= 1 && o->month <= 12 && o->day >= 1 && o->day <= days[o->month - 1])
        return 0;
    return err_set(e, "date %d-%d-%d: expected year 1..9999, month 1..12 and a day of that month", o->year, o->month, o->day);
}

int pith_template_render(const pith_template *t, const char *messages, size_t len, const pith_template_options *o,
                         pith_prompt *out, pith_err *e)
{
    static const pith_template_options none = {0};
    if (!o) o = &none;
    *out = (pith_prompt){0};
    bool dated = o->year || o->month || o->day;
    if (dated && check_date(o, e)) return -1;
    jinja_date now = {.year = o->year, .month = o->month, .day = o->day};
    chat_options co = {.no_generation_prompt = o->no_generation_prompt, .name = o->name, .tools = o->tools,
                       .tools_len = length(o->tools), .documents = o->documents, .documents_len = length(o->documents),
                       .variables = o->variables, .variables_len = length(o->variables), .now = dated ? &now : NULL};
    jinja_result r = {0};
    if (chat_render(t->c, messages, len, &co, &r, e)) return -1;
    *out = (pith_prompt){.text = r.text, .len = r.len, .foreign = r.foreign, .n_foreign = r.n_foreign};
    return 0;
}

void pith_prompt_free(pith_prompt *p)
{
    mem_free(p->text);
    mem_free(p->foreign);
    *p = (pith_prompt){0};
}
