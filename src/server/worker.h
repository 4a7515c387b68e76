/* worker: one model and the thread that computes for it. Jobs wait in a queue, first come first served; jobs that write
 * join and leave the running batch at token boundaries, jobs over texts are packed by tokens. Several workers take turns,
 * a step each, so that models side by side do not share the processors. It knows no HTTP and no JSON. */
#ifndef SERVER_WORKER_H
#define SERVER_WORKER_H
#include "pith.h"
#include "server/metrics.h"

typedef struct worker worker;
typedef struct job job;

typedef struct worker_options {
    const char *name;          /* what requests call the model */
    const char *dir;
    pith_model_options model;
    pith_generator_options generator;
    size_t max_batch_tokens;   /* of jobs over texts in one forward; 0: 2048 */
    size_t max_queue;          /* jobs that wait; 0: 256 */
    metrics *metrics;          /* NULL: none */
    size_t index;              /* of the model in them */
} worker_options;

/* Loads the model, computes once (so that nothing is opened later), starts the thread. */
worker *worker_open(const worker_options *o, pith_err *e);
/* Ends what runs and waits with an error, joins the thread. */
void worker_close(worker *w);

const char *worker_name(const worker *w);
const char *worker_dir(const worker *w);
const pith_model *worker_model(const worker *w);
const pith_template *worker_template(const worker *w); /* NULL: the model has none; why: worker_template_error */
const char *worker_template_error(const worker *w);
int worker_writes(const worker *w); /* 1: it takes JOB_WRITE; else the others */
size_t worker_context(const worker *w);

typedef enum job_kind { JOB_WRITE, JOB_CLASSIFY, JOB_EMBED, JOB_EXPLAIN } job_kind;

/* One request to a model. Owned by the caller until worker_put, by the worker until on_end, then by the caller again.
 * The callbacks run on the worker's thread and must not block. */
struct job {
    job_kind kind;
    void *ctx;
    /* Asked before every step, also while the job waits; true: the job ends, with on_end "". */
    int (*gone)(void *ctx);
    /* NULL: done; "": given up, the client has gone; else why not, and *status (400, 500, 503). Exactly once. */
    void (*on_end)(void *ctx, const char *error, int status);
    double deadline;  /* CLOCK_MONOTONIC; 0: none. After it a waiting job ends with 503 */
    double arrived;   /* CLOCK_MONOTONIC: when the request came, for the metrics; 0: when it was put */

    /* JOB_WRITE: n answers to one prompt. request.ids and all it points to must live until on_end; request.on_token and
     * .ctx are the worker's. Answer i has seed request.sampling.seed + i. */
    pith_request request;
    size_t n;
    int (*on_token)(void *ctx, size_t answer, const pith_token *t); /* not 0: this answer ends */
    size_t n_cached; /* filled before the first on_token: tokens of the prompt that the cache had, of answer 0 */

    /* The others. */
    const pith_text *texts;
    size_t n_texts;
    pith_classify_options classify;
    pith_result *results;      /* [n_texts]: JOB_CLASSIFY; scores and logits are the caller's */
    pith_embed_options embed;
    float *vectors;            /* [n_texts][dimensions]: JOB_EMBED */
    size_t *n_tokens;          /* [n_texts]: JOB_EMBED, of what the model saw; may be NULL */
    uint8_t *truncated;        /* [n_texts]: JOB_EMBED, 1 where that is not all; may be NULL */
    int label;                 /* JOB_EXPLAIN: of texts[0]; -1: the most probable; in the end the one that was explained */
    pith_word *words;          /* JOB_EXPLAIN: found; freed with pith_free by the caller */
    size_t n_words;

    /* the worker's own */
    job *next;
    double queued;
    int started, over, status;
    char *error;
    void *state;
};

/* 0; -1: the queue is full, or the worker is closing. */
int worker_put(worker *w, job *j);
size_t worker_waiting(const worker *w);
/* No new jobs; those there go on. */
void worker_drain(worker *w);

#endif
