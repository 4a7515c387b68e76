/* kernel_avx512: x86-64 with AVX-512 F, DQ, BW, VL. Tile of 14 rows x 32 outputs: 28 accumulators, 2 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define V __m512
#define V_LANES 16
#define V_ZERO _mm512_setzero_ps()
#define V_LOAD(p) _mm512_loadu_ps(p)
#define V_STORE(p, v) _mm512_storeu_ps(p, v)
#define V_ADD(a, b) _mm512_add_ps(a, b)
#define V_FMA(x, w, acc) _mm512_fmadd_ps(x, w, acc)
#define V_BROADCAST(p) _mm512_set1_ps(*(p))
#define V_WORDS(p) _mm512_loadu_si512(p)
#define V_BF16_LOW(u) _mm512_castsi512_ps(_mm512_slli_epi32(u, 16))
#define V_BF16_HIGH(u) _mm512_castsi512_ps(_mm512_and_si512(u, _mm512_set1_epi32(-65536)))
#define V_F16_LOW(u) _mm512_cvtph_ps(_mm512_cvtepi32_epi16(u))
#define V_F16_HIGH(u) V_F16_LOW(_mm512_srli_epi32(u, 16))
enum { TILE_ROWS = 14, TILE_COLS = 32 };
#define STREAM_ROWS 8
#define STREAM_PANELS(rows) ((rows) < 4 ? 4 : (rows) < 5 ? 3 : (rows) < 8 ? 2 : 1)
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_avx512;
KERNEL_TABLE(avx512, 1);
#endif
