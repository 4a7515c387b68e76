#define _XOPEN_SOURCE 700
#include "cli/histogram.h"
#include "base/err.h"
#include "base/json.h"
#include "cli/cli.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BLOCK = 1024, LANES = 8, TABLES = 4, PIECES = 64, PIECE = 32, SAMPLE = PIECES * PIECE, FEW = 16 };

/* ---- counting ---- */

typedef struct source {
    const pith_weights *w;
    size_t i;
    int kind; /* how elements become doubles: F64 and wide integers would lose too much as float */
} source;

enum { AS_FLOAT, AS_F64, AS_I32, AS_U32, AS_I64, AS_U64 };

static int kind_of(const char *dtype)
{
    static const char *const names[] = {"", "F64", "I32", "U32", "I64", "U64"};
    for (int k = 1; k < (int)(sizeof names / sizeof *names); k++)
        if (strcmp(names[k], dtype) == 0) return k;
    return AS_FLOAT;
}

#define WIDEN(T)                                                                                                       \
    do {                                                                                                               \
        T v[BLOCK];                                                                                                    \
        if (pith_weights_read(s->w, s->i, first, n, v, e)) return -1;                                                  \
        _Pragma("omp simd") for (size_t k = 0; k < n; k++) x[k] = (double)v[k];                                        \
        return 0;                                                                                                      \
    } while (0)

static int load(const source *s, uint64_t first, size_t n, double *x, pith_err *e)
{
    switch (s->kind) {
    case AS_F64: return pith_weights_read(s->w, s->i, first, n, x, e);
    case AS_I32: WIDEN(int32_t);
    case AS_U32: WIDEN(uint32_t);
    case AS_I64: WIDEN(int64_t);
    case AS_U64: WIDEN(uint64_t);
    default: break;
    }
    float v[BLOCK];
    if (pith_weights_read_f32(s->w, s->i, first, n, v, e)) return -1;
#pragma omp simd
    for (size_t k = 0; k < n; k++) x[k] = (double)v[k];
    return 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Ends the range where a few far values would leave the rest in one bin. The sample is spread evenly. */
static int choose_range(const source *s, histogram *h, pith_err *e)
{
    double x[SAMPLE];
    size_t n = 0, finite = 0;
    const uint64_t count = h->stats.count;
    h->lo = h->stats.min, h->hi = h->stats.max;
    for (size_t p = 0; p < PIECES && n < count; p++) {
        uint64_t first = count <= SAMPLE ? n : (count - PIECE) / (PIECES - 1) * p;
        size_t k = count - first < PIECE ? (size_t)(count - first) : PIECE;
        if (load(s, first, k, x + n, e)) return -1;
        n += k;
    }
    for (size_t k = 0; k < n; k++)
        if (isfinite(x[k])) x[finite++] = x[k];
    if (finite < FEW) return 0;
    qsort(x, finite, sizeof *x, ascending);
    size_t high = (finite - 1) * 99 / 100;
    double median = x[finite / 2], spread = fmax(median - x[finite - 1 - high], x[high] - median);
    double lo = fmax(h->lo, median - 3 * spread), hi = fmin(h->hi, median + 3 * spread);
    if (spread > 0 && hi / 2 - lo / 2 < 2.0 / 3 * (h->hi / 2 - h->lo / 2)) h->lo = lo, h->hi = hi;
    return 0;
}

/* Bins of whole numbers: equally many of them in each, the ends halfway between two. */
static void whole_bins(histogram *h)
{
    double lo = ceil(h->lo), hi = floor(h->hi), values = hi - lo + 1, width = ceil(values / (double)h->n);
    h->whole = values >= 1 && fabs(lo) < 0x1p51 && fabs(hi) < 0x1p51;
    if (!h->whole) return;
    h->n = (size_t)ceil(values / width);
    h->lo = lo - 0.5;
    h->hi = h->lo + (double)h->n * width;
}

/* A power of two that brings differences of values near 1: nothing overflows, and no bit changes. */
static double unit_of(double lo, double hi)
{
    int exponent;
    frexp(hi / 2 - lo / 2, &exponent);
    return ldexp(1, exponent < -1000 ? 1000 : -exponent);
}

/* Counts go to slot 0 (below; and what is not finite), 1..n, n + 1 (above), in turn to one of TABLES tables: a counter
 * that was just written is slow to read. squares: in lanes, the distances from `mean`. */
static int count_all(const source *s, const histogram *h, double unit, uint64_t *table, double squares[LANES], pith_err *e)
{
    const double lo = h->lo * unit, scale = (double)h->n / (h->hi * unit - lo), end = (double)h->n;
    const double spread = unit_of(h->stats.min, h->stats.max), mean = h->stats.mean * spread;
    const size_t slots = h->n + 2;
    double x[BLOCK] = {0};
    int32_t slot[BLOCK];
    for (uint64_t first = 0; first < h->stats.count; first += BLOCK) {
        size_t n = h->stats.count - first < BLOCK ? (size_t)(h->stats.count - first) : BLOCK;
        if (load(s, first, n, x, e)) return -1;
        for (size_t k = n; k % LANES; k++) x[k] = NAN;
#pragma omp simd
        for (size_t k = 0; k < n; k++) {
            double t = (x[k] * unit - lo) * scale + (x[k] - x[k]); /* NaN for infinities too */
            t = t >= 0 ? t : -1;
            t = t < end ? t : end;
            slot[k] = (int32_t)t + 1;
        }
        for (size_t k = 0; k < n % TABLES; k++) table[slot[k]]++;
        for (size_t k = n % TABLES; k < n; k += TABLES)
            for (size_t t = 0; t < TABLES; t++) table[t * slots + (size_t)slot[k + t]]++;
        for (size_t k = 0; k < n; k += LANES) {
#pragma omp simd
            for (size_t l = 0; l < LANES; l++) {
                double d = x[k + l] * spread - mean, q = d * d;
                squares[l] += q <= DBL_MAX ? q : 0;
            }
        }
    }
    return 0;
}

static int fill(const source *s, histogram *h, pith_err *e)
{
    const uint64_t odd = h->stats.n_nan + h->stats.n_inf, finite = h->stats.count - odd;
    const size_t slots = h->n + 2;
    uint64_t *table = calloc(TABLES * slots, sizeof *table);
    h->counts = calloc(h->n, sizeof *h->counts);
    if (!table || !h->counts) {
        free(table);
        return err_nomem(e, TABLES * slots * sizeof *table, "a histogram");
    }
    double squares[LANES] = {0}, sum = 0;
    int bad = count_all(s, h, unit_of(h->lo, h->hi), table, squares, e);
    for (size_t t = 1; t < TABLES; t++)
        for (size_t k = 0; k < slots; k++) table[k] += table[t * slots + k];
    memcpy(h->counts, table + 1, h->n * sizeof *h->counts);
    h->below = table[0] - odd;
    h->above = table[h->n + 1];
    if (!h->whole && h->hi >= h->stats.max) { /* the last bin includes its end */
        h->counts[h->n - 1] += h->above;
        h->above = 0;
    }
    for (size_t l = 0; l < LANES; l++) sum += squares[l];
    h->std = sqrt(sum / (double)finite) / unit_of(h->stats.min, h->stats.max);
    free(table);
    return bad;
}

int histogram_make(const pith_weights *w, size_t i, size_t bins, histogram *h, pith_err *e)
{
    pith_tensor t;
    *h = (histogram){.std = NAN, .lo = NAN, .hi = NAN};
    if (pith_weights_stats(w, i, &h->stats, e) || pith_weights_at(w, i, &t)) return -1;
    const source s = {w, i, kind_of(t.dtype)};
    const uint64_t finite = h->stats.count - h->stats.n_nan - h->stats.n_inf;
    if (!finite) return 0;
    h->whole = strchr("IUB", t.dtype[0]) && strcmp(t.dtype, "BF16") != 0;
    if (h->stats.min == h->stats.max) {
        h->lo = h->hi = h->stats.min;
        h->std = 0;
        h->n = 1;
        h->counts = malloc(sizeof *h->counts);
        if (!h->counts) return err_nomem(e, sizeof *h->counts, "a histogram");
        h->counts[0] = finite;
        return 0;
    }
    h->n = bins;
    if (choose_range(&s, h, e)) return -1;
    if (h->whole) whole_bins(h);
    return fill(&s, h, e);
}

void histogram_free(histogram *h)
{
    free(h->counts);
    *h = (histogram){0};
}

/* ---- showing ---- */

static int utf8(void)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *v = getenv(names[i]), *dot = v ? strrchr(v, '.') : NULL;
        if (v && *v) return dot && (strncasecmp(dot, ".utf-8", 6) == 0 || strncasecmp(dot, ".utf8", 5) == 0);
    }
    return 0;
}

static int width_of_terminal(void)
{
    const char *columns = getenv("COLUMNS");
    long n = columns ? strtol(columns, NULL, 10) : 0;
    struct winsize w;
    if (n <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0) n = w.ws_col;
    return n <= 0 ? 80 : n < 40 ? 40 : n > 500 ? 500 : (int)n;
}

/* share of `width` cells; what is there at all is seen. */
static void put_bar(double share, int width, int blocks)
{
    int eighths = (int)(share * width * 8 + 0.5);
    if (share > 0 && eighths == 0) eighths = 1;
    if (!blocks) eighths = (eighths + 7) / 8 * 8;
    for (; eighths >= 8; eighths -= 8) fputs(blocks ? "\xe2\x96\x88" : "#", stdout); /* U+2588 */
    if (eighths) printf("\xe2\x96%c", (char)(0x90 - eighths)); /* U+258F .. U+2589: one to seven eighths */
}

static double edge(const histogram *h, size_t k)
{
    double x = k == h->n ? h->hi : h->lo * (1 - (double)k / (double)h->n) + h->hi * ((double)k / (double)h->n);
    return h->whole && h->lo != h->hi ? ceil(x) + 0.0 : x; /* no -0 */
}

/* Where a bin begins, to three digits of its width. buf >= 48 */
static const char *label_of(const histogram *h, double x, char *buf)
{
    double width = (h->hi - h->lo) / (double)h->n, most = fmax(fabs(h->lo), fabs(h->hi));
    int places = h->whole ? 0 : width > 0 ? (int)fmax(0, 2 - floor(log10(width))) : 6;
    if (most < 1e12 && places <= 9) snprintf(buf, 48, "%.*f", places, x);
    else snprintf(buf, 48, "%.5e", x);
    return buf;
}

static void put_header(const pith_tensor *t, const histogram *h)
{
    char a[32], b[32], c[32];
    const pith_tensor_stats *s = &h->stats;
    cli_put_text(stdout, t->name, strlen(t->name), 0);
    printf("  %s [", t->dtype);
    for (size_t k = 0; k < t->rank; k++) printf("%s%llu", k ? "," : "", (unsigned long long)t->shape[k]);
    printf("]\nn %s   zero %s   NaN %s", cli_count(s->count, a), cli_count(s->n_zero, b), cli_count(s->n_nan, c));
    printf("   infinite %s\n", cli_count(s->n_inf, a));
    if (h->n) printf("min %.6g   max %.6g   mean %.6g   std %.6g\n\n", s->min, s->max, s->mean, h->std);
    else puts("no finite value: nothing to show");
}

static void put_row(const char *what, const char *at, int width, uint64_t count, int digits)
{
    char n[32];
    printf("%s%*s  %*s", what, width - (int)strlen(what), at, digits, cli_count(count, n));
}

static void put_bars(const histogram *h)
{
    const int blocks = utf8();
    uint64_t most = h->below > h->above ? h->below : h->above, top = 0;
    char at[48];
    size_t label = 0;
    for (size_t k = 0; k <= h->n; k++) {
        size_t n = strlen(label_of(h, edge(h, k), at));
        label = n > label ? n : label;
        if (k < h->n && h->counts[k] > top) top = h->counts[k];
    }
    most = top > most ? top : most;
    const int outer = h->below || h->above ? 6 : 0; /* "below ", "above " */
    const int digits = (int)strlen(cli_count(most, at)), column = (int)label + outer;
    const int width = width_of_terminal() - column - digits - 4;
    if (h->below) {
        put_row("below ", label_of(h, edge(h, 0), at), column, h->below, digits);
        putchar('\n');
    }
    for (size_t k = 0; k < h->n; k++) {
        put_row("", label_of(h, edge(h, k), at), column, h->counts[k], digits);
        if (h->counts[k]) fputs("  ", stdout);
        put_bar((double)h->counts[k] / (double)top, width < 8 ? 8 : width, blocks);
        putchar('\n');
    }
    if (h->above) {
        put_row("above ", label_of(h, h->whole ? floor(h->hi) : h->hi, at), column, h->above, digits);
        putchar('\n');
    }
}

static void put_number(const char *key, double v)
{
    printf(",\"%s\":", key);
    json_put_f64(stdout, v);
}

static void put_count(const char *key, uint64_t v) { printf(",\"%s\":%llu", key, (unsigned long long)v); }

static void put_json(const pith_tensor *t, const histogram *h)
{
    fputs("{\"name\":", stdout);
    json_put_str(stdout, t->name, strlen(t->name));
    printf(",\"dtype\":\"%s\",\"shape\":[", t->dtype);
    for (size_t k = 0; k < t->rank; k++) printf("%s%llu", k ? "," : "", (unsigned long long)t->shape[k]);
    putchar(']');
    put_count("count", h->stats.count);
    put_count("nan", h->stats.n_nan);
    put_count("inf", h->stats.n_inf);
    put_count("zero", h->stats.n_zero);
    put_count("denormal", h->stats.n_denormal);
    put_number("min", h->stats.min);
    put_number("max", h->stats.max);
    put_number("mean", h->stats.mean);
    put_number("std", h->std);
    put_number("lo", h->lo);
    put_number("hi", h->hi);
    fputs(",\"counts\":[", stdout);
    for (size_t k = 0; k < h->n; k++) printf("%s%llu", k ? "," : "", (unsigned long long)h->counts[k]);
    putchar(']');
    put_count("below", h->below);
    put_count("above", h->above);
    puts("}");
}

/* The name that `typed` was meant to be: the shortest that holds it, else the one with the fewest edits. */
static const char *nearest(const pith_weights *w, const char *typed)
{
    const char *holds = NULL, *near = NULL;
    size_t best = strlen(typed) / 4 + 2;
    for (size_t i = 0; i < pith_weights_count(w); i++) {
        pith_tensor t;
        pith_weights_at(w, i, &t);
        if (*typed && strstr(t.name, typed) && (!holds || strlen(t.name) < strlen(holds))) holds = t.name;
        size_t far = cli_distance(typed, t.name);
        if (far < best) best = far, near = t.name;
    }
    return holds ? holds : near;
}

static int find(const pith_weights *w, const char *path, const char *name, size_t *i, pith_err *e)
{
    pith_tensor t;
    for (*i = 0; *i < pith_weights_count(w); ++*i)
        if (!pith_weights_at(w, *i, &t) && strcmp(t.name, name) == 0) return 0;
    const char *hint = nearest(w, name);
    if (hint) return err_set(e, "%.300s: no tensor '%.200s'; did you mean '%.300s'?", path, name, hint);
    return err_set(e, "%.300s: no tensor '%.200s'; pith inspect PATH lists them", path, name);
}

int histogram_show(const pith_weights *w, const char *path, const char *name, size_t bins, int as_json, pith_err *e)
{
    pith_tensor t;
    histogram h = {0};
    size_t i;
    if (find(w, path, name, &i, e) || pith_weights_at(w, i, &t)) return -1;
    int bad = histogram_make(w, i, bins, &h, e);
    if (!bad && as_json) {
        put_json(&t, &h);
    } else if (!bad) {
        put_header(&t, &h);
        if (h.n) put_bars(&h);
    }
    histogram_free(&h);
    return bad;
}
