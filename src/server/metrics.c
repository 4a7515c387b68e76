/* metrics: counters, gauges and histograms as arrays of atomics, and their text. Requests are counted by route and status,
 * in a table that grows by atomic insertion and is never shrunk; routes are few, for unknown paths are "other". */
#define _POSIX_C_SOURCE 200809L
#include "server/metrics.h"
#include "base/memtext.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 14 };

typedef struct family {
    const char *name, *help;
    double le[BUCKETS]; /* of a histogram, ascending; 0 ends them */
} family;

static const family counters[METRICS_COUNTERS] = {
    [METRICS_TOKENS_IN] = {"pith_prompt_tokens_total", "Tokens of prompts and texts that were computed.", {0}},
    [METRICS_TOKENS_CACHED] = {"pith_cached_tokens_total", "Tokens of prompts that were found in the cache.", {0}},
    [METRICS_TOKENS_OUT] = {"pith_generated_tokens_total", "Tokens written.", {0}},
    [METRICS_STEPS] = {"pith_steps_total", "Forwards through the model.", {0}},
    [METRICS_CANCELLED] = {"pith_cancelled_total", "Jobs whose client went away.", {0}},
    [METRICS_REFUSED] = {"pith_refused_total", "Jobs that found the queue full.", {0}},
};

static const family gauges[METRICS_GAUGES] = {
    [METRICS_WAITING] = {"pith_jobs_waiting", "Jobs in the queue.", {0}},
    [METRICS_RUNNING] = {"pith_jobs_running", "Jobs that are being computed.", {0}},
    [METRICS_CACHE_BYTES] = {"pith_cache_bytes", "Memory of keys and values.", {0}},
};

#define LATENCIES {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60}

static const family histograms[METRICS_HISTOGRAMS] = {
    [METRICS_QUEUE_SECONDS] = {"pith_queue_seconds", "From a job's arrival in the queue to its start.", LATENCIES},
    [METRICS_FIRST_TOKEN_SECONDS] = {"pith_time_to_first_token_seconds", "From a request's arrival to its first token.", LATENCIES},
    [METRICS_TOKEN_SECONDS] = {"pith_time_per_token_seconds", "From one token of an answer to the next.", LATENCIES},
    [METRICS_BATCH_SIZE] = {"pith_batch_size", "Sequences in one forward.", {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}},
};

static const family requests = {"pith_request_seconds", "From a request's first line to the end of its answer.", LATENCIES};

/* ---- what is counted ---- */

typedef struct histogram {
    atomic_uint_least64_t bucket[BUCKETS + 1]; /* the last: above them all */
    _Atomic double sum;
} histogram;

typedef struct part {
    char *name; /* of the model */
    atomic_uint_least64_t counter[METRICS_COUNTERS], gauge[METRICS_GAUGES];
    histogram histogram[METRICS_HISTOGRAMS];
} part;

/* Requests to one route with one status. Put at the front of a list, never changed. */
typedef struct answers {
    struct answers *next;
    char *route;
    int status;
    atomic_uint_least64_t n;
} answers;

struct metrics {
    _Atomic(answers *) answered;
    histogram seconds;
    size_t n;
    part parts[]; /* [n] */
};

metrics *metrics_new(const char *const *names, size_t n)
{
    if (n > (SIZE_MAX - sizeof(metrics)) / sizeof(part)) return NULL;
    metrics *m = calloc(1, sizeof *m + n * sizeof(part));
    if (!m) return NULL;
    m->n = n;
    for (size_t i = 0; i < n; i++)
        if (!(m->parts[i].name = strdup(names[i]))) {
            metrics_free(m);
            return NULL;
        }
    return m;
}

void metrics_free(metrics *m)
{
    if (!m) return;
    for (answers *a = atomic_load(&m->answered), *next; a; a = next) {
        next = a->next;
        free(a->route);
        free(a);
    }
    for (size_t i = 0; i < m->n; i++) free(m->parts[i].name);
    free(m);
}

static void add(atomic_uint_least64_t *to, uint64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }
static uint64_t get(const atomic_uint_least64_t *x) { return atomic_load_explicit(x, memory_order_relaxed); }

static void see(histogram *h, const family *f, double v)
{
    size_t i = 0;
    while (i < BUCKETS && f->le[i] > 0 && v > f->le[i]) i++;
    if (i < BUCKETS && !(f->le[i] > 0)) i = BUCKETS;
    add(&h->bucket[i], 1);
    double sum = atomic_load_explicit(&h->sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&h->sum, &sum, sum + v, memory_order_relaxed, memory_order_relaxed)) {}
}

void metrics_add(metrics *m, size_t model, metrics_counter c, uint64_t n) { add(&m->parts[model].counter[c], n); }

void metrics_set(metrics *m, size_t model, metrics_gauge g, uint64_t v)
{
    atomic_store_explicit(&m->parts[model].gauge[g], v, memory_order_relaxed);
}

void metrics_see(metrics *m, size_t model, metrics_histogram h, double v) { see(&m->parts[model].histogram[h], &histograms[h], v); }

static answers *find(answers *a, const char *route, int status)
{
    while (a && (a->status != status || strcmp(a->route, route))) a = a->next;
    return a;
}

/* The entry of a route and status; made where there is none. NULL: memory. */
static answers *entry(metrics *m, const char *route, int status)
{
    answers *head = atomic_load(&m->answered), *a = find(head, route, status);
    if (a) return a;
    answers *fresh = calloc(1, sizeof *fresh);
    if (!fresh || !(fresh->route = strdup(route))) {
        free(fresh);
        return NULL;
    }
    fresh->status = status;
    do {
        if ((a = find(head, route, status)) != NULL) {
            free(fresh->route);
            free(fresh);
            return a;
        }
        fresh->next = head;
    } while (!atomic_compare_exchange_weak(&m->answered, &head, fresh));
    return fresh;
}

void metrics_request(metrics *m, const char *route, int status, double seconds)
{
    answers *a = entry(m, route, status);
    if (a) add(&a->n, 1);
    see(&m->seconds, &requests, seconds);
}

/* ---- their text ---- */

static void head(FILE *f, const family *x, const char *type)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", x->name, x->help, x->name, type);
}

/* A label's value: backslash, quote and newline are escaped. */
static void value(FILE *f, const char *s)
{
    for (; *s; s++) {
        if (*s == '\n') fputs("\\n", f);
        else {
            if (*s == '\\' || *s == '"') putc('\\', f);
            putc(*s, f);
        }
    }
}

static void labelled(FILE *f, const char *name, const char *suffix, const char *model, const char *le)
{
    fprintf(f, "%s%s", name, suffix);
    if (model || le) putc('{', f);
    if (model) {
        fputs("model=\"", f);
        value(f, model);
        fprintf(f, "\"%s", le ? "," : "");
    }
    if (le) fprintf(f, "le=\"%s\"", le);
    if (model || le) putc('}', f);
    putc(' ', f);
}

static void put_histogram(FILE *f, const family *x, const histogram *h, const char *model)
{
    uint64_t n = 0;
    char le[32];
    for (size_t i = 0; i < BUCKETS && x->le[i] > 0; i++) {
        n += get(&h->bucket[i]);
        snprintf(le, sizeof le, "%g", x->le[i]);
        labelled(f, x->name, "_bucket", model, le);
        fprintf(f, "%llu\n", (unsigned long long)n);
    }
    n += get(&h->bucket[BUCKETS]);
    labelled(f, x->name, "_bucket", model, "+Inf");
    fprintf(f, "%llu\n", (unsigned long long)n);
    labelled(f, x->name, "_sum", model, NULL);
    fprintf(f, "%.9g\n", atomic_load_explicit(&h->sum, memory_order_relaxed));
    labelled(f, x->name, "_count", model, NULL);
    fprintf(f, "%llu\n", (unsigned long long)n);
}

static void put_numbers(FILE *f, const metrics *m, const family *x, const char *type, size_t offset)
{
    head(f, x, type);
    for (size_t i = 0; i < m->n; i++) {
        const char *p = (const char *)&m->parts[i] + offset;
        labelled(f, x->name, "", m->parts[i].name, NULL);
        fprintf(f, "%llu\n", (unsigned long long)get((const atomic_uint_least64_t *)(const void *)p));
    }
}

char *metrics_text(const metrics *m, size_t *len)
{
    char *text = NULL;
    FILE *f = memtext_open(&text, len);
    if (!f) return NULL;
    head(f, &(family){"pith_requests_total", "Requests that are over, by route and status (0: the client went first).", {0}}, "counter");
    for (const answers *a = atomic_load(&m->answered); a; a = a->next) {
        fputs("pith_requests_total{route=\"", f);
        value(f, a->route);
        fprintf(f, "\",status=\"%d\"} %llu\n", a->status, (unsigned long long)get(&a->n));
    }
    head(f, &requests, "histogram");
    put_histogram(f, &requests, &m->seconds, NULL);
    for (size_t c = 0; c < METRICS_COUNTERS; c++)
        put_numbers(f, m, &counters[c], "counter", offsetof(part, counter) + c * sizeof(atomic_uint_least64_t));
    for (size_t g = 0; g < METRICS_GAUGES; g++)
        put_numbers(f, m, &gauges[g], "gauge", offsetof(part, gauge) + g * sizeof(atomic_uint_least64_t));
    for (size_t h = 0; h < METRICS_HISTOGRAMS; h++) {
        head(f, &histograms[h], "histogram");
        for (size_t i = 0; i < m->n; i++) put_histogram(f, &histograms[h], &m->parts[i].histogram[h], m->parts[i].name);
    }
    return memtext_close(f, &text) ? NULL : text;
}
