/* csv against RFC 4180's own examples and the ways real files bend it; every case is fed whole, byte by byte and in
 * every two pieces, since a stream may break anywhere. */
#define _POSIX_C_SOURCE 200809L
#include "util.h"
#include "base/csv.h"

/* Fields joined by '|', records by '\n', positions on request; bytes come in pieces of `piece`. */
static char *parse(const char *in, size_t len, char sep, int quoting, size_t piece, int positions, pith_err *e)
{
    csv r = {.sep = sep, .quoting = quoting};
    char *out = NULL;
    size_t n = 0, pos = 0;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    for (;;) {
        int k = csv_next(&r, e);
        if (k < 0) break;
        if (k == 0 && r.finished) break;
        if (k == 0) {
            size_t take = len - pos < piece ? len - pos : piece;
            if (take == 0) csv_finish(&r);
            else assert_int_equal(csv_feed(&r, in + pos, take, e), 0);
            pos += take;
            continue;
        }
        if (positions) fprintf(f, "%d:%d-%d ", (int)r.line, (int)r.begin, (int)r.end);
        for (size_t i = 0; i < r.n; i++) {
            if (i) fputc('|', f);
            fwrite(r.fields[i].s, 1, r.fields[i].len, f);
        }
        fputc('\n', f);
    }
    csv_free(&r);
    fclose(f);
    return out;
}

static void expect(const char *in, char sep, int quoting, const char *want)
{
    size_t len = strlen(in);
    for (size_t piece = 1; piece <= len + 1; piece++) {
        pith_err e = {{0}};
        char *got = parse(in, len, sep, quoting, piece, 0, &e);
        assert_string_equal(e.msg, "");
        assert_string_equal(got, want);
        free(got);
    }
}

static void rfc4180(void **s)
{
    (void)s;
    expect("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n", ',', 1, "aaa|bbb|ccc\nzzz|yyy|xxx\n");
    expect("aaa,bbb,ccc\r\nzzz,yyy,xxx", ',', 1, "aaa|bbb|ccc\nzzz|yyy|xxx\n");
    expect("\"aaa\",\"bbb\",\"ccc\"\nzzz,yyy,xxx", ',', 1, "aaa|bbb|ccc\nzzz|yyy|xxx\n");
    expect("\"aaa\",\"b\r\nbb\",\"ccc\"\r\nz,y,x", ',', 1, "aaa|b\r\nbb|ccc\nz|y|x\n");
    expect("\"aaa\",\"b\"\"bb\",\"ccc\"", ',', 1, "aaa|b\"bb|ccc\n");
    expect("a, b ,c\n", ',', 1, "a| b |c\n");
    expect("\"a,b\",\"\",,\"\"\"\"\n", ',', 1, "a,b|||\"\n");
}

static void bent(void **s)
{
    (void)s;
    expect("\xef\xbb\xbf" "a,b\n1,2\n", ',', 1, "a|b\n1|2\n");
    expect("\xef\xbb\xbf\"a\",b\n", ',', 1, "a|b\n");
    expect("\xef\xbb", ',', 1, "\xef\xbb\n");
    expect("a\rb,c\n", ',', 1, "a\rb|c\n");
    expect("a\r\r\nb\r", ',', 1, "a\r\nb\n");
    expect("\n\r\na\n\n\nb\n\n", ',', 1, "a\nb\n");
    expect("\"\"\n,\n", ',', 1, "\n|\n");
    expect("say \"hi\",\"x\"y\n", ',', 1, "say \"hi\"|xy\n");
    expect("", ',', 1, "");
    expect("\"a\"\r\n\"b\"", ',', 1, "a\nb\n");
}

static void tabs(void **s)
{
    (void)s;
    expect("label\ttext\n0\t\"open , quote\n1\tit's \"\"\r\n", '\t', 0, "label|text\n0|\"open , quote\n1|it's \"\"\n");
}

static void positions(void **s)
{
    (void)s;
    pith_err e = {{0}};
    const char *in = "\xef\xbb\xbfh\n\n\"a\nb\"\nc\n";
    for (size_t piece = 1; piece < 16; piece++) {
        char *got = parse(in, strlen(in), ',', 1, piece, 1, &e);
        assert_string_equal(got, "1:3-5 h\n3:6-12 a\nb\n5:12-14 c\n");
        free(got);
    }
}

static void open_quote(void **s)
{
    (void)s;
    pith_err e = {{0}};
    char *got = parse("a,b\n1,\"two\nthree\n", 17, ',', 1, 5, 0, &e);
    assert_string_equal(got, "a|b\n");
    assert_string_equal(e.msg, "line 2: a quote opened in this record never closes");
    free(got);
}

static void nul_bytes(void **s)
{
    (void)s;
    csv r = {.sep = ',', .quoting = 1};
    pith_err e = {{0}};
    assert_int_equal(csv_feed(&r, "a\0b,c\n", 6, &e), 0);
    assert_int_equal(csv_next(&r, &e), 1);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.fields[0].len, 3);
    assert_memory_equal(r.fields[0].s, "a\0b", 3);
    csv_free(&r);
}

/* 20 MB in one field, in pieces: linear, not quadratic, or this test would take minutes. */
static void big(void **s)
{
    (void)s;
    csv r = {.sep = ',', .quoting = 1};
    pith_err e = {{0}};
    size_t total = 0;
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    assert_int_equal(csv_feed(&r, "\"", 1, &e), 0);
    for (int i = 0; i < 5000; i++, total += sizeof piece) {
        assert_int_equal(csv_feed(&r, piece, sizeof piece, &e), 0);
        assert_int_equal(csv_next(&r, &e), 0);
    }
    assert_int_equal(csv_feed(&r, "\"\n", 2, &e), 0);
    assert_int_equal(csv_next(&r, &e), 1);
    assert_int_equal(r.fields[0].len, total);
    csv_free(&r);
}

static void writes_what_it_reads(void **s)
{
    (void)s;
    const char *cells[] = {"", "plain", "a,b", "\"q\"", "line\nbreak", "cr\r", " lead", "\xc3\xa9"};
    enum { N = sizeof cells / sizeof *cells };
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            char *out = NULL;
            size_t n = 0;
            FILE *f = open_memstream(&out, &n);
            csv_put(f, 1, cells[i], strlen(cells[i]));
            csv_put(f, 0, cells[j], strlen(cells[j]));
            fputc('\n', f);
            fclose(f);
            csv r = {.sep = ',', .quoting = 1};
            pith_err e = {{0}};
            assert_int_equal(csv_feed(&r, out, n, &e), 0);
            assert_int_equal(csv_next(&r, &e), 1);
            assert_int_equal(r.n, 2);
            assert_int_equal(r.fields[0].len, strlen(cells[i]));
            assert_memory_equal(r.fields[0].s, cells[i], r.fields[0].len);
            assert_int_equal(r.fields[1].len, strlen(cells[j]));
            assert_memory_equal(r.fields[1].s, cells[j], r.fields[1].len);
            csv_free(&r);
            free(out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest t[] = {
        cmocka_unit_test(rfc4180), cmocka_unit_test(bent), cmocka_unit_test(tabs), cmocka_unit_test(positions),
        cmocka_unit_test(open_quote), cmocka_unit_test(nul_bytes), cmocka_unit_test(big),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests(t, NULL, NULL);
}
