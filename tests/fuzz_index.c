/* Any bytes are the index of a model in shards: two good shards lie beside it. Accepted: every tensor of the shards is
 * mapped to the shard that holds it, and nothing else is. */
#include "base/json.h"
#include "formats/safetensors.h"
#include "formats/shards.h"
#include "fuzz.h"

static size_t shard(char *to, char name)
{
    int n = snprintf(to + 8, 80, "{\"%c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", name);
    memset(to, 0, 8);
    to[0] = (char)n;
    to[8 + n] = 1;
    return (size_t)(9 + n);
}

/* The tensors of a map that is as it must be (it may leave out a shard with its tensor); else 0. */
static size_t right(const uint8_t *data, size_t n)
{
    json_doc *d = json_parse("index", (const char *)data, n, NULL);
    json map = json_get(json_root(d), "weight_map");
    size_t n_map = json_len(map);
    int good = json_typeof(map) == JSON_OBJECT && n_map <= 2;
    for (json v = json_first(map); v.node && good; v = json_next(v)) {
        const char *want = !strcmp(json_key(v), "a") ? "x" : !strcmp(json_key(v), "b") ? "y" : "";
        good = json_typeof(v) == JSON_STRING && *want && !strcmp(json_str(v), want);
    }
    if (n_map == 2) good = good && strcmp(json_key(json_first(map)), json_key(json_next(json_first(map))));
    json_free(d);
    return good ? n_map : 0;
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static char x[100], y[100];
    size_t nx = shard(x, 'a'), ny = shard(y, 'b');
    pith_err e = {{0}}, alone = {{0}};
    fuzz_put("x", x, nx);
    fuzz_put("y", y, ny);
    const char *path = fuzz_put("model.safetensors.index.json", data, n);
    safetensors *s = safetensors_open(FUZZ_DIR, NULL, &e);
    demand_either(s != NULL, &e);
    size_t want = right(data, n);
    demand((s != NULL) == (want > 0), "accepted: every tensor is mapped to the shard that holds it, and nothing else");
    if (s) demand(safetensors_count(s) == want && safetensors_files(s) == want, "all that are listed are there");
    safetensors_close(s);
    shards *list = shards_open(path, &alone);
    demand_either(list != NULL, &alone);
    for (size_t i = 0; list && i < shards_count(list); i++) {
        const char *name = strrchr(shards_path(list, i), '/') + 1;
        demand(strlen(shards_path(list, i)) == strlen(FUZZ_DIR) + 1 + strlen(name) && strcmp(name, "..") && strcmp(name, "."), "a shard lies beside the index");
        demand(!i || strcmp(shards_path(list, i - 1), shards_path(list, i)) < 0, "shards are sorted and apart");
    }
    shards_close(list);
}
