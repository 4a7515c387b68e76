/* bind: resolves wanted names, checks them, remembers which tensors were asked for and the first thing that failed. */
#include "formats/bind.h"
#include "formats/scan.h"
#include "base/checked.h"
#include "compute/quant.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct alias { const char *want, *have; } alias; /* have is NULL for a prefix and for an ignored suffix */
typedef struct list { alias *items; size_t n, cap; } list;

struct bind {
    const safetensors *s;
    list aliases, prefixes, ignored;
    unsigned char *claimed; /* [tensors] */
    const safetensors_entry *last[2]; /* bound last, a matrix and its bias: their pages are still wanted */
    pith_err first;         /* the error that sticks */
    bind_tell_fn *tell;     /* NULL: errors are not told but kept */
    void *tell_ctx;
    size_t n_missing;       /* told so far */
    bind_record_fn *record; /* NULL: nobody asks */
    void *record_ctx;
    dtype packed;           /* 0: not */
    uint64_t shapes[4][2];  /* of the packed matrices bound last */
    size_t n_shapes;
    uint64_t parameters, widest, last_count;
};

enum {
    NAME_MAX_BYTES = 1024, /* of a wanted name: a program's own, not a stranger's */
    MISSING_MORE = 1000    /* tensors that may be missing beyond as many as there are */
};

bind *bind_new(const safetensors *s, pith_err *e)
{
    size_t n = safetensors_count(s) + 1;
    bind *b = calloc(1, sizeof *b);
    if (b) b->claimed = calloc(n, 1);
    if (b && b->claimed) {
        b->s = s;
        return b;
    }
    free(b);
    return err_nomem(e, n, "binding weights"), NULL;
}

void bind_free(bind *b)
{
    if (!b) return;
    free(b->aliases.items);
    free(b->prefixes.items);
    free(b->ignored.items);
    free(b->claimed);
    free(b);
}

void bind_tell(bind *b, bind_tell_fn *fn, void *ctx)
{
    b->tell = fn;
    b->tell_ctx = ctx;
}

void bind_record(bind *b, bind_record_fn *fn, void *ctx)
{
    b->record = fn;
    b->record_ctx = ctx;
}

static const struct {
    const char *name;
    dtype type;
} packed_types[] = {{"q8", DT_Q8}, {"q4", DT_Q4}, {"f32", DT_F32}, {"f16", DT_F16}, {"bf16", DT_BF16}};
enum { PACKED_TYPES = sizeof packed_types / sizeof packed_types[0] };

const char *bind_type_name(dtype type)
{
    size_t i = 0;
    while (i < PACKED_TYPES && packed_types[i].type != type) i++;
    return i < PACKED_TYPES ? packed_types[i].name : "";
}

dtype bind_type_find(const char *name)
{
    size_t i = 0;
    while (i < PACKED_TYPES && strcmp(packed_types[i].name, name)) i++;
    return i < PACKED_TYPES ? packed_types[i].type : 0;
}

int bind_packed(bind *b, dtype *type)
{
    const char *layout = NULL, *is = "", *key, *value;
    for (size_t i = 0; safetensors_files(b->s) && i < safetensors_metadata_count(b->s, 0); i++) {
        safetensors_metadata_at(b->s, 0, i, &key, &value);
        if (!strcmp(key, BIND_LAYOUT_KEY)) layout = value;
        if (!strcmp(key, BIND_TYPE_KEY)) is = value;
    }
    *type = b->packed = 0;
    if (!layout) return 0;
    if (!strcmp(layout, BIND_LAYOUT)) *type = b->packed = bind_type_find(is);
    return b->packed ? 0 : err_set(&b->first, "packed as \"%.20s\" in layout \"%.20s\", which this version of pith does not know; make it again with `pith quantize`", is, layout);
}

void bind_copy(bind *b) { b->parameters -= b->last_count, b->last_count = 0; }
uint64_t bind_parameters(const bind *b) { return b->parameters; }
uint64_t bind_widest(const bind *b) { return b->widest; }

static void add(bind *b, list *l, const char *want, const char *have)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 8;
        alias *p = realloc(l->items, cap * sizeof *p);
        if (!p) {
            err_nomem(&b->first, cap * sizeof *p, "binding weights");
            return;
        }
        l->items = p;
        l->cap = cap;
    }
    l->items[l->n++] = (alias){want, have};
}

void bind_alias(bind *b, const char *want, const char *have) { add(b, &b->aliases, want, have); }
void bind_prefix(bind *b, const char *prefix) { add(b, &b->prefixes, prefix, NULL); }
void bind_ignore(bind *b, const char *suffix) { add(b, &b->ignored, suffix, NULL); }

static int ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && !memcmp(s + n - k, tail, k);
}

/* The name itself, else under each alias. */
static const safetensors_entry *find_aliased(const bind *b, const char *name)
{
    const safetensors_entry *x = safetensors_find(b->s, name);
    char old[2 * NAME_MAX_BYTES];
    for (size_t i = 0; i < b->aliases.n && !x; i++) {
        const alias *a = &b->aliases.items[i];
        if (!ends_with(name, a->want)) continue;
        int k = snprintf(old, sizeof old, "%.*s%s", (int)(strlen(name) - strlen(a->want)), name, a->have);
        if (k > 0 && (size_t)k < sizeof old) x = safetensors_find(b->s, old);
    }
    return x;
}

static const safetensors_entry *find(const bind *b, const char *name)
{
    const safetensors_entry *x = find_aliased(b, name);
    for (size_t i = 0; i < b->prefixes.n && !x; i++) {
        const char *p = b->prefixes.items[i].want;
        size_t n = strlen(p);
        if (!strncmp(name, p, n)) x = find_aliased(b, name + n);
    }
    return x;
}

/* "[a,b]" */
static const char *show_shape(char *buf, size_t cap, const uint64_t *shape, size_t rank)
{
    size_t n = (size_t)snprintf(buf, cap, "[");
    for (size_t i = 0; i < rank && n < cap; i++) {
        if (i == 8) {
            n += (size_t)snprintf(buf + n, cap - n, ",...");
            break;
        }
        n += (size_t)snprintf(buf + n, cap - n, "%s%llu", i ? "," : "", (unsigned long long)shape[i]);
    }
    if (n < cap) snprintf(buf + n, cap - n, "]");
    return buf;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Length of the common ending of a and b, counted from a dot. */
static size_t common_tail(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), best = 0;
    for (size_t k = 0; k < n && k < m && a[n - 1 - k] == b[m - 1 - k]; k++)
        if (a[n - 1 - k] == '.' || k + 1 == n || k + 1 == m) best = k + 1;
    return best;
}

/* The unclaimed tensor whose name ends most like `name`, in two parts at least ("q_lin.weight"); NULL: none. */
static const safetensors_entry *nearest(const bind *b, const char *name)
{
    const safetensors_entry *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < safetensors_count(b->s); i++) {
        const safetensors_entry *x = safetensors_at(b->s, i);
        size_t n = b->claimed[i] ? 0 : common_tail(name, x->name);
        const char *tail = x->name + strlen(x->name) - n;
        if (n <= most || !memchr(tail + (*tail == '.'), '.', n - (*tail == '.'))) continue;
        best = x;
        most = n;
    }
    return best;
}

static int tell_missing(bind *b, const char *name, const uint64_t *want, size_t rank, const char *why)
{
    char shape[64];
    pith_err text = {{0}};
    size_t n = safetensors_count(b->s);
    err_set(&text, "is not there (expected %s %s)", show_shape(shape, sizeof shape, want, rank), why);
    b->tell(b->tell_ctx, name, text.msg);
    if (b->n_missing++ < n + MISSING_MORE) return 0;
    return err_set(&b->first, "over %zu tensors are missing, where %zu are there; the others are not told: is config.json that of these weights?", b->n_missing - 1, n);
}

static int missing(bind *b, const char *name, const uint64_t *want, size_t rank, const char *why)
{
    if (b->tell) return tell_missing(b, name, want, rank, why);
    char shape[64], file[SCAN_SHOW], near[SCAN_SHOW];
    size_t n = safetensors_files(b->s);
    const char *where = base_name(safetensors_file_name(b->s, 0));
    const safetensors_entry *x = nearest(b, name);
    char shards[32];
    snprintf(shards, sizeof shards, "the %zu shards", n);
    return err_set(&b->first, "%s: not in %s (expected %s %s)%s%s", name, n > 1 ? shards : scan_show(file, where, strlen(where)), show_shape(shape, sizeof shape, want, rank), why,
                   x ? "; the nearest name there is " : "; is this file of another model?", x ? scan_show(near, x->name, strlen(x->name)) : "");
}

/* A tensor that is there under the wanted name or another one, but is not as wanted. */
static int wrong(bind *b, const safetensors_entry *x, const char *name, const pith_err *why)
{
    char called[SCAN_SHOW + 16] = "", show[SCAN_SHOW];
    if (b->tell) return b->tell(b->tell_ctx, x->name, why->msg), 0;
    if (strcmp(x->name, name)) snprintf(called, sizeof called, " (here %s)", scan_show(show, x->name, strlen(x->name)));
    return err_set(&b->first, "%s%s: %s", name, called, why->msg);
}

int bind_loaded(bind *b, const char *base, dtype type, const void *panels, uint64_t bytes)
{
    char name[NAME_MAX_BYTES];
    if (!b->record || !panels) return 0;
    if (snprintf(name, sizeof name, "%s.weight", base) >= (int)sizeof name) return 0;
    const safetensors_entry *x = find(b, name);
    int bad = b->record(b->record_ctx, name, x ? x->name : NULL, type, panels, bytes);
    return bad ? err_set(&b->first, "given up after %s", name) : 0;
}

/* Is x the matrix [rows][cols], packed? Then *t is it. */
static int take_packed(bind *b, const safetensors_entry *x, const uint64_t *want, tensor *t)
{
    const int quant = b->packed == DT_Q8 || b->packed == DT_Q4;
    const uint64_t panels = checked_pieces(want[0], QUANT_PANEL), unit = quant ? 64 : QUANT_PANEL * (b->packed == DT_F32 ? 4 : 2);
    uint64_t bytes = 0;
    if (!b->packed || kernel_panel_bytes(want[0], want[1], b->packed, &bytes)) return 0;
    const uint64_t shape[] = {panels, quant ? bytes / (panels ? panels : 1) / unit : want[1], unit / 8};
    if (x->t.type != DT_U64 || x->t.rank != 3 || memcmp(x->t.shape, shape, sizeof shape)) return 0;
    uint64_t *kept = b->shapes[b->n_shapes++ % (sizeof b->shapes / sizeof b->shapes[0])];
    memcpy(kept, want, 2 * sizeof *kept);
    *t = (tensor){.data = x->t.data, .shape = kept, .rank = 2, .nbytes = x->t.nbytes, .type = b->packed, .panels = 1};
    return 1;
}

static void count(bind *b, const uint64_t *shape, size_t rank)
{
    if (checked_product(shape, rank, &b->last_count)) b->last_count = 0; /* the reader refused what overflows */
    b->parameters += b->last_count;
    if (rank == 2 && shape[1] > b->widest) b->widest = shape[1];
}

static int take(bind *b, tensor *t, const uint64_t *want, size_t rank, int packed, const char *why, const char *name)
{
    const safetensors_entry *x = find(b, name);
    pith_err odd = {{0}};
    char has[256], need[64];
    *t = (tensor){0};
    if (!x) return missing(b, name, want, rank, why);
    b->claimed[x - safetensors_at(b->s, 0)] = 1;
    if (packed && take_packed(b, x, want, t)) {
        count(b, want, rank);
        return 0;
    }
    if (x->t.rank != rank || memcmp(x->t.shape, want, rank * sizeof *want)) {
        err_set(&odd, "shape %s, expected %s (%s): config.json and weights contradict each other",
                show_shape(has, sizeof has, x->t.shape, x->t.rank), show_shape(need, sizeof need, want, rank), why);
        return wrong(b, x, name, &odd);
    }
    if (x->t.type != DT_F32 && x->t.type != DT_F16 && x->t.type != DT_BF16) {
        err_set(&odd, "dtype %s, supported are F32, F16 and BF16; convert the weights to one of them", tensor_dtypes[x->t.type].name);
        return wrong(b, x, name, &odd);
    }
    if (b->last[0]) safetensors_release(b->s, b->last[0]);
    b->last[0] = b->last[1];
    b->last[1] = x;
    *t = x->t;
    count(b, want, rank);
    return 0;
}

/* The wanted name in buf; -1 if it does not fit. */
static int format_name(char buf[NAME_MAX_BYTES], const char *fmt, va_list ap)
{
    int n = vsnprintf(buf, NAME_MAX_BYTES, fmt, ap);
    return n < 0 || n >= NAME_MAX_BYTES ? -1 : 0;
}

static int want(bind *b, tensor *t, const uint64_t *shape, size_t rank, int packed, const char *why, const char *fmt, va_list ap)
{
    char name[NAME_MAX_BYTES];
    if (b->first.msg[0]) return -1;
    if (format_name(name, fmt, ap)) return err_set(&b->first, "%.64s...: a tensor's name over %d bytes", name, NAME_MAX_BYTES);
    return take(b, t, shape, rank, packed, why, name);
}

int bind_matrix(bind *b, tensor *t, uint64_t rows, uint64_t cols, const char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int bad = want(b, t, (const uint64_t[]){rows, cols}, 2, 0, why, fmt, ap);
    va_end(ap);
    return bad;
}

int bind_weight(bind *b, tensor *t, uint64_t rows, uint64_t cols, const char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int bad = want(b, t, (const uint64_t[]){rows, cols}, 2, 1, why, fmt, ap);
    va_end(ap);
    return bad;
}

int bind_vector(bind *b, tensor *t, uint64_t n, const char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int bad = want(b, t, &n, 1, 0, why, fmt, ap);
    va_end(ap);
    return bad;
}

int bind_tensor(bind *b, tensor *t, const uint64_t *shape, size_t rank, const char *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int bad = want(b, t, shape, rank, 0, why, fmt, ap);
    va_end(ap);
    return bad;
}

int bind_has(const bind *b, const char *fmt, ...)
{
    char name[NAME_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    int bad = format_name(name, fmt, ap);
    va_end(ap);
    return !bad && find(b, name) != NULL;
}

int bind_has_packed(const bind *b, const char *name)
{
    const safetensors_entry *x = b->packed ? find(b, name) : NULL;
    return x && x->t.type == DT_U64;
}

static int is_ignored(const bind *b, const char *name)
{
    for (size_t i = 0; i < b->ignored.n; i++)
        if (ends_with(name, b->ignored.items[i].want)) return 1;
    return 0;
}

int bind_finish(bind *b, const char *hint, pith_err *e)
{
    for (int i = 0; i < 2; i++, b->last[i - 1] = NULL)
        if (b->last[i]) safetensors_release(b->s, b->last[i]);
    if (b->first.msg[0]) return err_set(e, "%s", b->first.msg);
    if (e && e->msg[0]) return -1;
    char text[4 * SCAN_SHOW] = "", show[SCAN_SHOW];
    size_t left = 0, n = 0;
    for (size_t i = 0; i < safetensors_count(b->s); i++) {
        const char *name = safetensors_at(b->s, i)->name;
        if (b->claimed[i] || is_ignored(b, name)) continue;
        if (b->tell) b->tell(b->tell_ctx, name, "is nothing that this model uses");
        if (left++ < 3) n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n ? ", " : "", scan_show(show, name, strlen(name)));
    }
    if (!left || b->tell) return 0;
    return err_set(e, "%zu tensor%s that this model does not use: %s%s%s%s", left, left > 1 ? "s" : "", text, left > 3 ? ", ..." : "", hint ? "; " : "", hint ? hint : "");
}
