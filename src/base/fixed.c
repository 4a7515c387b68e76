#include "base/fixed.h"
#include <math.h>

static const double PI = 3.14159265358979323846, LN2 = 0.693147180559945309417;

/* ln x for x > 0: x = m 2^e with m in [sqrt(1/2), sqrt 2); ln m = 2 artanh((m-1)/(m+1)). */
double fixed_log(double x)
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
double fixed_exp(double x)
{
    double n = floor(x / LN2 + 0.5), r = x - n * LN2, sum = 1;
    for (int k = 18; k >= 1; k--) sum = 1 + r / k * sum;
    return ldexp(sum, (int)n);
}

double fixed_pow(double base, double power) { return fixed_exp(power * fixed_log(base)); }

/* sin and cos of x in [0, 2^24): reduced by multiples of pi/2 in three parts (Cody and Waite), then Taylor. */
void fixed_sincos(double x, double *s, double *c)
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
