#include "compute/rope.h"
#include <math.h>

/* ---- functions with a fixed order of operations; plain double arithmetic is the same everywhere, libm is not ---- */

static const double PI = 3.14159265358979323846, LN2 = 0.693147180559945309417;

/* ln x for x > 0: x = m 2^e with m in [sqrt(1/2), sqrt 2); ln m = 2 artanh((m-1)/(m+1)). Error below 1e-15. */
static double fixed_log(double x)
{
    int e;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752440) {
        m *= 2;
        e--;
    }
    double t = (m - 1) / (m + 1), s = t * t, sum = 0;
    for (int k = 29; k >= 1; k -= 2) sum = sum * s + 1.0 / k;
    return 2 * t * sum + e * LN2;
}

/* e^x: x = n ln 2 + r, Taylor in r. */
static double fixed_exp(double x)
{
    double n = floor(x / LN2 + 0.5), r = x - n * LN2, sum = 1;
    for (int k = 18; k >= 1; k--) sum = 1 + r / k * sum;
    return ldexp(sum, (int)n);
}

static double fixed_pow(double base, double power) { return fixed_exp(power * fixed_log(base)); }

/* sin and cos of x in [0, 2^24): reduced by multiples of pi/2 in three parts (Cody and Waite), then Taylor. */
static void fixed_sincos(double x, double *s, double *c)
{
    static const double P1 = 0x1.921fb544p+0, P2 = 0x1.0b4611a6p-34, P3 = 0x1.3198a2e037073p-69;
    double n = floor(x * (2 / PI) + 0.5), r = ((x - n * P1) - n * P2) - n * P3, q = r * r, sn = 0, cs = 0;
    for (int k = 21; k >= 3; k -= 2) sn = (1 + sn) * -q / (double)(k * (k - 1));
    for (int k = 22; k >= 2; k -= 2) cs = (1 + cs) * -q / (double)(k * (k - 1));
    double sine = r + r * sn, cosine = 1 + cs;
    switch ((long long)n & 3) {
    case 0: *s = sine, *c = cosine; break;
    case 1: *s = cosine, *c = -sine; break;
    case 2: *s = -sine, *c = -cosine; break;
    default: *s = -cosine, *c = sine; break;
    }
}

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
