/* The interpreter against jinja2's own verdicts (tests/data/jinja_cases.json, made by tools/make_jinja_cases.py), against
 * the suites of two other renderers, its limits, and where bytes came from. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "base/json.h"
#include "tokenizer/jinja.h"
#include <time.h>

static const jinja_date july = {2024, 7, 26, 15, 4, 9};

/* A member of an object as the text it was written in. */
typedef struct raw {
    const char *key, *value;
    size_t len;
} raw;
static void take_raw(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    raw *r = ctx;
    if (strlen(r->key) == key_len && memcmp(r->key, key, key_len) == 0) r->value = value, r->len = len;
}

/* The elements of a JSON array of objects, as raw text, one after another. */
static const char *next_object(const char *p, const char **end)
{
    while (*p && *p != '{') p++;
    if (!*p) return NULL;
    size_t depth = 0;
    const char *q = p;
    for (; *q; q++) {
        if (*q == '"')
            for (q++; *q && *q != '"'; q++) q += *q == '\\';
        else if (*q == '{') depth++;
        else if (*q == '}' && --depth == 0) break;
    }
    *end = q + 1;
    return p;
}

typedef struct outcome {
    char *text; /* NULL: it failed */
    size_t len;
    pith_err e;
} outcome;

static outcome render(const char *source, size_t len, const jinja_syntax *syntax, const jinja_var *vars, size_t n,
                      const jinja_options *o)
{
    outcome x = {0};
    jinja_result r = {0};
    jinja_template *t = jinja_parse("t", source, len, syntax, &x.e);
    if (t && jinja_render(t, vars, n, o, &r, &x.e) == 0) {
        x.text = r.text;
        x.len = r.len;
        free(r.foreign);
    }
    assert_int_equal(x.text == NULL, x.e.msg[0] != 0);
    jinja_free(t);
    return x;
}

static int equal(const outcome *x, json expected)
{
    return x->text && json_typeof(expected) == JSON_STRING && strlen(json_str(expected)) == x->len &&
           memcmp(json_str(expected), x->text, x->len) == 0;
}

/* ---- our own cases ---- */

static void test_own_cases(void **state)
{
    (void)state;
    size_t len, n = 0, bad = 0;
    pith_err e = {0};
    char *file = util_read("tests/data/jinja_cases.json", &len);
    json_doc *d = json_parse("jinja_cases.json", file, len, &e);
    assert_non_null(d);
    raw context = {.key = "context"};
    json_raw_members(file, len, take_raw, &context);
    assert_non_null(context.value);
    jinja_var v = {.text = context.value, .len = context.len, .json = true};
    jinja_options o = {.now = &july};
    for (json c = json_first(json_get(json_root(d), "cases")); c.node; c = json_next(c), n++) {
        json s = json_first(json_get(c, "syntax"));
        jinja_syntax syntax = {true, true, false};
        if (s.node) syntax = (jinja_syntax){json_true(s), json_true(json_next(s)), json_true(json_next(json_next(s)))};
        const char *source = json_str(json_get(c, "template"));
        outcome x = render(source, strlen(source), &syntax, &v, 1, &o);
        json expected = json_get(c, "expected");
        if (expected.node ? !equal(&x, expected) : x.text != NULL) {
            print_error("%s\n  gives    %s\n  expected %s\n", source, x.text ? x.text : x.e.msg,
                        expected.node ? json_str(expected) : json_str(json_get(c, "error")));
            bad++;
        }
        free(x.text);
    }
    assert_true(n > 500);
    assert_int_equal(bad, 0);
    json_free(d);
    free(file);
}

/* ---- other renderers' suites ---- */

/* Parses a case. Its context is read as raw text by the interpreter; the json door refuses the NUL that some contexts
 * hold, so in this copy it is another character. */
static json_doc *parse_case(const char *path, const char *text, size_t len, pith_err *e)
{
    char *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, text, len);
    for (size_t i = 0; i + 6 <= len; i++)
        if (copy[i] == '\\') {
            if (memcmp(copy + i, "\\u0000", 6) == 0) copy[i + 5] = '1';
            i++;
        }
    json_doc *d = json_parse(path, copy, len, e);
    free(copy);
    return d;
}

/* Runs every case; returns how many came out as expected and sets *n. `only` limits what counts. */
static size_t run_suite(const char *path, unsigned flags, size_t *n, size_t *skipped)
{
    size_t len, good = 0;
    pith_err e = {0};
    char *file = util_read(path, &len);
    const char *end = file;
    *n = *skipped = 0;
    for (const char *p; (p = next_object(end, &end));) {
        json_doc *d = parse_case(path, p, (size_t)(end - p), &e);
        assert_non_null(d);
        json c = json_root(d), expected = json_get(c, "expected");
        const char *source = json_str(json_get(c, "template")), *name = json_str(json_get(c, "name"));
        raw context = {.key = "context"};
        json_raw_members(p, (size_t)(end - p), take_raw, &context);
        jinja_var v = {.text = context.value, .len = context.len, .json = true};
        jinja_syntax own = {json_true(json_get(c, "trim_blocks")), json_true(json_get(c, "lstrip_blocks")),
                            json_true(json_get(c, "keep_trailing_newline"))};
        /* One template of huggingface.js' suite writes the date of its day. */
        static const jinja_date tenth = {2025, 7, 10, 0, 0, 0};
        jinja_options o = {.now = strstr(json_str(expected), "10 July 2025") ? &tenth : &july, .flags = flags};
        if (json_true(json_get(c, "context_has_function"))) {
            ++*skipped;
        } else {
            outcome x = render(source, strlen(source), json_get(c, "trim_blocks").node ? &own : NULL, &v, 1, &o);
            int right = json_get(c, "expected_error").node ? x.text == NULL : equal(&x, expected);
            if (!right) print_message("# %s: %.60s\n", name, source);
            good += (size_t)right;
            ++*n;
            free(x.text);
        }
        json_free(d);
    }
    free(file);
    return good;
}

static void test_minja_suite(void **state)
{
    (void)state;
    size_t n, skipped;
    size_t good = run_suite(util_need("corpora/jinja/minja_syntax_cases.json"), JINJA_MINJA, &n, &skipped);
    assert_int_equal(n, 171);
    assert_int_equal(good, 171);
}

/* 211 cases without functions in their context. One of them is no rendering: its expected text is the template itself,
 * laid out by that library's source formatter; the other 210 must come out. */
static void test_huggingface_js_suite(void **state)
{
    (void)state;
    size_t n, skipped;
    size_t good = run_suite(util_need("corpora/jinja/hf_jinja_cases.json"), JINJA_JAVASCRIPT, &n, &skipped);
    assert_int_equal(n, 211);
    assert_int_equal(skipped, 4);
    assert_int_equal(good, 210);
}

/* ---- errors ---- */

static void expect_error(const char *source, const char *part)
{
    jinja_options o = {.now = &july};
    outcome x = render(source, strlen(source), NULL, NULL, 0, &o);
    if (x.text || !strstr(x.e.msg, part)) fail_msg("%s: \"%s\" does not say \"%s\"", source, x.text ? x.text : x.e.msg, part);
}

static void test_errors_name_line_and_cause(void **state)
{
    (void)state;
    expect_error("a\n\n{% if x %}", "t: line 3: TemplateSyntaxError: the template ends where a tag is still open: expected 'elif else endif'");
    expect_error("\n{% include 'x' %}", "line 2: TemplateSyntaxError: the tag 'include' is not supported");
    expect_error("{% extends 'x' %}", "'extends' is not supported");
    expect_error("{% import 'x' as y %}", "'import' is not supported");
    expect_error("{% frob %}", "unknown tag 'frob'");
    expect_error("{{ 1\n+ }}", "line 2: TemplateSyntaxError: expected an expression, got end of print statement");
    expect_error("{{ x.y }}", "UndefinedError: 'x' is undefined");
    expect_error("{% set d = {} %}\n{{ d.a.b }}", "line 2: UndefinedError: 'dict object' has no attribute 'a'");
    expect_error("{{ [].append(1) }}", "SecurityError: access to attribute 'append' of 'list' object is unsafe.");
    expect_error("{{ ''.__class__.__mro__ }}", "SecurityError: access to attribute '__class__' of 'str' object is unsafe.");
    expect_error("{{ ({})['__init__']() }}", "SecurityError");
    expect_error("{{ range.__globals__() }}", "SecurityError");
    expect_error("{{ raise_exception('no \x1b[2J') }}", "t: line 1: TemplateError: no \\x1b[2J");
    expect_error("{{ 1 | frob }}", "No filter named 'frob'.");
    expect_error("{{ 1 is frob }}", "No test named 'frob'");
    expect_error("{{ 9223372036854775807 + 1 }}", "OverflowError: a whole number beyond 64 bits");
    expect_error("{{ 2 ** 63 }}", "OverflowError");
    expect_error("{{ -9223372036854775807 - 2 }}", "OverflowError");
    expect_error("{{ (-9223372036854775807 - 1) // -1 }}", "OverflowError");
    expect_error("{{ 99999999999999999999 }}", "a whole number beyond 64 bits");
    expect_error("{{ 1 // 0 }}", "ZeroDivisionError");
    expect_error("{{ 'a' < 1 }}", "TypeError: '<' not supported between instances of 'str' and 'int'");
    expect_error("{{ '\\N{DASH}' }}", "\\N{...}");
    expect_error("ok \xff", "line 1: TemplateSyntaxError: not valid UTF-8");
    expect_error("{% macro f(a) %}{% endmacro %}{{ f(b=1) }}", "macro 'f' takes no keyword argument 'b'");
}

static void test_no_clock_without_a_date(void **state)
{
    (void)state;
    const char *source = "{{ strftime_now is defined }}";
    outcome x = render(source, strlen(source), NULL, NULL, 0, NULL);
    assert_string_equal(x.text, "False");
    free(x.text);
}

/* ---- limits ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* How much slower sanitizers make it is theirs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SLOWER = 20 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
enum { SLOWER = 20 };
#else
enum { SLOWER = 1 };
#endif
#else
enum { SLOWER = 1 };
#endif

static void expect_stop(const char *source, size_t len, const char *part)
{
    double start = seconds();
    outcome x = render(source, len, NULL, NULL, 0, NULL);
    double took = seconds() - start;
    if (x.text) fail_msg("%.60s: ended with a text of %zu bytes", source, x.len);
    if (!strstr(x.e.msg, part)) fail_msg("%.60s: \"%s\" does not say \"%s\"", source, x.e.msg, part);
    if (took > 0.3) print_message("# %.2f s: %.70s\n", took, source);
    if (took > 1.0 * SLOWER) fail_msg("%.60s: took %.2f s of processor time", source, took);
}

static void test_endless_templates_stop(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}", "memory"},
        {"{% for i in range(10**18) %}{% endfor %}", "Range too big"},
        {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"},
        {"{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}", "RecursionError"},
        {"{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "RecursionError"},
        {"{{ 'x' * 1000000000 }}", "memory"},
        {"{{ 'x' * 9223372036854775807 }}", "memory"},
        {"{% for i in range(100000) %}{{ 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' * 100 }}{% endfor %}", "memory"},
        {"{{ '%1000000000d' % 1 }}", ""},
        {"{{ '%.1000000000f' % 1.5 }}", "precision"},
        {"{{ '{:1000000000}'.format(1) }}", ""},
        {"{{ 'x'.center(9000000000000000000) }}", ""},
        {"{{ ''|indent(9000000000000000000, true) }}", ""},
        {"{{ [0] * 9000000000000000000 }}", ""},
        {"{{ 'a' | batch(9000000000000000000, 'x') | list }}", ""},
        {"{{ range(100000) | slice(9000000000000000000) | list }}", ""},
        {"{{ [1] | tojson(indent=9000000000000000000) }}", ""},
        {"{% set ns = namespace(s='xxxxxxxxxxxxxxxx') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}", ""},
        {"{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s | replace('a', 'aa') %}{% endfor %}", ""},
        {"{% set ns = namespace(s='abcdefgh') %}{% for i in range(60) %}{% set ns.s = (ns.s + ns.s) | upper | lower | title %}{% endfor %}", ""},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}", ""},
        {"{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}", "RecursionError"},
        {"{% set ns = namespace(l=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}", "RecursionError"},
        {"{% set ns = namespace(l=[], k=[]) %}{% for i in range(100000) %}{% set ns.l = [ns.l] %}{% set ns.k = [ns.k] %}{% endfor %}{{ ns.l == ns.k }}", "RecursionError"},
        {"{% set ns = namespace(l=[1]) %}{% for i in range(200) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l | string | length }}", ""},
        {"{% set ns = namespace(l=()) %}{% for i in range(200) %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {ns.l: 1} }}", ""},
        {"{{ 7 ** 9223372036854775807 }}", "OverflowError"},
        {"{{ (range(100000) | list + range(100000) | list) | sort | unique | groupby('x') }}", ""},
        {"{% for i in range(100000) %}{{ range(100000) | list | length }}{% endfor %}", ""},
        {"{% set s = 'ab' * 1000000 %}{% for i in range(100000) %}{{ s[1999999] }}{{ s.find('z') }}{% endfor %}", "steps"},
        {"{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{{ s[999999] }}{% endfor %}", "steps"},
        {"{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{{ s.rfind('b' * 1000) }}{% endfor %}", "steps"},
        {"{% set s = 'a' * 1000000 %}{{ s.rfind('a' * 500000 + 'b') }}{{ s.rsplit('aaaaaaaaab') | length }}", "steps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) expect_stop(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void test_deep_nesting_stops(void **state)
{
    (void)state;
    static const char *const units[][2] = {
        {"(", ""}, {"[", ""}, {"{1:", ""}, {"-", ""}, {"not ", ""}, {"1+", "1"}, {"1~", "1"}, {"1 if ", ""}, {"1 if 1 else ", ""},
        {"a.b", ""}, {"x[", ""}, {"x(", ""}, {"1|d(", ""}, {"1 is in ", ""}, {"1 and ", "1"}, {"1**", "1"}, {"1<", "1"},
    };
    enum { DEEP = 1000000 };
    for (size_t i = 0; i < sizeof units / sizeof units[0] + 4; i++) {
        static const char *const tags[] = {"{% if 1 %}", "{% for i in x %}", "{% macro f() %}", "{% filter trim %}"};
        size_t tag = i - sizeof units / sizeof units[0];
        const char *unit = i < sizeof units / sizeof units[0] ? units[i][0] : tags[tag];
        size_t n = strlen(unit);
        char *source = malloc(n * DEEP + 16);
        assert_non_null(source);
        size_t at = i < sizeof units / sizeof units[0] ? (size_t)sprintf(source, "{{ ") : 0;
        for (size_t k = 0; k < DEEP; k++, at += n) memcpy(source + at, unit, n);
        at += (size_t)sprintf(source + at, i < sizeof units / sizeof units[0] ? "%s }}" : "%s", i < sizeof units / sizeof units[0] ? units[i][1] : "");
        double start = seconds();
        outcome x = render(source, at, NULL, NULL, 0, NULL);
        bool flat = strcmp(unit, "1~") == 0 || strcmp(unit, "1<") == 0; /* chains of these nest nothing */
        if (x.text && !flat) fail_msg("10^6 times '%s' ended with a text", unit);
        if (seconds() - start > 1.0 * SLOWER) fail_msg("10^6 times '%s' took %.2f s", unit, seconds() - start);
        free(x.text);
        free(source);
    }
}

static void test_limits_can_be_set(void **state)
{
    (void)state;
    const char *source = "{% for i in range(1000) %}xxxxxxxxxx{% endfor %}";
    jinja_options o = {.limits = {.output = 9999}};
    outcome x = render(source, strlen(source), NULL, NULL, 0, &o);
    assert_non_null(strstr(x.e.msg, "9999 bytes"));
    o.limits.output = 10000;
    x = render(source, strlen(source), NULL, NULL, 0, &o);
    assert_int_equal(x.len, 10000);
    free(x.text);
    o.limits.steps = 1000;
    x = render(source, strlen(source), NULL, NULL, 0, &o);
    assert_non_null(strstr(x.e.msg, "steps"));
}

/* A long conversation is linear work. */
static void test_long_text_is_linear(void **state)
{
    (void)state;
    const char *source = "{% set ns = namespace(s='') %}{% for i in range(20000) %}{% set ns.s = ns.s + v + '|' %}{% endfor %}{{ ns.s | trim | length }}";
    char v[501];
    memset(v, 'x', 500);
    v[500] = 0;
    jinja_var var = {.name = "v", .text = v, .len = 500, .foreign = true};
    jinja_options o = {.limits = {.memory = (size_t)512 << 20}}; /* what a megabyte of conversation is given */
    double start = seconds();
    outcome x = render(source, strlen(source), NULL, &var, 1, &o);
    if (!x.text) fail_msg("%s", x.e.msg);
    assert_string_equal(x.text, "10020000");
    assert_true(seconds() - start < 1.0 * SLOWER);
    free(x.text);
}

/* ---- where bytes come from ---- */

/* Renders with v = "<U> é" foreign and w = "ours"; foreign bytes must be those between { and } of `marked`. */
static void expect_foreign(const char *source, const char *marked)
{
    static const char list[] = "{\"content\": \"<U> \\u00e9\", \"role\": \"user\", \"bad\": {\"role\": \"a|b\"}, \"l\": [\"p\", \"q,r\"]}";
    jinja_var vars[3] = {{.name = "v", .text = "<U> \xc3\xa9", .len = 6, .foreign = true},
                         {.name = "w", .text = "ours", .len = 4},
                         {.name = "m", .text = list, .len = sizeof list - 1, .json = true, .foreign = true, .plain_key = "role"}};
    pith_err e = {0};
    jinja_result r = {0};
    jinja_template *t = jinja_parse("t", source, strlen(source), NULL, &e);
    if (!t || jinja_render(t, vars, 3, NULL, &r, &e)) fail_msg("%s: %s", source, e.msg);
    char got[1024];
    size_t n = 0, k = 0;
    for (size_t i = 0; i <= r.len; i++) {
        if (k < r.n_foreign && r.foreign[k].begin == i) got[n++] = '{';
        if (k < r.n_foreign && r.foreign[k].end == i) got[n++] = '}', k++;
        if (k < r.n_foreign && r.foreign[k].begin == i && got[n - 1] == '}') fail_msg("ranges touch");
        if (i < r.len) got[n++] = r.text[i];
    }
    got[n] = 0;
    if (strcmp(got, marked)) fail_msg("%s: %s, expected %s", source, got, marked);
    jinja_result_free(&r);
    jinja_free(t);
}

static void test_foreign_bytes(void **state)
{
    (void)state;
    expect_foreign("a{{ v }}b{{ w }}", "a{<U> \xc3\xa9}bours");
    expect_foreign("{{ w + v + w }}{{ v ~ w ~ 1 }}", "ours{<U> \xc3\xa9}ours{<U> \xc3\xa9}ours1");
    expect_foreign("{{ (w + v)[2:6] }}", "rs{<U}");
    expect_foreign("{{ (w + v + w)[::-2] }}", "su{\xc3\xa9><}ro");
    expect_foreign("{{ (' ' + v + ' ') | trim }}|{{ (w + v).strip('o\xc3\xa9') }}", "{<U> \xc3\xa9}|urs{<U> }");
    expect_foreign("{{ w.replace('u', v) }}{{ v.replace('U', w) }}", "o{<U> \xc3\xa9}rs{<}ours{> \xc3\xa9}");
    expect_foreign("{{ (w + v) | upper }}{{ v | title }}", "OURS{<U> \xc3\x89<U> \xc3\x89}");
    expect_foreign("{{ (w + ' ' + v).split() | join('-') }}", "ours-{<U>}-{\xc3\xa9}");
    expect_foreign("{{ [v, w] | join(', ') }}{{ '-'.join([w, v]) }}", "{<U> \xc3\xa9}, oursours-{<U> \xc3\xa9}");
    expect_foreign("{{ '%s|%s|%d' % (v, w, 7) }}{{ '{}|{:>6}'.format(v, w) }}", "{<U> \xc3\xa9}|ours|7{<U> \xc3\xa9}|  ours");
    expect_foreign("{{ {'k': v} | tojson }}{{ {'k': v} }}{{ [v] | string }}", "{\"k\": \"{<U> \xc3\xa9}\"}{'k': '{<U> \xc3\xa9}'}['{<U> \xc3\xa9}']");
    expect_foreign("{{ v | e }}{{ v | tojson(ensure_ascii=true) }}", "{&lt;U&gt; \xc3\xa9}\"{<U> \\u00e9}\"");
    expect_foreign("{% set x %}[{{ v }}]{% endset %}{{ x }}{% filter lower %}A{{ v }}{% endfilter %}", "[{<U> \xc3\xa9}]a{<u> \xc3\xa9}");
    expect_foreign("{% macro f(x) %}<{{ x }}>{% endmacro %}{{ f(v) + w }}", "<{<U> \xc3\xa9}>ours");
    expect_foreign("{% for c in v %}{{ c }}.{% endfor %}{{ v[0] }}{{ v | first }}{{ v | last }}", "{<}.{U}.{>}.{ }.{\xc3\xa9}.{<<\xc3\xa9}");
    expect_foreign("{{ (v + '\\n' + w) | indent(2) }}{{ v | replace('<', '[') }}", "{<U> \xc3\xa9}\n  ours[{U> \xc3\xa9}");
    expect_foreign("<|{{ m.role }}|>{{ m.content }}<|{{ m.bad.role }}|>", "<|user|>{<U> \xc3\xa9}<|{a|b}|>");
    expect_foreign("{% for k, x in m.items() %}{{ k }}{% endfor %}{{ m.l | join }}", "{contentrolebadlpq,r}");
    expect_foreign("{{ m.l[1].split(',') }}{{ v | length }}{{ v == w }}{{ v | truncate(4, true, '+', 0) }}", "['{q}', '{r}']5False{<U>}+");
    expect_foreign("{{ v.partition('U') }}{{ v.center(9, '*') }}{{ v | urlencode }}", "('{<}', '{U}', '{> \xc3\xa9}')**{<U> \xc3\xa9}**{%3CU%3E%20%C3%A9}");
}

static void test_big_numbers_stay(void **state)
{
    (void)state;
    const char *source = "{{ a }} {{ a | tojson }} {{ b }} {{ b + 1 }} {{ c }} {{ d }} {{ a is integer }} {{ [a] }}";
    const char *text = "{\"a\": 123456789012345678901234567890, \"b\": 9007199254740993, \"c\": 1.10, \"d\": -0}";
    jinja_var v = {.text = text, .len = strlen(text), .json = true};
    outcome x = render(source, strlen(source), NULL, &v, 1, NULL);
    assert_string_equal(x.text, "123456789012345678901234567890 123456789012345678901234567890 9007199254740993 9007199254740994 1.1 0 True "
                                "[123456789012345678901234567890]");
    free(x.text);
}

static void test_broken_json(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", "a value is missing"}, {"[1,]", "column 4"}, {"{\"a\" 1}", "expected ':'"},
        {"{\"a\":1,}", "a comma before '}'"}, {"[01]", "not a value"}, {"[1.]", "point"}, {"[\"\\ud800\"]", "surrogate"},
        {"[\"a\nb\"]", "control character"}, {"[1] x", "text after"}, {"\"\xff\"", "not valid UTF-8"}, {"[nul]", "not a value"},
        {"{\"a\":\n tru}", "line 2"}, {"[\"\\x\"]", "escape"}, {"[-]", "not a value"}, {"[1e]", "exponent"}, {"[1e+]", "exponent"},
        {"[1.e5]", "point"}, {"[\"\\u12\"]", "hexadecimal"}, {"[\"\\u12g4\"]", "hexadecimal"}, {"[\"\\u", "hexadecimal"}, {"[\"\\udc00\"]", "surrogate"},
        {"[\"\\ud800\\u0041\"]", "surrogate"}, {"[\"\\ud800\\n12345\"]", "surrogate"}, {"[\"\\ud800x12345\"]", "surrogate"}, {"[\"\\ud800\\u12g4\"]", "surrogate"},
        {"[\"\\ud800\\uffff\"]", "surrogate"}, {"[\"a", "without end"}, {"[\"a\\", "escape"}, {"{\"a\"", "expected ':'"}, {"{1:2}", "expected a key"}, {"{", "expected a key"},
        {"{\"a\":1", "expected ',' or '}'"}, {"{\"a\":1 \"b\"", "expected ',' or '}'"}, {"{\"a\":1,", "expected a key"}, {"[1", "expected ',' or ']'"}, {"[1 2]", "expected ',' or ']'"},
        {"[", "a value is missing"}, {"[1,", "a value is missing"}, {"{\"a\":", "a value is missing"}, {"tru", "not a value"}, {"fals", "not a value"}, {"nul", "not a value"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        jinja_var v = {.name = "messages", .text = cases[i][0], .len = strlen(cases[i][0]), .json = true};
        outcome x = render("{{ messages }}", 14, NULL, &v, 1, NULL);
        if (x.text || !strstr(x.e.msg, "messages: not valid") || !strstr(x.e.msg, cases[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i][0], x.text ? x.text : x.e.msg, cases[i][1]);
    }
    char *deep = malloc(1000001);
    memset(deep, '[', 1000000);
    jinja_var v = {.name = "messages", .text = deep, .len = 1000000, .json = true};
    outcome x = render("{{ messages }}", 14, NULL, &v, 1, NULL);
    assert_null(x.text);
    free(deep);
}

static void test_json_as_python_reads_it(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {" [ ] ", "[]"}, {"{ }", "{}"}, {"null", "None"}, {"[true, false]", "[True, False]"}, {"{\"a\": 1, \"a\": 2}", "{'a': 2}"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00E9\\ud83d\\ude00\\u0041\"", "\"\\/\b\f\n\r\t\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80" "A"},
        {"[0, -0, -0.0, 1e3, 1E-3, 1.5e+3, 10]", "[0, 0, -0.0, 1000.0, 0.001, 1500.0, 10]"},
        {"[9223372036854775807, -9223372036854775808, 9223372036854775808, -9223372036854775809]",
         "[9223372036854775807, -9223372036854775808, 9223372036854775808, -9223372036854775809]"},
        {"1e999", "inf"}, {"123456789012345678901234567890.5", "1.2345678901234568e+29"}, {"[[], [[]], {\"a\": {}}]", "[[], [[]], {'a': {}}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        jinja_var v = {.name = "v", .text = cases[i][0], .len = strlen(cases[i][0]), .json = true};
        outcome x = render("{{ v }}", 7, NULL, &v, 1, NULL);
        if (!x.text) fail_msg("%s: %s", cases[i][0], x.e.msg);
        assert_string_equal(x.text, cases[i][1]);
        free(x.text);
    }
}

/* Methods that change their object: only where the run is asked to do as minja; then as Python. */
static void test_changing_methods(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{% set l = [1, 2, 3] %}{{ l.append(4) }}{{ l.pop() }}{{ l.pop(0) }}{{ l.pop(-2) }}{{ l }}", "None412[3]"},
        {"{% set d = {'a': 1, 'b': 2} %}{{ d.pop('a') }}{{ d.pop('x', 7) }}{{ d }}", "17{'b': 2}"},
        {"{% set ns = namespace(d={}) %}{% for i in range(40) %}{% set _ = ns.d.update %}{% endfor %}{{ ns.d }}", "{}"},
        {"{% set d = dict(a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9,j=10,k=11,l=12,m=13,n=14,o=15,p=16,q=17,r=18) %}{{ d.pop('c') }}{{ d.r }}{{ 'c' in d }}{{ d | length }}", "318False17"},
        {"{{ [].pop() }}", "IndexError: pop from empty list"}, {"{{ [1].pop(5) }}", "IndexError: pop index out of range"}, {"{{ [1].pop('x') }}", "TypeError"},
        {"{{ {}.pop('x') }}", "KeyError"}, {"{{ [1].pop(1, 2) }}", "TypeError"}, {"{{ {}.pop() }}", "TypeError"}, {"{{ [].append() }}", "TypeError"},
        {"{{ [1].insert(0, 1) }}", "SecurityError"}, {"{{ none | trim }}|{{ none | upper }}", "|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome x = render(cases[i][0], strlen(cases[i][0]), NULL, NULL, 0, &(jinja_options){.flags = JINJA_MINJA});
        if (x.text ? strcmp(x.text, cases[i][1]) != 0 : !strstr(x.e.msg, cases[i][1])) fail_msg("%s: \"%s\"", cases[i][0], x.text ? x.text : x.e.msg);
        free(x.text);
    }
    expect_error("{{ [1].pop() }}", "SecurityError: access to attribute 'pop' of 'list' object is unsafe.");
}

/* The value model of huggingface.js. */
static void test_javascript_values(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{{ true }}{{ none }}{{ [1, 'a', undef] }}{{ {'a': none} }}{{ 1.5 }}", "truenull[1, \"a\", undefined]{\"a\": null}1.5"},
        {"{{ 'a' + 1 }}{{ 1 + 'a' }}{{ none + 'a' }}{{ 1 + 1 }}", "a11anulla2"}, {"{{ 1 == true }}{{ true == true }}", "falsetrue"},
        {"{{ [1, 2] | map('string') }}{{ {'a': 1}.items() }}{{ null is none }}", "[\"1\", \"2\"][[\"a\", 1]]true"}, {"{{ undef in 'abc' }}", "false"},
        {"{{ [] + 1 }}", "TypeError"}, {"{{ 'a' + undef }}", "UndefinedError"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome x = render(cases[i][0], strlen(cases[i][0]), NULL, NULL, 0, &(jinja_options){.flags = JINJA_JAVASCRIPT});
        if (x.text ? strcmp(x.text, cases[i][1]) != 0 : !strstr(x.e.msg, cases[i][1])) fail_msg("%s: \"%s\"", cases[i][0], x.text ? x.text : x.e.msg);
        free(x.text);
    }
}

/* A number beyond 64 bits in the input prints as it was written, and no more. */
static void test_beyond_64_bits(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{{ a }}{{ a is number }}{{ a is integer }}{{ a is odd }}", "TypeError"}, {"{{ a | int }}{{ a | string }}{{ a == a }}{{ a == b }}{{ {a: 1}[a] }}", "99999999999999999999" "99999999999999999999TrueFalse1"},
        {"{{ a | float }}", "1e+20"}, {"{{ a + 1 }}", "OverflowError"}, {"{{ 1 + a }}", "OverflowError"}, {"{{ -a }}", "TypeError"}, {"{{ a < b }}", "TypeError"},
        {"{{ {a: a} | tojson }}{{ '%s' % a }}", "{\"99999999999999999999\": 99999999999999999999}99999999999999999999"}, {"{{ '%d' % 1e20 }}", "OverflowError"}, {"{{ '%d' % a }}", "TypeError"},
        {"{{ '1e30' | int }}", "OverflowError"}, {"{{ '99999999999999999999' | int }}", "OverflowError"}, {"{{ '-9223372036854775808' | int }}", "-9223372036854775808"}, {"{{ 1e19 | int }}", "OverflowError"},
        {"{{ '{:0400,}'.format(1.0) }}", "ValueError"}, {"{{ '{:09,}'.format(1) }}", "0,000,001"}, {"{{ '%.301d' % 1 }}", "ValueError"}, {"{{ 1 is filter }}", "is not supported"},
        {"{{ -(-9223372036854775807 - 1) }}", "OverflowError"}, {"{{ (-9223372036854775807 - 1) | abs }}", "OverflowError"}, {"{{ (-8.5) ** 0.5 }}", "complex"},
        {"{{ (1 - 2) | round(0, 'ceil') }}{{ 10 | round(400, 'ceil') }}", "OverflowError"}, {"{{ 10 | round(18, 'floor') }}", "OverflowError"},
        {"{{ '\\ud83d\\ude00' }}", "\xf0\x9f\x98\x80"}, {"{{ '\\ud83d' }}", "a broken"}, {"{{ '\\ud83dx12345' }}", "a broken"}, {"{{ '\\ud83d\\n12345' }}", "a broken"},
        {"{{ '\\ud83d\\u0041' }}", "a broken"}, {"{{ '\\ud83d\\u12' }}", "a broken"}, {"{{ '\\ud83d\\uffff' }}", "a broken"}, {"{{ '\\ud83d\\uzzzz' }}", "a broken"}, {"{{ '\\ude00' }}", "a broken"},
        {"{{ '{:c}'.format(55296) }}", "is no character"}, {"{{ strftime_now('%q') }}", "%q is not supported"},
    };
    static const char text[] = "{\"a\": 99999999999999999999, \"b\": 99999999999999999998}";
    jinja_var v = {.text = text, .len = sizeof text - 1, .json = true};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome x = render(cases[i][0], strlen(cases[i][0]), NULL, &v, 1, &(jinja_options){.now = &july});
        if (x.text ? strcmp(x.text, cases[i][1]) != 0 : !strstr(x.e.msg, cases[i][1])) fail_msg("%s: \"%s\"", cases[i][0], x.text ? x.text : x.e.msg);
        free(x.text);
    }
}

/* Dates, by Python's own calendar. */
static void test_dates(void **state)
{
    (void)state;
    static const struct {
        jinja_date now;
        const char *want;
    } cases[] = {{{2024, 2, 29, 0, 5, 7}, "060 AM 12 Thu 4"}, {{2023, 3, 1, 11, 0, 0}, "060 AM 11 Wed 3"}, {{2024, 3, 1, 12, 0, 0}, "061 PM 12 Fri 5"},
                 {{2000, 12, 31, 23, 0, 0}, "366 PM 11 Sun 7"}, {{1900, 3, 1, 13, 0, 0}, "060 PM 01 Thu 4"}, {{2100, 1, 1, 1, 0, 0}, "001 AM 01 Fri 5"}};
    const char *source = "{{ strftime_now('%j %p %I %a %u') }}";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        outcome x = render(source, strlen(source), NULL, NULL, 0, &(jinja_options){.now = &cases[i].now});
        assert_string_equal(x.text, cases[i].want);
        free(x.text);
    }
}

/* Every limit of memory from nothing to enough: an error each time, then the text. */
static void test_memory_runs_out_anywhere(void **state)
{
    (void)state;
    const char *source = "{% macro f(a, b=[1]) %}{{ a ~ b }}{{ varargs }}{% endmacro %}{% for m in l | sort(attribute='k') %}{{ loop.index }}"
                         "{{ f(m.k, *[1, 2]) }}{{ m | tojson(indent=2) }}{{ '%s' % m.k }}{{ (m.k * 3000) | upper | length }}{% endfor %}"
                         "{% set ns = namespace(s='') %}{% for i in range(40) %}{% set ns.s = ns.s + v * 30 %}{% endfor %}{{ ns.s }}";
    const char *l = "[{\"k\": \"b\", \"x\": [1.5, null]}, {\"k\": \"a\"}]";
    jinja_var vars[2] = {{.name = "l", .text = l, .len = strlen(l), .json = true, .foreign = true}, {.name = "v", .text = "abc", .len = 3, .foreign = true}};
    jinja_options o = {.limits = {.memory = 64}};
    size_t failures = 0;
    outcome x;
    for (;; o.limits.memory += o.limits.memory < 70000 ? 8192 : 1000, failures++) {
        x = render(source, strlen(source), NULL, vars, 2, &o);
        if (x.text) break;
        assert_non_null(strstr(x.e.msg, "memory"));
    }
    assert_true(failures > 20);
    assert_true(x.len > 3600);
    free(x.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_cases), cmocka_unit_test(test_minja_suite), cmocka_unit_test(test_huggingface_js_suite),
        cmocka_unit_test(test_errors_name_line_and_cause), cmocka_unit_test(test_no_clock_without_a_date),
        cmocka_unit_test(test_endless_templates_stop), cmocka_unit_test(test_deep_nesting_stops),
        cmocka_unit_test(test_limits_can_be_set), cmocka_unit_test(test_long_text_is_linear), cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_big_numbers_stay), cmocka_unit_test(test_broken_json), cmocka_unit_test(test_memory_runs_out_anywhere),
        cmocka_unit_test(test_json_as_python_reads_it), cmocka_unit_test(test_changing_methods), cmocka_unit_test(test_javascript_values),
        cmocka_unit_test(test_beyond_64_bits), cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
