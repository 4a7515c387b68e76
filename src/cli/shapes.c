#include "cli/shapes.h"
#include "base/err.h"
#include "base/path.h"
#include "cli/output.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sizes are those of the published models of these names. */
typedef struct shape {
    const char *family;
    uint64_t hidden, inter, layers, heads, kv_heads, vocab, positions;
    int tied;
    const char *more; /* of config.json */
} shape;
static const shape shapes[] = {
    {"distilbert", 768, 3072, 6, 12, 12, 30522, 512, 0, ""},
    {"llama", 576, 1536, 30, 9, 3, 49152, 8192, 1, ",\"rope_theta\":100000"},
    {"llama", 2048, 5632, 22, 32, 4, 32000, 2048, 0, ",\"rope_theta\":10000"},
    {"llama", 2048, 8192, 16, 32, 8, 128256, 131072, 1,
     ",\"rope_theta\":500000,\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":32,\"high_freq_factor\":4,"
     "\"low_freq_factor\":1,\"original_max_position_embeddings\":8192}"},
};

typedef struct list {
    pith_tensor *t;
    size_t n, cap;
    int failed;
    const char *dtype;
} list;

static void add(list *l, const char *name, uint64_t rows, uint64_t cols)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        pith_tensor *t = realloc(l->t, cap * sizeof *t);
        if (!t) {
            l->failed = 1;
            return;
        }
        l->t = t;
        l->cap = cap;
    }
    uint64_t *dims = malloc(2 * sizeof *dims);
    char *copy = malloc(strlen(name) + 1);
    if (!dims || !copy) {
        free(dims), free(copy);
        l->failed = 1;
        return;
    }
    dims[0] = rows, dims[1] = cols;
    l->t[l->n++] = (pith_tensor){.name = strcpy(copy, name), .dtype = l->dtype, .shape = dims, .rank = cols ? 2 : 1};
}

static void drop(list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free((void *)(uintptr_t)l->t[i].name);
        free((void *)(uintptr_t)l->t[i].shape);
    }
    free(l->t);
}

static void add_linear(list *l, const char *base, uint64_t rows, uint64_t cols, int biased)
{
    char name[160];
    snprintf(name, sizeof name, "%s.weight", base);
    add(l, name, rows, cols);
    snprintf(name, sizeof name, "%s.bias", base);
    if (biased) add(l, name, rows, 0);
}

typedef struct part {
    const char *name;
    uint64_t rows, cols; /* cols 0: a norm */
} part;

static void add_layers(list *l, const shape *s, const char *prefix, const part *parts, size_t n, int biased)
{
    char name[128];
    for (uint64_t i = 0; i < s->layers; i++)
        for (size_t p = 0; p < n; p++) {
            snprintf(name, sizeof name, "%s.%llu.%s", prefix, (unsigned long long)i, parts[p].name);
            add_linear(l, name, parts[p].rows, parts[p].cols, biased);
        }
}

static void distilbert(list *l, const shape *s)
{
    const uint64_t h = s->hidden, f = s->inter;
    const part parts[] = {{"attention.q_lin", h, h}, {"attention.k_lin", h, h}, {"attention.v_lin", h, h},
                          {"attention.out_lin", h, h}, {"sa_layer_norm", h, 0}, {"ffn.lin1", f, h},
                          {"ffn.lin2", h, f}, {"output_layer_norm", h, 0}};
    add(l, "distilbert.embeddings.word_embeddings.weight", s->vocab, h);
    add(l, "distilbert.embeddings.position_embeddings.weight", s->positions, h);
    add_linear(l, "distilbert.embeddings.LayerNorm", h, 0, 1);
    add_layers(l, s, "distilbert.transformer.layer", parts, sizeof parts / sizeof parts[0], 1);
    add_linear(l, "pre_classifier", h, h, 1);
    add_linear(l, "classifier", 2, h, 1);
}

static void llama(list *l, const shape *s)
{
    const uint64_t h = s->hidden, f = s->inter, kv = h / s->heads * s->kv_heads;
    const part parts[] = {{"self_attn.q_proj", h, h}, {"self_attn.k_proj", kv, h}, {"self_attn.v_proj", kv, h},
                          {"self_attn.o_proj", h, h}, {"mlp.gate_proj", f, h}, {"mlp.up_proj", f, h},
                          {"mlp.down_proj", h, f}, {"input_layernorm", h, 0}, {"post_attention_layernorm", h, 0}};
    add(l, "model.embed_tokens.weight", s->vocab, h);
    add_layers(l, s, "model.layers", parts, sizeof parts / sizeof parts[0], 0);
    add_linear(l, "model.norm", h, 0, 0);
    if (!s->tied) add(l, "lm_head.weight", s->vocab, h);
}

/* About normal with deviation 0.02, and 1 more for the weights of norms: four bytes of a generator added up. */
static int put_random(pith_writer *w, size_t i, const pith_tensor *t, uint64_t *seed, pith_err *e)
{
    enum { BLOCK = 1 << 16 };
    float *x = malloc(BLOCK * sizeof *x);
    uint16_t *half = malloc(BLOCK * sizeof *half);
    uint64_t n = t->shape[0] * (t->rank == 2 ? t->shape[1] : 1);
    size_t size = strcmp(t->dtype, "F32") ? 2 : 4;
    float base = strstr(t->name, "norm") && t->rank == 1 && strstr(t->name, ".weight") ? 1 : 0;
    int bad = !x || !half ? err_nomem(e, BLOCK * 6, "random weights") : 0;
    for (uint64_t at = 0; at < n && !bad; at += BLOCK) {
        size_t m = n - at < BLOCK ? (size_t)(n - at) : BLOCK;
        for (size_t q = 0; q < m; q++) {
            *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
            int sum = (int)(*seed & 255) + (int)(*seed >> 8 & 255) + (int)(*seed >> 16 & 255) + (int)(*seed >> 24 & 255);
            x[q] = base + (float)(sum - 510) * (0.02f / 148);
        }
        bad = size == 2 && pith_cast("F32", x, "BF16", half, m, NULL, e);
        if (!bad) bad = pith_writer_put(w, i, at * size, size == 2 ? (const void *)half : x, m * size, e);
    }
    free(x);
    free(half);
    return bad;
}

static int put_config(const shape *s, const char *dtype, const char *dir, pith_err *e)
{
    char *path = path_join(dir, "config.json", e);
    output o = {0};
    int bad = !path || output_open(&o, path, 0, e);
    if (!bad && !strcmp(s->family, "distilbert"))
        fprintf(o.f, "{\"model_type\":\"distilbert\",\"architectures\":[\"DistilBertForSequenceClassification\"],\"activation\":\"gelu\","
                   "\"dim\":%llu,\"hidden_dim\":%llu,\"n_heads\":%llu,\"n_layers\":%llu,\"max_position_embeddings\":%llu,"
                   "\"vocab_size\":%llu,\"torch_dtype\":\"float32\"%s}\n",
                (unsigned long long)s->hidden, (unsigned long long)s->inter, (unsigned long long)s->heads,
                (unsigned long long)s->layers, (unsigned long long)s->positions, (unsigned long long)s->vocab, s->more);
    else if (!bad)
        fprintf(o.f, "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_act\":\"silu\",\"hidden_size\":%llu,"
                   "\"intermediate_size\":%llu,\"num_attention_heads\":%llu,\"num_key_value_heads\":%llu,"
                   "\"num_hidden_layers\":%llu,\"max_position_embeddings\":%llu,\"vocab_size\":%llu,\"rms_norm_eps\":1e-5,"
                   "\"tie_word_embeddings\":%s,\"torch_dtype\":\"%s\"%s}\n",
                (unsigned long long)s->hidden, (unsigned long long)s->inter, (unsigned long long)s->heads,
                (unsigned long long)s->kv_heads, (unsigned long long)s->layers, (unsigned long long)s->positions,
                (unsigned long long)s->vocab, s->tied ? "true" : "false", strcmp(dtype, "F32") ? "bfloat16" : "float32", s->more);
    if (!bad) bad = output_finish(&o, e);
    output_abort(&o);
    free(path);
    return bad ? -1 : 0;
}

int shapes_write(int which, int wide, const char *dir, pith_err *e)
{
    const shape *s = &shapes[which];
    const int encoder = !strcmp(s->family, "distilbert");
    list l = {.dtype = wide || encoder ? "F32" : "BF16"};
    uint64_t seed = 0x9e3779b97f4a7c15u;
    if (encoder) distilbert(&l, s);
    else llama(&l, s);
    char *path = l.failed ? NULL : path_join(dir, "model.safetensors", e);
    pith_writer *w = path ? pith_writer_new(path, l.t, l.n, NULL, 0, 1, e) : NULL;
    int bad = l.failed ? err_nomem(e, l.n * sizeof *l.t, "a list of tensors") : w ? put_config(s, l.dtype, dir, e) : -1;
    for (size_t i = 0; i < l.n && !bad; i++) bad = put_random(w, i, &l.t[i], &seed, e);
    if (!bad) bad = pith_writer_finish(w, e);
    pith_writer_free(w);
    free(path);
    drop(&l);
    return bad;
}
