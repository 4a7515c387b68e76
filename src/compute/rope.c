#include "compute/rope.h"
#include "base/fixed.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

/* ---- frequencies: the formulas of transformers 4.57, in float where it computes in float ---- */

/* theta^(2i / dim), the inverse of pair i's frequency */
static float slowness(float theta, size_t i, size_t dim)
{
    float power = (float)(2 * i) / (float)dim;
    return (float)fixed_pow((double)theta, (double)power);
}

/* Grattafiori et al. 2024 (Llama 3.1): long waves are slowed by factor, short ones kept, between them a blend. */
static float llama3(const rope_config *c, float f)
{
    double original = c->original_max_positions, low = c->low_freq_factor, high = c->high_freq_factor;
    float wave = (float)(2 * PI) / f, factor = (float)c->factor;
    if (wave < (float)(original / high)) return f;
    if (wave > (float)(original / low)) return f / factor;
    float smooth = ((float)original / wave - (float)low) / (float)(high - low);
    return (1 - smooth) * f / factor + smooth * f;
}

/* Peng et al. 2023 (YaRN): the dimension whose wave turns `rotations` times over the original context. */
static double correction_dim(const rope_config *c, double rotations)
{
    return (double)c->dim * fixed_log(c->original_max_positions / (rotations * 2 * PI)) / (2 * fixed_log(c->theta));
}

static float yarn(const rope_config *c, size_t i, float slow)
{
    double low = correction_dim(c, c->beta_fast), high = correction_dim(c, c->beta_slow), last = (double)c->dim - 1;
    if (c->truncate) low = floor(low), high = ceil(high);
    low = low > 0 ? low : 0;
    high = high < last ? high : last;
    if (!(low < high) && !(low > high)) high += 0.001; /* as the reference prevents the division by 0 */
    float ramp = ((float)i - (float)low) / (float)(high - low);
    float keep = 1 - (ramp < 0 ? 0 : ramp > 1 ? 1 : ramp);
    return 1 / ((float)c->factor * slow) * (1 - keep) + 1 / slow * keep;
}

static double mscale(double factor, double m) { return factor <= 1 ? 1 : 0.1 * m * fixed_log(factor) + 1; }

void rope_frequencies(const rope_config *c, size_t length, float *freq, float *scale)
{
    double theta = c->theta;
    *scale = 1;
    if (c->type == ROPE_DYNAMIC && length > c->max_positions) {
        double stretch = c->factor * (double)length / (double)c->max_positions - (c->factor - 1);
        theta *= fixed_pow(stretch, (double)c->dim / ((double)c->dim - 2));
    }
    if (c->type == ROPE_YARN) {
        double a = c->attention_factor;
        if (a == 0 && c->mscale != 0 && c->mscale_all_dim != 0)
            a = mscale(c->factor, c->mscale) / mscale(c->factor, c->mscale_all_dim);
        *scale = (float)(a != 0 ? a : mscale(c->factor, 1));
    }
    for (size_t i = 0; i < c->dim / 2; i++) {
        float slow = slowness((float)theta, i, c->dim), f = 1 / slow;
        if (c->type == ROPE_LINEAR) f /= (float)c->factor;
        if (c->type == ROPE_LLAMA3) f = llama3(c, f);
        if (c->type == ROPE_YARN) f = yarn(c, i, slow);
        freq[i] = f;
    }
}

void rope_angles(const float *freq, size_t half, float scale, size_t position, float *cosine, float *sine)
{
    for (size_t i = 0; i < half; i++) {
        double s, c;
        fixed_sincos((double)((float)position * freq[i]), &s, &c); /* the angle as float, like transformers */
        cosine[i] = (float)c * scale;
        sine[i] = (float)s * scale;
    }
}

void rope_rotate(const float *cosine, const float *sine, size_t half, float *x)
{
    float *y = x + half;
#pragma omp simd
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = y[i];
        x[i] = a * cosine[i] - b * sine[i];
        y[i] = b * cosine[i] + a * sine[i];
    }
}
