/* Every component and option of the tokenizer on tiny vocabularies of its own, expectations derived by hand; what
 * broken and hostile tokenizer files get; directories; texts of any size. test_tokenizer_golden.c compares with the
 * reference. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "tokenizer/tokenizer.h"
#include <unistd.h>

/* A tokenizer.json from parts; NULL stands for the usual one. */
typedef struct parts {
    const char *added, *normalizer, *pre_tokenizer, *post_processor, *decoder, *model;
} parts;

#define VOCAB                                                                                                          \
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"want\":4,\"##want\":5,\"##ed\":6,\"wa\":7,\"un\":8,"  \
    "\"runn\":9,\"##ing\":10,\",\":11,\"low\":12,\"lowest\":13,\"##e\":14,\"e\":15,\"hello\":16,\"\xe5\x8d\x9a\":17,"   \
    "\"##\xe5\x8d\x9a\":18,\"[\":19,\"]\":20,\"sep\":21,\".\":22,\"##.\":23,\"Hello\":24,\"h\xc3\xa9\":25,\"a\":26,"    \
    "\"##a\":27}"
#define MODEL(max) "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":" max "," VOCAB "}"
#define BERT(clean, cjk, strip, lower)                                                                                 \
    "{\"type\":\"BertNormalizer\",\"clean_text\":" #clean ",\"handle_chinese_chars\":" #cjk ",\"strip_accents\":" #strip \
    ",\"lowercase\":" #lower "}"
#define TOKEN(content, single, l, r, norm, special)                                                                    \
    "{\"id\":0,\"content\":\"" content "\",\"single_word\":" #single ",\"lstrip\":" #l ",\"rstrip\":" #r                \
    ",\"normalized\":" #norm ",\"special\":" #special "}"
#define SPECIALS TOKEN("[CLS]", false, false, false, false, true) "," TOKEN("[SEP]", false, false, false, false, true)
#define TEMPLATE                                                                                                       \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{"  \
    "\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":[{\"SpecialToken\":{"   \
    "\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"[SEP]\"," \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":1}}]," \
    "\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2],\"tokens\":[\"[CLS]\"]},\"[SEP]\":{\"id\":\"[SEP]\","  \
    "\"ids\":[3],\"tokens\":[\"[SEP]\"]}}}"

static char *compose(const parts *p, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    assert_non_null(f);
    fprintf(f,
            "{\"version\":\"1.0\",\"added_tokens\":[%s],\"normalizer\":%s,\"pre_tokenizer\":%s,\"post_processor\":%s,"
            "\"decoder\":%s,\"model\":%s}",
            p->added ? p->added : SPECIALS, p->normalizer ? p->normalizer : BERT(true, true, null, true),
            p->pre_tokenizer ? p->pre_tokenizer : "{\"type\":\"BertPreTokenizer\"}",
            p->post_processor ? p->post_processor : "null", p->decoder ? p->decoder : "null",
            p->model ? p->model : MODEL("100"));
    assert_int_equal(fclose(f), 0);
    return text;
}

static tokenizer *build(const parts *p, pith_err *e)
{
    size_t len;
    char *text = compose(p, &len);
    tokenizer *t = tokenizer_from_json("tokenizer.json", text, len, e);
    free(text);
    return t;
}

static tokenizer *build_or_fail(parts p)
{
    pith_err e = {{0}};
    tokenizer *t = build(&p, &e);
    if (!t) fail_msg("%s", e.msg);
    return t;
}

/* "piece@begin-end ..." of an encoding; '*' marks special tokens, ':n' a type id other than 0, "'" the second text. */
static const char *show(const tokenizer *t, const tokenizer_encoding *x)
{
    static char out[4096];
    size_t n = 0;
    out[0] = 0;
    for (size_t i = 0; i < x->n; i++) {
        const char *piece = tokenizer_piece(t, x->ids[i]);
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%s@%d-%d", i ? " " : "", piece ? piece : "?",
                              (int)x->begin[i], (int)x->end[i]);
        if (x->special[i]) n += (size_t)snprintf(out + n, sizeof out - n, "*");
        if (x->second[i]) n += (size_t)snprintf(out + n, sizeof out - n, "'");
        if (x->type_ids[i]) n += (size_t)snprintf(out + n, sizeof out - n, ":%d", x->type_ids[i]);
    }
    return out;
}

static void check_n(const tokenizer *t, const char *text, size_t len, const tokenizer_options *o, const char *want)
{
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    if (tokenizer_encode(t, text, len, NULL, 0, o, &x, NULL, &e)) fail_msg("%s", e.msg);
    assert_string_equal(show(t, &x), want);
    tokenizer_encoding_free(&x);
}

static void check(parts p, const char *text, const char *want)
{
    tokenizer *t = build_or_fail(p);
    check_n(t, text, strlen(text), NULL, want);
    tokenizer_free(t);
}

static void test_wordpiece(void **state)
{
    (void)state;
    check((parts){0}, "unwanted running", "un@0-2 ##want@2-6 ##ed@6-8 runn@9-13 ##ing@13-16");
    check((parts){0}, "lowest lower", "lowest@0-6 [UNK]@7-12"); /* "low" "##e" would do, but "##r" is not there */
    check((parts){0}, "lowe", "low@0-3 ##e@3-4");
    check((parts){0}, "unwantedX, a", "[UNK]@0-9 ,@9-10 a@11-12");
    check((parts){0}, "", "");
    check((parts){0}, "   ", "");
    /* longest first, even where a shorter one would lead to an end */
    check((parts){0}, "wanted wa", "want@0-4 ##ed@4-6 wa@7-9");
    check((parts){.model = MODEL("4")}, "aaaa aaaaa", "a@0-1 ##a@1-2 ##a@2-3 ##a@3-4 [UNK]@5-10");
    /* characters are counted, not bytes */
    check((parts){.model = MODEL("4"), .normalizer = "null"}, "a\xe5\x8d\x9a\xe5\x8d\x9a\xe5\x8d\x9a",
          "a@0-1 ##\xe5\x8d\x9a@1-4 ##\xe5\x8d\x9a@4-7 ##\xe5\x8d\x9a@7-10");
    check((parts){.model = MODEL("0")}, "a", "[UNK]@0-1");
}

static void test_wordlevel(void **state)
{
    (void)state;
    parts p = {.model = "{\"type\":\"WordLevel\",\"unk_token\":\"[UNK]\"," VOCAB "}",
               .pre_tokenizer = "{\"type\":\"Whitespace\"}", .normalizer = "null"};
    check(p, "Hello wanted, want.", "Hello@0-5 [UNK]@6-12 ,@12-13 want@14-18 .@18-19");
    check(p, "##ed", "[UNK]@0-2 [UNK]@2-4");
    p.pre_tokenizer = "{\"type\":\"WhitespaceSplit\"}";
    check(p, "##ed want.", "##ed@0-4 [UNK]@5-10");
    p.pre_tokenizer = "null"; /* the whole text is one word */
    check(p, "Hello", "Hello@0-5");
    check(p, "Hello want", "[UNK]@0-10");
}

/* Pieces longer than the beginnings that the vocabulary remembers. */
static void test_long_pieces(void **state)
{
    (void)state;
#define B10 "bbbbbbbbbb"
#define B80 B10 B10 B10 B10 B10 B10 B10 B10
    parts p = {.model = "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":500,"
                        "\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##b\":4,\"##" B80 "\":5,\"" B80 "c\":6}}"};
    check(p, "a" B80 "b", "a@0-1 ##" B80 "@1-81 ##b@81-82");
    check(p, "abb", "a@0-1 ##b@1-2 ##b@2-3");
    check(p, B80 "cb", B80 "c@0-81 ##b@81-82");
    check(p, B80 "b", "[UNK]@0-81");
}

/* Files from before the members had types. */
static void test_untyped_model(void **state)
{
    (void)state;
    check((parts){.model = "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100," VOCAB "}"},
          "lowe", "low@0-3 ##e@3-4");
    check((parts){.model = "{\"unk_token\":\"[UNK]\"," VOCAB "}"}, "lowe", "[UNK]@0-4");
}

static void test_normalizers(void **state)
{
    (void)state;
    /* e + acute, two bytes that become one; U+200B goes, U+00A0 is a space */
    check((parts){0}, "H\xc3\x89LLO\xe2\x80\x8b\xc2\xa0low", "hello@0-6 low@11-14");
    check((parts){.normalizer = BERT(true, true, false, true)}, "H\xc3\x89", "h\xc3\xa9@0-3");
    check((parts){.normalizer = BERT(true, true, true, false)}, "He\xcc\x81llo", "Hello@0-7");
    check((parts){.normalizer = BERT(true, true, null, false)}, "Hello he\xcc\x81", "Hello@0-5 [UNK]@6-10");
    check((parts){.normalizer = BERT(false, true, null, true)}, "lo\xe2\x80\x8bw low", "[UNK]@0-6 low@7-10");
    check((parts){.normalizer = BERT(true, false, null, true)}, "low\xe5\x8d\x9a", "low@0-3 ##\xe5\x8d\x9a@3-6");
    check((parts){0}, "low\xe5\x8d\x9a\xe5\x8d\x9a!", "low@0-3 \xe5\x8d\x9a@3-6 \xe5\x8d\x9a@6-9 [UNK]@9-10");
    check((parts){.normalizer = "{\"type\":\"Lowercase\"}"}, "HELLO H\xc3\x89", "hello@0-5 h\xc3\xa9@6-9");
    check((parts){.normalizer = "{\"type\":\"StripAccents\"}"}, "he\xcc\x81llo h\xc3\xa9", "hello@0-7 h\xc3\xa9@8-11");
    check((parts){.normalizer = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"StripAccents\"},"
                                "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Lowercase\"}]}]}"},
          "H\xc3\x89LLO", "hello@0-6");
    check((parts){.normalizer = "{\"type\":\"NFD\"}"}, "h\xc3\xa9", "[UNK]@0-3");
    check((parts){.normalizer = "null"}, "hello", "hello@0-5");
}

static void test_pretokenizers(void **state)
{
    (void)state;
    check((parts){0}, "a,a.want[sep]", "a@0-1 ,@1-2 a@2-3 .@3-4 want@4-8 [@8-9 sep@9-12 ]@12-13");
    parts p = {.pre_tokenizer = "{\"type\":\"Whitespace\"}"};
    check(p, "want.. ,a", "want@0-4 .@4-5 ##.@5-6 ,@7-8 a@8-9");
    p.pre_tokenizer = "{\"type\":\"WhitespaceSplit\"}";
    check(p, "low. a", "low@0-3 ##.@3-4 a@5-6");
    p.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"WhitespaceSplit\"},"
                      "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"BertPreTokenizer\"}]}]}";
    check(p, "low.. a", "low@0-3 .@3-4 .@4-5 a@6-7");
    p.pre_tokenizer = "{\"type\":\"Sequence\",\"pretokenizers\":[]}";
    check(p, "low.", "low@0-3 ##.@3-4");
}

static void test_added_tokens(void **state)
{
    (void)state;
    check((parts){0}, "a[SEP]a [sep]", "a@0-1 [SEP]@1-6 a@6-7 [@8-9 sep@9-12 ]@12-13");
    check((parts){.added = TOKEN("<x>", false, true, true, false, true)}, "a  <x>  a", "a@0-1 <x>@1-8 a@8-9");
    /* spaces that the token before took stay with it */
    check((parts){.added = TOKEN("<x>", false, true, true, false, true)}, "<x> <x> a", "<x>@0-4 <x>@4-8 a@8-9");
    check((parts){.added = TOKEN("ant", true, false, false, false, false)}, "want ant, ant",
          "want@0-4 ant@5-8 ,@8-9 ant@10-13");
    /* normalised: matches in the normalised text only, written in any case */
    check((parts){.added = TOKEN("Wa\xc3\x89", false, false, false, true, false)}, "lowWAEwant",
          "low@0-3 Wa\xc3\x89@3-6 want@6-10");
    check((parts){.added = TOKEN("Wa", false, false, false, false, false)}, "wa Wa", "wa@0-2 Wa@3-5");
    /* a match that does not count is not looked into again */
    check((parts){.added = TOKEN("un", true, false, false, false, false) "," TOKEN("n", false, false, false, false,
                                                                                   false)},
          "aun an", "[UNK]@0-3 a@4-5 n@5-6");
    /* two become one when normalised: special ones count before the others */
    check((parts){.added = TOKEN("XX", false, false, false, true, false) "," TOKEN("Xx", false, false, false, true,
                                                                                   true)},
          "xX", "Xx@0-2");
    /* leftmost, then longest; a new one gets the next id, one of the vocabulary keeps its id */
    tokenizer *t = build_or_fail((parts){.added = TOKEN("x", false, false, false, false, false) "," TOKEN(
                                             "xy", false, false, false, false, true) "," TOKEN("low", false, false,
                                                                                               false, false, false)});
    check_n(t, "lowestxyx", 9, NULL, "low@0-3 [UNK]@3-6 xy@6-8 x@8-9");
    assert_int_equal(tokenizer_id(t, "x"), 28);
    assert_int_equal(tokenizer_id(t, "xy"), 29);
    assert_int_equal(tokenizer_id(t, "low"), 12);
    assert_int_equal(tokenizer_id(t, "nope"), -1);
    assert_int_equal(tokenizer_vocab_size(t), 30);
    assert_null(tokenizer_piece(t, 30));
    assert_null(tokenizer_piece(t, -1));
    /* as text: only the special ones */
    tokenizer_options o = {.no_parse_special = true};
    check_n(t, "xyx", 3, &o, "[UNK]@0-2 x@2-3");
    tokenizer_free(t);
    t = build_or_fail((parts){0});
    check_n(t, "[SEP]", 5, &o, "[@0-1 sep@1-4 ]@4-5");
    tokenizer_free(t);
}

/* What strangers wrote is never a special token: not in whole, not in part. */
static void test_foreign_ranges(void **state)
{
    (void)state;
    static const struct {
        pith_range r[2];
        size_t n;
        const char *want;
    } cases[] = {
        {{{7, 12}}, 1, "a@0-1 [SEP]@1-6 a@6-7 [@7-8 sep@8-11 ]@11-12"},
        {{{11, 12}}, 1, "a@0-1 [SEP]@1-6 a@6-7 [@7-8 sep@8-11 ]@11-12"},
        {{{6, 8}}, 1, "a@0-1 [SEP]@1-6 a@6-7 [@7-8 sep@8-11 ]@11-12"},
        {{{1, 2}, {7, 8}}, 2, "a@0-1 [@1-2 sep@2-5 ]@5-6 a@6-7 [@7-8 sep@8-11 ]@11-12"},
        {{{0, 1}, {6, 7}}, 2, "a@0-1 [SEP]@1-6 a@6-7 [SEP]@7-12"},
        {{{0, 12}}, 1, "a@0-1 [@1-2 sep@2-5 ]@5-6 a@6-7 [@7-8 sep@8-11 ]@11-12"},
    };
    tokenizer *t = build_or_fail((parts){0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenizer_options o = {.strict = true, .foreign = cases[i].r, .n_foreign = cases[i].n};
        check_n(t, "a[SEP]a[SEP]", 12, &o, cases[i].want);
    }
    tokenizer_free(t);
    /* found in the normalised text, judged by where it came from; one that begins inside a forged one counts */
    t = build_or_fail((parts){.added = TOKEN("Xx", false, false, false, true, true) "," TOKEN("xy", false, false, false,
                                                                                             true, true)});
    tokenizer_options o = {.strict = true, .foreign = &(pith_range){3, 4}, .n_foreign = 1};
    check_n(t, "\xc3\x89 xXY xX", 9, &o, "e@0-2 [UNK]@3-4 xy@4-6 Xx@7-9");
    tokenizer_free(t);
}

static void test_post_processors(void **state)
{
    (void)state;
    static const struct {
        const char *json, *single, *pair, *plain_pair;
        size_t n_single, n_pair;
    } cases[] = {
        {"null", "a@0-1", "a@0-1 e@0-1':1", "a@0-1 e@0-1':1", 0, 0},
        {TEMPLATE, "[CLS]@0-0* a@0-1 [SEP]@0-0*", "[CLS]@0-0* a@0-1 [SEP]@0-0* e@0-1':1 [SEP]@0-0*:1",
         "a@0-1 e@0-1':1", 2, 3},
        {"{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}", "[CLS]@0-0* a@0-1 [SEP]@0-0*",
         "[CLS]@0-0* a@0-1 [SEP]@0-0* e@0-1':1 [SEP]@0-0*:1", "a@0-1 e@0-1':1", 2, 3},
        {"{\"type\":\"RobertaProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2],\"trim_offsets\":false}",
         "[CLS]@0-0* a@0-1 [SEP]@0-0*", "[CLS]@0-0* a@0-1 [SEP]@0-0* [SEP]@0-0* e@0-1' [SEP]@0-0*", "a@0-1 e@0-1'", 2,
         4},
        {"{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":3}},{\"SpecialToken\":{"
         "\"id\":\"X\",\"type_id\":1}}],\"pair\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":2}},{\"Sequence\":{\"id\":"
         "\"A\",\"type_id\":0}}],\"special_tokens\":{\"X\":{\"id\":\"X\",\"ids\":[2,3],\"tokens\":[\"a\",\"b\"]}}}",
         "a@0-1:3 [CLS]@0-0*:1 [SEP]@0-0*:1", "e@0-1':2 a@0-1", "e@0-1':2 a@0-1", 2, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tokenizer *t = build_or_fail((parts){.post_processor = cases[i].json});
        tokenizer_encoding x = {0};
        tokenizer_options plain = {.no_special = true};
        size_t full;
        assert_int_equal(tokenizer_n_special(t, false), cases[i].n_single);
        assert_int_equal(tokenizer_n_special(t, true), cases[i].n_pair);
        assert_int_equal(tokenizer_encode(t, "a", 1, NULL, 0, NULL, &x, &full, NULL), 0);
        assert_string_equal(show(t, &x), cases[i].single);
        assert_int_equal(full, 1 + cases[i].n_single);
        assert_int_equal(tokenizer_encode(t, "a", 1, "e", 1, NULL, &x, &full, NULL), 0);
        assert_string_equal(show(t, &x), cases[i].pair);
        assert_int_equal(full, 2 + cases[i].n_pair);
        assert_int_equal(tokenizer_encode(t, "a", 1, "e", 1, &plain, &x, &full, NULL), 0);
        assert_string_equal(show(t, &x), cases[i].plain_pair);
        assert_int_equal(full, 2);
        tokenizer_encoding_free(&x);
        tokenizer_free(t);
    }
}

static void test_truncate_pair(void **state)
{
    (void)state;
    static const size_t cases[][5] = {{10, 10, 15, 7, 8}, {10, 5, 12, 7, 5}, {3, 20, 10, 3, 7},  {20, 3, 10, 7, 3},
                                      {20, 20, 0, 0, 0},  {1, 1, 1, 0, 1},   {9, 8, 7, 4, 3},    {8, 9, 7, 3, 4},
                                      {5, 5, 10, 5, 5},   {0, 9, 4, 0, 4},   {9, 0, 4, 4, 0},    {6, 5, 10, 5, 5},
                                      {SIZE_MAX, SIZE_MAX, 3, 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t a = cases[i][0], b = cases[i][1];
        tokenizer_truncate_pair(&a, &b, cases[i][2]);
        assert_int_equal(a, cases[i][3]);
        assert_int_equal(b, cases[i][4]);
    }
}

static void test_truncation(void **state)
{
    (void)state;
    tokenizer *t = build_or_fail((parts){.post_processor = TEMPLATE});
    tokenizer_encoding x = {0};
    pith_err e = {{0}};
    tokenizer_options o = {.max_length = 4};
    size_t full;
    assert_int_equal(tokenizer_encode(t, "a e a e", 7, NULL, 0, &o, &x, &full, &e), 0);
    assert_string_equal(show(t, &x), "[CLS]@0-0* a@0-1 e@2-3 [SEP]@0-0*");
    assert_int_equal(full, 6);
    o.max_length = 2;
    assert_int_equal(tokenizer_encode(t, "a e a e", 7, NULL, 0, &o, &x, &full, &e), 0);
    assert_string_equal(show(t, &x), "[CLS]@0-0* [SEP]@0-0*");
    o.max_length = 7;
    assert_int_equal(tokenizer_encode(t, "a e a", 5, "e a e", 5, &o, &x, &full, &e), 0);
    assert_string_equal(show(t, &x), "[CLS]@0-0* a@0-1 e@2-3 [SEP]@0-0* e@0-1':1 a@2-3':1 [SEP]@0-0*:1");
    assert_int_equal(full, 9);
    o = (tokenizer_options){.max_length = 1, .no_special = true};
    assert_int_equal(tokenizer_encode(t, "a e a", 5, NULL, 0, &o, &x, &full, &e), 0);
    assert_string_equal(show(t, &x), "a@0-1");
    o.no_special = false;
    assert_int_equal(tokenizer_encode(t, "a", 1, NULL, 0, &o, &x, NULL, &e), -1);
    assert_string_equal(e.msg, "max_length 1: the tokenizer alone adds 2 tokens");
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

static void test_assemble(void **state)
{
    (void)state;
    tokenizer *t = build_or_fail((parts){.post_processor = TEMPLATE});
    tokenizer_encoding a = {0}, b = {0}, x = {0};
    assert_int_equal(tokenizer_encode_plain(t, "a e hello low", 13, NULL, &a, NULL), 0);
    assert_int_equal(tokenizer_encode_plain(t, "want\xff un", 8, NULL, &b, NULL), 0);
    assert_int_equal(tokenizer_assemble(t, &a, 1, 3, NULL, 0, 0, &x, NULL), 0);
    assert_string_equal(show(t, &x), "[CLS]@0-0* e@2-3 hello@4-9 [SEP]@0-0*");
    assert_int_equal(x.n_replaced, 0);
    assert_int_equal(tokenizer_assemble(t, &a, 4, 4, &b, 1, 2, &x, NULL), 0);
    assert_string_equal(show(t, &x), "[CLS]@0-0* [SEP]@0-0* un@6-8':1 [SEP]@0-0*:1");
    assert_int_equal(x.n_replaced, 1);
    tokenizer_encoding_free(&a);
    tokenizer_encoding_free(&b);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

static void check_decode(const tokenizer *t, bool skip, const int32_t *ids, size_t n, const char *want)
{
    char *text;
    size_t len;
    pith_err e = {{0}};
    if (tokenizer_decode(t, ids, n, skip, &text, &len, &e)) fail_msg("%s", e.msg);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

static void test_decode(void **state)
{
    (void)state;
    static const int32_t ids[] = {2, 8, 5, 6, 11, 9, 10, 22, 1, 999, -1, 3};
    size_t n = sizeof ids / sizeof *ids;
    tokenizer *t = build_or_fail((parts){0});
    check_decode(t, true, ids, n, "un ##want ##ed , runn ##ing . [UNK]"); /* [UNK] is not an added token here */
    check_decode(t, false, ids, n, "[CLS] un ##want ##ed , runn ##ing . [UNK] [SEP]");
    check_decode(t, true, ids, 0, "");
    tokenizer_free(t);
    t = build_or_fail((parts){.decoder = "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"});
    check_decode(t, true, ids, n, "unwanted, running. [UNK]");
    check_decode(t, true, ids + 2, 1, "##want"); /* the first piece keeps its prefix */
    tokenizer_free(t);
    t = build_or_fail((parts){.decoder = "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"WordPiece\",\"prefix\":\"##\","
                                         "\"cleanup\":false}]}"});
    check_decode(t, true, ids, n, "unwanted , running . [UNK]");
    tokenizer_free(t);
}

static void check_token(const tokenizer *t, int32_t id, const char *want)
{
    char *text;
    size_t len;
    pith_err e = {{0}};
    if (tokenizer_token_text(t, id, &text, &len, &e)) fail_msg("%s", e.msg);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

/* In the middle of a text: the space before a word is there, a part of a character stays its bytes. */
static void test_token_text(void **state)
{
    (void)state;
    char *text;
    size_t len;
    pith_err e = {{0}};
    tokenizer *t = build_or_fail((parts){.decoder = "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}"});
    check_token(t, 4, " want");
    check_token(t, 5, "want");
    check_token(t, 11, ",");
    check_token(t, 2, " [CLS]");
    assert_int_equal(tokenizer_token_text(t, 999, &text, &len, &e), -1);
    assert_string_equal(e.msg, "the tokenizer has no token 999");
    tokenizer_free(t);
    t = build_or_fail((parts){.added = "", .decoder = "{\"type\":\"ByteLevel\"}",
                              .model = "{\"type\":\"WordLevel\",\"unk_token\":\"x\",\"vocab\":{\"x\":0,\"\xc4\xa0to\":1,\"\xc3\xb0\xc5\x81\":2,\"\xe5\x8d\x9a\":3}}"});
    check_token(t, 0, "x");
    check_token(t, 1, " to");
    check_token(t, 2, "\xf0\x9f");
    check_token(t, 3, "\xe5\x8d\x9a"); /* none of its letters */
    tokenizer_free(t);
    t = build_or_fail((parts){.added = "", .decoder = "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},"
                                                      "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\","
                                                      "\"content\":\" \",\"start\":1,\"stop\":0}]}",
                              .model = "{\"type\":\"WordLevel\",\"unk_token\":\"x\",\"vocab\":{\"x\":0,\"_to\":1,\"<0xF0>\":2}}"});
    check_token(t, 1, " to");
    check_token(t, 2, "\xf0");
    tokenizer_free(t);
}

static void test_cleanup(void **state)
{
    (void)state;
    tokenizer *t = build_or_fail(
        (parts){.decoder = "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true}",
                .added = "", .model = "{\"type\":\"WordLevel\",\"unk_token\":\"x\",\"vocab\":{\"x\":0,\"n't\":1,\"'m\":2,\"'s\":3,"
                                      "\"'ve\":4,\"'re\":5,\"do not\":6,\"?\":7,\"!\":8,\"'\":9,\"n'tx\":10}}"});
    static const int32_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    check_decode(t, true, ids, 11, "xn't'm's've're don't?! 'n'tx");
    tokenizer_free(t);
}

static void test_invalid_utf8(void **state)
{
    (void)state;
    tokenizer *t = build_or_fail((parts){.normalizer = "null", .pre_tokenizer = "{\"type\":\"WhitespaceSplit\"}"});
    tokenizer_encoding x = {0};
    tokenizer_options strict = {.strict = true};
    pith_err e = {{0}};
    static const char text[] = "a \xf0\x9f\x98 e\xff\xfe low";
    assert_int_equal(tokenizer_encode_plain(t, text, sizeof text - 1, NULL, &x, &e), 0);
    assert_string_equal(show(t, &x), "a@0-1 [UNK]@2-5 [UNK]@6-9 low@10-13");
    assert_int_equal(x.n_replaced, 3);
    assert_int_equal(tokenizer_encode_plain(t, text, sizeof text - 1, &strict, &x, &e), -1);
    assert_string_equal(e.msg, "text: byte 2 (0xf0) is not valid UTF-8; without strict it is read as U+FFFD");
    tokenizer_free(t);
    t = build_or_fail((parts){0}); /* clean_text drops U+FFFD */
    assert_int_equal(tokenizer_encode_plain(t, "lo\xc3w [S\x80" "EP]", 11, NULL, &x, NULL), 0);
    assert_string_equal(show(t, &x), "low@0-4 [@5-6 sep@6-10 ]@10-11");
    assert_int_equal(x.n_replaced, 2);
    assert_int_equal(tokenizer_encode_plain(t, "lo\0w \0 a\0", 9, NULL, &x, NULL), 0);
    assert_string_equal(show(t, &x), "low@0-4 a@7-8");
    assert_int_equal(x.n_replaced, 0);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

/* Linear in the text: any square would not end within the hour. */
static void test_large_texts(void **state)
{
    (void)state;
    enum { N = 4000000 };
    char *text = malloc(N);
    tokenizer_encoding x = {0};
    assert_non_null(text);
    memset(text, 'a', N);
    tokenizer *t = build_or_fail((parts){0});
    assert_int_equal(tokenizer_encode_plain(t, text, N, NULL, &x, NULL), 0);
    assert_int_equal(x.n, 1);
    assert_int_equal(x.end[0], N);
    tokenizer_free(t);
    t = build_or_fail((parts){.model = MODEL("1000000000")});
    assert_int_equal(tokenizer_encode_plain(t, text, N, NULL, &x, NULL), 0);
    assert_int_equal(x.n, N);
    text[N - 1] = 'z'; /* every piece is found, and given up at the end */
    assert_int_equal(tokenizer_encode_plain(t, text, N, NULL, &x, NULL), 0);
    assert_int_equal(x.n, 1);
    for (size_t i = 0; i + 4 <= N; i += 4) memcpy(text + i, i % 8 ? "\xcc\x81\xcc\xa3" : "\xcc\xa3\xcc\x81", 4);
    assert_int_equal(tokenizer_encode_plain(t, text, N, NULL, &x, NULL), 0); /* one run of marks in wrong order */
    assert_int_equal(x.n, 0);
    for (size_t i = 0; i + 4 <= N; i += 4) memcpy(text + i, "[SEP", 4);
    assert_int_equal(tokenizer_encode_plain(t, text, N, NULL, &x, NULL), 0);
    assert_int_equal(x.n, N / 2);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wordpiece),       cmocka_unit_test(test_wordlevel),
        cmocka_unit_test(test_long_pieces),
        cmocka_unit_test(test_untyped_model),   cmocka_unit_test(test_normalizers),
        cmocka_unit_test(test_pretokenizers),   cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_foreign_ranges),
        cmocka_unit_test(test_post_processors), cmocka_unit_test(test_truncate_pair),
        cmocka_unit_test(test_truncation),      cmocka_unit_test(test_assemble),
        cmocka_unit_test(test_decode), cmocka_unit_test(test_token_text), cmocka_unit_test(test_cleanup),
        cmocka_unit_test(test_invalid_utf8),    cmocka_unit_test(test_large_texts),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
