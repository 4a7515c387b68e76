/* kernel_avx2: x86-64 with AVX2, FMA and F16C. 6 rows x 16 outputs: 12 accumulators, 2 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define TILE_OWN
#define UNPACK_F16 unpack_f16
enum { TILE_ROWS = 6, TILE_COLS = 16 };

/* 16 halves, the low ones of a and b, as floats in order */
static inline void low_halves(__m256i a, __m256i b, float *out)
{
    const __m256i mask = _mm256_set1_epi32(0xffff);
    __m256i h = _mm256_packus_epi32(_mm256_and_si256(a, mask), _mm256_and_si256(b, mask));
    h = _mm256_permute4x64_epi64(h, 0xd8);
    _mm256_storeu_ps(out, _mm256_cvtph_ps(_mm256_castsi256_si128(h)));
    _mm256_storeu_ps(out + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1)));
}
static inline void unpack_f16(const uint32_t *w, float *out)
{
    __m256i a = _mm256_loadu_si256((const void *)w), b = _mm256_loadu_si256((const void *)(w + 8));
    low_halves(a, b, out);
    low_halves(_mm256_srli_epi32(a, 16), _mm256_srli_epi32(b, 16), out + 16);
}
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
