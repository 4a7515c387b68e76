#include "cli/manual.h"
#include "cli/verbs.h"
#include <ctype.h>
#include <string.h>

/* Text in which nothing means anything to scdoc. */
static void plain(FILE *f, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("*_\\#[]|<>+-.", s[i]) && s[i]) putc('\\', f);
        putc(s[i], f);
    }
}

static void words(FILE *f, const char *s) { plain(f, s, strlen(s)); }

/* Words in capitals are what the reader fills in: underlined. */
static void synopsis(FILE *f, const cli_verb *v)
{
    const char *p = v->synopsis;
    do {
        size_t len = strcspn(p, "\n");
        fprintf(f, "%s*pith %s* ", p == v->synopsis ? "" : "++\n", v->name);
        for (size_t i = 0, n; i < len; i += n) {
            const char *w = p + i;
            for (n = 0; i + n < len && isupper((unsigned char)w[n]); n++) {}
            int argument = n > 1;
            if (argument) putc('_', f);
            if (n == 0) n = 1;
            plain(f, w, n);
            if (argument) putc('_', f);
        }
        p += len + (p[len] == '\n');
    } while (*p);
    putc('\n', f);
}

static void option(FILE *f, const cli_opt *o)
{
    putc('\n', f);
    if (o->letter) fprintf(f, "*-%c*, ", o->letter);
    fputs("*--", f);
    words(f, o->name);
    putc('*', f);
    if (o->arg) {
        fputs(" _", f);
        words(f, o->arg);
        putc('_', f);
    }
    fputs("\n\t", f);
    words(f, o->help);
    if (o->def && strcmp(o->def, "0") != 0) {
        fputs(" (default: ", f);
        words(f, o->def);
        putc(')', f);
    }
    putc('\n', f);
}

/* The notes are lines of prose; those that begin with two blanks stand as they are. */
static int is_literal(const char *line) { return line[0] == ' ' && line[1] == ' '; }

/* Literal lines whose first one calls pith are examples. */
static int is_example(const char *line)
{
    const char *call = strstr(line, "pith ");
    return is_literal(line) && call && call < line + strcspn(line, "\n");
}

/* The examples of the notes, or all else, under a title if there is any. */
static void notes(FILE *f, const char *p, int examples, const char *title)
{
    int literal = 0, shown = !examples, any = 0;
    for (size_t len; *p; p += len + (p[len] == '\n')) {
        len = strcspn(p, "\n");
        if (is_literal(p) != literal) {
            if (literal && shown) fputs("```\n\n", f);
            literal = !literal;
            shown = is_example(p) == examples;
            if (literal && shown) fprintf(f, "%s\n```\n", any ? "" : title), any = 1;
        }
        if (!shown) continue;
        if (!any && len) fputs(title, f), any = 1;
        for (size_t i = 0; i < len && literal; i++) fprintf(f, "%s%c", p[i] == '\\' ? "\\" : "", p[i]);
        if (!literal) plain(f, p, len);
        if (any) putc('\n', f);
    }
    if (literal && shown) fputs("```\n", f);
}

void manual_verb(const cli_verb *v, FILE *f)
{
    fprintf(f, "pith-%s(1) \"pith %s\" \"pith's manual\"\n\n# NAME\n\npith-%s - ", v->name, pith_version(), v->name);
    words(f, v->summary);
    fputs("\n\n# SYNOPSIS\n\n", f);
    synopsis(f, v);
    if (v->notes) notes(f, v->notes, 0, "\n# DESCRIPTION\n\n");
    fputs("\n# OPTIONS\n", f);
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        if (o->kind != CLI_TITLE) option(f, o);
        else fprintf(f, "\n## %s\n", o->help);
    }
    fputs("\n# ENVIRONMENT\n\nAn option *--some-name* of this verb is also taken from *PITH\\_", f);
    for (const char *p = v->name; *p; p++) putc(toupper((unsigned char)*p), f);
    fputs("\\_SOME\\_NAME*; the command line wins. Verbs share:\n", f);
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        if (!o->env) continue;
        fputs("\n*", f);
        words(f, o->env);
        fprintf(f, "*\n\tas *--%s*\n", o->name);
    }
    fputs("\n*PITH\\_DATA*\n\ta folder with bundled models\n\n*NO\\_COLOR*\n\tif set, no colour\n\n# EXIT STATUS\n\n"
          "*0*\n\tall is well\n\n*1*\n\tfailed; one line on stderr says what, where, why, and what to do\n\n*2*\n\twrong usage\n\n"
          "*130*\n\tinterrupted\n", f);
    if (v->notes) notes(f, v->notes, 1, "\n# EXAMPLES\n");
    fputs("\n# SEE ALSO\n\n*pith*(1), *pith*(3), *pith-formats*(5)\n", f);
}

void manual_verbs(FILE *f)
{
    for (size_t i = 0; verbs_at(i); i++) {
        fprintf(f, "\n*pith-%s*(1)\n\t", verbs_at(i)->name);
        words(f, verbs_at(i)->summary);
        putc('\n', f);
    }
}
