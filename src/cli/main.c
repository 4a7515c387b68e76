/* main: finds the verb and hands over. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/guard.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_verb *const verbs[] = {&cmd_classify, &cmd_eval,     &cmd_generate, &cmd_chat, &cmd_perplexity,
                                        &cmd_embed,    &cmd_rerank,
                                        &cmd_tokenize, &cmd_template, &cmd_logits,   &cmd_inspect, &cmd_verify,
                                        &cmd_convert,  &cmd_quantize, &cmd_bench,    &cmd_serve,  &cmd_version};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static const cli_verb *find(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    return NULL;
}

static void overview(FILE *f)
{
    fputs("pith classifies and writes text with Hugging Face models as they were downloaded.\n\n"
          "usage: pith VERB [options] [arguments]\n\n", f);
    for (size_t i = 0; i < N_VERBS; i++) fprintf(f, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    fputs("  help       this text; pith help VERB tells a verb's options\n\n"
          "  pith classify \"A wonderful, moving film.\"\n", f);
}

static int unknown(const char *name)
{
    char words[256] = "help", near[32];
    size_t n = 4;
    for (size_t i = 0; i < N_VERBS; i++) n += (size_t)snprintf(words + n, sizeof words - n, "|%s", verbs[i]->name);
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
        cli_context(v->name, g);
        status = v->run(values, n, argv);
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
        int about = argc > 2 && strcmp(argv[2], "help") != 0;
        const cli_verb *v = about ? find(argv[2]) : NULL;
        if (about && !v) return unknown(argv[2]);
        if (v) cli_help(v, stdout);
        else overview(stdout);
        return finish(CLI_OK);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    const cli_verb *v = find(name);
    return v ? finish(run(v, argc - 2, argv + 2)) : unknown(name);
}
