/* fixed: functions of a double with a fixed order of operations. Plain double arithmetic is the same on every machine,
 * libm is not; what must have the same bits everywhere comes from here. */
#ifndef BASE_FIXED_H
#define BASE_FIXED_H

/* ln x for finite x > 0; error below 1e-15 relative to max(1, |ln x|). */
double fixed_log(double x);
/* e^x for |x| below 700. */
double fixed_exp(double x);
double fixed_pow(double base, double power);
/* sin and cos of x in [0, 2^24). */
void fixed_sincos(double x, double *s, double *c);

#endif
