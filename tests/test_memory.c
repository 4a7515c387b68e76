/* pith_set_memory: every block of the library comes from the program's own function and goes back to it, and each call of
 * it may be refused. pith_set_log: what is told. */
#include "files.h"
#include "pith.h"
#include <pthread.h>
#include <stdatomic.h>

/* ---- the program's memory ---- */

/* Stands before every block. Blocks always move when they grow, and hold noise at first. */
typedef struct head {
    uint64_t magic;
    size_t bytes;
    uint64_t unused[2];
} head;
static const uint64_t LIVE = 0x70697468206c6976, DEAD = 0x7069746820646561;
static atomic_long blocks, bytes_live, calls, fail_at, wrong, given;
static atomic_int and_after;

static void *take(size_t bytes)
{
    head *h = malloc(sizeof *h + bytes);
    if (!h) return NULL;
    *h = (head){.magic = LIVE, .bytes = bytes};
    memset(h + 1, 0xa5, bytes);
    atomic_fetch_add(&blocks, 1);
    atomic_fetch_add(&given, 1);
    atomic_fetch_add(&bytes_live, (long)bytes);
    return h + 1;
}

static head *head_of(void *p)
{
    head *h = (head *)p - 1;
    if (h->magic == LIVE) return h;
    atomic_fetch_add(&wrong, 1);
    return NULL;
}

static void give_back(void *p)
{
    head *h = head_of(p);
    if (!h) return;
    atomic_fetch_sub(&blocks, 1);
    atomic_fetch_sub(&bytes_live, (long)h->bytes);
    h->magic = DEAD;
    free(h);
}

static void *memory(void *ctx, void *p, size_t bytes)
{
    if (ctx != &blocks) atomic_fetch_add(&wrong, 1);
    if (!bytes) {
        if (p) give_back(p);
        else atomic_fetch_add(&wrong, 1);
        return NULL;
    }
    long call = atomic_fetch_add(&calls, 1) + 1, at = atomic_load(&fail_at);
    if (at && (call == at || (call > at && atomic_load(&and_after)))) return NULL;
    if (!p) return take(bytes);
    head *h = head_of(p);
    void *more = h ? take(bytes) : NULL;
    if (!more) return NULL;
    memcpy(more, p, h->bytes < bytes ? h->bytes : bytes);
    give_back(p);
    return more;
}

/* ---- what the library is used for ---- */

static const char *sentiment = "models/bundled/sentiment", *causal = "tests/golden/models/llama-odd";

static int tokenize(const char *dir, pith_err *e)
{
    static const char text[] = "Caf\xc3\xa9 au lait, it's 3 o'clock: \xe6\x97\xa5\xe6\x9c\xac and a film I'd not see again.";
    pith_tokenizer *t = pith_tokenizer_open(dir, e);
    pith_tokens x = {0};
    char *back = NULL;
    size_t len;
    int bad = !t || pith_tokenize(t, text, sizeof text - 1, NULL, 0, NULL, &x, e);
    if (!bad) bad = pith_detokenize(t, x.ids, x.n, 1, &back, &len, e);
    pith_free(back);
    pith_tokens_free(&x);
    pith_tokenizer_close(t);
    return bad;
}

static int wordpiece(pith_err *e) { return tokenize(sentiment, e); }
static int bytelevel(pith_err *e) { return tokenize(util_shared("tokenizers/gpt2"), e); }
static int pieces(pith_err *e) { return tokenize(util_shared("models/stories260K"), e); }

static int classify(pith_err *e)
{
    pith_model *m = pith_model_open(sentiment, &(pith_model_options){.threads = 2, .dtype = "q8"}, e);
    pith_session *s = m ? pith_session_new(m, e) : NULL;
    const pith_text t[] = {{"A wonderful film.", 17, NULL, 0}, {"Never again, and I mean it.", 27, NULL, 0}};
    float scores[2][8], logits[2][8];
    pith_result r[2] = {{.scores = scores[0], .logits = logits[0]}, {.scores = scores[1], .logits = logits[1]}};
    pith_word *words = NULL;
    size_t n;
    int bad = !s || pith_classify(s, t, 2, NULL, r, e) || pith_explain(s, t[0].text, t[0].len, 0, NULL, &words, &n, e);
    pith_free(words);
    pith_session_free(s);
    pith_model_close(m);
    return bad;
}

static int vectors(pith_err *e)
{
    pith_model *m = pith_model_open(sentiment, &(pith_model_options){.threads = 1, .no_mmap = 1}, e);
    pith_session *s = m ? pith_session_new(m, e) : NULL;
    const pith_text t = {"A wonderful film.", 17, NULL, 0};
    float *out = m ? malloc(pith_model_embedding_size(m) * sizeof *out) : NULL;
    int bad = !s || pith_embed(s, &t, 1, NULL, out, NULL, NULL, e);
    free(out);
    pith_session_free(s);
    pith_model_close(m);
    return bad;
}

/* A request that has no memory ends with its own error. */
static int keep_error(void *ctx, const pith_token *t)
{
    if (t->finish == PITH_FINISH_ERROR) snprintf(((pith_err *)ctx)->msg, PITH_ERR_MAX, "%s", t->error);
    return 0;
}

static int generate(pith_err *e)
{
    static const int32_t prompt[] = {1, 5, 9, 3};
    pith_model *m = pith_model_open(causal, &(pith_model_options){.threads = 2}, e);
    pith_generator *g = m ? pith_generator_new(m, &(pith_generator_options){.context = 24, .sequences = 2}, e) : NULL;
    pith_session *s = m ? pith_session_new(m, e) : NULL;
    int more = g && s ? 1 : -1;
    for (int i = 0; i < 2 && more > 0; i++) {
        pith_request r = pith_request_new(m);
        r.ids = prompt, r.n = 4, r.max_tokens = 6, r.ignore_eos = 1, r.n_top = 2, r.on_token = keep_error, r.ctx = e;
        r.sampling.temperature = (float)i, r.sampling.top_k = 5, r.sampling.repetition_penalty = 1.1f;
        if (pith_generator_add(g, &r, e)) more = -1;
    }
    while (more > 0) more = pith_generator_step(g, e);
    float logprobs[4];
    if (!more && !e->msg[0]) more = pith_score(s, prompt, 4, NULL, logprobs, e);
    pith_session_free(s);
    pith_generator_free(g);
    pith_model_close(m);
    return more || e->msg[0];
}

static int template(pith_err *e)
{
    static const char text[] = "{%- for m in messages %}{{ '<' + m.role|upper + '>' }}{{ m['content'] | trim }}{% endfor %}"
                               "{% set x = namespace(n=0) %}{{ messages | map(attribute='role') | join(', ') }}{{ {'a': [1, 2.5]} | tojson }}";
    static const char messages[] = "[{\"role\":\"user\",\"content\":\" Hi \"},{\"role\":\"assistant\",\"content\":\"Hello\"}]";
    char path[512];
    snprintf(path, sizeof path, "%s/t.jinja", files_dir);
    FILE *f = fopen(path, "wb");
    if (!f || !fwrite(text, sizeof text - 1, 1, f) || fclose(f)) fail_msg("cannot write %s", path);
    pith_template *t = pith_template_open_file(path, "<s>", "</s>", e);
    pith_prompt p = {0};
    int bad = !t || pith_template_render(t, messages, sizeof messages - 1, NULL, &p, e);
    pith_prompt_free(&p);
    pith_template_close(t);
    return bad;
}

static int read_weights(const char *path, pith_err *e)
{
    pith_weights *w = pith_weights_open(path, NULL, e);
    pith_tensor_stats stats;
    int bad = !w;
    for (size_t i = 0; w && !bad && i < pith_weights_count(w) && i < 3; i++) bad = pith_weights_stats(w, i, &stats, e);
    pith_weights_close(w);
    return bad;
}

static int safetensors_weights(pith_err *e) { return read_weights("tests/golden/models/bert-bf16-sharded", e); }
static int torch_weights(pith_err *e) { return read_weights("tests/golden/torch/nested_params.bin", e); }
static int legacy_weights(pith_err *e) { return read_weights("tests/golden/torch/legacy_shared.bin", e); }

static int writer(pith_err *e)
{
    static const uint64_t shape[] = {2, 3};
    static const float data[6] = {1, 2, 3, 4, 5, 6};
    const pith_tensor t[] = {{.name = "a", .dtype = "F32", .shape = shape, .rank = 2}, {.name = "b", .dtype = "F32", .shape = shape, .rank = 2}};
    const pith_pair meta = {"format", "pt"};
    char path[512];
    snprintf(path, sizeof path, "%s/w.safetensors", files_dir);
    pith_writer *w = pith_writer_new(path, t, 2, &meta, 1, 1, e);
    int bad = !w || pith_writer_put(w, 0, 0, data, sizeof data, e) || pith_writer_put(w, 1, 0, data, sizeof data, e) || pith_writer_finish(w, e);
    pith_writer_free(w);
    return bad;
}

static int quantize(pith_err *e)
{
    char path[512];
    snprintf(path, sizeof path, "%s/q.safetensors", files_dir);
    return pith_quantize(causal, "q4", path, &(pith_quantize_options){.replace = 1}, e);
}

static int verify(pith_err *e)
{
    char path[512];
    pith_verdict v;
    snprintf(path, sizeof path, "%s/manifest.json", files_dir);
    return pith_verify(causal, &(pith_verify_options){.threads = 2, .manifest = path, .replace = 1}, &v, e);
}

/* ---- all of it, whole and with each call refused ---- */

static const struct use {
    const char *name;
    int (*run)(pith_err *e);
    const char *needs; /* of the shared goldens; NULL: nothing */
} uses[] = {{"wordpiece", wordpiece, NULL}, {"byte-level BPE", bytelevel, "tokenizers/gpt2"}, {"sentencepiece", pieces, "models/stories260K"},
            {"classify", classify, NULL}, {"vectors", vectors, NULL}, {"generate", generate, NULL}, {"template", template, NULL},
            {"safetensors", safetensors_weights, NULL}, {"torch", torch_weights, NULL}, {"legacy torch", legacy_weights, NULL},
            {"writer", writer, NULL}, {"quantize", quantize, NULL}, {"verify", verify, NULL}};

typedef struct one {
    const struct use *use;
    pith_err e;
    int bad;
} one;

static void *run(void *arg)
{
    one *o = arg;
    o->bad = o->use->run(&o->e) != 0;
    return NULL;
}

/* In a thread of its own: its workers are given back when it ends. */
static one use(const struct use *u, long at, int rest)
{
    one o = {.use = u};
    pthread_t t;
    atomic_store(&calls, 0);
    atomic_store(&and_after, rest);
    atomic_store(&fail_at, at);
    assert_int_equal(pthread_create(&t, NULL, run, &o), 0);
    pthread_join(t, NULL);
    atomic_store(&fail_at, 0);
    if (atomic_load(&blocks) || atomic_load(&wrong))
        fail_msg("%s, call %ld refused: %ld blocks of %ld bytes live, %ld wrong (%s)", u->name, at, atomic_load(&blocks), atomic_load(&bytes_live), atomic_load(&wrong), o.e.msg);
    assert_int_equal(atomic_load(&bytes_live), 0);
    if (o.bad && !o.e.msg[0]) fail_msg("%s, call %ld refused: an error without a message", u->name, at);
    return o;
}

static int possible(const struct use *u)
{
    if (!u->needs || util_shared(u->needs)) return 1;
    printf("# skip: %s: no shared goldens (%s)\n", u->name, u->needs);
    return 0;
}

static void test_all_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (!possible(&uses[i])) continue;
        one o = use(&uses[i], 0, 0);
        if (o.bad) fail_msg("%s: %s", uses[i].name, o.e.msg);
        assert_true(atomic_load(&calls) > 2);
    }
}

static void test_refused(void **state)
{
    const long EACH = util_long() ? 600 : 60;
    (void)state;
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        if (!possible(&uses[i])) continue;
        use(&uses[i], 0, 0);
        long n = atomic_load(&calls), failed = 0, tried = 0;
        for (int rest = 0; rest < 2; rest++)
            for (long at = 1; at <= n; at += 1 + (at > EACH / 2 ? n / EACH : 0), tried++) {
                one o = use(&uses[i], at, rest);
                if (o.bad && !strstr(o.e.msg, "memory")) fail_msg("%s, call %ld of %ld refused: it says %s", uses[i].name, at, n, o.e.msg);
                failed += o.bad;
            }
        if (failed < tried / 2) fail_msg("%s: only %ld of %ld refused calls were told", uses[i].name, failed, tried);
        assert_true(use(&uses[i], 0, 0).bad == 0);
    }
}

static void test_too_late(void **state)
{
    pith_err e = {0};
    (void)state;
    assert_true(atomic_load(&given) > 0);
    assert_int_equal(pith_set_memory(NULL, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "before anything else"));
    assert_true(use(&uses[0], 0, 0).bad == 0);
}

/* ---- log ---- */

static char told[4096];
static void hear(void *ctx, pith_log_level level, const char *line)
{
    size_t n = strlen(told);
    assert_null(strchr(line, '\n'));
    snprintf(told + n, sizeof told - n, "%s%s: %s\n", (const char *)ctx, level == PITH_LOG_WARNING ? "warning" : "info", line);
}

static void test_log(void **state)
{
    pith_err e = {0};
    (void)state;
    pith_set_log(hear, "> ");
    pith_model *m = pith_model_open(sentiment, &(pith_model_options){.threads = 1, .kernels = "generic", .dtype = "q8"}, &e);
    pith_set_log(NULL, NULL);
    assert_non_null(m);
    assert_ptr_equal(strstr(told, "> info: models/bundled/sentiment: opened in "), told);
    assert_non_null(strstr(told, " ms: distilbert, "));
    assert_non_null(strstr(told, " bytes of weights as q8, kernel set generic, 1 threads\n"));
    pith_model_close(m);
    told[0] = 0;
    m = pith_model_open(sentiment, &(pith_model_options){.threads = 1}, &e);
    assert_string_equal(told, "");
    pith_model_close(m);
}

static void test_log_packed(void **state)
{
    pith_err e = {0};
    char dir[512], path[600], config[600], copy[4096];
    (void)state;
    snprintf(dir, sizeof dir, "%s/packed", files_dir);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    snprintf(config, sizeof config, "%s/config.json", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(pith_quantize(causal, "q8", path, NULL, &e), 0);
    size_t len;
    snprintf(copy, sizeof copy, "%s/config.json", causal);
    char *text = util_read(copy, &len);
    FILE *f = fopen(config, "wb");
    assert_true(f && fwrite(text, len, 1, f) == 1 && !fclose(f));
    free(text);
    told[0] = 0;
    pith_set_log(hear, "");
    pith_model *m = pith_model_open(dir, &(pith_model_options){.threads = 1}, &e);
    pith_set_log(NULL, NULL);
    assert_non_null(m);
    assert_non_null(strstr(told, "/packed: the weights are packed, as q8\n"));
    pith_model_close(m);
}

/* Selecting it corrects the environment at most once, and says so. */
static void test_log_openblas(void **state)
{
    pith_err e = {0};
    (void)state;
    told[0] = 0;
    unsetenv("OPENBLAS_CORETYPE");
    pith_set_log(hear, "");
    pith_model *m = pith_model_open(sentiment, &(pith_model_options){.threads = 1, .kernels = "openblas"}, &e);
    pith_set_log(NULL, NULL);
    pith_model_close(m);
    assert_int_equal(strstr(told, "info: OPENBLAS_CORETYPE=") != NULL, getenv("OPENBLAS_CORETYPE") != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_comes_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_late),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_packed),
        cmocka_unit_test(test_log_openblas),
    };
    pith_err e = {0};
    if (pith_set_memory(memory, &blocks, &e)) fail_msg("%s", e.msg);
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
