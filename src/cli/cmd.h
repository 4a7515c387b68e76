/* cmd: the verbs. Each file cmd_<verb>.c exports one of these; verbs.c's table names them all. */
#ifndef CLI_CMD_H
#define CLI_CMD_H
#include "cli/cli.h"

extern const cli_verb cmd_bench, cmd_chat, cmd_classify, cmd_completion, cmd_convert, cmd_embed, cmd_eval, cmd_generate, cmd_inspect, cmd_logits,
    cmd_perplexity, cmd_quantize, cmd_rerank, cmd_serve, cmd_template, cmd_tokenize, cmd_verify, cmd_version;

#endif
