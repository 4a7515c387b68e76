#define _POSIX_C_SOURCE 200809L
/* The tokenizer against the reference: tests/data/tokenizer/reference.jsonl (small random tokenizers, made by
 * tools/make_tokenizer_golden.js) and the goldens for published tokenizers that lie outside the project. */
#include "corpus.h"
#include <unistd.h>
#include "tokenizer/normalize.h"
#include "tokenizer/pretokenize.h"

static void check_reference(const char *path, size_t n_tokenizers, size_t n_cases)
{
    pith_err e = {{0}};
    char *text = util_read(path, NULL);
    size_t line = 0, cases = 0;
    for (char *p = text, *end; (end = strchr(p, '\n')); p = end + 1) {
        json_doc *d = json_parse("reference.jsonl", p, (size_t)(end - p), &e);
        const char *config = d ? json_str(json_get(json_root(d), "tokenizer")) : "";
        tokenizer *t = d ? tokenizer_from_json("tokenizer", config, strlen(config), &e) : NULL;
        if (!t) fail_msg("line %zu: %s", line + 1, e.msg);
        size_t k = 0;
        line++;
        for (json c = json_first(json_get(json_root(d), "cases")); c.node; c = json_next(c), k++) {
            char where[64];
            snprintf(where, sizeof where, "line %zu, case %zu", line, k);
            check_case(t, c, where);
        }
        cases += k;
        tokenizer_free(t);
        json_free(d);
    }
    assert_int_equal(line, n_tokenizers);
    assert_int_equal(cases, n_cases);
    free(text);
}

static void test_reference(void **state)
{
    (void)state;
    check_reference("tests/data/tokenizer/reference.jsonl", 48, 48 * 24);
}

static void test_reference_bpe(void **state)
{
    (void)state;
    check_reference("tests/data/tokenizer/reference_bpe.jsonl", 48, 48 * 16);
}

#define BERT "bert-base-uncased"

static void test_corpus(void **state)
{
    (void)state;
    check_corpus(open_or_fail(util_need("tokenizers/bert-base-uncased")),
                 "golden/tokenizer/corpus.txt", false, "corpus", BERT, 4297);
    check_corpus(open_or_fail(util_need("tokenizers/bert-base-uncased")),
                 "golden/tokenizer/corpus_multi.jsonl", true, "multi", BERT, 186);
}

/* Stored truncation and padding are ignored. */
static void test_truncation_ignored(void **state)
{
    (void)state;
    check_corpus(open_or_fail(util_need("tokenizers/bert-trunc-pad")),
                 "golden/tokenizer/corpus_multi.jsonl", true, "multi", BERT, 186);
    check_corpus(open_or_fail(util_need("tokenizers/bert-trunc-pad")),
                 "golden/tokenizer/corpus.txt", false, "corpus", BERT, 4297);
}

/* vocab.txt without tokenizer.json gives the same tokenizer. */
static void test_vocabtxt(void **state)
{
    (void)state;
    char dir[] = "/tmp/pith-test-XXXXXX", path[64];
    size_t n;
    char *vocab = util_read(util_need("tokenizers/bert-base-uncased/vocab.txt"), &n);
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/vocab.txt", dir);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(vocab, 1, n, f), n);
    fclose(f);
    check_corpus(open_or_fail(dir), "golden/tokenizer/corpus.txt", false, "corpus", BERT, 4297);
    check_corpus(open_or_fail(dir), "golden/tokenizer/corpus_multi.jsonl", true, "multi", BERT, 186);
    unlink(path);
    rmdir(dir);
    free(vocab);
}

/* Every stored id list of the small model, cut at its max_len. */
static void test_distilbert_ids(void **state)
{
    (void)state;
    pith_err e = {{0}};
    tokenizer *t = open_or_fail(util_need("models/distilbert-imdb-sst2-small"));
    json_doc *d = json_load(util_need("models/distilbert-imdb-sst2-small/golden.json"), &e);
    tokenizer_encoding x = {0};
    size_t n = 0;
    assert_non_null(d);
    for (json c = json_first(json_root(d)); c.node; c = json_next(c), n++) {
        tokenizer_options o = {.max_length = (size_t)json_num(json_get(c, "max_len"))};
        const char *s = json_str(json_get(c, "text"));
        encode_or_fail(t, s, strlen(s), NULL, &o, &x);
        check_numbers(json_get(c, "ids"), s, x.n, x.ids, 4);
    }
    assert_int_equal(n, 12);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
    json_free(d);
}

static void test_ticket_bert(void **state)
{
    (void)state;
    tokenizer *t = open_or_fail(util_need("models/ticket-bert"));
    tokenizer_encoding x = {0};
    /* WordLevel: whole words, case kept, \w+ and [^\w\s]+ apart, unknown ones [UNK]. */
    static const char text[] = "Where is the zzz policy-document??";
    encode_or_fail(t, text, sizeof text - 1, NULL, NULL, &x);
    const char *pieces[] = {"[CLS]", "Where", "is", "the", "[UNK]", "policy", "-", "document", "[UNK]", "[SEP]"};
    const uint64_t begin[] = {0, 0, 6, 9, 13, 17, 23, 24, 32, 0}, end[] = {0, 5, 8, 12, 16, 23, 24, 32, 34, 0};
    assert_int_equal(x.n, 10);
    for (size_t i = 0; i < x.n; i++) {
        assert_string_equal(tokenizer_piece(t, x.ids[i]), pieces[i]);
        assert_int_equal(x.begin[i], begin[i]);
        assert_int_equal(x.end[i], end[i]);
    }
    check_decoded(t, &x, true, "Where is the policy - document", "ticket-bert");
    assert_int_equal(tokenizer_model_max_length(t), 160);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

/* ---- the published cases ---- */

typedef struct words {
    json want;
    const char *text;
} words;

static int next_word(void *ctx, const char *text, size_t begin, size_t end, pretokenize_map *map, pith_err *e)
{
    words *w = ctx;
    (void)e;
    (void)map;
    const char *want = json_str(w->want);
    if (!w->want.node || strlen(want) != end - begin || memcmp(want, text + begin, end - begin))
        fail_msg("\"%s\": word \"%.*s\", expected \"%s\"", w->text, (int)(end - begin), text + begin, want);
    w->want = json_next(w->want);
    return 0;
}

/* Normalizer and pre-tokenizer alone, as transformers' BasicTokenizer tests them. */
static void check_basic(json c)
{
    char config[256];
    pith_err e = {{0}};
    json o = json_get(c, "opts"), clean = json_get(o, "clean_text"), lower = json_get(o, "lowercase"),
         strip = json_get(o, "strip_accents");
    snprintf(config, sizeof config,
             "[{\"type\":\"BertNormalizer\",\"clean_text\":%s,\"handle_chinese_chars\":true,\"strip_accents\":%s,"
             "\"lowercase\":%s},{\"type\":\"BertPreTokenizer\"}]",
             !clean.node || json_true(clean) ? "true" : "false",
             strip.node ? json_true(strip) ? "true" : "false" : "null", json_true(lower) ? "true" : "false");
    json_doc *d = json_parse("case", config, strlen(config), &e);
    normalizer z = {0};
    pretokenizer p = {0};
    normalized n = {0};
    const char *text = json_str(json_get(c, "text"));
    words w = {json_first(json_get(c, "tokens")), text};
    json first = json_first(json_root(d));
    if (!d || normalize_open(&z, first, &e) || pretokenize_open(&p, json_next(first), &e) ||
        normalize_run(&z, text, strlen(text), &n, &e) || pretokenize_run(&p, n.text, 0, n.len, true, next_word, &w, &e))
        fail_msg("%s", e.msg);
    if (w.want.node) fail_msg("\"%s\": no word \"%s\"", text, json_str(w.want));
    normalize_result_free(&n);
    normalize_free(&z);
    pretokenize_free(&p);
    json_free(d);
}

static tokenizer *from_vocab(json vocab, int lower)
{
    char *text = NULL;
    size_t len = 0, id = 0;
    pith_err e = {{0}};
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    fprintf(f,
            "{\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
            "\"lowercase\":%s},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\","
            "\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{",
            lower ? "true" : "false");
    for (json c = json_first(vocab); c.node; c = json_next(c)) {
        fputs(id ? "," : "", f);
        json_put_str(f, json_str(c), strlen(json_str(c)));
        fprintf(f, ":%zu", id++);
    }
    fputs("}}}", f);
    fclose(f);
    tokenizer *t = tokenizer_from_json("case", text, len, &e);
    if (!t) fail_msg("%s", e.msg);
    free(text);
    return t;
}

static void check_pieces(const tokenizer *t, json c)
{
    tokenizer_encoding x = {0};
    size_t i = 0;
    const char *text = json_str(json_get(c, "text"));
    encode_or_fail(t, text, strlen(text), NULL, NULL, &x);
    assert_int_equal(x.n, json_len(json_get(c, "tokens")));
    for (json w = json_first(json_get(c, "tokens")); w.node; w = json_next(w), i++)
        assert_string_equal(tokenizer_piece(t, x.ids[i]), json_str(w));
    tokenizer_encoding_free(&x);
}

static void test_published(void **state)
{
    (void)state;
    pith_err e = {{0}};
    json_doc *d = json_load(util_need("golden/published/bert_wordpiece_cases.json"), &e);
    assert_non_null(d);
    json root = json_root(d), wordpiece = json_get(root, "wordpiece");
    size_t n = 0;
    for (json c = json_first(json_get(root, "full")); c.node; c = json_next(c), n++) {
        tokenizer *t = from_vocab(json_get(root, "vocab"), json_true(json_get(c, "lowercase")));
        check_pieces(t, c);
        tokenizer_free(t);
    }
    for (json c = json_first(json_get(root, "basic")); c.node; c = json_next(c), n++) check_basic(c);
    tokenizer *t = from_vocab(json_get(wordpiece, "vocab"), 0);
    for (json c = json_first(json_get(wordpiece, "cases")); c.node; c = json_next(c), n++) check_pieces(t, c);
    tokenizer_free(t);
    t = from_vocab(json_get(root, "vocab"), 1);
    for (json c = json_first(json_get(root, "clean_text")); c.node; c = json_next(c), n++) check_pieces(t, c);
    tokenizer_free(t);

    /* Offsets: the text's one character of two bytes shifts what follows. */
    t = open_or_fail(util_need("tokenizers/bert-base-uncased"));
    json o = json_get(root, "bert_base_uncased_offsets"), spans = json_get(o, "offsets_in_characters");
    const char *text = json_str(json_get(o, "text"));
    tokenizer_encoding x = {0};
    size_t i = 0;
    encode_or_fail(t, text, strlen(text), NULL, NULL, &x);
    for (json s = json_first(spans); s.node; s = json_next(s), i++) {
        double b = json_num(json_first(s)), z = json_num(json_next(json_first(s)));
        assert_int_equal(x.begin[i], b + (b > 5));
        assert_int_equal(x.end[i], z + (z > 5));
    }
    assert_int_equal(x.n, i);
    assert_int_equal(n + 1, 20);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
    json_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),       cmocka_unit_test(test_reference_bpe),
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_truncation_ignored), cmocka_unit_test(test_vocabtxt),
        cmocka_unit_test(test_distilbert_ids),  cmocka_unit_test(test_ticket_bert),
        cmocka_unit_test(test_published),
    };
    return cmocka_run_group_tests_name("tokenizer_golden", tests, NULL, NULL);
}
