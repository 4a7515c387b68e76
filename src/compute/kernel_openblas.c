/* kernel_openblas: linear by the system's OpenBLAS; everything else is the best exact set's. Not exact: its order of
 * summation depends on shape and machine. An independent check of our GEMM, and the default where there is no SIMD
 * set of our own.
 *
 * The library is opened when the set is selected, never before. Debian's OpenBLAS 0.3.21 takes some virtual machines
 * for a Prescott and runs several times too slow; OPENBLAS_CORETYPE, read while it is loaded, corrects that. So this
 * file, alone in the library, writes to the environment: once, only if the user has not set the variable, and only if
 * this set was asked for. */
#define _POSIX_C_SOURCE 200809L
#include "compute/kernel.h"
#include "base/log.h"
#include <assert.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111 };
typedef void sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float *a, int lda,
                      const float *b, int ldb, float beta, float *c, int ldc);

/* Written once, under `once`. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char trouble[512]; /* why it cannot be used; empty: it can */
static const kernel_set *rest;
static sgemm_fn *sgemm;

#ifdef PITH_STATIC
static void load(void) { snprintf(trouble, sizeof trouble, "not in a static build, which loads no libraries"); }
#else
/* dlsym without the conversion of an object pointer to a function pointer that ISO C lacks. */
static int symbol(void *lib, const char *name, void *fn)
{
    void *p = dlsym(lib, name);
    memcpy(fn, &p, sizeof p);
    return p ? 0 : -1;
}

static void load(void)
{
    rest = kernel_best_exact();
    const char *core = !strcmp(rest->name, "avx512") ? "SKYLAKEX" : !strcmp(rest->name, "avx2") ? "HASWELL" : NULL;
    if (core && !getenv("OPENBLAS_CORETYPE") && !setenv("OPENBLAS_CORETYPE", core, 0))
        log_tell(PITH_LOG_INFO, "OPENBLAS_CORETYPE=%s set in the environment, for OpenBLAS takes some machines for older ones", core);
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        snprintf(trouble, sizeof trouble, "%s (Debian: apt-get install libopenblas0-pthread)", dlerror());
        return;
    }
    void (*set_threads)(int) = NULL;
    char *(*core_name)(void) = NULL;
    if (symbol(lib, "cblas_sgemm", &sgemm) || symbol(lib, "openblas_set_num_threads", &set_threads) ||
        symbol(lib, "openblas_get_corename", &core_name)) {
        snprintf(trouble, sizeof trouble, "libopenblas.so.0 lacks cblas_sgemm or openblas_set_num_threads");
        return;
    }
    if (core && !strcmp(core_name(), "Prescott") && !strcmp(getenv("OPENBLAS_CORETYPE"), core)) {
        snprintf(trouble, sizeof trouble,
                 "libopenblas.so.0 was loaded before and takes this CPU for a Prescott; "
                 "set OPENBLAS_CORETYPE=%s in the environment",
                 core);
        return;
    }
    set_threads(1); /* threads are pith's: each calls it for its own rows and panels */
}
#endif

static int open_library(pith_err *e)
{
    pthread_once(&once, load);
    return trouble[0] ? err_set(e, "kernel set 'openblas': %s", trouble) : 0;
}

/* Panels at once, where there is room for their floats. */
enum { GROUP = 4 };
_Static_assert(KERNEL_KB * GROUP * KERNEL_PANEL <= KERNEL_ROOM, "the floats of a group");

/* k rows k0 .. k0 + kk of panels p .. p + panels as one float matrix [kk][panels * 32]. */
static void unpack(const kernel_linear *a, size_t p, size_t panels, size_t k0, size_t kk, float *out)
{
    for (size_t g = 0; g < panels; g++)
        for (size_t k = 0; k < kk; k++) {
            size_t at = ((p + g) * a->k + k0 + k) * KERNEL_PANEL;
            float *o = out + (k * panels + g) * KERNEL_PANEL;
            const uint16_t *h = (const uint16_t *)a->w + at;
            if (a->type == DT_F32)
                memcpy(o, (const float *)a->w + at, KERNEL_PANEL * sizeof *o);
            else
                for (size_t j = 0; j < KERNEL_PANEL; j++)
                    o[j % 2 * 16 + j / 2] = a->type == DT_BF16 ? tensor_bf16_to_f32(h[j]) : tensor_f16_to_f32(h[j]);
        }
}

/* Rows i .. i + m of panels p .. p + panels. */
static void linear_group(const kernel_linear *a, size_t i, size_t m, size_t p, size_t panels)
{
    float own[KERNEL_KB * KERNEL_PANEL], *w = panels > 1 ? a->room : own;
    size_t col = p * KERNEL_PANEL, n = a->n - col < panels * KERNEL_PANEL ? a->n - col : panels * KERNEL_PANEL;
    float *y = a->y + i * a->ldy + col;
    for (size_t k0 = 0; k0 < a->k; k0 += KERNEL_KB) {
        size_t kk = a->k - k0 < KERNEL_KB ? a->k - k0 : KERNEL_KB;
        unpack(a, p, panels, k0, kk, w);
        sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, CBLAS_NO_TRANS, (int)m, (int)n, (int)kk, 1.0f, a->x + i * a->ldx + k0,
              (int)a->ldx, w, (int)(panels * KERNEL_PANEL), k0 || a->resume ? 1.0f : 0.0f, y, (int)a->ldy);
    }
    for (size_t r = 0; r < m; r++, y += a->ldy) {
        if (a->k == 0 && !a->resume) memset(y, 0, n * sizeof *y);
        for (size_t j = 0; a->bias && j < n; j++) y[j] += a->bias[col + j];
    }
}

static void linear(const kernel_linear *a)
{
    assert(a->ldx <= INT_MAX && a->ldy <= INT_MAX);
    const size_t rows = 1 << 20, group = a->room ? GROUP : 1;
    size_t end = (a->n + KERNEL_PANEL - 1) / KERNEL_PANEL, p1 = a->p1 < end ? a->p1 : end;
    for (size_t i = 0; i < a->m; i += rows)
        for (size_t p = a->p0; p < p1; p += group)
            linear_group(a, i, a->m - i < rows ? a->m - i : rows, p, p1 - p < group ? p1 - p : group);
}

static void quantize(const float *x, size_t ldx, size_t m, size_t k, const kernel_rows *out) { rest->quantize(x, ldx, m, k, out); }
static void linear_quant(const kernel_quant *a) { rest->linear_quant(a); }
static int pack_block(void *block, dtype type, size_t groups, const float *x, size_t ldx)
{
    return rest->pack_block(block, type, groups, x, ldx);
}
static void layernorm(const float *x, const float *gamma, const float *beta, float eps, float *y, size_t n)
{
    rest->layernorm(x, gamma, beta, eps, y, n);
}
static void rmsnorm(const float *x, const float *gamma, float eps, float *y, size_t n)
{
    rest->rmsnorm(x, gamma, eps, y, n);
}
static void softmax(float *x, float scale, size_t n) { rest->softmax(x, scale, n); }
static void add(const float *x, float *y, size_t n) { rest->add(x, y, n); }
static void mul(const float *x, float *y, size_t n) { rest->mul(x, y, n); }
#define REST(map)                                                                                                      \
    static void map(float *x, size_t n) { rest->map(x, n); }
REST(gelu)
REST(gelu_tanh)
REST(relu)
REST(silu)
REST(vexp)
REST(verf)
REST(vtanh)

extern const kernel_set kernel_openblas;
const kernel_set kernel_openblas = {"openblas", 0, open_library, linear, quantize, linear_quant, pack_block, layernorm, rmsnorm, softmax,
                                    add, mul, gelu, gelu_tanh, relu, silu, vexp, verf, vtanh};
