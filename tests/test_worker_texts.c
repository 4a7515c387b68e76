/* Jobs over texts: the same bits alone and packed with others; one that fails fails alone. */
#include "worker.h"

static void packed_texts_are_the_same_bits(void **state)
{
    (void)state;
    enum { N = 40 };
    static reading r[N], ref;
    for (size_t budget = 1; budget <= 4096; budget *= 64) {
        worker *w = open_worker(classifier, (worker_options){.max_batch_tokens = budget});
        pith_err e = {{0}};
        pith_session *s = pith_session_new(worker_model(w), &e);
        for (size_t k = 0; k < N; k++) {
            ask_labels(&r[k], k, 1 + k % REVIEWS);
            if (k % 5 == 4) r[k].t.j.classify.activation = PITH_ACTIVATION_SIGMOID;
        }
        for (size_t k = 0; k < N; k++) put(w, &r[k].t);
        for (size_t k = 0; k < N; k++) {
            await(&r[k].t);
            if (r[k].t.failed) fail_msg("%s", r[k].t.error);
            ask_labels(&ref, k, 1 + k % REVIEWS);
            if (pith_classify(s, ref.texts, ref.t.j.n_texts, &r[k].t.j.classify, ref.results, &e)) fail_msg("%s", e.msg);
            assert_memory_equal(r[k].values, ref.values, sizeof ref.values);
            for (size_t i = 0; i < ref.t.j.n_texts; i++) {
                assert_int_equal(r[k].results[i].label, ref.results[i].label);
                assert_int_equal(r[k].results[i].n_tokens, ref.results[i].n_tokens);
            }
        }
        pith_session_free(s);
        worker_close(w);
    }
}

static void a_bad_text_fails_its_own_request(void **state)
{
    (void)state;
    static reading good[3], bad, odd;
    worker *w = open_worker(classifier, (worker_options){0});
    for (size_t i = 0; i < 3; i++) {
        ask_labels(&good[i], i, 4);
        good[i].t.j.classify.strict = 1;
    }
    ask_labels(&bad, 0, 3);
    bad.t.j.classify.strict = 1;
    bad.texts[1].text = "caf\xe9", bad.texts[1].len = 4;
    ask_labels(&odd, 0, 2);
    odd.t.j.classify.max_length = 1000000;
    put(w, &good[0].t);
    put(w, &bad.t);
    put(w, &good[1].t);
    put(w, &odd.t);
    put(w, &good[2].t);
    for (size_t i = 0; i < 3; i++) {
        await(&good[i].t);
        if (good[i].t.failed) fail_msg("%s", good[i].t.error);
        assert_true(good[i].results[3].label >= 0);
    }
    await(&bad.t);
    assert_int_equal(bad.t.status, 400);
    says(bad.t.error, "text 1: ");
    await(&odd.t);
    assert_int_equal(odd.t.status, 400);
    says(odd.t.error, "max length 1000000");
    ask_labels(&odd, 0, 0); /* nothing asked, nothing computed */
    put(w, &odd.t);
    await(&odd.t);
    assert_false(odd.t.failed);
    ask_labels(&odd, 0, 1);
    odd.t.j.kind = JOB_WRITE;
    put(w, &odd.t);
    await(&odd.t);
    assert_int_equal(odd.t.status, 400);
    worker_close(w);
}

static void explained_beside_others(void **state)
{
    (void)state;
    enum { N = 6 };
    static reading r[N], other;
    pith_err e = {{0}};
    worker *w = open_worker(classifier, (worker_options){.max_batch_tokens = 64});
    pith_session *s = pith_session_new(worker_model(w), &e);
    for (size_t k = 0; k < N; k++) {
        ask_labels(&r[k], k, 1);
        r[k].t.j.kind = JOB_EXPLAIN;
        r[k].t.j.label = (int)(k % 3) - 1;
        put(w, &r[k].t);
    }
    ask_labels(&other, 0, REVIEWS);
    put(w, &other.t);
    await(&other.t);
    assert_false(other.t.failed);
    for (size_t k = 0; k < N; k++) {
        pith_word *words;
        size_t n;
        await(&r[k].t);
        if (r[k].t.failed) fail_msg("%s", r[k].t.error);
        int label = r[k].t.j.label;
        if (label < 0) {
            assert_int_equal(pith_classify(s, r[k].texts, 1, NULL, r[k].results, &e), 0);
            label = r[k].results[0].label;
        }
        if (pith_explain(s, r[k].texts[0].text, r[k].texts[0].len, label, NULL, &words, &n, &e)) fail_msg("%s", e.msg);
        assert_int_equal(r[k].t.j.n_words, n);
        for (size_t i = 0; i < n; i++) {
            const pith_word *x = &r[k].t.j.words[i];
            assert_true(x->begin == words[i].begin && x->end == words[i].end);
            assert_memory_equal(&x->influence, &words[i].influence, sizeof x->influence);
        }
        pith_free(words);
        pith_free(r[k].t.j.words);
    }
    ask_labels(&other, 0, 1);
    other.t.j.kind = JOB_EXPLAIN;
    other.t.j.label = 99;
    put(w, &other.t);
    await(&other.t);
    assert_int_equal(other.t.status, 400);
    pith_session_free(s);
    worker_close(w);
}

static void packed_vectors_are_the_same_bits(void **state)
{
    (void)state;
    enum { N = 12 };
    static reading r[N];
    pith_err e = {{0}};
    worker *w = open_worker(classifier, (worker_options){.max_batch_tokens = 100});
    pith_session *s = pith_session_new(worker_model(w), &e);
    size_t wide = pith_model_embedding_size(worker_model(w));
    float *vectors = malloc((N + 1) * REVIEWS * wide * sizeof *vectors), *alone_ = vectors + N * REVIEWS * wide;
    size_t tokens[N][REVIEWS], alone_tokens[REVIEWS];
    for (size_t k = 0; k < N; k++) {
        job *j = &r[k].t.j;
        ask_labels(&r[k], k, 1 + k % REVIEWS);
        j->kind = JOB_EMBED;
        j->vectors = vectors + k * REVIEWS * wide;
        j->n_tokens = k % 2 ? tokens[k] : NULL;
        if (k % 3 == 2) j->embed.dimensions = wide / 2, j->embed.normalize = 1;
        put(w, &r[k].t);
    }
    for (size_t k = 0; k < N; k++) {
        const job *j = &r[k].t.j;
        size_t n = j->embed.dimensions ? j->embed.dimensions : wide;
        await(&r[k].t);
        if (r[k].t.failed) fail_msg("%s", r[k].t.error);
        if (pith_embed(s, r[k].texts, j->n_texts, &j->embed, alone_, alone_tokens, NULL, &e)) fail_msg("%s", e.msg);
        assert_memory_equal(j->vectors, alone_, j->n_texts * n * sizeof *vectors);
        if (k % 2) assert_memory_equal(tokens[k], alone_tokens, j->n_texts * sizeof *alone_tokens);
    }
    free(vectors);
    pith_session_free(s);
    worker_close(w);
}

static void nan_fails_a_reading_only(void **state)
{
    (void)state;
    static reading r;
    worker *w = open_worker(spoil("nan-classifier", classifier, "classifier.bias"), (worker_options){0});
    for (int i = 0; i < 2; i++) {
        ask_labels(&r, 0, 3);
        if (i) r.t.j.kind = JOB_EXPLAIN, r.t.j.n_texts = 1, r.t.j.label = -1;
        put(w, &r.t);
        await(&r.t);
        assert_int_equal(r.t.status, 500);
        says(r.t.error, "NaN");
    }
    worker_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_texts_are_the_same_bits),
        cmocka_unit_test(a_bad_text_fails_its_own_request),
        cmocka_unit_test(explained_beside_others),
        cmocka_unit_test(packed_vectors_are_the_same_bits),
        cmocka_unit_test(nan_fails_a_reading_only),
    };
    return cmocka_run_group_tests_name("worker_texts", tests, files_setup, files_teardown);
}
