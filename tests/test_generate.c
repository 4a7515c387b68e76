/* The generator against published and golden texts (as ids), and the bits contract of generation: one hash of the logits
 * over threads, kernel sets, chunks, company and cached beginnings. */
#include "generate.h"
#include "base/json.h"
#include "engine.h"
#include <math.h>

static const char *refusal(pith_generator *g, pith_request r, const int32_t *ids, size_t n)
{
    static pith_err e;
    answer a = {0};
    e = (pith_err){{0}};
    r.ids = ids, r.n = n, r.on_token = take, r.ctx = &a;
    assert_int_equal(pith_generator_add(g, &r, &e), -1);
    assert_int_equal(pith_generator_step(g, &e), 0);
    assert_int_equal(a.calls, 0);
    return e.msg;
}

/* ---- goldens ---- */

static size_t read_ids(json list, int32_t *ids)
{
    size_t n = 0;
    for (json c = json_first(list); c.node; c = json_next(c)) ids[n++] = (int32_t)json_num(c);
    return n;
}

static void stories_as_published(void **state)
{
    (void)state;
    const char *dir = bare(util_need("models/stories260K")), *file = util_need("golden/published/stories260K/hf/greedy_ids.json");
    pith_err e = {{0}};
    json_doc *d = json_load(file, &e);
    static int32_t expected[600];
    size_t n = read_ids(json_get(json_root(d), "ids"), expected);
    assert_true(n >= 199);
    json_free(d);
    pith_model *m = open_model(dir, 1, NULL);
    pith_generator *g = open_generator(m, 0, 1, 0);
    answer a = {0};
    add(g, pith_request_new(m), NULL, 0, n, &a); /* no ids: begins with bos */
    run(g);
    assert_int_equal(a.n, n);
    assert_memory_equal(a.ids, expected, n * sizeof *expected);
    assert_int_equal(a.finish, PITH_FINISH_LENGTH);
    pith_generator_free(g);
    pith_model_close(m);
}

static void goldens_of(const char *dir, const char *file)
{
    pith_err e = {{0}};
    json_doc *d = json_load(file, &e);
    pith_model *m = open_model(dir, 1, NULL);
    pith_generator *together = open_generator(m, 0, 5, 7), *alone = open_generator(m, 0, 1, 0);
    static answer a[8], b;
    static int32_t prompt[8][600], all[8][600];
    size_t n_prompt[8], n_all[8], n = 0;
    for (json c = json_first(json_root(d)); c.node; c = json_next(c), n++) {
        n_prompt[n] = read_ids(json_get(c, "prompt_ids"), prompt[n]);
        n_all[n] = read_ids(json_get(c, "greedy_ids"), all[n]);
        add(together, pith_request_new(m), prompt[n], n_prompt[n], n_all[n] - n_prompt[n], &a[n]);
    }
    assert_int_equal(n, 5);
    assert_int_equal(pith_generator_room(together), 0);
    run(together);
    assert_int_equal(pith_generator_room(together), 5);
    for (size_t i = 0; i < n; i++) {
        add(alone, pith_request_new(m), prompt[i], n_prompt[i], n_all[i] - n_prompt[i], &b);
        run(alone);
        assert_int_equal(a[i].n, n_all[i] - n_prompt[i]);
        assert_memory_equal(a[i].ids, all[i] + n_prompt[i], a[i].n * sizeof(int32_t));
        assert_int_equal(b.n, a[i].n);
        assert_memory_equal(b.ids, a[i].ids, a[i].n * sizeof(int32_t));
    }
    pith_generator_free(together);
    pith_generator_free(alone);
    pith_model_close(m);
    json_free(d);
}

static void stories_goldens(void **state)
{
    (void)state;
    static const char *const names[] = {"stories260K", "stories3M"};
    for (size_t i = 0; i < 2; i++) {
        char rel[100];
        snprintf(rel, sizeof rel, "models/%s", names[i]);
        const char *dir = bare(util_need(rel));
        snprintf(rel, sizeof rel, "models/%s/golden.json", names[i]);
        goldens_of(dir, util_need(rel));
    }
}

/* ---- bits ---- */

enum { TEXT = 100, SHARED = 37 };

/* Logits of ids[0..n) from position cache->n on, `chunk` at a time, to out. */
static void forward(pith_session *s, kv_cache *c, const int32_t *ids, size_t n, size_t chunk, float *out)
{
    pith_err e = {{0}};
    size_t vocab = (size_t)s->m->dims.vocab;
    while (c->n < n) {
        size_t from = c->n, k = n - from < chunk ? n - from : chunk;
        pith_seq q = {ids + from, NULL, k};
        engine_run r = {.seqs = &q, .n = 1, .cache = &c, .every_token = 1, .logits = out + from * vocab};
        if (engine_forward(s, &r, &e)) fail_msg("%s", e.msg);
    }
}

static kv_cache cache_for(const pith_model *m, size_t n)
{
    kv_cache c;
    pith_err e = {{0}};
    if (kv_init(&c, m->dims.kv, n, &e)) fail_msg("%s", e.msg);
    return c;
}

/* Between two strangers, in one forward. */
static void in_company(pith_session *s, const int32_t *ids, float *out)
{
    pith_err e = {{0}};
    size_t vocab = (size_t)s->m->dims.vocab;
    int32_t other[2][TEXT];
    kv_cache c[3] = {cache_for(s->m, 90), cache_for(s->m, TEXT), cache_for(s->m, 33)}, *list[] = {&c[0], &c[1], &c[2]};
    float *all = malloc((90 + TEXT + 33) * vocab * sizeof *all);
    text_of(other[0], 90, vocab, 5);
    text_of(other[1], 33, vocab, 6);
    pith_seq q[] = {{other[0], NULL, 90}, {ids, NULL, TEXT}, {other[1], NULL, 33}};
    engine_run r = {.seqs = q, .n = 3, .cache = list, .every_token = 1, .logits = all};
    if (engine_forward(s, &r, &e)) fail_msg("%s", e.msg);
    memcpy(out, all + 90 * vocab, TEXT * vocab * sizeof *out);
    free(all);
    for (int i = 0; i < 3; i++) kv_free(&c[i]);
}

/* The last tokens from a cache in which another text went on from the same beginning. */
static void from_cache(pith_session *s, const int32_t *ids, float *out)
{
    size_t vocab = (size_t)s->m->dims.vocab;
    int32_t other[TEXT];
    kv_cache c = cache_for(s->m, TEXT);
    text_of(other, TEXT, vocab, 99);
    memcpy(other, ids, SHARED * sizeof *ids);
    forward(s, &c, other, TEXT, TEXT, out);
    c.n = SHARED;
    forward(s, &c, ids, TEXT, 50, out);
    kv_free(&c);
}

static uint64_t hash_of(const float *logits, size_t from, size_t vocab)
{
    for (size_t i = from * vocab; i < TEXT * vocab; i++) assert_true(isfinite(logits[i]));
    return pith_hash(logits + from * vocab, (TEXT - from) * vocab * sizeof *logits);
}

static void one_hash(const char *name, const char *dir)
{
    static const size_t chunks[] = {TEXT, 64, 7, 1};
    uint64_t first = 0, tail = 0;
    size_t runs = 0;
    const kernel_set *k;
    /* Everything with the best set; the others, of which one is slow, in fewer ways. */
    for (size_t which = 0; (k = kernel_at(which)) != NULL; which++)
        for (int threads = 1; k->exact && threads <= (which ? 1 : 4); threads *= 2) {
            pith_model *m = open_model(dir, threads, k->name);
            pith_err e = {{0}};
            pith_session *s = pith_session_new(m, &e);
            size_t vocab = pith_model_vocab_size(m);
            int32_t ids[TEXT];
            float *logits = calloc(TEXT * vocab, sizeof *logits);
            text_of(ids, TEXT, vocab, 1);
            for (size_t i = 0; i < (which ? 1 : threads > 1 ? 3 : 4); i++, runs++) {
                kv_cache c = cache_for(m, TEXT);
                forward(s, &c, ids, TEXT, chunks[i], logits);
                kv_free(&c);
                if (!first) first = hash_of(logits, 0, vocab), tail = hash_of(logits, SHARED, vocab);
                if (hash_of(logits, 0, vocab) != first) fail_msg("%s, %s, %d threads, chunks of %zu: other bits", name, k->name, threads, chunks[i]);
            }
            memset(logits, 0, TEXT * vocab * sizeof *logits);
            in_company(s, ids, logits);
            if (hash_of(logits, 0, vocab) != first) fail_msg("%s, %s, %d threads, in company: other bits", name, k->name, threads);
            from_cache(s, ids, logits);
            if (hash_of(logits, SHARED, vocab) != tail) fail_msg("%s, %s, %d threads, from the cache: other bits", name, k->name, threads);
            runs += 2;
            free(logits);
            pith_session_free(s);
            pith_model_close(m);
        }
    printf("# %-14s %016llx in %zu ways\n", name, (unsigned long long)first, runs);
}

static void logits_have_one_hash(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-gqa-bf16", "qwen3-f32", "mistral-swa"};
    for (size_t i = 0; i < 3; i++) {
        char rel[100];
        snprintf(rel, sizeof rel, "golden/models/%s", names[i]);
        one_hash(names[i], util_need(rel));
    }
    one_hash("stories3M", bare(util_need("models/stories3M")));
}

/* ---- sampling through the generator ---- */

static void a_seed_gives_one_text(void **state)
{
    (void)state;
    enum { N = 6, TOKENS = 40 };
    const char *dir = bare(util_need("models/stories260K"));
    static answer first[N], a[N];
    const kernel_set *k;
    int have = 0;
    for (size_t which = 0; (k = kernel_at(which)) != NULL; which++)
        for (int threads = 1; k->exact && threads <= 2; threads++) {
            pith_model *m = open_model(dir, threads, k->name);
            for (size_t sequences = 1; sequences <= N; sequences += N - 1) {
                pith_generator *g = open_generator(m, 0, sequences, 4 + sequences);
                for (size_t i = 0; i < N; i++) {
                    int32_t prompt[20];
                    text_of(prompt, 20, 512, (uint32_t)i);
                    add(g, sampled(m, 100 + i), prompt, 3 * i + 1, TOKENS, &a[i]);
                    if (sequences == 1) run(g);
                }
                run(g);
                if (!have) memcpy(first, a, sizeof a);
                have = 1;
                for (size_t i = 0; i < N; i++) {
                    assert_int_equal(a[i].n, TOKENS);
                    assert_memory_equal(a[i].ids, first[i].ids, sizeof a[i].ids);
                    assert_memory_equal(a[i].logprobs, first[i].logprobs, sizeof a[i].logprobs);
                }
                pith_generator_free(g);
            }
            pith_model_close(m);
        }
    int same = 0;
    for (size_t i = 0; i < TOKENS; i++) same += first[0].ids[i] == first[1].ids[i];
    assert_true(same < TOKENS);
}

/* ---- ends and limits ---- */

static void ends(void **state)
{
    (void)state;
    pith_model *m = open_model(bare(util_need("models/stories260K")), 1, NULL);
    size_t n_eos;
    const int32_t *eos = pith_model_eos(m, &n_eos);
    assert_int_equal(n_eos, 1);
    assert_int_equal(eos[0], 2);
    pith_generator *g = open_generator(m, 0, 2, 0);
    static answer a, b;
    /* A bias makes eos certain: it is told, and ends the text. */
    const pith_logit_bias end = {2, 1000}, never = {2, -INFINITY};
    pith_request r = pith_request_new(m);
    r.sampling.bias = &end, r.sampling.n_bias = 1;
    add(g, r, (int32_t[]){1, 403}, 2, 10, &a);
    r.ignore_eos = 1;
    add(g, r, (int32_t[]){1, 403}, 2, 4, &b);
    run(g);
    assert_int_equal(a.n, 1);
    assert_int_equal(a.ids[0], 2);
    assert_int_equal(a.finish, PITH_FINISH_STOP);
    assert_int_equal(b.n, 4);
    assert_int_equal(b.finish, PITH_FINISH_LENGTH);
    /* The context ends it: prompt and answer fill it exactly. */
    r.sampling.bias = &never;
    pith_generator *small = open_generator(m, 20, 1, 0);
    assert_int_equal(pith_generator_context(small), 20);
    add(small, r, (int32_t[]){1, 403, 407}, 3, 0, &a);
    run(small);
    assert_int_equal(a.n, 17);
    assert_int_equal(a.finish, PITH_FINISH_LENGTH);
    /* The caller ends it, by its answer or from outside. */
    a.stop_after = 5;
    add(g, r, (int32_t[]){1, 403}, 2, 50, &a);
    add(g, r, (int32_t[]){1, 407}, 2, 50, &b);
    pith_err e = {{0}};
    for (int i = 0; i < 8; i++) assert_int_equal(pith_generator_step(g, &e), 1);
    assert_int_equal(a.n, 5);
    assert_int_equal(a.finish, PITH_FINISH_NONE);
    assert_int_equal(pith_generator_room(g), 1);
    pith_generator_cancel(g, &b);
    assert_int_equal(pith_generator_room(g), 2);
    assert_int_equal(pith_generator_step(g, &e), 0);
    assert_int_equal(b.n, 8);
    pith_generator_free(small);
    pith_generator_free(g);
    pith_model_close(m);
}

static void a_known_beginning_is_not_computed_again(void **state)
{
    (void)state;
    pith_model *m = open_model(bare(util_need("models/stories260K")), 1, NULL);
    pith_generator *g = open_generator(m, 0, 2, 0), *fresh = open_generator(m, 0, 1, 0);
    static answer a, b, c;
    static int32_t ids[300];
    text_of(ids, 300, 512, 3);
    add(g, sampled(m, 1), ids, 100, 30, &a);
    run(g);
    assert_int_equal(pith_generator_statistics(g).prompt_tokens, 100);
    /* The chat's next turn: prompt, answer, and more. Of the answer's last token nothing was computed. */
    memcpy(ids + 100, a.ids, 30 * sizeof *ids);
    add(g, sampled(m, 2), ids, 200, 30, &b);
    run(g);
    pith_generator_stats s = pith_generator_statistics(g);
    assert_int_equal(s.reused_tokens, 129);
    assert_int_equal(s.prompt_tokens, 100 + 71);
    assert_int_equal(s.new_tokens, 60);
    add(fresh, sampled(m, 2), ids, 200, 30, &c);
    run(fresh);
    assert_memory_equal(b.ids, c.ids, sizeof b.ids);
    assert_memory_equal(b.logprobs, c.logprobs, sizeof b.logprobs);
    /* The same prompt again: its last token is computed, for the logits. */
    add(g, sampled(m, 2), ids, 200, 30, &b);
    run(g);
    assert_int_equal(pith_generator_statistics(g).prompt_tokens, 100 + 71 + 1);
    assert_memory_equal(b.ids, c.ids, sizeof b.ids);
    pith_generator_free(g);
    pith_generator_free(fresh);
    pith_model_close(m);
}

static void says(const char *message, const char *expected)
{
    if (!strstr(message, expected)) fail_msg("\"%s\" does not say \"%s\"", message, expected);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    pith_model *m = open_model(bare(util_need("models/stories260K")), 1, NULL);
    pith_generator *g = open_generator(m, 100, 1, 0);
    static int32_t ids[200];
    static answer a;
    const char *stop[] = {"x"};
    pith_request r = pith_request_new(m);
    text_of(ids, 200, 512, 3);
    says(refusal(g, r, ids, 100), "the prompt has 100 tokens, but the context holds 100");
    says(refusal(g, r, ids, 150), "(--context)");
    says(refusal(g, r, (int32_t[]){1, 512}, 2), "prompt, token 1: id 512 is outside the model's vocabulary of 512");
    says(refusal(g, r, (int32_t[]){-1}, 1), "id -1 is outside");
    r.sampling.top_p = 7;
    says(refusal(g, r, ids, 3), "top_p must be from 0 to 1");
    r = pith_request_new(m);
    r.stop = stop, r.n_stop = 1;
    says(refusal(g, r, ids, 3), "stop strings need a tokenizer");
    r = pith_request_new(m);
    r.n_top = 513;
    says(refusal(g, r, ids, 3), "vocabulary has only 512");
    r = pith_request_new(m);
    add(g, r, ids, 99, 0, &a); /* room for one */
    pith_err e = {{0}};
    r.ids = ids, r.n = 3, r.on_token = take, r.ctx = &a;
    assert_int_equal(pith_generator_add(g, &r, &e), -1);
    says(e.msg, "all 1 sequences are busy");
    run(g);
    assert_int_equal(a.n, 1);
    pith_generator_free(g);
    pith_generator *whole = open_generator(m, 4096, 1, 0);
    assert_int_equal(pith_generator_context(whole), 512);
    static int32_t many[600];
    says(refusal(whole, pith_request_new(m), many, 512), "max_position_embeddings");
    pith_generator_free(whole);
    pith_model_close(m);
}

static void an_encoder_writes_nothing(void **state)
{
    (void)state;
    pith_err e = {{0}};
    pith_model *m = open_model("tests/golden/models/distilbert-f32", 1, NULL);
    assert_null(pith_generator_new(m, NULL, &e));
    says(e.msg, "the model writes no text");
    pith_model_close(m);
}

static void copy_file(const char *from, const char *to)
{
    size_t n;
    char *b = util_read(from, &n);
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b, 1, n, f), n);
    fclose(f);
    free(b);
}

/* One NaN in the norm before the head: the request ends with an error, the library stays usable. */
static void nan_logits_are_an_error(void **state)
{
    (void)state;
    const char *golden = util_need("golden/models/llama-gqa-f32"), *dir = bare(golden);
    char path[300], from[2048];
    pith_err e = {{0}};
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    snprintf(from, sizeof from, "%s/model.safetensors", golden);
    unlink(path);
    copy_file(from, path);
    pith_weights *w = pith_weights_open(path, NULL, &e);
    pith_tensor t;
    assert_int_equal(pith_weights_find(w, "model.norm.weight", &t), 0);
    long at = (long)t.offset;
    pith_weights_close(w);
    FILE *f = fopen(path, "r+b");
    float nan = NAN;
    assert_int_equal(fseek(f, at, SEEK_SET), 0);
    assert_int_equal(fwrite(&nan, 4, 1, f), 1);
    fclose(f);
    pith_model *m = open_model(dir, 1, NULL);
    pith_generator *g = open_generator(m, 0, 2, 0);
    static answer a;
    add(g, pith_request_new(m), (int32_t[]){1, 2, 3}, 3, 5, &a);
    run(g);
    assert_int_equal(a.finish, PITH_FINISH_ERROR);
    assert_int_equal(a.n, 0);
    says(a.error, "NaN");
    assert_int_equal(pith_generator_room(g), 2);
    pith_generator_free(g);
    pith_model_close(m);
}

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void settings_of_the_model(void **state)
{
    (void)state;
    const char *dir = bare(util_need("models/stories260K"));
    write_text(dir, "generation_config.json",
               "{\"do_sample\":true,\"temperature\":0.6,\"top_p\":0.9,\"eos_token_id\":[5,7],\"max_new_tokens\":33,"
               "\"repetition_penalty\":1.05,\"num_beams\":1,\"no_repeat_ngram_size\":3,\"suppress_tokens\":[4]}");
    pith_model *m = open_model(dir, 1, NULL);
    pith_request r = pith_request_new(m);
    size_t n;
    const int32_t *eos = pith_model_eos(m, &n);
    assert_int_equal(n, 2);
    assert_int_equal(eos[1], 7);
    assert_int_equal(r.max_tokens, 33);
    assert_true(r.sampling.temperature == 0.6f && r.sampling.top_p == 0.9f && r.sampling.repetition_penalty == 1.05f);
    assert_int_equal(r.sampling.top_k, 50); /* transformers' own default */
    assert_int_equal(pith_model_warnings(m), 1);
    assert_string_equal(pith_model_warning(m, 0),
                        "generation_config.json: no_repeat_ngram_size, suppress_tokens: not supported and not followed");
    pith_model_close(m);
    /* Without do_sample it is greedy, whatever else is there; eos then comes from config.json. */
    write_text(dir, "generation_config.json", "{\"temperature\":0.6,\"top_k\":0}");
    m = open_model(dir, 1, NULL);
    r = pith_request_new(m);
    assert_true(r.sampling.temperature == 0 && r.sampling.top_k == 0 && r.max_tokens == 0);
    eos = pith_model_eos(m, &n);
    assert_int_equal(n, 1);
    assert_int_equal(eos[0], 2);
    pith_model_close(m);
    static const char *const wrong[][2] = {{"{\"temperature\":\"hot\"}", "temperature"}, {"{\"top_p\":3}", "top_p must be from 0 to 1"},
                                           {"{\"eos_token_id\":\"</s>\"}", "eos_token_id"}, {"{\"top_k\":-1}", "top_k"},
                                           {"[", "generation_config.json"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pith_err e = {{0}};
        write_text(dir, "generation_config.json", wrong[i][0]);
        assert_null(pith_model_open(dir, NULL, &e));
        says(e.msg, wrong[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories_as_published),
        cmocka_unit_test(stories_goldens),
        cmocka_unit_test(logits_have_one_hash),
        cmocka_unit_test(a_seed_gives_one_text),
        cmocka_unit_test(ends),
        cmocka_unit_test(a_known_beginning_is_not_computed_again),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(an_encoder_writes_nothing),
        cmocka_unit_test(nan_logits_are_an_error),
        cmocka_unit_test(settings_of_the_model),
    };
    return cmocka_run_group_tests_name("generate", tests, NULL, tidy);
}
