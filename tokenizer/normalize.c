#include "tokenizer/normchars.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/regex.h"
#include <stdlib.h>
#include <string.h>

#define NORMALIZE_SLOW 0xff
/* A run of characters is cut here once it is this long and the next character stands alone in every step. */
#define RUN_CUT 256

/* Steps that double a text, one after the other, would fill any memory. What is real makes a text at most 18 times as long. */
static size_t grown(size_t n, size_t least) { return n < SIZE_MAX / 64 - least ? 64 * n + least : SIZE_MAX; }
enum { RUN_LEAST = 4096, TEXT_LEAST = 1 << 16, CONTENT_MOST = 1 << 16 };

static int grows(pith_err *e) { return err_set(e, "tokenizer.json: normalizer: its steps make a text over 64 times as long: a broken or hostile file"); }

int normalize_reserve(normalize_chars *r, size_t n, pith_err *e)
{
    if (n > r->most) return grows(e);
    if (n <= r->cap) return 0;
    size_t cap = r->cap * 2 > n ? r->cap * 2 : n + RUN_CUT;
    norm_char *v = realloc(r->v, cap * sizeof *v);
    if (v) r->v = v;
    norm_char *w = v ? realloc(r->spare, cap * sizeof *w) : NULL;
    if (!w) return err_nomem(e, cap * sizeof *w, "normalisation");
    r->spare = w;
    r->cap = cap;
    return 0;
}

void normalize_swap(normalize_chars *r, size_t n)
{
    norm_char *v = r->v;
    r->v = r->spare;
    r->spare = v;
    r->n = n;
}

static void drop_class(normalize_chars *r, unsigned flag)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++)
        if (!(r->v[i].class & flag)) r->v[n++] = r->v[i];
    r->n = n;
}

/* ---- steps ---- */

static int step_clean(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    (void)s;
    (void)e;
    drop_class(r, UNICODE_CLEAN_DROP);
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i].class & UNICODE_CLEAN_SPACE) r->v[i] = make_char(' ', r->v[i].begin, r->v[i].end);
    return 0;
}

static int step_chinese(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    (void)s;
    size_t n = 0, cjk = 0;
    for (size_t i = 0; i < r->n; i++) cjk += (r->v[i].class & UNICODE_CJK) != 0;
    if (!cjk) return 0;
    if (normalize_reserve(r, r->n + 2 * cjk, e)) return -1;
    for (size_t i = 0; i < r->n; i++) {
        norm_char x = r->v[i], space = make_char(' ', x.begin, x.end);
        bool wide = x.class & UNICODE_CJK;
        if (wide) r->spare[n++] = space;
        r->spare[n++] = x;
        if (wide) r->spare[n++] = space;
    }
    normalize_swap(r, n);
    return 0;
}

/* Sorts v[0..n) by combining class; equal ones keep their order (Unicode 3.11, D109). Linear for long runs. */
static int canonical_order(norm_char *v, size_t n, pith_err *e)
{
    if (n < 16) {
        for (size_t i = 1; i < n; i++) {
            norm_char x = v[i];
            size_t j = i;
            for (; j > 0 && v[j - 1].order > x.order; j--) v[j] = v[j - 1];
            v[j] = x;
        }
        return 0;
    }
    norm_char *sorted = malloc(n * sizeof *sorted);
    if (!sorted) return err_nomem(e, n * sizeof *sorted, "normalisation");
    size_t start[257] = {0};
    for (size_t i = 0; i < n; i++) start[v[i].order + 1]++;
    for (size_t k = 1; k < 257; k++) start[k] += start[k - 1];
    for (size_t i = 0; i < n; i++) sorted[start[v[i].order]++] = v[i];
    memcpy(v, sorted, n * sizeof *v);
    free(sorted);
    return 0;
}

static bool decomposes(const norm_char *x, bool compat)
{
    return x->class & (compat ? UNICODE_DECOMPOSES | UNICODE_COMPAT : UNICODE_DECOMPOSES);
}

static int step_decompose(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    uint32_t d[UNICODE_COMPAT_MAX];
    unsigned any = 0;
    size_t total = r->n, n = 0, marks = 0, next = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (decomposes(&r->v[i], s->compat)) total += unicode_decompose_to(r->v[i].c, s->compat, d) - 1;
        any |= r->v[i].class;
    }
    if (!(any & (UNICODE_DECOMPOSES | UNICODE_COMPAT | UNICODE_COMBINING))) return 0;
    if (normalize_reserve(r, total, e)) return -1;
    for (size_t i = 0; i < r->n; i++) {
        norm_char from = r->v[i];
        bool changes = decomposes(&from, s->compat);
        size_t k = changes ? unicode_decompose_to(from.c, s->compat, d) : 1;
        for (size_t j = 0; j < k; j++) {
            norm_char x = changes ? make_char(d[j], 0, 0) : from;
            x.order = x.class & UNICODE_COMBINING ? (uint8_t)unicode_combining(x.c) : 0;
            x.added = j > 0;
            r->spare[n++] = x;
        }
    }
    norm_char *out = r->spare;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && out[i].order) continue;
        if (i > marks && canonical_order(out + marks, i - marks, e)) return -1;
        marks = i + 1;
    }
    /* As the reference does it: each character that is not `added` stands for the next one of the text, in the order
     * after sorting; an added one for the same as the one before it. */
    for (size_t i = 0; i < n; i++) {
        if (!out[i].added) next++;
        out[i].begin = r->v[next - 1].begin;
        out[i].end = r->v[next - 1].end;
    }
    normalize_swap(r, n);
    return 0;
}

/* After decomposition: a mark joins the starter before it unless one between them keeps it away (Unicode 3.11, D115).
 * What they become stands for the bytes of the first, as in the reference. */
static int step_compose(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    (void)s;
    (void)e;
    size_t n = 0, starter = SIZE_MAX;
    unsigned last = 0;
    for (size_t i = 0; i < r->n; i++) {
        norm_char x = r->v[i];
        if (starter < n && (n == starter + 1 || last < x.order)) {
            uint32_t c = unicode_compose(r->v[starter].c, x.c);
            if (c) {
                r->v[starter] = make_char(c, r->v[starter].begin, r->v[starter].end);
                continue;
            }
        }
        if (!x.order) starter = n;
        last = x.order;
        r->v[n++] = x;
    }
    r->n = n;
    return 0;
}

static int step_strip_mn(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    (void)s;
    (void)e;
    drop_class(r, UNICODE_MN);
    return 0;
}

static int step_strip_marks(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    (void)s;
    (void)e;
    drop_class(r, UNICODE_MARK);
    return 0;
}

static int step_lower(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    (void)s;
    uint32_t to[2];
    size_t more = 0, n = 0;
    for (size_t i = 0; i < r->n; i++) {
        norm_char *x = &r->v[i];
        if (!(x->class & UNICODE_LOWER)) continue;
        if (unicode_lower(x->c, to) == 1)
            *x = make_char(to[0], x->begin, x->end);
        else
            more++; /* it keeps its class, and becomes two below */
    }
    if (!more) return 0;
    if (normalize_reserve(r, r->n + more, e)) return -1;
    for (size_t i = 0; i < r->n; i++) {
        norm_char x = r->v[i];
        if (!(x.class & UNICODE_LOWER)) {
            r->spare[n++] = x;
            continue;
        }
        size_t k = unicode_lower(x.c, to);
        for (size_t j = 0; j < k; j++) r->spare[n++] = make_char(to[j], x.begin, x.end);
    }
    normalize_swap(r, n);
    return 0;
}

/* ---- the result ---- */

static int reserve_text(normalized *x, size_t more, pith_err *e)
{
    if (x->cap - x->len >= more) return 0;
    size_t cap = x->cap + x->cap / 2 > x->len + more ? x->cap + x->cap / 2 : x->len + more + 64;
    char *p = realloc(x->text, cap);
    if (!p) return err_nomem(e, cap, "normalised text");
    x->text = p;
    x->cap = cap;
    return 0;
}

/* What comes next in the result came from [begin, end), or from begin on byte for byte. */
static int align(normalized *x, uint64_t begin, uint64_t end, pith_err *e)
{
    if (x->n_segments) {
        const align_segment *s = &x->segment[x->n_segments - 1];
        if (s->end == ALIGN_LINEAR) {
            /* A character that kept its length goes on byte for byte. */
            uint64_t here = s->begin + (x->len - s->at);
            if (here == begin && end == ALIGN_LINEAR) return 0;
        } else if (s->begin == begin && s->end == end) {
            return 0;
        }
    }
    if (x->n_segments == x->cap_segments) {
        size_t cap = x->cap_segments ? x->cap_segments * 2 : 16;
        align_segment *p = realloc(x->segment, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "offsets");
        x->segment = p;
        x->cap_segments = cap;
    }
    x->segment[x->n_segments++] = (align_segment){x->len, begin, end};
    return 0;
}

/* Appends c, which came from [begin, end). */
static int put(normalized *x, uint32_t c, uint64_t begin, uint64_t end, pith_err *e)
{
    if (reserve_text(x, 4, e)) return -1;
    size_t len = unicode_encode(c, x->text + x->len);
    const align_segment *s = x->n_segments ? &x->segment[x->n_segments - 1] : NULL;
    bool same = s && s->begin == begin && s->end == end;
    if (align(x, begin, len == end - begin && !same ? ALIGN_LINEAR : end, e)) return -1;
    x->len += len;
    return 0;
}

int normalize_append(normalized *x, const char *s, size_t len, uint64_t begin, uint64_t end, pith_err *e)
{
    if (reserve_text(x, len, e) || align(x, begin, end, e)) return -1;
    if (len) memcpy(x->text + x->len, s, len);
    x->len += len;
    return 0;
}

void normalize_origin(const normalized *x, size_t *cursor, uint64_t *begin, uint64_t *end)
{
    size_t k = *cursor;
    while (k + 1 < x->n_segments && x->segment[k + 1].at <= *begin) k++;
    *cursor = k;
    const align_segment *s = &x->segment[k];
    uint64_t b = s->end == ALIGN_LINEAR ? s->begin + (*begin - s->at) : s->begin;
    while (k + 1 < x->n_segments && x->segment[k + 1].at < *end) k++;
    s = &x->segment[k];
    *end = s->end == ALIGN_LINEAR ? s->begin + (*end - s->at) : s->end;
    *begin = b;
}

void normalize_result_free(normalized *x)
{
    free(x->text);
    free(x->segment);
    if (x->scratch) {
        free(x->scratch->v);
        free(x->scratch->spare);
        free(x->scratch);
    }
    *x = (normalized){0};
}

int normalize_repair(const char *text, size_t len, normalized *out, size_t *n_replaced, pith_err *e)
{
    out->len = out->n_segments = *n_replaced = 0;
    for (size_t i = 0; i < len;) {
        size_t ok = unicode_valid(text + i, len - i), bad;
        if (ok) {
            if (reserve_text(out, ok, e) || align(out, i, ALIGN_LINEAR, e)) return -1;
            memcpy(out->text + out->len, text + i, ok);
            out->len += ok;
            i += ok;
            continue;
        }
        unicode_sequence(text + i, len - i, &bad);
        if (put(out, 0xfffd, i, i + bad, e)) return -1;
        i += bad;
        ++*n_replaced;
    }
    return 0;
}

/* ---- running ---- */

/* May the run be cut before c? Only marks look back beyond the character before them; where characters are composed,
 * some letters and the vowels of Hangul do too. */
static bool stands_alone(const normalizer *z, uint32_t c)
{
    uint32_t d[UNICODE_COMPAT_MAX];
    unicode_decompose_to(c, z->compat, d);
    unsigned class = unicode_class(d[0]);
    if (z->composes && (class & UNICODE_MARK || (d[0] >= 0x1160 && d[0] <= 0x11ff))) return false;
    return !(class & UNICODE_COMBINING);
}

/* Collects the characters from text[at] on that are not plain ASCII, the first one whatever it is; returns where they
 * end. */
static size_t collect(const normalizer *z, normalize_chars *r, const char *text, size_t at, size_t len, pith_err *e)
{
    size_t i = at, k;
    r->n = 0;
    r->most = SIZE_MAX;
    while (i < len && (i == at || z->ascii[(unsigned char)text[i]] == NORMALIZE_SLOW)) {
        uint32_t c = unicode_decode(text + i, &k);
        if (r->n >= RUN_CUT && !z->whole && stands_alone(z, c)) break;
        if (i + k - at > UINT32_MAX) {
            err_set(e, z->whole ? "text: more than 4 GB" : "text: more than 4 GB of combining marks in a row");
            return SIZE_MAX;
        }
        if (r->n == r->cap && normalize_reserve(r, r->n + 1, e)) return SIZE_MAX;
        r->v[r->n++] = make_char(c, (uint32_t)(i - at), (uint32_t)(i + k - at));
        i += k;
    }
    r->most = grown(r->n, RUN_LEAST);
    return i;
}

int normalize_run(const normalizer *z, const char *text, size_t len, normalized *out, pith_err *e)
{
    out->len = out->n_segments = 0;
    if (!out->scratch && !(out->scratch = calloc(1, sizeof *out->scratch)))
        return err_nomem(e, sizeof *out->scratch, "normalisation");
    normalize_chars *r = out->scratch;
    for (size_t i = 0; i < len;) {
        if (reserve_text(out, len - i, e)) return -1;
        size_t from = i;
        char *to = out->text + out->len;
        uint8_t b;
        r->first = i == 0;
        if (!(r->first && z->from_start))
            while (i < len && (b = z->ascii[(unsigned char)text[i]]) != NORMALIZE_SLOW) to[i++ - from] = (char)b;
        if (z->composes && i > from && i < len) i--; /* what comes may join it */
        if (i > from) {
            if (align(out, from, ALIGN_LINEAR, e)) return -1;
            out->len += i - from;
            if (!z->composes || i == len) continue;
            r->first = false;
        }
        size_t end = collect(z, r, text, i, len, e);
        if (end == SIZE_MAX) return -1;
        for (size_t k = 0; k < z->n; k++)
            if (z->step[k].fn(&z->step[k], r, e)) return -1;
        for (size_t k = 0; k < r->n; k++)
            if (put(out, r->v[k].c, i + r->v[k].begin, i + r->v[k].end, e)) return -1;
        if (out->len > grown(len, TEXT_LEAST)) return grows(e);
        i = end;
    }
    return 0;
}

/* ---- tokenizer.json ---- */

#define WHERE "tokenizer.json: normalizer"

static normalize_step *add_step(normalizer *z, normalize_fn *fn, pith_err *e)
{
    normalize_step *s = realloc(z->step, (z->n + 1) * sizeof *s);
    if (!s) return err_nomem(e, (z->n + 1) * sizeof *s, "the normalizer"), NULL;
    z->step = s;
    s += z->n++;
    *s = (normalize_step){.fn = fn};
    return s;
}

static int add(normalizer *z, normalize_fn *fn, pith_err *e) { return add_step(z, fn, e) ? 0 : -1; }

static int add_form(normalizer *z, bool compat, bool composes, pith_err *e)
{
    normalize_step *s = add_step(z, step_decompose, e);
    if (!s) return -1;
    s->compat = compat;
    z->compat |= compat;
    z->composes |= composes;
    return composes ? add(z, step_compose, e) : 0;
}

static int read_bert(normalizer *z, json v, pith_err *e)
{
    int clean, chinese, lower, strip;
    if (json_get_bool(v, "clean_text", &clean, e) || json_get_bool(v, "handle_chinese_chars", &chinese, e) ||
        json_get_bool(v, "lowercase", &lower, e) || json_opt_bool(v, "strip_accents", lower, &strip, e))
        return -1;
    if (clean && add(z, step_clean, e)) return -1;
    if (chinese && add(z, step_chinese, e)) return -1;
    if (strip && (add_form(z, false, false, e) || add(z, step_strip_mn, e))) return -1;
    return lower ? add(z, step_lower, e) : 0;
}

static int to_chars(const char *s, uint32_t **out, size_t *n, pith_err *e)
{
    size_t len = strlen(s), k;
    if (len > CONTENT_MOST) return err_set(e, "tokenizer.json: normalizer: a text of %zu bytes to find or to put: more than %d is not supported", len, CONTENT_MOST);
    uint32_t *p = malloc((len + 1) * sizeof *p);
    if (!p) return err_nomem(e, (len + 1) * sizeof *p, "the normalizer");
    *out = p;
    *n = 0;
    for (size_t i = 0; i < len; i += k) p[(*n)++] = unicode_decode(s + i, &k);
    return 0;
}

/* Where it comes first it needs to see only where the text begins. */
static int read_prepend(normalizer *z, json v, pith_err *e)
{
    const char *text;
    if (json_get_str(v, "prepend", &text, e)) return -1;
    if (z->n)
        z->whole = true;
    else
        z->from_start = true;
    normalize_step *s = add_step(z, normrewrite_prepend, e);
    return s ? to_chars(text, &s->to, &s->n_to, e) : -1;
}

/* A single character is replaced wherever it stands; anything longer is looked for in the whole text. */
static int read_replace(normalizer *z, json v, pith_err *e)
{
    json pattern;
    const char *content, *text;
    if (json_get_object(v, "pattern", &pattern, e) || json_get_str(v, "content", &content, e)) return -1;
    json plain = json_get(pattern, "String");
    if (json_get_str(pattern, plain.node ? "String" : "Regex", &text, e)) return -1;
    normalize_step *s = add_step(z, normrewrite_replace, e);
    if (!s || to_chars(content, &s->to, &s->n_to, e)) return -1;
    if (plain.node && *text) {
        if (to_chars(text, &s->from, &s->n_from, e)) return -1;
        z->whole |= s->n_from != 1;
        return 0;
    }
    z->whole = true;
    return (s->pattern = regex_open(WHERE ".pattern", text, e)) ? 0 : -1;
}

static int read_strip(normalizer *z, json v, pith_err *e)
{
    int left, right;
    if (json_get_bool(v, "strip_left", &left, e) || json_get_bool(v, "strip_right", &right, e)) return -1;
    normalize_step *s = add_step(z, normrewrite_strip, e);
    if (!s) return -1;
    s->left = left;
    s->right = right;
    z->whole = true;
    return 0;
}

static int read_precompiled(normalizer *z, json v, pith_err *e)
{
    json map = json_get(v, "precompiled_charsmap");
    if (json_typeof(map) != JSON_STRING) return json_expected(map, "a string in base64", e);
    normalize_step *s = add_step(z, normrewrite_precompiled, e);
    if (!s || !(s->map = charsmap_open(WHERE ".precompiled_charsmap", json_str(map), e))) return -1;
    z->whole = true;
    return 0;
}

static int read_one(normalizer *z, json v, int depth, pith_err *e)
{
    const char *type;
    json list;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object or null", e);
    if (json_get_str(v, "type", &type, e)) return -1;
    if (strcmp(type, "BertNormalizer") == 0) return read_bert(z, v, e);
    if (strcmp(type, "Lowercase") == 0) return add(z, step_lower, e);
    if (strcmp(type, "NFC") == 0) return add_form(z, false, true, e);
    if (strcmp(type, "NFD") == 0) return add_form(z, false, false, e);
    if (strcmp(type, "NFKC") == 0) return add_form(z, true, true, e);
    if (strcmp(type, "NFKD") == 0) return add_form(z, true, false, e);
    if (strcmp(type, "Precompiled") == 0) return read_precompiled(z, v, e);
    if (strcmp(type, "Prepend") == 0) return read_prepend(z, v, e);
    if (strcmp(type, "Replace") == 0) return read_replace(z, v, e);
    if (strcmp(type, "Strip") == 0) return read_strip(z, v, e);
    if (strcmp(type, "StripAccents") == 0) return add(z, step_strip_marks, e);
    if (strcmp(type, "Sequence") != 0)
        return err_set(e,
                       WHERE ".type \"%.60s\" is not supported (supported: BertNormalizer, Lowercase, NFC, NFD, NFKC, "
                             "NFKD, Precompiled, Prepend, Replace, Strip, StripAccents, Sequence, null)",
                       type);
    if (depth >= 16) return err_set(e, WHERE ": Sequence in Sequence more than 16 deep");
    if (json_get_array(v, "normalizers", &list, e)) return -1;
    for (json c = json_first(list); c.node; c = json_next(c))
        if (read_one(z, c, depth + 1, e)) return -1;
    return 0;
}

/* What each ASCII character becomes, where every step treats it alone. */
static int tabulate(normalizer *z, pith_err *e)
{
    normalize_chars r = {.most = grown(1, RUN_LEAST)};
    int rc = normalize_reserve(&r, 1, e);
    for (unsigned b = 0; b < 256; b++) {
        z->ascii[b] = NORMALIZE_SLOW;
        if (b > 127 || rc || z->whole) continue;
        r.v[0] = make_char(b, 0, 1);
        r.n = 1;
        for (size_t k = 0; k < z->n && !rc; k++) rc = z->step[k].fn(&z->step[k], &r, e);
        if (r.n == 1 && r.v[0].c < 128) z->ascii[b] = (uint8_t)r.v[0].c;
    }
    free(r.v);
    free(r.spare);
    return rc;
}

int normalize_open(normalizer *z, json v, pith_err *e)
{
    *z = (normalizer){0};
    if (json_typeof(v) != JSON_NONE && json_typeof(v) != JSON_NULL && read_one(z, v, 0, e)) return -1;
    return tabulate(z, e);
}

void normalize_free(normalizer *z)
{
    for (size_t i = 0; i < z->n; i++) {
        free(z->step[i].from);
        free(z->step[i].to);
        regex_free(z->step[i].pattern);
        charsmap_free(z->step[i].map);
    }
    free(z->step);
    *z = (normalizer){0};
}
