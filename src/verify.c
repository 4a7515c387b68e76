/* verify: pith_verify, its checks in order, and how findings are handed out. Each check has its own file. */
#include "base/par.h"
#include "base/path.h"
#include "manifest.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *const verify_side_files[] = {
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "chat_template.jinja",
    "chat_template.json", NULL};

/* ---- findings ---- */

void verify_tell(verify *v, pith_check check, int failed, const char *subject, const char *fmt, ...)
{
    if (v->o.skip >> check & 1) return;
    char text[PITH_ERR_MAX];
    pith_err message = {{0}}, name = {{0}}; /* for err_set's escapes */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    err_set(&message, "%s", text);
    err_set(&name, "%s", subject);
    (failed ? v->out->failed : v->out->remarks)[check]++;
    const pith_finding f = {check, failed, name.msg, message.msg};
    if (v->o.on_finding) v->o.on_finding(v->o.ctx, &f);
}

/* Length of the file name that msg begins with, "config.json: ..."; 0: none. */
static size_t leading_name(const char *msg)
{
    static const char *const tails[] = {".json", ".safetensors", ".bin", ".pt", ".pth", ".txt", ".model", ".jinja"};
    const char *end = strstr(msg, ": ");
    size_t n = end ? (size_t)(end - msg) : 0;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        size_t k = strlen(tails[i]);
        if (n > k && !memcmp(end - k, tails[i], k)) return n;
    }
    return 0;
}

const char *verify_subject(const verify *v, const char *msg, char name[PITH_ERR_MAX])
{
    size_t n = strlen(v->path), k = 0;
    while (v->is_dir && n > 1 && v->path[n - 1] == '/') n--;
    int within = !strncmp(msg, v->path, n);
    if (within && !strncmp(msg + n, ": ", 2)) msg += n + 2;
    else if (within && v->is_dir && msg[n] == '/') msg += n + strspn(msg + n, "/");
    if (v->is_dir) k = leading_name(msg);
    snprintf(name, PITH_ERR_MAX, "%.*s", (int)k, msg);
    return msg + (k ? k + 2 : 0);
}

void verify_tell_error(verify *v, pith_check check, const char *subject, const pith_err *why)
{
    char name[PITH_ERR_MAX];
    const char *rest = verify_subject(v, why->msg, name);
    verify_tell(v, check, 1, *name ? name : subject, "%s", rest);
}

int verify_has(const verify *v, const char *name)
{
    struct stat st;
    snprintf(v->beside, v->beside_cap, "%s/%s", v->path, name);
    return v->is_dir && !stat(v->beside, &st);
}

const char *verify_number(char buf[32], uint64_t n)
{
    char raw[24];
    int k = snprintf(raw, sizeof raw, "%llu", (unsigned long long)n), to = 0;
    for (int i = 0; i < k; i++) {
        if (i && (k - i) % 3 == 0) buf[to++] = ',';
        buf[to++] = raw[i];
    }
    buf[to] = 0;
    return buf;
}

/* ---- the whole ---- */

static int asked(const verify *v, pith_check c) { return !(v->o.skip >> c & 1); }

static void end(verify *v)
{
    for (size_t i = 0; i < v->n_tensors; i++) free(v->tensors[i].blocks);
    for (size_t i = 0; i < v->n_files; i++) free(v->files[i].path);
    for (size_t i = 0; i < v->n_parts; i++) pith_weights_close(v->parts[i]);
    free(v->tensors);
    free(v->files);
    free(v->parts);
    pith_weights_close(v->w);
    json_free(v->config);
    free(v->beside);
}

static int run(verify *v, const manifest *against, pith_err *e)
{
    int rc = verify_files(v, e);
    if (!rc && asked(v, PITH_CHECK_TENSORS)) rc = verify_tensors(v, e);
    if (!rc && asked(v, PITH_CHECK_TOKENIZER)) rc = verify_tokenizer(v, e);
    if (!rc && (v->scan || v->digest)) rc = verify_pass(v, e);
    if (!rc && v->scan) rc = verify_values(v, e);
    if (!rc && against) rc = manifest_compare(v, against, e);
    return rc;
}

int pith_verify(const char *path, const pith_verify_options *o, pith_verdict *out, pith_err *e)
{
    pith_verdict none;
    verify v = {.path = path, .out = out ? out : &none};
    struct stat st;
    *v.out = (pith_verdict){0};
    if (o) v.o = *o;
    if (stat(path, &st)) return err_set(e, "%s: cannot open: %s; check the path", path, strerror(errno));
    v.is_dir = S_ISDIR(st.st_mode);
    v.beside_cap = strlen(path) + 64; /* the names asked for are our own */
    v.beside = malloc(v.beside_cap);
    if (!v.beside) return err_nomem(e, v.beside_cap, "a path");
    v.threads = v.o.threads > 0 ? v.o.threads : par_cpus();
    const char *compare = asked(&v, PITH_CHECK_CHECKSUMS) ? v.o.against : NULL;
    v.scan = asked(&v, PITH_CHECK_VALUES);
    v.digest = compare || v.o.manifest;
    /* What is wrong with either manifest is known before the work. */
    manifest *against = compare ? manifest_open(compare, e) : NULL;
    outfile out_file = {0};
    int rc = compare && !against ? -1 : 0;
    if (!rc && v.o.manifest) rc = outfile_open(&out_file, v.o.manifest, v.o.replace, e);
    if (!rc) rc = run(&v, against, e);
    if (!rc && v.o.manifest && v.w) rc = manifest_write(&v, &out_file, e);
    if (!rc && v.o.manifest && !v.w) verify_tell(&v, PITH_CHECK_CHECKSUMS, 1, "", "the manifest was not written: the weights do not open");
    outfile_close(&out_file);
    manifest_close(against);
    end(&v);
    return rc;
}
