#include "base/par.h"
#include <omp.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

int par_cpus(void)
{
    int n = omp_get_max_threads(), p = omp_get_num_procs();
    return n < 1 ? 1 : n < p ? n : p;
}

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

void par_for(int threads, size_t n, par_fn *fn, void *ctx)
{
    if (threads <= 1 || n <= 1) {
        unsigned long mode = par_fp_enter();
        for (size_t i = 0; i < n; i++) fn(ctx, i, 0);
        par_fp_leave(mode);
        return;
    }
    if ((size_t)threads > n) threads = (int)n;
#pragma omp parallel num_threads(threads)
    {
        unsigned long mode = par_fp_enter();
        int tid = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < n; i++) fn(ctx, i, tid);
        par_fp_leave(mode);
    }
}
