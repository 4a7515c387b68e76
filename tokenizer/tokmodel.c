#include "tokenizer/tokmodel.h"
#include <string.h>

static const tokmodel *const MODELS[] = {&bpe_model, &unigram_model, &wordpiece_model, &wordlevel_model};

/* Files written before tokenizers 0.8 have no type; the members tell. */
static const char *guess_type(json v)
{
    if (json_typeof(json_get(v, "merges")) != JSON_NONE) return "BPE";
    if (json_typeof(json_get(v, "vocab")) == JSON_ARRAY) return "Unigram";
    return json_typeof(json_get(v, "continuing_subword_prefix")) == JSON_STRING ? "WordPiece" : "WordLevel";
}

const tokmodel *tokmodel_find(json v, pith_err *e)
{
    const char *type;
    if (json_opt_str(v, "type", guess_type(v), &type, e)) return NULL;
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++)
        if (strcmp(MODELS[i]->type, type) == 0) return MODELS[i];
    err_set(e, "tokenizer.json: model.type \"%.60s\" is not supported (supported: BPE, Unigram, WordPiece, WordLevel)", type);
    return NULL;
}
