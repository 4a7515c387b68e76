/* weights: pith_weights_* of the public header, over formats/safetensors; and the one door to xxhash. */
#include "base/checked.h"
#include "base/err.h"
#include "base/par.h"
#include "compute/tensor.h"
#include "formats/safetensors.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct pith_weights {
    safetensors *s;
};

uint64_t pith_hash(const void *data, size_t len) { return XXH3_64bits(data, len); }

pith_weights *pith_weights_open(const char *path, int flags, pith_err *e)
{
    safetensors_options o = {.no_mmap = flags & PITH_WEIGHTS_NO_MMAP, .header_only = flags & PITH_WEIGHTS_HEADER_ONLY};
    if (flags & ~(PITH_WEIGHTS_NO_MMAP | PITH_WEIGHTS_HEADER_ONLY)) return err_set(e, "pith_weights_open: unknown flags %#x", (unsigned)flags), NULL;
    pith_weights *w = calloc(1, sizeof *w);
    if (!w) return err_nomem(e, sizeof *w, path), NULL;
    w->s = safetensors_open(path, &o, e);
    if (w->s) return w;
    free(w);
    return NULL;
}

void pith_weights_close(pith_weights *w)
{
    if (!w) return;
    safetensors_close(w->s);
    free(w);
}

static int tell(const safetensors_entry *x, pith_tensor *out)
{
    if (!x) return -1;
    *out = (pith_tensor){.name = x->name, .dtype = tensor_dtypes[x->t.type].name, .shape = x->t.shape, .rank = x->t.rank,
                         .nbytes = x->t.nbytes, .offset = x->offset, .file = x->file, .data = x->t.data};
    return 0;
}

static const safetensors_entry *at(const pith_weights *w, size_t i) { return i < safetensors_count(w->s) ? safetensors_at(w->s, i) : NULL; }

size_t pith_weights_count(const pith_weights *w) { return safetensors_count(w->s); }
int pith_weights_at(const pith_weights *w, size_t i, pith_tensor *out) { return tell(at(w, i), out); }
int pith_weights_find(const pith_weights *w, const char *name, pith_tensor *out) { return tell(safetensors_find(w->s, name), out); }
size_t pith_weights_files(const pith_weights *w) { return safetensors_files(w->s); }
size_t pith_weights_warnings(const pith_weights *w) { return safetensors_warnings(w->s); }
const char *pith_weights_mapped_at(const pith_weights *w, const void *addr) { return safetensors_mapped_at(w->s, addr); }

const char *pith_weights_file(const pith_weights *w, size_t file, uint64_t *size)
{
    if (file >= safetensors_files(w->s)) return NULL;
    if (size) *size = safetensors_file_size(w->s, file);
    return safetensors_file_name(w->s, file);
}

size_t pith_weights_metadata_count(const pith_weights *w, size_t file)
{
    return file < safetensors_files(w->s) ? safetensors_metadata_count(w->s, file) : 0;
}

int pith_weights_metadata(const pith_weights *w, size_t file, size_t i, const char **key, const char **value)
{
    if (i >= pith_weights_metadata_count(w, file)) return -1;
    safetensors_metadata_at(w->s, file, i, key, value);
    return 0;
}

const char *pith_weights_warning(const pith_weights *w, size_t i) { return i < safetensors_warnings(w->s) ? safetensors_warning(w->s, i) : NULL; }

/* Tensor i if its elements can be read as numbers, else NULL and why. */
static const safetensors_entry *readable(const pith_weights *w, size_t i, pith_err *e)
{
    const safetensors_entry *x = at(w, i);
    if (!x) return err_set(e, "tensor %zu of %zu: no such index", i, safetensors_count(w->s)), NULL;
    const tensor_dtype *type = &tensor_dtypes[x->t.type];
    if (x->t.type == DT_C64 || type->bits < 8) return err_set(e, "%.200s: %s has no real numbers of whole bytes to read", x->name, type->name), NULL;
    if (!x->t.data) return err_set(e, "%.200s: opened for headers only; open it with data", x->name), NULL;
    return x;
}

int pith_weights_read_f32(const pith_weights *w, size_t i, uint64_t first, size_t n, float *out, pith_err *e)
{
    const safetensors_entry *x = readable(w, i, e);
    uint64_t end;
    if (!x) return -1;
    if (checked_add(first, n, &end) || end > tensor_count(x->t))
        return err_set(e, "%.200s: elements [%llu,+%zu) asked for, it has %llu", x->name, (unsigned long long)first, n, (unsigned long long)tensor_count(x->t));
    unsigned long mode = par_fp_enter();
    int bad = tensor_read_f32(x->t, first, n, out);
    par_fp_leave(mode);
    return bad ? err_set(e, "%.200s: cannot be read as float", x->name) : 0;
}

/* ---- statistics ---- */

enum { BLOCK = 1024, LANES = 8 };

typedef struct stats {
    double lo, hi, sum, scale;
    uint64_t n_nan, n_inf, n_zero;
} stats;

#define COPY(type)                                                                                                                   \
    do {                                                                                                                             \
        _Pragma("omp simd") for (size_t i = 0; i < n; i++) {                                                                                             \
            type v;                                                                                                                  \
            memcpy(&v, p + i * sizeof v, sizeof v);                                                                                  \
            out[i] = (double)v;                                                                                                      \
        }                                                                                                                            \
    } while (0)

/* Two-byte floats in bulk: the same values as tensor_read_f32's, in a form that compilers turn into vector code. */
static void load_half(const char *p, size_t n, dtype type, double *out)
{
    uint16_t h[BLOCK];
    uint32_t bits[BLOCK];
    float f[BLOCK];
    memcpy(h, p, n * sizeof *h);
    if (type == DT_BF16) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) bits[i] = (uint32_t)h[i] << 16;
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++) { /* exponent too small by 112, except for infinities and NaN */
            uint32_t m = h[i] & 0x7fffu;
            bits[i] = m << 13 | (m >= 0x7c00 ? 0x7f800000u : 0);
        }
    }
    memcpy(f, bits, n * sizeof *f);
    if (type == DT_BF16) {
#pragma omp simd
        for (size_t i = 0; i < n; i++) out[i] = (double)f[i];
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++) out[i] = (double)f[i] * (h[i] & 0x8000 ? -0x1p112 : 0x1p112);
    }
}

/* Elements [first, first+n) as double: exact for all but 64-bit integers, which round. n <= BLOCK. */
static void load(tensor t, uint64_t first, size_t n, double *out)
{
    const char *p = (const char *)t.data + first * (tensor_dtypes[t.type].bits / 8);
    float narrow[BLOCK];
    switch (t.type) {
    case DT_F64: COPY(double); return;
    case DT_F32: COPY(float); return;
    case DT_I32: COPY(int32_t); return;
    case DT_U32: COPY(uint32_t); return;
    case DT_I64: COPY(int64_t); return;
    case DT_U64: COPY(uint64_t); return;
    case DT_F16:
    case DT_BF16: load_half(p, n, t.type, out); return;
    default: break;
    }
    tensor_read_f32(t, first, n, narrow);
#pragma omp simd
    for (size_t i = 0; i < n; i++) out[i] = (double)narrow[i];
}

static void add_one(stats *s, double v)
{
    if (isnan(v)) {
        s->n_nan++;
    } else if (isinf(v)) {
        s->n_inf++;
    } else {
        s->n_zero += v == 0;
        s->lo = v < s->lo ? v : s->lo;
        s->hi = v > s->hi ? v : s->hi;
        s->sum += v * s->scale;
    }
}

/* Counts and sums in lanes, without branches, where every element is finite; else one by one. The sum's order is the
 * same on every machine. */
static void add_block(stats *s, const double *x, size_t n)
{
    double odd[LANES] = {0}, zero[LANES] = {0}, sum[LANES] = {0}, lo[LANES], hi[LANES], n_odd = 0;
    const double scale = s->scale;
    size_t whole = n - n % LANES, done = 0;
    for (size_t i = 0; i < whole; i += LANES) {
#pragma omp simd
        for (size_t l = 0; l < LANES; l++) {
            odd[l] += fabs(x[i + l]) <= DBL_MAX ? 0.0 : 1.0;
            zero[l] += x[i + l] == 0 ? 1.0 : 0.0;
        }
    }
    for (size_t l = 0; l < LANES; l++) n_odd += odd[l], lo[l] = s->lo, hi[l] = s->hi;
    if (n_odd == 0) {
        for (size_t i = 0; i < whole; i += LANES) {
#pragma omp simd
            for (size_t l = 0; l < LANES; l++) {
                double v = x[i + l];
                lo[l] = v < lo[l] ? v : lo[l];
                hi[l] = v > hi[l] ? v : hi[l];
                sum[l] += v * scale;
            }
        }
        for (size_t l = 0; l < LANES; l++) {
            s->lo = lo[l] < s->lo ? lo[l] : s->lo;
            s->hi = hi[l] > s->hi ? hi[l] : s->hi;
            s->sum += sum[l];
            s->n_zero += (uint64_t)zero[l];
        }
        done = whole;
    }
    for (size_t i = done; i < n; i++) add_one(s, x[i]);
}

static stats measure(tensor t, uint64_t count, double scale)
{
    stats s = {.lo = INFINITY, .hi = -INFINITY, .scale = scale};
    double x[BLOCK];
    unsigned long mode = par_fp_enter();
    for (uint64_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? (size_t)(count - first) : BLOCK;
        load(t, first, n, x);
        add_block(&s, x, n);
    }
    par_fp_leave(mode);
    return s;
}

int pith_weights_stats(const pith_weights *w, size_t i, pith_tensor_stats *out, pith_err *e)
{
    const safetensors_entry *x = readable(w, i, e);
    if (!x) return -1;
    uint64_t count = tensor_count(x->t);
    stats s = measure(x->t, count, 1);
    uint64_t finite = count - s.n_nan - s.n_inf;
    double mean = s.sum / (double)finite;
    if (finite && !isfinite(s.sum)) { /* doubles near their limit: once more, scaled by a power of two */
        const double scale = 0x1p-64;
        mean = measure(x->t, count, scale).sum / (double)finite / scale;
    }
    *out = (pith_tensor_stats){.count = count, .n_nan = s.n_nan, .n_inf = s.n_inf, .n_zero = s.n_zero, .min = NAN, .max = NAN, .mean = NAN};
    if (!finite) return 0;
    out->min = s.lo;
    out->max = s.hi;
    out->mean = mean < s.lo ? s.lo : mean > s.hi ? s.hi : mean;
    return 0;
}
