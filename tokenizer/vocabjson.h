/* vocabjson: a directory with vocab.json and merges.txt instead of tokenizer.json. Writes the tokenizer.json that
 * transformers would make of it (convert_slow_tokenizer.py, GPT2Converter and Qwen2Converter); reading that is
 * tokenizer.c's work. */
#ifndef TOKENIZER_VOCABJSON_H
#define TOKENIZER_VOCABJSON_H
#include "base/json.h"

/* config: the root of tokenizer_config.json, or none. *out is allocated, *len bytes. */
int vocabjson_convert(const char *dir, json config, char **out, size_t *len, pith_err *e);

#endif
