/* JSON from any bytes: what is accepted, printed and read again is the same value; the strict reader of rows accepts whatever the
 * lenient one must; raw members are the text of the parsed ones. */
#define _POSIX_C_SOURCE 200809L
#include "base/json.h"
#include "cli/jtext.h"
#include "tokenizer/unicode.h"
#include "fuzz.h"

static void print(FILE *f, json v)
{
    int any = 0;
    switch (json_typeof(v)) {
    case JSON_BOOL: fputs(json_true(v) ? "true" : "false", f); return;
    case JSON_NUMBER: json_put_f64(f, json_num(v)); return;
    case JSON_STRING: json_put_str(f, json_str(v), strlen(json_str(v))); return;
    case JSON_ARRAY:
    case JSON_OBJECT:
        putc(json_typeof(v) == JSON_ARRAY ? '[' : '{', f);
        for (json c = json_first(v); c.node; c = json_next(c)) {
            if (any++) putc(',', f);
            if (json_typeof(v) == JSON_OBJECT) json_put_str(f, json_key(c), strlen(json_key(c))), putc(':', f);
            print(f, c);
        }
        putc(json_typeof(v) == JSON_ARRAY ? ']' : '}', f);
        return;
    default: fputs("null", f);
    }
}

static char *text_of(json v, size_t *n)
{
    char *s = NULL;
    FILE *f = open_memstream(&s, n);
    demand(f != NULL, "memory");
    print(f, v);
    fclose(f);
    return s;
}

typedef struct walk {
    json at;
    size_t n;
} walk;

/* The raw value of each member or item is JSON that is the member's value. */
static void raw(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    walk *w = ctx;
    size_t a_len, b_len;
    (void)key, (void)key_len;
    json_doc *d = json_parse("raw", value, len, NULL);
    demand(d && w->at.node, "a raw value is JSON, and there are no more than values");
    char *a = text_of(json_root(d), &a_len), *b = text_of(w->at, &b_len);
    demand(a_len == b_len && !memcmp(a, b, a_len), "a raw value is the parsed one");
    free(a);
    free(b);
    json_free(d);
    w->at = json_next(w->at);
    w->n++;
}

void fuzz_one(const uint8_t *data, size_t n)
{
    pith_err e = {{0}}, strict = {{0}};
    char *text = fuzz_copy(data, n);
    json_doc *d = json_parse("text", text, n, &e);
    demand_either(d != NULL, &e);
    int good = jtext_check(text, n, &strict) == 0;
    demand_either(good, &strict);
    demand(!d || unicode_valid(text, n) == n, "what is accepted is UTF-8"); /* of a row whatever is not is mended later */
    if (d) {
        size_t a_len, b_len;
        json root = json_root(d);
        char *a = text_of(root, &a_len);
        json_doc *back = json_parse("printed", a, a_len, &e);
        if (!back) fprintf(stderr, "%s\n", e.msg);
        demand(back != NULL && jtext_check(a, a_len, NULL) == 0, "what is printed is JSON");
        char *b = text_of(json_root(back), &b_len);
        demand(a_len == b_len && !memcmp(a, b, a_len), "what is printed and read prints the same");
        free(a);
        free(b);
        json_free(back);
        walk w = {json_first(root), 0};
        if (json_typeof(root) == JSON_OBJECT) json_raw_members(text, n, raw, &w);
        if (json_typeof(root) == JSON_ARRAY) json_raw_items(text, n, raw, &w);
        if (json_first(root).node) demand(w.n == json_len(root), "every value has its raw text");
        int32_t *ids = NULL;
        size_t n_ids;
        pith_err why = {{0}};
        int bad = good ? jtext_ids(text, n, &ids, &n_ids, &why) : 1;
        if (good) demand_either(!bad, &why);
        for (size_t i = 0; !bad && i < n_ids; i++) demand(ids[i] >= 0, "an id is no less than 0");
        free(ids);
    }
    json_free(d);
    free(text);
}
