/* pith convert: checkpoints and safetensors files to safetensors, cast, split, merged, renamed. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/convert_config.h"
#include "cli/convert_out.h"
#include "cli/convert_write.h"
#include "cli/guard.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

typedef struct values {
    cli_globals g;
    cli_list include, exclude, rename, metadata;
    const char *max_shard, *key;
    int dtype, force, allow_overflow, no_mmap, json;
} values;

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Tensors", 0, 0, 0},
    {CLI_CHOICE, 0, "dtype", "keep|f32|f16|bf16", "keep", 0, "cast F64, F32, F16 and BF16 tensors, to nearest even; others stay", offsetof(values, dtype), 0, 0},
    {CLI_FLAG, 0, "allow-overflow", 0, 0, 0, "values too large for --dtype become infinite; else they are an error", offsetof(values, allow_overflow), 0, 0},
    {CLI_LIST, 0, "include", "GLOB", 0, 0, "only tensors of these names (may be given several times)", offsetof(values, include), 0, 0},
    {CLI_LIST, 0, "exclude", "GLOB", 0, 0, "no tensors of these names (several times)", offsetof(values, exclude), 0, 0},
    {CLI_LIST, 0, "rename", "OLD=NEW", 0, 0, "rename tensors; * in OLD is what * in NEW stands for (several times)", offsetof(values, rename), 0, 0},
    {CLI_STRING, 0, "key", "KEY", 0, 0, "where the tensors of a PyTorch checkpoint lie (state_dict, model, ...); default: found", offsetof(values, key), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_STRING, 0, "max-shard-size", "SIZE", 0, 0, "bytes of tensors in one file of a directory: 5GB, 500MiB, all [5GB]", offsetof(values, max_shard), 0, 0},
    {CLI_LIST, 0, "metadata", "KEY=VALUE", 0, 0, "add or replace metadata; KEY= removes it (several times)", offsetof(values, metadata), 0, 0},
    {CLI_FLAG, 0, "force", 0, 0, 0, "replace a file or model directory that is there", offsetof(values, force), 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "report as one JSON object", offsetof(values, json), 0, 0},
    {CLI_FLAG, 0, "no-mmap", 0, 0, 0, "read the source instead of mapping it (needs memory for all of it)", offsetof(values, no_mmap), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "SRC is a file (.safetensors, .bin, .pt, .pth), an index of shards, or a model directory. DST is a file, if its name\n"
    "ends in .safetensors, or else a directory, which is made: model.safetensors, or, above --max-shard-size,\n"
    "model-00001-of-0000N.safetensors with model.safetensors.index.json.\n"
    "\n"
    "  pith convert pytorch_model.bin model.safetensors\n"
    "  pith convert path/to/model model-bf16 --dtype bf16\n"
    "  pith convert path/to/model model-merged --max-shard-size all\n"
    "  pith convert bert.pt out.safetensors --key model --rename 'bert.*=*' --rename '*.gamma=*.weight' --exclude 'cls.*'\n"
    "\n"
    "Directory to directory: everything that is not weights comes along (config, tokenizer, templates, README, LICENSE),\n"
    "and the folders of sentence-transformers (1_Pooling, ...) and additional_chat_templates, as they are. Hidden files,\n"
    "other folders and other frameworks' weights do not. With --dtype, torch_dtype or dtype in config.json is changed;\n"
    "every other byte of it stays.\n"
    "\n"
    "GLOBs (* ? [a-z]; * takes dots too) and OLD are compared with whole names as SRC has them. --rename rules are applied\n"
    "in the order given, each to what the one before made: 'bert.*=*' takes a prefix away, '*.gamma=*.weight' changes an\n"
    "end, 'a=b' one name. A pattern that matches nothing is an error, and so are two tensors of one name.\n"
    "Metadata of SRC is kept; PyTorch checkpoints get format=pt. Tensors that share their memory (tied weights) are written\n"
    "once and noted in the metadata, unless config.json says \"tie_word_embeddings\": false.\n"
    "\n"
    "What is written is read again and compared with SRC, and only then appears under the name DST, at once: a run that\n"
    "fails, is interrupted or killed leaves DST as it was. What a killed run leaves in .pith-convert-* beside DST, the next\n"
    "one removes. --force replaces a directory only if it holds nothing but a model. DST may be SRC itself, with --force.\n";

typedef struct job {
    const values *v;
    const char *src, *dst;
    int from_directory;
    convert_plan_options asked;
    pith_weights *w;
    convert_plan plan;
    convert_files files;
    convert_config config;
    convert_out out;
    convert_write write;
} job;

static int is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* ---- before anything is written ---- */

static int read_options(job *j)
{
    static const char *const dtypes[] = {NULL, "F32", "F16", "BF16"};
    const values *v = j->v;
    pith_err e = {{0}};
    j->asked = (convert_plan_options){.dtype = dtypes[v->dtype], .include = v->include, .exclude = v->exclude,
                                      .rename = v->rename, .metadata = v->metadata};
    if (convert_plan_size(v->max_shard ? v->max_shard : "5GB", &j->asked.max_shard))
        return cli_usage("--max-shard-size: '%s' is not a size such as 5GB, 500MiB or all", v->max_shard);
    return convert_plan_check(&j->asked, &e) ? cli_usage("%s", e.msg) : 0;
}

/* config.json of a directory, or beside a file. */
static int read_config(job *j, pith_err *e)
{
    if (j->from_directory) return convert_config_read(&j->config, j->src, e);
    const char *slash = strrchr(j->src, '/');
    char *dir = slash ? strndup(j->src, (size_t)(slash - j->src) + 1) : strdup(".");
    int bad = dir ? convert_config_read(&j->config, dir, e) : err_nomem(e, strlen(j->src), "a path");
    free(dir);
    return bad;
}

static int shares(const pith_weights *w)
{
    for (size_t i = 0; i < pith_weights_count(w); i++)
        if (pith_weights_same(w, i) != i) return 1;
    return 0;
}

static int changes_floats(const job *j)
{
    for (size_t i = 0; i < j->plan.n; i++)
        if (convert_plan_float(j->plan.items[i].dtype)) return j->asked.dtype != NULL;
    return 0;
}

/* What pith_quantize wrote. */
static int is_packed(const pith_weights *w)
{
    const char *key, *value;
    for (size_t f = 0; f < pith_weights_files(w); f++)
        for (size_t i = 0; i < pith_weights_metadata_count(w, f); i++)
            if (!pith_weights_metadata(w, f, i, &key, &value) && !strcmp(key, "pith.layout")) return 1;
    return 0;
}

static int prepare(job *j, pith_err *e)
{
    const values *v = j->v;
    j->from_directory = is_directory(j->src);
    if (convert_out_target(&j->out, j->dst, j->src, v->force, e)) return -1;
    guard_mapped(guard_path, j->src);
    j->w = pith_weights_open(j->src, &(pith_weights_options){.no_mmap = v->no_mmap, .key = v->key}, e);
    if (!j->w) return -1;
    guard_mapped(guard_weights, j->w);
    if (is_packed(j->w))
        return err_set(e, "%.700s: is packed by `pith quantize`, and its tensors mean nothing elsewhere; convert the model it was made "
                          "from, or copy it as it is", j->src);
    if (v->key && strcmp(pith_weights_format(j->w), "PyTorch") != 0)
        return err_set(e, "%.700s: is %s, and --key is about PyTorch checkpoints", j->src, pith_weights_format(j->w));
    for (size_t i = 0; i < pith_weights_warnings(j->w); i++) cli_note("warning: %s", pith_weights_warning(j->w, i));
    if (j->from_directory && !j->out.file && convert_files_list(&j->files, j->src, e)) return -1;
    if (j->out.replaces && convert_files_replaceable(j->out.path, &j->files, e)) return -1;
    if (read_config(j, e)) return -1;
    if (shares(j->w)) {
        int untied = convert_config_untied(&j->config, e);
        if (untied < 0) return -1;
        j->asked.keep_copies = untied;
    }
    if (j->out.file && v->max_shard && j->asked.max_shard != UINT64_MAX)
        return err_set(e, "%.700s: is one file, and --max-shard-size makes several: give a directory", j->dst);
    if (j->out.file) j->asked.max_shard = UINT64_MAX;
    if (convert_plan_make(&j->plan, j->w, &j->asked, e)) return -1;
    return j->files.n && changes_floats(j) ? convert_config_set_dtype(&j->config, j->asked.dtype, e) : 0;
}

/* ---- writing ---- */

static int copy_files(job *j, pith_err *e)
{
    for (size_t i = 0; i < j->files.n; i++) {
        if (guard_interrupted()) return 1;
        int edited = j->config.changed && strcmp(j->files.names[i], "config.json") == 0;
        if (edited ? convert_files_put(j->out.place, "config.json", j->config.text, j->config.len, e)
                   : convert_files_copy(&j->files, i, j->src, j->out.place, e))
            return -1;
    }
    return 0;
}

static void tell_speed(const job *j, double seconds)
{
    char n[32], rate[32], peak[32];
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double s = seconds > 1e-9 ? seconds : 1e-9;
    cli_detail("%s written and compared in %.3f s: %s/s; peak memory %s", cli_bytes(j->plan.nbytes, n), seconds,
               cli_bytes((uint64_t)((double)j->plan.nbytes / s), rate), cli_bytes((uint64_t)use.ru_maxrss * 1024, peak));
}

/* 0; 1: interrupted; -1. */
static int carry_out(job *j, pith_err *e)
{
    convert_write *c = &j->write;
    *c = (convert_write){.from = j->w, .plan = &j->plan, .file = j->out.file, .allow_overflow = j->v->allow_overflow};
    c->overflow = calloc(j->plan.n, sizeof *c->overflow);
    if (!c->overflow) return err_nomem(e, j->plan.n * sizeof *c->overflow, "the plan");
    if (convert_out_begin(&j->out, e)) return -1;
    c->dir = j->out.place;
    progress_start(&c->progress, "MB", 0);
    int status = convert_write_files(c, e);
    if (!status) status = copy_files(j, e);
    if (!status) status = convert_write_compare(c, e);
    progress_clear(&c->progress);
    convert_write_end(c);
    if (!status && guard_interrupted()) status = 1;
    if (status) return status;
    double start = c->progress.start, compared = clock_now();
    status = convert_out_commit(&j->out, j->v->force, &j->files, e);
    if (!status) tell_speed(j, compared - start);
    if (status == 1) cli_note("%s", e->msg);
    return status < 0 ? -1 : 0;
}

/* ---- report ---- */

typedef struct type_sum {
    const char *dtype;
    uint64_t tensors, bytes;
} type_sum;

enum { TYPES = 64 }; /* safetensors has 22 */

static void add_type(type_sum *types, size_t *n, const char *dtype, uint64_t bytes)
{
    size_t i = 0;
    while (i < *n && strcmp(types[i].dtype, dtype) != 0) i++;
    if (i == TYPES) return;
    if (i == *n) types[(*n)++] = (type_sum){.dtype = dtype};
    types[i].tensors++;
    types[i].bytes += bytes;
}

/* Of the source, or of what was written; *bytes: all of it. */
static size_t sum_types(const job *j, int written, type_sum *types, uint64_t *bytes)
{
    size_t n = 0;
    *bytes = 0;
    for (size_t i = 0; i < (written ? j->plan.n : pith_weights_count(j->w)); i++) {
        pith_tensor t = {0};
        if (!written) pith_weights_at(j->w, i, &t);
        uint64_t size = written ? j->plan.items[i].nbytes : t.nbytes;
        add_type(types, &n, written ? j->plan.items[i].dtype : t.dtype, size);
        *bytes += size;
    }
    return n;
}

static const char *plural(uint64_t n) { return n == 1 ? "" : "s"; }

static void put_side(const job *j, int written)
{
    type_sum types[TYPES];
    uint64_t bytes, tensors = written ? j->plan.n : pith_weights_count(j->w), files = written ? j->plan.n_shards : pith_weights_files(j->w);
    char a[32], b[32];
    size_t n = sum_types(j, written, types, &bytes);
    printf("%-8s %s tensor%s, %s in %llu file%s", written ? "wrote" : "read", cli_count(tensors, a), plural(tensors), cli_bytes(bytes, b), (unsigned long long)files, plural(files));
    if (!written) printf(" (%s%s%s)", pith_weights_format(j->w), *pith_weights_key(j->w) ? ", " : "", pith_weights_key(j->w));
    for (size_t i = 0; i < n; i++) printf("%s%s %s", i ? ", " : ": ", types[i].dtype, cli_count(types[i].tensors, a));
    putchar('\n');
}

static void put_text(const job *j)
{
    char a[32];
    const convert_plan *p = &j->plan;
    put_side(j, 0);
    put_side(j, 1);
    if (p->n_dropped) printf("left out %s tensor%s by --include and --exclude\n", cli_count(p->n_dropped, a), plural(p->n_dropped));
    if (p->n_aliases) printf("shared   %s tensor%s that others are the same memory as, written once\n", cli_count(p->n_aliases, a), plural(p->n_aliases));
    if (j->files.n) printf("copied   %s file%s beside the weights%s\n", cli_count(j->files.n, a), plural(j->files.n), j->config.changed ? "; config.json tells the new dtype" : "");
    printf("compared every tensor with the source; the result is ");
    cli_put_text(stdout, j->dst, strlen(j->dst), 0);
    putchar('\n');
}

static void put_string(const char *s) { json_put_str(stdout, s, strlen(s)); }

static void put_list(const char *name, char *const *items, size_t n)
{
    printf(",\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        if (i) putchar(',');
        put_string(items[i]);
    }
    putchar(']');
}

static void put_types(const job *j, int written)
{
    type_sum types[TYPES];
    uint64_t bytes;
    size_t n = sum_types(j, written, types, &bytes);
    printf(",\"dtypes\":{");
    for (size_t i = 0; i < n; i++) {
        if (i) putchar(',');
        put_string(types[i].dtype);
        printf(":{\"tensors\":%llu,\"bytes\":%llu}", (unsigned long long)types[i].tensors, (unsigned long long)types[i].bytes);
    }
    printf("},\"bytes\":%llu}", (unsigned long long)bytes);
}

static void put_pairs(const job *j)
{
    const convert_plan *p = &j->plan;
    int comma = 0;
    fputs(",\"shared\":{", stdout);
    for (size_t i = 0; i < p->n_aliases; i++) {
        if (i) putchar(',');
        put_string(p->aliases[2 * i]);
        putchar(':');
        put_string(p->aliases[2 * i + 1]);
    }
    fputs("},\"overflow\":{", stdout);
    for (size_t i = 0; i < p->n; i++) {
        if (!j->write.overflow[i]) continue;
        if (comma++) putchar(',');
        put_string(p->items[i].name);
        printf(":%llu", (unsigned long long)j->write.overflow[i]);
    }
    putchar('}');
}

static void put_json(const job *j)
{
    fputs("{\"source\":{\"path\":", stdout);
    put_string(j->src);
    fputs(",\"format\":", stdout);
    put_string(pith_weights_format(j->w));
    fputs(",\"key\":", stdout);
    put_string(pith_weights_key(j->w));
    printf(",\"files\":%zu,\"tensors\":%zu", pith_weights_files(j->w), pith_weights_count(j->w));
    put_types(j, 0);
    fputs(",\"target\":{\"path\":", stdout);
    put_string(j->dst);
    printf(",\"files\":%zu,\"tensors\":%zu", j->plan.n_shards, j->plan.n);
    put_types(j, 1);
    printf(",\"left_out\":%zu", j->plan.n_dropped);
    put_pairs(j);
    put_list("copied", j->files.names, j->files.n);
    put_list("not_copied", j->files.left, j->files.n_left);
    printf(",\"config_changed\":%s,\"compared\":true}\n", j->config.changed ? "true" : "false");
}

/* What a user may not expect. */
static void remark(const job *j)
{
    char n[32];
    for (size_t i = 0; i < j->plan.n; i++)
        if (j->write.overflow[i])
            cli_note("%s: %s values became infinite as %s", j->plan.items[i].name, cli_count(j->write.overflow[i], n), j->plan.items[i].dtype);
    for (size_t i = 0; i < j->plan.n_aliases; i++)
        cli_note("%s is the same memory as %s: written once, noted in the metadata", j->plan.aliases[2 * i], j->plan.aliases[2 * i + 1]);
    for (size_t i = 0; i < j->files.n_left; i++) cli_note("%s is not taken along; copy it if it is needed", j->files.left[i]);
}

/* ---- */

static void drop(job *j)
{
    guard_mapped(NULL, NULL);
    convert_out_close(&j->out);
    convert_plan_free(&j->plan);
    convert_files_free(&j->files);
    convert_config_free(&j->config);
    convert_write_end(&j->write);
    free(j->write.overflow);
    pith_weights_close(j->w);
}

static int run_convert(void *opts, int argc, char **argv)
{
    pith_err e = {{0}};
    job j = {.v = opts, .out = {.fd = -1}};
    if (argc < 2) return cli_usage(argc ? "no DST: give a file that ends in .safetensors, or a directory" : "no SRC and DST: give a file or a directory, and where to write");
    if (argc > 2) return cli_usage("SRC and DST are all; '%s' is one too many", argv[2]);
    j.src = argv[0], j.dst = argv[1];
    int bad = read_options(&j);
    if (bad) return bad;
    guard_catch(GUARD_CATCH);
    int status = prepare(&j, &e);
    if (!status) status = guard_interrupted() ? 1 : carry_out(&j, &e);
    if (status < 0) convert_out_say(&j.out, &e);
    if (status < 0) cli_error("%s", e.msg);
    if (!status) {
        remark(&j);
        if (j.v->json) put_json(&j);
        else put_text(&j);
    }
    drop(&j);
    guard_catch(GUARD_END);
    return status == 1 ? CLI_INTERRUPTED : status ? CLI_FAILED : CLI_OK;
}

const cli_verb cmd_convert = {
    "convert", "[options] SRC DST", "PyTorch and safetensors weights to safetensors: cast, split, merge, rename", notes, options, sizeof(values), run_convert,
};
