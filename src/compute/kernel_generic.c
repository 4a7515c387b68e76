/* kernel_generic: the portable kernels, compiled for any CPU of the architecture. */
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_generic;
KERNEL_TABLE(generic, 1);
