/* Configs that cannot be: each is refused in one line that names the key or the tensor, what was found and what was
 * expected; and soon, however large the numbers are. */
#define _GNU_SOURCE
#include "files.h"
#include "pith.h"
#include <time.h>

typedef struct fault {
    const char *model, *config; /* members that replace those of its config.json */
    const char *words;          /* that the message must hold, separated by '|' */
} fault;

static const fault faults[] = {
    /* sizes */
    {"llama-odd", "\"num_attention_heads\":0", "num_attention_heads|0"},
    {"llama-odd", "\"num_attention_heads\":-4", "num_attention_heads|-4"},
    {"llama-odd", "\"num_attention_heads\":2147483648", "num_attention_heads|2147483648"},
    {"llama-odd", "\"num_attention_heads\":9223372036854775808", "num_attention_heads"},
    {"llama-odd", "\"num_attention_heads\":1e300", "num_attention_heads"},
    {"llama-odd", "\"num_attention_heads\":2.5", "num_attention_heads|2.5"},
    {"llama-odd", "\"num_attention_heads\":\"4\"", "num_attention_heads|\"4\""},
    {"llama-odd", "\"num_attention_heads\":null", "num_attention_heads"},
    {"llama-odd", "\"num_attention_heads\":1000000,\"num_key_value_heads\":1000000,\"head_dim\":null",
     "num_attention_heads 1000000 is more than hidden_size 60"},
    {"llama-odd", "\"num_attention_heads\":1000000,\"num_key_value_heads\":1000000", "self_attn.q_proj.weight|shape"},
    {"llama-odd", "\"num_attention_heads\":2147483647,\"num_key_value_heads\":1,\"head_dim\":65536", "q_proj.weight|shape"},
    {"qwen3-tied-bf16", "\"num_key_value_heads\":3", "num_attention_heads 4 is not a multiple of num_key_value_heads 3"},
    {"qwen3-tied-bf16", "\"num_key_value_heads\":0", "num_key_value_heads|0"},
    {"qwen3-tied-bf16", "\"num_key_value_heads\":8", "num_attention_heads 4 is not a multiple of num_key_value_heads 8"},
    {"qwen3-tied-bf16", "\"num_key_value_heads\":4", "self_attn.k_proj.weight|shape|num_key_value_heads"},
    {"qwen3-tied-bf16", "\"head_dim\":15", "head_dim 15 is odd"},
    {"qwen3-tied-bf16", "\"head_dim\":0", "head_dim|0"},
    {"qwen3-tied-bf16", "\"head_dim\":1048576", "head_dim|1048576"},
    {"qwen3-tied-bf16", "\"head_dim\":64", "self_attn.q_proj.weight|head_dim"},
    {"gemma-f32", "\"head_dim\":null", "self_attn.q_proj.weight|expected [1024,64]"},
    {"gemma-f32", "\"hidden_size\":0", "hidden_size"},
    {"gemma-f32", "\"hidden_size\":65", "embed_tokens.weight|shape [259,64], expected [259,65]|hidden_size"},
    {"gemma-f32", "\"intermediate_size\":177", "mlp.gate_proj.weight|intermediate_size"},
    {"gemma-f32", "\"intermediate_size\":true", "intermediate_size|true"},
    {"gemma-f32", "\"vocab_size\":260", "embed_tokens.weight|shape [259,64], expected [260,64]|vocab_size"},
    {"gemma-f32", "\"vocab_size\":0", "vocab_size|0"},
    {"gemma-f32", "\"num_hidden_layers\":1000000000", "model.layers.2.|not in"},
    {"gemma-f32", "\"num_hidden_layers\":1", "tensors that this model does not use|model.layers.1."},
    {"gemma-f32", "\"num_hidden_layers\":0", "num_hidden_layers|0"},
    {"gemma-f32", "\"max_position_embeddings\":0", "max_position_embeddings|0"},
    {"gemma-f32", "\"max_position_embeddings\":null", "max_position_embeddings"},
    {"gemma-f32", "\"max_position_embeddings\":2147483648", "max_position_embeddings|2147483648"},
    {"gemma-f32", "\"rms_norm_eps\":-1", "rms_norm_eps|-1"},
    {"gemma-f32", "\"rms_norm_eps\":\"x\"", "rms_norm_eps|\"x\""},
    /* heads, biases, activations */
    {"llama-odd", "\"tie_word_embeddings\":3", "tie_word_embeddings|3"},
    {"qwen3-tied-bf16", "\"tie_word_embeddings\":false", "lm_head.weight|not in|tie_word_embeddings is false"},
    {"qwen3-tied-bf16", "\"attention_bias\":true", "self_attn.q_proj.bias|not in"},
    {"llama-odd", "\"mlp_bias\":\"no\"", "mlp_bias|\"no\""},
    {"llama-odd", "\"hidden_act\":\"mish\"", "hidden_act \"mish\" is not supported|silu"},
    {"gemma2-f32", "\"hidden_activation\":\"mish\"", "hidden_activation \"mish\" is not supported"},
    {"llama-odd", "\"architectures\":[\"LlamaForQuestionAnswering\"]", "LlamaForQuestionAnswering|LlamaForCausalLM"},
    {"llama-odd", "\"architectures\":[\"LlamaForSequenceClassification\"]", "score.weight|not in"},
    {"llama-classify", "\"id2label\":{\"0\":\"a\"},\"label2id\":null", "score.weight|labels"},
    {"llama-classify", "\"id2label\":{\"0\":\"a\",\"2\":\"b\"}", "id2label"},
    {"llama-odd", "\"model_type\":\"llama4\"", "llama4|gemma2"},
    /* rotary positions */
    {"llama-odd", "\"rope_scaling\":\"yes\"", "rope_scaling|an object|\"yes\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"longrope\",\"factor\":2}", "rope_type \"longrope\"|yarn"},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":3}", "rope_type|3"},
    {"llama-odd", "\"rope_scaling\":{\"type\":\"linear\"}", "rope_scaling.factor"},
    {"llama-odd", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}", "rope_scaling.factor|1 or more|found 0"},
    {"llama-odd", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":\"4\"}", "rope_scaling.factor|\"4\""},
    {"llama-odd", "\"rope_scaling\":{\"type\":\"linear\",\"factor\":1e999}", "factor"},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":4,\"high_freq_factor\":4}",
     "high_freq_factor 4 must be over low_freq_factor 4"},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":0}",
     "rope_scaling.original_max_position_embeddings|1 or more|found 0"},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"beta_fast\":-1}", "rope_scaling.beta_fast|found -1"},
    {"llama-odd", "\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":-3}", "rope_theta|-3"},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":\"x\"}", "rope_scaling.original_max_position_embeddings: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"low_freq_factor\":\"x\"}", "rope_scaling.low_freq_factor: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"high_freq_factor\":\"x\"}", "rope_scaling.high_freq_factor: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"beta_fast\":\"x\"}", "rope_scaling.beta_fast: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"beta_slow\":\"x\"}", "rope_scaling.beta_slow: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"attention_factor\":\"x\"}", "rope_scaling.attention_factor: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"mscale\":\"x\"}", "rope_scaling.mscale: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"mscale_all_dim\":\"x\"}", "rope_scaling.mscale_all_dim: expected a number, found \"x\""},
    {"llama-odd", "\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"truncate\":3}", "rope_scaling.truncate: expected true or false, found 3"},
    {"llama-odd", "\"rope_scaling\":{\"type\":3}", "rope_scaling.type: expected a string, found 3"},
    {"llama-odd", "\"rope_parameters\":{\"rope_theta\":\"x\"}", "rope_parameters.rope_theta: expected a number, found \"x\""},
    {"llama-odd", "\"rope_theta\":1e39", "rope_theta must be over 1, found 1e+39"},
    {"llama-odd", "\"partial_rotary_factor\":\"x\"", "partial_rotary_factor: expected a number, found \"x\""},
    {"llama-odd", "\"rope_parameters\":{\"rope_type\":\"default\",\"partial_rotary_factor\":\"x\"}", "partial_rotary_factor: expected a number, found \"x\""},
    {"llama-odd", "\"partial_rotary_factor\":0.5", "partial_rotary_factor 0.5 is not supported"},
    {"llama-odd", "\"partial_rotary_factor\":2", "partial_rotary_factor 2 is not supported"},
    {"llama-classify", "\"id2label\":{},\"label2id\":null", "id2label: expected at least one label"},
    {"llama-classify", "\"id2label\":[1],\"label2id\":null", "id2label: expected an object, found an array"},
    {"llama-classify", "\"id2label\":{\"\":\"a\"},\"label2id\":null", "id2label: expected label names under the keys"},
    {"llama-classify", "\"id2label\":{\"0\":\"a\",\"/\":\"b\"},\"label2id\":null", "id2label: expected label names under the keys"},
    {"llama-classify", "\"id2label\":{\"0\":\"a\",\"18446744073709551616\":\"b\"},\"label2id\":null", "id2label: expected label names under the keys"},
    {"llama-classify", "\"id2label\":{\"0\":\"a\",\"00\":\"b\"},\"label2id\":null", "id2label: expected label names under the keys"},
    {"llama-classify", "\"id2label\":{\"0\":3},\"label2id\":null", "id2label.0: expected label names under the keys"},
    {"llama-classify", "\"id2label\":null,\"label2id\":null,\"num_labels\":\"x\"", "num_labels: expected a whole number"},
    {"llama-odd", "\"rope_theta\":0", "rope_theta|0"},
    {"llama-odd", "\"rope_theta\":\"big\"", "rope_theta|\"big\""},
    {"llama-odd", "\"partial_rotary_factor\":0.5", "partial_rotary_factor 0.5"},
    /* windows */
    {"gemma2-f32", "\"layer_types\":[\"full_attention\"]", "layer_types has 1 entries, num_hidden_layers is 3"},
    {"gemma2-f32", "\"layer_types\":[]", "layer_types has 0 entries"},
    {"gemma2-f32", "\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"]",
     "layer_types|linear_attention|sliding_attention"},
    {"gemma2-f32", "\"layer_types\":[\"full_attention\",7,\"full_attention\"]", "layer_types|7"},
    {"gemma2-f32", "\"layer_types\":\"full_attention\"", "layer_types"},
    {"gemma2-f32", "\"sliding_window\":0", "sliding_window|0"},
    {"gemma2-f32", "\"sliding_window\":\"wide\"", "sliding_window|\"wide\""},
    {"qwen2-tied-bf16", "\"use_sliding_window\":\"yes\"", "use_sliding_window|\"yes\""},
    {"qwen2-tied-bf16", "\"max_window_layers\":-1", "max_window_layers|-1"},
    /* caps */
    {"gemma2-f32", "\"query_pre_attn_scalar\":0", "query_pre_attn_scalar|0"},
    {"gemma2-f32", "\"attn_logit_softcapping\":-1", "attn_logit_softcapping|-1"},
    {"gemma2-f32", "\"final_logit_softcapping\":0", "final_logit_softcapping|0"},
    /* experts */
    {"gpt_oss-f32", "\"num_experts_per_tok\":5", "num_experts_per_tok|5"},
    {"gpt_oss-f32", "\"num_experts_per_tok\":0", "num_experts_per_tok|0"},
    {"gpt_oss-f32", "\"num_local_experts\":0", "num_local_experts|0"},
    {"gpt_oss-f32", "\"num_local_experts\":2147483647", "mlp.router.weight|num_local_experts"},
    {"gpt_oss-f32", "\"intermediate_size\":2147483647", "mlp.experts.gate_up_proj|2*intermediate_size"},
    {"gpt_oss-f32", "\"swiglu_limit\":0", "swiglu_limit 0"},
    {"gpt_oss-f32", "\"hidden_act\":\"gelu\"", "\"gelu\" is not supported in gpt_oss"},
    {"gpt_oss-f32", "\"quantization_config\":{\"quant_method\":\"mxfp4\"}", "quantization_config|mxfp4|BF16"},
    {"llama-odd", "\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}", "gptq|not supported"},
    {"llama-odd", "\"quantization_config\":{\"bits\":4}", "quantization_config"},
};

/* The last of two members of one name counts, as in Python. */
static const char *mutant(const char *name, const fault *f)
{
    char dir[512], path[600];
    size_t n;
    snprintf(dir, sizeof dir, "tests/golden/models/%s", f->model);
    snprintf(path, sizeof path, "%s/config.json", dir);
    char *text = util_read(path, &n);
    while (n && text[n - 1] != '}') n--;
    char *all = malloc(n + strlen(f->config) + 3);
    sprintf(all, "%.*s,%s}", (int)n - 1, text, f->config);
    const char *made = files_model(name, dir, all);
    free(all);
    free(text);
    return made;
}

static void expect(const fault *f, const char *msg)
{
    char words[512];
    if (strchr(msg, '\n')) fail_msg("%s: more than one line: %s", f->config, msg);
    snprintf(words, sizeof words, "%s", f->words);
    for (char *w = strtok(words, "|"); w; w = strtok(NULL, "|"))
        if (!strstr(msg, w)) fail_msg("%s, %s: \"%s\" does not say \"%s\"", f->model, f->config, msg, w);
}

static void test_hostile_configs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        char name[32];
        pith_err e = {0};
        snprintf(name, sizeof name, "m%zu", i);
        const char *dir = mutant(name, &faults[i]);
        clock_t start = clock();
        pith_model *m = pith_model_open(dir, NULL, &e);
        if (m) fail_msg("%s with %s was accepted", faults[i].model, faults[i].config);
        expect(&faults[i], e.msg);
        if ((clock() - start) / CLOCKS_PER_SEC >= 2) fail_msg("%s: slow to refuse", faults[i].config);
    }
    printf("# %zu configs refused\n", sizeof faults / sizeof faults[0]);
}

/* What looks odd and is right. */
static void test_odd_configs(void **state)
{
    (void)state;
    static const fault fine[] = {
        {"mistral-swa-bf16-sharded", "\"sliding_window\":null", NULL},
        {"gemma2-f32", "\"sliding_window\":null,\"attn_logit_softcapping\":null,\"final_logit_softcapping\":null", NULL},
        {"gemma2-f32", "\"layer_types\":null", NULL},
        {"llama-odd", "\"tie_word_embeddings\":true", NULL}, /* the head's own copy is ignored */
        {"llama-odd", "\"rope_scaling\":null,\"rope_parameters\":null,\"head_dim\":null", NULL},
        {"llama-odd", "\"max_position_embeddings\":2147483647", NULL},
        {"llama-odd", "\"architectures\":null", NULL},
        {"qwen2-tied-bf16", "\"use_sliding_window\":true,\"max_window_layers\":1000000", NULL},
        {"gpt_oss-f32", "\"experts_per_token\":2,\"num_experts_per_tok\":null", NULL},
    };
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        char name[32];
        pith_err e = {0};
        float logits[2 * 300];
        int32_t ids[] = {3, 4};
        snprintf(name, sizeof name, "m%zu", i);
        pith_model *m = pith_model_open(mutant(name, &fine[i]), NULL, &e);
        if (!m) fail_msg("%s with %s: %s", fine[i].model, fine[i].config, e.msg);
        pith_session *s = pith_session_new(m, &e);
        if (pith_run(s, &(pith_seq){ids, NULL, 2}, 1, logits, NULL, &e)) fail_msg("%s", e.msg);
        pith_session_free(s);
        pith_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hostile_configs, files_setup, files_teardown),
        cmocka_unit_test_setup_teardown(test_odd_configs, files_setup, files_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
