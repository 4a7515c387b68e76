/* kernel_avx512: AVX-512 F, DQ, BW, VL. */
#include "compute/kernel_avx512.inc"

#if defined(__x86_64__)
extern const kernel_set kernel_avx512;
KERNEL_TABLE(avx512, 1);
#endif
