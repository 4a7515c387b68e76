/* Every call of the library fits a thread's stack where that is small: musl gives 128 KB. Each runs on one of its own, of 128 KB,
 * with hostile files too; whoever takes more dies here of the page below. */
#include "files.h"
#include "compute/kernel.h"
#include "pith.h"
#include <limits.h>
#include <pthread.h>

enum { STACK = UTIL_SANITIZED ? 2 << 20 : 128 << 10 }; /* sanitizers put far more on it */

enum { EITHER = 2 };
typedef struct call {
    const char *path, *text;
    pith_model_options options;
    int refused; /* 1: what it opens must not open; EITHER: all that matters is that it comes back */
    pith_err e;
} call;

static void on_small_stack(void *(*run)(void *), call c)
{
    pthread_t t;
    pthread_attr_t a;
    pthread_attr_init(&a);
    assert_int_equal(pthread_attr_setstacksize(&a, STACK), 0);
    assert_int_equal(pthread_create(&t, &a, run, &c), 0);
    pthread_join(t, NULL);
    pthread_attr_destroy(&a);
    if (c.refused != EITHER && c.refused != (c.e.msg[0] != 0)) fail_msg("%s: '%s'", c.path, c.e.msg);
}

static const char *const long_text = "a long way to go ";
static char words[1200];

static void *classify(void *arg)
{
    call *c = arg;
    pith_model *m = pith_model_open(c->path, &c->options, &c->e);
    pith_session *s = m ? pith_session_new(m, &c->e) : NULL;
    float values[6][8];
    pith_text t[3] = {{"A wonderful film.", 17, NULL, 0}, {words, strlen(words), NULL, 0}, {words, 300, "pair", 4}};
    pith_result r[3] = {{.scores = values[0], .logits = values[1]}, {.scores = values[2], .logits = values[3]}, {.scores = values[4], .logits = values[5]}};
    const pith_classify_options whole = {.long_text = PITH_LONG_WINDOW, .max_length = 128};
    pith_word *w = NULL;
    size_t n;
    if (s && !pith_classify(s, t, 3, &whole, r, &c->e) && !pith_explain(s, words, 60, 0, NULL, &w, &n, &c->e)) {
        float *vectors = malloc(3 * pith_model_embedding_size(m) * sizeof *vectors);
        pith_embed(s, t, 3, NULL, vectors, NULL, NULL, &c->e);
        free(vectors);
    }
    pith_free(w);
    pith_session_free(s);
    pith_model_close(m);
    return NULL;
}

static int ignore(void *ctx, const pith_token *t)
{
    return (void)ctx, (void)t, 0;
}

static void *generate(void *arg)
{
    call *c = arg;
    pith_model *m = pith_model_open(c->path, &c->options, &c->e);
    pith_generator *g = m ? pith_generator_new(m, NULL, &c->e) : NULL;
    pith_session *s = m ? pith_session_new(m, &c->e) : NULL;
    static const int32_t ids[100] = {1, 2, 3};
    static float logprobs[100];
    pith_request r = {.ids = ids, .n = 60, .max_tokens = 3, .n_top = 5, .on_token = ignore, .ignore_eos = 1};
    r.sampling = (pith_sampling){.temperature = 1, .top_k = 40, .top_p = 0.9f, .typical_p = 0.9f, .repetition_penalty = 1.1f};
    int more = !g || !s || pith_generator_add(g, &r, &c->e) ? -1 : 1;
    while (more > 0) more = pith_generator_step(g, &c->e);
    if (more == 0) pith_score(s, ids, 100, NULL, logprobs, &c->e);
    pith_generator_free(g);
    pith_session_free(s);
    pith_model_close(m);
    return NULL;
}

static void test_models(void **state)
{
    (void)state;
    static const char *const types[] = {NULL, "q8", "q4"};
    while (strlen(words) + 20 < sizeof words) strcat(words, long_text);
    for (size_t k = 0; kernel_at(k); k++)
        for (int t = 0; t < 3; t++)
            for (int threads = 1; threads <= (t ? 1 : 2); threads++) {
                pith_model_options o = {.threads = threads, .kernels = kernel_at(k)->name, .dtype = types[t]};
                on_small_stack(classify, (call){.path = "models/bundled/sentiment", .options = o});
                on_small_stack(generate, (call){.path = "models/bundled/reviews", .options = o});
            }
}

static void *weights(void *arg)
{
    call *c = arg;
    pith_weights *w = pith_weights_open(c->path, NULL, &c->e);
    for (size_t i = 0; w && i < pith_weights_count(w) && !c->e.msg[0]; i++) {
        pith_tensor_stats stats;
        float x[4];
        pith_tensor t;
        pith_weights_at(w, i, &t);
        if (pith_weights_stats(w, i, &stats, &c->e) == 0 && stats.count) pith_weights_read_f32(w, i, 0, 1, x, &c->e);
    }
    pith_weights_close(w);
    return NULL;
}

static void *verify(void *arg)
{
    call *c = arg;
    pith_verdict v;
    const pith_verify_options o = {.threads = 1, .manifest = c->text, .replace = 1};
    pith_verify(c->path, &o, &v, &c->e);
    return NULL;
}

static void *quantize(void *arg)
{
    call *c = arg;
    const pith_quantize_options o = {.replace = 1};
    pith_quantize(c->path, c->text, files_path("packed.safetensors"), &o, &c->e);
    return NULL;
}

static void test_files(void **state)
{
    (void)state;
    static const char *const paths[] = {"models/bundled/sentiment", "models/bundled/reviews", "tests/golden/models/bert-bf16-sharded"};
    for (size_t i = 0; i < 3; i++) {
        on_small_stack(weights, (call){.path = paths[i]});
        on_small_stack(verify, (call){.path = paths[i], .text = files_path("manifest.json")});
        on_small_stack(quantize, (call){.path = paths[i], .text = (const char *[]){"q8", "q4", "keep"}[i]});
    }
    on_small_stack(weights, (call){.path = "tests/golden/torch/nothing", .refused = 1});
}

/* n times `open`, then `middle`, then n times `close`. */
static const char *nested(const char *name, const char *before, const char *open, const char *middle, const char *close, size_t n)
{
    const char *path = files_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(before, f);
    for (size_t i = 0; i < n; i++) fputs(open, f);
    fputs(middle, f);
    for (size_t i = 0; i < n; i++) fputs(close, f);
    fclose(f);
    return path;
}

static void *config(void *arg)
{
    call *c = arg;
    pith_model_close(pith_model_open(c->path, NULL, &c->e));
    return NULL;
}

static void *tokenizer(void *arg)
{
    call *c = arg;
    pith_tokenizer_close(pith_tokenizer_open(c->path, &c->e));
    return NULL;
}

static void *render(void *arg)
{
    call *c = arg;
    pith_prompt p = {0};
    pith_template *t = pith_template_open_file(c->path, NULL, NULL, &c->e);
    const pith_template_options o = {.tools = c->text};
    if (t) pith_template_render(t, c->text, strlen(c->text), &o, &p, &c->e);
    pith_prompt_free(&p);
    pith_template_close(t);
    return NULL;
}

static void test_nesting(void **state)
{
    (void)state;
    static char deep[300];
    memset(deep, '[', 120);
    memset(deep + 120, ']', 120);
    const char *dir = files_path("");
    for (size_t n = 100; n <= 100000; n *= 10) {
        nested("config.json", "", "[", "", "]", n);
        nested("tokenizer.json", "{\"model\":", "{\"a\":", "1", "}", n);
        on_small_stack(config, (call){.path = dir, .refused = 1});
        on_small_stack(tokenizer, (call){.path = dir, .refused = 1});
        on_small_stack(weights, (call){.path = nested("x.pt", "\x80\x02N", "\x85", "", "", n), .refused = 1});
    }
    static const struct {
        const char *before, *open, *middle, *close;
    } templates[] = {
        {"{{ ", "(", "1", ")"}, {"{{ ", "[", "", "]"}, {"{{ 1", " + 1", " }}", ""}, {"{{ a", ".b", " }}", ""}, {"{{ ", "not ", "1 }}", ""},
        {"{{ 1", "|string", " }}", ""}, {"", "{% if 1 %}", "", "{% endif %}"}, {"", "{% for x in [1] %}", "", "{% endfor %}"},
        {"{% if 0 %}", "{% elif 1 %}", "{% endif %}", ""}, {"{{ 1", " if 1 else 2", " }}", ""}, {"{{ ", "-", "1 }}", ""},
        {"{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "", "", ""}, {"{{ messages|tojson }}{{ messages }}{{ tools|tojson(indent=2) }}", "", "", ""},
        {"{% set ns = namespace(x=[]) %}", "{% set ns.x = [ns.x] %}", "{{ ns.x }}{{ ns.x|tojson }}{{ ns.x == ns.x }}", ""},
    };
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        for (size_t n = 25; n <= 25000; n = n < 1000 ? n + 75 : n * 5) { /* below the bounds, about them, and beyond */
            const char *path = nested("t.jinja", templates[i].before, templates[i].open, templates[i].middle, templates[i].close, n);
            on_small_stack(render, (call){.path = path, .text = deep, .refused = EITHER});
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models), cmocka_unit_test(test_files), cmocka_unit_test(test_nesting)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
