/* The engine against float64 goldens, and the bits contract: one hash of the logits for every number of threads,
 * batch, and exact kernel set. */
#include "golden.h"
#include "compute/kernel.h"

static const char *const models[] = {"bert-bf16-sharded", "bert-eps-relu", "bert-f32", "bert-gelu_new", "bert-legacy",
                                     "distilbert-bf16", "distilbert-f16", "distilbert-f32", "distilbert-odd",
                                     "distilbert-sharded", "distilbert-single"};
enum { N_MODELS = sizeof models / sizeof models[0] };

static const char *const root = "tests/golden";

static void test_goldens(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_MODELS; i++) {
        golden g;
        golden_load(&g, root, models[i]);
        pith_model *m = golden_open(g.dir, NULL);
        golden_check(&g, m, models[i]);
        pith_model_close(m);
        golden_free(&g);
    }
}

/* Hash of all logits, computed in batches of `batch` sequences (0: sizes 1, 2, 3, ...), each result put where its
 * sequence belongs. */
static uint64_t hash_of(const golden *g, int threads, const char *kernels, const char *as, size_t batch)
{
    pith_model *m = golden_open(g->dir, &(pith_model_options){.threads = threads, .kernels = kernels, .dtype = as});
    pith_err e = {0};
    pith_session *s = pith_session_new(m, &e);
    size_t labels = pith_model_n_labels(m), h = pith_model_hidden_size(m), total = 0, at = 0, row = 0, size = batch;
    for (size_t q = 0; q < g->n; q++) total += g->seqs[q].n;
    size_t n_floats = g->n * labels + total * h;
    float *all = malloc(n_floats * sizeof(float));
    while (at < g->n) {
        size = batch ? batch : size + 1;
        size_t n = at + size < g->n ? size : g->n - at, tokens = 0;
        for (size_t q = at; q < at + n; q++) tokens += g->seqs[q].n;
        golden_run(s, g->seqs + at, n, all + at * labels, all + g->n * labels + row * h);
        at += n;
        row += tokens;
    }
    uint64_t hash = pith_hash(all, n_floats * sizeof(float));
    free(all);
    pith_session_free(s);
    pith_model_close(m);
    return hash;
}

static void test_bits(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 4};
    static const size_t batches[] = {1, 2, 7, 32, 0};
    static const char *const names[] = {"distilbert-odd", "bert-bf16-sharded", "distilbert-f16"};
    size_t runs = 0;
    static const char *const types[] = {"auto", "q8", "q4"};
    for (size_t i = 0; i < 9; i++) {
        const char *name = names[i / 3], *as = types[i % 3];
        golden g;
        golden_load(&g, root, name);
        while (g.n < 33) { /* mixed lengths, repeated so that a batch of 32 is a batch of 32 */
            g.seqs[g.n] = g.seqs[(g.n * 5 + 3) % 8];
            g.ids[g.n++] = NULL;
        }
        uint64_t want = hash_of(&g, 1, "generic", as, 1);
        printf("# %s %s: %016llx\n", name, as, (unsigned long long)want);
        for (size_t k = 0; kernel_at(k); k++) {
            if (!kernel_at(k)->exact) continue;
            for (size_t t = 0; t < 3; t++)
                for (size_t b = 0; b < 5; b++) {
                    if (i % 3 && (t == 1 || b % 2)) continue; /* the quantised: fewer of each */
                    if (!util_long() && (i / 3 + k + t + b) % 3) continue; /* a third, another for each model and set */
                    if (hash_of(&g, threads[t], kernel_at(k)->name, as, batches[b]) != want)
                        fail_msg("%s %s: other bits with %s, %d threads, batch %zu", name, as, kernel_at(k)->name, threads[t],
                                 batches[b]);
                    runs++;
                }
        }
        golden_free(&g);
    }
    printf("# %zu runs, one hash a model and type\n", runs);
    assert_true(runs >= (util_long() ? 81 : 27));
}

/* openblas promises no bits, but it must be right. */
static void test_openblas(void **state)
{
    (void)state;
    pith_err e = {0};
    golden g;
    float want[8 * 5], got[8 * 5];
    if (!kernel_find("openblas", &e)) {
        printf("# skip: %s\n", e.msg);
        skip();
    }
    golden_load(&g, root, "distilbert-odd");
    const char *const sets[] = {"generic", "openblas"};
    for (int i = 0; i < 2; i++) {
        pith_model *m = golden_open(g.dir, &(pith_model_options){.kernels = sets[i]});
        pith_session *s = pith_session_new(m, &e);
        golden_run(s, g.seqs, g.n, i ? got : want, NULL);
        pith_session_free(s);
        pith_model_close(m);
    }
    for (size_t i = 0; i < g.n * 5; i++) assert_true(fabsf(want[i] - got[i]) < 1e-4f);
    golden_free(&g);
}

static void expect_run_error(pith_session *s, pith_seq q, const char *part)
{
    pith_err e = {0};
    float logits[8];
    assert_int_equal(pith_run(s, &q, 1, logits, NULL, &e), -1);
    if (!strstr(e.msg, part)) fail_msg("\"%s\" does not say \"%s\"", e.msg, part);
}

static void test_bad_sequences(void **state)
{
    (void)state;
    int32_t ids[100] = {0};
    uint8_t types[100] = {0};
    pith_err e = {0};
    pith_model *m = golden_open("tests/golden/models/bert-f32", NULL);
    pith_session *s = pith_session_new(m, &e);
    expect_run_error(s, (pith_seq){ids, NULL, 0}, "no tokens");
    expect_run_error(s, (pith_seq){ids, NULL, 73}, "72 positions");
    ids[3] = 515;
    expect_run_error(s, (pith_seq){ids, NULL, 5}, "id 515 is outside the model's vocabulary of 515");
    ids[3] = -1;
    expect_run_error(s, (pith_seq){ids, NULL, 5}, "id -1");
    types[2] = 2;
    expect_run_error(s, (pith_seq){ids, types, 3}, "type_vocab_size is 2");
    pith_session_free(s);
    pith_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goldens),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_openblas),
        cmocka_unit_test(test_bad_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
