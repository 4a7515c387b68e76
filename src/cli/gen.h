/* gen: what the verbs that write text share: their options, the request made of them, text on a terminal, the figures
 * of -v. */
#ifndef CLI_GEN_H
#define CLI_GEN_H
#include "cli/cli.h"
#include "cli/load.h"

typedef struct gen_opts {
    uint64_t max_tokens, context, logprobs;
    const char *top_k, *seed;
    double temp, top_p, min_p, typical, repeat_penalty, presence_penalty, frequency_penalty;
    cli_list bias, stop;
    int kv, ignore_eos, no_parse_special;
} gen_opts;

/* The bundled model that writes when -m names none. */
#define GEN_MODEL "reviews"

#define GEN_OPTIONS(T)                                                                                                 \
    {CLI_TITLE, 0, 0, 0, 0, 0, "Answer", 0, 0, 0},                                                                     \
    {CLI_SIZE, 'n', "max-tokens", "N|all", 0, 0,                                                                       \
     "new tokens at most; all: until the context is full [generation_config.json, else 256]",                          \
     offsetof(T, o.max_tokens), 1, UINT64_MAX},                                                                        \
    {CLI_SIZE, 'c', "context", "N", 0, 0, "tokens of prompt and answer together, at most [what the model allows]",     \
     offsetof(T, o.context), 1, UINT32_MAX},                                                                           \
    {CLI_CHOICE, 0, "kv", "f32|f16", "f32", 0, "how keys and values are kept; f16 halves their memory",                \
     offsetof(T, o.kv), 0, 0},                                                                                         \
    {CLI_LIST, 0, "stop", "TEXT", 0, 0, "ends the answer where this text would come; may be given several times",      \
     offsetof(T, o.stop), 0, 0},                                                                                       \
    {CLI_FLAG, 0, "ignore-eos", 0, 0, 0, "go on past the model's end of text", offsetof(T, o.ignore_eos), 0, 0},       \
    {CLI_FLAG, 0, "no-parse-special", 0, 0, 0, "special tokens written in a prompt, as <s>, are text",                 \
     offsetof(T, o.no_parse_special), 0, 0},                                                                           \
    {CLI_TITLE, 0, 0, 0, 0, 0, "Sampling [generation_config.json, else greedy]", 0, 0, 0},                             \
    {CLI_REAL, 0, "temp", "X", 0, 0,                                                                                   \
     "temperature; 0: always the most probable token; where the model is greedy, options below imply 1",               \
     offsetof(T, o.temp), 0, 1000000},                                                                                 \
    {CLI_STRING, 0, "top-k", "N", 0, 0, "the N most probable tokens; 0: all [50]", offsetof(T, o.top_k), 0, 0},        \
    {CLI_REAL, 0, "top-p", "X", 0, 0, "the fewest tokens that reach this probability together [1]",                    \
     offsetof(T, o.top_p), 0, 1},                                                                                      \
    {CLI_REAL, 0, "min-p", "X", 0, 0, "tokens at least this times as probable as the best [0]",                        \
     offsetof(T, o.min_p), 0, 1},                                                                                      \
    {CLI_REAL, 0, "typical", "X", 0, 0, "locally typical sampling [1]", offsetof(T, o.typical), 0, 1},                 \
    {CLI_REAL, 0, "repeat-penalty", "X", 0, 0, "of tokens in prompt and answer; 1: none", offsetof(T, o.repeat_penalty), \
     0, 0},                                                                                                            \
    {CLI_REAL, 0, "presence-penalty", "X", 0, 0, "of tokens in the answer; 0: none", offsetof(T, o.presence_penalty),  \
     0, 0},                                                                                                            \
    {CLI_REAL, 0, "frequency-penalty", "X", 0, 0, "of tokens in the answer, each time; 0: none",                       \
     offsetof(T, o.frequency_penalty), 0, 0},                                                                          \
    {CLI_LIST, 0, "logit-bias", "ID=X", 0, 0, "added to a token's logit; -inf forbids it; may be given several times", \
     offsetof(T, o.bias), 0, 0},                                                                                       \
    {CLI_STRING, 's', "seed", "N", 0, 0, "the same seed, the same text [a new one each time; -v tells it]",            \
     offsetof(T, o.seed), 0, 0}

/* The options as a request for this model; its stop strings and biases live in o and in *r's own memory, which
 * gen_drop gives back. 0, CLI_USAGE or CLI_FAILED. */
int gen_request(const gen_opts *o, const pith_model *m, pith_request *r);
void gen_drop(pith_request *r);
/* How tokens are picked, with -v. */
void gen_detail(const pith_request *r);

/* An answer's text: as it is, but that control characters are shown, not obeyed, on a terminal. */
void gen_put(FILE *f, const char *s, size_t len, int terminal);
/* With -v: tokens, rates, memory. */
void gen_summary(const load *l, const pith_generator *g);

#endif
