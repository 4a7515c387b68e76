/* pith verify: are these weights what they should be? The library looks at the files; the forward is made here. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/findings.h"
#include "cli/guard.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "base/clock.h"
#include "base/err.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    cli_list against, skip;
    const char *manifest, *record, *prompts;
    double tolerance;
    int json, force, no_forward;
} values;

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Expectations", 0, 0, 0},
    {CLI_INPUTS, 0, "against", "FILE", 0, 0, "compare with a manifest or replay a recording; its \"kind\" tells which; may be given several times",
     offsetof(values, against), 0, 0},
    {CLI_OUTPUT, 0, "manifest", "FILE", 0, 0, "write a manifest: sha256 of files, xxh3 of tensors and their blocks", offsetof(values, manifest), 0, 0},
    {CLI_OUTPUT, 0, "record", "FILE", 0, 0, "write a recording: prompts with token ids, logits, labels or greedy text", offsetof(values, record), 0, 0},
    {CLI_INPUT, 0, "prompts", "FILE", 0, 0, "prompts of the forward, one a line, instead of the built-in ones", offsetof(values, prompts), 0, 0},
    {CLI_REAL, 0, "tolerance", "X", FORWARD_TOLERANCE, 0,
     "how far a replayed logit may be off, times the largest recorded one, or 1; 0: bit-equal or nothing", offsetof(values, tolerance), 0, 0},
    {CLI_FLAG, 0, "force", 0, 0, 0, "replace FILE of --manifest and --record where it exists", offsetof(values, force), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Checks", 0, 0, 0},
    {CLI_LIST, 0, "skip", "CHECK", 0, 0, "leave a check out: files, tensors, tokenizer, values, checksums, forward; may be given several times",
     offsetof(values, skip), 0, 0},
    {CLI_FLAG, 0, "no-forward", 0, 0, 0, "the same as --skip forward", offsetof(values, no_forward), 0, 0},
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "one JSON object", offsetof(values, json), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "PATH is a model directory or a file of weights; of a file only files, values and checksums are looked at. Exit status 0\n"
    "means that everything holds. Remarks are worth knowing and change no status.\n"
    "\n"
    "  files      every structural rule of the files, index against shards\n"
    "  tensors    what the architecture expects, against what is there\n"
    "  tokenizer  against the model: size of the vocabulary, special ids\n"
    "  values     NaN, infinities, all zero, constant, denormals\n"
    "  checksums  against a manifest\n"
    "  forward    a few prompts must give finite logits, not all equal; those of a recording the recorded ones\n"
    "\n"
    "JSON: {\"path\",\"verdict\":\"ok\"|\"failed\",\"problems\",\"remarks\",\"checks\":{CHECK:{\"status\":\"ok\"|\"failed\"|\"skipped\",\n"
    "\"done\",\"failed\",\"remarks\",\"why\"}},\"findings\":[{\"check\",\"failed\",\"subject\",\"message\"}],\n"
    "\"totals\":{\"files\",\"tensors\",\"bytes\",\"parameters\"},\"forward\":{\"prompts\":[{\"recording\",\"number\",\"prompt\",\n"
    "\"n_tokens\",\"verdict\":\"runs\"|\"bit-equal\"|\"within tolerance\"|\"different\"|\"broken\",\"max_diff\",\"tolerance\",\"message\"}]}}\n"
    "\n"
    "A recording is JSON that other programs may write too: {\"kind\":\"pith-recording\",\"version\":1,\"by\":\"who\",\"prompts\":[..]}.\n"
    "A prompt is {\"prompt\":\"text\" or null,\"ids\":[..],\"logits\":[..]}: the token ids the model saw, and the logits of a\n"
    "classifier or of the last position of a causal model. Of many, \"top\":[[id,logit],..], the highest first, in place of\n"
    "\"logits\"; of a model without a head \"hidden\":[..], the final state of the first token. May be there: \"label\", \"new_ids\"\n"
    "(a greedy continuation, with the eos that ended it), \"text\" (of it, for people), \"hash\" (16 hex digits, what\n"
    "pith logits --hash prints for the ids). Replayed are the ids; the text must still give them.\n"
    "\n"
    "  pith verify path/to/model --manifest model.manifest.json --record model.recording.json\n"
    "  pith verify path/to/model --against model.manifest.json --against model.recording.json\n";

/* One call. */
typedef struct job {
    const values *v;
    const char *path;
    int is_dir;
    unsigned skip; /* 1u << check, FINDINGS_FORWARD included */
    recording **recordings; /* [n_recordings] */
    size_t n_recordings;
    const char **manifests; /* [n_manifests] */
    size_t n_manifests;
    findings found;
    forward forward;
    load l;
    progress progress;
    int check; /* whose progress is shown; -1: none */
} job;

/* ---- what was asked ---- */

static int skipped(const values *v, unsigned *skip)
{
    char words[128] = "", near[32];
    *skip = v->no_forward ? 1u << FINDINGS_FORWARD : 0;
    for (int c = 0, n = 0; c < FINDINGS_CHECKS; c++)
        n += snprintf(words + n, sizeof words - (size_t)n, "%s%s", c ? "|" : "", findings_names[c]);
    for (size_t i = 0; i < v->skip.n; i++) {
        int c = 0;
        while (c < FINDINGS_CHECKS && strcmp(findings_names[c], v->skip.items[i]) != 0) c++;
        const char *hint = c == FINDINGS_CHECKS ? cli_nearest(v->skip.items[i], words, near, sizeof near) : NULL;
        if (c == FINDINGS_CHECKS)
            return cli_usage("--skip: '%s' is none of %s%s%s%s", v->skip.items[i], words, hint ? "; did you mean '" : "",
                             hint ? hint : "", hint ? "'?" : "");
        *skip |= 1u << c;
    }
    return 0;
}

/* Sorts --against into manifests and recordings. */
static int read_against(job *j, pith_err *e)
{
    size_t n = j->v->against.n;
    j->recordings = calloc(n + 1, sizeof *j->recordings);
    j->manifests = calloc(n + 1, sizeof *j->manifests);
    if (!j->recordings || !j->manifests) return err_nomem(e, n * sizeof *j->manifests, "expectations");
    for (size_t i = 0; i < n; i++) {
        recording *r;
        if (recording_load(j->v->against.items[i], &r, e)) return -1;
        if (r) j->recordings[j->n_recordings++] = r;
        else j->manifests[j->n_manifests++] = j->v->against.items[i];
    }
    return 0;
}

static int consistent(const job *j)
{
    const values *v = j->v;
    int computes = !(j->skip >> FINDINGS_FORWARD & 1), sums = !(j->skip >> PITH_CHECK_CHECKSUMS & 1);
    const char *needs = v->record ? "--record" : v->prompts ? "--prompts" : j->n_recordings ? "--against a recording" : NULL;
    if (needs && !computes) return cli_usage("%s needs the forward that is skipped", needs);
    if (j->n_manifests && !sums) return cli_usage("--against a manifest needs the checksums that are skipped");
    if (v->record && v->manifest && strcmp(v->record, v->manifest) == 0)
        return cli_usage("--record and --manifest write to the same file, %s", v->record);
    if (!(v->tolerance >= 0) || isinf(v->tolerance)) return cli_usage("--tolerance: %g is no size", v->tolerance);
    if (needs && !j->is_dir)
        return cli_error("%s: is a file; %s needs a model's directory, to compute with", j->path, needs);
    const char *const written[] = {v->manifest, v->record};
    struct stat st;
    for (int i = 0; i < 2; i++)
        if (written[i] && !v->force && lstat(written[i], &st) == 0)
            return cli_error("%s: exists; --force replaces it", written[i]);
    return 0;
}

/* ---- the library's checks ---- */

static void on_finding(void *ctx, const pith_finding *f)
{
    job *j = ctx;
    findings_add(&j->found, (int)f->check, f->failed, f->subject, f->message);
}

static int on_progress(void *ctx, pith_check check, uint64_t done, uint64_t total)
{
    job *j = ctx;
    if ((int)check != j->check) {
        progress_clear(&j->progress);
        progress_start(&j->progress, "bytes", 0);
        j->progress.what = findings_names[check];
        j->check = (int)check;
    }
    progress_update(&j->progress, done, total ? (double)done / (double)total : -1);
    return guard_interrupted();
}

/* The library takes one manifest a time; what the first call looked at is not looked at again. */
static int check_files(job *j, pith_err *e)
{
    const values *v = j->v;
    int status = 0;
    guard_mapped(guard_path, j->path);
    guard_catch(GUARD_CATCH);
    for (size_t i = 0; i == 0 || i < j->n_manifests; i++) {
        pith_verdict verdict;
        pith_verify_options o = {.threads = (int)v->m.threads, .no_mmap = v->m.no_mmap, .replace = v->force, .ctx = j,
                                 .on_finding = on_finding, .on_progress = on_progress};
        o.skip = i ? ~(1u << PITH_CHECK_CHECKSUMS) : j->skip;
        o.against = i < j->n_manifests ? j->manifests[i] : NULL;
        o.manifest = i ? NULL : v->manifest;
        status = pith_verify(j->path, &o, &verdict, e);
        if (status) break;
        if (i == 0) j->found.verdict = verdict;
        for (int c = 0; c < PITH_CHECKS; c++) j->found.done[c] |= (int)(verdict.done >> c & 1);
    }
    guard_catch(GUARD_END);
    progress_clear(&j->progress);
    return status;
}

static void reasons(job *j)
{
    for (int c = 0; c < FINDINGS_CHECKS; c++) {
        const char *why = "could not be looked at";
        if (*j->found.why_not[c]) continue;
        if (j->skip >> c & 1) why = "as asked";
        else if (!j->is_dir && (c == PITH_CHECK_TENSORS || c == PITH_CHECK_TOKENIZER || c == FINDINGS_FORWARD))
            why = "a file alone does not say what model it is of";
        else if (c == PITH_CHECK_CHECKSUMS && !j->n_manifests)
            why = j->v->manifest ? "written, and nothing to compare with" : "nothing to compare with; --against MANIFEST does";
        else if (findings_count(&j->found, PITH_CHECK_FILES, 1)) why = "the files cannot be read";
        snprintf(j->found.why_not[c], sizeof j->found.why_not[c], "%s", why);
    }
}

/* ---- the forward ---- */

static void tell_rows(job *j)
{
    const forward *w = &j->forward;
    char subject[160];
    for (size_t i = 0; i < w->n_rows; i++) {
        const forward_row *r = &w->rows[i];
        if (r->verdict < FORWARD_DIFFERENT) continue;
        snprintf(subject, sizeof subject, "prompt %zu%s%.100s", r->number, r->recording ? " of " : "", r->recording ? r->recording : "");
        findings_add(&j->found, FINDINGS_FORWARD, 1, subject, r->message);
        if (r->recording && j->found.n) j->found.at[j->found.n - 1].in_row = 1;
    }
    for (size_t k = 0; k < j->n_recordings; k++) {
        size_t n = 0;
        const char *path = recording_path(j->recordings[k]);
        for (size_t i = 0; i < w->n_rows; i++) n += w->rows[i].recording == path && w->rows[i].verdict == FORWARD_WITHIN;
        if (!n || !recording_by_pith(j->recordings[k])) continue;
        char message[300];
        snprintf(message, sizeof message, "%zu prompt%s within tolerance only. %.40s gives the same bits on every machine, so weights, config or "
                 "kernels (%.20s now) are not those of the recording", n, n == 1 ? "" : "s", recording_by(j->recordings[k]),
                 pith_model_kernels(j->l.model));
        findings_add(&j->found, FINDINGS_FORWARD, 0, path, message);
    }
}

/* A model that cannot be opened: its own problem, unless an earlier check has said why, or it has yet to be converted. */
static void no_model(job *j, const char *why)
{
    char message[PITH_ERR_MAX + 64];
    int needed = j->v->record || j->v->prompts || j->n_recordings;
    pith_weights *w = pith_weights_open(j->path, &(pith_weights_options){.header_only = 1}, NULL);
    int torch = w && strcmp(pith_weights_format(w), "PyTorch") == 0;
    pith_weights_close(w);
    snprintf(j->found.why_not[FINDINGS_FORWARD], sizeof j->found.why_not[0], "%s",
             torch ? "PyTorch checkpoints are not computed with; pith convert makes safetensors of them" : "the model does not open");
    if (!needed && (torch || findings_count(&j->found, -1, 1))) return;
    snprintf(message, sizeof message, "%s%s", why, needed ? "" : " (--no-forward leaves this check out)");
    findings_add(&j->found, FINDINGS_FORWARD, 1, "", message);
}

static int open_model(job *j, pith_err *e)
{
    const values *v = j->v;
    pith_model_options o = {.threads = (int)v->m.threads, .kernels = v->m.kernels, .no_mmap = v->m.no_mmap, .pin = v->m.pin};
    if (!(j->l.path = strdup(j->path))) return err_nomem(e, strlen(j->path), "a path");
    guard_mapped(guard_path, j->path);
    j->l.model = pith_model_open(j->path, &o, e);
    if (!j->l.model) return -1;
    guard_mapped(guard_model, j->l.model);
    cli_detail("%s: kernels %s, %d thread%s", pith_model_type(j->l.model), pith_model_kernels(j->l.model),
               pith_model_threads(j->l.model), pith_model_threads(j->l.model) == 1 ? "" : "s");
    j->l.session = pith_session_new(j->l.model, e);
    return j->l.session ? 0 : -1;
}

/* 0: done, or found to be impossible, which is a finding. */
static int check_forward(job *j, FILE *record, pith_err *e)
{
    pith_err why = {{0}};
    if (!j->is_dir || j->skip >> FINDINGS_FORWARD & 1) return 0;
    if (open_model(j, &why)) {
        no_model(j, why.msg);
        return 0;
    }
    j->forward = (forward){.l = &j->l, .tolerance = j->v->tolerance};
    int bad = 0;
    for (size_t i = 0; i < j->n_recordings && !bad; i++) bad = forward_replay(&j->forward, j->recordings[i], e);
    if (!bad && (record || j->v->prompts || !j->n_recordings)) bad = forward_run(&j->forward, j->v->prompts, record, e);
    if (bad) return -1;
    tell_rows(j);
    j->found.forward = &j->forward;
    j->found.done[FINDINGS_FORWARD] = 1;
    return 0;
}

/* ---- the whole ---- */

/* For -v. */
static void figures(const job *j, double files, double computing)
{
    char a[32], b[32];
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    cli_detail("%s of tensors in %.0f ms (%.1f GB/s), forward in %.0f ms, peak memory %s", cli_bytes(j->found.verdict.bytes, a),
               1e3 * files, 1e-9 * (double)j->found.verdict.bytes / files, 1e3 * computing, cli_bytes((uint64_t)u.ru_maxrss * 1024, b));
}

static int verify(job *j, pith_err *e)
{
    output out = {0};
    int status = j->v->record ? output_open(&out, j->v->record, 0, e) : 0;
    double start = clock_now(), checked;
    if (!status) status = check_files(j, e);
    checked = clock_now();
    if (!status) status = check_forward(j, out.f, e);
    if (!status) figures(j, checked - start, clock_now() - checked);
    if (!status && j->found.no_memory) status = err_nomem(e, 0, "findings");
    if (!status) reasons(j);
    /* What a model computes that fails here is nothing to hold others against. */
    int sound = !status && !findings_count(&j->found, FINDINGS_FORWARD, 1);
    if (sound && j->v->record) status = output_finish(&out, e);
    output_abort(&out);
    if (status) return status < 0 ? CLI_FAILED : CLI_INTERRUPTED;
    (j->v->json ? findings_put_json : findings_put_text)(&j->found, stdout);
    if (!sound && j->v->record) cli_note("%s: not written, for the forward failed", j->v->record);
    return findings_count(&j->found, -1, 1) ? CLI_FAILED : CLI_OK;
}

static void drop(job *j)
{
    for (size_t i = 0; i < j->n_recordings; i++) recording_free(j->recordings[i]);
    free(j->recordings);
    free(j->manifests);
    forward_free(&j->forward);
    findings_free(&j->found);
    load_close(&j->l);
}

static int run_verify(void *opts, int argc, char **argv)
{
    const values *v = opts;
    struct stat st;
    pith_err e = {{0}};
    if (argc == 0) return cli_usage("no path: give a model directory or a file of weights");
    if (argc > 1) return cli_usage("one path at a time; '%s' is one too many", argv[1]);
    job j = {.v = v, .path = argv[0], .check = -1, .is_dir = stat(argv[0], &st) == 0 && S_ISDIR(st.st_mode), .found.path = argv[0]};
    int status = skipped(v, &j.skip);
    if (status) return status;
    if (read_against(&j, &e)) status = CLI_FAILED;
    if (!status) status = consistent(&j);
    if (!status) status = verify(&j, &e);
    if (*e.msg) cli_error("%s", e.msg);
    drop(&j);
    return status;
}

const cli_verb cmd_verify = {
    "verify", "[options] PATH", "are these weights what they should be? Files, tensors, values, checksums, a forward", notes,
    options, sizeof(values), run_verify,
};
