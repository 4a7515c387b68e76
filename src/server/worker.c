/* worker: the thread of a model, its queue, and the turns that several of them take. What a step computes is
 * worker_write.c's and worker_texts.c's. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/err.h"
#include "server/worker_parts.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_TOKENS = 64, BATCH_TOKENS = 2048, QUEUE = 256 };

/* ---- turns: a step uses all processors, so only one worker computes at a time; first come, first served ---- */

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    uint64_t next, now;
} turns = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void take_turn(void)
{
    pthread_mutex_lock(&turns.mutex);
    for (uint64_t mine = turns.next++; mine != turns.now;) pthread_cond_wait(&turns.change, &turns.mutex);
    pthread_mutex_unlock(&turns.mutex);
}

static void end_turn(void)
{
    pthread_mutex_lock(&turns.mutex);
    turns.now++;
    pthread_cond_broadcast(&turns.change);
    pthread_mutex_unlock(&turns.mutex);
}

int worker_crowded(void)
{
    pthread_mutex_lock(&turns.mutex);
    int others = turns.next - turns.now > 1;
    pthread_mutex_unlock(&turns.mutex);
    return others;
}

int worker_closing(worker *w)
{
    pthread_mutex_lock(&w->mutex);
    int closing = w->closing;
    pthread_mutex_unlock(&w->mutex);
    return closing;
}

/* ---- metrics ---- */

void worker_count(const worker *w, metrics_counter c, uint64_t n)
{
    if (w->o.metrics && n) metrics_add(w->o.metrics, w->o.index, c, n);
}

void worker_see(const worker *w, metrics_histogram h, double v)
{
    if (w->o.metrics) metrics_see(w->o.metrics, w->o.index, h, v);
}

static void gauge(const worker *w, metrics_gauge g, uint64_t v)
{
    if (w->o.metrics) metrics_set(w->o.metrics, w->o.index, g, v);
}

static void tell_state(worker *w)
{
    size_t running = 0;
    for (const job *j = w->jobs; j; j = j->next) running += j->started != 0;
    gauge(w, METRICS_RUNNING, running);
    gauge(w, METRICS_WAITING, worker_waiting(w));
    if (w->generator) gauge(w, METRICS_CACHE_BYTES, pith_generator_statistics(w->generator).cache_bytes);
}

/* ---- jobs ---- */

static const char no_memory[] = "out of memory";

static void no_longer_waits(worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->n_waiting--;
    pthread_mutex_unlock(&w->mutex);
}

void worker_start(worker *w, job *j)
{
    if (j->started) return;
    j->started = 1;
    no_longer_waits(w);
    worker_see(w, METRICS_QUEUE_SECONDS, clock_now() - j->queued);
}

void worker_done(job *j) { j->over = 1; }

void worker_fail(job *j, int status, const char *fmt, ...)
{
    if (j->error) return;
    char text[PITH_ERR_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    j->over = 1;
    j->status = status;
    j->error = strdup(text);
    if (!j->error) j->error = (char *)(uintptr_t)no_memory;
}

int worker_status(const char *message, int otherwise) { return strstr(message, no_memory) ? 503 : otherwise; }

/* Takes the job out of the list and gives it back. */
static void leave(worker *w, job **at)
{
    job *j = *at;
    char *error = j->error;
    *at = j->next;
    if (w->jobs_end == &j->next) w->jobs_end = at;
    if (w->generator) worker_write_drop(w, j);
    else worker_texts_drop(j);
    if (!j->started) no_longer_waits(w);
    j->error = NULL;
    j->on_end(j->ctx, error, j->status);
    if (error != no_memory) free(error);
}

/* Ends the jobs that are over, whose client went, that waited too long; all of them with `why`. */
static void sweep(worker *w, const char *why)
{
    for (job **at = &w->jobs; *at;) {
        job *j = *at;
        if (!j->over && j->gone && j->gone(j->ctx)) {
            worker_fail(j, 0, "%s", "");
            worker_count(w, METRICS_CANCELLED, 1);
        }
        if (!j->over && (j->kind == JOB_WRITE) != worker_writes(w))
            worker_fail(j, 400, "%s %s", w->o.name, worker_writes(w) ? "is a model that writes; it classifies and embeds nothing" : "writes no text");
        if (!j->over && why) worker_fail(j, 503, "%s", why);
        if (!j->over && !j->started && j->deadline > 0 && clock_now() > j->deadline)
            worker_fail(j, 503, "the request waited %.1f s for its turn, and its time is over; try again later", clock_now() - j->queued);
        if (j->over) leave(w, at);
        else at = &j->next;
    }
}

/* Takes over what was put; waits for something to do. 0: the worker is to end. */
static int collect(worker *w)
{
    pthread_mutex_lock(&w->mutex);
    while (!w->closing && !w->inbox && !w->jobs) pthread_cond_wait(&w->change, &w->mutex);
    if (w->inbox) {
        *w->jobs_end = w->inbox;
        w->jobs_end = w->inbox_end;
        w->inbox = NULL;
        w->inbox_end = &w->inbox;
    }
    int more = !w->closing;
    pthread_mutex_unlock(&w->mutex);
    return more;
}

static void work(worker *w)
{
    while (collect(w)) {
        take_turn();
        int more = collect(w); /* what came while others had their turn */
        sweep(w, NULL);
        if (more && w->jobs) {
            if (w->generator) worker_write_step(w);
            else worker_texts_step(w);
        }
        end_turn();
        sweep(w, NULL);
        tell_state(w);
    }
    sweep(w, "the server is shutting down");
    tell_state(w);
}

/* ---- the thread ---- */

/* Threads and work memory come to be now, by one forward as large as any short text's. */
static int warm_up(worker *w, pith_err *e)
{
    size_t most = pith_model_max_positions(w->model), n = most < WARM_TOKENS ? most : WARM_TOKENS;
    int32_t ids[WARM_TOKENS] = {0};
    float *hidden = malloc(n * pith_model_hidden_size(w->model) * sizeof *hidden);
    if (!hidden) return err_nomem(e, n * pith_model_hidden_size(w->model) * sizeof *hidden, "hidden states");
    int bad = pith_run(w->session, &(pith_seq){.ids = ids, .n = n}, 1, NULL, hidden, e);
    free(hidden);
    return bad;
}

/* Everything that computes runs on this thread, loading included: a second thread would have helpers of its own, and more
 * of them than processors are slow to wake. */
static int begin(worker *w, pith_err *e)
{
    w->model = pith_model_open(w->o.dir, &w->o.model, e);
    w->session = w->model ? pith_session_new(w->model, e) : NULL;
    if (!w->session || warm_up(w, e)) return -1;
    if (!worker_writes(w)) return 0;
    w->template = pith_template_open(w->o.dir, &w->no_template);
    return worker_write_open(w, e);
}

static void *run(void *arg)
{
    worker *w = arg;
    pith_err e = {{0}};
    take_turn();
    int bad = begin(w, &e);
    end_turn();
    pthread_mutex_lock(&w->mutex);
    w->opened = bad ? -1 : 1;
    w->failure = e;
    pthread_cond_broadcast(&w->change);
    pthread_mutex_unlock(&w->mutex);
    if (!bad) work(w);
    pith_generator_free(w->generator);
    pith_session_free(w->session);
    return NULL;
}

static int start_thread(worker *w, pith_err *e)
{
    if (pthread_create(&w->thread, NULL, run, w)) return err_set(e, "%s: no thread for the model can be made", w->o.name);
    w->running = 1;
    pthread_mutex_lock(&w->mutex);
    while (!w->opened) pthread_cond_wait(&w->change, &w->mutex);
    pthread_mutex_unlock(&w->mutex);
    return w->opened > 0 ? 0 : err_set(e, "%s", w->failure.msg);
}

worker *worker_open(const worker_options *o, pith_err *e)
{
    worker *w = calloc(1, sizeof *w);
    if (!w) {
        err_nomem(e, sizeof *w, "a worker");
        return NULL;
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->change, NULL);
    w->inbox_end = &w->inbox;
    w->jobs_end = &w->jobs;
    w->o = *o;
    w->o.name = strdup(o->name);
    w->o.dir = strdup(o->dir);
    if (!w->o.max_queue) w->o.max_queue = QUEUE;
    if (!w->o.max_batch_tokens) w->o.max_batch_tokens = BATCH_TOKENS;
    if (!w->o.name || !w->o.dir) err_nomem(e, strlen(o->dir), "a path");
    else if (!start_thread(w, e)) return w;
    worker_close(w);
    return NULL;
}

void worker_close(worker *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    w->closing = 1;
    pthread_cond_broadcast(&w->change);
    pthread_mutex_unlock(&w->mutex);
    if (w->running) pthread_join(w->thread, NULL);
    pith_template_close(w->template);
    pith_model_close(w->model);
    pthread_cond_destroy(&w->change);
    pthread_mutex_destroy(&w->mutex);
    free((char *)(uintptr_t)w->o.name);
    free((char *)(uintptr_t)w->o.dir);
    free(w);
}

/* ---- from other threads ---- */

const char *worker_name(const worker *w) { return w->o.name; }
const char *worker_dir(const worker *w) { return w->o.dir; }
const pith_model *worker_model(const worker *w) { return w->model; }
const pith_template *worker_template(const worker *w) { return w->template; }
const char *worker_template_error(const worker *w) { return w->no_template.msg; }
int worker_writes(const worker *w) { return pith_model_is_causal(w->model) && !pith_model_n_labels(w->model); }

size_t worker_context(const worker *w)
{
    return w->generator ? pith_generator_context(w->generator) : pith_model_max_positions(w->model);
}

int worker_put(worker *w, job *j)
{
    pthread_mutex_lock(&w->mutex);
    int full = w->closing || w->draining || w->n_waiting >= w->o.max_queue;
    if (!full) {
        j->next = NULL;
        j->queued = clock_now();
        if (!(j->arrived > 0)) j->arrived = j->queued;
        j->started = j->over = j->status = 0;
        j->error = NULL;
        j->state = NULL;
        j->n_cached = 0;
        *w->inbox_end = j;
        w->inbox_end = &j->next;
        w->n_waiting++;
        pthread_cond_broadcast(&w->change);
    }
    pthread_mutex_unlock(&w->mutex);
    if (full) worker_count(w, METRICS_REFUSED, 1);
    return full ? -1 : 0;
}

size_t worker_waiting(const worker *w)
{
    worker *x = (worker *)(uintptr_t)w;
    pthread_mutex_lock(&x->mutex);
    size_t n = x->n_waiting;
    pthread_mutex_unlock(&x->mutex);
    return n;
}

void worker_drain(worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->draining = 1;
    pthread_mutex_unlock(&w->mutex);
}
