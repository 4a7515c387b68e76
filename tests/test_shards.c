/* A model in several files: the index's rules, and shards that do not agree with it. */
#include "files.h"
#include "formats/shards.h"

#define T(name, n) "{\"" name "\":{\"dtype\":\"U8\",\"shape\":[" #n "],\"data_offsets\":[0," #n "]}}"
#define A "model-00001-of-00002.safetensors"
#define B "model-00002-of-00002.safetensors"
#define INDEX "model.safetensors.index.json"

static const char *folder(void)
{
    static int n;
    static char name[16];
    snprintf(name, sizeof name, "m%d", n++);
    files_mkdir(name);
    return name;
}

static const char *in(const char *dir, const char *file)
{
    static char buf[4][256];
    static unsigned turn;
    char *p = buf[turn++ % 4];
    snprintf(p, 256, "%s/%s", dir, file);
    return p;
}

/* A folder with shard A (tensor a, 3 bytes), shard B (tensor b, 2 bytes) and this index. */
static const char *make(const char *index)
{
    const char *dir = folder();
    files_st(in(dir, A), T("a", 3), 0, "abc", 3);
    files_st(in(dir, B), T("b", 2), 0, "de", 2);
    files_write(in(dir, INDEX), index, strlen(index));
    return dir;
}

static void refuse(const char *index, const char *words)
{
    const char *dir = make(index);
    files_refused(files_path(dir), words);
    files_refused(files_path(dir), INDEX);
}

static void test_good(void **state)
{
    (void)state;
    const char *dir = make("{\"metadata\":{\"total_size\":5},\"weight_map\":{\"b\":\"" B "\",\"a\":\"" A "\"}}");
    for (int mode = 0; mode < 4; mode++) {
        safetensors_options o = {.no_mmap = mode & 1};
        safetensors *s = files_open(files_path(mode & 2 ? in(dir, INDEX) : dir), &o);
        assert_int_equal(safetensors_files(s), 2);
        assert_int_equal(safetensors_count(s), 2);
        assert_int_equal(safetensors_warnings(s), 0);
        assert_string_equal(safetensors_file_name(s, 0), files_path(in(dir, A)));
        assert_int_equal(safetensors_file_size(s, 1), 8 + strlen(T("b", 2)) + 2);
        const safetensors_entry *b = safetensors_find(s, "b");
        assert_ptr_equal(b, safetensors_at(s, 1));
        assert_int_equal(b->file, 1);
        assert_memory_equal(b->t.data, "de", 2);
        assert_memory_equal(safetensors_find(s, "a")->t.data, "abc", 3);
        if (!o.no_mmap) assert_string_equal(safetensors_mapped_at(s, b->t.data), files_path(in(dir, B)));
        safetensors_close(s);
    }
    /* a whole file beside it is preferred */
    files_st(in(dir, "model.safetensors"), T("c", 1), 0, "f", 1);
    safetensors *s = files_open(files_path(dir), NULL);
    assert_int_equal(safetensors_files(s), 1);
    assert_non_null(safetensors_find(s, "c"));
    safetensors_close(s);
}

static void test_total_size(void **state)
{
    (void)state;
    safetensors *s = files_open(files_path(make("{\"metadata\":{\"total_size\":6},\"weight_map\":{\"b\":\"" B "\",\"a\":\"" A "\"}}")), NULL);
    assert_int_equal(safetensors_warnings(s), 1);
    assert_string_equal(safetensors_warning(s, 0), INDEX ": metadata.total_size is 6, the tensors hold 5 bytes");
    safetensors_close(s);
    s = files_open(files_path(make("{\"weight_map\":{\"b\":\"" B "\",\"a\":\"" A "\"}}")), NULL);
    assert_int_equal(safetensors_warnings(s), 0);
    safetensors_close(s);
}

static void test_refused(void **state)
{
    (void)state;
    refuse("{\"weight_map\":{}}", "weight_map is empty");
    refuse("{}", "weight_map");
    refuse("[]", "weight_map");
    refuse("{\"weight_map\":{\"a\":1}}", "expected a file name");
    refuse("{\"weight_map\"", "JSON");
    refuse("", "empty");
    refuse("{\"weight_map\":{\"a\":\"../" A "\"}}", "maps a to \"../" A "\"|plain file name");
    refuse("{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain file name");
    refuse("{\"weight_map\":{\"a\":\"..\"}}", "plain file name");
    refuse("{\"weight_map\":{\"a\":\"\"}}", "plain file name");
    refuse("{\"weight_map\":{\"a\":\"" A "\",\"b\":\"" A "\"}}", "maps b to " A "|does not hold it");
    refuse("{\"weight_map\":{\"a\":\"" B "\",\"b\":\"" B "\"}}", "maps a to " B "|does not hold it");
    refuse("{\"weight_map\":{\"a\":\"" B "\",\"b\":\"" A "\"}}", "maps a to " B "|lies in " A);
    refuse("{\"weight_map\":{\"a\":\"" A "\",\"b\":\"" B "\",\"c\":\"" B "\"}}", "maps c to " B "|does not hold it");
    refuse("{\"weight_map\":{\"a\":\"" A "\",\"b\":\"" B "\",\"a\":\"" A "\"}}", "lists a twice");
    refuse("{\"weight_map\":{\"a\":\"" A "\",\"b\":\"x1\",\"c\":\"x2\",\"d\":\"x3\",\"e\":\"x4\"}}", "4 of 5 shards are missing: x1, x2, x3, ...|download");
    refuse("{\"weight_map\":{\"a\":\"" A "\",\"b\":\"a\\u001b[2J\"}}", "1 of 2 shards are missing: a\\u001b[2J");
}

static void test_bad_shards(void **state)
{
    (void)state;
    static const char index[] = "{\"weight_map\":{\"b\":\"" B "\",\"a\":\"" A "\"}}";
    const char *dir = make(index);
    files_st(in(dir, B), T("a", 2), 0, "de", 2);
    files_refused(files_path(dir), "tensor a is both in|" A "|" B);
    files_st(in(dir, B), "{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"extra\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[2,2]}}", 0, "de", 2);
    files_refused(files_path(dir), B " holds extra, which the index does not list");
    files_write(in(dir, B), "version https://git-lfs.github.com/spec/v1\nsize 9\n", 50);
    files_refused(files_path(dir), B "|git-lfs pointer");
    files_st(in(dir, B), T("b", 2), 0, "d", 1);
    files_refused(files_path(dir), B "|truncated");
    unlink(files_path(in(dir, B)));
    files_mkdir(in(dir, B));
    files_refused(files_path(dir), B "|is a directory");
}

static void test_golden(void **state)
{
    (void)state;
    safetensors *s = files_open(util_need("golden/models/distilbert-sharded"), NULL);
    assert_true(safetensors_files(s) > 1);
    assert_int_equal(safetensors_warnings(s), 0);
    for (size_t i = 1; i < safetensors_count(s); i++) assert_true(safetensors_at(s, i)->file >= safetensors_at(s, i - 1)->file);
    safetensors_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_total_size), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_bad_shards), cmocka_unit_test(test_golden)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
