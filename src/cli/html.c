/* The page is page.html with page.css and page.js inside (the Makefile turns them into string literals) and what is known
 * of the weights as JSON, which page.js shows. Names and metadata are anyone's: in the JSON they have no character that
 * HTML looks at, the script only ever makes text nodes of them, and the page's own policy lets no other script run and
 * nothing be loaded. Memory does not grow with the number of tensors. */
#define _XOPEN_SOURCE 700
#include "cli/html.h"
#include "base/checked.h"
#include "base/err.h"
#include "base/json.h"
#include "base/memtext.h"
#include "base/page.h"
#include "base/par.h"
#include "cli/cli.h"
#include "cli/histogram.h"
#include "cli/output.h"
#include "cli/progress.h"
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const markup[] = {
#include "cli/page.html.inc"
};
static const char *const style[] = {
#include "cli/page.css.inc"
};
static const char *const script[] = {
#include "base/page.js.inc"
#include "cli/page.js.inc"
};

enum { BINS = 40, WINDOW = 256, LONGEST_VALUE = 4096 };

/* ---- JSON that HTML has nothing to find in ---- */

/* s: JSON. What is escaped occurs in its strings only. */
static void put_inert(FILE *f, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (strchr("<>&", s[i]) && s[i]) fprintf(f, "\\u%04x", (unsigned)s[i]);
        else if (len - i >= 3 && memcmp(s + i, "\xe2\x80\xa8", 3) == 0) fputs("\\u2028", f), i += 2;
        else if (len - i >= 3 && memcmp(s + i, "\xe2\x80\xa9", 3) == 0) fputs("\\u2029", f), i += 2;
        else putc(s[i], f);
    }
}

static void put_string(FILE *f, const char *s)
{
    size_t n = strlen(s), keep = n > LONGEST_VALUE ? LONGEST_VALUE : n;
    while (keep < n && keep > 0 && ((unsigned char)s[keep] & 0xc0) == 0x80) keep--;
    json_put_str(f, s, keep);
}

static void put_real(FILE *f, double v)
{
    if (isfinite(v)) fprintf(f, ",%.9g", v);
    else fputs(",null", f);
}

static void put_base36(FILE *f, uint64_t v)
{
    char digits[16];
    size_t n = 0;
    do digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[v % 36];
    while (v /= 36);
    while (n) putc(digits[--n], f);
}

/* [zero, NaN, infinite, below, above, min, max, mean, std, lo, hi, "counts in base 36"] */
static void put_histogram(FILE *f, const histogram *h)
{
    fprintf(f, "[%llu,%llu,%llu,%llu,%llu", (unsigned long long)h->stats.n_zero, (unsigned long long)h->stats.n_nan,
            (unsigned long long)h->stats.n_inf, (unsigned long long)h->below, (unsigned long long)h->above);
    put_real(f, h->stats.min);
    put_real(f, h->stats.max);
    put_real(f, h->stats.mean);
    put_real(f, h->std);
    put_real(f, h->lo);
    put_real(f, h->hi);
    fputs(",\"", f);
    for (size_t k = 0; k < h->n; k++) {
        if (k) putc(' ', f);
        put_base36(f, h->counts[k]);
    }
    fputs("\"]", f);
}

/* ---- what is known of the weights ---- */

typedef struct reading {
    const pith_weights *w;
    size_t first; /* tensor of the window's start */
    histogram *histograms;
    pith_err *errors; /* why a tensor has no histogram */
    uint64_t total;
    atomic_uint_least64_t done;
    atomic_size_t tensors;
    progress progress;
} reading;

static void read_one(void *ctx, size_t k, int tid)
{
    reading *r = ctx;
    pith_tensor t;
    r->errors[k].msg[0] = 0;
    histogram_make(r->w, r->first + k, BINS, &r->histograms[k], &r->errors[k]);
    pith_weights_release(r->w, r->first + k);
    pith_weights_at(r->w, r->first + k, &t);
    uint64_t done = atomic_fetch_add(&r->done, t.nbytes) + t.nbytes, n = atomic_fetch_add(&r->tensors, 1) + 1;
    if (tid == 0) progress_update(&r->progress, n, r->total ? (double)done / (double)r->total : 1);
}

/* [name, dtype, [shape], elements, bytes, file, histogram or why there is none] */
static void put_tensor(FILE *f, const pith_weights *w, size_t i, const histogram *h, const char *why)
{
    pith_tensor t;
    uint64_t n = 0;
    pith_weights_at(w, i, &t);
    if (checked_product(t.shape, t.rank, &n)) n = 0; /* the reader refused what overflows */
    fputs(i ? ",\n[" : "\n[", f);
    json_put_str(f, t.name, strlen(t.name));
    fprintf(f, ",\"%s\",[", t.dtype);
    for (size_t k = 0; k < t.rank; k++) fprintf(f, "%s%llu", k ? "," : "", (unsigned long long)t.shape[k]);
    fprintf(f, "],%llu,%llu,%zu,", (unsigned long long)n, (unsigned long long)t.nbytes, t.file);
    if (*why) put_string(f, why);
    else put_histogram(f, h);
    putc(']', f);
}

static void put_facts(FILE *f, const pith_weights *w, const char *name)
{
    int n = 0;
    fputs("{\"name\":", f);
    put_string(f, name);
    fprintf(f, ",\"version\":\"%s\",\"format\":", pith_version());
    put_string(f, pith_weights_format(w));
    fputs(",\"key\":", f);
    put_string(f, pith_weights_key(w));
    fputs(",\"files\":[", f);
    for (size_t i = 0; i < pith_weights_files(w); i++) {
        uint64_t size = 0;
        fputs(i ? ",[" : "[", f);
        put_string(f, pith_weights_file(w, i, &size));
        fprintf(f, ",%llu]", (unsigned long long)size);
    }
    fputs("],\"metadata\":[", f);
    for (size_t i = 0; i < pith_weights_files(w); i++)
        for (size_t k = 0; k < pith_weights_metadata_count(w, i); k++) {
            const char *key, *value;
            if (pith_weights_metadata(w, i, k, &key, &value)) continue;
            fputs(n++ ? ",[" : "[", f);
            put_string(f, key);
            putc(',', f);
            put_string(f, value);
            fprintf(f, ",%zu,%zu]", strlen(value), i);
        }
    fputs("],\"warnings\":[", f);
    for (size_t i = 0; i < pith_weights_warnings(w); i++) {
        if (i) putc(',', f);
        put_string(f, pith_weights_warning(w, i));
    }
    fputs("],\"tensors\":[", f);
}

/* What `put` wrote to a stream in memory goes to f, inert. */
static int move_inert(FILE *f, FILE *memory, char **text, size_t *len, pith_err *e)
{
    int bad = memtext_close(memory, text) != 0;
    if (!bad) put_inert(f, *text, *len);
    free(*text);
    *text = NULL;
    return bad ? err_nomem(e, *len, "the page") : 0;
}

static int put_window(FILE *f, reading *r, size_t n, pith_err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = memtext_open(&text, &len);
    if (!memory) return err_nomem(e, 0, "the page");
    for (size_t k = 0; k < n; k++) put_tensor(memory, r->w, r->first + k, &r->histograms[k], r->errors[k].msg);
    int bad = move_inert(f, memory, &text, &len, e);
    /* What no histogram can be made of says so on the page; for want of memory there is no page. */
    for (size_t k = 0; k < n && !bad; k++)
        if (!strncmp(r->errors[k].msg, "out of memory", 13)) bad = err_set(e, "%s", r->errors[k].msg);
    return bad;
}

static int put_tensors(FILE *f, reading *r, pith_err *e)
{
    const size_t count = pith_weights_count(r->w);
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        pith_tensor t;
        pith_weights_at(r->w, i, &t);
        r->total += t.nbytes;
    }
    progress_start(&r->progress, "tensors", 0);
    for (; r->first < count && !bad && !ferror(f); r->first += WINDOW) {
        size_t n = count - r->first < WINDOW ? count - r->first : WINDOW;
        par_for(par_cpus(), n, read_one, r);
        bad = put_window(f, r, n, e);
        for (size_t k = 0; k < n; k++) histogram_free(&r->histograms[k]);
    }
    progress_clear(&r->progress);
    return bad;
}

static int put_data(FILE *f, const pith_weights *w, const char *name, pith_err *e)
{
    char *text = NULL;
    size_t len = 0;
    FILE *memory = memtext_open(&text, &len);
    if (!memory) return err_nomem(e, 0, "the page");
    put_facts(memory, w, name);
    if (move_inert(f, memory, &text, &len, e)) return -1;
    reading r = {.w = w, .histograms = calloc(WINDOW, sizeof *r.histograms), .errors = calloc(WINDOW, sizeof *r.errors)};
    int bad = r.histograms && r.errors ? put_tensors(f, &r, e) : err_nomem(e, WINDOW * sizeof *r.errors, "the page");
    free(r.histograms);
    free(r.errors);
    fputs("]}\n", f);
    return bad;
}

/* ---- the page ---- */

typedef struct source {
    const page *page;
    const pith_weights *w;
    const char *name;
} source;

static int put_place(void *ctx, FILE *f, const char *line, pith_err *e)
{
    const source *s = ctx;
    if (strcmp(line, "@DATA@\n") == 0) return put_data(f, s->w, s->name, e);
    fputs("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; form-action 'none'; ", f);
    if (page_policy(s->page, f, e)) return -1;
    fputs("\">\n", f);
    return 0;
}

static int put_page(FILE *f, const pith_weights *w, const char *name, pith_err *e)
{
    source s = {NULL, w, name};
    const page p = {PAGE_PART(markup), PAGE_PART(style), PAGE_PART(script), put_place, &s};
    s.page = &p;
    return page_write(&p, f, e);
}

int html_write(const pith_weights *w, const char *path, const char *file, pith_err *e)
{
    output o = {0};
    errno = 0;
    char *whole = realpath(path, NULL); /* "." has a name too; folders above it are nobody's business */
    if (!whole && errno == ENOMEM) return err_nomem(e, 0, "the page");
    const char *slash = whole ? strrchr(whole, '/') : NULL;
    int bad = output_open(&o, file, 0, e) || put_page(o.f, w, slash && slash[1] ? slash + 1 : path, e) || output_finish(&o, e);
    if (bad) output_abort(&o);
    free(whole);
    return bad ? -1 : 0;
}
