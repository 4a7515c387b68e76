#define _POSIX_C_SOURCE 200809L
#include "cli/cli.h"
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *verb_name = "";
static int quiet, verbose, told;

void cli_context(const char *verb, const cli_globals *g)
{
    verb_name = verb;
    quiet = g && g->quiet;
    verbose = g && g->verbose;
}
int cli_told(void) { return told; }
int cli_quiet(void) { return quiet; }
int cli_verbose(void) { return verbose && !quiet; }
int cli_sandbox(const cli_globals *g) { return g->no_sandbox ? CLI_SANDBOX_OFF : g->sandbox; }

/* ---- messages ---- */

static void say(const char *fmt, va_list ap, const char *tail)
{
    va_list again;
    va_copy(again, ap);
    char few[2048], *msg = few; /* all but lists of files; without memory those are cut */
    int n = vsnprintf(few, sizeof few, fmt, again);
    va_end(again);
    if (n >= (int)sizeof few && (msg = malloc((size_t)n + 1))) vsnprintf(msg, (size_t)n + 1, fmt, ap);
    if (!msg) msg = few;
    fprintf(stderr, "pith%s%s: ", *verb_name ? " " : "", verb_name);
    cli_put_text(stderr, msg, strlen(msg), 0);
    fprintf(stderr, "%s\n", tail);
    if (msg != few) free(msg);
}

int cli_error(const char *fmt, ...)
{
    told = 1;
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap, "");
    va_end(ap);
    return CLI_FAILED;
}

int cli_usage(const char *fmt, ...)
{
    char tail[64];
    snprintf(tail, sizeof tail, " (pith %s%s--help)", verb_name, *verb_name ? " " : "");
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap, tail);
    va_end(ap);
    return CLI_USAGE;
}

void cli_note(const char *fmt, ...)
{
    if (quiet) return;
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap, "");
    va_end(ap);
}

void cli_detail(const char *fmt, ...)
{
    if (!cli_verbose()) return;
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap, "");
    va_end(ap);
}

/* ---- text and numbers ---- */

void cli_put_text(FILE *f, const char *s, size_t len, size_t limit)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t end = limit && limit < len ? limit : len;
    while (end < len && end > 0 && (p[end] & 0xc0) == 0x80) end--;
    for (size_t i = 0; i < end; i++) {
        if (p[i] == '\n' || p[i] == '\r' || p[i] == '\t')
            putc(' ', f);
        else if (p[i] < 0x20 || p[i] == 0x7f)
            fprintf(f, "\\x%02x", p[i]);
        else if (p[i] == 0xc2 && i + 1 < end && p[i + 1] >= 0x80 && p[i + 1] < 0xa0)
            fprintf(f, "\\x%02x", p[++i]); /* C1 controls: some terminals obey them */
        else
            putc(p[i], f);
    }
    if (end < len) fputs("...", f);
}

const char *cli_count(uint64_t n, char *buf)
{
    char plain[24];
    int digits = snprintf(plain, sizeof plain, "%llu", (unsigned long long)n), o = 0;
    for (int i = 0; i < digits; i++) {
        if (i && (digits - i) % 3 == 0) buf[o++] = ',';
        buf[o++] = plain[i];
    }
    buf[o] = 0;
    return buf;
}

const char *cli_bytes(uint64_t n, char *buf)
{
    static const char *const unit[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)n;
    int u = 0;
    for (; v >= 999.95 && u < 6; u++) v /= 1000;
    snprintf(buf, 32, u ? "%.1f %s" : "%.0f %s", v, unit[u]);
    return buf;
}

int cli_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(f)) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

/* ---- nearest word ---- */

static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t d[3][64];
    for (; n && m && *a == *b; n--, m--) a++, b++;
    for (; n && m && a[n - 1] == b[m - 1]; n--) m--;
    if (n > 63 || m > 63) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best) best = up[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            row[j] = best;
        }
    }
    return d[n % 3][m];
}

size_t cli_distance(const char *a, const char *b) { return distance(a, strlen(a), b, strlen(b)); }

const char *cli_nearest(const char *typed, const char *words, char *buf, size_t cap)
{
    size_t n = strlen(typed), best = n > 5 ? 3 : 2;
    const char *found = NULL;
    for (const char *w = words; *w;) {
        size_t len = strcspn(w, "|");
        size_t far = n >= 3 && len > n && strncmp(typed, w, n) == 0 ? 1 : distance(typed, n, w, len);
        if (far < best && len < cap) {
            best = far;
            memcpy(buf, w, len);
            buf[len] = 0;
            found = buf;
        }
        w += len + (w[len] == '|');
    }
    return found;
}

/* ---- parsing ---- */

static const cli_opt *by_name(const cli_verb *v, const char *name, size_t len)
{
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
        if (o->kind != CLI_TITLE && strlen(o->name) == len && strncmp(o->name, name, len) == 0) return o;
    return NULL;
}
static const cli_opt *by_letter(const cli_verb *v, char c)
{
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
        if (o->kind != CLI_TITLE && o->letter == c) return o;
    return NULL;
}

static int choice(const char *words, const char *text)
{
    size_t n = strlen(text);
    for (int i = 0;; i++) {
        size_t len = strcspn(words, "|");
        if (len == n && strncmp(words, text, n) == 0) return i;
        if (!words[len]) return -1;
        words += len + 1;
    }
}

static int set_size(const cli_opt *o, uint64_t *out, const char *text, const char *origin)
{
    size_t n = strlen(o->arg);
    if (n > 4 && strcmp(o->arg + n - 4, "|all") == 0 && strcmp(text, "all") == 0) {
        *out = UINT64_MAX;
        return 0;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long x = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end || errno || x < o->min || x > o->max) {
        if (o->max == UINT64_MAX)
            return cli_usage("%s: '%s' is not a whole number of at least %llu", origin, text,
                             (unsigned long long)o->min);
        return cli_usage("%s: '%s' is not a whole number from %llu to %llu", origin, text, (unsigned long long)o->min,
                         (unsigned long long)o->max);
    }
    *out = x;
    return 0;
}

static int set_real(const cli_opt *o, double *out, const char *text, const char *origin)
{
    char *end;
    double x = strtod(text, &end);
    if (end == text || *end || isnan(x)) return cli_usage("%s: '%s' is not a number", origin, text);
    if (o->max && !(x >= (double)o->min && x <= (double)o->max))
        return cli_usage("%s: %s is not from %llu to %llu", origin, text, (unsigned long long)o->min,
                         (unsigned long long)o->max);
    *out = x;
    return 0;
}

static int add_item(cli_list *l, const char *text, int environment)
{
    if (l->environment && !environment) l->n = 0;
    const char **items = realloc(l->items, (l->n + 1) * sizeof *items);
    if (!items) return cli_error("out of memory");
    l->items = items;
    l->environment = environment;
    l->items[l->n++] = text;
    return 0;
}

void cli_drop(const cli_verb *v, void *values)
{
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
        if (o->kind == CLI_LIST || o->kind == CLI_INPUTS) free(((cli_list *)(void *)((char *)values + o->at))->items);
}

/* Stores text as the value of o; origin names where it came from in messages. */
static int set(const cli_opt *o, void *values, const char *text, const char *origin)
{
    char *at = (char *)values + o->at, near[64];
    int k;
    switch (o->kind) {
    case CLI_FLAG:
        k = choice("0|no|false|off||1|yes|true|on", text);
        if (k < 0) return cli_usage("%s: '%s' is neither yes nor no", origin, text);
        *(int *)(void *)at = k > 4;
        return 0;
    case CLI_SIZE: return set_size(o, (uint64_t *)(void *)at, text, origin);
    case CLI_REAL: return set_real(o, (double *)(void *)at, text, origin);
    case CLI_LIST:
    case CLI_INPUTS: return add_item((cli_list *)(void *)at, text, *origin != '-');
    case CLI_CHOICE:
        k = choice(o->arg, text);
        if (k < 0) {
            const char *hint = cli_nearest(text, o->arg, near, sizeof near);
            return cli_usage("%s: '%s' is none of %s%s%s%s", origin, text, o->arg, hint ? "; did you mean '" : "",
                             hint ? hint : "", hint ? "'?" : "");
        }
        *(int *)(void *)at = k;
        return 0;
    default: *(const char **)(void *)at = text; return 0;
    }
}

static int from_environment(const cli_verb *v, void *values)
{
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        if (o->kind == CLI_TITLE) continue;
        if (o->kind == CLI_REAL) *(double *)(void *)((char *)values + o->at) = NAN;
        int bad = o->def ? set(o, values, o->def, o->name) : 0;
        if (bad) return bad;
        char name[128];
        int n = snprintf(name, sizeof name, "PITH_%s_%s", v->name, o->name);
        for (int i = 0; i < n && i < (int)sizeof name - 1; i++)
            name[i] = (char)(name[i] == '-' ? '_' : name[i] >= 'a' && name[i] <= 'z' ? name[i] - 32 : name[i]);
        const char *text = getenv(name), *shown = name;
        if (!text && o->env) text = getenv(shown = o->env);
        if (text && *text && strcmp(o->name, "help") != 0) bad = set(o, values, text, shown);
        if (bad) return bad;
    }
    return 0;
}

static int unknown(const cli_verb *v, const char *arg, size_t len)
{
    char words[2048] = "", near[64], typed[64];
    size_t n = 0;
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
        if (o->kind != CLI_TITLE && n + strlen(o->name) + 2 < sizeof words)
            n += (size_t)snprintf(words + n, sizeof words - n, "%s|", o->name);
    snprintf(typed, sizeof typed, "%.*s", (int)(len > 60 ? 60 : len), arg);
    size_t dashes = strspn(typed, "-");
    const char *hint = cli_nearest(typed + dashes, words, near, sizeof near);
    if (hint) return cli_usage("unknown option '%s'; did you mean '--%s'?", typed, hint);
    return cli_usage("unknown option '%s'; text that begins with a dash goes after '--'", typed);
}

/* One long option at argv[*i]. */
static int long_option(const cli_verb *v, void *values, int argc, char **argv, int *i)
{
    const char *arg = argv[*i] + 2, *eq = strchr(arg, '=');
    size_t len = eq ? (size_t)(eq - arg) : strlen(arg);
    const cli_opt *o = by_name(v, arg, len);
    if (!o) return unknown(v, argv[*i], len + 2);
    char origin[80];
    snprintf(origin, sizeof origin, "--%s", o->name);
    if (eq) return set(o, values, eq + 1, origin);
    if (o->kind == CLI_FLAG) return set(o, values, "1", origin);
    if (*i + 1 >= argc) return cli_usage("%s needs %s", origin, o->arg);
    return set(o, values, argv[++*i], origin);
}

/* A cluster of short options at argv[*i]: -qv, -t4, -t 4. */
static int short_options(const cli_verb *v, void *values, int argc, char **argv, int *i)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const cli_opt *o = by_letter(v, *p);
        if (!o) return unknown(v, argv[*i], strlen(argv[*i]));
        char origin[8];
        snprintf(origin, sizeof origin, "-%c", *p);
        if (o->kind == CLI_FLAG) {
            if (set(o, values, "1", origin)) return CLI_USAGE;
            continue;
        }
        if (p[1]) return set(o, values, p + 1 + (p[1] == '='), origin);
        if (*i + 1 >= argc) return cli_usage("%s needs %s", origin, o->arg);
        return set(o, values, argv[++*i], origin);
    }
    return 0;
}

int cli_parse(const cli_verb *v, void *values, int argc, char **argv, int *n_args)
{
    *n_args = 0;
    cli_globals *g = values;
    /* Someone who asks for help gets it, whatever else is wrong. */
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) g->help = 1;
    if (g->help) return 0;
    int only_text = 0, n = 0, bad = from_environment(v, values);
    for (int i = 0; i < argc && !bad; i++) {
        char *a = argv[i];
        if (only_text || a[0] != '-' || a[1] == 0) {
            argv[n++] = a;
        } else if (strcmp(a, "--") == 0) {
            only_text = 1;
        } else {
            bad = a[1] == '-' ? long_option(v, values, argc, argv, &i) : short_options(v, values, argc, argv, &i);
        }
    }
    if (bad) return bad;
    argv[*n_args = n] = NULL;
    return 0;
}

/* ---- help ---- */

enum { LEFT = 28, WIDTH = 80 };

static void wrapped(FILE *f, const char *text, int at)
{
    int col = at;
    for (const char *p = text; *p;) {
        int len = (int)strcspn(p, " ");
        if (col > at && col + 1 + len > WIDTH) {
            fprintf(f, "\n%*s", at, "");
            col = at;
        }
        col += fprintf(f, "%s%.*s", col > at ? " " : "", len, p);
        p += len;
        while (*p == ' ') p++;
    }
    putc('\n', f);
}

static void environment_help(const cli_verb *v, FILE *f)
{
    char text[300], upper[32];
    size_t n = 0, k = 0;
    for (; n < sizeof upper - 1 && v->name[n]; n++) upper[n] = (char)(v->name[n] - 32);
    upper[n] = 0;
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
        if (o->env) k += (size_t)snprintf(text + k, sizeof text - k, "%s%s", k ? ", " : "; for all verbs: ", o->env);
    fprintf(f, "\nOptions can also be set in the environment, as PITH_%s_<OPTION>=VALUE%s.\nThe command line wins.\n", upper,
            k ? text : "");
}

void cli_help(const cli_verb *v, FILE *f)
{
    static char all[1 << 15]; /* one write, whose error is known at the end */
    setvbuf(f, all, _IOFBF, sizeof all);
    fprintf(f, "pith %s: %s\n\n", v->name, v->summary);
    const char *p = v->synopsis;
    do {
        int len = (int)strcspn(p, "\n");
        fprintf(f, "%s pith %s%s%.*s\n", p == v->synopsis ? "usage:" : "      ", v->name, len ? " " : "", len, p);
        p += len + (p[len] == '\n');
    } while (*p);
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        if (o->kind == CLI_TITLE) {
            fprintf(f, "\n%s:\n", o->help);
            continue;
        }
        char text[512];
        int col = o->letter ? fprintf(f, "  -%c, --%s", o->letter, o->name) : fprintf(f, "      --%s", o->name);
        if (o->arg) col += fprintf(f, " %s", o->arg);
        if (col + 2 > LEFT) {
            putc('\n', f);
            col = 0;
        }
        fprintf(f, "%*s", LEFT - col, "");
        int shown = o->def && strcmp(o->def, "0") != 0;
        snprintf(text, sizeof text, "%s%s%s%s", o->help, shown ? " [" : "", shown ? o->def : "", shown ? "]" : "");
        wrapped(f, text, LEFT);
    }
    environment_help(v, f);
    if (v->notes) fprintf(f, "\n%s", v->notes);
}
