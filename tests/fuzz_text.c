/* Any text for one of the tokenizers below, one of each kind: ids and spans are sound, streaming is decoding, what is cut is a
 * beginning, and where a tokenizer loses nothing the text comes back. The first byte chooses the tokenizer, the second how; the rest
 * is a text, or two, cut at the first 0xfe. */
#define _GNU_SOURCE
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"
#include "fuzz.h"

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

static void check_stream(const tokenizer *t, const int32_t *ids, size_t n, const char *whole, size_t len)
{
    tokenizer_stream *s = tokenizer_stream_open(t, false, NULL);
    demand(s != NULL, "memory");
    size_t at = 0, k = 0;
    const char *part = "";
    for (size_t i = 0; i <= n; i++) {
        demand((i < n ? tokenizer_stream_next(s, ids[i], &part, &k, NULL) : tokenizer_stream_end(s, &part, &k, NULL)) == 0,
             "streaming");
        demand(unicode_valid(part, k) == k, "whole characters are streamed");
        demand(k <= len - at && (!k || memcmp(whole + at, part, k) == 0), "what is streamed is the decoded text");
        at += k;
    }
    demand(at == len, "all of the text is streamed");
    tokenizer_stream_free(s);
}

/* trims: a span may be empty, as blanks are no part of it. nests: it may lie in the one before, as where an added token takes the
 * blanks after it, and another is one of these (find_matches of huggingface/tokenizers). */
static void check_plain(const tokenizer *t, const char *text, size_t n, const tokenizer_options *o, int trims, int nests)
{
    tokenizer_encoding x = {0}, cut = {0};
    demand(tokenizer_encode_plain(t, text, n, o, &x, NULL) == 0, "every text can be encoded");
    uint64_t begin = 0, end = 0;
    for (size_t i = 0; i < x.n; i++) {
        demand(x.begin[i] + !trims <= x.end[i] && x.end[i] <= n, "a token's span lies in the text");
        demand(x.begin[i] >= begin && (nests || x.end[i] >= end), "spans are in order");
        demand(tokenizer_piece(t, x.ids[i]) != NULL, "an id has a piece");
        begin = x.begin[i];
        end = x.end[i];
    }
    tokenizer_options two = *o;
    size_t full = 0, special = tokenizer_n_special(t, false), first = special / 2;
    two.max_length = special + x.n / 2;
    demand(tokenizer_encode(t, text, n, NULL, 0, &two, &cut, &full, NULL) == 0, "encode");
    if (two.max_length) demand(full == x.n + special && cut.n <= two.max_length && cut.n == x.n / 2 + special, "truncation");
    demand(!two.max_length || cut.n == special || memcmp(cut.ids + first, x.ids, (cut.n - special) * sizeof *x.ids) == 0, "truncation keeps the beginning");
    char *back = NULL;
    size_t len;
    demand(tokenizer_decode(t, x.ids, x.n, false, &back, &len, NULL) == 0 && back[len] == 0, "decode");
    check_stream(t, x.ids, x.n, back, len);
    free(back);
    tokenizer_encoding_free(&x);
    tokenizer_encoding_free(&cut);
}

/* ---- tokenizers that lose nothing ---- */

/* Every byte has a piece: its letter in a byte-level vocabulary, or "<0xAB>". */
static void put_bytes(FILE *f, int letters)
{
    for (int b = 0, other = 256; b < 256; b++) {
        int printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae, letter = printable ? b : other++;
        if (letters) fprintf(f, "\"\\u%04x\":%d,", (unsigned)letter, b);
        else fprintf(f, "\"<0x%02X>\":%d,", (unsigned)b, b);
    }
}

static char *lossless(int kind)
{
    char *s = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&s, &n);
    demand(f != NULL, "memory");
    if (kind < 2) {
        fprintf(f, "{\"normalizer\":%s,\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true},", kind ? "{\"type\":\"NFC\"}" : "null");
        fputs("\"post_processor\":{\"type\":\"ByteLevel\",\"trim_offsets\":true},\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{", f);
        put_bytes(f, 1);
        fputs("\"ab\":256,\"\\u0120a\":257,\"\\u0120ab\":258,\"\\u00c3\\u00a9\":259,\"\\u0120\\u0120\":260},\"merges\":[\"a b\",\"\\u0120 a\",\"\\u0120 ab\",\"\\u00c3 \\u00a9\",\"\\u0120 \\u0120\"]}}", f);
    } else {
        fputs("{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\\u2581\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\\u2581\"}]},"
              "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
              "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"byte_fallback\":true,\"vocab\":{", f);
        put_bytes(f, 0);
        fputs("\"<unk>\":256,\"\\u2581\":257,\"a\":258,\"b\":259,\"ab\":260,\"\\u2581a\":261,\"\\u00e9\":262},\"merges\":[\"a b\",\"\\u2581 a\"]}}", f);
    }
    fclose(f);
    return s;
}

enum { N_LOSSLESS = 3 };

static char *round_trip(const tokenizer *t, const char *s, size_t n, size_t *len)
{
    tokenizer_encoding x = {0};
    char *back = NULL;
    demand(tokenizer_encode_plain(t, s, n, &(tokenizer_options){0}, &x, NULL) == 0 && tokenizer_decode(t, x.ids, x.n, false, &back, len, NULL) == 0, "there and back");
    tokenizer_encoding_free(&x);
    return back;
}

/* What is no UTF-8 becomes U+FFFD, so that a text that came back once comes back the same. */
static void check_back(const tokenizer *t, int kind, const char *s, size_t n)
{
    size_t a_len, b_len;
    char *a = round_trip(t, s, n, &a_len), *b = round_trip(t, a, a_len, &b_len);
    demand(a_len == b_len && !memcmp(a, b, a_len), "what came back comes back again");
    int same = kind == 0 || (kind == 2 && !strstr(a, "\xe2\x96\x81") && !memmem(s, n, "\xe2\x96\x81", 3));
    if (same && unicode_valid(s, n) == n) demand(a_len == n && !memcmp(a, s, n), "nothing of a text is lost");
    free(a);
    free(b);
}

/* ---- */

static const tokenizer *choose(size_t k)
{
    static tokenizer *t[N_BUILT_IN + N_LOSSLESS];
    pith_err e = {{0}};
    if (t[k]) return t[k];
    char *own = k < N_BUILT_IN ? NULL : lossless((int)(k - N_BUILT_IN));
    const char *text = own ? own : BUILT_IN[k];
    t[k] = tokenizer_from_json("built-in", text, strlen(text), &e);
    if (!t[k]) fprintf(stderr, "%s\n", e.msg);
    demand(t[k] != NULL, "the tokenizers here can be made");
    free(own);
    return t[k];
}

void fuzz_one(const uint8_t *data, size_t n)
{
    if (n < 2 || n > 600) return; /* long texts are slow, and nothing new */
    size_t k = data[0] % (N_BUILT_IN + N_LOSSLESS), na, nb = 0;
    uint8_t how = data[1];
    const tokenizer *t = choose(k);
    fuzz_input in = {data + 2, n - 2};
    char *a = fuzz_part(&in, &na), *b = fuzz_part(&in, &nb);
    tokenizer_options o = {.no_parse_special = how & 0x40};
    tokenizer_encoding x = {0};
    pith_err e = {{0}};
    check_plain(t, a, na, &o, k >= N_BUILT_IN && k < N_BUILT_IN + 2, k == 1);
    if (k >= N_BUILT_IN) check_back(t, (int)(k - N_BUILT_IN), a, na);
    o.max_length = how & 0x80 ? 3 + (how & 7) : 0;
    o.strict = how & 0x20;
    int bad = tokenizer_encode(t, a, na, b, nb, &o, &x, NULL, &e);
    demand_either(!bad, &e);
    if (bad) demand(o.strict && strstr(e.msg, "not valid UTF-8"), "only strict fails");
    else demand(!o.max_length || x.n <= o.max_length, "max_length holds");
    for (size_t i = 0; !bad && i < x.n; i++) demand(x.ids[i] >= 0 && (size_t)x.ids[i] < tokenizer_vocab_size(t) && x.type_ids[i] <= 1, "ids are of the vocabulary");
    tokenizer_encoding_free(&x);
    free(a);
    free(b);
}
