/* convert_config: what `pith convert` reads in and changes of config.json. The text is edited in place: all that is not
 * changed stays byte for byte. */
#ifndef CLI_CONVERT_CONFIG_H
#define CLI_CONVERT_CONFIG_H
#include "pith.h"

typedef struct convert_config {
    char *path, *text; /* text NULL: there is no config.json */
    size_t len;
    int changed;
} convert_config;

int convert_config_read(convert_config *c, const char *dir, pith_err *e);
/* Does it say "tie_word_embeddings": false? 1, 0, or -1 where it is no JSON. */
int convert_config_untied(const convert_config *c, pith_err *e);
/* Float types that torch_dtype or dtype name, here and in parts like text_config, become that of safetensors' `dtype`. */
int convert_config_set_dtype(convert_config *c, const char *dtype, pith_err *e);
void convert_config_free(convert_config *c);

#endif
