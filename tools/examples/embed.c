/* How alike texts are: the cosine of their vectors, of each text to the first.
 *
 *     cc embed.c -o embed $(pkg-config --cflags --libs pith) -lm
 *     ./embed path/to/model "The film moved me." "I was touched by this movie." "The train was late."
 */
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* argv [n] to cosines [n]: vectors of length 1 are normalised by pith, so that a product is a cosine. */
static int compare(pith_model *m, pith_session *s, char **argv, size_t n, double *cosines, pith_err *e)
{
    size_t width = pith_model_embedding_size(m);
    pith_embed_options o = pith_embed_options_new(m); /* pooling and lengths as the model's directory says */
    o.normalize = 1;
    pith_text *texts = calloc(n, sizeof *texts);
    float *vectors = calloc(n * width + 1, sizeof *vectors);
    int bad = !texts || !vectors;
    if (bad) snprintf(e->msg, sizeof e->msg, "no memory for %zu texts", n);
    for (size_t i = 0; i < n && !bad; i++) {
        texts[i].text = argv[i];
        texts[i].len = strlen(argv[i]);
    }
    bad = bad || pith_embed(s, texts, n, &o, vectors, NULL, NULL, e);
    for (size_t i = 0; i < n && !bad; i++) {
        cosines[i] = 0;
        for (size_t k = 0; k < width; k++) cosines[i] += (double)vectors[k] * (double)vectors[i * width + k];
    }
    free(vectors);
    free(texts);
    return bad ? -1 : 0;
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
    pith_session *s = m ? pith_session_new(m, &e) : NULL;
    double *cosines = calloc(n, sizeof *cosines);
    if (!cosines) snprintf(e.msg, sizeof e.msg, "no memory for %zu texts", n);
    int bad = !s || !cosines || compare(m, s, argv + 2, n, cosines, &e);
    for (size_t i = 0; i < n && !bad; i++) printf("%.4f %s\n", cosines[i], argv[i + 2]);
    if (bad) fprintf(stderr, "%s\n", e.msg);
    free(cosines);
    pith_session_free(s);
    pith_model_close(m);
    return bad;
}
