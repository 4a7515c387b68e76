/* Causal models against float64 goldens, in both shapes of config.json; their greedy continuations; and the bits contract
 * for generation: the same logits to the bit for every number of threads, kernel set, cut of the prompt, company in the
 * batch, and whether a prefix was read from the cache. */
#define _GNU_SOURCE
#include "files.h"
#include "golden.h"
#include "compute/kernel.h"
#include "engine.h"

/* Committed here: every architecture and kind of rotary scaling. dynamic, linear and the classifiers are our own. */
static const char *const own[] = {"llama-odd",        "llama3-rope-bf16-sharded", "mistral-swa-bf16-sharded",
                                  "qwen2-tied-bf16",  "qwen3-tied-bf16",          "gemma-f32",
                                  "gemma2-f32",       "gpt_oss-f32",              "llama-dynamic",
                                  "llama-linear",     "llama-classify",           "gemma2-classify"};
static const char *const shared[] = {
    "llama-bias",      "llama-gqa-bf16",    "llama-gqa-bf16-sharded", "llama-gqa-f16",    "llama-gqa-f32",
    "llama-headdim",   "llama-mha-f32",     "llama-mqa-sharded",      "llama-rope-linear", "llama-rope-yarn",
    "llama-tied",      "llama-tied-bf16",   "llama3-rope",            "mistral-f32",      "mistral-swa",
    "qwen2-f32",       "qwen2-swa-off",     "qwen2-swa-on",           "qwen2-tied-sharded", "qwen3-f32"};
enum { N_OWN = sizeof own / sizeof own[0], N_SHARED = sizeof shared / sizeof shared[0] };
static const char *const root = "tests/golden";

static void *must(void *p)
{
    assert_non_null(p);
    return p;
}

static void forward(pith_session *s, const pith_seq *seqs, size_t n, kv_cache *const *cache, int every_token, float *logits)
{
    pith_err e = {0};
    engine_run r = {.seqs = seqs, .n = n, .cache = cache, .every_token = every_token, .logits = logits};
    if (engine_forward(s, &r, &e)) fail_msg("%s", e.msg);
}

static void open_cache(kv_cache *c, const pith_model *m, size_t tokens)
{
    pith_err e = {0};
    if (kv_init(c, m->dims.kv, tokens, &e)) fail_msg("%s", e.msg);
}

static size_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* ---- goldens ---- */

typedef struct continuation {
    json_doc *doc;
    int32_t *want, last;
    json margin; /* of the next token */
    size_t n, at;
    kv_cache cache;
} continuation;

static void continuation_load(continuation *c, const golden *g, const pith_model *m, size_t q)
{
    char path[1024];
    *c = (continuation){0};
    snprintf(path, sizeof path, "%s/np.%zu.json", g->expected, q);
    c->doc = golden_json(path);
    c->want = golden_ids(json_get(json_root(c->doc), "greedy"), &c->n);
    c->margin = json_first(json_get(json_root(c->doc), "margin"));
    if (c->n) open_cache(&c->cache, m, g->seqs[q].n + c->n);
}

/* Continues all sequences at once, each through its own cache, until every one has its golden's length. */
static size_t check_greedy(const golden *g, const pith_model *m, const char *name)
{
    pith_err e = {0};
    pith_session *s = pith_session_new(m, &e);
    size_t vocab = pith_model_vocab_size(m), n = 0, checked = 0;
    continuation c[GOLDEN_MAX];
    pith_seq seqs[GOLDEN_MAX];
    kv_cache *caches[GOLDEN_MAX];
    continuation *of[GOLDEN_MAX];
    float *logits = must(malloc(g->n * vocab * sizeof(float)));
    for (size_t q = 0; q < g->n; q++) {
        continuation_load(&c[q], g, m, q);
        if (!c[q].n) continue;
        seqs[n] = g->seqs[q];
        caches[n] = &c[q].cache;
        of[n++] = &c[q];
    }
    while (n) {
        size_t left = 0;
        forward(s, seqs, n, caches, 0, logits);
        for (size_t i = 0; i < n; i++) {
            continuation *x = of[i];
            int32_t got = (int32_t)argmax(logits + i * vocab, vocab), want = x->want[x->at];
            if (json_num(x->margin) > 1e-3 && got != want)
                fail_msg("%s, sequence %zu: token %zu is %d, expected %d", name, (size_t)(x - c), x->at, got, want);
            checked++;
            x->last = want;
            x->margin = json_next(x->margin);
            if (++x->at == x->n) continue;
            of[left] = x, caches[left] = &x->cache;
            seqs[left++] = (pith_seq){&x->last, NULL, 1};
        }
        n = left;
    }
    for (size_t q = 0; q < g->n; q++) {
        kv_free(&c[q].cache);
        free(c[q].want);
        json_free(c[q].doc);
    }
    free(logits);
    pith_session_free(s);
    return checked;
}

static size_t check_model(const char *where, const char *name)
{
    golden g;
    golden_load(&g, where, name);
    pith_model *m = golden_open(g.dir, NULL);
    assert_true(pith_model_is_causal(m));
    golden_check(&g, m, name);
    size_t checked = pith_model_n_labels(m) ? 0 : check_greedy(&g, m, name);
    pith_model_close(m);
    golden_free(&g);
    return checked;
}

static void test_own_goldens(void **state)
{
    (void)state;
    size_t checked = 0;
    for (size_t i = 0; i < N_OWN; i++) checked += check_model(root, own[i]);
    printf("# %zu greedy tokens\n", checked);
    assert_true(checked > 700);
}

/* A set that promises no bits must be right all the same. */
static void test_openblas(void **state)
{
    (void)state;
    static const char *const names[] = {"mistral-swa-bf16-sharded", "gpt_oss-f32"};
    pith_err e = {0};
    if (!kernel_find("openblas", &e)) {
        printf("# skip: %s\n", e.msg);
        skip();
    }
    for (size_t i = 0; i < 2; i++) {
        golden g;
        golden_load(&g, root, names[i]);
        pith_model *m = golden_open(g.dir, &(pith_model_options){.kernels = "openblas"});
        golden_check(&g, m, names[i]);
        pith_model_close(m);
        golden_free(&g);
    }
}

static void test_shared_goldens(void **state)
{
    (void)state;
    char where[1024];
    size_t checked = 0;
    snprintf(where, sizeof where, "%s", util_need("golden"));
    for (size_t i = 0; i < N_SHARED; i++) checked += check_model(where, shared[i]);
    printf("# %zu greedy tokens\n", checked);
    assert_true(checked > 2000);
}

static const char *with_config(const char *name, const char *dir, const char *config)
{
    char *text = util_read(config, NULL);
    const char *made = files_model(name, dir, text);
    free(text);
    return made;
}

static void check_v5(const char *where, const char *name, const char *config)
{
    golden g;
    char label[128], folder[128];
    golden_load(&g, where, name);
    snprintf(folder, sizeof folder, "v5-%s", name);
    snprintf(label, sizeof label, "%s (v5)", name);
    pith_model *m = golden_open(with_config(folder, g.dir, config), NULL);
    golden_check(&g, m, label);
    pith_model_close(m);
    golden_free(&g);
}

static void test_v5_configs(void **state)
{
    (void)state;
    char path[1024];
    for (size_t i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "%s/models/%s/config.v5.json", root, own[i]);
        check_v5(root, own[i], path);
    }
}

static void test_shared_v5_configs(void **state)
{
    (void)state;
    char where[1024], path[2048];
    snprintf(where, sizeof where, "%s", util_need("golden"));
    for (size_t i = 0; i < N_SHARED; i++) {
        snprintf(path, sizeof path, "%s/models-v5/%s/config.json", where, shared[i]);
        check_v5(where, shared[i], path);
    }
}

/* Greedy text of a trained model, prompt included. */
static void check_story(const char *dir, const int32_t *prompt, size_t n_prompt, const int32_t *want, size_t n_want)
{
    pith_err e = {0};
    pith_model *m = golden_open(dir, NULL);
    pith_session *s = pith_session_new(m, &e);
    float *logits = must(malloc(pith_model_vocab_size(m) * sizeof(float)));
    kv_cache cache, *caches[] = {&cache};
    open_cache(&cache, m, n_want);
    assert_memory_equal(prompt, want, n_prompt * sizeof *want);
    forward(s, &(pith_seq){prompt, NULL, n_prompt}, 1, caches, 0, logits);
    for (size_t i = n_prompt; i < n_want; i++) {
        int32_t got = (int32_t)argmax(logits, pith_model_vocab_size(m));
        if (got != want[i]) fail_msg("%s: token %zu is %d, expected %d", dir, i, got, want[i]);
        forward(s, &(pith_seq){&got, NULL, 1}, 1, caches, 0, logits);
    }
    kv_free(&cache);
    free(logits);
    pith_session_free(s);
    pith_model_close(m);
}

/* Its config and weights alone: tokenizers have their own tests. */
static const char *story_model(const char *name)
{
    char dir[1024], config[2048];
    snprintf(dir, sizeof dir, "%s/%s", util_need("models"), name);
    snprintf(config, sizeof config, "%s/config.json", dir);
    return with_config(name, dir, config);
}

static void check_stories(const char *name)
{
    char path[2048];
    const char *dir = story_model(name);
    snprintf(path, sizeof path, "%s/%s/golden.json", util_need("models"), name);
    json_doc *d = golden_json(path);
    size_t stories = 0;
    for (json c = json_first(json_root(d)); c.node; c = json_next(c), stories++) {
        size_t n_prompt, n;
        int32_t *prompt = golden_ids(json_get(c, "prompt_ids"), &n_prompt), *want = golden_ids(json_get(c, "greedy_ids"), &n);
        assert_true(n > n_prompt && n_prompt > 0);
        check_story(dir, prompt, n_prompt, want, n);
        free(prompt);
        free(want);
    }
    assert_int_equal(stories, 5);
    json_free(d);
}

static void test_stories260K(void **state)
{
    (void)state;
    check_stories("stories260K");
    /* the 200 ids that llama2.c publishes, which follow <s> */
    char path[1024];
    size_t n;
    int32_t want[201] = {1};
    snprintf(path, sizeof path, "%s", util_need("golden/published/stories260K/hf/greedy_ids.json"));
    json_doc *d = golden_json(path);
    int32_t *ids = golden_ids(json_get(json_root(d), "ids"), &n);
    assert_int_equal(n, 200);
    memcpy(want + 1, ids, n * sizeof *ids);
    check_story(files_path("stories260K"), want, 1, want, 201);
    free(ids);
    json_free(d);
}

static void test_stories3M(void **state)
{
    (void)state;
    check_stories("stories3M");
}

/* ---- contexts ---- */

static void refused(pith_session *s, const engine_run *r, const char *words)
{
    pith_err e = {0};
    size_t n = r->cache[0]->n;
    assert_int_equal(engine_forward(s, r, &e), -1);
    if (!strstr(e.msg, words)) fail_msg("\"%s\" does not say \"%s\"", e.msg, words);
    assert_int_equal(r->cache[0]->n, n);
}

/* A context takes what it was opened for and the model has positions for; a refusal leaves it as it was. */
static void test_context(void **state)
{
    (void)state;
    static int32_t ids[300];
    pith_err e = {0};
    kv_cache c, *list[] = {&c};
    pith_model *m = golden_open("tests/golden/models/llama-odd", NULL), *d = golden_open("tests/golden/models/llama-dynamic", NULL);
    pith_session *s = pith_session_new(m, &e), *t = pith_session_new(d, &e);
    open_cache(&c, m, 10);
    forward(s, &(pith_seq){ids, NULL, 8}, 1, list, 0, NULL);
    refused(s, &(engine_run){.seqs = &(pith_seq){ids, NULL, 3}, .n = 1, .cache = list}, "11 tokens, but its context was opened for 10");
    forward(s, &(pith_seq){ids, NULL, 2}, 1, list, 0, NULL);
    assert_int_equal(c.n, 10);
    kv_free(&c);
    open_cache(&c, m, 1000);
    assert_int_equal(pith_model_max_positions(m), 256);
    forward(s, &(pith_seq){ids, NULL, 256}, 1, list, 0, NULL);
    refused(s, &(engine_run){.seqs = &(pith_seq){ids, NULL, 1}, .n = 1, .cache = list}, "257 tokens, but the model has 256 positions");
    kv_free(&c);
    /* dynamic positions stretch */
    assert_int_equal(pith_model_max_positions(d), 64);
    open_cache(&c, d, 300);
    forward(t, &(pith_seq){ids, NULL, 300}, 1, list, 0, NULL);
    kv_free(&c);
    pith_session_free(s);
    pith_session_free(t);
    pith_model_close(m);
    pith_model_close(d);
}

/* ---- bits ---- */

typedef struct bits {
    const char *dir, *name;
    int32_t *ids;
    size_t n, vocab;
    float *want; /* [n][vocab]: one forward, one thread, generic */
    int half;
    size_t runs;
} bits;

/* Feeds tokens [from, to) in chunks; rows land in out[from .. to). */
static void feed(const bits *b, pith_session *s, kv_cache *cache, size_t from, size_t to, size_t chunk, float *out)
{
    for (size_t at = from; at < to; at += chunk) {
        size_t n = to - at < chunk ? to - at : chunk;
        forward(s, &(pith_seq){b->ids + at, NULL, n}, 1, &cache, 1, out + at * b->vocab);
    }
}

static void bits_cache(const bits *b, kv_cache *c, const pith_model *m, size_t tokens)
{
    pith_err e = {0};
    kv_shape shape = m->dims.kv;
    shape.half = b->half;
    if (kv_init(c, shape, tokens, &e)) fail_msg("%s", e.msg);
}

static void same(bits *b, const float *got, const pith_model *m, const char *how, size_t size)
{
    b->runs++;
    if (!memcmp(got, b->want, b->n * b->vocab * sizeof *got)) return;
    size_t i = 0;
    while (!memcmp(&got[i], &b->want[i], sizeof *got)) i++;
    fail_msg("%s: other bits with %s, %d threads, %s %zu: token %zu", b->name, pith_model_kernels(m), pith_model_threads(m),
             how, size, i / b->vocab);
}

/* The same tokens beside two other sequences, one of which is fed at another pace. */
static void with_company(const bits *b, pith_session *s, float *out)
{
    const pith_model *m = s->m;
    kv_cache c[3], *list[] = {&c[1], &c[0], &c[2]};
    float *all = must(malloc(64 * b->vocab * sizeof(float)));
    for (int i = 0; i < 3; i++) bits_cache(b, &c[i], m, b->n);
    for (size_t at = 0; at < b->n; at += 7) {
        size_t n = b->n - at < 7 ? b->n - at : 7, other = c[1].n + 11 <= b->n ? 11 : 1;
        if (c[1].n + other > b->n) c[1].n = 0; /* begins again */
        pith_seq seqs[] = {{b->ids, NULL, other}, {b->ids + at, NULL, n}, {b->ids + at + n - 1, NULL, 1}};
        forward(s, seqs, 3, list, 1, all);
        memcpy(out + at * b->vocab, all + other * b->vocab, n * b->vocab * sizeof(float));
    }
    for (int i = 0; i < 3; i++) kv_free(&c[i]);
    free(all);
}

static void bits_of(bits *b, const pith_model_options *o)
{
    static const size_t chunks[] = {1, 7, 64, SIZE_MAX};
    pith_err e = {0};
    pith_model *m = golden_open(b->dir, o);
    pith_session *s = pith_session_new(m, &e);
    float *out = must(calloc(b->n * b->vocab, sizeof(float)));
    kv_cache c;
    for (size_t i = 0; i < 4; i++) {
        bits_cache(b, &c, m, b->n);
        feed(b, s, &c, 0, b->n, chunks[i] < b->n ? chunks[i] : b->n, out);
        kv_free(&c);
        same(b, out, m, "chunks of", chunks[i]);
    }
    /* A prefix that is in the cache already, with what another text left behind it. */
    for (size_t prefix = 1; prefix < b->n; prefix += 31) {
        bits_cache(b, &c, m, b->n);
        forward(s, &(pith_seq){b->ids, NULL, prefix}, 1, (kv_cache *[]){&c}, 0, NULL);
        forward(s, &(pith_seq){b->ids + 1, NULL, b->n - prefix < 40 ? b->n - prefix : 40}, 1, (kv_cache *[]){&c}, 0, NULL);
        c.n = prefix;
        memset(out + prefix * b->vocab, 0, (b->n - prefix) * b->vocab * sizeof(float));
        feed(b, s, &c, prefix, b->n, b->n, out);
        kv_free(&c);
        same(b, out, m, "cached prefix", prefix);
    }
    with_company(b, s, out);
    same(b, out, m, "in a batch, chunks of", 7);
    free(out);
    pith_session_free(s);
    pith_model_close(m);
}

static void check_bits(const char *dir, const char *name, size_t n, int half, const char *as)
{
    static const int threads[] = {1, 2, 4};
    static size_t turn; /* each set with another number of threads for each model, with all of them if LONG=1 */
    bits b = {.dir = dir, .name = name, .n = n, .half = half};
    pith_err e = {0};
    pith_model *m = golden_open(dir, &(pith_model_options){.threads = 1, .kernels = "generic", .dtype = as});
    pith_session *s = pith_session_new(m, &e);
    kv_cache c;
    uint32_t seed = 20;
    b.vocab = pith_model_vocab_size(m);
    b.ids = must(malloc(n * sizeof *b.ids));
    b.want = must(malloc(n * b.vocab * sizeof *b.want));
    for (size_t i = 0; i < n; i++) b.ids[i] = (int32_t)((seed = seed * 1664525 + 1013904223) >> 8) % (int32_t)b.vocab;
    bits_cache(&b, &c, m, n);
    feed(&b, s, &c, 0, n, n, b.want);
    kv_free(&c);
    pith_session_free(s);
    pith_model_close(m);
    for (size_t k = 0; kernel_at(k); k++)
        for (size_t t = 0; kernel_at(k)->exact && t < 3; t++)
            if (util_long() || (k + t + turn) % 3 == 0) bits_of(&b, &(pith_model_options){.threads = threads[t], .kernels = kernel_at(k)->name, .dtype = as});
    printf("# %s %s%s: %016llx, %zu runs\n", name, as ? as : "", half ? " (F16 cache)" : "",
           (unsigned long long)pith_hash(b.want, n * b.vocab * sizeof *b.want), b.runs);
    assert_true(b.runs >= (util_long() ? 24 : 8));
    turn++;
    free(b.ids);
    free(b.want);
}

static void test_bits(void **state)
{
    (void)state;
    /* windows shorter than a chunk, caps, sinks and experts, odd sizes */
    check_bits("tests/golden/models/mistral-swa-bf16-sharded", "mistral-swa-bf16-sharded", 150, 0, NULL);
    check_bits("tests/golden/models/gemma2-f32", "gemma2-f32", 150, 0, NULL);
    check_bits("tests/golden/models/gpt_oss-f32", "gpt_oss-f32", 150, 0, NULL);
    check_bits("tests/golden/models/llama-odd", "llama-odd", 90, 0, NULL);
    check_bits("tests/golden/models/llama-dynamic", "llama-dynamic", 100, 0, NULL);
}

static void test_bits_half(void **state)
{
    (void)state;
    check_bits("tests/golden/models/llama-odd", "llama-odd", 90, 1, NULL);
    check_bits("tests/golden/models/gpt_oss-f32", "gpt_oss-f32", 100, 1, NULL);
}

/* Activations are quantised a row at a time, whatever the row shares a forward with. */
static void test_bits_quant(void **state)
{
    (void)state;
    static const char *const types[] = {"q8", "q4"};
    for (size_t t = 0; t < 2; t++) {
        check_bits("tests/golden/models/llama-odd", "llama-odd", 90, 0, types[t]);
        check_bits("tests/golden/models/gemma2-f32", "gemma2-f32", 70, 1, types[t]);
        check_bits("tests/golden/models/gpt_oss-f32", "gpt_oss-f32", 70, 0, types[t]);
        check_bits("tests/golden/models/qwen2-tied-bf16", "qwen2-tied-bf16", 70, 0, types[t]);
    }
}

static void test_bits_stories3M(void **state)
{
    (void)state;
    check_bits(story_model("stories3M"), "stories3M", 80, 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_goldens),
        cmocka_unit_test(test_openblas),
        cmocka_unit_test(test_shared_goldens),
        cmocka_unit_test_setup_teardown(test_v5_configs, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_shared_v5_configs, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_stories260K, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_stories3M, files_setup, files_teardown),
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_bits_half),
        cmocka_unit_test(test_bits_quant),
        cmocka_unit_test_setup_teardown(test_bits_stories3M, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
