#include "tokenizer/pretokenize.h"
#include "tokenizer/unicode.h"
#include <stdlib.h>
#include <string.h>

/* All splitters so far cut by the kind of single characters: between two kinds, and a LONE one from everything. */
enum { DROPPED, LONE, RUN_A, RUN_B };
typedef unsigned kind_fn(uint32_t c);

typedef struct pretokenize_step {
    kind_fn *kind;
    uint8_t ascii[128];
} pretokenize_step;

/* Cuts at White_Space, then isolates each punctuation character. */
static unsigned kind_bert(uint32_t c)
{
    unsigned class = unicode_class(c);
    return class & UNICODE_SPACE ? DROPPED : class & UNICODE_PUNCTUATION ? LONE : RUN_A;
}

/* \w+|[^\w\s]+ */
static unsigned kind_whitespace(uint32_t c)
{
    unsigned class = unicode_class(c);
    return class & UNICODE_SPACE ? DROPPED : class & UNICODE_WORD ? RUN_A : RUN_B;
}

static unsigned kind_whitespace_split(uint32_t c) { return unicode_class(c) & UNICODE_SPACE ? DROPPED : RUN_A; }

static inline unsigned kind_at(const pretokenize_step *s, const char *text, size_t at, size_t *len)
{
    unsigned char b = (unsigned char)text[at];
    if (b < 0x80) return *len = 1, s->ascii[b];
    return s->kind(unicode_decode(text + at, len));
}

/* Steps `level` and later over text[begin..end). */
static int run(const pretokenizer *p, size_t level, const char *text, size_t begin, size_t end, pretokenize_word *word,
               void *ctx, pith_err *e)
{
    if (level == p->n) return begin < end ? word(ctx, text, begin, end, e) : 0;
    const pretokenize_step *s = &p->step[level];
    for (size_t i = begin; i < end;) {
        size_t from = i, len;
        unsigned kind = kind_at(s, text, i, &len);
        i += len;
        if (kind == DROPPED) continue;
        if (kind != LONE)
            while (i < end && kind_at(s, text, i, &len) == kind) i += len;
        int rc = level + 1 == p->n ? word(ctx, text, from, i, e) : run(p, level + 1, text, from, i, word, ctx, e);
        if (rc) return -1;
    }
    return 0;
}

int pretokenize_run(const pretokenizer *p, const char *text, size_t begin, size_t end, pretokenize_word *word,
                     void *ctx, pith_err *e)
{
    return run(p, 0, text, begin, end, word, ctx, e);
}

static int add_step(pretokenizer *p, kind_fn *kind, pith_err *e)
{
    /* Each level is a call of run() inside the other. */
    if (p->n >= 64) return err_set(e, "tokenizer.json: pre_tokenizer: more than 64 steps in Sequence");
    pretokenize_step *s = realloc(p->step, (p->n + 1) * sizeof *s);
    if (!s) return err_nomem(e, (p->n + 1) * sizeof *s, "the pre-tokenizer");
    p->step = s;
    s += p->n++;
    s->kind = kind;
    for (uint32_t c = 0; c < 128; c++) s->ascii[c] = (uint8_t)kind(c);
    return 0;
}

static int read_one(pretokenizer *p, json v, int depth, pith_err *e)
{
    const char *type;
    json list;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object or null", e);
    if (json_get_str(v, "type", &type, e)) return -1;
    if (strcmp(type, "BertPreTokenizer") == 0) return add_step(p, kind_bert, e);
    if (strcmp(type, "Whitespace") == 0) return add_step(p, kind_whitespace, e);
    if (strcmp(type, "WhitespaceSplit") == 0) return add_step(p, kind_whitespace_split, e);
    if (strcmp(type, "Sequence") != 0)
        return err_set(e,
                       "tokenizer.json: pre_tokenizer.type \"%.60s\" is not supported (supported: BertPreTokenizer, "
                       "Whitespace, WhitespaceSplit, Sequence, null)",
                       type);
    if (depth >= 16) return err_set(e, "tokenizer.json: pre_tokenizer: Sequence in Sequence more than 16 deep");
    if (json_get_array(v, "pretokenizers", &list, e)) return -1;
    for (json c = json_first(list); c.node; c = json_next(c))
        if (read_one(p, c, depth + 1, e)) return -1;
    return 0;
}

int pretokenize_open(pretokenizer *p, json v, pith_err *e)
{
    *p = (pretokenizer){0};
    return json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL ? 0 : read_one(p, v, 0, e);
}

void pretokenize_free(pretokenizer *p)
{
    free(p->step);
    *p = (pretokenizer){0};
}
