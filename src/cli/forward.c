#define _POSIX_C_SOURCE 200809L
#include "cli/forward.h"
#include "base/checked.h"
#include "base/err.h"
#include "cli/input.h"
#include "cli/progress.h"
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* The default tolerance, 1e-4 of the largest logit (of 1, where all are smaller), lies between what two right engines
 * differ by and what one wrong number does. Sums of float32 in another order: transformers is up to 2e-5 from the exact
 * logits of the golden models, a random LLaMA of 16 layers 3.5e-5. Rounding weights to bfloat16: 1e-2. */

enum {
    N_NEW = 16,  /* tokens of a recorded continuation */
    N_FULL = 1024, /* logits up to here are recorded in full, of more the N_TOP highest */
    N_TOP = 32,
    N_SHORT = 3  /* built-in prompts that show whether a model computes at all */
};

static const char *const built_in[] = {
    "A wonderful, moving film.",
    "The capital of France is",
    "naïve café, Привет, 你好，世界 🌍",
    "def add(a, b):\n    return a + b\n",
    "Numbers: 0 7 42 1999 31,536,000 3.14159 1e-6; signs: #!%&/()=?<>|{}[]~^",
    "The river rose in the night, and by the time the village woke the lower field was a lake. Nobody had seen water come that "
    "high before. The old men stood on the bridge and argued about which year had been worse, while the children sailed planks "
    "between the apple trees. In the afternoon the rain stopped, the clouds opened for an hour, and people carried chairs outside "
    "to dry. It took three weeks until the last of it was gone, and then everything was green.",
};
enum { N_BUILT_IN = sizeof built_in / sizeof *built_in };

/* ---- rows ---- */

static forward_row *add_row(forward *f, const char *prompt, size_t number, pith_err *e)
{
    forward_row *rows = realloc(f->rows, (f->n_rows + 1) * sizeof *rows);
    if (!rows) {
        err_nomem(e, (f->n_rows + 1) * sizeof *rows, "verdicts");
        return NULL;
    }
    f->rows = rows;
    forward_row *row = &rows[f->n_rows];
    *row = (forward_row){.number = number, .max_diff = NAN, .tolerance = NAN};
    if (prompt && !(row->prompt = strdup(prompt))) {
        err_nomem(e, strlen(prompt), "a prompt");
        return NULL;
    }
    f->n_rows++;
    return row;
}

static void say(forward_row *row, forward_verdict v, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(forward_row *row, forward_verdict v, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(row->message);
    if (v > row->verdict) row->verdict = v;
    if (n && n + 2 < sizeof row->message) n += (size_t)snprintf(row->message + n, sizeof row->message - n, "; ");
    va_start(ap, fmt);
    vsnprintf(row->message + n, sizeof row->message - n, fmt, ap);
    va_end(ap);
}

/* A token for a message: "523 ' the'". */
static const char *token(const forward *f, int32_t id, char *buf, size_t cap)
{
    const pith_tokenizer *t = pith_model_tokenizer(f->l->model);
    const char *piece = t ? pith_token_piece(t, id) : NULL;
    snprintf(buf, cap, piece ? "%ld '%.32s'" : "%ld", (long)id, piece);
    return buf;
}

/* ---- computing ---- */

typedef struct computed {
    const char *name; /* as in recorded.numbers */
    const float *x;   /* [n]: the numbers that are compared */
    size_t n;
    uint64_t hash;
    size_t n_odd;     /* NaN and infinities at any position */
    int constant;     /* all of x are equal */
} computed;

static int generates(const pith_model *m) { return pith_model_is_causal(m) && !pith_model_n_labels(m); }

static int compute(forward *f, const int32_t *ids, size_t n_ids, computed *c, pith_err *e)
{
    const pith_model *m = f->l->model;
    size_t labels = pith_model_n_labels(m), rows = labels ? 1 : n_ids, need, bytes;
    int hidden = !labels && !pith_model_is_causal(m);
    *c = (computed){.name = hidden ? "hidden" : "logits",
                    .n = labels ? labels : hidden ? pith_model_hidden_size(m) : pith_model_vocab_size(m)};
    uint64_t wide;
    if (checked_mul(rows, c->n, &wide) || checked_size(wide, &need) || checked_mul(need, sizeof(float), &wide) ||
        checked_size(wide, &bytes)) return err_set(e, "%zu tokens are too many", n_ids);
    if (need > f->cap) {
        free(f->numbers);
        f->numbers = malloc(bytes);
        f->cap = f->numbers ? need : 0;
        if (!f->numbers) return err_nomem(e, bytes, "logits");
    }
    pith_seq seq = {ids, NULL, n_ids};
    if (pith_run(f->l->session, &seq, 1, hidden ? NULL : f->numbers, hidden ? f->numbers : NULL, e)) return -1;
    for (size_t i = 0; i < need; i++) c->n_odd += isfinite(f->numbers[i]) ? 0u : 1u;
    c->hash = pith_hash(f->numbers, bytes);
    c->x = hidden || labels ? f->numbers : f->numbers + (rows - 1) * c->n;
    c->constant = c->n > 1;
    for (size_t i = 1; i < c->n && c->constant; i++) c->constant = c->x[i] == c->x[0];
    return 0;
}

/* Do sensible numbers come out? */
static int sensible(const computed *c, forward_row *row)
{
    if (c->n_odd) say(row, FORWARD_BROKEN, "%zu %s are NaN or infinite", c->n_odd, c->name);
    else if (c->constant) say(row, FORWARD_BROKEN, "all %zu %s are %g: the weights say nothing", c->n, c->name, (double)c->x[0]);
    return !c->n_odd && !c->constant;
}

static size_t highest(const computed *c)
{
    size_t best = 0;
    for (size_t i = 1; i < c->n; i++)
        if (c->x[i] > c->x[best]) best = i;
    return best;
}

/* ---- greedy continuation ---- */

typedef struct answer {
    int32_t *ids; /* [most] */
    size_t n, most;
    int failed;
} answer;

static int on_token(void *ctx, const pith_token *t)
{
    answer *a = ctx;
    if (t->finish == PITH_FINISH_ERROR) a->failed = 1;
    else if (a->n < a->most) a->ids[a->n++] = t->id;
    return 0;
}

/* Always the highest logit, whatever generation_config.json says; ends as the model's texts do. No tokens where the
 * prompt fills the context. */
static int go_on(const forward *f, const int32_t *ids, size_t n, answer *a, pith_err *e)
{
    const pith_model *m = f->l->model;
    size_t most = pith_model_max_positions(m);
    if (n >= most) return 0;
    pith_generator *g = pith_generator_new(m, &(pith_generator_options){.context = a->most < most - n ? n + a->most : most}, e);
    if (!g) return -1;
    pith_request r = {.ids = ids, .n = n, .max_tokens = a->most, .on_token = on_token, .ctx = a};
    r.sampling.top_p = r.sampling.typical_p = r.sampling.repetition_penalty = 1;
    int more = pith_generator_add(g, &r, e) ? -1 : 1;
    while (more > 0) more = pith_generator_step(g, e);
    pith_generator_free(g);
    return more < 0 ? -1 : 0;
}

/* ---- replaying ---- */

/* Do recorded and present tokens agree? The text goes through the model's own tokenizer, as it did when recorded. */
static int same_tokens(const forward *f, const recorded *x, forward_row *row, pith_err *e)
{
    const pith_tokenizer *t = pith_model_tokenizer(f->l->model);
    pith_tokens now = {0};
    pith_tokenize_options o = {.max_length = pith_model_max_length(f->l->model)};
    char a[64];
    size_t i = 0;
    if (!x->prompt) return 0;
    if (!t) {
        say(row, FORWARD_DIFFERENT, "tokens: the model has no tokenizer now");
        return 0;
    }
    if (pith_tokenize(t, x->prompt, strlen(x->prompt), NULL, 0, &o, &now, e)) return -1;
    while (i < now.n && i < x->n_ids && now.ids[i] == x->ids[i]) i++;
    if (i < now.n && i < x->n_ids)
        say(row, FORWARD_DIFFERENT, "tokens: number %zu is %s, recorded %ld: the tokenizer is another", i + 1,
            token(f, now.ids[i], a, sizeof a), (long)x->ids[i]);
    else if (now.n != x->n_ids)
        say(row, FORWARD_DIFFERENT, "tokens: %zu, recorded %zu: the tokenizer is another", now.n, x->n_ids);
    pith_tokens_free(&now);
    return 0;
}

/* Of numbers that were not recorded because others were higher, none may be higher now. */
static int nothing_higher(const forward *f, const recorded *x, const computed *c, forward_row *row, pith_err *e)
{
    unsigned char *seen = calloc(c->n, 1);
    float least = x->value[0];
    char a[64];
    if (!seen) return err_nomem(e, c->n, "a set of tokens");
    for (size_t i = 0; i < x->n; i++) {
        seen[x->id[i]] = 1;
        if (x->value[i] < least) least = x->value[i];
    }
    for (size_t i = 0; i < c->n; i++) {
        if (seen[i] || (double)c->x[i] - (double)least <= row->tolerance) continue;
        say(row, FORWARD_DIFFERENT, "token %s has logit %g, above the %zu recorded highest (from %g)",
            token(f, (int32_t)i, a, sizeof a), (double)c->x[i], x->n, (double)least);
        break;
    }
    free(seen);
    return 0;
}

/* Sets tolerance, max_diff and, unless something is different, bit-equal or within. */
static int compare_numbers(const forward *f, const recorded *x, const computed *c, forward_row *row, pith_err *e)
{
    if (strcmp(x->numbers, c->name) != 0 || (!x->id && x->n != c->n)) {
        say(row, FORWARD_DIFFERENT, "the model gives %zu %s, recorded are %zu %s", c->n, c->name, x->n, x->numbers);
        return 0;
    }
    double scale = 1, most = 0;
    int same = 1;
    for (size_t i = 0; i < x->n; i++) {
        size_t k = x->id ? (size_t)x->id[i] : i;
        if (k >= c->n) {
            say(row, FORWARD_DIFFERENT, "logit %zu is recorded, the model has %zu", k, c->n);
            return 0;
        }
        double d = fabs((double)c->x[k] - (double)x->value[i]);
        if (d > most) most = d;
        if (fabs((double)x->value[i]) > scale) scale = fabs((double)x->value[i]);
        same = same && d == 0;
    }
    row->max_diff = most;
    row->tolerance = f->tolerance * scale;
    int equal = same && (x->has_hash ? c->hash == x->hash : !x->id);
    if (!equal && (most > row->tolerance || f->tolerance == 0))
        say(row, FORWARD_DIFFERENT, most > 0 ? "max |diff| %.2g, tolerance %.2g" : "numbers that were not recorded one by one differ",
            most, row->tolerance);
    else if (!equal) say(row, FORWARD_WITHIN, "max |diff| %.2g", most);
    else if (row->verdict < FORWARD_BIT_EQUAL) row->verdict = FORWARD_BIT_EQUAL;
    return x->id && !equal ? nothing_higher(f, x, c, row, e) : 0;
}

/* Two right engines may disagree about which of two logits that are nearly equal is the higher. */
static int tie(const computed *c, size_t now, size_t then, const forward_row *row)
{
    return row->verdict == FORWARD_WITHIN && (double)c->x[now] - (double)c->x[then] <= 2 * row->tolerance;
}

static void compare_label(const forward *f, const recorded *x, const computed *c, forward_row *row)
{
    const pith_model *m = f->l->model;
    size_t now = highest(c);
    if (!x->label || !pith_model_n_labels(m) || strcmp(pith_model_label(m, now), x->label) == 0) return;
    int then = -1;
    for (size_t i = 0; i < pith_model_n_labels(m) && then < 0; i++)
        if (strcmp(pith_model_label(m, i), x->label) == 0) then = (int)i;
    int near = then >= 0 && tie(c, now, (size_t)then, row);
    say(row, near ? FORWARD_WITHIN : FORWARD_DIFFERENT, "label %.40s, recorded %.40s%s", pith_model_label(m, now), x->label,
        then < 0 ? ", which is none of the model's labels" : near ? ": nearly equal logits" : "");
}

/* Where the continuations part, were the two tokens nearly equal? Asks the model again, about prompt and answer so far. */
static int parted_at_tie(forward *f, const recorded *x, const answer *a, size_t k, const forward_row *row, int *is_tie, pith_err *e)
{
    computed c;
    size_t n = x->n_ids + k;
    *is_tie = 0;
    if (row->verdict != FORWARD_WITHIN || k >= a->n || k >= x->n_new) return 0;
    int32_t *ids = malloc(n * sizeof *ids);
    if (!ids) return err_nomem(e, n * sizeof *ids, "token ids");
    memcpy(ids, x->ids, x->n_ids * sizeof *ids);
    if (k) memcpy(ids + x->n_ids, x->new_ids, k * sizeof *ids);
    int bad = compute(f, ids, n, &c, e);
    if (!bad && (size_t)x->new_ids[k] < c.n) *is_tie = tie(&c, (size_t)a->ids[k], (size_t)x->new_ids[k], row);
    free(ids);
    return bad;
}

static int compare_continuation(forward *f, const recorded *x, forward_row *row, pith_err *e)
{
    if (!x->n_new) return 0;
    if (!generates(f->l->model)) {
        say(row, FORWARD_DIFFERENT, "the model writes no text, recorded are %zu new tokens", x->n_new);
        return 0;
    }
    answer a = {.ids = malloc(x->n_new * sizeof *a.ids), .most = x->n_new};
    if (!a.ids) return err_nomem(e, x->n_new * sizeof *a.ids, "token ids");
    char now[64] = "nothing", then[64];
    size_t k = 0;
    int near = 0, bad = go_on(f, x->ids, x->n_ids, &a, e);
    while (k < a.n && k < x->n_new && a.ids[k] == x->new_ids[k]) k++;
    if (!bad && k < x->n_new) {
        bad = parted_at_tie(f, x, &a, k, row, &near, e);
        if (k < a.n) token(f, a.ids[k], now, sizeof now);
        say(row, near ? FORWARD_WITHIN : FORWARD_DIFFERENT, "new token %zu is %s, recorded %s%s", k + 1, now,
            token(f, x->new_ids[k], then, sizeof then), near ? ": nearly equal logits" : "");
    }
    free(a.ids);
    return bad;
}

static int replay(forward *f, const recorded *x, forward_row *row, pith_err *e)
{
    computed c;
    pith_err mine = {{0}};
    row->n_tokens = x->n_ids;
    if (same_tokens(f, x, row, e)) return -1;
    if (compute(f, x->ids, x->n_ids, &c, &mine)) {
        say(row, FORWARD_DIFFERENT, "%.300s", mine.msg);
        return 0;
    }
    if (!sensible(&c, row)) return 0;
    if (compare_numbers(f, x, &c, row, e)) return -1;
    compare_label(f, x, &c, row);
    return compare_continuation(f, x, row, e);
}

int forward_replay(forward *f, const recording *r, pith_err *e)
{
    progress p;
    int bad = 0;
    progress_start(&p, "prompts", 0);
    for (size_t i = 0; i < recording_count(r) && !bad; i++) {
        const recorded *x = recording_at(r, i);
        forward_row *row = add_row(f, x->prompt, i + 1, e);
        if (!row) return -1;
        row->recording = recording_path(r);
        bad = replay(f, x, row, e) ? err_where(e, "%.480s: prompt %zu", recording_path(r), i + 1) : 0;
        progress_update(&p, i + 1, (double)(i + 1) / (double)recording_count(r));
    }
    progress_clear(&p);
    f->n_replayed = f->n_rows;
    return bad;
}

/* ---- recording ---- */

/* Highest first; of equal ones the lower id. */
static void top(const computed *c, float *value, int32_t *id, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < c->n; i++) {
        if (k == n && !(c->x[i] > value[k - 1])) continue;
        size_t at = k < n ? k++ : n - 1;
        for (; at && c->x[i] > value[at - 1]; at--) {
            value[at] = value[at - 1];
            id[at] = id[at - 1];
        }
        value[at] = c->x[i];
        id[at] = (int32_t)i;
    }
}

static int record(const forward *f, const int32_t *ids, const computed *c, FILE *out, forward_row *row, pith_err *e)
{
    const pith_model *m = f->l->model;
    const pith_tokenizer *t = pith_model_tokenizer(m);
    float value[N_TOP];
    int32_t id[N_TOP], new_ids[N_NEW];
    answer a = {.ids = new_ids, .most = N_NEW};
    char *text = NULL;
    size_t len;
    recorded x = {.prompt = row->prompt, .ids = ids, .n_ids = row->n_tokens, .numbers = c->name, .value = c->x, .n = c->n,
                  .has_hash = 1, .hash = c->hash};
    if (c->n > N_FULL && strcmp(c->name, "logits") == 0) {
        top(c, value, id, N_TOP);
        x.value = value, x.id = id, x.n = N_TOP;
    }
    if (pith_model_n_labels(m)) x.label = pith_model_label(m, highest(c));
    if (generates(m)) {
        if (go_on(f, ids, row->n_tokens, &a, e)) return -1;
        if (a.failed) say(row, FORWARD_BROKEN, "logits after %zu new tokens are NaN", a.n);
        if (t && a.n && pith_detokenize(t, a.ids, a.n, 1, &text, &len, e)) return -1;
        x.new_ids = a.ids, x.n_new = a.n, x.text = text;
    }
    recording_put(out, &x, row->number == 1);
    pith_free(text);
    return 0;
}

/* One prompt: a row for it, and what it gave to `out` unless NULL. */
static int one(forward *f, const char *prompt, const int32_t *ids, size_t n, FILE *out, pith_err *e)
{
    computed c;
    pith_err mine = {{0}};
    forward_row *row = add_row(f, prompt, f->n_rows - f->n_replayed + 1, e);
    if (!row) return -1;
    row->n_tokens = n;
    if (compute(f, ids, n, &c, &mine)) {
        say(row, FORWARD_BROKEN, "%.300s", mine.msg);
        return 0;
    }
    if (!sensible(&c, row) || !out) return 0;
    return record(f, ids, &c, out, row, e);
}

static int one_text(forward *f, const char *text, size_t len, FILE *out, pith_err *e)
{
    pith_tokens x = {0};
    /* What is recorded must come back as it was: JSON holds neither NUL nor invalid UTF-8. */
    pith_tokenize_options o = {.strict = 1, .max_length = pith_model_max_length(f->l->model)};
    if (pith_tokenize(pith_model_tokenizer(f->l->model), text, len, NULL, 0, &o, &x, e)) return -1;
    int bad = x.n ? one(f, text, x.ids, x.n, out, e) : err_set(e, "a prompt has no tokens");
    pith_tokens_free(&x);
    return bad;
}

/* Without a tokenizer: some ids that every vocabulary has. */
static int one_of_ids(forward *f, size_t i, FILE *out, pith_err *e)
{
    static const size_t lengths[] = {1, 7, 40};
    int32_t ids[40];
    size_t n = lengths[i], most = pith_model_max_positions(f->l->model), vocab = pith_model_vocab_size(f->l->model);
    if (n > most) n = most;
    for (size_t k = 0; k < n; k++) ids[k] = (int32_t)((1 + 7919 * (k + i)) % vocab);
    return one(f, NULL, ids, n, out, e);
}

static int from_file(forward *f, const char *path, FILE *out, pith_err *e)
{
    input in;
    char *line;
    size_t len;
    progress p;
    if (input_open(&in, path, e)) return -1;
    progress_start(&p, "prompts", 0);
    int bad = 0, more = 1;
    while (!bad && (more = input_next(&in, &line, &len, e)) > 0) {
        if (len && line[len - 1] == '\r') len--;
        if (len == 0) continue;
        char *text = strndup(line, len); /* NUL-terminated, for the row */
        if (!text) bad = err_nomem(e, len, "a prompt");
        else if (strlen(text) != len) bad = err_set(e, "a prompt has a NUL byte");
        else bad = one_text(f, text, len, out, e);
        free(text);
        if (bad) err_where(e, "%.480s: line %llu", in.name, (unsigned long long)in.line);
        progress_update(&p, in.line, in.total ? (double)in.taken / (double)in.total : -1);
    }
    progress_clear(&p);
    if (more < 0) bad = -1;
    if (!bad && f->n_rows == f->n_replayed) bad = err_set(e, "%.700s: there are no prompts, expected one a line", in.name);
    input_close(&in);
    return bad;
}

int forward_run(forward *f, const char *prompts, FILE *out, pith_err *e)
{
    int text = pith_model_tokenizer(f->l->model) != NULL, bad = 0;
    if (prompts && !text) return err_set(e, "%.700s: has no tokenizer (tokenizer.json or vocab.txt) for --prompts", f->l->path);
    size_t n = text && out ? N_BUILT_IN : N_SHORT;
    if (out) recording_begin(out, pith_model_type(f->l->model));
    if (prompts) bad = from_file(f, prompts, out, e);
    for (size_t i = 0; i < n && !bad && !prompts; i++)
        bad = text ? one_text(f, built_in[i], strlen(built_in[i]), out, e) : one_of_ids(f, i, out, e);
    if (out) recording_end(out);
    return bad;
}

void forward_free(forward *f)
{
    for (size_t i = 0; i < f->n_rows; i++) free(f->rows[i].prompt);
    free(f->rows);
    free(f->numbers);
    *f = (forward){0};
}
