/* Each figure is the best of many short samples: what else runs on the machine only ever makes a sample slower. */
#define _GNU_SOURCE
#include "cli/limits.h"
#include "base/clock.h"
#include "base/par.h"
#include "base/platform.h"
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { STREAMS_MAX = 4 };
typedef struct walk {
    const char *name;
    size_t streams, ahead; /* places that are read in turn; bytes prefetched before they are read */
} walk;
static const walk walks[] = {
    {"1 stream", 1, 0},         {"1 stream, 1 KiB ahead", 1, 1024}, {"1 stream, 4 KiB ahead", 1, 4096},
    {"4 streams", 4, 0},        {"4 streams, 1 KiB ahead", 4, 1024}, {"4 streams, 2 KiB ahead", 4, 2048},
    {"4 streams, 4 KiB ahead", 4, 4096},
};

typedef uint64_t wide __attribute__((vector_size(64), aligned(64)));
static _Atomic uint64_t sink; /* of every thread */

/* Reads n bytes, a multiple of 1 KiB; compiled for each width of vectors. */
#define READ(name, target)                                                                                             \
    target static void name(const char *p, size_t n, const walk *w)                                                    \
    {                                                                                                                  \
        wide a = {0}, b = {0}, c = {0}, d = {0};                                                                       \
        size_t part = n / w->streams;                                                                                  \
        for (size_t at = 0; at < part; at += 256)                                                                      \
            for (size_t s = 0; s < w->streams; s++) {                                                                  \
                const wide *q = (const wide *)(const void *)(p + s * part + at);                                       \
                for (size_t i = 0; w->ahead && i < 256; i += 64)                                                       \
                    __builtin_prefetch((const void *)((uintptr_t)q + w->ahead + i));                                   \
                a ^= q[0], b ^= q[1], c ^= q[2], d ^= q[3];                                                            \
            }                                                                                                          \
        a ^= b ^ c ^ d;                                                                                                \
        sink = a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] ^ a[5] ^ a[6] ^ a[7];                                                  \
    }

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif
#if defined(__x86_64__)
#define SCRATCH "xmm15"
#else
#define SCRATCH "memory"
#endif

/* `chains` independent accumulators in registers, one instruction on each in turn; written out, so that no compiler
 * makes fewer or others of them. */
#define PEAK(name, width, chains, instruction, v, target)                                                              \
    target static void name(size_t rounds)                                                                             \
    {                                                                                                                  \
        typedef float vector __attribute__((vector_size(width)));                                                      \
        vector acc[chains], a = {0}, b = {0}, all = {0};                                                               \
        UNROLL for (int i = 0; i < (chains); i++) acc[i] = a;                                                          \
        __asm__ volatile("" : "+" v(a), "+" v(b));                                                                     \
        for (size_t r = 0; r < rounds; r++) {                                                                          \
            UNROLL for (int i = 0; i < (chains); i++)                                                \
                __asm__ volatile(instruction : "+" v(acc[i]) : v(a), v(b) : SCRATCH);                                  \
        }                                                                                                              \
        UNROLL for (int i = 0; i < (chains); i++) all += acc[i];                                     \
        sink = (uint64_t)all[0];                                                                                       \
    }

typedef void read_fn(const char *p, size_t n, const walk *w);
typedef void peak_fn(size_t rounds);
typedef struct machine {
    const char *vectors, *dot;
    read_fn *read;
    peak_fn *fma, *int8;
    double flop, ops; /* of one round */
    peak_fn *tiles;   /* AMX */
} machine;

READ(read_plain, )
#if defined(__x86_64__)
#define TARGET(t) __attribute__((target(t)))
READ(read_avx2, TARGET("avx2"))
READ(read_avx512, TARGET("avx512f"))
PEAK(fma_avx512, 64, 12, "vfmadd231ps %2, %1, %0", "v", TARGET("avx512f"))
PEAK(fma_avx2, 32, 12, "vfmadd231ps %2, %1, %0", "x", TARGET("avx2,fma"))
PEAK(int8_avx512, 64, 12, "vpdpbusd %2, %1, %0", "v", TARGET("avx512f,avx512vnni"))
PEAK(int8_avx2, 32, 12, "vpmaddubsw %2, %1, %%ymm15\n\tvpmaddwd %2, %%ymm15, %%ymm15\n\tvpaddd %%ymm15, %0, %0", "x", TARGET("avx2"))

/* Products of 16 x 16 x 64 into four tiles in turn. */
static void int8_tiles(size_t rounds)
{
    static const struct {
        uint8_t palette, start, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } c = {.palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16}};
    __asm__ volatile("ldtilecfg %0" : : "m"(c));
    for (size_t r = 0; r < rounds; r++)
        __asm__ volatile("tdpbssd %tmm5, %tmm4, %tmm0\n\ttdpbssd %tmm5, %tmm4, %tmm1\n\t"
                         "tdpbssd %tmm5, %tmm4, %tmm2\n\ttdpbssd %tmm5, %tmm4, %tmm3");
    __asm__ volatile("tilerelease");
}

/* The system is asked for the state of tiles, which it refuses where there are none. */
static peak_fn *find_tiles(void)
{
    enum { AMX_TILE_AND_INT8 = 3 << 24 };
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & AMX_TILE_AND_INT8) != AMX_TILE_AND_INT8) return NULL;
    return platform_amx() ? NULL : int8_tiles;
}
enum { TILES_OPS = 4 * 2 * 16 * 16 * 64 };

static machine find(void)
{
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni"))
        return (machine){"avx512", "vpdpbusd", read_avx512, fma_avx512, int8_avx512, 12 * 32, 12 * 128, find_tiles()};
    if (__builtin_cpu_supports("avx512f"))
        return (machine){"avx512", "vpmaddubsw", read_avx512, fma_avx512, int8_avx2, 12 * 32, 12 * 64, NULL};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (machine){"avx2", "vpmaddubsw", read_avx2, fma_avx2, int8_avx2, 12 * 16, 12 * 64, NULL};
    return (machine){"plain", "", read_plain, NULL, NULL, 0, 0, NULL};
}
#elif defined(__aarch64__)
enum { TILES_OPS = 0 };
PEAK(fma_neon, 16, 16, "fmla %0.4s, %1.4s, %2.4s", "w", )
static machine find(void) { return (machine){"neon", "", read_plain, fma_neon, NULL, 16 * 8, 0, NULL}; }
#else
enum { TILES_OPS = 0 };
static machine find(void) { return (machine){"plain", "", read_plain, NULL, NULL, 0, 0, NULL}; }
#endif

typedef struct sample {
    machine m;
    const walk *walk;
    char *memory;
    size_t bytes, rounds; /* of one thread */
    int brief;
    peak_fn *peak;
} sample;

static void read_part(void *ctx, size_t i, int tid)
{
    const sample *s = ctx;
    (void)tid;
    s->m.read(s->memory + i * s->bytes, s->bytes, s->walk);
}

static void peak_part(void *ctx, size_t i, int tid)
{
    const sample *s = ctx;
    (void)tid, (void)i;
    s->peak(s->rounds);
}

/* Seconds of the fastest of `times`. */
static double best(int threads, int times, par_fn *part, sample *s)
{
    double least = 1e9;
    for (int i = 0; i < times; i++) {
        double t = clock_now();
        par_for(threads, (size_t)threads, part, s);
        t = clock_now() - t;
        if (t < least) least = t;
    }
    return least;
}

enum { PIECE = 16 << 20, BUFFER = 1 << 30, HUGE = 2 << 20 };

/* Reads a buffer that no cache holds, piece by piece, each way in turn: a piece is cold when its turn comes again. */
static void measure_read(sample *s, limits *out)
{
    size_t all = (size_t)BUFFER / (s->brief ? 4 : 1), piece = (size_t)PIECE * (size_t)out->threads;
    char *raw = MAP_FAILED;
    for (; all >= 4 * piece && raw == MAP_FAILED; all /= raw == MAP_FAILED ? 2 : 1)
        raw = mmap(NULL, all + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED) return;
    char *memory = raw + (HUGE - (uintptr_t)raw % HUGE) % HUGE;
    platform_huge(memory, all);
    memset(memory, 1, all);
    s->bytes = PIECE;
    for (size_t i = 0; i < sizeof walks / sizeof walks[0]; i++)
        for (size_t at = 0; at + piece + 8192 <= all; at += piece) {
            s->walk = &walks[i];
            s->memory = memory + at;
            double rate = 1e-9 * (double)piece / best(out->threads, 1, read_part, s);
            if (rate > out->read) out->read = rate, out->walk = walks[i].name;
        }
    munmap(raw, all + HUGE);
}

static double measure_peak(sample *s, peak_fn *peak, double work, int threads)
{
    if (!peak) return 0;
    s->peak = peak;
    s->rounds = 200000;
    return 1e-9 * work * (double)s->rounds * threads / best(threads, s->brief ? 10 : 100, peak_part, s);
}

limits limits_measure(int threads, int brief)
{
    sample s = {.m = find(), .brief = brief};
    limits out = {.threads = threads, .vectors = s.m.vectors, .dot = s.m.dot, .vector_dot = s.m.dot, .walk = ""};
    measure_read(&s, &out);
    out.fma = measure_peak(&s, s.m.fma, s.m.flop, threads);
    out.vector_int8 = out.int8 = measure_peak(&s, s.m.int8, s.m.ops, threads);
    if (s.m.tiles) out.int8 = measure_peak(&s, s.m.tiles, TILES_OPS, threads), out.dot = "tdpbssd";
    return out;
}
