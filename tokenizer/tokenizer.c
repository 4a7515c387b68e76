/* tokenizer: the public face. Opens the directory, owns the five stages and runs a text through them. */
#include "tokenizer/tokenizer.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "tokenizer/added.h"
#include "tokenizer/decode.h"
#include "tokenizer/encoding.h"
#include "tokenizer/normalize.h"
#include "tokenizer/postprocess.h"
#include "tokenizer/pretokenize.h"
#include "tokenizer/tokmodel.h"
#include "tokenizer/spm.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocabjson.h"
#include "tokenizer/vocabtxt.h"
#include <string.h>

struct tokenizer {
    added added;
    normalizer normalizer;
    pretokenizer pretokenizer;
    const tokmodel *kind;
    void *model;
    vocab vocab;
    postprocessor postprocessor;
    decoder decoder;
    size_t model_max_length;
};

/* ---- opening ---- */

static int read_stages(tokenizer *t, json root, pith_err *e)
{
    json model;
    if (json_typeof(root) != JSON_OBJECT) return json_expected(root, "an object", e);
    if (json_get_object(root, "model", &model, e)) return -1;
    /* Refusals first: nothing is read before every component is known. */
    if (!(t->kind = tokmodel_find(model, e)) || normalize_open(&t->normalizer, json_get(root, "normalizer"), e) ||
        pretokenize_open(&t->pretokenizer, json_get(root, "pre_tokenizer"), e) ||
        postprocess_open(&t->postprocessor, json_get(root, "post_processor"), e) ||
        decode_open(&t->decoder, json_get(root, "decoder"), e))
        return -1;
    bool bytes = t->pretokenizer.bytes;
    if (bytes && !t->kind->spells_bytes)
        return err_set(e, "tokenizer.json: pre_tokenizer ByteLevel is not supported with model %s (only with BPE)",
                       t->kind->type);
    if (!(t->model = t->kind->open(model, bytes, &t->vocab, e))) return -1;
    return added_open(&t->added, json_get(root, "added_tokens"), &t->vocab, &t->normalizer, e);
}

static tokenizer *from_doc(json_doc *doc, pith_err *e)
{
    tokenizer *t = mem_zero(1, sizeof *t);
    if (!t) err_nomem(e, sizeof *t, "the tokenizer");
    if (t) t->model_max_length = SIZE_MAX;
    if (t && read_stages(t, json_root(doc), e)) {
        tokenizer_free(t);
        t = NULL;
    }
    json_free(doc);
    return t;
}

tokenizer *tokenizer_from_json(const char *name, const char *text, size_t len, pith_err *e)
{
    json_doc *doc = json_parse(name, text, len, e);
    return doc ? from_doc(doc, e) : NULL;
}

/* What stands in for tokenizer.json, in this order. */
static tokenizer *from_others(const char *dir, json config, pith_err *e)
{
    static const struct {
        const char *name, *with;
        int (*convert)(const char *dir, json config, char **out, size_t *len, pith_err *e);
    } OTHERS[] = {{"vocab.txt", NULL, vocabtxt_convert},
                  {"vocab.json", "merges.txt", vocabjson_convert},
                  {"tokenizer.model", NULL, spm_convert}};
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        char *text;
        size_t len;
        const char *name = OTHERS[i].name, *with = OTHERS[i].with;
        int there = path_there(dir, name, e);
        if (there > 0 && with) there = path_there(dir, with, e);
        if (there < 0) return NULL;
        if (!there) continue;
        if (OTHERS[i].convert(dir, config, &text, &len, e)) return NULL;
        tokenizer *t = tokenizer_from_json(name, text, len, e);
        mem_free(text);
        return t;
    }
    err_set(e, "%s: no tokenizer there (no tokenizer.json, vocab.txt, vocab.json with merges.txt, or tokenizer.model)", dir);
    return NULL;
}

/* model_max_length is written as 1e30 where the model has no limit. */
static int read_max_length(tokenizer *t, json config, pith_err *e)
{
    json v = json_get(config, "model_max_length");
    if (json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL) return 0;
    if (json_typeof(v) == JSON_NUMBER && json_num(v) > 1e15) return 0;
    uint64_t n;
    if (json_as_size(v, 1, UINT64_C(1) << 50, &n, e)) return -1;
    t->model_max_length = (size_t)n;
    return 0;
}

tokenizer *tokenizer_open(const char *dir, pith_err *e)
{
    tokenizer *t = NULL;
    json_doc *config = NULL, *doc = NULL;
    if (vocabtxt_load(dir, "tokenizer_config.json", &config, e) == 0 &&
        vocabtxt_load(dir, "tokenizer.json", &doc, e) == 0)
        t = doc ? from_doc(doc, e) : from_others(dir, json_root(config), e);
    if (t && read_max_length(t, json_root(config), e)) {
        tokenizer_free(t);
        t = NULL;
    }
    json_free(config);
    return t;
}

void tokenizer_free(tokenizer *t)
{
    if (!t) return;
    added_free(&t->added);
    normalize_free(&t->normalizer);
    pretokenize_free(&t->pretokenizer);
    if (t->model) t->kind->close(t->model);
    vocab_free(&t->vocab);
    postprocess_free(&t->postprocessor);
    decode_free(&t->decoder);
    mem_free(t);
}

/* ---- text to tokens ---- */

typedef struct encode_run {
    const tokenizer *t;
    const tokenizer_options *o;
    tokenizer_encoding *out;
    normalized normal; /* the part of the text at hand */
    bool at_start;     /* it begins the text */
    void *scratch;     /* the model's */
    size_t part, cursor; /* where it begins; how far its origins were asked for */
} encode_run;

/* Do the bytes begin .. end of the text lie apart from all foreign ranges? */
static bool may_be_special(void *ctx, size_t begin, size_t end)
{
    const encode_run *r = ctx;
    size_t lo = 0, hi = r->o->n_foreign;
    while (lo < hi) { /* the first range that ends after begin */
        size_t m = lo + (hi - lo) / 2;
        if (r->o->foreign[m].end <= begin) lo = m + 1;
        else hi = m;
    }
    return lo == r->o->n_foreign || r->o->foreign[lo].begin >= end;
}

static bool may_be_special_in_part(void *ctx, size_t begin, size_t end)
{
    encode_run *r = ctx;
    uint64_t from = begin, to = end;
    if (!r->o->n_foreign) return true;
    if (r->t->normalizer.n) normalize_origin(&r->normal, &r->cursor, &from, &to);
    return may_be_special(r, r->part + (size_t)from, r->part + (size_t)to);
}

static int encode_word(void *ctx, const char *text, size_t begin, size_t end, pretokenize_map *map, pith_err *e)
{
    encode_run *r = ctx;
    size_t first = r->out->n;
    if (r->t->kind->word(r->t->model, &r->t->vocab, text, begin, end, &r->scratch, r->out, e)) return -1;
    for (size_t i = first; map && i < r->out->n; i++) pretokenize_origin(map, &r->out->begin[i], &r->out->end[i]);
    return 0;
}

static int encode_added(encode_run *r, const added_token *token, size_t begin, size_t end, pith_err *e)
{
    if (encoding_reserve(r->out, 1, e)) return -1;
    encoding_put(r->out, token->id, begin, end);
    return 0;
}

/* A part of a normalised text: a normalised added token, or text for the pre-tokenizer. */
static int encode_normal_part(void *ctx, const char *text, size_t begin, size_t end, const added_token *token,
                              pith_err *e)
{
    encode_run *r = ctx;
    if (token) return encode_added(r, token, begin, end, e);
    bool at_start = r->at_start && !begin;
    if (at_start && r->t->normalizer.n) {
        uint64_t b = 0, z = 1;
        size_t cursor = 0;
        normalize_origin(&r->normal, &cursor, &b, &z);
        at_start = b == 0;
    }
    return pretokenize_run(&r->t->pretokenizer, text, begin, end, at_start, encode_word, r, e);
}

/* A part of the text itself: an added token, or text to be normalised on its own. */
static int encode_part(void *ctx, const char *text, size_t begin, size_t end, const added_token *token, pith_err *e)
{
    encode_run *r = ctx;
    const tokenizer *t = r->t;
    if (token) return encode_added(r, token, begin, end, e);
    size_t first = r->out->n, len = end - begin;
    r->at_start = !begin;
    const char *normal = text + begin;
    if (t->normalizer.n) {
        if (normalize_run(&t->normalizer, normal, len, &r->normal, e)) return -1;
        normal = r->normal.text;
        len = r->normal.len;
    }
    r->part = begin;
    r->cursor = 0;
    if (added_split(&t->added.normalized, normal, len, r->o->no_parse_special, may_be_special_in_part, encode_normal_part, r,
                    e))
        return -1;
    size_t cursor = 0;
    for (size_t i = first; i < r->out->n; i++) {
        if (t->normalizer.n) normalize_origin(&r->normal, &cursor, &r->out->begin[i], &r->out->end[i]);
        r->out->begin[i] += begin;
        r->out->end[i] += begin;
    }
    return 0;
}

static const vocab_entry *piece_of(const tokenizer *t, int32_t id)
{
    const vocab_entry *x = vocab_at(&t->added.ids, id);
    return x ? x : vocab_at(&t->vocab, id);
}

/* Is the character of a piece one that trimming leaves out: White_Space, or ByteLevel's letter for a space? */
static bool trims(const char *s, size_t *len)
{
    uint32_t c = unicode_decode(s, len);
    return c == 0x120 || unicode_class(c) & UNICODE_SPACE;
}

/* Spaces are counted in characters, also where a span's text has others than its piece. An added token may have taken
 * spaces around it. */
static void trim_spans(const tokenizer *t, const char *text, tokenizer_encoding *x)
{
    for (size_t i = 0; i < x->n; i++) {
        const vocab_entry *p = piece_of(t, x->ids[i]);
        size_t before = 0, after = 0, len, at, n = p->len;
        uint64_t *begin = &x->begin[i], *end = &x->end[i];
        const char *s = p->text;
        if (vocab_at(&t->added.ids, x->ids[i])) {
            s = text + *begin;
            n = (size_t)(*end - *begin);
        }
        for (at = 0; at < n && trims(s + at, &len); at += len) before++;
        for (at = n; at > 0 && trims(s + unicode_before(s, at), &len); at -= len) after++;
        if (before == 1 && (i == 0 || *begin == 0) && t->postprocessor.trim_prefix) before = 0;
        for (; before && *begin < *end; before--, *begin += len) unicode_decode(text + *begin, &len);
        for (; after && *end > *begin; after--) *end = unicode_before(text, (size_t)*end);
    }
}

int tokenizer_encode_plain(const tokenizer *t, const char *text, size_t len, const tokenizer_options *o,
                           tokenizer_encoding *out, pith_err *e)
{
    static const tokenizer_options none = {0};
    encode_run r = {.t = t, .o = o ? o : &none, .out = out};
    normalized repaired = {0};
    size_t valid = unicode_valid(text, len), cursor = 0;
    int rc = 0;
    out->n = out->n_replaced = 0;
    if (valid < len) {
        if (r.o->strict)
            return err_set(e, "text: byte %zu (0x%02x) is not valid UTF-8; without strict it is read as U+FFFD", valid,
                           (unsigned)(unsigned char)text[valid]);
        rc = normalize_repair(text, len, &repaired, &out->n_replaced, e);
        text = repaired.text;
        len = repaired.len;
    }
    if (!rc) rc = added_split(&t->added.raw, text, len, r.o->no_parse_special, may_be_special, encode_part, &r, e);
    if (!rc && t->postprocessor.trim) trim_spans(t, text, out); /* while spans and text are the same one's */
    for (size_t i = 0; i < out->n && !rc && out->n_replaced; i++) {
        int empty = out->begin[i] == out->end[i];
        normalize_origin(&repaired, &cursor, &out->begin[i], &out->end[i]);
        if (empty) out->end[i] = out->begin[i];
    }
    if (r.scratch) t->kind->scratch_free(r.scratch);
    normalize_result_free(&r.normal);
    normalize_result_free(&repaired);
    if (rc) out->n = 0;
    return rc;
}

int tokenizer_assemble(const tokenizer *t, const tokenizer_encoding *a, size_t a0, size_t a1,
                       const tokenizer_encoding *b, size_t b0, size_t b1, tokenizer_encoding *out, pith_err *e)
{
    return postprocess_run(&t->postprocessor, true, a, a0, a1, b, b0, b1, out, e);
}

size_t tokenizer_n_special(const tokenizer *t, bool pair)
{
    return pair ? t->postprocessor.pair.n_special : t->postprocessor.single.n_special;
}

void tokenizer_truncate_pair(size_t *na, size_t *nb, size_t room)
{
    if (*na <= room && *nb <= room - *na) return;
    bool swapped = *na > *nb;
    size_t small = swapped ? *nb : *na, large;
    /* The shorter one stays whole if the rest is at least as long; else each gets half, the longer one the odd one.
     * Two of equal length count as "second longer". */
    large = small > room ? small : room - small > small ? room - small : small;
    if (small > room || large > room - small) {
        small = room / 2;
        large = small + room % 2;
    }
    *na = swapped ? large : small;
    *nb = swapped ? small : large;
}

int tokenizer_encode(const tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                     const tokenizer_options *o, tokenizer_encoding *out, size_t *n_full, pith_err *e)
{
    static const tokenizer_options none = {0};
    tokenizer_encoding a = {0}, b = {0};
    if (!o) o = &none;
    size_t special = o->no_special ? 0 : tokenizer_n_special(t, pair != NULL);
    if (o->max_length && o->max_length < special)
        return err_set(e, "max_length %zu: the tokenizer alone adds %zu tokens", o->max_length, special);
    int rc = tokenizer_encode_plain(t, text, len, o, &a, e);
    if (!rc && pair) rc = tokenizer_encode_plain(t, pair, pair_len, o, &b, e);
    size_t na = a.n, nb = b.n;
    if (!rc && o->max_length) {
        size_t room = o->max_length - special;
        if (pair)
            tokenizer_truncate_pair(&na, &nb, room);
        else if (na > room)
            na = room;
    }
    if (!rc) rc = postprocess_run(&t->postprocessor, !o->no_special, &a, 0, na, pair ? &b : NULL, 0, nb, out, e);
    if (!rc && n_full) *n_full = a.n + b.n + special;
    tokenizer_encoding_free(&a);
    tokenizer_encoding_free(&b);
    return rc;
}

void tokenizer_encoding_free(tokenizer_encoding *x)
{
    if (!x) return;
    mem_free(x->ids);
    mem_free(x->type_ids);
    mem_free(x->special);
    mem_free(x->second);
    mem_free(x->begin);
    mem_free(x->end);
    *x = (tokenizer_encoding){0};
}

/* ---- ids to text ---- */

struct tokenizer_stream {
    const tokenizer *t;
    bool skip_special;
    decode_state state;
};

static int feed(const tokenizer *t, decode_state *s, int32_t id, bool skip_special, pith_err *e)
{
    const vocab_entry *x = piece_of(t, id);
    if (!x || (skip_special && vocab_at(&t->added.special, id))) return 0;
    return decode_feed(&t->decoder, s, x->text, x->len, e);
}

int tokenizer_decode(const tokenizer *t, const int32_t *ids, size_t n, bool skip_special, char **out, size_t *len,
                     pith_err *e)
{
    decode_state s = {0};
    int rc = decode_begin(&t->decoder, &s, e);
    for (size_t i = 0; i < n && !rc; i++) rc = feed(t, &s, ids[i], skip_special, e);
    if (!rc) rc = decode_end(&t->decoder, &s, e);
    if (!rc && !(*out = mem_alloc(s.out.n + 1))) rc = err_nomem(e, s.out.n + 1, "decoded text");
    if (!rc) {
        if (s.out.n) memcpy(*out, s.out.s, s.out.n);
        (*out)[s.out.n] = 0;
        *len = s.out.n;
    }
    decode_state_free(&t->decoder, &s);
    return rc;
}

tokenizer_stream *tokenizer_stream_open(const tokenizer *t, bool skip_special, pith_err *e)
{
    tokenizer_stream *s = mem_zero(1, sizeof *s);
    if (!s) return err_nomem(e, sizeof *s, "decoded text"), NULL;
    s->t = t;
    s->skip_special = skip_special;
    if (!decode_begin(&t->decoder, &s->state, e)) return s;
    mem_free(s);
    return NULL;
}

int tokenizer_stream_next(tokenizer_stream *s, int32_t id, const char **text, size_t *len, pith_err *e)
{
    s->state.out.n = 0;
    if (feed(s->t, &s->state, id, s->skip_special, e)) return -1;
    *text = s->state.out.n ? s->state.out.s : "";
    *len = s->state.out.n;
    return 0;
}

int tokenizer_stream_end(tokenizer_stream *s, const char **text, size_t *len, pith_err *e)
{
    s->state.out.n = 0;
    if (decode_end(&s->t->decoder, &s->state, e)) return -1;
    *text = s->state.out.n ? s->state.out.s : "";
    *len = s->state.out.n;
    return 0;
}

void tokenizer_stream_free(tokenizer_stream *s)
{
    if (!s) return;
    decode_state_free(&s->t->decoder, &s->state);
    mem_free(s);
}

size_t tokenizer_vocab_size(const tokenizer *t)
{
    size_t model = vocab_size(&t->vocab), more = vocab_size(&t->added.ids);
    return model > more ? model : more;
}

const char *tokenizer_piece(const tokenizer *t, int32_t id)
{
    const vocab_entry *x = piece_of(t, id);
    return x ? x->text : NULL;
}

int tokenizer_token_text(const tokenizer *t, int32_t id, char **out, size_t *len, pith_err *e)
{
    const vocab_entry *x = piece_of(t, id);
    decode_text b = {0};
    if (!x) return err_set(e, "the tokenizer has no token %d", id);
    int rc = decode_piece(&t->decoder, x->text, x->len, &b, e);
    *out = rc ? NULL : mem_alloc(b.n + 1);
    if (!rc && !*out) rc = err_nomem(e, b.n + 1, "decoded text");
    if (!rc) {
        if (b.n) memcpy(*out, b.s, b.n);
        (*out)[b.n] = 0;
        *len = b.n;
    }
    mem_free(b.s);
    return rc;
}

int32_t tokenizer_id(const tokenizer *t, const char *piece)
{
    int32_t id = vocab_find(&t->added.ids, piece, strlen(piece));
    return id >= 0 ? id : vocab_find(&t->vocab, piece, strlen(piece));
}

size_t tokenizer_model_max_length(const tokenizer *t) { return t->model_max_length; }
