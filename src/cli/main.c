/* main: finds the verb and hands over. */
#define _POSIX_C_SOURCE 200809L
#include "cli/confine.h"
#include "cli/guard.h"
#include "cli/manual.h"
#include "cli/verbs.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void overview(FILE *f)
{
    fputs("pith classifies and writes text with Hugging Face models as they were downloaded.\n\n"
          "usage: pith VERB [options] [arguments]\n\n", f);
    for (size_t i = 0; verbs_at(i); i++) fprintf(f, "  %-10s %s\n", verbs_at(i)->name, verbs_at(i)->summary);
    fputs("  help       this text; pith help VERB tells a verb's options\n\n"
          "  pith classify \"A wonderful, moving film.\"\n", f);
}

static int unknown(const char *name)
{
    char words[256] = "help", near[32];
    size_t n = 4;
    for (size_t i = 0; verbs_at(i); i++) n += (size_t)snprintf(words + n, sizeof words - n, "|%s", verbs_at(i)->name);
    const char *hint = cli_nearest(name + strspn(name, "-"), words, near, sizeof near);
    if (hint) return cli_usage("unknown %s '%s'; did you mean '%s'?", *name == '-' ? "option" : "verb", name, hint);
    return cli_usage("unknown %s '%s'; expected a verb: %s", *name == '-' ? "option" : "verb", name, words);
}

static int run(const cli_verb *v, int argc, char **argv)
{
    void *values = calloc(1, v->size);
    int n = 0;
    cli_context(v->name, NULL);
    if (!values) return cli_error("out of memory");
    int status = cli_parse(v, values, argc, argv, &n);
    const cli_globals *g = values;
    if (status == 0 && g->help) {
        cli_help(v, stdout);
    } else if (status == 0) {
        pith_err e = {{0}};
        cli_context(v->name, g);
        status = confine(v, verbs_needs(v), values, argv, &e) ? cli_error("%s", e.msg) : v->run(values, n, argv);
    }
    cli_drop(v, values);
    free(values);
    return status;
}

/* Results that could not be written are no results. Where they were the report of a failure, nothing else tells of it. */
static int finish(int status)
{
    errno = 0;
    if ((fflush(stdout) || ferror(stdout)) && (status == CLI_OK || (status == CLI_FAILED && !cli_told())))
        return cli_error("stdout: cannot write: %s", strerror(errno ? errno : EIO));
    return status;
}

/* A caller may close the standard files; a weight or output file must not take their numbers. What stands in for them
 * fails when it is used, as a closed file does. */
static void hold_standard_files(void)
{
    static const int mode[] = {O_WRONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode[fd]) != fd) return;
}

int main(int argc, char **argv)
{
    hold_standard_files();
    guard_install();
    if (argc < 2) {
        overview(stderr);
        return CLI_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        /* "pith help --scdoc [VERB]" is what the manual is made of (tools/man). */
        int scdoc = argc > 2 && strcmp(argv[2], "--scdoc") == 0;
        const char *what = argc > 2 + scdoc ? argv[2 + scdoc] : "help";
        const cli_verb *v = verbs_find(what);
        if (!v && strcmp(what, "help") != 0) return unknown(what);
        if (scdoc) v ? manual_verb(v, stdout) : manual_verbs(stdout);
        else v ? cli_help(v, stdout) : overview(stdout);
        return finish(CLI_OK);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    const cli_verb *v = verbs_find(name);
    return v ? finish(run(v, argc - 2, argv + 2)) : unknown(name);
}
