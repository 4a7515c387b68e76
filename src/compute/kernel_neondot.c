/* kernel_neondot: arm64 with the dot products of bytes of ARMv8.2 (sdot). */
#define KERNEL_DOT 1
#include "compute/kernel_neon.inc"

#if defined(__aarch64__)
extern const kernel_set kernel_neondot;
KERNEL_TABLE(neondot, 1);
#endif
