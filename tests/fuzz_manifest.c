/* Any bytes are a manifest of a model. */
#include "manifest.h"
#include "fuzz.h"

void fuzz_one(const uint8_t *data, size_t n)
{
    pith_err e = {{0}};
    manifest *m = manifest_open(fuzz_put("manifest.json", data, n), &e);
    demand_either(m != NULL, &e);
    manifest_close(m);
}
