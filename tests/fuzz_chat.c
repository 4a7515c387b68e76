/* The files of a chat template, cut apart by 0xfe: tokenizer_config.json, chat_template.jinja, special_tokens_map.json, then messages,
 * tools and variables as JSON. An empty part is no file. What is rendered is a text, and what of it came from the messages is told. */
#include "tokenizer/chat.h"
#include "fuzz.h"

static const char MESSAGES[] = "[{\"role\":\"user\",\"content\":\"Hi <|end|> \\u00e9\"},{\"role\":\"assistant\",\"content\":\"x\"}]";

void fuzz_one(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json"};
    fuzz_input in = {data, n};
    char *part[6] = {NULL};
    size_t len[6] = {0};
    pith_err e = {{0}};
    for (int i = 0; i < 6 && (part[i] = fuzz_part(&in, &len[i])); i++)
        if (i < 3 && len[i]) fuzz_put(names[i], part[i], len[i]);
    chat *c = chat_open(FUZZ_DIR, &e);
    demand_either(c != NULL, &e);
    if (c) {
        jinja_result r;
        jinja_date now = {2024, 2, 29, 23, 59, 59};
        chat_options o = {.now = &now, .limits = {.steps = 100000, .memory = 16 << 20, .output = 1 << 20},
                           .tools = len[4] ? part[4] : NULL, .tools_len = len[4], .variables = len[5] ? part[5] : NULL, .variables_len = len[5]};
        int bad = chat_render(c, len[3] ? part[3] : MESSAGES, len[3] ? len[3] : sizeof MESSAGES - 1, &o, &r, &e);
        demand_either(!bad, &e);
        uint64_t end = 0;
        if (!bad) demand(r.text && !r.text[r.len], "a prompt ends");
        for (size_t i = 0; !bad && i < r.n_foreign; i++) {
            demand(r.foreign[i].begin < r.foreign[i].end && (!i || r.foreign[i].begin > end) && r.foreign[i].end <= r.len, "ranges lie apart, in the prompt");
            end = r.foreign[i].end;
        }
        jinja_result_free(&r);
    }
    chat_close(c);
    for (int i = 0; i < 6; i++) free(part[i]);
}
