/* pith tokenize: text to token ids and back. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/jtext.h"
#include "cli/load.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    const char *pair;
    uint64_t max_length;
    int ids, json, decode, json_lines, no_special, no_parse_special, strict;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Input", 0, 0, 0},
    {CLI_FLAG, 0, "json-lines", 0, 0, 0, "stdin holds a JSON string a line, so that a text may hold line breaks",
     offsetof(values, json_lines), 0, 0},
    {CLI_FLAG, 0, "decode", 0, 0, 0, "the other way: a JSON array of ids a line, or as arguments",
     offsetof(values, decode), 0, 0},
    {CLI_STRING, 0, "pair", "TEXT", 0, 0, "a second text", offsetof(values, pair), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "ids", 0, 0, 0, "one JSON array of ids a text instead of a table", offsetof(values, ids), 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object a text: ids, pieces, offsets", offsetof(values, json), 0, 0},
    {CLI_FLAG, 0, "no-special", 0, 0, 0, "without the tokens that the tokenizer adds", offsetof(values, no_special), 0, 0},
    {CLI_FLAG, 0, "no-parse-special", 0, 0, 0, "special tokens written in the text, as [SEP], are text",
     offsetof(values, no_parse_special), 0, 0},
    {CLI_SIZE, 0, "max-length", "N", 0, 0, "truncate as the model would", offsetof(values, max_length), 1, UINT32_MAX},
    {CLI_FLAG, 0, "strict", 0, 0, 0, "refuse invalid UTF-8 instead of reading it as U+FFFD", offsetof(values, strict), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "Lines of stdin end at LF alone: CR, NUL and every other byte are part of the text. The model's directory may hold\n"
    "only tokenizer files. --decode prints {\"skip\": text without special tokens, \"keep\": text with them}.\n"
    "\n"
    "  pith tokenize \"A wonderful film.\"\n"
    "  pith tokenize --ids < lines.txt | pith tokenize --decode\n";

typedef struct run {
    const values *v;
    const pith_tokenizer *t;
    uint64_t n_texts;
} run;

static void put_number(FILE *f, uint64_t v)
{
    char buf[24];
    size_t at = sizeof buf;
    do buf[--at] = (char)('0' + v % 10);
    while (v /= 10);
    fwrite(buf + at, 1, sizeof buf - at, f);
}

static void put_ids(const pith_tokens *x)
{
    putchar('[');
    for (size_t i = 0; i < x->n; i++) {
        if (i) putchar(',');
        put_number(stdout, (uint64_t)x->ids[i]);
    }
    putchar(']');
}

static const char *piece_of(const run *r, int32_t id)
{
    const char *p = pith_token_piece(r->t, id);
    return p ? p : "?";
}

static void put_json(const run *r, const pith_tokens *x)
{
    fputs("{\"ids\":", stdout);
    put_ids(x);
    fputs(",\"pieces\":[", stdout);
    for (size_t i = 0; i < x->n; i++) {
        const char *p = piece_of(r, x->ids[i]);
        if (i) putchar(',');
        json_put_str(stdout, p, strlen(p));
    }
    fputs("],\"offsets\":[", stdout);
    for (size_t i = 0; i < x->n; i++)
        printf("%s[%llu,%llu]", i ? "," : "", (unsigned long long)x->begin[i], (unsigned long long)x->end[i]);
    fputs("],\"type_ids\":[", stdout);
    for (size_t i = 0; i < x->n; i++) printf("%s%d", i ? "," : "", x->type_ids[i]);
    fputs("],\"special\":[", stdout);
    for (size_t i = 0; i < x->n; i++) fputs(x->special[i] ? (i ? ",true" : "true") : i ? ",false" : "false", stdout);
    fputs("]}", stdout);
}

static void put_table(const run *r, const pith_tokens *x)
{
    int width = 5, pair = r->v->pair != NULL;
    for (size_t i = 0; i < x->n; i++) {
        size_t n = strlen(piece_of(r, x->ids[i]));
        if ((int)n > width && n <= 40) width = (int)n;
    }
    if (r->n_texts) putchar('\n');
    printf("%7s  %-*s  %s%s\n", "id", width, "piece", pair ? "text  " : "", "bytes");
    for (size_t i = 0; i < x->n; i++) {
        const char *p = piece_of(r, x->ids[i]);
        size_t n = strlen(p), shown = 0;
        for (size_t k = 0; k < n; k++) shown += ((unsigned char)p[k] & 0xc0) != 0x80;
        printf("%7d  ", (int)x->ids[i]);
        cli_put_text(stdout, p, n, 0);
        printf("%*s  ", (int)shown < width ? width - (int)shown : 0, "");
        if (pair) printf("%4d  ", x->type_ids[i] + 1);
        if (x->special[i]) puts("-");
        else printf("%llu-%llu\n", (unsigned long long)x->begin[i], (unsigned long long)x->end[i]);
    }
}

static int encode(run *r, const char *text, size_t len, pith_err *e)
{
    const values *v = r->v;
    pith_tokens x = {0};
    pith_tokenize_options o = {.no_special = v->no_special, .no_parse_special = v->no_parse_special, .strict = v->strict,
                               .max_length = (size_t)v->max_length};
    if (pith_tokenize(r->t, text, len, v->pair, v->pair ? strlen(v->pair) : 0, &o, &x, e)) return -1;
    if (v->ids) {
        put_ids(&x);
        putchar('\n');
    } else if (v->json) {
        put_json(r, &x);
        putchar('\n');
    } else {
        put_table(r, &x);
        if (x.n_full > x.n) printf("(%zu of %zu tokens)\n", x.n, x.n_full);
        if (x.n_replaced) cli_note("invalid UTF-8 was read as U+FFFD in %zu places (--strict refuses it)", x.n_replaced);
    }
    pith_tokens_free(&x);
    return 0;
}

static int decode(run *r, const char *text, size_t len, pith_err *e)
{
    int32_t *ids;
    size_t n, m = 0, k = 0;
    char *skip = NULL, *keep = NULL;
    if (jtext_ids(text, len, &ids, &n, e)) return -1;
    int bad = pith_detokenize(r->t, ids, n, 1, &skip, &m, e) || pith_detokenize(r->t, ids, n, 0, &keep, &k, e);
    if (!bad) {
        fputs("{\"skip\":", stdout);
        json_put_str(stdout, skip, m);
        fputs(",\"keep\":", stdout);
        json_put_str(stdout, keep, k);
        fputs("}\n", stdout);
    }
    pith_free(skip);
    pith_free(keep);
    free(ids);
    return bad ? -1 : 0;
}

/* One text, as it was written. */
static int one(run *r, const char *text, size_t len, int json_string, pith_err *e)
{
    int bad;
    if (r->v->decode) {
        bad = decode(r, text, len, e);
    } else if (json_string) {
        if (jtext_check(text, len, e)) return -1;
        while (len && strchr(" \t\r", *text)) text++, len--;
        while (len && strchr(" \t\r", text[len - 1])) len--;
        if (*text != '"') return err_set(e, "expected a JSON string, found %s", jtext_kind(text, len));
        size_t n;
        char *s = jtext_decode(text + 1, len - 2, &n);
        if (!s) return err_nomem(e, len, "a text");
        bad = encode(r, s, n, e);
        free(s);
    } else {
        bad = encode(r, text, len, e);
    }
    r->n_texts++;
    return bad;
}

static int lines(run *r, pith_err *e)
{
    input in;
    char *line;
    size_t len;
    if (input_open(&in, NULL, e)) return -1;
    in.first_done = 1; /* any bytes are text here */
    int bad = 0;
    while (!bad) {
        if (input_line(&in, &line, &len)) {
            if ((r->v->decode || r->v->json_lines) && len == 0) continue;
            bad = one(r, line, len, r->v->json_lines, e);
            if (bad) err_where(e, "line %llu", (unsigned long long)in.line);
        } else if (in.eof) {
            break;
        } else {
            if (!input_ready(&in) && fflush(stdout)) break;
            bad = input_fill(&in, e);
        }
    }
    input_close(&in);
    return bad;
}

static int run_tokenize(void *opts, int argc, char **argv)
{
    values *v = opts;
    run r = {.v = v};
    pith_err e = {{0}};
    int dash = argc == 1 && strcmp(argv[0], "-") == 0;
    if (v->ids + v->json + v->decode > 1) return cli_usage("--ids, --json and --decode exclude each other");
    if (v->decode && (v->json_lines || v->pair || v->no_special)) return cli_usage("--decode takes arrays of ids and nothing else");
    if (argc == 0 && isatty(STDIN_FILENO)) return cli_usage("no text: give it as an argument, on stdin, or - to type it");
    if (argc && !dash && v->json_lines) return cli_usage("--json-lines is for stdin, not for texts as arguments");
    char *path = load_path(v->m.model, &e);
    pith_tokenizer *t = path ? pith_tokenizer_open(path, &e) : NULL;
    int bad = !t;
    r.t = t;
    if (!bad && argc && !dash) {
        for (int i = 0; i < argc && !bad; i++) bad = one(&r, argv[i], strlen(argv[i]), 0, &e);
    } else if (!bad) {
        bad = lines(&r, &e);
    }
    if (bad) cli_error("%s", e.msg);
    pith_tokenizer_close(t);
    free(path);
    return bad ? CLI_FAILED : CLI_OK;
}

const cli_verb cmd_tokenize = {
    "tokenize", "[-m MODEL] [options] TEXT...\n[-m MODEL] [options] [-]      (lines of stdin)",
    "token ids, pieces and byte offsets of texts; ids to text", notes, options, sizeof(values), run_tokenize,
};
