#include "tokenizer/added.h"
#include "base/mem.h"
#include "tokenizer/unicode.h"
#include <stdlib.h>
#include <string.h>

/* ---- finding ---- */

/* The longest pattern that text begins with; NULL if none. Narrows the sorted list byte by byte. */
static const added_pattern *longest(const added_set *s, const char *text, size_t len)
{
    const added_pattern *found = NULL;
    size_t lo = 0, hi = s->n;
    for (size_t depth = 0; lo < hi; depth++) {
        if (s->pattern[lo].len == depth) found = &s->pattern[lo++];
        if (depth == len) break;
        unsigned char b = (unsigned char)text[depth];
        size_t a = lo, z = hi;
        while (a < z) { /* first pattern with a byte >= b here */
            size_t m = a + (z - a) / 2;
            if ((unsigned char)s->pattern[m].text[depth] < b)
                a = m + 1;
            else
                z = m;
        }
        lo = a;
        z = hi;
        while (a < z) { /* first with a greater one */
            size_t m = a + (z - a) / 2;
            if ((unsigned char)s->pattern[m].text[depth] <= b)
                a = m + 1;
            else
                z = m;
        }
        hi = a;
    }
    return found;
}

static bool word_before(const char *text, size_t at)
{
    size_t len;
    return at > 0 && unicode_class(unicode_decode(text + unicode_before(text, at), &len)) & UNICODE_WORD;
}

static bool word_after(const char *text, size_t at, size_t end)
{
    size_t len;
    return at < end && unicode_class(unicode_decode(text + at, &len)) & UNICODE_WORD;
}

static size_t spaces_before(const char *text, size_t at, size_t from)
{
    size_t len;
    while (at > from) {
        size_t p = unicode_before(text, at);
        if (!(unicode_class(unicode_decode(text + p, &len)) & UNICODE_SPACE)) break;
        at = p;
    }
    return at;
}

static size_t spaces_after(const char *text, size_t at, size_t end)
{
    size_t len;
    while (at < end && unicode_class(unicode_decode(text + at, &len)) & UNICODE_SPACE) at += len;
    return at;
}

int added_split(const added_set *s, const char *text, size_t len, bool skip_special, added_may *may, added_part *part,
                void *ctx, pith_err *e)
{
    size_t done = 0;
    for (size_t i = 0; s->n && i < len;) {
        if (!s->first[(unsigned char)text[i]]) {
            i++;
            continue;
        }
        const added_pattern *p = longest(s, text + i, len - i);
        if (!p) {
            i++;
            continue;
        }
        const added_token *t = p->token;
        size_t begin = i, end = i + p->len;
        if (t->special && may && !may(ctx, begin, end)) {
            i++; /* one that counts may begin inside */
            continue;
        }
        i = end; /* a match that does not count is not looked into again */
        if (skip_special && t->special) continue;
        if (t->single_word && (word_before(text, begin) || word_after(text, end, len))) continue;
        /* Spaces that the token before took stay with it. */
        if (t->lstrip) begin = begin > done ? spaces_before(text, begin, done) : done;
        if (t->rstrip) end = spaces_after(text, end, len);
        if (begin >= end) continue;
        if (done < begin && part(ctx, text, done, begin, NULL, e)) return -1;
        if (part(ctx, text, begin, end, t, e)) return -1;
        done = end;
    }
    return done < len ? part(ctx, text, done, len, NULL, e) : 0;
}

/* ---- tokenizer.json ---- */

static int by_text(const void *x, const void *y)
{
    const added_pattern *a = x, *b = y;
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->text, b->text, n);
    if (c) return c;
    if (a->len != b->len) return a->len < b->len ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static int add_pattern(added_set *s, const char *text, size_t len, size_t order, const added_token *t, pith_err *e)
{
    char *copy = mem_alloc(len);
    if (!copy) return err_nomem(e, len, "added tokens");
    memcpy(copy, text, len);
    s->pattern[s->n++] = (added_pattern){copy, len, order, t};
    return 0;
}

/* Two tokens may become the same when normalised; the first counts. */
static void sort_set(added_set *s)
{
    size_t n = 0;
    if (s->n) qsort(s->pattern, s->n, sizeof *s->pattern, by_text);
    for (size_t i = 0; i < s->n; i++) {
        added_pattern *p = &s->pattern[i];
        if (n && s->pattern[n - 1].len == p->len && memcmp(s->pattern[n - 1].text, p->text, p->len) == 0) {
            mem_free(p->text);
            continue;
        }
        s->first[(unsigned char)p->text[0]] = 1;
        s->pattern[n++] = *p;
    }
    s->n = n;
}

static int read_token(added_token *t, json v, pith_err *e)
{
    const char *content;
    int single_word, lstrip, rstrip, normalize, special;
    uint64_t id;
    if (json_typeof(v) != JSON_OBJECT) return json_expected(v, "an object", e);
    if (json_get_str(v, "content", &content, e) || json_get_size(v, "id", 0, INT32_MAX, &id, e) ||
        json_get_bool(v, "single_word", &single_word, e) || json_get_bool(v, "lstrip", &lstrip, e) ||
        json_get_bool(v, "rstrip", &rstrip, e) || json_get_bool(v, "normalized", &normalize, e) ||
        json_get_bool(v, "special", &special, e))
        return -1;
    size_t len = strlen(content);
    char *copy = mem_alloc(len + 1);
    if (!copy) return err_nomem(e, len + 1, "added tokens");
    memcpy(copy, content, len + 1);
    *t = (added_token){copy, len, 0, single_word != 0, lstrip != 0, rstrip != 0, normalize != 0, special != 0};
    return 0;
}

static int add_patterns(added *a, const normalizer *z, json list, pith_err *e)
{
    normalized n = {0};
    json c = json_first(list);
    size_t bytes = a->n * sizeof *a->raw.pattern;
    if (!(a->raw.pattern = mem_alloc(bytes)) || !(a->normalized.pattern = mem_alloc(bytes)))
        return err_nomem(e, bytes, "added tokens");
    int rc = 0;
    for (size_t i = 0; i < a->n && !rc; i++, c = json_next(c)) {
        const added_token *t = &a->token[i];
        size_t order = t->special ? i : a->n + i; /* the reference lists special ones first */
        if (!t->len) continue;
        if (!t->normalized || !z->n) {
            rc = add_pattern(t->normalized ? &a->normalized : &a->raw, t->content, t->len, order, t, e);
        } else if ((rc = normalize_run(z, t->content, t->len, &n, e)) == 0) {
            rc = n.len ? add_pattern(&a->normalized, n.text, n.len, order, t, e)
                       : json_expected(json_get(c, "content"), "content that the normalizer does not remove", e);
        }
    }
    normalize_result_free(&n);
    sort_set(&a->raw);
    sort_set(&a->normalized);
    return rc;
}

int added_open(added *a, json list, const vocab *model, const normalizer *z, pith_err *e)
{
    *a = (added){0};
    if (json_typeof(list) == JSON_NONE || json_typeof(list) == JSON_NULL) return 0;
    if (json_typeof(list) != JSON_ARRAY) return json_expected(list, "an array", e);
    size_t n = json_len(list);
    if (!n) return 0;
    if (!(a->token = mem_zero(n, sizeof *a->token))) return err_nomem(e, n * sizeof *a->token, "added tokens");
    uint64_t next = model->n;
    for (json c = json_first(list); c.node; c = json_next(c)) {
        added_token *t = &a->token[a->n];
        if (read_token(t, c, e)) return -1;
        a->n++;
        if (!t->len) continue; /* ignored by the reference too */
        if (vocab_find(&a->ids, t->content, t->len) >= 0)
            return err_set(e, "tokenizer.json: added_tokens: \"%.60s\" is there twice", t->content);
        int32_t id = vocab_find(model, t->content, t->len);
        if (id < 0) id = next > INT32_MAX ? -1 : (int32_t)next++;
        if (id < 0) return err_set(e, "tokenizer.json: added_tokens: more than 2147483647 ids");
        t->id = id;
        if (vocab_add(&a->ids, t->content, t->len, id, e) ||
            (t->special && vocab_add(&a->special, t->content, t->len, id, e)))
            return -1;
    }
    return vocab_close(&a->ids, "tokenizer.json: added_tokens", e) ||
                   vocab_close(&a->special, "tokenizer.json: added_tokens", e) || add_patterns(a, z, list, e)
               ? -1
               : 0;
}

void added_free(added *a)
{
    for (size_t i = 0; i < a->n; i++) mem_free(a->token[i].content);
    for (size_t i = 0; i < a->raw.n; i++) mem_free(a->raw.pattern[i].text);
    for (size_t i = 0; i < a->normalized.n; i++) mem_free(a->normalized.pattern[i].text);
    mem_free(a->token);
    mem_free(a->raw.pattern);
    mem_free(a->normalized.pattern);
    vocab_free(&a->ids);
    vocab_free(&a->special);
    *a = (added){0};
}
