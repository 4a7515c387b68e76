/* pith template: a conversation rendered with a chat template: what a model would be given to continue. */
#define _POSIX_C_SOURCE 200809L
#include "cli/cmd.h"
#include "cli/input.h"
#include "cli/load.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli_globals g;
    cli_model_opts m;
    const char *template, *bos, *eos, *name, *tools, *documents, *variables, *date;
    int no_generation_prompt, json;
} values;

static const cli_opt options[] = {
    {CLI_TITLE, 0, 0, 0, 0, 0, "Template", 0, 0, 0},
    {CLI_MODEL, 'm', "model", "MODEL", 0, "PITH_MODEL", "a Hugging Face directory: its chat template and special tokens",
     offsetof(values, m.model), 0, 0},
    {CLI_INPUT, 0, "template", "FILE", 0, 0, "a template file instead of -m", offsetof(values, template), 0, 0},
    {CLI_STRING, 0, "bos", "TEXT", 0, 0, "bos_token, for --template", offsetof(values, bos), 0, 0},
    {CLI_STRING, 0, "eos", "TEXT", 0, 0, "eos_token, for --template", offsetof(values, eos), 0, 0},
    {CLI_STRING, 0, "name", "NAME", 0, 0, "one of a model's named templates", offsetof(values, name), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Conversation", 0, 0, 0},
    {CLI_FLAG, 0, "no-generation-prompt", 0, 0, 0, "do not open the assistant's turn at the end",
     offsetof(values, no_generation_prompt), 0, 0},
    {CLI_INPUT, 0, "tools", "FILE", 0, 0, "a JSON array of tools", offsetof(values, tools), 0, 0},
    {CLI_INPUT, 0, "documents", "FILE", 0, 0, "a JSON array of documents", offsetof(values, documents), 0, 0},
    {CLI_STRING, 0, "variables", "JSON", 0, 0, "more variables, as {\"enable_thinking\": false}", offsetof(values, variables), 0, 0},
    {CLI_STRING, 0, "date", "YYYY-MM-DD", 0, 0, "today, for templates that write the date", offsetof(values, date), 0, 0},
    {CLI_TITLE, 0, 0, 0, 0, 0, "Output", 0, 0, 0},
    {CLI_FLAG, 0, "json", 0, 0, 0, "a JSON object: the text, and the byte ranges that came from the conversation",
     offsetof(values, json), 0, 0},
    CLI_GLOBAL_OPTIONS(values),
};

static const char notes[] =
    "The prompt goes to stdout as it is, without a newline of its own. Messages are a JSON array of {role, content}.\n"
    "\n"
    "  echo '[{\"role\": \"user\", \"content\": \"Hello\"}]' | pith template -m DIR\n";

/* All of a file (or stdin), NUL-terminated and malloc'ed. */
static char *read_all(const char *path, size_t *len, pith_err *e)
{
    input in;
    char *text = NULL;
    if (input_open(&in, path, e)) return NULL;
    while (!in.eof)
        if (input_fill(&in, e)) goto done;
    *len = in.len - in.pos;
    if (!(text = malloc(*len + 1))) {
        err_nomem(e, *len + 1, in.name);
        goto done;
    }
    if (*len) memcpy(text, in.buf + in.pos, *len);
    text[*len] = 0;
    if (strlen(text) != *len) {
        err_set(e, "%s: not valid JSON: a NUL byte", in.name);
        free(text);
        text = NULL;
    }
done:
    input_close(&in);
    return text;
}

static int read_date(const char *s, pith_template_options *o)
{
    int at = 0;
    if (sscanf(s, "%4d-%2d-%2d%n", &o->year, &o->month, &o->day, &at) == 3 && s[at] == 0 && o->year > 0) return 0;
    return cli_usage("--date %s: expected YYYY-MM-DD", s);
}

static pith_template *open_template(const values *v, pith_err *e)
{
    if (v->template) return pith_template_open_file(v->template, v->bos, v->eos, e);
    char *path = load_path(v->m.model, e);
    pith_template *t = path ? pith_template_open(path, e) : NULL;
    free(path);
    return t;
}

static void put_json(const pith_prompt *p)
{
    fputs("{\"text\":", stdout);
    json_put_str(stdout, p->text, p->len);
    fputs(",\"foreign\":[", stdout);
    for (size_t i = 0; i < p->n_foreign; i++) printf("%s[%zu,%zu]", i ? "," : "", p->foreign[i].begin, p->foreign[i].end);
    puts("]}");
}

static int render(const values *v, const char *path, pith_template_options *o, pith_err *e)
{
    size_t len = 0, unused = 0;
    char *tools = NULL, *documents = NULL, *messages = NULL;
    pith_prompt p = {0};
    pith_template *t = open_template(v, e);
    int bad = !t || (v->tools && !(tools = read_all(v->tools, &unused, e))) ||
              (v->documents && !(documents = read_all(v->documents, &unused, e))) || !(messages = read_all(path, &len, e));
    o->tools = tools;
    o->documents = documents;
    if (!bad) bad = pith_template_render(t, messages, len, o, &p, e);
    if (!bad && v->json) put_json(&p);
    else if (!bad) fwrite(p.text, 1, p.len, stdout);
    pith_prompt_free(&p);
    free(messages);
    free(documents);
    free(tools);
    pith_template_close(t);
    return bad;
}

static int run(void *values_, int argc, char **argv)
{
    const values *v = values_;
    pith_err e = {{0}};
    pith_template_options o = {.no_generation_prompt = v->no_generation_prompt, .name = v->name, .variables = v->variables};
    if (argc > 1) return cli_usage("one file of messages at a time");
    if (!v->template && !v->m.model) return cli_usage("which template? -m DIR or --template FILE");
    if (!v->template && (v->bos || v->eos)) return cli_usage("--bos and --eos go with --template; a model has its own");
    if (v->date && read_date(v->date, &o)) return CLI_USAGE;
    return render(v, argc ? argv[0] : "-", &o, &e) ? cli_error("%s", e.msg) : CLI_OK;
}

const cli_verb cmd_template = {
    .name = "template", .synopsis = "-m MODEL [options] [FILE | -]", .summary = "messages to the prompt a chat model gets",
    .notes = notes, .opts = options, .size = sizeof(values), .run = run,
};
