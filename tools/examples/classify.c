/* Classifies texts.
 *
 *     cc classify.c -o classify $(pkg-config --cflags --libs pith)
 *     ./classify path/to/model "A wonderful film." "Two hours I will never get back."
 */
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* texts [n] to results whose scores and logits lie in room [2 * n * n_labels]. */
static int classify(pith_session *s, size_t n_labels, char **argv, size_t n, pith_text *texts, pith_result *results, float *room, pith_err *e)
{
    for (size_t i = 0; i < n; i++) {
        texts[i].text = argv[i];
        texts[i].len = strlen(argv[i]);
        results[i].scores = room + 2 * i * n_labels;
        results[i].logits = results[i].scores + n_labels;
    }
    return pith_classify(s, texts, n, NULL, results, e);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MODEL TEXT...\n", argv[0]);
        return 2;
    }
    pith_err e = {{0}};
    size_t n = (size_t)argc - 2;
    pith_model *m = pith_model_open(argv[1], NULL, &e);
    size_t n_labels = m ? pith_model_n_labels(m) : 0;
    pith_session *s = m ? pith_session_new(m, &e) : NULL;
    pith_text *texts = calloc(n, sizeof *texts);
    pith_result *results = calloc(n, sizeof *results);
    float *room = calloc(2 * n * n_labels + 1, sizeof *room);
    if (!texts || !results || !room) snprintf(e.msg, sizeof e.msg, "no memory for %zu texts", n);
    int bad = !s || e.msg[0] || classify(s, n_labels, argv + 2, n, texts, results, room, &e);
    for (size_t i = 0; i < n && !bad; i++) {
        const pith_result *r = &results[i];
        printf("%s %.4f %s\n", pith_model_label(m, r->label < 0 ? 0 : (size_t)r->label), r->label < 0 ? 0.0 : (double)r->scores[r->label], argv[i + 2]);
    }
    if (bad) fprintf(stderr, "%s\n", e.msg);
    free(room);
    free(results);
    free(texts);
    pith_session_free(s);
    pith_model_close(m);
    return bad;
}
