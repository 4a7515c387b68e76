/* The interpreter without memory, anywhere: every template of tests/data/jinja_cases.json is rendered again and again, with
 * its memory ending 48 bytes later each time, and its steps one later; and one template that has every tag and operator is parsed so. A run either
 * says that memory ended, or gives what it gives with all the memory there is. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "base/json.h"
#include "base/mem.h"
#include "tokenizer/jinja.h"

/* Memory is taken from the system in blocks of CHUNK and cut up; what is larger than BIG is a block of its own. With a limit of
 * one block, and most of it used up by texts that nobody looks at, the rest runs out where we want it. */
enum { CHUNK = 1 << 16, PIECE = 8000, STEP = 48 };
static char padding[PIECE];
static const jinja_date july = {2024, 7, 26, 15, 4, 9};

typedef struct raw {
    const char *value;
    size_t len;
} raw;
static void take_context(void *ctx, const char *key, size_t key_len, const char *value, size_t len)
{
    if (key_len == 7 && !memcmp(key, "context", 7)) *(raw *)ctx = (raw){value, len};
}

/* The variables: `pad` bytes in pieces, then the context. Returns how many. */
static size_t variables(jinja_var *v, size_t pad, raw context)
{
    size_t n = 0;
    for (; pad > 64; pad -= pad < PIECE ? pad : PIECE)
        v[n++] = (jinja_var){.name = "padding", .text = padding, .len = (pad < PIECE ? pad : PIECE) - 48};
    v[n++] = (jinja_var){.text = context.value, .len = context.len, .json = true, .foreign = true};
    return n;
}

static int render(const jinja_template *t, size_t pad, size_t memory, raw context, jinja_result *r, pith_err *e)
{
    jinja_var v[CHUNK / PIECE + 2];
    jinja_options o = {.limits = {.memory = memory}, .now = &july};
    *r = (jinja_result){0};
    return jinja_render(t, v, variables(v, pad, context), &o, r, e);
}

/* As starve, of steps: the run ends at each of its first 400. */
static size_t tire(const char *source, const jinja_syntax *syntax, raw context, uint64_t enough)
{
    pith_err e = {0};
    jinja_result want, got;
    jinja_template *t = jinja_parse("t", source, strlen(source), syntax, &e);
    size_t stopped = 0;
    if (!t) return 0;
    jinja_var v = {.text = context.value, .len = context.len, .json = true};
    int right = render(t, 0, 0, context, &want, &e);
    for (uint64_t steps = enough; steps < enough + 400; steps++) {
        pith_err why = {0};
        jinja_options o = {.limits = {.steps = steps}, .now = &july};
        int rc = jinja_render(t, &v, 1, &o, &got, &why);
        if (rc && strstr(why.msg, "more steps than are allowed")) {
            stopped++;
            continue;
        }
        if (rc != right || (rc ? strcmp(why.msg, e.msg) : got.len != want.len || memcmp(got.text, want.text, got.len)))
            fail_msg("%s: with %llu steps \"%s\", with all there are \"%s\"", source, (unsigned long long)steps, rc ? why.msg : got.text, right ? e.msg : want.text);
        jinja_result_free(&got);
        break;
    }
    jinja_result_free(&want);
    jinja_free(t);
    return stopped;
}

/* Returns how often it failed. */
static size_t starve(const char *source, const jinja_syntax *syntax, raw context, size_t enough)
{
    pith_err e = {0};
    jinja_result want, got;
    jinja_template *t = jinja_parse("t", source, strlen(source), syntax, &e);
    size_t failed = 0;
    if (!t) return 0; /* one that is no template; test_jinja knows */
    int right = render(t, 0, 0, context, &want, &e);
    for (size_t left = enough; left < CHUNK; left += STEP) {
        pith_err why = {0};
        int rc = render(t, CHUNK - left, CHUNK, context, &got, &why);
        if (rc && strstr(why.msg, "memory")) {
            failed++;
            continue;
        }
        /* From here on it has enough. */
        if (rc != right || (rc ? strcmp(why.msg, e.msg) : got.len != want.len || memcmp(got.text, want.text, got.len)))
            fail_msg("%s: with %zu bytes \"%s\", with all memory \"%s\"", source, left, rc ? why.msg : got.text, right ? e.msg : want.text);
        jinja_result_free(&got);
        break;
    }
    jinja_result_free(&want);
    jinja_free(t);
    return failed;
}

static void test_every_case_starves(void **state)
{
    (void)state;
    size_t len, n = 0, failed = 0, stopped = 0, none = 0;
    uint64_t first = 1;
    pith_err e = {0};
    raw context = {0};
    char *file = util_read("tests/data/jinja_cases.json", &len);
    json_doc *d = json_parse("jinja_cases.json", file, len, &e);
    assert_non_null(d);
    json_raw_members(file, len, take_context, &context);
    assert_non_null(context.value);
    /* What the context alone takes. */
    size_t enough = 0;
    jinja_template *t = jinja_parse("t", "", 0, NULL, &e);
    jinja_result r;
    for (; enough < CHUNK && render(t, CHUNK - enough, CHUNK, context, &r, &e); enough += STEP) none++;
    assert_true(none > 10 && enough < CHUNK / 2);
    jinja_result_free(&r);
    jinja_var v = {.text = context.value, .len = context.len, .json = true};
    for (jinja_options o = {.limits = {.steps = 1}}; jinja_render(t, &v, 1, &o, &r, &e); o.limits.steps++) first = o.limits.steps;
    jinja_result_free(&r);
    jinja_free(t);
    for (json c = json_first(json_get(json_root(d), "cases")); c.node; c = json_next(c), n++) {
        json s = json_first(json_get(c, "syntax"));
        jinja_syntax syntax = {true, true, false};
        if (s.node) continue;
        stopped += tire(json_str(json_get(c, "template")), &syntax, context, first);
        failed += starve(json_str(json_get(c, "template")), &syntax, context, enough > 2 * STEP ? enough - 2 * STEP : 0);
    }
    assert_true(n > 500);
    if (failed <= 5 * n || stopped <= 5 * n) fail_msg("%zu templates, memory ended %zu times, steps %zu", n, failed, stopped);
    json_free(d);
    free(file);
}

/* ---- parsing ---- */

/* The library's door to memory: gives one block of CHUNK and no more; of others, all that it is asked for. */
static long chunks_left, refused;
static void *door(void *ctx, void *p, size_t bytes)
{
    (void)ctx;
    if (!bytes) {
        free(p);
        return NULL;
    }
    if (bytes == CHUNK && !p && chunks_left-- <= 0) return refused++, NULL;
    return realloc(p, bytes);
}

static const char EVERYTHING[] =
    "{# c #}{% raw %}{{{% endraw %}{{ 'a' 'b\\u00e9' ~ \"c\" ~ 1 ~ 1.5 }}{{ [1, [], {}, {'k': 2, 'l': (1, 2), 'm': ()}, (3)] }}"
    "{{ a.b.c[0]['x'][1:2][::3][:4:5][1, 2].d.0 }}{{ -a + +b * 2 ** 3 // 4 / 5 % 6 - 7 }}{{ not a and b or c in d not in e }}"
    "{{ 1 < 2 <= 3 > 4 >= 5 == 6 != 7 }}{{ a if b else c if d }}{{ x | upper | join('-', attribute='q') | default(1, *l, **m) }}"
    "{{ a is defined and b is not in [1] and c is divisibleby 3 and d is not odd }}"
    "{% set a, (b, c) = 1, (2, 3) %}{% set n.s = 4 %}{% set t | upper %}x{% endset %}{% set u %}y{% endset %}"
    "{% for k, v in d.items() if k recursive %}{{ loop(v) }}{% break %}{% continue %}{% else %}z{% endfor %}"
    "{% if a %}1{% elif b %}2{% else %}3{% endif %}{% macro f(a, b=1, c=[2]) %}{{ caller() }}{{ kwargs }}{{ varargs }}{% endmacro %}"
    "{% call(x, y=2) f(1, b=2) %}{{ x }}{% endcall %}{% call f() %}{% endcall %}{% filter upper | trim('x') %}q{% endfilter %}"
    "{% with a = 1, b = 2 %}{{ a }}{% endwith %}{% print a, b %}{% generation %}g{% endgeneration %}{% autoescape false %}h{% endautoescape %}";

static void test_every_tag_starves(void **state)
{
    (void)state;
    /* Texts of one letter before it use up memory; blanks, less of it. */
    char *source = malloc(CHUNK + sizeof EVERYTHING);
    size_t failed = 0, parsed = 0;
    assert_non_null(source);
    for (size_t texts = 0; texts < 1000; texts++) {
        size_t len = 0;
        for (size_t i = 0; i < texts; i++) len += (size_t)sprintf(source + len, "a{##}");
        for (int part = 0; part < 3; part++, len += 48) {
            pith_err why = {0};
            memset(source + len, ' ', 48);
            memcpy(source + len, EVERYTHING, sizeof EVERYTHING);
            chunks_left = 1, refused = 0;
            jinja_template *t = jinja_parse("t", source, strlen(source), NULL, &why);
            assert_int_equal(t == NULL, refused != 0);
            assert_int_equal(t == NULL, strstr(why.msg, "memory") != NULL);
            if (t) parsed++;
            else failed++;
            jinja_free(t);
            memset(source + len, ' ', 48);
        }
    }
    assert_true(parsed > 10 && failed > 500); /* with little before it one block is enough */
    chunks_left = 1L << 40;
    free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_case_starves), cmocka_unit_test(test_every_tag_starves)};
    memset(padding, 'x', sizeof padding);
    chunks_left = 1L << 40;
    if (mem_set(door, NULL)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
