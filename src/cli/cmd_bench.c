/* pith bench: how fast a model runs here, beside what the machine can do at most, measured in the same run. */
#define _XOPEN_SOURCE 700
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/limits.h"
#include "cli/load.h"
#include "cli/shapes.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/path.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    int shape, wide, format, quick;
    double seconds;
    const char *write;
} values;

enum { FORMAT_MD, FORMAT_CSV, FORMAT_JSONL };

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Model", 0, 0, 0},
    {CLI_MODEL, 'm', "model", "MODEL", 0, "PITH_MODEL", "a Hugging Face directory, or the name of a bundled model",
     offsetof(values, m.model), 0, 0},
    {CLI_CHOICE, 0, "shape", "none|" SHAPES, "none", 0, "a model of this size with random weights instead",
     offsetof(values, shape), 0, 0},
    {CLI_FLAG, 0, "f32", 0, 0, 0, "random weights of F32, not BF16", offsetof(values, wide), 0, 0},
    {CLI_OUTPUT, 0, "write", "DIR", 0, 0, "only write the shape's model there, for other programs to measure", offsetof(values, write), 0, 0},
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Measuring", 0, 0, 0},
    {CLI_REAL, 0, "seconds", "S", "1", 0, "for each figure, at least (0: a rough look, at the limits too)", offsetof(values, seconds), 0, 600},
    {CLI_FLAG, 0, "quick", 0, 0, 0, "the two most telling figures only", offsetof(values, quick), 0, 0},
    {CLI_CHOICE, 0, "format", "md|csv|jsonl", "md", 0, "of the figures", offsetof(values, format), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "Each row is the median of repeated runs, with the fastest and the slowest. Encoders: sequences of one length at once,\n"
    "without padding. Models that write: prefill is the time to the first token of a prompt, decode the time for each new\n"
    "token; chats are 32 short ones at once, their prompts of 32 tokens included. A row's rate is told as a share of the\n"
    "machine's limit for it: float arithmetic of the FMA peak, 8-bit weights of the peak of byte products (of tiles, where\n"
    "the CPU has AMX), decode of the read bandwidth. The limits are the best of many short samples.\n"
    "\n"
    "  pith bench -m path/to/model\n"
    "  pith bench --shape tinyllama-1.1b --dtype q8 --format csv\n";

/* What computing costs, from the files: multiplications for each token, and for each sequence (the head). */
typedef struct cost {
    double token, sequence, attention; /* attention: for each pair of tokens */
    int causal, quantised;
} cost;

typedef struct bench {
    const values *v;
    load l;
    limits most;
    cost c;
    size_t rows;
} bench;

/* What `pith quantize` packed the matrices as: "q8", "q4", "f32", "f16" or "bf16"; "" where they lie as downloaded. */
static const char *packed_as(const pith_weights *w)
{
    const char *key, *value;
    for (size_t i = 0; pith_weights_files(w) && i < pith_weights_metadata_count(w, 0); i++)
        if (!pith_weights_metadata(w, 0, i, &key, &value) && !strcmp(key, "pith.weights")) return value;
    return "";
}

/* Multiplications that a tensor costs a row; 0: it is no matrix. Packed ones are [panels][.][words] and counted with what fills
 * their last panel: 32 outputs by 128 weights are a block of 64 + 4096 bytes in q8, 256 + 2048 in q4, less at the end of k. */
static double products(const pith_tensor *t, const char *packed)
{
    const int q8 = !strcmp(packed, "q8");
    if (t->rank == 2) return (double)t->shape[0] * (double)t->shape[1];
    if (!*packed || t->rank != 3 || strcmp(t->dtype, "U64") || !t->shape[0]) return 0;
    if (*packed != 'q') return (double)t->nbytes / (strcmp(packed, "f32") ? 2 : 4);
    const uint64_t head = q8 ? 64 : 256, group = q8 ? 1024 : 512, block = head + 4 * group;
    const uint64_t panel = t->nbytes / t->shape[0], blocks = panel / block + (panel % block != 0);
    return 32.0 * 32.0 * (double)t->shape[0] * (double)((panel - blocks * head) / group);
}

static int measure_cost(bench *b, pith_err *e)
{
    pith_weights *w = pith_weights_open(b->l.path, &(pith_weights_options){.header_only = 1}, e);
    char *path = path_join(b->l.path, "config.json", e);
    json_doc *d = w && path ? json_load(path, e) : NULL;
    const char *packed = w ? packed_as(w) : "";
    uint64_t layers = 0;
    int tied = 1;
    free(path);
    b->c.quantised = b->v->m.dtype != 0 || *packed == 'q';
    for (size_t i = 0; d && i < pith_weights_count(w); i++) {
        pith_tensor t;
        pith_weights_at(w, i, &t);
        double n = products(&t, packed);
        if (n == 0 || strstr(t.name, "embed")) continue;
        int head = !strncmp(t.name, "lm_head", 7) || strstr(t.name, "classifier") || !strncmp(t.name, "score", 5);
        *(head ? &b->c.sequence : &b->c.token) += n;
        if (!strncmp(t.name, "lm_head", 7)) tied = 0;
    }
    pith_weights_close(w);
    if (!d) return -1;
    json cfg = json_root(d);
    uint64_t hidden = pith_model_hidden_size(b->l.model), heads = 0, dim = 0;
    int bad = json_opt_size(cfg, "num_hidden_layers", 1, 1 << 20, 0, &layers, e) || (!layers && json_opt_size(cfg, "n_layers", 1, 1 << 20, 1, &layers, e)) ||
              json_opt_size(cfg, "num_attention_heads", 1, 1 << 20, 1, &heads, e) || json_opt_size(cfg, "head_dim", 1, 1 << 20, 0, &dim, e);
    json_free(d);
    b->c.causal = pith_model_is_causal(b->l.model);
    if (b->c.causal && tied) b->c.sequence += (double)hidden * (double)pith_model_vocab_size(b->l.model);
    b->c.attention = 2 * (double)layers * (double)(dim ? heads * dim : hidden) * (b->c.causal ? 0.5 : 1);
    return bad ? -1 : 0;
}

typedef struct figure {
    const char *work;
    size_t sequences, length;
    double tokens;          /* of one run */
    double seconds[3];      /* of one run: least, median, most */
    double rate, limit;     /* in units, at the median */
    const char *unit;
    size_t runs;
} figure;

static void show(bench *b, const figure *f)
{
    double share = f->limit > 0 ? 100 * f->rate / f->limit : 0, per = f->tokens / f->seconds[1];
    switch (b->v->format) {
    case FORMAT_MD:
        if (!b->rows)
            printf("| work | sequences | length | tokens/s | (slowest - fastest) | sequences/s | rate | of the limit |\n|---|---|---|---|---|---|---|---|\n");
        printf("| %s | %zu | %zu | %.1f | %.1f - %.1f | %.2f | %.1f %s | %.0f%% |\n", f->work, f->sequences, f->length, per,
               f->tokens / f->seconds[2], f->tokens / f->seconds[0], (double)f->sequences / f->seconds[1], f->rate, f->unit, share);
        break;
    case FORMAT_CSV:
        if (!b->rows) printf("work,sequences,length,runs,seconds_min,seconds_median,seconds_max,tokens_per_second,rate,unit,limit,share\n");
        printf("%s,%zu,%zu,%zu,%.6f,%.6f,%.6f,%.2f,%.2f,%s,%.2f,%.4f\n", f->work, f->sequences, f->length, f->runs, f->seconds[0],
               f->seconds[1], f->seconds[2], per, f->rate, f->unit, f->limit, share / 100);
        break;
    default:
        printf("{\"work\":\"%s\",\"sequences\":%zu,\"length\":%zu,\"runs\":%zu,\"seconds\":[%.6f,%.6f,%.6f],\"tokens_per_second\":%.2f,"
               "\"rate\":%.2f,\"unit\":\"%s\",\"limit\":%.2f,\"share\":%.4f}\n", f->work, f->sequences, f->length, f->runs, f->seconds[0],
               f->seconds[1], f->seconds[2], per, f->rate, f->unit, f->limit, share / 100);
    }
    fflush(stdout);
    b->rows++;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { RUNS_MAX = 1000 };
/* One run of a figure: its seconds, or -1. */
typedef double run_fn(bench *b, figure *f, int round, pith_err *e);

static int repeat(bench *b, figure *f, run_fn *run, pith_err *e)
{
    double t[RUNS_MAX], end = clock_now() + b->v->seconds;
    if (run(b, f, 0, e) < 0) return -1; /* memory is touched, caches and clocks are warm */
    for (f->runs = 0; f->runs < RUNS_MAX && (f->runs < 3 || clock_now() < end); f->runs++)
        if ((t[f->runs] = run(b, f, (int)f->runs + 1, e)) < 0) return -1;
    qsort(t, f->runs, sizeof *t, by_value);
    f->seconds[0] = t[0], f->seconds[1] = t[f->runs / 2], f->seconds[2] = t[f->runs - 1];
    return 0;
}

/* Ids that differ from run to run, so that no cache of prefixes answers. */
static int32_t *random_ids(const bench *b, size_t n, int round, pith_err *e)
{
    int32_t *ids = malloc(n * sizeof *ids);
    if (!ids) return err_nomem(e, n * sizeof *ids, "token ids"), NULL;
    uint64_t seed = 0x2545f4914f6cdd1du + (uint64_t)round * 7919;
    for (size_t i = 0; i < n; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        ids[i] = (int32_t)(seed % pith_model_vocab_size(b->l.model));
    }
    return ids;
}

static double run_encoder(bench *b, figure *f, int round, pith_err *e)
{
    size_t labels = pith_model_n_labels(b->l.model), n = f->sequences * f->length;
    int32_t *ids = random_ids(b, n, round, e);
    pith_seq *seqs = calloc(f->sequences, sizeof *seqs);
    float *out = malloc((labels ? f->sequences * labels : n * pith_model_hidden_size(b->l.model)) * sizeof *out);
    double t = -1;
    if (ids && seqs && out) {
        for (size_t i = 0; i < f->sequences; i++) seqs[i] = (pith_seq){.ids = ids + i * f->length, .n = f->length};
        t = clock_now();
        t = pith_run(b->l.session, seqs, f->sequences, labels ? out : NULL, labels ? NULL : out, e) ? -1 : clock_now() - t;
    }
    free(ids), free(seqs), free(out);
    return t;
}

static int stop_never(void *ctx, const pith_token *t) { return (void)ctx, (void)t, 0; }

enum { DECODE_PROMPT = 16, CHAT_PROMPT = 32 };

/* Prompts of f->length tokens for "prefill"; else f->length new tokens after a short prompt: of "decode" only the steps
 * that write are timed, of "chats" everything. */
static double run_decoder(bench *b, figure *f, int round, pith_err *e)
{
    int decode = !strcmp(f->work, "decode"), chats = !strcmp(f->work, "chats");
    size_t prompt = decode ? DECODE_PROMPT : chats ? CHAT_PROMPT : f->length, fresh = decode ? f->length + 1 : chats ? f->length : 1;
    pith_generator *g = pith_generator_new(b->l.model, &(pith_generator_options){.context = prompt + fresh, .sequences = f->sequences, .chunk = prompt * f->sequences}, e);
    int bad = !g;
    for (size_t i = 0; i < f->sequences && !bad; i++) {
        int32_t *ids = random_ids(b, prompt, round * (int)f->sequences + (int)i, e);
        pith_request r = {.ids = ids, .n = prompt, .max_tokens = fresh, .ignore_eos = 1, .on_token = stop_never};
        r.sampling = (pith_sampling){.top_p = 1, .typical_p = 1, .repetition_penalty = 1};
        bad = !ids || pith_generator_add(g, &r, e);
        free(ids);
    }
    double t = clock_now();
    int more = bad ? -1 : 1;
    while (more > 0) more = pith_generator_step(g, e);
    t = clock_now() - t;
    pith_generator_stats s = {0};
    if (!more) s = pith_generator_statistics(g);
    pith_generator_free(g);
    if (more) return -1;
    if (!decode) return t;
    f->tokens = (double)s.decode_tokens;
    f->rate = (double)s.decode_bytes; /* of one run; a rate once the time is known */
    return s.decode_seconds;
}

static int compute_row(bench *b, figure f, run_fn *run, pith_err *e)
{
    f.tokens = (double)(f.sequences * f.length);
    if (repeat(b, &f, run, e)) return -1;
    double ops = 2 * (f.tokens * b->c.token + (double)f.sequences * b->c.sequence + f.tokens * (double)f.length * b->c.attention);
    f.rate = 1e-9 * ops / f.seconds[1];
    f.unit = b->c.quantised ? "GOP/s" : "GFLOP/s";
    f.limit = b->c.quantised ? b->most.int8 : b->most.fma;
    show(b, &f);
    return 0;
}

static int decode_row(bench *b, figure f, pith_err *e)
{
    if (repeat(b, &f, run_decoder, e)) return -1;
    f.rate = 1e-9 * f.rate / f.seconds[1];
    f.unit = "GB/s";
    f.limit = b->most.read;
    show(b, &f);
    return 0;
}

static int chats_row(bench *b, figure f, pith_err *e)
{
    double n = (double)f.sequences, length = (double)f.length, computed = n * (CHAT_PROMPT + length - 1);
    f.tokens = n * length;
    if (repeat(b, &f, run_decoder, e)) return -1;
    double ops = 2 * (computed * b->c.token + f.tokens * b->c.sequence + computed * (CHAT_PROMPT + length) * b->c.attention);
    f.rate = 1e-9 * ops / f.seconds[1];
    f.unit = b->c.quantised ? "GOP/s" : "GFLOP/s";
    f.limit = b->c.quantised ? b->most.int8 : b->most.fma;
    show(b, &f);
    return 0;
}

static int measure(bench *b, pith_err *e)
{
    static const size_t lengths[] = {32, 128, 256, 512}, batches[] = {1, 8, 32}, prompts[] = {128, 512};
    size_t positions = pith_model_max_positions(b->l.model);
    int quick = b->v->quick;
    for (size_t i = 0; i < 3 && !b->c.causal; i++)
        for (size_t j = 0; j < 4; j++)
            if (lengths[j] <= positions && (!quick || (i == 1 && j == 1)) &&
                compute_row(b, (figure){.work = "encode", .sequences = batches[i], .length = lengths[j]}, run_encoder, e))
                return -1;
    for (size_t j = 0; j < 2 && b->c.causal; j++)
        if (prompts[j] < positions && (!quick || j == 1) &&
            compute_row(b, (figure){.work = "prefill", .sequences = 1, .length = prompts[j]}, run_decoder, e))
            return -1;
    for (size_t i = 0; i < 2 && b->c.causal; i++)
        if ((!quick || i == 0) && positions > 160 && decode_row(b, (figure){.work = "decode", .sequences = batches[i], .length = 128}, e)) return -1;
    if (b->c.causal && !quick && positions > CHAT_PROMPT + 64)
        return chats_row(b, (figure){.work = "chats", .sequences = 32, .length = 64}, e);
    return 0;
}

static void show_limits(const bench *b)
{
    const limits *m = &b->most;
    char p[32], w[32];
    if (b->v->format == FORMAT_JSONL)
        printf("{\"work\":\"limits\",\"threads\":%d,\"vectors\":\"%s\",\"read_gb_s\":%.2f,\"fma_gflop_s\":%.1f,\"int8_gop_s\":%.1f,\"vector_int8_gop_s\":%.1f,\"kernels\":\"%s\",\"load_ms\":%.1f}\n",
               m->threads, m->vectors, m->read, m->fma, m->int8, m->vector_int8, pith_model_kernels(b->l.model), 1e3 * b->l.seconds);
    if (b->v->format != FORMAT_MD) return;
    printf("%s, %s parameters, %s in memory, kernels %s, %d thread%s, loaded in %.0f ms\n", pith_model_type(b->l.model),
           cli_count(pith_model_parameters(b->l.model), p), cli_bytes(pith_model_weight_bytes(b->l.model), w),
           pith_model_kernels(b->l.model), m->threads, m->threads == 1 ? "" : "s", 1e3 * b->l.seconds);
    printf("limits: %.1f GB/s read (%s), %.0f GFLOP/s (FMA, %s), %.0f GOP/s (%s)", m->read, m->walk, m->fma, m->vectors, m->int8,
           *m->dot ? m->dot : "8-bit products unknown");
    if (m->int8 > m->vector_int8) printf(", %.0f GOP/s (%s)", m->vector_int8, m->vector_dot);
    printf("\n\n");
}

static int bench_model(bench *b, pith_err *e)
{
    if (load_open(&b->l, &b->v->m, e)) return -1;
    b->most = limits_measure(pith_model_threads(b->l.model), b->v->seconds == 0);
    if (measure_cost(b, e)) return -1;
    show_limits(b);
    return measure(b, e);
}

/* A directory that does not exist yet, so that no model is overwritten. */
static int write_shape(const values *v, pith_err *e)
{
    if (mkdir(v->write, 0777)) return err_set(e, "%s: cannot be made (%s); give the name of a new directory", v->write, strerror(errno));
    return shapes_write(v->shape - 1, v->wide, v->write, e);
}

/* Where a model of random weights lies while it is measured. */
static char *make_shape(const values *v, pith_err *e)
{
    const char *tmp = getenv("TMPDIR");
    char *dir = path_join(tmp && *tmp ? tmp : "/tmp", "pith-bench-XXXXXX", e);
    if (!dir) return NULL;
    if (!mkdtemp(dir)) {
        err_set(e, "%s: cannot make a directory for the random weights (TMPDIR says where)", dir);
    } else {
        cli_note("writing random weights to %s", dir);
        if (!shapes_write(v->shape - 1, v->wide, dir, e)) return dir;
        rmdir(dir);
    }
    free(dir);
    return NULL;
}

static void remove_shape(char *dir)
{
    static const char *const names[] = {"config.json", "model.safetensors"};
    for (size_t i = 0; dir && i < 2; i++) {
        char *p = path_join(dir, names[i], NULL);
        if (p) unlink(p);
        free(p);
    }
    if (dir) rmdir(dir);
    free(dir);
}

static int run_bench(void *opts, int argc, char **argv)
{
    values *v = opts;
    bench b = {.v = v};
    pith_err e = {{0}};
    if (argc) return cli_usage("no arguments are expected; '%s' is one: give a model with -m", argv[0]);
    if (v->shape && v->m.model) return cli_usage("give either a model or a shape");
    if (v->write && !v->shape) return cli_usage("--write needs a --shape");
    if (v->write) return write_shape(v, &e) ? cli_error("%s", e.msg) : CLI_OK;
    char *dir = v->shape ? make_shape(v, &e) : NULL;
    if (dir) v->m.model = dir;
    else if (!v->m.model) v->m.model = "sentiment";
    int bad = (v->shape && !dir) || bench_model(&b, &e);
    load_close(&b.l);
    remove_shape(dir);
    return bad ? cli_error("%s", e.msg) : CLI_OK;
}

const cli_verb cmd_bench = {
    "bench", "[-m MODEL | --shape SHAPE]", "how fast a model runs, beside the machine's limits", notes, options,
    sizeof(values), run_bench,
};
