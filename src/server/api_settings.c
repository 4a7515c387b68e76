#define _DEFAULT_SOURCE
#include "server/api_settings.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { ANSWERS = 128, STOPS = 64, TOP_LOGPROBS = 20, COMPLETION_TOKENS = 16 };

static const uint64_t WHOLE = 9007199254740992; /* 2^53: past it a JSON number is not exact */

/* The member's getter has failed. */
static int refuse(api_call *c, const char *name)
{
    api_fail(c, 400, name, NULL, "%s", c->e.msg);
    return -1;
}

static int wrong(api_call *c, json v, const char *name, const char *expected)
{
    json_expected(v, expected, &c->e);
    return refuse(c, name);
}

static int absent(json v) { return json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL; }

static int read_size(api_call *c, const char *name, uint64_t min, uint64_t max, size_t def, size_t *out)
{
    uint64_t v;
    if (json_opt_size(c->root, name, min, max, def, &v, &c->e)) return refuse(c, name);
    *out = (size_t)v;
    return 0;
}

static int read_flag(api_call *c, const char *name, int *out)
{
    return json_opt_bool(c->root, name, 0, out, &c->e) ? refuse(c, name) : 0;
}

static uint64_t fresh_seed(void)
{
    uint64_t s;
    if (getrandom(&s, sizeof s, 0) != (ssize_t)sizeof s) s = (uint64_t)time(NULL);
    return s;
}

/* ---- how tokens are picked ---- */

static int read_real(api_call *c, const char *name, double min, double max, float *to)
{
    char what[80];
    json v = json_get(c->root, name);
    double x = json_num(v);
    if (absent(v)) return 0;
    snprintf(what, sizeof what, "a number from %g to %g", min, max);
    if (json_typeof(v) != JSON_NUMBER || !(x >= min && x <= max)) return wrong(c, v, name, what);
    *to = (float)x;
    return 0;
}

/* As the command line does it: where the model is greedy, a choice among several tokens implies temperature 1. */
static int read_sampling(api_call *c, pith_sampling *s)
{
    const struct {
        const char *name;
        double min, max;
        float *to;
        int chooses;
    } reals[] = {{"temperature", 0, 1e6, &s->temperature, 0},
                 {"top_p", 0, 1, &s->top_p, 1},
                 {"min_p", 0, 1, &s->min_p, 1},
                 {"typical_p", 0, 1, &s->typical_p, 1},
                 {"repetition_penalty", 1e-5, 1e5, &s->repetition_penalty, 0},
                 {"presence_penalty", -1e5, 1e5, &s->presence_penalty, 0},
                 {"frequency_penalty", -1e5, 1e5, &s->frequency_penalty, 0}};
    int chooses = !absent(json_get(c->root, "top_k"));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        if (read_real(c, reals[i].name, reals[i].min, reals[i].max, reals[i].to)) return -1;
        chooses |= reals[i].chooses && !absent(json_get(c->root, reals[i].name));
    }
    if (read_size(c, "top_k", 0, INT32_MAX, s->top_k, &s->top_k)) return -1;
    if (chooses && s->temperature == 0 && absent(json_get(c->root, "temperature"))) s->temperature = 1;
    json seed = json_get(c->root, "seed");
    s->seed = fresh_seed();
    return !absent(seed) && json_as_size(seed, 0, WHOLE, &s->seed, &c->e) ? refuse(c, "seed") : 0;
}

/* {"50256": -100, ...} */
static int read_bias(api_call *c, const pith_model *m, api_settings *out)
{
    json map = json_get(c->root, "logit_bias");
    size_t vocab = pith_model_vocab_size(m), n = json_len(map);
    if (absent(map)) return 0;
    if (json_typeof(map) != JSON_OBJECT) return wrong(c, map, "logit_bias", "an object of token ids and numbers");
    if (n > vocab) return wrong(c, map, "logit_bias", "at most as many members as the vocabulary has");
    out->bias = calloc(n + 1, sizeof *out->bias);
    if (!out->bias) {
        api_fail(c, 500, NULL, NULL, "out of memory");
        return -1;
    }
    out->request.sampling.bias = out->bias;
    for (json v = json_first(map); v.node; v = json_next(v)) {
        const char *key = json_key(v);
        char *end = NULL;
        unsigned long id = strspn(key, "0123456789") == strlen(key) && strlen(key) <= 10 ? strtoul(key, &end, 10) : 0;
        double x = json_num(v);
        if (!end || end == key || id >= vocab) {
            api_fail(c, 400, "logit_bias", NULL, "logit_bias: expected token ids from 0 to %zu as names, found \"%.40s\"", vocab - 1, key);
            return -1;
        }
        if (json_typeof(v) != JSON_NUMBER || !(x >= -1e9 && x <= 1e9)) return wrong(c, v, "logit_bias", "a number from -1e9 to 1e9");
        out->bias[out->request.sampling.n_bias++] = (pith_logit_bias){(int32_t)id, (float)x};
    }
    return 0;
}

/* ---- where an answer ends, and what is told of it ---- */

static int read_stop(api_call *c, api_settings *out)
{
    json stop = json_get(c->root, "stop"), v = json_typeof(stop) == JSON_ARRAY ? json_first(stop) : stop;
    size_t n = json_typeof(stop) == JSON_ARRAY ? json_len(stop) : 1;
    if (absent(stop)) return 0;
    if (n > STOPS) return wrong(c, stop, "stop", "at most 64 texts");
    out->stop = calloc(n + 1, sizeof *out->stop);
    if (!out->stop) {
        api_fail(c, 500, NULL, NULL, "out of memory");
        return -1;
    }
    out->request.stop = out->stop;
    for (size_t i = 0; i < n; i++, v = json_next(v)) {
        if (!*json_str(v)) return wrong(c, v, "stop", "a text that is not empty, or an array of them");
        out->stop[out->request.n_stop++] = json_str(v);
    }
    return 0;
}

static int read_length(api_call *c, int chat, pith_request *r)
{
    const char *name = chat && !absent(json_get(c->root, "max_completion_tokens")) ? "max_completion_tokens" : "max_tokens";
    size_t def = r->max_tokens || chat ? r->max_tokens : COMPLETION_TOKENS;
    json v = json_get(c->root, name);
    r->max_tokens = def;
    return absent(v) ? 0 : read_size(c, name, 1, WHOLE, def, &r->max_tokens);
}

/* chat: "logprobs": true, "top_logprobs": N; else "logprobs": N. */
static int read_logprobs(api_call *c, const pith_model *m, int chat, api_settings *out)
{
    size_t vocab = pith_model_vocab_size(m), most = vocab < TOP_LOGPROBS ? vocab : TOP_LOGPROBS;
    const char *name = chat ? "top_logprobs" : "logprobs";
    if (chat && read_flag(c, "logprobs", &out->logprobs)) return -1;
    if (read_size(c, name, 0, most, 0, &out->request.n_top)) return -1;
    int told = !absent(json_get(c->root, name));
    if (!chat) out->logprobs = told;
    if (told && !out->logprobs) {
        api_fail(c, 400, "top_logprobs", NULL, "top_logprobs goes with \"logprobs\": true");
        return -1;
    }
    out->request.logprobs = out->logprobs;
    return 0;
}

static int read_stream(api_call *c, api_settings *out)
{
    json o = json_get(c->root, "stream_options");
    if (read_flag(c, "stream", &out->stream)) return -1;
    if (absent(o)) return 0;
    if (json_typeof(o) != JSON_OBJECT) return wrong(c, o, "stream_options", "an object");
    if (!out->stream) {
        api_fail(c, 400, "stream_options", NULL, "stream_options goes with \"stream\": true");
        return -1;
    }
    for (json v = json_first(o); v.node; v = json_next(v)) {
        if (strcmp(json_key(v), "include_usage") == 0 || strcmp(json_key(v), "include_obfuscation") == 0) continue;
        api_fail(c, 400, "stream_options", "unsupported_parameter", "stream_options.%.100s is not supported", json_key(v));
        return -1;
    }
    return json_opt_bool(o, "include_usage", 0, &out->usage, &c->e) ? refuse(c, "stream_options") : 0;
}

int api_settings_read(api_call *c, const worker *w, int chat, api_settings *out)
{
    const pith_model *m = worker_model(w);
    out->request = pith_request_new(m);
    if (read_sampling(c, &out->request.sampling) || read_bias(c, m, out) || read_stop(c, out) || read_length(c, chat, &out->request) ||
        read_logprobs(c, m, chat, out) || read_stream(c, out) || read_size(c, "n", 1, ANSWERS, 1, &out->n) ||
        read_flag(c, "ignore_eos", &out->request.ignore_eos))
        return -1;
    if (chat) return 0;
    if (read_flag(c, "echo", &out->echo)) return -1;
    if (!out->echo || !out->logprobs) return 0;
    api_fail(c, 400, "echo", "unsupported_parameter", "echo together with logprobs is not supported: a prompt's are not computed");
    return -1;
}

void api_settings_free(api_settings *s)
{
    free(s->stop);
    free(s->bias);
    *s = (api_settings){0};
}
