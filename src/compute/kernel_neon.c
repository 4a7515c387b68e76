/* kernel_neon: arm64. 6 rows x 16 outputs: 24 accumulators, 4 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#define TILE_OWN
#define UNPACK_F16 unpack_f16
enum { TILE_ROWS = 6, TILE_COLS = 16 };

static inline void unpack_f16(const uint32_t *w, float *out)
{
    for (int j = 0; j < 16; j += 4) {
        uint32x4_t v = vld1q_u32(w + j);
        vst1q_f32(out + j, vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(v))));
        vst1q_f32(out + j + 16, vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(v, 16))));
    }
}
#include "compute/kernel_portable.inc"

#define V float32x4_t
enum { V_LANES = 4 };
#define V_ZERO vdupq_n_f32(0)
#define V_LOAD(p) vld1q_f32(p)
#define V_STORE(p, v) vst1q_f32(p, v)
#define V_ADD(a, b) vaddq_f32(a, b)
#define V_FMA(x, w, acc) vfmaq_f32(acc, x, w)
#define V_BROADCAST(p) vld1q_dup_f32(p)
#include "compute/kernel_tile.inc"

extern const kernel_set kernel_neon;
KERNEL_TABLE(neon, 1);
#endif
