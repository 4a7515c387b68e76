/* Any bytes are a tokenizer.model; or, behind a 0xfe in front, the bytes up to the next are the tokenizer_config.json beside it. */
#include "fuzz_tokenizer.h"

void fuzz_one(const uint8_t *data, size_t n)
{
    pith_err e = {{0}};
    size_t len;
    char *config = NULL;
    fuzz_input in = {data, n};
    if (n && *data == 0xfe) {
        in.at++, in.n--;
        config = fuzz_part(&in, &len);
        fuzz_put("tokenizer_config.json", config, len);
    }
    char *model = fuzz_copy(in.at ? in.at : data, in.at ? in.n : 0);
    fuzz_put("tokenizer.model", model, in.at ? in.n : 0);
    tokenizer *t = tokenizer_open(FUZZ_DIR, &e);
    fuzz_tokenizer(t, &e);
    free(model);
    free(config);
}
