/* wordpiece: the longest piece that begins the word, then the longest that goes on, each marked by a prefix; a word
 * that cannot be cut so, or is too long, is one unknown token. */
#include "base/mem.h"
#include "tokenizer/tokmodel.h"
#include <string.h>

typedef struct wordpiece {
    char *prefix, *unknown_piece;
    size_t prefix_len;
    uint64_t prefix_hash;
    int32_t unknown; /* -1: not in the vocabulary, which matters only when a word needs it */
    uint64_t max_chars;
} wordpiece;

static void wordpiece_close(void *m)
{
    wordpiece *w = m;
    mem_free(w->prefix);
    mem_free(w->unknown_piece);
    mem_free(w);
}

static char *copy(const char *s, pith_err *e)
{
    size_t n = strlen(s) + 1;
    char *p = mem_alloc(n);
    if (!p) return err_nomem(e, n, "the tokenizer"), NULL;
    return memcpy(p, s, n);
}

static void *wordpiece_open(json v, bool bytes, vocab *vocabulary, pith_err *e)
{
    (void)bytes;
    const char *unknown, *prefix;
    wordpiece *w = mem_zero(1, sizeof *w);
    if (!w) return err_nomem(e, sizeof *w, "the tokenizer"), NULL;
    vocabulary->prefixes = true;
    if (json_get_str(v, "unk_token", &unknown, e) || json_get_str(v, "continuing_subword_prefix", &prefix, e) ||
        json_get_size(v, "max_input_chars_per_word", 0, UINT64_C(1) << 53, &w->max_chars, e) ||
        vocab_read(vocabulary, v, e) || !(w->prefix = copy(prefix, e)) ||
        !(w->unknown_piece = copy(unknown, e))) {
        wordpiece_close(w);
        return NULL;
    }
    w->prefix_len = strlen(prefix);
    w->prefix_hash = VOCAB_HASH;
    for (size_t i = 0; i < w->prefix_len; i++) w->prefix_hash = vocab_hash(w->prefix_hash, (unsigned char)prefix[i]);
    w->unknown = vocab_find(vocabulary, unknown, strlen(unknown));
    return w;
}

static int unknown_word(const wordpiece *w, size_t begin, size_t end, tokenizer_encoding *out, pith_err *e)
{
    if (w->unknown < 0)
        return err_set(e,
                       "tokenizer.json: model.unk_token \"%.60s\" is not in model.vocab, but the text has a word "
                       "without pieces",
                       w->unknown_piece);
    encoding_put(out, w->unknown, begin, end);
    return 0;
}

static int wordpiece_word(const void *m, const vocab *v, const char *text, size_t begin, size_t end,
                          void **scratch, tokenizer_encoding *out, pith_err *e)
{
    (void)scratch;
    const wordpiece *w = m;
    const char *s = text + begin;
    size_t n = end - begin, first = out->n;
    if (n > w->max_chars) {
        uint64_t chars = 0;
        for (size_t i = 0; i < n && chars <= w->max_chars; i++) chars += ((unsigned char)s[i] & 0xc0) != 0x80;
        if (chars > w->max_chars) return encoding_reserve(out, 1, e) ? -1 : unknown_word(w, begin, end, out, e);
    }
    if (encoding_reserve(out, n, e)) return -1; /* a piece is at least a byte */
    int32_t id = vocab_find(v, s, n);           /* most words of a language are one piece */
    if (id >= 0) {
        encoding_put(out, id, begin, end);
        return 0;
    }
    for (size_t at = 0, len = 0; at < n; at += len) {
        id = at ? vocab_longest(v, w->prefix, w->prefix_len, w->prefix_hash, s + at, n - at, &len)
                : vocab_longest(v, "", 0, VOCAB_HASH, s, n, &len);
        if (id < 0) {
            out->n = first;
            return unknown_word(w, begin, end, out, e);
        }
        encoding_put(out, id, begin + at, begin + at + len);
    }
    return 0;
}

const tokmodel wordpiece_model = {"WordPiece", false, wordpiece_open, wordpiece_close, wordpiece_word, NULL};
