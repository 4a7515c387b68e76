#include "compute/rope.h"
#include "base/fixed.h"
#include <math.h>

static const double PI = 3.14159265358979323846;

/* ---- frequencies ---- */

static double frequency(double theta, size_t i, size_t dim)
{
    return 1.0 / (double)(float)fixed_pow(theta, (double)(2 * i) / (double)dim);
}

/* Grattafiori et al. 2024 (Llama 3.1): long waves are slowed by factor, short ones kept, between them a blend. */
static double llama3(const rope_config *c, double f)
{
    double wave = 2 * PI / f, original = c->original_max_positions;
    if (wave < original / c->high_freq_factor) return f;
    if (wave > original / c->low_freq_factor) return f / c->factor;
    double smooth = (original / wave - c->low_freq_factor) / (c->high_freq_factor - c->low_freq_factor);
    return (1 - smooth) * f / c->factor + smooth * f;
}

/* Peng et al. 2023 (YaRN): the dimension whose wave turns `rotations` times over the original context. */
static double correction_dim(const rope_config *c, double rotations)
{
    return (double)c->dim * fixed_log(c->original_max_positions / (rotations * 2 * PI)) / (2 * fixed_log(c->theta));
}

static double yarn(const rope_config *c, size_t i, double f)
{
    double low = correction_dim(c, c->beta_fast), high = correction_dim(c, c->beta_slow), last = (double)c->dim - 1;
    if (c->truncate) low = floor(low), high = ceil(high);
    low = low > 0 ? low : 0;
    high = high < last ? high : last;
    if (low == high) high += 0.001; /* as the reference prevents the division by 0 */
    double ramp = ((double)i - low) / (high - low);
    ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
    return f / c->factor * ramp + f * (1 - ramp);
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
        double f = frequency(theta, i, c->dim);
        if (c->type == ROPE_LINEAR) f /= c->factor;
        if (c->type == ROPE_LLAMA3) f = llama3(c, f);
        if (c->type == ROPE_YARN) f = yarn(c, i, f);
        freq[i] = (float)f;
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
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}
