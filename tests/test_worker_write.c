/* Jobs that write: the same bits alone, in company and from the cache; several answers, errors. */
#include "worker.h"
#include <sys/resource.h>

enum { CROWD = 32 };
static task expected[CROWD], got[CROWD];

static void answers_are_the_same_bits(void **state)
{
    (void)state;
    static const pith_generator_options settings[] = {
        {.sequences = 32}, {.sequences = 1}, {.sequences = 5, .chunk = 7}, {.sequences = 32, .chunk = 1}, {.sequences = 9, .chunk_busy = 1}};
    for (size_t shared = 0; shared <= 150; shared += 150) {
        for (size_t s = 0; s < 5; s++) {
            worker *w = open_worker(writer, (worker_options){.generator = settings[s]});
            for (size_t k = 0; k < CROWD && s == 0; k++) {
                ask(w, &expected[k], k, shared);
                alone(w, &expected[k]);
            }
            for (size_t round = 0; round < 2; round++) { /* the second one finds the caches of the first */
                for (size_t k = 0; k < CROWD; k++) ask(w, &got[k], k, shared);
                for (size_t k = 0; k < CROWD; k++) put(w, &got[k]);
                for (size_t k = 0; k < CROWD; k++) await(&got[k]);
                for (size_t k = 0; k < CROWD; k++) {
                    if (got[k].failed) fail_msg("%s", got[k].error);
                    same(&got[k], &expected[k]);
                }
            }
            worker_close(w);
        }
    }
}

static void several_answers_to_one_prompt(void **state)
{
    (void)state;
    for (size_t sequences = 1; sequences <= 4; sequences += 3) {
        metrics *m = metrics_new((const char *const[]){"m"}, 1);
        worker *w = open_worker(writer, (worker_options){.generator = {.sequences = sequences}, .metrics = m});
        static task a, b, c;
        ask(w, &a, 11, 100);
        a.j.n = ANSWERS;
        a.j.request.sampling.temperature = 1;
        b = a;
        c = a;
        alone(w, &b);
        put(w, &a);
        await(&a);
        same(&a, &b);
        assert_memory_not_equal(a.ids[0], a.ids[1], sizeof a.ids[0]);
        assert_int_equal(a.j.n_cached, 0);
        size_t n = a.j.request.n;
        assert_int_equal(counted(m, "pith_prompt_tokens_total"), n + ANSWERS - 1);
        assert_int_equal(counted(m, "pith_cached_tokens_total"), (n - 1) * (ANSWERS - 1));
        assert_int_equal(counted(m, "pith_generated_tokens_total"), atomic_load(&a.tokens));
        put(w, &c);
        await(&c);
        same(&c, &b);
        assert_int_equal(c.j.n_cached, n - 1);
        worker_close(w);
        metrics_free(m);
    }
}

static void an_answer_that_is_stopped_ends_well(void **state)
{
    (void)state;
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 2}});
    static task t;
    ask(w, &t, 5, 0);
    t.j.n = 3;
    t.stop_after = 4;
    put(w, &t);
    await(&t);
    assert_false(t.failed);
    for (size_t i = 0; i < 3; i++) assert_int_equal(t.n[i], 4);
    ask(w, &t, 5, 0);
    t.j.n = 0;
    put(w, &t);
    await(&t);
    assert_false(t.failed);
    worker_close(w);
}

/* Jobs with more answers than there is room do not keep others from theirs. */
static void many_answers_wait_for_others(void **state)
{
    (void)state;
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 2}});
    static task many, one;
    ask_slowly(w, &many);
    many.j.n = ANSWERS;
    many.stop_after = 20;
    ask(w, &one, 3, 0);
    put(w, &many);
    until(atomic_load(&many.tokens) > 0);
    put(w, &one);
    await(&one);
    assert_true(atomic_load(&many.tokens) < 20 * ANSWERS);
    await(&many);
    for (size_t i = 0; i < ANSWERS; i++) assert_int_equal(many.n[i], 20);
    worker_close(w);
}

static void what_cannot_be_done_fails_alone(void **state)
{
    (void)state;
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 4}});
    static task good, id, length, setting, kind;
    ask(w, &good, 7, 0);
    ask(w, &id, 1, 0);
    id.prompt[2] = 1 << 20;
    ask(w, &length, 2, 0);
    length.j.request.n = 512;
    ask(w, &setting, 3, 0);
    setting.j.request.sampling.top_p = 7;
    ask(w, &kind, 4, 0);
    kind.j.kind = JOB_CLASSIFY;
    put(w, &good);
    put(w, &id);
    put(w, &length);
    put(w, &setting);
    put(w, &kind);
    await(&good);
    await(&id);
    await(&length);
    await(&setting);
    await(&kind);
    assert_false(good.failed);
    assert_int_equal(id.status, 400);
    says(id.error, "outside the model's vocabulary");
    assert_int_equal(length.status, 400);
    says(length.error, "the prompt has 512 tokens");
    assert_int_equal(setting.status, 400);
    says(setting.error, "top_p");
    assert_int_equal(kind.status, 400);
    worker_close(w);
}

static void nan_fails_an_answer_only(void **state)
{
    (void)state;
    static task t;
    worker *w = open_worker(spoil("nan-writer", writer, "model.norm.weight"), (worker_options){.generator = {.sequences = 2}});
    for (int i = 0; i < 2; i++) {
        ask(w, &t, 2, 0);
        t.j.n = 2;
        put(w, &t);
        await(&t);
        assert_int_equal(t.status, 500);
        says(t.error, "NaN");
        assert_int_equal(atomic_load(&t.tokens), 0);
    }
    worker_close(w);
}

/* Address space for so many bytes more than there are now; 0: for all. */
static void allow(size_t more)
{
    struct rlimit r;
    getrlimit(RLIMIT_AS, &r);
    char *statm = util_read("/proc/self/statm", NULL);
    r.rlim_cur = more ? strtoull(statm, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) + more : r.rlim_max;
    free(statm);
    if (setrlimit(RLIMIT_AS, &r)) fail_msg("cannot set the limit of memory");
}

/* Caches of 2.6 GB of address space each, of which little is touched, and room for one of them only. */
static void short_memory_fails_one_answer_only(void **state)
{
    (void)state;
#if UTIL_SANITIZED
    printf("# skip: a sanitizer needs all of the address space\n");
    skip();
#endif
    worker *w = open_worker("tests/golden/models/llama-dynamic", (worker_options){.generator = {.sequences = 2, .context = 1 << 22}});
    static task first, second, both[2];
    ask(w, &first, 1, 0);
    put(w, &first);
    await(&first);
    assert_false(first.failed);
    allow((size_t)1 << 30);
    ask(w, &second, 2, 0); /* what the first one left is given up */
    put(w, &second);
    await(&second);
    if (second.failed) fail_msg("%s", second.error);
    for (size_t i = 0; i < 2; i++) ask(w, &both[i], 3 + i, 0), both[i].j.request.max_tokens = TOKENS, atomic_store(&both[i].slow, 1);
    for (size_t i = 0; i < 2; i++) put(w, &both[i]);
    for (size_t i = 0; i < 2; i++) await(&both[i]);
    allow(0);
    assert_int_equal(both[0].failed + both[1].failed, 1);
    const task *t = &both[both[1].failed];
    assert_int_equal(t->status, 503);
    says(t->error, "out of memory");
    ask(w, &both[1], 4, 0);
    put(w, &both[1]);
    await(&both[1]);
    assert_false(both[1].failed);
    worker_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_same_bits),
        cmocka_unit_test(several_answers_to_one_prompt),
        cmocka_unit_test(an_answer_that_is_stopped_ends_well),
        cmocka_unit_test(many_answers_wait_for_others),
        cmocka_unit_test(what_cannot_be_done_fails_alone),
        cmocka_unit_test(nan_fails_an_answer_only),
        cmocka_unit_test(short_memory_fails_one_answer_only),
    };
    return cmocka_run_group_tests_name("worker_write", tests, files_setup, files_teardown);
}
