/* pith completion: scripts that let a shell complete pith's command line, made of the tables of options. */
#include "cli/cmd.h"
#include "cli/load.h"
#include "cli/verbs.h"
#include <string.h>

typedef struct values {
    cli_globals g;
} values;

static const cli_opt options[] = {CLI_GLOBAL_OPTIONS(values)};

/* A choice's words are its argument's name, split by |. */
static void choices(const char *words, const char *between)
{
    for (; *words; words++) *words == '|' ? fputs(between, stdout) : putchar(*words);
}

static int takes_model(const cli_opt *o) { return o->kind == CLI_MODEL || (o->kind == CLI_LIST && strcmp(o->name, "model") == 0); }

static int takes_file(const cli_opt *o) { return o->kind == CLI_INPUT || o->kind == CLI_OUTPUT || o->kind == CLI_INPUTS; }
static int takes_many(const cli_opt *o) { return o->kind == CLI_LIST || o->kind == CLI_INPUTS; }

/* ---- bash ---- */

/* What bash completes an option's argument with. */
static void bash_argument(const cli_opt *o)
{
    if (takes_model(o)) {
        puts("_pith_take -d -W \"$(pith completion models 2>/dev/null)\" ;;");
    } else if (takes_file(o)) {
        puts("_pith_take -f ;;");
    } else if (o->kind == CLI_CHOICE) {
        fputs("_pith_take -W '", stdout);
        choices(o->arg, " ");
        puts("' ;;");
    } else {
        puts("COMPREPLY=() ;;");
    }
}

static void bash_verb(const cli_verb *v)
{
    printf("    %s)\n        case $prev in\n", v->name);
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        if (o->kind == CLI_TITLE || o->kind == CLI_FLAG) continue;
        fputs("        ", stdout);
        if (o->letter) printf("-%c | ", o->letter);
        printf("--%s) ", o->name);
        bash_argument(o);
    }
    fputs("        *) _pith_words '", stdout);
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
        if (o->kind != CLI_TITLE) printf("--%s ", o->name);
    puts("' ;;\n        esac ;;");
}

static void bash(void)
{
    puts("# bash completion for pith, by `pith completion bash`\n"
         "_pith_take() { mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$cur\"); } # a line each: names may have blanks\n"
         "_pith_words() { # options; anything else is a file\n"
         "    if [[ $cur == -* ]]; then _pith_take -W \"$1\"; else _pith_take -f; fi\n"
         "}\n"
         "_pith() {\n"
         "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
         "    # --option=value comes as three words.\n"
         "    if [[ $cur == = ]]; then cur=; elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
         "    COMPREPLY=()");
    fputs("    if ((COMP_CWORD == 1)) || [[ $verb == help ]]; then _pith_take -W 'help", stdout);
    for (size_t i = 0; verbs_at(i); i++) printf(" %s", verbs_at(i)->name);
    puts("'; return; fi\n    case $verb in\n    completion) _pith_take -W 'bash zsh fish' ;;");
    for (size_t i = 0; verbs_at(i); i++)
        if (verbs_at(i) != &cmd_completion) bash_verb(verbs_at(i));
    puts("    esac\n}\ncomplete -o filenames -F _pith pith");
}

/* ---- zsh ---- */

/* Text inside a single-quoted word of _arguments. */
static void zsh_text(const char *s)
{
    for (; *s; s++) {
        if (*s == '\'') fputs("'\\'", stdout);
        else if (strchr("[]:\\", *s)) putchar('\\');
        putchar(*s);
    }
}

static void zsh_option(const cli_opt *o)
{
    int many = takes_many(o);
    const char *equals = o->arg ? "=" : ""; /* the argument may stand behind one */
    if (o->letter && many) printf("            '*'{-%c,--%s%s}'[", o->letter, o->name, equals);
    else if (o->letter) printf("            '(-%c --%s)'{-%c,--%s%s}'[", o->letter, o->name, o->letter, o->name, equals);
    else printf("            '%s--%s%s[", many ? "*" : "", o->name, equals);
    zsh_text(o->help);
    putchar(']');
    if (o->arg) {
        putchar(':');
        zsh_text(takes_model(o) ? "model" : o->kind == CLI_CHOICE ? o->name : o->arg);
        putchar(':');
    }
    if (takes_model(o)) {
        fputs("_pith_models", stdout);
    } else if (takes_file(o)) {
        fputs("_files", stdout);
    } else if (o->kind == CLI_CHOICE) {
        putchar('(');
        choices(o->arg, " ");
        putchar(')');
    }
    puts("' \\");
}

static void zsh(void)
{
    puts("#compdef pith\n# zsh completion for pith, by `pith completion zsh`\n"
         "_pith_models() {\n    local -a names=(${(f)\"$(pith completion models 2>/dev/null)\"})\n"
         "    _alternative 'bundled:bundled model:compadd -a names' 'folders:folder:_files -/'\n}\n"
         "_pith() {\n    local -a verbs=(\n        'help:what the verbs do'");
    for (size_t i = 0; verbs_at(i); i++) {
        printf("        '%s:", verbs_at(i)->name);
        zsh_text(verbs_at(i)->summary);
        puts("'");
    }
    puts("    )\n    if ((CURRENT == 2)) || [[ $words[2] == help ]]; then _describe verb verbs; return; fi\n"
         "    local verb=$words[2]\n    shift words\n    ((CURRENT--))\n    case $verb in");
    for (size_t i = 0; verbs_at(i); i++) {
        const cli_verb *v = verbs_at(i);
        printf("    %s)\n        _arguments -s \\\n", v->name);
        for (const cli_opt *o = v->opts; o->kind != CLI_END; o++)
            if (o->kind != CLI_TITLE) zsh_option(o);
        puts(v == &cmd_completion ? "            '1:shell:(bash zsh fish)' ;;" : "            '*:file:_files' ;;");
    }
    puts("    esac\n}\nif [[ $funcstack[1] == _pith ]]; then _pith \"$@\"; else compdef _pith pith; fi");
}

/* ---- fish ---- */

static void fish_text(const char *s)
{
    putchar('\'');
    for (; *s; s++) {
        if (strchr("'\\", *s)) putchar('\\');
        putchar(*s);
    }
    putchar('\'');
}

static void fish_verb(const cli_verb *v)
{
    printf("complete -c pith -n __pith_no_verb -f -a %s -d ", v->name);
    fish_text(v->summary);
    putchar('\n');
    for (const cli_opt *o = v->opts; o->kind != CLI_END; o++) {
        if (o->kind == CLI_TITLE) continue;
        printf("complete -c pith -n '__fish_seen_subcommand_from %s' -l %s", v->name, o->name);
        if (o->letter) printf(" -s %c", o->letter);
        if (takes_model(o)) {
            fputs(" -r -f -a '(pith completion models 2>/dev/null; __fish_complete_directories)'", stdout);
        } else if (takes_file(o)) {
            fputs(" -r -F", stdout);
        } else if (o->kind == CLI_CHOICE) {
            fputs(" -r -f -a '", stdout);
            choices(o->arg, " ");
            putchar('\'');
        } else if (o->kind != CLI_FLAG) {
            fputs(" -x", stdout);
        }
        fputs(" -d ", stdout);
        fish_text(o->help);
        putchar('\n');
    }
}

static void fish(void)
{
    puts("# fish completion for pith, by `pith completion fish`\n"
         "function __pith_no_verb\n    test (count (commandline -opc)) -eq 1\nend\n"
         "complete -c pith -n __pith_no_verb -f -a help -d 'what the verbs do'");
    fputs("complete -c pith -n '__fish_seen_subcommand_from help' -f -a '", stdout);
    for (size_t i = 0; verbs_at(i); i++) printf("%s%s", i ? " " : "", verbs_at(i)->name);
    puts("'\ncomplete -c pith -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'");
    for (size_t i = 0; verbs_at(i); i++) fish_verb(verbs_at(i));
}

static int run_completion(void *opts, int argc, char **argv)
{
    (void)opts;
    if (argc != 1) return cli_usage("expected one argument: bash, zsh or fish");
    if (strcmp(argv[0], "bash") == 0) bash();
    else if (strcmp(argv[0], "zsh") == 0) zsh();
    else if (strcmp(argv[0], "fish") == 0) fish();
    else if (strcmp(argv[0], "models") == 0) load_bundled(stdout);
    else return cli_usage("'%s': no such shell here; bash, zsh or fish", argv[0]);
    return CLI_OK;
}

const cli_verb cmd_completion = {"completion", "bash|zsh|fish", "a script that lets a shell complete verbs, options, models and files",
    "  eval \"$(pith completion bash)\"                                in ~/.bashrc\n"
    "  pith completion zsh > \"${fpath[1]}/_pith\"\n"
    "  pith completion fish > ~/.config/fish/completions/pith.fish\n\n"
    "pith completion models prints the names of the bundled models, which the scripts ask for.\n",
    options, sizeof(values), run_completion};
