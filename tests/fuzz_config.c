/* Any bytes are the config.json of a model, whose weights are those of a small model of ours, opened for their headers only:
 * the model is led through its own loading. The first byte says which of them. What is accepted has sizes that can be. */
#include "engine.h"
#include "fuzz.h"

static const char *const models[] = {"bert-f32", "distilbert-f32", "gemma-f32", "gemma2-f32", "gpt_oss-f32", "llama-odd", "qwen2-tied-bf16", "qwen3-tied-bf16", "llama-classify"};
enum { MODELS = sizeof models / sizeof *models };

static size_t told;

static void tell(void *ctx, const char *name, const char *message)
{
    (void)ctx, (void)name;
    demand(*message != 0, "what is wrong with a tensor is told");
    told++;
}

static void check(const pith_model *m)
{
    const model_dims *d = &m->dims;
    demand(d->hidden && d->hidden <= INT32_MAX && d->vocab && d->vocab <= INT32_MAX, "hidden size and vocabulary fit");
    demand(d->max_positions && d->max_positions <= INT32_MAX && d->n_types >= 1, "positions and segments fit");
    demand(m->arch && m->weights && m->type, "what is loaded knows its architecture");
    if (d->causal) demand(d->kv.n_layer && d->kv.n_kv_head && d->kv.head_dim, "a causal model has keys and values");
    for (size_t i = 0; i < d->n_labels; i++) demand(m->labels[i] != NULL, "every label has a name");
    for (size_t i = 0; i < m->n_eos; i++) demand(m->eos[i] >= 0, "an id is no less than 0");
    demand(told || d->n_labels <= 1000, "labels that the head of a small model has");
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static struct { char *bytes; size_t n; } weights[MODELS];
    if (!n) return;
    size_t which = data[0] % MODELS;
    if (!weights[which].bytes) {
        char path[128];
        snprintf(path, sizeof path, "tests/golden/models/%s/model.safetensors", models[which]);
        weights[which].bytes = fuzz_read(path, &weights[which].n);
    }
    fuzz_put("config.json", data + 1, n - 1);
    fuzz_put("model.safetensors", weights[which].bytes, weights[which].n);
    pith_err e = {{0}};
    const char *architecture;
    pith_model *m = calloc(1, sizeof *m);
    demand(m != NULL, "memory");
    m->op.threads = 1;
    m->op.kernels = kernel_find("generic", &e);
    told = 0;
    int bad = engine_config(m, FUZZ_DIR, &architecture, &e) || engine_weights(m, FUZZ_DIR, architecture, &(engine_source){.tell = tell}, &e) ||
              (m->dims.causal && engine_settings(m, FUZZ_DIR, &e));
    demand_either(!bad, &e);
    if (!bad) check(m);
    pith_model_close(m);
}
