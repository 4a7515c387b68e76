/* pith embed: texts as vectors. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/emit.h"
#include "cli/npy.h"
#include "base/err.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    batch_opts b;
    uint64_t dimensions;
    int json, resume, pooling, normalize;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION_DEFAULT(values, NULL),
    CLI_COMPUTE_OPTIONS(values),
    BATCH_ROW_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_OUTPUT, 'o', "output", "FILE", 0, 0, "write here, .npy or .jsonl; appears under its name when it is complete",
     offsetof(values, b.output), 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object a row, instead of an array", offsetof(values, json), 0, 0},
    {CLI_FLAG, 0, "resume", 0, 0, 0, "go on with an --output that an earlier run left incomplete", offsetof(values, resume), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Text and vectors", 0, 0, 0},
    {CLI_CHOICE, 0, "pooling", "auto|cls|mean|max", "auto", 0,
     "from a text's tokens to one vector; auto: what the model's directory says, else mean", offsetof(values, pooling), 0, 0},
    {CLI_CHOICE, 0, "normalize", "auto|yes|no", "auto", 0, "to length 1; auto: what the model's directory says, else no",
     offsetof(values, normalize), 0, 0},
    {CLI_SIZE, 0, "dimensions", "N", 0, 0, "only the first N numbers, cut before normalising; default: all",
     offsetof(values, dimensions), 1, UINT32_MAX},
    BATCH_READ_OPTIONS(values),
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "The model is an encoder (BERT, DistilBERT). How its vectors are made stands in modules.json and the files it names, as\n"
    "sentence-transformers writes them. No bundled model was made for vectors: name one with -m.\n"
    "A row's own fields and columns are kept with --json; one called like a result is kept as input_NAME. In a .npy file,\n"
    "float32 [rows][dimensions], a row of --on-error null is NaN.\n"
    "Exit status: 0, or 1 if any row failed.\n"
    "\n"
    "  pith embed -m path/to/model \"A wonderful, moving film.\"\n"
    "  pith embed -m path/to/model -f docs.jsonl --field body -o docs.npy\n"
    "  pith embed -m path/to/model --json --normalize yes < lines.txt\n";

typedef struct run {
    rows rows;
    load load;
    batch batch;
    emit emit;
    pith_embed_options o;
    size_t d;   /* numbers of a vector */
    int npy;
    size_t n;   /* rows written */
    size_t cap; /* rows that the buffers below hold */
    float *vectors;
    size_t *n_tokens;
    uint8_t *truncated;
} run;

/* ---- computing ---- */

static int grow(run *r, size_t n, pith_err *e)
{
    if (n <= r->cap) return 0;
    float *v = realloc(r->vectors, n * r->d * sizeof *v);
    if (v) r->vectors = v;
    size_t *t = realloc(r->n_tokens, n * sizeof *t);
    if (t) r->n_tokens = t;
    uint8_t *c = realloc(r->truncated, n);
    if (c) r->truncated = c;
    if (!v || !t || !c) return err_nomem(e, n * r->d * sizeof *v, "vectors");
    r->cap = n;
    return 0;
}

static int compute(void *ctx, const pith_text *texts, size_t n, pith_result *results, pith_err *e)
{
    run *r = ctx;
    if (grow(r, n, e) || pith_embed(r->load.session, texts, n, &r->o, r->vectors, r->n_tokens, r->truncated, e)) return -1;
    for (size_t i = 0; i < n; i++) {
        memcpy(results[i].scores, r->vectors + i * r->d, r->d * sizeof(float));
        results[i].n_tokens = r->n_tokens[i];
        results[i].truncated = r->truncated[i];
    }
    return 0;
}

/* ---- writing ---- */

static void put_vector(FILE *f, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        putc(i ? ',' : '[', f);
        json_put_f32(f, x[i]);
    }
    putc(']', f);
}

static void put_nan(FILE *f, size_t n)
{
    const float nan = NAN;
    for (size_t i = 0; i < n; i++) npy_put(f, &nan, 1);
}

static int put(void *ctx, FILE *f, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    run *r = ctx;
    r->n++;
    if (r->npy) {
        if (res) npy_put(f, res->scores, r->d);
        else put_nan(f, r->d);
        return 0;
    }
    int object = r->emit.report.format == REPORT_JSONL;
    if (object) fputs("{\"embedding\":", f);
    if (res) put_vector(f, res->scores, r->d);
    else fputs("null", f);
    if (object) {
        if (res) fprintf(f, ",\"n_tokens\":%zu,\"truncated\":%s", res->n_tokens, res->truncated ? "true" : "false");
        else fputs(",\"n_tokens\":null,\"truncated\":null,\"error\":", f);
        if (!res) json_put_str(f, error, strlen(error));
        if (report_own(&r->emit.report, f, x, e)) return -1;
        putc('}', f);
    }
    putc('\n', f);
    return 0;
}

/* The head of a .npy file; at the end with the number of rows. */
static int put_head(run *r, pith_err *e)
{
    FILE *f = r->emit.out.f;
    struct stat st;
    if (r->n == 0 && (fstat(fileno(f), &st) || !S_ISREG(st.st_mode)))
        return err_set(e, "%.700s: is no regular file, which a .npy file must be: its first bytes are written last", r->emit.out.name);
    if (fflush(f) || fseeko(f, 0, SEEK_SET)) return err_set(e, "%.700s: cannot write its first bytes", r->emit.out.name);
    npy_head(f, (const size_t[]){r->n, r->d}, 2);
    return 0;
}

static int on_row(void *ctx, const row *x, const pith_result *res, const char *error, pith_err *e)
{
    run *r = ctx;
    return emit_row(&r->emit, x, res, error, e);
}

static int on_flush(void *ctx, pith_err *e)
{
    run *r = ctx;
    return emit_flush(&r->emit, e);
}

/* ---- the verb ---- */

/* Every combination that cannot mean anything, before any work. */
static int usable(values *v, int argc, int *npy)
{
    const char *suffix = v->b.output ? strrchr(v->b.output, '.') : NULL;
    int named = suffix && !strchr(suffix, '/');
    *npy = named && strcmp(suffix, ".npy") == 0;
    report_format by = named ? report_by_suffix(v->b.output) : REPORT_AUTO;
    if (!v->m.model)
        return cli_usage("no model: name an encoder with -m (the bundled models were not made for vectors)");
    if (named && !*npy && by != REPORT_JSONL && by != REPORT_TEXT)
        return cli_usage("%s: the suffix tells no format; use .npy, .jsonl or .txt", v->b.output);
    if (*npy && v->json) return cli_usage("--json is for objects, and a .npy file holds numbers; give one of them");
    if (v->resume && !v->b.output) return cli_usage("--resume needs the file to go on with: --output FILE");
    if (v->resume && *npy) return cli_usage("--resume: a .npy file cannot be gone on with; use .jsonl");
    if (v->resume && v->b.on_error == BATCH_SKIP)
        return cli_usage("--resume needs a result for every row: use --on-error null instead of skip");
    if (argc == 0 && !v->b.input && isatty(STDIN_FILENO))
        return cli_usage("no text: give it as an argument, with --input FILE, on stdin, or - to type it");
    v->b.output_format = v->json || by == REPORT_JSONL ? REPORT_JSONL : REPORT_TEXT;
    return 0;
}

/* Opens the model, and refuses what it cannot do. */
static int open_model(run *r, const values *v, pith_err *e)
{
    if (load_open(&r->load, &v->m, e)) return -1;
    r->o = (pith_embed_options){.pooling = (pith_pooling)v->pooling,
                                .normalize = v->normalize == 0 ? 0 : v->normalize == 1 ? 1 : -1,
                                .dimensions = (size_t)v->dimensions,
                                .max_length = (size_t)v->b.max_length,
                                .batch_tokens = (size_t)v->b.batch_tokens,
                                .strict = v->b.strict,
                                .no_parse_special = v->b.no_parse_special};
    if (pith_embed(r->load.session, NULL, 0, &r->o, NULL, NULL, NULL, e)) return err_where(e, "%.480s", r->load.path);
    r->d = r->o.dimensions ? r->o.dimensions : pith_model_embedding_size(r->load.model);
    return 0;
}

static int embed(run *r, const values *v, pith_err *e)
{
    static const char *const members[] = {"embedding", "n_tokens", "truncated", NULL};
    batch *b = &r->batch;
    uint64_t done = 0;
    if (open_model(r, v, e)) return -1;
    *b = (batch){.rows = &r->rows, .model = &r->load, .on_error = v->b.on_error, .compute = compute, .width = r->d,
                 .sink = on_row, .flush = on_flush, .ctx = r};
    r->emit = (emit){.put = put, .ctx = r, .report = {.format = (report_format)v->b.output_format, .members = members}};
    if (emit_open(&r->emit, &v->b, b, v->resume, e)) return -1;
    if (r->npy && put_head(r, e)) return -1;
    if (v->resume) {
        if (emit_resume(&r->emit, b, &done, e)) return -1;
        if (done) cli_note("%s: going on after %llu rows", v->b.output, (unsigned long long)done);
    }
    progress_start(&b->progress, "rows", r->emit.out.f == stdout && isatty(STDOUT_FILENO));
    b->progress.base = done ? rows_done(&r->rows) : 0;
    int bad = batch_run(b, e) || (r->npy && put_head(r, e)) || emit_finish(&r->emit, e);
    if (!bad && (b->n_rows || !done)) batch_summary(b);
    return bad;
}

static int run_embed(void *opts, int argc, char **argv)
{
    values *v = opts;
    run r = {.rows.in.fd = -1};
    rows_spec spec;
    pith_err e = {{0}};
    if (usable(v, argc, &r.npy) || batch_spec(&v->b, argc, argv, NULL, &spec)) return CLI_USAGE;
    int bad = rows_open(&r.rows, &spec, &e) || embed(&r, v, &e);
    if (bad) cli_error("%s", e.msg);
    int status = bad || r.batch.n_failed ? CLI_FAILED : CLI_OK;
    emit_close(&r.emit);
    load_close(&r.load);
    rows_close(&r.rows);
    free(r.vectors);
    free(r.n_tokens);
    free(r.truncated);
    return status;
}

const cli_verb cmd_embed = {
    "embed",
    "-m MODEL [options] TEXT...\n-m MODEL [options] --input FILE\n-m MODEL [options] [-]      (rows of stdin)",
    "texts as vectors", notes, options, sizeof(values), run_embed,
};
