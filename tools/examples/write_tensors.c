/* Copies the tensors and metadata of one file of weights into a new .safetensors file.
 *
 *     cc write_tensors.c -o write_tensors $(pkg-config --cflags --libs pith)
 *     ./write_tensors pytorch_model.bin model.safetensors
 *     ./write_tensors a.safetensors model.safetensors --replace
 *
 * The target keeps what it held until the new file is whole. */
#include "pith.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say(const pith_err *e)
{
    fprintf(stderr, "write_tensors: %s\n", e->msg[0] ? e->msg : "out of memory");
    return 1;
}

enum { PIECE = 1 << 20 };

/* In pieces, so that a tensor of any size needs little memory. Where its elements do not lie in a row (PyTorch views), they
 * are gathered. */
static int put(pith_writer *w, const pith_weights *from, size_t i, const pith_tensor *t, pith_err *e)
{
    static char piece[PIECE];
    uint64_t count = 1;
    for (size_t k = 0; k < t->rank; k++) count *= t->shape[k];
    size_t size = count ? (size_t)(t->nbytes / count) : 0;
    for (uint64_t at = 0; at < t->nbytes; at += PIECE) {
        size_t n = t->nbytes - at < PIECE ? (size_t)(t->nbytes - at) : PIECE;
        if (!t->data && pith_weights_read(from, i, at / size, n / size, piece, e)) return -1;
        if (pith_writer_put(w, i, at, t->data ? (const char *)t->data + at : piece, n, e)) return -1;
    }
    return 0;
}

static int copy(const pith_weights *from, const char *to, int replace, pith_err *e)
{
    size_t n = pith_weights_count(from), n_meta = pith_weights_metadata_count(from, 0);
    pith_tensor *tensors = calloc(n + 1, sizeof *tensors);
    pith_pair *meta = calloc(n_meta + 1, sizeof *meta);
    int bad = tensors && meta ? 0 : -1;
    for (size_t i = 0; i < n && !bad; i++) bad = pith_weights_at(from, i, &tensors[i]);
    for (size_t i = 0; i < n_meta && !bad; i++) bad = pith_weights_metadata(from, 0, i, &meta[i].key, &meta[i].value);
    pith_writer *w = bad ? NULL : pith_writer_new(to, tensors, n, meta, n_meta, replace, e);
    bad = !w;
    for (size_t i = 0; i < n && !bad; i++) {
        bad = put(w, from, i, &tensors[i], e);
        pith_weights_release(from, i);
    }
    if (!bad) bad = pith_writer_finish(w, e);
    pith_writer_free(w); /* if it has not finished, nothing new stays */
    free(tensors);
    free(meta);
    return bad;
}

int main(int argc, char **argv)
{
    pith_err e = {{0}};
    if (argc < 3) {
        fprintf(stderr, "usage: write_tensors SOURCE TARGET.safetensors [--replace]\n");
        return 2;
    }
    int replace = argc > 3 && strcmp(argv[3], "--replace") == 0;
    pith_weights *from = pith_weights_open(argv[1], NULL, &e);
    int bad = !from || copy(from, argv[2], replace, &e);
    pith_weights_close(from);
    return bad ? say(&e) : 0;
}
