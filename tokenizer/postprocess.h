/* postprocess: the fourth stage, which puts special tokens around one text or a pair. Supported: TemplateProcessing,
 * BertProcessing, RobertaProcessing, ByteLevel, Sequence, null; all become the same list of parts. */
#ifndef TOKENIZER_POSTPROCESS_H
#define TOKENIZER_POSTPROCESS_H
#include "base/json.h"
#include "tokenizer/encoding.h"
#include <stdbool.h>

typedef enum postprocess_kind { POSTPROCESS_FIRST, POSTPROCESS_SECOND, POSTPROCESS_ID } postprocess_kind;
typedef struct postprocess_part {
    postprocess_kind kind;
    uint8_t type_id;
    int32_t id; /* POSTPROCESS_ID */
} postprocess_part;

typedef struct postprocess_template {
    postprocess_part *part;
    size_t n, n_special;
} postprocess_template;

typedef struct postprocessor {
    postprocess_template single, pair;
    bool trim;        /* spans leave out the spaces of their pieces; the caller's work */
    bool trim_prefix; /* but not the space that the pre-tokenizer put before the text */
} postprocessor;

/* v: the value of "post_processor". */
int postprocess_open(postprocessor *p, json v, pith_err *e);
void postprocess_free(postprocessor *p);
/* out: tokens [a0,a1) of a and, unless b is NULL, [b0,b1) of b, in the template's order with its type ids and, if
 * `special`, its special tokens. out is neither a nor b. */
int postprocess_run(const postprocessor *p, bool special, const tokenizer_encoding *a, size_t a0, size_t a1,
                      const tokenizer_encoding *b, size_t b0, size_t b1, tokenizer_encoding *out, pith_err *e);

#endif
