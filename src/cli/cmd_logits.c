/* pith logits: the numbers themselves. It is how two engines, two machines or two versions are compared. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/jtext.h"
#include "cli/load.h"
#include "cli/npy.h"
#include "cli/output.h"
#include "base/err.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    const char *ids, *ids_file, *text, *pair, *output;
    uint64_t max_length;
    int hidden, hash, strict, no_parse_special;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION(values),
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Input, one of", 0, 0, 0},
    {CLI_STRING, 0, "ids", "\"1,2,3\"", 0, 0, "token ids, special tokens included", offsetof(values, ids), 0, 0},
    {CLI_INPUT, 0, "ids-file", "FILE", 0, 0, "a JSON array of token ids a line; all are one batch", offsetof(values, ids_file), 0, 0},
    {CLI_STRING, 0, "text", "TEXT", 0, 0, "a text, through the model's tokenizer", offsetof(values, text), 0, 0},
    {CLI_STRING, 0, "pair", "TEXT", 0, 0, "the second text of a pair", offsetof(values, pair), 0, 0},
    {CLI_SIZE, 0, "max-length", "N", 0, 0, "tokens the model reads of a text; default: what the model allows",
     offsetof(values, max_length), 1, UINT32_MAX},
    {CLI_FLAG, 0, "strict", 0, 0, 0, "refuse invalid UTF-8 instead of reading it as U+FFFD", offsetof(values, strict), 0, 0},
    {CLI_FLAG, 0, "no-parse-special", 0, 0, 0, "special tokens written in the text, as [SEP], are text",
     offsetof(values, no_parse_special), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "hidden", 0, 0, 0, "the final hidden states instead of the logits", offsetof(values, hidden), 0, 0},
    {CLI_FLAG, 0, "hash", 0, 0, 0, "only the xxh3 of the numbers' bytes, 16 hex digits", offsetof(values, hash), 0, 0},
    {CLI_OUTPUT, 'o', "output", "FILE", 0, 0, "write FILE.npy or FILE.f32 (raw little-endian float32) instead of JSON",
     offsetof(values, output), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "JSON: {\"shape\":[..],\"logits\":[..]}, or \"hidden\" in place of \"logits\"; row-major; every number reads back as\n"
    "the same float. Shapes: [labels] for one sequence, [sequences, labels] for --ids-file; a causal model [tokens, vocabulary]; hidden [tokens, width],\n"
    "the sequences end to end.\n"
    "\n"
    "  pith logits --text \"A wonderful film.\" --hash\n"
    "  pith logits -m path/to/model --ids-file ids.jsonl -o logits.npy\n";

/* The sequences of the call and what they point into. */
typedef struct sequences {
    pith_seq *seq;
    int32_t **ids; /* malloc'd, [n]; NULL where tokens owns them */
    size_t n, n_tokens;
    pith_tokens tokens;
} sequences;

static int add(sequences *s, const char *text, size_t len, pith_err *e)
{
    size_t n;
    int32_t *ids;
    if (jtext_ids(text, len, &ids, &n, e)) return -1;
    pith_seq *seq = realloc(s->seq, (s->n + 1) * sizeof *seq);
    if (seq) s->seq = seq;
    int32_t **own = realloc(s->ids, (s->n + 1) * sizeof *own);
    if (own) s->ids = own;
    if (!seq || !own) {
        free(ids);
        return err_nomem(e, (s->n + 1) * sizeof *seq, "sequences");
    }
    s->ids[s->n] = ids;
    s->seq[s->n++] = (pith_seq){ids, NULL, n};
    s->n_tokens += n;
    return 0;
}

static int add_list(sequences *s, const char *list, pith_err *e)
{
    size_t n = strlen(list) + 3;
    char *array = malloc(n);
    if (!array) return err_nomem(e, n, "token ids");
    int bare = list[strspn(list, " ")] != '[';
    int k = snprintf(array, n, "%s%s%s", bare ? "[" : "", list, bare ? "]" : "");
    int bad = add(s, array, (size_t)k, e) ? err_where(e, "--ids") : 0;
    free(array);
    return bad;
}

static int add_file(sequences *s, const char *path, pith_err *e)
{
    input in;
    char *line;
    size_t len;
    if (input_open(&in, path, e)) return -1;
    int bad = 0, more = 1;
    while (!bad && (more = input_next(&in, &line, &len, e)) > 0) {
        if (len == 0 || (len == 1 && *line == '\r')) continue;
        if (add(s, line, len, e)) bad = err_where(e, "%.480s: line %llu", in.name, (unsigned long long)in.line);
    }
    if (more < 0) bad = -1;
    if (!bad && s->n == 0) bad = err_set(e, "%.700s: there are no sequences, expected a JSON array of token ids a line", in.name);
    input_close(&in);
    return bad;
}

static int add_text(sequences *s, const values *v, const load *l, pith_err *e)
{
    const pith_tokenizer *t = pith_model_tokenizer(l->model);
    if (!t) return err_set(e, "%.700s: has no tokenizer (tokenizer.json or vocab.txt); use --ids", l->path);
    pith_tokenize_options o = {.strict = v->strict, .no_parse_special = v->no_parse_special,
                               .max_length = v->max_length ? (size_t)v->max_length : pith_model_max_length(l->model)};
    if (pith_tokenize(t, v->text, strlen(v->text), v->pair, v->pair ? strlen(v->pair) : 0, &o, &s->tokens, e)) return -1;
    if (s->tokens.n_full > s->tokens.n)
        cli_note("the text has %zu tokens; the model read %zu", s->tokens.n_full, s->tokens.n);
    s->seq = malloc(sizeof *s->seq);
    if (!s->seq) return err_nomem(e, sizeof *s->seq, "sequences");
    *s->seq = (pith_seq){s->tokens.ids, s->tokens.type_ids, s->tokens.n};
    s->n = 1;
    s->n_tokens = s->tokens.n;
    return 0;
}

static void free_sequences(sequences *s)
{
    for (size_t i = 0; s->ids && i < s->n; i++) free(s->ids[i]);
    free(s->ids);
    free(s->seq);
    pith_tokens_free(&s->tokens);
}

/* ---- output ---- */

typedef struct array {
    float *x;
    size_t shape[2], rank, n;
    const char *name;
} array;

static void put_json(const array *a)
{
    printf("{\"shape\":[%zu", a->shape[0]);
    if (a->rank == 2) printf(",%zu", a->shape[1]);
    printf("],\"%s\":[", a->name);
    for (size_t i = 0; i < a->n; i++) {
        if (i) putchar(',');
        json_put_f32(stdout, a->x[i]);
    }
    fputs("]}\n", stdout);
}

static int has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && strcmp(s + n - k, suffix) == 0;
}

static int emit_array(const values *v, const array *a, pith_err *e)
{
    size_t odd = 0;
    for (size_t i = 0; i < a->n; i++) odd += isfinite(a->x[i]) ? 0u : 1u;
    if (odd) cli_note("warning: %zu of %zu numbers are NaN or infinite (null in JSON); pith inspect --stats shows whether "
                      "the weights are damaged", odd, a->n);
    if (v->hash) printf("%016llx\n", (unsigned long long)pith_hash(a->x, a->n * sizeof *a->x));
    if (!v->output) {
        if (!v->hash) put_json(a);
        return 0;
    }
    output o;
    int bad = output_open(&o, v->output, 0, e);
    if (!bad) {
        if (has_suffix(v->output, ".npy")) npy_head(o.f, a->shape, a->rank);
        npy_put(o.f, a->x, a->n);
        bad = output_finish(&o, e);
    }
    output_abort(&o);
    return bad;
}

static int compute(const values *v, load *l, sequences *s, pith_err *e)
{
    size_t labels = pith_model_n_labels(l->model), width = pith_model_hidden_size(l->model);
    int every_token = v->hidden || (!labels && pith_model_is_causal(l->model));
    if (!v->hidden && !labels && !every_token)
        return err_set(e, "%.700s: has no classification head, so there are no logits; --hidden gives the final hidden states",
                       l->path);
    array a = {.rank = 2, .name = v->hidden ? "hidden" : "logits"};
    a.shape[0] = every_token ? s->n_tokens : s->n;
    a.shape[1] = v->hidden ? width : labels ? labels : pith_model_vocab_size(l->model);
    a.n = a.shape[0] * a.shape[1];
    if (!every_token && !v->ids_file) {
        a.rank = 1;
        a.shape[0] = labels;
    }
    a.x = malloc((a.n ? a.n : 1) * sizeof *a.x);
    if (!a.x) return err_nomem(e, a.n * sizeof *a.x, "results");
    int bad = pith_run(l->session, s->seq, s->n, v->hidden ? NULL : a.x, v->hidden ? a.x : NULL, e) || emit_array(v, &a, e);
    free(a.x);
    return bad;
}

static int run_logits(void *opts, int argc, char **argv)
{
    values *v = opts;
    sequences s = {0};
    load l = {0};
    pith_err e = {{0}};
    if (argc) return cli_usage("'%s': give the text as --text, or token ids as --ids", argv[0]);
    if ((v->ids != NULL) + (v->ids_file != NULL) + (v->text != NULL) != 1)
        return cli_usage("give one of --ids, --ids-file and --text");
    if (v->pair && !v->text) return cli_usage("--pair goes with --text");
    if (v->output && !has_suffix(v->output, ".npy") && !has_suffix(v->output, ".f32"))
        return cli_usage("%s: the suffix tells no format; use .npy or .f32", v->output);
    int bad = v->ids ? add_list(&s, v->ids, &e) : v->ids_file ? add_file(&s, v->ids_file, &e) : 0;
    if (!bad) bad = load_open(&l, &v->m, &e);
    if (!bad && v->text) bad = add_text(&s, v, &l, &e);
    if (!bad) bad = compute(v, &l, &s, &e);
    if (bad) cli_error("%s", e.msg);
    free_sequences(&s);
    load_close(&l);
    return bad ? CLI_FAILED : CLI_OK;
}

const cli_verb cmd_logits = {
    "logits", "[-m MODEL] [options] --ids \"1,2,3\"\n[-m MODEL] [options] --ids-file FILE\n"
    "[-m MODEL] [options] --text TEXT [--pair TEXT]",
    "logits or hidden states as JSON, NumPy or raw floats, or their hash", notes, options, sizeof(values), run_logits,
};
