/* jinja_unicode: what Python's str methods take each character for. (unicode.h answers the same questions as
 * huggingface/tokenizers does, which differs.) */
#include "tokenizer/jinja_impl.h"
#include "tokenizer/jinja_unicode_tables.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool in(const range *t, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (t[mid].first <= c) low = mid + 1;
        else high = mid;
    }
    /* Runs of step 2 may lie inside one another: look at two. */
    for (size_t back = 0; back < 2 && low > 0; back++, low--) {
        const range *x = &t[low - 1];
        uint32_t off = c - x->first;
        if (off % x->step == 0 && off / x->step < x->n) return true;
    }
    return false;
}

static uint32_t map(const mapping *t, size_t n, uint32_t c, bool *found)
{
    *found = false;
    for (size_t i = 0; i < n && t[i].first <= c; i++) {
        uint32_t off = c - t[i].first;
        if (off % t[i].step == 0 && off / t[i].step < t[i].n) {
            *found = true;
            return (uint32_t)((int64_t)c + t[i].delta);
        }
    }
    return c;
}

size_t jinja_unicode_case(int how, uint32_t c, uint32_t out[3])
{
    bool found;
    out[0] = c;
    if (c < 0x80) {
        if (how == JU_LOWER ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z') out[0] = c ^ 0x20;
        return 1;
    }
    for (size_t low = 0, high = COUNT(specials); low < high;) {
        size_t mid = (low + high) / 2;
        const special *s = &specials[mid];
        if (s->c < c || (s->c == c && s->how < how)) {
            low = mid + 1;
        } else if (s->c > c || s->how > how) {
            high = mid;
        } else {
            size_t n = 0;
            for (; n < 3 && s->to[n]; n++) out[n] = s->to[n];
            return n;
        }
    }
    if (how == JU_LOWER) {
        out[0] = map(to_lower, COUNT(to_lower), c, &found);
        return 1;
    }
    if (how == JU_TITLE) {
        out[0] = map(to_title, COUNT(to_title), c, &found);
        return found ? 1 : jinja_unicode_case(JU_UPPER, c, out);
    }
    out[0] = map(to_upper, COUNT(to_upper), c, &found);
    return 1;
}

bool jinja_unicode_space(uint32_t c)
{
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x20);
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool jinja_unicode_linebreak(uint32_t c)
{
    return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool ascii_upper(uint32_t c) { return c >= 'A' && c <= 'Z'; }
static bool ascii_lower(uint32_t c) { return c >= 'a' && c <= 'z'; }
static bool ascii_digit(uint32_t c) { return c >= '0' && c <= '9'; }

bool jinja_unicode_printable(uint32_t c) { return c < 0x80 ? c >= 0x20 && c < 0x7f : !in(unprintable, COUNT(unprintable), c); }
bool jinja_unicode_alpha(uint32_t c) { return c < 0x80 ? ascii_upper(c) || ascii_lower(c) : in(alpha, COUNT(alpha), c); }
bool jinja_unicode_decimal(uint32_t c) { return c < 0x80 ? ascii_digit(c) : in(decimal, COUNT(decimal), c); }
bool jinja_unicode_digit(uint32_t c) { return c < 0x80 ? ascii_digit(c) : in(digit, COUNT(digit), c); }
bool jinja_unicode_numeric(uint32_t c) { return c < 0x80 ? ascii_digit(c) : in(numeric, COUNT(numeric), c); }
bool jinja_unicode_upper(uint32_t c) { return c < 0x80 ? ascii_upper(c) : in(upper, COUNT(upper), c); }
bool jinja_unicode_lower(uint32_t c) { return c < 0x80 ? ascii_lower(c) : in(lower, COUNT(lower), c); }
bool jinja_unicode_alnum(uint32_t c) { return jinja_unicode_alpha(c) || jinja_unicode_numeric(c); }
bool jinja_unicode_title(uint32_t c)
{
    return (c >= 0x1c5 && c <= 0x1cb && (c - 0x1c5) % 3 == 0) || c == 0x1f2 || (c >= 0x1f88 && c <= 0x1faf && (c & 8)) ||
           c == 0x1fbc || c == 0x1fcc || c == 0x1ffc;
}
