/* sample: from logits to the next token. The steps, their order and the generator of random numbers are documented at
 * pith_sampling. Sums run in double in order of ids and logarithms are our own, so that the same logits and seed give
 * the same token on every machine. */
#ifndef COMPUTE_SAMPLE_H
#define COMPUTE_SAMPLE_H
#include "compute/kernel.h"

/* Work memory, shared by the sequences of a thread. A zeroed struct is valid and empty. */
typedef struct sample_work {
    float *x, *p;       /* [vocab] scores of the candidates, their exponentials */
    int32_t *id;        /* [vocab] the candidates, ascending */
    struct sample_item *heap; /* [vocab] */
    size_t vocab;
} sample_work;

/* What one sequence carries from token to token. */
typedef struct sample_state {
    pith_sampling o; /* its bias is our own copy */
    uint64_t random[4];
    uint32_t *count; /* [vocab] 1 + times in the answer, 0: not seen at all; NULL: no penalties */
    int32_t *seen;   /* [n_seen] ids whose count is not 0 */
    size_t n_seen, vocab;
} sample_state;

int sample_work_init(sample_work *w, size_t vocab, pith_err *e);
void sample_work_free(sample_work *w);

/* Checks and copies the settings. Errors name the setting, its range and what was found. */
int sample_init(sample_state *s, const pith_sampling *o, size_t vocab, pith_err *e);
void sample_free(sample_state *s);
/* A token of the prompt (answer = 0) or of the answer. */
void sample_see(sample_state *s, int32_t id, int answer);

/* -1: a logit is NaN or +infinity; the message names the first such token. */
int sample_check(const float *logits, size_t vocab, pith_err *e);
/* The next token for logits [vocab], which stay as they are. -1: as sample_check, or no logit is finite. */
int sample_next(sample_state *s, const kernel_set *k, sample_work *w, const float *logits, int32_t *id, pith_err *e);
/* log softmax(logits)[id], and the n_top <= vocab most probable, best first. Logits as sample_check accepts them. */
void sample_logprobs(const kernel_set *k, sample_work *w, const float *logits, int32_t id, float *logprob, pith_logprob *top,
                     size_t n_top);
/* The next number of xoshiro256**, in [0, 1). */
double sample_random(uint64_t random[4]);
void sample_seed(uint64_t random[4], uint64_t seed);

#endif
