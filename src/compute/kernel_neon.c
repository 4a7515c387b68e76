/* kernel_neon: arm64. Tile of 6 rows x 16 outputs: 24 accumulators, 4 of W, 1 of X. */
#include "compute/kernel.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#define V float32x4_t
#define V_LANES 4
#define V_ZERO vdupq_n_f32(0)
#define V_LOAD(p) vld1q_f32(p)
#define V_STORE(p, v) vst1q_f32(p, v)
#define V_ADD(a, b) vaddq_f32(a, b)
#define V_FMA(x, w, acc) vfmaq_f32(acc, x, w)
#define V_BROADCAST(p) vld1q_dup_f32(p)
#define V_WORDS(p) vld1q_u32(p)
#define V_BF16_LOW(u) vreinterpretq_f32_u32(vshlq_n_u32(u, 16))
#define V_BF16_HIGH(u) vreinterpretq_f32_u32(vandq_u32(u, vdupq_n_u32(0xffff0000u)))
#define V_F16_LOW(u) vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(u)))
#define V_F16_HIGH(u) vcvt_f32_f16(vreinterpret_f16_u16(vshrn_n_u32(u, 16)))
enum { TILE_ROWS = 6, TILE_COLS = 16 };
#define STREAM_ROWS 3
#define STREAM_PANELS(rows) ((rows) == 1 ? 2 : 1)
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_neon;
KERNEL_TABLE(neon, 1);
#endif
