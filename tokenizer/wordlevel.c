/* wordlevel: a word is a piece or it is unknown. */
#include "base/mem.h"
#include "tokenizer/tokmodel.h"
#include <string.h>

typedef struct wordlevel {
    int32_t unknown; /* -1: not in the vocabulary, which matters only when a word needs it */
    char unknown_piece[];
} wordlevel;

static void *wordlevel_open(json v, bool bytes, vocab *vocabulary, pith_err *e)
{
    (void)bytes;
    const char *unknown;
    if (json_get_str(v, "unk_token", &unknown, e) || vocab_read(vocabulary, v, e)) return NULL;
    size_t n = strlen(unknown) + 1;
    wordlevel *w = mem_alloc(sizeof *w + n);
    if (!w) return err_nomem(e, sizeof *w + n, "the tokenizer"), NULL;
    memcpy(w->unknown_piece, unknown, n);
    w->unknown = vocab_find(vocabulary, unknown, n - 1);
    return w;
}

static int wordlevel_word(const void *m, const vocab *v, const char *text, size_t begin, size_t end,
                          void **scratch, tokenizer_encoding *out, pith_err *e)
{
    (void)scratch;
    const wordlevel *w = m;
    int32_t id = vocab_find(v, text + begin, end - begin);
    if (id < 0) id = w->unknown;
    if (id < 0)
        return err_set(e, "tokenizer.json: model.unk_token \"%.60s\" is not in model.vocab, but the text has an unknown word",
                       w->unknown_piece);
    if (encoding_reserve(out, 1, e)) return -1;
    encoding_put(out, id, begin, end);
    return 0;
}

const tokmodel wordlevel_model = {"WordLevel", false, wordlevel_open, mem_free, wordlevel_word, NULL};
