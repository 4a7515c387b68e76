/* Manifests: what differs is told to the block, and what only lies elsewhere is not a failure. */
#include "verify.h"
#include "base/json.h"
#include "pith.h"
#include "src/verify.h"
#include <math.h>

static const char *const root = "tests/golden/models/distilbert-sharded";
static const unsigned ONLY = ~(1u << PITH_CHECK_CHECKSUMS);

static void write_manifest(const char *dir, const char *to)
{
    pith_err e = {{0}};
    pith_verify_options o = {.manifest = to, .replace = 1, .skip = ~0u, .threads = 2};
    if (pith_verify(dir, &o, NULL, &e)) fail_msg("%s", e.msg);
}

static void compares(const char *dir, const char *against, const char *want)
{
    static const pith_verify_options how[] = {{.threads = 1}, {.threads = 3}, {.threads = 2, .no_mmap = 1}};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        pith_verify_options o = how[i];
        o.against = against;
        const found *f = verify_run(dir, ONLY, &o);
        if (strcmp(f->text, want)) fail_msg("%s:\nfound\n%sexpected\n%s", dir, f->text, want);
        assert_int_equal(f->v.done, 1u << PITH_CHECK_CHECKSUMS);
    }
}

static void refused(const char *dir, const pith_verify_options *o, const char *want)
{
    pith_err e = {{0}};
    assert_int_equal(pith_verify(dir, o, NULL, &e), -1);
    if (!strstr(e.msg, want)) fail_msg("'%s' lacks '%s'", e.msg, want);
}

/* Every sum is that of the bytes: sha256 as coreutils has it, xxh3 as of the tensor's own bytes. */
static void test_sums(void **state)
{
    (void)state;
    const char *path = files_path("sums.json");
    char command[1024], line[1024];
    write_manifest(root, path);
    pith_err e = {{0}};
    json_doc *d = json_load(path, &e);
    assert_non_null(d);
    size_t files = 0, tensors = 0;
    for (json c = json_first(json_get(json_root(d), "files")); c.node; c = json_next(c), files++) {
        snprintf(command, sizeof command, "sha256sum %s/%s", root, json_str(json_get(c, "name")));
        FILE *f = popen(command, "r");
        assert_non_null(fgets(line, sizeof line, f));
        assert_int_equal(pclose(f), 0);
        line[64] = 0;
        assert_string_equal(json_str(json_get(c, "sha256")), line);
    }
    pith_weights *w = pith_weights_open(root, NULL, NULL);
    for (json c = json_first(json_get(json_root(d), "tensors")); c.node; c = json_next(c), tensors++) {
        pith_tensor t;
        assert_int_equal(pith_weights_find(w, json_str(json_get(c, "name")), &t), 0);
        snprintf(line, sizeof line, "%016llx", (unsigned long long)pith_hash(t.data, t.nbytes));
        assert_string_equal(json_str(json_get(c, "xxh3")), line);
        assert_string_equal(json_str(json_get(c, "dtype")), t.dtype);
        assert_int_equal(json_len(json_get(c, "shape")), t.rank);
        const char *blocks = json_str(json_get(c, "blocks"));
        assert_int_equal(strlen(blocks), t.nbytes > 65536 ? (t.nbytes + 65535) / 65536 * 16 : 0);
        for (size_t i = 0; blocks[16 * i]; i++) {
            uint64_t n = t.nbytes - i * 65536 < 65536 ? t.nbytes - i * 65536 : 65536;
            snprintf(line, sizeof line, "%016llx", (unsigned long long)pith_hash((const char *)t.data + i * 65536, n));
            assert_memory_equal(blocks + 16 * i, line, 16);
        }
    }
    assert_int_equal(files, 5);
    assert_int_equal(tensors, pith_weights_count(w));
    pith_weights_close(w);
    json_free(d);
}

/* 5.2 MB in one tensor, so that chunks and windows have borders, then changed here and there. */
static void test_blocks(void **state)
{
    (void)state;
    enum { N = 80 * 65536 + 12 };
    char *data = calloc(N, 1);
    for (size_t i = 0; i < N; i++) data[i] = (char)(i * 31 + i / 65536);
    const char *dir = files_mkdir("blocks"), *m = files_path("blocks.json");
    char d[1024], file[1024];
    snprintf(d, sizeof d, "%s", dir);
    snprintf(file, sizeof file, "%.900s/model.safetensors", d);
    verify_put(d, "config.json", "{}");
#define SAVE()                                                                                                                       \
    do {                                                                                                                             \
        parts x = {calloc(8, sizeof(part)), 0};                                                                                      \
        verify_add(&x, "small", "U8", "3", "abc", 3);                                                                                \
        verify_add(&x, "large", "U8", "5242892", data, N);                                                                           \
        verify_add(&x, "empty", "F32", "0", "", 0);                                                                                  \
        verify_join(&x, "blocks/model.safetensors");                                                                                 \
    } while (0)
    SAVE();
    write_manifest(d, m);
    compares(d, m, "");
    data[20 * 65536] ^= 1, data[21 * 65536 + 5] ^= 1;
    SAVE();
    compares(d, m, "checksums ! large: bytes 1,310,720-1,441,791 differ (2 of 81 blocks, 2.47%)\nchecksums ! model.safetensors: sha256 differs from the manifest's\n");
    data[N - 1] ^= 1, data[0] ^= 1, data[16 * 65536] ^= 1;
    SAVE();
    compares(d, m, "checksums ! large: bytes 0-65,535, 1,048,576-1,114,111, 1,310,720-1,441,791, 5,242,880-5,242,891 differ (5 of 81 blocks, 6.17%)\n"
                   "checksums ! model.safetensors: sha256 differs from the manifest's\n");
    data[30 * 65536] ^= 1;
    SAVE();
    compares(d, m, "checksums ! large: bytes 0-65,535, 1,048,576-1,114,111, 1,310,720-1,441,791, 1,966,080-2,031,615, ... differ (6 of 81 blocks, 7.41%)\n"
                   "checksums ! model.safetensors: sha256 differs from the manifest's\n");
    /* the file alone against the manifest of its directory */
    compares(file, m, "checksums ! large: bytes 0-65,535, 1,048,576-1,114,111, 1,310,720-1,441,791, 1,966,080-2,031,615, ... differ (6 of 81 blocks, 7.41%)\n"
                      "checksums ! model.safetensors: sha256 differs from the manifest's\n");
    free(data);
}

static void test_differences(void **state)
{
    (void)state;
    char m[1024];
    const char *d = verify_copy("differ", "tests/golden/models/distilbert-f32");
    snprintf(m, sizeof m, "%s", files_path("differ.json"));
    write_manifest(d, m);
    verify_put(d, "generation_config.json", "{}");
    compares(d, m, "checksums - generation_config.json: is not in the manifest\n");
    unlink(files_path("differ/generation_config.json"));
    /* the same tensors in another order are a remark */
    parts x = verify_split(files_path("differ/model.safetensors"));
    part first = x.p[0];
    x.p[0] = x.p[x.n - 1], x.p[x.n - 1] = first;
    verify_join(&x, "differ/model.safetensors");
    compares(d, m, "checksums - : all 40 tensors are equal, but the files of weights are not: they are cut, ordered or described in another way\n");
    x = verify_split(files_path("differ/model.safetensors"));
    verify_drop(&x, "classifier.bias");
    strcpy(verify_part(&x, "distilbert.transformer.layer.0.ffn.lin2.weight")->shape, "136,64");
    strcpy(verify_part(&x, "distilbert.transformer.layer.0.ffn.lin2.bias")->dtype, "U32");
    verify_part(&x, "pre_classifier.bias")->data[9] ^= 4;
    verify_add(&x, "a.new", "F32", "", "abcd", 4);
    verify_join(&x, "differ/model.safetensors");
    verify_put(d, "config.json", "{ }");
    compares(d, m,
             "checksums ! a.new: is not in the manifest (F32 [])\n"
             "checksums ! classifier.bias: is not there, the manifest has it (F32 [2])\n"
             "checksums ! distilbert.transformer.layer.0.ffn.lin2.bias: is U32 [64], in the manifest F32 [64]\n"
             "checksums ! distilbert.transformer.layer.0.ffn.lin2.weight: is F32 [136,64], in the manifest F32 [64,136]\n"
             "checksums ! pre_classifier.bias: bytes 0-255 differ (its only block)\n"
             "checksums ! config.json: has 3 bytes, in the manifest 1,450\n"
             "checksums ! model.safetensors: has 448,392 bytes, in the manifest 448,440\n");
}

/* Cut into one file instead of three: nothing fails. A broken shard does, and a missing one. */
static void test_shards(void **state)
{
    (void)state;
    char m[1024];
    snprintf(m, sizeof m, "%s", files_path("shards.json"));
    const char *d = verify_copy("shards", root), *one = verify_copy("one", root);
    write_manifest(d, m);
    parts all = {calloc(64, sizeof(part)), 0};
    for (int i = 1; i <= 3; i++) {
        char name[128];
        snprintf(name, sizeof name, "one/model-0000%d-of-00003.safetensors", i);
        parts x = verify_split(files_path(name));
        memcpy(all.p + all.n, x.p, x.n * sizeof *x.p);
        all.n += x.n;
        free(x.p);
        unlink(files_path(name));
    }
    unlink(files_path("one/model.safetensors.index.json"));
    verify_join(&all, "one/model.safetensors");
    compares(one, m, "checksums - : all 40 tensors are equal, but the files of weights are not: they are cut, ordered or described in another way\n");
    size_t n;
    char *text = util_read(files_path("shards/model-00001-of-00003.safetensors"), &n);
    verify_write(d, "model-00001-of-00003.safetensors", text, n - 5);
    free(text);
    unlink(files_path("shards/model-00003-of-00003.safetensors"));
    const found *f = verify_run(d, 0, &(pith_verify_options){.against = m});
    const char *sums = strstr(f->text, "checksums");
    assert_string_equal(sums, "checksums ! model-00001-of-00003.safetensors: has 122,419 bytes, in the manifest 122,424\n"
                              "checksums ! model-00003-of-00003.safetensors: is not there, the manifest has it\n");
    f = verify_run(d, 0, &(pith_verify_options){.manifest = files_path("no.json")});
    assert_non_null(strstr(f->text, "checksums ! : the manifest was not written: the weights do not open\n"));
    assert_int_not_equal(access(files_path("no.json"), F_OK), 0);
}

static void test_refused(void **state)
{
    (void)state;
#define HEAD "{\"kind\":\"pith-manifest\",\"version\":1,\"block\":65536,"
#define SUM "\"xxh3\":\"0123456789abcdef\""
    static const struct { const char *text, *want; } all[] = {
        {"{", "bad.json: not valid JSON at line 1"},
        {"[]", "bad.json: kind is missing"},
        {"{\"kind\":\"pith-recording\"}", "bad.json: kind: expected \"pith-manifest\", found \"pith-recording\""},
        {"{\"kind\":\"pith-manifest\",\"version\":2}", "bad.json: version: expected a whole number from 1 to 1, found 2"},
        {"{\"kind\":\"pith-manifest\",\"version\":1,\"block\":4096}", "bad.json: block: expected a whole number from 65536 to 65536, found 4096"},
        {HEAD "\"files\":{}}", "bad.json: files: expected an array, found an object"},
        {HEAD "\"files\":[]}", "bad.json: tensors is missing"},
        {HEAD "\"files\":[{\"name\":\"a\",\"bytes\":1,\"sha256\":\"00\"}],\"tensors\":[]}", "bad.json: files[0].sha256: expected 64 hex digits, found \"00\""},
        {HEAD "\"files\":[],\"tensors\":[{\"name\":\"a\"}]}", "bad.json: tensors[0].dtype is missing"},
        {HEAD "\"files\":[],\"tensors\":[{\"name\":\"a\",\"dtype\":\"F32\",\"shape\":[-1]," SUM "}]}", "bad.json: tensors[0].shape[0]: expected a whole number"},
        {HEAD "\"files\":[],\"tensors\":[{\"name\":\"a\",\"dtype\":\"F32\",\"shape\":[],\"xxh3\":\"0x23456789abcdef\"}]}", "bad.json: tensors[0].xxh3: expected 16 hex digits"},
        {HEAD "\"files\":[],\"tensors\":[{\"name\":\"a\",\"dtype\":\"F32\",\"shape\":[]," SUM ",\"blocks\":\"00\"}]}", "bad.json: tensors[0].blocks: expected 16 hex digits for each block"},
        {HEAD "\"files\":[],\"tensors\":[{\"name\":\"a\",\"dtype\":\"F32\",\"shape\":[]," SUM "},{\"name\":\"a\",\"dtype\":\"F32\",\"shape\":[]," SUM "}]}",
         "bad.json: tensor \"a\" is listed twice"},
        {HEAD "\"files\":[],\"tensors\":[{\"name\":\"distilbert.embeddings.word_embeddings.weight\",\"dtype\":\"F32\",\"shape\":[515,64]," SUM "}]}",
         "the manifest: tensor \"distilbert.embeddings.word_embeddings.weight\" has 0 blocks, expected 3"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *path = files_write("bad.json", all[i].text, strlen(all[i].text));
        refused(root, &(pith_verify_options){.against = path}, all[i].want);
    }
    refused(root, &(pith_verify_options){.against = files_path("none.json")}, "none.json: cannot open");
    const char *there = files_write("there.json", "x", 1);
    refused(root, &(pith_verify_options){.manifest = there}, "there.json");
    char *kept = util_read(there, NULL);
    assert_string_equal(kept, "x");
    free(kept);
    refused(root, &(pith_verify_options){.manifest = files_path("no/such.json")}, "no/such.json");
}

static int stop(void *ctx, pith_check check, uint64_t done, uint64_t total)
{
    uint64_t *seen = ctx;
    assert_int_equal(check, PITH_CHECK_CHECKSUMS);
    assert_true(done <= total);
    return done == total ? (int)(seen[0] = total, 0) : (int)seen[1];
}

/* A stopped run leaves the manifest as it was, and nothing beside it. */
static void test_stop(void **state)
{
    (void)state;
    uint64_t seen[2] = {0, 1};
    const char *d = files_mkdir("stop"), *m = files_path("stop/m.json");
    files_write("stop/m.json", "old", 3);
    pith_verify_options o = {.manifest = m, .replace = 1, .on_progress = stop, .ctx = seen};
    assert_int_equal(pith_verify(root, &o, NULL, NULL), 1);
    char *text = util_read(m, NULL);
    assert_string_equal(text, "old");
    free(text);
    DIR *x = opendir(d);
    size_t n = 0;
    while (readdir(x)) n++;
    closedir(x);
    assert_int_equal(n, 3);
    seen[1] = 0;
    assert_int_equal(pith_verify(root, &o, NULL, NULL), 0);
    assert_true(seen[0] > 443976); /* bytes of files */
}

/* Tensors whose elements do not lie in a row are gathered: the same sums and counts as of those that do. */
static void test_gathered(void **state)
{
    (void)state;
    enum { N = 70000 };
    static float x[N];
    for (size_t i = 0; i < N; i++) x[i] = i / 16384 == 2 ? 0 : (float)i;
    x[3] = 1e-40f, x[N - 1] = NAN;
    parts p = {calloc(8, sizeof(part)), 0};
    verify_add(&p, "large", "F32", "2,35000", x, sizeof x);
    verify_add(&p, "small", "F32", "3", x + 5, 12);
    verify_join(&p, "gathered.safetensors");
    const char *path = files_path("gathered.safetensors");
    pith_weights *w = pith_weights_open(path, NULL, NULL);
    pith_verdict out = {0};
    verify_tensor t[2][2];
    for (int how = 0; how < 2; how++) {
        verify_file file = {.path = (char *)(uintptr_t)path, .name = "gathered.safetensors", .weights = 1};
        pith_weights_file(w, 0, &file.bytes);
        verify v = {.path = path, .out = &out, .w = w, .files = &file, .n_files = 1, .tensors = t[how], .n_tensors = 2, .threads = 1 + how, .scan = 1, .digest = 1,
                    .as_stored = !how};
        for (size_t i = 0; i < 2; i++) {
            t[how][i] = (verify_tensor){.w = w, .index = i, .nan = UINT64_MAX, .inf = UINT64_MAX, .type = DT_F32};
            pith_weights_at(w, i, &t[how][i].t);
            if (how) t[how][i].t.data = NULL;
        }
        pith_err e = {{0}};
        if (verify_pass(&v, &e)) fail_msg("%s", e.msg);
    }
    for (size_t i = 0; i < 2; i++) {
        const verify_tensor *a = &t[0][i], *b = &t[1][i];
        assert_true(a->hash == b->hash && a->hash == pith_hash(a->t.data, a->t.nbytes));
        assert_memory_equal(a->blocks, b->blocks, a->n_blocks * sizeof *a->blocks);
        assert_memory_equal(&a->values, &b->values, 4 * sizeof(uint64_t));
        assert_true(a->nan == b->nan && a->inf == b->inf && a->zero_blocks == b->zero_blocks && a->first_zero == b->first_zero);
        free(a->blocks);
        free(b->blocks);
    }
    assert_true(t[1][0].n_blocks == 5 && t[1][0].nan == N - 1 && t[1][0].inf == UINT64_MAX && t[1][0].zero_blocks == 1 && t[1][0].first_zero == 2);
    assert_true(t[1][0].values.n_nan == 1 && t[1][0].values.n_denormal == 1 && t[1][0].values.n_zero == 16384 + 1);
    pith_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_blocks), cmocka_unit_test(test_differences),
                                       cmocka_unit_test(test_shards), cmocka_unit_test(test_refused), cmocka_unit_test(test_stop), cmocka_unit_test(test_gathered)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
