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
#define I __m256i
#define I_BYTES(p) _mm256_loadu_si256((const void *)(p))
#define I_STORE(p, i) _mm256_storeu_si256((void *)(p), i)
#define I_FOUR(p) _mm256_castps_si256(_mm256_broadcast_ss((const float *)(const void *)(p)))
#define I_FLOAT(i) _mm256_cvtepi32_ps(i)
#define I_LOW(b) _mm256_and_si256(b, _mm256_set1_epi8(15))
#define I_HIGH(b) I_LOW(_mm256_srli_epi16(b, 4))
#define V_MUL(a, b) _mm256_mul_ps(a, b)
#define V_HALVES(p) _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p)))
#define QUANT_ROWS 2
#define QUANT_FEW 2
#define QUANT_STREAMS(rows) ((rows) == 1 ? 2 : 1)
/* |w| times x with w's sign: pairs stay below 2^15, which an offset of 128 would not. */
#define CODE_OFFSET 0
#define PAIRS(u, x) _mm256_madd_epi16(_mm256_maddubs_epi16(u, x), _mm256_set1_epi16(1))
#define DOT(acc, w, x) _mm256_add_epi32(acc, PAIRS(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)))
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_avx2;
KERNEL_TABLE(avx2, 1);
#endif
