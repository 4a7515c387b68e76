/* Text to labels with the bundled model: its goldens, and that packing, windows and explanations are what they say. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "base/json.h"
#include "pith.h"
#include <math.h>
#include <unistd.h>

static const char *const MODEL = "models/bundled/sentiment";
enum { LABELS = 2 };
static pith_model *model;
static pith_session *session;

typedef struct row {
    float scores[LABELS], logits[LABELS];
} row;

static int setup(void **state)
{
    (void)state;
    pith_err e = {0};
    model = pith_model_open(MODEL, NULL, &e);
    session = model ? pith_session_new(model, &e) : NULL;
    if (!session) printf("# %s\n", e.msg);
    return session && pith_model_n_labels(model) == LABELS ? 0 : -1;
}
static int teardown(void **state)
{
    (void)state;
    pith_session_free(session);
    pith_model_close(model);
    return 0;
}

static void classify(const pith_text *texts, size_t n, const pith_classify_options *o, pith_result *results, row *rows)
{
    pith_err e = {0};
    for (size_t i = 0; i < n; i++) results[i] = (pith_result){.scores = rows[i].scores, .logits = rows[i].logits};
    if (pith_classify(session, texts, n, o, results, &e)) fail_msg("%s", e.msg);
}
static pith_result classify_one(const char *text, const pith_classify_options *o, row *r)
{
    pith_result result;
    pith_text t = {text, strlen(text), NULL, 0};
    classify(&t, 1, o, &result, r);
    return result;
}

/* A text of `words` words, deterministic. */
static char *make_text(size_t words, unsigned seed)
{
    static const char *const bank[] = {"a", "wonderful", "film", "terrible", "boring", "plot", "with", "acting,", "moving!",
                                       "the", "worst", "best", "caf\xc3\xa9", "not", "good", "<br />"};
    char *s = malloc(words * 12 + 1), *p = s;
    *p = 0;
    for (size_t i = 0; i < words; i++) {
        seed = seed * 1664525u + 1013904223u;
        p += sprintf(p, "%s%s", i ? " " : "", bank[seed >> 28]);
    }
    return s;
}

static void test_golden(void **state)
{
    (void)state;
    pith_err e = {0};
    json_doc *d = json_load("tests/golden/sentiment.json", &e);
    if (!d) fail_msg("%s", e.msg);
    double worst = 0;
    size_t n = 0;
    for (json g = json_first(json_root(d)); g.node; g = json_next(g), n++) {
        const char *text = json_str(json_get(g, "text"));
        row r;
        pith_result got = classify_one(text, NULL, &r);
        assert_string_equal(pith_model_label(model, (size_t)got.label), json_str(json_get(g, "label")));
        json want = json_first(json_get(g, "logits"));
        for (size_t i = 0; i < LABELS; i++, want = json_next(want)) {
            double diff = fabs(json_num(want) - (double)r.logits[i]);
            if (!(diff <= worst)) worst = diff;
        }
        pith_tokens x;
        assert_int_equal(pith_tokenize(pith_model_tokenizer(model), text, strlen(text), NULL, 0,
                                       &(pith_tokenize_options){.max_length = 512}, &x, &e), 0);
        size_t k = 0;
        for (json id = json_first(json_get(g, "ids")); id.node; id = json_next(id), k++)
            assert_int_equal(x.ids[k], (int)json_num(id));
        assert_int_equal(k, x.n);
        assert_int_equal(got.n_tokens, x.n);
        pith_tokens_free(&x);
    }
    printf("# %zu texts, logits within %.2e\n", n, worst);
    assert_true(n >= 12 && worst <= 1e-4);
    json_free(d);
}

/* The same bits alone, in any batch, in any order. */
static void test_packing(void **state)
{
    (void)state;
    enum { N = 24 };
    pith_text texts[N], reversed[N];
    pith_result results[N], alone;
    row rows[N], one;
    for (size_t i = 0; i < N; i++) {
        char *s = make_text(i * i * 2 % 700, (unsigned)i);
        texts[i] = (pith_text){s, strlen(s), i % 5 == 4 ? "a pair of texts" : NULL, i % 5 == 4 ? 15 : 0};
        reversed[N - 1 - i] = texts[i];
    }
    static const size_t budgets[] = {1, 16, 700, 0};
    for (size_t b = 0; b < 4; b++)
        for (int back = 0; back < 2; back++) {
            classify(back ? reversed : texts, N, &(pith_classify_options){.batch_tokens = budgets[b]}, results, rows);
            for (size_t i = 0; i < N; i++) {
                classify(&texts[i], 1, NULL, &alone, &one);
                size_t at = back ? N - 1 - i : i;
                assert_memory_equal(&one, &rows[at], sizeof one);
                assert_int_equal(alone.n_tokens, results[at].n_tokens);
                assert_int_equal(alone.truncated, results[at].truncated);
            }
        }
    for (size_t i = 0; i < N; i++) free((char *)(uintptr_t)texts[i].text);
}

/* Logits of tokens [from, to) of a text, between [CLS] and [SEP], by pith_run. */
static void run_slice(const int32_t *ids, size_t n, float *logits)
{
    pith_err e = {0};
    int32_t *seq = malloc((n + 2) * sizeof *seq);
    seq[0] = 2; /* [CLS] of the bundled vocabulary */
    memcpy(seq + 1, ids, n * sizeof *seq);
    seq[n + 1] = 3; /* [SEP] */
    pith_seq q = {seq, NULL, n + 2};
    assert_int_equal(pith_run(session, &q, 1, logits, NULL, &e), 0);
    free(seq);
}

static void test_long_texts(void **state)
{
    (void)state;
    enum { LENGTH = 50, ROOM = LENGTH - 2 };
    char *text = make_text(150, 3);
    pith_err e = {0};
    pith_tokens x;
    assert_int_equal(pith_tokenize(pith_model_tokenizer(model), text, strlen(text), NULL, 0,
                                   &(pith_tokenize_options){.no_special = 1}, &x, &e), 0);
    row r;
    float want[LABELS];
    pith_classify_options o = {.max_length = LENGTH};
    pith_result got = classify_one(text, &o, &r);
    assert_true(got.truncated && got.n_tokens == LENGTH && got.n_full == x.n + 2 && got.n_windows == 1);
    run_slice(x.ids, ROOM, want);
    assert_memory_equal(want, r.logits, sizeof want);

    o.long_text = PITH_LONG_HEAD_TAIL;
    got = classify_one(text, &o, &r);
    assert_true(got.truncated && got.n_tokens == LENGTH);
    int32_t ends[ROOM];
    memcpy(ends, x.ids, ROOM / 4 * sizeof *ends);
    memcpy(ends + ROOM / 4, x.ids + x.n - (ROOM - ROOM / 4), (ROOM - ROOM / 4) * sizeof *ends);
    run_slice(ends, ROOM, want);
    assert_memory_equal(want, r.logits, sizeof want);

    for (int pool = PITH_POOL_MEAN; pool <= PITH_POOL_MAX; pool++) {
        o = (pith_classify_options){.max_length = LENGTH, .long_text = PITH_LONG_WINDOW, .stride = 20, .pool = (pith_pool)pool};
        got = classify_one(text, &o, &r);
        float sum[LABELS] = {0}, max[LABELS] = {-INFINITY, -INFINITY};
        size_t windows = 0, tokens = 0;
        for (size_t at = 0;; at += 20) {
            size_t n = at + ROOM < x.n ? ROOM : x.n - at;
            run_slice(x.ids + at, n, want);
            for (size_t i = 0; i < LABELS; i++) {
                sum[i] = windows ? sum[i] + want[i] : want[i];
                max[i] = fmaxf(max[i], want[i]);
            }
            windows++;
            tokens += n + 2;
            if (at + n == x.n) break;
        }
        assert_true(windows > 3 && got.n_windows == windows && got.n_tokens == tokens && !got.truncated);
        for (size_t i = 0; i < LABELS; i++)
            assert_true(r.logits[i] == (pool == PITH_POOL_MAX ? max[i] : sum[i] / (float)windows));
    }
    pith_tokens_free(&x);
    free(text);
}

static void test_activations(void **state)
{
    (void)state;
    row r;
    const char *text = "not bad at all";
    classify_one(text, NULL, &r);
    double e0 = exp((double)r.logits[0]), e1 = exp((double)r.logits[1]);
    assert_true(fabs((double)r.scores[1] - e1 / (e0 + e1)) < 1e-6);
    classify_one(text, &(pith_classify_options){.activation = PITH_ACTIVATION_SIGMOID}, &r);
    for (size_t i = 0; i < LABELS; i++) assert_true(fabs((double)r.scores[i] - 1 / (1 + exp(-(double)r.logits[i]))) < 1e-6);
    classify_one(text, &(pith_classify_options){.activation = PITH_ACTIVATION_NONE}, &r);
    assert_memory_equal(r.scores, r.logits, sizeof r.scores);
}

static void test_explain(void **state)
{
    (void)state;
    const char *text = "  A wonderful,\tmoving film. ";
    static const char *const without[] = {"  \twonderful, moving film. ", "  wonderful,\tmoving film. ", "  A \tmoving film. ",
                                          "  A wonderful,\t film. ", "  A wonderful,\tmoving  "};
    pith_word *words;
    size_t n;
    pith_err e = {0};
    row whole, r;
    classify_one(text, NULL, &whole);
    assert_int_equal(pith_explain(session, text, strlen(text), 1, NULL, &words, &n, &e), 0);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        classify_one(without[i + 1], NULL, &r);
        assert_true(words[i].influence == whole.scores[1] - r.scores[1]);
    }
    assert_int_equal(words[1].begin, 4);
    assert_int_equal(words[1].end, 14);
    pith_free(words);
    assert_int_equal(pith_explain(session, "", 0, 0, NULL, &words, &n, &e), 0);
    assert_int_equal(n, 0);
    pith_free(words);
    /* More words than one group, cut by max_length: only what the model saw is asked about. */
    char *lots = make_text(100, 9);
    assert_int_equal(pith_explain(session, lots, strlen(lots), 0, &(pith_classify_options){.max_length = 60}, &words, &n, &e), 0);
    assert_true(n > 32 && n < 60);
    for (size_t i = 1; i < n; i++) assert_true(words[i].begin > words[i - 1].end);
    pith_free(words);
    free(lots);
}

static void expect_error(const pith_model *m, const char *text, size_t len, const pith_classify_options *o, const char *part)
{
    pith_err e = {0};
    row r[8];
    pith_session *s = pith_session_new(m, &e);
    pith_result result = {.scores = r[0].scores, .logits = r[0].logits};
    pith_text t = {text, len, NULL, 0};
    assert_int_equal(pith_classify(s, &t, 1, o, &result, &e), -1);
    if (!strstr(e.msg, part)) fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
    pith_session_free(s);
}

static void test_errors(void **state)
{
    (void)state;
    pith_err e = {0};
    expect_error(model, "x", 1, &(pith_classify_options){.max_length = 2}, "leaves no room");
    expect_error(model, "x", 1, &(pith_classify_options){.max_length = 513}, "512 positions");
    const pith_classify_options gaps = {.max_length = 10, .stride = 9, .long_text = PITH_LONG_WINDOW};
    expect_error(model, "a b c d e f g h i j k", 21, &gaps, "stride 9 is over the window's 8 tokens");
    expect_error(model, "a \xff", 3, &(pith_classify_options){.strict = 1}, "text 0: ");
    pith_model *bare = pith_model_open("tests/golden/models/bert-f32", NULL, &e);
    assert_non_null(bare);
    expect_error(bare, "x", 1, NULL, "holds no tokenizer");
    pith_model_close(bare);
    row r;
    pith_result result = classify_one("caf\xff", NULL, &r);
    assert_int_equal(result.n_replaced, 1);
    result = classify_one("", NULL, &r);
    assert_int_equal(result.n_tokens, 2);
}

/* The bundled model in a folder of its own, one F16 of a tensor replaced by NaN. */
static void damage(const char *dir, const char *tensor, size_t at)
{
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"};
    pith_err e = {0};
    for (size_t i = 0; i < 4; i++) {
        char from[1024], to[1024];
        size_t len;
        snprintf(from, sizeof from, "%s/%s", MODEL, files[i]);
        snprintf(to, sizeof to, "%s/%s", dir, files[i]);
        char *text = util_read(from, &len);
        if (i == 3) {
            pith_tensor t;
            pith_weights *w = pith_weights_open(from, NULL, &e);
            assert_int_equal(pith_weights_find(w, tensor, &t), 0);
            assert_string_equal(t.dtype, "F16");
            memcpy(text + t.offset + 2 * at, "\x00\x7e", 2);
            pith_weights_close(w);
        }
        FILE *f = fopen(to, "wb");
        fwrite(text, 1, len, f);
        fclose(f);
        free(text);
    }
}

/* A text that meets a NaN gets no label: every text where it is in the classifier, and where it is in a word's embedding
 * those with the word, in whichever window. */
static void test_nan(void **state)
{
    (void)state;
    static const struct { const char *text; pith_long how; pith_pool pool; int word_nan; } all[] = {
        {"good", PITH_LONG_TRUNCATE, PITH_POOL_MEAN, 0},
        {"film good good good", PITH_LONG_TRUNCATE, PITH_POOL_MEAN, 1},
        {"film good good good", PITH_LONG_WINDOW, PITH_POOL_MEAN, 1},
        {"film good good good", PITH_LONG_WINDOW, PITH_POOL_MAX, 1},
        {"good good good film", PITH_LONG_WINDOW, PITH_POOL_MAX, 1}};
    char dir[] = "/tmp/pith-nan-XXXXXX", command[64];
    pith_err e = {0};
    pith_tokens x;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(pith_tokenize(pith_model_tokenizer(model), "film", 4, NULL, 0, &(pith_tokenize_options){.no_special = 1}, &x, &e), 0);
    assert_int_equal(x.n, 1);
    for (int word = 0; word < 2; word++) {
        if (word) damage(dir, "distilbert.embeddings.word_embeddings.weight", (size_t)x.ids[0] * pith_model_hidden_size(model));
        else damage(dir, "classifier.bias", 0);
        pith_model *m = pith_model_open(dir, &(pith_model_options){.no_mmap = 1}, &e);
        if (!m) fail_msg("%s", e.msg);
        pith_session *s = pith_session_new(m, &e);
        for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
            row r;
            pith_result result = {.scores = r.scores, .logits = r.logits};
            pith_text text = {all[i].text, strlen(all[i].text), NULL, 0};
            pith_classify_options o = {.max_length = all[i].how == PITH_LONG_WINDOW ? 4 : 0, .stride = 2, .long_text = all[i].how, .pool = all[i].pool};
            assert_int_equal(pith_classify(s, &text, 1, &o, &result, &e), 0);
            if ((result.label == -1) != (!word || all[i].word_nan)) fail_msg("text %zu: label %d", i, result.label);
            if (result.label == -1) assert_true(isnan(r.logits[0]));
        }
        pith_session_free(s);
        pith_model_close(m);
    }
    pith_tokens_free(&x);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_packing), cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_activations), cmocka_unit_test(test_explain), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
