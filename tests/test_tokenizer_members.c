/* Every member of a tokenizer.json, one after the other taken out or put to what it may not be: what is refused is refused in one
 * line that names the member or the component it is of; what is read works. And the same of tokenizer_config.json beside the
 * files that stand in for tokenizer.json. */
#include "files.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

#define MARK "\xe2\x96\x81"
#define FLAGS "\"single_word\":false,\"lstrip\":true,\"rstrip\":false,\"normalized\":true,\"special\":false"
#define ADDED "\"added_tokens\":[{\"id\":0,\"content\":\"a\"," FLAGS "},{\"id\":9,\"content\":\"<x>\"," FLAGS "}]"
#define TEMPLATE                                                                                                                   \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<x>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\","         \
    "\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],"                 \
    "\"special_tokens\":{\"<x>\":{\"id\":\"<x>\",\"ids\":[9,0],\"tokens\":[\"<x>\",\"a\"]}}}"

/* Among them they have every component. */
static const char *const FILES[] = {
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null," ADDED ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"BertNormalizer\","
    "\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},{\"type\":\"NFC\"},{\"type\":\"Lowercase\"},"
    "{\"type\":\"StripAccents\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"BertPreTokenizer\"},{\"type\":\"WhitespaceSplit\"},"
    "{\"type\":\"Whitespace\"},{\"type\":\"Punctuation\",\"behavior\":\"MergedWithPrevious\"},{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"-\"}]},"
    "\"post_processor\":" TEMPLATE ",\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},\"model\":{\"type\":\"WordPiece\","
    "\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{\"a\":0,\"b\":1,\"##b\":2,\"u\":3}}}",
    "{" ADDED ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"c+\"},"
    "\"content\":\"b\"}]},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{N}\"},"
    "\"behavior\":\"Contiguous\",\"invert\":false},{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Isolated\",\"invert\":true},"
    "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}]},"
    "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\",\"trim_offsets\":false,\"add_prefix_space\":false},{\"type\":"
    "\"RobertaProcessing\",\"sep\":[\"a\",0],\"cls\":[\"b\",1],\"trim_offsets\":true,\"add_prefix_space\":true}]},\"decoder\":{\"type\":\"ByteLevel\"},"
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
    "\"byte_fallback\":false,\"ignore_merges\":true,\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"\\u0120a\":4,\"1\":5},\"merges\":[\"a b\",[\"\\u0120\",\"a\"]]}}",
    "{" ADDED ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"},{\"type\":\"Replace\","
    "\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}]},\"pre_tokenizer\":null,"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"a\",0],\"cls\":[\"b\",3]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"" MARK "\"},\"content\":\" \"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"b+\"},\"content\":\"b\"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1},{\"type\":\"BPEDecoder\",\"suffix\":\"a\"}]},"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"a\",\"fuse_unk\":true,\"byte_fallback\":true,\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"b\","
    "\"vocab\":{\"a\":0,\"" MARK "\":1,\"<0xC3>\":2,\"b\":3},\"merges\":[]}}",
    "{" ADDED ",\"normalizer\":{\"type\":\"NFKD\"},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"first\","
    "\"split\":true},\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"always\",\"split\":true},\"model\":{\"type\":"
    "\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"" MARK "a\",-2.5],[\"<0xC3>\",-3]]}}",
    "{" ADDED ",\"normalizer\":{\"type\":\"NFD\"},\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"post_processor\":null,\"decoder\":null,"
    "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"a\":0,\"b\":1,\"u\":2}}}",
};
enum { N_FILES = sizeof FILES / sizeof *FILES };

/* A value in a JSON text, the member that it is, and the outermost one around that. */
typedef struct place {
    size_t key, begin, end; /* key: where the member begins; as begin: it is an item of a list */
    char name[64], around[64];
} place;
enum { PLACES = 400 };
static place places[PLACES];
static size_t n_places;

static size_t string_end(const char *t, size_t i)
{
    for (i++; t[i] != '"'; i++) i += t[i] == '\\';
    return i + 1;
}

static size_t walk(const char *t, size_t key, size_t i, const char *name, const char *around)
{
    size_t mine = n_places++;
    assert_true(n_places < PLACES);
    places[mine] = (place){.key = key, .begin = i};
    snprintf(places[mine].name, sizeof places[mine].name, "%s", name);
    snprintf(places[mine].around, sizeof places[mine].around, "%s", around);
    if (t[i] == '{' || t[i] == '[') {
        char closes = t[i] == '{' ? '}' : ']';
        for (i++; t[i] != closes;) {
            char sub[64];
            size_t from = i;
            snprintf(sub, sizeof sub, "%s", name);
            if (closes == '}') {
                size_t end = string_end(t, i);
                snprintf(sub, sizeof sub, "%.*s", (int)(end - i - 2), t + i + 1);
                i = end + 1;
            }
            i = walk(t, from, i, sub, mine ? around : sub);
            i += t[i] == ',';
        }
        i++;
    } else if (t[i] == '"') {
        i = string_end(t, i);
    } else {
        i += strcspn(t + i, ",]}");
    }
    places[mine].end = i;
    return i;
}

typedef tokenizer *open_fn(const char *text, pith_err *e);
static tokenizer *as_tokenizer(const char *text, pith_err *e) { return tokenizer_from_json("t", text, strlen(text), e); }
static tokenizer *as_config(const char *text, pith_err *e)
{
    files_write("tokenizer_config.json", text, strlen(text));
    return tokenizer_open(files_dir, e);
}

static void judge(open_fn *open, const char *text, const place *p, size_t *refused)
{
    pith_err e = {{0}};
    tokenizer *t = open(text, &e);
    if (!t) {
        ++*refused;
        if (strchr(e.msg, '\n') || !(strstr(e.msg, p->name) || strstr(e.msg, p->around))) fail_msg("\"%s\" does not name %s: %s", e.msg, p->name, text);
        return;
    }
    assert_string_equal(e.msg, "");
    tokenizer_encoding x = {0};
    char *back = NULL;
    size_t len;
    /* An unknown token that is no piece only matters when a word needs it. */
    if (tokenizer_encode(t, "a ab <x> b1-\xc3\xa9", 13, "b", 1, NULL, &x, NULL, &e) && !strstr(e.msg, "unk")) fail_msg("%s: %s", e.msg, text);
    if (tokenizer_decode(t, x.ids, x.n, false, &back, &len, &e)) fail_msg("%s: %s", e.msg, text);
    free(back);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

/* Puts every member of the text to what it may not be. */
static void every_member(open_fn *open, const char *base)
{
    static const char *const others[] = {"null", "true", "7", "-1", "0.5", "1e300", "\"x\"", "\"\"", "[]", "{}", "[null]", "[\"x\",1]", "{\"x\":0}"};
    size_t len = strlen(base), refused = 0, tried = 0;
    char *text = malloc(len + 100);
    assert_non_null(text);
    n_places = 0;
    assert_int_equal(walk(base, 0, 0, "t", "t"), len);
    judge(open, base, &places[0], &refused);
    assert_int_equal(refused, 0);
    for (size_t i = 1; i < n_places; i++) {
        const place *p = &places[i];
        for (size_t k = 0; k < sizeof others / sizeof *others; k++, tried++) {
            sprintf(text, "%.*s%s%s", (int)p->begin, base, others[k], base + p->end);
            judge(open, text, p, &refused);
        }
        size_t after = p->end + (base[p->end] == ','), before = p->key - (base[p->end] != ',' && base[p->key - 1] == ',');
        sprintf(text, "%.*s%s", (int)before, base, base + after);
        judge(open, text, p, &refused);
    }
    assert_true(refused > tried / 4 && refused < tried);
    free(text);
}

static void test_every_member(void **state)
{
    (void)state;
    for (size_t f = 0; f < N_FILES; f++) every_member(as_tokenizer, FILES[f]);
}

#define TOKEN(content) "{\"content\":\"" content "\",\"single_word\":false,\"lstrip\":true,\"rstrip\":false,\"normalized\":true,\"special\":true}"

static void test_every_member_of_configs(void **state)
{
    (void)state;
    static const char model[] = "\n\t\n\005<unk>\030\002\n\010\n\001a\025\0\0\200\277\n\010\n\001b\025\0\0\200\277\n\n\n\003\xe2\x96\x81\025\0\0\200\277\n\t\n\002ab\025\0\0\200\276\022\002\030";
    static const char vocab[] = "{\"a\":0,\"b\":1,\"ab\":2,\"\\u0120\":3,\"<|endoftext|>\":4}", merges[] = "#version: 0.2\na b\n";
    static const char txt[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\nb\n";
    files_write("vocab.txt", txt, sizeof txt - 1);
    every_member(as_config, "{\"tokenizer_class\":\"BertTokenizerFast\",\"do_lower_case\":true,\"do_basic_tokenize\":true,\"tokenize_chinese_chars\":true,"
                            "\"strip_accents\":false,\"model_max_length\":512,\"unk_token\":\"[UNK]\",\"sep_token\":" TOKEN("[SEP]") ",\"pad_token\":\"[PAD]\","
                            "\"cls_token\":\"[CLS]\",\"mask_token\":\"<m>\",\"additional_special_tokens\":[\"<x>\"," TOKEN("<y>") "],"
                            "\"added_tokens_decoder\":{\"2\":" TOKEN("[CLS]") ",\"9\":" TOKEN("<x>") "}}");
    unlink(files_path("vocab.txt"));
    files_write("vocab.json", vocab, sizeof vocab - 1);
    files_write("merges.txt", merges, sizeof merges - 1);
    every_member(as_config, "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_prefix_space\":true,\"add_bos_token\":true,\"bos_token\":\"a\",\"eos_token\":" TOKEN("<|endoftext|>")
                            ",\"unk_token\":\"b\",\"pad_token\":\"<p>\",\"model_max_length\":1e30,\"added_tokens_decoder\":{\"4\":" TOKEN("<|endoftext|>") "}}");
    every_member(as_config, "{\"tokenizer_class\":\"Qwen2TokenizerFast\",\"add_prefix_space\":false,\"add_bos_token\":false,\"eos_token\":\"<|endoftext|>\"}");
    unlink(files_path("vocab.json"));
    unlink(files_path("merges.txt"));
    for (char type = 1; type <= 2; type++) {
        char both[sizeof model];
        memcpy(both, model, sizeof model);
        both[sizeof model - 1] = type;
        files_write("tokenizer.model", both, sizeof both);
        every_member(as_config, "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":true,\"add_eos_token\":true,\"legacy\":false,\"add_prefix_space\":true,"
                                "\"unk_token\":\"<unk>\",\"bos_token\":\"a\",\"eos_token\":" TOKEN("b") ",\"pad_token\":null,"
                                "\"added_tokens_decoder\":{\"5\":" TOKEN("<x>") "}}");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_member), cmocka_unit_test(test_every_member_of_configs)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
