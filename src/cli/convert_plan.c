#define _POSIX_C_SOURCE 200809L
#include "cli/convert_plan.h"
#include "base/checked.h"
#include "base/err.h"
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t convert_plan_float(const char *dtype)
{
    static const char *const floats[] = {"F64", "F32", "F16", "BF16"};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        if (strcmp(dtype, floats[i]) == 0) return pith_dtype_bits(dtype) / 8;
    return 0;
}

/* ---- what was typed ---- */

int convert_plan_size(const char *text, uint64_t *bytes)
{
    static const struct { const char *name; uint64_t factor; } units[] = {
        {"", 1}, {"B", 1}, {"KB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {"TB", 1000000000000},
        {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1ull << 40}};
    if (strcmp(text, "all") == 0) text = "0";
    size_t digits = strspn(text, "0123456789");
    uint64_t n = 0;
    if (!digits) return -1;
    for (size_t i = 0; i < digits; i++)
        if (checked_digit(&n, (unsigned)(text[i] - '0'))) return -1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcasecmp(text + digits, units[i].name) == 0) {
            if (checked_mul(n, units[i].factor, bytes)) return -1;
            if (!*bytes) *bytes = UINT64_MAX;
            return 0;
        }
    return -1;
}

static size_t stars(const char *s, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) n += s[i] == '*';
    return n;
}

int convert_plan_check(const convert_plan_options *o, pith_err *e)
{
    for (size_t i = 0; i < o->rename.n; i++) {
        const char *rule = o->rename.items[i], *eq = strchr(rule, '=');
        if (!eq || eq == rule || !eq[1]) return err_set(e, "--rename: '%.300s' is not OLD=NEW", rule);
        size_t old = stars(rule, (size_t)(eq - rule)), new = stars(eq + 1, strlen(eq + 1));
        if (old != new)
            return err_set(e, "--rename: '%.300s' has %zu * before the = and %zu after; each * after it stands for what one before it matched", rule, old, new);
    }
    for (size_t i = 0; i < o->metadata.n; i++) {
        const char *pair = o->metadata.items[i], *eq = strchr(pair, '=');
        if (!eq || eq == pair) return err_set(e, "--metadata: '%.300s' is not KEY=VALUE (KEY= removes it)", pair);
    }
    return 0;
}

/* Where s[0..n) begins in text[from..to), or SIZE_MAX. */
static size_t find(const char *text, size_t from, size_t to, const char *s, size_t n)
{
    for (size_t at = from; at <= to && to - at >= n; at++)
        if (memcmp(text + at, s, n) == 0) return at;
    return SIZE_MAX;
}

/* The k-th * of pattern[0..n) matched name[begin[k]..end[k]). Every * takes as little as it can, the last the rest. */
static int match(const char *pattern, size_t n, const char *name, size_t *begin, size_t *end)
{
    size_t len = strlen(name), at = 0, k = 0;
    for (size_t p = 0;;) {
        const char *star = memchr(pattern + p, '*', n - p);
        size_t part = star ? (size_t)(star - pattern) - p : n - p, found;
        if (k == 0) found = len >= part && memcmp(name, pattern + p, part) == 0 && (star || len == part) ? 0 : SIZE_MAX;
        else if (!star) found = len - at >= part && memcmp(name + len - part, pattern + p, part) == 0 ? len - part : SIZE_MAX;
        else found = find(name, at, len, pattern + p, part);
        if (found == SIZE_MAX) return 0;
        if (k) end[k - 1] = found;
        if (!star) return 1;
        at = begin[k++] = found + part;
        p += part + 1;
    }
}

int convert_plan_rename(const char *rule, const char *name, char **out, pith_err *e)
{
    const char *eq = strchr(rule, '='), *new = eq + 1;
    size_t old_len = (size_t)(eq - rule), n = stars(rule, old_len), room = strlen(new) + strlen(name) + 1, used = 0, k = 0;
    size_t *begin = malloc((2 * n + 1) * sizeof *begin), *end = begin + n;
    *out = begin ? malloc(room) : NULL;
    if (!*out) {
        free(begin);
        return err_nomem(e, room, "a name");
    }
    if (match(rule, old_len, name, begin, end)) {
        for (const char *c = new; *c; c++) {
            size_t len = *c == '*' ? end[k] - begin[k] : 1;
            memcpy(*out + used, *c == '*' ? name + begin[k] : c, len);
            k += *c == '*';
            used += len;
        }
        (*out)[used] = 0;
    } else {
        free(*out);
        *out = NULL;
    }
    free(begin);
    return 0;
}

/* ---- tensors ---- */

static const char *name_of(const pith_weights *w, size_t i)
{
    pith_tensor t;
    pith_weights_at(w, i, &t);
    return t.name;
}

/* Marks in chosen[] what a list of globs matches. */
static int mark(const pith_weights *w, const cli_list *globs, const char *option, char value, char *chosen, pith_err *e)
{
    size_t n = pith_weights_count(w);
    for (size_t g = 0; g < globs->n; g++) {
        int found = 0;
        for (size_t i = 0; i < n; i++)
            if (fnmatch(globs->items[g], name_of(w, i), 0) == 0) {
                chosen[i] = value;
                found = 1;
            }
        if (!found)
            return err_set(e, "%s '%.300s' matches none of the %zu tensors (the first is %.200s); pith inspect lists them", option,
                           globs->items[g], n, n ? name_of(w, 0) : "none");
    }
    return 0;
}

static int set_item(convert_plan_item *x, const pith_tensor *t, size_t i, const char *to, pith_err *e)
{
    size_t from = convert_plan_float(t->dtype);
    *x = (convert_plan_item){.source = i, .name = strdup(t->name), .dtype = t->dtype, .nbytes = t->nbytes};
    if (!x->name) return err_nomem(e, strlen(t->name) + 1, "a name");
    if (!to || !from || strcmp(to, t->dtype) == 0) return 0;
    x->cast = 1;
    x->dtype = to;
    if (checked_mul(t->nbytes / from, convert_plan_float(to), &x->nbytes)) return err_set(e, "%.200s: as %s it has more bytes than 64 bits can count", t->name, to);
    return 0;
}

/* Items of the tensors that were asked for; of those that are one in memory only the first, the others as pairs
 * (copy[j] is kept as item copied[j]). */
static int choose(convert_plan *p, const pith_weights *w, const convert_plan_options *o, size_t *kept, pith_err *e)
{
    size_t n = pith_weights_count(w), selected = 0;
    char *chosen = malloc(n + 1);
    if (!chosen) return err_nomem(e, n, "the plan");
    memset(chosen, o->include.n ? 0 : 1, n + 1);
    int bad = mark(w, &o->include, "--include", 1, chosen, e) || mark(w, &o->exclude, "--exclude", 0, chosen, e);
    for (size_t i = 0; i < n; i++) kept[i] = SIZE_MAX;
    for (size_t i = 0; i < n && !bad; i++) {
        pith_tensor t;
        size_t first = pith_weights_same(w, i);
        if (!chosen[i]) continue;
        selected++;
        pith_weights_at(w, i, &t);
        if (kept[first] != SIZE_MAX && !o->keep_copies) {
            char **pair = p->aliases + 2 * p->n_aliases++;
            pair[0] = strdup(t.name);
            pair[1] = strdup(name_of(w, kept[first]));
            if (!pair[0] || !pair[1]) bad = err_nomem(e, strlen(t.name), "a name");
            continue;
        }
        kept[first] = i;
        bad = set_item(&p->items[p->n++], &t, i, o->dtype, e);
    }
    p->n_dropped = n - selected;
    free(chosen);
    if (!bad && !p->n) return err_set(e, n ? "--include and --exclude leave no tensor to write" : "the source holds no tensors");
    return bad;
}

/* One name; `met` is increased where the rule matches. */
static int rename_one(const char *rule, char **name, size_t *met, pith_err *e)
{
    char *new;
    if (convert_plan_rename(rule, *name, &new, e)) return -1;
    if (!new) return 0;
    if (!*new) {
        free(new);
        return err_set(e, "--rename '%.300s' leaves %.200s without a name", rule, *name);
    }
    free(*name);
    *name = new;
    ++*met;
    return 0;
}

static int rename_all(convert_plan *p, const cli_list *rules, pith_err *e)
{
    for (size_t r = 0; r < rules->n; r++) {
        const char *rule = rules->items[r];
        size_t met = 0;
        for (size_t i = 0; i < p->n; i++)
            if (rename_one(rule, &p->items[i].name, &met, e)) return -1;
        for (size_t i = 0; i < 2 * p->n_aliases; i++)
            if (rename_one(rule, &p->aliases[i], &met, e)) return -1;
        if (!met)
            return err_set(e, "--rename '%.300s' matches no tensor; OLD is a whole name, * in it stands for any part (the first is %.200s)", rule, p->items[0].name);
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const convert_plan_item *x = *(const convert_plan_item *const *)a, *y = *(const convert_plan_item *const *)b;
    int order = strcmp(x->name, y->name);
    return order ? order : x->source < y->source ? -1 : x->source > y->source;
}

static int refuse_collisions(const convert_plan *p, const pith_weights *w, pith_err *e)
{
    const convert_plan_item **sorted = malloc(p->n * sizeof *sorted);
    int bad = 0;
    if (!sorted) return err_nomem(e, p->n * sizeof *sorted, "the plan");
    for (size_t i = 0; i < p->n; i++) sorted[i] = &p->items[i];
    qsort(sorted, p->n, sizeof *sorted, by_name);
    for (size_t i = 1; i < p->n && !bad; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            bad = err_set(e, "%.200s and %.200s would both be named %.200s; change --rename, or leave one out with --exclude", name_of(w, sorted[i - 1]->source),
                          name_of(w, sorted[i]->source), sorted[i]->name);
    free(sorted);
    return bad;
}

/* As Hugging Face splits: tensors in order, a new file where the next one would not fit; one that is larger than the
 * limit has a file of its own, and the file that was being filled goes on after it. */
static int split(convert_plan *p, uint64_t limit, pith_err *e)
{
    size_t current = SIZE_MAX;
    uint64_t filled = 0;
    for (size_t i = 0; i < p->n; i++) {
        convert_plan_item *x = &p->items[i];
        if (checked_add(p->nbytes, x->nbytes, &p->nbytes)) return err_set(e, "the tensors together have more bytes than 64 bits can count");
        if (x->nbytes > limit) {
            x->shard = p->n_shards++;
            continue;
        }
        if (current == SIZE_MAX || x->nbytes > limit - filled) {
            current = p->n_shards++;
            filled = 0;
        }
        x->shard = current;
        filled += x->nbytes;
    }
    return 0;
}

/* ---- metadata ---- */

static void drop_pair(convert_plan *p, size_t i)
{
    free((char *)p->metadata[i].key);
    free((char *)p->metadata[i].value);
    p->n_metadata--;
    memmove(p->metadata + i, p->metadata + i + 1, (p->n_metadata - i) * sizeof *p->metadata);
}

static size_t find_pair(const convert_plan *p, const char *key, size_t len)
{
    size_t i = 0;
    while (i < p->n_metadata && (strncmp(p->metadata[i].key, key, len) != 0 || p->metadata[i].key[len])) i++;
    return i;
}

static int set_pair(convert_plan *p, const char *key, size_t len, const char *value, pith_err *e)
{
    size_t i = find_pair(p, key, len);
    pith_pair *more = i == p->n_metadata ? realloc(p->metadata, (i + 1) * sizeof *more) : p->metadata;
    char *k = strndup(key, len), *v = strdup(value);
    if (more) p->metadata = more;
    if (!more || !k || !v) {
        free(k);
        free(v);
        return err_nomem(e, len + strlen(value), "metadata");
    }
    if (i == p->n_metadata) {
        p->n_metadata++;
    } else {
        free((char *)p->metadata[i].key);
        free((char *)p->metadata[i].value);
    }
    p->metadata[i] = (pith_pair){k, v};
    return 0;
}

/* What the files say, the first to say it; then what PyTorch's readers look for; then what was asked for. */
static int describe(convert_plan *p, const pith_weights *w, const cli_list *asked, pith_err *e)
{
    for (size_t f = 0; f < pith_weights_files(w); f++)
        for (size_t i = 0; i < pith_weights_metadata_count(w, f); i++) {
            const char *key, *value;
            if (pith_weights_metadata(w, f, i, &key, &value) || find_pair(p, key, strlen(key)) < p->n_metadata) continue;
            if (set_pair(p, key, strlen(key), value, e)) return -1;
        }
    if (strcmp(pith_weights_format(w), "PyTorch") == 0 && set_pair(p, "format", 6, "pt", e)) return -1;
    for (size_t i = 0; i < p->n_aliases; i++)
        if (set_pair(p, p->aliases[2 * i], strlen(p->aliases[2 * i]), p->aliases[2 * i + 1], e)) return -1;
    for (size_t i = 0; i < asked->n; i++) {
        const char *pair = asked->items[i];
        size_t len = strcspn(pair, "=");
        if (pair[len + 1]) {
            if (set_pair(p, pair, len, pair + len + 1, e)) return -1;
            continue;
        }
        size_t at = find_pair(p, pair, len);
        if (at == p->n_metadata) return err_set(e, "--metadata '%.300s' removes a key that is not there; pith inspect lists the metadata", pair);
        drop_pair(p, at);
    }
    return 0;
}

int convert_plan_make(convert_plan *p, const pith_weights *w, const convert_plan_options *o, pith_err *e)
{
    size_t n = pith_weights_count(w);
    *p = (convert_plan){.items = calloc(n + 1, sizeof *p->items), .aliases = calloc(2 * n + 1, sizeof *p->aliases)};
    size_t *kept = malloc((n + 1) * sizeof *kept);
    int bad = !p->items || !p->aliases || !kept ? err_nomem(e, n * sizeof *p->items, "the plan") : 0;
    bad = bad || choose(p, w, o, kept, e) || rename_all(p, &o->rename, e) || refuse_collisions(p, w, e) ||
          split(p, o->max_shard, e) || describe(p, w, &o->metadata, e);
    free(kept);
    if (bad) convert_plan_free(p);
    return bad ? -1 : 0;
}

void convert_plan_free(convert_plan *p)
{
    for (size_t i = 0; i < p->n; i++) free(p->items[i].name);
    for (size_t i = 0; i < 2 * p->n_aliases; i++) free(p->aliases[i]);
    while (p->n_metadata) drop_pair(p, p->n_metadata - 1);
    free(p->items);
    free(p->aliases);
    free(p->metadata);
    *p = (convert_plan){0};
}
