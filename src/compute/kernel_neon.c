/* kernel_neon: arm64. */
#include "compute/kernel_neon.inc"

#if defined(__aarch64__)
extern const kernel_set kernel_neon;
KERNEL_TABLE(neon, 1);
#endif
