/* modules: what the files of sentence-transformers say about making vectors: modules.json and the pooling it names,
 * sentence_bert_config.json, the default prompt of config_sentence_transformers.json. Read once, when the model is opened.
 * A broken file is an error; what is sound but not supported only takes the vectors away, and the reason is kept. */
#include "engine.h"
#include "base/mem.h"
#include "base/path.h"
#include <stdarg.h>
#include <string.h>

static const char MODULES[] = "modules.json", POOLING[] = "config.json";

/* Keeps the first reason. -1: memory. */
static int refuse(pith_model *m, pith_err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(pith_model *m, pith_err *e, const char *fmt, ...)
{
    char text[PITH_ERR_MAX];
    va_list ap;
    if (m->vectors.refused) return 0;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    m->vectors.refused = mem_copy(text);
    return m->vectors.refused ? 0 : err_nomem(e, strlen(text) + 1, "a message");
}

/* A path that may leave the directory: absolute, or with a ".." in it. */
static int leaves(const char *path)
{
    if (*path == '/') return 1;
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') return 1;
        p += n + strspn(p + n, "/");
    }
    return 0;
}

/* ---- pooling ---- */

/* The modes of newer files have the names of the older ones' flags. */
static const struct {
    const char *flag, *name;
    int on; /* where the flag is absent */
    pith_pooling pooling; /* PITH_POOLING_AUTO: not supported */
} modes[] = {
    {"pooling_mode_cls_token", "cls", 0, PITH_POOLING_CLS},
    {"pooling_mode_mean_tokens", "mean", 1, PITH_POOLING_MEAN},
    {"pooling_mode_max_tokens", "max", 0, PITH_POOLING_MAX},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", 0, PITH_POOLING_AUTO},
    {"pooling_mode_weightedmean_tokens", "weightedmean", 0, PITH_POOLING_AUTO},
    {"pooling_mode_lasttoken", "lasttoken", 0, PITH_POOLING_AUTO},
};
enum { N_MODES = sizeof modes / sizeof modes[0] };

static int set_pooling(pith_model *m, size_t mode, pith_err *e)
{
    m->vectors.pooling = modes[mode].pooling;
    if (m->vectors.pooling != PITH_POOLING_AUTO) return 0;
    return refuse(m, e, "pooling mode %s is not supported (supported: cls, mean, max)", modes[mode].name);
}

static int read_flags(pith_model *m, json cfg, pith_err *e)
{
    size_t n = 0, last = 0;
    for (size_t i = 0; i < N_MODES; i++) {
        int on;
        if (json_opt_bool(cfg, modes[i].flag, modes[i].on, &on, e)) return -1;
        if (on) n++, last = i;
    }
    if (n == 1) return set_pooling(m, last, e);
    return refuse(m, e, "%zu pooling modes together are not supported (one of cls, mean, max is)", n);
}

static int read_pooling(pith_model *m, json cfg, pith_err *e)
{
    const char *mode;
    uint64_t width;
    if (json_typeof(cfg) != JSON_OBJECT) return json_expected(cfg, "an object", e);
    if (json_opt_size(cfg, "word_embedding_dimension", 1, INT32_MAX, m->dims.hidden, &width, e) ||
        json_opt_size(cfg, "embedding_dimension", 1, INT32_MAX, width, &width, e))
        return -1;
    if (width != m->dims.hidden)
        return json_expected(json_get(cfg, "embedding_dimension").node ? json_get(cfg, "embedding_dimension")
                                                                       : json_get(cfg, "word_embedding_dimension"),
                             "the model's hidden size", e);
    int whole;
    if (json_opt_bool(cfg, "include_prompt", 1, &whole, e)) return -1;
    if (!whole && m->vectors.prompt && refuse(m, e, "pooling without the prompt's tokens (include_prompt) is not supported")) return -1;
    json v = json_get(cfg, "pooling_mode");
    if (json_typeof(v) == JSON_ARRAY && json_len(v) != 1)
        return refuse(m, e, "%zu pooling modes together are not supported (one of cls, mean, max is)", json_len(v));
    if (json_typeof(v) == JSON_ARRAY) v = json_first(v);
    if (json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL) return read_flags(m, cfg, e);
    if (json_typeof(v) != JSON_STRING) return json_expected(v, "a string", e);
    mode = json_str(v);
    for (size_t i = 0; i < N_MODES; i++)
        if (!strcmp(mode, modes[i].name)) return set_pooling(m, i, e);
    return refuse(m, e, "pooling mode %.80s is not supported (supported: cls, mean, max)", mode);
}

static int open_pooling(pith_model *m, const char *dir, json path, pith_err *e)
{
    json_doc *d = NULL;
    if (!*json_str(path) || leaves(json_str(path))) return json_expected(path, "a folder in the model's directory", e);
    char *folder = path_join(dir, json_str(path), e);
    int bad = !folder || engine_json(folder, POOLING, &d, e);
    if (!bad && !d) bad = err_set(e, "%s/%s: is not there, but modules.json names it", folder, POOLING);
    if (!bad) bad = read_pooling(m, json_root(d), e);
    json_free(d);
    mem_free(folder);
    return bad ? -1 : 0;
}

/* ---- modules ---- */

/* "Pooling" of "sentence_transformers.models.Pooling"; the whole of another library's. */
static const char *kind(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot && !strncmp(type, "sentence_transformers.", strlen("sentence_transformers.")) ? dot + 1 : type;
}

static int read_modules(pith_model *m, const char *dir, json list, pith_err *e)
{
    static const char *const known[] = {"Transformer", "Pooling", "Normalize"};
    size_t n = 0;
    if (json_typeof(list) != JSON_ARRAY) return json_expected(list, "an array", e);
    for (json c = json_first(list); c.node; c = json_next(c), n++) {
        const char *type, *path;
        if (json_typeof(c) != JSON_OBJECT) return json_expected(c, "an object", e);
        if (json_get_str(c, "type", &type, e) || json_opt_str(c, "path", "", &path, e)) return -1;
        if (n >= sizeof known / sizeof *known || strcmp(kind(type), known[n]))
            return refuse(m, e, "modules.json: module %zu is %.200s; supported are Transformer, Pooling and, after them, Normalize",
                          n, type);
        if (n == 0 && *path && strcmp(path, ".") && strcmp(path, "./"))
            return refuse(m, e, "modules.json: the encoder is in folder %.200s; one beside modules.json is supported", path);
        if (n == 1 && open_pooling(m, dir, json_get(c, "path"), e)) return -1;
        m->vectors.normalize = n == 2;
    }
    return n < 2 ? refuse(m, e, "modules.json: %zu modules; a Transformer and a Pooling are needed", n) : 0;
}

/* ---- lengths and prompts ---- */

/* Do "A" and "a" become the same tokens? */
static int keeps_case(const pith_model *m, int *keeps, pith_err *e)
{
    tokenizer_encoding a = {0}, b = {0};
    const tokenizer_options o = {0};
    int bad = tokenizer_encode_plain(m->tokenizer.t, "A", 1, &o, &a, e) ||
              tokenizer_encode_plain(m->tokenizer.t, "a", 1, &o, &b, e);
    *keeps = !bad && (a.n != b.n || (a.n && memcmp(a.ids, b.ids, a.n * sizeof *a.ids)));
    tokenizer_encoding_free(&a);
    tokenizer_encoding_free(&b);
    return bad ? -1 : 0;
}

static int read_lengths(pith_model *m, json cfg, pith_err *e)
{
    uint64_t most;
    int lower, keeps = 0;
    if (json_typeof(cfg) != JSON_OBJECT) return json_expected(cfg, "an object", e);
    if (json_opt_size(cfg, "max_seq_length", 1, INT32_MAX, 0, &most, e) || json_opt_bool(cfg, "do_lower_case", 0, &lower, e))
        return -1;
    m->vectors.max_length = (size_t)(most < m->dims.max_positions ? most : m->dims.max_positions);
    if (lower && m->tokenizer.t && keeps_case(m, &keeps, e)) return -1;
    return keeps ? refuse(m, e, "sentence_bert_config.json: do_lower_case is not supported with a tokenizer that keeps case") : 0;
}

static int read_prompts(pith_model *m, json cfg, pith_err *e)
{
    const char *name, *prompt;
    json prompts;
    if (json_typeof(cfg) != JSON_OBJECT) return json_expected(cfg, "an object", e);
    if (json_opt_str(cfg, "default_prompt_name", "", &name, e)) return -1;
    if (!*name) return 0;
    if (json_get_object(cfg, "prompts", &prompts, e) || json_get_str(prompts, name, &prompt, e)) return -1;
    if (!*prompt) return 0;
    m->vectors.prompt = mem_copy(prompt);
    return m->vectors.prompt ? 0 : err_nomem(e, strlen(prompt) + 1, "a prompt");
}

int engine_modules(pith_model *m, const char *dir, pith_err *e)
{
    json_doc *modules = NULL, *lengths = NULL, *prompts = NULL;
    m->vectors.pooling = PITH_POOLING_MEAN;
    int bad = engine_json(dir, MODULES, &modules, e);
    if (!bad && modules) /* without it the others are no part of the model, as sentence-transformers has it */
        bad = engine_json(dir, "config_sentence_transformers.json", &prompts, e) ||
              (prompts && read_prompts(m, json_root(prompts), e)) || engine_json(dir, "sentence_bert_config.json", &lengths, e) ||
              (lengths && read_lengths(m, json_root(lengths), e)) || read_modules(m, dir, json_root(modules), e);
    json_free(modules);
    json_free(lengths);
    json_free(prompts);
    return bad ? engine_where(dir, e) : 0;
}
