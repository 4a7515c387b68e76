/* pith inspect: what is in weight files. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/diff.h"
#include "cli/guard.h"
#include "cli/histogram.h"
#include "cli/html.h"
#include "cli/progress.h"
#include "cli/tree.h"
#include "base/checked.h"
#include "base/err.h"
#include "base/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    int json, stats, no_mmap, diff, tree;
    uint64_t depth, bins;
    const char *histogram, *html;
} values;

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "stats", 0, 0, 0, "minimum, maximum, mean, NaN and infinities of every tensor (reads all of it)",
     offsetof(values, stats), 0, 0},
    {CLI_FLAG, 0, "tree", 0, 0, 0, "modules instead of tensors: parameters, bytes and share of each; with --json both",
     offsetof(values, tree), 0, 0},
    {CLI_SIZE, 0, "depth", "N", 0, 0, "levels of --tree to show; default: 32", offsetof(values, depth), 1, TREE_MOST},
    {CLI_FLAG, 0, "diff", 0, 0, 0, "what differs between A and B: tensors, shapes, dtypes, values, metadata",
     offsetof(values, diff), 0, 0},
    {CLI_STRING, 0, "histogram", "TENSOR", 0, 0, "how the values of one tensor are spread", offsetof(values, histogram), 0, 0},
    {CLI_SIZE, 0, "bins", "N", 0, 0, "bars of --histogram; default: 20", offsetof(values, bins), 1, 10000},
    {CLI_OUTPUT, 0, "html", "FILE", 0, 0, "one self-contained page: tensors, modules, histograms", offsetof(values, html), 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object", offsetof(values, json), 0, 0},
    {CLI_FLAG, 0, "no-mmap", 0, 0, 0, "read the files instead of mapping them", offsetof(values, no_mmap), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "PATH is a .safetensors file, a .safetensors.index.json, a PyTorch checkpoint (.bin, .pt, .pth), its .bin.index.json,\n"
    "or a directory that holds one of them. Every rule of the format is checked; exit status 0 means that all hold. A\n"
    "checkpoint is read as data: nothing in it is ever run.\n"
    "\n"
    "--tree: a dot in a name opens a module. Numbered modules in a row that hold the same names, shapes and dtypes are\n"
    "one line, \"0 - 5 (6 x)\"; figures there and below are sums over all of them.\n"
    "\n"
    "--diff: numbers are compared exactly, whatever the dtypes. NaN equals NaN; 0 and -0 differ. \"max |a|\" is the largest\n"
    "magnitude in A's tensor. Exit status 0: A and B hold the same tensors (metadata may differ, and is told); 1: they do\n"
    "not, or one cannot be read. -v lists equal tensors too.\n"
    "\n"
    "--histogram: bins are of one width. They end early where a few far values would leave nothing to see of the rest;\n"
    "those are counted as below and above. With --json: lo, hi, counts of the bins between them, below, above.\n"
    "\n"
    "--html: the page holds a histogram of every tensor, sizes by module and metadata. It works from disk and loads\n"
    "nothing; - is stdout.\n"
    "\n"
    "  pith inspect model.safetensors\n"
    "  pith inspect --stats --json path/to/model\n"
    "  pith inspect --tree --depth 3 path/to/model\n"
    "  pith inspect --diff path/to/model fine-tuned.safetensors\n"
    "  pith inspect --histogram lm_head.weight path/to/model\n"
    "  pith inspect --html page.html path/to/model\n";

typedef struct type_sum {
    const char *dtype;
    uint64_t tensors, elements, bytes;
} type_sum;

typedef struct summary {
    type_sum *types;
    size_t n_types;
    uint64_t elements, bytes;
    int name_width, dtype_width, shape_width, bytes_width;
    char *shape; /* [shape_cap] where a shape is written, which so cannot fail */
    size_t shape_cap;
} summary;

static uint64_t elements(const pith_tensor *t)
{
    uint64_t n = 0;
    return checked_product(t->shape, t->rank, &n) ? 0 : n; /* the reader refused what overflows */
}

/* Room in s->shape for the longest. */
static int shape_room(summary *s, const pith_tensor *t, pith_err *e)
{
    size_t need = t->rank * 22 + 4;
    if (need <= s->shape_cap) return 0;
    char *p = realloc(s->shape, need);
    if (!p) return err_nomem(e, need, "a shape");
    s->shape = p;
    s->shape_cap = need;
    return 0;
}

static const char *shape_text(const pith_tensor *t, const summary *s)
{
    size_t n = 0;
    s->shape[n++] = '[';
    for (size_t i = 0; i < t->rank; i++)
        n += (size_t)snprintf(s->shape + n, s->shape_cap - n, "%s%llu", i ? "," : "", (unsigned long long)t->shape[i]);
    snprintf(s->shape + n, s->shape_cap - n, "]");
    return s->shape;
}

static int add_type(summary *s, const pith_tensor *t, pith_err *e)
{
    size_t i = 0;
    while (i < s->n_types && strcmp(s->types[i].dtype, t->dtype) != 0) i++;
    if (i == s->n_types) {
        type_sum *p = realloc(s->types, (i + 1) * sizeof *p);
        if (!p) return err_nomem(e, (i + 1) * sizeof *p, "dtypes");
        s->types = p;
        s->types[s->n_types++] = (type_sum){.dtype = t->dtype};
    }
    uint64_t n = elements(t);
    s->types[i].tensors++;
    s->types[i].elements += n;
    s->types[i].bytes += t->nbytes;
    s->elements += n;
    s->bytes += t->nbytes;
    return 0;
}

static int wider(int width, size_t n, int most) { return (int)n > width && n <= (size_t)most ? (int)n : width; }

static int summarize(const pith_weights *w, summary *s, pith_err *e)
{
    char b[32];
    s->name_width = 4, s->dtype_width = 5, s->shape_width = 5, s->bytes_width = 5;
    for (size_t i = 0; i < pith_weights_count(w); i++) {
        pith_tensor t;
        pith_weights_at(w, i, &t);
        if (add_type(s, &t, e) || shape_room(s, &t, e)) return -1;
        s->name_width = wider(s->name_width, strlen(t.name), 72);
        s->dtype_width = wider(s->dtype_width, strlen(t.dtype), 16);
        s->shape_width = wider(s->shape_width, strlen(shape_text(&t, s)), 40);
        s->bytes_width = wider(s->bytes_width, strlen(cli_count(t.nbytes, b)), 32);
    }
    return 0;
}

/* Reading every element of a large model takes a while. */
static void advance(progress *p, const pith_weights *w, size_t i, const summary *s, uint64_t *bytes)
{
    pith_tensor t;
    pith_weights_at(w, i, &t);
    *bytes += t.nbytes;
    progress_update(p, i + 1, s->bytes ? (double)*bytes / (double)s->bytes : 1);
}

/* ---- table ---- */

static void put_stats(const pith_weights *w, size_t i)
{
    pith_tensor_stats st;
    pith_err none = {{0}};
    char n[32], m[32];
    if (pith_weights_stats(w, i, &st, &none)) {
        printf("  %11s %11s %11s %8s %8s", "-", "-", "-", "-", "-");
        return;
    }
    if (isnan(st.min)) printf("  %11s %11s %11s", "-", "-", "-");
    else printf("  %11.4g %11.4g %11.4g", st.min, st.max, st.mean);
    printf(" %8s %8s", cli_count(st.n_nan, n), cli_count(st.n_inf, m));
    if (st.n_denormal) printf("  %s denormal", cli_count(st.n_denormal, n));
}

static void put_row(const pith_weights *w, size_t i, const summary *s, int stats)
{
    pith_tensor t;
    char b[32];
    pith_weights_at(w, i, &t);
    size_t len = strlen(t.name);
    cli_put_text(stdout, t.name, len, 0);
    printf("%*s  %-*s  %-*s  %*s", (int)len < s->name_width ? s->name_width - (int)len : 0, "", s->dtype_width, t.dtype,
           s->shape_width, shape_text(&t, s), s->bytes_width, cli_count(t.nbytes, b));
    if (stats) put_stats(w, i);
    putchar('\n');
}

static void put_totals(const pith_weights *w, const summary *s)
{
    char a[32], b[32], c[32];
    for (size_t f = 0; f < pith_weights_files(w); f++)
        for (size_t k = 0; k < pith_weights_metadata_count(w, f); k++) {
            const char *key, *value;
            if (pith_weights_metadata(w, f, k, &key, &value)) continue;
            fputs(f + k == 0 ? "\nmetadata  " : "metadata  ", stdout);
            cli_put_text(stdout, key, strlen(key), 0);
            fputs(" = ", stdout);
            cli_put_text(stdout, value, strlen(value), 200);
            putchar('\n');
        }
    putchar('\n');
    for (size_t i = 0; i < s->n_types; i++)
        printf("%-*s  %9s tensors  %15s elements  %9s\n", s->dtype_width, s->types[i].dtype,
               cli_count(s->types[i].tensors, a), cli_count(s->types[i].elements, b), cli_bytes(s->types[i].bytes, c));
    printf("%-*s  %9s tensors  %15s elements  %9s in %zu file%s\n", s->dtype_width, "total",
           cli_count(pith_weights_count(w), a), cli_count(s->elements, b), cli_bytes(s->bytes, c), pith_weights_files(w),
           pith_weights_files(w) == 1 ? "" : "s");
}

static void put_table(const pith_weights *w, const summary *s, int stats)
{
    printf("%-*s  %-*s  %-*s  %*s", s->name_width, "name", s->dtype_width, "dtype", s->shape_width, "shape",
           s->bytes_width, "bytes");
    if (stats) printf("  %11s %11s %11s %8s %8s", "min", "max", "mean", "NaN", "Inf");
    putchar('\n');
    progress p;
    uint64_t bytes = 0;
    progress_start(&p, "tensors", isatty(STDOUT_FILENO));
    for (size_t i = 0; i < pith_weights_count(w); i++) {
        put_row(w, i, s, stats);
        advance(&p, w, i, s, &bytes);
    }
    progress_clear(&p);
    put_totals(w, s);
}

/* ---- JSON ---- */

static void put_string(const char *s) { json_put_str(stdout, s, strlen(s)); }

static void put_files(const pith_weights *w)
{
    fputs("{\"files\":[", stdout);
    for (size_t f = 0; f < pith_weights_files(w); f++) {
        uint64_t size = 0;
        fputs(f ? ",{\"file\":" : "{\"file\":", stdout);
        put_string(pith_weights_file(w, f, &size));
        printf(",\"bytes\":%llu,\"metadata\":{", (unsigned long long)size);
        for (size_t k = 0; k < pith_weights_metadata_count(w, f); k++) {
            const char *key, *value;
            if (pith_weights_metadata(w, f, k, &key, &value)) continue;
            if (k) putchar(',');
            put_string(key);
            putchar(':');
            put_string(value);
        }
        fputs("}}", stdout);
    }
    fputs("]", stdout);
}

static void put_tensor(const pith_weights *w, size_t i, int stats)
{
    pith_tensor t;
    pith_tensor_stats st;
    pith_err none = {{0}};
    pith_weights_at(w, i, &t);
    fputs(i ? ",\n{\"name\":" : "\n{\"name\":", stdout);
    put_string(t.name);
    fputs(",\"dtype\":", stdout);
    put_string(t.dtype);
    fputs(",\"shape\":[", stdout);
    for (size_t k = 0; k < t.rank; k++) printf("%s%llu", k ? "," : "", (unsigned long long)t.shape[k]);
    printf("],\"bytes\":%llu,\"file\":%zu,\"offset\":%llu", (unsigned long long)t.nbytes, t.file,
           (unsigned long long)t.offset);
    if (stats && pith_weights_stats(w, i, &st, &none)) {
        fputs(",\"stats\":null", stdout);
    } else if (stats) {
        fputs(",\"stats\":{\"min\":", stdout);
        json_put_f64(stdout, st.min);
        fputs(",\"max\":", stdout);
        json_put_f64(stdout, st.max);
        fputs(",\"mean\":", stdout);
        json_put_f64(stdout, st.mean);
        printf(",\"nan\":%llu,\"inf\":%llu,\"zero\":%llu,\"denormal\":%llu}", (unsigned long long)st.n_nan,
               (unsigned long long)st.n_inf, (unsigned long long)st.n_zero, (unsigned long long)st.n_denormal);
    }
    putchar('}');
}

static void put_json(const pith_weights *w, const summary *s, int stats, const tree *modules)
{
    put_files(w);
    fputs(",\n\"tensors\":[", stdout);
    progress p;
    uint64_t bytes = 0;
    progress_start(&p, "tensors", isatty(STDOUT_FILENO));
    for (size_t i = 0; i < pith_weights_count(w); i++) {
        put_tensor(w, i, stats);
        advance(&p, w, i, s, &bytes);
    }
    progress_clear(&p);
    putchar(']');
    if (modules) {
        fputs(",\n\"modules\":", stdout);
        tree_put_json(modules);
    }
    fputs(",\n\"dtypes\":{", stdout);
    for (size_t i = 0; i < s->n_types; i++) {
        if (i) putchar(',');
        put_string(s->types[i].dtype);
        printf(":{\"tensors\":%llu,\"elements\":%llu,\"bytes\":%llu}", (unsigned long long)s->types[i].tensors,
               (unsigned long long)s->types[i].elements, (unsigned long long)s->types[i].bytes);
    }
    printf("},\n\"parameters\":%llu,\"bytes\":%llu,\"warnings\":[", (unsigned long long)s->elements,
           (unsigned long long)s->bytes);
    for (size_t i = 0; i < pith_weights_warnings(w); i++) {
        if (i) putchar(',');
        put_string(pith_weights_warning(w, i));
    }
    fputs("]}\n", stdout);
}

static int usage(const values *v, int argc, char **argv)
{
    if (argc == 0) return cli_usage("no path: give a file or a directory");
    if (v->diff && (v->stats || v->tree)) return cli_usage("--diff goes with neither --stats nor --tree");
    if (v->diff && argc != 2) return cli_usage("--diff compares two paths, %d given", argc);
    if (!v->diff && argc > 1) return cli_usage("one path at a time; '%s' is one too many (--diff compares two)", argv[1]);
    if (v->stats && v->tree && !v->json) return cli_usage("--stats is told of tensors, --tree shows modules; --json gives both");
    if (v->histogram && (v->stats || v->tree || v->diff)) return cli_usage("--histogram goes without --stats, --tree and --diff");
    if (v->html && (v->histogram || v->json || v->stats || v->tree || v->diff))
        return cli_usage("--html goes without --histogram, --json, --stats, --tree and --diff");
    if (v->bins && !v->histogram) return cli_usage("--bins goes with --histogram");
    if (v->depth && !v->tree) return cli_usage("--depth goes with --tree");
    return 0;
}

static int run_inspect(void *opts, int argc, char **argv)
{
    const values *v = opts;
    summary s = {0};
    tree t = {0};
    pith_err e = {{0}};
    if (usage(v, argc, argv)) return CLI_USAGE;
    if (v->diff) return diff_run(argv[0], argv[1], v->no_mmap, v->json);
    guard_mapped(guard_path, argv[0]);
    const int reads = v->stats || v->histogram || v->html;
    pith_weights *w = pith_weights_open(argv[0], &(pith_weights_options){.no_mmap = v->no_mmap, .header_only = !reads}, &e);
    if (w) guard_mapped(guard_weights, w);
    int bad = !w || summarize(w, &s, &e) || (v->tree && tree_build(&t, w, v->depth ? (size_t)v->depth : TREE_DEPTH, &e));
    if (!bad && v->histogram) bad = histogram_show(w, argv[0], v->histogram, v->bins ? (size_t)v->bins : 20, v->json, &e);
    else if (!bad && v->html) bad = html_write(w, argv[0], v->html, &e);
    else if (!bad && v->json) put_json(w, &s, v->stats, v->tree ? &t : NULL);
    else if (!bad && v->tree) tree_put(&t);
    else if (!bad) put_table(w, &s, v->stats);
    if (bad) cli_error("%s", e.msg);
    for (size_t i = 0; !bad && !v->json && i < pith_weights_warnings(w); i++)
        cli_note("warning: %s", pith_weights_warning(w, i));
    guard_mapped(NULL, NULL);
    tree_free(&t);
    pith_weights_close(w);
    free(s.types);
    free(s.shape);
    return bad ? CLI_FAILED : CLI_OK;
}

const cli_verb cmd_inspect = {
    "inspect", "[--stats | --tree [--depth N]] [--json] PATH\n--diff [--json] A B\n--histogram TENSOR [--bins N] [--json] PATH\n--html FILE PATH",
    "the tensors of weight files: names, dtypes, shapes, bytes, metadata", notes,
    options, sizeof(values), run_inspect,
};
