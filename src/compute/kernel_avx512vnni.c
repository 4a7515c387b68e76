/* kernel_avx512vnni: AVX-512 F, DQ, BW, VL and VNNI. */
#define KERNEL_VNNI 1
#include "compute/kernel_avx512.inc"

#if defined(__x86_64__)
extern const kernel_set kernel_avx512vnni;
KERNEL_TABLE(avx512vnni, 1);
#endif
