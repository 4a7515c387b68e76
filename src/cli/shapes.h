/* shapes: models of known sizes with random weights, so that speed can be measured without a download. */
#ifndef CLI_SHAPES_H
#define CLI_SHAPES_H
#include "pith.h"

#define SHAPES "distilbert-base|smollm2-135m|tinyllama-1.1b|llama-3.2-1b"

/* Writes config.json and model.safetensors of shape number `shape` of SHAPES into dir, which exists; wide: F32 instead of
 * BF16 (DistilBERT is always F32). The same bytes every time. */
int shapes_write(int shape, int wide, const char *dir, pith_err *e);

#endif
