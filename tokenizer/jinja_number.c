/* jinja_number: whole numbers of 64 bits and doubles, their arithmetic and their text. No result depends on the locale:
 * the C library only ever sees and gives digits and exponents; the point is put in and taken out here. */
#include "tokenizer/jinja_impl.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool jinja_number_is(jval v) { return v.type == J_BOOL || v.type == J_INT || v.type == J_FLOAT; }

bool jinja_number_as_int(jval v, int64_t *out)
{
    if (v.type == J_INT) *out = v.u.i;
    else if (v.type == J_BOOL) *out = v.u.b;
    else return false;
    return true;
}

double jinja_number_double(jval v)
{
    int64_t i;
    return jinja_number_as_int(v, &i) ? (double)i : v.u.f;
}

/* ---- text of a double ---- */

/* The decimal digits of |f| rounded to n of them, and the exponent of ten of the first. */
static int digits_of(double f, int n, char digits[32])
{
    char text[64];
    int k = 0, i = 0;
    snprintf(text, sizeof text, "%.*e", n - 1, fabs(f));
    for (; text[i] && text[i] != 'e'; i++)
        if (text[i] >= '0' && text[i] <= '9') digits[k++] = text[i];
    digits[k] = 0;
    return atoi(text + i + 1);
}

static double from_digits(const char *digits, long exponent)
{
    char text[900];
    snprintf(text, sizeof text, "%se%ld", digits, exponent);
    return strtod(text, NULL);
}

size_t jinja_number_repr(double f, char out[32])
{
    if (isnan(f)) return (size_t)snprintf(out, 32, "nan");
    if (isinf(f)) return (size_t)snprintf(out, 32, f < 0 ? "-inf" : "inf");
    char d[32];
    int n = 1, e = 0;
    for (; n <= 17; n++) {
        e = digits_of(f, n, d);
        if (from_digits(d, e - (n - 1)) == fabs(f)) break;
    }
    if (n > 17) n = 17;
    while (n > 1 && d[n - 1] == '0') n--;
    const char *sign = signbit(f) ? "-" : "";
    if (e < -4 || e >= 16)
        return (size_t)snprintf(out, 32, "%s%c%s%.*se%c%02d", sign, d[0], n > 1 ? "." : "", n - 1, d + 1, e < 0 ? '-' : '+',
                                abs(e));
    if (e < 0) return (size_t)snprintf(out, 32, "%s0.%.*s%.*s", sign, -e - 1, "0000", n, d);
    if (n <= e + 1) return (size_t)snprintf(out, 32, "%s%.*s%.*s.0", sign, n, d, e + 1 - n, "0000000000000000");
    return (size_t)snprintf(out, 32, "%s%.*s.%.*s", sign, e + 1, d, n - e - 1, d + e + 1);
}

size_t jinja_number_fixed(double f, int digits, char kind, bool alternate, char *out, size_t cap)
{
    if (isnan(f) || isinf(f)) return jinja_number_repr(f, out);
    int n = kind == 'f'   ? snprintf(out, cap, alternate ? "%#.*f" : "%.*f", digits, f)
            : kind == 'e' ? snprintf(out, cap, alternate ? "%#.*e" : "%.*e", digits, f)
                          : snprintf(out, cap, alternate ? "%#.*g" : "%.*g", digits, f);
    if (n < 0 || (size_t)n >= cap) return 0;
    /* The point may be any character here, of any length. */
    size_t k = 0;
    bool point = false;
    for (size_t i = 0; i < (size_t)n; i++) {
        bool plain = (out[i] >= '0' && out[i] <= '9') || out[i] == '-' || out[i] == '+' || out[i] == 'e';
        if (plain) out[k++] = out[i];
        else if (!point) out[k++] = '.', point = true;
    }
    out[k] = 0;
    return k;
}

bool jinja_number_parse(const char *p, size_t n, double *out)
{
    /* 800 digits decide any double; what follows only matters for being non-zero. */
    char d[804];
    size_t k = 0, i = 0;
    long exponent = 0, e = 0;
    bool any = false, point = false, rest = false;
    for (; i < n; i++) {
        if (p[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (p[i] < '0' || p[i] > '9') break;
        any = true;
        if (point && exponent > -100000) exponent--;
        if (k == 0 && p[i] == '0') continue;
        if (k < 800) d[k++] = p[i];
        else {
            if (exponent < 100000) exponent++;
            rest = rest || p[i] != '0';
        }
    }
    if (!any) return false;
    if (i < n && (p[i] == 'e' || p[i] == 'E')) {
        bool minus = false, some = false;
        i++;
        if (i < n && (p[i] == '-' || p[i] == '+')) minus = p[i++] == '-';
        for (; i < n && p[i] >= '0' && p[i] <= '9'; i++, some = true)
            if (e < 100000) e = e * 10 + (p[i] - '0');
        if (!some) return false;
        if (minus) e = -e;
    }
    if (i < n) return false;
    if (rest) d[k++] = '1', exponent--;
    if (k == 0) d[k++] = '0';
    d[k] = 0;
    *out = from_digits(d, exponent + e);
    return true;
}

/* Trims, takes a sign and drops single underscores between digits; digits go to buf. false: too long or misplaced. */
static bool number_text(const jstr *s, char *buf, size_t cap, size_t *len, bool *minus)
{
    size_t a = 0, b = s->n, k = 0;
    while (a < b && ((unsigned char)s->p[a] <= ' ')) a++;
    while (b > a && ((unsigned char)s->p[b - 1] <= ' ')) b--;
    *minus = a < b && s->p[a] == '-';
    if (a < b && (s->p[a] == '-' || s->p[a] == '+')) a++;
    for (size_t i = a; i < b; i++) {
        if (s->p[i] == '_') {
            bool between = i > a && i + 1 < b && s->p[i - 1] != '_' && s->p[i + 1] != '_' && s->p[i - 1] != '.' && s->p[i + 1] != '.';
            if (!between) return false;
            continue;
        }
        if (k + 1 >= cap) return false;
        buf[k++] = s->p[i];
    }
    buf[k] = 0;
    *len = k;
    return k > 0;
}

static bool same_word(const char *s, const char *word)
{
    for (; *s && *word; s++, word++)
        if ((*s | 0x20) != *word) return false;
    return !*s && !*word;
}

bool jinja_number_float(const jstr *s, double *out)
{
    char buf[1100];
    size_t n;
    bool minus;
    if (!number_text(s, buf, sizeof buf, &n, &minus)) return false;
    if (same_word(buf, "inf") || same_word(buf, "infinity")) *out = (double)INFINITY;
    else if (same_word(buf, "nan")) *out = (double)NAN;
    else if (!jinja_number_parse(buf, n, out)) return false;
    if (minus) *out = -*out;
    return true;
}

bool jinja_number_int(const jstr *s, int base, int64_t *out, bool *big)
{
    char buf[1100];
    size_t n, i = 0;
    bool minus;
    *big = false;
    if (!number_text(s, buf, sizeof buf, &n, &minus)) return false;
    int prefix = n > 2 && buf[0] == '0' ? ((buf[1] | 0x20) == 'x' ? 16 : (buf[1] | 0x20) == 'o' ? 8 : (buf[1] | 0x20) == 'b' ? 2 : 0) : 0;
    if (prefix && (base == 0 || base == prefix)) base = prefix, i = 2;
    if (base == 0) base = 10;
    uint64_t v = 0;
    for (; i < n; i++) {
        int c = (unsigned char)buf[i] | 0x20;
        int d = buf[i] >= '0' && buf[i] <= '9' ? buf[i] - '0' : c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
        if (d >= base) return false;
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v)) *big = true;
    }
    if (v > (uint64_t)INT64_MAX + (minus ? 1 : 0)) *big = true;
    *out = *big ? 0 : minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* ---- arithmetic ---- */

static jval overflow(jrun *r)
{
    jinja_mem_fail(r, "OverflowError", "a whole number beyond 64 bits: templates here compute with -2^63 .. 2^63-1");
    return jint(0);
}

static jval zero_division(jrun *r, const char *what)
{
    jinja_mem_fail(r, "ZeroDivisionError", "%s by zero", what);
    return jint(0);
}

static jval int_power(jrun *r, int64_t a, int64_t b)
{
    if (b < 0) return a == 0 ? zero_division(r, "0 cannot be raised to a negative power: division") : jfloat(pow((double)a, (double)b));
    if (a == 1 || a == 0 || a == -1) return jint(b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a);
    int64_t v = 1;
    for (; b > 0; b--)
        if (__builtin_mul_overflow(v, a, &v)) return overflow(r); /* after 63 rounds at the latest */
    return jint(v);
}

static jval int_binary(jrun *r, int op, int64_t a, int64_t b)
{
    int64_t v;
    switch (op) {
    case T_ADD: return __builtin_add_overflow(a, b, &v) ? overflow(r) : jint(v);
    case T_SUB: return __builtin_sub_overflow(a, b, &v) ? overflow(r) : jint(v);
    case T_MUL: return __builtin_mul_overflow(a, b, &v) ? overflow(r) : jint(v);
    case T_DIV: return b == 0 ? zero_division(r, "division") : jfloat((double)a / (double)b);
    case T_FLOORDIV:
        if (b == 0) return zero_division(r, "integer division or modulo");
        if (b == -1) return a == INT64_MIN ? overflow(r) : jint(-a);
        return jint(a / b - (a % b != 0 && (a < 0) != (b < 0)));
    case T_MOD:
        if (b == 0) return zero_division(r, "integer modulo");
        if (b == -1) return jint(0);
        v = a % b;
        return jint(v != 0 && (v < 0) != (b < 0) ? v + b : v);
    default: return int_power(r, a, b);
    }
}

/* Python's divmod of floats. */
static void float_divmod(double a, double b, double *div, double *mod)
{
    *mod = fmod(a, b);
    *div = (a - *mod) / b;
    if (*mod != 0) {
        if ((b < 0) != (*mod < 0)) {
            *mod += b;
            *div -= 1;
        }
    } else {
        *mod = copysign(0.0, b);
    }
    if (*div != 0) {
        double whole = floor(*div);
        *div = *div - whole > 0.5 ? whole + 1 : whole;
    } else {
        *div = copysign(0.0, a / b);
    }
}

static jval float_binary(jrun *r, int op, double a, double b)
{
    double div, mod;
    switch (op) {
    case T_ADD: return jfloat(a + b);
    case T_SUB: return jfloat(a - b);
    case T_MUL: return jfloat(a * b);
    case T_DIV: return b == 0 ? zero_division(r, "float division") : jfloat(a / b);
    case T_FLOORDIV:
    case T_MOD:
        if (b == 0) return zero_division(r, op == T_MOD ? "float modulo" : "float floor division");
        float_divmod(a, b, &div, &mod);
        return jfloat(op == T_MOD ? mod : div);
    default:
        if (a == 0 && b < 0) return zero_division(r, "0.0 cannot be raised to a negative power: division");
        if (a < 0 && b != floor(b) && isfinite(a)) {
            jinja_mem_fail(r, "TypeError", "a negative number to a broken power is complex");
            return jint(0);
        }
        div = pow(a, b);
        if (isinf(div) && isfinite(a) && isfinite(b)) return overflow(r);
        return jfloat(div);
    }
}

jval jinja_number_binary(jrun *r, int op, jval a, jval b)
{
    int64_t i, j;
    if (jinja_number_as_int(a, &i) && jinja_number_as_int(b, &j)) return int_binary(r, op, i, j);
    return float_binary(r, op, jinja_number_double(a), jinja_number_double(b));
}

jval jinja_number_negate(jrun *r, jval v)
{
    int64_t i;
    if (!jinja_number_as_int(v, &i)) return jfloat(-v.u.f);
    return i == INT64_MIN ? overflow(r) : jint(-i);
}

jval jinja_number_round(jrun *r, jval v, int64_t digits)
{
    int64_t i;
    double d;
    char text[720];
    if (jinja_number_as_int(v, &i)) {
        if (digits >= 0) return jint(i);
        if (digits < -18) return jint(0);
        int64_t unit = 1;
        for (int64_t k = 0; k > digits; k--) unit *= 10;
        int64_t rest = i % unit, base = i - rest, half = rest < 0 ? -rest : rest;
        bool up = half > unit - half || (half == unit - half && (base / unit) % 2 != 0);
        return up ? int_binary(r, T_ADD, base, rest < 0 ? -unit : unit) : jint(base);
    }
    if (isnan(v.u.f) || isinf(v.u.f) || digits > 320) return v;
    if (digits < -308) return jfloat(copysign(0.0, v.u.f));
    if (digits < 0) {
        double unit = from_digits("1", (long)-digits);
        return jfloat(nearbyint(v.u.f / unit) * unit);
    }
    size_t n = jinja_number_fixed(fabs(v.u.f), (int)digits, 'f', false, text, sizeof text);
    if (!n || !jinja_number_parse(text, n, &d)) return v;
    return jfloat(copysign(d, v.u.f));
}
