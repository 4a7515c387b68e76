/* kernel_neon: arm64. */
#include "compute/kernel.h"
#if defined(__aarch64__)
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_neon;
KERNEL_TABLE(neon, 1);
#endif
