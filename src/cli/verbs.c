#include "cli/verbs.h"
#include "cli/cmd.h"
#include <string.h>

static const struct {
    const cli_verb *verb;
    confine_needs needs;
} verbs[] = {
    {&cmd_classify, {.lifted_by = "mpi"}},
    {&cmd_eval, {0}},
    {&cmd_generate, {0}},
    {&cmd_chat, {.more = CONFINE_TALK}},
    {&cmd_perplexity, {.args = "r"}},
    {&cmd_embed, {0}},
    {&cmd_rerank, {0}},
    {&cmd_tokenize, {0}},
    {&cmd_template, {.args = "r"}},
    {&cmd_logits, {0}},
    {&cmd_inspect, {.args = "r"}},
    {&cmd_verify, {.args = "r"}},
    {&cmd_convert, {.args = "rw"}},
    {&cmd_quantize, {.args = "rw"}},
    {&cmd_bench, {.more = CONFINE_TEMPORARY}},
    {&cmd_serve, {.more = CONFINE_ITSELF}},
    {&cmd_completion, {.more = CONFINE_BUNDLED}},
    {&cmd_version, {0}},
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

const cli_verb *verbs_at(size_t i) { return i < N_VERBS ? verbs[i].verb : NULL; }

const cli_verb *verbs_find(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(verbs[i].verb->name, name) == 0) return verbs[i].verb;
    return NULL;
}

const confine_needs *verbs_needs(const cli_verb *v)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (verbs[i].verb == v) return &verbs[i].needs;
    return NULL;
}
