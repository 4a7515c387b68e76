/* pith generate: goes on with a text. Prompts are rows; several are written at once, results come in the order of the
 * rows, and the text of the first unfinished one as it is written. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/gen.h"
#include "cli/guard.h"
#include "cli/jtext.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/rows.h"
#include "cli/turns.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Rows that are finished wait for slower ones before them: up to this many for each that is being written. */
enum { WAITING = 4 };
enum { ON_ERROR_FAIL, ON_ERROR_SKIP, ON_ERROR_NULL };

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    gen_opts o;
    const char *prompt, *file, *ids, *ids_file, *input, *field, *column, *output, *system;
    uint64_t parallel;
    int format, no_header, json, no_echo, on_error, chat, shift;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION_DEFAULT(values, GEN_MODEL),
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Input", 0, 0, 0},
    {CLI_STRING, 'p', "prompt", "TEXT", 0, 0, "the same as the argument", offsetof(values, prompt), 0, 0},
    {CLI_INPUT, 'f', "file", "FILE", 0, 0, "the prompt is all of a file (but for a last line end)", offsetof(values, file), 0, 0},
    {CLI_STRING, 0, "ids", "\"1,2,3\"", 0, 0, "the prompt as token ids, special tokens included", offsetof(values, ids), 0, 0},
    {CLI_INPUT, 0, "input", "FILE", 0, 0, "many prompts: rows of a file; - is stdin", offsetof(values, input), 0, 0},
    {CLI_INPUT, 0, "ids-file", "FILE", 0, 0, "many prompts: a JSON array of token ids a line", offsetof(values, ids_file), 0, 0},
    {CLI_CHOICE, 0, "format", ROWS_FORMATS, "auto", 0, "of the input; auto: by suffix, else text, a row a line",
     offsetof(values, format), 0, 0},
    {CLI_STRING, 0, "field", "NAME", 0, 0, "jsonl: the field with the prompt [prompt]", offsetof(values, field), 0, 0},
    {CLI_STRING, 0, "column", "NAME", 0, 0, "csv, tsv: the column with the prompt [prompt]", offsetof(values, column), 0, 0},
    {CLI_FLAG, 0, "no-header", 0, 0, 0, "csv, tsv: there is no header row; columns are numbers from 1",
     offsetof(values, no_header), 0, 0},
    {CLI_CHOICE, 0, "on-error", "fail|skip|null", "fail", 0,
     "a row that cannot be used ends the work, is left out, or gets a result of null", offsetof(values, on_error), 0, 0},
    {CLI_SIZE, 0, "parallel", "N", "8", 0, "rows written at once; changes no result", offsetof(values, parallel), 1, 4096},
    {CLI_FLAG, 0, "chat", 0, 0, 0, "a prompt is a question: it goes through the model's chat template",
     offsetof(values, chat), 0, 0},
    {CLI_STRING, 0, "system", "TEXT", 0, 0, "with --chat: the system message", offsetof(values, system), 0, 0},
    {CLI_FLAG, 0, "shift", 0, 0, 0,
     "where the context is full, go on with the first token and the latest half; shorten long prompts so",
     offsetof(values, shift), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_OUTPUT, 'o', "output", "FILE", 0, 0, "write here; appears under its name when it is complete",
     offsetof(values, output), 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object a row; the default for jsonl, csv and tsv", offsetof(values, json), 0, 0},
    {CLI_SIZE, 0, "logprobs", "N", 0, 0, "with --json: each token's log probability and the N most probable",
     offsetof(values, o.logprobs), 1, UINT32_MAX},
    {CLI_FLAG, 0, "no-echo", 0, 0, 0, "text output without the prompt", offsetof(values, no_echo), 0, 0},
    GEN_OPTIONS(values),
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "The prompt is completed as raw text, unless --chat. A text argument of - is all of stdin; without one, stdin is read line by line.\n"
    "Sampling steps come in the order: logit bias, repeat penalty, presence and frequency penalty, temperature, top-k,\n"
    "top-p, min-p, typical. Row N of many has the seed's value + N - 1. JSON: {\"ids\": new tokens, the end of text\n"
    "included, \"text\", \"finish_reason\": stop|length}; a row's own fields are kept. Ctrl-C ends with status 130.\n"
    "\n"
    "  pith generate \"This movie\"\n"
    "  pith generate -m path/to/model --temp 0.8 --top-p 0.9 -n 100 -f prompt.txt\n"
    "  pith generate -m path/to/model --input prompts.jsonl --output answers.jsonl\n";

/* ---- jobs: a row and its answer ---- */

typedef struct run run;
typedef struct job {
    run *r;
    row row;
    int done;
    char *error; /* NULL: none */
    pith_finish finish;
    char *text;
    size_t len, cap, shown;
    int32_t *ids;
    pith_logprob *own, *top; /* [n], [n][n_top] */
    size_t n, n_cap;
} job;

struct run {
    const values *v;
    rows rows;
    load load;
    pith_generator *g;
    pith_template *template; /* with --chat */
    pith_request request;
    output out;
    progress progress;
    job *jobs; /* a ring of cap, the oldest at head */
    size_t cap, head, n_jobs, in_flight;
    int json, ids, terminal, end;
    uint64_t n_failed;
    int memory; /* an allocation failed inside a callback */
};

static int grow(job *j, size_t n_top)
{
    size_t cap = j->n_cap ? 2 * j->n_cap : 64;
    int32_t *ids = realloc(j->ids, cap * sizeof *ids);
    if (ids) j->ids = ids;
    pith_logprob *own = n_top ? realloc(j->own, cap * sizeof *own) : j->own;
    if (own) j->own = own;
    pith_logprob *top = n_top ? realloc(j->top, cap * n_top * sizeof *top) : j->top;
    if (top) j->top = top;
    if (!ids || (n_top && (!own || !top))) return -1;
    j->n_cap = cap;
    return 0;
}

static int keep_token(job *j, const pith_token *t)
{
    if (j->n == j->n_cap && grow(j, t->n_top)) return -1;
    if (t->n_top) {
        j->own[j->n] = (pith_logprob){t->id, t->logprob};
        memcpy(j->top + j->n * t->n_top, t->top, t->n_top * sizeof *t->top);
    }
    j->ids[j->n++] = t->id;
    if (j->cap - j->len < t->len) {
        size_t cap = 2 * (j->len + t->len) + 256;
        char *b = realloc(j->text, cap);
        if (!b) return -1;
        j->text = b;
        j->cap = cap;
    }
    if (t->len) memcpy(j->text + j->len, t->text, t->len);
    j->len += t->len;
    return 0;
}

/* Text that has not been shown yet, of the row whose turn it is. */
static void show(run *r, job *j)
{
    if (r->json || j->shown == j->len) return;
    gen_put(r->out.f, j->text + j->shown, j->len - j->shown, r->terminal);
    fflush(r->out.f);
    j->shown = j->len;
}

static char *copy_of(const char *s)
{
    size_t n = strlen(s) + 1;
    char *c = malloc(n);
    if (c) memcpy(c, s, n);
    return c;
}

static int on_token(void *ctx, const pith_token *t)
{
    job *j = ctx;
    run *r = j->r;
    if (t->finish != PITH_FINISH_NONE) {
        j->done = 1;
        j->finish = t->finish;
        r->in_flight--;
    }
    if (t->finish == PITH_FINISH_ERROR) {
        j->error = copy_of(t->error);
        r->memory |= !j->error;
        return 0;
    }
    r->memory |= keep_token(j, t) != 0;
    if (j == &r->jobs[r->head]) show(r, j);
    return r->memory;
}

/* ---- output ---- */

static void put_ids(FILE *f, const job *j)
{
    putc('[', f);
    for (size_t i = 0; i < j->n; i++) fprintf(f, "%s%d", i ? "," : "", j->ids[i]);
    putc(']', f);
}

static void put_logprobs(FILE *f, const job *j, size_t n_top)
{
    fputs(",\"logprobs\":[", f);
    for (size_t i = 0; i < j->n; i++) {
        fprintf(f, "%s{\"id\":%d,\"logprob\":", i ? "," : "", j->own[i].id);
        json_put_f32(f, j->own[i].logprob);
        fputs(",\"top\":[", f);
        for (size_t k = 0; k < n_top; k++) {
            const pith_logprob *p = &j->top[i * n_top + k];
            fprintf(f, "%s{\"id\":%d,\"logprob\":", k ? "," : "", p->id);
            json_put_f32(f, p->logprob);
            putc('}', f);
        }
        fputs("]}", f);
    }
    putc(']', f);
}

/* A row's own members after ours; one called like ours is kept as input_NAME. */
static void put_member(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    static const char *const ours[] = {"ids", "text", "finish_reason", "logprobs", "error"};
    FILE *f = ctx;
    int taken = 0;
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        taken |= strlen(ours[i]) == key_len && memcmp(ours[i], key, key_len) == 0;
    fprintf(f, ",\"%s", taken ? "input_" : "");
    fwrite(key, 1, key_len, f);
    fputs("\":", f);
    fwrite(value, 1, len, f);
}

static void put_json(const run *r, const job *j)
{
    static const char *const reasons[] = {"interrupted", "stop", "length", "error"};
    FILE *f = r->out.f;
    if (j->error) {
        fputs("{\"ids\":null,\"text\":null,\"finish_reason\":null,\"error\":", f);
        json_put_str(f, j->error, strlen(j->error));
    } else {
        fputs("{\"ids\":", f);
        put_ids(f, j);
        fputs(",\"text\":", f);
        if (pith_model_tokenizer(r->load.model)) json_put_str(f, j->text ? j->text : "", j->len);
        else fputs("null", f);
        fprintf(f, ",\"finish_reason\":\"%s\"", reasons[j->finish]);
        if (r->request.n_top) put_logprobs(f, j, r->request.n_top);
    }
    if (j->row.raw) json_raw_members(j->row.raw, j->row.raw_len, put_member, f);
    for (size_t i = 0; i < j->row.n_fields && i < r->rows.n_columns; i++) {
        char key[160];
        int n = snprintf(key, sizeof key, "%.150s", r->rows.columns[i]);
        (void)n;
        fputs(",", f);
        json_put_str(f, key, strlen(key));
        fputs(":", f);
        json_put_str(f, j->row.fields[i].s, j->row.fields[i].len);
    }
    fputs("}\n", f);
}

static void drop_job(job *j)
{
    rows_drop(&j->row);
    free(j->error);
    free(j->text);
    free(j->ids);
    free(j->own);
    free(j->top);
    *j = (job){0};
}

/* The oldest row is finished (or interrupted): the rest of its result. */
static int deliver(run *r, job *j, pith_err *e)
{
    if (j->error) {
        char where[900];
        rows_where(&r->rows, &j->row, where, sizeof where);
        int single = r->rows.format == ROWS_ARGS;
        if (r->v->on_error == ON_ERROR_FAIL) return single ? err_set(e, "%s", j->error) : err_set(e, "%s: %s", where, j->error);
        r->n_failed++;
        progress_clear(&r->progress);
        cli_error("%s: %s", where, j->error);
        if (r->v->on_error == ON_ERROR_SKIP) return 0;
    }
    if (r->json) put_json(r, j);
    else if (!j->error && !pith_model_tokenizer(r->load.model)) put_ids(r->out.f, j), putc('\n', r->out.f);
    else show(r, j), putc('\n', r->out.f);
    return output_commit(&r->out, e);
}

/* ---- rows in ---- */

/* The prompt as a question through the template. */
static int question_ids(const run *r, const job *j, const pith_tokenizer *k, pith_tokens *t, pith_err *e)
{
    turns said = {0};
    int bad = turns_system(&said, r->v->system, e) || turns_add(&said, "user", j->row.text, j->row.len, e) ||
              turns_tokens(&said, r->template, k, t, e);
    turns_free(&said);
    return bad;
}

static int prompt_ids(const run *r, const job *j, int32_t **ids, size_t *n, pith_tokens *t, pith_err *e)
{
    const pith_tokenizer *tokenizer = pith_model_tokenizer(r->load.model);
    pith_tokenize_options o = {.no_parse_special = r->v->o.no_parse_special};
    if (r->ids && jtext_ids(j->row.text, j->row.len, ids, n, e)) return r->v->ids ? err_where(e, "--ids") : -1;
    if (r->ids) return 0;
    if (!tokenizer) return err_set(e, "%s: has no tokenizer; give the prompt as --ids", r->load.path);
    if (r->template ? question_ids(r, j, tokenizer, t, e)
                    : pith_tokenize(tokenizer, j->row.text, j->row.len, NULL, 0, &o, t, e))
        return -1;
    *n = t->n;
    return 0;
}

/* Hands the row over, or notes why not. */
static int start(run *r, job *j, pith_err *e)
{
    pith_err why = {{0}};
    int32_t *own = NULL;
    pith_tokens t = {0};
    size_t n = 0;
    if (j->row.fault) {
        err_set(&why, "%s", j->row.fault);
    } else if (prompt_ids(r, j, &own, &n, &t, &why) == 0) {
        pith_request q = r->request;
        q.ids = r->ids ? own : t.ids;
        q.n = n;
        q.sampling.seed += j->row.number - 1;
        q.on_token = on_token;
        q.ctx = j;
        if (pith_generator_add(r->g, &q, &why) == 0) r->in_flight++;
    }
    free(own);
    pith_tokens_free(&t);
    if (*why.msg) {
        j->done = 1;
        j->error = copy_of(why.msg);
        return j->error ? 0 : err_nomem(e, sizeof why, "a message");
    }
    if (r->json || r->ids || r->v->no_echo || r->v->chat) return 0;
    j->text = malloc(j->row.len + 1);
    if (!j->text) return err_nomem(e, j->row.len + 1, "text");
    memcpy(j->text, j->row.text, j->row.len);
    j->len = j->cap = j->row.len;
    return 0;
}

static int admit(run *r, pith_err *e)
{
    while (!r->end && r->n_jobs < r->cap && pith_generator_room(r->g)) {
        row x;
        int k = rows_next(&r->rows, r->n_jobs == 0, &x, e);
        if (k < 0) return -1;
        if (k == 0) r->end = 1;
        if (k != 1) return 0;
        job *j = &r->jobs[(r->head + r->n_jobs++) % r->cap];
        *j = (job){.r = r, .row = x};
        if (start(r, j, e)) return -1;
        if (j == &r->jobs[r->head]) show(r, j);
    }
    return 0;
}

static int retire(run *r, pith_err *e)
{
    while (r->n_jobs && r->jobs[r->head].done) {
        job *j = &r->jobs[r->head];
        if (deliver(r, j, e)) return -1;
        drop_job(j);
        r->head = (r->head + 1) % r->cap;
        r->n_jobs--;
        if (r->n_jobs) show(r, &r->jobs[r->head]);
        progress_update(&r->progress, r->rows.number - r->n_jobs, rows_done(&r->rows));
    }
    return 0;
}

/* All rows. 1: interrupted. */
static int work(run *r, pith_err *e)
{
    for (;;) {
        if (guard_interrupted()) return 1;
        if (admit(r, e)) return -1;
        if (!r->n_jobs && r->end) return 0;
        if (r->in_flight && pith_generator_step(r->g, e) < 0) return -1;
        if (r->memory) return err_nomem(e, 0, "an answer");
        if (retire(r, e)) return -1;
    }
}

/* ---- the verb ---- */

/* All of a file, without a last line end; malloc'd, NUL-terminated. */
static char *read_all(const char *path, pith_err *e)
{
    input in;
    if (input_open(&in, path, e)) return NULL;
    int bad = 0;
    while (!in.eof && !bad) bad = input_fill(&in, e);
    size_t n = in.len - in.pos;
    char *s = bad ? NULL : malloc(n + 1);
    if (s) {
        if (n) memcpy(s, in.buf + in.pos, n);
        if (n && s[n - 1] == '\n') n--;
        if (n && s[n - 1] == '\r') n--;
        s[n] = 0;
        if (strlen(s) != n) err_set(e, "%s: holds a NUL byte, which no prompt has", in.name);
    } else if (!bad) {
        err_nomem(e, n, "the prompt");
    }
    input_close(&in);
    if (s && strlen(s) == n) return s;
    free(s);
    return NULL;
}

/* Where the rows come from; *own: what one of them lies in. */
static int spec_of(run *r, int argc, char **argv, rows_spec *s, char **one, char **own, pith_err *e)
{
    const values *v = r->v;
    int given = (argc > 0) + (v->prompt != NULL) + (v->file != NULL) + (v->ids != NULL) + (v->input != NULL) + (v->ids_file != NULL);
    if (argc > 1) return cli_usage("'%s': the prompt is one argument; put it in quotes", argv[1]);
    if (given > 1) return cli_usage("give one prompt: an argument, --prompt, --file, --ids, --input or --ids-file");
    if (!given && isatty(STDIN_FILENO)) return cli_usage("no prompt: give it as an argument, with --file FILE, or on stdin");
    *s = (rows_spec){.path = v->input ? v->input : v->ids_file, .format = (rows_format)v->format, .no_header = v->no_header,
                     .text = v->field ? v->field : v->column ? v->column : v->no_header ? "1" : "prompt"};
    r->ids = v->ids || v->ids_file;
    if (r->ids && v->chat) return cli_usage("--chat takes text, not token ids");
    if (v->system && !v->chat) return cli_usage("--system goes with --chat");
    const char *text = argc ? argv[0] : v->prompt ? v->prompt : v->ids;
    if (v->file || (argc && strcmp(argv[0], "-") == 0)) text = *own = read_all(v->file ? v->file : "-", e);
    if (*own == NULL && *e->msg) return CLI_FAILED;
    if (v->ids) {
        size_t n = strlen(v->ids) + 3;
        *own = malloc(n);
        if (!*own) return cli_error("out of memory");
        int bare = v->ids[strspn(v->ids, " ")] != '[';
        snprintf(*own, n, "%s%s%s", bare ? "[" : "", v->ids, bare ? "]" : "");
        text = *own;
    }
    *one = (char *)(uintptr_t)text;
    if (text) s->texts = one, s->n_texts = 1;
    else if (!v->input) s->format = ROWS_TEXT;
    return 0;
}

static int generate(run *r, const rows_spec *s, pith_err *e)
{
    const values *v = r->v;
    if (rows_open(&r->rows, s, e) || load_open(&r->load, &v->m, e)) return CLI_FAILED;
    if (v->chat && !(r->template = pith_template_open(r->load.path, e))) return CLI_FAILED;
    int status = gen_request(&v->o, r->load.model, &r->request);
    if (status) return status;
    r->request.shift = v->shift;
    gen_detail(&r->request);
    size_t parallel = s->texts ? 1 : (size_t)v->parallel;
    r->json = v->json || r->rows.format == ROWS_JSONL || r->rows.format == ROWS_CSV || r->rows.format == ROWS_TSV;
    if (v->o.logprobs && !r->json) return cli_usage("--logprobs needs --json");
    pith_generator_options o = {.context = (size_t)v->o.context, .sequences = parallel, .chunk_busy = SIZE_MAX, .half_cache = v->o.kv};
    r->g = pith_generator_new(r->load.model, &o, e);
    if (!r->g) return CLI_FAILED;
    pith_generator_watch(r->g, guard_unwanted, NULL);
    r->cap = s->texts ? 1 : WAITING * parallel;
    r->jobs = calloc(r->cap, sizeof *r->jobs);
    if (!r->jobs) return err_nomem(e, r->cap * sizeof *r->jobs, "rows"), CLI_FAILED;
    if (output_open(&r->out, v->output, 0, e)) return CLI_FAILED;
    r->terminal = isatty(fileno(r->out.f));
    if (!s->texts) progress_start(&r->progress, "rows", r->out.f == stdout && isatty(STDOUT_FILENO));
    guard_catch(GUARD_CATCH);
    int k = work(r, e);
    guard_catch(GUARD_END);
    if (k > 0 && s->texts && r->n_jobs) k = deliver(r, &r->jobs[r->head], e) ? -1 : 1;
    progress_clear(&r->progress);
    if (k < 0) return CLI_FAILED;
    if (k > 0 && !s->texts && !r->json && r->n_jobs && r->jobs[r->head].shown) putc('\n', r->out.f);
    if (k > 0 && v->output && !s->texts) return CLI_INTERRUPTED;
    if (output_finish(&r->out, e)) return CLI_FAILED;
    gen_summary(&r->load, r->g);
    return k > 0 ? CLI_INTERRUPTED : r->n_failed ? CLI_FAILED : CLI_OK;
}

static int run_generate(void *opts, int argc, char **argv)
{
    run r = {.v = opts, .rows.in.fd = -1};
    rows_spec spec;
    char *one = NULL, *own = NULL;
    pith_err e = {{0}};
    int status = spec_of(&r, argc, argv, &spec, &one, &own, &e);
    if (!status) status = generate(&r, &spec, &e);
    if (*e.msg) status = cli_error("%s", e.msg);
    for (size_t i = 0; i < r.n_jobs; i++) drop_job(&r.jobs[(r.head + i) % r.cap]);
    free(r.jobs);
    output_abort(&r.out);
    pith_generator_free(r.g);
    gen_drop(&r.request);
    pith_template_close(r.template);
    load_close(&r.load);
    rows_close(&r.rows);
    free(own);
    return status;
}

const cli_verb cmd_generate = {
    "generate", "[-m MODEL] [options] PROMPT\n[-m MODEL] [options] --input FILE\n[-m MODEL] [options] [-]      (stdin)",
    "go on with a text", notes, options, sizeof(values), run_generate,
};
