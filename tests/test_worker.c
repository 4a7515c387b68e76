/* The worker: queues that fill and drain, jobs that leave, several workers beside each other. */
#include "worker.h"

static task got;

static void a_client_that_goes_frees_its_place(void **state)
{
    (void)state;
    metrics *m = metrics_new((const char *const[]){"m"}, 1);
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 1, .chunk = 1}, .metrics = m});
    static task writing, queued, prompt, next;
    ask_slowly(w, &writing);
    ask(w, &queued, 2, 0);
    ask(w, &prompt, 3, 400);
    put(w, &writing);
    until(atomic_load(&writing.tokens) > 2);
    put(w, &queued);
    put(w, &prompt);
    /* In the queue. */
    atomic_store(&queued.gone, 1);
    await(&queued);
    assert_true(queued.failed && !*queued.error && !atomic_load(&queued.tokens));
    assert_int_equal(atomic_load(&writing.ended), 0);
    assert_int_equal(worker_waiting(w), 1);
    /* While it writes: at most the token of the step that runs. */
    size_t before = atomic_load(&writing.tokens);
    atomic_store(&writing.gone, 1);
    await(&writing);
    assert_true(writing.failed && !*writing.error);
    assert_in_range(atomic_load(&writing.tokens), before, before + 1);
    /* Between two chunks of its prompt. */
    uint64_t at = counted(m, "pith_prompt_tokens_total");
    until(counted(m, "pith_prompt_tokens_total") > at + 5);
    atomic_store(&prompt.gone, 1);
    at = counted(m, "pith_prompt_tokens_total");
    await(&prompt);
    assert_true(prompt.failed && !*prompt.error && !atomic_load(&prompt.tokens));
    assert_in_range(counted(m, "pith_prompt_tokens_total"), at, at + 5); /* tests and worker are not in step */
    assert_int_equal(counted(m, "pith_cancelled_total"), 3);
    /* The worker goes on. */
    ask(w, &next, 4, 0);
    put(w, &next);
    await(&next);
    assert_false(next.failed);
    worker_close(w);
    metrics_free(m);
}

/* Leaves at the n-th time it is asked. */
typedef struct leaver {
    task t;
    size_t asked, n;
} leaver;
static int leaves(void *ctx)
{
    leaver *l = ctx;
    return ++l->asked >= l->n;
}
static void put_leaver(worker *w, leaver *l, size_t n)
{
    l->asked = 0;
    l->n = n;
    l->t.j.ctx = l;
    l->t.j.gone = leaves;
    l->t.j.on_end = on_end;
    l->t.j.on_token = on_token;
    if (worker_put(w, &l->t.j)) fail_msg("the queue is full");
}

/* Within the step that computes its prompt: nothing of it is counted, for nothing was kept. */
static void a_client_that_goes_ends_its_step(void **state)
{
    (void)state;
    metrics *m = metrics_new((const char *const[]){"m"}, 1);
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 4}, .metrics = m});
    static leaver l;
    static task company, want;
    /* Before the step it is asked once, or twice; then at every layer. */
    for (size_t n = 1; n <= 5; n++) {
        ask(w, &l.t, 3, 150);
        put_leaver(w, &l, n);
        await(&l.t);
        assert_true(l.t.failed && !*l.t.error && !atomic_load(&l.t.tokens));
        assert_int_equal(counted(m, "pith_prompt_tokens_total"), 0);
        assert_int_equal(counted(m, "pith_cancelled_total"), n);
    }
    /* Others in the step get what they would have had. */
    for (size_t n = 2; n <= 40; n += 2) {
        ask(w, &l.t, 1000 + n, 0);
        ask(w, &company, n, 0); /* another one each time: nothing that the cache has */
        ask(w, &want, n, 0);
        alone(w, &want);
        put_leaver(w, &l, n);
        put(w, &company);
        await(&l.t);
        await(&company);
        assert_false(company.failed);
        same(&company, &want);
    }
    worker_close(w);
    metrics_free(m);
}

static void queues_have_ends(void **state)
{
    (void)state;
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 1}, .max_queue = 2});
    static task slow, a, b, c;
    ask_slowly(w, &slow);
    put(w, &slow);
    until(worker_waiting(w) == 0);
    ask(w, &a, 1, 0);
    ask(w, &b, 2, 0);
    ask(w, &c, 3, 0);
    put(w, &a);
    b.j.deadline = 1e-3; /* of long ago */
    put(w, &b);
    await(&b);
    assert_int_equal(b.status, 503);
    says(b.error, "waited");
    put(w, &c);
    b.j.deadline = 0;
    assert_int_equal(worker_put(w, &b.j), -1);
    assert_int_equal(worker_waiting(w), 2);
    /* Draining: what is there goes on, even past its deadline once it runs. */
    worker_drain(w);
    atomic_store(&slow.slow, 0);
    await(&slow);
    await(&a);
    await(&c);
    assert_false(slow.failed || a.failed || c.failed);
    assert_int_equal(slow.n[0], TOKENS);
    assert_int_equal(worker_put(w, &b.j), -1);
    assert_int_equal(atomic_load(&b.ended), 1);
    worker_close(w);
}

static void closing_ends_everything(void **state)
{
    (void)state;
    worker *w = open_worker(writer, (worker_options){.generator = {.sequences = 1}});
    static task slow, waiting;
    ask_slowly(w, &slow);
    ask(w, &waiting, 2, 0);
    put(w, &slow);
    put(w, &waiting);
    until(atomic_load(&slow.tokens) > 0);
    worker_close(w);
    await(&slow);
    await(&waiting);
    assert_int_equal(slow.status, 503);
    assert_int_equal(waiting.status, 503);
    says(waiting.error, "shutting down");
}

typedef struct client {
    pthread_t thread;
    worker *w;
    size_t k;
    task write;
    reading read;
} client;

static void *write_and_wait(void *arg)
{
    client *c = arg;
    ask(c->w, &c->write, c->k, 30);
    put(c->w, &c->write);
    await(&c->write);
    return NULL;
}

static void *read_and_wait(void *arg)
{
    client *c = arg;
    ask_labels(&c->read, c->k, REVIEWS);
    put(c->w, &c->read.t);
    await(&c->read.t);
    return NULL;
}

static void several_workers_take_turns(void **state)
{
    (void)state;
    enum { N = 12 };
    static client c[N];
    static reading ref;
    pith_err e = {{0}};
    worker *w[3] = {open_worker(writer, (worker_options){.generator = {.sequences = 4}}),
                    open_worker(writer, (worker_options){.generator = {.sequences = 1}}), open_worker(classifier, (worker_options){0})};
    for (size_t i = 0; i < N; i++) {
        c[i] = (client){.w = w[i % 3], .k = i};
        if (pthread_create(&c[i].thread, NULL, i % 3 == 2 ? read_and_wait : write_and_wait, &c[i])) fail_msg("no thread");
    }
    for (size_t i = 0; i < N; i++) pthread_join(c[i].thread, NULL);
    pith_session *s = pith_session_new(worker_model(w[2]), &e);
    for (size_t i = 0; i < N; i++) {
        if (i % 3 == 2) {
            assert_false(c[i].read.t.failed);
            ask_labels(&ref, i, REVIEWS);
            assert_int_equal(pith_classify(s, ref.texts, REVIEWS, NULL, ref.results, &e), 0);
            assert_memory_equal(c[i].read.values, ref.values, sizeof ref.values);
        } else {
            assert_false(c[i].write.failed);
            ask(w[0], &got, i, 30);
            alone(w[0], &got);
            same(&c[i].write, &got);
        }
    }
    pith_session_free(s);
    for (size_t i = 0; i < 3; i++) worker_close(w[i]);
}

static void models_that_do_not_open(void **state)
{
    (void)state;
    pith_err e = {{0}};
    assert_null(worker_open(&(worker_options){.name = "m", .dir = "no/such/model"}, &e));
    says(e.msg, "no/such/model");
    worker *w = open_worker(writer, (worker_options){.generator = {.context = 100}});
    assert_string_equal(worker_name(w), "m");
    assert_string_equal(worker_dir(w), writer);
    assert_int_equal(worker_context(w), 100);
    assert_int_equal(worker_writes(w), 1);
    assert_true(!worker_template(w) == !!*worker_template_error(w));
    worker_close(w);
    w = open_worker(classifier, (worker_options){0});
    assert_int_equal(worker_writes(w), 0);
    assert_null(worker_template(w));
    worker_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_goes_frees_its_place),
        cmocka_unit_test(a_client_that_goes_ends_its_step),
        cmocka_unit_test(queues_have_ends),
        cmocka_unit_test(closing_ends_everything),
        cmocka_unit_test(several_workers_take_turns),
        cmocka_unit_test(models_that_do_not_open),
    };
    return cmocka_run_group_tests_name("worker", tests, files_setup, files_teardown);
}
