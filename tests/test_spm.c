/* tokenizer.model, and vocab.json with merges.txt, where there is no tokenizer.json: tiny ones of our own, and what
 * broken ones get. */
#define _GNU_SOURCE
#include "files.h"
#include "tokenizer/tokenizer.h"

#define MARK "\xe2\x96\x81"

static unsigned char model[1 << 18];
static size_t n_model;

static void put_bytes(unsigned tag, const void *s, size_t n)
{
    assert_true(n < 128 && n_model + n + 3 < sizeof model);
    if (tag >= 16) {
        model[n_model++] = (unsigned char)(((tag << 3 | 2) & 0x7f) | 0x80);
        model[n_model++] = (unsigned char)((tag << 3 | 2) >> 7);
    } else {
        model[n_model++] = (unsigned char)(tag << 3 | 2);
    }
    model[n_model++] = (unsigned char)n;
    memcpy(model + n_model, s, n);
    n_model += n;
}

/* SentencePiece: 1 piece, 2 score, 3 type */
static void put_piece(const char *s, float score, unsigned type)
{
    unsigned char m[64];
    size_t n = strlen(s);
    m[0] = 1 << 3 | 2;
    m[1] = (unsigned char)n;
    memcpy(m + 2, s, n);
    m[2 + n] = 2 << 3 | 5;
    memcpy(m + 3 + n, &score, 4); /* little endian, as the machines that run this */
    m[7 + n] = 3 << 3;
    m[8 + n] = (unsigned char)type;
    put_bytes(1, m, n + 9);
}

static void begin_model(void)
{
    n_model = 0;
    put_piece("<unk>", 0, 2);
    put_piece("<s>", 0, 3);
    put_piece("</s>", 0, 3);
    put_piece("<0xC3>", 0, 6);
    put_piece("<0xA9>", 0, 6);
    put_piece(MARK, -5, 1);
    put_piece("a", -6, 1);
    put_piece("b", -7, 1);
    put_piece("ab", -1, 1);
    put_piece(MARK "a", -2, 1);
    put_piece("<user>", 0, 4);
}

static void end_model(unsigned char type)
{
    const unsigned char trainer[] = {3 << 3, type};
    put_bytes(2, trainer, 2);
    files_write("tokenizer.model", model, n_model);
}

static void check(const char *text, const char *want)
{
    char got[1024] = "";
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    tokenizer *t = tokenizer_open(files_dir, &e);
    if (!t || tokenizer_encode(t, text, strlen(text), NULL, 0, NULL, &x, NULL, &e)) fail_msg("%s", e.msg);
    for (size_t i = 0; i < x.n; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i ? " " : "", tokenizer_piece(t, x.ids[i]));
    assert_string_equal(got, want);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

static void refused(const char *want)
{
    pith_err e = {{0}};
    assert_null(tokenizer_open(files_dir, &e));
    assert_null(strchr(e.msg, '\n'));
    if (!strstr(e.msg, want)) fail_msg("\"%s\", expected \"%s\"", e.msg, want);
}

static void put(const char *name, const char *text) { files_write(name, text, strlen(text)); }

static void test_bpe(void **state)
{
    (void)state;
    begin_model();
    end_model(2);
    /* the merge of the best score first: a b, then mark a */
    check("ab a", "<s> " MARK " ab " MARK "a");
    check("b\xc3\xa9</s><user>a", "<s> " MARK " b <0xC3> <0xA9> </s> <user> " MARK "a");
    check("x", "<s> " MARK " <unk>");
    put("tokenizer_config.json", "{\"add_bos_token\":false,\"add_eos_token\":true,\"tokenizer_class\":\"LlamaTokenizerFast\",\"legacy\":false}");
    check("ab a", MARK " ab " MARK "a </s>");
    check("a<user>a", MARK "a <user> a </s>"); /* not legacy: only the text's start gets a space */
    put("tokenizer_config.json", "{\"add_prefix_space\":false,\"bos_token\":{\"content\":\"<user>\"}}");
    check("a", "<user> a");
    put("tokenizer_config.json", "{\"add_prefix_space\":false,\"added_tokens_decoder\":{\"11\":{\"content\":\"<new>\",\"special\":true}}}");
    check("a<new>b", "<s> a <new> b");
}

static void test_unigram(void **state)
{
    (void)state;
    begin_model();
    end_model(1);
    check("ab a", "<s> " MARK " ab " MARK "a");
    check("aab", "<s> " MARK "a ab");
}

static void test_broken(void **state)
{
    (void)state;
    put("tokenizer.model", "version https://git-lfs.github.com/spec/v1\n");
    refused("tokenizer.model: not a sentencepiece model");
    put("tokenizer.model", "");
    refused("tokenizer.model: not a sentencepiece model: 0 pieces");
    begin_model();
    end_model(3);
    refused("tokenizer.model: model type 3 is not supported (supported: 1 Unigram, 2 BPE)");
    begin_model();
    end_model(2);
    /* every beginning of the file, and every byte changed, is refused or opens */
    for (size_t i = 0; i < n_model; i++) {
        pith_err e = {{0}};
        files_write("tokenizer.model", model, i);
        tokenizer *t = tokenizer_open(files_dir, &e);
        assert_true(t || e.msg[0]);
        tokenizer_free(t);
        e.msg[0] = 0;
        model[i] ^= 0xff;
        files_write("tokenizer.model", model, n_model);
        model[i] ^= 0xff;
        t = tokenizer_open(files_dir, &e);
        assert_true(t || e.msg[0]);
        tokenizer_free(t);
    }
    begin_model();
    put_piece("\xff", 0, 1);
    end_model(2);
    refused("tokenizer.model: piece 11: not valid UTF-8 without NUL");
    begin_model();
    put_piece("z", 1e38f * 10, 1);
    end_model(2);
    refused("tokenizer.model: piece 11: its score is not a number");
    begin_model();
    end_model(2);
    put("tokenizer_config.json", "{\"tokenizer_class\":\"T5Tokenizer\"}");
    refused("tokenizer_class \"T5Tokenizer\" is not supported with tokenizer.model (supported: LlamaTokenizer)");
    put("tokenizer_config.json", "{\"bos_token\":\"<bos>\"}");
    refused("tokenizer.model: no piece \"<bos>\" (bos_token)");
}

/* Every piece can be cut everywhere: the merges would be hundreds of times as long as the file. */
static void test_too_many_merges(void **state)
{
    char piece[54] = "";
    (void)state;
    begin_model();
    for (char c = '0'; c <= 'z'; c++) {
        memset(piece, 0, sizeof piece);
        for (int n = 0; n < 50; n++) {
            piece[n] = c;
            if (n || (c != 'a' && c != 'b')) put_piece(piece, -1, 1);
        }
    }
    end_model(2);
    refused("tokenizer.model: its pieces can be put together in too many ways");
}

static void test_vocab_merges(void **state)
{
    (void)state;
    put("vocab.json", "{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"ab\":3,\"\xc4\xa0" "ab\":4,\"<|endoftext|>\":5}");
    refused("no tokenizer there");
    put("merges.txt", "#version: 0.2\na b\r\n\n\xc4\xa0 ab");
    check("ab ab<|endoftext|>a", "ab \xc4\xa0" "ab <|endoftext|> a");
    put("tokenizer_config.json", "{\"add_prefix_space\":true,\"add_bos_token\":true}");
    check("ab", "<|endoftext|> \xc4\xa0" "ab");
    put("tokenizer_config.json", "{\"tokenizer_class\":\"Qwen2Tokenizer\"}");
    check("ab ab", "ab \xc4\xa0" "ab");
    put("tokenizer_config.json", "{\"tokenizer_class\":\"RobertaTokenizer\"}");
    refused("tokenizer_class \"RobertaTokenizer\" is not supported with vocab.json and merges.txt (supported: GPT2Tokenizer, Qwen2Tokenizer)");
    put("tokenizer_config.json", "{}");
    put("merges.txt", "a b\na c\n");
    refused("model.merges[1]: \"c\" is not in model.vocab");
    put("merges.txt", "a b\na\n");
    refused("model.merges[1]: expected two pieces with one space between, found \"a\"");
    put("merges.txt", "a \xff\n");
    refused("merges.txt: line 1: not valid UTF-8 without NUL");
    put("merges.txt", "");
    put("vocab.json", "[]");
    refused("vocab.json: expected an object, found an array");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bpe, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_unigram, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_broken, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_merges, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_vocab_merges, files_setup, files_teardown),
    };
    return cmocka_run_group_tests_name("spm", tests, NULL, NULL);
}
