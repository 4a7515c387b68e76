/* What people hold in the hand when they meant a safetensors file, and what they should do next. */
#include "files.h"
#include "formats/sniff.h"

static void test_files(void **state)
{
    (void)state;
    static const struct { const char *bytes; size_t n; const char *words; } all[] = {
#define B(x) x, sizeof x - 1
        {B("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 267832558\n"), "git-lfs pointer|267832558 bytes|git lfs pull"},
        {B("version https://git-lfs"), "git-lfs pointer, not the file itself: run"},
        {B("<!DOCTYPE html><html><body>404</body></html>"), "web page|download it again"},
        {B("\n  <!doctype HTML>"), "web page"},
        {B("<html>\n<head>"), "web page"},
        {B("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"), "web page"},
        {B("PK\3\4\0\0\0\0\0\0\0\0\0\0\0\0"), "zip archive|PyTorch|only safetensors so far|run `pith convert DIR NEWDIR`"},
        {B("\x80\2}q\0."), "pickle|PyTorch"},
        {B("\x80\4\x95"), "pickle"},
        {B("GGUF\3\0\0\0\0\0\0\0"), "GGUF|llama.cpp"},
        {B("GGUF"), "GGUF|llama.cpp"},
        {B("\x1f\x8b\x08\0\0\0\0\0\0\3abcdef"), "gzip|unpack"},
        {B("\x28\xb5\x2f\xfd\0\0\0\0\0"), "zstd|unpack"},
        {B("\xfd" "7zXZ\0\0\4"), "xz|unpack"},
        {B("\x89HDF\r\n\x1a\n\0\0"), "HDF5|only safetensors so far"},
        {B("\x93NUMPY\1\0v\0"), "NumPy"},
        {B("{\"metadata\": {\"total_size\": 1}}"), "JSON text|index.json"},
        {B("Entry not found"), "text (\"Entry not found\")|download it again"},
        {B(""), "empty|download it again"},
        {B("\1"), "only 1 bytes"},
        {B("\0\0\0\0\0\0\0\0"), "header is empty"},
        {B("\x20\0\0\0\0\0\0\0{}"), "truncated: a header of 32 bytes in a file of 10"},
        {B("\1\xe1\xf5\5\0\0\0\0{}"), "header of 100,000,001 bytes, the limit is 100,000,000"},
        {B("\xff\xff\xff\xff\xff\xff\xff\xff{}"), "18,446,744,073,709,551,615 bytes"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *path = files_write("model.safetensors", all[i].bytes, all[i].n);
        files_refused(path, all[i].words);
        files_refused(path, path);
    }
    char tar[1024] = "weights";
    memcpy(tar + 257, "ustar", 5);
    files_refused(files_write("model.safetensors", tar, sizeof tar), "tar archive");
    unlink(files_path("model.safetensors"));
}

/* Bytes that begin like something else are still a safetensors file if they are one to the end. */
static void test_not_fooled(void **state)
{
    (void)state;
    char *t = malloc(0x8b1f);
    memset(t, ' ', 0x8b1f);
    memcpy(t, "{}", 2);
    const char *path = files_st("gz.safetensors", t, 0x8b1f, "", 0); /* begins 1f 8b, as gzip */
    safetensors_close(files_open(path, NULL));
    free(t);
}

static void test_directories(void **state)
{
    (void)state;
    static const struct { const char *file, *words; } all[] = {
        {"notes.txt", "no model.safetensors|no other weights"},
        {"model.onnx", "model.onnx|ONNX"},
        {"tf_model.h5", "tf_model.h5|TensorFlow"},
        {"pytorch_model.bin", "pytorch_model.bin|PyTorch|only safetensors so far|run `pith convert DIR NEWDIR`"},
        {"model-q4.gguf", "model-q4.gguf|GGUF"},
        {"model.safetensors.incomplete", "model.safetensors.incomplete|unfinished download"},
        {"adapter.safetensors", "adapter.safetensors|name that file itself"},
        {"model.fp16.safetensors.index.json", "model.fp16.safetensors.index.json|name that file itself"},
    };
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", files_mkdir("dir"));
    files_refused(dir, "empty");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) { /* each is nearer than those before */
        char name[128];
        snprintf(name, sizeof name, "dir/%s", all[i].file);
        files_write(name, "x", 1);
        files_refused(dir, all[i].words);
        files_refused(dir, dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_not_fooled), cmocka_unit_test(test_directories)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
