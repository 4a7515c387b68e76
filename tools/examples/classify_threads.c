/* Classifies a file, a text a line, with many threads that share one model; labels come out in the order of the lines.
 *
 *     cc classify_threads.c -o classify_threads $(pkg-config --cflags --libs pith)
 *     ./classify_threads path/to/model 4 reviews.txt
 * A model never changes and serves any number of threads; a session, which does the work, belongs to one. */
#define _POSIX_C_SOURCE 200809L
#include <pith.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXTS = 100000, MAX_LABELS = 64, MAX_THREADS = 256 };

static struct work {
    pith_model *model;
    char *texts[MAX_TEXTS];
    int labels[MAX_TEXTS];
    size_t n, n_threads;
} work;

typedef struct worker {
    pthread_t thread;
    size_t first; /* its texts are first, first + n_threads, ... */
    pith_err e;
} worker;

static void *run(void *arg)
{
    worker *w = arg;
    float scores[MAX_LABELS], logits[MAX_LABELS];
    pith_session *s = pith_session_new(work.model, &w->e);
    for (size_t i = w->first; s && i < work.n; i += work.n_threads) {
        pith_text t = {work.texts[i], strlen(work.texts[i]), NULL, 0};
        pith_result r = {.scores = scores, .logits = logits};
        if (pith_classify(s, &t, 1, NULL, &r, &w->e)) break;
        work.labels[i] = r.label;
    }
    return pith_session_free(s), NULL;
}

static int read_lines(const char *path, pith_err *e)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    while (f && work.n < MAX_TEXTS && getline(&line, &cap, f) >= 0) {
        line[strcspn(line, "\n")] = 0;
        work.texts[work.n++] = line, line = NULL;
    }
    free(line);
    if (!f) snprintf(e->msg, sizeof e->msg, "%.500s cannot be read", path);
    return f ? fclose(f) : -1;
}

int main(int argc, char **argv)
{
    static worker workers[MAX_THREADS];
    pith_err e = {{0}};
    size_t wanted = argc == 4 ? strtoul(argv[2], NULL, 10) : 0, started = 0;
    if (wanted < 1 || wanted > MAX_THREADS) return fprintf(stderr, "usage: %s MODEL THREADS FILE\n", argv[0]), 2;
    const pith_model_options o = {.threads = 1}; /* the threads are ours */
    work.n_threads = wanted;
    work.model = read_lines(argv[3], &e) ? NULL : pith_model_open(argv[1], &o, &e);
    if (work.model && pith_model_n_labels(work.model) > MAX_LABELS) snprintf(e.msg, sizeof e.msg, "more than %d labels", MAX_LABELS);
    for (; !e.msg[0] && started < wanted; started++) {
        workers[started].first = started;
        if (pthread_create(&workers[started].thread, NULL, run, &workers[started])) snprintf(e.msg, sizeof e.msg, "no thread");
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        if (!e.msg[0]) e = workers[i].e;
    }
    for (size_t i = 0; i < work.n && !e.msg[0]; i++) puts(work.labels[i] < 0 ? "NaN" : pith_model_label(work.model, (size_t)work.labels[i]));
    if (e.msg[0]) fprintf(stderr, "%s\n", e.msg);
    pith_model_close(work.model);
    for (size_t i = 0; i < work.n; i++) free(work.texts[i]);
    return e.msg[0] != 0;
}
