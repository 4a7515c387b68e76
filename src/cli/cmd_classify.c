/* pith classify: labels and scores of texts. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/emit.h"
#include "cli/mpi.h"
#include "cli/shard.h"
#include "base/err.h"
#include <stdlib.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    batch_opts b;
    const char *shard;
    int json, explain, resume, mpi;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION(values),
    CLI_COMPUTE_OPTIONS(values),
    BATCH_INPUT_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    BATCH_OUTPUT_OPTIONS(values),
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object a row; the same as --output-format jsonl", offsetof(values, json), 0, 0},
    {CLI_FLAG, 0, "resume", 0, 0, 0, "go on with an --output that an earlier run left incomplete", offsetof(values, resume), 0, 0},
    {CLI_FLAG, 0, "explain", 0, 0, 0, "how much each word speaks for the label: the score lost without it",
     offsetof(values, explain), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Several processes", 0, 0, 0},
    {CLI_STRING, 0, "shard", "I/N", 0, 0, "only part I of N of the --input file; in the name of --output {shard} is I [of a Slurm array, its task]",
     offsetof(values, shard), 0, 0},
    {CLI_FLAG, 0, "mpi", 0, 0, 0, "each process of mpirun takes a part; the first joins them in --output", offsetof(values, mpi), 0, 0},
    BATCH_TEXT_OPTIONS(values),
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "A row's own fields and columns are kept; one called like a result is kept as input_NAME.\n"
    "Exit status: 0, or 1 if any row failed. In a task of a Slurm array (SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_COUNT)\n"
    "--shard is that task's part.\n"
    "\n"
    "  pith classify \"A wonderful, moving film.\"\n"
    "  pith classify --json < reviews.txt\n"
    "  pith classify -m path/to/model -f reviews.csv --column review -o labels.csv\n"
    "  pith classify -f reviews.jsonl --field body --long window -o labels.jsonl --resume\n";

typedef struct run {
    rows rows;
    load load;
    batch batch;
    emit emit;
    shard shard;
} run;

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

/* Every combination that cannot mean anything, before any work. */
static int usable(values *v, int argc, report_format *format)
{
    if (v->json && v->b.output_format != REPORT_AUTO && v->b.output_format != REPORT_JSONL)
        return cli_usage("--json is --output-format jsonl; give one of them");
    if (v->json) v->b.output_format = REPORT_JSONL;
    if (emit_format(&v->b, format)) return CLI_USAGE;
    if (v->explain && (v->b.pair || v->b.pair_field || v->b.pair_column))
        return cli_usage("--explain is for single texts, not for pairs");
    if (v->resume && !v->b.output) return cli_usage("--resume needs the file to go on with: --output FILE");
    if (v->resume && *format == REPORT_JSON)
        return cli_usage("--resume: a JSON array cannot be gone on with; use jsonl or csv");
    if (v->resume && v->b.on_error == BATCH_SKIP)
        return cli_usage("--resume needs a result for every row: use --on-error null instead of skip");
    if (v->resume && v->explain && *format == REPORT_TEXT)
        return cli_usage("--resume with --explain needs jsonl or csv");
    if (v->mpi && (!v->b.input || !v->b.output || v->shard)) return cli_usage("--mpi needs --input FILE and --output FILE, and no --shard");
    if (argc == 0 && !v->b.input && isatty(STDIN_FILENO))
        return cli_usage("no text: give it as an argument, with --input FILE, on stdin, or - to type it");
    return 0;
}

static int classify(run *r, const values *v, pith_err *e)
{
    batch *b = &r->batch;
    uint64_t done = 0;
    *b = (batch){.rows = &r->rows, .model = &r->load, .on_error = v->b.on_error, .options = batch_classify_options(&v->b),
                 .sink = on_row, .flush = on_flush, .ctx = r};
    if (r->shard.of > 1 && r->rows.format == ROWS_JSONL && r->emit.report.format == REPORT_CSV)
        return err_set(e, "shards of jsonl cannot become csv: its columns are the fields of the first row, which only the first shard sees; "
                          "write jsonl");
    if (load_open(&r->load, &v->m, e) || batch_check(&v->b, &r->load, e)) return -1;
    r->emit.explain = v->explain;
    if (emit_open(&r->emit, &v->b, b, v->resume, e)) return -1;
    if (v->resume) {
        if (emit_resume(&r->emit, b, &done, e)) return -1;
        if (done) cli_note("%s: going on after %llu rows", v->b.output, (unsigned long long)done);
    }
    progress_start(&b->progress, "rows", r->emit.out.f == stdout && isatty(STDOUT_FILENO));
    b->progress.base = done ? rows_done(&r->rows) : 0;
    int bad = batch_run(b, e) || emit_finish(&r->emit, e);
    if (!bad && (b->n_rows || !done)) batch_summary(b);
    return bad;
}

/* Which rows are this process's, and where their results go. 0 or the exit status. */
static int share(run *r, values *v, rows_spec *spec, report_format format)
{
    pith_err e = {{0}};
    if (v->mpi && mpi_begin(&r->shard.number, &r->shard.of, &e)) return cli_error("%s", e.msg);
    if (v->mpi && !(r->shard.output = shard_part(v->b.output, r->shard.number, r->shard.of))) return cli_error("out of memory");
    int status = v->mpi ? 0 : shard_choose(&r->shard, v->shard, v->b.input, v->b.output);
    if (status || r->shard.of == 0) return status;
    if (format == REPORT_JSON) return cli_usage("shards of a JSON array cannot be joined; use jsonl");
    spec->shard = r->shard.number;
    spec->shards = r->shard.of;
    return 0;
}

/* What all processes wrote becomes one file; by the first of them. */
static int join(run *r, const values *v, int ok)
{
    pith_err e = {{0}};
    int all = mpi_end(ok);
    if (all && r->shard.number == 1 && shard_join(v->b.output, r->shard.of, &e)) return cli_error("%s", e.msg);
    if (!all && r->shard.number == 1) cli_note("not every process could do its part; those that are done stay beside %s for --resume", v->b.output);
    return all ? CLI_OK : CLI_FAILED;
}

static int run_classify(void *opts, int argc, char **argv)
{
    values *v = opts;
    run r = {.rows.in.fd = -1};
    rows_spec spec;
    pith_err e = {{0}};
    if (usable(v, argc, &r.emit.report.format) || batch_spec(&v->b, argc, argv, NULL, &spec)) return CLI_USAGE;
    int status = share(&r, v, &spec, r.emit.report.format);
    const char *asked = v->b.output;
    if (r.shard.output) v->b.output = r.shard.output;
    if (!status && (rows_open(&r.rows, &spec, &e) || classify(&r, v, &e))) status = cli_error("%s", e.msg);
    if (!status && r.batch.n_failed) status = CLI_FAILED;
    v->b.output = asked;
    emit_close(&r.emit);
    load_close(&r.load);
    rows_close(&r.rows);
    if (v->mpi && join(&r, v, status != CLI_USAGE && !e.msg[0]) != CLI_OK) status = CLI_FAILED;
    mpi_close();
    shard_drop(&r.shard);
    return status;
}

const cli_verb cmd_classify = {
    "classify",
    "[-m MODEL] [options] TEXT...\n[-m MODEL] [options] --input FILE\n[-m MODEL] [options] [-]      (rows of stdin)",
    "labels and scores of texts", notes, options, sizeof(values), run_classify,
};
