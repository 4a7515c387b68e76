/* kernel_avx2: x86-64 with AVX2, FMA and F16C. 6 rows x 16 outputs: 12 accumulators, 2 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define TILE_OWN
enum { TILE_ROWS = 6, TILE_COLS = 16 };
#include "compute/kernel_portable.inc"

#define V __m256
enum { V_LANES = 8 };
#define V_ZERO _mm256_setzero_ps()
#define V_LOAD(p) _mm256_loadu_ps(p)
#define V_STORE(p, v) _mm256_storeu_ps(p, v)
#define V_ADD(a, b) _mm256_add_ps(a, b)
#define V_FMA(x, w, acc) _mm256_fmadd_ps(x, w, acc)
#define V_BROADCAST(p) _mm256_broadcast_ss(p)
#include "compute/kernel_tile.inc"

extern const kernel_set kernel_avx2;
KERNEL_TABLE(avx2, 1);
#endif
