/* par_fp: the floating-point mode of the bits contract. */
#include "base/par.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#if defined(__x86_64__)
/* 0x1f80: all exceptions masked, round to nearest, FTZ and DAZ off. */
unsigned long par_fp_enter(void)
{
    unsigned old = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return old;
}
void par_fp_leave(unsigned long mode) { _mm_setcsr((unsigned)mode); }
#elif defined(__aarch64__)
unsigned long par_fp_enter(void)
{
    unsigned long old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" : : "r"(0UL));
    return old;
}
void par_fp_leave(unsigned long mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#include <fenv.h>
unsigned long par_fp_enter(void)
{
    int old = fegetround();
    fesetround(FE_TONEAREST);
    return (unsigned long)old;
}
void par_fp_leave(unsigned long mode) { fesetround((int)mode); }
#endif
