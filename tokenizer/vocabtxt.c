#define _POSIX_C_SOURCE 200809L
#include "tokenizer/vocabtxt.h"
#include "base/mem.h"
#include "base/memtext.h"
#include "base/path.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocab.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Slow tokenizers that are BertTokenizer under another name, with or without "Fast". */
static const char *const CLASSES[] = {"BertTokenizer",       "DistilBertTokenizer", "ElectraTokenizer",
                                      "MobileBertTokenizer", "ConvBertTokenizer",   "SqueezeBertTokenizer",
                                      "LayoutLMTokenizer",   "LxmertTokenizer"};
/* In the order in which transformers gives ids to those that vocab.txt lacks. */
static const char *const ROLES[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
static const char *const DEFAULTS[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
enum { UNK, SEP, PAD, CLS, MASK, N_ROLES };

static int check_class(json config, pith_err *e)
{
    const char *class;
    if (json_opt_str(config, "tokenizer_class", CLASSES[0], &class, e)) return -1;
    for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++) {
        size_t n = strlen(CLASSES[i]);
        if (strncmp(class, CLASSES[i], n) == 0 && (!class[n] || strcmp(class + n, "Fast") == 0)) return 0;
    }
    return err_set(e,
                   "tokenizer_config.json: tokenizer_class \"%.60s\" is not supported with vocab.txt (supported: "
                   "BertTokenizer, DistilBertTokenizer, ElectraTokenizer, MobileBertTokenizer, ConvBertTokenizer, "
                   "SqueezeBertTokenizer, LayoutLMTokenizer, LxmertTokenizer); save the tokenizer as tokenizer.json",
                   class);
}

int vocabtxt_load(const char *dir, const char *name, json_doc **doc, pith_err *e)
{
    struct stat st;
    char *path = path_join(dir, name, e);
    *doc = NULL;
    bool there = path && stat(path, &st) == 0;
    if (there) *doc = json_load_vocabulary(path, e);
    mem_free(path);
    return !path || (there && !*doc) ? -1 : 0;
}

char *vocabtxt_read(const char *dir, const char *name, size_t *len, pith_err *e)
{
    size_t n = 0, cap = 1 << 16;
    char *path = path_join(dir, name, e), *text = NULL;
    FILE *f = path ? fopen(path, "rb") : NULL;
    if (path && !f)
        err_set(e, "%s: cannot open: %s", path, strerror(errno));
    else if (f && !(text = mem_alloc(cap)))
        err_nomem(e, cap, path);
    while (text && (n += fread(text + n, 1, cap - n, f)) == cap) {
        char *more = cap > SIZE_MAX / 2 ? NULL : mem_resize(text, cap *= 2);
        if (!more) {
            err_nomem(e, cap, path);
            mem_free(text);
        }
        text = more;
    }
    if (text && ferror(f)) {
        err_set(e, "%s: cannot read: %s", path, strerror(errno));
        mem_free(text);
        text = NULL;
    }
    if (f) fclose(f);
    mem_free(path);
    *len = n;
    return text;
}

int vocabtxt_content(json v, const char *def, const char **out, pith_err *e)
{
    *out = json_typeof(v) == JSON_NONE ? def : json_typeof(v) == JSON_STRING ? json_str(v) : NULL;
    if (json_typeof(v) == JSON_OBJECT) return json_get_str(v, "content", out, e);
    return *out || json_typeof(v) == JSON_NULL || json_typeof(v) == JSON_NONE ? 0 : json_expected(v, "a token as string or object", e);
}

/* A special token: of special_tokens_map.json, where that counts, else of tokenizer_config.json. */
static json role_of(json config, json roles, const char *name)
{
    json v = json_get(roles, name);
    return v.node ? v : json_get(config, name);
}

/* Writes the members of "vocab", one a line of the file; a repeated piece has its last line's number, as in Python.
 * at[role] becomes the line of each special token, or stays. */
static int put_vocab(FILE *f, const char *text, size_t len, const char *const role[N_ROLES],
                     long long at[N_ROLES], pith_err *e)
{
    long long line = 0;
    for (size_t i = 0; i < len; line++) {
        size_t from = i;
        while (i < len && text[i] != '\n' && text[i] != '\r' && text[i]) i++;
        if ((i < len && !text[i]) || unicode_valid(text + from, i - from) < i - from)
            return err_set(e, "vocab.txt: line %lld: %s", line + 1,
                           i < len && !text[i] ? "a NUL character" : "not valid UTF-8");
        fputs(line ? "," : "", f);
        json_put_str(f, text + from, i - from);
        fprintf(f, ":%lld", line);
        for (int r = 0; r < N_ROLES; r++)
            if (role[r] && strlen(role[r]) == i - from && memcmp(role[r], text + from, i - from) == 0) at[r] = line;
        if (i < len && text[i++] == '\r' && i < len && text[i] == '\n') i++;
    }
    return line ? 0 : err_set(e, "vocab.txt: it is empty");
}

int vocabtxt_put_added(FILE *f, bool *any, json v, const char *content, bool special, pith_err *e)
{
    static const char *const FLAGS[] = {"single_word", "lstrip", "rstrip", "normalized"};
    fputs(*any ? ",{\"id\":0,\"content\":" : "{\"id\":0,\"content\":", f);
    *any = true;
    json_put_str(f, content, strlen(content));
    for (size_t i = 0; i < sizeof FLAGS / sizeof *FLAGS; i++) {
        int on = 0;
        if (json_typeof(v) == JSON_OBJECT && json_opt_bool(v, FLAGS[i], 0, &on, e)) return -1;
        fprintf(f, ",\"%s\":%s", FLAGS[i], on ? "true" : "false");
    }
    fprintf(f, ",\"special\":%s}", special ? "true" : "false");
    return 0;
}

typedef struct listed_token {
    long long id;
    json v;
} listed_token;

static int by_id(const void *a, const void *b)
{
    long long x = ((const listed_token *)a)->id, y = ((const listed_token *)b)->id;
    return (x > y) - (x < y);
}

int vocabtxt_put_decoder(FILE *f, bool *any, json decoder, pith_err *e)
{
    size_t n = json_len(decoder), i = 0;
    listed_token *list = n ? mem_alloc(n * sizeof *list) : NULL;
    if (n && !list) return err_nomem(e, n * sizeof *list, "added tokens");
    int rc = 0;
    for (json c = json_first(decoder); c.node && !rc; c = json_next(c)) {
        char *end;
        list[i++] = (listed_token){strtoll(json_key(c), &end, 10), c};
        if (*end || end == json_key(c) || list[i - 1].id < 0) rc = json_expected(c, "a token id as key", e);
    }
    if (n && !rc) qsort(list, n, sizeof *list, by_id);
    for (i = 0; i < n && !rc; i++) {
        const char *content;
        int special;
        if (json_get_str(list[i].v, "content", &content, e) || json_opt_bool(list[i].v, "special", 0, &special, e) ||
            vocabtxt_put_added(f, any, list[i].v, content, special, e))
            rc = -1;
    }
    mem_free(list);
    return rc;
}

/* Was it met before? From now on it was. 1, 0, -1. */
static int met(vocab *names, const char *name, pith_err *e)
{
    if (vocab_find(names, name, strlen(name)) >= 0) return 1;
    return vocab_add(names, name, strlen(name), 0, e);
}

static int put_more(FILE *f, bool any, vocab *names, json config, json roles, const char *const role[N_ROLES], pith_err *e)
{
    const char *content;
    for (int r = 0; r < N_ROLES; r++) {
        int before = role[r] ? met(names, role[r], e) : 1;
        if (before < 0 || (!before && vocabtxt_put_added(f, &any, role_of(config, roles, ROLES[r]), role[r], true, e))) return -1;
    }
    for (json c = json_first(role_of(config, roles, "additional_special_tokens")); c.node; c = json_next(c)) {
        if (vocabtxt_content(c, "", &content, e)) return -1;
        int before = content ? met(names, content, e) : 1;
        if (before < 0 || (!before && vocabtxt_put_added(f, &any, c, content, true, e))) return -1;
    }
    return 0;
}

/* added_tokens_decoder, then the special tokens by role, then additional_special_tokens. */
static int put_all_added(FILE *f, json config, json roles, const char *const role[N_ROLES], pith_err *e)
{
    json decoder = json_get(config, "added_tokens_decoder");
    vocab names = {0};
    bool any = false;
    int rc = vocabtxt_put_decoder(f, &any, decoder, e);
    for (json c = json_first(decoder); c.node && !rc; c = json_next(c)) rc = met(&names, json_str(json_get(c, "content")), e) < 0;
    if (!rc) rc = put_more(f, any, &names, config, roles, role, e);
    vocab_free(&names);
    return rc ? -1 : 0;
}

static void put_part(FILE *f, const char *name, int type_id)
{
    fputs("{\"SpecialToken\":{\"id\":", f);
    json_put_str(f, name, strlen(name));
    fprintf(f, ",\"type_id\":%d}}", type_id);
}

static void put_template(FILE *f, const char *cls, long long cls_id, const char *sep, long long sep_id)
{
    fputs("\"post_processor\":{\"type\":\"TemplateProcessing\"", f);
    for (int pair = 0; pair < 2; pair++) {
        fputs(pair ? ",\"pair\":[" : ",\"single\":[", f);
        put_part(f, cls, 0);
        fputs(",{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},", f);
        put_part(f, sep, 0);
        if (pair) {
            fputs(",{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},", f);
            put_part(f, sep, 1);
        }
        fputs("]", f);
    }
    fputs(",\"special_tokens\":{", f);
    json_put_str(f, cls, strlen(cls));
    fprintf(f, ":{\"ids\":[%lld]},", cls_id);
    json_put_str(f, sep, strlen(sep));
    fprintf(f, ":{\"ids\":[%lld]}}},", sep_id);
}

static int put_normalizer(FILE *f, json config, pith_err *e)
{
    int lower, basic, chinese, strip;
    if (json_opt_bool(config, "do_lower_case", 1, &lower, e) ||
        json_opt_bool(config, "do_basic_tokenize", 1, &basic, e) ||
        json_opt_bool(config, "tokenize_chinese_chars", 1, &chinese, e) ||
        json_opt_bool(config, "strip_accents", lower, &strip, e))
        return -1;
    fprintf(f,
            "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":%s,"
            "\"strip_accents\":%s,\"lowercase\":%s},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
            "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},",
            basic && chinese ? "true" : "false", basic && strip ? "true" : "false", basic && lower ? "true" : "false");
    return 0;
}

/* roles: where the special tokens are named. */
static int put_all(FILE *f, const char *text, size_t len, json config, json roles, pith_err *e)
{
    const char *role[N_ROLES];
    long long at[N_ROLES] = {-1, -1, -1, -1, -1};
    for (int r = 0; r < N_ROLES; r++) {
        json v = role_of(config, roles, ROLES[r]);
        if (vocabtxt_content(v, DEFAULTS[r], &role[r], e)) return -1;
        if (!role[r] && r != PAD && r != MASK) return json_expected(v, "a token", e);
    }
    fputs("{\"version\":\"1.0\",", f);
    if (put_normalizer(f, config, e)) return -1;
    fputs("\"added_tokens\":[", f);
    if (put_all_added(f, config, roles, role, e)) return -1;
    fputs("],\"model\":{\"type\":\"WordPiece\",\"unk_token\":", f);
    json_put_str(f, role[UNK], strlen(role[UNK]));
    fputs(",\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,\"vocab\":{", f);
    if (put_vocab(f, text, len, role, at, e)) return -1;
    fputs("}},", f);
    for (int r = 0; r < N_ROLES; r++)
        if ((r == CLS || r == SEP) && at[r] < 0)
            return err_set(e, "vocab.txt: no line \"%.60s\" (%s)", role[r], ROLES[r]);
    put_template(f, role[CLS], at[CLS], role[SEP], at[SEP]);
    fputs("\"padding\":null}", f);
    return 0;
}

static int convert(const char *dir, json config, json roles, char **out, size_t *len, pith_err *e)
{
    size_t text_len;
    char *text = vocabtxt_read(dir, "vocab.txt", &text_len, e);
    if (!text) return -1;
    *out = NULL;
    *len = 0;
    FILE *f = memtext_open(out, len);
    int rc = f ? put_all(f, text, text_len, config, roles, e) : -1;
    bool failed = !f || ferror(f);
    if (f && memtext_close(f, out)) failed = true;
    if (failed) rc = err_nomem(e, text_len * 2, "vocab.txt");
    mem_free(text);
    if (rc) mem_free(*out);
    return rc;
}

int vocabtxt_convert(const char *dir, json config, char **out, size_t *len, pith_err *e)
{
    json_doc *roles = NULL, *added = NULL;
    int rc = check_class(config, e);
    /* Since added_tokens_decoder came, transformers reads neither of these two where it is. */
    if (!rc && !json_get(config, "added_tokens_decoder").node) {
        rc = vocabtxt_load(dir, "special_tokens_map.json", &roles, e);
        if (!rc) rc = vocabtxt_load(dir, "added_tokens.json", &added, e);
        if (!rc && json_first(json_root(added)).node)
            rc = err_set(e, "%s/added_tokens.json: not supported; save the tokenizer as tokenizer.json", dir);
    }
    if (!rc) rc = convert(dir, config, json_root(roles), out, len, e);
    json_free(roles);
    json_free(added);
    return rc;
}
