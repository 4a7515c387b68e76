/* convert_files: what lies beside the weights in a model directory. Owns the rules for what `pith convert` takes along
 * and for which directories it may replace; reads no weights. */
#ifndef CLI_CONVERT_FILES_H
#define CLI_CONVERT_FILES_H
#include "pith.h"

typedef struct convert_files {
    char **names; /* [n] relative, sorted: "tokenizer.json", "1_Pooling/config.json" */
    size_t n;
    char **left;  /* [n_left] folders and odd things that are not taken along */
    size_t n_left;
} convert_files;

/* Every file of dir but hidden ones and weights (of any framework), and all files of the folders that parts of a
 * sentence-transformers model lie in ("1_Pooling") and of additional_chat_templates. A link to a file counts as the file
 * if that lies in dir too, or in the Hugging Face cache that dir is a snapshot of; any other link is an error. */
int convert_files_list(convert_files *f, const char *dir, pith_err *e);
void convert_files_free(convert_files *f);
/* Copies names[i] of `from` to `to`, on disk for good; makes its folder. */
int convert_files_copy(const convert_files *f, size_t i, const char *from, const char *to, pith_err *e);
/* A new file of these bytes, on disk for good. */
int convert_files_put(const char *dir, const char *name, const char *data, size_t len, pith_err *e);
/* May --force replace dir? Only if it holds config.json or weights, and nothing but what model directories hold or what
 * `coming` brings again. */
int convert_files_replaceable(const char *dir, const convert_files *coming, pith_err *e);
/* fsync of a directory. */
int convert_files_sync(const char *dir, pith_err *e);

#endif
