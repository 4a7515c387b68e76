#define _POSIX_C_SOURCE 200809L
#include "cli/load.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/platform.h"
#include "cli/guard.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PITH_DATADIR
#define PITH_DATADIR "/usr/local/share/pith"
#endif

/* "a" + "b" + "c", malloc'd. */
static char *join(const char *a, const char *b, const char *c)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *s = malloc(n);
    if (s) snprintf(s, n, "%s%s%s", a, b, c);
    return s;
}

/* The folder the program lies in, malloc'd; NULL where the system does not tell. */
static char *program_folder(void)
{
    for (size_t cap = 256; cap <= 1 << 20; cap *= 2) {
        char *s = malloc(cap);
        ssize_t n = s ? platform_program(s, cap) : -1;
        if (n >= 0 && (size_t)n < cap) {
            s[n] = 0;
            char *slash = strrchr(s, '/');
            if (slash) *slash = 0;
            return s;
        }
        free(s);
        if (n < 0) break;
    }
    return NULL;
}

void load_places(char *at[LOAD_PLACES])
{
    const char *env = getenv("PITH_DATA");
    char *folder = program_folder();
    at[0] = env && *env ? join(env, "", "") : NULL;
    at[1] = folder ? join(folder, "/models/bundled", "") : NULL;
    at[2] = folder ? join(folder, "/../share/pith", "") : NULL;
    at[3] = join(PITH_DATADIR, "", "");
    free(folder);
}

static int is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Calls for each model of one place. */
static void each_model(const char *place, void (*call)(void *ctx, const char *name), void *ctx)
{
    DIR *d = opendir(place);
    if (!d) return;
    for (struct dirent *x; (x = readdir(d)) != NULL;) {
        if (x->d_name[0] == '.') continue;
        char *config = join(place, "/", x->d_name), *file = config ? join(config, "/config.json", "") : NULL;
        if (file && access(file, R_OK) == 0) call(ctx, x->d_name);
        free(config);
        free(file);
    }
    closedir(d);
}

/* "a, b" */
typedef struct names {
    char text[400];
    size_t n;
} names;

static void append(void *ctx, const char *name)
{
    names *l = ctx;
    if (l->n + 80 < sizeof l->text) l->n += (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s%.64s", l->n ? ", " : "", name);
}

static void print(void *ctx, const char *name) { fprintf(ctx, "%s\n", name); }

void load_bundled(FILE *f)
{
    char *at[LOAD_PLACES];
    load_places(at);
    for (int i = 0; i < LOAD_PLACES; i++) {
        if (at[i]) each_model(at[i], print, f);
        free(at[i]);
    }
}

static void not_found(const char *model, char *const *at, pith_err *e)
{
    names known = {.n = 0};
    char looked[400] = "";
    size_t k = 0;
    for (int i = 0; i < LOAD_PLACES; i++) {
        if (!at[i]) continue;
        each_model(at[i], append, &known);
        if (k + 100 < sizeof looked)
            k += (size_t)snprintf(looked + k, sizeof looked - k, "%s%.98s", k ? ", " : "", at[i]);
    }
    if (known.n)
        err_set(e, "model '%.200s': no directory and no bundled model has this name; the bundled ones are: %s", model,
                known.text);
    else
        err_set(e, "model '%.200s': no directory has this name and no bundled models were found (looked in %s); give a "
                   "Hugging Face directory with -m", model, looked);
}

char *load_path(const char *model, pith_err *e)
{
    struct stat st;
    if (stat(model, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            char *path = join(model, "", "");
            if (!path) err_nomem(e, strlen(model), "a path");
            return path;
        }
        err_set(e, "%.700s: is a file; -m takes the directory that holds it, with its config.json and tokenizer files", model);
        return NULL;
    }
    char *at[LOAD_PLACES], *found = NULL;
    if (!*model || strchr(model, '/')) {
        int absent = errno == ENOENT || errno == ENOTDIR;
        err_set(e, "%.700s: %s", *model ? model : "-m ''", absent ? "no such directory" : strerror(errno));
        return NULL;
    }
    load_places(at);
    for (int i = 0; i < LOAD_PLACES && !found; i++) {
        char *path = at[i] ? join(at[i], "/", model) : NULL;
        if (path && is_dir(path)) found = path;
        else free(path);
    }
    if (!found) not_found(model, at, e);
    for (int i = 0; i < LOAD_PLACES; i++) free(at[i]);
    return found;
}

int load_open(load *l, const cli_model_opts *o, pith_err *e)
{
    char a[32], b[32];
    *l = (load){0};
    double start = clock_now();
    l->path = load_path(o->model, e);
    if (!l->path) return -1;
    static const char *const types[] = {NULL, "q8", "q4"};
    pith_model_options mo = {.threads = (int)o->threads, .kernels = o->kernels, .no_mmap = o->no_mmap, .dtype = types[o->dtype],
                             .pin = o->pin};
    guard_mapped(guard_path, l->path);
    l->model = pith_model_open(l->path, &mo, e);
    if (!l->model) return -1;
    guard_mapped(guard_model, l->model);
    for (size_t i = 0; i < pith_model_warnings(l->model); i++) cli_note("warning: %s", pith_model_warning(l->model, i));
    l->session = pith_session_new(l->model, e);
    if (!l->session) return -1;
    l->seconds = clock_now() - start;
    cli_detail("%s (%s): %s parameters, %s packed, kernels %s, %d thread%s, loaded in %.0f ms", l->path,
               pith_model_type(l->model), cli_count(pith_model_parameters(l->model), a),
               cli_bytes(pith_model_weight_bytes(l->model), b), pith_model_kernels(l->model),
               pith_model_threads(l->model), pith_model_threads(l->model) == 1 ? "" : "s", 1e3 * l->seconds);
    return 0;
}

void load_close(load *l)
{
    guard_mapped(NULL, NULL);
    pith_session_free(l->session);
    pith_model_close(l->model);
    free(l->path);
    *l = (load){0};
}
