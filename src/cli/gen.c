#define _DEFAULT_SOURCE
#include "cli/gen.h"
#include "base/platform.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { DEFAULT_TOKENS = 256 };

static int whole(const char *option, const char *text, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    *out = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    return end && !*end && !errno ? 0 : cli_usage("%s: '%s' is not a whole number", option, text);
}

static uint64_t fresh_seed(void)
{
    uint64_t s;
    if (platform_random(&s, sizeof s)) s = (uint64_t)time(NULL);
    return s >> 32; /* short enough to be typed again */
}

/* "ID=X" */
static int one_bias(const char *text, pith_logit_bias *b)
{
    char *end = NULL, *last;
    errno = 0;
    unsigned long id = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;
    if (!end || errno || id > INT32_MAX || *end != '=') return cli_usage("--logit-bias: '%s': expected ID=X, as 13=-5 or 13=-inf", text);
    double x = strtod(end + 1, &last);
    if (last == end + 1 || *last || isnan(x)) return cli_usage("--logit-bias: '%s': '%s' is not a number", text, end + 1);
    *b = (pith_logit_bias){(int32_t)id, (float)x};
    return 0;
}

static int biases(const gen_opts *o, pith_request *r)
{
    if (!o->bias.n) return 0;
    pith_logit_bias *b = calloc(o->bias.n, sizeof *b);
    if (!b) return cli_error("out of memory");
    r->sampling.bias = b;
    r->sampling.n_bias = o->bias.n;
    for (size_t i = 0; i < o->bias.n; i++)
        if (one_bias(o->bias.items[i], &b[i])) return CLI_USAGE;
    return 0;
}

int gen_request(const gen_opts *o, const pith_model *m, pith_request *r)
{
    *r = pith_request_new(m);
    pith_sampling *s = &r->sampling;
    const struct {
        double given;
        float *to;
    } reals[] = {{o->top_p, &s->top_p}, {o->min_p, &s->min_p}, {o->typical, &s->typical_p},
                 {o->repeat_penalty, &s->repetition_penalty}, {o->presence_penalty, &s->presence_penalty},
                 {o->frequency_penalty, &s->frequency_penalty}};
    int sampling = o->top_k != NULL;
    uint64_t n = 0;
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        if (isnan(reals[i].given)) continue;
        *reals[i].to = (float)reals[i].given;
        sampling |= i < 3;
    }
    if (o->top_k && whole("--top-k", o->top_k, &n)) return CLI_USAGE;
    if (o->top_k) s->top_k = (size_t)n;
    if (!isnan(o->temp)) s->temperature = (float)o->temp;
    else if (sampling && s->temperature == 0) s->temperature = 1;
    s->seed = fresh_seed();
    if (o->seed && whole("--seed", o->seed, &s->seed)) return CLI_USAGE;
    if (o->max_tokens) r->max_tokens = o->max_tokens == UINT64_MAX ? 0 : (size_t)o->max_tokens;
    else if (!r->max_tokens) r->max_tokens = DEFAULT_TOKENS;
    r->stop = o->stop.items;
    r->n_stop = o->stop.n;
    r->n_top = (size_t)o->logprobs;
    r->ignore_eos = o->ignore_eos;
    return biases(o, r);
}

void gen_drop(pith_request *r)
{
    free((void *)(uintptr_t)r->sampling.bias);
    *r = (pith_request){0};
}

void gen_detail(const pith_request *r)
{
    const pith_sampling *s = &r->sampling;
    char more[160] = "";
    size_t n = 0;
    if (s->repetition_penalty != 1) n += (size_t)snprintf(more, sizeof more, ", repeat penalty %g", (double)s->repetition_penalty);
    if (s->presence_penalty != 0 || s->frequency_penalty != 0)
        snprintf(more + n, sizeof more - n, ", presence %g, frequency %g", (double)s->presence_penalty, (double)s->frequency_penalty);
    if (s->temperature == 0) cli_detail("greedy%s", more);
    else
        cli_detail("temperature %g, top-k %zu, top-p %g, min-p %g, typical %g%s, seed %llu", (double)s->temperature, s->top_k,
                   (double)s->top_p, (double)s->min_p, (double)s->typical_p, more, (unsigned long long)s->seed);
}

void gen_put(FILE *f, const char *s, size_t len, int terminal)
{
    size_t from = 0;
    for (size_t i = 0; i < len && terminal; i++) {
        unsigned char c = (unsigned char)s[i], next = i + 1 < len ? (unsigned char)s[i + 1] : 0;
        int c1 = c == 0xc2 && next >= 0x80 && next < 0xa0; /* some terminals obey these too */
        if ((c >= 0x20 && c != 0x7f && !c1) || c == '\n' || c == '\t') continue;
        fwrite(s + from, 1, i - from, f);
        fprintf(f, "\\x%02x", c1 ? next : c);
        i += (size_t)c1;
        from = i + 1;
    }
    fwrite(s + from, 1, len - from, f);
}

void gen_summary(const load *l, const pith_generator *g)
{
    pith_generator_stats s = pith_generator_statistics(g);
    char a[32], b[32], c[32];
    struct rusage u;
    if (!cli_verbose()) return;
    if (s.prompt_tokens)
        cli_detail("prompts: %s tokens computed, %s from the cache, %.0f tokens/s", cli_count(s.prompt_tokens, a),
                   cli_count(s.reused_tokens, b), (double)s.prompt_tokens / s.prefill_seconds);
    if (s.decode_tokens)
        cli_detail("answers: %s tokens, %.1f tokens/s, %.1f GB/s read", cli_count(s.new_tokens, a),
                   (double)s.decode_tokens / s.decode_seconds, 1e-9 * (double)s.decode_bytes / s.decode_seconds);
    getrusage(RUSAGE_SELF, &u);
    cli_detail("loaded in %.0f ms, cache %s, peak memory %s", 1e3 * l->seconds, cli_bytes(s.cache_bytes, b),
               cli_bytes((uint64_t)u.ru_maxrss * 1024, c));
}
