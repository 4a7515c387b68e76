/* checkpoint: zip, legacy stream, and the choice of the dict. */
#include "formats/checkpoint.h"
#include "base/checked.h"
#include "formats/scan.h"
#include "formats/sniff.h"
#include "formats/zip.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *show(char buf[SCAN_SHOW], pickle_value v) { return scan_show(buf, v.u.s, v.len); }

static int is_str(pickle_value v, const char *s) { return v.kind == PICKLE_STR && v.len == strlen(s) && !memcmp(v.u.s, s, v.len); }

/* ---- storages: those of one key are one ---- */

static int by_key(const void *a, const void *b)
{
    const pickle_storage *x = *(const pickle_storage *const *)a, *y = *(const pickle_storage *const *)b;
    uint32_t n = x->key.len < y->key.len ? x->key.len : y->key.len;
    int c = n ? memcmp(x->key.u.s, y->key.u.s, n) : 0;
    return c ? c : x->key.len < y->key.len ? -1 : x->key.len > y->key.len;
}

/* Fills storage_of and leaves in `first` the first storage of each key, sorted. */
static int unite(checkpoint *c, const pickle_storage **first, pith_err *e)
{
    size_t n = pickle_storages(c->tree);
    char buf[SCAN_SHOW];
    for (size_t i = 0; i < n; i++) first[i] = pickle_storage_at(c->tree, i);
    qsort(first, n, sizeof *first, by_key);
    for (size_t i = 0; i < n; i++) {
        const pickle_storage *s = first[i], *last = c->n_storages ? first[c->n_storages - 1] : NULL;
        if (!last || by_key(&last, &s)) {
            first[c->n_storages++] = s;
        } else if (s->type != last->type || s->numel != last->numel) {
            return err_set(e, "storage %s is described in two ways that contradict each other", show(buf, s->key));
        }
        c->storage_of[s->i] = c->n_storages - 1;
    }
    return 0;
}

/* `locate` tells where the storages named by keys[0..n) lie. */
static int find_storages(checkpoint *c, const void *container, int (*locate)(checkpoint *c, const void *container, const pickle_storage *const *keys, pith_err *e), pith_err *e)
{
    size_t n = pickle_storages(c->tree) + 1;
    const pickle_storage **first = malloc(n * sizeof *first);
    c->storage_of = malloc(n * sizeof *c->storage_of);
    c->storages = calloc(n, sizeof *c->storages);
    int bad = first && c->storage_of && c->storages ? 0 : err_nomem(e, n * sizeof *c->storages, "the storages");
    if (!bad) bad = unite(c, first, e) || locate(c, container, (const pickle_storage *const *)first, e) ? -1 : 0;
    free(first);
    return bad;
}

/* ---- zip ---- */

typedef struct archive {
    const unsigned char *p;
    zip *z;
    const char *prefix; /* [prefix_len] of all members, with its slash */
    size_t prefix_len;
} archive;

/* The one member NAME/data.pkl. */
static const zip_member *find_pickle(archive *a, pith_err *e)
{
    static const char tail[] = "/data.pkl";
    char x[SCAN_SHOW], y[SCAN_SHOW];
    const zip_member *found = NULL;
    for (size_t i = 0; i < zip_count(a->z); i++) {
        const zip_member *m = zip_at(a->z, i);
        size_t n = strlen(m->name);
        if (n < sizeof tail || strcmp(m->name + n - (sizeof tail - 1), tail)) continue;
        if (found)
            return err_set(e, "both %s and %s: which of the two is meant cannot be known", scan_show(x, found->name, strlen(found->name)), scan_show(y, m->name, n)), NULL;
        found = m;
    }
    if (!found) return err_set(e, "a zip archive without a data.pkl: not a PyTorch checkpoint"), NULL;
    a->prefix = found->name;
    a->prefix_len = strlen(found->name) - (sizeof tail - 2);
    return found;
}

static const zip_member *find_member(const archive *a, const char *name) { return zip_find(a->z, a->prefix, a->prefix_len, name, strlen(name)); }

static int check_member(const archive *a, const zip_member *m, pith_err *e)
{
    if (zip_crc(a->p + m->offset, (size_t)m->size) == m->crc) return 0;
    return err_set(e, "%s: its bytes do not have the checksum that is written beside them: the file is damaged; download it again", m->name);
}

static int check_byteorder(const archive *a, pith_err *e)
{
    const zip_member *m = find_member(a, "byteorder");
    if (!m) return 0;
    const char *s = (const char *)a->p + m->offset;
    char buf[SCAN_SHOW];
    if (check_member(a, m, e)) return -1;
    if (m->size == 6 && !memcmp(s, "little", 6)) return 0;
    if (m->size == 3 && !memcmp(s, "big", 3)) return err_set(e, "saved on a big-endian machine, which is not read: load and save it on a little-endian one");
    return err_set(e, "byteorder is \"%s\", expected little", scan_show(buf, s, m->size < 100 ? (size_t)m->size : 100));
}

static int locate_members(checkpoint *c, const void *container, const pickle_storage *const *keys, pith_err *e)
{
    const archive *a = container;
    char buf[SCAN_SHOW], *prefix = malloc(a->prefix_len + 5);
    if (!prefix) return err_nomem(e, a->prefix_len, "a name");
    memcpy(prefix, a->prefix, a->prefix_len);
    memcpy(prefix + a->prefix_len, "data/", 5);
    int bad = 0;
    for (size_t i = 0; i < c->n_storages && !bad; i++) {
        const zip_member *m = zip_find(a->z, prefix, a->prefix_len + 5, keys[i]->key.u.s, keys[i]->key.len);
        if (!m) bad = err_set(e, "storage %s is not in the archive: the file is damaged; download it again", show(buf, keys[i]->key));
        else if (m->size != keys[i]->nbytes)
            bad = err_set(e, "storage %s has %llu bytes, expected %llu; download it again", show(buf, keys[i]->key), (unsigned long long)m->size, (unsigned long long)keys[i]->nbytes);
        else c->storages[i] = (checkpoint_storage){m->offset, m->size, m->crc, 1};
    }
    free(prefix);
    return bad;
}

static int read_archive(checkpoint *c, archive *a, pith_err *e)
{
    size_t used;
    const zip_member *m = find_pickle(a, e);
    if (!m) return -1;
    if (find_member(a, "constants.pkl")) return err_set(e, "a TorchScript archive: a program, not only weights; save model.state_dict() of the original module");
    if (check_member(a, m, e) || check_byteorder(a, e)) return -1;
    c->tree = pickle_read(a->p + m->offset, (size_t)m->size, 5, &used, e);
    if (!c->tree) return err_where(e, "data.pkl");
    if (used != m->size) return err_set(e, "data.pkl: %llu bytes behind the end of the pickle", (unsigned long long)(m->size - used));
    return find_storages(c, a, locate_members, e);
}

static int read_zip(checkpoint *c, const void *p, size_t n, pith_err *e)
{
    archive a = {.p = p, .z = zip_open(p, n, e)};
    if (!a.z) return -1;
    int bad = read_archive(c, &a, e);
    zip_close(a.z);
    return bad;
}

/* ---- legacy stream: five pickles, then the storages in the order of the last ---- */

typedef struct stream {
    const unsigned char *p;
    size_t n, at;
    pickle *keys;
} stream;

/* The next pickle, of `kind`; `what` for messages. */
static pickle *next_pickle(stream *s, const char *what, size_t storage_items, pickle_kind kind, pith_err *e)
{
    size_t used;
    pickle *x = pickle_read(s->p + s->at, s->n - s->at, storage_items, &used, e);
    if (!x) return err_where(e, "%s, from byte %zu", what, s->at), NULL;
    if (pickle_root(x).kind == kind) {
        s->at += used;
        return x;
    }
    pickle_free(x);
    return err_set(e, "a Python pickle whose %s is not that of a PyTorch checkpoint", what), NULL;
}

static int read_magic(stream *s, pith_err *e)
{
    static const char magic[10] = {0x6c, (char)0xfc, (char)0x9c, 0x46, (char)0xf9, 0x20, 0x6a, (char)0xa8, 0x50, 0x19};
    pickle *x = next_pickle(s, "first part", 0, PICKLE_LONG, e);
    if (!x) return -1;
    pickle_value v = pickle_root(x);
    int good = v.len == sizeof magic && !memcmp(v.u.s, magic, sizeof magic);
    pickle_free(x);
    if (!good) return err_set(e, "a Python pickle, but not one that torch.save wrote");
    x = next_pickle(s, "protocol version", 0, PICKLE_INT, e);
    if (!x) return -1;
    int64_t version = pickle_root(x).u.i;
    pickle_free(x);
    return version == 1001 ? 0 : err_set(e, "protocol version %lld of PyTorch's legacy format, expected 1001", (long long)version);
}

static int read_system(stream *s, pith_err *e)
{
    pickle *x = next_pickle(s, "system description", 0, PICKLE_DICT, e);
    if (!x) return -1;
    const pickle_items *d = pickle_root(x).u.items;
    int big = 0;
    for (size_t i = 0; i < d->n; i += 2)
        if (is_str(d->at[i], "little_endian")) big = d->at[i + 1].kind != PICKLE_BOOL || !d->at[i + 1].u.i;
    pickle_free(x);
    return big ? err_set(e, "saved on a big-endian machine, which is not read: load and save it on a little-endian one") : 0;
}

/* Each key of the list once: its number of elements, then its bytes. */
static int locate_stream(checkpoint *c, const void *container, const pickle_storage *const *keys, pith_err *e)
{
    const stream *s = container;
    const pickle_items *list = pickle_root(s->keys).u.items;
    size_t at = s->at;
    char buf[SCAN_SHOW];
    for (size_t i = 0; i < list->n; i++) {
        const pickle_storage want = {.key = list->at[i]}, *key = &want;
        if (want.key.kind != PICKLE_STR) return err_set(e, "list of storages: number %zu is no string", i);
        const pickle_storage *const *found = c->n_storages ? bsearch(&key, keys, c->n_storages, sizeof *keys, by_key) : NULL;
        if (!found) return err_set(e, "storage %s is listed, but used by no tensor: its size is unknown", show(buf, want.key));
        checkpoint_storage *to = &c->storages[found - keys];
        if (to->offset) return err_set(e, "storage %s is listed twice", show(buf, want.key));
        if (s->n - at < 8) return err_set(e, "truncated: the file ends before storage %s; the download is incomplete", show(buf, want.key));
        uint64_t numel = checked_le(s->p + at, 8), nbytes = (*found)->nbytes;
        at += 8;
        if (numel != (*found)->numel) return err_set(e, "storage %s has %llu elements, expected %llu", show(buf, want.key), (unsigned long long)numel, (unsigned long long)(*found)->numel);
        if (s->n - at < nbytes)
            return err_set(e, "truncated: storage %s has %llu bytes at %zu, the file ends at %zu; the download is incomplete", show(buf, want.key), (unsigned long long)nbytes, at, s->n);
        *to = (checkpoint_storage){.offset = at, .nbytes = nbytes};
        at += (size_t)nbytes;
    }
    for (size_t i = 0; i < c->n_storages; i++)
        if (!c->storages[i].offset) return err_set(e, "storage %s is used by a tensor, but not in the file", show(buf, keys[i]->key));
    if (at != s->n) return err_set(e, "%zu bytes behind the last storage", s->n - at);
    return 0;
}

static int read_legacy(checkpoint *c, const void *p, size_t n, pith_err *e)
{
    stream s = {.p = p, .n = n};
    if (read_magic(&s, e) || read_system(&s, e)) return -1;
    size_t used;
    c->tree = pickle_read(s.p + s.at, n - s.at, 6, &used, e);
    if (!c->tree) return err_where(e, "object, from byte %zu", s.at);
    s.at += used;
    s.keys = next_pickle(&s, "list of storages", 0, PICKLE_LIST, e);
    int bad = !s.keys || find_storages(c, &s, locate_stream, e) ? -1 : 0;
    pickle_free(s.keys);
    return bad;
}

static int read_container(checkpoint *c, const unsigned char *p, size_t n, pith_err *e)
{
    if (!n) return err_set(e, "the file is empty: the download did not finish; download it again");
    if (n >= 4 && (!memcmp(p, "PK\3\4", 4) || !memcmp(p, "PK\5\6", 4))) return read_zip(c, p, n, e);
    if (n >= 2 && p[0] == 0x80 && p[1] <= 5) return read_legacy(c, p, n, e);
    if (n >= 262 && !memcmp(p + 257, "ustar", 5)) return err_set(e, "a tar archive, as PyTorch wrote before 0.1.10, is not read: load and save it with a newer PyTorch");
    if (n > 8 && !p[4] && !p[5] && !p[6] && !p[7] && p[8] == '{') return err_set(e, "this is a safetensors file, not a PyTorch checkpoint: give it a name that ends in .safetensors");
    if (sniff_bytes(p, n < SNIFF_BYTES ? n : SNIFF_BYTES, "a PyTorch checkpoint", e)) return -1;
    return err_set(e, "this is not a PyTorch checkpoint: it begins neither as a zip archive nor as a pickle");
}

/* ---- the dict that holds the tensors ---- */

static int has_tensors(pickle_value v)
{
    if (v.kind != PICKLE_DICT) return 0;
    for (size_t i = 1; i < v.u.items->n; i += 2)
        if (v.u.items->at[i].kind == PICKLE_TENSOR) return 1;
    return 0;
}

/* Writes up to three ways to dicts of tensors for a message; they lie directly in d or one deeper. */
static void list_ways(const pickle_items *d, char *text, size_t cap)
{
    char a[SCAN_SHOW], b[SCAN_SHOW];
    size_t n = 0, found = 0;
    text[0] = 0;
    for (size_t i = 0; i < d->n && found < 3; i += 2) {
        pickle_value k = d->at[i], v = d->at[i + 1];
        if (k.kind != PICKLE_STR || v.kind != PICKLE_DICT) continue;
        if (has_tensors(v) && found++ < 3) n += (size_t)snprintf(text + n, cap - n, "%s%s", n ? ", " : "", show(a, k));
        for (size_t j = 0; j < v.u.items->n && found < 3; j += 2) {
            pickle_value deep = v.u.items->at[j];
            if (deep.kind == PICKLE_STR && has_tensors(v.u.items->at[j + 1]) && found++ < 3)
                n += (size_t)snprintf(text + n, cap - n, "%s%s.%s", n ? ", " : "", show(a, k), show(b, deep));
        }
    }
}

/* A dict that was not asked for by name must not lose tensors in silence. */
static int check_nested(const pickle_items *d, const char *key, pith_err *e)
{
    char buf[SCAN_SHOW];
    for (size_t i = 0; i < d->n; i += 2) {
        if (d->at[i + 1].kind == PICKLE_TENSOR || !pickle_holds(d->at[i + 1])) continue;
        const char *name = d->at[i].kind == PICKLE_STR ? show(buf, d->at[i]) : "a key that is no string";
        return err_set(e, "%s%s%s holds tensors of its own beside those at %s: say which are meant: --key %s%s%s, or --key \"%s\" to leave these out", key, *key ? "." : "", name,
                       *key ? key : "the root", key, *key ? "." : "", name, key);
    }
    return 0;
}

static int choose(checkpoint *c, pith_err *e)
{
    static const char *const usual[] = {"state_dict", "model_state_dict", "model", "module", "params"};
    pickle_value root = pickle_root(c->tree);
    char ways[6 * SCAN_SHOW + 16];
    const pickle_items *d = root.u.items;
    for (size_t k = 0; k < sizeof usual / sizeof *usual; k++) {
        for (size_t i = 0; i < d->n; i += 2) {
            if (!is_str(d->at[i], usual[k]) || !has_tensors(d->at[i + 1])) continue;
            c->dict = d->at[i + 1].u.items;
            c->beside = d;
            memcpy(c->key, usual[k], strlen(usual[k]) + 1);
            return check_nested(c->dict, c->key, e);
        }
    }
    if (has_tensors(root)) {
        c->dict = d;
        return check_nested(d, "", e);
    }
    list_ways(d, ways, sizeof ways);
    if (*ways) return err_set(e, "no tensors at the root, nor under one of the usual names (state_dict, model, ...), but there are at %s: say which are meant with --key", ways);
    return err_set(e, "there are no tensors in it");
}

/* Follows names joined by '.'; a name may hold dots itself: the longest that fits is taken. */
static int follow(checkpoint *c, const char *key, pith_err *e)
{
    pickle_value at = pickle_root(c->tree);
    char ways[6 * SCAN_SHOW + 16], a[SCAN_SHOW];
    const char *rest = key;
    while (*rest) {
        const pickle_items *d = at.u.items;
        size_t best = 0, n = strlen(rest), next = 0;
        for (size_t i = 0; i < d->n; i += 2) {
            pickle_value k = d->at[i];
            if (k.kind != PICKLE_STR || d->at[i + 1].kind != PICKLE_DICT || !k.len || k.len < best || k.len > n || memcmp(k.u.s, rest, k.len)) continue;
            if (rest[k.len] && rest[k.len] != '.') continue;
            best = k.len;
            next = i + 1;
        }
        if (!next) {
            list_ways(pickle_root(c->tree).u.items, ways, sizeof ways);
            return err_set(e, "there is no dict at key %s%s%s", scan_show(a, key, strlen(key)), *ways ? "; there are tensors at " : "", ways);
        }
        at = d->at[next];
        rest += best + (rest[best] == '.');
    }
    memcpy(c->key, key, strlen(key) + 1);
    c->dict = at.u.items;
    return has_tensors(at) ? 0 : err_set(e, "there are no tensors at key \"%s\"", scan_show(a, key, strlen(key)));
}

int checkpoint_read(checkpoint *c, const void *p, size_t n, const char *key, pith_err *e)
{
    size_t room = (key ? strlen(key) : 0) + 32;
    c->key = calloc(room, 1);
    if (!c->key) return err_nomem(e, room, "a key");
    if (read_container(c, p, n, e)) return -1;
    pickle_kind root = pickle_root(c->tree).kind;
    if (root == PICKLE_TENSOR) return err_set(e, "holds one tensor without a name, expected a dict of tensors");
    if (root != PICKLE_DICT) return err_set(e, "holds something else than a dict of tensors: save model.state_dict()");
    return key ? follow(c, key, e) : choose(c, e);
}

void checkpoint_free(checkpoint *c)
{
    pickle_free(c->tree);
    free(c->storages);
    free(c->storage_of);
    free(c->key);
    *c = (checkpoint){0};
}
