/* vocabtxt: a directory with vocab.txt and no tokenizer.json. Writes the tokenizer.json that transformers' conversion
 * of BertTokenizer would give, so that there is one way to build a tokenizer. */
#ifndef TOKENIZER_VOCABTXT_H
#define TOKENIZER_VOCABTXT_H
#include "base/json.h"

/* path: of vocab.txt; config: tokenizer_config.json (may be absent). *out is malloc'ed, *len bytes. */
int vocabtxt_convert(const char *path, json config, char **out, size_t *len, pith_err *e);

#endif
