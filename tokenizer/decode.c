#include "tokenizer/decode.h"
#include <stdlib.h>
#include <string.h>

/* Appends the changed list to `out`, which is empty. */
typedef int decode_fn(const struct decode_step *s, const decode_list *in, decode_list *out, pith_err *e);
typedef struct decode_step {
    decode_fn *fn;
    char *prefix; /* WordPiece */
    bool cleanup;
} decode_step;

static int reserve(decode_list *l, size_t more, pith_err *e)
{
    if (l->cap - l->len < more) {
        size_t cap = l->cap + l->cap / 2 + more + 64;
        char *p = realloc(l->text, cap);
        if (!p) return err_nomem(e, cap, "decoded text");
        l->text = p;
        l->cap = cap;
    }
    if (l->n == l->cap_end) {
        size_t cap = l->cap_end * 2 + 16;
        size_t *p = realloc(l->end, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "decoded text");
        l->end = p;
        l->cap_end = cap;
    }
    return 0;
}

int decode_list_add(decode_list *l, const char *s, size_t len, pith_err *e)
{
    if (reserve(l, len, e)) return -1;
    if (len) memcpy(l->text + l->len, s, len);
    l->end[l->n++] = l->len += len;
    return 0;
}

void decode_list_free(decode_list *l)
{
    free(l->text);
    free(l->end);
    *l = (decode_list){0};
}

/* Replaces every `from` in s[0..n) by `to`, which is shorter. Returns the new length. */
static size_t replace(char *s, size_t n, const char *from, const char *to)
{
    size_t f = strlen(from), t = strlen(to), o = 0;
    for (size_t i = 0; i < n;) {
        if (n - i >= f && memcmp(s + i, from, f) == 0) {
            memcpy(s + o, to, t);
            o += t;
            i += f;
        } else {
            s[o++] = s[i++];
        }
    }
    return o;
}

/* Takes out the spaces that cutting at punctuation left, within one piece and the space before it, in this order. */
static size_t cleanup(char *s, size_t n)
{
    static const char *const RULES[][2] = {{" .", "."},    {" ?", "?"},         {" !", "!"},   {" ,", ","},
                                           {" ' ", "'"},   {" n't", "n't"},     {" 'm", "'m"}, {" do not", " don't"},
                                           {" 's", "'s"},  {" 've", "'ve"},     {" 're", "'re"}};
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) n = replace(s, n, RULES[i][0], RULES[i][1]);
    return n;
}

/* A piece that goes on a word loses the prefix; any other but the first gets a space before it. */
static int wordpiece(const decode_step *s, const decode_list *in, decode_list *out, pith_err *e)
{
    size_t prefix_len = strlen(s->prefix), at = 0;
    for (size_t i = 0; i < in->n; i++) {
        const char *piece = in->text + at;
        size_t len = in->end[i] - at, from = out->len;
        at = in->end[i];
        if (reserve(out, len + 1, e)) return -1;
        if (i && len >= prefix_len && memcmp(piece, s->prefix, prefix_len) == 0) {
            piece += prefix_len;
            len -= prefix_len;
        } else if (i) {
            out->text[out->len++] = ' ';
        }
        if (len) memcpy(out->text + out->len, piece, len);
        out->len += len;
        if (s->cleanup) out->len = from + cleanup(out->text + from, out->len - from);
        out->end[out->n++] = out->len;
    }
    return 0;
}

int decode_run(const decoder *d, decode_list *pieces, char **out, size_t *len, pith_err *e)
{
    decode_list next = {0};
    int rc = 0;
    for (size_t i = 0; i < d->n && !rc; i++) {
        next.len = next.n = 0;
        rc = d->step[i].fn(&d->step[i], pieces, &next, e);
        decode_list was = *pieces;
        *pieces = next;
        next = was;
    }
    decode_list_free(&next);
    size_t n = pieces->len + (d->join && pieces->n ? pieces->n - 1 : 0), o = 0, at = 0;
    if (rc || !(*out = malloc(n + 1))) return rc ? -1 : err_nomem(e, n + 1, "decoded text");
    for (size_t i = 0; i < pieces->n; i++) {
        size_t k = pieces->end[i] - at;
        if (d->join && i) (*out)[o++] = ' ';
        if (k) memcpy(*out + o, pieces->text + at, k);
        o += k;
        at = pieces->end[i];
    }
    (*out)[o] = 0;
    *len = o;
    return 0;
}

/* ---- tokenizer.json ---- */

static int read_wordpiece(decoder *d, json v, pith_err *e)
{
    const char *prefix;
    int clean;
    if (json_get_str(v, "prefix", &prefix, e) || json_get_bool(v, "cleanup", &clean, e)) return -1;
    size_t n = strlen(prefix) + 1;
    char *copy = malloc(n);
    decode_step *s = copy ? realloc(d->step, (d->n + 1) * sizeof *s) : NULL;
    if (!s) {
        free(copy);
        return err_nomem(e, n + (d->n + 1) * sizeof *s, "the decoder");
    }
    memcpy(copy, prefix, n);
    d->step = s;
    s[d->n++] = (decode_step){wordpiece, copy, clean != 0};
    return 0;
}

static int read_one(decoder *d, json v, int depth, pith_err *e)
{
    const char *type;
    json list;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object or null", e);
    if (json_get_str(v, "type", &type, e)) return -1;
    if (strcmp(type, "WordPiece") == 0) return read_wordpiece(d, v, e);
    if (strcmp(type, "Sequence") != 0)
        return err_set(e,
                       "tokenizer.json: decoder.type \"%.60s\" is not supported (supported: WordPiece, Sequence, null)",
                       type);
    if (depth >= 16) return err_set(e, "tokenizer.json: decoder: Sequence in Sequence more than 16 deep");
    if (json_get_array(v, "decoders", &list, e)) return -1;
    for (json c = json_first(list); c.node; c = json_next(c))
        if (read_one(d, c, depth + 1, e)) return -1;
    return 0;
}

int decode_open(decoder *d, json v, pith_err *e)
{
    *d = (decoder){0};
    d->join = json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL;
    return d->join ? 0 : read_one(d, v, 0, e);
}

void decode_free(decoder *d)
{
    for (size_t i = 0; i < d->n; i++) free(d->step[i].prefix);
    free(d->step);
    *d = (decoder){0};
}
