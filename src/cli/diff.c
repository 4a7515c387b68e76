#define _POSIX_C_SOURCE 200809L
#include "cli/diff.h"
#include "cli/cli.h"
#include "cli/compare.h"
#include "cli/guard.h"
#include "cli/progress.h"
#include "base/err.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum status { EQUAL, VALUES, DTYPE, SHAPE, ONLY_A, ONLY_B, STATUSES } status;
static const char *const status_text[] = {"equal", "values", "dtype", "shape", "only in A", "only in B"};
static const char *const status_key[] = {"equal", "values", "dtype", "shape", "only_a", "only_b"};

typedef struct pairs {
    pith_pair *p;
    size_t n;
} pairs;

typedef struct diff {
    const pith_weights *a, *b;
    uint64_t n[STATUSES], bytes, done, now; /* bytes of a: all, done with, of the tensor at hand */
    progress progress;
    int json, wrote;
} diff;

/* ---- output ---- */

static void put_string(const char *s) { json_put_str(stdout, s, strlen(s)); }

static void put_shape(const pith_tensor *t)
{
    for (size_t i = 0; i < t->rank; i++) printf("%c%llu", i ? ',' : '[', (unsigned long long)t->shape[i]);
    fputs(t->rank ? "]" : "[]", stdout);
}

static uint64_t elements(const pith_tensor *t)
{
    uint64_t n = 1;
    for (size_t i = 0; i < t->rank; i++) n *= t->shape[i];
    return n;
}

/* The element that is element `at` in row-major order: one number a dimension. */
static void put_index(const pith_tensor *t, uint64_t at)
{
    uint64_t stride = elements(t);
    putchar('[');
    for (size_t i = 0; i < t->rank; i++) {
        stride /= t->shape[i];
        printf("%s%llu", i ? "," : "", (unsigned long long)(at / stride));
        at %= stride;
    }
    putchar(']');
}

static void put_side(const char *key, const pith_tensor *t)
{
    printf(",\"%s\":", key);
    if (!t) {
        fputs("null", stdout);
        return;
    }
    fputs("{\"dtype\":", stdout);
    put_string(t->dtype);
    fputs(",\"shape\":", stdout);
    put_shape(t);
    printf(",\"bytes\":%llu}", (unsigned long long)t->nbytes);
}

static void put_object(const diff *d, status s, const pith_tensor *a, const pith_tensor *b, const compare_result *r)
{
    fputs(d->wrote ? ",\n{\"name\":" : "\n{\"name\":", stdout);
    put_string(a ? a->name : b->name);
    printf(",\"status\":\"%s\"", status_key[s]);
    put_side("a", a);
    put_side("b", b);
    if (r && r->compared) {
        printf(",\"count\":%llu,\"differ\":%llu", (unsigned long long)r->count, (unsigned long long)r->differ);
        if (r->numbers) {
            printf(",\"nan\":%llu,\"inf\":%llu,\"max_abs\":", (unsigned long long)r->nan, (unsigned long long)r->inf);
            json_put_f64(stdout, r->max_abs);
            fputs(",\"relative\":", stdout);
            json_put_f64(stdout, r->largest > 0 ? r->max_abs / r->largest : NAN);
        }
        if (r->differ && r->count == elements(a)) {
            fputs(",\"at\":", stdout);
            put_index(a, r->at);
        }
    }
    putchar('}');
}

static void put_figures(const pith_tensor *a, const compare_result *r)
{
    char n[32], m[32];
    if (!r->compared) {
        fputs(", values not compared", stdout);
        return;
    }
    if (r->differ == 0) {
        fputs(", the same numbers", stdout);
        return;
    }
    printf(", %s of %s %sdiffer", cli_count(r->differ, n), cli_count(r->count, m), r->count == elements(a) ? "" : "bytes ");
    if (r->numbers) {
        int finite = r->differ > r->nan + r->inf;
        if (finite) printf(", by at most %.4g at ", r->max_abs);
        else fputs(", first at ", stdout);
        put_index(a, r->at);
        if (finite && r->largest > 0) printf(", %.2g of max |a|", r->max_abs / r->largest);
        if (r->nan) printf(", %s NaN on one side only", cli_count(r->nan, n));
        if (r->inf) printf(", %s infinite", cli_count(r->inf, n));
    }
}

static void put_line(status s, const pith_tensor *a, const pith_tensor *b, const compare_result *r)
{
    const pith_tensor *t = a ? a : b;
    printf("%-9s  ", status_text[s]);
    cli_put_text(stdout, t->name, strlen(t->name), 0);
    printf("  %s", t->dtype);
    if (s == DTYPE || (s == SHAPE && strcmp(a->dtype, b->dtype) != 0)) printf(" -> %s", b->dtype);
    putchar(' ');
    put_shape(t);
    if (s == SHAPE) {
        fputs(" -> ", stdout);
        put_shape(b);
    }
    if (r) put_figures(a, r);
    putchar('\n');
}

static void put(diff *d, status s, const pith_tensor *a, const pith_tensor *b, const compare_result *r)
{
    d->n[s]++;
    progress_clear(&d->progress);
    if (d->json) put_object(d, s, a, b, r);
    else if (s != EQUAL || cli_verbose()) put_line(s, a, b, s == EQUAL ? NULL : r);
    d->wrote = 1;
}

/* ---- tensors ---- */

static void tick(void *ctx, double share)
{
    diff *d = ctx;
    double done = (double)d->done + share * (double)d->now;
    progress_update(&d->progress, (uint64_t)(done / 1e6), d->bytes ? done / (double)d->bytes : 1);
}

static int same_shape(const pith_tensor *a, const pith_tensor *b)
{
    return a->rank == b->rank && (a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0);
}

static int compare_one(diff *d, size_t i, pith_err *e)
{
    compare_side a = {.w = d->a, .i = i}, b = {.w = d->b};
    pith_weights_at(d->a, i, &a.t);
    if (pith_weights_find(d->b, a.t.name, &b.t)) {
        put(d, ONLY_A, &a.t, NULL, NULL);
        return 0;
    }
    b.i = b.t.index;
    if (!same_shape(&a.t, &b.t)) {
        put(d, SHAPE, &a.t, &b.t, NULL);
        return 0;
    }
    compare_result r;
    d->now = a.t.nbytes;
    if (compare_tensors(&a, &b, tick, d, &r, e)) return -1;
    int same_dtype = strcmp(a.t.dtype, b.t.dtype) == 0;
    put(d, !same_dtype ? DTYPE : r.differ ? VALUES : EQUAL, &a.t, &b.t, &r);
    return 0;
}

static int compare_all(diff *d, pith_err *e)
{
    size_t na = pith_weights_count(d->a), nb = pith_weights_count(d->b);
    pith_tensor t;
    for (size_t i = 0; i < na; i++) {
        pith_weights_at(d->a, i, &t);
        d->bytes += t.nbytes;
    }
    for (size_t i = 0; i < na; i++) {
        if (compare_one(d, i, e)) return -1;
        pith_weights_at(d->a, i, &t);
        d->done += t.nbytes;
        d->now = 0;
        tick(d, 0);
    }
    for (size_t i = 0; i < nb; i++) {
        pith_tensor other;
        pith_weights_at(d->b, i, &t);
        if (pith_weights_find(d->a, t.name, &other)) put(d, ONLY_B, NULL, &t, NULL);
    }
    return 0;
}

/* ---- metadata ---- */

static int by_pair(const void *x, const void *y)
{
    const pith_pair *p = x, *q = y;
    int c = strcmp(p->key, q->key);
    return c ? c : strcmp(p->value, q->value);
}

/* Of all files together, sorted, each pair once. */
static int gather(const pith_weights *w, pairs *m, pith_err *e)
{
    size_t n = 0;
    for (size_t f = 0; f < pith_weights_files(w); f++) n += pith_weights_metadata_count(w, f);
    m->p = calloc(n + 1, sizeof *m->p);
    if (!m->p) return err_nomem(e, (n + 1) * sizeof *m->p, "metadata");
    n = 0;
    for (size_t f = 0; f < pith_weights_files(w); f++)
        for (size_t k = 0; k < pith_weights_metadata_count(w, f); k++)
            if (pith_weights_metadata(w, f, k, &m->p[n].key, &m->p[n].value) == 0) n++;
    qsort(m->p, n, sizeof *m->p, by_pair);
    for (size_t i = 0; i < n; i++)
        if (m->n == 0 || by_pair(&m->p[m->n - 1], &m->p[i]) != 0) m->p[m->n++] = m->p[i];
    return 0;
}

static void put_pair(const diff *d, const pith_pair *p, int in_b, int first)
{
    if (d->json) {
        fputs(first ? "{\"only_in\":" : ",{\"only_in\":", stdout);
        fputs(in_b ? "\"b\",\"key\":" : "\"a\",\"key\":", stdout);
        put_string(p->key);
        fputs(",\"value\":", stdout);
        put_string(p->value);
        putchar('}');
        return;
    }
    printf("%-9s  metadata ", status_text[in_b ? ONLY_B : ONLY_A]);
    cli_put_text(stdout, p->key, strlen(p->key), 0);
    fputs(" = ", stdout);
    cli_put_text(stdout, p->value, strlen(p->value), 200);
    putchar('\n');
}

static int compare_metadata(const diff *d, size_t *n, pith_err *e)
{
    pairs a = {0}, b = {0};
    int bad = gather(d->a, &a, e) || gather(d->b, &b, e);
    *n = 0;
    for (size_t i = 0, j = 0; !bad && (i < a.n || j < b.n);) {
        int c = i == a.n ? 1 : j == b.n ? -1 : by_pair(&a.p[i], &b.p[j]);
        if (c) put_pair(d, c < 0 ? &a.p[i] : &b.p[j], c > 0, (*n)++ == 0);
        i += c <= 0;
        j += c >= 0;
    }
    free(a.p);
    free(b.p);
    return bad ? -1 : 0;
}

/* ---- both ---- */

static int same(const diff *d)
{
    for (int s = EQUAL + 1; s < STATUSES; s++)
        if (d->n[s]) return 0;
    return 1;
}

static void put_summary(const diff *d, size_t n_metadata)
{
    char b[STATUSES][32];
    if (d->json) {
        for (int s = 0; s < STATUSES; s++) printf(",\"%s\":%llu", status_key[s], (unsigned long long)d->n[s]);
        printf(",\"same\":%s}\n", same(d) ? "true" : "false");
        return;
    }
    for (int s = 0; s < STATUSES; s++) cli_count(d->n[s], b[s]);
    printf("%s equal, %s differ in values, %s in dtype, %s in shape, %s only in A, %s only in B; metadata %s\n", b[EQUAL],
           b[VALUES], b[DTYPE], b[SHAPE], b[ONLY_A], b[ONLY_B], n_metadata ? "differs" : "equal");
}

static void put_warnings(const pith_weights *w)
{
    for (size_t i = 0; i < pith_weights_warnings(w); i++) cli_note("warning: %s", pith_weights_warning(w, i));
}

static int report(diff *d, const char *a, const char *b, pith_err *e)
{
    size_t n_metadata;
    if (d->json) {
        fputs("{\"a\":", stdout);
        put_string(a);
        fputs(",\"b\":", stdout);
        put_string(b);
        fputs(",\"tensors\":[", stdout);
    }
    progress_start(&d->progress, "MB", 0);
    int bad = compare_all(d, e);
    progress_clear(&d->progress);
    if (bad) return -1;
    if (d->json) fputs("],\n\"metadata\":[", stdout);
    if (compare_metadata(d, &n_metadata, e)) return -1;
    if (d->json) putchar(']');
    put_summary(d, n_metadata);
    if (!d->json) put_warnings(d->a), put_warnings(d->b);
    return 0;
}

static const char *mapped_at(const void *ctx, const void *addr)
{
    const diff *d = ctx;
    const char *file = pith_weights_mapped_at(d->a, addr);
    return file ? file : pith_weights_mapped_at(d->b, addr);
}

int diff_run(const char *a, const char *b, int no_mmap, int as_json)
{
    pith_err e = {{0}};
    const pith_weights_options o = {.no_mmap = no_mmap};
    diff d = {.json = as_json};
    guard_mapped(guard_path, a);
    pith_weights *wa = pith_weights_open(a, &o, &e), *wb = NULL;
    guard_mapped(guard_path, b);
    if (wa) wb = pith_weights_open(b, &o, &e);
    d.a = wa, d.b = wb;
    if (wb) guard_mapped(mapped_at, &d);
    int bad = !wb || report(&d, a, b, &e);
    if (bad) cli_error("%s", e.msg);
    guard_mapped(NULL, NULL);
    pith_weights_close(wa);
    pith_weights_close(wb);
    return bad || !same(&d) ? CLI_FAILED : CLI_OK;
}
