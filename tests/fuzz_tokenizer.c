/* Fuzzes the tokenizer; not part of `make test`. With libFuzzer:
 *   clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -Isrc -I. tests/fuzz_tokenizer.c \
 *     $(find tokenizer -name '*.c') src/base/err.c src/base/json.c -lcjson -lutf8proc -lpcre2-8 -lm -o build/fuzz_tokenizer
 *   build/fuzz_tokenizer -max_total_time=60 DIR
 * Without it, -DFUZZ_MAIN gives a program that runs the files it is given.
 * The first byte chooses: an even one takes the rest as a text (two, cut at the first 0xfe) for one of the built-in
 * tokenizers and checks what must hold for every text; an odd one takes the rest as a tokenizer.json. */
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VOCAB                                                                                                          \
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"a\":4,\"##a\":5,\"ab\":6,\"##bc\":7,\"e\":8,\".\":9,"   \
    "\"##\xc3\xa9\":10,\"\xe5\x8d\x9a\":11,\"abcab\":12}}"
#define TAIL(max)                                                                                                      \
    "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},\"post_processor\":{\"type\":"             \
    "\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},\"model\":{\"type\":\"WordPiece\",\"unk_token\":"  \
    "\"[UNK]\",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":" max "," VOCAB "}"
#define PAIR "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"a\",3],\"cls\":[\"b\",2]},"
#define LETTERS                                                                                                        \
    "\"a\":0,\"b\":1,\"ab\":2,\"\\u00c3\":3,\"\\u00a9\":4,\"\\u00c3\\u00a9\":5,\"\\u0120\":6,\"\\u0120a\":7,\"abab\":8,\"\\u00f0\":9,"           \
    "\"\\u0141\":10,\"\\u010a\":11"
#define TOKEN(content, flags) "{\"id\":0,\"content\":\"" content "\"," flags "}"
#define PLAIN "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":true"
#define STRIP "\"single_word\":false,\"lstrip\":true,\"rstrip\":true,\"normalized\":false,\"special\":false"
#define NORMAL "\"single_word\":true,\"lstrip\":false,\"rstrip\":true,\"normalized\":true,\"special\":false"

static const char *const BUILT_IN[] = {
    "{\"added_tokens\":[" TOKEN("[SEP]", PLAIN) "],\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":"
    "\"BertPreTokenizer\"}," TAIL("100"),
    "{\"added_tokens\":[" TOKEN("<x>", STRIP) "," TOKEN(" ", PLAIN) "," TOKEN("B\xc3\xa9", NORMAL) "],\"normalizer\":{"
    "\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"Lowercase\"}]},\"pre_tokenizer\":{\"type\":"
    "\"Whitespace\"}," TAIL("6"),
    "{\"added_tokens\":[" TOKEN("a", NORMAL) "],\"normalizer\":{\"type\":\"StripAccents\"},\"pre_tokenizer\":null," TAIL(
        "100000"),
    "{\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}," TAIL("100"),
    "{\"added_tokens\":[" TOKEN("<x>", STRIP) "],\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
    "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s|'ll)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}|\\\\s+(?!\\\\S)|"
    "\\\\s+\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true},{\"type\":"
    "\"Digits\",\"individual_digits\":true}]},\"decoder\":{\"type\":\"ByteLevel\"}," PAIR "\"model\":{\"type\":\"BPE\",\"vocab\":{" LETTERS "},"
    "\"merges\":[\"a b\",\"\\u00c3 \\u00a9\",\"\\u0120 a\",\"ab ab\"]}}",
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"_\"},{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":\" \"},\"content\":\"_\"},{\"type\":\"NFKC\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":\"_\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":2}]}," PAIR
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"[UNK]\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{\"[UNK]\":0,\"<0xC3>\":1,\"<0xA9>\":2,"
    "\"<0xF0>\":3,\"_\":4,\"a\":5,\"b\":6,\"ab\":7,\"_a\":8},\"merges\":[\"a b\",\"_ a\"]}}",
    "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKD\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":"
    "\" \"},{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}]},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
    "\"prepend_scheme\":\"first\",\"split\":true},\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}," PAIR "\"model\":{\"type\":\"Unigram\","
    "\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[[\"<unk>\",0],[\"_\",-2],[\"a\",-1],[\"ab\",-1.5],[\"_a\",-2.5],[\"<0xCC>\",-3],[\"<0x81>\",-3]]}}",
};
enum { N_BUILT_IN = sizeof BUILT_IN / sizeof *BUILT_IN };

static void must(int ok, const char *what)
{
    if (ok) return;
    fprintf(stderr, "violated: %s\n", what);
    abort();
}

/* An allocation of exactly this size, so that reading past it is seen. */
static char *exact(const uint8_t *data, size_t n)
{
    char *p = malloc(n ? n : 1);
    must(p != NULL, "memory");
    memcpy(p, data, n);
    return p;
}

static void check_stream(const tokenizer *t, const int32_t *ids, size_t n, const char *whole, size_t len)
{
    tokenizer_stream *s = tokenizer_stream_open(t, false, NULL);
    must(s != NULL, "memory");
    size_t at = 0, k = 0;
    const char *part = "";
    for (size_t i = 0; i <= n; i++) {
        must((i < n ? tokenizer_stream_next(s, ids[i], &part, &k, NULL) : tokenizer_stream_end(s, &part, &k, NULL)) == 0,
             "streaming");
        must(unicode_valid(part, k) == k, "whole characters are streamed");
        must(k <= len - at && (!k || memcmp(whole + at, part, k) == 0), "what is streamed is the decoded text");
        at += k;
    }
    must(at == len, "all of the text is streamed");
    tokenizer_stream_free(s);
}

static void check_plain(const tokenizer *t, const char *text, size_t n, const tokenizer_options *o)
{
    tokenizer_encoding x = {0}, cut = {0};
    must(tokenizer_encode_plain(t, text, n, o, &x, NULL) == 0, "every text can be encoded");
    uint64_t begin = 0;
    for (size_t i = 0; i < x.n; i++) {
        must(x.begin[i] < x.end[i] && x.end[i] <= n, "a token's span lies in the text");
        must(x.begin[i] >= begin, "spans are in order");
        must(tokenizer_piece(t, x.ids[i]) != NULL, "an id has a piece");
        begin = x.begin[i];
    }
    tokenizer_options two = *o;
    two.max_length = 2 + x.n / 2;
    size_t full = 0;
    must(tokenizer_encode(t, text, n, NULL, 0, &two, &cut, &full, NULL) == 0, "encode");
    must(full == x.n + 2 && cut.n <= two.max_length && cut.n == (x.n < x.n / 2 ? x.n : x.n / 2) + 2, "truncation");
    must(cut.n == 2 || memcmp(cut.ids + 1, x.ids, (cut.n - 2) * sizeof *x.ids) == 0, "truncation keeps the beginning");
    char *back;
    size_t len;
    must(tokenizer_decode(t, x.ids, x.n, false, &back, &len, NULL) == 0 && back[len] == 0, "decode");
    check_stream(t, x.ids, x.n, back, len);
    free(back);
    tokenizer_encoding_free(&x);
    tokenizer_encoding_free(&cut);
}

static void fuzz_text(uint8_t choice, const uint8_t *data, size_t n)
{
    static tokenizer *t[N_BUILT_IN];
    pith_err e = {{0}};
    size_t k = (choice >> 1) % N_BUILT_IN;
    if (!t[k] && !(t[k] = tokenizer_from_json("built-in", BUILT_IN[k], strlen(BUILT_IN[k]), &e))) {
        fprintf(stderr, "%s\n", e.msg);
        abort();
    }
    const uint8_t *cut = memchr(data, 0xfe, n);
    size_t na = cut ? (size_t)(cut - data) : n, nb = cut ? n - na - 1 : 0;
    char *a = exact(data, na), *b = cut ? exact(cut + 1, nb) : NULL;
    tokenizer_options o = {.no_parse_special = choice & 0x40};
    check_plain(t[k], a, na, &o);
    tokenizer_encoding x = {0};
    o.max_length = choice & 0x80 ? 3 + (choice & 7) : 0;
    o.strict = choice & 0x20;
    if (tokenizer_encode(t[k], a, na, b, nb, &o, &x, NULL, &e) == 0)
        must(!o.max_length || x.n <= o.max_length, "max_length holds");
    else
        must(o.strict && strstr(e.msg, "not valid UTF-8"), "only strict fails");
    tokenizer_encoding_free(&x);
    free(a);
    free(b);
}

static void fuzz_json(const uint8_t *data, size_t n)
{
    static const char text[] = "a b\xc3\xa9" "c [SEP] <x> \xe5\x8d\x9a abcabcabc ab.e \xcc\x81 \xff";
    pith_err e = {{0}};
    char *json = exact(data, n);
    tokenizer *t = tokenizer_from_json("fuzz", json, n, &e);
    must(t || e.msg[0], "a refusal has a message");
    if (t) {
        tokenizer_encoding x = {0};
        char *back;
        size_t len;
        if (tokenizer_encode(t, text, sizeof text - 1, "a", 1, NULL, &x, NULL, &e) == 0 &&
            tokenizer_decode(t, x.ids, x.n, true, &back, &len, NULL) == 0)
            free(back);
        tokenizer_encoding_free(&x);
    }
    tokenizer_free(t);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (!n) return 0;
    if (data[0] & 1)
        fuzz_json(data + 1, n - 1);
    else
        fuzz_text(data[0], data + 1, n - 1);
    return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        static uint8_t data[1 << 20];
        FILE *f = fopen(argv[i], "rb");
        if (!f) return perror(argv[i]), 1;
        size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        LLVMFuzzerTestOneInput(data, n);
    }
    return 0;
}
#endif
