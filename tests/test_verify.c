/* pith_verify: each thing that can be wrong with a model directory is found and named, and nothing else. */
#include "verify.h"
#include <math.h>

#define ONLY(check) (~(1u << (check)))
static const unsigned FILES = ONLY(PITH_CHECK_FILES), TENSORS = ONLY(PITH_CHECK_TENSORS),
                      VALUES = ONLY(PITH_CHECK_VALUES), TOKENIZER = ONLY(PITH_CHECK_TOKENIZER);
static const char *const root = "tests/golden/models";

static const char *golden(const char *name)
{
    static char buf[256];
    snprintf(buf, sizeof buf, "%s/%.200s", root, name);
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
    /* the file alone; and where nobody wants to hear of files */
    verify_finds(files_path("single/model.safetensors"), 0,
        "files ! : this is a git-lfs pointer, not the file itself (267832558 bytes): run \"git lfs pull\" in its folder, or download the file\n");
    pith_err e = {{0}};
    assert_int_equal(pith_verify(d, &(pith_verify_options){.skip = ~0u}, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "single/model.safetensors: this is a git-lfs pointer"));
    unlink(files_path("single/model.safetensors"));
    unlink(files_path("single/config.json"));
    verify_put(d, "tokenizer_config.json", "{}");
    verify_put(d, "generation_config.json", "{}");
    unlink(files_path("single/tokenizer.json"));
    verify_finds(d, FILES,
        "files ! config.json: is not there, so this is no Hugging Face model directory; download it\n"
        "files ! : no model.safetensors and no model.safetensors.index.json here (and no other weights): download the model's *.safetensors into it, or name another directory\n");
    e = (pith_err){{0}};
    assert_int_equal(pith_verify(files_path("none"), NULL, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "none: cannot open: No such file or directory; check the path"));
}

static void test_shards(void **state)
{
    (void)state;
    const char *d = verify_copy("shards", golden("distilbert-sharded"));
    verify_finds(d, FILES, "");
    char *index = util_read(files_path("shards/model.safetensors.index.json"), NULL);
    *strstr(index, "443976") = '5';
    verify_put(d, "model.safetensors.index.json", index);
    free(index);
    verify_finds(d, FILES, "files - model.safetensors.index.json: metadata.total_size is 543976, the tensors hold 443976 bytes\n");
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

#define CONTRADICT ": config.json and weights contradict each other\n"

static void test_tensors(void **state)
{
    (void)state;
    const char *d = verify_copy("tensors", golden("distilbert-single"));
    verify_finds(d, TENSORS, "");
    assert_int_equal(verify_run(d, TENSORS, NULL)->v.done, 1u << PITH_CHECK_TENSORS);
    parts x = verify_split(files_path("tensors/model.safetensors"));
    verify_drop(&x, "distilbert.transformer.layer.0.ffn.lin1.weight");
    verify_drop(&x, "pre_classifier.bias");
    strcpy(verify_part(&x, "distilbert.embeddings.LayerNorm.weight")->name, "distilbert.embeddings.norm.weight");
    strcpy(verify_part(&x, "distilbert.transformer.layer.0.sa_layer_norm.bias")->shape, "2,32");
    strcpy(verify_part(&x, "distilbert.transformer.layer.1.attention.q_lin.weight")->shape, "32,128");
    strcpy(verify_part(&x, "distilbert.transformer.layer.1.ffn.lin2.bias")->dtype, "I32");
    verify_add(&x, "extra\n", "I64", "1", "\0\0\0\0\0\0\0\0", 8);
    strcpy(x.p[x.n - 1].name, "extra\\n");
    verify_join(&x, "tensors/model.safetensors");
    verify_finds(d, TENSORS,
        "tensors ! distilbert.embeddings.LayerNorm.weight: is not there (expected [64] dim)\n"
        "tensors ! distilbert.transformer.layer.0.ffn.lin1.weight: is not there (expected [136,64] hidden_dim,dim)\n"
        "tensors ! distilbert.transformer.layer.0.sa_layer_norm.bias: shape [2,32], expected [64] (dim)" CONTRADICT
        "tensors ! distilbert.transformer.layer.1.attention.q_lin.weight: shape [32,128], expected [64,64] (dim,dim)" CONTRADICT
        "tensors ! distilbert.transformer.layer.1.ffn.lin2.bias: dtype I32, supported are F32, F16 and BF16; convert the weights to one of them\n"
        "tensors ! pre_classifier.bias: is not there (expected [64] dim)\n"
        "tensors ! distilbert.embeddings.norm.weight: is nothing that this model uses\n"
        "tensors ! extra\\x0a: is nothing that this model uses\n");
}

/* In every model, every tensor: under another name it is missing, and left over. */
static void test_each_tensor(void **state)
{
    (void)state;
    DIR *d = opendir(root);
    size_t models = 0, tensors = 0;
    for (struct dirent *x; (x = readdir(d));) {
        char name[512], path[1024], bare[300];
        if (x->d_name[0] == '.') continue;
        const char *copy = verify_copy(x->d_name, golden(x->d_name));
        pith_weights *w = pith_weights_open(copy, NULL, NULL);
        pith_tensor t;
        for (size_t i = 0; !pith_weights_at(w, i, &t); i++) {
            const char *file = pith_weights_file(w, t.file, NULL);
            size_t n;
            snprintf(name, sizeof name, "\"%s\"", t.name);
            snprintf(bare, sizeof bare, "#%s: is nothing that this model uses", t.name + 1);
            char *text = util_read(file, &n), *index = NULL, *at = memmem(text, n, name, strlen(name));
            at[1] = '#';
            verify_write(copy, strrchr(file, '/') + 1, text, n);
            snprintf(path, sizeof path, "%s/model.safetensors.index.json", copy);
            if (pith_weights_files(w) > 1) {
                index = util_read(path, NULL);
                strstr(index, name)[1] = '#';
                verify_put(copy, "model.safetensors.index.json", index);
            }
            const found *f = verify_run(copy, TENSORS, NULL);
            if (strstr(t.name, ".position_ids")) assert_string_equal(f->text, ""); /* of no use under any name */
            else if (f->v.failed[PITH_CHECK_TENSORS] != 2 || !strstr(f->text, bare) || !strstr(f->text, ": is not there (expected ["))
                fail_msg("%s without %s: found\n%s", x->d_name, t.name, f->text);
            at[1] = t.name[0];
            verify_write(copy, strrchr(file, '/') + 1, text, n);
            if (index) strstr(index, name + 2)[-1] = t.name[0], verify_put(copy, "model.safetensors.index.json", index);
            free(text);
            free(index);
            tensors++;
        }
        pith_weights_close(w);
        verify_finds(copy, TENSORS, "");
        models++;
    }
    closedir(d);
    printf("# %zu tensors of %zu models\n", tensors, models);
    assert_int_equal(models, 23);
}

static void test_config(void **state)
{
    (void)state;
    static const struct { const char *was, *is, *want; } all[] = {
        {"\"n_layers\": 2,", "\"n_layers\": 2000000000,", NULL},
        {"\"activation\": \"gelu\"", "\"activation\": \"gulp\"",
         "tensors ! config.json: activation \"gulp\" is not supported (supported: gelu, gelu_python, gelu_new, gelu_fast, gelu_pytorch_tanh, relu, silu, swish)\n"},
        {"\"model_type\": \"distilbert\"", "\"model_type\": \"t5\"",
         "tensors ! config.json: model_type \"t5\" is not supported (supported: distilbert, bert, llama, mistral, qwen2, qwen3, gemma, gemma2, gpt_oss)\n"},
        {"\"DistilBertForSequenceClassification\"", "\"DistilBertForQuestionAnswering\"",
         "tensors ! config.json: architecture \"DistilBertForQuestionAnswering\" is not supported (supported: DistilBertForSequenceClassification, BertForSequenceClassification, DistilBertModel, BertModel, DistilBertForMaskedLM, BertForMaskedLM, BertForPreTraining)\n"},
        {"\"0\": \"LABEL_0\"", "\"0\": \"a\", \"2\": \"b\"", "tensors ! config.json: id2label: expected label names under the keys \"0\" to \"1\", found an object\n"},
        {"\"0\": \"LABEL_0\"", "\"0\": \"a\", \"1\": \"b\"",
         "tensors ! classifier.weight: shape [1,64], expected [2,64] (labels,dim)" CONTRADICT "tensors ! classifier.bias: shape [1], expected [2] (labels,dim)" CONTRADICT},
        {"\"n_heads\": 4,", "\"n_heads\": 5,", "tensors ! config.json: dim 64 is not a multiple of n_heads 5\n"},
        {"\"n_layers\": 2,", "\"n_layers\": \"2\",", "tensors ! config.json: n_layers: expected a whole number from 1 to 2147483647, found \"2\"\n"},
        {"\"vocab_size\": 515,", "\"vocab_size\": 516,", "tensors ! distilbert.embeddings.word_embeddings.weight: shape [515,64], expected [516,64] (vocab_size,dim)" CONTRADICT},
    };
    const char *d = verify_copy("config", golden("distilbert-single"));
    char *text = util_read(files_path("config/config.json"), NULL);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char *at = strstr(text, all[i].was), *changed = malloc(strlen(text) + 200);
        assert_non_null(at);
        sprintf(changed, "%.*s%s%s", (int)(at - text), text, all[i].is, at + strlen(all[i].was));
        verify_put(d, "config.json", changed);
        free(changed);
        if (all[i].want) verify_finds(d, TENSORS, all[i].want);
        else { /* an absurd number of layers ends */
            const found *f = verify_run(d, TENSORS, NULL);
            assert_int_equal(f->v.failed[PITH_CHECK_TENSORS], 40 + 1000 + 2);
            assert_non_null(strstr(f->text, "tensors ! : over 1040 tensors are missing, where 40 are there; the others are not told: is config.json that of these weights?\n"));
        }
    }
    free(text);
}

/* A directory of a tokenizer with the ids 0 to 6 and these configs. */
static const char *with_tokenizer(const char *name, const char *config, const char *generation, const char *own)
{
    static char d[512];
    snprintf(d, sizeof d, "%s", files_mkdir(name));
    files_st("empty.safetensors", "{}", 0, "", 0);
    size_t n;
    char *weights = util_read(files_path("empty.safetensors"), &n);
    verify_write(d, "model.safetensors", weights, n);
    free(weights);
    verify_put(d, "tokenizer.json",
               "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":6,\"content\":\"<end>\",\"special\":true,\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false}],"
               "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Whitespace\"},\"post_processor\":null,\"decoder\":null,"
               "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"a\":2,\"b\":3,\"c\":4,\"d\":5}}}");
    verify_put(d, "config.json", config);
    if (generation) verify_put(d, "generation_config.json", generation);
    if (own) verify_put(d, "tokenizer_config.json", own);
    return d;
}

static void test_tokenizer(void **state)
{
    (void)state;
#define REMARK "tokenizer - "
#define FAILED "tokenizer ! "
    static const struct { const char *config, *generation, *own, *want; } all[] = {
        {"{\"vocab_size\":7,\"eos_token_id\":6,\"pad_token_id\":null}", "{\"eos_token_id\":[6,5]}", "{\"eos_token\":\"<end>\",\"bos_token\":null,\"pad_token\":{\"content\":\"[PAD]\"}}", ""},
        {"{\"vocab_size\":6}", NULL, NULL, FAILED ": the tokenizer has ids up to 6, the model only up to 5 (vocab_size): are they of the same model?\n"},
        {"{\"vocab_size\":8}", NULL, NULL, REMARK ": the tokenizer has 7 ids, the model 8 (vocab_size): are they of the same model?\n"},
        {"{}", NULL, NULL, ""},
        {"{\"vocab_size\":7,\"eos_token_id\":7,\"bos_token_id\":\"a\",\"pad_token_id\":-1}", "{\"eos_token_id\":[6,9],\"decoder_start_token_id\":1.5}", NULL,
         FAILED "config.json: eos_token_id 7 is not in the model's vocabulary of 7\n"
         FAILED "config.json: bos_token_id: expected a whole number from 0 to 2147483647, found \"a\"\n"
         REMARK "config.json: pad_token_id -1 is no token's\n"
         FAILED "generation_config.json: eos_token_id 9 is not in the model's vocabulary of 7\n"
         FAILED "generation_config.json: decoder_start_token_id: expected a whole number from 0 to 2147483647, found 1.5\n"},
        {"{\"eos_token_id\":8,\"pad_token_id\":9}", NULL, NULL,
         FAILED "config.json: eos_token_id 8 is no token of the tokenizer\n" REMARK "config.json: pad_token_id 9 is no token of the tokenizer\n"},
        {"{\"eos_token_id\":5}", NULL, "{\"eos_token\":\"<end>\",\"unk_token\":\"<unk>\",\"mask_token\":{\"content\":\"[MASK]\"}}",
         REMARK "tokenizer_config.json: eos_token \"<end>\" is id 6, but eos_token_id of config.json and generation_config.json is another\n"
         FAILED "tokenizer_config.json: unk_token \"<unk>\" is not in the vocabulary\n"
         FAILED "tokenizer_config.json: mask_token \"[MASK]\" is not in the vocabulary\n"},
        {"{\"eos_token_id\":5}", "{\"eos_token_id\":[5,6]}", "{\"eos_token\":\"<end>\"}", ""},
        {"{}", NULL, "{\"chat_template\":\"{% for m in messages %}{{ m.content }}{% endfor %}\"}", ""},
        {"{}", NULL, "{\"chat_template\":\"{% for m in messages %}\\n{{ m.content }}\"}", "chat_template"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        char name[32];
        snprintf(name, sizeof name, "tokenizer-%zu", i);
        const char *d = with_tokenizer(name, all[i].config, all[i].generation, all[i].own);
        if (strcmp(all[i].want, "chat_template")) verify_finds(d, TOKENIZER, all[i].want);
        else {
            const found *f = verify_run(d, TOKENIZER, NULL);
            printf("# %s", f->text);
            assert_int_equal(f->v.failed[PITH_CHECK_TOKENIZER], 1);
            assert_non_null(strstr(f->text, FAILED "tokenizer_config.json: the chat template does not parse: line 2: "));
        }
        assert_int_equal(verify_run(d, TOKENIZER, NULL)->v.done, 1u << PITH_CHECK_TOKENIZER);
    }
    /* one that does not open is told, and what stands in for one is told once, with the files */
    const char *d = with_tokenizer("tokenizer-bad", "{}", NULL, NULL);
    verify_put(d, "tokenizer.json", "{\"model\":{\"type\":\"Riddle\"}}");
    const found *f = verify_run(d, TOKENIZER, NULL);
    printf("# %s", f->text);
    assert_int_equal(f->v.failed[PITH_CHECK_TOKENIZER], 1);
    assert_non_null(strstr(f->text, FAILED "tokenizer.json: "));
    verify_put(d, "tokenizer.json", "version https://git-lfs.github.com/spec/v1\n");
    verify_finds(d, FILES & TOKENIZER, "files ! tokenizer.json: this is a git-lfs pointer, not the file itself: run \"git lfs pull\" in its folder, or download the file\n");
}

static void set32(part *p, size_t i, uint32_t bits) { memcpy(p->data + 4 * i, &bits, 4); }
static void fill32(part *p, uint32_t bits)
{
    for (size_t i = 0; i < p->n / 4; i++) set32(p, i, bits);
}

static void test_values(void **state)
{
    (void)state;
    enum { N = 3 * 16384 + 100 }; /* four blocks */
    static float big[N];
    static uint16_t half[400];
    const char *d = verify_copy("values", golden("distilbert-odd"));
    verify_finds(d, VALUES, "");
    parts x = verify_split(files_path("values/model.safetensors"));
    part *p = verify_part(&x, "distilbert.transformer.layer.2.ffn.lin1.weight");
    set32(p, 101, 0x7fc00000), set32(p, 7, 0xffc00001), set32(p, 3, 0xff800000);
    set32(verify_part(&x, "distilbert.transformer.layer.1.ffn.lin2.bias"), 2, 0x7f800000);
    fill32(verify_part(&x, "distilbert.transformer.layer.0.attention.q_lin.weight"), 0);
    set32(verify_part(&x, "distilbert.transformer.layer.0.attention.q_lin.weight"), 5, 0x80000000); /* -0 */
    fill32(verify_part(&x, "distilbert.transformer.layer.0.attention.k_lin.weight"), 0x3f800000);
    fill32(verify_part(&x, "distilbert.transformer.layer.0.attention.k_lin.bias"), 0x3f000000);
    fill32(verify_part(&x, "distilbert.transformer.layer.0.attention.q_lin.bias"), 0); /* no news */
    fill32(verify_part(&x, "distilbert.transformer.layer.0.output_layer_norm.weight"), 0x3f800000);
    p = verify_part(&x, "distilbert.transformer.layer.0.ffn.lin1.weight");
    for (size_t i = 0; i < p->n / 4; i += 50) set32(p, i, 0x007fffff);
    for (size_t i = 0; i < N; i++) big[i] = i / 16384 % 2 ? 0 : 1 + (float)i;
    verify_add(&x, "holes", "F32", "2,24626", big, sizeof big);
    big[2 * 16384 + 77] = NAN;
    verify_add(&x, "late", "F32", "49252", big, sizeof big);
    for (size_t i = 0; i < 400; i++) half[i] = (uint16_t)(i % 10 ? 0x3c00 + i : 0x0001);
    verify_add(&x, "f16", "F16", "20,20", half, sizeof half); /* a tenth: common */
    half[1] = 0x8001;
    verify_add(&x, "f16-more", "F16", "20,20", half, sizeof half);
    for (size_t i = 0; i < 400; i++) half[i] = 0x7f80;
    verify_add(&x, "bf16", "BF16", "400", half, sizeof half);
    verify_add(&x, "complex", "C64", "50,2", half, sizeof half);
    verify_add(&x, "integers", "I16", "20,20", half, sizeof half);
    verify_join(&x, "values/model.safetensors");
    static const char want[] =
        "values - distilbert.transformer.layer.0.attention.q_lin.weight: all 3,600 values are 0\n"
        "values - distilbert.transformer.layer.0.attention.k_lin.weight: all 3,600 values are 1\n"
        "values - distilbert.transformer.layer.0.attention.k_lin.bias: all 60 values are 0.5\n"
        "values - distilbert.transformer.layer.0.ffn.lin1.weight: 2.0% of 6,660 values are denormal in F32: they have lost precision\n"
        "values ! distilbert.transformer.layer.1.ffn.lin2.bias: 1 of 60 values is infinite, the first at [2]\n"
        "values ! distilbert.transformer.layer.2.ffn.lin1.weight: 2 of 6,660 values are NaN, the first at [0,7]\n"
        "values ! distilbert.transformer.layer.2.ffn.lin1.weight: 1 of 6,660 values is infinite, the first at [0,3]\n"
        "values - holes: 1 of 4 blocks of 64 KiB hold only zeros, the first begins at byte 65,536: is the file whole?\n"
        "values ! late: 1 of 49,252 values is NaN, the first at [32845]\n"
        "values - f16-more: 10.2% of 400 values are denormal in F16: they have lost precision\n"
        "values ! bf16: 400 of 400 values are infinite, the first at [0]\n"
        "values ! complex: 200 of 200 values are NaN, the first at [0,0]\n";
    for (int how = 0; how < 4; how++) { /* the same for any number of threads, mapped or read */
        const found *f = verify_run(d, VALUES, &(pith_verify_options){.threads = how + 1, .no_mmap = how % 2});
        if (strcmp(f->text, want)) fail_msg("found\n%sexpected\n%s", f->text, want);
        assert_int_equal(f->v.done, 1u << PITH_CHECK_VALUES);
    }
    /* one file alone, of which neither a config nor a tokenizer is asked */
    const found *f = verify_run(files_path("values/model.safetensors"), 0, NULL);
    assert_string_equal(f->text, want);
    assert_int_equal(f->v.done, 1u << PITH_CHECK_FILES | 1u << PITH_CHECK_VALUES);
    assert_int_equal(f->v.files, 1);
    assert_int_equal(f->v.tensors, 63);
}

static int stop_at(void *ctx, pith_check check, uint64_t done, uint64_t total)
{
    uint64_t *calls = ctx;
    assert_int_equal(check, PITH_CHECK_VALUES);
    assert_true(done <= total && total == 443976);
    return ++calls[0] == calls[1];
}

static void test_progress(void **state)
{
    (void)state;
    uint64_t calls[2] = {0, 0};
    pith_verify_options o = {.threads = 2, .on_progress = stop_at, .ctx = calls};
    pith_verdict v;
    assert_int_equal(pith_verify(golden("distilbert-f32"), &o, &v, NULL), 0);
    assert_true(calls[0] >= 2); /* the beginning and the end */
    calls[0] = 0, calls[1] = 1;
    assert_int_equal(pith_verify(golden("distilbert-f32"), &o, &v, NULL), 1);
    assert_int_equal(v.done & 1u << PITH_CHECK_VALUES, 0);
}

/* All models that are at hand are fine. */
static void test_clean(void **state)
{
    (void)state;
    static const char *const places[] = {"tests/golden/models", "models/bundled", "models"};
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        const char *place = i < 2 ? places[i] : util_shared(places[i]);
        DIR *d = place ? opendir(place) : NULL;
        if (!d) printf("# skip: no shared models\n");
        for (struct dirent *y; d && (y = readdir(d));) {
            char path[1024];
            struct stat st;
            snprintf(path, sizeof path, "%.500s/%s", place, y->d_name);
            if (y->d_name[0] == '.' || stat(path, &st) || !S_ISDIR(st.st_mode)) continue;
            const found *f = verify_run(path, 0, NULL);
            if (strchr(f->text, '!') || (i && *f->text)) fail_msg("%s: %s", path, f->text);
            if (!i) assert_string_equal(f->text, "tokenizer - : there is no tokenizer: only token ids can be computed with\n");
            assert_int_equal(f->v.done, (1u << PITH_CHECK_CHECKSUMS) - 1);
            n++;
        }
        if (d) closedir(d);
    }
    assert_true(n >= 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_shards),
                                       cmocka_unit_test(test_tensors), cmocka_unit_test(test_each_tensor), cmocka_unit_test(test_config),
                                       cmocka_unit_test(test_tokenizer), cmocka_unit_test(test_values), cmocka_unit_test(test_progress), cmocka_unit_test(test_clean)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
