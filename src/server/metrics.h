/* metrics: what is counted, and its text for Prometheus (exposition format 0.0.4). Thread-safe: atomics only. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H
#include <stddef.h>
#include <stdint.h>

typedef struct metrics metrics; /* of the server, with a part for each model */

/* names: of the models, [n]. NULL: memory. */
metrics *metrics_new(const char *const *names, size_t n);
void metrics_free(metrics *m);

typedef enum metrics_counter {
    METRICS_TOKENS_IN,      /* of prompts and texts, computed */
    METRICS_TOKENS_CACHED,  /* of prompts, found in the cache */
    METRICS_TOKENS_OUT,
    METRICS_STEPS,
    METRICS_CANCELLED,      /* jobs whose client went */
    METRICS_REFUSED,        /* jobs that found the queue full */
    METRICS_COUNTERS
} metrics_counter;
typedef enum metrics_gauge { METRICS_WAITING, METRICS_RUNNING, METRICS_CACHE_BYTES, METRICS_GAUGES } metrics_gauge;
typedef enum metrics_histogram {
    METRICS_QUEUE_SECONDS,
    METRICS_FIRST_TOKEN_SECONDS, /* from the request's arrival */
    METRICS_TOKEN_SECONDS,       /* from one token of an answer to the next */
    METRICS_BATCH_SIZE,          /* sequences in one forward */
    METRICS_HISTOGRAMS
} metrics_histogram;

void metrics_add(metrics *m, size_t model, metrics_counter c, uint64_t n);
void metrics_set(metrics *m, size_t model, metrics_gauge g, uint64_t v);
void metrics_see(metrics *m, size_t model, metrics_histogram h, double v);
/* An exchange that is over: route ("/predict"; "other" for unknown paths), status. */
void metrics_request(metrics *m, const char *route, int status, double seconds);
/* malloc'ed text; NULL: memory. */
char *metrics_text(const metrics *m, size_t *len);

#endif
