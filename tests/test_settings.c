/* generation_config.json and config.json: what transformers' GenerationConfig means by them, key by key, and what is refused; and what
 * sentence-transformers writes beside a model that makes vectors. */
#include "files.h"
#include "engine.h"

typedef struct outcome {
    pith_model *m;
    int bad;
    pith_err e;
} outcome;

/* A causal model of 100 tokens, with these files; NULL: not there. */
static outcome settings(const char *generation, const char *config)
{
    outcome x = {.m = calloc(1, sizeof(pith_model))};
    assert_non_null(x.m);
    x.m->dims = (model_dims){.hidden = 8, .vocab = 100, .max_positions = 64, .causal = 1};
    if (config) x.m->config = json_parse("config.json", config, strlen(config), &x.e);
    assert_string_equal(x.e.msg, "");
    if (generation) files_write("generation_config.json", generation, strlen(generation));
    else unlink(files_path("generation_config.json"));
    x.bad = engine_settings(x.m, files_dir, &x.e);
    assert_int_equal(x.bad != 0, x.e.msg[0] != 0);
    return x;
}

static void close_it(outcome *x) { pith_model_close(x->m); }

static void test_defaults(void **state)
{
    (void)state;
    outcome x = settings(NULL, NULL);
    const pith_sampling *s = &x.m->sampling;
    assert_int_equal(x.bad, 0);
    assert_true(s->temperature == 0 && s->top_k == 50 && s->top_p == 1 && s->min_p == 0 && s->typical_p == 1 && s->repetition_penalty == 1);
    assert_int_equal(x.m->max_new_tokens, 0);
    assert_int_equal(x.m->bos, -1);
    assert_int_equal(x.m->n_eos, 0);
    close_it(&x);
    /* null is as absent everywhere. */
    x = settings("{\"do_sample\":null,\"temperature\":null,\"top_k\":null,\"top_p\":null,\"min_p\":null,\"typical_p\":null,\"repetition_penalty\":null,"
                 "\"max_new_tokens\":null,\"eos_token_id\":null,\"bos_token_id\":null,\"num_beams\":null}", "{}");
    s = &x.m->sampling;
    assert_int_equal(x.bad, 0);
    assert_true(s->temperature == 0 && s->top_k == 50 && s->top_p == 1 && s->min_p == 0 && s->typical_p == 1 && s->repetition_penalty == 1);
    assert_int_equal(x.m->n_notes, 0);
    close_it(&x);
}

static void test_sampling(void **state)
{
    (void)state;
    outcome x = settings("{\"do_sample\":true,\"temperature\":0.5,\"top_k\":7,\"top_p\":0.25,\"min_p\":0.125,\"typical_p\":0.75,"
                         "\"repetition_penalty\":1.5,\"max_new_tokens\":9}", NULL);
    const pith_sampling *s = &x.m->sampling;
    assert_true(s->temperature == 0.5f && s->top_k == 7 && s->top_p == 0.25f && s->min_p == 0.125f && s->typical_p == 0.75f && s->repetition_penalty == 1.5f);
    assert_int_equal(x.m->max_new_tokens, 9);
    close_it(&x);
    /* Greedy without do_sample; with it and without a temperature, 1. */
    x = settings("{\"do_sample\":false,\"temperature\":0.5}", NULL);
    assert_true(x.m->sampling.temperature == 0);
    close_it(&x);
    x = settings("{\"do_sample\":true}", NULL);
    assert_true(x.m->sampling.temperature == 1);
    close_it(&x);
}

/* generation_config.json goes before config.json; a number or a list. */
static void test_ids(void **state)
{
    (void)state;
    static const struct {
        const char *generation, *config;
        int32_t bos;
        size_t n;
        int32_t eos[2];
    } cases[] = {
        {"{\"eos_token_id\":5,\"bos_token_id\":1}", "{\"eos_token_id\":6,\"bos_token_id\":2}", 1, 1, {5}},
        {"{\"eos_token_id\":[5,99]}", "{\"bos_token_id\":2}", 2, 2, {5, 99}},
        {"{\"eos_token_id\":[]}", "{\"eos_token_id\":[6,7]}", -1, 2, {6, 7}},
        {"{}", "{\"eos_token_id\":6}", -1, 1, {6}},
        {NULL, "{\"eos_token_id\":6,\"bos_token_id\":[3]}", 3, 1, {6}},
        {"{\"bos_token_id\":100}", "{\"bos_token_id\":4}", 4, 0, {0}}, /* the model has no token 100 */
        {"{\"bos_token_id\":99}", NULL, 99, 0, {0}},
        {"{\"eos_token_id\":2147483647}", NULL, -1, 1, {2147483647}},
        {"{\"eos_token_id\":null}", "{\"eos_token_id\":null,\"bos_token_id\":null}", -1, 0, {0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome x = settings(cases[i].generation, cases[i].config);
        if (x.bad) fail_msg("%s", x.e.msg);
        assert_int_equal(x.m->bos, cases[i].bos);
        assert_int_equal(x.m->n_eos, cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++) assert_int_equal(x.m->eos[k], cases[i].eos[k]);
        close_it(&x);
    }
}

/* What pith does not have is told where it is on, and only there. */
static void test_what_is_not_followed(void **state)
{
    (void)state;
    outcome x = settings("{\"num_beams\":1,\"num_beam_groups\":1,\"penalty_alpha\":0,\"no_repeat_ngram_size\":0,\"guidance_scale\":1,\"epsilon_cutoff\":0.0}", NULL);
    assert_int_equal(x.m->n_notes, 0);
    close_it(&x);
    x = settings("{\"num_beams\":4,\"min_length\":3,\"bad_words_ids\":[[1]],\"stop_strings\":\"x\",\"penalty_alpha\":0}", NULL);
    assert_int_equal(x.m->n_notes, 1);
    assert_string_equal(x.m->note[0], "generation_config.json: num_beams, min_length, bad_words_ids, stop_strings: not supported and not followed");
    close_it(&x);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"{", NULL, "generation_config.json: not valid JSON"},
        {"{\"do_sample\":1}", NULL, "do_sample: expected true or false, found 1"},
        {"{\"temperature\":-0.5}", NULL, "temperature must be from 0 to 1e+30, found -0.5"},
        {"{\"temperature\":2e30}", NULL, "temperature must be from 0 to 1e+30, found 2e+30"},
        {"{\"temperature\":\"1\"}", NULL, "temperature: expected a number, found \"1\""},
        {"{\"temperature\":1e999}", NULL, "temperature: expected a number"},
        {"{\"top_k\":-1}", NULL, "top_k: expected a whole number from 0 to 2147483647, found -1"},
        {"{\"top_k\":1.5}", NULL, "top_k: expected a whole number"},
        {"{\"top_k\":2147483648}", NULL, "top_k: expected a whole number"},
        {"{\"top_p\":1.5}", NULL, "top_p must be from 0 to 1, found 1.5"},
        {"{\"min_p\":-1}", NULL, "min_p must be from 0 to 1, found -1"},
        {"{\"typical_p\":2}", NULL, "typical_p must be from 0 to 1, found 2"},
        {"{\"repetition_penalty\":0}", NULL, "repetition_penalty must be from 1e-06 to 1e+06, found 0"},
        {"{\"max_new_tokens\":-3}", NULL, "max_new_tokens: expected a whole number"},
        {"{\"eos_token_id\":-1}", NULL, "eos_token_id: expected a whole number"},
        {"{\"eos_token_id\":[1,\"x\"]}", NULL, "eos_token_id[1]: expected a whole number"},
        {"{\"eos_token_id\":{}}", NULL, "eos_token_id: expected a whole number from 0 to 2147483647, found an object"},
        {"{\"eos_token_id\":true}", NULL, "eos_token_id: expected a whole number from 0 to 2147483647, found true"},
        {"{\"bos_token_id\":1.5}", NULL, "bos_token_id: expected a whole number"},
        {NULL, "{\"bos_token_id\":\"<s>\"}", "config.json: bos_token_id: expected a whole number"},
        {NULL, "{\"eos_token_id\":\"</s>\"}", "config.json: eos_token_id: expected a whole number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome x = settings(cases[i][0], cases[i][1]);
        if (!x.bad || !strstr(x.e.msg, cases[i][2])) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, x.e.msg, cases[i][2]);
        assert_int_equal(strncmp(x.e.msg, files_dir, strlen(files_dir)), 0); /* which model it is about */
        close_it(&x);
    }
}

/* ---- vectors ---- */

#define MODULES(path0, path1) "[{\"type\":\"sentence_transformers.models.Transformer\",\"path\":\"" path0 "\"},{\"type\":\"sentence_transformers.models.Pooling\",\"path\":\"" path1 "\"}]"
#define PLAIN MODULES("", "1_Pooling")
static void write_or_remove(const char *name, const char *text)
{
    if (text) files_write(name, text, strlen(text));
    else unlink(files_path(name));
}

static void test_vectors(void **state)
{
    (void)state;
    /* refused: why there are no vectors; error: why there is no model. */
    static const struct {
        const char *modules, *pooling, *lengths, *prompts;
        pith_pooling how;
        size_t max_length;
        const char *prompt, *refused, *error;
    } cases[] = {
        {NULL, "{", "{", "{", PITH_POOLING_MEAN, 0, NULL, NULL, NULL}, /* without modules.json the others are no part of it */
        {PLAIN, "{}", NULL, NULL, PITH_POOLING_MEAN, 0, NULL, NULL, NULL},
        {MODULES(".", "1_Pooling"), "{\"pooling_mode\":null}", "{}", "{}", PITH_POOLING_MEAN, 0, NULL, NULL, NULL},
        {MODULES("./", "1_Pooling"), "{\"pooling_mode\":\"cls\"}", "{\"max_seq_length\":7}", NULL, PITH_POOLING_CLS, 7, NULL, NULL, NULL},
        {PLAIN, "{\"pooling_mode\":[\"max\"]}", "{\"max_seq_length\":100,\"do_lower_case\":true}", NULL, PITH_POOLING_MAX, 64, NULL, NULL, NULL},
        {PLAIN, "{\"word_embedding_dimension\":8,\"embedding_dimension\":null}", NULL, "{\"default_prompt_name\":\"q\",\"prompts\":{\"q\":\"ask: \",\"d\":\"\"}}", PITH_POOLING_MEAN, 0, "ask: ", NULL, NULL},
        {PLAIN, "{}", NULL, "{\"default_prompt_name\":\"d\",\"prompts\":{\"q\":\"ask: \",\"d\":\"\"}}", PITH_POOLING_MEAN, 0, NULL, NULL, NULL},
        {PLAIN, "{\"include_prompt\":false}", NULL, NULL, PITH_POOLING_MEAN, 0, NULL, NULL, NULL}, /* there is no prompt */
        {PLAIN, "{\"include_prompt\":false}", NULL, "{\"default_prompt_name\":\"q\",\"prompts\":{\"q\":\"a\"}}", PITH_POOLING_MEAN, 0, "a", "include_prompt", NULL},
        {MODULES("0_Transformer", "1_Pooling"), "{}", NULL, NULL, PITH_POOLING_MEAN, 0, NULL, "the encoder is in folder 0_Transformer", NULL},
        {"[]", NULL, NULL, NULL, PITH_POOLING_MEAN, 0, NULL, "0 modules; a Transformer and a Pooling are needed", NULL},
        {"[{\"type\":\"other.Transformer\"}]", NULL, NULL, NULL, PITH_POOLING_MEAN, 0, NULL, "module 0 is other.Transformer", NULL},
        {"[{\"type\":\"Transformer\"}]", NULL, NULL, NULL, PITH_POOLING_MEAN, 0, NULL, "1 modules", NULL},
        {PLAIN, "{\"include_prompt\":3}", NULL, NULL, 0, 0, NULL, NULL, "include_prompt: expected true or false, found 3"},
        {PLAIN, "{\"pooling_mode\":3}", NULL, NULL, 0, 0, NULL, NULL, "pooling_mode: expected a string, found 3"},
        {PLAIN, "{\"word_embedding_dimension\":9}", NULL, NULL, 0, 0, NULL, NULL, "word_embedding_dimension: expected the model's hidden size, found 9"},
        {PLAIN, "{\"embedding_dimension\":9}", NULL, NULL, 0, 0, NULL, NULL, "embedding_dimension: expected the model's hidden size, found 9"},
        {PLAIN, "{\"word_embedding_dimension\":0}", NULL, NULL, 0, 0, NULL, NULL, "word_embedding_dimension: expected a whole number"},
        {PLAIN, "{\"embedding_dimension\":\"x\"}", NULL, NULL, 0, 0, NULL, NULL, "embedding_dimension: expected a whole number"},
        {PLAIN, "{\"pooling_mode_max_tokens\":3}", NULL, NULL, 0, 0, NULL, NULL, "pooling_mode_max_tokens: expected true or false"},
        {PLAIN, "[]", NULL, NULL, 0, 0, NULL, NULL, "expected an object, found an array"},
        {PLAIN, "{", NULL, NULL, 0, 0, NULL, NULL, "not valid JSON"},
        {PLAIN, NULL, NULL, NULL, 0, 0, NULL, NULL, "1_Pooling/config.json: is not there"},
        {MODULES("", "../x"), NULL, NULL, NULL, 0, 0, NULL, NULL, "expected a folder in the model's directory, found \"../x\""},
        {MODULES("", "a//.."), NULL, NULL, NULL, 0, 0, NULL, NULL, "expected a folder in the model's directory"},
        {MODULES("", "/x"), NULL, NULL, NULL, 0, 0, NULL, NULL, "expected a folder in the model's directory"},
        {MODULES("", ""), NULL, NULL, NULL, 0, 0, NULL, NULL, "expected a folder in the model's directory"},
        {MODULES("", ".a/a./b"), NULL, NULL, NULL, 0, 0, NULL, NULL, ".a/a./b/config.json: is not there"},
        {"[{}]", NULL, NULL, NULL, 0, 0, NULL, NULL, "[0].type is missing"},
        {"[{\"type\":\"x\",\"path\":3}]", NULL, NULL, NULL, 0, 0, NULL, NULL, "[0].path: expected a string, found 3"},
        {"[3]", NULL, NULL, NULL, 0, 0, NULL, NULL, "[0]: expected an object, found 3"},
        {"{}", NULL, NULL, NULL, 0, 0, NULL, NULL, "expected an array, found an object"},
        {PLAIN, "{}", "[]", NULL, 0, 0, NULL, NULL, "sentence_bert_config.json: expected an object"},
        {PLAIN, "{}", "{\"max_seq_length\":0}", NULL, 0, 0, NULL, NULL, "max_seq_length: expected a whole number"},
        {PLAIN, "{}", "{\"do_lower_case\":3}", NULL, 0, 0, NULL, NULL, "do_lower_case: expected true or false"},
        {PLAIN, "{}", NULL, "[]", 0, 0, NULL, NULL, "config_sentence_transformers.json: expected an object"},
        {PLAIN, "{}", NULL, "{\"default_prompt_name\":3}", 0, 0, NULL, NULL, "default_prompt_name: expected a string"},
        {PLAIN, "{}", NULL, "{\"default_prompt_name\":\"q\"}", 0, 0, NULL, NULL, "prompts is missing"},
        {PLAIN, "{}", NULL, "{\"default_prompt_name\":\"q\",\"prompts\":{}}", 0, 0, NULL, NULL, "prompts.q is missing"},
    };
    files_mkdir("1_Pooling");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_err e = {{0}};
        pith_model *m = calloc(1, sizeof *m);
        assert_non_null(m);
        m->dims = (model_dims){.hidden = 8, .vocab = 100, .max_positions = 64, .n_types = 1};
        write_or_remove("modules.json", cases[i].modules);
        write_or_remove("1_Pooling/config.json", cases[i].pooling);
        write_or_remove("sentence_bert_config.json", cases[i].lengths);
        write_or_remove("config_sentence_transformers.json", cases[i].prompts);
        int bad = engine_modules(m, files_dir, &e);
        const engine_vectors *v = &m->vectors;
        if (cases[i].error) {
            if (!bad || !strstr(e.msg, cases[i].error)) fail_msg("case %zu: \"%s\" does not say \"%s\"", i, e.msg, cases[i].error);
        } else {
            if (bad) fail_msg("case %zu: %s", i, e.msg);
            assert_int_equal(v->pooling, cases[i].how);
            assert_int_equal(v->max_length, cases[i].max_length);
            if (cases[i].prompt) assert_string_equal(v->prompt, cases[i].prompt);
            else assert_null(v->prompt);
            if (!cases[i].refused != !v->refused || (v->refused && !strstr(v->refused, cases[i].refused)))
                fail_msg("case %zu: refused with \"%s\"", i, v->refused ? v->refused : "nothing");
        }
        pith_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults), cmocka_unit_test(test_sampling), cmocka_unit_test(test_ids),
                                       cmocka_unit_test(test_what_is_not_followed), cmocka_unit_test(test_refusals), cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
