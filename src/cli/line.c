#define _POSIX_C_SOURCE 200809L
#include "cli/line.h"
#include "base/err.h"
#include "cli/edit.h"
#include "cli/guard.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line_editor {
    edit *edit; /* NULL: plain reading */
    int terminal;
    char *text;
    size_t len, cap;
    char *plain; /* of getline */
    size_t plain_cap;
};

line_editor *line_open(pith_err *e)
{
    line_editor *l = calloc(1, sizeof *l);
    if (!l) {
        err_nomem(e, sizeof *l, "a line editor");
        return NULL;
    }
    l->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (!l->terminal || edit_open(&l->edit, e) == 0) return l;
    line_close(l);
    return NULL;
}

void line_close(line_editor *l)
{
    if (!l) return;
    edit_close(l->edit);
    free(l->text);
    free(l->plain);
    free(l);
}

/* One line as typed; NULL: the end, or an interrupt. */
static const char *one(line_editor *l, const char *prompt, size_t *len)
{
    if (l->edit) return edit_line(l->edit, prompt, len);
    if (l->terminal) {
        fputs(prompt, stdout);
        fflush(stdout);
    }
    ssize_t k = getline(&l->plain, &l->plain_cap, stdin);
    *len = k > 0 ? (size_t)k : 0;
    return k > 0 ? l->plain : NULL;
}

static int append(line_editor *l, const char *s, size_t n)
{
    if (l->cap - l->len <= n) {
        size_t cap = 2 * (l->len + n) + 128;
        char *b = realloc(l->text, cap);
        if (!b) return -1;
        l->text = b;
        l->cap = cap;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
    l->text[l->len] = 0;
    return 0;
}

int line_read(line_editor *l, const char *prompt, char **text)
{
    l->len = 0;
    for (int more = 1; more;) {
        size_t n;
        const char *s = one(l, l->len ? "... " : prompt, &n);
        if (guard_interrupted()) {
            if (l->edit) edit_reset(l->edit);
            clearerr(stdin);
            return LINE_INTERRUPTED;
        }
        if (!s && !l->len) return LINE_END;
        while (n && (s[n - 1] == '\n' || s[n - 1] == '\r')) n--;
        more = s && n && s[n - 1] == '\\';
        if (append(l, s ? s : "", more ? n - 1 : n) || (more && append(l, "\n", 1))) return LINE_END;
    }
    if (l->edit && l->len) edit_keep(l->edit, l->text);
    *text = l->text;
    return LINE_TEXT;
}
