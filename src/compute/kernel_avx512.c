/* kernel_avx512: x86-64. */
#include "compute/kernel.h"
#if defined(__x86_64__)
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_avx512;
KERNEL_TABLE(avx512, 1);
#endif
