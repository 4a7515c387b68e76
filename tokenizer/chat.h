/* chat: the chat template of a Hugging Face directory, and conversations rendered with it as transformers'
 * apply_chat_template does. Finds the template and the special tokens; the language itself is jinja's.
 * Immutable after opening; threads may share it. */
#ifndef TOKENIZER_CHAT_H
#define TOKENIZER_CHAT_H
#include "tokenizer/jinja.h"

typedef struct chat chat;

typedef struct chat_options {
    bool no_generation_prompt;
    const char *name;      /* of a template, where there are several; NULL: "tool_use" if there are tools and it exists, else
                              "default" */
    const char *tools;     /* JSON array; NULL: none */
    size_t tools_len;
    const char *documents; /* JSON array; NULL: none */
    size_t documents_len;
    const char *variables; /* JSON object of more variables (enable_thinking, ...); NULL: none */
    size_t variables_len;
    const jinja_date *now; /* of strftime_now; NULL: the local time */
    jinja_limits limits;
} chat_options;

/* dir: chat_template.jinja (and additional_chat_templates/NAME.jinja), else "chat_template" of tokenizer_config.json, a
 * string or a list of {name, template}, else chat_template.json. The special tokens come from tokenizer_config.json, else
 * special_tokens_map.json. Errors: no template there, unreadable files, a template that does not parse. */
chat *chat_open(const char *dir, pith_err *e);
/* One template file; bos and eos may be NULL: not defined. */
chat *chat_open_file(const char *path, const char *bos, const char *eos, pith_err *e);
void chat_close(chat *c);

/* messages: JSON array of {role, content, ...}. Whole numbers in messages and tools come out as they were written, of
 * any length; other numbers as Python prints them.
 *
 * out->foreign tells which bytes of the prompt came from messages, tools and documents: text of strangers, which must
 * never be read as special tokens. Ours are: the template's own text, the special tokens, `variables`, and roles made
 * only of letters, digits, '_' and '-' (templates write them between "<|" and "|>"). What is tracked: jinja.h. */
int chat_render(const chat *c, const char *messages, size_t len, const chat_options *o, jinja_result *out, pith_err *e);

#endif
