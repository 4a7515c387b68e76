#define _POSIX_C_SOURCE 200809L
#include "cli/edit.h"
#ifndef PITH_WITHOUT_EDIT
#include "base/err.h"
#include "cli/guard.h"
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/select.h>
#include <unistd.h>
#include <wchar.h>

enum { HISTORY_LINES = 1000 };

struct edit {
    EditLine *lines;
    History *history;
    const char *prompt;
    sigset_t outside; /* the signal mask outside of editing */
};

static char *shown_prompt(EditLine *lines)
{
    void *d = NULL;
    el_get(lines, EL_CLIENTDATA, &d);
    return (char *)(uintptr_t)((edit *)d)->prompt;
}

/* One character as the terminal's encoding has it. libedit's own would go on waiting after an interrupt; here one is let
 * in only while waiting, so that none is missed between two reads. */
static int next_character(EditLine *lines, wchar_t *c)
{
    mbstate_t state = {0};
    void *d = NULL;
    el_get(lines, EL_CLIENTDATA, &d);
    for (;;) {
        char byte;
        fd_set in;
        FD_ZERO(&in);
        FD_SET(STDIN_FILENO, &in);
        int ready = pselect(STDIN_FILENO + 1, &in, NULL, NULL, NULL, &((edit *)d)->outside);
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

int edit_open(edit **out, pith_err *e)
{
    HistEvent ev;
    edit *d = *out = calloc(1, sizeof *d);
    if (!d) return err_nomem(e, sizeof *d, "a line editor");
    setlocale(LC_CTYPE, ""); /* which bytes are one character on this terminal */
    d->lines = el_init("pith", stdin, stdout, stderr);
    d->history = history_init();
    if (!d->lines || !d->history) return err_nomem(e, sizeof *d, "a line editor");
    history(d->history, &ev, H_SETSIZE, HISTORY_LINES);
    history(d->history, &ev, H_SETUNIQUE, 1);
    el_set(d->lines, EL_CLIENTDATA, d);
    el_set(d->lines, EL_PROMPT, shown_prompt);
    el_set(d->lines, EL_EDITOR, "emacs");
    el_set(d->lines, EL_HIST, history, d->history);
    el_set(d->lines, EL_GETCFN, next_character);
    el_set(d->lines, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(d->lines, NULL); /* the user's ~/.editrc */
    return 0;
}

void edit_close(edit *d)
{
    if (!d) return;
    if (d->lines) el_end(d->lines);
    if (d->history) history_end(d->history);
    free(d);
}

const char *edit_line(edit *d, const char *prompt, size_t *len)
{
    sigset_t interrupt;
    int n = 0;
    d->prompt = prompt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &d->outside);
    const char *s = el_gets(d->lines, &n);
    sigprocmask(SIG_SETMASK, &d->outside, NULL);
    *len = n > 0 ? (size_t)n : 0;
    return n > 0 ? s : NULL;
}

void edit_reset(edit *d) { el_reset(d->lines); }

void edit_keep(edit *d, const char *text)
{
    HistEvent ev;
    history(d->history, &ev, H_ENTER, text);
}

#else

int edit_open(edit **out, pith_err *e)
{
    (void)e;
    *out = NULL;
    return 0;
}

void edit_close(edit *d) { (void)d; }
const char *edit_line(edit *d, const char *prompt, size_t *len)
{
    (void)d;
    (void)prompt;
    *len = 0;
    return NULL;
}
void edit_reset(edit *d) { (void)d; }
void edit_keep(edit *d, const char *text)
{
    (void)d;
    (void)text;
}

#endif
