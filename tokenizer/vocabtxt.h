/* vocabtxt: a directory with vocab.txt and no tokenizer.json. Writes the tokenizer.json that transformers' conversion
 * of BertTokenizer would give, so that there is one way to build a tokenizer. */
#ifndef TOKENIZER_VOCABTXT_H
#define TOKENIZER_VOCABTXT_H
#include "base/json.h"
#include <stdbool.h>
#include <stdio.h>

/* dir: holds vocab.txt and what older directories keep beside it; config: tokenizer_config.json (may be absent).
 * *out is allocated, *len bytes. */
int vocabtxt_convert(const char *dir, json config, char **out, size_t *len, pith_err *e);
/* The JSON file dir/name; *doc is NULL if there is no such file. */
int vocabtxt_load(const char *dir, const char *name, json_doc **doc, pith_err *e);

/* A whole file, allocated; for other directories without tokenizer.json (spm.c, vocabjson.c) too. */
char *vocabtxt_read(const char *dir, const char *name, size_t *len, pith_err *e);
/* "content" of a token that is a string or an object; the default if it is not there; NULL if it is null. */
int vocabtxt_content(json v, const char *def, const char **out, pith_err *e);
/* Write one of added_tokens (v: the object with its flags, or a string or nothing: not normalised), and those of
 * added_tokens_decoder, an object of "id": token, by ascending id. *any: one was written before. */
int vocabtxt_put_added(FILE *f, bool *any, json v, const char *content, bool special, pith_err *e);
int vocabtxt_put_decoder(FILE *f, bool *any, json decoder, pith_err *e);

#endif
