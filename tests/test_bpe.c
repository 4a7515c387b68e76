/* BPE and Unigram on tiny vocabularies, expectations derived by hand; text id by id; what broken and hostile files
 * get; texts of any size. test_bpe_golden.c compares with the reference. */
#define _GNU_SOURCE
#include "util.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"
#include <unistd.h>

#define MARK "\xe2\x96\x81"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}"
#define SPLIT(regex, behavior) "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"},\"behavior\":\"" behavior "\",\"invert\":false}"
#define BPE(settings, vocab, merges) "{\"type\":\"BPE\"," settings "\"vocab\":{" vocab "},\"merges\":[" merges "]}"
/* "low low" in letters; \u0120 stands for a space, \u00c3 \u00a9 for the bytes of e acute. */
#define LOW_VOCAB "\"l\":0,\"o\":1,\"w\":2,\"\\u0120\":3,\"lo\":4,\"low\":5,\"\\u0120low\":6,\"\\u00c3\":7,\"\\u00a9\":8,\"ow\":9,\"e\":10,\"\\u0120lo\":11"
#define LOW BPE("", LOW_VOCAB, "\"l o\",\"o w\",\"\\u0120 lo\",\"lo w\",\"\\u0120lo w\"")
#define SPACES "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"" MARK "\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"" MARK "\"}]}"
#define LLAMA_DECODER "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"" MARK "\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]}"

/* A tokenizer.json from stages; NULL for those that are null. */
static tokenizer *build(const char *normalizer, const char *pre, const char *decoder, const char *model, pith_err *e)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    fprintf(f, "{\"normalizer\":%s,\"pre_tokenizer\":%s,\"decoder\":%s,\"model\":%s}", normalizer ? normalizer : "null",
            pre ? pre : "null", decoder ? decoder : "null", model);
    fclose(f);
    tokenizer *t = tokenizer_from_json("t", text, len, e);
    free(text);
    return t;
}

static tokenizer *good(const char *normalizer, const char *pre, const char *decoder, const char *model)
{
    pith_err e = {{0}};
    tokenizer *t = build(normalizer, pre, decoder, model, &e);
    if (!t) fail_msg("%s", e.msg);
    return t;
}

/* "piece@begin-end ..." of a text; takes t. */
static void check(tokenizer *t, const char *text, const char *want)
{
    char got[4096] = "";
    size_t n = 0;
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    if (tokenizer_encode(t, text, strlen(text), NULL, 0, NULL, &x, NULL, &e)) fail_msg("%s", e.msg);
    for (size_t i = 0; i < x.n; i++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%s@%d-%d", i ? " " : "", tokenizer_piece(t, x.ids[i]),
                              (int)x.begin[i], (int)x.end[i]);
    assert_string_equal(got, want);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

#define S "\xc4\xa0"
static void test_byte_level(void **state)
{
    (void)state;
    check(good(NULL, BYTES, NULL, LOW), "low low", "low@0-3 " S "low@3-7");
    /* o w comes before lo w, but l o before both */
    check(good(NULL, BYTES, NULL, LOW), "ow low", "ow@0-2 " S "low@2-6");
    check(good(NULL, BYTES, NULL, LOW), "\xc3\xa9low", "\xc3\x83@0-2 \xc2\xa9@0-2 low@2-5"); /* parts of a character */
    check(good(NULL, BYTES, NULL, LOW), "lxo", "lo@0-3"); /* a byte without a letter is dropped, and its neighbours meet */
    check(good(NULL, BYTES, NULL, LOW), "lloow", "l@0-1 lo@1-3 ow@3-5");
    check(good(NULL, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", NULL, LOW), "low", S "low@0-3");
    check(good(NULL, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true}", NULL, LOW), " low", S "low@0-4");
    check(good(NULL, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}", NULL, LOW), "low low",
          "low@0-3 " S "low@3-7");
    /* pairs instead of strings, a version line, a repeated merge counts last */
    check(good(NULL, BYTES, NULL, BPE("", LOW_VOCAB, "\"#version: 0.2\",[\"l\",\"o\"],[\"o\",\"w\"],[\"l\",\"o\"]")), "low",
          "l@0-1 ow@1-3");
    /* whole words first */
    check(good(NULL, BYTES, NULL, BPE("\"ignore_merges\":true,", LOW_VOCAB, "")), "low low", "low@0-3 " S "low@3-7");
    check(good(NULL, BYTES, NULL, BPE("\"ignore_merges\":false,", LOW_VOCAB, "")), "low", "l@0-1 o@1-2 w@2-3");
}

static void test_characters(void **state)
{
    (void)state;
    static const char vocab[] = BPE("\"unk_token\":\"?\",\"fuse_unk\":true,\"byte_fallback\":true,",
        "\"?\":0,\"" MARK "\":1,\"a\":2,\"b\":3,\"" MARK "a\":4,\"<0xC3>\":5,\"<0xA9>\":6,\"ab\":7,\"" MARK MARK "\":8",
        "\"" MARK " a\",\"a b\",\"" MARK " " MARK "\"");
    check(good(SPACES, NULL, NULL, vocab), "ab", MARK "a@0-1 b@1-2");
    check(good(SPACES, NULL, NULL, vocab), "ab ab", MARK "a@0-1 b@1-2 " MARK "a@2-4 b@4-5");
    check(good(SPACES, NULL, NULL, vocab), "b\xc3\xa9 x yzb", MARK "@0-1 b@0-1 <0xC3>@1-3 <0xA9>@1-3 " MARK "@3-4 ?@4-5 " MARK "@5-6 ?@6-8 b@8-9");
    check(good(NULL, NULL, NULL, vocab), "xy\xc3\xa9" "a", "<0xC3>@2-4 <0xA9>@2-4 ?@2-4 a@4-5"); /* its order */
    check(good(SPACES, NULL, NULL, vocab), "", "");
    check(good(SPACES, NULL, NULL, vocab), "  ", MARK MARK "@0-1 " MARK "@1-2"); /* the space put before stands for the first one */
    check(good(NULL, NULL, NULL, BPE("\"unk_token\":\"?\",", "\"?\":0,\"a\":1", "")), "xya", "?@0-1 ?@1-2 a@2-3");
    check(good(NULL, NULL, NULL, BPE("", "\"a\":1", "")), "xya", "a@2-3");
    check(good(NULL, "{\"type\":\"WhitespaceSplit\"}", NULL,
               BPE("\"end_of_word_suffix\":\"</w>\",", "\"a\":0,\"a</w>\":1,\"b</w>\":2,\"ab</w>\":3", "\"a b</w>\"")), "ab a", "ab</w>@0-2 a</w>@3-4");
    check(good(NULL, "{\"type\":\"WhitespaceSplit\"}", NULL,
               BPE("\"continuing_subword_prefix\":\"##\",", "\"a\":0,\"##b\":1,\"##c\":2,\"ab\":3,\"##bc\":4", "\"a ##b\",\"##b ##c\"")), "abc bc", "ab@0-2 ##c@2-3 ##c@5-6");
}

static void test_unigram(void **state)
{
    (void)state;
    static const char model[] = "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"b\",-1],[\"ab\",-1.5],[\"ba\",-2.5],[\"aba\",-2.4],[\"" MARK "\",-3],[\"" MARK "ab\",-1]]}";
    static const char metaspace[] = "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"always\",\"split\":true}";
    check(good(NULL, NULL, NULL, model), "ab", "ab@0-2");
    check(good(NULL, NULL, NULL, model), "aba", "aba@0-3");       /* -2.4 against -2.5 */
    check(good(NULL, NULL, NULL, model), "abab", "ab@0-2 ab@2-4");  /* -3 against -3.4 */
    check(good(NULL, NULL, NULL, model), "axyb", "a@0-1 <unk>@1-3 b@3-4"); /* unknown ones in a row are one */
    check(good(NULL, metaspace, NULL, model), "ab ab", MARK "ab@0-2 " MARK "ab@2-5");
    check(good(NULL, metaspace, NULL, model), "b", MARK "@0-1 b@0-1");
    check(good(NULL, NULL, NULL, "{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"u\",0],[\"<0xC3>\",-1],[\"<0xA9>\",-1]]}"),
          "\xc3\xa9\xc3\xa9x", "u@0-5"); /* the whole run has no bytes for x */
    check(good(NULL, NULL, NULL, "{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"u\",0],[\"<0xC3>\",-1],[\"<0xA9>\",-1]]}"),
          "\xc3\xa9", "<0xC3>@0-2 <0xA9>@0-2");
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    tokenizer *t = good(NULL, NULL, NULL, "{\"type\":\"Unigram\",\"unk_id\":null,\"vocab\":[[\"a\",-1]]}");
    assert_int_equal(tokenizer_encode(t, "ab", 2, NULL, 0, NULL, &x, NULL, &e), -1);
    assert_string_equal(e.msg, "tokenizer.json: model.unk_id is null, but the text has an unknown character");
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

/* A sentencepiece map of two strings: "A" becomes "ab", "\xc3\xa9" becomes "a"; its trie as darts-clone lays it out. */
static void test_precompiled(void **state)
{
    (void)state;
    static const char json[] = "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"%s\"}";
    unsigned char map[4 + 4 * 1024 + 7] = {0};
    char base64[8192], text[9000];
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    /* unit i at 4 + 4 * i; label in bits 0-7, 0x100 leaf, offset << 10 */
    uint32_t unit[1024] = {0};
    unit[0] = 256u << 10;                    /* children at 256 ^ c */
    unit[256 ^ 0x41] = 0x41 | 0x100 | 512u << 10;  /* 'A': its value at 321 ^ 512 */
    unit[(256 ^ 0x41) ^ 512] = 0x80000000u | 0;
    unit[256 ^ 0xc3] = 0xc3 | 64u << 10;     /* child at 451 ^ 64 ^ 0xa9 */
    unit[(256 ^ 0xc3) ^ 64 ^ 0xa9] = 0xa9 | 0x100 | 512u << 10;
    unit[(256 ^ 0xc3) ^ 64 ^ 0xa9 ^ 512] = 0x80000000u | 3;
    map[1] = 0x10; /* 4096 */
    for (size_t i = 0; i < 4096; i++) map[4 + i] = (unsigned char)(unit[i / 4] >> 8 * (i % 4));
    memcpy(map + 4 + 4096, "ab\0a", 5);
    size_t n = 0;
    for (size_t i = 0; i + 3 <= sizeof map; i += 3)
        for (int k = 3; k >= 0; k--) base64[n++] = DIGITS[(((unsigned)map[i] << 16 | (unsigned)map[i + 1] << 8 | map[i + 2]) >> 6 * k) & 63];
    assert_int_equal(sizeof map % 3, 0);
    base64[n] = 0;
    snprintf(text, sizeof text, json, base64);
    static const char model[] = BPE("\"unk_token\":\"?\",", "\"?\":0,\"a\":1,\"b\":2", "");
    check(good(text, NULL, NULL, model), "A\xc3\xa9" "b", "a@0-1 b@0-1 a@1-3 b@3-4");
    check(good(text, NULL, NULL, model), "xA", "?@0-1 a@1-2 b@1-2");
    static const char *const bad[] = {"!", "AAAA", "AAAAAAAA", "/////w==", "BAAAAAA="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pith_err e = {{0}};
        snprintf(text, sizeof text, json, bad[i]);
        assert_null(build(text, NULL, NULL, model, &e));
        assert_non_null(strstr(e.msg, "tokenizer.json: normalizer.precompiled_charsmap: "));
    }
}

static void test_behaviors(void **state)
{
    (void)state;
    static const char model[] = "{\"type\":\"WordLevel\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,\".\":2,\"a.\":3,\".a\":4,\"..\":5,\"..a\":6}}";
    check(good(NULL, SPLIT("\\\\.", "Isolated"), NULL, model), "a..a", "a@0-1 .@1-2 .@2-3 a@3-4");
    check(good(NULL, SPLIT("\\\\.", "Removed"), NULL, model), "a..a", "a@0-1 a@3-4");
    check(good(NULL, SPLIT("\\\\.", "MergedWithPrevious"), NULL, model), "a..a", "a.@0-2 .@2-3 a@3-4");
    check(good(NULL, SPLIT("\\\\.", "MergedWithNext"), NULL, model), "a..a", "a@0-1 .@1-2 .a@2-4");
    check(good(NULL, SPLIT("\\\\.", "Contiguous"), NULL, model), "a..a", "a@0-1 ..@1-3 a@3-4");
    check(good(NULL, SPLIT("x*", "Isolated"), NULL, model), "a.", "a@0-1 .@1-2");
    check(good(NULL, "{\"type\":\"Split\",\"pattern\":{\"String\":\".\"},\"behavior\":\"Removed\",\"invert\":true}", NULL, model), "a..a", ".@1-2 .@2-3");
    check(good(NULL, "{\"type\":\"Punctuation\"}", NULL, model), "a..a", "a@0-1 .@1-2 .@2-3 a@3-4");
    check(good(NULL, "{\"type\":\"Digits\",\"individual_digits\":false}", NULL, model), "a12a", "a@0-1 ?@1-3 a@3-4");
    check(good(NULL, "{\"type\":\"Digits\",\"individual_digits\":true}", NULL, model), "a12a", "a@0-1 ?@1-2 ?@2-3 a@3-4");
    check(good(NULL, "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\".\"}", NULL, model), "a..a", "a@0-1 a@3-4");
}

/* Feeds ids one by one; '|' after each. */
static void check_stream(tokenizer *t, const int32_t *ids, size_t n, const char *want)
{
    pith_err e = {{0}};
    char got[512] = "", *whole;
    const char *part;
    size_t len, at = 0, k;
    tokenizer_stream *s = tokenizer_stream_open(t, true, &e);
    assert_non_null(s);
    assert_int_equal(tokenizer_decode(t, ids, n, true, &whole, &len, &e), 0);
    for (size_t i = 0; i <= n; i++) {
        assert_int_equal(i < n ? tokenizer_stream_next(s, ids[i], &part, &k, &e) : tokenizer_stream_end(s, &part, &k, &e), 0);
        assert_int_equal(unicode_valid(part, k), k);
        assert_true(k <= len - at && memcmp(whole + at, part, k) == 0);
        at += k;
        snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s|", (int)k, part);
    }
    assert_int_equal(at, len);
    assert_string_equal(got, want);
    tokenizer_stream_free(s);
    tokenizer_free(t);
    free(whole);
}

static void test_stream(void **state)
{
    (void)state;
    static const char bytes[] = BPE("", "\"a\":0,\"\\u00f0\":1,\"\\u0141\":2,\"\\u013a\":3,\"\\u0122\":4,\"\\u0120b\":5,\"\\u535a\":6", "");
    static const int32_t a[] = {0, 1, 2, 3, 4, 5}; /* F0 9F 98 80 one by one */
    check_stream(good(NULL, BYTES, "{\"type\":\"ByteLevel\"}", bytes), a, 6, "a||||\xf0\x9f\x98\x80| b||");
    static const int32_t b[] = {1, 2, 0, 2, 3, 1}; /* broken in several ways */
    check_stream(good(NULL, BYTES, "{\"type\":\"ByteLevel\"}", bytes), b, 6,
                 "||\xef\xbf\xbd" "a|\xef\xbf\xbd|\xef\xbf\xbd||\xef\xbf\xbd|");
    static const int32_t c[] = {6, 999, 5}; /* a piece that is not in letters stands for itself; no such id */
    check_stream(good(NULL, BYTES, "{\"type\":\"ByteLevel\"}", bytes), c, 3, "\xe5\x8d\x9a|| b||");
    static const char spaces[] = BPE("\"unk_token\":\"?\",\"byte_fallback\":true,", "\"?\":0,\"" MARK "a\":1,\"<0xC3>\":2,\"<0xA9>\":3,\"" MARK "\":4", "");
    static const int32_t d[] = {1, 2, 3, 1, 2, 2, 4, 3};
    check_stream(good(SPACES, NULL, LLAMA_DECODER, spaces), d, 8, "a|||\xc3\xa9 a|||\xef\xbf\xbd\xef\xbf\xbd ||\xef\xbf\xbd|");
    static const int32_t f[] = {1, 1};
    check_stream(good(NULL, NULL, NULL, spaces), f, 2, MARK "a| " MARK "a||");
    check_stream(good(NULL, NULL, "{\"type\":\"BPEDecoder\",\"suffix\":\"" MARK "\"}", spaces), f, 2, "| a|a|");
    check_stream(good(NULL, NULL, "{\"type\":\"Metaspace\",\"replacement\":\"" MARK "\",\"prepend_scheme\":\"always\"}", spaces), f, 2, "a| a||");
    check_stream(good(NULL, NULL, "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\"a\",\"start\":0,\"stop\":1}]}", spaces),
                 f, 2, MARK "|a" MARK "||");
}

static const struct {
    const char *normalizer, *pre, *decoder, *model, *message;
} BAD[] = {
    {NULL, NULL, NULL, BPE("\"dropout\":0.5,", "\"a\":0", ""), "t: model.dropout: expected null or 0 (merges are never dropped), found 0.5"},
    {NULL, NULL, NULL, BPE("", "\"a\":0", "\"a b\""), "tokenizer.json: model.merges[0]: \"b\" is not in model.vocab"},
    {NULL, NULL, NULL, BPE("", "\"a\":0,\"b\":1", "\"b a\""), "tokenizer.json: model.merges[0]: \"ba\" is not in model.vocab"},
    {NULL, NULL, NULL, BPE("", "\"a\":0", "\"a\""), "t: model.merges[0]: expected two pieces with one space between, found \"a\""},
    {NULL, NULL, NULL, BPE("", "\"a\":0", "\"a a a\""), "t: model.merges[0]: expected two pieces with one space between, found \"a a a\""},
    {NULL, NULL, NULL, BPE("", "\"a\":0", "[\"a\"]"), "t: model.merges[0]: expected two pieces, found an array"},
    {NULL, NULL, NULL, BPE("", "\"a\":0", "[\"a\",\"a\",\"a\"]"), "t: model.merges[0]: expected two pieces, found an array"},
    {NULL, NULL, NULL, BPE("", "\"a\":0", "7"), "t: model.merges[0]: expected two pieces, found 7"},
    {NULL, NULL, NULL, BPE("\"continuing_subword_prefix\":\"##\",", "\"a\":0", "\"a a\""),
     "t: model.merges[0]: expected a second piece that begins with continuing_subword_prefix, found \"a a\""},
    {NULL, SPLIT("(", "Isolated"), NULL, LOW, "tokenizer.json: pre_tokenizer.pattern: not a valid pattern: missing closing parenthesis"},
    {NULL, SPLIT("(?<n>a)", "Isolated"), NULL, LOW, "tokenizer.json: pre_tokenizer.pattern: the group near \"(?<n>a)\" is not supported in a pattern"},
    {NULL, SPLIT("(*COMMIT)a", "Isolated"), NULL, LOW, "tokenizer.json: pre_tokenizer.pattern: a verb near \"(*COMMIT)a\" is not supported in a pattern"},
    {NULL, SPLIT("[a&&b]", "Isolated"), NULL, LOW, "tokenizer.json: pre_tokenizer.pattern: a class within a class near \"[a&&b]\" is not supported in a pattern"},
    {NULL, SPLIT("\\\\h", "Isolated"), NULL, LOW, "tokenizer.json: pre_tokenizer.pattern: the escape near \"\\h\" is not supported in a pattern"},
    {NULL, SPLIT("a{1,3}+", "Isolated"), NULL, LOW, "tokenizer.json: pre_tokenizer.pattern: an interval with + near \"}+\" is not supported in a pattern"},
    {NULL, SPLIT("a", "Sideways"), NULL, LOW, "t: pre_tokenizer.behavior: expected Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous, found \"Sideways\""},
    {NULL, "{\"type\":\"Split\",\"pattern\":3,\"behavior\":\"Removed\",\"invert\":false}", NULL, LOW, "t: pre_tokenizer.pattern: expected an object, found 3"},
    {NULL, "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"ab\"}", NULL, LOW, "t: pre_tokenizer.delimiter: expected one character, found \"ab\""},
    {NULL, "{\"type\":\"Metaspace\",\"replacement\":\"\"}", NULL, LOW, "t: pre_tokenizer.replacement: expected one character, found \"\""},
    {NULL, "{\"type\":\"Metaspace\",\"replacement\":\"_\",\"prepend_scheme\":\"often\"}", NULL, LOW, "t: pre_tokenizer.prepend_scheme: expected first, never or always, found \"often\""},
    {NULL, "{\"type\":\"Sequence\",\"pretokenizers\":[" BYTES "," BYTES "]}", NULL, LOW, "tokenizer.json: pre_tokenizer: ByteLevel is there twice"},
    {"{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[\"},\"content\":\"\"}", NULL, NULL, LOW, "tokenizer.json: normalizer.pattern: a class without end near \"[\" is not supported in a pattern"},
    {"{\"type\":\"Prepend\"}", NULL, NULL, LOW, "t: normalizer.prepend is missing"},
    {NULL, NULL, "{\"type\":\"Strip\",\"content\":\" \",\"start\":-1,\"stop\":0}", LOW, "t: decoder.start: expected a whole number from 0 to 4294967295, found -1"},
    {NULL, NULL, "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}", LOW, "tokenizer.json: decoder.pattern: not a valid pattern: missing closing parenthesis"},
    {NULL, BYTES, NULL, "{\"type\":\"Unigram\",\"vocab\":[]}", "tokenizer.json: pre_tokenizer ByteLevel is not supported with model Unigram (only with BPE)"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        pith_err e = {{0}};
        tokenizer *t = build(BAD[i].normalizer, BAD[i].pre, BAD[i].decoder, BAD[i].model, &e);
        if (t) fail_msg("accepted; expected \"%s\"", BAD[i].message);
        assert_string_equal(e.msg, BAD[i].message);
    }
}

/* A pattern whose time doubles with each character is given up. */
static void test_catastrophic(void **state)
{
    (void)state;
    pith_err e = {{0}};
    tokenizer_encoding x = {0};
    char text[64];
    memset(text, 'a', 60);
    text[60] = 'b';
    tokenizer *t = good(NULL, SPLIT("(?:a+)+[cd]", "Isolated"), NULL, BPE("", "\"a\":0", ""));
    assert_int_equal(tokenizer_encode(t, text, 61, NULL, 0, NULL, &x, NULL, &e), -1);
    assert_string_equal(e.msg, "tokenizer.json: pre_tokenizer.pattern: matching a text of 61 bytes was given up at byte 0: match limit exceeded");
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}

/* One word of 2 MB: a square would not end within the hour. */
static void test_large(void **state)
{
    (void)state;
    enum { N = 2000000 };
    char *text = malloc(N);
    tokenizer_encoding x = {0};
    pith_err e = {{0}};
    assert_non_null(text);
    for (int k = 0; k < 4; k++) {
        tokenizer *t = k == 3 ? good(NULL, NULL, NULL, "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"x\",0],[\"l\",-1],[\"low\",-1]]}")
                     : k == 2 ? good(SPACES, NULL, NULL, BPE("\"unk_token\":\"l\",", "\"l\":0,\"lo\":1,\"o\":2,\"w\":3", "\"l o\""))
                              : good(NULL, BYTES, NULL, LOW);
        for (size_t i = 0; i < N; i++) text[i] = k == 1 ? ' ' : "lowow"[i % 5];
        if (tokenizer_encode(t, text, N, NULL, 0, NULL, &x, NULL, &e)) fail_msg("%s", e.msg);
        assert_int_equal(x.n, k == 0 ? 2 * N / 5 : k == 1 ? N : k == 2 ? 1 + 4 * N / 5 : 2 * N / 5);
        tokenizer_free(t);
    }
    tokenizer_encoding_free(&x);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level), cmocka_unit_test(test_characters), cmocka_unit_test(test_unigram),
        cmocka_unit_test(test_precompiled), cmocka_unit_test(test_behaviors), cmocka_unit_test(test_stream),
        cmocka_unit_test(test_bad),        cmocka_unit_test(test_catastrophic), cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests_name("bpe", tests, NULL, NULL);
}
