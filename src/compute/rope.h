/* rope: rotary position embeddings (Su et al. 2021) and their published scalings. Angles are
 * computed in double with our own functions in a fixed order, so that every machine has the same bits. */
#ifndef COMPUTE_ROPE_H
#define COMPUTE_ROPE_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

typedef enum rope_type { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN } rope_type;

typedef struct rope_config {
    rope_type type;
    size_t dim;           /* of a head; even */
    size_t max_positions; /* max_position_embeddings */
    double theta, factor;
    double original_max_positions;              /* llama3, yarn */
    double low_freq_factor, high_freq_factor;   /* llama3 */
    double beta_fast, beta_slow;                /* yarn */
    double attention_factor;                    /* yarn: 0: 0.1 ln(factor) + 1 */
    double mscale, mscale_all_dim;              /* yarn: 0: unset */
    int truncate;                               /* yarn: round the correction range to whole dimensions */
} rope_config;

/* Frequencies of rotation a position, [dim/2]; *scale: yarn's attention factor, else 1. length: tokens that will be seen
 * at most. Only the dynamic type looks at it, and only past max_positions: transformers stretches the base by the length
 * seen so far, so that what it answers depends on how a text was cut; here a sequence keeps the frequencies of the length
 * that its cache was opened for, which are transformers' for one forward over that many tokens. */
void rope_frequencies(const rope_config *c, size_t length, float *freq, float *scale);
/* cos and sin [half] of the angles at a position, times scale. */
void rope_angles(const float *freq, size_t half, float scale, size_t position, float *cosine, float *sine);
/* Rotates one head x [2 * half] in place: (x[i], x[i + half]) by angle i. */
void rope_rotate(const float *cosine, const float *sine, size_t half, float *x);

#endif
