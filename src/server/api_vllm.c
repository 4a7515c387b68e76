/* api_vllm: vLLM's /v1/classify. */
#include "server/api_texts.h"
#include <string.h>
#include <time.h>

static int put_classify(api_call *c, FILE *f)
{
    const api_texts *t = c->own;
    const pith_model *m = worker_model(t->w);
    size_t n = pith_model_n_labels(m), tokens = api_texts_tokens(t);
    fprintf(f, "{\"id\":\"classify-%s\",\"object\":\"list\",\"created\":%lld,\"model\":", http_id(c->x), (long long)time(NULL));
    json_put_str(f, worker_name(t->w), strlen(worker_name(t->w)));
    fputs(",\"data\":[", f);
    for (size_t i = 0; i < t->n; i++) {
        const pith_result *r = &t->results[i];
        const char *label = pith_model_label(m, (size_t)r->label);
        fprintf(f, "%s{\"index\":%zu,\"label\":", i ? "," : "", i);
        json_put_str(f, label, strlen(label));
        fputs(",\"probs\":", f);
        api_texts_put_floats(f, r->scores, n);
        fprintf(f, ",\"num_classes\":%zu}", n);
    }
    fprintf(f, "],\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu,\"completion_tokens\":0,\"prompt_tokens_details\":null}}", tokens, tokens);
    return 0;
}

/* truncate_prompt_tokens: -1 is as many as the model reads; absent: nothing is cut. */
static int read_truncation(api_call *c, size_t *most)
{
    api_texts *t = c->own;
    json v = json_get(c->root, "truncate_prompt_tokens");
    uint64_t n = 0;
    t->truncate = json_typeof(v) != JSON_NONE && json_typeof(v) != JSON_NULL;
    int all = json_typeof(v) == JSON_NUMBER && json_num(v) == -1;
    if (t->truncate && !all && json_as_size(v, 1, pith_model_max_length(worker_model(t->w)), &n, &c->e)) return api_bad(c);
    *most = (size_t)n;
    return 0;
}

void api_vllm_classify(api_call *c)
{
    static const char *const names[] = {"input", "truncate_prompt_tokens", "use_activation", NULL}, *const ignored[] = {"user", NULL};
    worker *w = api_known(c, names, ignored) ? NULL : api_model(c, JOB_CLASSIFY);
    api_texts *t = w ? api_texts_new(c, w, sizeof *t) : NULL;
    pith_classify_options o = {0};
    int activation;
    if (!t || api_texts_read(c, "input", 1) || read_truncation(c, &o.max_length)) return;
    if (json_opt_bool(c->root, "use_activation", 1, &activation, &c->e)) {
        api_bad(c);
        return;
    }
    o.activation = activation ? PITH_ACTIVATION_AUTO : PITH_ACTIVATION_NONE;
    t->put = put_classify;
    api_texts_classify(c, &o);
}
