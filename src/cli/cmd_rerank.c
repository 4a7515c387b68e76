/* pith rerank: texts by how well each answers a query, as a cross-encoder sees it. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/batch.h"
#include "cli/output.h"
#include "base/err.h"
#include "base/json.h"
#include "base/memtext.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    batch_opts b;
    uint64_t top_n;
    int json, raw;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION_DEFAULT(values, NULL),
    CLI_COMPUTE_OPTIONS(values),
    BATCH_ROW_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_OUTPUT, 'o', "output", "FILE", 0, 0, "write here, .jsonl or .txt; appears under its name when it is complete",
     offsetof(values, b.output), 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object a text", offsetof(values, json), 0, 0},
    {CLI_SIZE, 0, "top-n", "N", 0, 0, "only the best N; default: all", offsetof(values, top_n), 1, UINT32_MAX},
    {CLI_FLAG, 0, "raw-scores", 0, 0, 0, "the model's logits instead of scores from 0 to 1", offsetof(values, raw), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Text", 0, 0, 0},
    BATCH_READ_OPTIONS(values),
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "The model is a cross-encoder: a classifier with one label that reads query and text together; its score is the sigmoid of\n"
    "the logit. No bundled model is one: name one with -m. Best first, equal ones in their order; a line is score, index (from\n"
    "0) and text, between tabs. With --json a row's own fields and columns are kept; one called like a result is kept as\n"
    "input_NAME. Rows of --on-error null come last.\n"
    "Exit status: 0, or 1 if any row failed.\n"
    "\n"
    "  pith rerank -m path/to/model \"capital of France\" \"Paris is.\" \"Berlin is.\"\n"
    "  pith rerank -m path/to/model \"capital of France\" -f docs.jsonl --field body --top-n 10 --json\n";

/* A text that was scored; of its row only what will be written is kept. */
typedef struct hit {
    float score, logit;
    int failed;
    uint64_t index;
    char *rest; /* of its line, behind the index */
} hit;

typedef struct run {
    rows rows;
    load load;
    batch batch;
    report report; /* names of the rows' own fields */
    output out;
    const char *query;
    pith_classify_options o;
    int raw, object;
    hit *hits;
    size_t n, cap;
} run;

/* ---- computing ---- */

static int compute(void *ctx, const pith_text *texts, size_t n, pith_result *results, pith_err *e)
{
    run *r = ctx;
    pith_text *pairs = malloc((n ? n : 1) * sizeof *pairs);
    if (!pairs) return err_nomem(e, n * sizeof *pairs, "a round of rows");
    for (size_t i = 0; i < n; i++) {
        pairs[i] = (pith_text){r->query, strlen(r->query), texts[i].text, texts[i].len};
        results[i].logits = results[i].scores + 1;
    }
    int bad = pith_classify(r->load.session, pairs, n, &r->o, results, e);
    free(pairs);
    return bad;
}

/* ---- collecting ---- */

static int rest_of(run *r, FILE *f, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    if (!r->object) {
        if (error) {
            putc('(', f);
            cli_put_text(f, error, strlen(error), 0);
            fputs(") ", f);
        }
        if (x->text) cli_put_text(f, x->text, x->len, 0);
        return 0;
    }
    fputs(",\"text\":", f);
    if (x->text) json_put_str(f, x->text, x->len);
    else fputs("null", f);
    if (res) fprintf(f, ",\"n_tokens\":%zu,\"truncated\":%s", res->n_tokens, res->truncated ? "true" : "false");
    else fputs(",\"n_tokens\":null,\"truncated\":null,\"error\":", f);
    if (!res) json_put_str(f, error, strlen(error));
    return report_own(&r->report, f, x, e);
}

static int on_row(void *ctx, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    run *r = ctx;
    size_t len;
    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 256;
        hit *more = realloc(r->hits, cap * sizeof *more);
        if (!more) return err_nomem(e, cap * sizeof *more, "scores");
        r->hits = more;
        r->cap = cap;
    }
    hit *h = &r->hits[r->n];
    *h = (hit){.index = x->number - 1, .failed = !res};
    if (res) h->score = r->raw ? res->logits[0] : res->scores[0], h->logit = res->logits[0];
    FILE *f = memtext_open(&h->rest, &len);
    if (!f) return err_nomem(e, x->len, "a row");
    r->n++;
    int bad = rest_of(r, f, x, res, error, e);
    return (memtext_close(f, &h->rest) && err_nomem(e, x->len, "a row")) || bad ? -1 : 0;
}

/* By logit: scores near 1 round to the same number. */
static int better(const void *a, const void *b)
{
    const hit *x = a, *y = b;
    if (x->failed != y->failed) return x->failed - y->failed;
    if (!x->failed && x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int write_all(run *r, uint64_t most, pith_err *e)
{
    FILE *f = r->out.f;
    if (r->n) qsort(r->hits, r->n, sizeof *r->hits, better);
    for (size_t i = 0; i < r->n && (most == 0 || i < most); i++) {
        const hit *h = &r->hits[i];
        if (r->object) fprintf(f, "{\"index\":%llu,\"score\":", (unsigned long long)h->index);
        if (h->failed) fputs("null", f);
        else json_put_f32(f, h->score);
        if (!r->object) fprintf(f, "\t%llu\t", (unsigned long long)h->index);
        fprintf(f, "%s%s\n", h->rest, r->object ? "}" : "");
    }
    return output_finish(&r->out, e);
}

/* ---- the verb ---- */

/* Every combination that cannot mean anything, before any work. */
static int usable(const values *v, int argc, int *object)
{
    const char *suffix = v->b.output ? strrchr(v->b.output, '.') : NULL;
    report_format by = suffix && !strchr(suffix, '/') ? report_by_suffix(v->b.output) : REPORT_TEXT;
    if (!v->m.model)
        return cli_usage("no model: name a cross-encoder with -m (none is bundled)");
    if (by != REPORT_JSONL && by != REPORT_TEXT)
        return cli_usage("%s: the suffix tells no format; use .jsonl or .txt", v->b.output);
    if (argc == 0) return cli_usage("no query: it is the first argument, and the texts come after it");
    if (argc == 1 && !v->b.input && isatty(STDIN_FILENO))
        return cli_usage("no texts: give them after the query, with --input FILE, on stdin, or - to type them");
    *object = v->json || by == REPORT_JSONL;
    return 0;
}

/* The name under which a row's own fields hold the text, if it is the one the result has. */
static const char *told(const rows *r)
{
    const char *name = NULL;
    if (r->format == ROWS_JSONL) name = r->spec.text ? r->spec.text : "text";
    if (r->format == ROWS_CSV || r->format == ROWS_TSV) name = r->columns[r->text_at];
    return name && strcmp(name, "text") == 0 ? "text" : NULL;
}

static int open_model(run *r, const values *v, pith_err *e)
{
    if (load_open(&r->load, &v->m, e) || batch_check(&v->b, &r->load, e)) return -1;
    size_t n = pith_model_n_labels(r->load.model);
    if (n != 1)
        return err_set(e, "%.700s: has %zu labels; a cross-encoder, whose one label says how well a text answers, is needed",
                       r->load.path, n);
    r->o = batch_classify_options(&v->b);
    r->o.activation = PITH_ACTIVATION_SIGMOID;
    return 0;
}

static int rerank(run *r, const values *v, pith_err *e)
{
    static const char *const members[] = {"index", "score", "text", "n_tokens", "truncated", NULL};
    batch *b = &r->batch;
    r->raw = v->raw;
    r->report = (report){.format = REPORT_JSONL, .rows = &r->rows, .members = members, .told = told(&r->rows),
                         .errors = v->b.on_error == BATCH_NULL};
    if (open_model(r, v, e) || output_open(&r->out, v->b.output, 0, e)) return -1;
    *b = (batch){.rows = &r->rows, .model = &r->load, .on_error = v->b.on_error, .compute = compute, .width = 2,
                 .sink = on_row, .ctx = r};
    progress_start(&b->progress, "rows", 0);
    if (batch_run(b, e) || write_all(r, v->top_n, e)) return -1;
    batch_summary(b);
    return 0;
}

static int run_rerank(void *opts, int argc, char **argv)
{
    values *v = opts;
    run r = {.rows.in.fd = -1};
    rows_spec spec;
    pith_err e = {{0}};
    if (usable(v, argc, &r.object) || batch_spec(&v->b, argc - 1, argv + 1, NULL, &spec)) return CLI_USAGE;
    r.query = argv[0];
    int bad = rows_open(&r.rows, &spec, &e) || rerank(&r, v, &e);
    if (bad) cli_error("%s", e.msg);
    int status = bad || r.batch.n_failed ? CLI_FAILED : CLI_OK;
    output_abort(&r.out);
    report_close(&r.report);
    load_close(&r.load);
    rows_close(&r.rows);
    for (size_t i = 0; i < r.n; i++) free(r.hits[i].rest);
    free(r.hits);
    return status;
}

const cli_verb cmd_rerank = {
    "rerank",
    "-m MODEL [options] QUERY TEXT...\n-m MODEL [options] QUERY --input FILE\n-m MODEL [options] QUERY [-]      (rows of stdin)",
    "texts by how well they answer a query", notes, options, sizeof(values), run_rerank,
};
