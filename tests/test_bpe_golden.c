/* BPE against the reference: the goldens of published tokenizers, which lie outside the project, and what stands in
 * for their tokenizer.json. */
#define _GNU_SOURCE
#include "files.h"
#include "corpus.h"

static void check_both(const char *dir, const char *name)
{
    check_corpus(open_or_fail(dir), "golden/tokenizer/corpus.txt", false, "corpus", name, 4297);
    check_corpus(open_or_fail(dir), "golden/tokenizer/corpus_multi.jsonl", true, "multi", name, 186);
}

static void check_shared(const char *name)
{
    char rel[64], dir[1024];
    snprintf(rel, sizeof rel, "tokenizers/%s", name);
    snprintf(dir, sizeof dir, "%s", util_need(rel));
    check_both(dir, name);
}

static void test_gpt2(void **state) { (void)state, check_shared("gpt2"); }
static void test_llama2(void **state) { (void)state, check_shared("llama2"); }
static void test_llama3(void **state) { (void)state, check_shared("llama3"); }
static void test_mistral(void **state) { (void)state, check_shared("mistral"); }
static void test_qwen2(void **state) { (void)state, check_shared("qwen2"); }
static void test_qwen3(void **state) { (void)state, check_shared("qwen3"); }
static void test_gptoss(void **state) { (void)state, check_shared("gptoss"); }

static void copy_file(const char *from, const char *name)
{
    size_t n;
    char *text = util_read(from, &n);
    files_write(name, text, n);
    free(text);
}

/* tokenizer.model alone gives the same tokenizer. */
static void test_tokenizer_model(void **state)
{
    (void)state;
    copy_file(util_need("tokenizers/llama2/tokenizer.model"), "tokenizer.model");
    check_both(files_dir, "llama2");
}

/* vocab.json and merges.txt as GPT-2 was published, made from its tokenizer.json. */
static void test_vocab_merges(void **state)
{
    (void)state;
    pith_err e = {{0}};
    json_doc *d = json_load(util_need("tokenizers/gpt2/tokenizer.json"), &e);
    assert_non_null(d);
    json model = json_get(json_root(d), "model");
    bool any = false;
    FILE *v = fopen(files_path("vocab.json"), "wb"), *m = fopen(files_path("merges.txt"), "wb");
    assert_true(v && m);
    fputs("{", v);
    for (json c = json_first(json_get(model, "vocab")); c.node; c = json_next(c), any = true) {
        fputs(any ? "," : "", v);
        json_put_str(v, json_key(c), strlen(json_key(c)));
        fprintf(v, ":%.0f", json_num(c));
    }
    fputs("}", v);
    fputs("#version: 0.2\n", m);
    for (json c = json_first(json_get(model, "merges")); c.node; c = json_next(c)) fprintf(m, "%s\n", json_str(c));
    fclose(v);
    fclose(m);
    json_free(d);
    check_both(files_dir, "gpt2");
}

static void test_published(void **state)
{
    (void)state;
    pith_err e = {{0}};
    tokenizer *t = open_or_fail(util_need("tokenizers/llama2"));
    json_doc *d = json_load(util_need("golden/published/llama2_tokenizer_cases.json"), &e);
    assert_non_null(d);
    tokenizer_encoding x = {0};
    size_t n = 0;
    for (json c = json_first(json_root(d)); c.node; c = json_next(c), n++) {
        const char *s = json_str(json_get(c, "text"));
        encode_or_fail(t, s, strlen(s), NULL, NULL, &x);
        check_numbers(json_get(c, "ids"), s, x.n, x.ids, 4);
    }
    assert_int_equal(n, 18);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
    json_free(d);
}

/* The small models: prompts to ids, and what they wrote back to text. */
static void check_stories(const char *dir, const char *golden)
{
    pith_err e = {{0}};
    tokenizer *t = open_or_fail(dir);
    json_doc *d = json_load(golden, &e);
    assert_non_null(d);
    tokenizer_encoding x = {0};
    size_t n = 0;
    for (json c = json_first(json_root(d)); c.node; c = json_next(c), n++) {
        const char *s = json_str(json_get(c, "prompt"));
        encode_or_fail(t, s, strlen(s), NULL, NULL, &x);
        check_numbers(json_get(c, "prompt_ids"), s, x.n, x.ids, 4);
        x.n = 0;
        int32_t ids[1024];
        for (json i = json_first(json_get(c, "greedy_ids")); i.node; i = json_next(i)) ids[x.n++] = (int32_t)json_num(i);
        tokenizer_encoding y = {.n = x.n, .ids = ids};
        check_decoded(t, &y, true, json_str(json_get(c, "greedy_text")), s);
        check_stream(t, ids, y.n, true, s);
    }
    assert_true(n >= 3);
    tokenizer_encoding_free(&x);
    tokenizer_free(t);
    json_free(d);
}

static void test_stories(void **state)
{
    (void)state;
    check_stories(util_need("models/stories260K"), util_need("models/stories260K/golden.json"));
    check_stories(util_need("models/stories3M"), util_need("models/stories3M/golden.json"));
    copy_file(util_need("models/stories260K/tokenizer.model"), "tokenizer.model");
    check_stories(files_dir, util_need("models/stories260K/golden.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_llama2),
        cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_mistral),
        cmocka_unit_test(test_qwen2),
        cmocka_unit_test(test_qwen3),
        cmocka_unit_test(test_gptoss),
        cmocka_unit_test_setup_teardown(test_tokenizer_model, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_vocab_merges, files_setup, files_teardown),
        cmocka_unit_test(test_published),
        cmocka_unit_test_setup_teardown(test_stories, files_setup, files_teardown),
    };
    return cmocka_run_group_tests_name("bpe_golden", tests, NULL, NULL);
}
