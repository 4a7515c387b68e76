/* Any bytes are a tokenizer.json. */
#include "fuzz_tokenizer.h"

void fuzz_one(const uint8_t *data, size_t n)
{
    pith_err e = {{0}};
    char *json = fuzz_copy(data, n);
    tokenizer *t = tokenizer_from_json("fuzz", json, n, &e);
    fuzz_tokenizer(t, &e);
    free(json);
}
