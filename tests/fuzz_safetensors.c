/* Fuzzing of the safetensors reader: any bytes at all are a file; bytes that begin like JSON are also an index beside
 * two good shards. What is accepted must hang together: every tensor findable, inside its file, readable.
 * Built with -fsanitize=fuzzer libFuzzer drives it; built without (-DREPLAY) main() runs the files it is given. */
#define _GNU_SOURCE
#include "formats/safetensors.h"
#include "fuzz.h"

static volatile unsigned sink; /* what is read must be read */

static void one(const char *path, const safetensors_options *o)
{
    pith_err e = {{0}};
    safetensors *s = safetensors_open(path, o, &e);
    if (!s) {
        demand_message(e.msg);
        return;
    }
    for (size_t i = 0; i < safetensors_count(s); i++) {
        const safetensors_entry *x = safetensors_at(s, i);
        demand(safetensors_find(s, x->name) == x, "every tensor is found by its name");
        demand(x->offset + x->t.nbytes <= safetensors_file_size(s, x->file), "every tensor lies in its file");
        for (size_t k = 0; k < x->t.rank; k++) sink += (unsigned)x->t.shape[k];
        for (uint64_t k = 0; x->t.data && k < x->t.nbytes; k++) sink += ((const uint8_t *)x->t.data)[k];
        demand((x->t.data == NULL) == o->header_only, "data is there unless only headers were asked for");
        safetensors_release(s, x);
    }
    for (size_t f = 0; f < safetensors_files(s); f++) {
        for (size_t i = 0; i < safetensors_metadata_count(s, f); i++) {
            const char *k, *v;
            safetensors_metadata_at(s, f, i, &k, &v);
            sink += (unsigned)(strlen(k) + strlen(v));
        }
    }
    for (size_t i = 0; i < safetensors_warnings(s); i++) sink += (unsigned)strlen(safetensors_warning(s, i));
    safetensors_close(s);
}

static char dir[64];

static void remove_dir(void)
{
    static const char *const names[] = {"x", "y", "model.safetensors.index.json"};
    char path[128];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void write_file(const char *name, const void *data, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    demand(f && fwrite(data, 1, n, f) == n && fclose(f) == 0, "a file can be written");
}

static void make_dir(void)
{
    static const char index[] = "{\"weight_map\":{\"a\":\"x\",\"b\":\"y\"}}";
    char text[80];
    snprintf(dir, sizeof dir, "/tmp/pith-fuzz-XXXXXX");
    demand(mkdtemp(dir) != NULL, "a folder can be made");
    atexit(remove_dir);
    for (int i = 0; i < 2; i++) {
        int n = snprintf(text + 8, sizeof text - 8, "{\"%c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 'a' + i);
        memset(text, 0, 8);
        text[0] = (char)n;
        write_file(i ? "y" : "x", text, (size_t)(8 + n + 1));
    }
    write_file("model.safetensors.index.json", index, sizeof index - 1);
    safetensors *s = safetensors_open(dir, NULL, NULL);
    demand(s != NULL, "the good index and its shards are accepted");
    safetensors_close(s);
}

static void as_index(const uint8_t *data, size_t n)
{
    if (!dir[0]) make_dir();
    write_file("model.safetensors.index.json", data, n);
    one(dir, &(safetensors_options){0});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static int fd = -1;
    char path[64];
    fuzz_file(&fd, path, data, n);
    one(path, &(safetensors_options){0});
    one(path, &(safetensors_options){.no_mmap = 1});
    one(path, &(safetensors_options){.header_only = 1});
    if (n && data[0] == '{') as_index(data, n);
    return 0;
}
