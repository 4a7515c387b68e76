/* PyTorch checkpoints through the reader and the public header: containers, which dict, views, shards, damage. What
 * PyTorch itself writes and reads is compared elsewhere, where there is a PyTorch. */
#include "faults.h"
#include "checkpoints.h"
#include "formats/torch.h"

static const float DATA[6] = {0, 1, 2, 3, 4, 5};
static const view PLAIN = {.storage = "FloatStorage", .key = "0", .numel = 6, .rank = 2, .size = {2, 3}, .stride = {3, 1}};

static void item(bytes *b, const char *name, view v)
{
    pk_str(b, name);
    pk_tensor(b, v);
}

/* Puts `pickle` (a dict's items, closed here) with DATA as storage 0 into a zip, or after the legacy heads. Frees it. */
static const char *save(const char *file, bytes *items, int legacy)
{
    bytes b = {0}, all;
    if (legacy) OP(&b, MAGIC "\x80\2}X\x0d\0\0\0little_endian\x88s.");
    OP(&b, "\x80\2}(");
    put(&b, items->p, items->n);
    OP(&b, "u.");
    if (legacy) {
        OP(&b, "\x80\2]X\1\0\0\0" "0a.");
        put_le(&b, 6, 8);
        put(&b, DATA, sizeof DATA);
        all = b;
    } else {
        archive a = {0};
        archive_add(&a, "model/data.pkl", b.p, b.n, 0);
        archive_add(&a, "model/byteorder", "little", 6, 0);
        archive_add(&a, "model/data/0", DATA, sizeof DATA, 0);
        archive_add(&a, "model/version", "3\n", 2, 0);
        all = archive_end(&a, 0);
        bytes_free(&b);
    }
    const char *path = files_write(file, all.p, all.n);
    bytes_free(&all);
    bytes_free(items);
    return path;
}

static torch *open_ok(const char *path, const torch_options *o)
{
    pith_err e = {{0}};
    torch *x = torch_open(path, o, &e);
    if (!x) fail_msg("%s", e.msg);
    return x;
}

static void refused_with(const char *path, const torch_options *o, const char *words)
{
    pith_err e = {{0}};
    torch *x = torch_open(path, o, &e);
    if (x) fail_msg("%s was accepted; expected a refusal with '%s'", path, words);
    check_words(e.msg, words);
}
static void refused(const char *path, const char *words)
{
    refused_with(path, NULL, words);
    refused_with(path, NULL, path);
}

/* All elements, in pieces of every length, are those at `want` in DATA. */
static void check_elements(const torch *x, const char *name, size_t n, const unsigned char *want)
{
    const torch_entry *t = torch_find(x, name);
    float out[64];
    assert_non_null(t);
    assert_int_equal(tensor_count(t->t), n);
    for (size_t first = 0; first <= n; first++) {
        for (size_t k = 0; first + k <= n; k++) {
            torch_read(x, t, first, k, out);
            for (size_t i = 0; i < k; i++)
                if (out[i] != DATA[want[first + i]]) fail_msg("%s[%zu] is %g, expected %g", name, first + i, (double)out[i], (double)DATA[want[first + i]]);
        }
    }
}

static void test_views(void **state)
{
    (void)state;
    static const struct { const char *name; size_t rank; uint64_t size[4], stride[4], offset; int row; unsigned char at[24]; size_t n; } all[] = {
        {"whole", 2, {2, 3}, {3, 1}, 0, 1, {0, 1, 2, 3, 4, 5}, 6},
        {"transposed", 2, {3, 2}, {1, 3}, 0, 0, {0, 3, 1, 4, 2, 5}, 6},
        {"row", 1, {3}, {1}, 3, 1, {3, 4, 5}, 3},
        {"column", 1, {2}, {3}, 1, 0, {1, 4}, 2},
        {"every second", 1, {3}, {2}, 1, 0, {1, 3, 5}, 3},
        {"block", 2, {2, 2}, {3, 1}, 1, 0, {1, 2, 4, 5}, 4},
        {"block and one", 4, {2, 1, 2, 1}, {3, 77, 1, 9}, 1, 0, {1, 2, 4, 5}, 4},
        {"expanded", 2, {3, 2}, {0, 1}, 2, 0, {2, 3, 2, 3, 2, 3}, 6},
        {"one value", 3, {2, 2, 3}, {0, 0, 0}, 4, 0, {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}, 12},
        {"overlapping", 2, {4, 3}, {1, 1}, 0, 0, {0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5}, 12},
        {"permuted", 3, {3, 1, 2}, {1, 6, 3}, 0, 0, {0, 3, 1, 4, 2, 5}, 6},
        {"inner repeated", 3, {2, 2, 3}, {3, 0, 1}, 0, 0, {0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5}, 12},
        {"scalar", 0, {0}, {0}, 5, 1, {5}, 1},
        {"ones", 3, {1, 1, 1}, {5, 6, 7}, 5, 1, {5}, 1},
        {"odd ones", 3, {1, 6, 1}, {0, 1, 0}, 0, 1, {0, 1, 2, 3, 4, 5}, 6},
        {"empty", 2, {0, 3}, {3, 1}, 6, 1, {0}, 0},
    };
    enum { N = sizeof all / sizeof *all };
    for (int how = 0; how < 4; how++) {
        bytes b = {0};
        for (size_t i = 0; i < N; i++) {
            view v = PLAIN;
            v.rank = all[i].rank;
            v.offset = all[i].offset;
            v.parts = how & 1 ? 6 : 5;
            memcpy(v.size, all[i].size, sizeof v.size);
            memcpy(v.stride, all[i].stride, sizeof v.stride);
            item(&b, all[i].name, v);
        }
        torch *x = open_ok(save("views.pt", &b, how & 1), &(torch_options){.no_mmap = how >> 1});
        assert_int_equal(torch_count(x), N);
        for (size_t i = 0; i < N; i++) {
            const torch_entry *t = torch_at(x, i);
            assert_string_equal(t->name, all[i].name);
            assert_ptr_equal(t, torch_find(x, all[i].name));
            assert_int_equal(t->t.data != NULL, all[i].row);
            assert_int_equal(t->t.nbytes, 4 * all[i].n);
            check_elements(x, all[i].name, all[i].n, all[i].at);
            assert_int_equal(torch_mapped_at(x, t->t.data) != NULL, all[i].row && !(how >> 1));
            torch_release(x, t);
        }
        assert_null(torch_find(x, "none"));
        torch_close(x);
    }
    torch_close(NULL);
}

/* Only the same elements in the same order and type are the same. */
static void test_same(void **state)
{
    (void)state;
    bytes b = {0};
    view flat = {.storage = "FloatStorage", .key = "0", .numel = 6, .rank = 1, .size = {6}, .stride = {1}}, one = PLAIN, empty = PLAIN;
    one.rank = 3, one.size[0] = 2, one.size[1] = 3, one.size[2] = 1, one.stride[0] = 3, one.stride[1] = 1, one.stride[2] = 1;
    view two = one;
    two.stride[2] = 42; /* of a dimension of one: no matter */
    empty.size[0] = 0;
    item(&b, "z", PLAIN);
    item(&b, "flat", flat);
    item(&b, "a", PLAIN);
    item(&b, "one", one);
    item(&b, "b", PLAIN);
    item(&b, "two", two);
    item(&b, "empty", empty);
    item(&b, "also empty", empty);
    static const size_t want[] = {0, 1, 0, 3, 0, 3, 6, 7};
    torch *x = open_ok(save("same.pt", &b, 0), NULL);
    for (size_t i = 0; i < torch_count(x); i++) assert_int_equal(torch_at(x, i)->same, want[i]);
    torch_close(x);
}

/* ---- which dict ---- */

static void open_dict(bytes *b, const char *name)
{
    pk_str(b, name);
    OP(b, "}(");
}

/* {epoch, NAME: {w, note}, other: {v}} */
static const char *nested(const char *name)
{
    bytes b = {0};
    pk_str(&b, "epoch");
    OP(&b, "K\3");
    open_dict(&b, name);
    item(&b, "w", PLAIN);
    pk_str(&b, "note");
    OP(&b, "N");
    OP(&b, "u");
    open_dict(&b, "other");
    open_dict(&b, "deep.er");
    item(&b, "v", PLAIN);
    OP(&b, "uu");
    return save("nested.pt", &b, 0);
}

static void test_root(void **state)
{
    (void)state;
    static const char *const usual[] = {"state_dict", "model_state_dict", "model", "module", "params"};
    char warning[512];
    for (size_t i = 0; i < 5; i++) {
        const char *path = nested(usual[i]);
        torch *x = open_ok(path, NULL);
        assert_string_equal(torch_key(x), usual[i]);
        assert_int_equal(torch_count(x), 1);
        assert_non_null(torch_find(x, "w"));
        assert_int_equal(torch_warnings(x), 2);
        snprintf(warning, sizeof warning, "%s: the tensors are those at %s; left out: epoch, other", path, usual[i]);
        assert_string_equal(torch_warning(x, 0), warning);
        snprintf(warning, sizeof warning, "%s: left out, as they are no tensors: note", path);
        assert_string_equal(torch_warning(x, 1), warning);
        torch_close(x);
    }
    const char *path = nested("net");
    refused(path, "no tensors at the root|there are at net, other.deep.er: say which are meant with --key");
    static const struct { const char *key, *tensor; } good[] = {{"net", "w"}, {"other.deep.er", "v"}};
    for (size_t i = 0; i < 2; i++) {
        torch *x = open_ok(path, &(torch_options){.key = good[i].key});
        assert_string_equal(torch_key(x), good[i].key);
        assert_non_null(torch_find(x, good[i].tensor));
        assert_int_equal(torch_warnings(x), i == 0);
        torch_close(x);
    }
    static const struct { const char *key, *words; } bad[] = {
        {"", "no tensors at key \"\""}, {"nets", "no dict at key nets; there are tensors at net, other.deep.er"}, {"net.w", "no dict at key net.w"}, {"epoch", "no dict at key epoch"},
        {"other", "no tensors at key \"other\""}, {"other.deep", "no dict at key other.deep"}, {"net.net", "no dict at key"}, {".", "no dict at key"}, {"NET", "no dict"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refused_with(path, &(torch_options){.key = bad[i].key}, bad[i].words);
}

/* Tensors deeper in a dict that nobody asked for must not get lost in silence; asked for by name, they may. */
static void test_nested(void **state)
{
    (void)state;
    bytes b = {0};
    item(&b, "w", PLAIN);
    open_dict(&b, "ema");
    item(&b, "w", PLAIN);
    OP(&b, "u");
    const char *path = save("ema.pt", &b, 0);
    refused(path, "ema holds tensors of its own beside those at the root|--key ema, or --key \"\" to leave these out");
    torch *x = open_ok(path, &(torch_options){.key = ""});
    assert_int_equal(torch_warnings(x), 1);
    assert_string_equal(torch_key(x), "");
    torch_close(x);
    x = open_ok(path, &(torch_options){.key = "ema"});
    assert_int_equal(torch_warnings(x), 0);
    torch_close(x);
    item(&b, "w", PLAIN);
    pk_str(&b, "list");
    OP(&b, "]]");
    pk_tensor(&b, PLAIN);
    OP(&b, "aa");
    refused(save("list.pt", &b, 0), "list holds tensors of its own");
    item(&b, "best", PLAIN); /* a lone tensor beside the usual dict does not win over it */
    open_dict(&b, "state_dict");
    item(&b, "w", PLAIN);
    OP(&b, "u");
    x = open_ok(save("best.pt", &b, 0), NULL);
    assert_string_equal(torch_key(x), "state_dict");
    assert_non_null(strstr(torch_warning(x, 0), "left out: best"));
    torch_close(x);
    for (int i = 0; i < 8; i++) {
        char name[] = "n0";
        name[1] = (char)('0' + i);
        pk_str(&b, name);
        OP(&b, "K\1");
    }
    OP(&b, "K\1N");
    item(&b, "w", PLAIN);
    x = open_ok(save("many.pt", &b, 0), NULL);
    assert_non_null(strstr(torch_warning(x, 0), "no tensors: n0, n1, n2, n3, n4, ... (9 in all)"));
    torch_close(x);
}

static void test_names(void **state)
{
    (void)state;
    bytes b = {0};
    item(&b, "w", PLAIN);
    item(&b, "v", PLAIN);
    item(&b, "w", PLAIN);
    refused(save("twice.pt", &b, 0), "duplicate tensor name: w");
    OP(&b, "K\1");
    pk_tensor(&b, PLAIN);
    item(&b, "w", PLAIN);
    refused(save("int.pt", &b, 0), "a tensor whose key is no string");
    OP(&b, "X\3\0\0\0a\0b");
    pk_tensor(&b, PLAIN);
    refused(save("nul.pt", &b, 0), "tensor a\\u0000b: a NUL in its name");
    char *big = calloc(1, 100001); /* one long name, by reference a thousand times */
    memset(big, 'k', 100000);
    item(&b, big, PLAIN);
    pk_str(&b, big);
    OP(&b, "q\0");
    pk_tensor(&b, PLAIN);
    OP(&b, "q\1");
    for (int i = 0; i < 1000; i++) OP(&b, "h\0h\1");
    refused(save("laughs.pt", &b, 0), "names take more bytes than the file has");
    free(big);
    item(&b, "", PLAIN);
    torch *x = open_ok(save("none.pt", &b, 0), NULL); /* an empty name is one */
    assert_non_null(torch_find(x, ""));
    torch_close(x);
    refused(save("empty.pt", &b, 0), "there are no tensors in it");
}

/* ---- damage and traps ---- */

static void test_storages(void **state)
{
    (void)state;
    for (int legacy = 0; legacy < 2; legacy++) {
        bytes b = {0};
        view v = PLAIN;
        v.parts = 5 + legacy;
        v.numel = 7;
        item(&b, "w", v);
        refused(save("more.pt", &b, legacy), legacy ? "storage 0 has 6 elements, expected 7" : "storage 0 has 24 bytes, expected 28");
        v.numel = 6;
        item(&b, "w", v);
        v.storage = "IntStorage";
        item(&b, "v", v);
        refused(save("types.pt", &b, legacy), "storage 0 is described in two ways");
        v = PLAIN, v.parts = 5 + legacy;
        item(&b, "w", v);
        v.key = "1";
        item(&b, "v", v);
        refused(save("missing.pt", &b, legacy), legacy ? "storage 1 is used by a tensor, but not in the file" : "storage 1 is not in the archive");
        v.key = "../byteorder";
        item(&b, "v", v);
        refused(save("dots.pt", &b, legacy), legacy ? "storage 0 is listed, but used by no tensor" : "storage ../byteorder is not in the archive");
        v = PLAIN, v.parts = 6 - legacy;
        item(&b, "w", v);
        refused(save("parts.pt", &b, legacy), legacy ? "5 parts, expected 6" : "6 parts, expected 5");
        v = PLAIN, v.parts = 5 + legacy, v.rank = 1, v.size[0] = 1u << 31, v.stride[0] = 0;
        item(&b, "w", v);
        refused(save("bomb.pt", &b, legacy), "tensor w: with it the tensors would take 8589934592 bytes");
    }
}

/* Flips one bit of storage 0: data is refused, a look at the directory is not. */
static void test_checksum(void **state)
{
    (void)state;
    bytes b = {0};
    item(&b, "w", PLAIN);
    char path[1024];
    snprintf(path, sizeof path, "%s", save("crc.pt", &b, 0));
    size_t n;
    char *all = util_read(path, &n), *at = all;
    while (memcmp(at, DATA, sizeof DATA)) at++;
    at[9] ^= 4;
    files_write("crc.pt", all, n);
    refused(path, "the 24 bytes at|checksum|damaged");
    refused_with(path, &(torch_options){.no_mmap = 1}, "checksum");
    torch *x = open_ok(path, &(torch_options){.header_only = 1});
    assert_null(torch_at(x, 0)->t.data);
    assert_int_equal(torch_at(x, 0)->offset, at - all);
    torch_close(x);
    at[9] ^= 4;
    for (at = all; memcmp(at, "little", 6) || at[6] == 0; at++) {}
    at[0] = 'L';
    files_write("crc.pt", all, n);
    refused(path, "model/byteorder: its bytes do not have the checksum");
    free(all);
}

/* An archive of these members and data.pkl with one tensor. */
static const char *with_member(const char *name, const char *text)
{
    bytes b = {0};
    archive a = {0};
    OP(&b, "}");
    item(&b, "w", PLAIN);
    OP(&b, "s.");
    archive_add(&a, "m/data.pkl", b.p, b.n, 0);
    archive_add(&a, "m/data/0", DATA, sizeof DATA, 0);
    if (name) archive_add(&a, name, text, strlen(text), 0);
    bytes all = archive_end(&a, 1);
    const char *path = files_write("member.pt", all.p, all.n);
    bytes_free(&all);
    bytes_free(&b);
    return path;
}

static void test_containers(void **state)
{
    (void)state;
    torch_close(open_ok(with_member(NULL, NULL), NULL)); /* neither version nor byteorder */
    torch_close(open_ok(with_member("m/byteorder", "little"), NULL));
    torch_close(open_ok(with_member("../../etc/x", "y"), NULL)); /* names are no paths */
    refused(with_member("m/byteorder", "big"), "big-endian");
    refused(with_member("m/byteorder", "middle"), "byteorder is \"middle\"");
    refused(with_member("m/constants.pkl", ""), "TorchScript");
    refused(with_member("n/data.pkl", "x"), "both m/data.pkl and n/data.pkl");
    archive a = {0};
    archive_add(&a, "word/document.xml", "x", 1, 0);
    bytes b = archive_end(&a, 0);
    refused(files_write("x.pt", b.p, b.n), "a zip archive without a data.pkl");
    bytes_free(&b);
#define RAW(text, words) refused(files_write("raw.bin", text, sizeof text - 1), words)
    RAW("", "empty|download it again");
    RAW("PK\3\4", "no end record");
    RAW("\x80\2}q\0.", "a Python pickle whose first part is not that of a PyTorch checkpoint");
    RAW("\x80\2\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x18.", "not one that torch.save wrote");
    RAW("\x80\2\x8a\nl\xfc\x9c" "F\xf9 j\xa8P\x19.\x80\2M\xe8\3.", "protocol version 1000");
    RAW(MAGIC "\x80\2}X\x0d\0\0\0little_endian\x89s.", "big-endian");
    RAW(MAGIC "\x80\2}.\x80\2cos\nsystem\nX\2\0\0\0lsR.", "object, from byte 25: byte 2, GLOBAL: checkpoint wants to call os.system: refused");
    RAW(MAGIC "\x80\2}.\x80\2}.\x80\2}.", "list of storages is not that");
    RAW(MAGIC "\x80\2}.\x80\2}.\x80\2].", "there are no tensors in it");
    RAW(MAGIC "\x80\2}.\x80\2}.\x80\2].\0", "1 bytes behind the last storage");
    RAW(MAGIC "\x80\2}.\x80\2}.\x80\2]K\1a.", "list of storages: number 0 is no string");
    RAW(MAGIC "\x80\2}.\x80\2}.\x80\2]X\1\0\0\0" "7a.", "storage 7 is listed, but used by no tensor");
    RAW(MAGIC "\x80\2}.\x80\2N.\x80\2].", "something else than a dict");
    RAW("GGUF\3\0\0\0", "GGUF|not a PyTorch checkpoint");
    RAW("version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer");
    RAW("<html>404</html>", "web page|download it again");
    RAW("\2\0\0\0\0\0\0\0{}", "safetensors file|.safetensors");
    RAW("\1\2\3\4\5\6\7\x8\x9", "not a PyTorch checkpoint");
    char tar[600] = {0};
    memcpy(tar + 257, "ustar", 5);
    refused(files_write("raw.bin", tar, sizeof tar), "tar archive");
}

/* Every cut of both containers is refused; a changed byte is refused or harmless. */
static void test_mutations(void **state)
{
    (void)state;
    for (int legacy = 0; legacy < 2; legacy++) {
        bytes b = {0};
        view v = PLAIN;
        v.parts = 5 + legacy;
        item(&b, "w", v);
        char path[1024];
        snprintf(path, sizeof path, "%s", save("cut.pt", &b, legacy));
        size_t n;
        char *all = util_read(path, &n);
        for (size_t cut = 0; cut < n; cut++) refused(files_write("cut.pt", all, cut), "");
        for (size_t i = 0; i < n; i++) {
            char old = all[i];
            for (int k = 0; k < 3; k++) {
                pith_err e = {{0}};
                float out[6];
                all[i] = (char)(k == 0 ? old + 1 : k == 1 ? 0 : ~old);
                torch *x = torch_open(files_write("cut.pt", all, n), NULL, &e);
                for (size_t t = 0; x && t < torch_count(x); t++)
                    if (torch_at(x, t)->t.nbytes <= sizeof out) torch_read(x, torch_at(x, t), 0, tensor_count(torch_at(x, t)->t), out);
                if (!x) assert_true(e.msg[0]);
                torch_close(x);
            }
            all[i] = old;
        }
        free(all);
    }
}

/* ---- shards and directories ---- */

static void test_shards(void **state)
{
    (void)state;
    static const char index[] = "{\"metadata\":{\"total_size\":48},\"weight_map\":{\"a\":\"pytorch_model-1.bin\",\"b\":\"pytorch_model-2.bin\"}}";
    bytes b = {0};
    files_mkdir("sharded");
    item(&b, "a", PLAIN);
    save("sharded/pytorch_model-1.bin", &b, 0);
    view v = PLAIN;
    v.parts = 6;
    item(&b, "b", v);
    save("sharded/pytorch_model-2.bin", &b, 1);
    files_write("sharded/pytorch_model.bin.index.json", index, sizeof index - 1);
    for (int i = 0; i < 2; i++) {
        const char *path = files_path(i ? "sharded/pytorch_model.bin.index.json" : "sharded");
        assert_int_equal(torch_is(path), 1);
        torch *x = open_ok(path, NULL);
        assert_int_equal(torch_files(x), 2);
        assert_int_equal(torch_warnings(x), 0);
        assert_int_equal(torch_find(x, "b")->file, 1);
        assert_int_equal(torch_find(x, "b")->same, 1);
        assert_memory_equal(torch_find(x, "b")->t.data, DATA, sizeof DATA);
        assert_string_equal(torch_file_name(x, 1), files_path("sharded/pytorch_model-2.bin"));
        assert_true(torch_file_size(x, 1) > sizeof DATA);
        torch_close(x);
    }
    static const struct { const char *from, *to, *words; } bad[] = {
        {"48", "49", NULL},
        {"\"b\"", "\"c\"", "maps c to pytorch_model-2.bin, which does not hold it"},
        {"model-2", "model-3", "1 of 2 shards are missing: pytorch_model-3.bin"},
        {"pytorch_model-2", "../torch_model2", "plain file name"},
        {"model-2.bin", "model-1.bin", "maps b to pytorch_model-1.bin, which does not hold it"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s", index);
        memcpy(strstr(text, bad[i].from), bad[i].to, strlen(bad[i].to));
        files_write("sharded/pytorch_model.bin.index.json", text, strlen(text));
        if (bad[i].words) {
            refused(files_path("sharded"), bad[i].words);
        } else {
            torch *x = open_ok(files_path("sharded"), NULL);
            assert_string_equal(torch_warning(x, 0), "pytorch_model.bin.index.json: metadata.total_size is 49, the tensors hold 48 bytes");
            torch_close(x);
        }
    }
    files_write("sharded/pytorch_model.bin.index.json", index, sizeof index - 1);
    item(&b, "a", PLAIN);
    save("sharded/pytorch_model-2.bin", &b, 0);
    refused(files_path("sharded"), "tensor a is both in|model-1.bin|model-2.bin");
    open_dict(&b, "model");
    item(&b, "b", PLAIN);
    OP(&b, "u");
    save("sharded/pytorch_model-2.bin", &b, 0);
    refused(files_path("sharded"), "its tensors lie at \"model\"");
    item(&b, "a", PLAIN);
    save("sharded/pytorch_model.bin", &b, 0); /* a whole file is preferred */
    torch *x = open_ok(files_path("sharded"), NULL);
    assert_int_equal(torch_files(x), 1);
    torch_close(x);
}

static void test_is(void **state)
{
    (void)state;
    bytes b = {0};
    files_mkdir("dir");
    assert_int_equal(torch_is(files_path("dir")), 0);
    refused(files_path("dir"), "no pytorch_model.bin and no pytorch_model.bin.index.json here");
    item(&b, "a", PLAIN);
    save("dir/pytorch_model.bin", &b, 0);
    assert_int_equal(torch_is(files_path("dir")), 1);
    item(&b, "a", PLAIN);
    assert_int_equal(torch_is(save("dir/weights", &b, 0)), 1); /* by its first bytes */
    item(&b, "a", PLAIN);
    assert_int_equal(torch_is(save("dir/stream", &b, 1)), 1);
    assert_int_equal(torch_is(files_write("x.pth", "hello", 5)), 1); /* by its name */
    assert_int_equal(torch_is(files_write("x.PT", "", 0)), 1);
    assert_int_equal(torch_is(files_write("x.dat", "hello", 5)), 0);
    assert_int_equal(torch_is(files_write("y.dat", "", 0)), 0);
    assert_int_equal(torch_is(files_path("nothing.bin")), 0);
    char *text = malloc(0x0280); /* a header whose length reads as the beginning of a pickle */
    memset(text, ' ', 0x0280);
    memcpy(text, "{}", 2);
    assert_int_equal(torch_is(files_st("dir/model.safetensors", text, 0x0280, "", 0)), 0);
    free(text);
    assert_int_equal(torch_is(files_path("dir")), 0); /* safetensors is preferred */
    refused(files_path("nothing.bin"), "cannot open");
}

/* ---- faults ---- */

/* Opens path with the n-th allocation failing for n = 1, 2, ... until none does. */
static void every_allocation(const char *path, const torch_options *o)
{
    for (long n = 1;; n++) {
        pith_err e = {{0}};
        calls = 0;
        fail_at = n;
        torch *x = torch_open(path, o, &e);
        int reached = calls >= n;
        fail_at = 0;
        if (!reached) {
            if (!x) fail_msg("refused without a failed allocation: %s", e.msg);
            assert_true(n > 10);
            torch_close(x);
            return;
        }
        if (x) fail_msg("allocation %ld failed and nobody noticed", n);
        if (!strstr(e.msg, "out of memory") && !strstr(e.msg, "cannot map") && !strstr(e.msg, "JSON")) fail_msg("allocation %ld failed: '%s'", n, e.msg);
    }
}

static void test_allocations(void **state)
{
    (void)state;
    static const char index[] = "{\"weight_map\":{\"w\":\"x.bin\"}}";
    files_mkdir("faults");
    for (int legacy = 0; legacy < 2; legacy++) {
        bytes b = {0};
        view v = PLAIN;
        v.parts = 5 + legacy;
        item(&b, "w", v);
        pk_str(&b, "note");
        OP(&b, "N");
        char path[1024];
        snprintf(path, sizeof path, "%s", save("faults/x.bin", &b, legacy));
        every_allocation(path, NULL);
        every_allocation(path, &(torch_options){.no_mmap = 1});
        every_allocation(path, &(torch_options){.header_only = 1, .key = ""});
    }
    files_write("faults/pytorch_model.bin.index.json", index, sizeof index - 1);
    every_allocation(files_path("faults"), NULL);
}

/* ---- the public header ---- */

static void test_weights(void **state)
{
    (void)state;
    bytes b = {0};
    view t = PLAIN, half = {.storage = "FloatStorage", .key = "0", .numel = 6, .rank = 1, .size = {2}, .stride = {3}, .offset = 1};
    t.size[0] = 3, t.size[1] = 2, t.stride[0] = 1, t.stride[1] = 3;
    open_dict(&b, "model");
    item(&b, "w", PLAIN);
    item(&b, "t", t);
    item(&b, "tied", PLAIN);
    item(&b, "column", half);
    OP(&b, "u");
    const char *path = save("weights.pt", &b, 0);
    for (int how = 0; how < 3; how++) {
        pith_err e = {{0}};
        pith_weights *w = pith_weights_open(path, &(pith_weights_options){.no_mmap = how == 1, .header_only = how == 2}, &e);
        pith_tensor x;
        uint64_t size;
        float f[6];
        if (!w) fail_msg("%s", e.msg);
        assert_string_equal(pith_weights_format(w), "PyTorch");
        assert_string_equal(pith_weights_key(w), "model");
        assert_int_equal(pith_weights_count(w), 4);
        assert_int_equal(pith_weights_files(w), 1);
        assert_string_equal(pith_weights_file(w, 0, &size), path);
        assert_null(pith_weights_file(w, 1, NULL));
        assert_int_equal(pith_weights_metadata_count(w, 0), 0);
        assert_int_equal(pith_weights_warnings(w), 0);
        assert_null(pith_weights_warning(w, 0));
        assert_int_equal(pith_weights_same(w, 2), 0);
        assert_int_equal(pith_weights_same(w, 1), 1);
        assert_int_equal(pith_weights_same(w, 99), 99);
        assert_int_equal(pith_weights_find(w, "x", &x), -1);
        assert_int_equal(pith_weights_at(w, 4, &x), -1);
        assert_int_equal(pith_weights_find(w, "t", &x), 0);
        assert_string_equal(x.dtype, "F32");
        assert_true(x.rank == 2 && x.shape[0] == 3 && x.nbytes == 24 && !x.data);
        if (how == 2) {
            assert_int_equal(pith_weights_read(w, 0, 0, 1, f, &e), -1);
            assert_string_equal(e.msg, "w: opened for headers only; open it with data");
        } else {
            assert_int_equal(pith_weights_read(w, 1, 1, 4, f, &e), 0);
            assert_true(f[0] == 3 && f[1] == 1 && f[2] == 4 && f[3] == 2);
            assert_int_equal(pith_weights_read_f32(w, 3, 0, 2, f, &e), 0);
            assert_true(f[0] == 1 && f[1] == 4);
            assert_int_equal(pith_weights_read_f32(w, 0, 0, 6, f, &e), 0);
            assert_memory_equal(f, DATA, sizeof DATA);
            assert_int_equal(pith_weights_read(w, 1, 3, 4, f, &e), -1);
            assert_string_equal(e.msg, "t: elements [3,+4) asked for, it has 6");
            assert_int_equal(pith_weights_read(w, 1, UINT64_MAX, 2, f, NULL), -1);
            pith_weights_find(w, "w", &x);
            assert_int_equal(pith_weights_mapped_at(w, x.data) != NULL, how == 0);
        }
        for (size_t i = 0; i < 5; i++) pith_weights_release(w, i);
        pith_weights_close(w);
    }
    pith_err e = {{0}};
    assert_null(pith_weights_open(path, &(pith_weights_options){.key = "none"}, &e));
    check_words(e.msg, "no dict at key none|model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views), cmocka_unit_test(test_same), cmocka_unit_test(test_root), cmocka_unit_test(test_nested), cmocka_unit_test(test_names),
        cmocka_unit_test(test_storages), cmocka_unit_test(test_checksum), cmocka_unit_test(test_containers), cmocka_unit_test(test_mutations), cmocka_unit_test(test_shards),
        cmocka_unit_test(test_is), cmocka_unit_test(test_allocations), cmocka_unit_test(test_weights),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
