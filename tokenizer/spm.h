/* spm: a directory with tokenizer.model (sentencepiece) instead of tokenizer.json. Writes the tokenizer.json that
 * transformers would make of it (convert_slow_tokenizer.py, LlamaConverter); reading that is tokenizer.c's work. */
#ifndef TOKENIZER_SPM_H
#define TOKENIZER_SPM_H
#include "base/json.h"

/* config: the root of tokenizer_config.json, or none. *out is allocated, *len bytes. */
int spm_convert(const char *dir, json config, char **out, size_t *len, pith_err *e);

#endif
