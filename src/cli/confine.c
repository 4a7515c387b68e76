#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "cli/confine.h"
#include "base/err.h"
#include "base/path.h"
#include "cli/landlock.h"
#include "cli/load.h"
#include "server/sandbox.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int files_held;

typedef struct confined {
    landlock rules;
    char *reads, *writes; /* for -v: "a, b" */
} confined;

static void name(char **list, const char *path)
{
    size_t n = *list ? strlen(*list) + 2 : 0;
    char *s = realloc(*list, n + strlen(path) + 1);
    if (!s) return; /* only a note */
    sprintf(s + (n ? n - 2 : 0), "%s%s", n ? ", " : "", path);
    *list = s;
}

static int allow(confined *c, const char *path, int rights, pith_err *e) { return landlock_allow(&c->rules, path, rights, e); }

/* "dir/" of a path, or "."; malloc'ed. */
static char *folder_of(const char *path, pith_err *e)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    while (n && path[n - 1] != '/') n--;
    char *s = n ? strndup(path, n) : strdup(".");
    if (!s) err_nomem(e, n, "a path");
    return s;
}

/* ---- a model's folder, and where its links lead (a Hugging Face cache is made of links) ---- */

static int allow_tree(confined *c, const char *path, int depth, pith_err *e);

static int allow_entry(confined *c, const char *dir, const struct dirent *x, int depth, pith_err *e)
{
    struct stat st;
    int link = x->d_type == DT_LNK, folder = x->d_type == DT_DIR;
    if (!link && !folder && x->d_type != DT_UNKNOWN) return 0;
    char *path = path_join(dir, x->d_name, e);
    if (!path) return -1;
    if (x->d_type == DT_UNKNOWN && lstat(path, &st) == 0) link = S_ISLNK(st.st_mode), folder = S_ISDIR(st.st_mode);
    if (link) folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int bad = link ? allow(c, path, LANDLOCK_READ, e) : 0;
    if (!bad && folder && depth) bad = allow_tree(c, path, depth - 1, e);
    free(path);
    return bad;
}

/* What lies beneath comes by itself; only links need a look. depth: of folders in it that are looked into. */
static int allow_tree(confined *c, const char *path, int depth, pith_err *e)
{
    DIR *d = opendir(path);
    int bad = 0;
    for (const struct dirent *x; d && !bad && (x = readdir(d));)
        if (x->d_name[0] != '.') bad = allow_entry(c, path, x, depth, e);
    if (d) closedir(d);
    return bad;
}

static int read_folder(confined *c, const char *path, pith_err *e)
{
    return allow(c, path, LANDLOCK_READ, e) || allow_tree(c, path, 1, e);
}

/* ---- what the options and arguments name ---- */

/* An index is read with the files beside it, other files of a model with the config beside them. */
static int read_path(confined *c, const char *path, pith_err *e)
{
    static const char index[] = ".json";
    struct stat st;
    size_t n = strlen(path);
    if (!strcmp(path, "-")) return 0;
    name(&c->reads, path);
    if (read_folder(c, path, e)) return -1;
    if (stat(path, &st) || !S_ISREG(st.st_mode)) return 0;
    int all = n >= sizeof index && strcmp(path + n - sizeof index + 1, index) == 0;
    char *folder = folder_of(path, e), *config = folder && !all ? path_join(folder, "config.json", e) : NULL;
    int bad = !folder || (!all && !config) || (all ? read_folder(c, folder, e) : allow(c, config, LANDLOCK_READ, e)) ? -1 : 0;
    free(config);
    free(folder);
    return bad;
}

/* A file or folder comes about beside its name and is then renamed, so all of its parent is needed. Where {shard} stands in
 * the name, only what is before it is known. */
static int write_path(confined *c, const char *path, pith_err *e)
{
    struct stat st;
    const char *number = strstr(path, "{shard}");
    if (number) {
        char *stem = strndup(path, (size_t)(number - path) + 1), *folder = stem ? folder_of(stem, e) : NULL;
        if (folder) name(&c->writes, folder);
        int bad = !folder || allow(c, folder, LANDLOCK_READ | LANDLOCK_WRITE, e) ? -1 : 0;
        free(stem);
        free(folder);
        return bad;
    }
    if (!strcmp(path, "-") || !*path) return 0;
    int there = stat(path, &st) == 0;
    if (there && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        name(&c->writes, path);
        return allow(c, path, LANDLOCK_READ | LANDLOCK_WRITE, e);
    }
    char *real = there ? realpath(path, NULL) : NULL, *folder = folder_of(real ? real : path, e);
    if (folder) name(&c->writes, folder);
    int bad = !folder || allow(c, folder, LANDLOCK_READ | LANDLOCK_WRITE, e) ? -1 : 0;
    free(real);
    free(folder);
    return bad;
}

static int read_bundled(confined *c, pith_err *e)
{
    char *at[LOAD_PLACES];
    int bad = 0;
    load_places(at);
    for (int i = 0; i < LOAD_PLACES; i++) {
        if (at[i] && !bad) bad = read_folder(c, at[i], e);
        free(at[i]);
    }
    return bad;
}

/* One that is not found is looked for again, and a verb may have one of its own. */
static int read_model(confined *c, const char *model, pith_err *e)
{
    pith_err none = {{0}};
    char *path = model ? load_path(model, &none) : NULL;
    int bad = path ? read_folder(c, path, e) : read_bundled(c, e);
    if (path) name(&c->reads, path);
    free(path);
    return bad;
}

static int options(confined *c, const cli_verb *v, const void *values, pith_err *e)
{
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        const void *at = (const char *)values + o->at;
        const char *s = o->kind == CLI_INPUT || o->kind == CLI_OUTPUT || o->kind == CLI_MODEL ? *(const char *const *)at : NULL;
        const cli_list *l = o->kind == CLI_INPUTS ? at : NULL;
        for (size_t i = 0; l && i < l->n; i++)
            if (read_path(c, l->items[i], e)) return -1;
        if (o->kind == CLI_MODEL && read_model(c, s, e)) return -1;
        if (s && o->kind == CLI_INPUT && read_path(c, s, e)) return -1;
        if (s && o->kind == CLI_OUTPUT && write_path(c, s, e)) return -1;
    }
    return 0;
}

static int arguments(confined *c, const char *kinds, char *const *argv, pith_err *e)
{
    for (; kinds && *argv; argv++) {
        if (*kinds == 'w' ? write_path(c, *argv, e) : read_path(c, *argv, e)) return -1;
        if (kinds[1]) kinds++;
    }
    return 0;
}

/* ---- what the C library, OpenBLAS and the terminal's library read when they first need it ---- */

static int read_each(confined *c, const char *paths, pith_err *e)
{
    char one[1024];
    for (; paths && *paths; paths += strcspn(paths, ":"), paths += *paths == ':') {
        snprintf(one, sizeof one, "%.*s", (int)(strcspn(paths, ":") < sizeof one ? strcspn(paths, ":") : 0), paths);
        if (*one && allow(c, one, LANDLOCK_READ, e)) return -1;
    }
    return 0;
}

/* The standard files are open anyway; these are their names. */
static int system_files(confined *c, pith_err *e)
{
    static const char *const written[] = {"/dev/null", "/dev/stdout", "/dev/stderr"};
    struct stat st;
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        if (stat(written[i], &st) == 0 && !S_ISDIR(st.st_mode) && allow(c, written[i], LANDLOCK_READ | LANDLOCK_WRITE, e)) return -1;
    if (stat("/dev/stdin", &st) == 0 && !S_ISDIR(st.st_mode) && allow(c, "/dev/stdin", LANDLOCK_READ, e)) return -1;
    return read_each(c, "/usr:/lib:/lib64:/nix/store:/gnu/store:/etc/ld.so.cache:/etc/localtime:/proc/cpuinfo:/proc/meminfo:/proc/stat:"
                        "/sys/devices/system:/dev/urandom", e) ||
           read_each(c, getenv("LD_LIBRARY_PATH"), e);
}

static int talk(confined *c, pith_err *e)
{
    static const char *const own[] = {".editrc", ".terminfo"};
    const char *home = getenv("HOME");
    for (size_t i = 0; home && i < sizeof own / sizeof *own; i++) {
        char *path = path_join(home, own[i], e);
        if (!path || allow(c, path, LANDLOCK_READ, e)) return free(path), -1;
        free(path);
    }
    name(&c->writes, "the current folder");
    return read_each(c, "/etc/terminfo", e) || read_each(c, getenv("TERMINFO"), e) || read_each(c, getenv("TERMINFO_DIRS"), e) ||
           allow(c, "/dev/tty", LANDLOCK_READ | LANDLOCK_WRITE, e) || allow(c, ".", LANDLOCK_READ | LANDLOCK_WRITE, e);
}

static int temporary(confined *c, pith_err *e)
{
    const char *tmp = getenv("TMPDIR");
    tmp = tmp && *tmp ? tmp : "/tmp";
    name(&c->writes, tmp);
    return allow(c, tmp, LANDLOCK_READ | LANDLOCK_WRITE, e);
}

/* ---- holding it ---- */

static int hold_files(confined *c, const cli_verb *v, const confine_needs *needs, const void *values, char *const *argv, pith_err *e)
{
    int bad = landlock_begin(&c->rules, e) || system_files(c, e) || ((needs->more & CONFINE_BUNDLED) && read_bundled(c, e)) || options(c, v, values, e) ||
              arguments(c, needs->args, argv, e) || ((needs->more & CONFINE_TALK) && talk(c, e)) ||
              ((needs->more & CONFINE_TEMPORARY) && temporary(c, e)) || landlock_hold(&c->rules, e);
    landlock_end(&c->rules);
    files_held = !bad;
    return bad ? -1 : 0;
}

/* The flag that lifts it is given. */
static int lifted(const cli_verb *v, const confine_needs *needs, const void *values)
{
    for (const cli_opt *o = v->opts; needs->lifted_by && o->kind != CLI_END; o++)
        if (o->kind == CLI_FLAG && !strcmp(o->name, needs->lifted_by)) return *(const int *)(const void *)((const char *)values + o->at);
    return 0;
}

int confine(const cli_verb *v, const confine_needs *needs, const void *values, char *const *argv, pith_err *e)
{
    const cli_globals *g = values;
    confined c = {.rules.fd = -1};
    pith_err files = {{0}}, calls = {{0}};
    if (cli_sandbox(g) == CLI_SANDBOX_OFF || (needs->more & CONFINE_ITSELF)) return 0;
    if (lifted(v, needs, values)) {
        if (cli_sandbox(g) == CLI_SANDBOX_ON) return err_set(e, "--sandbox on: there is none with --%s", needs->lifted_by);
        cli_detail("sandbox: none with --%s", needs->lifted_by);
        return 0;
    }
    int no_files = hold_files(&c, v, needs, values, argv, &files);
    /* Last: its filter leaves out what the first half needed. */
    int no_calls = sandbox_enter_verb(&calls);
    if (cli_sandbox(g) == CLI_SANDBOX_ON && (no_files || no_calls))
        err_set(e, "--sandbox on: %s", no_files ? files.msg : calls.msg);
    if (no_calls) cli_detail("sandbox: network and other programs are in reach: %s", calls.msg);
    if (no_files) cli_detail("sandbox: every file is in reach: %s", files.msg);
    else
        cli_detail("sandbox:%s reads %s%sthe system's files; writes %s", no_calls ? "" : " no network, no other programs;", c.reads ? c.reads : "",
                   c.reads ? ", " : "", c.writes ? c.writes : "nothing");
    free(c.reads);
    free(c.writes);
    return e->msg[0] ? -1 : 0;
}

int confine_holds(void) { return files_held; }
