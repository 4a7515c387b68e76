/* recording: the file that says what a model computed for some prompts ("kind": "pith-recording"). Only the format:
 * reading, writing, checking. Programs beside pith write it too, so everything in it may be wrong or missing. */
#ifndef CLI_RECORDING_H
#define CLI_RECORDING_H
#include "pith.h"
#include <stdio.h>

#define RECORDING_KIND "pith-recording"

/* One prompt and what came of it. Numbers are the logits of a classifier, those of the last position of a causal model,
 * or the final hidden state of the first token where a model has neither. */
typedef struct recorded {
    const char *prompt;  /* NULL: token ids only */
    const int32_t *ids;  /* [n_ids] as the model saw them */
    size_t n_ids;
    const char *numbers; /* "logits" or "hidden" */
    const float *value;  /* [n] */
    const int32_t *id;   /* [n] whose number value[i] is, the highest first; NULL: value[i] is number i, and it is all */
    size_t n;
    int has_hash;        /* of all numbers at all positions, as `pith logits --hash` prints it */
    uint64_t hash;
    const char *label;   /* NULL: none */
    const int32_t *new_ids; /* [n_new] greedy continuation; n_new 0: none */
    size_t n_new;
    const char *text;    /* of the continuation, for people; NULL: none */
} recorded;

typedef struct recording recording;

/* NULL in *out: the file's "kind" is another, it is not looked into. -1: unreadable, not JSON, or a recording that breaks
 * a rule of the format (with the key). */
int recording_load(const char *path, recording **out, pith_err *e);
void recording_free(recording *r);
const char *recording_path(const recording *r);
const char *recording_by(const recording *r); /* what wrote it, "pith 0.1.0"; "" if it does not say */
int recording_by_pith(const recording *r);
size_t recording_count(const recording *r);
const recorded *recording_at(const recording *r, size_t i);

/* Writing: begin, each prompt, end. Every number reads back as the same float. */
void recording_begin(FILE *f, const char *model_type);
void recording_put(FILE *f, const recorded *x, int first);
void recording_end(FILE *f);

#endif
