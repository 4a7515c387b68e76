/* The small files beside a model, cut apart by 0xfe: generation_config.json and config.json of a causal model; or modules.json, the
 * pooling's config.json, sentence_bert_config.json and config_sentence_transformers.json of one that makes vectors. */
#include "engine.h"
#include "fuzz.h"
#include <math.h>

static void check(const pith_model *m)
{
    const pith_sampling *s = &m->sampling;
    demand(s->temperature >= 0 && isfinite(s->temperature) && s->top_p >= 0 && s->top_p <= 1 && s->min_p >= 0 && s->min_p <= 1, "sampling has its ranges");
    demand(s->repetition_penalty > 0 && isfinite(s->repetition_penalty), "so has the penalty");
    demand(m->bos >= -1 && (m->bos < 0 || (uint64_t)m->bos < m->dims.vocab), "a text begins with a token of the model");
    for (size_t i = 0; i < m->n_eos; i++) demand(m->eos[i] >= 0, "an id is no less than 0");
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static const char *const names[2][4] = {{"generation_config.json", "config.json"}, {"modules.json", "1_Pooling/config.json", "sentence_bert_config.json", "config_sentence_transformers.json"}};
    if (!n) return;
    int vectors = data[0] & 1, bad;
    fuzz_input in = {data + 1, n - 1};
    char *part[4] = {NULL};
    size_t len[4] = {0};
    pith_err e = {{0}};
    pith_model *m = calloc(1, sizeof *m);
    demand(m != NULL, "memory");
    for (int i = 0; i < 4 && names[vectors][i] && (part[i] = fuzz_part(&in, &len[i])); i++) fuzz_put(names[vectors][i], part[i], len[i]);
    m->dims = (model_dims){.hidden = 64, .vocab = 300, .max_positions = 128, .n_types = 1, .causal = !vectors};
    if (part[1] && !vectors) m->config = json_parse("config.json", part[1], len[1], NULL);
    bad = vectors ? engine_modules(m, FUZZ_DIR, &e) : engine_settings(m, FUZZ_DIR, &e);
    demand_either(!bad, &e);
    if (!bad && !vectors) check(m);
    if (!bad && vectors) {
        demand(m->vectors.max_length <= 128, "no longer than the positions");
        if (!m->vectors.refused) demand(m->vectors.pooling == PITH_POOLING_CLS || m->vectors.pooling == PITH_POOLING_MEAN || m->vectors.pooling == PITH_POOLING_MAX, "a pooling that there is");
    }
    for (size_t i = 0; i < m->n_notes; i++) demand(m->note[i][0] != 0, "a note says something");
    pith_model_close(m);
    for (int i = 0; i < 4; i++) free(part[i]);
}
