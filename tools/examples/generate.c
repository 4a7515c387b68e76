/* Writes on from a prompt and shows the text as it comes; ends at the first line that ends.
 *
 *     cc generate.c -o generate $(pkg-config --cflags --libs pith)
 *     ./generate path/to/model "The capital of France is" 40
 */
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct answer {
    size_t n;
    pith_err *e;
} answer;

/* Called for each token. What it returns ends the answer if it is not 0: here at the first newline. */
static int show(void *ctx, const pith_token *t)
{
    answer *a = ctx;
    if (t->finish == PITH_FINISH_ERROR) {
        snprintf(a->e->msg, sizeof a->e->msg, "%s", t->error);
        return 1;
    }
    a->n++;
    const char *end = memchr(t->text, '\n', t->len);
    fwrite(t->text, 1, end ? (size_t)(end - t->text) : t->len, stdout);
    fflush(stdout);
    return end != NULL;
}

static int write_on(pith_model *m, const char *prompt, size_t max_tokens, pith_err *e)
{
    answer a = {0, e};
    pith_tokens ids = {0};
    pith_request r = pith_request_new(m); /* as the model's generation_config.json says */
    pith_generator *g = pith_generator_new(m, NULL, e);
    int more = g && pith_model_tokenizer(m) ? 1 : -1;
    if (g && more < 0) snprintf(e->msg, sizeof e->msg, "the model's directory has no tokenizer");
    if (more > 0 && pith_tokenize(pith_model_tokenizer(m), prompt, strlen(prompt), NULL, 0, NULL, &ids, e)) more = -1;
    r.ids = ids.ids;
    r.n = ids.n;
    r.max_tokens = max_tokens;
    r.on_token = show;
    r.ctx = &a;
    if (more > 0 && pith_generator_add(g, &r, e)) more = -1;
    while (more > 0) more = pith_generator_step(g, e);
    if (a.n) printf("\n");
    pith_tokens_free(&ids);
    pith_generator_free(g);
    return more || e->msg[0] ? -1 : 0;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s MODEL PROMPT [MAX_TOKENS]\n", argv[0]);
        return 2;
    }
    pith_err e = {{0}};
    pith_model *m = pith_model_open(argv[1], NULL, &e);
    int bad = !m || write_on(m, argv[2], argc == 4 ? strtoul(argv[3], NULL, 10) : 60, &e);
    if (bad) fprintf(stderr, "%s\n", e.msg);
    pith_model_close(m);
    return bad;
}
