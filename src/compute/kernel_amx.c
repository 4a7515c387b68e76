/* kernel_amx: avx512vnni, whose products of many rows with 8 and 4 bits go over AMX tiles: 16 rows x 16 outputs x 32 of k in
 * one instruction. Sums of integers are exact in any order, so the bits are the same. */
#define _GNU_SOURCE
#define KERNEL_VNNI 1
#include "compute/kernel_avx512.inc"

#if defined(__x86_64__)
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* The system saves the tiles of a process only once that has asked for it. */
static int amx_open(pith_err *e)
{
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    if (!syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)) return 0;
#endif
    return err_set(e, "kernel set 'amx': the system does not let this process use AMX tiles; use avx512vnni");
}

extern const kernel_set kernel_amx;
KERNEL_TABLE_WITH(amx, 1, amx_open, linear_quant);
#endif
