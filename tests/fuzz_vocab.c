/* The files that older directories have instead of tokenizer.json, cut apart by 0xfe. The first byte: odd, tokenizer_config.json,
 * vocab.json and merges.txt; even, tokenizer_config.json, vocab.txt, special_tokens_map.json and added_tokens.json. An empty part is
 * no file, but for the vocabulary. */
#include "fuzz_tokenizer.h"

void fuzz_one(const uint8_t *data, size_t n)
{
    static const char *const names[2][4] = {{"tokenizer_config.json", "vocab.txt", "special_tokens_map.json", "added_tokens.json"},
                                            {"tokenizer_config.json", "vocab.json", "merges.txt"}};
    pith_err e = {{0}};
    if (!n) return;
    fuzz_input in = {data + 1, n - 1};
    char *part[4] = {NULL};
    size_t len;
    for (int i = 0; i < 4 && names[data[0] & 1][i] && (part[i] = fuzz_part(&in, &len)); i++)
        if (len || i == 1 || (data[0] & 1 && i == 2)) fuzz_put(names[data[0] & 1][i], part[i], len);
    tokenizer *t = tokenizer_open(FUZZ_DIR, &e);
    fuzz_tokenizer(t, &e);
    for (int i = 0; i < 4; i++) free(part[i]);
}
