#include "cli/verbs.h"
#include "cli/cmd.h"
#include <string.h>

static const cli_verb *const verbs[] = {&cmd_classify, &cmd_eval,     &cmd_generate, &cmd_chat,     &cmd_perplexity, &cmd_embed,
                                        &cmd_rerank,   &cmd_tokenize, &cmd_template, &cmd_logits,   &cmd_inspect,    &cmd_verify,
                                        &cmd_convert,  &cmd_quantize, &cmd_bench,    &cmd_serve,    &cmd_completion, &cmd_version};

const cli_verb *verbs_at(size_t i) { return i < sizeof verbs / sizeof *verbs ? verbs[i] : NULL; }

const cli_verb *verbs_find(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    return NULL;
}
