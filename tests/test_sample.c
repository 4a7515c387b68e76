/* sample: against a plain reimplementation in long double with full sorts, published values of the generators, fixed
 * expected draws, and the edges. */
#include "util.h"
#include "compute/sample.h"
#include <math.h>

enum { MAX_VOCAB = 1000 };

static const kernel_set *set;
static const pith_sampling neutral = {.temperature = 1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1};

/* ---- the reference: transformers' processors and warpers, each over the whole vocabulary ---- */

typedef struct entry {
    long double key;
    int id;
} entry;

static int by_key(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->key < y->key ? -1 : x->key > y->key ? 1 : x->id - y->id;
}

static void softmax(const float *x, size_t n, long double *p)
{
    long double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++) sum += p[i] = expl(x[i] - max);
    for (size_t i = 0; i < n; i++) p[i] /= sum;
}

static void ref_top_k(float *x, size_t n, size_t k)
{
    entry s[MAX_VOCAB];
    if (!k || k >= n) return;
    for (size_t i = 0; i < n; i++) s[i] = (entry){-x[i], (int)i};
    qsort(s, n, sizeof *s, by_key);
    for (size_t i = 0; i < n; i++)
        if (-x[i] > s[k - 1].key) x[i] = -INFINITY;
}

static void ref_top_p(float *x, size_t n, long double mass)
{
    entry s[MAX_VOCAB];
    long double p[MAX_VOCAB], seen = 0;
    if (mass >= 1) return;
    softmax(x, n, p);
    for (size_t i = 0; i < n; i++) s[i] = (entry){-p[i], (int)i};
    qsort(s, n, sizeof *s, by_key);
    for (size_t i = 0; i < n; i++) {
        if (i && seen >= mass) x[s[i].id] = -INFINITY;
        seen += p[s[i].id];
    }
}

static void ref_min_p(float *x, size_t n, long double ratio)
{
    long double p[MAX_VOCAB], top = 0;
    softmax(x, n, p);
    for (size_t i = 0; i < n; i++) top = p[i] > top ? p[i] : top;
    for (size_t i = 0; i < n; i++)
        if (p[i] < ratio * top) x[i] = -INFINITY;
}

static void ref_typical(float *x, size_t n, long double mass)
{
    entry s[MAX_VOCAB];
    long double p[MAX_VOCAB], entropy = 0, seen = 0;
    size_t last = 0;
    if (mass >= 1) return;
    softmax(x, n, p);
    for (size_t i = 0; i < n; i++)
        if (p[i] > 0) entropy -= p[i] * logl(p[i]);
    for (size_t i = 0; i < n; i++) s[i] = (entry){p[i] > 0 ? fabsl(-logl(p[i]) - entropy) : (long double)INFINITY, (int)i};
    qsort(s, n, sizeof *s, by_key);
    for (size_t i = 0; i < n; i++) {
        seen += p[s[i].id];
        last += seen < mass;
    }
    if (last >= n) last = n - 1;
    for (size_t i = last + 1; i < n; i++)
        if (s[i].key > s[last].key) x[s[i].id] = -INFINITY;
}

/* times[i]: -1 not seen, 0 in the prompt, else times in the answer. */
static int ref_next(const pith_sampling *o, const int *times, const float *logits, size_t n, double u)
{
    float x[MAX_VOCAB];
    long double p[MAX_VOCAB], seen = 0;
    memcpy(x, logits, n * sizeof *x);
    for (size_t i = 0; i < o->n_bias; i++) x[o->bias[i].id] += o->bias[i].bias;
    for (size_t i = 0; i < n; i++) {
        if (times[i] >= 0) x[i] = x[i] < 0 ? x[i] * o->repetition_penalty : x[i] / o->repetition_penalty;
        if (times[i] > 0) x[i] -= (float)times[i] * o->frequency_penalty + o->presence_penalty;
    }
    int best = 0;
    for (size_t i = 1; i < n; i++) best = x[i] > x[best] ? (int)i : best;
    if (o->temperature == 0) return best;
    float top = x[best];
    for (size_t i = 0; i < n; i++) x[i] = (x[i] - top) / o->temperature;
    ref_top_k(x, n, o->top_k);
    ref_top_p(x, n, o->top_p);
    ref_min_p(x, n, o->min_p);
    ref_typical(x, n, o->typical_p);
    softmax(x, n, p);
    for (size_t i = 0; i < n; i++)
        if ((seen += p[i]) > u) return (int)i;
    return -1;
}

/* ---- cases ---- */

static uint64_t state[4];
static double uniform(void) { return sample_random(state); }
static size_t below(size_t n) { return (size_t)(uniform() * (double)n); }

static void random_logits(float *x, size_t n)
{
    int kind = (int)below(4);
    for (size_t i = 0; i < n; i++) {
        double u = uniform() + uniform() + uniform() - 1.5;
        x[i] = (float)(kind == 0 ? 8 * u : kind == 1 ? 0.2 * u : kind == 2 ? floor(4 * u) : 60 * u);
        if (kind == 3 && below(5) == 0) x[i] = -INFINITY;
    }
    size_t sure = below(n); /* a bias may forbid one of them */
    x[sure] = 3;
    x[(sure + 1) % n] = 2;
}

static pith_sampling random_options(pith_logit_bias *bias, size_t n)
{
    static const float temperatures[] = {0, 0.1f, 0.7f, 1, 1.5f, 5}, masses[] = {0, 0.05f, 0.3f, 0.5f, 0.9f, 0.95f, 0.999f, 1};
    pith_sampling o = neutral;
    o.temperature = temperatures[below(6)];
    if (below(2)) o.top_k = 1 + below(below(2) ? 10 : n + 5);
    if (below(2)) o.top_p = masses[below(8)];
    if (below(3) == 0) o.min_p = masses[below(8)];
    if (below(3) == 0) o.typical_p = masses[below(8)];
    if (below(3) == 0) o.repetition_penalty = below(2) ? 1.3f : 0.8f;
    if (below(3) == 0) o.presence_penalty = 0.7f, o.frequency_penalty = below(2) ? 0.25f : -0.1f;
    if (below(3) == 0) {
        bias[0] = (pith_logit_bias){(int32_t)below(n), -INFINITY};
        bias[1] = (pith_logit_bias){(int32_t)below(n), 2.5f};
        o.bias = bias;
        o.n_bias = 1 + below(2);
    }
    o.seed = (uint64_t)below(1000000);
    return o;
}

static void agrees_with_the_reference(void **unused)
{
    (void)unused;
    sample_seed(state, 20261123);
    for (int round = 0; round < 4000; round++) {
        float x[MAX_VOCAB];
        int times[MAX_VOCAB];
        pith_logit_bias bias[2];
        pith_err e = {{0}};
        size_t n = 2 + below(round % 10 ? 60 : MAX_VOCAB - 2);
        pith_sampling o = random_options(bias, n);
        sample_state s;
        sample_work w;
        uint64_t draws[4];
        assert_int_equal(sample_init(&s, &o, n, &e), 0);
        assert_int_equal(sample_work_init(&w, n, &e), 0);
        sample_seed(draws, o.seed);
        for (size_t i = 0; i < n; i++) times[i] = -1;
        for (size_t i = below(20); i > 0; i--) {
            int32_t id = (int32_t)below(n);
            sample_see(&s, id, 0);
            if (times[id] < 0) times[id] = 0;
        }
        for (int k = 0; k < 8; k++) {
            random_logits(x, n);
            int32_t id = -1;
            double u = o.temperature > 0 ? sample_random(draws) : 0;
            if (sample_next(&s, set, &w, x, &id, &e)) fail_msg("round %d: %s", round, e.msg);
            int expected = ref_next(&o, times, x, n, u);
            if (id != expected) fail_msg("round %d, draw %d: token %d, expected %d", round, k, id, expected);
            sample_see(&s, id, 1);
            times[id] = times[id] < 0 ? 1 : times[id] + 1;
        }
        sample_free(&s);
        sample_work_free(&w);
    }
}

/* Published: splitmix64 of seed 0; xoshiro256** from the state 1, 2, 3, 4. */
static void generators_are_the_published_ones(void **unused)
{
    (void)unused;
    static const uint64_t split[] = {0xe220a8397b1dcdafu, 0x6e789e6aa1b965f4u, 0x06c45d188009454fu, 0xf88bb8a8724c81ecu};
    static const uint64_t xoshiro[] = {11520u, 0u, 1509978240u, 1215971899390074240u, 1216172134540287360u,
                                       607988272756665600u, 16172922978634559625u, 8476171486693032832u,
                                       10595114339597558777u, 2904607092377533576u};
    uint64_t s[4];
    sample_seed(s, 0);
    for (int i = 0; i < 4; i++) assert_int_equal(s[i], split[i]);
    for (uint64_t i = 0; i < 4; i++) s[i] = i + 1;
    for (int i = 0; i < 10; i++) assert_true(sample_random(s) == (double)(xoshiro[i] >> 11) * 0x1p-53);
}

typedef struct fixture {
    sample_state s;
    sample_work w;
    size_t n;
} fixture;

static fixture open_fixture(const pith_sampling *o, size_t n)
{
    fixture f = {.n = n};
    pith_err e = {{0}};
    if (sample_init(&f.s, o, n, &e) || sample_work_init(&f.w, n, &e)) fail_msg("%s", e.msg);
    return f;
}
static void close_fixture(fixture *f)
{
    sample_free(&f->s);
    sample_work_free(&f->w);
}
static int next(fixture *f, const float *x)
{
    pith_err e = {{0}};
    int32_t id = -1;
    if (sample_next(&f->s, set, &f->w, x, &id, &e)) fail_msg("%s", e.msg);
    return id;
}
static const char *refusal(const pith_sampling *o, const float *x, size_t n)
{
    static pith_err e;
    int32_t id;
    fixture f = open_fixture(o, n);
    e = (pith_err){{0}};
    assert_int_equal(sample_next(&f.s, set, &f.w, x, &id, &e), -1);
    close_fixture(&f);
    return e.msg;
}

/* These ids may never change: they are what a seed means. */
static void a_seed_means_these_tokens(void **unused)
{
    (void)unused;
    static const float x[] = {0, 1, 2, 1, 0.5f, -1, 2, 0};
    static const int expected[] = {1, 2, 6, 6, 7, 6, 6, 6, 6, 4, 6, 2, 6, 2, 6, 6, 4, 6, 6, 6, 1, 2, 2, 4, 2, 3, 2, 6, 4, 2, 2, 4};
    pith_sampling o = neutral;
    o.seed = 42;
    fixture f = open_fixture(&o, 8);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) assert_int_equal(next(&f, x), expected[i]);
    close_fixture(&f);
}

static void draws_have_the_probabilities(void **unused)
{
    (void)unused;
    enum { N = 10, DRAWS = 100000 };
    float x[N];
    long double p[N], chi = 0;
    size_t count[N] = {0};
    for (int i = 0; i < N; i++) x[i] = (float)(i * i % 7) * 0.4f;
    softmax(x, N, p);
    pith_sampling o = neutral;
    o.seed = 7;
    fixture f = open_fixture(&o, N);
    for (int i = 0; i < DRAWS; i++) count[next(&f, x)]++;
    for (int i = 0; i < N; i++) chi += ((long double)count[i] - DRAWS * p[i]) * ((long double)count[i] - DRAWS * p[i]) / (DRAWS * p[i]);
    assert_true(chi < 27.9L); /* 9 degrees of freedom, p = 0.001 */
    close_fixture(&f);
}

static void ties_go_to_the_lowest_id(void **unused)
{
    (void)unused;
    static const float x[] = {1, 3, 2, 3, 3};
    pith_sampling o = neutral;
    o.temperature = 0;
    fixture f = open_fixture(&o, 5);
    assert_int_equal(next(&f, x), 1);
    close_fixture(&f);
    o.temperature = 1, o.top_p = 0;
    f = open_fixture(&o, 5);
    for (int i = 0; i < 50; i++) assert_int_equal(next(&f, x), 1);
    close_fixture(&f);
    /* top_k keeps what equals the k-th */
    o.top_p = 1, o.top_k = 1;
    f = open_fixture(&o, 5);
    int seen[5] = {0};
    for (int i = 0; i < 200; i++) seen[next(&f, x)]++;
    assert_true(!seen[0] && seen[1] && !seen[2] && seen[3] && seen[4]);
    close_fixture(&f);
}

static void one_possible_token_is_taken(void **unused)
{
    (void)unused;
    float x[6];
    pith_sampling o = neutral;
    for (int i = 0; i < 6; i++) x[i] = -INFINITY;
    x[4] = -1e30f;
    o.top_k = 100, o.top_p = 0.1f, o.min_p = 1, o.typical_p = 0;
    fixture f = open_fixture(&o, 6);
    for (int i = 0; i < 20; i++) assert_int_equal(next(&f, x), 4);
    close_fixture(&f);
    o = neutral, o.temperature = 1e-30f; /* as good as greedy, and no overflow */
    static const float y[] = {-3, 5, 4.99f, 1e9f, 0, 1};
    f = open_fixture(&o, 6);
    for (int i = 0; i < 20; i++) assert_int_equal(next(&f, y), 3);
    close_fixture(&f);
}

/* The best token can be the one that is least typical. */
static void typical_may_drop_the_best(void **unused)
{
    (void)unused;
    float x[101];
    for (int i = 0; i < 101; i++) x[i] = 0;
    x[100] = 4;
    pith_sampling o = neutral;
    o.typical_p = 0.2f;
    fixture f = open_fixture(&o, 101);
    for (int i = 0; i < 200; i++) assert_int_not_equal(next(&f, x), 100);
    close_fixture(&f);
}

static void broken_logits_are_refused(void **unused)
{
    (void)unused;
    float x[] = {1, NAN, 2};
    pith_sampling o = neutral, greedy = neutral;
    greedy.temperature = 0;
    assert_non_null(strstr(refusal(&o, x, 3), "token 1 is NaN"));
    assert_non_null(strstr(refusal(&greedy, x, 3), "token 1 is NaN"));
    x[1] = -NAN;
    assert_non_null(strstr(refusal(&greedy, x, 3), "token 1 is NaN"));
    x[1] = INFINITY;
    assert_non_null(strstr(refusal(&o, x, 3), "token 1 is infinite"));
    for (int i = 0; i < 3; i++) x[i] = -INFINITY;
    assert_non_null(strstr(refusal(&o, x, 3), "no token is left"));
    static const pith_logit_bias all[] = {{0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY}};
    greedy.bias = all, greedy.n_bias = 3;
    for (int i = 0; i < 3; i++) x[i] = 1;
    assert_non_null(strstr(refusal(&greedy, x, 3), "no token is left"));
}

static void settings_out_of_range_are_refused(void **unused)
{
    (void)unused;
    static const pith_logit_bias outside[] = {{10, 1}}, below0[] = {{-1, 1}}, nan[] = {{1, NAN}}, inf[] = {{1, INFINITY}};
    const struct {
        pith_sampling o;
        const char *says;
    } cases[] = {
        {{.temperature = -1, .top_p = 1, .typical_p = 1, .repetition_penalty = 1}, "temperature must be from 0"},
        {{.temperature = NAN, .top_p = 1, .typical_p = 1, .repetition_penalty = 1}, "temperature"},
        {{.top_p = 1.5f, .typical_p = 1, .repetition_penalty = 1}, "top_p must be from 0 to 1, found 1.5"},
        {{.top_p = 1, .min_p = -0.1f, .typical_p = 1, .repetition_penalty = 1}, "min_p"},
        {{.top_p = 1, .typical_p = 2, .repetition_penalty = 1}, "typical_p"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 0}, "repetition_penalty"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 1, .presence_penalty = NAN}, "presence_penalty"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 1, .frequency_penalty = INFINITY}, "frequency_penalty"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 1, .bias = outside, .n_bias = 1}, "token 10 is outside"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 1, .bias = below0, .n_bias = 1}, "token -1 is outside"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 1, .bias = nan, .n_bias = 1}, "found nan"},
        {{.top_p = 1, .typical_p = 1, .repetition_penalty = 1, .bias = inf, .n_bias = 1}, "found inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_err e = {{0}};
        sample_state s;
        assert_int_equal(sample_init(&s, &cases[i].o, 10, &e), -1);
        if (!strstr(e.msg, cases[i].says)) fail_msg("\"%s\" does not say \"%s\"", e.msg, cases[i].says);
        sample_free(&s);
    }
}

static void logprobs_are_of_the_raw_distribution(void **unused)
{
    (void)unused;
    float x[MAX_VOCAB];
    long double p[MAX_VOCAB];
    pith_logprob top[MAX_VOCAB];
    entry s[MAX_VOCAB];
    sample_seed(state, 3);
    for (int round = 0; round < 200; round++) {
        size_t n = 1 + below(MAX_VOCAB), k = below(n + 1);
        fixture f = open_fixture(&neutral, n);
        random_logits(x, n);
        softmax(x, n, p);
        for (size_t i = 0; i < n; i++) s[i] = (entry){-x[i], (int)i};
        qsort(s, n, sizeof *s, by_key);
        int32_t id = (int32_t)s[below(n) / 2].id;
        float got;
        sample_logprobs(set, &f.w, x, id, &got, top, k);
        if (p[id] > 1e-30L) assert_true(fabsl(got - logl(p[id])) <= 2e-6L * fmaxl(1, -logl(p[id])));
        for (size_t i = 0; i < k; i++) {
            assert_int_equal(top[i].id, s[i].id);
            if (p[s[i].id] > 1e-30L) assert_true(fabsl(top[i].logprob - logl(p[s[i].id])) <= 2e-6L * fmaxl(1, -logl(p[s[i].id])));
        }
        close_fixture(&f);
    }
}

/* The kernels' exponentials are all that could differ. */
static void every_exact_set_draws_the_same(void **unused)
{
    (void)unused;
    enum { N = 777, DRAWS = 2000 };
    static float x[N];
    uint64_t first = 0;
    sample_seed(state, 11);
    for (int i = 0; i < N; i++) x[i] = (float)(10 * uniform());
    const kernel_set *k;
    for (size_t which = 0; (k = kernel_at(which)) != NULL; which++) {
        if (!k->exact) continue;
        pith_sampling o = neutral;
        o.top_p = 0.95f, o.typical_p = 0.99f, o.temperature = 1.1f;
        fixture f = open_fixture(&o, N);
        uint64_t hash = 14695981039346656037u;
        pith_err e = {{0}};
        for (int i = 0; i < DRAWS; i++) {
            int32_t id;
            assert_int_equal(sample_next(&f.s, k, &f.w, x, &id, &e), 0);
            hash = (hash ^ (uint64_t)id) * 1099511628211u;
        }
        if (!first) first = hash;
        assert_int_equal(hash, first);
        close_fixture(&f);
    }
}

int main(void)
{
    pith_err e = {{0}};
    set = kernel_find(getenv("PITH_KERNELS"), &e);
    if (!set) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generators_are_the_published_ones), cmocka_unit_test(agrees_with_the_reference),
        cmocka_unit_test(a_seed_means_these_tokens),         cmocka_unit_test(draws_have_the_probabilities),
        cmocka_unit_test(ties_go_to_the_lowest_id),          cmocka_unit_test(one_possible_token_is_taken),
        cmocka_unit_test(typical_may_drop_the_best),         cmocka_unit_test(broken_logits_are_refused),
        cmocka_unit_test(settings_out_of_range_are_refused), cmocka_unit_test(logprobs_are_of_the_raw_distribution),
        cmocka_unit_test(every_exact_set_draws_the_same),
    };
    return cmocka_run_group_tests_name("sample", tests, NULL, NULL);
}
