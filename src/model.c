#include "model.h"
#include "base/checked.h"
#include "base/mem.h"
#include <float.h>
#include <string.h>

#define ARCH(type, file) extern const model_arch file##_arch;
#include "models/archs.def"
#undef ARCH

static const struct {
    const char *type;
    const model_arch *arch;
} archs[] = {
#define ARCH(type, file) {#type, &file##_arch},
#include "models/archs.def"
#undef ARCH
};
enum { N_ARCHS = sizeof archs / sizeof archs[0] };

const model_arch *model_find(json cfg, const char **model_type, const char **architecture, pith_err *e)
{
    if (json_get_str(cfg, "model_type", model_type, e)) return NULL;
    const model_arch *arch = NULL;
    char list[256] = "";
    for (size_t i = 0; i < N_ARCHS; i++) {
        if (strcmp(archs[i].type, *model_type) == 0) arch = archs[i].arch;
        strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, archs[i].type, sizeof list - strlen(list) - 1);
    }
    if (!arch) {
        err_set(e, "config.json: model_type \"%.80s\" is not supported (supported: %s)", *model_type, list);
        return NULL;
    }
    json quantised = json_get(cfg, "quantization_config");
    if (json_typeof(quantised) == JSON_OBJECT) {
        const char *method = json_str(json_get(quantised, "quant_method"));
        err_set(e, "config.json: quantization_config: weights quantised as \"%.40s\" are not supported; use a copy in F32, F16 "
                   "or BF16", *method ? method : "unknown");
        return NULL;
    }
    json names = json_get(cfg, "architectures");
    json_type t = json_typeof(names);
    if (t != JSON_NONE && t != JSON_NULL && t != JSON_ARRAY) {
        json_expected(names, "an array", e);
        return NULL;
    }
    json first = json_first(names);
    *architecture = NULL;
    if (!first.node) return arch;
    if (json_typeof(first) != JSON_STRING) {
        json_expected(first, "a string", e);
        return NULL;
    }
    list[0] = 0;
    for (size_t i = 0; arch->architectures[i]; i++) {
        if (strcmp(arch->architectures[i], json_str(first)) == 0) *architecture = arch->architectures[i];
        strncat(list, i ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, arch->architectures[i], sizeof list - strlen(list) - 1);
    }
    if (*architecture) return arch;
    err_set(e, "config.json: architecture \"%.80s\" is not supported (supported: %s)", json_str(first), list);
    return NULL;
}

/* Index of "0", "1", ... as Python's int(key) reads it; n if it is none below n. */
static uint64_t label_index(const char *key, uint64_t n)
{
    uint64_t v = 0;
    if (!*key) return n;
    for (; *key; key++)
        if (*key < '0' || *key > '9' || v >= n || checked_digit(&v, (unsigned)(*key - '0'))) return n;
    return v < n ? v : n;
}

int model_labels(json cfg, uint64_t *n, char ***labels, pith_err *e)
{
    json map = json_get(cfg, "id2label");
    json_type t = json_typeof(map);
    int named = t == JSON_OBJECT;
    if (!named && t != JSON_NONE && t != JSON_NULL) return json_expected(map, "an object", e);
    if (named) {
        *n = json_len(map);
        if (!*n) return json_expected(map, "at least one label", e);
    } else if (json_opt_size(cfg, "num_labels", 1, 1 << 24, 2, n, e)) {
        return -1;
    }
    size_t count = (size_t)*n, bytes = count * (sizeof(char *) + sizeof "LABEL_16777216");
    for (json c = json_first(map); named && c.node; c = json_next(c)) bytes += strlen(json_str(c)) + 1;
    char **out = mem_zero(1, bytes);
    if (!out) return err_nomem(e, bytes, "labels");
    char *text = (char *)(out + count);
    for (json c = json_first(map); named && c.node; c = json_next(c)) {
        uint64_t i = label_index(json_key(c), *n);
        if (json_typeof(c) != JSON_STRING || i == *n || out[i]) {
            char what[96];
            snprintf(what, sizeof what, "label names under the keys \"0\" to \"%llu\"", (unsigned long long)*n - 1);
            json_expected(json_typeof(c) == JSON_STRING ? map : c, what, e);
            mem_free(out);
            return -1;
        }
        size_t len = strlen(json_str(c)) + 1;
        out[i] = memcpy(text, json_str(c), len);
        text += len;
    }
    for (size_t i = 0; !named && i < count; i++) {
        out[i] = text;
        text += sprintf(text, "LABEL_%zu", i) + 1;
    }
    *labels = out;
    return 0;
}

/* transformers 5 keeps theta inside rope_parameters, 4 beside rope_scaling. */
int model_rope(json cfg, size_t dim, uint64_t max_positions, rope_config *out, pith_err *e)
{
    static const char *const types[] = {"default", "linear", "dynamic", "llama3", "yarn"};
    json p = json_get(cfg, "rope_parameters"), old = json_get(cfg, "rope_scaling");
    int v5 = json_typeof(p) == JSON_OBJECT;
    if (!v5) p = old;
    if (json_typeof(p) != JSON_NONE && json_typeof(p) != JSON_NULL && json_typeof(p) != JSON_OBJECT)
        return json_expected(p, "an object", e);
    const char *type, *older;
    double original, partial;
    *out = (rope_config){.dim = dim, .max_positions = (size_t)max_positions, .theta = out->theta};
    if (json_opt_str(p, "type", "default", &older, e) || json_opt_str(p, "rope_type", older, &type, e) ||
        json_opt_num(cfg, "rope_theta", out->theta, &out->theta, e) || json_opt_num(p, "rope_theta", out->theta, &out->theta, e))
        return -1;
    int found = -1;
    for (int i = 0; i < (int)(sizeof types / sizeof types[0]); i++)
        if (!strcmp(types[i], type)) found = i;
    if (found < 0)
        return err_set(e, "config.json: rope_type \"%.80s\" is not supported (supported: default, linear, dynamic, llama3, "
                          "yarn)", type);
    out->type = (rope_type)found;
    if (json_opt_num(cfg, "partial_rotary_factor", 1, &partial, e) ||
        json_opt_num(p, "partial_rotary_factor", partial, &partial, e))
        return -1;
    if (!(partial >= 1 && partial <= 1))
        return err_set(e, "config.json: partial_rotary_factor %g is not supported (supported: 1)", partial);
    if (!(out->theta > 1 && out->theta <= FLT_MAX))
        return err_set(e, "config.json: rope_theta must be over 1, found %g", out->theta);
    if (out->type == ROPE_DYNAMIC && dim < 4) return err_set(e, "config.json: dynamic rope needs a head_dim of 4 or more, found %zu", dim);
    if (out->type == ROPE_DEFAULT) return 0;
    if (json_get_num(p, "factor", &out->factor, e) ||
        json_opt_num(p, "original_max_position_embeddings", (double)max_positions, &original, e) ||
        json_opt_num(p, "low_freq_factor", 1, &out->low_freq_factor, e) ||
        json_opt_num(p, "high_freq_factor", 4, &out->high_freq_factor, e) ||
        json_opt_num(p, "beta_fast", 32, &out->beta_fast, e) || json_opt_num(p, "beta_slow", 1, &out->beta_slow, e) ||
        json_opt_num(p, "attention_factor", 0, &out->attention_factor, e) || json_opt_num(p, "mscale", 0, &out->mscale, e) ||
        json_opt_num(p, "mscale_all_dim", 0, &out->mscale_all_dim, e) || json_opt_bool(p, "truncate", 1, &out->truncate, e))
        return -1;
    out->original_max_positions = original;
    const struct {
        const char *key;
        double value, least;
    } positive[] = {{"factor", out->factor, 1},
                    {"original_max_position_embeddings", original, 1},
                    {"low_freq_factor", out->low_freq_factor, 1e-9},
                    {"beta_fast", out->beta_fast, 1e-9},
                    {"beta_slow", out->beta_slow, 1e-9}};
    for (size_t i = 0; i < sizeof positive / sizeof positive[0]; i++) {
        char what[64];
        snprintf(what, sizeof what, "a number of %g or more", positive[i].least);
        if (!(positive[i].value >= positive[i].least)) return json_expected(json_get(p, positive[i].key), what, e);
    }
    if (out->type == ROPE_LLAMA3 && !(out->high_freq_factor > out->low_freq_factor))
        return err_set(e, "config.json: rope scaling: high_freq_factor %g must be over low_freq_factor %g",
                       out->high_freq_factor, out->low_freq_factor);
    return 0;
}

int model_slides(json cfg, size_t i, int otherwise, int *out, pith_err *e)
{
    json list = json_get(cfg, "layer_types"), c = json_first(list);
    *out = otherwise;
    if (json_typeof(list) == JSON_NONE || json_typeof(list) == JSON_NULL) return 0;
    for (; c.node && i; i--) c = json_next(c);
    *out = !strcmp(json_str(c), "sliding_attention");
    if (*out || !strcmp(json_str(c), "full_attention")) return 0;
    return json_expected(c.node ? c : list, "\"full_attention\" or \"sliding_attention\" for each layer", e);
}

int model_linear(model_loader *l, op_weight *out, size_t rows, size_t cols, const char *why, int biased, const char *base)
{
    tensor w, bias = {0};
    if (bind_weight(l->b, &w, rows, cols, why, "%s.weight", base)) return -1;
    if (biased && bind_vector(l->b, &bias, rows, why, "%s.bias", base)) return -1;
    if (op_weight_load(out, l->op, w, bias, l->e)) return err_where(l->e, "%s.weight", base);
    l->bytes += op_weight_bytes(out);
    return bind_loaded(l->b, base, out->type, out->panels, op_weight_bytes(out) - (out->bias ? rows * sizeof *out->bias : 0));
}

int model_vector(model_loader *l, float **out, size_t n, const char *why, const char *name)
{
    tensor t;
    if (bind_vector(l->b, &t, n, why, "%s", name)) return -1;
    l->bytes += n * sizeof(float);
    return op_vector_load(out, t, l->e);
}

int model_unwanted(const model_batch *b) { return b->unwanted && b->unwanted(b->ctx); }

int model_grow(void *list, size_t n, size_t size, pith_err *e)
{
    void **p = list;
    size_t bytes;
    if (__builtin_mul_overflow(n + 1, size, &bytes)) return err_set(e, "%zu layers do not fit memory", n);
    void *more = mem_resize(*p, bytes);
    if (!more) return err_nomem(e, bytes, "layers");
    memset((char *)more + n * size, 0, size);
    *p = more;
    return 0;
}
