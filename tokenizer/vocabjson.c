#define _POSIX_C_SOURCE 200809L
#include "tokenizer/vocabjson.h"
#include "tokenizer/unicode.h"
#include "tokenizer/vocabtxt.h"
#include "base/memtext.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QWEN2_PATTERN                                                                                                  \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"     \
    "\\s+(?!\\S)|\\s+"

static int find_class(json config, bool *qwen, pith_err *e)
{
    const char *class;
    if (json_opt_str(config, "tokenizer_class", "GPT2Tokenizer", &class, e)) return -1;
    *qwen = strncmp(class, "Qwen2Tokenizer", 14) == 0;
    size_t n = *qwen ? 14 : 13;
    if ((*qwen || strncmp(class, "GPT2Tokenizer", 13) == 0) && (!class[n] || strcmp(class + n, "Fast") == 0)) return 0;
    return err_set(e,
                   "tokenizer_config.json: tokenizer_class \"%.60s\" is not supported with vocab.json and merges.txt "
                   "(supported: GPT2Tokenizer, Qwen2Tokenizer); save the tokenizer as tokenizer.json",
                   class);
}

/* One merge a line; a first line that begins with #version, and empty ones, do not count. */
static int put_merges(FILE *f, const char *text, size_t len, pith_err *e)
{
    bool any = false;
    size_t line = 0;
    for (size_t i = 0; i < len; i++) {
        size_t from = i;
        while (i < len && text[i] != '\n') i++;
        size_t to = i > from && text[i - 1] == '\r' ? i - 1 : i;
        line++;
        if (to == from || (line == 1 && to - from >= 8 && memcmp(text + from, "#version", 8) == 0)) continue;
        if (memchr(text + from, 0, to - from) || unicode_valid(text + from, to - from) < to - from)
            return err_set(e, "merges.txt: line %zu: not valid UTF-8 without NUL", line);
        if (any) fputc(',', f);
        any = true;
        json_put_str(f, text + from, to - from);
    }
    return 0;
}

static void put_vocab(FILE *f, json vocab)
{
    bool any = false;
    for (json c = json_first(vocab); c.node; c = json_next(c)) {
        if (any) fputc(',', f);
        any = true;
        json_put_str(f, json_key(c), strlen(json_key(c)));
        fputc(':', f);
        json_put_f64(f, json_num(c));
    }
}

/* The tokens that tokenizer_config.json lists, else the one that ends a text. */
static int put_added(FILE *f, json config, bool qwen, pith_err *e)
{
    static const char *const ROLES[] = {"unk_token", "bos_token", "eos_token", "pad_token"};
    json listed = json_get(config, "added_tokens_decoder");
    const char *done[4] = {0};
    bool any = false;
    fputs("\"added_tokens\":[", f);
    if (vocabtxt_put_decoder(f, &any, listed, e)) return -1;
    for (int r = 0; r < 4; r++) {
        /* Qwen2 has no token that begins a text, GPT-2 none that fills. */
        const char *def = r == 3 ? NULL : qwen && r == 1 ? NULL : "<|endoftext|>", *content;
        json v = json_get(config, ROLES[r]);
        bool there = false;
        if (vocabtxt_content(v, def, &content, e)) return -1;
        if (!content) continue;
        for (json c = json_first(listed); c.node; c = json_next(c))
            there |= strcmp(json_str(json_get(c, "content")), content) == 0;
        for (int k = 0; k < r; k++) there |= done[k] && strcmp(done[k], content) == 0;
        done[r] = content;
        if (!there && vocabtxt_put_added(f, &any, v, content, true, e)) return -1;
    }
    fputs("],", f);
    return 0;
}

static int put_bos(FILE *f, json config, json vocab, pith_err *e)
{
    int bos;
    const char *name;
    if (json_opt_bool(config, "add_bos_token", 0, &bos, e) ||
        vocabtxt_content(json_get(config, "bos_token"), "<|endoftext|>", &name, e))
        return -1;
    if (!bos || !name) {
        fputs("\"post_processor\":{\"type\":\"ByteLevel\",\"trim_offsets\":false},", f);
        return 0;
    }
    json id = json_get(vocab, name);
    if (!id.node) return err_set(e, "vocab.json: no \"%.60s\" (bos_token)", name);
    static const char *const PARTS[] = {",\"single\":[", ",\"pair\":["};
    fputs("\"post_processor\":{\"type\":\"TemplateProcessing\"", f);
    for (int pair = 0; pair < 2; pair++) {
        fputs(PARTS[pair], f);
        for (int k = 0; k <= pair; k++) {
            fputs(k ? ",{\"SpecialToken\":{\"id\":" : "{\"SpecialToken\":{\"id\":", f);
            json_put_str(f, name, strlen(name));
            fprintf(f, ",\"type_id\":%d}},{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}", k, 'A' + k, k);
        }
        fputc(']', f);
    }
    fputs(",\"special_tokens\":{", f);
    json_put_str(f, name, strlen(name));
    fputs(":{\"ids\":[", f);
    json_put_f64(f, json_num(id));
    fputs("]}}},", f);
    return 0;
}

static int put_all(FILE *f, json vocab, const char *merges, size_t len, json config, bool qwen, pith_err *e)
{
    int prefix;
    if (json_opt_bool(config, "add_prefix_space", 0, &prefix, e)) return -1;
    if (json_typeof(vocab) != JSON_OBJECT) return json_expected(vocab, "an object", e);
    fputs("{\"version\":\"1.0\",", f);
    if (put_added(f, config, qwen, e) || put_bos(f, config, vocab, e)) return -1;
    if (qwen) {
        fputs("\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
              "\"Split\",\"pattern\":{\"Regex\":", f);
        json_put_str(f, QWEN2_PATTERN, strlen(QWEN2_PATTERN));
        fprintf(f, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":%s,"
                   "\"use_regex\":false}]},", prefix ? "true" : "false");
    } else {
        fprintf(f, "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":%s},", prefix ? "true" : "false");
    }
    fputs("\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{", f);
    put_vocab(f, vocab);
    fputs("},\"merges\":[", f);
    if (put_merges(f, merges, len, e)) return -1;
    fputs("]}}", f);
    return 0;
}

int vocabjson_convert(const char *dir, json config, char **out, size_t *len, pith_err *e)
{
    bool qwen;
    json_doc *vocab = NULL;
    size_t merges_len = 0;
    if (find_class(config, &qwen, e) || vocabtxt_load(dir, "vocab.json", &vocab, e)) return -1;
    char *merges = vocabtxt_read(dir, "merges.txt", &merges_len, e);
    *out = NULL;
    *len = 0;
    FILE *f = merges ? memtext_open(out, len) : NULL;
    int rc = f ? put_all(f, json_root(vocab), merges, merges_len, config, qwen, e) : -1;
    bool failed = !f || ferror(f);
    if (f && memtext_close(f, out)) failed = true;
    if (failed && merges) rc = err_nomem(e, merges_len * 2, "vocab.json");
    json_free(vocab);
    free(merges);
    if (rc) free(*out);
    return rc;
}
