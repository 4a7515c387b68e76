#include "model.h"
#include <stdlib.h>
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
    for (; *key; key++) {
        if (*key < '0' || *key > '9' || v >= n) return n;
        v = v * 10 + (uint64_t)(*key - '0');
    }
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
    char **out = calloc(1, bytes);
    if (!out) return err_nomem(e, bytes, "labels");
    char *text = (char *)(out + count);
    for (json c = json_first(map); named && c.node; c = json_next(c)) {
        uint64_t i = label_index(json_key(c), *n);
        if (json_typeof(c) != JSON_STRING || i == *n || out[i]) {
            char what[96];
            snprintf(what, sizeof what, "label names under the keys \"0\" to \"%llu\"", (unsigned long long)*n - 1);
            json_expected(json_typeof(c) == JSON_STRING ? map : c, what, e);
            free(out);
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
