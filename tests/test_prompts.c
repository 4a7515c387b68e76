/* How prompts are computed beside each other: beginnings that are shared, steps that are. */
#include "generate.h"

/* What is busy gives its beginning away too, and what is free keeps its own. dir: of 512 positions, or dynamic ones. */
static void beginnings_of(const char *dir, size_t context)
{
    pith_model *m = open_model(dir, 2, NULL);
    size_t vocab = pith_model_vocab_size(m);
    pith_generator *g = open_generator(m, context, 4, 0), *fresh = open_generator(m, context, 1, 0);
    static answer a[4], c;
    static int32_t ids[4][300];
    for (size_t i = 0; i < 4; i++) {
        text_of(ids[i], 300, vocab, 3);
        text_of(ids[i] + 100, 200, vocab, 40 + (uint32_t)i);
    }
    pith_err e = {{0}};
    add(g, sampled(m, 0), ids[0], 170, 30, &a[0]);
    assert_int_equal(pith_generator_step(g, &e), 1);
    add(g, sampled(m, 1), ids[1], 150, 30, &a[1]); /* from one that writes */
    assert_int_equal(pith_generator_statistics(g).reused_tokens, 100);
    run(g);
    add(g, sampled(m, 2), ids[2], 180, 30, &a[2]); /* from one that is over */
    run(g);
    assert_int_equal(pith_generator_statistics(g).reused_tokens, 200);
    /* Whose own tokens are still there: the answer's as well. */
    memcpy(ids[0] + 170, a[0].ids, 30 * sizeof **ids);
    add(g, sampled(m, 3), ids[0], 220, 30, &a[3]);
    run(g);
    assert_int_equal(pith_generator_statistics(g).reused_tokens, 200 + 199);
    static const size_t n[] = {170, 150, 180, 220};
    for (size_t i = 0; i < 4; i++) {
        add(fresh, sampled(m, i), ids[i == 3 ? 0 : i], n[i], 30, &c);
        run(fresh);
        assert_memory_equal(a[i].ids, c.ids, sizeof c.ids);
        assert_memory_equal(a[i].logprobs, c.logprobs, sizeof c.logprobs);
    }
    pith_generator_free(g);
    pith_generator_free(fresh);
    pith_model_close(m);
}

static void beginnings_are_shared(void **state)
{
    (void)state;
    beginnings_of(bare("models/bundled/reviews"), 0);
    beginnings_of(bare("tests/golden/models/llama-dynamic"), 400);
}

/* Prompts that begin the same and come at once: the beginning is computed once, whatever the chunks, and also when the
 * one that computes it is cancelled. */
static void a_beginning_is_computed_once(void **state)
{
    (void)state;
    enum { N = 6 };
    pith_model *m = open_model(bare("models/bundled/reviews"), 1, NULL);
    static answer a[N], c;
    static int32_t ids[N][200];
    size_t vocab = pith_model_vocab_size(m);
    for (size_t i = 0; i < N; i++) {
        text_of(ids[i], 200, vocab, 3);
        text_of(ids[i] + 120, 80, vocab, 40 + (uint32_t)i);
    }
    for (size_t chunk = 1; chunk <= 1000; chunk *= 10)
        for (size_t cancel = 0; cancel < 2; cancel++) {
            pith_generator *g = open_generator(m, 0, N, chunk);
            pith_err e = {{0}};
            for (size_t i = 0; i < N; i++) add(g, sampled(m, i), ids[i], 150, 10, &a[i]);
            for (int i = 0; i < 3; i++) assert_int_equal(pith_generator_step(g, &e), 1);
            if (cancel) pith_generator_cancel(g, &a[0]);
            run(g);
            pith_generator_stats s = pith_generator_statistics(g);
            if (!cancel) assert_int_equal(s.prompt_tokens, 150 + (N - 1) * 30);
            else assert_in_range(s.prompt_tokens, 120 + (N - 1) * 30, 150 + (N - 1) * 30);
            if (!cancel) assert_int_equal(s.reused_tokens, (N - 1) * 120);
            for (size_t i = cancel; i < N; i++) {
                pith_generator *fresh = open_generator(m, 0, 1, 0);
                add(fresh, sampled(m, i), ids[i], 150, 10, &c);
                run(fresh);
                assert_memory_equal(a[i].ids, c.ids, sizeof c.ids);
                assert_memory_equal(a[i].logprobs, c.logprobs, sizeof c.logprobs);
                pith_generator_free(fresh);
            }
            pith_generator_free(g);
        }
    pith_model_close(m);
}

/* While one writes and others bring long prompts, every step gives a token, no step is long, and a short prompt does not
 * wait for the long ones. */
static void prompts_share_the_steps(void **state)
{
    (void)state;
    pith_model *m = open_model(bare("models/bundled/reviews"), 1, NULL);
    pith_err e = {{0}};
    pith_generator_options o = {.sequences = 4, .chunk = 200, .chunk_busy = 24};
    pith_generator *g = pith_generator_new(m, &o, &e);
    static answer stream, late[3];
    static int32_t ids[4][450];
    static const size_t n[] = {440, 400, 20};
    for (size_t i = 0; i < 4; i++) text_of(ids[i], 450, pith_model_vocab_size(m), 70 + (uint32_t)i);
    add(g, sampled(m, 0), ids[3], 100, 200, &stream);
    assert_int_equal(pith_generator_step(g, &e), 1); /* alone: all of it at once */
    assert_int_equal(stream.n, 1);
    for (size_t i = 0; i < 3; i++) add(g, sampled(m, i), ids[i], n[i], 1, &late[i]);
    uint64_t before = pith_generator_statistics(g).prompt_tokens;
    for (size_t step = 1; step <= 40; step++) {
        assert_int_equal(pith_generator_step(g, &e), 1);
        assert_int_equal(stream.n, 1 + step);
        uint64_t now = pith_generator_statistics(g).prompt_tokens;
        assert_in_range(now - before, 0, step < 30 ? 24 : 48); /* at last both are short */
        before = now;
        assert_int_equal(late[2].n, step >= 3); /* 8 tokens of 20 a step */
    }
    assert_int_equal(before, 100 + 440 + 400 + 20);
    assert_true(late[0].n == 1 && late[1].n == 1);
    /* Several short ones at once get more, though not as much as nobody's company gives. */
    for (size_t i = 0; i < 3; i++) text_of(ids[i], 90, pith_model_vocab_size(m), 200 + (uint32_t)i), add(g, sampled(m, i), ids[i], 90, 1, &late[i]);
    assert_int_equal(pith_generator_step(g, &e), 1);
    assert_int_equal(pith_generator_statistics(g).prompt_tokens, before + 3 * 24);
    while (!late[0].n || !late[1].n || !late[2].n) assert_int_equal(pith_generator_step(g, &e), 1);
    before = pith_generator_statistics(g).prompt_tokens;
    /* With nobody writing the chunk is large, unless there is hurry. */
    pith_generator_cancel(g, &stream);
    text_of(ids[0], 450, pith_model_vocab_size(m), 99);
    add(g, sampled(m, 0), ids[0], 300, 1, &late[0]);
    assert_int_equal(pith_generator_step(g, &e), 1);
    assert_int_equal(pith_generator_statistics(g).prompt_tokens, before + 200);
    pith_generator_hurry(g, 1);
    assert_int_equal(pith_generator_step(g, &e), 1);
    assert_int_equal(pith_generator_statistics(g).prompt_tokens, before + 224);
    pith_generator_hurry(g, 0);
    assert_int_equal(pith_generator_step(g, &e), 0);
    pith_generator_free(g);
    pith_model_close(m);
}

/* Says that a step is unwanted at its n-th question, once. */
typedef struct whim {
    size_t asked, n;
} whim;
static int whims(void *ctx)
{
    whim *w = ctx;
    return ++w->asked == w->n;
}

/* A step that is given up within any layer leaves nothing behind: the answers are the same bits, also where one of the
 * step's prompts is cancelled then. */
static void steps_that_are_given_up(void **state)
{
    (void)state;
    static const char *const dirs[] = {"models/bundled/reviews", "tests/golden/models/llama-dynamic", "tests/golden/models/gemma2-f32", "tests/golden/models/gpt_oss-f32"};
    static const size_t n[] = {40, 15, 30};
    for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++) {
        pith_model *m = open_model(bare(dirs[d]), 2, NULL);
        pith_err e = {{0}};
        static answer want[3], got[3];
        static int32_t ids[3][100];
        for (size_t i = 0; i < 3; i++) text_of(ids[i], 100, pith_model_vocab_size(m), 70 + (uint32_t)i);
        whim w = {0};
        pith_generator *g = open_generator(m, 0, 3, 32);
        pith_generator_watch(g, whims, &w);
        for (size_t i = 0; i < 3; i++) add(g, sampled(m, i), ids[i], n[i], 9, &want[i]);
        run(g);
        pith_generator_free(g);
        const size_t layers = w.asked;
        assert_true(layers > 8); /* it is asked more than once a step */
        for (size_t k = 1; k <= layers; k++)
            for (size_t cancel = 0; cancel < 2; cancel++) {
                w = (whim){0, k};
                g = open_generator(m, 0, 3, 32);
                pith_generator_watch(g, whims, &w);
                for (size_t i = 0; i < 3; i++) add(g, sampled(m, i), ids[i], n[i], 9, &got[i]);
                int more = 1;
                while (more > 0 && w.asked < k) {
                    pith_generator_stats before = pith_generator_statistics(g), after;
                    more = pith_generator_step(g, &e);
                    after = pith_generator_statistics(g);
                    if (w.asked < k) continue;
                    assert_int_equal(more, 1);
                    assert_int_equal(after.prompt_tokens, before.prompt_tokens);
                    assert_int_equal(after.new_tokens, before.new_tokens);
                }
                if (cancel) pith_generator_cancel(g, &got[0]);
                run(g);
                pith_generator_free(g);
                for (size_t i = cancel; i < 3; i++) {
                    assert_int_equal(got[i].n, want[i].n);
                    assert_memory_equal(got[i].ids, want[i].ids, sizeof want[i].ids);
                    assert_memory_equal(got[i].logprobs, want[i].logprobs, sizeof want[i].logprobs);
                }
            }
        pith_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beginnings_are_shared),
        cmocka_unit_test(a_beginning_is_computed_once),
        cmocka_unit_test(prompts_share_the_steps),
        cmocka_unit_test(steps_that_are_given_up),
    };
    return cmocka_run_group_tests_name("prompts", tests, NULL, tidy);
}
