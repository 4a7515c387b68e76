/* worker_parts: what the files of the worker share. A job moves from the inbox (under the mutex) to the list of jobs,
 * which only the worker's thread touches, and leaves it in worker.c's sweep. */
#ifndef SERVER_WORKER_PARTS_H
#define SERVER_WORKER_PARTS_H
#include "server/worker.h"
#include <pthread.h>

struct worker {
    worker_options o; /* its strings are our own */
    pith_model *model;
    pith_template *template;
    pith_err no_template;
    pthread_t thread;
    int running; /* there is a thread to join */
    pthread_mutex_t mutex;
    pthread_cond_t change;
    /* under the mutex */
    job *inbox, **inbox_end;
    size_t n_waiting; /* in the inbox, or in the list and not started */
    int draining, closing, opened; /* opened: 1 yes, -1 it failed */
    pith_err failure;
    /* the thread's */
    job *jobs, **jobs_end; /* in order of arrival; jobs over texts: whose turn it is */
    pith_session *session;
    pith_generator *generator; /* of a model that writes */
    pith_generator_stats counted; /* in the metrics */
    size_t given_up;           /* steps that were, one after the other */
    double ratio;              /* tokens a byte of text, as seen */
};

/* Do other workers wait for this one's turn to end? Then it should be short. */
int worker_crowded(void);
/* Is the worker to end at once? */
int worker_closing(worker *w);
/* The job has begun: it no longer waits. */
void worker_start(worker *w, job *j);
/* The job is over; the sweep ends it. The first error stays. */
void worker_done(job *j);
void worker_fail(job *j, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* 503 where memory is short, else `otherwise`. */
int worker_status(const char *message, int otherwise);
void worker_count(const worker *w, metrics_counter c, uint64_t n);
void worker_see(const worker *w, metrics_histogram h, double v);

/* One step for the jobs there are; those that are over are marked. drop: what a job holds, its answers included. */
int worker_write_open(worker *w, pith_err *e);
void worker_write_step(worker *w);
void worker_write_drop(worker *w, job *j);
void worker_texts_step(worker *w);
void worker_texts_drop(job *j);

#endif
