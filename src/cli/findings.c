#define _POSIX_C_SOURCE 200809L
#include "cli/findings.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const findings_names[FINDINGS_CHECKS] = {"files", "tensors", "tokenizer", "values", "checksums", "forward"};

void findings_add(findings *x, int check, int failed, const char *subject, const char *message)
{
    finding *at = realloc(x->at, (x->n + 1) * sizeof *at);
    if (at) x->at = at;
    char *s = strdup(subject), *m = strdup(message);
    if (!at || !s || !m) { /* a failure that is not told must not look like none */
        free(s);
        free(m);
        x->no_memory = 1;
        return;
    }
    x->at[x->n++] = (finding){.check = check, .failed = failed, .subject = s, .message = m};
}

size_t findings_count(const findings *x, int check, int failed)
{
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) n += (check < 0 || x->at[i].check == check) && x->at[i].failed == failed;
    return n;
}

void findings_free(findings *x)
{
    for (size_t i = 0; i < x->n; i++) {
        free(x->at[i].subject);
        free(x->at[i].message);
    }
    free(x->at);
    *x = (findings){0};
}

static const char *status(const findings *x, int check)
{
    if (findings_count(x, check, 1)) return "failed";
    return x->done[check] ? "ok" : "skipped";
}

/* ---- for people ---- */

static void mark(FILE *f, const char *colour, const char *word, int width)
{
    int on = cli_colour(f);
    fprintf(f, "%s%-*s%s", on ? colour : "", width, word, on ? "\033[0m" : "");
}
#define RED "\033[1;31m"
#define GREEN "\033[32m"
#define YELLOW "\033[33m"
#define DIM "\033[2m"

static const char *plural(size_t n) { return n == 1 ? "" : "s"; }

/* What was looked at, in a few words; "" where there is nothing to say. */
static void scope(const findings *x, int check, char *buf, size_t cap)
{
    const pith_verdict *v = &x->verdict;
    char a[32], b[32];
    *buf = 0;
    if (check == PITH_CHECK_FILES)
        snprintf(buf, cap, "%s file%s, %s", cli_count(v->files, a), plural(v->files), cli_bytes(v->bytes, b));
    if (check == PITH_CHECK_TENSORS)
        snprintf(buf, cap, "%s tensor%s, %s parameters", cli_count(v->tensors, a), plural(v->tensors), cli_count(v->parameters, b));
    if (check == PITH_CHECK_VALUES) snprintf(buf, cap, "%s parameters", cli_count(v->parameters, a));
    if (check != FINDINGS_FORWARD || !x->forward) return;
    size_t n[FORWARD_BROKEN + 1] = {0}, replayed = 0, k = 0;
    for (size_t i = 0; i < x->forward->n_rows; i++) {
        n[x->forward->rows[i].verdict]++;
        replayed += x->forward->rows[i].recording != NULL;
    }
    if (replayed) k += (size_t)snprintf(buf + k, cap - k, "%zu of %zu prompts bit-equal", n[FORWARD_BIT_EQUAL], replayed);
    if (n[FORWARD_WITHIN]) k += (size_t)snprintf(buf + k, cap - k, ", %zu within tolerance", n[FORWARD_WITHIN]);
    if (x->forward->n_rows > replayed)
        snprintf(buf + k, cap - k, "%s%zu prompts run, finite numbers from %zu", k ? "; " : "", x->forward->n_rows - replayed,
                 n[FORWARD_RUNS]);
}

static const char *const words[] = {"runs", "bit-equal", "within tolerance", "DIFFERENT", "BROKEN"};
static const char *const colours[] = {GREEN, GREEN, YELLOW, RED, RED};

/* A prompt in a line: its beginning in quotes, or how many ids it has. */
static void put_prompt(const forward_row *r, FILE *f)
{
    if (!r->prompt) {
        fprintf(f, "%zu token id%s", r->n_tokens, plural(r->n_tokens));
        return;
    }
    putc('"', f);
    cli_put_text(f, r->prompt, strlen(r->prompt), 40);
    putc('"', f);
}

static void put_replays(const forward *w, FILE *f)
{
    const char *last = NULL;
    for (size_t i = 0; i < w->n_rows; i++) {
        const forward_row *r = &w->rows[i];
        if (!r->recording) continue;
        if (r->recording != last) {
            fputs("    against ", f);
            cli_put_text(f, last = r->recording, strlen(r->recording), 0);
            putc('\n', f);
        }
        fprintf(f, "    %4zu  ", r->number);
        mark(f, colours[r->verdict], words[r->verdict], 18);
        put_prompt(r, f);
        if (*r->message) fputs("  ", f);
        cli_put_text(f, r->message, strlen(r->message), 0);
        putc('\n', f);
    }
}

static void put_finding(const finding *x, FILE *f)
{
    fputs("    ", f);
    mark(f, x->failed ? RED : YELLOW, x->failed ? "problem" : "remark", 9);
    cli_put_text(f, x->subject, strlen(x->subject), 0);
    if (*x->subject) fputs(": ", f);
    cli_put_text(f, x->message, strlen(x->message), 0);
    putc('\n', f);
}

static void put_check(const findings *x, int check, FILE *f)
{
    const char *s = status(x, check);
    size_t problems = findings_count(x, check, 1), remarks = findings_count(x, check, 0);
    int skipped = strcmp(s, "skipped") == 0;
    char about[256];
    if (skipped) snprintf(about, sizeof about, "%s", x->why_not[check]);
    else scope(x, check, about, sizeof about);
    mark(f, problems ? RED : skipped ? DIM : GREEN, problems ? "FAILED" : s, 9);
    fprintf(f, *about || problems || remarks ? "%-11s" : "%s", findings_names[check]);
    cli_put_text(f, about, strlen(about), 0);
    if (problems) fprintf(f, "%s%zu problem%s", *about ? "; " : "", problems, plural(problems));
    if (remarks) fprintf(f, "%s%zu remark%s", problems ? ", " : *about ? "; " : "", remarks, plural(remarks));
    putc('\n', f);
    if (check == FINDINGS_FORWARD && x->forward) put_replays(x->forward, f);
    for (size_t i = 0; i < x->n; i++)
        if (x->at[i].check == check && !x->at[i].in_row) put_finding(&x->at[i], f);
}

void findings_put_text(const findings *x, FILE *f)
{
    size_t failed = findings_count(x, -1, 1), remarks = findings_count(x, -1, 0);
    for (int c = 0; c < FINDINGS_CHECKS; c++) put_check(x, c, f);
    putc('\n', f);
    cli_put_text(f, x->path, strlen(x->path), 0);
    fputs(": ", f);
    if (failed) {
        char n[64];
        snprintf(n, sizeof n, "%zu problem%s", failed, plural(failed));
        mark(f, RED, n, 0);
    } else {
        mark(f, GREEN, "the weights are what they should be", 0);
    }
    if (remarks) fprintf(f, ", %zu remark%s", remarks, plural(remarks));
    putc('\n', f);
}

/* ---- JSON ---- */

static void put_string(FILE *f, const char *s)
{
    if (s) json_put_str(f, s, strlen(s));
    else fputs("null", f);
}

static void put_rows(const forward *w, FILE *f)
{
    static const char *const names[] = {"runs", "bit-equal", "within tolerance", "different", "broken"};
    for (size_t i = 0; i < w->n_rows; i++) {
        const forward_row *r = &w->rows[i];
        fputs(i ? ",\n {\"recording\":" : "\n {\"recording\":", f);
        put_string(f, r->recording);
        fprintf(f, ",\"number\":%zu,\"prompt\":", r->number);
        put_string(f, r->prompt);
        fprintf(f, ",\"n_tokens\":%zu,\"verdict\":\"%s\",\"max_diff\":", r->n_tokens, names[r->verdict]);
        json_put_f64(f, r->max_diff);
        fputs(",\"tolerance\":", f);
        json_put_f64(f, r->tolerance);
        fputs(",\"message\":", f);
        put_string(f, r->message);
        putc('}', f);
    }
}

void findings_put_json(const findings *x, FILE *f)
{
    const pith_verdict *v = &x->verdict;
    fputs("{\"path\":", f);
    put_string(f, x->path);
    fprintf(f, ",\"verdict\":\"%s\",\"problems\":%zu,\"remarks\":%zu,\n\"checks\":{", findings_count(x, -1, 1) ? "failed" : "ok",
            findings_count(x, -1, 1), findings_count(x, -1, 0));
    for (int c = 0; c < FINDINGS_CHECKS; c++) {
        fprintf(f, "%s\n \"%s\":{\"status\":\"%s\",\"done\":%s,\"failed\":%zu,\"remarks\":%zu", c ? "," : "", findings_names[c],
                status(x, c), x->done[c] ? "true" : "false", findings_count(x, c, 1), findings_count(x, c, 0));
        if (!x->done[c]) fputs(",\"why\":", f), put_string(f, x->why_not[c]);
        putc('}', f);
    }
    fputs("},\n\"findings\":[", f);
    for (size_t i = 0; i < x->n; i++) {
        fprintf(f, "%s\n {\"check\":\"%s\",\"failed\":%s,\"subject\":", i ? "," : "", findings_names[x->at[i].check],
                x->at[i].failed ? "true" : "false");
        put_string(f, x->at[i].subject);
        fputs(",\"message\":", f);
        put_string(f, x->at[i].message);
        putc('}', f);
    }
    fprintf(f, "],\n\"totals\":{\"files\":%zu,\"tensors\":%zu,\"bytes\":%llu,\"parameters\":%llu},\n\"forward\":{\"prompts\":[",
            v->files, v->tensors, (unsigned long long)v->bytes, (unsigned long long)v->parameters);
    if (x->forward) put_rows(x->forward, f);
    fputs("]}}\n", f);
}
