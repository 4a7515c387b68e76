/* pith quantize: a model directory packed ahead of time, as the engine computes with it. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/convert_out.h"
#include "cli/guard.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/path.h"
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

typedef struct values {
    cli_globals g;
    int type, force;
} values;

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Weights", 0, 0, 0},
    {CLI_CHOICE, 0, "type", "q8|q4|keep", "q8", 0, "8.125 or 4.5 bits a weight, or as precise as they are", offsetof(values, type), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "force", 0, 0, 0, "replace a model directory that is there", offsetof(values, force), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "DST computes what SRC computes with --dtype TYPE (keep: without), to the bit, and opens by mapping: nothing is left to\n"
    "pack at the start. Only pith reads it. q8: 8 bits and a scale for each 128 weights. q4: 4 bits, a scale for\n"
    "each 128, a step and a zero for each 32. Embeddings, norms, biases and matrices of fewer than 32 outputs stay as they are.\n"
    "Everything in SRC that is not weights comes along, as with `pith convert`. DST appears when it is complete.\n"
    "\n"
    "  pith quantize path/to/model model-q8\n"
    "  pith quantize path/to/model model-packed --type keep\n";

typedef struct job {
    const char *src, *dst;
    convert_files files;
    convert_out out;
} job;

static int stop(void *ctx)
{
    (void)ctx;
    return guard_interrupted();
}

/* 0; 1: interrupted; -1. */
static int fill(job *j, const char *type, pith_err *e)
{
    char *path = path_join(j->out.place, "model.safetensors", e);
    int status = path ? pith_quantize(j->src, type, path, &(pith_quantize_options){.stop = stop}, e) : -1;
    free(path);
    for (size_t i = 0; i < j->files.n && !status; i++)
        status = guard_interrupted() ? 1 : convert_files_copy(&j->files, i, j->src, j->out.place, e);
    if (status) return status;
    pith_model *m = pith_model_open(j->out.place, NULL, e); /* it opens, or it does not become the target */
    pith_model_close(m);
    return !m ? -1 : guard_interrupted();
}

static int quantize(job *j, const values *v, pith_err *e)
{
    static const char *const types[] = {"q8", "q4", "keep"};
    struct stat st;
    if (stat(j->src, &st) || !S_ISDIR(st.st_mode)) return err_set(e, "%.700s: no such model directory", j->src);
    if (convert_out_target(&j->out, j->dst, j->src, v->force, e)) return -1;
    if (j->out.file) return err_set(e, "%.700s: names a file, but a model is a directory", j->dst);
    if (convert_files_list(&j->files, j->src, e)) return -1;
    if (j->out.replaces && convert_files_replaceable(j->out.path, &j->files, e)) return -1;
    guard_mapped(guard_path, j->src);
    if (convert_out_begin(&j->out, e)) return -1;
    int status = fill(j, types[v->type], e);
    if (!status) status = convert_out_commit(&j->out, v->force, &j->files, e) < 0 ? -1 : 0;
    return status;
}

static int weights_size(const char *dir, uint64_t *all, pith_err *e)
{
    pith_weights *w = pith_weights_open(dir, &(pith_weights_options){.header_only = 1}, e);
    uint64_t size = 0;
    *all = 0;
    for (size_t i = 0; w && i < pith_weights_files(w); i++, *all += size) pith_weights_file(w, i, &size);
    pith_weights_close(w);
    return w ? 0 : -1;
}

static int run_quantize(void *opts, int argc, char **argv)
{
    const values *v = opts;
    pith_err e = {{0}};
    char a[32], b[32];
    if (argc != 2) return cli_usage("two paths are expected: a model directory, and the one to make");
    job j = {.src = argv[0], .dst = argv[1], .out = {.fd = -1}};
    guard_catch(GUARD_CATCH);
    pith_err why = {{0}};
    uint64_t before, after;
    int unknown = weights_size(j.src, &before, &why); /* a source that is at fault is told by quantize */
    double start = clock_now();
    int status = quantize(&j, v, &e);
    if (status < 0) convert_out_say(&j.out, &e);
    guard_mapped(NULL, NULL);
    convert_out_close(&j.out);
    convert_files_free(&j.files);
    if (status < 0) return cli_error("%s", e.msg);
    if (status) return CLI_INTERRUPTED;
    if (unknown || weights_size(j.dst, &after, &why)) return cli_error("%.400s is written, but how large its weights are is not known: %s", j.dst, why.msg);
    printf("%s of weights became %s in ", cli_bytes(before, a), cli_bytes(after, b));
    cli_put_text(stdout, j.dst, strlen(j.dst), 0);
    putchar('\n');
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    cli_detail("packed, written and opened in %.3f s; peak memory %s", clock_now() - start, cli_bytes((uint64_t)use.ru_maxrss * 1024, a));
    return CLI_OK;
}

const cli_verb cmd_quantize = {
    "quantize", "[--type q8|q4|keep] SRC DST", "packs a model ahead of time: smaller, faster, opened by mapping", notes,
    options, sizeof(values), run_quantize,
};
