/* kernel_avx2: x86-64 with AVX2, FMA and F16C. Tile of 6 rows x 16 outputs: 12 accumulators, 2 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define V __m256
#define V_LANES 8
#define V_ZERO _mm256_setzero_ps()
#define V_LOAD(p) _mm256_loadu_ps(p)
#define V_STORE(p, v) _mm256_storeu_ps(p, v)
#define V_ADD(a, b) _mm256_add_ps(a, b)
#define V_FMA(x, w, acc) _mm256_fmadd_ps(x, w, acc)
#define V_BROADCAST(p) _mm256_broadcast_ss(p)
#define V_WORDS(p) _mm256_loadu_si256((const void *)(p))
#define V_BF16_LOW(u) _mm256_castsi256_ps(_mm256_slli_epi32(u, 16))
#define V_BF16_HIGH(u) _mm256_castsi256_ps(_mm256_and_si256(u, _mm256_set1_epi32(-65536)))
#define V_F16_HIGH(u) halves(_mm256_srli_epi32(u, 16))
#define V_F16_LOW(u) halves(_mm256_and_si256(u, _mm256_set1_epi32(0xffff)))
enum { TILE_ROWS = 6, TILE_COLS = 16 };
#define STREAM_ROWS 3
#define STREAM_PANELS(rows) ((rows) == 1 ? 2 : 1)

/* 8 words below 65536, as halves, to floats */
static inline __m256 halves(__m256i u)
{
    return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(u), _mm256_extracti128_si256(u, 1)));
}
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_avx2;
KERNEL_TABLE(avx2, 1);
#endif
