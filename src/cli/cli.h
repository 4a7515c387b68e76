/* cli: what every verb shares in talking to its user: the table of options (it drives parsing, help, the environment
 * and shell completion), messages on stderr, formatting of numbers and foreign text. Knows no verb. */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include "pith.h"
#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

typedef enum cli_kind {
    CLI_END,    /* closes a table */
    CLI_TITLE,  /* a heading in the help; `help` is its text */
    CLI_FLAG,   /* int: 0 or 1 */
    CLI_STRING, /* const char * */
    CLI_INPUT,  /* const char *: a path that is read; - is stdin */
    CLI_OUTPUT, /* const char *: a path that is written */
    CLI_INPUTS, /* cli_list of paths that are read */
    CLI_MODEL,  /* const char *: a directory or a bundled name */
    CLI_SIZE,   /* uint64_t in [min, max]; "all" is UINT64_MAX where arg says so */
    CLI_REAL,   /* double in [min, max], any if both are 0; NaN: not given */
    CLI_LIST,   /* cli_list: may be given several times */
    CLI_CHOICE  /* int: index of the word in `arg`, "auto|softmax|none" */
} cli_kind;

typedef struct cli_list {
    const char **items; /* [n] */
    size_t n;
    int environment; /* from there: the command line replaces it */
} cli_list;

typedef struct cli_opt {
    cli_kind kind;
    char letter; /* 0: none */
    const char *name;
    const char *arg;  /* what the help calls the argument; for CLI_CHOICE the words */
    const char *def;  /* default as it would be typed, NULL: 0 */
    const char *env;  /* an environment variable of all verbs, beside PITH_<VERB>_<NAME> */
    const char *help;
    size_t at; /* offset of the value in the verb's struct */
    uint64_t min, max;
} cli_opt;

/* First member of every verb's values. */
typedef struct cli_globals {
    int quiet, verbose, help, sandbox, no_sandbox;
} cli_globals;

enum { CLI_SANDBOX_AUTO, CLI_SANDBOX_ON, CLI_SANDBOX_OFF };
/* Which of these is asked for. */
int cli_sandbox(const cli_globals *g);

/* What -m and its companions set. */
typedef struct cli_model_opts {
    const char *model, *kernels;
    int dtype;
    uint64_t threads;
    int no_mmap, pin;
} cli_model_opts;

#define CLI_GLOBAL_OPTIONS(T)                                                                                          \
    {CLI_TITLE, 0, 0, 0, 0, 0, "General", 0, 0, 0},                                                                    \
    {CLI_FLAG, 'q', "quiet", 0, 0, 0, "no notes and no progress on stderr", offsetof(T, g.quiet), 0, 0},               \
    {CLI_FLAG, 'v', "verbose", 0, 0, 0, "say what runs, and time and memory at the end",                               \
     offsetof(T, g.verbose), 0, 0},                                                                                    \
    {CLI_CHOICE, 0, "sandbox", "auto|on|off", "auto", "PITH_SANDBOX",                                                  \
     "give up rights that the work does not need; on: fail where the kernel cannot", offsetof(T, g.sandbox), 0, 0}, \
    {CLI_FLAG, 0, "no-sandbox", 0, 0, 0, "the same as --sandbox off", offsetof(T, g.no_sandbox), 0, 0},                \
    {CLI_FLAG, 'h', "help", 0, 0, 0, "this text", offsetof(T, g.help), 0, 0},                                          \
    {CLI_END, 0, 0, 0, 0, 0, 0, 0, 0, 0}

#define CLI_MODEL_OPTION(T) CLI_MODEL_OPTION_DEFAULT(T, "sentiment")
#define CLI_MODEL_OPTION_DEFAULT(T, bundled)                                                                           \
    {CLI_TITLE, 0, 0, 0, 0, 0, "Model", 0, 0, 0},                                                                      \
    {CLI_MODEL, 'm', "model", "MODEL", bundled, "PITH_MODEL",                                                          \
     "a Hugging Face directory, or the name of a bundled model", offsetof(T, m.model), 0, 0}

#define CLI_COMPUTE_OPTIONS(T)                                                                                         \
    {CLI_SIZE, 't', "threads", "N", "0", "PITH_THREADS", "workers; 0: one for each processor",                         \
     offsetof(T, m.threads), 0, 65536},                                                                                \
    {CLI_FLAG, 0, "pin", 0, 0, 0, "keep each worker on one processor", offsetof(T, m.pin), 0, 0},                      \
    {CLI_STRING, 0, "kernels", "SET", 0, "PITH_KERNELS", "kernel set by name; default: the best this CPU runs",        \
     offsetof(T, m.kernels), 0, 0},                                                                                    \
    {CLI_CHOICE, 0, "dtype", "auto|q8|q4", "auto", 0, "compute with 8.125 or 4.5 bits a weight: faster, less exact",      \
     offsetof(T, m.dtype), 0, 0},                                                                                      \
    {CLI_FLAG, 0, "no-mmap", 0, 0, 0, "read the weights instead of mapping the files", offsetof(T, m.no_mmap), 0, 0}

typedef struct cli_verb {
    const char *name;
    const char *synopsis; /* what follows "pith NAME"; several forms are split by \n */
    const char *summary;  /* one line */
    const char *notes;    /* examples and details, below the options */
    const cli_opt *opts;
    size_t size; /* of the values' struct, whose first member is a cli_globals */
    /* values: parsed; argv: the positional arguments, NULL-terminated. Returns the exit status. */
    int (*run)(void *values, int argc, char **argv);
} cli_verb;

/* Sets `values` (zeroed, v->size bytes) from defaults, environment and argv[0..argc); moves the positional arguments
 * to the front of argv and counts them. 0, or CLI_USAGE (CLI_FAILED: memory) after a one-line message. */
int cli_parse(const cli_verb *v, void *values, int argc, char **argv, int *n_args);
/* Gives back what cli_parse took (lists); for any values that were zeroed before it. */
void cli_drop(const cli_verb *v, void *values);
void cli_help(const cli_verb *v, FILE *f);
/* The word of `words` (separated by |) nearest to `typed`, copied to buf; NULL if none is near. */
const char *cli_nearest(const char *typed, const char *words, char *buf, size_t cap);

/* Edits (insert, delete, change, swap of neighbours) from a to b; SIZE_MAX where they differ over more than 63 bytes. */
size_t cli_distance(const char *a, const char *b);

/* Messages: one line on stderr, "pith VERB: ...", control characters escaped. A note is silent under -q. */
void cli_context(const char *verb, const cli_globals *g);
int cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* returns CLI_FAILED */
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));  /* points at --help; returns CLI_USAGE */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Only with -v. */
void cli_detail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int cli_told(void); /* was there an error? */
int cli_quiet(void);
int cli_verbose(void);

/* Writes text so that it stays on its line and moves no cursor: white space controls become a space, other controls
 * are escaped. limit: bytes of text to show (cut at a character, "..." follows); 0: all. */
void cli_put_text(FILE *f, const char *s, size_t len, size_t limit);
/* 1234567 -> "1,234,567"; buf >= 32. */
const char *cli_count(uint64_t n, char *buf);
/* 8366760 -> "8.4 MB"; buf >= 32. */
const char *cli_bytes(uint64_t n, char *buf);
/* f is a terminal that takes colour: NO_COLOR and TERM=dumb say no. */
int cli_colour(FILE *f);

#endif
