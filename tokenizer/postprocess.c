#include "tokenizer/postprocess.h"
#include "base/mem.h"
#include <string.h>

static int add_part(postprocess_template *t, postprocess_kind kind, uint64_t type_id, uint64_t id, pith_err *e)
{
    postprocess_part *p = mem_resize(t->part, (t->n + 1) * sizeof *p);
    if (!p) return err_nomem(e, (t->n + 1) * sizeof *p, "the post-processor");
    t->part = p;
    p[t->n++] = (postprocess_part){kind, (uint8_t)type_id, (int32_t)id};
    t->n_special += kind == POSTPROCESS_ID;
    return 0;
}

/* A special token of a template, which may be several ids. */
static int add_special(postprocess_template *t, json tokens, const char *name, uint64_t type_id, pith_err *e)
{
    json token = json_get(tokens, name), ids;
    if (!token.node)
        return err_set(e, "tokenizer.json: post_processor: the template's \"%.60s\" is not in special_tokens", name);
    if (json_get_array(token, "ids", &ids, e)) return -1;
    for (json c = json_first(ids); c.node; c = json_next(c)) {
        uint64_t id;
        if (json_as_size(c, 0, INT32_MAX, &id, e) || add_part(t, POSTPROCESS_ID, type_id, id, e)) return -1;
    }
    return 0;
}

static int read_template(postprocess_template *t, json v, const char *key, bool pair, pith_err *e)
{
    json parts, tokens;
    if (json_get_array(v, key, &parts, e) || json_get_object(v, "special_tokens", &tokens, e)) return -1;
    for (json c = json_first(parts); c.node; c = json_next(c)) {
        const char *name;
        uint64_t type_id;
        json sequence = json_get(c, "Sequence"), token = json_get(c, "SpecialToken");
        json what = sequence.node ? sequence : token;
        if (!what.node) return json_expected(c, "{\"Sequence\": ...} or {\"SpecialToken\": ...}", e);
        if (json_get_str(what, "id", &name, e) || json_get_size(what, "type_id", 0, UINT8_MAX, &type_id, e)) return -1;
        if (!sequence.node) {
            if (add_special(t, tokens, name, type_id, e)) return -1;
        } else if (strcmp(name, "A") == 0) {
            if (add_part(t, POSTPROCESS_FIRST, type_id, 0, e)) return -1;
        } else if (strcmp(name, "B") == 0 && pair) {
            if (add_part(t, POSTPROCESS_SECOND, type_id, 0, e)) return -1;
        } else {
            return json_expected(json_get(sequence, "id"), pair ? "\"A\" or \"B\"" : "\"A\"", e);
        }
    }
    return 0;
}

/* A member ["[SEP]", 102]. */
static int read_token(json v, const char *key, uint64_t *id, pith_err *e)
{
    json list;
    if (json_get_array(v, key, &list, e)) return -1;
    json name = json_first(list), number = json_next(name);
    if (json_typeof(name) != JSON_STRING || !number.node || json_next(number).node)
        return json_expected(list, "[token, id]", e);
    return json_as_size(number, 0, INT32_MAX, id, e);
}

/* BERT: cls A sep, cls A sep B sep with type 1 from B on. RoBERTa: type 0 everywhere and sep twice between. */
static int read_pair(postprocessor *p, json v, bool roberta, pith_err *e)
{
    uint64_t cls, sep, second = roberta ? 0 : 1;
    if (read_token(v, "cls", &cls, e) || read_token(v, "sep", &sep, e)) return -1;
    for (int pair = 0; pair < 2; pair++) {
        postprocess_template *t = pair ? &p->pair : &p->single;
        if (add_part(t, POSTPROCESS_ID, 0, cls, e) || add_part(t, POSTPROCESS_FIRST, 0, 0, e) ||
            add_part(t, POSTPROCESS_ID, 0, sep, e))
            return -1;
        if (!pair) continue;
        if ((roberta && add_part(t, POSTPROCESS_ID, 0, sep, e)) || add_part(t, POSTPROCESS_SECOND, second, 0, e) ||
            add_part(t, POSTPROCESS_ID, second, sep, e))
            return -1;
    }
    return 0;
}

/* Both default to true, as in the reference. */
static int read_trim(postprocessor *p, json v, pith_err *e)
{
    int trim, prefix;
    if (json_opt_bool(v, "trim_offsets", 1, &trim, e) || json_opt_bool(v, "add_prefix_space", 1, &prefix, e)) return -1;
    p->trim = trim;
    p->trim_prefix = prefix;
    return 0;
}

static int read_one(postprocessor *p, json v, int depth, pith_err *e)
{
    const char *type;
    json list;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object or null", e);
    if (json_get_str(v, "type", &type, e)) return -1;
    if (strcmp(type, "ByteLevel") == 0) return read_trim(p, v, e);
    if (strcmp(type, "Sequence") == 0) {
        if (depth >= 16) return err_set(e, "tokenizer.json: post_processor: Sequence in Sequence more than 16 deep");
        if (json_get_array(v, "processors", &list, e)) return -1;
        for (json c = json_first(list); c.node; c = json_next(c))
            if (read_one(p, c, depth + 1, e)) return -1;
        return 0;
    }
    bool template = strcmp(type, "TemplateProcessing") == 0, roberta = strcmp(type, "RobertaProcessing") == 0;
    if (!template && !roberta && strcmp(type, "BertProcessing") != 0)
        return err_set(e,
                       "tokenizer.json: post_processor.type \"%.60s\" is not supported (supported: TemplateProcessing, "
                       "BertProcessing, RobertaProcessing, ByteLevel, Sequence, null)",
                       type);
    if (p->pair.n || p->single.n)
        return err_set(e, "tokenizer.json: post_processor: more than one that adds tokens is not supported");
    if (template)
        return read_template(&p->single, v, "single", false, e) || read_template(&p->pair, v, "pair", true, e) ? -1 : 0;
    return (roberta && read_trim(p, v, e)) || read_pair(p, v, roberta, e) ? -1 : 0;
}

static int read_any(postprocessor *p, json v, pith_err *e)
{
    if (json_typeof(v) != JSON_NONE && json_typeof(v) != JSON_NULL && read_one(p, v, 0, e)) return -1;
    if (p->pair.n || p->single.n) return 0;
    return add_part(&p->single, POSTPROCESS_FIRST, 0, 0, e) || add_part(&p->pair, POSTPROCESS_FIRST, 0, 0, e) ||
                   add_part(&p->pair, POSTPROCESS_SECOND, 1, 0, e)
               ? -1
               : 0;
}

int postprocess_open(postprocessor *p, json v, pith_err *e)
{
    *p = (postprocessor){0};
    return read_any(p, v, e);
}

void postprocess_free(postprocessor *p)
{
    mem_free(p->single.part);
    mem_free(p->pair.part);
    *p = (postprocessor){0};
}

static int put_range(const tokenizer_encoding *x, size_t first, size_t last, uint8_t type_id, uint8_t second,
                     tokenizer_encoding *out, pith_err *e)
{
    size_t n = last - first, at = out->n;
    if (encoding_reserve(out, n, e)) return -1;
    if (!n) return 0;
    memcpy(out->ids + at, x->ids + first, n * sizeof *x->ids);
    memcpy(out->begin + at, x->begin + first, n * sizeof *x->begin);
    memcpy(out->end + at, x->end + first, n * sizeof *x->end);
    memset(out->type_ids + at, type_id, n);
    memset(out->special + at, 0, n);
    memset(out->second + at, second, n);
    out->n += n;
    return 0;
}

int postprocess_run(const postprocessor *p, bool special, const tokenizer_encoding *a, size_t a0, size_t a1,
                      const tokenizer_encoding *b, size_t b0, size_t b1, tokenizer_encoding *out, pith_err *e)
{
    const postprocess_template *t = b ? &p->pair : &p->single;
    out->n = 0;
    out->n_replaced = a->n_replaced + (b ? b->n_replaced : 0);
    for (size_t i = 0; i < t->n; i++) {
        const postprocess_part *x = &t->part[i];
        switch (x->kind) {
        case POSTPROCESS_FIRST:
            if (put_range(a, a0, a1, x->type_id, 0, out, e)) return -1;
            break;
        case POSTPROCESS_SECOND:
            if (put_range(b, b0, b1, x->type_id, 1, out, e)) return -1;
            break;
        case POSTPROCESS_ID:
            if (!special) break;
            if (encoding_reserve(out, 1, e)) return -1;
            encoding_put(out, x->id, 0, 0);
            out->special[out->n - 1] = 1;
            out->type_ids[out->n - 1] = x->type_id;
            break;
        }
    }
    return 0;
}
