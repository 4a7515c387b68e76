/* kernel_neoni8mm: arm64 with the dot products and the products of matrices of bytes of ARMv8.6 (sdot, smmla). */
#define KERNEL_DOT 1
#define KERNEL_I8MM 1
#include "compute/kernel_neon.inc"

#if defined(__aarch64__)
extern const kernel_set kernel_neoni8mm;
KERNEL_TABLE(neoni8mm, 1);
#endif
