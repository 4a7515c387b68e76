/* pith_verify: each thing that can be wrong with a model directory is found and named, and nothing else. */
#include "verify.h"

#define ONLY(check) (~(1u << (check)))
static const unsigned FILES = ONLY(PITH_CHECK_FILES);
static const char *const root = "tests/golden/models";

static const char *golden(const char *name)
{
    static char buf[256];
    snprintf(buf, sizeof buf, "%s/%s", root, name);
    return buf;
}

static void test_files(void **state)
{
    (void)state;
    const char *d = verify_copy("single", golden("llama-odd"));
    verify_finds(d, FILES, "");
    verify_put(d, "model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 267832558\n");
    verify_put(d, "tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9085657\n");
    verify_put(d, "tokenizer_config.json", "<!DOCTYPE html><html><body>404</body></html>");
    verify_put(d, "generation_config.json", "{\"eos_token_id\": 2,}");
    verify_finds(d, FILES,
        "files ! generation_config.json: not valid JSON at line 1, column 20\n"
        "files ! tokenizer.json: this is a git-lfs pointer, not the file itself (9085657 bytes): run \"git lfs pull\" in its folder, or download the file\n"
        "files ! tokenizer_config.json: this is a web page (HTML or XML), not the file itself: the download failed or needs a login; download it again\n"
        "files ! model.safetensors: this is a git-lfs pointer, not the file itself (267832558 bytes): run \"git lfs pull\" in its folder, or download the file\n");
    unlink(files_path("single/model.safetensors"));
    unlink(files_path("single/config.json"));
    verify_put(d, "tokenizer_config.json", "{}");
    verify_put(d, "generation_config.json", "{}");
    unlink(files_path("single/tokenizer.json"));
    verify_finds(d, FILES,
        "files ! config.json: is not there, so this is no Hugging Face model directory; download it\n"
        "files ! : no model.safetensors and no model.safetensors.index.json here (and no other weights): download the model's *.safetensors into it, or name another directory\n");
    pith_err e = {{0}};
    assert_int_equal(pith_verify(files_path("none"), NULL, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "none: cannot open: No such file or directory; check the path"));
}

static void test_shards(void **state)
{
    (void)state;
    const char *d = verify_copy("shards", golden("distilbert-sharded"));
    verify_finds(d, FILES, "");
    /* the first is cut, the third is not there, and the index is of another version */
    size_t n;
    char *text = util_read(files_path("shards/model-00001-of-00003.safetensors"), &n);
    files_write("shards/model-00001-of-00003.safetensors", text, n - 5);
    free(text);
    unlink(files_path("shards/model-00003-of-00003.safetensors"));
    text = util_read(files_path("shards/model.safetensors.index.json"), NULL);
    char *at = strstr(text, "\"classifier.weight\"");
    memcpy(at, "\"classifier.weighs\"", 19);
    verify_put(d, "model.safetensors.index.json", text);
    free(text);
    verify_finds(d, FILES,
        "files ! model-00001-of-00003.safetensors: truncated: 122,419 of 122,424 bytes, the download is incomplete; download it again\n"
        "files ! classifier.weighs: the index maps it to model-00002-of-00003.safetensors, which does not hold it: the two are of different versions; download both again\n"
        "files ! classifier.weight: lies in model-00002-of-00003.safetensors, but the index does not map it there: the two are of different versions; download both again\n"
        "files ! model-00003-of-00003.safetensors: is not there, but the index maps 13 tensors to it; download it into the same directory\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_shards)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
