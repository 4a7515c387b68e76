#define _POSIX_C_SOURCE 200809L
#include "cli/batch.h"
#include "base/clock.h"
#include "base/err.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* A round takes about half a second, so that progress moves and an interrupt loses little, and no more memory than
 * this whatever the rows are. Results do not depend on it. */
enum { FEWEST_ROWS = 16, MOST_ROWS = 8192, MOST_BYTES = 8 << 20 };

int batch_spec(const batch_opts *o, int argc, char **argv, const char *label, rows_spec *s)
{
    int dash = argc == 1 && strcmp(argv[0], "-") == 0;
    *s = (rows_spec){.path = o->input, .format = (rows_format)o->format, .pair = o->pair, .label = label,
                     .no_header = o->no_header};
    if (argc && o->input && !(dash && strcmp(o->input, "-") == 0))
        return cli_usage("give texts as arguments or --input, not both");
    if (argc && !dash) {
        if (s->format != ROWS_AUTO) return cli_usage("--format is for --input and stdin, not for texts as arguments");
        if (o->field || o->column || o->pair_field || o->pair_column)
            return cli_usage("fields and columns are for --input and stdin, not for texts as arguments");
        s->texts = argv;
        s->n_texts = (size_t)argc;
        return 0;
    }
    if (o->field && o->column) return cli_usage("--field is for jsonl and --column for csv and tsv: give one of them");
    if (o->pair_field && o->pair_column)
        return cli_usage("--pair-field is for jsonl and --pair-column for csv and tsv: give one of them");
    s->text = o->field ? o->field : o->column;
    s->pair_name = o->pair_field ? o->pair_field : o->pair_column;
    if (s->pair && s->pair_name) return cli_usage("--pair and --pair-field or --pair-column exclude each other");
    return 0;
}

pith_classify_options batch_classify_options(const batch_opts *o)
{
    return (pith_classify_options){
        .activation = (pith_activation)o->activation,
        .long_text = (pith_long)o->long_text,
        .pool = (pith_pool)o->pool,
        .max_length = (size_t)o->max_length,
        .stride = (size_t)o->stride,
        .batch_tokens = (size_t)o->batch_tokens,
        .strict = o->strict,
        .no_parse_special = o->no_parse_special,
    };
}

int batch_check(const batch_opts *o, const load *l, pith_err *e)
{
    const pith_model *m = l->model;
    if (pith_model_n_labels(m) == 0)
        return err_set(e, "%.700s: has no classification head, so there are no labels (architecture of model_type %s)", l->path,
                       pith_model_type(m));
    if (!pith_model_tokenizer(m))
        return err_set(e, "%.700s: has no tokenizer (tokenizer.json or vocab.txt), so text cannot be read; pith logits --ids "
                          "takes token ids", l->path);
    if (o->max_length > pith_model_max_positions(m))
        return err_set(e, "--max-length %llu: the model reads %zu tokens at most", (unsigned long long)o->max_length,
                       pith_model_max_positions(m));
    return 0;
}

/* ---- a round of rows ---- */

typedef struct slot {
    row row;
    pith_result result;
    char *error; /* malloc'd; why it failed */
} slot;

static void clear(slot *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rows_drop(&s[i].row);
        free(s[i].error);
        free(s[i].result.scores);
        s[i] = (slot){0};
    }
}

/* "text 3: why" -> "why": the row is named by its line. */
static const char *reason(const char *msg)
{
    if (strncmp(msg, "text ", 5) != 0) return msg;
    const char *p = msg + 5 + strspn(msg + 5, "0123456789");
    return p > msg + 5 && p[0] == ':' && p[1] == ' ' ? p + 2 : msg;
}

static int note_error(slot *s, const char *msg, pith_err *e)
{
    size_t n = strlen(msg) + 1;
    s->error = malloc(n);
    if (!s->error) return err_nomem(e, n, "a message");
    memcpy(s->error, msg, n);
    return 0;
}

/* Computes at[0..n); where that fails, halves it until the rows that are to blame are alone. */
static int compute(batch *b, slot **at, size_t n, pith_text *texts, pith_result *results, pith_err *e)
{
    pith_err why = {{0}};
    if (n == 0) return 0;
    for (size_t i = 0; i < n; i++) {
        const row *x = &at[i]->row;
        texts[i] = (pith_text){x->text, x->len, x->pair, x->pair_len};
        results[i] = at[i]->result;
    }
    int bad = b->compute ? b->compute(b->ctx, texts, n, results, &why)
                         : pith_classify(b->model->session, texts, n, &b->options, results, &why);
    if (!bad) {
        for (size_t i = 0; i < n; i++) {
            at[i]->result = results[i];
            if (results[i].label < 0 &&
                note_error(at[i], "the logits are not numbers (NaN): the weights may be damaged, "
                                  "pith inspect --stats tells which", e))
                return -1;
        }
        return 0;
    }
    if (n == 1) return note_error(at[0], reason(why.msg), e);
    return compute(b, at, n / 2, texts, results, e) || compute(b, at + n / 2, n - n / 2, texts, results, e) ? -1 : 0;
}

static int compute_slots(batch *b, slot *s, size_t n, pith_err *e)
{
    size_t labels = pith_model_n_labels(b->model->model), width = b->compute ? b->width : 2 * labels, k = 0;
    slot **at = malloc(n * sizeof *at);
    pith_text *texts = malloc(n * sizeof *texts);
    pith_result *results = malloc(n * sizeof *results);
    int bad = !at || !texts || !results;
    for (size_t i = 0; i < n && !bad; i++) {
        if (s[i].row.fault) {
            bad = note_error(&s[i], s[i].row.fault, e);
            continue;
        }
        float *f = malloc(width * sizeof *f);
        bad = !f;
        s[i].result.scores = f;
        s[i].result.logits = f && !b->compute ? f + labels : NULL;
        at[k++] = &s[i];
    }
    if (bad) err_nomem(e, n * sizeof *texts, "a round of rows");
    double start = clock_now();
    if (!bad) bad = compute(b, at, k, texts, results, e);
    b->seconds += clock_now() - start;
    free(at);
    free(texts);
    free(results);
    return bad ? -1 : 0;
}

/* One row to the sink, or what on_error says. */
static int deliver(batch *b, const slot *s, batch_sink *sink, void *ctx, pith_err *e)
{
    const row *x = &s->row;
    b->n_rows++;
    if (!s->error) {
        b->n_tokens += s->result.n_tokens;
        b->n_truncated += s->result.truncated != 0;
        b->n_replaced += s->result.n_replaced != 0;
        b->n_empty += x->len == 0;
        return sink(ctx, x, &s->result, NULL, e);
    }
    char where[900];
    rows_where(b->rows, x, where, sizeof where);
    b->n_failed++;
    if (b->on_error == BATCH_FAIL) return err_set(e, "%.700s: %s", where, s->error);
    if (sink == b->sink) { /* a row that is only looked at again was told of before */
        progress_clear(&b->progress);
        cli_error("%s: %s", where, s->error);
    }
    return b->on_error == BATCH_NULL ? sink(ctx, x, NULL, s->error, e) : 0;
}

/* Up to `most` rows; waits for the first only. *end: there are no more. */
static int gather(batch *b, slot *s, size_t most, size_t *n, int *end, pith_err *e)
{
    size_t bytes = 0;
    for (*n = 0; *n < most && bytes < MOST_BYTES; ++*n) {
        int k = rows_next(b->rows, *n == 0, &s[*n].row, e);
        if (k < 0) return -1;
        if (k == 0) *end = 1;
        if (k != 1) return 0;
        row *x = &s[*n].row;
        char why[400];
        const char *refused = !x->fault && b->refuse ? b->refuse(b->ctx, x, why, sizeof why) : NULL;
        if (refused && rows_refuse(x, refused, e)) return -1;
        bytes += x->len + x->pair_len + x->raw_len;
        if (x->fault && b->on_error == BATCH_FAIL) {
            ++*n;
            return 0;
        }
    }
    return 0;
}

static int rounds(batch *b, slot *s, pith_err *e)
{
    for (int end = 0; !end;) {
        size_t n;
        pith_err late = {{0}}; /* what ends the work after the rows that were still read */
        double start = clock_now();
        int broken = gather(b, s, b->chunk, &n, &end, &late), bad = 0;
        if (n && compute_slots(b, s, n, e)) bad = -1;
        progress_clear(&b->progress);
        for (size_t i = 0; i < n && !bad; i++) bad = deliver(b, &s[i], b->sink, b->ctx, e);
        clear(s, n);
        if (b->flush) {
            pith_err flushed = {{0}};
            if (b->flush(b->ctx, &flushed)) bad = err_set(e, "%s", flushed.msg);
        }
        if (broken && !bad) bad = err_set(e, "%s", late.msg);
        if (bad) return -1;
        progress_update(&b->progress, b->n_rows, rows_done(b->rows));
        double took = clock_now() - start;
        if (n == b->chunk && took < 0.25 && b->chunk < MOST_ROWS) b->chunk *= 2;
        else if (took > 1 && b->chunk > FEWEST_ROWS) b->chunk /= 2;
    }
    return 0;
}

int batch_run(batch *b, pith_err *e)
{
    slot *s = calloc(MOST_ROWS, sizeof *s);
    if (!s) return err_nomem(e, MOST_ROWS * sizeof *s, "a round of rows");
    b->chunk = 4 * FEWEST_ROWS;
    int bad = rounds(b, s, e);
    progress_clear(&b->progress);
    free(s);
    return bad;
}

int batch_one(batch *b, batch_sink *sink, void *ctx, pith_err *e)
{
    slot s = {0};
    int k = rows_next(b->rows, 1, &s.row, e);
    if (k == 1) k = compute_slots(b, &s, 1, e) || deliver(b, &s, sink, ctx, e) ? -1 : 1;
    clear(&s, 1);
    return k;
}

void batch_summary(const batch *b)
{
    char n[32], m[32], t[32], u[32];
    if (b->n_failed) {
        cli_count(b->n_failed, n);
        cli_error("%s of %s rows failed%s", n, cli_count(b->n_rows, m),
                  b->on_error == BATCH_SKIP ? " and were left out" : b->on_error == BATCH_NULL ? " and have a result of null" : "");
    }
    if (b->n_rows == 0) cli_note("%s: there are no rows", b->rows->in.name);
    if ((b->compute || b->rows->format != ROWS_ARGS) && b->n_truncated)
        cli_note("%s of %s rows were longer than the model reads and were cut%s", cli_count(b->n_truncated, n),
                 cli_count(b->n_rows, m), b->compute ? "" : " (--long window reads all)");
    if (b->rows->format != ROWS_ARGS && b->n_empty)
        cli_note("%s of %s rows have an empty text, whose %s says nothing", cli_count(b->n_empty, n), cli_count(b->n_rows, m),
                 b->compute ? "result" : "label");
    if (b->n_replaced)
        cli_note("%s of %s rows held invalid UTF-8, which was read as U+FFFD (--strict refuses it)",
                 cli_count(b->n_replaced, n), cli_count(b->n_rows, m));
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double s = b->seconds > 1e-9 ? b->seconds : 1e-9;
    cli_detail("%s rows, %s tokens in %.3f s: %.1f rows/s, %s tokens/s; peak memory %s", cli_count(b->n_rows, n),
               cli_count(b->n_tokens, m), b->seconds, (double)(b->n_rows - b->n_failed) / s,
               cli_count((uint64_t)((double)b->n_tokens / s), t), cli_bytes((uint64_t)use.ru_maxrss * 1024, u));
}
