/* Every checkpoint of tests/golden/torch, read as torch reads it: names, dtypes, shapes, each byte, which tensors are one
 * view; and refused where it must be. tools/make_torch_fixtures.py wrote them. Other folders of the same layout may be
 * named as arguments. */
#define _GNU_SOURCE
#include "util.h"
#include "base/digest.h"
#include "base/json.h"
#include "pith.h"
#include <dirent.h>
#include <math.h>

typedef struct fixture {
    char name[256], folder[1024];
} fixture;

static size_t elements(const pith_tensor *t)
{
    size_t n = 1;
    for (size_t k = 0; k < t->rank; k++) n *= (size_t)t->shape[k];
    return n;
}

static void check_sum(const char *where, const void *data, size_t len, const char *want)
{
    unsigned char sum[DIGEST_SHA256];
    char hex[2 * DIGEST_SHA256 + 1];
    digest_sha256 *d = digest_sha256_new();
    assert_non_null(d);
    digest_sha256_add(d, data, len);
    digest_sha256_end(d, sum);
    for (int i = 0; i < DIGEST_SHA256; i++) snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    if (strcmp(hex, want)) fail_msg("%s: sha256 of %zu bytes is %s, torch's %s", where, len, hex, want);
}

/* The first elements, as floats, of the types where C can tell: what read_f32 must give. */
static int as_float(const char *dtype, const unsigned char *p, size_t i, float *out)
{
    int16_t h;
    int64_t l;
    double d;
    if (!strcmp(dtype, "F32")) memcpy(out, p + 4 * i, 4);
    else if (!strcmp(dtype, "F64")) memcpy(&d, p + 8 * i, 8), *out = (float)d;
    else if (!strcmp(dtype, "I64")) memcpy(&l, p + 8 * i, 8), *out = (float)l;
    else if (!strcmp(dtype, "I16")) memcpy(&h, p + 2 * i, 2), *out = h;
    else if (!strcmp(dtype, "U8") || !strcmp(dtype, "BOOL")) *out = p[i];
    else if (!strcmp(dtype, "I8")) *out = (signed char)p[i];
    else return 0;
    return 1;
}

static void check_floats(const char *where, const pith_weights *w, size_t i, const char *dtype, const unsigned char *raw, size_t n)
{
    pith_err e = {{0}};
    float *got = malloc((n + 1) * sizeof *got), want;
    assert_non_null(got);
    if (strcmp(dtype, "C64") == 0) {
        assert_int_equal(pith_weights_read_f32(w, i, 0, n, got, &e), -1);
    } else {
        if (pith_weights_read_f32(w, i, 0, n, got, &e)) fail_msg("%s: %s", where, e.msg);
        for (size_t k = 0; k < n && as_float(dtype, raw, k, &want); k++)
            if (memcmp(got + k, &want, 4) && !(got[k] != got[k] && want != want))
                fail_msg("%s: element %zu as float is %.9g, expected %.9g", where, k, (double)got[k], (double)want);
    }
    free(got);
}

/* Statistics of F32 and F64 against a plain loop: what does not lie in a row is counted too. */
static void check_stats(const char *where, const pith_weights *w, size_t i, const char *dtype, const unsigned char *raw, size_t n)
{
    pith_err e = {{0}};
    pith_tensor_stats s;
    uint64_t nan = 0, inf = 0, zero = 0;
    double lo = INFINITY, hi = -INFINITY;
    int wide = !strcmp(dtype, "F64"), known = wide || !strcmp(dtype, "F32");
    if (pith_weights_stats(w, i, &s, &e)) {
        if (strcmp(dtype, "C64")) fail_msg("%s: statistics: %s", where, e.msg);
        return;
    }
    assert_int_equal(s.count, n);
    for (size_t k = 0; known && k < n; k++) {
        float f;
        double v;
        if (wide) memcpy(&v, raw + 8 * k, 8);
        else memcpy(&f, raw + 4 * k, 4), v = (double)f;
        if (isnan(v)) nan++;
        else if (isinf(v)) inf++;
        else zero += v == 0, lo = fmin(lo, v), hi = fmax(hi, v);
    }
    if (known && (s.n_nan != nan || s.n_inf != inf || s.n_zero != zero || (lo <= hi && (s.min != lo || s.max != hi))))
        fail_msg("%s: statistics differ: [%g, %g], expected [%g, %g]", where, s.min, s.max, lo, hi);
}

/* The same bytes in uneven pieces as at once, and in the view where there is one. */
static void check_bytes(const char *where, const pith_weights *w, size_t i, const pith_tensor *t, const char *want)
{
    pith_err e = {{0}};
    size_t n = elements(t), size = n ? (size_t)t->nbytes / n : 1, step = 1;
    unsigned char *all = malloc((size_t)t->nbytes + 1), *part = malloc((size_t)t->nbytes + 1);
    assert_true(all && part);
    if (pith_weights_read(w, i, 0, n, all, &e)) fail_msg("%s: %s", where, e.msg);
    check_sum(where, all, (size_t)t->nbytes, want);
    for (size_t at = 0, m; at < n; at += m, step = step * 3 + 1) {
        m = step < n - at ? step : n - at;
        if (pith_weights_read(w, i, at, m, part, &e)) fail_msg("%s: elements [%zu,+%zu): %s", where, at, m, e.msg);
        if (memcmp(part, all + at * size, m * size)) fail_msg("%s: elements [%zu,+%zu) differ from the whole", where, at, m);
    }
    if (t->data && memcmp(t->data, all, (size_t)t->nbytes)) fail_msg("%s: the view differs from what is read", where);
    assert_int_equal(pith_weights_read(w, i, n, 1, part, &e), -1);
    check_floats(where, w, i, t->dtype, all, n);
    check_stats(where, w, i, t->dtype, all, n);
    free(all);
    free(part);
}

static void check_tensor(const char *name, const pith_weights *w, json want, int header_only)
{
    pith_err e = {{0}};
    pith_tensor t, again;
    size_t i = 0, k = 0;
    char where[512];
    snprintf(where, sizeof where, "%s: %.200s", name, json_key(want));
    if (pith_weights_find(w, json_key(want), &t)) fail_msg("%s: not found", where);
    while (!pith_weights_at(w, i, &again) && strcmp(again.name, t.name)) i++;
    if (strcmp(t.dtype, json_str(json_get(want, "dtype")))) fail_msg("%s: %s, torch says %s", where, t.dtype, json_str(json_get(want, "dtype")));
    for (json d = json_first(json_get(want, "shape")); d.node; d = json_next(d), k++)
        if (k >= t.rank || (double)t.shape[k] != json_num(d)) fail_msg("%s: dimension %zu is not %.0f", where, k, json_num(d));
    assert_int_equal(k, t.rank);
    if (header_only) {
        char one[16];
        assert_null(t.data);
        assert_int_equal(pith_weights_read(w, i, 0, 0, one, &e), -1);
        return;
    }
    check_bytes(where, w, i, &t, json_str(json_get(want, "sha256")));
}

/* pith_weights_same: the first of those that torch has as one view, whatever order they are in here. */
static void check_groups(const char *name, const pith_weights *w, json tensors)
{
    size_t n = pith_weights_count(w);
    const char **group = calloc(n + 1, sizeof *group);
    assert_non_null(group);
    for (size_t i = 0; i < n; i++) {
        pith_tensor t;
        size_t first = 0;
        assert_int_equal(pith_weights_at(w, i, &t), 0);
        group[i] = json_str(json_get(json_get(tensors, t.name), "same"));
        while (strcmp(group[first], group[i])) first++;
        if (pith_weights_same(w, i) != first) fail_msg("%s: %.100s is the same view as tensor %zu, not %zu", name, t.name, first, pith_weights_same(w, i));
    }
    free(group);
}

static void check_clean(const char *name, const char *msg)
{
    if (!*msg) fail_msg("%s: refused without a word", name);
    for (const char *p = msg; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) fail_msg("%s: control character in '%s'", name, msg);
}

static void check_one(const fixture *f, json root, int how)
{
    pith_err e = {{0}};
    char path[2048];
    const char *verdict = json_str(json_get(root, "verdict"));
    json option = json_get(root, "option"), tensors = json_get(root, "tensors");
    snprintf(path, sizeof path, "%s/%s", f->folder, json_str(json_get(root, "file")));
    pith_weights_options o = {.no_mmap = how == 1, .header_only = how == 2, .key = json_typeof(option) == JSON_STRING ? json_str(option) : NULL};
    pith_weights *w = pith_weights_open(path, &o, &e);
    if (!w) {
        if (!strcmp(verdict, "ok")) fail_msg("%s: refused: %s", f->name, e.msg);
        check_clean(f->name, e.msg);
        if (how == 0) printf("# %s: %s\n", f->name, e.msg);
        return;
    }
    if (!strcmp(verdict, "refused")) fail_msg("%s: accepted; it must be refused: %s", f->name, json_str(json_get(root, "why")));
    assert_string_equal(pith_weights_format(w), "PyTorch");
    assert_string_equal(pith_weights_key(w), json_str(json_get(root, "key")));
    assert_int_equal(pith_weights_count(w), json_len(tensors));
    for (json t = json_first(tensors); t.node; t = json_next(t)) check_tensor(f->name, w, t, how == 2);
    if (how != 2) check_groups(f->name, w, tensors);
    pith_weights_close(w);
}

static void test_fixture(void **state)
{
    const fixture *f = *state;
    pith_err e = {{0}};
    char path[2048];
    snprintf(path, sizeof path, "%s/%s.json", f->folder, f->name);
    json_doc *d = json_load(path, &e);
    if (!d) fail_msg("%s", e.msg);
    for (int how = 0; how < 3; how++) check_one(f, json_root(d), how);
    json_free(d);
}

static int is_json(const struct dirent *x)
{
    const char *dot = strrchr(x->d_name, '.');
    return dot && !strcmp(dot, ".json");
}

int main(int argc, char **argv)
{
    struct CMUnitTest *tests = NULL;
    size_t n = 0;
    for (int a = argc > 1 ? 1 : 0; a < (argc > 1 ? argc : 1); a++) {
        const char *folder = a ? argv[a] : "tests/golden/torch";
        struct dirent **list;
        int m = scandir(folder, &list, is_json, alphasort);
        for (int i = 0; i < m; i++) {
            fixture *f = calloc(1, sizeof *f);
            tests = realloc(tests, (n + 1) * sizeof *tests);
            if (!f || !tests) return 1;
            snprintf(f->name, sizeof f->name, "%.*s", (int)(strlen(list[i]->d_name) - 5), list[i]->d_name);
            snprintf(f->folder, sizeof f->folder, "%s", folder);
            tests[n++] = (struct CMUnitTest){f->name, test_fixture, NULL, NULL, f};
            free(list[i]);
        }
        if (m >= 0) free(list);
    }
    int rc = n ? _cmocka_run_group_tests("torch", tests, n, NULL, NULL) : 1;
    for (size_t i = 0; i < n; i++) free(tests[i].initial_state);
    free(tests);
    return rc;
}
