/* Lists the tensors of weight files and reads one of them as float.
 *
 *     cc read_tensors.c -o read_tensors $(pkg-config --cflags --libs pith)
 *     ./read_tensors model.safetensors
 *     ./read_tensors path/to/model classifier.weight
 *
 * The path is whatever pith_weights_open takes: safetensors or a PyTorch checkpoint, one file or a directory. */
#include "pith.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 4096, SHOWN = 8 };

static void list(const pith_weights *w)
{
    for (size_t i = 0; i < pith_weights_count(w); i++) {
        pith_tensor t;
        pith_weights_at(w, i, &t);
        printf("%s %s [", t.name, t.dtype);
        for (size_t k = 0; k < t.rank; k++) printf("%s%llu", k ? "," : "", (unsigned long long)t.shape[k]);
        printf("]\n");
    }
}

/* Block by block, so that a tensor of any size needs little memory. */
static int show(const pith_weights *w, const char *name, pith_err *e)
{
    pith_tensor t;
    if (pith_weights_find(w, name, &t)) {
        snprintf(e->msg, sizeof e->msg, "no tensor '%.200s'", name);
        return -1;
    }
    uint64_t count = 1;
    for (size_t k = 0; k < t.rank; k++) count *= t.shape[k];
    float x[BLOCK], min = INFINITY, max = -INFINITY;
    for (uint64_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? (size_t)(count - first) : BLOCK;
        if (pith_weights_read_f32(w, t.index, first, n, x, e)) return -1;
        for (size_t k = 0; k < n; k++) {
            if (x[k] < min) min = x[k];
            if (x[k] > max) max = x[k];
            if (first + k < SHOWN) printf("%.9g\n", (double)x[k]);
        }
    }
    printf("%llu elements, from %.9g to %.9g\n", (unsigned long long)count, (double)min, (double)max);
    return 0;
}

int main(int argc, char **argv)
{
    pith_err e = {{0}};
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s PATH [TENSOR]\n", argv[0]);
        return 2;
    }
    const pith_weights_options o = {.header_only = argc == 2};
    pith_weights *w = pith_weights_open(argv[1], &o, &e);
    int bad = !w;
    if (w && argc == 2) list(w);
    else if (w) bad = show(w, argv[2], &e);
    if (bad) fprintf(stderr, "%s\n", e.msg);
    pith_weights_close(w);
    return bad;
}
