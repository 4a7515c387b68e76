/* jinja_method: methods of strings, lists and dicts, as far as templates use them. What would change a value is refused,
 * as in jinja2's immutable sandbox. */
#define _GNU_SOURCE
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <stdio.h>
#include <string.h>

static jval nothing(void) { return (jval){.type = J_UNDEFINED}; }
static bool given(jval v) { return v.type != J_MISSING && v.type != J_NONE; }
static jval like(jval self, const jstr *s) { return (jval){.type = J_STR, .markup = self.markup, .u.s = s}; }

/* ---- on strings, for filters too ---- */

const char *jinja_method_find_bytes(jrun *r, const char *p, size_t n, const char *what, size_t m)
{
    if (m == 0) return p;
    const char *hit = m > n ? NULL : m == 1 ? memchr(p, what[0], n) : memmem(p, n, what, m);
    jinja_mem_bytes(r, hit ? (size_t)(hit - p) + m : n);
    return hit;
}

/* Per-character work costs more than copying. */
static bool per_char(jrun *r, const jstr *s) { return jinja_mem_step(r, s->n / 4); }

static uint32_t char_at(const jstr *s, size_t at)
{
    size_t len;
    return at < s->n ? unicode_decode(s->p + at, &len) : 0;
}

/* The lowercase of capital sigma at the end of a word is another letter. */
static bool final_sigma(const jstr *s, size_t at)
{
    return at > 0 && jinja_unicode_alpha(char_at(s, unicode_before(s->p, at))) && !jinja_unicode_alpha(char_at(s, at + 2));
}

const jstr *jinja_method_case(jrun *r, const jstr *s, int how)
{
    jbuf b = {.r = r};
    bool inside = false;
    if (!per_char(r, s)) return s;
    for (size_t at = 0, len; at < s->n && !r->failed; at += len) {
        uint32_t c = unicode_decode(s->p + at, &len), out[3];
        int to = how == JU_TITLE && inside ? JU_LOWER : how;
        size_t n = jinja_unicode_case(to, c, out);
        if (to == JU_LOWER && c == 0x3a3 && final_sigma(s, at)) out[0] = 0x3c2;
        for (size_t i = 0; i < n; i++) jinja_mem_putc(&b, out[i], jinja_mem_source(s, at));
        inside = jinja_unicode_upper(c) || jinja_unicode_lower(c) || jinja_unicode_title(c);
    }
    return jinja_mem_done(&b);
}

const jstr *jinja_method_capitalize(jrun *r, const jstr *s)
{
    if (s->n == 0) return s;
    size_t len;
    unicode_decode(s->p, &len);
    return jinja_mem_concat(r, jinja_method_case(r, jinja_mem_slice(r, s, 0, len), JU_TITLE),
                            jinja_method_case(r, jinja_mem_slice(r, s, len, s->n), JU_LOWER));
}

static bool strips(jrun *r, uint32_t c, const char *p, size_t len, const jstr *chars)
{
    if (!chars) return jinja_unicode_space(c);
    return jinja_method_find_bytes(r, chars->p, chars->n, p, len) != NULL && jinja_mem_step(r, 1);
}

const jstr *jinja_method_strip(jrun *r, const jstr *s, const jstr *chars, int sides)
{
    size_t begin = 0, end = s->n, len;
    if (chars && chars->n == 0) return s;
    while ((sides & 1) && begin < end) {
        uint32_t c = unicode_decode(s->p + begin, &len);
        if (!strips(r, c, s->p + begin, len, chars)) break;
        begin += len;
    }
    while ((sides & 2) && end > begin) {
        size_t at = unicode_before(s->p, end);
        uint32_t c = unicode_decode(s->p + at, &len);
        if (!strips(r, c, s->p + at, len, chars)) break;
        end = at;
    }
    jinja_mem_bytes(r, s->n - (end - begin));
    return jinja_mem_slice(r, s, begin, end);
}

const jstr *jinja_method_replace(jrun *r, const jstr *s, const jstr *old, const jstr *by, int64_t count)
{
    jbuf b = {.r = r};
    size_t at = 0;
    for (int64_t done = 0; !r->failed && (count < 0 || done < count); done++) {
        const char *hit = jinja_method_find_bytes(r, s->p + at, s->n - at, old->p, old->n);
        if (!hit || !jinja_mem_step(r, 1)) break;
        size_t begin = (size_t)(hit - s->p), len = 0;
        jinja_mem_putslice(&b, s, at, begin);
        jinja_mem_putstr(&b, by);
        at = begin + old->n;
        if (old->n) continue;
        if (at == s->n) break;
        unicode_decode(s->p + at, &len); /* "" is found between all characters */
        jinja_mem_putslice(&b, s, at, at + len);
        at += len;
    }
    if (at == 0 && b.n == 0) return s;
    jinja_mem_putslice(&b, s, at, s->n);
    return jinja_mem_done(&b);
}

jlist *jinja_method_lines(jrun *r, const jstr *s, bool keep_ends)
{
    jlist *l = jinja_value_list(r, 0);
    size_t from = 0, len;
    if (!per_char(r, s)) return l;
    for (size_t at = 0; at < s->n && !r->failed; at += len) {
        if (!jinja_unicode_linebreak(unicode_decode(s->p + at, &len))) continue;
        size_t end = at;
        if (s->p[at] == '\r' && at + 1 < s->n && s->p[at + 1] == '\n') len = 2;
        jinja_value_push(r, l, jstrv(jinja_mem_slice(r, s, from, keep_ends ? end + len : end)));
        from = at + len;
    }
    if (from < s->n) jinja_value_push(r, l, jstrv(jinja_mem_slice(r, s, from, s->n)));
    return l;
}

static void fill_with(jbuf *b, uint32_t fill, size_t n, int source)
{
    char chunk[64 * 4];
    size_t len = 0;
    for (size_t i = 0; i < 64; i++) len += unicode_encode(fill, chunk + len);
    for (; n >= 64 && !b->r->failed; n -= 64) jinja_mem_put(b, chunk, len, source);
    jinja_mem_put(b, chunk, len / 64 * n, source);
}

const jstr *jinja_method_pad(jrun *r, const jstr *s, int64_t width, uint32_t fill, char side, int source)
{
    int64_t chars = (int64_t)jinja_value_chars(r, s);
    jbuf b = {.r = r};
    if (width <= chars) return s;
    size_t pad = (size_t)(width - chars), left = side == 'l' ? pad : side == 'r' ? 0 : pad / 2;
    if (side == 'c') left += pad & (size_t)width & 1; /* as Python */
    fill_with(&b, fill, left, source);
    jinja_mem_putstr(&b, s);
    fill_with(&b, fill, pad - left, source);
    return jinja_mem_done(&b);
}

/* ---- arguments ---- */

static const jstr *string_arg(jrun *r, const jargs *a, jval v)
{
    if (v.type == J_STR) return v.u.s;
    if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
    jinja_mem_fail(r, "TypeError", "%s() wants a string, not %s", a->of, jinja_value_type(v));
    return jinja_mem_lit(r, "");
}

static int64_t int_arg(jrun *r, const jargs *a, jval v, int64_t otherwise)
{
    int64_t i = otherwise;
    if (!given(v) || jinja_number_as_int(v, &i)) return i;
    if (v.type == J_UNDEFINED) jinja_value_undef_fail(r, v);
    jinja_mem_fail(r, "TypeError", "%s() wants a whole number, not %s", a->of, jinja_value_type(v));
    return otherwise;
}

/* ---- case and padding ---- */

static jval cased(jrun *r, jval self, const jargs *a, int how)
{
    return jinja_eval_bind(r, a, "", 0, NULL) ? like(self, jinja_method_case(r, self.u.s, how)) : nothing();
}
static jval upper(jrun *r, jval self, const jargs *a) { return cased(r, self, a, JU_UPPER); }
static jval lower(jrun *r, jval self, const jargs *a) { return cased(r, self, a, JU_LOWER); }
static jval title(jrun *r, jval self, const jargs *a) { return cased(r, self, a, JU_TITLE); }
static jval capitalize(jrun *r, jval self, const jargs *a)
{
    return jinja_eval_bind(r, a, "", 0, NULL) ? like(self, jinja_method_capitalize(r, self.u.s)) : nothing();
}

static jval swapcase(jrun *r, jval self, const jargs *a)
{
    const jstr *s = self.u.s;
    jbuf b = {.r = r};
    if (!jinja_eval_bind(r, a, "", 0, NULL) || !per_char(r, s)) return nothing();
    for (size_t at = 0, len; at < s->n && !r->failed; at += len) {
        uint32_t c = unicode_decode(s->p + at, &len), out[3] = {c};
        size_t n = 1;
        if (jinja_unicode_upper(c)) n = jinja_unicode_case(JU_LOWER, c, out);
        else if (jinja_unicode_lower(c)) n = jinja_unicode_case(JU_UPPER, c, out);
        for (size_t i = 0; i < n; i++) jinja_mem_putc(&b, out[i], jinja_mem_source(s, at));
    }
    return like(self, jinja_mem_done(&b));
}

static jval padded(jrun *r, jval self, const jargs *a, char side)
{
    jval v[2];
    uint32_t fill = ' ';
    int source = JOURS;
    if (!jinja_eval_bind(r, a, "width fillchar", 1, v)) return nothing();
    if (given(v[1])) {
        const jstr *s = string_arg(r, a, v[1]);
        if (jinja_value_chars(r, s) != 1) jinja_mem_fail(r, "TypeError", "The fill character must be exactly one character long");
        else fill = char_at(s, 0), source = jinja_mem_source(s, 0);
    }
    int64_t width = int_arg(r, a, v[0], 0);
    return r->failed ? nothing() : like(self, jinja_method_pad(r, self.u.s, width, fill, side, source));
}
static jval center(jrun *r, jval self, const jargs *a) { return padded(r, self, a, 'c'); }
static jval ljust(jrun *r, jval self, const jargs *a) { return padded(r, self, a, 'r'); }
static jval rjust(jrun *r, jval self, const jargs *a) { return padded(r, self, a, 'l'); }

static jval zfill(jrun *r, jval self, const jargs *a)
{
    jval v;
    if (!jinja_eval_bind(r, a, "width", 1, &v)) return nothing();
    const jstr *s = self.u.s;
    int64_t width = int_arg(r, a, v, 0);
    bool sign = s->n && (s->p[0] == '-' || s->p[0] == '+');
    if (!sign) return like(self, jinja_method_pad(r, s, width, '0', 'l', JOURS));
    const jstr *rest = jinja_method_pad(r, jinja_mem_slice(r, s, 1, s->n), width > 0 ? width - 1 : 0, '0', 'l', JOURS);
    return like(self, jinja_mem_concat(r, jinja_mem_slice(r, s, 0, 1), rest));
}

/* ---- trimming, parting, joining ---- */

static jval stripped(jrun *r, jval self, const jargs *a, int sides)
{
    jval v;
    if (!jinja_eval_bind(r, a, "chars", 0, &v)) return nothing();
    const jstr *chars = given(v) ? string_arg(r, a, v) : NULL;
    return r->failed ? nothing() : like(self, jinja_method_strip(r, self.u.s, chars, sides));
}
static jval strip(jrun *r, jval self, const jargs *a) { return stripped(r, self, a, 3); }
static jval lstrip(jrun *r, jval self, const jargs *a) { return stripped(r, self, a, 1); }
static jval rstrip(jrun *r, jval self, const jargs *a) { return stripped(r, self, a, 2); }

static jval removed(jrun *r, jval self, const jargs *a, bool front)
{
    jval v;
    if (!jinja_eval_bind(r, a, "part", 1, &v)) return nothing();
    const jstr *s = self.u.s, *part = string_arg(r, a, v);
    if (r->failed || part->n > s->n) return self;
    size_t at = front ? 0 : s->n - part->n;
    if (memcmp(s->p + at, part->p, part->n) != 0) return self;
    return like(self, front ? jinja_mem_slice(r, s, part->n, s->n) : jinja_mem_slice(r, s, 0, at));
}
static jval removeprefix(jrun *r, jval self, const jargs *a) { return removed(r, self, a, true); }
static jval removesuffix(jrun *r, jval self, const jargs *a) { return removed(r, self, a, false); }

static jval replace(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    if (!jinja_eval_bind(r, a, "old new count", 2, v)) return nothing();
    const jstr *old = string_arg(r, a, v[0]), *by = string_arg(r, a, v[1]);
    int64_t count = int_arg(r, a, v[2], -1);
    return r->failed ? nothing() : like(self, jinja_method_replace(r, self.u.s, old, by, count));
}

static void push_slice(jrun *r, jlist *l, jval self, size_t begin, size_t end)
{
    jinja_value_push(r, l, like(self, jinja_mem_slice(r, self.u.s, begin, end)));
}

/* Parts between runs of whitespace. */
static void split_space(jrun *r, jval self, jlist *l, int64_t max)
{
    const jstr *s = self.u.s;
    size_t at = 0, len;
    while (!r->failed) {
        while (at < s->n && jinja_unicode_space(unicode_decode(s->p + at, &len))) at += len;
        if (at >= s->n) return;
        size_t begin = at;
        if (max >= 0 && (int64_t)l->n == max) {
            push_slice(r, l, self, begin, s->n);
            return;
        }
        while (at < s->n && !jinja_unicode_space(unicode_decode(s->p + at, &len))) at += len;
        push_slice(r, l, self, begin, at);
    }
}

static void rsplit_space(jrun *r, jval self, jlist *l, int64_t max)
{
    const jstr *s = self.u.s;
    size_t end = s->n, len;
    while (!r->failed) {
        while (end > 0 && jinja_unicode_space(char_at(s, unicode_before(s->p, end)))) end = unicode_before(s->p, end);
        if (end == 0) return;
        size_t begin = end;
        if (max >= 0 && (int64_t)l->n == max) {
            push_slice(r, l, self, 0, end);
            return;
        }
        while (begin > 0) {
            size_t before = unicode_before(s->p, begin);
            if (jinja_unicode_space(unicode_decode(s->p + before, &len))) break;
            begin = before;
        }
        push_slice(r, l, self, begin, end);
        end = begin;
    }
}

/* The last place of what in s[0..n), or n + 1. */
static size_t find_last(jrun *r, const jstr *s, size_t n, const jstr *what)
{
    size_t m = what->n;
    if (m > n) return n + 1;
    if (m == 0) return n;
    size_t found = n + 1, at = n - m + 1;
    for (; at > 0 && found > n && !r->failed; at--)
        if (s->p[at - 1] == what->p[0] && jinja_mem_step(r, 1 + m / 32) && memcmp(s->p + at - 1, what->p, m) == 0) found = at - 1;
    jinja_mem_bytes(r, found > n ? n : n - found);
    return found;
}

static void reverse(jlist *l)
{
    for (size_t i = 0; i < l->n / 2; i++) {
        jval v = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
}

static jval parts(jrun *r, jval self, const jargs *a, bool from_right)
{
    jval v[2];
    if (!jinja_eval_bind(r, a, "sep maxsplit", 0, v)) return nothing();
    const jstr *s = self.u.s, *sep = given(v[0]) ? string_arg(r, a, v[0]) : NULL;
    int64_t max = int_arg(r, a, v[1], -1);
    jlist *l = jinja_value_list(r, 0);
    if (sep && sep->n == 0) jinja_mem_fail(r, "ValueError", "empty separator");
    if (r->failed || !per_char(r, s)) return nothing();
    if (!sep && !from_right) split_space(r, self, l, max);
    else if (!sep) rsplit_space(r, self, l, max);
    else if (!from_right) {
        size_t at = 0;
        const char *hit;
        while (!r->failed && (max < 0 || (int64_t)l->n < max) && (hit = jinja_method_find_bytes(r, s->p + at, s->n - at, sep->p, sep->n))) {
            push_slice(r, l, self, at, (size_t)(hit - s->p));
            at = (size_t)(hit - s->p) + sep->n;
        }
        push_slice(r, l, self, at, s->n);
    } else {
        size_t end = s->n, at;
        while (!r->failed && (max < 0 || (int64_t)l->n < max) && (at = find_last(r, s, end, sep)) <= end) {
            push_slice(r, l, self, at + sep->n, end);
            end = at;
        }
        push_slice(r, l, self, 0, end);
    }
    if (from_right) reverse(l);
    return jlistv(l);
}
static jval split(jrun *r, jval self, const jargs *a) { return parts(r, self, a, false); }
static jval rsplit(jrun *r, jval self, const jargs *a) { return parts(r, self, a, true); }

static jval partitioned(jrun *r, jval self, const jargs *a, bool from_right)
{
    jval v;
    if (!jinja_eval_bind(r, a, "sep", 1, &v)) return nothing();
    const jstr *s = self.u.s, *sep = string_arg(r, a, v);
    if (sep->n == 0) jinja_mem_fail(r, "ValueError", "empty separator");
    if (r->failed) return nothing();
    const char *hit = from_right ? NULL : jinja_method_find_bytes(r, s->p, s->n, sep->p, sep->n);
    size_t at = from_right ? find_last(r, s, s->n, sep) : hit ? (size_t)(hit - s->p) : s->n + 1;
    jlist *l = jinja_value_list(r, 3);
    bool found = at <= s->n;
    size_t cut = found ? at : from_right ? 0 : s->n;
    push_slice(r, l, self, 0, cut);
    push_slice(r, l, self, cut, found ? cut + sep->n : cut);
    push_slice(r, l, self, found ? cut + sep->n : cut, s->n);
    return jtuplev(l);
}
static jval partition(jrun *r, jval self, const jargs *a) { return partitioned(r, self, a, false); }
static jval rpartition(jrun *r, jval self, const jargs *a) { return partitioned(r, self, a, true); }

static jval splitlines(jrun *r, jval self, const jargs *a)
{
    jval v;
    return jinja_eval_bind(r, a, "keepends", 0, &v) ? jlistv(jinja_method_lines(r, self.u.s, jinja_value_true(v))) : nothing();
}

static jval join(jrun *r, jval self, const jargs *a)
{
    jval v;
    jbuf b = {.r = r};
    if (!jinja_eval_bind(r, a, "iterable", 1, &v)) return nothing();
    const jlist *l = jinja_value_items(r, v);
    for (size_t i = 0; i < l->n && !r->failed; i++) {
        if (i) jinja_mem_putstr(&b, self.u.s);
        if (l->v[i].type == J_STR) jinja_mem_putstr(&b, l->v[i].u.s);
        else jinja_mem_fail(r, "TypeError", "sequence item %zu: expected str instance, %s found", i, jinja_value_type(l->v[i]));
    }
    return like(self, jinja_mem_done(&b));
}

/* ---- searching ---- */

/* The part of self that optional bounds leave; *offset: its first character. */
static const jstr *window(jrun *r, jval self, jval start, jval end, int64_t *offset)
{
    jval bound[3] = {start, end, {.type = J_MISSING}};
    int64_t n = (int64_t)jinja_value_chars(r, self.u.s);
    *offset = 0;
    if (jinja_number_as_int(start, offset)) {
        if (*offset < 0) *offset = *offset < -n ? 0 : *offset + n;
        if (*offset > n) return NULL;
    }
    jval v = jinja_value_slice(r, self, bound);
    return v.type == J_STR ? v.u.s : NULL;
}

static jval found_at(jrun *r, jval self, const jargs *a, bool from_right, bool must)
{
    jval v[3];
    int64_t offset;
    if (!jinja_eval_bind(r, a, "sub start end", 1, v)) return nothing();
    const jstr *what = string_arg(r, a, v[0]), *in = r->failed ? NULL : window(r, self, v[1], v[2], &offset);
    size_t at = SIZE_MAX;
    if (in && from_right) {
        at = find_last(r, in, in->n, what);
        if (at > in->n) at = SIZE_MAX;
    } else if (in) {
        const char *hit = jinja_method_find_bytes(r, in->p, in->n, what->p, what->n);
        if (hit) at = (size_t)(hit - in->p);
    }
    if (at == SIZE_MAX) {
        if (must) jinja_mem_fail(r, "ValueError", "substring not found");
        return jint(-1);
    }
    return jint(offset + (int64_t)jinja_value_chars(r, jinja_mem_slice(r, in, 0, at)));
}
static jval find(jrun *r, jval self, const jargs *a) { return found_at(r, self, a, false, false); }
static jval rfind(jrun *r, jval self, const jargs *a) { return found_at(r, self, a, true, false); }
static jval index_(jrun *r, jval self, const jargs *a) { return found_at(r, self, a, false, true); }
static jval rindex_(jrun *r, jval self, const jargs *a) { return found_at(r, self, a, true, true); }

static jval count(jrun *r, jval self, const jargs *a)
{
    jval v[3];
    int64_t offset, n = 0;
    if (!jinja_eval_bind(r, a, "sub start end", 1, v)) return nothing();
    const jstr *what = string_arg(r, a, v[0]), *in = r->failed ? NULL : window(r, self, v[1], v[2], &offset);
    if (!in) return jint(0);
    if (what->n == 0) return jint((int64_t)jinja_value_chars(r, in) + 1);
    const char *p = in->p, *end = in->p + in->n, *hit;
    for (; !r->failed && (hit = jinja_method_find_bytes(r, p, (size_t)(end - p), what->p, what->n)); n++) p = hit + what->n;
    return jint(n);
}

static bool ends_with(const jstr *s, const jstr *part, bool front)
{
    return part->n <= s->n && memcmp(front ? s->p : s->p + s->n - part->n, part->p, part->n) == 0;
}

static jval has_end(jrun *r, jval self, const jargs *a, bool front)
{
    jval v[3];
    int64_t offset;
    bool yes = false;
    if (!jinja_eval_bind(r, a, "part start end", 1, v)) return nothing();
    const jstr *in = window(r, self, v[1], v[2], &offset);
    if (!in) return jbool(false);
    if (v[0].type != J_TUPLE) return jbool(ends_with(in, string_arg(r, a, v[0]), front));
    for (size_t i = 0; i < v[0].u.l->n && !yes && !r->failed; i++) yes = ends_with(in, string_arg(r, a, v[0].u.l->v[i]), front);
    return jbool(yes);
}
static jval startswith(jrun *r, jval self, const jargs *a) { return has_end(r, self, a, true); }
static jval endswith(jrun *r, jval self, const jargs *a) { return has_end(r, self, a, false); }

/* ---- what the characters are ---- */

typedef bool class_fn(uint32_t c);
static jval all_are(jrun *r, jval self, const jargs *a, class_fn *is, bool empty)
{
    const jstr *s = self.u.s;
    if (!jinja_eval_bind(r, a, "", 0, NULL) || !per_char(r, s)) return nothing();
    for (size_t at = 0, len; at < s->n; at += len)
        if (!is(unicode_decode(s->p + at, &len))) return jbool(false);
    return jbool(s->n > 0 || empty);
}
static bool is_ascii(uint32_t c) { return c < 0x80; }
static jval isalnum_(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_alnum, false); }
static jval isalpha_(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_alpha, false); }
static jval isascii_(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, is_ascii, true); }
static jval isdecimal(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_decimal, false); }
static jval isdigit_(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_digit, false); }
static jval isnumeric(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_numeric, false); }
static jval isprintable(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_printable, true); }
static jval isspace_(jrun *r, jval self, const jargs *a) { return all_are(r, self, a, jinja_unicode_space, false); }

/* At least one cased character, and all cased ones of one kind. */
static jval one_case(jrun *r, jval self, const jargs *a, bool want_upper)
{
    const jstr *s = self.u.s;
    bool any = false;
    if (!jinja_eval_bind(r, a, "", 0, NULL) || !per_char(r, s)) return nothing();
    for (size_t at = 0, len; at < s->n; at += len) {
        uint32_t c = unicode_decode(s->p + at, &len);
        bool up = jinja_unicode_upper(c), low = jinja_unicode_lower(c);
        if (jinja_unicode_title(c) || (want_upper ? low : up)) return jbool(false);
        any = any || up || low;
    }
    return jbool(any);
}
static jval isupper_(jrun *r, jval self, const jargs *a) { return one_case(r, self, a, true); }
static jval islower_(jrun *r, jval self, const jargs *a) { return one_case(r, self, a, false); }

static jval istitle(jrun *r, jval self, const jargs *a)
{
    const jstr *s = self.u.s;
    bool any = false, inside = false;
    if (!jinja_eval_bind(r, a, "", 0, NULL) || !per_char(r, s)) return nothing();
    for (size_t at = 0, len; at < s->n; at += len) {
        uint32_t c = unicode_decode(s->p + at, &len);
        bool up = jinja_unicode_upper(c) || jinja_unicode_title(c), low = jinja_unicode_lower(c);
        if (up ? inside : low && !inside) return jbool(false);
        inside = up || low;
        any = any || inside;
    }
    return jbool(any);
}

static const struct method {
    const char *name;
    jfn *fn;
} str_methods[] = {
    {"capitalize", capitalize}, {"center", center}, {"count", count}, {"endswith", endswith}, {"find", find},
    {"format", jinja_format_braces}, {"index", index_}, {"isalnum", isalnum_}, {"isalpha", isalpha_}, {"isascii", isascii_},
    {"isdecimal", isdecimal}, {"isdigit", isdigit_}, {"islower", islower_}, {"isnumeric", isnumeric},
    {"isprintable", isprintable}, {"isspace", isspace_}, {"istitle", istitle}, {"isupper", isupper_}, {"join", join},
    {"ljust", ljust}, {"lower", lower}, {"lstrip", lstrip}, {"partition", partition}, {"removeprefix", removeprefix},
    {"removesuffix", removesuffix}, {"replace", replace}, {"rfind", rfind}, {"rindex", rindex_}, {"rjust", rjust},
    {"rpartition", rpartition}, {"rsplit", rsplit}, {"rstrip", rstrip}, {"split", split}, {"splitlines", splitlines},
    {"startswith", startswith}, {"strip", strip}, {"swapcase", swapcase}, {"title", title}, {"upper", upper}, {"zfill", zfill},
};

static jfn *str_find(const jstr *name)
{
    for (size_t i = 0; i < sizeof str_methods / sizeof str_methods[0]; i++)
        if (jis(name, str_methods[i].name)) return str_methods[i].fn;
    return NULL;
}

jval jinja_method_find(jrun *r, jval obj, const jstr *name)
{
    const jval none = {.type = J_MISSING};
    bool refused = false;
    jfn *fn = obj.type == J_STR ? str_find(name) : jinja_container_find(r, obj, name, &refused);
    if (obj.type == J_TUPLE && obj.u.l->name && obj.u.l->n == 2) { /* of groupby */
        if (jis(name, "grouper")) return obj.u.l->v[0];
        if (jis(name, "list")) return obj.u.l->v[1];
    }
    if (refused) {
        char msg[160];
        snprintf(msg, sizeof msg, "access to attribute '%.*s' of '%s' object is unsafe.", (int)(name->n > 60 ? 60 : name->n),
                 name->p, jinja_value_type(obj));
        return jinja_value_undefined(r, msg);
    }
    if (!fn) return none;
    jfunc *f = jinja_mem_take(r, 1, sizeof *f);
    char *copy = f ? jinja_mem_take(r, name->n + 1, 1) : NULL;
    if (!copy) return none;
    memcpy(copy, name->p, name->n);
    *f = (jfunc){.name = copy, .fn = fn, .self = obj};
    return (jval){.type = J_FUNC, .u.func = f};
}
