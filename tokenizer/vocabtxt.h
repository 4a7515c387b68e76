/* vocabtxt: a directory with vocab.txt and no tokenizer.json. Writes the tokenizer.json that transformers' conversion
 * of BertTokenizer would give, so that there is one way to build a tokenizer. */
#ifndef TOKENIZER_VOCABTXT_H
#define TOKENIZER_VOCABTXT_H
#include "base/json.h"

/* dir: holds vocab.txt and what older directories keep beside it; config: tokenizer_config.json (may be absent).
 * *out is malloc'ed, *len bytes. */
int vocabtxt_convert(const char *dir, json config, char **out, size_t *len, pith_err *e);
/* The JSON file dir/name; *doc is NULL if there is no such file. */
int vocabtxt_load(const char *dir, const char *name, json_doc **doc, pith_err *e);

#endif
