/* Text to vectors: pooled float64 references, a case computed by hand, what sentence-transformers' files say, and the
 * same bits beside others. */
#include "files.h"
#include "golden.h"
#include "compute/kernel.h"
#include "checkpoints.h"

static const char *const encoders[] = {"bert-bf16-sharded", "bert-eps-relu",   "bert-f32",       "bert-gelu_new",
                                       "bert-legacy",       "distilbert-bf16", "distilbert-f16", "distilbert-f32",
                                       "distilbert-odd",    "distilbert-sharded", "distilbert-single"};
enum { N_ENCODERS = sizeof encoders / sizeof encoders[0], WORDS = 515 };

/* tokenizer.json whose words "t0" "t1" ... are their ids, with nothing added. */
static void write_tokenizer(const char *model, size_t n)
{
    char name[256], *text = malloc(n * 20 + 300);
    int k = sprintf(text, "{\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"t0\",\"vocab\":{");
    for (size_t i = 0; i < n; i++) k += sprintf(text + k, "%s\"t%zu\":%zu", i ? "," : "", i, i);
    k += sprintf(text + k, "}}}");
    snprintf(name, sizeof name, "%s/tokenizer.json", model);
    files_write(name, text, (size_t)k);
    free(text);
}

/* A golden model in the tests' folder, that can read text. */
static const char *make_model(const char *name, const char *dir)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/config.json", dir);
    char *config = util_read(path, NULL);
    files_model(name, dir, config);
    free(config);
    write_tokenizer(name, WORDS);
    return files_path(name);
}

/* Ids as a text, malloc'ed. */
static char *as_text(const pith_seq *q)
{
    char *s = malloc(q->n * 12 + 1), *p = s;
    *p = 0;
    for (size_t i = 0; i < q->n; i++) p += sprintf(p, "%st%d", i ? " " : "", q->ids[i]);
    return s;
}

static void embed(const pith_model *m, const pith_text *texts, size_t n, const pith_embed_options *o, float *out,
                  size_t *n_tokens, uint8_t *truncated)
{
    pith_err e = {0};
    pith_session *s = pith_session_new(m, &e);
    if (!s || pith_embed(s, texts, n, o, out, n_tokens, truncated, &e)) fail_msg("%s", e.msg);
    pith_session_free(s);
}

static void embed_one(const pith_model *m, const char *text, const pith_embed_options *o, float *out)
{
    embed(m, &(pith_text){text, strlen(text), NULL, 0}, 1, o, out, NULL, NULL);
}

/* The definition, in double, of hidden states [n][h]. */
static void pool(pith_pooling how, int normal, const float *x, size_t n, size_t h, size_t d, double *y)
{
    double norm = 0;
    for (size_t i = 0; i < d; i++) {
        y[i] = (double)x[i];
        for (size_t t = 1; t < n && how != PITH_POOLING_CLS; t++)
            y[i] = how == PITH_POOLING_MAX ? fmax(y[i], (double)x[t * h + i]) : y[i] + (double)x[t * h + i];
        if (how == PITH_POOLING_MEAN) y[i] /= (double)n;
        norm += y[i] * y[i];
    }
    for (size_t i = 0; i < d && normal; i++) y[i] /= sqrt(norm);
}

static double difference(const float *got, const double *want, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double x = fabs((double)got[i] - want[i]);
        if (!(x <= worst)) worst = x;
    }
    return worst;
}

/* ---- references ---- */

static void check_reference(const char *root, const char *name, double *worst)
{
    golden g;
    golden_load(&g, root, name);
    const char *dir = make_model(name, g.dir);
    pith_model *m = golden_open(dir, NULL);
    size_t h = pith_model_hidden_size(m);
    assert_int_equal(pith_model_embedding_size(m), h);
    char *owned[GOLDEN_MAX];
    pith_text texts[GOLDEN_MAX];
    size_t n_tokens[GOLDEN_MAX];
    uint8_t truncated[GOLDEN_MAX];
    float *out = malloc(g.n * h * sizeof *out);
    double *want = malloc(h * sizeof *want);
    for (size_t i = 0; i < g.n; i++) {
        owned[i] = as_text(&g.seqs[i]);
        texts[i] = (pith_text){owned[i], strlen(owned[i]), NULL, 0};
    }
    for (int how = PITH_POOLING_CLS; how <= PITH_POOLING_MAX; how++)
        for (int normal = -1; normal <= 1; normal += 2) {
            size_t d = normal > 0 ? h : h / 2 + 1;
            const pith_embed_options o = {.pooling = (pith_pooling)how, .normalize = normal, .dimensions = d};
            embed(m, texts, g.n, &o, out, n_tokens, truncated);
            for (size_t i = 0; i < g.n; i++) {
                char path[1024];
                size_t len;
                snprintf(path, sizeof path, "%s/np.%zu.hidden.f32", g.expected, i);
                char *raw = util_read(path, &len);
                assert_int_equal(len, g.seqs[i].n * h * sizeof(float));
                pool((pith_pooling)how, normal > 0, (const float *)(void *)raw, g.seqs[i].n, h, d, want);
                double x = difference(out + i * d, want, d);
                if (!(x <= *worst)) *worst = x;
                free(raw);
                assert_int_equal(n_tokens[i], g.seqs[i].n);
                assert_int_equal(truncated[i], 0);
            }
        }
    for (size_t i = 0; i < g.n; i++) free(owned[i]);
    free(out);
    free(want);
    pith_model_close(m);
    files_remove(dir);
    golden_free(&g);
}

static void test_references(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ENCODERS; i++) {
        double worst = 0;
        check_reference("tests/golden", encoders[i], &worst);
        printf("# %-20s %.2e\n", encoders[i], worst);
        if (!(worst <= 1e-5)) fail_msg("%s is past 1e-5", encoders[i]);
    }
}

static void test_shared_references(void **state)
{
    (void)state;
    char root[1024];
    snprintf(root, sizeof root, "%s", util_need("golden"));
    for (size_t i = 0; i < N_ENCODERS; i++) {
        double worst = 0;
        check_reference(root, encoders[i], &worst);
        if (!(worst <= 1e-5)) fail_msg("%s is past 1e-5: %.2e", encoders[i], worst);
    }
}

/* ---- by hand ---- */

/* A BERT of two columns whose layer adds nothing: what comes out of a token is LayerNorm, (1,-1) or (-1,1), times
 * (3,4) plus (1,2). Tokens t0 and t1 are (4,-2), t2 is (-2,6). */
static const char *hand_made(const char *name, int broken)
{
    static const float zero[2 * 2], word[3][2] = {{2, 0}, {1, 0}, {0, 2}}, one[2] = {1, 1}, gamma[2] = {3, 4}, beta[2] = {1, 2};
    static const float nan_word[3][2] = {{2, 0}, {1, 0}, {NAN, 2}};
    static const uint64_t square[2] = {2, 2}, line[1] = {2}, words[2] = {3, 2}, positions[2] = {8, 2}, types[2] = {1, 2};
    static const float places[8][2];
#define L "encoder.layer.0."
#define LINEAR(n) {n ".weight", square, 2, zero}, {n ".bias", line, 1, zero}
    const struct { const char *name; const uint64_t *shape; size_t rank; const void *data; } all[] = {
        {"embeddings.word_embeddings.weight", words, 2, broken ? nan_word : word},
        {"embeddings.position_embeddings.weight", positions, 2, places},
        {"embeddings.token_type_embeddings.weight", types, 2, zero},
        {"embeddings.LayerNorm.weight", line, 1, one}, {"embeddings.LayerNorm.bias", line, 1, zero},
        LINEAR(L "attention.self.query"), LINEAR(L "attention.self.key"), LINEAR(L "attention.self.value"),
        LINEAR(L "attention.output.dense"), LINEAR(L "intermediate.dense"), LINEAR(L "output.dense"),
        {L "attention.output.LayerNorm.weight", line, 1, one}, {L "attention.output.LayerNorm.bias", line, 1, zero},
        {L "output.LayerNorm.weight", line, 1, gamma}, {L "output.LayerNorm.bias", line, 1, beta}};
#undef LINEAR
#undef L
    enum { N = sizeof all / sizeof all[0] };
    pith_tensor t[N];
    pith_err e = {0};
    char file[512];
    snprintf(file, sizeof file, "%s/model.safetensors", files_mkdir(name));
    for (size_t i = 0; i < N; i++) t[i] = (pith_tensor){.name = all[i].name, .dtype = "F32", .shape = all[i].shape, .rank = all[i].rank};
    pith_writer *w = pith_writer_new(file, t, N, NULL, 0, 0, &e);
    for (size_t i = 0; w && i < N; i++) {
        size_t n = sizeof(float) * (size_t)all[i].shape[0] * (all[i].rank == 2 ? (size_t)all[i].shape[1] : 1);
        if (pith_writer_put(w, i, 0, all[i].data, n, &e)) break;
    }
    if (!w || pith_writer_finish(w, &e)) fail_msg("%s", e.msg);
    pith_writer_free(w);
    static const char config[] = "{\"model_type\":\"bert\",\"architectures\":[\"BertModel\"],\"hidden_size\":2,\"num_attention_heads\":1,"
        "\"num_hidden_layers\":1,\"intermediate_size\":2,\"vocab_size\":3,\"max_position_embeddings\":8,\"type_vocab_size\":1,"
        "\"layer_norm_eps\":0,\"hidden_act\":\"relu\"}";
    snprintf(file, sizeof file, "%s/config.json", name);
    files_write(file, config, sizeof config - 1);
    write_tokenizer(name, 3);
    return files_path(name);
}

static void check_vector(const pith_model *m, const char *text, pith_embed_options o, double a, double b)
{
    float got[2] = {-9, -9};
    embed_one(m, text, &o, got);
    if (fabs((double)got[0] - a) > 1e-6 || (o.dimensions != 1 && fabs((double)got[1] - b) > 1e-6))
        fail_msg("'%s': %g %g, expected %g %g", text, (double)got[0], (double)got[1], a, b);
    if (o.dimensions == 1) assert_true(got[1] == -9);
}

static void test_by_hand(void **state)
{
    (void)state;
    pith_model *m = golden_open(hand_made("hand", 0), NULL);
    check_vector(m, "t0", (pith_embed_options){0}, 4, -2);
    check_vector(m, "t0 t1 t2", (pith_embed_options){0}, 2, 2.0 / 3);
    check_vector(m, "t2 t0 t0", (pith_embed_options){.pooling = PITH_POOLING_MEAN}, 2, 2.0 / 3);
    check_vector(m, "t0 t1 t2", (pith_embed_options){.pooling = PITH_POOLING_CLS}, 4, -2);
    check_vector(m, "t2 t1 t0", (pith_embed_options){.pooling = PITH_POOLING_CLS}, -2, 6);
    check_vector(m, "t0 t1 t2", (pith_embed_options){.pooling = PITH_POOLING_MAX}, 4, 6);
    check_vector(m, "t0", (pith_embed_options){.normalize = 1}, 4 / sqrt(20), -2 / sqrt(20));
    /* cut, then normalised */
    check_vector(m, "t0", (pith_embed_options){.dimensions = 1}, 4, 0);
    check_vector(m, "t0", (pith_embed_options){.dimensions = 1, .normalize = 1}, 1, 0);
    check_vector(m, "t2", (pith_embed_options){.dimensions = 1, .normalize = 1}, -1, 0);
    /* a pair is one text after the other */
    float got[2];
    embed(m, &(pith_text){"t0 t1", 5, "t2", 2}, 1, NULL, got, NULL, NULL);
    assert_true(got[0] == 2);
    /* what is cut is told */
    size_t n[3];
    uint8_t cut[3];
    float out[6];
    const pith_text texts[] = {{"t0 t1", 5, NULL, 0}, {"t0 t2 t2 t2", 11, NULL, 0}, {"t2", 2, NULL, 0}};
    embed(m, texts, 3, &(pith_embed_options){.max_length = 2}, out, n, cut);
    assert_true(n[0] == 2 && n[1] == 2 && n[2] == 1 && !cut[0] && cut[1] && !cut[2]);
    assert_true(out[2] == 1 && out[3] == 2 && out[4] == -2);
    embed(m, texts, 0, NULL, out, NULL, NULL);
    pith_model_close(m);
}

/* ---- the model's own tokens ---- */

/* [CLS] and [SEP] are pooled with the others, as an attention mask has them. */
static void test_special_tokens(void **state)
{
    (void)state;
    static const char text[] = "A wonderful, moving film.";
    pith_model *m = golden_open("models/bundled/sentiment", NULL);
    pith_err e = {0};
    pith_tokens x;
    size_t h = pith_model_hidden_size(m), n;
    assert_int_equal(pith_tokenize(pith_model_tokenizer(m), text, strlen(text), NULL, 0, NULL, &x, &e), 0);
    assert_true(x.special[0] && x.special[x.n - 1]);
    float *hidden = malloc(x.n * h * sizeof *hidden), *got = malloc(h * sizeof *got);
    double *want = malloc(h * sizeof *want);
    pith_session *s = pith_session_new(m, &e);
    golden_run(s, &(pith_seq){x.ids, x.type_ids, x.n}, 1, NULL, hidden);
    pith_session_free(s);
    pool(PITH_POOLING_MEAN, 0, hidden, x.n, h, h, want);
    embed(m, &(pith_text){text, strlen(text), NULL, 0}, 1, NULL, got, &n, NULL);
    assert_int_equal(n, x.n);
    assert_true(difference(got, want, h) < 1e-6);
    pith_tokens_free(&x);
    free(hidden);
    free(got);
    free(want);
    pith_model_close(m);
}

/* ---- bits ---- */

static void test_bits(void **state)
{
    (void)state;
    enum { N = 20, H = 64 };
    const char *dir = make_model("bits", "tests/golden/models/bert-f32");
    char *owned[N];
    pith_text texts[N];
    static float first[PITH_POOLING_MAX + 1][N][H], again[N][H];
    unsigned seed = 5;
    for (size_t i = 0; i < N; i++) {
        int32_t ids[90];
        size_t n = 1 + i * i % 90;
        for (size_t k = 0; k < n; k++) ids[k] = (int32_t)((seed = seed * 1664525u + 1013904223u) >> 16) % WORDS;
        owned[i] = as_text(&(pith_seq){ids, NULL, n});
        texts[i] = (pith_text){owned[i], strlen(owned[i]), NULL, 0};
    }
    pith_model *reference = golden_open(dir, &(pith_model_options){.threads = 1, .kernels = "generic"});
    for (int how = PITH_POOLING_CLS; how <= PITH_POOLING_MAX; how++) {
        const pith_embed_options o = {.pooling = (pith_pooling)how, .normalize = 1};
        for (size_t i = 0; i < N; i++) embed(reference, &texts[i], 1, &o, first[how][i], NULL, NULL);
    }
    pith_model_close(reference);
    int runs = 0;
    const kernel_set *k;
    for (size_t set = 0; (k = kernel_at(set)); set++)
        for (int threads = 1; threads <= 3 && k->exact; threads += 2) {
            pith_model *m = golden_open(dir, &(pith_model_options){.threads = threads, .kernels = k->name});
            for (int how = PITH_POOLING_CLS; how <= PITH_POOLING_MAX; how++) {
                static const size_t budgets[] = {0, 1, 100};
                pith_embed_options o = {.pooling = (pith_pooling)how, .normalize = 1};
                for (size_t b = 0; b < 3; b++, runs++) {
                    o.batch_tokens = budgets[b];
                    embed(m, texts, N, &o, again[0], NULL, NULL);
                    assert_memory_equal(first[how], again, sizeof again);
                }
            }
            pith_model_close(m);
        }
    printf("# %d runs, one set of bits\n", runs);
    assert_true(runs >= 18);
    for (size_t i = 0; i < N; i++) free(owned[i]);
}

/* ---- what the directory says ---- */

#define T(path) "{\"idx\":0,\"name\":\"0\",\"path\":\"" path "\",\"type\":\"sentence_transformers.models.Transformer\"}"
#define P(path) "{\"idx\":1,\"name\":\"1\",\"path\":\"" path "\",\"type\":\"sentence_transformers.models.Pooling\"}"
#define NORMALIZE "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\",\"type\":\"sentence_transformers.models.Normalize\"}"
#define PLAIN "[" T("") "," P("1_Pooling") "]"
#define FULL "[" T("") "," P("1_Pooling") "," NORMALIZE "]"
#define FLAGS(cls, mean, max, rest) "{\"word_embedding_dimension\":2,\"pooling_mode_cls_token\":" #cls \
    ",\"pooling_mode_mean_tokens\":" #mean ",\"pooling_mode_max_tokens\":" #max rest "}"

typedef struct said {
    const char *modules, *pooling, *lengths, *prompts; /* files; NULL: not there */
    double a, b;         /* of "t0 t1 t2" */
    const char *refused; /* by pith_embed; words */
    const char *broken;  /* by opening */
} said;

static const said all_said[] = {
    {FULL, FLAGS(false, true, false, ""), NULL, NULL, 0.94868330, 0.31622777, NULL, NULL}, /* (3,1) / sqrt 10 */
    {PLAIN, FLAGS(false, true, false, ""), NULL, NULL, 2, 2.0 / 3, NULL, NULL},
    {PLAIN, FLAGS(true, false, false, ""), NULL, NULL, 4, -2, NULL, NULL},
    {PLAIN, FLAGS(false, false, true, ""), NULL, NULL, 4, 6, NULL, NULL},
    {PLAIN, "{}", NULL, NULL, 2, 2.0 / 3, NULL, NULL},
    {PLAIN, "{\"embedding_dimension\":2,\"pooling_mode\":\"cls\",\"include_prompt\":true}", NULL, NULL, 4, -2, NULL, NULL},
    {PLAIN, "{\"pooling_mode\":[\"max\"]}", NULL, NULL, 4, 6, NULL, NULL},
    {"[" T("") ",{\"path\":\"a/./b\",\"type\":\"sentence_transformers.sentence_transformer.modules.pooling.Pooling\"}]",
     NULL, NULL, NULL, 0, 0, NULL, "a/./b/config.json: is not there, but modules.json names it"},
    /* lengths: cut to two tokens */
    {PLAIN, "{}", "{\"max_seq_length\":2,\"do_lower_case\":false}", NULL, 4, -2, NULL, NULL},
    {PLAIN, "{}", "{\"max_seq_length\":null}", NULL, 2, 2.0 / 3, NULL, NULL},
    {PLAIN, "{}", "{\"max_seq_length\":100000}", NULL, 2, 2.0 / 3, NULL, NULL},
    {NULL, NULL, "{\"max_seq_length\":2}", NULL, 2, 2.0 / 3, NULL, NULL},
    /* prompts: one t2 more */
    {PLAIN, "{}", NULL, "{\"prompts\":{\"q\":\"t2 \"},\"default_prompt_name\":\"q\"}", 1, 2, NULL, NULL},
    {PLAIN, "{}", NULL, "{\"prompts\":{\"q\":\"t2 \"},\"default_prompt_name\":null}", 2, 2.0 / 3, NULL, NULL},
    {PLAIN, "{}", NULL, "{\"prompts\":{\"q\":\"\"},\"default_prompt_name\":\"q\"}", 2, 2.0 / 3, NULL, NULL},
    /* sound, and not supported */
    {PLAIN, FLAGS(true, true, false, ""), NULL, NULL, 0, 0, "2 pooling modes together", NULL},
    {PLAIN, FLAGS(false, false, false, ""), NULL, NULL, 0, 0, "0 pooling modes", NULL},
    {PLAIN, FLAGS(false, false, false, ",\"pooling_mode_lasttoken\":true"), NULL, NULL, 0, 0, "lasttoken|cls, mean, max", NULL},
    {PLAIN, FLAGS(false, false, false, ",\"pooling_mode_mean_sqrt_len_tokens\":true"), NULL, NULL, 0, 0, "mean_sqrt_len_tokens", NULL},
    {PLAIN, "{\"pooling_mode\":\"weightedmean\"}", NULL, NULL, 0, 0, "weightedmean", NULL},
    {PLAIN, "{\"pooling_mode\":\"sum\"}", NULL, NULL, 0, 0, "pooling mode sum", NULL},
    {PLAIN, "{\"pooling_mode\":[\"cls\",\"mean\"]}", NULL, NULL, 0, 0, "2 pooling modes together", NULL},
    {"[" T("") "," P("1_Pooling") ",{\"path\":\"2_Dense\",\"type\":\"sentence_transformers.models.Dense\"}]", "{}", NULL, NULL, 0, 0,
     "module 2 is sentence_transformers.models.Dense", NULL},
    {"[" T("") "," P("1_Pooling") "," NORMALIZE "," NORMALIZE "]", "{}", NULL, NULL, 0, 0, "module 3", NULL},
    {"[" T("") "," NORMALIZE "]", NULL, NULL, NULL, 0, 0, "module 1 is", NULL},
    {"[{\"path\":\"\",\"type\":\"custom.Transformer\"}," P("1_Pooling") "]", "{}", NULL, NULL, 0, 0, "custom.Transformer", NULL},
    {"[" T("0_BERT") "," P("1_Pooling") "]", "{}", NULL, NULL, 0, 0, "0_BERT", NULL},
    {"[" T("") "]", NULL, NULL, NULL, 0, 0, "1 modules", NULL},
    {"[]", NULL, NULL, NULL, 0, 0, "0 modules", NULL},
    {PLAIN, "{}", "{\"do_lower_case\":true}", NULL, 2, 2.0 / 3, NULL, NULL}, /* "A" and "a" are both unknown */
    {PLAIN, "{\"include_prompt\":false}", NULL, "{\"prompts\":{\"q\":\"t2 \"},\"default_prompt_name\":\"q\"}", 0, 0, "include_prompt", NULL},
    /* broken */
    {"{", NULL, NULL, NULL, 0, 0, NULL, "modules.json: not valid JSON"},
    {"{}", NULL, NULL, NULL, 0, 0, NULL, "modules.json|expected an array"},
    {"[1]", NULL, NULL, NULL, 0, 0, NULL, "modules.json: [0]: expected an object"},
    {"[{\"path\":\"\"}]", NULL, NULL, NULL, 0, 0, NULL, "[0].type is missing"},
    {"[{\"type\":7}]", NULL, NULL, NULL, 0, 0, NULL, "[0].type: expected a string"},
    {PLAIN, NULL, NULL, NULL, 0, 0, NULL, "1_Pooling/config.json: is not there, but modules.json names it"},
    {"[" T("") "," P("../x") "]", NULL, NULL, NULL, 0, 0, NULL, "[1].path: expected a folder in the model's directory, found \"../x\""},
    {"[" T("") "," P("1_Pooling/../../x") "]", "{}", NULL, NULL, 0, 0, NULL, "expected a folder in the model's directory"},
    {"[" T("") "," P("/etc") "]", NULL, NULL, NULL, 0, 0, NULL, "expected a folder in the model's directory"},
    {"[" T("") "," P("") "]", NULL, NULL, NULL, 0, 0, NULL, "expected a folder in the model's directory"},
    {PLAIN, "{\"word_embedding_dimension\":3}", NULL, NULL, 0, 0, NULL, "word_embedding_dimension: expected the model's hidden size"},
    {PLAIN, "{\"word_embedding_dimension\":-1}", NULL, NULL, 0, 0, NULL, "word_embedding_dimension"},
    {PLAIN, "{\"embedding_dimension\":9007199254740993}", NULL, NULL, 0, 0, NULL, "embedding_dimension"},
    {PLAIN, "{\"pooling_mode_cls_token\":1}", NULL, NULL, 0, 0, NULL, "pooling_mode_cls_token: expected"},
    {PLAIN, "{\"pooling_mode\":1}", NULL, NULL, 0, 0, NULL, "pooling_mode: expected a string"},
    {PLAIN, "{\"pooling_mode\":[1]}", NULL, NULL, 0, 0, NULL, "pooling_mode[0]: expected a string"},
    {PLAIN, "[]", NULL, NULL, 0, 0, NULL, "expected an object"},
    {PLAIN, "", NULL, NULL, 0, 0, NULL, "not valid JSON"},
    {PLAIN, "{}", "{\"max_seq_length\":0}", NULL, 0, 0, NULL, "sentence_bert_config.json: max_seq_length"},
    {PLAIN, "{}", "{\"max_seq_length\":\"x\"}", NULL, 0, 0, NULL, "max_seq_length"},
    {PLAIN, "{}", "[]", NULL, 0, 0, NULL, "sentence_bert_config.json"},
    {PLAIN, "{}", NULL, "{\"default_prompt_name\":\"q\"}", 0, 0, NULL, "prompts is missing"},
    {PLAIN, "{}", NULL, "{\"prompts\":{},\"default_prompt_name\":\"q\"}", 0, 0, NULL, "prompts.q is missing"},
    {PLAIN, "{}", NULL, "{\"prompts\":{\"q\":1},\"default_prompt_name\":\"q\"}", 0, 0, NULL, "prompts.q"},
};

static void write_or_not(const char *name, const char *text)
{
    if (text) files_write(name, text, strlen(text));
    else unlink(files_path(name));
}

static void test_directory(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", hand_made("said", 0));
    files_mkdir("said/1_Pooling");
    for (size_t i = 0; i < sizeof all_said / sizeof all_said[0]; i++) {
        const said *x = &all_said[i];
        pith_err e = {0};
        float got[2], same[2];
        write_or_not("said/modules.json", x->modules);
        write_or_not("said/1_Pooling/config.json", x->pooling);
        write_or_not("said/sentence_bert_config.json", x->lengths);
        write_or_not("said/config_sentence_transformers.json", x->prompts);
        pith_model *m = pith_model_open(dir, NULL, &e);
        if (x->broken) {
            if (m) fail_msg("case %zu was opened; expected '%s'", i, x->broken);
            check_words(e.msg, x->broken);
            continue;
        }
        if (!m) fail_msg("case %zu: %s", i, e.msg);
        assert_int_equal(pith_model_embedding_size(m), x->refused ? 0 : 2);
        pith_session *s = pith_session_new(m, &e);
        int bad = pith_embed(s, &(pith_text){"t0 t1 t2", 8, NULL, 0}, 1, NULL, got, NULL, NULL, &e);
        assert_int_equal(bad, x->refused ? -1 : 0);
        if (bad) check_words(e.msg, x->refused);
        else if (fabs((double)got[0] - x->a) > 1e-6 || fabs((double)got[1] - x->b) > 1e-6)
            fail_msg("case %zu: %g %g, expected %g %g", i, (double)got[0], (double)got[1], x->a, x->b);
        pith_embed_options o = pith_embed_options_new(m);
        if (!bad) {
            assert_true(o.pooling != PITH_POOLING_AUTO && o.normalize && o.max_length <= pith_model_max_positions(m));
            assert_int_equal(o.dimensions, 2);
            assert_int_equal(pith_embed(s, &(pith_text){"t0 t1 t2", 8, NULL, 0}, 1, &o, same, NULL, NULL, &e), 0);
            assert_memory_equal(same, got, sizeof got);
        }
        pith_session_free(s);
        pith_model_close(m);
    }
}

/* do_lower_case is nothing new to a tokenizer without case, and refused with one that has it. */
static void test_lower_case(void **state)
{
    (void)state;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s", hand_made("cased", 0));
    files_mkdir("cased/1_Pooling");
    write_or_not("cased/modules.json", FULL);
    write_or_not("cased/1_Pooling/config.json", "{}");
    write_or_not("cased/sentence_bert_config.json", "{\"do_lower_case\":true}");
    for (int cased = 0; cased < 2; cased++) {
        static const char *const normalizer[] = {"\"normalizer\":{\"type\":\"Lowercase\"},", ""};
        char text[512];
        pith_err e = {0};
        snprintf(text, sizeof text, "{%s\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"x\",\"vocab\":{\"x\":0,\"a\":1,\"A\":2}}}", normalizer[cased]);
        write_or_not("cased/tokenizer.json", text);
        pith_model *m = golden_open(dir, NULL);
        assert_int_equal(pith_model_embedding_size(m), cased ? 0 : 2);
        pith_session *s = pith_session_new(m, &e);
        float got[2];
        assert_int_equal(pith_embed(s, &(pith_text){"A", 1, NULL, 0}, 1, NULL, got, NULL, NULL, &e), cased ? -1 : 0);
        if (cased) check_words(e.msg, "do_lower_case|keeps case");
        pith_session_free(s);
        pith_model_close(m);
    }
}

/* ---- checkpoints of other heads ---- */

/* A golden model's encoder as another checkpoint has it: without the prefix, with another head's tensors. */
typedef struct variant {
    const char *name, *from, *was, *architecture;
    const char *cut;          /* the prefix of names that goes away; "" */
    const char *const *extra; /* tensors beside it */
} variant;

static const char *rewrite(const variant *v)
{
    enum { MOST = 128 };
    static const uint64_t four[1] = {4};
    static const float zeros[4];
    pith_err e = {0};
    char from[512], file[512], *names[MOST] = {0}, path[1024], made[4096];
    pith_tensor t[MOST], in[MOST];
    size_t n = 0;
    snprintf(from, sizeof from, "tests/golden/models/%s", v->from);
    pith_weights *w = pith_weights_open(from, NULL, &e);
    assert_non_null(w);
    for (size_t i = 0; i < pith_weights_count(w); i++) {
        assert_int_equal(pith_weights_at(w, i, &in[n]), 0);
        if (strstr(in[n].name, "classifier") || (*v->cut && strstr(in[n].name, "pooler"))) continue;
        t[n] = in[n];
        t[n].name = names[n] = strdup(in[n].name + strlen(v->cut));
        n++;
    }
    for (const char *const *x = v->extra; *x; x++, n++)
        in[n] = t[n] = (pith_tensor){.name = names[n] = strdup(*x), .dtype = "F32", .shape = four, .rank = 1, .nbytes = 16, .data = zeros};
    snprintf(file, sizeof file, "%s/model.safetensors", files_mkdir(v->name));
    pith_writer *out = pith_writer_new(file, t, n, NULL, 0, 0, &e);
    for (size_t i = 0; out && i < n; i++)
        if (pith_writer_put(out, i, 0, in[i].data, (size_t)in[i].nbytes, &e)) break;
    if (!out || pith_writer_finish(out, &e)) fail_msg("%s", e.msg);
    pith_writer_free(out);
    pith_weights_close(w);
    snprintf(path, sizeof path, "%s/config.json", from);
    char *config = util_read(path, NULL), *at = strstr(config, v->was);
    assert_non_null(at);
    snprintf(made, sizeof made, "%.*s%s%s", (int)(at - config), config, v->architecture, at + strlen(v->was));
    free(config);
    snprintf(file, sizeof file, "%s/config.json", v->name);
    files_write(file, made, strlen(made));
    write_tokenizer(v->name, WORDS);
    for (size_t i = 0; i < n; i++) free(names[i]);
    return files_path(v->name);
}

static void test_heads(void **state)
{
    (void)state;
#define TRANSFORM "cls.predictions.transform."
    static const char *const none[] = {NULL}, *const stranger[] = {"adapter.weight", NULL};
    static const char *const masked[] = {"cls.predictions.bias", TRANSFORM "dense.weight", TRANSFORM "dense.bias",
                                         TRANSFORM "LayerNorm.gamma", TRANSFORM "LayerNorm.beta", "cls.predictions.decoder.weight",
                                         "cls.seq_relationship.weight", "cls.seq_relationship.bias", NULL};
    static const char *const vocab[] = {"vocab_transform.weight", "vocab_transform.bias", "vocab_layer_norm.weight",
                                        "vocab_layer_norm.bias", "vocab_projector.weight", "vocab_projector.bias", NULL};
#define BERT(name, ...) {name, "bert-f32", "BertForSequenceClassification", __VA_ARGS__}
#define DISTIL(name, ...) {name, "distilbert-f32", "DistilBertForSequenceClassification", __VA_ARGS__}
    static const variant all[] = {
        BERT("b0", "BertModel", "bert.", none), BERT("b1", "BertModel", "", none), BERT("b2", "BertForMaskedLM", "", masked),
        BERT("b3", "BertForPreTraining", "", masked), DISTIL("d0", "DistilBertModel", "distilbert.", none),
        DISTIL("d1", "DistilBertModel", "", none), DISTIL("d2", "DistilBertForMaskedLM", "", vocab)};
    static const variant strange = BERT("strange", "BertForMaskedLM", "", stranger);
    static const char text[] = "t5 t6 t400 t9";
    float want[2][64], got[64];
    for (int distil = 0; distil < 2; distil++) {
        pith_model *m = golden_open(distil ? make_model("whole1", "tests/golden/models/distilbert-f32")
                                           : make_model("whole0", "tests/golden/models/bert-f32"), NULL);
        embed_one(m, text, NULL, want[distil]);
        pith_model_close(m);
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        pith_model *m = golden_open(rewrite(&all[i]), NULL);
        assert_int_equal(pith_model_n_labels(m), 0);
        embed_one(m, text, NULL, got);
        assert_memory_equal(want[all[i].name[0] == 'd'], got, sizeof got);
        pith_model_close(m);
    }
    pith_err e = {0};
    assert_null(pith_model_open(rewrite(&strange), NULL, &e));
    check_words(e.msg, "1 tensor that this model does not use|adapter.weight");
}

/* ---- errors ---- */

static void expect(const pith_model *m, const pith_text *t, size_t n, const pith_embed_options *o, const char *words)
{
    pith_err e = {0};
    float out[512];
    pith_session *s = pith_session_new(m, &e);
    if (!pith_embed(s, t, n, o, out, NULL, NULL, &e)) fail_msg("expected '%s'", words);
    check_words(e.msg, words);
    pith_session_free(s);
}

static void test_errors(void **state)
{
    (void)state;
    const pith_text t[] = {{"t0", 2, NULL, 0}, {"\xff", 1, NULL, 0}, {"t2", 2, NULL, 0}, {"", 0, NULL, 0}};
    pith_model *m = golden_open(hand_made("errors", 0), NULL);
    expect(m, t, 1, &(pith_embed_options){.dimensions = 3}, "3 dimensions|have 2");
    expect(m, t, 1, &(pith_embed_options){.max_length = 9}, "max length 9|8 positions");
    expect(m, t, 2, &(pith_embed_options){.strict = 1}, "text 1: |UTF-8");
    expect(m, t + 3, 1, NULL, "has no tokens");
    pith_model_close(m);
    m = golden_open(hand_made("nan", 1), NULL);
    expect(m, t, 3, NULL, "text 2: |NaN|pith inspect");
    expect(m, t, 3, &(pith_embed_options){.pooling = PITH_POOLING_MAX}, "text 2: |NaN");
    pith_model_close(m);
    m = golden_open("tests/golden/models/bert-f32", NULL);
    expect(m, t, 1, NULL, "holds no tokenizer");
    pith_model_close(m);
    m = golden_open("models/bundled/sentiment", NULL);
    expect(m, t, 1, &(pith_embed_options){.max_length = 2}, "text 0: |leaves no room");
    pith_model_close(m);
    m = golden_open("models/bundled/reviews", NULL);
    assert_int_equal(pith_model_embedding_size(m), 0);
    expect(m, t, 1, NULL, "gives no vectors|llama");
    pith_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references), cmocka_unit_test(test_shared_references), cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_special_tokens), cmocka_unit_test(test_bits), cmocka_unit_test(test_directory),
        cmocka_unit_test(test_lower_case), cmocka_unit_test(test_heads), cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
