/* worker_write: jobs that write. Answers take sequences of the generator as they come free: first those of jobs that have
 * none running, then further ones of jobs that want several. */
#define _POSIX_C_SOURCE 200809L
#include "base/clock.h"
#include "base/err.h"
#include "server/worker_parts.h"
#include <stdlib.h>

typedef struct answer {
    worker *w;
    job *j;
    size_t index;
    int running;
    double last; /* when its last token came; 0: none has */
} answer;

typedef struct writing {
    size_t begun, running, ended;
    answer answers[]; /* [n] */
} writing;

/* A step ends before the next one looks at who has come; more than this at once is hardly faster. */
enum { CHUNK = 256 };

static int has_written(const writing *x)
{
    for (size_t i = 0; i < x->begun; i++)
        if (x->answers[i].running && x->answers[i].last > 0) return 1;
    return 0;
}

/* Asked within a step: a prompt of one who has gone keeps nobody waiting. What others have in the step is computed again
 * then, so it ends early for their sake only if it is long (nobody writes), and not twice: clients that come and go do not
 * hold up those that stay. */
static int unwanted(void *ctx)
{
    worker *w = ctx;
    int gone = 0, others = 0, writes = 0;
    for (const job *j = w->jobs; j; j = j->next) {
        const writing *x = j->state;
        if (j->over || !x || !x->running) continue;
        if (j->gone && j->gone(j->ctx)) {
            gone = 1;
        } else {
            others = 1;
            writes |= has_written(x);
        }
    }
    if (!worker_closing(w) && !(gone && (!others || (!writes && !w->given_up)))) return 0;
    w->given_up++;
    return 1;
}

int worker_write_open(worker *w, pith_err *e)
{
    pith_generator_options o = w->o.generator;
    if (!o.chunk) o.chunk = CHUNK;
    w->generator = pith_generator_new(w->model, &o, e);
    if (w->generator) pith_generator_watch(w->generator, unwanted, w);
    return w->generator ? 0 : -1;
}

static void end_answer(answer *a)
{
    writing *x = a->j->state;
    a->running = 0;
    x->running--;
    x->ended++;
    if (x->ended == a->j->n) worker_done(a->j);
}

static void measure(answer *a, const pith_token *t)
{
    double now = clock_now();
    writing *x = a->j->state;
    int first = 1;
    for (size_t i = 0; i < x->begun; i++) first &= !(x->answers[i].last > 0);
    if (first) worker_see(a->w, METRICS_FIRST_TOKEN_SECONDS, now - a->j->arrived);
    if (a->last > 0) worker_see(a->w, METRICS_TOKEN_SECONDS, now - a->last);
    else if (a->index == 0) a->j->n_cached = t->n_reused;
    a->last = now;
}

static int on_token(void *ctx, const pith_token *t)
{
    answer *a = ctx;
    job *j = a->j;
    if (t->finish == PITH_FINISH_ERROR) worker_fail(j, worker_status(t->error, 500), "%s", t->error);
    if (!j->over) {
        measure(a, t);
        int stop = j->on_token(j->ctx, a->index, t);
        if (!stop && t->finish == PITH_FINISH_NONE) return 0;
    }
    end_answer(a);
    return 1;
}

/* The job whose next answer is to begin: of those with the fewest running the oldest. */
static job *next_job(const worker *w)
{
    job *best = NULL;
    size_t fewest = SIZE_MAX;
    for (job *j = w->jobs; j && fewest; j = j->next) {
        const writing *x = j->state;
        size_t running = x ? x->running : 0;
        if (j->over || (x && x->begun == j->n) || running >= fewest) continue;
        best = j;
        fewest = running;
    }
    return best;
}

static int begin(worker *w, job *j, pith_err *e)
{
    writing *x = j->state;
    if (!x) {
        if (j->n > (SIZE_MAX - sizeof *x) / sizeof(answer) || !(x = calloc(1, sizeof *x + j->n * sizeof(answer))))
            return err_nomem(e, j->n * sizeof(answer), "answers");
        j->state = x;
        worker_start(w, j);
    }
    answer *a = &x->answers[x->begun];
    *a = (answer){.w = w, .j = j, .index = x->begun};
    pith_request r = j->request;
    r.sampling.seed += a->index;
    r.on_token = on_token;
    r.ctx = a;
    if (pith_generator_add(w->generator, &r, e)) return -1;
    a->running = 1;
    x->begun++;
    x->running++;
    return 0;
}

static void admit(worker *w)
{
    job *j;
    while (pith_generator_room(w->generator) && (j = next_job(w))) {
        pith_err e = {{0}};
        if (j->n == 0) worker_done(j);
        else if (begin(w, j, &e)) worker_fail(j, worker_status(e.msg, 400), "%s", e.msg);
    }
}

static void account(worker *w)
{
    pith_generator_stats s = pith_generator_statistics(w->generator), *seen = &w->counted;
    worker_count(w, METRICS_STEPS, 1);
    worker_count(w, METRICS_TOKENS_IN, s.prompt_tokens - seen->prompt_tokens);
    worker_count(w, METRICS_TOKENS_CACHED, s.reused_tokens - seen->reused_tokens);
    worker_count(w, METRICS_TOKENS_OUT, s.new_tokens - seen->new_tokens);
    *seen = s;
}

void worker_write_step(worker *w)
{
    pith_err e = {{0}};
    admit(w);
    size_t running = 0, given_up = w->given_up;
    for (const job *j = w->jobs; j; j = j->next) running += j->over || !j->state ? 0 : ((const writing *)j->state)->running;
    if (!running) return;
    worker_see(w, METRICS_BATCH_SIZE, (double)running);
    pith_generator_hurry(w->generator, worker_crowded());
    if (pith_generator_step(w->generator, &e) < 0)
        for (job *j = w->jobs; j; j = j->next)
            if (j->started) worker_fail(j, worker_status(e.msg, 500), "%s", e.msg);
    if (w->given_up == given_up) w->given_up = 0;
    account(w);
}

void worker_write_drop(worker *w, job *j)
{
    writing *x = j->state;
    for (size_t i = 0; x && i < x->begun; i++)
        if (x->answers[i].running) pith_generator_cancel(w->generator, &x->answers[i]);
    free(x);
    j->state = NULL;
}
