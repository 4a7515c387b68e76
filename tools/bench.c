/* bench: what the kernels reach on this machine, beside the peaks and the read bandwidth measured in the same run; Markdown on stdout.
 * It measures internals, so it includes the kernel table; every set that this CPU can run is walked.
 *
 * One core is measured in the thread's processor time, so that other loads on the machine count little; two threads
 * in wall time, beside one thread in wall time. Clocks move (turbo, power limits): every GEMM run has a short sample of
 * the peak right before and after it. "of peak" is best run over best sample; "same clock" is the median of run over
 * its two neighbours. */
#define _DEFAULT_SOURCE
#include "base/par.h"
#include "compute/quant.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static double now(void) { return seconds(CLOCK_MONOTONIC); }
static double cpu(void) { return seconds(CLOCK_THREAD_CPUTIME_ID); }

static void *memory(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, 64, (bytes + 63) & ~(size_t)63)) {
        fprintf(stderr, "bench: out of memory: %zu bytes\n", bytes);
        exit(1);
    }
    return p;
}

static float random_float(void) { return (float)(rand() % 20001 - 10000) * 1e-4f; }
static float *random_floats(size_t n)
{
    float *p = memory(n * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = random_float();
    return p;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- the peak: independent chains of FMA on registers alone ---- */

static volatile float sink;
#define PEAK(name, vector, chains, set1, fma, target)                                                                  \
    target static double name(size_t rounds)                                                                           \
    {                                                                                                                  \
        vector c[chains], a = set1(random_float()), b = set1(random_float());                                          \
        for (int i = 0; i < (chains); i++) c[i] = set1(random_float());                                                \
        double t = now();                                                                                              \
        for (size_t r = 0; r < rounds; r++) {                                                                          \
            _Pragma("GCC unroll 32") for (int i = 0; i < (chains); i++) c[i] = fma(c[i], a, b);                        \
        }                                                                                                              \
        t = now() - t;                                                                                                 \
        float out[sizeof c / (sizeof(float))];                                                                           \
        memcpy(out, c, sizeof c);                                                                                      \
        for (size_t i = 0; i < sizeof c / (sizeof(float)); i++) sink = out[i];                                           \
        return 2e-9 * (double)(rounds * (sizeof c / (sizeof(float)))) / t;                                               \
    }

#if defined(__x86_64__)
#include <immintrin.h>
PEAK(peak_avx512, __m512, 24, _mm512_set1_ps, _mm512_fmadd_ps, __attribute__((target("avx512f"))))
PEAK(peak_avx2, __m256, 12, _mm256_set1_ps, _mm256_fmadd_ps, __attribute__((target("avx2,fma"))))
/* GOP/s; gcc keeps the accumulators in registers only around assembler. */
__attribute__((target("avx512f,avx512vnni"))) static double peak_bytes(size_t rounds)
{
    __m512i c[12], a = _mm512_set1_epi8((char)rand()), b = _mm512_set1_epi8((char)rand()), all = a;
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) c[i] = a;
    double t = now();
    for (size_t r = 0; r < rounds; r++) {
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++)
            __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(c[i]) : "v"(a), "v"(b));
    }
    t = now() - t;
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) all = _mm512_add_epi32(all, c[i]);
    sink = (float)_mm512_reduce_add_epi32(all);
    return 1e-9 * (double)rounds * 12 * 128 / t;
}
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NEON_FMA(c, a, b) vfmaq_f32(b, c, a)
PEAK(peak_neon, float32x4_t, 24, vdupq_n_f32, NEON_FMA, )
#endif

typedef double peak_fn(size_t rounds);
/* The peak of the vectors a set uses; of the best set for one that does not say (openblas); NULL without FMA. */
static peak_fn *peak_of(const char *name)
{
#if defined(__x86_64__)
    if (!strncmp(name, "avx512", 6) || !strcmp(name, "amx")) return peak_avx512; /* of floats, all of them the same */
    if (!strcmp(name, "avx2")) return peak_avx2;
#elif defined(__aarch64__)
    return peak_neon;
#endif
    if (!strcmp(name, "generic") || !strcmp(name, kernel_at(0)->name)) return NULL;
    return peak_of(kernel_at(0)->name);
}

/* ---- GEMM ---- */

typedef struct gemm {
    const kernel_set *set;
    kernel_linear a;
    size_t parts;
    float *room; /* of two threads */
} gemm;

static void gemm_part(void *ctx, size_t i, int tid)
{
    const gemm *g = ctx;
    kernel_linear a = g->a;
    a.room = g->room + (size_t)tid * KERNEL_ROOM;
    size_t panels = (a.n + KERNEL_PANEL - 1) / KERNEL_PANEL;
    a.p0 = panels * i / g->parts;
    a.p1 = panels * (i + 1) / g->parts;
    g->set->linear(&a);
}

/* Wall seconds; *core: processor seconds of this thread. */
static double gemm_seconds(gemm *g, int threads, double *core)
{
    g->parts = (size_t)threads;
    double c = cpu(), t = now();
    par_for(threads, g->parts, gemm_part, g);
    t = now() - t;
    c = cpu() - c;
    *core = t < 1.1 * c ? t : c; /* the wall clock is finer, as long as nobody took the core away */
    return t;
}

enum { RUNS_MAX = 41 };

static void gemm_row(const kernel_set *set, gemm *g, const char *type)
{
    static double rate[16]; /* what a set did last: generic without FMA would take the whole time box */
    static const kernel_set *known[16];
    size_t slot = 0, rounds = 5000, runs = 0;
    double flop = 2e-9 * (double)g->a.m * (double)g->a.n * (double)g->a.k, core, budget = now() + 0.35;
    double best = 1e9, wall[2] = {1e9, 1e9}, peak = 0, ratio[RUNS_MAX];
    peak_fn *fma = peak_of(set->name);
    while (slot < 15 && known[slot] && known[slot] != set) slot++;
    if (known[slot] == set && flop / rate[slot] > 0.3) return;
    known[slot] = set;
    g->set = set;
    gemm_seconds(g, 1, &core);
    rate[slot] = flop / core;
    double before = fma ? fma(rounds) : 0;
    while (runs < RUNS_MAX && (runs < 3 || now() < budget)) {
        double t = gemm_seconds(g, 1, &core), after = fma ? fma(rounds) : 0;
        ratio[runs++] = fma ? flop / core / (0.5 * (before + after)) : 0;
        if (core < best) best = core;
        if (t < wall[0]) wall[0] = t;
        if (after > peak) peak = after;
        t = gemm_seconds(g, 2, &core);
        if (t < wall[1]) wall[1] = t;
        before = fma ? fma(rounds) : 0;
        if (before > peak) peak = before;
    }
    qsort(ratio, runs, sizeof *ratio, by_value);
    printf("| %s | %s | %zu | %zu | %zu | %.1f | ", set->name, type, g->a.m, g->a.n, g->a.k, flop / best);
    if (fma)
        printf("%.0f %% of %.0f | %.0f %% | ", 100 * flop / best / peak, peak, 100 * ratio[runs / 2]);
    else
        printf("| | ");
    printf("%.1f | %.2f |\n", flop / wall[1], wall[0] / wall[1]);
    fflush(stdout);
}

static void gemm_table(void)
{
    static const size_t shapes[][2] = {{768, 768}, {3072, 768}, {768, 3072}}, ms[] = {96, 128, 512};
    static const struct {
        dtype type;
        const char *name;
    } types[] = {{DT_F32, "F32"}, {DT_BF16, "BF16"}};
    printf("\n## Linear: Y[m][n] = X[m][k] W[n][k]^T\n\n"
           "| set | weights | m | n | k | GFLOP/s, 1 core | of peak | same clock | 2 threads | ratio |\n"
           "|---|---|---|---|---|---|---|---|---|---|\n");
    for (size_t t = 0; t < 2; t++)
        for (size_t s = 0; s < 3; s++) {
            size_t n = shapes[s][0], k = shapes[s][1], size = types[t].type == DT_F32 ? 4 : 2;
            float *x = random_floats(512 * k), *w = random_floats(n * k), *y = memory(512 * n * sizeof *y), *room = memory(2 * KERNEL_ROOM * sizeof *room);
            if (size == 2) /* the upper halves of floats are BF16; packing only moves them */
                for (size_t i = 0; i < n * k; i++) memcpy((char *)w + 2 * i, (char *)(w + i) + 2, 2);
            void *panels = memory(n * k * size);
            kernel_pack(panels, w, types[t].type, n, k, 0, n / KERNEL_PANEL);
            memset(y, 0, 512 * n * sizeof *y);
            const kernel_set *set;
            for (size_t m = 0; m < 3; m++)
                for (size_t i = 0; (set = kernel_at(i)); i++) {
                    gemm g = {.a = {x, k, ms[m], k, n, panels, types[t].type, 0, 0, NULL, y, n, 0, 0, NULL}, .room = room};
                    gemm_row(set, &g, types[t].name);
                }
            free(x), free(w), free(y), free(panels), free(room);
        }
}

/* ---- products with 8 and 4 bits, and products of one row with any weights ---- */

enum { WIDE_N = 5632, WIDE_K = 2048, WIDE_M = 512 };
static const struct {
    dtype type;
    const char *name;
} packed_types[] = {{DT_BF16, "BF16"}, {DT_Q8, "Q8"}, {DT_Q4, "Q4"}};

/* A matrix [WIDE_N][WIDE_K] as panels of this type. */
static void *packed(const kernel_set *set, dtype type, uint64_t *bytes)
{
    uint64_t shape[2] = {WIDE_N, WIDE_K};
    size_t n = (size_t)WIDE_N * WIDE_K, row, col;
    uint16_t *w = memory(n * sizeof *w);
    for (size_t i = 0; i < n; i++) {
        float f = random_float();
        memcpy(w + i, (char *)&f + 2, 2);
    }
    if (kernel_panel_bytes(WIDE_N, WIDE_K, type, bytes)) exit(1);
    void *panels = memory((size_t)*bytes);
    if (type == DT_BF16) kernel_pack(panels, w, type, WIDE_N, WIDE_K, 0, WIDE_N / KERNEL_PANEL);
    else if (quant_pack(set, panels, (tensor){.data = w, .type = DT_BF16, .shape = shape, .rank = 2, .nbytes = 2 * n}, type, 0, WIDE_N / KERNEL_PANEL, &row, &col)) exit(1);
    free(w);
    return panels;
}

static kernel_rows rows_memory(size_t m)
{
    kernel_rows r = {.groups = WIDE_K / QUANT_GROUP, .rows = kernel_room(m)};
    size_t blocks = kernel_ceil_div(r.groups, QUANT_GROUPS) * r.rows;
    r.q = memory(blocks * QUANT_BLOCK);
    r.scale = memory(blocks * sizeof *r.scale);
    r.sum = memory(blocks * QUANT_GROUPS * sizeof *r.sum);
    return r;
}

static void rows_free(kernel_rows *r) { free(r->q), free(r->scale), free(r->sum); }

/* One core. The byte products' peak is that of vpdpbusd; AMX has more. */
static void quant_table(void)
{
    float *x = random_floats((size_t)WIDE_M * WIDE_K), *y = memory(sizeof *y * WIDE_M * WIDE_N);
    kernel_rows rows = rows_memory(WIDE_M);
    const double gop = 2e-9 * WIDE_M * (double)WIDE_N * WIDE_K;
    const kernel_set *set;
    printf("\n## Linear, weights of 8 and 4 bits: m %d, n %d, k %d, one core\n\n| set | weights | GOP/s | of the vpdpbusd peak |\n|---|---|---|---|\n", WIDE_M, WIDE_N, WIDE_K);
    memset(y, 0, sizeof *y * WIDE_M * WIDE_N);
    for (size_t i = 0; (set = kernel_at(i)); i++)
        for (size_t t = 1; t < 3 && peak_of(set->name); t++) {
            uint64_t bytes;
            void *panels = packed(set, packed_types[t].type, &bytes);
            double best = 1e9, peak = 0;
            set->quantize(x, WIDE_K, WIDE_M, WIDE_K, &rows);
            for (int run = 0; run < 5; run++) {
#if defined(__x86_64__)
                double p = __builtin_cpu_supports("avx512vnni") ? peak_bytes(50000) : 0;
                if (p > peak) peak = p;
#endif
                double c = cpu();
                set->linear_quant(&(kernel_quant){.x = rows, .m = WIDE_M, .n = WIDE_N, .w = panels, .type = packed_types[t].type, .p1 = WIDE_N / KERNEL_PANEL, .y = y, .ldy = WIDE_N});
                c = cpu() - c;
                if (c < best) best = c;
            }
            printf("| %s | %s | %.0f | ", set->name, packed_types[t].name, gop / best);
            if (peak > 0) printf("%.0f %% of %.0f", 100 * gop / best / peak, peak);
            printf(" |\n");
            free(panels);
        }
    rows_free(&rows);
    free(x), free(y);
}

/* Copies of one matrix one after the other, more than a cache holds. */
typedef struct gemv {
    const kernel_set *set;
    const char *memory;
    size_t bytes, copies, streams;
    dtype type;
    const float *x;
    kernel_rows rows;
    float *y;
} gemv;
enum { GEMV_PANELS = 16, GEMV_ITEMS = WIDE_N / KERNEL_PANEL / GEMV_PANELS, GEMV_BYTES = 768 << 20 };

static void gemv_item(void *ctx, size_t i, int tid)
{
    const gemv *g = ctx;
    const void *w = g->memory + i / GEMV_ITEMS * g->bytes;
    size_t p0 = i % GEMV_ITEMS * GEMV_PANELS, p1 = p0 + GEMV_PANELS;
    (void)tid;
    if (g->type == DT_BF16) g->set->linear(&(kernel_linear){.x = g->x, .ldx = WIDE_K, .m = 1, .k = WIDE_K, .n = WIDE_N, .w = w, .type = g->type, .p0 = p0, .p1 = p1, .y = g->y, .ldy = WIDE_N});
    else g->set->linear_quant(&(kernel_quant){.x = g->rows, .m = 1, .n = WIDE_N, .w = w, .type = g->type, .p0 = p0, .p1 = p1, .y = g->y, .ldy = WIDE_N});
}

/* The same bytes, read only. */
static void read_item(void *ctx, size_t i, int tid)
{
    typedef uint64_t wide __attribute__((vector_size(16), aligned(16)));
    const gemv *g = ctx;
    size_t n = g->bytes / GEMV_ITEMS / 1024 * 1024, part = n / g->streams;
    const char *p = g->memory + i / GEMV_ITEMS * g->bytes + i % GEMV_ITEMS * n;
    wide a = {0}, b = {0}, c = {0}, d = {0};
    (void)tid;
    for (size_t at = 0; at < part; at += 64)
        for (size_t s = 0; s < g->streams; s++) {
            const wide *q = (const wide *)(const void *)(p + s * part + at);
            __builtin_prefetch((const char *)q + 2048);
            a ^= q[0], b ^= q[1], c ^= q[2], d ^= q[3];
        }
    a ^= b ^ c ^ d;
    sink = (float)(a[0] ^ a[1]);
}

static double gemv_rate(gemv *g, int threads, par_fn *fn)
{
    double t = now();
    par_for(threads, g->copies * GEMV_ITEMS, fn, g);
    return 1e-9 * (double)(g->bytes * g->copies) / (now() - t);
}

static void gemv_row(gemv *g, const char *name, int threads)
{
    double most = 0, read = 0;
    for (int run = 0; run < 4; run++) {
        double r = gemv_rate(g, threads, gemv_item);
        if (r > most) most = r;
        for (g->streams = 1; g->streams <= 4; g->streams += 3)
            if ((r = gemv_rate(g, threads, read_item)) > read) read = r;
    }
    printf("| %s | %s | %d | %.1f | %.0f %% of %.1f |\n", g->set->name, name, threads, most, 100 * most / read, read);
    fflush(stdout);
}

static void gemv_table(void)
{
    const size_t huge = 2 << 20;
    char *all = aligned_alloc(huge, GEMV_BYTES);
    float *x = random_floats(WIDE_K), *y = memory(sizeof *y * WIDE_N);
    if (!all) exit(1);
#ifdef MADV_HUGEPAGE
    madvise(all, GEMV_BYTES, MADV_HUGEPAGE);
#endif
    printf("\n## One row: k %d, %d MB of weights\n\n| set | weights | threads | GB/s | of the read bandwidth |\n|---|---|---|---|---|\n", WIDE_K, GEMV_BYTES >> 20);
    for (size_t t = 0; t < 3; t++) {
        gemv g = {.memory = all, .type = packed_types[t].type, .x = x, .rows = rows_memory(1), .y = y};
        uint64_t bytes;
        void *panels = packed(kernel_best_exact(), g.type, &bytes);
        g.bytes = (size_t)bytes, g.copies = GEMV_BYTES / (size_t)bytes;
        for (size_t i = 0; i < g.copies; i++) memcpy(all + i * g.bytes, panels, g.bytes);
        free(panels);
        for (size_t i = 0; (g.set = kernel_at(i)); i++) {
            if (!peak_of(g.set->name) || !g.set->exact) continue;
            g.set->quantize(x, WIDE_K, 1, WIDE_K, &g.rows);
            gemv_row(&g, packed_types[t].name, 1);
            if (par_cpus() > 1) gemv_row(&g, packed_types[t].name, par_cpus());
        }
        rows_free(&g.rows);
    }
    free(all), free(x), free(y);
}

/* ---- everything that is not linear ---- */

enum { WIDTH = 768, ROWS = 64 };
typedef struct rows {
    float *x, *y, *gamma, *beta;
} rows;
static void run_exp(const kernel_set *s, const rows *r) { s->vexp(r->y, WIDTH); }
static void run_gelu(const kernel_set *s, const rows *r) { s->gelu(r->y, WIDTH); }
static void run_gelu_tanh(const kernel_set *s, const rows *r) { s->gelu_tanh(r->y, WIDTH); }
static void run_layernorm(const kernel_set *s, const rows *r)
{
    s->layernorm(r->y, r->gamma, r->beta, 1e-5f, r->y, WIDTH);
}
static void run_softmax(const kernel_set *s, const rows *r) { s->softmax(r->y, 0.125f, WIDTH); }

static double seconds_per_row(const kernel_set *set, void (*f)(const kernel_set *, const rows *), rows r)
{
    double best = 1e9;
    float *y = r.y;
    for (double end = now() + 0.05; now() < end;) {
        memcpy(y, r.x, sizeof(float) * WIDTH * ROWS);
        double t = cpu();
        for (size_t i = 0; i < ROWS; i++) {
            r.y = y + i * WIDTH;
            f(set, &r);
        }
        t = (cpu() - t) / ROWS;
        if (t < best) best = t;
    }
    return best;
}

static void row_table(void)
{
    static const struct {
        const char *name;
        void (*run)(const kernel_set *, const rows *);
    } fs[] = {{"exp", run_exp},
              {"gelu", run_gelu},
              {"gelu_tanh", run_gelu_tanh},
              {"layernorm", run_layernorm},
              {"softmax", run_softmax}};
    rows r = {random_floats(WIDTH * ROWS), memory(sizeof(float) * WIDTH * ROWS), random_floats(WIDTH),
              random_floats(WIDTH)};
    printf("\n## Rows of %d floats, one core: ns per element\n\n| set |", WIDTH);
    for (size_t i = 0; i < sizeof fs / sizeof *fs; i++) printf(" %s |", fs[i].name);
    printf("\n|---|---|---|---|---|---|\n");
    const kernel_set *set;
    for (size_t s = 0; (set = kernel_at(s)); s++) {
        printf("| %s |", set->name);
        for (size_t i = 0; i < sizeof fs / sizeof *fs; i++)
            printf(" %.3f |", 1e9 / WIDTH * seconds_per_row(set, fs[i].run, r));
        printf("\n");
    }
    free(r.x), free(r.y), free(r.gamma), free(r.beta);
}

static void cpu_name(char *out, size_t cap)
{
    snprintf(out, cap, "unknown CPU");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            snprintf(out, cap, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"), strchr(line, ':') + 2);
            break;
        }
    if (f) fclose(f);
}

/* With the name of a table: only that. */
int main(int argc, char **argv)
{
    char name[256], date[32];
    time_t t = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&t));
    cpu_name(name, sizeof name);
    printf("# pith %s kernels on %s (%d processors), %s\n", PITH_VERSION, name, par_cpus(), date);
    unsigned long mode = par_fp_enter();
    int all = argc < 2;
    if (all || !strcmp(argv[1], "gemm")) gemm_table();
    if (all || !strcmp(argv[1], "quant")) quant_table();
    if (all || !strcmp(argv[1], "gemv")) gemv_table();
    if (all || !strcmp(argv[1], "rows")) row_table();
    par_fp_leave(mode);
    return 0;
}
