/* Tokenizer files: what broken and hostile ones get (one line that names the place), and directories without
 * tokenizer.json. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "tokenizer/tokenizer.h"
#include <unistd.h>

#define WP(rest) "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"a\":1}}" rest "}"
#define VOCAB(members) "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{" members "}}}"
#define ADDED(members) WP(",\"added_tokens\":[{" members "}]")
#define FLAGS "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,\"special\":false"

static const struct {
    const char *json, *message; /* the whole message, or its beginning if it ends in ... */
} BAD[] = {
    {"", "t: not valid JSON at line 1, column 1: it is empty"},
    {"[]", "t: expected an object, found an array"},
    {"{}", "t: model is missing"},
    {"{\"model\":null}", "t: model: expected an object, found null"},
    {"{\"model\":{\"type\":7}}", "t: model.type: expected ..."},
    {"{\"model\":{\"type\":\"CharBPE\"}}", "tokenizer.json: model.type \"CharBPE\" is not supported (supported: BPE, Unigram, WordPiece, WordLevel)"},
    {"{\"model\":{\"type\":\"BPE\"}}", "t: model.vocab is missing"},
    {"{\"model\":{\"merges\":3,\"vocab\":{}}}", "t: model.merges: expected an array, found 3"},
    {"{\"model\":{\"vocab\":[[\"a\",0.5],[\"b\"]]}}", "t: model.vocab[1]: expected [piece, score], found an array"},
    {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":1,\"vocab\":[[\"a\",0.5]]}}", "t: model.unk_id: expected a whole number from 0 to 0, found 1"},
    {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":{}}}", "t: model.vocab: expected an array, found an object"},
    {"{\"model\":{\"type\":\"WordPiece\"}}", "t: model.unk_token is missing"},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\"}}",
     "t: model.max_input_chars_per_word is missing"},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\","
     "\"max_input_chars_per_word\":-1}}",
     "t: model.max_input_chars_per_word: expected a whole number ..."},
    {"{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\","
     "\"max_input_chars_per_word\":100}}",
     "t: model.vocab is missing"},
    {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":null,\"vocab\":{}}}", "t: model.unk_token: expected ..."},
    {"{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":[]}}", "t: model.vocab: expected an object, found an array"},
    {VOCAB("\"a\":-1"), "t: model.vocab.a: expected a whole number from 0 to 2147483647, found -1"},
    {VOCAB("\"a\":2147483648"), "t: model.vocab.a: expected a whole number from 0 to 2147483647, found 2147483648"},
    {VOCAB("\"a\":1e300"), "t: model.vocab.a: expected a whole number from 0 to 2147483647, ..."},
    {VOCAB("\"a\":0.5"), "t: model.vocab.a: expected a whole number from 0 to 2147483647, found 0.5"},
    {VOCAB("\"a\":\"0\""), "t: model.vocab.a: expected a whole number from 0 to 2147483647, found \"0\""},
    {VOCAB("\"a\":0,\"b\":0"), "tokenizer.json: model.vocab: \"a\" and \"b\" both have id 0"},
    {WP(",\"normalizer\":{\"type\":\"Nmt\"}"),
     "tokenizer.json: normalizer.type \"Nmt\" is not supported (supported: BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD, Precompiled, Prepend, Replace, Strip, StripAccents, Sequence, null)"},
    {WP(",\"normalizer\":\"NFD\""), "t: normalizer: expected an object or null, found \"NFD\""},
    {WP(",\"normalizer\":{}"), "t: normalizer.type is missing"},
    {WP(",\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":1}"), "t: normalizer.clean_text: expected ..."},
    {WP(",\"normalizer\":{\"type\":\"Sequence\"}"), "t: normalizer.normalizers is missing"},
    {WP(",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Strip\"}]}"), "t: normalizer.normalizers[0].strip_left is missing"},
    {WP(",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}"),
     "tokenizer.json: pre_tokenizer.type \"UnicodeScripts\" is not supported (supported: BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Split, Whitespace, WhitespaceSplit, Sequence, null)"},
    {WP(",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"),
     "tokenizer.json: pre_tokenizer ByteLevel is not supported with model WordPiece (only with BPE)"},
    {WP(",\"pre_tokenizer\":[]"), "t: pre_tokenizer: expected an object or null, found an array"},
    {WP(",\"post_processor\":{\"type\":\"Byte\"}"),
     "tokenizer.json: post_processor.type \"Byte\" is not supported (supported: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence, null)"},
    {WP(",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\"],\"cls\":[\"c\",1]}"), "t: post_processor.sep: expected [token, id], found an array"},
    {WP(",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",-2],\"cls\":[\"c\",1]}"), "t: post_processor.sep[1]: expected a whole number ..."},
    {WP(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"X\",\"type_id\":0}}],"
        "\"pair\":[],\"special_tokens\":{}}"),
     "tokenizer.json: post_processor: the template's \"X\" is not in special_tokens"},
    {WP(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],"
        "\"pair\":[],\"special_tokens\":{}}"),
     "t: post_processor.single[0].Sequence.id: expected \"A\", found \"B\""},
    {WP(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":256}}],"
        "\"pair\":[],\"special_tokens\":{}}"),
     "t: post_processor.single[0].Sequence.type_id: expected a whole number from 0 to 255, found 256"},
    {WP(",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[7],\"pair\":[],\"special_tokens\":{}}"), "t: post_processor.single[0]: expected ..."},
    {WP(",\"decoder\":{\"type\":\"CTC\"}"), "tokenizer.json: decoder.type \"CTC\" is not supported (supported: BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Strip, WordPiece, Sequence, null)"},
    {WP(",\"decoder\":{\"type\":\"WordPiece\",\"prefix\":3,\"cleanup\":true}"), "t: decoder.prefix: expected ..."},
    {WP(",\"added_tokens\":{}"), "t: added_tokens: expected an array, found an object"},
    {WP(",\"added_tokens\":[3]"), "t: added_tokens[0]: expected an object, found 3"},
    {ADDED("\"id\":1"), "t: added_tokens[0].content is missing"},
    {ADDED("\"content\":\"x\",\"id\":-5," FLAGS), "t: added_tokens[0].id: expected a whole number from 0 to 2147483647, found -5"},
    {ADDED("\"content\":\"x\",\"id\":5"), "t: added_tokens[0].single_word is missing"},
    {ADDED("\"content\":\"x\",\"id\":5," FLAGS "},{\"content\":\"x\",\"id\":6," FLAGS), "tokenizer.json: added_tokens: \"x\" is there twice"},
    {WP(",\"normalizer\":{\"type\":\"StripAccents\"},\"added_tokens\":[{\"content\":\"\xcc\x81\",\"id\":5," FLAGS "}]"),
     "t: added_tokens[0].content: expected content that the normalizer does not remove, found \"\xcc\x81\""},
};

static void check_message(const char *got, const char *want)
{
    size_t n = strlen(want);
    assert_null(strchr(got, '\n'));
    if (n > 3 && strcmp(want + n - 3, "...") == 0) {
        if (strncmp(got, want, n - 3) != 0) fail_msg("\"%s\", expected \"%s\"", got, want);
    } else {
        assert_string_equal(got, want);
    }
}

static void test_bad_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        pith_err e = {{0}};
        tokenizer *t = tokenizer_from_json("t", BAD[i].json, strlen(BAD[i].json), &e);
        if (t) fail_msg("accepted: %s", BAD[i].json);
        check_message(e.msg, BAD[i].message);
    }
}

/* Deep nesting ends in a message, not in the stack's end. */
static void test_deep(void **state)
{
    (void)state;
    static const char *const stages[][2] = {{"normalizer", "normalizers"}, {"pre_tokenizer", "pretokenizers"}, {"decoder", "decoders"}};
    for (size_t k = 0; k < 3; k++) {
        char *text;
        size_t len;
        pith_err e = {{0}};
        FILE *f = open_memstream(&text, &len);
        fprintf(f, "{\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\",\"vocab\":{\"a\":0}},\"%s\":", stages[k][0]);
        for (int i = 0; i < 100; i++) fprintf(f, "{\"type\":\"Sequence\",\"%s\":[", stages[k][1]);
        for (int i = 0; i < 100; i++) fputs("]}", f);
        fputs("}", f);
        fclose(f);
        assert_null(tokenizer_from_json("t", text, len, &e));
        assert_non_null(strstr(e.msg, "more than 16 deep"));
        free(text);
    }
}

/* Legal oddities: the largest id allocates nothing by its size, a repeated key counts last, no unknown token. */
static void test_odd(void **state)
{
    (void)state;
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    static const char json[] = "{\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"model\":{\"type\":\"WordLevel\",\"unk_token\":"
                               "\"a\",\"vocab\":{\"z\":2147483647,\"b\":7,\"c\":3,\"b\":9,\"\":4}}}";
    tokenizer *t = tokenizer_from_json("t", json, sizeof json - 1, &e);
    assert_non_null(t);
    assert_int_equal(tokenizer_vocab_size(t), (size_t)INT32_MAX + 1);
    assert_string_equal(tokenizer_piece(t, INT32_MAX), "z");
    assert_string_equal(tokenizer_piece(t, 9), "b");
    assert_null(tokenizer_piece(t, 7));
    assert_string_equal(tokenizer_piece(t, 4), "");
    assert_int_equal(tokenizer_id(t, "b"), 9);
    assert_int_equal(tokenizer_encode_plain(t, "b", 1, NULL, &x, &e), 0);
    assert_int_equal(x.n, 1);
    assert_int_equal(x.ids[0], 9);
    assert_int_equal(tokenizer_encode_plain(t, "b[", 2, NULL, &x, &e), -1);
    assert_string_equal(e.msg, "tokenizer.json: model.unk_token \"a\" is not in model.vocab, but the text has an unknown word");
    assert_int_equal(x.n, 0);
    tokenizer_free(t);
    static const char wordpiece[] = "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"continuing_subword_prefix\":\"\","
                                    "\"max_input_chars_per_word\":3,\"vocab\":{\"a\":0}}}";
    e = (pith_err){{0}};
    t = tokenizer_from_json("t", wordpiece, sizeof wordpiece - 1, &e);
    assert_non_null(t);
    assert_int_equal(tokenizer_encode_plain(t, "aaa", 3, NULL, &x, &e), 0);
    assert_int_equal(x.n, 3);
    assert_int_equal(tokenizer_encode_plain(t, "aaaa", 4, NULL, &x, &e), -1);
    assert_int_equal(tokenizer_encode_plain(t, "ab", 2, NULL, &x, NULL), -1);
    assert_string_equal(e.msg, "tokenizer.json: model.unk_token \"u\" is not in model.vocab, but the text has a word without pieces");
    tokenizer_free(t);
    tokenizer_encoding_free(&x);
}

/* ---- directories ---- */

static char dir[64];

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!text) {
        unlink(path);
        return;
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/pith-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state)
{
    (void)state;
    put("tokenizer.json", NULL);
    put("vocab.txt", NULL);
    put("tokenizer_config.json", NULL);
    put("special_tokens_map.json", NULL);
    put("added_tokens.json", NULL);
    return rmdir(dir);
}

static tokenizer *open_dir(void)
{
    pith_err e = {{0}};
    tokenizer *t = tokenizer_open(dir, &e);
    if (!t) fail_msg("%s", e.msg);
    return t;
}

static void check_refused(const char *want)
{
    pith_err e = {{0}};
    assert_null(tokenizer_open(dir, &e));
    if (!strstr(e.msg, want)) fail_msg("\"%s\", expected \"%s\"", e.msg, want);
}

static void check_ids(const tokenizer *t, const char *text, const char *want)
{
    tokenizer_encoding x = {0};
    char got[512] = "";
    assert_int_equal(tokenizer_encode(t, text, strlen(text), NULL, 0, NULL, &x, NULL, NULL), 0);
    for (size_t i = 0; i < x.n; i++) snprintf(got + strlen(got), sizeof got - strlen(got), i ? " %d" : "%d", x.ids[i]);
    assert_string_equal(got, want);
    tokenizer_encoding_free(&x);
}

static void test_vocabtxt(void **state)
{
    (void)state;
    /* ids:      0      1       2      3     4   5   6   7    8   9 (again: 9 counts) */
    put("vocab.txt", "[UNK]\n[CLS]\r\n[SEP]\n[PAD]\rab\nAb\n##c\n\xc3\xa9\ne\nab\n\xe5\x8d\x9a");
    tokenizer *t = open_dir();
    check_ids(t, "AbC \xc3\xa9 x \xe5\x8d\x9a\xe5\x8d\x9a", "1 9 6 8 0 10 10 2");
    check_ids(t, "[PAD][MASK]", "1 3 10 2"); /* the file lacks [MASK]: it gets the next id, the number of pieces */
    assert_int_equal(tokenizer_model_max_length(t), SIZE_MAX);
    tokenizer_free(t);
    put("tokenizer_config.json", "{\"do_lower_case\":false,\"model_max_length\":512}");
    t = open_dir();
    check_ids(t, "Abc \xc3\xa9 AB", "1 5 6 7 0 2");
    assert_int_equal(tokenizer_model_max_length(t), 512);
    tokenizer_free(t);
    put("tokenizer_config.json", "{\"do_lower_case\":false,\"strip_accents\":true,\"tokenize_chinese_chars\":false,"
                                 "\"tokenizer_class\":\"DistilBertTokenizerFast\",\"model_max_length\":1e30}");
    t = open_dir();
    check_ids(t, "\xc3\xa9 \xe5\x8d\x9a\xe5\x8d\x9a", "1 8 0 2");
    assert_int_equal(tokenizer_model_max_length(t), SIZE_MAX);
    tokenizer_free(t);
    put("tokenizer_config.json", "{\"do_basic_tokenize\":false}");
    t = open_dir();
    check_ids(t, "Abc ab", "1 5 6 9 2");
    tokenizer_free(t);
}

static void test_vocabtxt_roles(void **state)
{
    (void)state;
    put("vocab.txt", "<u>\n<c>\n<s>\na\nb\n");
    put("tokenizer_config.json",
        "{\"unk_token\":\"<u>\",\"cls_token\":{\"content\":\"<c>\",\"lstrip\":true,\"__type\":\"AddedToken\"},"
        "\"sep_token\":\"<s>\",\"pad_token\":null,\"added_tokens_decoder\":{\"10\":{\"content\":\"b b\",\"special\":true},"
        "\"9\":{\"content\":\"<m>\",\"lstrip\":true,\"special\":true}},\"mask_token\":\"<m>\","
        "\"additional_special_tokens\":[\"<e>\",{\"content\":\"<f>\"},\"<m>\",\"<e>\",null]}");
    tokenizer *t = open_dir();
    check_ids(t, "a  <c>a<m>b b[PAD]<e><f>?", "1 3 1 3 5 6 0 0 0 7 8 0 2"); /* no [PAD]: null */
    char *text;
    size_t len;
    static const int32_t ids[] = {5, 3, 6, 9};
    assert_int_equal(tokenizer_decode(t, ids, 4, true, &text, &len, NULL), 0);
    assert_string_equal(text, "a");
    free(text);
    tokenizer_free(t);
}

/* Older directories name special tokens in special_tokens_map.json; where added_tokens_decoder is, it does not count. */
static void test_vocabtxt_map(void **state)
{
    (void)state;
    put("vocab.txt", "<u>\n<c>\n<s>\na\n[UNK]\n[CLS]\n[SEP]\n");
    put("tokenizer_config.json", "{\"cls_token\":\"nope\"}");
    put("special_tokens_map.json", "{\"unk_token\":\"<u>\",\"cls_token\":{\"content\":\"<c>\",\"rstrip\":true},\"sep_token\":\"<s>\"}");
    tokenizer *t = open_dir();
    check_ids(t, "a<c> b[SEP]", "1 3 1 0 0 0 0 2");
    tokenizer_free(t);
    put("added_tokens.json", "{}");
    tokenizer_free(open_dir());
    put("added_tokens.json", "{\"<n>\":7}");
    check_refused("added_tokens.json: not supported; save the tokenizer as tokenizer.json");
    put("tokenizer_config.json", "{\"added_tokens_decoder\":{}}");
    t = open_dir();
    check_ids(t, "a[SEP]", "5 3 6 6");
    tokenizer_free(t);
}

static void test_directories(void **state)
{
    (void)state;
    put("tokenizer_config.json", NULL);
    put("vocab.txt", NULL);
    check_refused("no tokenizer there (no tokenizer.json, vocab.txt, vocab.json with merges.txt, or tokenizer.model)");
    put("vocab.txt", "");
    check_refused("vocab.txt: it is empty");
    put("vocab.txt", "[UNK]\n[CLS]\na\n");
    check_refused("vocab.txt: no line \"[SEP]\" (sep_token)");
    put("vocab.txt", "[UNK]\n[CLS]\n\xff\n[SEP]\n");
    check_refused("vocab.txt: line 3: not valid UTF-8");
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n");
    put("tokenizer_config.json", "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}");
    check_refused("tokenizer_class \"BertJapaneseTokenizer\" is not supported with vocab.txt (supported: BertTokenizer,");
    put("tokenizer_config.json", "{\"do_lower_case\":\"yes\"}");
    check_refused("tokenizer_config.json: do_lower_case: expected");
    put("tokenizer_config.json", "{\"model_max_length\":0}");
    check_refused("tokenizer_config.json: model_max_length: expected");
    put("tokenizer_config.json", "{\"cls_token\":7}");
    check_refused("tokenizer_config.json: cls_token: expected a token as string or object, found 7");
    put("tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{}}}");
    check_refused("tokenizer_config.json: added_tokens_decoder.x: expected a token id as key");
    put("tokenizer_config.json", "{");
    check_refused("tokenizer_config.json: not valid JSON at line 1");
    put("tokenizer_config.json", NULL);
    put("tokenizer.json", "{\"model\":3}"); /* it is preferred to vocab.txt */
    check_refused("tokenizer.json: model: expected an object, found 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_odd),
        cmocka_unit_test_setup_teardown(test_vocabtxt, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_vocabtxt_roles, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_vocabtxt_map, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(test_directories, make_dir, drop_dir),
    };
    return cmocka_run_group_tests_name("tokenizer_files", tests, NULL, NULL);
}
