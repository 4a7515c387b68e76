#include "tokenizer/pretokenize.h"
#include "base/mem.h"
#include "tokenizer/bytelevel.h"
#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"
#include <string.h>

typedef enum behavior { ISOLATED, REMOVED, WITH_PREVIOUS, WITH_NEXT, CONTIGUOUS } behavior;

struct walk;
/* Cuts text[begin..end), not empty, and hands the parts to the level below. */
typedef int step_fn(struct walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map);

/* Splitters that cut by the kind of single characters: between two kinds, and a LONE one from everything. */
enum { DROPPED, LONE, RUN_A, RUN_B };
typedef unsigned kind_fn(uint32_t c);

typedef struct pretokenize_step {
    step_fn *fn;
    kind_fn *kind;
    uint8_t ascii[128];  /* kind of these */
    regex *pattern;      /* what a splitter looks for: this, or */
    unsigned class;      /* a character with one of these flags, or */
    char *literal;       /* this string */
    size_t literal_len;
    behavior behavior;
    bool invert;         /* what lies between is what was looked for */
    bool prefix, first;  /* put something before the text; only at the start of it all */
    bool cut;            /* Metaspace: also cut */
} pretokenize_step;

typedef struct level_state {
    regex_scratch *scratch;
    normalized prefixed, spelled;
} level_state;

typedef struct walk {
    const pretokenizer *p;
    bool at_start;
    size_t start; /* where the run begins */
    pretokenize_word *word;
    void *ctx;
    level_state *state; /* one a level */
    pith_err *e;
} walk;

void pretokenize_origin(pretokenize_map *map, uint64_t *begin, uint64_t *end)
{
    for (; map; map = map->outer) {
        normalize_origin(map->text, &map->cursor, begin, end);
        *begin += map->base;
        *end += map->base;
    }
}

static int below(walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map)
{
    if (begin >= end) return 0;
    if (level < w->p->n) return w->p->step[level].fn(w, level, text, begin, end, map);
    if (map && map->bytes) { /* letters back to the bytes that they spell */
        uint64_t b = begin, e = end;
        normalize_origin(map->text, &map->cursor, &b, &e);
        return w->word(w->ctx, map->bytes, (size_t)b + map->base, (size_t)e + map->base, map->outer, w->e);
    }
    return w->word(w->ctx, text, begin, end, map, w->e);
}

/* ---- by kinds ---- */

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

static int cut_kinds(walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map)
{
    const pretokenize_step *s = &w->p->step[level];
    for (size_t i = begin; i < end;) {
        size_t from = i, len;
        unsigned kind = kind_at(s, text, i, &len);
        i += len;
        if (kind == DROPPED) continue;
        if (kind != LONE)
            while (i < end && kind_at(s, text, i, &len) == kind) i += len;
        if (below(w, level + 1, text, from, i, map)) return -1;
    }
    return 0;
}

/* ---- by matches ---- */

/* Parts and matches come in order; what becomes of a match depends on the behavior. One part waits until it is known
 * whether the next one joins it. */
typedef struct cutter {
    walk *w;
    size_t level;
    const char *text;
    pretokenize_map *map;
    behavior behavior;
    bool invert, waiting, was_match;
    size_t begin, end; /* the one that waits */
} cutter;

static int cut_flush(cutter *c)
{
    if (!c->waiting) return 0;
    c->waiting = false;
    return below(c->w, c->level, c->text, c->begin, c->end, c->map);
}

static int cut_add(cutter *c, size_t begin, size_t end, bool match)
{
    bool joins = false, was = c->was_match;
    if (c->invert) match = !match;
    c->was_match = match;
    switch (c->behavior) {
    case ISOLATED: break;
    case REMOVED:
        if (match) return 0;
        break;
    case WITH_PREVIOUS: joins = match && !was; break;
    case WITH_NEXT: joins = !match && was; break;
    case CONTIGUOUS: joins = match == was; break;
    }
    if (c->behavior == ISOLATED || c->behavior == REMOVED) return below(c->w, c->level, c->text, begin, end, c->map);
    if (!joins || !c->waiting) {
        if (cut_flush(c)) return -1;
        c->begin = begin;
    }
    c->end = end;
    c->waiting = true;
    return 0;
}

/* The next match of s at or after *from; as regex_next. */
static int find(const pretokenize_step *s, regex_scratch *scratch, const char *text, size_t n, size_t from,
                size_t *begin, size_t *end, pith_err *e)
{
    if (s->pattern) return regex_next(s->pattern, scratch, text, n, from, begin, end, e);
    size_t len;
    for (size_t i = from; i < n; i += len) {
        uint32_t c = unicode_decode(text + i, &len);
        if (s->literal) {
            if (n - i < s->literal_len || memcmp(text + i, s->literal, s->literal_len) != 0) continue;
        } else if (!(unicode_class(c) & s->class)) {
            continue;
        }
        *begin = i;
        *end = i + (s->literal ? s->literal_len : len);
        return 1;
    }
    return 0;
}

static int cut_matches(walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map)
{
    const pretokenize_step *s = &w->p->step[level];
    level_state *state = &w->state[level];
    if (s->pattern && !state->scratch && !(state->scratch = regex_scratch_new(s->pattern, w->e))) return -1;
    cutter c = {w, level + 1, text, map, s->behavior, s->invert, false, false, 0, 0};
    const char *part = text + begin;
    size_t n = end - begin, done = 0, from = 0, b = 0, z = 0, last = SIZE_MAX;
    int rc = 0;
    while (from <= n && (rc = find(s, state->scratch, part, n, from, &b, &z, w->e)) > 0) {
        if (b == z && z == last) { /* an empty match where the one before ended does not count */
            size_t len = 1;
            if (from < n) unicode_decode(part + from, &len);
            from += len;
            continue;
        }
        if (done < b && cut_add(&c, begin + done, begin + b, false)) return -1;
        if (cut_add(&c, begin + b, begin + z, true)) return -1;
        done = from = last = z;
    }
    if (rc < 0 || (done < n && cut_add(&c, begin + done, end, false))) return -1;
    return cut_flush(&c);
}

/* ---- those that rewrite ---- */

/* s before text[begin..end): as in the reference, it stands for the same bytes as the first character. */
static int put_before(normalized *x, const char *s, size_t n, const char *text, size_t begin, pith_err *e)
{
    size_t len;
    unicode_decode(text + begin, &len);
    return normalize_append(x, s, n, 0, len, e) || normalize_append(x, text + begin, len, 0, len, e) ? -1 : (int)len;
}

/* Spells each byte by its letter, for the steps after ByteLevel. */
static int spell(walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map)
{
    normalized *x = &w->state[level].spelled;
    x->len = x->n_segments = 0;
    for (size_t i = begin; i < end; i++) {
        char letter[2];
        size_t n = bytelevel_letter((unsigned char)text[i], letter);
        if (normalize_append(x, letter, n, i - begin, i - begin + 1, w->e)) return -1;
    }
    pretokenize_map inner = {x, begin, 0, text, map};
    return below(w, level + 1, x->text, 0, x->len, &inner);
}

/* ByteLevel's space before; what follows is in steps of its own, see add_byte_level. */
static int space_before(walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map)
{
    const pretokenize_step *s = &w->p->step[level];
    pretokenize_map inner;
    if (s->prefix && text[begin] != ' ') {
        normalized *x = &w->state[level].prefixed;
        x->len = x->n_segments = 0;
        int len = put_before(x, " ", 1, text, begin, w->e);
        if (len < 0 || normalize_append(x, text + begin + len, end - begin - (size_t)len, (size_t)len, ALIGN_LINEAR, w->e))
            return -1;
        inner = (pretokenize_map){x, begin, 0, NULL, map};
        map = &inner;
        text = x->text;
        begin = 0;
        end = x->len;
    }
    return below(w, level + 1, text, begin, end, map);
}

/* Does text[begin..) begin the whole text? */
static bool begins_all(const walk *w, size_t begin, pretokenize_map *map)
{
    uint64_t b = begin, e = begin + 1;
    if (!w->at_start) return false;
    pretokenize_origin(map, &b, &e);
    return b == w->start;
}

static int metaspace(walk *w, size_t level, const char *text, size_t begin, size_t end, pretokenize_map *map)
{
    const pretokenize_step *s = &w->p->step[level];
    normalized *x = &w->state[level].prefixed;
    size_t i = begin, n = s->literal_len;
    bool starts = text[begin] == ' ' || (end - begin >= n && memcmp(text + begin, s->literal, n) == 0);
    x->len = x->n_segments = 0;
    if (s->prefix && !starts && (!s->first || begins_all(w, begin, map))) {
        int len = put_before(x, s->literal, n, text, begin, w->e);
        if (len < 0) return -1;
        i += (size_t)len;
    }
    while (i < end) {
        const char *space = memchr(text + i, ' ', end - i);
        size_t to = space ? (size_t)(space - text) : end;
        if (to > i && normalize_append(x, text + i, to - i, i - begin, ALIGN_LINEAR, w->e)) return -1;
        if (space && normalize_append(x, s->literal, n, to - begin, to - begin + 1, w->e)) return -1;
        i = to + (space != NULL);
    }
    pretokenize_map inner = {x, begin, 0, NULL, map};
    return s->cut ? cut_matches(w, level, x->text, 0, x->len, &inner) : below(w, level + 1, x->text, 0, x->len, &inner);
}

int pretokenize_run(const pretokenizer *p, const char *text, size_t begin, size_t end, bool at_start,
                    pretokenize_word *word, void *ctx, pith_err *e)
{
    walk w = {p, at_start, begin, word, ctx, NULL, e};
    if (p->n && !(w.state = mem_zero(p->n, sizeof *w.state))) return err_nomem(e, p->n * sizeof *w.state, "words");
    int rc = below(&w, 0, text, begin, end, NULL);
    for (size_t i = 0; i < p->n; i++) {
        regex_scratch_free(w.state[i].scratch);
        normalize_result_free(&w.state[i].prefixed);
        normalize_result_free(&w.state[i].spelled);
    }
    mem_free(w.state);
    return rc;
}

/* ---- tokenizer.json ---- */

#define WHERE "tokenizer.json: pre_tokenizer"

static pretokenize_step *add_step(pretokenizer *p, step_fn *fn, pith_err *e)
{
    /* Each level is a call inside the other. */
    if (p->n >= 64) return err_set(e, WHERE ": more than 64 steps in Sequence"), NULL;
    pretokenize_step *s = mem_resize(p->step, (p->n + 1) * sizeof *s);
    if (!s) return err_nomem(e, (p->n + 1) * sizeof *s, "the pre-tokenizer"), NULL;
    p->step = s;
    s += p->n++;
    *s = (pretokenize_step){.fn = fn};
    return s;
}

static int add_kinds(pretokenizer *p, kind_fn *kind, pith_err *e)
{
    pretokenize_step *s = add_step(p, cut_kinds, e);
    if (!s) return -1;
    s->kind = kind;
    for (uint32_t c = 0; c < 128; c++) s->ascii[c] = (uint8_t)kind(c);
    return 0;
}

static int add_class(pretokenizer *p, unsigned class, behavior b, pith_err *e)
{
    pretokenize_step *s = add_step(p, cut_matches, e);
    if (!s) return -1;
    s->class = class;
    s->behavior = b;
    return 0;
}

static int set_literal(pretokenize_step *s, const char *text, pith_err *e)
{
    s->literal_len = strlen(text);
    if (!(s->literal = mem_alloc(s->literal_len + 1))) return err_nomem(e, s->literal_len + 1, "the pre-tokenizer");
    memcpy(s->literal, text, s->literal_len + 1);
    return 0;
}

static int read_behavior(json v, const char *def, behavior *b, pith_err *e)
{
    static const char *const NAMES[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    const char *name;
    if (def ? json_opt_str(v, "behavior", def, &name, e) : json_get_str(v, "behavior", &name, e)) return -1;
    for (size_t i = 0; i < 5; i++)
        if (strcmp(name, NAMES[i]) == 0) return *b = (behavior)i, 0;
    return json_expected(json_get(v, "behavior"),
                         "Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous", e);
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

static int add_split(pretokenizer *p, json v, pith_err *e)
{
    json pattern;
    behavior b = ISOLATED;
    int invert;
    const char *text;
    if (json_get_object(v, "pattern", &pattern, e) || read_behavior(v, NULL, &b, e) ||
        json_get_bool(v, "invert", &invert, e))
        return -1;
    json plain = json_get(pattern, "String");
    if (json_get_str(pattern, plain.node ? "String" : "Regex", &text, e)) return -1;
    pretokenize_step *s = add_step(p, cut_matches, e);
    if (!s) return -1;
    s->behavior = b;
    s->invert = invert;
    if (plain.node && *text) return set_literal(s, text, e);
    return (s->pattern = regex_open(WHERE ".pattern", text, e)) ? 0 : -1;
}

static int add_digits(pretokenizer *p, json v, pith_err *e)
{
    int each;
    if (json_get_bool(v, "individual_digits", &each, e)) return -1;
    return add_class(p, UNICODE_NUMERIC, each ? ISOLATED : CONTIGUOUS, e);
}

static int add_delimiter(pretokenizer *p, json v, pith_err *e)
{
    const char *c;
    pretokenize_step *s;
    if (read_char(v, "delimiter", &c, e) || !(s = add_step(p, cut_matches, e))) return -1;
    s->behavior = REMOVED;
    return set_literal(s, c, e);
}

static int add_punctuation(pretokenizer *p, json v, pith_err *e)
{
    behavior b = ISOLATED;
    return read_behavior(v, "Isolated", &b, e) || add_class(p, UNICODE_PUNCTUATION, b, e) ? -1 : 0;
}

/* Up to three steps: a space before, cutting, spelling for whatever steps come later (dropped again if none does). */
static int add_byte_level(pretokenizer *p, json v, pith_err *e)
{
    int prefix, cut;
    pretokenize_step *s;
    if (p->bytes) return err_set(e, WHERE ": ByteLevel is there twice");
    if (json_get_bool(v, "add_prefix_space", &prefix, e) || json_opt_bool(v, "use_regex", 1, &cut, e)) return -1;
    p->bytes = true;
    if (prefix && !(s = add_step(p, space_before, e))) return -1;
    if (prefix) s->prefix = true;
    if (cut && (!(s = add_step(p, cut_matches, e)) || !(s->pattern = regex_open(WHERE ".ByteLevel", BYTELEVEL_PATTERN, e))))
        return -1;
    return add_step(p, spell, e) ? 0 : -1;
}

/* Older files say add_prefix_space and str_rep. */
static int add_metaspace(pretokenizer *p, json v, pith_err *e)
{
    static const char *const SCHEMES[] = {"never", "first", "always"};
    const char *replacement, *scheme;
    int split, prefix, k = 0;
    if (p->bytes) return err_set(e, WHERE ": Metaspace after ByteLevel is not supported");
    if (read_char(v, "replacement", &replacement, e) || json_opt_bool(v, "split", 1, &split, e) ||
        json_opt_bool(v, "add_prefix_space", 1, &prefix, e) ||
        json_opt_str(v, "prepend_scheme", prefix ? "always" : "never", &scheme, e))
        return -1;
    while (k < 3 && strcmp(scheme, SCHEMES[k]) != 0) k++;
    if (k == 3) return json_expected(json_get(v, "prepend_scheme"), "first, never or always", e);
    pretokenize_step *s = add_step(p, metaspace, e);
    if (!s) return -1;
    s->prefix = k > 0;
    s->first = k == 1;
    s->cut = split;
    s->behavior = WITH_NEXT;
    return set_literal(s, replacement, e);
}

static int read_one(pretokenizer *p, json v, int depth, pith_err *e)
{
    const char *type;
    json list;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object or null", e);
    if (json_get_str(v, "type", &type, e)) return -1;
    if (strcmp(type, "BertPreTokenizer") == 0) return add_kinds(p, kind_bert, e);
    if (strcmp(type, "Whitespace") == 0) return add_kinds(p, kind_whitespace, e);
    if (strcmp(type, "WhitespaceSplit") == 0) return add_kinds(p, kind_whitespace_split, e);
    if (strcmp(type, "ByteLevel") == 0) return add_byte_level(p, v, e);
    if (strcmp(type, "CharDelimiterSplit") == 0) return add_delimiter(p, v, e);
    if (strcmp(type, "Digits") == 0) return add_digits(p, v, e);
    if (strcmp(type, "Metaspace") == 0) return add_metaspace(p, v, e);
    if (strcmp(type, "Punctuation") == 0) return add_punctuation(p, v, e);
    if (strcmp(type, "Split") == 0) return add_split(p, v, e);
    if (strcmp(type, "Sequence") != 0)
        return err_set(e,
                       WHERE ".type \"%.60s\" is not supported (supported: BertPreTokenizer, ByteLevel, "
                             "CharDelimiterSplit, Digits, Metaspace, Punctuation, Split, Whitespace, WhitespaceSplit, "
                             "Sequence, null)",
                       type);
    if (depth >= 16) return err_set(e, WHERE ": Sequence in Sequence more than 16 deep");
    if (json_get_array(v, "pretokenizers", &list, e)) return -1;
    for (json c = json_first(list); c.node; c = json_next(c))
        if (read_one(p, c, depth + 1, e)) return -1;
    return 0;
}

int pretokenize_open(pretokenizer *p, json v, pith_err *e)
{
    *p = (pretokenizer){0};
    if (json_typeof(v) == JSON_NONE || json_typeof(v) == JSON_NULL) return 0;
    if (read_one(p, v, 0, e)) return -1;
    if (p->n && p->step[p->n - 1].fn == spell) p->n--;
    return 0;
}

void pretokenize_free(pretokenizer *p)
{
    for (size_t i = 0; i < p->n; i++) {
        regex_free(p->step[i].pattern);
        mem_free(p->step[i].literal);
    }
    mem_free(p->step);
    *p = (pretokenizer){0};
}
