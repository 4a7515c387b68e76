/* fuzz_reference: is a file a safetensors file? The rules of the format once more, as plainly as they can be written: slow,
 * recursive, nothing kept but names. What the reader accepts must be what this accepts. */
#ifndef TESTS_FUZZ_REFERENCE_H
#define TESTS_FUZZ_REFERENCE_H
#include "compute/tensor.h"
#include "fuzz.h"
#include <stdbool.h>

typedef struct ref {
    const uint8_t *p, *end;
} ref;

static void ref_space(ref *r)
{
    while (r->p < r->end && strchr(" \t\r\n", *r->p) && *r->p) r->p++;
}

static bool ref_char(ref *r, char c)
{
    ref_space(r);
    return r->p < r->end && *r->p == (uint8_t)c ? r->p++, true : false;
}

static int ref_hex(ref *r)
{
    int v = 0;
    for (int i = 0; i < 4; i++, r->p++) {
        const char *digits = "0123456789abcdef0123456789ABCDEF", *at = r->p < r->end && *r->p ? strchr(digits, *r->p) : NULL;
        if (!at) return -1;
        v = v * 16 + (int)(at - digits) % 16;
    }
    return v;
}

static size_t ref_put(char *to, uint32_t c)
{
    if (c < 0x80) return *to = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) return to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)), to[2] = (char)(0x80 | (c & 63)), 3;
    return to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63)), to[2] = (char)(0x80 | (c >> 6 & 63)), to[3] = (char)(0x80 | (c & 63)), 4;
}

/* One character that is no escape, checked by decoding it and encoding it again. */
static size_t ref_utf8(const ref *r, char *to)
{
    size_t left = (size_t)(r->end - r->p), n = *r->p < 0x80 ? 1 : *r->p >= 0xf0 ? 4 : *r->p >= 0xe0 ? 3 : 2;
    uint32_t c = n == 1 ? *r->p : *r->p & (0xffu >> (n + 1));
    if (n > left || *r->p >= 0xf8 || (*r->p & 0xc0) == 0x80) return 0;
    for (size_t i = 1; i < n; i++) {
        if ((r->p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (r->p[i] & 63);
    }
    if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
    return ref_put(to, c) == n ? n : 0;
}

/* out: room for as much as is left. \u0000 stays as it is written. */
static bool ref_string(ref *r, char *out, size_t *len)
{
    size_t n = 0, k;
    if (!ref_char(r, '"')) return false;
    for (; r->p < r->end && *r->p != '"'; n += k) {
        if (*r->p < 0x20) return false;
        if (*r->p != '\\') {
            if (!(k = ref_utf8(r, out + n))) return false;
            r->p += k;
            continue;
        }
        if (++r->p == r->end) return false;
        const char *from = "\"\\/bfnrt", *to = "\"\\/\b\f\n\r\t", *at = *r->p ? strchr(from, *r->p) : NULL;
        uint8_t kind = *r->p++;
        if (at) out[n] = to[at - from], k = 1;
        else if (kind != 'u') return false;
        else {
            int u = ref_hex(r), low = 0;
            if (u < 0 || (u >= 0xdc00 && u < 0xe000)) return false;
            if (u >= 0xd800 && u < 0xdc00) {
                if (r->end - r->p < 6 || *r->p++ != '\\' || *r->p++ != 'u' || (low = ref_hex(r)) < 0xdc00 || low > 0xdfff) return false;
                u = 0x10000 + (u - 0xd800) * 0x400 + (low - 0xdc00);
            }
            k = u ? ref_put(out + n, (uint32_t)u) : (memcpy(out + n, "\\u0000", 6), (size_t)6);
        }
    }
    *len = n;
    return r->p < r->end ? r->p++, true : false;
}

static bool ref_digits(ref *r)
{
    const uint8_t *begin = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') r->p++;
    return r->p > begin;
}

static bool ref_number(ref *r)
{
    if (r->p < r->end && *r->p == '-') r->p++;
    const uint8_t *begin = r->p;
    if (!ref_digits(r) || (*begin == '0' && r->p - begin > 1)) return false;
    if (r->p < r->end && *r->p == '.' && (r->p++, !ref_digits(r))) return false;
    if (r->p == r->end || (*r->p != 'e' && *r->p != 'E')) return true;
    if (++r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
    return ref_digits(r);
}

static bool ref_value(ref *r, int depth, char *scratch)
{
    size_t n;
    ref_space(r);
    if (r->p == r->end) return false;
    if (*r->p == '"') return ref_string(r, scratch, &n);
    if (*r->p == '{' || *r->p == '[') {
        bool object = *r->p++ == '{';
        char close = object ? '}' : ']';
        if (depth >= 128) return false;
        if (ref_char(r, close)) return true;
        do {
            if (object && (!ref_string(r, scratch, &n) || !ref_char(r, ':'))) return false;
            if (!ref_value(r, depth + 1, scratch)) return false;
        } while (ref_char(r, ','));
        return ref_char(r, close);
    }
    for (int i = 0; i < 3; i++) {
        const char *word = (const char *[]){"true", "false", "null"}[i];
        if ((size_t)(r->end - r->p) >= strlen(word) && !memcmp(r->p, word, strlen(word))) return r->p += strlen(word), true;
    }
    return ref_number(r);
}

static bool ref_whole(ref *r, uint64_t *v)
{
    ref_space(r);
    const uint8_t *begin = r->p;
    *v = 0;
    if (!ref_digits(r) || (*begin == '0' && r->p - begin > 1)) return false;
    for (const uint8_t *p = begin; p < r->p; p++)
        if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v)) return false;
    return r->p == r->end || !strchr(".eE", *r->p) || !*r->p;
}

typedef struct ref_tensor {
    char *name;
    size_t len;
    uint64_t begin, end;
} ref_tensor;

static bool ref_entry(ref *r, ref_tensor *t, char *scratch)
{
    bool has[3] = {false, false, false};
    unsigned bits = 0;
    uint64_t count = 1, d, size;
    if (!ref_char(r, '{')) return false;
    do {
        size_t n;
        int field = -1;
        if (!ref_string(r, scratch, &n) || !ref_char(r, ':')) return false;
        for (int i = 0; i < 3; i++) {
            const char *name = (const char *[]){"dtype", "shape", "data_offsets"}[i];
            if (n == strlen(name) && !memcmp(scratch, name, n)) field = i;
        }
        if (field >= 0 && has[field]) return false;
        if (field >= 0) has[field] = true;
        if (field < 0 && !ref_value(r, 2, scratch)) return false;
        if (field == 0) {
            if (!ref_string(r, scratch, &n)) return false;
            for (int i = 0; i < DT_COUNT; i++)
                if (n == strlen(tensor_dtypes[i].name) && !memcmp(scratch, tensor_dtypes[i].name, n)) bits = tensor_dtypes[i].bits;
            if (!bits) return false;
        } else if (field == 1) {
            bool over = false, none = false;
            if (!ref_char(r, '[')) return false;
            if (!ref_char(r, ']')) {
                do {
                    if (!ref_whole(r, &d)) return false;
                    none |= !d;
                    over |= __builtin_mul_overflow(count, d, &count);
                } while (ref_char(r, ','));
                if (!ref_char(r, ']')) return false;
            }
            if (none) count = 0; /* also where the rest is too much: the only case in which the first reader of the format differs */
            else if (over) return false;
        } else if (field == 2) {
            if (!ref_char(r, '[') || !ref_whole(r, &t->begin) || !ref_char(r, ',') || !ref_whole(r, &t->end) || !ref_char(r, ']')) return false;
        }
    } while (ref_char(r, ','));
    if (!ref_char(r, '}') || !has[0] || !has[1] || !has[2]) return false;
    return !__builtin_mul_overflow(count, bits, &size) && size % 8 == 0 && t->end >= t->begin && t->end - t->begin == size / 8;
}

static bool ref_metadata(ref *r, char *scratch)
{
    size_t n;
    ref_space(r);
    if (r->p < r->end && *r->p == 'n') return ref_value(r, 1, scratch);
    if (!ref_char(r, '{')) return false;
    if (ref_char(r, '}')) return true;
    do {
        if (!ref_string(r, scratch, &n) || !ref_char(r, ':') || !ref_string(r, scratch, &n)) return false;
    } while (ref_char(r, ','));
    return ref_char(r, '}');
}

/* Tensors by where they lie: by pairs, each begins where the one before ends, and no name twice. */
static bool ref_order(ref_tensor *t, size_t n, uint64_t data)
{
    uint64_t at = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            if (t[i].len == t[k].len && !memcmp(t[i].name, t[k].name, t[i].len)) return false;
            if (t[k].begin > t[i].begin || (t[k].begin == t[i].begin && t[k].end >= t[i].end)) continue;
            ref_tensor swap = t[i];
            t[i] = t[k], t[k] = swap;
        }
    for (size_t i = 0; i < n; i++, at = t[i - 1].end)
        if (t[i].begin != at) return false;
    return at == data;
}

static bool ref_accepts(const uint8_t *data, size_t n)
{
    uint64_t header = 0;
    if (n < 8) return false;
    for (int i = 8; i-- > 0;) header = header << 8 | data[i];
    if (header > 100000000 || header > n - 8) return false;
    ref r = {data + 8, data + 8 + header};
    char *scratch = malloc(2 * header + 8), *names = scratch + header + 4;
    ref_tensor *t = malloc((header / 8 + 1) * sizeof *t);
    size_t count = 0;
    bool metadata = false, good = scratch && t && ref_char(&r, '{');
    if (good && !ref_char(&r, '}')) {
        do {
            ref_tensor *x = &t[count];
            x->name = names;
            good = ref_string(&r, names, &x->len) && ref_char(&r, ':');
            if (good && x->len == 12 && !memcmp(names, "__metadata__", 12)) {
                good = !metadata && ref_metadata(&r, scratch);
                metadata = true;
            } else if (good) {
                names += x->len;
                good = ref_entry(&r, x, scratch);
                count++;
            }
        } while (good && ref_char(&r, ','));
        good = good && ref_char(&r, '}');
    }
    ref_space(&r);
    good = good && r.p == r.end && ref_order(t, count, n - 8 - header);
    free(t);
    free(scratch);
    return good;
}
#endif
