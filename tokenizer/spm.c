#define _POSIX_C_SOURCE 200809L
#include "tokenizer/spm.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocab.h"
#include "tokenizer/vocabtxt.h"
#include "base/mem.h"
#include "base/memtext.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "tokenizer.model"
/* sentencepiece makes pieces of at most 16 characters. */
#define PIECE_MAX 1024
/* The text of all merges is about as long as the file; that of pieces made to be cut everywhere, hundreds of times. */
enum { MERGED_MOST = 8, MERGED_LEAST = 1 << 20 };

/* ---- protocol buffers ---- */

typedef struct message {
    const unsigned char *p;
    size_t n;
} message;

static int get_varint(message *m, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; m->n && shift < 64; shift += 7) {
        unsigned char b = *m->p++;
        m->n--;
        *out |= (uint64_t)(b & (shift < 63 ? 0x7f : 1)) << shift; /* what is beyond 64 bits is dropped, as protobuf does */
        if (b < 0x80) return 0;
    }
    return -1;
}

/* The next field of m, which is not empty: its number, and its value or what it holds. */
static int get_field(message *m, uint64_t *number, uint64_t *value, message *inner)
{
    uint64_t key;
    *inner = (message){NULL, 0};
    *value = 0;
    if (get_varint(m, &key)) return -1;
    *number = key >> 3;
    switch (key & 7) {
    case 0: return get_varint(m, value);
    case 1:
        if (m->n < 8) return -1;
        m->p += 8;
        m->n -= 8;
        return 0;
    case 2:
        if (get_varint(m, value) || *value > m->n) return -1;
        *inner = (message){m->p, (size_t)*value};
        m->p += *value;
        m->n -= (size_t)*value;
        return 0;
    case 5:
        if (m->n < 4) return -1;
        for (unsigned i = 0; i < 4; i++) *value |= (uint64_t)m->p[i] << 8 * i;
        m->p += 4;
        m->n -= 4;
        return 0;
    default: return -1;
    }
}

/* ---- the model ---- */

/* SentencePiece.Type, TrainerSpec.ModelType */
enum { CONTROL = 3, USER_DEFINED = 4, MODEL_UNIGRAM = 1, MODEL_BPE = 2 };

typedef struct spm_piece {
    const char *s;
    size_t len;
    float score;
    uint64_t type;
} spm_piece;

typedef struct spm {
    size_t bytes; /* of the file */
    spm_piece *piece;
    size_t n, cap;
    uint64_t model_type;
    message unknown; /* its piece */
} spm;

static int broken(size_t at, pith_err *e)
{
    return err_set(e, NAME ": not a sentencepiece model: broken at byte %zu", at);
}

static int read_piece(spm *s, message m, size_t at, pith_err *e)
{
    spm_piece x = {"", 0, 0, 1};
    while (m.n) {
        uint64_t number, value;
        message inner;
        if (get_field(&m, &number, &value, &inner)) return broken(at, e);
        if (number == 1 && inner.p) {
            x.s = (const char *)inner.p;
            x.len = inner.n;
        } else if (number == 2) {
            uint32_t bits = (uint32_t)value;
            memcpy(&x.score, &bits, 4);
        } else if (number == 3) {
            x.type = value;
        }
    }
    if (x.len > PIECE_MAX || unicode_valid(x.s, x.len) < x.len || memchr(x.s, 0, x.len))
        return err_set(e, NAME ": piece %zu: %s", s->n,
                       x.len > PIECE_MAX ? "longer than 1024 bytes" : "not valid UTF-8 without NUL");
    /* JSON has no infinite numbers. */
    if (!(x.score > -1e30f && x.score < 1e30f)) return err_set(e, NAME ": piece %zu: its score is not a number", s->n);
    if (s->n == s->cap) {
        size_t cap = s->cap * 2 + 1024;
        spm_piece *p = mem_resize(s->piece, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, NAME);
        s->piece = p;
        s->cap = cap;
    }
    s->piece[s->n++] = x;
    return 0;
}

static int read_trainer(spm *s, message m, size_t at, pith_err *e)
{
    while (m.n) {
        uint64_t number, value;
        message inner;
        if (get_field(&m, &number, &value, &inner)) return broken(at, e);
        if (number == 3) s->model_type = value;
        if (number == 45 && inner.p) s->unknown = inner;
    }
    return 0;
}

static int read_model(spm *s, const char *text, size_t len, pith_err *e)
{
    message m = {(const unsigned char *)text, len};
    *s = (spm){.bytes = len, .model_type = MODEL_UNIGRAM, .unknown = {(const unsigned char *)"<unk>", 5}};
    while (m.n) {
        uint64_t number, value;
        size_t at = len - m.n;
        message inner;
        if (get_field(&m, &number, &value, &inner)) return broken(at, e);
        if (number == 1 && inner.p && read_piece(s, inner, at, e)) return -1;
        if (number == 2 && inner.p && read_trainer(s, inner, at, e)) return -1;
    }
    if (s->n < 3) return err_set(e, NAME ": not a sentencepiece model: %zu pieces", s->n);
    if (s->model_type != MODEL_UNIGRAM && s->model_type != MODEL_BPE)
        return err_set(e, NAME ": model type %llu is not supported (supported: 1 Unigram, 2 BPE)",
                       (unsigned long long)s->model_type);
    if (memchr(s->unknown.p, 0, s->unknown.n) ||
        unicode_valid((const char *)s->unknown.p, s->unknown.n) < s->unknown.n)
        return err_set(e, NAME ": unk_piece: not valid UTF-8 without NUL");
    /* As transformers has it: the first three are <unk>, <s> and </s>, and score nothing. */
    for (size_t i = 0; i < 3; i++) s->piece[i].score = 0;
    return 0;
}

/* ---- merges ---- */

typedef struct spm_merge {
    const spm_piece *whole;
    uint32_t cut; /* bytes of the left one */
    uint32_t left_chars, right_chars;
    int32_t left, right;
} spm_merge;

typedef struct spm_merges {
    spm_merge *v;
    size_t n, cap;
    size_t room; /* bytes of text that further ones may have */
} spm_merges;

/* By score, then by the lengths, greatest first; equal ones by the whole's place, then the parts'. */
static int by_score(const void *x, const void *y)
{
    const spm_merge *a = x, *b = y;
    if (a->whole->score != b->whole->score) return a->whole->score > b->whole->score ? -1 : 1;
    if (a->left_chars != b->left_chars) return a->left_chars > b->left_chars ? -1 : 1;
    if (a->right_chars != b->right_chars) return a->right_chars > b->right_chars ? -1 : 1;
    if (a->whole != b->whole) return a->whole < b->whole ? -1 : 1;
    if (a->left != b->left) return a->left < b->left ? -1 : 1;
    return a->right < b->right ? -1 : a->right > b->right;
}

static uint32_t count_chars(const char *s, size_t n)
{
    uint32_t k = 0;
    for (size_t i = 0; i < n; i++) k += ((unsigned char)s[i] & 0xc0) != 0x80;
    return k;
}

static int add_merges(spm_merges *m, const vocab *v, const spm_piece *x, pith_err *e)
{
    vocab_walk w = {0};
    for (int32_t left; (left = vocab_next(v, x->s, x->len, &w)) >= 0 && w.len < x->len;) {
        int32_t right = vocab_find(v, x->s + w.len, x->len - w.len);
        if (right < 0) continue;
        if (x->len > m->room) return err_set(e, NAME ": its pieces can be put together in too many ways: a broken or hostile file");
        m->room -= x->len;
        if (m->n == m->cap) {
            size_t cap = m->cap * 2 + 4096;
            spm_merge *p = mem_resize(m->v, cap * sizeof *p);
            if (!p) return err_nomem(e, cap * sizeof *p, NAME);
            m->v = p;
            m->cap = cap;
        }
        m->v[m->n++] = (spm_merge){x, (uint32_t)w.len, count_chars(x->s, w.len),
                                   count_chars(x->s + w.len, x->len - w.len), left, right};
    }
    return 0;
}

/* Any two pieces that make a third are a merge. */
static int find_merges(spm_merges *m, const spm *s, pith_err *e)
{
    vocab v = {.prefixes = true};
    int rc = 0;
    for (size_t i = 0; i < s->n && !rc; i++)
        if (s->piece[i].len) rc = vocab_add(&v, s->piece[i].s, s->piece[i].len, (int32_t)i, e);
    for (size_t i = 0; i < s->n && !rc; i++)
        if (vocab_find(&v, s->piece[i].s, s->piece[i].len) == (int32_t)i) rc = add_merges(m, &v, &s->piece[i], e);
    vocab_free(&v);
    if (!rc && m->n) qsort(m->v, m->n, sizeof *m->v, by_score);
    return rc;
}

/* ---- tokenizer.json ---- */

static int put_bpe(FILE *f, const spm *s, pith_err *e)
{
    spm_merges m = {.room = s->bytes < SIZE_MAX / MERGED_MOST - MERGED_LEAST ? s->bytes * MERGED_MOST + MERGED_LEAST : SIZE_MAX};
    int rc = find_merges(&m, s, e);
    fputs("{\"type\":\"BPE\",\"fuse_unk\":true,\"byte_fallback\":true,\"unk_token\":", f);
    json_put_str(f, (const char *)s->unknown.p, s->unknown.n);
    fputs(",\"vocab\":{", f);
    for (size_t i = 0; i < s->n; i++) {
        if (i) fputc(',', f);
        json_put_str(f, s->piece[i].s, s->piece[i].len);
        fprintf(f, ":%zu", i);
    }
    fputs("},\"merges\":[", f);
    for (size_t i = 0; i < m.n && !rc; i++) {
        const spm_merge *x = &m.v[i];
        fputs(i ? ",[" : "[", f);
        json_put_str(f, x->whole->s, x->cut);
        fputc(',', f);
        json_put_str(f, x->whole->s + x->cut, x->whole->len - x->cut);
        fputc(']', f);
    }
    fputs("]}", f);
    mem_free(m.v);
    return rc;
}

static void put_unigram(FILE *f, const spm *s)
{
    fputs("{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":true,\"vocab\":[", f);
    for (size_t i = 0; i < s->n; i++) {
        fputs(i ? ",[" : "[", f);
        json_put_str(f, s->piece[i].s, s->piece[i].len);
        fprintf(f, ",%.17g]", (double)s->piece[i].score);
    }
    fputs("]}", f);
}

static bool is(const spm_piece *x, const char *s) { return strlen(s) == x->len && memcmp(x->s, s, x->len) == 0; }

/* Those of a model's own that tokenizer_config.json does not list. */
static int put_unlisted(FILE *f, bool any, const spm *s, const vocab *listed, const char *const role[3], pith_err *e)
{
    for (size_t i = 0; i < s->n; i++) {
        const spm_piece *x = &s->piece[i];
        bool special = x->type == CONTROL;
        for (int r = 0; r < 3; r++) special |= is(x, role[r]);
        if ((!special && x->type != USER_DEFINED) || !x->len || vocab_find(listed, x->s, x->len) >= 0) continue;
        char *copy = mem_copy_n(x->s, x->len);
        int rc = copy ? vocabtxt_put_added(f, &any, (json){NULL, NULL}, copy, special, e) : err_nomem(e, x->len, NAME);
        mem_free(copy);
        if (rc) return -1;
    }
    return 0;
}

/* The tokens that tokenizer_config.json lists, then the model's own. */
static int put_added(FILE *f, const spm *s, json config, const char *const role[3], pith_err *e)
{
    json list = json_get(config, "added_tokens_decoder");
    vocab listed = {0};
    bool any = false;
    int rc = 0;
    fputs("\"added_tokens\":[", f);
    for (json c = json_first(list); c.node && !rc; c = json_next(c)) {
        const char *content = json_str(json_get(c, "content"));
        rc = vocab_add(&listed, content, strlen(content), 0, e);
    }
    if (!rc) rc = vocabtxt_put_decoder(f, &any, list, e) || put_unlisted(f, any, s, &listed, role, e);
    vocab_free(&listed);
    fputs("],", f);
    return rc ? -1 : 0;
}

static void put_token(FILE *f, bool comma, const char *name, int type_id)
{
    fputs(comma ? ",{\"SpecialToken\":{\"id\":" : "{\"SpecialToken\":{\"id\":", f);
    json_put_str(f, name, strlen(name));
    fprintf(f, ",\"type_id\":%d}}", type_id);
}

static int put_template(FILE *f, const spm *s, json config, const char *const role[3], pith_err *e)
{
    int bos, eos;
    size_t id[3] = {0};
    if (json_opt_bool(config, "add_bos_token", 1, &bos, e) || json_opt_bool(config, "add_eos_token", 0, &eos, e)) return -1;
    for (int r = 1; r < 3; r++) {
        while (id[r] < s->n && !is(&s->piece[id[r]], role[r])) id[r]++;
        if (id[r] == s->n && (r == 1 ? bos : eos))
            return err_set(e, NAME ": no piece \"%.60s\" (%s)", role[r], r == 1 ? "bos_token" : "eos_token");
    }
    fputs("\"post_processor\":{\"type\":\"TemplateProcessing\"", f);
    for (int pair = 0; pair < 2; pair++) {
        fputs(pair ? ",\"pair\":[" : ",\"single\":[", f);
        for (int k = 0; k <= pair; k++) {
            if (bos) put_token(f, k, role[1], k);
            fprintf(f, "%s{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}", bos || k ? "," : "", 'A' + k, k);
            if (eos) put_token(f, true, role[2], k);
        }
        fputc(']', f);
    }
    fputs(",\"special_tokens\":{", f);
    for (int r = 1; r < 3; r++) {
        if (r == 1 ? !bos : !eos) continue;
        if (r == 2 && bos) fputc(',', f);
        json_put_str(f, role[r], strlen(role[r]));
        fprintf(f, ":{\"ids\":[%zu]}", id[r]);
    }
    fputs("}},", f);
    return 0;
}

/* Legacy: the space before the text and the marks for spaces are the normalizer's work; later the pre-tokenizer's. */
static int put_stages(FILE *f, json config, pith_err *e)
{
    int legacy, prefix;
    if (json_opt_bool(config, "legacy", 1, &legacy, e) || json_opt_bool(config, "add_prefix_space", 1, &prefix, e)) return -1;
    if (legacy)
        fprintf(f,
                "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
                "\"content\":\"\xe2\x96\x81\"}]},",
                prefix ? "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}," : "");
    else
        fprintf(f,
                "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"%s\","
                "\"split\":false},",
                prefix ? "first" : "never");
    fprintf(f,
            "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
            "\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}%s]},",
            prefix ? ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}" : "");
    return 0;
}

static int check_class(json config, pith_err *e)
{
    const char *class;
    if (json_opt_str(config, "tokenizer_class", "LlamaTokenizer", &class, e)) return -1;
    if (strcmp(class, "LlamaTokenizer") == 0 || strcmp(class, "LlamaTokenizerFast") == 0) return 0;
    return err_set(e,
                   "tokenizer_config.json: tokenizer_class \"%.60s\" is not supported with " NAME
                   " (supported: LlamaTokenizer); save the tokenizer as tokenizer.json",
                   class);
}

static int put_all(FILE *f, const spm *s, json config, pith_err *e)
{
    static const char *const ROLES[3] = {"unk_token", "bos_token", "eos_token"};
    static const char *const DEFAULTS[3] = {"<unk>", "<s>", "</s>"};
    const char *role[3];
    for (int r = 0; r < 3; r++) {
        if (vocabtxt_content(json_get(config, ROLES[r]), DEFAULTS[r], &role[r], e)) return -1;
        if (!role[r]) role[r] = DEFAULTS[r];
    }
    fputs("{\"version\":\"1.0\",", f);
    if (put_stages(f, config, e) || put_added(f, s, config, role, e) || put_template(f, s, config, role, e)) return -1;
    fputs("\"model\":", f);
    if (s->model_type == MODEL_UNIGRAM)
        put_unigram(f, s);
    else if (put_bpe(f, s, e))
        return -1;
    fputs("}", f);
    return 0;
}

int spm_convert(const char *dir, json config, char **out, size_t *len, pith_err *e)
{
    size_t text_len;
    spm s = {0};
    if (check_class(config, e)) return -1;
    char *text = vocabtxt_read(dir, NAME, &text_len, e);
    if (!text) return -1;
    *out = NULL;
    *len = 0;
    int rc = read_model(&s, text, text_len, e);
    FILE *f = rc ? NULL : memtext_open(out, len);
    if (f) rc = put_all(f, &s, config, e);
    bool failed = !rc && (!f || ferror(f));
    if (f && memtext_close(f, out)) failed = true;
    if (failed && !rc) rc = err_nomem(e, text_len * 2, NAME);
    if (rc) mem_free(*out);
    mem_free(s.piece);
    mem_free(text);
    return rc;
}
