/* settings: what generation_config.json says about writing with a model, with transformers' defaults where it is
 * silent. Read once, when the model is opened. Other files' JSON is opened here too. */
#include "engine.h"
#include "base/mem.h"
#include "base/path.h"
#include <string.h>
#include <sys/stat.h>

/* Token ids: a number, a list of numbers, null or absent. */
static int read_ids(json v, int32_t **ids, size_t *n, pith_err *e)
{
    json_type t = json_typeof(v);
    uint64_t id;
    size_t count = t == JSON_ARRAY ? json_len(v) : 1;
    if (t == JSON_NONE || t == JSON_NULL || !count) return 0;
    *ids = mem_alloc(count * sizeof **ids);
    if (!*ids) return err_nomem(e, count * sizeof **ids, "token ids");
    for (json c = t == JSON_ARRAY ? json_first(v) : v; *n < count; c = json_next(c)) {
        if (json_as_size(c, 0, INT32_MAX, &id, e)) return -1;
        (*ids)[(*n)++] = (int32_t)id;
    }
    return 0;
}

static int read_bos(pith_model *m, json cfg, pith_err *e)
{
    int32_t *ids = NULL;
    size_t n = 0;
    int bad = read_ids(json_get(cfg, "bos_token_id"), &ids, &n, e);
    if (!bad && n && m->bos < 0 && (uint64_t)ids[0] < m->dims.vocab) m->bos = ids[0];
    mem_free(ids);
    return bad;
}

static int read_float(json cfg, const char *key, double min, double max, float def, float *out, pith_err *e)
{
    double v;
    if (json_opt_num(cfg, key, (double)def, &v, e)) return -1;
    if (!(v >= min && v <= max)) return err_set(e, "generation_config.json: %s must be from %g to %g, found %g", key, min, max, v);
    *out = (float)v;
    return 0;
}

static int read_sampling(pith_model *m, json cfg, pith_err *e)
{
    pith_sampling *s = &m->sampling;
    int sample;
    uint64_t top_k, max_new;
    float temperature = 1;
    if (json_opt_bool(cfg, "do_sample", 0, &sample, e) || read_float(cfg, "temperature", 0, 1e30, temperature, &temperature, e) ||
        json_opt_size(cfg, "top_k", 0, INT32_MAX, s->top_k, &top_k, e) || read_float(cfg, "top_p", 0, 1, s->top_p, &s->top_p, e) ||
        read_float(cfg, "min_p", 0, 1, s->min_p, &s->min_p, e) ||
        read_float(cfg, "typical_p", 0, 1, s->typical_p, &s->typical_p, e) ||
        read_float(cfg, "repetition_penalty", 1e-6, 1e6, s->repetition_penalty, &s->repetition_penalty, e) ||
        json_opt_size(cfg, "max_new_tokens", 0, INT32_MAX, 0, &max_new, e))
        return -1;
    s->temperature = sample ? temperature : 0;
    s->top_k = (size_t)top_k;
    m->max_new_tokens = (size_t)max_new;
    return 0;
}

/* Settings that would change the text and that pith does not have, where they are on. */
static int note_rest(pith_model *m, json cfg, pith_err *e)
{
    static const struct {
        const char *key;
        double off;
    } rest[] = {{"num_beams", 1}, {"num_beam_groups", 1}, {"penalty_alpha", 0}, {"no_repeat_ngram_size", 0},
                {"encoder_repetition_penalty", 1}, {"epsilon_cutoff", 0}, {"eta_cutoff", 0}, {"min_length", 0},
                {"min_new_tokens", 0}, {"guidance_scale", 1}, {"bad_words_ids", 0}, {"sequence_bias", 0},
                {"suppress_tokens", 0}, {"begin_suppress_tokens", 0}, {"forced_bos_token_id", 0},
                {"forced_eos_token_id", 0}, {"exponential_decay_length_penalty", 0}, {"stop_strings", 0}};
    char list[512] = "";
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        json v = json_get(cfg, rest[i].key);
        json_type t = json_typeof(v);
        if (t == JSON_NONE || t == JSON_NULL || (t == JSON_NUMBER && json_num(v) == rest[i].off)) continue;
        strncat(list, *list ? ", " : "", sizeof list - strlen(list) - 1);
        strncat(list, rest[i].key, sizeof list - strlen(list) - 1);
    }
    if (!*list) return 0;
    return engine_note(m, e, "generation_config.json: %s: not supported and not followed", list);
}

int engine_json(const char *dir, const char *name, json_doc **out, pith_err *e)
{
    struct stat st;
    char *path = path_join(dir, name, e);
    *out = NULL;
    if (!path) return -1;
    int there = stat(path, &st) == 0;
    if (there) *out = json_load(path, e);
    mem_free(path);
    return there && !*out ? -1 : 0;
}

int engine_settings(pith_model *m, const char *dir, pith_err *e)
{
    json_doc *d;
    m->bos = -1;
    /* transformers' GenerationConfig */
    m->sampling = (pith_sampling){.top_k = 50, .top_p = 1, .typical_p = 1, .repetition_penalty = 1};
    int bad = engine_json(dir, "generation_config.json", &d, e);
    if (d) {
        json g = json_root(d);
        bad = read_sampling(m, g, e) || read_ids(json_get(g, "eos_token_id"), &m->eos, &m->n_eos, e) ||
              read_bos(m, g, e) || note_rest(m, g, e);
    }
    json_free(d);
    json cfg = json_root(m->config);
    if (!bad) bad = read_bos(m, cfg, e);
    if (!bad && !m->n_eos) bad = read_ids(json_get(cfg, "eos_token_id"), &m->eos, &m->n_eos, e);
    return bad ? engine_where(dir, e) : 0;
}
