/* pith chat: a conversation at the terminal, through the model's own template. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/confine.h"
#include "cli/gen.h"
#include "cli/guard.h"
#include "cli/line.h"
#include "cli/turns.h"
#include "base/err.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    gen_opts o;
    const char *system, *load;
    int shift;
} values;

static const cli_opt options[] = {
    CLI_MODEL_OPTION_DEFAULT(values, GEN_MODEL),
    CLI_COMPUTE_OPTIONS(values),
    {CLI_TITLE, 0, 0, 0, 0, 0, "Conversation", 0, 0, 0},
    {CLI_STRING, 0, "system", "TEXT", 0, 0, "the system message", offsetof(values, system), 0, 0},
    /* beside which /save may want to write */
    {CLI_OUTPUT, 0, "load", "FILE", 0, 0, "go on with a conversation that /save wrote", offsetof(values, load), 0, 0},
    {CLI_FLAG, 0, "shift", 0, 0, 0, "when the context is full, forget the oldest questions and answers",
     offsetof(values, shift), 0, 0},
    GEN_OPTIONS(values),
    CLI_GLOBAL_OPTIONS(values),
};

static const char commands[] =
    "  /help         this list\n"
    "  /reset        forget the conversation, but for the system message\n"
    "  /system TEXT  set the system message and begin again; without TEXT: show it\n"
    "  /regen        answer the last question again\n"
    "  /save FILE    write the conversation, a JSON array of messages, beneath the current folder\n"
    "  /load FILE    go on with a conversation\n"
    "  /exit         the end; so is Ctrl-D\n";

static const char notes[] =
    "The model has to have a chat template. The bundled ones have none: name one with -m.\n"
    "Commands in the chat:\n"
    "  /help /reset /system TEXT /regen /save FILE /load FILE /exit\n"
    "A line that ends in a backslash goes on in the next. Ctrl-C stops an answer; what was said of it stays.\n"
    "Questions can come on stdin, one a line; then only the answers are printed.\n"
    "\n"
    "  pith chat -m path/to/model --system \"Answer briefly.\"\n"
    "  pith chat -m path/to/model < questions.txt > answers.txt\n";

typedef struct session {
    const values *v;
    load load;
    pith_template *template;
    pith_generator *g;
    pith_request request;
    line_editor *lines;
    turns said;
    int terminal;
    /* the answer at hand */
    char *text;
    size_t len, cap;
    pith_finish finish;
    char error[PITH_ERR_MAX];
} session;

static int on_token(void *ctx, const pith_token *t)
{
    session *s = ctx;
    s->finish = t->finish;
    if (t->finish == PITH_FINISH_ERROR) {
        snprintf(s->error, sizeof s->error, "%s", t->error);
        return 0;
    }
    if (s->cap - s->len < t->len + 1) {
        size_t cap = 2 * (s->len + t->len) + 1024;
        char *b = realloc(s->text, cap);
        if (!b) {
            s->finish = PITH_FINISH_ERROR;
            snprintf(s->error, sizeof s->error, "out of memory");
            return 1;
        }
        s->text = b;
        s->cap = cap;
    }
    memcpy(s->text + s->len, t->text, t->len);
    s->len += t->len;
    gen_put(stdout, t->text, t->len, s->terminal);
    fflush(stdout);
    return 0;
}

/* Makes the conversation fit: the oldest question and its answer go, until `room` tokens are left for the answer or
 * only the last question is there. */
static int fit(session *s, pith_tokens *t, pith_err *e)
{
    size_t context = pith_generator_context(s->g), room = context / 4, dropped = 0;
    size_t first = (size_t)turns_has_system(&s->said);
    while (s->v->shift && t->n + room > context && s->said.n > first + 1) {
        size_t end = first + 1;
        while (end < s->said.n - 1 && strcmp(s->said.turn[end].role, "user") != 0) end++;
        turns_drop(&s->said, first, end);
        dropped += end - first;
        pith_tokens_free(t);
        if (turns_tokens(&s->said, s->template, pith_model_tokenizer(s->load.model), t, e)) return -1;
    }
    if (dropped) cli_note("the context is full: the %zu oldest messages are forgotten", dropped);
    return 0;
}

/* The answer to the conversation so far. -1: there is none, and nothing was added. */
static int answer(session *s, pith_err *e)
{
    pith_tokens t;
    if (turns_tokens(&s->said, s->template, pith_model_tokenizer(s->load.model), &t, e) || fit(s, &t, e)) {
        pith_tokens_free(&t);
        return -1;
    }
    pith_request r = s->request;
    r.ids = t.ids, r.n = t.n, r.on_token = on_token, r.ctx = s;
    s->len = 0;
    s->finish = PITH_FINISH_NONE;
    int more = pith_generator_add(s->g, &r, e) ? -1 : 1;
    pith_tokens_free(&t);
    guard_catch(GUARD_CATCH);
    while (more > 0 && !guard_interrupted()) more = pith_generator_step(s->g, e);
    guard_catch(GUARD_END);
    pith_generator_cancel(s->g, s);
    if (s->finish == PITH_FINISH_ERROR) more = err_set(e, "%s", s->error);
    if (more >= 0 || s->len) putchar('\n');
    if (more < 0) return -1;
    if (s->finish == PITH_FINISH_LENGTH && !s->v->o.max_tokens)
        cli_note("the answer is not complete: the context of %zu tokens is full, or max_new_tokens of the model's "
                 "generation_config.json reached", pith_generator_context(s->g));
    s->request.sampling.seed++; /* another answer to the same question is another one */
    return turns_add(&s->said, "assistant", s->text ? s->text : "", s->len, e);
}

static void ask(session *s, const char *text)
{
    pith_err e = {{0}};
    size_t before = s->said.n;
    if (turns_add(&s->said, "user", text, strlen(text), &e) || answer(s, &e)) {
        cli_error("%s", e.msg);
        /* What --shift dropped is gone; the question is not kept without an answer. */
        turns_cut(&s->said, s->said.n < before ? s->said.n - 1 : before);
    }
}

static void regenerate(session *s)
{
    pith_err e = {{0}};
    size_t n = s->said.n;
    if (n < 2 || strcmp(s->said.turn[n - 1].role, "assistant") != 0) {
        cli_note("there is no answer to give again");
        return;
    }
    turn last = s->said.turn[n - 1]; /* comes back if there is no other */
    s->said.n--;
    if (s->request.sampling.temperature == 0) cli_note("greedy: the answer will be the same; --temp makes it vary");
    if (answer(s, &e) == 0) {
        free(last.role);
        free(last.content);
        return;
    }
    cli_error("%s", e.msg);
    s->said.turn[s->said.n++] = last;
}

static void set_system(session *s, const char *text)
{
    pith_err e = {{0}};
    if (!*text) {
        if (turns_has_system(&s->said)) fprintf(stderr, "%s\n", s->said.turn[0].content);
        else cli_note("there is no system message");
        return;
    }
    turns_cut(&s->said, 0);
    if (turns_system(&s->said, text, &e)) cli_error("%s", e.msg);
}

static void keep_file(session *s, const char *path, int save)
{
    pith_err e = {{0}};
    if (!*path) cli_error("%s FILE: a file is missing", save ? "/save" : "/load");
    else if (save ? turns_save(&s->said, path, &e) : turns_load(&s->said, path, &e))
        cli_error("%s%s", e.msg, confine_holds() && strstr(e.msg, strerror(EACCES)) ? "; chat reaches files beneath the folder it was started in, with --no-sandbox all" : "");
    else cli_note("%s: %zu messages", path, s->said.n);
}

/* A line that begins with a slash. 1: the end. */
static int command(session *s, char *line)
{
    size_t n = strcspn(line, " ");
    const char *rest = line + n + strspn(line + n, " ");
    char name[16] = "";
    if (n < sizeof name) memcpy(name, line, n);
    if (!strcmp(name, "/exit") || !strcmp(name, "/quit") || !strcmp(name, "/bye")) return 1;
    if (!strcmp(name, "/help") || !strcmp(name, "/?")) fputs(commands, stderr);
    else if (!strcmp(name, "/reset")) turns_cut(&s->said, (size_t)turns_has_system(&s->said));
    else if (!strcmp(name, "/system")) set_system(s, rest);
    else if (!strcmp(name, "/regen")) regenerate(s);
    else if (!strcmp(name, "/save")) keep_file(s, rest, 1);
    else if (!strcmp(name, "/load")) keep_file(s, rest, 0);
    else cli_error("unknown command %.*s; /help lists them", (int)n, line);
    return 0;
}

/* Reads and answers until the end. 1: interrupted, where there is no terminal to go on at. */
static int talk(session *s)
{
    char *line;
    for (;;) {
        guard_catch(GUARD_READ);
        int k = line_read(s->lines, "> ", &line);
        guard_catch(GUARD_END);
        if (k == LINE_END) break;
        if (k == LINE_INTERRUPTED) {
            if (!s->terminal) return 1;
            fputs("\n(Ctrl-D or /exit ends the chat)\n", stderr);
        } else if (*line == '/') {
            if (command(s, line)) return 0;
        } else if (line[strspn(line, " \t\n")]) {
            ask(s, line);
        }
    }
    if (s->terminal) putchar('\n');
    return 0;
}

static int open_session(session *s, pith_err *e)
{
    const values *v = s->v;
    if (load_open(&s->load, &v->m, e)) return CLI_FAILED;
    if (!pith_model_tokenizer(s->load.model)) return err_set(e, "%s: has no tokenizer, so it cannot chat", s->load.path), CLI_FAILED;
    s->template = pith_template_open(s->load.path, e);
    if (!s->template) return CLI_FAILED;
    int status = gen_request(&v->o, s->load.model, &s->request);
    if (status) return status;
    if (!v->o.max_tokens && !pith_request_new(s->load.model).max_tokens) s->request.max_tokens = 0; /* as long as it takes */
    gen_detail(&s->request);
    pith_generator_options o = {.context = (size_t)v->o.context, .half_cache = v->o.kv};
    s->g = pith_generator_new(s->load.model, &o, e);
    if (!s->g || (v->load && turns_load(&s->said, v->load, e)) || (v->system && turns_system(&s->said, v->system, e)))
        return CLI_FAILED;
    pith_generator_watch(s->g, guard_unwanted, NULL);
    s->lines = line_open(e);
    s->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return s->lines ? 0 : CLI_FAILED;
}

static int run_chat(void *opts, int argc, char **argv)
{
    session s = {.v = opts};
    pith_err e = {{0}};
    if (argc) return cli_usage("'%s': a chat takes no argument; --system TEXT sets the system message", argv[0]);
    int status = open_session(&s, &e), interrupted = 0;
    if (*e.msg) status = cli_error("%s", e.msg);
    if (!status) {
        if (s.terminal) cli_note("%s; /help lists the commands", s.load.path);
        interrupted = talk(&s);
        gen_summary(&s.load, s.g);
    }
    line_close(s.lines);
    turns_free(&s.said);
    free(s.text);
    pith_generator_free(s.g);
    gen_drop(&s.request);
    pith_template_close(s.template);
    load_close(&s.load);
    return interrupted ? CLI_INTERRUPTED : status;
}

const cli_verb cmd_chat = {
    "chat", "[-m MODEL] [--system TEXT] [options]", "talk with a model", notes, options, sizeof(values), run_chat,
};
