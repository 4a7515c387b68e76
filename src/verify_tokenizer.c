/* verify_tokenizer: is this tokenizer the model's? Its number of ids, the special ids that config.json and
 * generation_config.json name, the special tokens that tokenizer_config.json names, and the chat template. What is wrong
 * with a text or breaks an answer fails; where published models contradict themselves without harm, it is a remark. */
#include "base/path.h"
#include "verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct facts {
    verify *v;
    const tokenizer *t;
    uint64_t vocab; /* config.json's; 0: not said */
    json config, generation, tokenizer_config;
} facts;

#define tell(f, failed, ...) verify_tell((f)->v, PITH_CHECK_TOKENIZER, failed, __VA_ARGS__)

/* ---- vocabulary ---- */

static void check_size(const facts *f)
{
    size_t n = tokenizer_vocab_size(f->t);
    if (!f->vocab) return;
    if (n > f->vocab)
        tell(f, 1, "", "the tokenizer has ids up to %zu, the model only up to %llu (vocab_size): are they of the same model?",
                    n - 1, (unsigned long long)f->vocab - 1);
    else if (n < f->vocab - f->vocab / 16) /* rows that round the number up are common */
        tell(f, 0, "", "the tokenizer has %zu ids, the model %llu (vocab_size): are they of the same model?", n,
                    (unsigned long long)f->vocab);
}

/* ---- ids that the configs name ---- */

static void check_id(const facts *f, const char *file, const char *key, json v)
{
    uint64_t id;
    pith_err why = {{0}};
    int pad = !strcmp(key, "pad_token_id"); /* of no use without padding; -1 and ids past the end are common */
    if (json_typeof(v) == JSON_NULL) return;
    if (json_as_size(v, 0, INT32_MAX, &id, &why)) {
        if (pad && json_typeof(v) == JSON_NUMBER) tell(f, 0, file, "%s %g is no token's", key, json_num(v));
        else verify_tell_error(f->v, PITH_CHECK_TOKENIZER, file, &why);
        return;
    }
    if (f->vocab && id >= f->vocab)
        tell(f, !pad, file, "%s %llu is not in the model's vocabulary of %llu", key, (unsigned long long)id,
                    (unsigned long long)f->vocab);
    else if (f->t && !tokenizer_piece(f->t, (int32_t)id))
        tell(f, !pad, file, "%s %llu is no token of the tokenizer", key, (unsigned long long)id);
}

/* "eos_token_id" and its kin: a number or a list of them. */
static void check_ids(const facts *f, const char *file, json config)
{
    static const char tail[] = "_token_id";
    for (json c = json_first(config); c.node; c = json_next(c)) {
        const char *key = json_key(c);
        size_t n = strlen(key), k = sizeof tail - 1;
        if (n < k || strcmp(key + n - k, tail)) continue;
        if (json_typeof(c) != JSON_ARRAY) check_id(f, file, key, c);
        else
            for (json x = json_first(c); x.node; x = json_next(x)) check_id(f, file, key, x);
    }
}

/* ---- tokens that tokenizer_config.json names ---- */

/* Is id what the config says under key, or one of a list there? 1 too where it says nothing. */
static int agrees(json config, const char *key, int32_t id, int *said)
{
    json v = json_get(config, key);
    if (json_typeof(v) == JSON_NUMBER) {
        *said = 1;
        return json_num(v) == id;
    }
    for (json x = json_first(v); x.node; x = json_next(x)) {
        *said = 1;
        if (json_num(x) == id) return 1;
    }
    return 0;
}

static void check_tokens(const facts *f)
{
    static const char *const names[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
    static const char file[] = "tokenizer_config.json";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json v = json_get(f->tokenizer_config, names[i]), content = json_get(v, "content");
        const char *piece = json_str(json_typeof(v) == JSON_OBJECT ? content : v);
        char key[32];
        int said = 0;
        if (!*piece) continue;
        int32_t id = tokenizer_id(f->t, piece);
        snprintf(key, sizeof key, "%s_id", names[i]);
        if (id < 0) {
            tell(f, 1, file, "%s \"%s\" is not in the vocabulary", names[i], piece);
            continue;
        }
        if (!agrees(f->config, key, id, &said) && !agrees(f->generation, key, id, &said) && said)
            tell(f, 0, file, "%s \"%s\" is id %d, but %s of config.json and generation_config.json is another", names[i],
                        piece, (int)id, key);
    }
}

/* ---- chat template ---- */

static void check_template(const facts *f)
{
    pith_err why = {{0}};
    json_type t = json_typeof(json_get(f->tokenizer_config, "chat_template"));
    if ((t == JSON_NONE || t == JSON_NULL) && !verify_has(f->v, "chat_template.jinja") && !verify_has(f->v, "chat_template.json")) return;
    pith_template *x = pith_template_open(f->v->path, &why);
    char name[PITH_ERR_MAX];
    const char *rest = verify_subject(f->v, why.msg, name);
    if (!x) tell(f, 1, name, "the chat template does not parse: %s", rest);
    pith_template_close(x);
}

/* ---- the whole ---- */

/* *d is NULL where there is none, and where it cannot be read, which verify_files told. */
static int load(const verify *v, const char *name, json_doc **d, pith_err *e)
{
    pith_err why = {{0}};
    *d = NULL;
    if (!verify_has(v, name)) return 0;
    char *path = path_join(v->path, name, e);
    if (!path) return -1;
    *d = json_load(path, &why);
    free(path);
    return *d || v->odd_side ? 0 : err_set(e, "%s", why.msg);
}

int verify_tokenizer(verify *v, pith_err *e)
{
    static const char *const kinds[] = {"tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model"};
    int there = 0;
    if (!v->is_dir) return 0;
    v->out->done |= 1u << PITH_CHECK_TOKENIZER;
    json_doc *generation, *own = NULL;
    if (load(v, "generation_config.json", &generation, e) || load(v, "tokenizer_config.json", &own, e)) {
        json_free(generation);
        return -1;
    }
    facts f = {.v = v, .config = json_root(v->config), .generation = json_root(generation), .tokenizer_config = json_root(own)};
    json_opt_size(f.config, "vocab_size", 0, INT32_MAX, 0, &f.vocab, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) there |= verify_has(v, kinds[i]);
    pith_err why = {{0}};
    tokenizer *t = there ? tokenizer_open(v->path, &why) : NULL;
    f.t = t;
    if (!there) tell(&f, 0, "", "there is no tokenizer: only token ids can be computed with");
    else if (!t && !v->odd_side) verify_tell_error(v, PITH_CHECK_TOKENIZER, "", &why);
    if (t) check_size(&f);
    check_ids(&f, "config.json", f.config);
    check_ids(&f, "generation_config.json", f.generation);
    if (t) check_tokens(&f);
    if (!v->odd_side) check_template(&f);
    tokenizer_free(t);
    json_free(generation);
    json_free(own);
    return 0;
}
