/* fuzz_tokenizer: what holds for every tokenizer that could be made of a stranger's files. */
#ifndef TESTS_FUZZ_TOKENIZER_H
#define TESTS_FUZZ_TOKENIZER_H
#include "fuzz.h"
#include "tokenizer/tokenizer.h"

/* Takes t, NULL where there is none. */
static inline void fuzz_tokenizer(tokenizer *t, const pith_err *made)
{
    static const char text[] = "a b\xc3\xa9" "c [SEP] <x> \xe5\x8d\x9a abcabcabc ab.e \xcc\x81 \xff";
    tokenizer_encoding x = {0};
    pith_err e = {{0}}, e2 = {{0}};
    char *back = NULL;
    size_t len, n = sizeof text - 1;
    demand_either(t != NULL, made);
    if (!t) return;
    int bad = tokenizer_encode(t, text, n, "a", 1, NULL, &x, NULL, &e);
    demand_either(!bad, &e);
    for (size_t i = 0; !bad && i < x.n; i++) {
        demand(x.special[i] || (x.ids[i] >= 0 && (size_t)x.ids[i] < tokenizer_vocab_size(t) && tokenizer_piece(t, x.ids[i])), "ids are of the vocabulary");
        demand(x.begin[i] <= x.end[i] && x.end[i] <= (x.second[i] ? 1 : n), "spans lie in their text");
        demand(x.special[i] || tokenizer_id(t, tokenizer_piece(t, x.ids[i])) >= 0, "a piece is found");
    }
    if (!bad) {
        bad = tokenizer_decode(t, x.ids, x.n, true, &back, &len, &e2);
        demand_either(!bad, &e2);
        if (!bad) demand(back[len] == 0, "a text ends");
    }
    free(back);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
}
#endif
