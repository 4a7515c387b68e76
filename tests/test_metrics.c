/* Metrics: the text as a scraper reads it, and counts from many threads at once. */
#define _XOPEN_SOURCE 700
#include "util.h"
#include "server/metrics.h"
#include <ctype.h>
#include <math.h>
#include <pthread.h>

/* One sample of the text. */
typedef struct sample {
    char name[100], labels[300];
    double value;
} sample;

typedef struct family {
    char name[100], type[20];
    int samples;
} family;

static sample samples[2000];
static family families[100];
static size_t n_samples, n_families;

static int name_char(char c, int first) { return isalpha((unsigned char)c) || c == '_' || c == ':' || (!first && isdigit((unsigned char)c)); }

/* {name="value",...}: backslashes escape; returns what follows it. */
static const char *read_labels(const char *s, char *out)
{
    const char *begin = s;
    for (s++; *s != '}';) {
        assert_true(name_char(*s, 1));
        while (name_char(*s, 0)) s++;
        assert_memory_equal(s, "=\"", 2);
        for (s += 2; *s != '"'; s++) {
            assert_true(*s && *s != '\n');
            if (*s == '\\') {
                s++;
                assert_non_null(strchr("\\\"n", *s));
            }
        }
        s++;
        if (*s == ',') s++;
    }
    s++;
    snprintf(out, 300, "%.*s", (int)(s - begin), begin);
    return s;
}

/* Every sample belongs to the family told last, whose HELP and TYPE stand before it, once. */
static void read_text(const char *s)
{
    n_samples = n_families = 0;
    for (const char *end; *s; s = end + 1) {
        end = strchr(s, '\n');
        assert_non_null(end);
        family *f = &families[n_families ? n_families - 1 : 0];
        char again[100];
        if (!strncmp(s, "# HELP ", 7)) {
            f = &families[n_families++];
            *f = (family){.samples = 0};
            assert_int_equal(sscanf(s, "# HELP %99s", f->name), 1);
            for (size_t i = 0; i + 1 < n_families; i++) assert_string_not_equal(families[i].name, f->name);
            continue;
        }
        if (*s == '#') {
            assert_int_equal(sscanf(s, "# TYPE %99s %19s", again, f->type), 2);
            assert_string_equal(again, f->name);
            continue;
        }
        sample *x = &samples[n_samples++];
        *x = (sample){.value = 0};
        size_t n = 0;
        while (name_char(s[n], n == 0)) n++;
        assert_true(n > 0 && !strncmp(s, f->name, strlen(f->name)));
        memcpy(x->name, s, n);
        if (strcmp(f->type, "histogram")) assert_string_equal(x->name, f->name);
        s += n;
        if (*s == '{') s = read_labels(s, x->labels);
        assert_true(*s == ' ');
        char *after;
        x->value = strtod(s, &after);
        assert_ptr_equal(after, end);
        f->samples++;
    }
}

static double value(const char *name, const char *labels)
{
    for (size_t i = 0; i < n_samples; i++)
        if (!strcmp(samples[i].name, name) && !strcmp(samples[i].labels, labels)) return samples[i].value;
    fail_msg("no %s%s", name, labels);
    return NAN;
}

static void check(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-6) fail_msg("%g, not %g", got, wanted);
}

static void read_metrics(const metrics *m)
{
    size_t len;
    char *text = metrics_text(m, &len);
    assert_int_equal(strlen(text), len);
    read_text(text);
    free(text);
}

static void everything_is_told(void **state)
{
    (void)state;
    metrics *m = metrics_new((const char *const[]){"a", "say \"b\\c\"\n"}, 2);
    read_metrics(m);
    assert_int_equal(n_families, 2 + METRICS_COUNTERS + METRICS_GAUGES + METRICS_HISTOGRAMS);
    for (size_t i = 0; i < n_families; i++) {
        assert_int_equal(strncmp(families[i].name, "pith_", 5), 0);
        int counter = !strcmp(families[i].type, "counter"), total = strstr(families[i].name, "_total") != NULL;
        assert_int_equal(counter, total);
        assert_true(counter || !strcmp(families[i].type, "gauge") || !strcmp(families[i].type, "histogram"));
    }
    for (size_t c = 0; c < METRICS_COUNTERS; c++) metrics_add(m, 0, (metrics_counter)c, 10 + c);
    metrics_add(m, 1, METRICS_TOKENS_OUT, UINT64_C(1) << 40);
    for (size_t g = 0; g < METRICS_GAUGES; g++) metrics_set(m, 0, (metrics_gauge)g, 20 + g);
    metrics_set(m, 0, METRICS_WAITING, 3);
    read_metrics(m);
    check(value("pith_prompt_tokens_total", "{model=\"a\"}"), 10);
    check(value("pith_cached_tokens_total", "{model=\"a\"}"), 11);
    check(value("pith_generated_tokens_total", "{model=\"a\"}"), 12);
    check(value("pith_steps_total", "{model=\"a\"}"), 13);
    check(value("pith_cancelled_total", "{model=\"a\"}"), 14);
    check(value("pith_refused_total", "{model=\"a\"}"), 15);
    check(value("pith_generated_tokens_total", "{model=\"say \\\"b\\\\c\\\"\\n\"}"), 1099511627776.0);
    check(value("pith_jobs_waiting", "{model=\"a\"}"), 3);
    check(value("pith_jobs_running", "{model=\"a\"}"), 21);
    check(value("pith_cache_bytes", "{model=\"a\"}"), 22);
    metrics_free(m);
}

/* Buckets are cumulative, a value on a bound is below it, and +Inf counts all. */
static void histograms_add_up(void **state)
{
    (void)state;
    metrics *m = metrics_new((const char *const[]){"a"}, 1);
    static const double sizes[] = {1, 2, 3, 32, 33, 1e6, 0};
    double sum = 0;
    for (size_t i = 0; i < 7; i++) metrics_see(m, 0, METRICS_BATCH_SIZE, sizes[i]), sum += sizes[i];
    metrics_see(m, 0, METRICS_TOKEN_SECONDS, 0.0012);
    metrics_see(m, 0, METRICS_TOKEN_SECONDS, 1e9);
    read_metrics(m);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"1\"}"), 2);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"2\"}"), 3);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"4\"}"), 4);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"32\"}"), 5);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"64\"}"), 6);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"512\"}"), 6);
    check(value("pith_batch_size_bucket", "{model=\"a\",le=\"+Inf\"}"), 7);
    check(value("pith_batch_size_count", "{model=\"a\"}"), 7);
    check(value("pith_batch_size_sum", "{model=\"a\"}"), sum);
    check(value("pith_time_per_token_seconds_bucket", "{model=\"a\",le=\"0.001\"}"), 0);
    check(value("pith_time_per_token_seconds_bucket", "{model=\"a\",le=\"0.0025\"}"), 1);
    check(value("pith_time_per_token_seconds_bucket", "{model=\"a\",le=\"60\"}"), 1);
    check(value("pith_time_per_token_seconds_bucket", "{model=\"a\",le=\"+Inf\"}"), 2);
    for (size_t i = 1; i < n_samples; i++) {
        int same = !strcmp(samples[i].name, samples[i - 1].name) && strstr(samples[i].name, "_bucket") && samples[i].value < samples[i - 1].value;
        if (same) fail_msg("%s%s is less than the bucket before it", samples[i].name, samples[i].labels);
    }
    metrics_free(m);
}

enum { THREADS = 6, ROUNDS = 5000 };

static void *hammer(void *arg)
{
    static const char *const routes[] = {"/predict", "/v1/chat/completions", "other", "/embed"};
    for (size_t i = 0; i < ROUNDS; i++) {
        metrics_request(arg, routes[i % 4], i % 2 ? 200 : 429, 0.5);
        metrics_add(arg, 0, METRICS_STEPS, 2);
        metrics_see(arg, 0, METRICS_QUEUE_SECONDS, 0.25);
        if (i % 1000 == 0) {
            size_t len;
            char *text = metrics_text(arg, &len);
            assert_non_null(text);
            free(text);
        }
    }
    return NULL;
}

static void many_threads_lose_nothing(void **state)
{
    (void)state;
    metrics *m = metrics_new((const char *const[]){"a"}, 1);
    pthread_t t[THREADS];
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, hammer, m), 0);
    for (size_t i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    metrics_request(m, "/predict", 0, 1);
    read_metrics(m);
    check(value("pith_requests_total", "{route=\"/predict\",status=\"429\"}"), THREADS * ROUNDS / 4);
    check(value("pith_requests_total", "{route=\"/v1/chat/completions\",status=\"200\"}"), THREADS * ROUNDS / 4);
    check(value("pith_requests_total", "{route=\"other\",status=\"429\"}"), THREADS * ROUNDS / 4);
    check(value("pith_requests_total", "{route=\"/predict\",status=\"0\"}"), 1);
    check(value("pith_steps_total", "{model=\"a\"}"), 2 * THREADS * ROUNDS);
    check(value("pith_queue_seconds_sum", "{model=\"a\"}"), 0.25 * THREADS * ROUNDS);
    check(value("pith_request_seconds_count", ""), THREADS * ROUNDS + 1);
    size_t routes = 0;
    for (size_t i = 0; i < n_samples; i++) routes += !strcmp(samples[i].name, "pith_requests_total");
    assert_int_equal(routes, 5);
    metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_is_told),
        cmocka_unit_test(histograms_add_up),
        cmocka_unit_test(many_threads_lose_nothing),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
