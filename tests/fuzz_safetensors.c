/* Any bytes are a safetensors file. It is accepted if and only if the plain reference accepts it, however it is read; and
 * what is accepted hangs together: every tensor is found, lies in its file and can be read. */
#include "formats/safetensors.h"
#include "fuzz_reference.h"

static volatile unsigned sink; /* what is read must be read */

static void check(const safetensors *s, const safetensors_options *o)
{
    for (size_t i = 0; i < safetensors_count(s); i++) {
        const safetensors_entry *x = safetensors_at(s, i);
        demand(safetensors_find(s, x->name) == x, "every tensor is found by its name");
        demand(x->offset <= safetensors_file_size(s, x->file) && x->t.nbytes <= safetensors_file_size(s, x->file) - x->offset, "every tensor lies in its file");
        demand(!i || x[-1].offset <= x->offset, "tensors stand in the file's order");
        for (size_t k = 0; k < x->t.rank; k++) sink += (unsigned)x->t.shape[k];
        for (uint64_t k = 0; x->t.data && k < x->t.nbytes; k++) sink += ((const uint8_t *)x->t.data)[k];
        demand((x->t.data == NULL) == o->header_only, "data is there unless only headers were asked for");
        safetensors_release(s, x);
    }
    for (size_t i = 0; i < safetensors_metadata_count(s, 0); i++) {
        const char *k, *v;
        safetensors_metadata_at(s, 0, i, &k, &v);
        sink += (unsigned)(strlen(k) + strlen(v));
    }
    for (size_t i = 0; i < safetensors_warnings(s); i++) sink += (unsigned)strlen(safetensors_warning(s, i));
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static const safetensors_options how[] = {{0}, {.no_mmap = 1}, {.header_only = 1}};
    const char *path = fuzz_put("model.safetensors", data, n);
    bool good = ref_accepts(data, n);
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        pith_err e = {{0}};
        safetensors *s = safetensors_open(path, &how[i], &e);
        demand_either(s != NULL, &e);
        if (s && !good) fprintf(stderr, "accepted, but the reference refuses it\n");
        if (!s && good) fprintf(stderr, "%s\n", e.msg);
        demand((s != NULL) == good, "what is accepted is what the reference accepts");
        if (s) check(s, &how[i]);
        safetensors_close(s);
        if (!good) break; /* each mode reads the header in the same way */
    }
}
