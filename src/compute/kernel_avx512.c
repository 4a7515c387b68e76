/* kernel_avx512: x86-64 with AVX-512 F, DQ, BW, VL. 14 rows x 32 outputs: 28 accumulators, 2 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__x86_64__)
#include <immintrin.h>
#define TILE_OWN
#define UNPACK_F16 unpack_f16
enum { TILE_ROWS = 14, TILE_COLS = 32 };

static inline void unpack_f16(const uint32_t *w, float *out)
{
    __m512i v = _mm512_loadu_si512(w);
    _mm512_storeu_ps(out, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(v)));
    _mm512_storeu_ps(out + 16, _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(v, 16))));
}
#include "compute/kernel_portable.inc"

#define V __m512
enum { V_LANES = 16 };
#define V_ZERO _mm512_setzero_ps()
#define V_LOAD(p) _mm512_loadu_ps(p)
#define V_STORE(p, v) _mm512_storeu_ps(p, v)
#define V_ADD(a, b) _mm512_add_ps(a, b)
#define V_FMA(x, w, acc) _mm512_fmadd_ps(x, w, acc)
#define V_BROADCAST(p) _mm512_set1_ps(*(p))
#include "compute/kernel_tile.inc"

extern const kernel_set kernel_avx512;
KERNEL_TABLE(avx512, 1);
#endif
