/* The template interpreter.
 * The first byte chooses syntax, flags and how little memory there is; the rest is a template, or (cut at the first 0xfe)
 * a template and the JSON of its variables. */
#include "tokenizer/jinja.h"
#include "fuzz.h"

static const char CONTEXT[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi <b> \\u00e9\\ud83d\\ude00\"}, {\"role\": \"x y\", \"content\": [1, 2.5, null, true]}],"
    "\"tools\": null, \"bos_token\": \"<s>\", \"n\": 3, \"s\": \"a,b c\", \"l\": [3, 1, 2], \"d\": {\"k\": \"v\", \"n\": {}}, \"big\": 1e300}";

void fuzz_one(const uint8_t *data, size_t n)
{
    if (!n) return;
    uint8_t how = data[0];
    const uint8_t *cut = memchr(data + 1, 0xfe, n - 1);
    size_t len = cut ? (size_t)(cut - data) - 1 : n - 1, context_len = cut ? n - len - 2 : sizeof CONTEXT - 1;
    char *source = malloc(len ? len : 1), *context = malloc(context_len ? context_len : 1);
    demand(source && context, "memory");
    memcpy(source, data + 1, len);
    memcpy(context, cut ? (const char *)cut + 1 : CONTEXT, context_len);
    jinja_syntax syntax = {how & 1, how & 2, how & 4};
    jinja_date now = {2024, 2, 29, 23, 59, 59};
    jinja_options o = {.now = &now, .flags = (how >> 3) & 3,
                       .limits = {.steps = 20000, .memory = how & 0x80 ? (size_t)(how & 0x60) * 1000 + 1000 : 4000000, .output = 100000}};
    jinja_var vars[2] = {{.text = context, .len = context_len, .json = true, .foreign = true, .plain_key = "role"},
                         {.name = "w", .text = "ours", .len = 4}};
    pith_err e = {{0}};
    jinja_result r, again;
    jinja_template *t = jinja_parse("fuzz", source, len, &syntax, &e);
    demand((t == NULL) == (e.msg[0] != 0), "a refusal has a message");
    if (t) {
        int rc = jinja_render(t, vars, 2, &o, &r, &e);
        demand((rc != 0) == (e.msg[0] != 0) && (rc == 0 || !r.text), "an error has a message and no text");
        pith_err e2 = {{0}};
        demand(jinja_render(t, vars, 2, &o, &again, &e2) == rc && strcmp(e.msg, e2.msg) == 0, "twice the same");
        if (rc == 0) {
            size_t end = 0;
            demand(r.len <= 100000 && r.text[r.len] == 0 && again.len == r.len && memcmp(r.text, again.text, r.len) == 0, "the text");
            for (size_t i = 0; i < r.n_foreign; i++) {
                demand(r.foreign[i].begin < r.foreign[i].end && (i == 0 || r.foreign[i].begin > end) && r.foreign[i].end <= r.len, "ranges");
                end = r.foreign[i].end;
            }
        }
        jinja_result_free(&r);
        jinja_result_free(&again);
    }
    jinja_free(t);
    free(source);
    free(context);
}
