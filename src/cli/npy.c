#include "cli/npy.h"
#include <stdint.h>
#include <string.h>

/* Magic, version, length of a header that is padded to a multiple of 64 bytes and ends in a newline. */
void npy_head(FILE *f, const size_t *shape, size_t rank)
{
    enum { HEAD = 128, PADDED = HEAD - 10 };
    char h[PADDED + 1];
    if (rank == 1) snprintf(h, sizeof h, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu,), }", shape[0]);
    else snprintf(h, sizeof h, "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", shape[0], shape[1]);
    fwrite("\x93NUMPY\x01\x00", 1, 8, f);
    putc(PADDED, f);
    putc(0, f);
    fprintf(f, "%-*s\n", PADDED - 1, h);
}

void npy_put(FILE *f, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &x[i], 4);
        const unsigned char b[4] = {(unsigned char)u, (unsigned char)(u >> 8), (unsigned char)(u >> 16), (unsigned char)(u >> 24)};
        fwrite(b, 1, 4, f);
    }
}
