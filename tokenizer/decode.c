#include "tokenizer/decode.h"
#include "tokenizer/bytelevel.h"
#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"
#include <stdlib.h>
#include <string.h>

typedef struct decode_run {
    const decoder *d;
    decode_state *s;
    pith_err *e;
} decode_run;

/* A piece, or a part of one: STARTS and ENDS say which; END_OF_ALL comes once, after the last one, without text. */
enum { STARTS = 1, ENDS = 2, WHOLE = 3, END_OF_ALL = 4 };
typedef int decode_fn(decode_run *r, size_t level, const char *s, size_t n, unsigned flags);
typedef struct decode_step {
    decode_fn *fn;
    bool gathers; /* wants whole pieces */
    char *from, *to;
    size_t from_len, to_len;
    regex *pattern; /* Replace: instead of `from` */
    bool flag;      /* WordPiece: cleanup; Metaspace: the first piece began with a space of the tokenizer's */
    uint64_t start, stop; /* Strip */
} decode_step;

typedef struct decode_memory {
    decode_text gathered; /* parts of a piece */
    decode_text held;     /* what the step keeps back */
    decode_text work;
    size_t count;         /* pieces so far */
    uint64_t stripped;
    bool open;            /* a piece has started downstream and has not ended */
    regex_scratch *scratch;
} decode_memory;

static int append(decode_text *t, const char *s, size_t n, pith_err *e)
{
    if (t->cap - t->n < n) {
        if (n > SIZE_MAX / 4 - t->n) return err_nomem(e, SIZE_MAX, "decoded text");
        size_t cap = t->cap + t->cap / 2 + n + 64;
        char *p = realloc(t->s, cap);
        if (!p) return err_nomem(e, cap, "decoded text");
        t->s = p;
        t->cap = cap;
    }
    if (n) memcpy(t->s + t->n, s, n);
    t->n += n;
    return 0;
}

/* Steps that double a text, one after the other, would fill any memory. */
static int check_growth(const decode_run *r, size_t n)
{
    size_t fed = r->s->fed;
    if (n >> 20 == 0 || (n - (1 << 20)) / 64 <= fed) return 0;
    return err_set(r->e, "tokenizer.json: decoder: its steps make a text over 64 times as long: a broken or hostile file");
}

/* To the step `level`, or out. */
static int pass(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    if (!n) s = "";
    if (check_growth(r, level == r->d->n ? r->s->out.n + n : n)) return -1;
    if (level == r->d->n) return append(&r->s->out, s, n, r->e);
    const decode_step *step = &r->d->step[level];
    decode_text *g = &r->s->memory[level].gathered;
    if (!step->gathers || flags == WHOLE || flags == END_OF_ALL) return step->fn(r, level, s, n, flags);
    if (append(g, s, n, r->e)) return -1;
    if (!(flags & ENDS)) return 0;
    int rc = step->fn(r, level, g->s, g->n, WHOLE);
    g->n = 0;
    return rc;
}

/* ---- the steps ---- */

/* Replaces every `from` in s[0..n) by `to`, which is shorter. Returns the new length. */
static size_t shorten(char *s, size_t n, const char *from, const char *to)
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
    for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++) n = shorten(s, n, RULES[i][0], RULES[i][1]);
    return n;
}

/* A piece that goes on a word loses the prefix; any other but the first gets a space before it. */
static int wordpiece(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    const decode_step *step = &r->d->step[level];
    decode_memory *m = &r->s->memory[level];
    if (flags == END_OF_ALL) return pass(r, level + 1, "", 0, flags);
    bool goes_on = m->count && n >= step->from_len && memcmp(s, step->from, step->from_len) == 0;
    m->work.n = 0;
    if (m->count++ && !goes_on && append(&m->work, " ", 1, r->e)) return -1;
    if (goes_on) {
        s += step->from_len;
        n -= step->from_len;
    }
    if (append(&m->work, s, n, r->e)) return -1;
    if (step->flag) m->work.n = cleanup(m->work.s, m->work.n);
    return pass(r, level + 1, m->work.s, m->work.n, WHOLE);
}

/* No decoder: pieces joined by spaces. */
static int join(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    decode_memory *m = &r->s->memory[level];
    if (flags != END_OF_ALL && m->count++ && pass(r, level + 1, " ", 1, WHOLE)) return -1;
    return pass(r, level + 1, s, n, flags);
}

/* All pieces become one. */
static int fused(decode_run *r, size_t level, const char *s, size_t n)
{
    decode_memory *m = &r->s->memory[level];
    unsigned flags = m->open ? 0 : STARTS;
    m->open = true;
    return pass(r, level + 1, s, n, flags);
}

static int fused_end(decode_run *r, size_t level)
{
    decode_memory *m = &r->s->memory[level];
    if (pass(r, level + 1, "", 0, m->open ? ENDS : WHOLE)) return -1;
    m->open = false;
    return pass(r, level + 1, "", 0, END_OF_ALL);
}

static int fuse(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    return flags == END_OF_ALL ? fused_end(r, level) : fused(r, level, s, n);
}

/* Passes on what of the held bytes is decided, invalid parts as U+FFFD; the start of a character waits. */
static int release(decode_run *r, size_t level, bool all)
{
    decode_text *h = &r->s->memory[level].held;
    size_t i = 0;
    while (i < h->n) {
        size_t ok = unicode_valid(h->s + i, h->n - i), bad;
        if (ok && fused(r, level, h->s + i, ok)) return -1;
        i += ok;
        if (i == h->n) break;
        unicode_sequence(h->s + i, h->n - i, &bad);
        if (i + bad >= h->n && !all && unicode_may_go_on(h->s + i, h->n - i)) break;
        if (fused(r, level, "\xef\xbf\xbd", 3)) return -1;
        i += bad;
    }
    h->n -= i;
    if (h->n) memmove(h->s, h->s + i, h->n);
    return 0;
}

/* Letters to the bytes that they stand for; a piece with any other letter stands for itself. */
static int byte_level(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    decode_text *h = &r->s->memory[level].held;
    if (flags == END_OF_ALL) return release(r, level, true) ? -1 : fused_end(r, level);
    size_t was = h->n, len;
    for (size_t i = 0; i < n; i += len) {
        int b = bytelevel_byte(unicode_decode(s + i, &len));
        char c = (char)b;
        if (b < 0) {
            h->n = was;
            if (append(h, s, n, r->e)) return -1;
            break;
        }
        if (append(h, &c, 1, r->e)) return -1;
    }
    return release(r, level, false);
}

/* The bytes of a piece of such letters; -1: it has others. */
static int letter_bytes(const char *s, size_t n, decode_text *out, pith_err *e)
{
    for (size_t i = 0, len; i < n; i += len)
        if (bytelevel_byte(unicode_decode(s + i, &len)) < 0) return -1;
    for (size_t i = 0, len; i < n; i += len) {
        char c = (char)bytelevel_byte(unicode_decode(s + i, &len));
        if (append(out, &c, 1, e)) return -1;
    }
    return 0;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

/* The byte of a <0xNN> piece, else -1. */
static int fallback_byte(const char *s, size_t n)
{
    if (n != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    /* The reference's number parser takes a plus sign. */
    int a = s[3] == '+' ? 0 : hex(s[3]), b = hex(s[4]);
    return a >= 0 && b >= 0 ? a << 4 | b : -1;
}

/* <0xNN> pieces in a row are one piece if their bytes are valid UTF-8; else each is U+FFFD. */
static int byte_fallback(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    decode_text *h = &r->s->memory[level].held;
    int b = flags == END_OF_ALL ? -1 : fallback_byte(s, n);
    if (b >= 0) return append(h, &(char){(char)b}, 1, r->e);
    if (h->n && unicode_valid(h->s, h->n) == h->n) {
        if (pass(r, level + 1, h->s, h->n, WHOLE)) return -1;
    } else {
        for (size_t i = 0; i < h->n; i++)
            if (pass(r, level + 1, "\xef\xbf\xbd", 3, WHOLE)) return -1;
    }
    h->n = 0;
    return pass(r, level + 1, s, n, flags);
}

/* Takes up to `start` of a character from the front of each piece and up to `stop` from its end, which wait there. */
static int strip(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    const decode_step *step = &r->d->step[level];
    decode_memory *m = &r->s->memory[level];
    decode_text *h = &m->held;
    size_t c = step->from_len;
    if (flags == END_OF_ALL) return pass(r, level + 1, "", 0, flags);
    if (flags & STARTS) {
        m->stripped = 0;
        h->n = 0;
    }
    while (m->stripped < step->start && n >= c && memcmp(s, step->from, c) == 0) {
        m->stripped++;
        s += c;
        n -= c;
    }
    if (n) m->stripped = UINT64_MAX; /* the front is over */
    if (append(h, s, n, r->e)) return -1;
    /* Of what is held, only the run at the end may still go. */
    size_t keep = h->n;
    uint64_t k = 0;
    while (k < step->stop && keep >= c && memcmp(h->s + keep - c, step->from, c) == 0) {
        keep -= c;
        k++;
    }
    if (pass(r, level + 1, h->s, keep, flags)) return -1;
    if (flags & ENDS)
        h->n = 0;
    else if (keep) {
        h->n -= keep;
        memmove(h->s, h->s + keep, h->n);
    }
    return 0;
}

static int find(const decode_step *step, decode_memory *m, const char *s, size_t n, size_t from, size_t *begin,
                size_t *end, pith_err *e)
{
    if (step->pattern) return regex_next(step->pattern, m->scratch, s, n, from, begin, end, e);
    for (size_t i = from; n - i >= step->from_len; i++) {
        if (memcmp(s + i, step->from, step->from_len) != 0) continue;
        *begin = i;
        *end = i + step->from_len;
        return 1;
    }
    return 0;
}

static int replace(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    const decode_step *step = &r->d->step[level];
    decode_memory *m = &r->s->memory[level];
    size_t done = 0, from = 0, b = 0, z = 0, last = SIZE_MAX;
    int rc = 0;
    if (flags == END_OF_ALL) return pass(r, level + 1, "", 0, flags);
    m->work.n = 0;
    if (step->pattern && !m->scratch && !(m->scratch = regex_scratch_new(step->pattern, r->e))) return -1;
    while (from <= n && (rc = find(step, m, s, n, from, &b, &z, r->e)) > 0) {
        if (b == z && b == last) { /* an empty match where the one before ended does not count */
            size_t len = 1;
            if (from < n) unicode_decode(s + from, &len);
            from += len;
            continue;
        }
        from = last = z;
        if (check_growth(r, m->work.n + step->to_len)) return -1;
        if (append(&m->work, s + done, b - done, r->e) || append(&m->work, step->to, step->to_len, r->e)) return -1;
        done = z;
    }
    if (rc < 0 || append(&m->work, s + done, n - done, r->e)) return -1;
    return pass(r, level + 1, m->work.s, m->work.n, flags);
}

/* The replacement becomes a space, or nothing in the first piece if the tokenizer put it there. */
static int metaspace(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    const decode_step *step = &r->d->step[level];
    decode_memory *m = &r->s->memory[level];
    if (flags == END_OF_ALL) return pass(r, level + 1, "", 0, flags);
    bool drop = !m->count++ && step->flag;
    m->work.n = 0;
    for (size_t i = 0, len; i < n; i += len) {
        unicode_decode(s + i, &len);
        bool space = len == step->from_len && memcmp(s + i, step->from, len) == 0;
        if (space ? !drop && append(&m->work, " ", 1, r->e) : append(&m->work, s + i, len, r->e)) return -1;
    }
    return pass(r, level + 1, m->work.s, m->work.n, flags);
}

/* The suffix becomes a space, in the last piece nothing: so each piece waits for the next. */
static int bpe(decode_run *r, size_t level, const char *s, size_t n, unsigned flags)
{
    const decode_step *step = &r->d->step[level];
    decode_memory *m = &r->s->memory[level];
    decode_text *h = &m->held;
    if (m->count) {
        m->work.n = 0;
        for (size_t i = 0; i < h->n;) {
            bool suffix = step->from_len && h->n - i >= step->from_len && memcmp(h->s + i, step->from, step->from_len) == 0;
            if (suffix ? flags != END_OF_ALL && append(&m->work, " ", 1, r->e) : append(&m->work, h->s + i, 1, r->e))
                return -1;
            i += suffix ? step->from_len : 1;
        }
        if (pass(r, level + 1, m->work.s, m->work.n, WHOLE)) return -1;
    }
    h->n = 0;
    m->count = 1;
    return flags == END_OF_ALL ? pass(r, level + 1, "", 0, flags) : append(h, s, n, r->e);
}

/* ---- running ---- */

int decode_begin(const decoder *d, decode_state *s, pith_err *e)
{
    if (!s->memory && d->n && !(s->memory = calloc(d->n, sizeof *s->memory)))
        return err_nomem(e, d->n * sizeof *s->memory, "decoded text");
    return 0;
}

int decode_feed(const decoder *d, decode_state *s, const char *piece, size_t len, pith_err *e)
{
    decode_run r = {d, s, e};
    if (len > SIZE_MAX / 128 - s->fed) return err_nomem(e, SIZE_MAX, "decoded text");
    s->fed += len;
    return pass(&r, 0, piece, len, WHOLE);
}

int decode_end(const decoder *d, decode_state *s, pith_err *e)
{
    decode_run r = {d, s, e};
    return pass(&r, 0, "", 0, END_OF_ALL);
}

void decode_state_free(const decoder *d, decode_state *s)
{
    for (size_t i = 0; s->memory && i < d->n; i++) {
        decode_memory *m = &s->memory[i];
        free(m->gathered.s);
        free(m->held.s);
        free(m->work.s);
        regex_scratch_free(m->scratch);
    }
    free(s->memory);
    free(s->out.s);
    *s = (decode_state){0};
}

/* What follows an ordinary piece is in the middle of a text. */
static int decode_two(const decoder *d, const char *first, const char *piece, size_t len, decode_text *out, pith_err *e)
{
    decode_state s = {0};
    int rc = decode_begin(d, &s, e);
    if (!rc) rc = decode_feed(d, &s, first, strlen(first), e);
    if (!rc && piece) rc = decode_feed(d, &s, piece, len, e);
    if (!rc) rc = decode_end(d, &s, e);
    if (!rc) rc = append(out, s.out.s, s.out.n, e);
    decode_state_free(d, &s);
    return rc;
}

int decode_piece(const decoder *d, const char *piece, size_t len, decode_text *out, pith_err *e)
{
    for (size_t i = 0; i < d->n; i++) {
        int b = d->step[i].fn == byte_fallback ? fallback_byte(piece, len) : -1;
        if (b >= 0) return append(out, &(char){(char)b}, 1, e);
        if (d->step[i].fn == byte_level && !letter_bytes(piece, len, out, e)) return 0;
    }
    decode_text before = {0}, both = {0};
    int rc = decode_two(d, "a", NULL, 0, &before, e);
    if (!rc) rc = decode_two(d, "a", piece, len, &both, e);
    size_t n = both.n >= before.n && (!before.n || memcmp(both.s, before.s, before.n) == 0) ? before.n : 0;
    if (!rc) rc = append(out, both.n ? both.s + n : "", both.n - n, e);
    free(before.s);
    free(both.s);
    return rc;
}

/* ---- tokenizer.json ---- */

#define WHERE "tokenizer.json: decoder"

static decode_step *add_step(decoder *d, decode_fn *fn, bool gathers, pith_err *e)
{
    if (d->n >= 64) return err_set(e, WHERE ": more than 64 steps in Sequence"), NULL;
    decode_step *s = realloc(d->step, (d->n + 1) * sizeof *s);
    if (!s) return err_nomem(e, (d->n + 1) * sizeof *s, "the decoder"), NULL;
    d->step = s;
    s += d->n++;
    *s = (decode_step){.fn = fn, .gathers = gathers};
    return s;
}

static int set_text(char **to, size_t *len, const char *text, pith_err *e)
{
    *len = strlen(text);
    if (!(*to = malloc(*len + 1))) return err_nomem(e, *len + 1, "the decoder");
    memcpy(*to, text, *len + 1);
    return 0;
}

static int read_wordpiece(decoder *d, json v, pith_err *e)
{
    const char *prefix;
    int clean;
    decode_step *s;
    if (json_get_str(v, "prefix", &prefix, e) || json_get_bool(v, "cleanup", &clean, e) ||
        !(s = add_step(d, wordpiece, true, e)))
        return -1;
    s->flag = clean;
    return set_text(&s->from, &s->from_len, prefix, e);
}

static int read_replace(decoder *d, json v, pith_err *e)
{
    json pattern;
    const char *content, *text;
    if (json_get_object(v, "pattern", &pattern, e) || json_get_str(v, "content", &content, e)) return -1;
    json plain = json_get(pattern, "String");
    if (json_get_str(pattern, plain.node ? "String" : "Regex", &text, e)) return -1;
    decode_step *s = add_step(d, replace, true, e);
    if (!s || set_text(&s->to, &s->to_len, content, e)) return -1;
    if (plain.node && *text) return set_text(&s->from, &s->from_len, text, e);
    return (s->pattern = regex_open(WHERE ".pattern", text, e)) ? 0 : -1;
}

/* One character, as a string. */
static int read_char(json v, const char *key, const char **out, pith_err *e)
{
    size_t len;
    if (json_get_str(v, key, out, e)) return -1;
    if (!**out || (unicode_decode(*out, &len), strlen(*out) != len))
        return json_expected(json_get(v, key), "one character", e);
    return 0;
}

static int read_strip(decoder *d, json v, pith_err *e)
{
    const char *c;
    uint64_t start, stop;
    decode_step *s;
    if (read_char(v, "content", &c, e) || json_get_size(v, "start", 0, UINT32_MAX, &start, e) ||
        json_get_size(v, "stop", 0, UINT32_MAX, &stop, e) || !(s = add_step(d, strip, false, e)))
        return -1;
    s->start = start;
    s->stop = stop;
    return set_text(&s->from, &s->from_len, c, e);
}

static int read_metaspace(decoder *d, json v, pith_err *e)
{
    const char *c, *scheme;
    int prefix;
    decode_step *s;
    if (read_char(v, "replacement", &c, e) || json_opt_bool(v, "add_prefix_space", 1, &prefix, e) ||
        json_opt_str(v, "prepend_scheme", prefix ? "always" : "never", &scheme, e) ||
        !(s = add_step(d, metaspace, true, e)))
        return -1;
    s->flag = strcmp(scheme, "never") != 0;
    return set_text(&s->from, &s->from_len, c, e);
}

static int read_bpe(decoder *d, json v, pith_err *e)
{
    const char *suffix;
    decode_step *s;
    if (json_get_str(v, "suffix", &suffix, e) || !(s = add_step(d, bpe, true, e))) return -1;
    return set_text(&s->from, &s->from_len, suffix, e);
}

static int read_one(decoder *d, json v, int depth, pith_err *e)
{
    const char *type;
    json list;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object or null", e);
    if (json_get_str(v, "type", &type, e)) return -1;
    if (strcmp(type, "WordPiece") == 0) return read_wordpiece(d, v, e);
    if (strcmp(type, "ByteLevel") == 0) return add_step(d, byte_level, true, e) ? 0 : -1;
    if (strcmp(type, "ByteFallback") == 0) return add_step(d, byte_fallback, true, e) ? 0 : -1;
    if (strcmp(type, "Fuse") == 0) return add_step(d, fuse, false, e) ? 0 : -1;
    if (strcmp(type, "Strip") == 0) return read_strip(d, v, e);
    if (strcmp(type, "Replace") == 0) return read_replace(d, v, e);
    if (strcmp(type, "Metaspace") == 0) return read_metaspace(d, v, e);
    if (strcmp(type, "BPEDecoder") == 0) return read_bpe(d, v, e);
    if (strcmp(type, "Sequence") != 0)
        return err_set(e,
                       WHERE ".type \"%.60s\" is not supported (supported: BPEDecoder, ByteFallback, ByteLevel, Fuse, "
                             "Metaspace, Replace, Strip, WordPiece, Sequence, null)",
                       type);
    if (depth >= 16) return err_set(e, WHERE ": Sequence in Sequence more than 16 deep");
    if (json_get_array(v, "decoders", &list, e)) return -1;
    for (json c = json_first(list); c.node; c = json_next(c))
        if (read_one(d, c, depth + 1, e)) return -1;
    return 0;
}

int decode_open(decoder *d, json v, pith_err *e)
{
    *d = (decoder){0};
    if (json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL) return add_step(d, join, true, e) ? 0 : -1;
    return read_one(d, v, 0, e);
}

void decode_free(decoder *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->step[i].from);
        free(d->step[i].to);
        regex_free(d->step[i].pattern);
    }
    free(d->step);
    *d = (decoder){0};
}
