/* bench: what the kernels reach on this machine, beside the FMA peak measured in the same run; Markdown on stdout.
 * It measures internals, so it includes the kernel table; every set that this CPU can run is walked.
 *
 * One core is measured in the thread's processor time, so that other loads on the machine count little; two threads
 * in wall time, beside one thread in wall time. Clocks move (turbo, power limits): every GEMM run has a short sample of
 * the peak right before and after it. "of peak" is best run over best sample; "same clock" is the median of run over
 * its two neighbours. */
#define _POSIX_C_SOURCE 200809L
#include "base/par.h"
#include "compute/kernel.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
} gemm;

static void gemm_part(void *ctx, size_t i, int tid)
{
    (void)tid;
    const gemm *g = ctx;
    kernel_linear a = g->a;
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
            float *x = random_floats(512 * k), *w = random_floats(n * k), *y = memory(512 * n * sizeof *y);
            if (size == 2) /* the upper halves of floats are BF16; packing only moves them */
                for (size_t i = 0; i < n * k; i++) memcpy((char *)w + 2 * i, (char *)(w + i) + 2, 2);
            void *panels = memory(n * k * size);
            kernel_pack(panels, w, types[t].type, n, k, 0, n / KERNEL_PANEL);
            memset(y, 0, 512 * n * sizeof *y);
            const kernel_set *set;
            for (size_t m = 0; m < 3; m++)
                for (size_t i = 0; (set = kernel_at(i)); i++) {
                    gemm g = {.a = {x, k, ms[m], k, n, panels, types[t].type, 0, 0, NULL, y, n, 0}};
                    gemm_row(set, &g, types[t].name);
                }
            free(x), free(w), free(y), free(panels);
        }
}

/* ---- everything that is not GEMM ---- */

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

int main(void)
{
    char name[256], date[32];
    time_t t = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&t));
    cpu_name(name, sizeof name);
    printf("# pith %s kernels on %s (%d processors), %s\n", PITH_VERSION, name, par_cpus(), date);
    unsigned long mode = par_fp_enter();
    gemm_table();
    row_table();
    par_fp_leave(mode);
    return 0;
}
