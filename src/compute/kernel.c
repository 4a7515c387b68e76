/* kernel: which kernel sets this CPU can run, how one is chosen, and the packing of weights into panels. */
#include "compute/kernel.h"
#include "base/checked.h"
#include "base/platform.h"
#include "compute/quant.h"
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* xcr0: the register state the operating system saves; 0 where there is no xgetbv. */
static unsigned os_state(void)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    unsigned lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static int cpu_has_avx2(void)
{
    unsigned a, b, c, d;
    if ((os_state() & 0x6) != 0x6 || !__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if ((c & (bit_AVX | bit_FMA | bit_F16C)) != (bit_AVX | bit_FMA | bit_F16C)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

static int cpu_has_avx512(void)
{
    const unsigned need = bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL;
    unsigned a, b, c, d;
    if ((os_state() & 0xe6) != 0xe6 || !cpu_has_avx2()) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & need) == need;
}

static int cpu_has_avx512vnni(void)
{
    unsigned a, b, c, d;
    return cpu_has_avx512() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (c & bit_AVX512VNNI);
}

static int cpu_has_amx(void)
{
    const unsigned tiles = 3u << 17, need = 1u << 24 | 1u << 25; /* AMX-TILE, AMX-INT8 */
    unsigned a, b, c, d;
    return (os_state() & tiles) == tiles && cpu_has_avx512vnni() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & need) == need;
}
#endif

#define KERNEL_SET(name, exact, condition) extern const kernel_set kernel_##name;
#include "compute/kernel_sets.def"
#undef KERNEL_SET

enum {
#define KERNEL_SET(name, exact, condition) SET_##name,
#include "compute/kernel_sets.def"
#undef KERNEL_SET
    SET_COUNT
};

/* Set i of the list if this CPU can run it, else NULL. A set's own `open` is not asked. */
static const kernel_set *usable(size_t i)
{
    switch (i) {
#define KERNEL_SET(name, exact, condition)                                                                             \
    case SET_##name: return (condition) ? &kernel_##name : NULL;
#include "compute/kernel_sets.def"
#undef KERNEL_SET
    default: return NULL;
    }
}

static const char *const set_names[SET_COUNT] = {
#define KERNEL_SET(name, exact, condition) #name,
#include "compute/kernel_sets.def"
#undef KERNEL_SET
};

const kernel_set *kernel_at(size_t i)
{
    for (size_t s = 0; s < SET_COUNT; s++) {
        const kernel_set *k = usable(s);
        if (!k || (k->open && k->open(NULL))) continue;
        if (i == 0) return k;
        i--;
    }
    return NULL;
}

const kernel_set *kernel_best_exact(void)
{
    size_t s = 0;
    const kernel_set *k;
    while (!(k = usable(s)) || !k->exact || (k->open && k->open(NULL))) s++; /* generic ends it */
    return k;
}

/* Lists without opening: naming openblas must not load it. */
static int set_error(const char *name, int known, pith_err *e)
{
    char list[256] = "";
    size_t n = 0;
    for (size_t s = 0; s < SET_COUNT && n < sizeof list; s++)
        if (usable(s)) n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", set_names[s]);
    if (known) return err_set(e, "kernel set '%s': this CPU cannot run it; it can run: %s", name, list);
    return err_set(e, "kernel set '%s' is unknown; this CPU can run: %s", name, list);
}

const kernel_set *kernel_find(const char *name, pith_err *e)
{
    if (!name || !*name) return kernel_at(0);
    for (size_t s = 0; s < SET_COUNT; s++) {
        if (strcmp(set_names[s], name)) continue;
        const kernel_set *k = usable(s);
        if (!k) return set_error(name, 1, e), NULL;
        return k->open && k->open(e) ? NULL : k;
    }
    return set_error(name, 0, e), NULL;
}

int kernel_panel_bytes(uint64_t n, uint64_t k, dtype type, uint64_t *bytes)
{
    uint64_t size = type == DT_F32 ? 4 : 2, panels = checked_pieces(n, KERNEL_PANEL);
    if (type == DT_Q8 || type == DT_Q4)
        return k > SIZE_MAX / QUANT_Q8_GROUP ? -1 : checked_product((const uint64_t[]){panels, quant_panel(type, (size_t)checked_pieces(k, QUANT_GROUP))}, 2, bytes);
    return checked_product((const uint64_t[]){panels, KERNEL_PANEL, k, size}, 4, bytes);
}

/* Elements i0 .. k of one panel from rows of `size`-byte elements, `stride` bytes apart, of any alignment; lanes past
 * `rows` become zero. size is a constant in every copy of this. */
static inline __attribute__((always_inline)) void pack_some(unsigned char *dst, const unsigned char *src, size_t stride, size_t rows,
                                                            size_t i0, size_t k, const size_t size)
{
    for (size_t j = 0; j < KERNEL_PANEL; j++) {
        unsigned char *d = dst + (i0 * KERNEL_PANEL + (size == 4 ? j : kernel_lane16(j))) * size;
        const unsigned char *s = src + j * stride + i0 * size;
        for (size_t i = i0; i < k; i++, d += KERNEL_PANEL * size, s += size) {
            if (j < rows) memcpy(d, s, size);
            else memset(d, 0, size);
        }
    }
}

typedef uint32_t quad __attribute__((vector_size(16)));
typedef uint16_t octet __attribute__((vector_size(16)));

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

static inline void turn(quad r[4])
{
    quad a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    quad c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5), r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5), r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

/* Whole panels go a cache line of each row at a time, in blocks of four lanes, so that what is read and written stays in
 * the nearest cache although rows may lie a multiple of 4096 bytes apart. */
enum { PACK_LINE = 64, PACK_AHEAD = 512 };

static void pack_panel16(unsigned char *dst, const unsigned char *src, size_t stride, size_t rows, size_t k)
{
    enum { STEP = PACK_LINE / 2, HALF = KERNEL_PANEL / 2 };
    size_t i = 0;
    for (; rows == KERNEL_PANEL && i + STEP <= k; i += STEP)
        for (size_t j = 0; j < HALF; j += 4) {
            const unsigned char *s = src + j * stride + 2 * i;
            UNROLL for (size_t n = 0; n < 4; n++) {
                __builtin_prefetch((const void *)((uintptr_t)s + n * stride + PACK_AHEAD));
                __builtin_prefetch((const void *)((uintptr_t)s + (n + HALF) * stride + PACK_AHEAD));
            }
            for (size_t q = 0; q < STEP; q += 8) {
                quad first[4], second[4];
                UNROLL for (size_t n = 0; n < 4; n++) {
                    octet a, b;
                    memcpy(&a, s + n * stride + 2 * q, sizeof a);
                    memcpy(&b, s + (n + HALF) * stride + 2 * q, sizeof b);
                    first[n] = (quad)__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
                    second[n] = (quad)__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
                }
                turn(first);
                turn(second);
                unsigned char *d = dst + 2 * KERNEL_PANEL * (i + q) + 4 * j;
                UNROLL for (size_t n = 0; n < 4; n++) {
                    memcpy(d + 2 * KERNEL_PANEL * n, &first[n], sizeof *first);
                    memcpy(d + 2 * KERNEL_PANEL * (n + 4), &second[n], sizeof *second);
                }
            }
        }
    pack_some(dst, src, stride, rows, i, k, 2);
}

static void pack_panel32(unsigned char *dst, const unsigned char *src, size_t stride, size_t rows, size_t k)
{
    enum { STEP = PACK_LINE / 4 };
    size_t i = 0;
    for (; rows == KERNEL_PANEL && i + STEP <= k; i += STEP)
        for (size_t j = 0; j < KERNEL_PANEL; j += 4) {
            const unsigned char *s = src + j * stride + 4 * i;
            UNROLL for (size_t n = 0; n < 4; n++) __builtin_prefetch((const void *)((uintptr_t)s + n * stride + PACK_AHEAD));
            for (size_t q = 0; q < STEP; q += 4) {
                quad four[4];
                UNROLL for (size_t n = 0; n < 4; n++) memcpy(&four[n], s + n * stride + 4 * q, sizeof *four);
                turn(four);
                UNROLL for (size_t n = 0; n < 4; n++) memcpy(dst + 4 * (KERNEL_PANEL * (i + q + n) + j), &four[n], sizeof *four);
            }
        }
    pack_some(dst, src, stride, rows, i, k, 4);
}

static size_t lanes_of(size_t n, size_t p)
{
    return n - p * KERNEL_PANEL < KERNEL_PANEL ? n - p * KERNEL_PANEL : KERNEL_PANEL;
}

void kernel_pack(void *dst, const void *src, dtype type, size_t n, size_t k, size_t p0, size_t p1)
{
    size_t size = type == DT_F32 ? 4 : 2;
    for (size_t p = p0; p < p1 && p * KERNEL_PANEL < n; p++) {
        size_t at = p * KERNEL_PANEL * k * size; /* the same in both */
        (size == 4 ? pack_panel32 : pack_panel16)((unsigned char *)dst + at, (const unsigned char *)src + at, k * size, lanes_of(n, p), k);
    }
}

void kernel_pack_transposed(void *dst, const void *src, dtype type, size_t n, size_t k, size_t p0, size_t p1)
{
    size_t size = type == DT_F32 ? 4 : 2;
    for (size_t p = p0; p < p1 && p * KERNEL_PANEL < n; p++) {
        size_t lanes = lanes_of(n, p);
        for (size_t i = 0; i < k; i++) {
            const unsigned char *s = (const unsigned char *)src + (i * n + p * KERNEL_PANEL) * size;
            unsigned char *d = (unsigned char *)dst + (p * k + i) * KERNEL_PANEL * size;
            memset(d, 0, KERNEL_PANEL * size);
            for (size_t j = 0; j < lanes; j++) memcpy(d + (size == 4 ? j : kernel_lane16(j)) * size, s + j * size, size);
        }
    }
}

void kernel_pack_rows(float *dst, const float *x, size_t ld, size_t n, size_t k, size_t p0, size_t p1)
{
    for (size_t p = p0; p < p1 && p * KERNEL_PANEL < n; p++)
        pack_panel32((unsigned char *)(dst + p * KERNEL_PANEL * k), (const unsigned char *)(x + p * KERNEL_PANEL * ld), 4 * ld, lanes_of(n, p), k);
}

void kernel_pack_cols(float *dst, const float *x, size_t ld, size_t n, size_t k)
{
    for (size_t p = 0; p * KERNEL_PANEL < n; p++) {
        size_t lanes = lanes_of(n, p);
        for (size_t i = 0; i < k; i++, dst += KERNEL_PANEL) {
            memcpy(dst, x + i * ld + p * KERNEL_PANEL, lanes * sizeof *dst);
            memset(dst + lanes, 0, (KERNEL_PANEL - lanes) * sizeof *dst);
        }
    }
}
