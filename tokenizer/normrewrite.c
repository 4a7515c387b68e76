/* normrewrite: the steps of a normalizer that put text in, take it out, or look at several characters at once. What
 * new characters stand for is as in the reference. */
#include "base/mem.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/normchars.h"
#include "tokenizer/regex.h"
#include <string.h>

/* What is put before a text stands for the same bytes as its first character. */
int normrewrite_prepend(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    if (!r->first || !r->n) return 0;
    if (normalize_reserve(r, r->n + s->n_to, e)) return -1;
    norm_char x = r->v[0];
    for (size_t i = 0; i < s->n_to; i++) r->spare[i] = make_char(s->to[i], x.begin, x.end);
    memcpy(r->spare + s->n_to, r->v, r->n * sizeof *r->v);
    normalize_swap(r, r->n + s->n_to);
    return 0;
}

int normrewrite_strip(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    size_t a = 0, z = r->n;
    (void)e;
    while (s->left && a < z && r->v[a].class & UNICODE_SPACE) a++;
    while (s->right && z > a && r->v[z - 1].class & UNICODE_SPACE) z--;
    if (a) memmove(r->v, r->v + a, (z - a) * sizeof *r->v);
    r->n = z - a;
    return 0;
}

/* Appends v[from..to) of the run, or s->to in its place, to spare from *n on. The latter stands for the bytes of the
 * last character that it replaces. */
static int copy(normalize_chars *r, size_t *n, size_t from, size_t to, pith_err *e)
{
    if (normalize_reserve(r, *n + (to - from), e)) return -1;
    if (to > from) memcpy(r->spare + *n, r->v + from, (to - from) * sizeof *r->v);
    *n += to - from;
    return 0;
}

static int put(const normalize_step *s, normalize_chars *r, size_t *n, size_t last, pith_err *e)
{
    if (normalize_reserve(r, *n + s->n_to, e)) return -1;
    norm_char x = r->v[last];
    for (size_t i = 0; i < s->n_to; i++) r->spare[(*n)++] = make_char(s->to[i], x.begin, x.end);
    return 0;
}

static bool matches(const normalize_step *s, const normalize_chars *r, size_t at)
{
    if (r->n - at < s->n_from) return false;
    for (size_t i = 0; i < s->n_from; i++)
        if (r->v[at + i].c != s->from[i]) return false;
    return true;
}

static int replace_string(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    size_t n = 0, done = 0;
    for (size_t i = 0; i < r->n;) {
        if (!matches(s, r, i)) {
            i++;
            continue;
        }
        size_t end = i + s->n_from;
        if (copy(r, &n, done, i, e) || put(s, r, &n, end - 1, e)) return -1;
        done = i = end;
    }
    if (!done) return 0;
    if (copy(r, &n, done, r->n, e)) return -1;
    normalize_swap(r, n);
    return 0;
}

/* text: the run as UTF-8. Characters are counted along as matches are found. What replaces an empty match stands for the
 * character before it. */
static int replace_matches(const normalize_step *s, normalize_chars *r, regex_scratch *scratch, const char *text,
                           size_t len, pith_err *e)
{
    size_t n = 0, done = 0, at = 0, i = 0, from = 0, begin = 0, end = 0, last = SIZE_MAX, k; /* character i is at byte `at` */
    int rc = 0;
    while (from <= len && (rc = regex_next(s->pattern, scratch, text, len, from, &begin, &end, e)) > 0) {
        if (begin == end && begin == last) { /* an empty match where the one before ended does not count */
            k = 1;
            if (from < len) unicode_decode(text + from, &k);
            from += k;
            continue;
        }
        from = last = end;
        for (; at < begin; i++, at += k) unicode_decode(text + at, &k);
        if (copy(r, &n, done, i, e)) return -1;
        for (; at < end; i++, at += k) unicode_decode(text + at, &k);
        if (r->n && put(s, r, &n, i ? i - 1 : 0, e)) return -1;
        done = i;
    }
    if (rc < 0 || copy(r, &n, done, r->n, e)) return -1;
    normalize_swap(r, n);
    return 0;
}

static int replace_pattern(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    regex_scratch *scratch = regex_scratch_new(s->pattern, e);
    char *text = scratch ? mem_alloc(r->n * 4 + 1) : NULL;
    size_t len = 0;
    if (scratch && !text) err_nomem(e, r->n * 4 + 1, "normalisation");
    for (size_t i = 0; text && i < r->n; i++) len += unicode_encode(r->v[i].c, text + len);
    int rc = text ? replace_matches(s, r, scratch, text, len, e) : -1;
    regex_scratch_free(scratch);
    mem_free(text);
    return rc;
}

int normrewrite_replace(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    return s->pattern ? replace_pattern(s, r, e) : replace_string(s, r, e);
}

/* ---- Precompiled ---- */

/* to replaces v[from..last]: the first ones stand each for one character, more of them for the last. */
static int put_text(normalize_chars *r, size_t *n, size_t from, size_t last, const char *to, pith_err *e)
{
    size_t len = strlen(to), k;
    if (normalize_reserve(r, *n + len, e)) return -1;
    for (size_t i = 0, j = from; i < len; i += k) {
        uint32_t c = unicode_decode(to + i, &k);
        r->spare[(*n)++] = make_char(c, r->v[j].begin, r->v[j].end);
        if (j < last) j++;
    }
    return 0;
}

/* v[from..to) is one user-perceived character: looked for as a whole if it is short, else each of its characters. */
static int put_grapheme(const charsmap *m, normalize_chars *r, size_t *n, size_t from, size_t to, pith_err *e)
{
    char text[8];
    size_t len = 0;
    for (size_t i = from; i < to && len < 6; i++) {
        char one[4];
        size_t k = unicode_encode(r->v[i].c, one);
        if (len + k < 6) memcpy(text + len, one, k);
        len += k;
    }
    const char *found = len < 6 ? charsmap_find(m, text, len) : NULL;
    if (found) return put_text(r, n, from, to - 1, found, e);
    for (size_t i = from; i < to; i++) {
        found = charsmap_find(m, text, unicode_encode(r->v[i].c, text));
        if (found ? put_text(r, n, i, i, found, e) : copy(r, n, i, i + 1, e)) return -1;
    }
    return 0;
}

int normrewrite_precompiled(const normalize_step *s, normalize_chars *r, pith_err *e)
{
    size_t n = 0, from = 0;
    int32_t state = 0;
    for (size_t i = 1; i <= r->n; i++) {
        if (i < r->n && !unicode_grapheme_break(r->v[i - 1].c, r->v[i].c, &state)) continue;
        if (put_grapheme(s->map, r, &n, from, i, e)) return -1;
        from = i;
    }
    normalize_swap(r, n);
    return 0;
}
