/* jinja_text: values as text: Python's str and repr, json.dumps, html escapes, strftime. */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/unicode.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_int(jbuf *b, int64_t i)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)i);
    jinja_mem_puts(b, text);
}

/* What stands for c in out: its length, 0 for c itself. */
typedef size_t odd_fn(uint32_t c, const void *ctx, char out[16]);
/* Copies s with its marks; a replaced character gives its mark to all that stands for it. */
static void put_through(jbuf *b, const jstr *s, odd_fn *odd, const void *ctx)
{
    size_t from = 0, len;
    if (!jinja_mem_step(b->r, s->n / 8)) return;
    for (size_t at = 0; at < s->n && !b->r->failed; at += len) {
        char out[16];
        uint32_t c = unicode_decode(s->p + at, &len);
        size_t n = odd(c, ctx, out);
        if (!n) continue;
        jinja_mem_putslice(b, s, from, at);
        jinja_mem_put(b, out, n, jinja_mem_source(s, at));
        from = at + len;
    }
    jinja_mem_putslice(b, s, from, s->n);
}

static size_t escape_letter(char out[16], char c) { return out[0] = '\\', out[1] = c, 2; }

static size_t odd_repr(uint32_t c, const void *ctx, char out[16])
{
    if (c == *(const uint32_t *)ctx || c == '\\') return escape_letter(out, (char)c);
    if (c == '\n') return escape_letter(out, 'n');
    if (c == '\r') return escape_letter(out, 'r');
    if (c == '\t') return escape_letter(out, 't');
    if (c >= 0x20 && c != 0x7f && jinja_unicode_printable(c)) return 0;
    return (size_t)snprintf(out, 16, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", (unsigned)c);
}

static void repr_str(jbuf *b, const jstr *s)
{
    uint32_t quote = memchr(s->p, '\'', s->n) && !memchr(s->p, '"', s->n) ? '"' : '\'';
    jinja_mem_putc(b, quote, JOURS);
    put_through(b, s, odd_repr, &quote);
    jinja_mem_putc(b, quote, JOURS);
}

static size_t odd_json(uint32_t c, const void *ctx, char out[16])
{
    static const char *const named = "\"\\\n\r\t\f\b";
    bool ascii = *(const bool *)ctx;
    const char *hit = c && c < 0x80 ? strchr(named, (int)c) : NULL;
    if (hit) return escape_letter(out, "\"\\nrtfb"[hit - named]);
    if (c < 0x20 || (ascii && c >= 0x7f && c < 0x10000)) return (size_t)snprintf(out, 16, "\\u%04x", (unsigned)c);
    if (!ascii || c < 0x10000) return 0;
    return (size_t)snprintf(out, 16, "\\u%04x\\u%04x", 0xd800u + ((c - 0x10000) >> 10), 0xdc00u + (c & 0x3ff));
}

static size_t odd_html(uint32_t c, const void *ctx, char out[16])
{
    (void)ctx;
    const char *as = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&#34;" : c == '\'' ? "&#39;" : "";
    size_t n = strlen(as);
    memcpy(out, as, n);
    return n;
}

void jinja_text_escape(jbuf *b, const jstr *s) { put_through(b, s, odd_html, NULL); }

/* ---- str and repr ---- */

static void repr_list(jbuf *b, const jlist *l, const char *open, const char *close)
{
    jinja_mem_puts(b, open);
    for (size_t i = 0; i < l->n && !b->r->failed; i++) {
        if (i) jinja_mem_puts(b, ", ");
        jinja_text_repr(b, l->v[i]);
    }
    jinja_mem_puts(b, close);
}

static void repr_dict(jbuf *b, const jdict *d)
{
    jinja_mem_puts(b, "{");
    for (size_t i = 0; i < d->n && !b->r->failed; i++) {
        if (i) jinja_mem_puts(b, ", ");
        jinja_text_repr(b, d->k[i]);
        jinja_mem_puts(b, ": ");
        jinja_text_repr(b, d->v[i]);
    }
    jinja_mem_puts(b, "}");
}

static void repr_range(jbuf *b, const struct jrange *g)
{
    jinja_mem_puts(b, "range(");
    put_int(b, g->start);
    jinja_mem_puts(b, ", ");
    put_int(b, g->stop);
    if (g->step != 1) {
        jinja_mem_puts(b, ", ");
        put_int(b, g->step);
    }
    jinja_mem_puts(b, ")");
}

static void put_float(jbuf *b, double f)
{
    char text[32];
    jinja_mem_put(b, text, jinja_number_repr(f, text), JOURS);
}

static void repr_object(jbuf *b, jval v)
{
    char text[200];
    switch (v.type) {
    case J_ITER: snprintf(text, sizeof text, "<%s object>", v.u.l->name); break;
    case J_MACRO: snprintf(text, sizeof text, "<Macro '%.100s'>", v.u.macro->name); break;
    case J_LOOP: snprintf(text, sizeof text, "<LoopContext %zu/%zu>", v.u.loop->i + 1, v.u.loop->items->n); break;
    case J_FUNC: snprintf(text, sizeof text, "<built-in function %.100s>", v.u.func->name); break;
    default: snprintf(text, sizeof text, "Undefined"); break;
    }
    jinja_mem_puts(b, text);
}

static void repr_inner(jbuf *b, jval v)
{
    switch (v.type) {
    case J_NONE: jinja_mem_puts(b, "None"); break;
    case J_BOOL: jinja_mem_puts(b, v.u.b ? "True" : "False"); break;
    case J_INT: put_int(b, v.u.i); break;
    case J_BIGINT: jinja_mem_putstr(b, v.u.s); break;
    case J_FLOAT: put_float(b, v.u.f); break;
    case J_STR:
        if (v.markup) jinja_mem_puts(b, "Markup(");
        repr_str(b, v.u.s);
        if (v.markup) jinja_mem_puts(b, ")");
        break;
    case J_LIST: repr_list(b, v.u.l, "[", "]"); break;
    case J_TUPLE: repr_list(b, v.u.l, "(", v.u.l->n == 1 ? ",)" : ")"); break;
    case J_VIEW:
        jinja_mem_puts(b, v.u.l->name);
        repr_list(b, v.u.l, "([", "])");
        break;
    case J_DICT: repr_dict(b, v.u.d); break;
    case J_NAMESPACE:
        jinja_mem_puts(b, "<Namespace ");
        repr_dict(b, v.u.d);
        jinja_mem_puts(b, ">");
        break;
    case J_RANGE: repr_range(b, v.u.range); break;
    default: repr_object(b, v); break;
    }
}

/* huggingface.js prints what JSON has as JSON. */
static void javascript(jbuf *b, jval v)
{
    static const jdump plain = {0};
    if (v.type == J_UNDEFINED) jinja_mem_puts(b, "undefined");
    else jinja_text_json(b, v, &plain);
}

void jinja_text_repr(jbuf *b, jval v)
{
    if (!jinja_mem_step(b->r, 1) || !jinja_mem_enter(b->r)) return;
    if ((b->r->flags & JINJA_JAVASCRIPT) && v.type != J_FLOAT && v.type <= J_DICT) javascript(b, v);
    else repr_inner(b, v);
    b->r->depth--;
}

void jinja_text_put(jbuf *b, jval v)
{
    if (v.type == J_STR) jinja_mem_putstr(b, v.u.s);
    else if (v.type != J_UNDEFINED && v.type != J_MISSING) jinja_text_repr(b, v);
}

const jstr *jinja_text_str(jrun *r, jval v)
{
    if (v.type == J_STR) return v.u.s;
    jbuf b = {.r = r};
    jinja_text_put(&b, v);
    return jinja_mem_done(&b);
}

/* ---- JSON ---- */

static void json_newline(jbuf *b, const jdump *o, size_t level)
{
    if (!o->indent) return;
    jinja_mem_puts(b, "\n");
    for (size_t i = 0; i < level && !b->r->failed; i++) jinja_mem_putstr(b, o->indent);
}

static void json_separator(jbuf *b, const jdump *o)
{
    if (o->item) jinja_mem_putstr(b, o->item);
    else jinja_mem_puts(b, o->indent ? "," : ", ");
}

static void json_string(jbuf *b, const jstr *s, const jdump *o)
{
    jinja_mem_puts(b, "\"");
    put_through(b, s, odd_json, &o->ascii);
    jinja_mem_puts(b, "\"");
}

static bool json_scalar(jbuf *b, jval v, const jdump *o)
{
    switch (v.type) {
    case J_NONE: jinja_mem_puts(b, "null"); return true;
    case J_BOOL: jinja_mem_puts(b, v.u.b ? "true" : "false"); return true;
    case J_INT: put_int(b, v.u.i); return true;
    case J_BIGINT: jinja_mem_putstr(b, v.u.s); return true;
    case J_FLOAT:
        if (isnan(v.u.f)) jinja_mem_puts(b, "NaN");
        else if (isinf(v.u.f)) jinja_mem_puts(b, v.u.f < 0 ? "-Infinity" : "Infinity");
        else put_float(b, v.u.f);
        return true;
    case J_STR: json_string(b, v.u.s, o); return true;
    default: return false;
    }
}

static void json_key(jbuf *b, jval k, const jdump *o)
{
    if (k.type == J_STR) {
        json_string(b, k.u.s, o);
    } else if (k.type == J_NONE || k.type == J_BIGINT || jinja_number_is(k)) {
        jinja_mem_puts(b, "\"");
        json_scalar(b, k, o);
        jinja_mem_puts(b, "\"");
    } else {
        jinja_mem_fail(b->r, "TypeError", "keys must be str, int, float, bool or None, not %s", jinja_value_type(k));
    }
}

/* Order of a dict's members for sort_keys: a merge sort of indices by key. */
static void sort_keys(jrun *r, const jdict *d, size_t *at, size_t *spare, size_t n)
{
    if (n < 2 || r->failed) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort_keys(r, d, at, spare, half);
    sort_keys(r, d, at + half, spare, n - half);
    while (i < half && j < n)
        spare[k++] = jinja_value_compare(r, d->k[at[j]], d->k[at[i]]) < 0 ? at[j++] : at[i++];
    while (i < half) spare[k++] = at[i++];
    while (j < n) spare[k++] = at[j++];
    memcpy(at, spare, n * sizeof *at);
}

static void json_put(jbuf *b, jval v, const jdump *o, size_t level);

static void json_dict(jbuf *b, const jdict *d, const jdump *o, size_t level)
{
    size_t *order = NULL;
    if (o->sort && d->n > 1) {
        order = jinja_mem_take(b->r, d->n * 2, sizeof *order);
        if (!order) return;
        for (size_t i = 0; i < d->n; i++) order[i] = i;
        sort_keys(b->r, d, order, order + d->n, d->n);
    }
    jinja_mem_puts(b, "{");
    for (size_t i = 0; i < d->n && !b->r->failed; i++) {
        size_t at = order ? order[i] : i;
        if (i) json_separator(b, o);
        json_newline(b, o, level + 1);
        json_key(b, d->k[at], o);
        if (o->key) jinja_mem_putstr(b, o->key);
        else jinja_mem_puts(b, ": ");
        json_put(b, d->v[at], o, level + 1);
    }
    if (d->n) json_newline(b, o, level);
    jinja_mem_puts(b, "}");
}

static void json_list(jbuf *b, const jlist *l, const jdump *o, size_t level)
{
    jinja_mem_puts(b, "[");
    for (size_t i = 0; i < l->n && !b->r->failed; i++) {
        if (i) json_separator(b, o);
        json_newline(b, o, level + 1);
        json_put(b, l->v[i], o, level + 1);
    }
    if (l->n) json_newline(b, o, level);
    jinja_mem_puts(b, "]");
}

static void json_put(jbuf *b, jval v, const jdump *o, size_t level)
{
    if (!jinja_mem_step(b->r, 1) || json_scalar(b, v, o)) return;
    bool loose = b->r->flags & JINJA_JAVASCRIPT;
    if (v.type == J_DICT || v.type == J_LIST || v.type == J_TUPLE || (loose && v.type == J_VIEW)) {
        if (!jinja_mem_enter(b->r)) return;
        if (v.type == J_DICT) json_dict(b, v.u.d, o, level);
        else json_list(b, v.u.l, o, level);
        b->r->depth--;
    } else if (loose && v.type == J_UNDEFINED) {
        jinja_mem_puts(b, "undefined");
    } else {
        jinja_mem_fail(b->r, "TypeError", "Object of type %s is not JSON serializable", jinja_value_type(v));
    }
}

void jinja_text_json(jbuf *b, jval v, const jdump *o) { json_put(b, v, o, 0); }

/* ---- dates ---- */

static int day_of_week(int y, int m, int d) /* 0: Sunday */
{
    static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    if (m < 3) y--;
    return (y + y / 4 - y / 100 + y / 400 + shift[m - 1] + d) % 7;
}

static int day_of_year(int y, int m, int d)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return before[m - 1] + d + (leap && m > 2);
}

/* One conversion of the C locale; false: not one that we know. */
static bool put_date(jbuf *b, char c, bool plain, const jinja_date *t)
{
    static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September",
                                         "October", "November", "December"};
    static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
    const char *day = days[day_of_week(t->year, t->month, t->day)], *month = months[t->month - 1];
    int hour12 = t->hour % 12 ? t->hour % 12 : 12;
    char text[64];
    switch (c) {
    case 'd': snprintf(text, sizeof text, plain ? "%d" : "%02d", t->day); break;
    case 'e': snprintf(text, sizeof text, plain ? "%d" : "%2d", t->day); break;
    case 'm': snprintf(text, sizeof text, plain ? "%d" : "%02d", t->month); break;
    case 'y': snprintf(text, sizeof text, plain ? "%d" : "%02d", t->year % 100); break;
    case 'Y': snprintf(text, sizeof text, "%d", t->year); break;
    case 'H': snprintf(text, sizeof text, plain ? "%d" : "%02d", t->hour); break;
    case 'I': snprintf(text, sizeof text, plain ? "%d" : "%02d", hour12); break;
    case 'M': snprintf(text, sizeof text, plain ? "%d" : "%02d", t->minute); break;
    case 'S': snprintf(text, sizeof text, plain ? "%d" : "%02d", t->second); break;
    case 'j': snprintf(text, sizeof text, plain ? "%d" : "%03d", day_of_year(t->year, t->month, t->day)); break;
    case 'p': snprintf(text, sizeof text, "%s", t->hour < 12 ? "AM" : "PM"); break;
    case 'A': snprintf(text, sizeof text, "%s", day); break;
    case 'a': snprintf(text, sizeof text, "%.3s", day); break;
    case 'B': snprintf(text, sizeof text, "%s", month); break;
    case 'b':
    case 'h': snprintf(text, sizeof text, "%.3s", month); break;
    case 'w': snprintf(text, sizeof text, "%d", day_of_week(t->year, t->month, t->day)); break;
    case 'u': snprintf(text, sizeof text, "%d", (day_of_week(t->year, t->month, t->day) + 6) % 7 + 1); break;
    case 'F': snprintf(text, sizeof text, "%d-%02d-%02d", t->year, t->month, t->day); break;
    case 'D':
    case 'x': snprintf(text, sizeof text, "%02d/%02d/%02d", t->month, t->day, t->year % 100); break;
    case 'T':
    case 'X': snprintf(text, sizeof text, "%02d:%02d:%02d", t->hour, t->minute, t->second); break;
    case 'R': snprintf(text, sizeof text, "%02d:%02d", t->hour, t->minute); break;
    case 'c': snprintf(text, sizeof text, "%.3s %.3s %2d %02d:%02d:%02d %d", day, month, t->day, t->hour, t->minute, t->second, t->year); break;
    case 'f': snprintf(text, sizeof text, "000000"); break;
    case 'Z':
    case 'z': text[0] = 0; break; /* a naive datetime */
    case 'n': snprintf(text, sizeof text, "\n"); break;
    case 't': snprintf(text, sizeof text, "\t"); break;
    case '%': snprintf(text, sizeof text, "%%"); break;
    default: return false;
    }
    jinja_mem_puts(b, text);
    return true;
}

const jstr *jinja_text_strftime(jrun *r, const jstr *format)
{
    jbuf b = {.r = r};
    for (size_t i = 0; i < format->n && !r->failed; i++) {
        bool plain = i + 2 < format->n && format->p[i + 1] == '-';
        size_t at = i + 1 + plain;
        if (format->p[i] == '%' && at < format->n) {
            if (!put_date(&b, format->p[at], plain, r->now))
                jinja_mem_fail(r, "ValueError", "strftime_now: %%%c is not supported", format->p[at]);
            i = at;
        } else {
            jinja_mem_putslice(&b, format, i, i + 1);
        }
    }
    return jinja_mem_done(&b);
}
