/* Every member of a tokenizer.json, one after the other taken out or put to what it may not be: what is refused is refused in one
 * line that names the member or the component it is of; what is read works. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
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

static void judge(const char *text, const place *p, size_t *refused)
{
    pith_err e = {{0}};
    tokenizer *t = tokenizer_from_json("t", text, strlen(text), &e);
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

static void test_every_member(void **state)
{
    (void)state;
    static const char *const others[] = {"null", "true", "7", "-1", "0.5", "1e300", "\"x\"", "\"\"", "[]", "{}", "[null]", "[\"x\",1]", "{\"x\":0}"};
    for (size_t f = 0; f < N_FILES; f++) {
        size_t len = strlen(FILES[f]), refused = 0, tried = 0;
        char *text = malloc(len + 100);
        n_places = 0;
        assert_int_equal(walk(FILES[f], 0, 0, "t", "t"), len);
        judge(FILES[f], &places[0], &refused);
        assert_int_equal(refused, 0);
        for (size_t i = 1; i < n_places; i++) {
            const place *p = &places[i];
            for (size_t k = 0; k < sizeof others / sizeof *others; k++, tried++) {
                sprintf(text, "%.*s%s%s", (int)p->begin, FILES[f], others[k], FILES[f] + p->end);
                judge(text, p, &refused);
            }
            size_t after = p->end + (FILES[f][p->end] == ','), before = p->key - (FILES[f][p->end] != ',' && FILES[f][p->key - 1] == ',');
            sprintf(text, "%.*s%s", (int)before, FILES[f], FILES[f] + after);
            judge(text, p, &refused);
        }
        assert_true(refused > tried / 4 && refused < tried);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_member)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
