#include "formats/writer.h"
#include "base/checked.h"
#include "base/mem.h"
#include "compute/tensor.h"
#include "formats/header.h"
#include "formats/scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
    char *s;
    size_t n, cap;
    pith_err *e;
} text;

typedef struct item {
    const char *name;
    size_t i; /* index into what was given */
    dtype type;
} item;

/* ---- the header's text ---- */

static int put(text *t, const char *s, size_t n)
{
    if (n > HEADER_MAX + 8 - t->n) return err_set(t->e, "the header would be over %d bytes, which no reader accepts: split the tensors over several files", HEADER_MAX);
    if (n > t->cap - t->n) {
        size_t cap = t->cap < 2048 ? 4096 : 2 * t->cap;
        while (cap < t->n + n) cap *= 2;
        char *s2 = mem_resize(t->s, cap);
        if (!s2) return err_nomem(t->e, cap, "a header");
        t->s = s2;
        t->cap = cap;
    }
    memcpy(t->s + t->n, s, n);
    t->n += n;
    return 0;
}

static int put_text(text *t, const char *s) { return put(t, s, strlen(s)); }

static int put_u64(text *t, uint64_t v)
{
    char buf[24];
    return put(t, buf, (size_t)snprintf(buf, sizeof buf, "%llu", (unsigned long long)v));
}

/* A JSON string with the reference writer's choice of escapes. It is known to be UTF-8. */
static int put_string(text *t, const char *s)
{
    static const char letters[] = "btn\0fr"; /* of \b \t \n \f \r */
    if (put(t, "\"", 1)) return -1;
    for (const char *p = s; *p;) {
        size_t plain = 0;
        while ((unsigned char)p[plain] >= 0x20 && p[plain] != '"' && p[plain] != '\\') plain++;
        if (put(t, p, plain)) return -1;
        p += plain;
        if (!*p) break;
        unsigned char c = (unsigned char)*p++;
        char buf[8] = {'\\', (char)c};
        if (c >= '\b' && c <= '\r' && c != '\v') buf[1] = letters[c - '\b'];
        else if (c < 0x20) snprintf(buf, sizeof buf, "\\u%04x", c);
        if (put_text(t, buf)) return -1;
    }
    return put(t, "\"", 1);
}

static int put_metadata(text *t, const pith_pair *m, size_t n)
{
    if (put_text(t, "\"__metadata__\":{")) return -1;
    for (size_t i = 0; i < n; i++)
        if ((i && put(t, ",", 1)) || put_string(t, m[i].key) || put(t, ":", 1) || put_string(t, m[i].value)) return -1;
    return put(t, "}", 1);
}

static int put_tensor(text *t, const pith_tensor *x, uint64_t begin, uint64_t end)
{
    if (put_string(t, x->name) || put_text(t, ":{\"dtype\":\"") || put_text(t, x->dtype) || put_text(t, "\",\"shape\":[")) return -1;
    for (size_t i = 0; i < x->rank; i++)
        if ((i && put(t, ",", 1)) || put_u64(t, x->shape[i])) return -1;
    return put_text(t, "],\"data_offsets\":[") || put_u64(t, begin) || put(t, ",", 1) || put_u64(t, end) || put_text(t, "]}") ? -1 : 0;
}

/* Padding, and the length in front. */
static int close_header(text *t)
{
    if (put(t, "}", 1)) return -1;
    while (t->n % 8)
        if (put(t, " ", 1)) return -1;
    uint64_t n = t->n - 8;
    for (int i = 0; i < 8; i++) t->s[i] = (char)(n >> 8 * i);
    return 0;
}

/* ---- what is refused ---- */

static int check_text(const char *s, const char *what, pith_err *e)
{
    char show[SCAN_SHOW];
    if (!s) return err_set(e, "%s is missing", what);
    size_t n = strlen(s), good = scan_utf8(s, n);
    if (good == n) return 0;
    return err_set(e, "%s %s is not UTF-8, as the format demands: byte 0x%02x at %zu", what, scan_show(show, s, n), (unsigned char)s[good], good);
}

static int measure(const pith_tensor *x, item *it, uint64_t *nbytes, pith_err *e)
{
    uint64_t count, bits;
    char show[SCAN_SHOW];
    if (check_text(x->name, "a tensor's name", e)) return -1;
    if (strcmp(x->name, "__metadata__") == 0) return err_set(e, "a tensor cannot be named __metadata__: the format keeps that name for the metadata");
    scan_show(show, x->name, strlen(x->name));
    int type = x->dtype ? tensor_dtype_find(x->dtype, strlen(x->dtype)) : -1;
    if (type < 0) return err_set(e, "tensor %s: dtype %.100s is none of the 22 of the format (F32, F16, BF16, I64, ...)", show, x->dtype ? x->dtype : "(none)");
    if (checked_product(x->shape, x->rank, &count) || checked_mul(count, tensor_dtypes[type].bits, &bits))
        return err_set(e, "tensor %s: %s of this shape is over 2^64 bits", show, x->dtype);
    if (bits % 8) return err_set(e, "tensor %s: %llu elements of %s do not end on a whole byte", show, (unsigned long long)count, x->dtype);
    it->name = x->name;
    it->type = (dtype)type;
    *nbytes = bits / 8;
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(((const item *)a)->name, ((const item *)b)->name); }

/* Sorts by name, byte by byte. */
static int sort_names(item *x, size_t n, const char *what, pith_err *e)
{
    char show[SCAN_SHOW];
    if (n) qsort(x, n, sizeof *x, by_name);
    for (size_t i = 1; i < n; i++)
        if (!strcmp(x[i].name, x[i - 1].name)) return err_set(e, "%s %s twice: a file can hold it once", what, scan_show(show, x[i].name, strlen(x[i].name)));
    return 0;
}

static int check_metadata(const pith_pair *m, size_t n, pith_err *e)
{
    item *keys = mem_zero(n ? n : 1, sizeof *keys);
    int bad = keys ? 0 : err_nomem(e, n * sizeof *keys, "metadata");
    for (size_t i = 0; i < n && !bad; i++) {
        bad = check_text(m[i].key, "a metadata key", e) || check_text(m[i].value, "a metadata value", e);
        keys[i].name = m[i].key;
    }
    if (!bad) bad = sort_names(keys, n, "metadata key", e);
    mem_free(keys);
    return bad ? -1 : 0;
}

/* ---- the whole ---- */

/* Falling order of the dtype table, which is that of alignment; names keep their order within a dtype. */
static int place(writer_plan *p, text *t, const pith_tensor *tensors, const item *x, size_t n, pith_err *e)
{
    uint64_t at = 0;
    for (int type = DT_COUNT - 1; type >= 0; type--) {
        for (size_t k = 0; k < n; k++) {
            if ((int)x[k].type != type) continue;
            writer_place *w = &p->at[x[k].i];
            w->offset = at;
            if (checked_add(at, w->nbytes, &at)) return err_set(e, "the tensors together are over 2^64 bytes");
            if ((t->s[t->n - 1] != '{' && put(t, ",", 1)) || put_tensor(t, &tensors[x[k].i], w->offset, at)) return -1;
        }
    }
    if (close_header(t)) return -1;
    if (checked_add(at, t->n, &p->size) || p->size > INT64_MAX) return err_set(e, "the tensors together are over 2^63 bytes, more than a file can hold");
    for (size_t i = 0; i < n; i++) p->at[i].offset += t->n;
    return 0;
}

int writer_lay_out(writer_plan *p, const pith_tensor *tensors, size_t n, const pith_pair *metadata, size_t n_metadata, pith_err *e)
{
    *p = (writer_plan){.at = mem_zero(n ? n : 1, sizeof *p->at)};
    item *x = mem_zero(n ? n : 1, sizeof *x);
    text t = {.e = e};
    int bad = p->at && x ? check_metadata(metadata, n_metadata, e) : err_nomem(e, n * (sizeof *x + sizeof *p->at), "the table of tensors");
    for (size_t i = 0; i < n && !bad; i++) {
        x[i].i = i;
        bad = measure(&tensors[i], &x[i], &p->at[i].nbytes, e);
    }
    if (!bad) bad = sort_names(x, n, "tensor name", e);
    if (!bad) bad = put(&t, "\0\0\0\0\0\0\0\0{", 9) || (n_metadata && put_metadata(&t, metadata, n_metadata)) || place(p, &t, tensors, x, n, e);
    mem_free(x);
    p->head = t.s;
    p->head_len = t.n;
    if (bad) writer_plan_free(p);
    return bad ? -1 : 0;
}

void writer_plan_free(writer_plan *p)
{
    mem_free(p->head);
    mem_free(p->at);
    *p = (writer_plan){0};
}
