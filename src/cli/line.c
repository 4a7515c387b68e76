#define _POSIX_C_SOURCE 200809L
#include "cli/line.h"
#include "base/err.h"
#include "cli/guard.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_LINES = 1000 };

struct line_editor {
    EditLine *edit; /* NULL: stdin is no terminal */
    History *history;
    const char *prompt;
    char *text;
    size_t len, cap;
    char *plain; /* of getline */
    size_t plain_cap;
    sigset_t outside; /* the signal mask outside of editing */
};

static char *shown_prompt(EditLine *edit)
{
    void *l = NULL;
    el_get(edit, EL_CLIENTDATA, &l);
    return (char *)(uintptr_t)((line_editor *)l)->prompt;
}

/* One character as the terminal's encoding has it. libedit's own would go on waiting after an interrupt; here one is let
 * in only while waiting, so that none is missed between two reads. */
static int next_character(EditLine *edit, wchar_t *c)
{
    mbstate_t state = {0};
    void *l = NULL;
    el_get(edit, EL_CLIENTDATA, &l);
    for (;;) {
        char byte;
        fd_set in;
        FD_ZERO(&in);
        FD_SET(STDIN_FILENO, &in);
        int ready = pselect(STDIN_FILENO + 1, &in, NULL, NULL, NULL, &((line_editor *)l)->outside);
        if (guard_interrupted()) return -1;
        if (ready < 0) {
            if (errno == EINTR) continue;
            return -1;
        }
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n <= 0) return (int)n;
        size_t k = mbrtowc(c, &byte, 1, &state);
        if (k == (size_t)-2) continue;
        if (k != (size_t)-1) return 1;
        state = (mbstate_t){0}; /* no character: left out */
    }
}

line_editor *line_open(pith_err *e)
{
    HistEvent ev;
    line_editor *l = calloc(1, sizeof *l);
    if (!l) {
        err_nomem(e, sizeof *l, "a line editor");
        return NULL;
    }
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) return l;
    setlocale(LC_CTYPE, ""); /* which bytes are one character on this terminal */
    l->edit = el_init("pith", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->edit || !l->history) {
        err_nomem(e, sizeof *l, "a line editor");
        line_close(l);
        return NULL;
    }
    history(l->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(l->history, &ev, H_SETUNIQUE, 1);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, shown_prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_GETCFN, next_character);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(l->edit, NULL); /* the user's ~/.editrc */
    return l;
}

void line_close(line_editor *l)
{
    if (!l) return;
    if (l->edit) el_end(l->edit);
    if (l->history) history_end(l->history);
    free(l->text);
    free(l->plain);
    free(l);
}

/* One line as typed; NULL: the end, or an interrupt. */
static const char *one(line_editor *l, const char *prompt, size_t *len)
{
    int n = 0;
    l->prompt = prompt;
    if (l->edit) {
        sigset_t interrupt;
        sigemptyset(&interrupt);
        sigaddset(&interrupt, SIGINT);
        sigprocmask(SIG_BLOCK, &interrupt, &l->outside);
        const char *s = el_gets(l->edit, &n);
        sigprocmask(SIG_SETMASK, &l->outside, NULL);
        *len = n > 0 ? (size_t)n : 0;
        return n > 0 ? s : NULL;
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
    HistEvent ev;
    l->len = 0;
    for (int more = 1; more;) {
        size_t n;
        const char *s = one(l, l->len ? "... " : prompt, &n);
        if (guard_interrupted()) {
            if (l->edit) el_reset(l->edit);
            clearerr(stdin);
            return LINE_INTERRUPTED;
        }
        if (!s && !l->len) return LINE_END;
        while (n && (s[n - 1] == '\n' || s[n - 1] == '\r')) n--;
        more = s && n && s[n - 1] == '\\';
        if (append(l, s ? s : "", more ? n - 1 : n) || (more && append(l, "\n", 1))) return LINE_END;
    }
    if (l->edit && l->len) history(l->history, &ev, H_ENTER, l->text);
    *text = l->text;
    return LINE_TEXT;
}
