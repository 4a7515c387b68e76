/* stream: text handed out token by token is, put together, the text of all tokens; never part of a character, never what
 * may still become a stop string. Over real tokenizers, real texts, and random bytes. */
#include "util.h"
#include "stream.h"

static tokenizer *tok;

static int opens(const char *rel)
{
    pith_err e = {{0}};
    const char *dir = util_shared(rel);
    tokenizer_free(tok);
    tok = dir ? tokenizer_open(dir, &e) : NULL;
    if (dir && !tok) fail_msg("%s: %s", rel, e.msg);
    return tok != NULL;
}

static size_t valid(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        size_t k = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
        if (!k || i + k > n) break;
        for (size_t j = 1; j < k; j++)
            if (((unsigned char)s[i + j] & 0xc0) != 0x80) return i;
        i += k;
    }
    return i;
}

/* All text of ids[n_prompt..n), streamed; *stopped: by a stop string. */
static char *streamed(const int32_t *ids, size_t n_prompt, size_t n, const char *const *stop, size_t n_stop, size_t *len,
                      int *stopped)
{
    stream s;
    pith_err e = {{0}};
    char *all = calloc(1, 1 << 20);
    *len = 0;
    *stopped = 0;
    if (stream_open(&s, tok, ids, n_prompt, stop, n_stop, &e)) fail_msg("%s", e.msg);
    for (size_t i = n_prompt; i < n && !*stopped; i++) {
        if (stream_push(&s, ids[i], i + 1 == n, stopped, &e)) fail_msg("%s", e.msg);
        assert_int_equal(valid(s.out.s, s.out.len), s.out.len);
        assert_int_equal(s.out.s[s.out.len], 0);
        memcpy(all + *len, s.out.s, s.out.len);
        *len += s.out.len;
    }
    stream_close(&s);
    return all;
}

static char *whole(const int32_t *ids, size_t n, size_t *len)
{
    pith_err e = {{0}};
    char *s;
    if (tokenizer_decode(tok, ids, n, true, &s, len, &e)) fail_msg("%s", e.msg);
    return s;
}

/* Cut anywhere, prompt and streamed rest make up the text. */
static void check_text(const char *name, const char *text, size_t len)
{
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    tokenizer_options o = {.no_special = true};
    if (tokenizer_encode(tok, text, len, NULL, 0, &o, &x, NULL, &e)) fail_msg("%s", e.msg);
    size_t n_all, step = x.n > 40 ? x.n / 7 : 1;
    char *all = whole(x.ids, x.n, &n_all);
    for (size_t cut = 0; cut < x.n; cut += step) {
        size_t n_prompt, n;
        int stopped;
        char *prompt = whole(x.ids, cut, &n_prompt), *rest = streamed(x.ids, cut, x.n, NULL, 0, &n, &stopped);
        /* A character cut in two is whole in the rest, and U+FFFD at the end of the prompt's own text. */
        while (n_prompt >= 3 && memcmp(prompt + n_prompt - 3, "\xef\xbf\xbd", 3) == 0 &&
               (n_prompt > n_all || memcmp(prompt, all, n_prompt) != 0))
            n_prompt -= 3;
        if (n_prompt + n < n_all || memcmp(all + n_all - n, rest, n) != 0)
            fail_msg("%s: \"%.40s\" cut at %zu of %zu: \"%.80s\" does not end \"%.80s\"", name, text, cut, x.n, rest, all);
        free(prompt);
        free(rest);
    }
    free(all);
    tokenizer_encoding_free(&x);
}

static const char *const dirs[] = {"tokenizers/llama2", "tokenizers/gpt2", "tokenizers/qwen3", "tokenizers/mistral",
                                   "tokenizers/gptoss", "models/stories260K"};

static void pieces_make_up_the_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "Once upon a time, there was a little girl.", " leading", "trailing  ", "a\n\nb\tc", "na\xc3\xafve caf\xc3\xa9",
        "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c", "\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80!",
        "\xe0\xb8\xaa\xe0\xb8\xa7\xe0\xb8\xb1\xe0\xb8\xaa", "mixed \xf0\x9f\x8d\x95 and \xd0\xb6 and x", "   ", "1234567890",
    };
    int any = 0;
    for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++) {
        if (!opens(dirs[d])) continue;
        any = 1;
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_text(dirs[d], texts[i], strlen(texts[i]));
    }
    if (!any) {
        printf("# skip: no shared goldens (tokenizers)\n");
        skip();
    }
}

/* Whatever ids come: what is handed out is UTF-8, and where no character was broken it is the text. */
static void random_ids(void **state)
{
    (void)state;
    uint32_t seed = 1;
    int any = 0;
    for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++) {
        if (!opens(dirs[d])) continue;
        any = 1;
        for (int round = 0; round < 60; round++) {
            int32_t ids[60];
            for (size_t i = 0; i < 60; i++) {
                seed = seed * 1664525u + 1013904223u;
                /* Low ids: in most vocabularies the single bytes. */
                ids[i] = (int32_t)((seed >> 8) % (round % 2 ? 300 : tokenizer_vocab_size(tok)));
            }
            size_t n, n_all;
            int stopped;
            char *got = streamed(ids, 0, 60, NULL, 0, &n, &stopped), *all = whole(ids, 60, &n_all);
            if (!strstr(all, "\xef\xbf\xbd") && (n != n_all || memcmp(got, all, n) != 0))
                fail_msg("%s: \"%s\", expected \"%s\"", dirs[d], got, all);
            free(got);
            free(all);
        }
    }
    if (!any) {
        printf("# skip: no shared goldens (tokenizers)\n");
        skip();
    }
}

static void stop_strings(void **state)
{
    (void)state;
    util_need("tokenizers/llama2");
    assert_true(opens("tokenizers/llama2"));
    static const char text[] = "one two three\n\nUser: four \xf0\x9f\x8d\x95 five";
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    tokenizer_options o = {.no_special = true};
    assert_int_equal(tokenizer_encode(tok, text, sizeof text - 1, NULL, 0, &o, &x, NULL, &e), 0);
    const struct {
        const char *stop[3];
        const char *left; /* NULL: it is not met */
    } cases[] = {{{"\nUser:"}, "one two three\n"},   {{"\n\n"}, "one two three"},      {{"three", "two"}, "one "},
                 {{"hre"}, "one two t"},             {{"one"}, ""},                    {{"fives"}, NULL},
                 {{"\xf0\x9f\x8d\x95"}, "one two three\n\nUser: four "},               {{"e two thr", "zzz"}, "on"},
                 {{"five"}, "one two three\n\nUser: four \xf0\x9f\x8d\x95 "},          {{"threx", "\n\nUserX"}, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n, n_stop = cases[i].stop[1] ? 2 : 1;
        int stopped;
        char *got = streamed(x.ids, 0, x.n, cases[i].stop, n_stop, &n, &stopped);
        assert_int_equal(stopped, cases[i].left != NULL);
        assert_string_equal(got, cases[i].left ? cases[i].left : text);
        free(got);
    }
    tokenizer_encoding_free(&x);
    stream s;
    assert_int_equal(stream_open(&s, tok, NULL, 0, (const char *[]){""}, 1, &e), -1);
    assert_non_null(strstr(e.msg, "a stop string is empty"));
}

static int done(void **state)
{
    (void)state;
    tokenizer_free(tok);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_make_up_the_text),
        cmocka_unit_test(random_ids),
        cmocka_unit_test(stop_strings),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, done);
}
