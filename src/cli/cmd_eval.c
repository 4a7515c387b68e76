/* pith eval: classify rows whose labels are known, and count. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/emit.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    batch_opts b;
    const char *label_field, *label_column;
    int json;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION(values),
    CLI_COMPUTE_OPTIONS(values),
    BATCH_INPUT_OPTIONS(values),
    {CLI_STRING, 0, "label-field", "NAME", 0, 0, "jsonl: the field with the label, by name or id [label]",
     offsetof(values, label_field), 0, 0},
    {CLI_STRING, 0, "label-column", "NAME", 0, 0, "csv, tsv: the column with the label, by name or id [label]",
     offsetof(values, label_column), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "the figures as one JSON object", offsetof(values, json), 0, 0},
    BATCH_OUTPUT_OPTIONS(values),
    BATCH_TEXT_OPTIONS(values),
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "--output writes the classified rows too; the figures go to stdout.\n"
    "Macro F1 is the mean of F1 over the labels that occur, as true or as predicted.\n"
    "\n"
    "  pith eval -f reviews.csv --column text --label-column label\n"
    "  pith eval -m path/to/model -f test.jsonl --json\n";

typedef struct run {
    rows rows;
    load load;
    batch batch;
    emit emit;
    int write;        /* --output was given */
    uint64_t *counts; /* [true][predicted] */
    size_t n;         /* labels */
} run;

static const char *refuse(void *ctx, const row *x, char *buf, size_t cap)
{
    const run *r = ctx;
    const pith_model *m = r->load.model;
    if (pith_model_label_index(m, x->label) >= 0) return NULL;
    size_t k = (size_t)snprintf(buf, cap, "label '%.60s' is not one of the model's: ", x->label);
    for (size_t i = 0; i < r->n && k + 70 < cap; i++)
        k += (size_t)snprintf(buf + k, cap - k, "%s%.40s", i ? ", " : "", pith_model_label(m, i));
    snprintf(buf + k, cap - k, "%s", k + 70 < cap ? "" : ", ...");
    return buf;
}

static int on_row(void *ctx, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    run *r = ctx;
    if (res) r->counts[(size_t)pith_model_label_index(r->load.model, x->label) * r->n + (size_t)res->label]++;
    return r->write ? emit_row(&r->emit, x, res, error, e) : 0;
}

static int on_flush(void *ctx, pith_err *e)
{
    run *r = ctx;
    return r->write ? emit_flush(&r->emit, e) : 0;
}

typedef struct figures {
    uint64_t rows, correct;
    double accuracy, macro_f1;
} figures;

static uint64_t row_sum(const run *r, size_t i)
{
    uint64_t s = 0;
    for (size_t j = 0; j < r->n; j++) s += r->counts[i * r->n + j];
    return s;
}
static uint64_t column_sum(const run *r, size_t j)
{
    uint64_t s = 0;
    for (size_t i = 0; i < r->n; i++) s += r->counts[i * r->n + j];
    return s;
}
static double ratio(uint64_t a, uint64_t b) { return b ? (double)a / (double)b : 0; }

static figures count(const run *r)
{
    figures f = {0};
    double sum = 0;
    size_t seen = 0;
    for (size_t i = 0; i < r->n; i++) {
        uint64_t t = row_sum(r, i), p = column_sum(r, i), hit = r->counts[i * r->n + i];
        f.rows += t;
        f.correct += hit;
        if (t + p == 0) continue;
        sum += ratio(2 * hit, t + p); /* F1 = 2 TP / (2 TP + FP + FN) */
        seen++;
    }
    f.accuracy = ratio(f.correct, f.rows);
    f.macro_f1 = seen ? sum / (double)seen : 0;
    return f;
}

static void put_json(const run *r, const figures *f)
{
    printf("{\"rows\":%llu,\"correct\":%llu,\"accuracy\":", (unsigned long long)f->rows, (unsigned long long)f->correct);
    json_put_f64(stdout, f->accuracy);
    fputs(",\"macro_f1\":", stdout);
    json_put_f64(stdout, f->macro_f1);
    fputs(",\"confusion\":[", stdout);
    for (size_t i = 0; i < r->n; i++) {
        fputs(i ? ",[" : "[", stdout);
        for (size_t j = 0; j < r->n; j++)
            printf("%s%llu", j ? "," : "", (unsigned long long)r->counts[i * r->n + j]);
        putchar(']');
    }
    fputs("],\"labels\":[", stdout);
    for (size_t i = 0; i < r->n; i++) {
        const char *label = pith_model_label(r->load.model, i);
        if (i) putchar(',');
        json_put_str(stdout, label, strlen(label));
    }
    printf("],\"failed\":%llu}\n", (unsigned long long)r->batch.n_failed);
}

enum { TABLE_LABELS = 16 };

static void put_label(const run *r, size_t i, int width, int right)
{
    const char *label = pith_model_label(r->load.model, i);
    size_t len = strlen(label);
    int pad = (int)len < width ? width - (int)len : 0;
    if (right) printf("%*s", pad, "");
    cli_put_text(stdout, label, len, 0);
    if (!right) printf("%*s", pad, "");
}

/* Rows are the true labels, columns the predicted ones. */
static void put_table(const run *r)
{
    char n[32];
    int first = 9;
    for (size_t i = 0; i < r->n; i++) {
        int len = (int)strlen(pith_model_label(r->load.model, i));
        if (len > first) first = len;
    }
    int column = first > 9 ? first : 9;
    printf("\n%-*s  predicted\n%-*s", first, "", first, "true");
    for (size_t j = 0; j < r->n; j++) {
        fputs("  ", stdout);
        put_label(r, j, column, 1);
    }
    printf("  %9s\n", "recall");
    for (size_t i = 0; i < r->n; i++) {
        put_label(r, i, first, 0);
        for (size_t j = 0; j < r->n; j++) printf("  %*s", column, cli_count(r->counts[i * r->n + j], n));
        uint64_t sum = row_sum(r, i);
        if (sum) printf("  %9.4f\n", ratio(r->counts[i * r->n + i], sum));
        else printf("  %9s\n", "-");
    }
    printf("%-*s", first, "precision");
    for (size_t j = 0; j < r->n; j++) {
        uint64_t sum = column_sum(r, j);
        if (sum) printf("  %*.4f", column, ratio(r->counts[j * r->n + j], sum));
        else printf("  %*s", column, "-");
    }
    putchar('\n');
}

static void put_text(const run *r, const figures *f)
{
    char a[32], b[32];
    double s = r->batch.seconds > 1e-9 ? r->batch.seconds : 1e-9;
    printf("accuracy  %.4f  (%s of %s rows)\nmacro F1  %.4f\nspeed     %.1f rows/s\n", f->accuracy,
           cli_count(f->correct, a), cli_count(f->rows, b), f->macro_f1, (double)f->rows / s);
    if (r->n <= TABLE_LABELS) put_table(r);
    else printf("(%zu labels: the confusion matrix is in --json)\n", r->n);
}

static int eval(run *r, const values *v, pith_err *e)
{
    batch *b = &r->batch;
    *b = (batch){.rows = &r->rows, .model = &r->load, .on_error = v->b.on_error, .options = batch_classify_options(&v->b),
                 .sink = on_row, .flush = on_flush, .refuse = refuse, .ctx = r};
    if (load_open(&r->load, &v->m, e) || batch_check(&v->b, &r->load, e)) return -1;
    r->n = pith_model_n_labels(r->load.model);
    r->counts = calloc(r->n, r->n * sizeof *r->counts);
    if (!r->counts) return err_nomem(e, r->n * r->n * sizeof *r->counts, "the confusion matrix");
    if (r->write && emit_open(&r->emit, &v->b, b, 0, e)) return -1;
    progress_start(&b->progress, "rows", 0);
    if (batch_run(b, e) || emit_finish(&r->emit, e)) return -1;
    figures f = count(r);
    if (f.rows == 0) {
        batch_summary(b);
        return err_set(e, "%.700s: no labelled rows, so nothing was measured", r->rows.in.name);
    }
    if (v->json) put_json(r, &f);
    else put_text(r, &f);
    batch_summary(b);
    return 0;
}

static int run_eval(void *opts, int argc, char **argv)
{
    values *v = opts;
    run r = {.rows.in.fd = -1, .write = v->b.output != NULL};
    rows_spec spec;
    pith_err e = {{0}};
    if (v->label_field && v->label_column)
        return cli_usage("--label-field is for jsonl and --label-column for csv and tsv: give one of them");
    if (argc && !(argc == 1 && strcmp(argv[0], "-") == 0))
        return cli_usage("'%s': rows come from --input FILE or stdin", argv[0]);
    if (argc == 0 && !v->b.input && isatty(STDIN_FILENO)) return cli_usage("no rows: give --input FILE, or rows on stdin");
    if (!r.write && (v->b.output_format || v->b.top_k))
        return cli_usage("--%s is for the rows that --output writes", v->b.top_k ? "top-k" : "output-format");
    if (r.write && strcmp(v->b.output, "-") == 0) return cli_usage("--output: stdout carries the figures; give a file");
    const char *label = v->label_field ? v->label_field : v->label_column ? v->label_column : "label";
    if (emit_format(&v->b, &r.emit.report.format) || batch_spec(&v->b, argc, argv, label, &spec)) return CLI_USAGE;
    int bad = rows_open(&r.rows, &spec, &e);
    if (!bad && r.rows.format == ROWS_TEXT)
        bad = err_set(&e, "%.700s: lines of text have no labels; expected jsonl, csv or tsv (--format says which it is)",
                      r.rows.in.name);
    if (!bad) bad = eval(&r, v, &e);
    if (bad) cli_error("%s", e.msg);
    int status = bad || r.batch.n_failed ? CLI_FAILED : CLI_OK;
    emit_close(&r.emit);
    free(r.counts);
    load_close(&r.load);
    rows_close(&r.rows);
    return status;
}

const cli_verb cmd_eval = {
    "eval", "[-m MODEL] [options] --input FILE", "accuracy, macro F1 and confusion matrix on labelled rows", notes,
    options, sizeof(values), run_eval,
};
