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
#define I int32x4_t
#define I_BYTES(p) vreinterpretq_s32_u8(vld1q_u8((const void *)(p)))
#define I_STORE(p, i) vst1q_u8((void *)(p), vreinterpretq_u8_s32(i))
#define I_FOUR(p) vreinterpretq_s32_u8(vcombine_u8(four_bytes(p), four_bytes(p)))
#define I_FLOAT(i) vcvtq_f32_s32(i)
#define I_LOW(b) vandq_s32(b, vdupq_n_s32(0x0f0f0f0f))
#define I_HIGH(b) I_LOW(vshrq_n_s32(b, 4))
#define V_MUL(a, b) vmulq_f32(a, b)
#define V_HALVES(p) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const void *)(p))))
#define QUANT_ROWS 2
#define QUANT_FEW 2
#define QUANT_STREAMS(rows) ((rows) == 1 ? 2 : 1)
#define CODE_OFFSET 0
#define DOT(acc, w, x) dot(acc, w, x)

static inline uint8x8_t four_bytes(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, sizeof v);
    return vreinterpret_u8_u32(vdup_n_u32(v));
}
static inline int32x4_t dot(int32x4_t acc, int32x4_t w, int32x4_t x)
{
    int8x16_t a = vreinterpretq_s8_s32(w), b = vreinterpretq_s8_s32(x);
    int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b))), high = vpaddlq_s16(vmull_high_s8(a, b));
    return vaddq_s32(acc, vpaddq_s32(low, high));
}
#include "compute/kernel_portable.inc"

extern const kernel_set kernel_neon;
KERNEL_TABLE(neon, 1);
#endif
