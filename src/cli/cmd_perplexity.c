/* pith perplexity: how well a model predicts a text. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/gen.h"
#include "cli/guard.h"
#include "cli/input.h"
#include "cli/jtext.h"
#include "cli/progress.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    const char *ids_file;
    uint64_t window, stride;
    int json, no_parse_special;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION_DEFAULT(values, GEN_MODEL),
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Input", 0, 0, 0},
    {CLI_INPUT, 0, "ids-file", "FILE", 0, 0, "the text as one JSON array of token ids", offsetof(values, ids_file), 0, 0},
    {CLI_FLAG, 0, "no-parse-special", 0, 0, 0, "special tokens written in the text, as <s>, are text",
     offsetof(values, no_parse_special), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Windows", 0, 0, 0},
    {CLI_SIZE, 0, "window", "N", 0, 0, "tokens the model sees at once [what the model allows, at most 2048]",
     offsetof(values, window), 2, UINT32_MAX},
    {CLI_SIZE, 0, "stride", "N", 0, 0, "new tokens of each window [half a window]", offsetof(values, stride), 1, UINT32_MAX},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object", offsetof(values, json), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "The whole file is one text, with the special tokens that the tokenizer adds. Every token but the first is scored\n"
    "once, given the tokens before it in its window. The first window scores all it holds; each later one is moved on by\n"
    "a stride, scores the new tokens and counts positions from its own beginning. So a scored token has at least\n"
    "window - stride tokens before it, or all there are.\n"
    "bits/token = -mean of log2 p; perplexity = 2^bits; bits/byte = all bits / bytes of the text.\n"
    "\n"
    "  pith perplexity -m path/to/model book.txt\n"
    "  pith perplexity -m path/to/model --window 512 --stride 256 --json book.txt\n";

typedef struct text {
    char *s;       /* [len] */
    size_t len;
    int32_t *own;  /* ids of --ids-file */
    pith_tokens tokens;
    const int32_t *ids;
    size_t n;
} text;

static int read_file(const char *path, text *t, pith_err *e)
{
    input in;
    if (input_open(&in, path, e)) return -1;
    int bad = 0;
    while (!in.eof && !bad) bad = input_fill(&in, e);
    if (!bad) {
        t->s = in.buf;
        t->len = in.len;
        in.buf = NULL;
    }
    input_close(&in);
    return bad;
}

static int read_text(const values *v, const load *l, const char *path, text *t, pith_err *e)
{
    const pith_tokenizer *k = pith_model_tokenizer(l->model);
    pith_tokenize_options o = {.no_parse_special = v->no_parse_special};
    if (read_file(path, t, e)) return -1;
    if (v->ids_file) {
        if (jtext_ids(t->s ? t->s : "", t->len, &t->own, &t->n, e)) return err_where(e, "%s", path);
        t->ids = t->own;
        t->len = 0;
        return 0;
    }
    if (!k) return err_set(e, "%s: has no tokenizer; give the text as --ids-file", l->path);
    if (pith_tokenize(k, t->s ? t->s : "", t->len, NULL, 0, &o, &t->tokens, e)) return err_where(e, "%s", path);
    t->ids = t->tokens.ids;
    t->n = t->tokens.n;
    return 0;
}

typedef struct work {
    progress p;
    size_t n;
} work;

static int on_progress(void *ctx, size_t done)
{
    work *w = ctx;
    progress_update(&w->p, done, (double)done / (double)w->n);
    return guard_interrupted();
}

static void print(const values *v, const text *t, const float *logprobs)
{
    double sum = 0, scored = (double)(t->n - 1);
    for (size_t i = 1; i < t->n; i++) sum -= (double)logprobs[i];
    double bits = sum / log(2), each = bits / scored;
    if (!v->json) {
        char a[32], b[32];
        printf("%s tokens", cli_count(t->n - 1, a));
        if (t->len) printf(", %s bytes", cli_count(t->len, b));
        printf("\n%10.4f bits/token\n%10.4f perplexity\n", each, exp(sum / scored));
        if (t->len) printf("%10.4f bits/byte\n", bits / (double)t->len);
        return;
    }
    printf("{\"tokens\":%zu,\"bits_per_token\":", t->n - 1);
    json_put_f64(stdout, each);
    fputs(",\"perplexity\":", stdout);
    json_put_f64(stdout, exp(sum / scored));
    if (t->len) {
        printf(",\"bytes\":%zu,\"bits_per_byte\":", t->len);
        json_put_f64(stdout, bits / (double)t->len);
    }
    puts("}");
}

static int measure(const values *v, const load *l, const text *t, pith_err *e)
{
    work w = {.n = t->n};
    if (t->n < 2) return err_set(e, "the text has %zu token%s; there is nothing to predict in it", t->n, t->n == 1 ? "" : "s"), CLI_FAILED;
    float *logprobs = malloc(t->n * sizeof *logprobs);
    if (!logprobs) return err_nomem(e, t->n * sizeof *logprobs, "results"), CLI_FAILED;
    pith_score_options o = {.window = (size_t)v->window, .stride = (size_t)v->stride, .on_progress = on_progress, .ctx = &w};
    double start = clock_now();
    progress_start(&w.p, "tokens", 0);
    guard_catch(GUARD_CATCH);
    int k = pith_score(l->session, t->ids, t->n, &o, logprobs, e);
    guard_catch(GUARD_END);
    progress_clear(&w.p);
    double seconds = clock_now() - start;
    if (k == 0) {
        print(v, t, logprobs);
        cli_detail("%zu tokens in %.1f s, %.1f tokens/s", t->n, seconds, (double)t->n / seconds);
    }
    free(logprobs);
    return k < 0 ? CLI_FAILED : k ? CLI_INTERRUPTED : CLI_OK;
}

static int run_perplexity(void *opts, int argc, char **argv)
{
    values *v = opts;
    load l = {0};
    text t = {0};
    pith_err e = {{0}};
    if (argc > 1) return cli_usage("'%s': one file at a time", argv[1]);
    if (v->ids_file && argc) return cli_usage("give a file or --ids-file, not both");
    if (!v->ids_file && !argc && isatty(STDIN_FILENO)) return cli_usage("give the text as a file, or on stdin");
    const char *path = v->ids_file ? v->ids_file : argc ? argv[0] : "-";
    int status = load_open(&l, &v->m, &e) || read_text(v, &l, path, &t, &e) ? CLI_FAILED : measure(v, &l, &t, &e);
    if (*e.msg) status = cli_error("%s", e.msg);
    free(t.s);
    free(t.own);
    pith_tokens_free(&t.tokens);
    load_close(&l);
    return status;
}

const cli_verb cmd_perplexity = {
    "perplexity", "[-m MODEL] [options] FILE\n[-m MODEL] [options] [-]      (stdin)",
    "how well a model predicts a text: bits and perplexity per token", notes, options, sizeof(values), run_perplexity,
};
