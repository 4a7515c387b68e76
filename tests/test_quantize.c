/* pith_quantize is stopped at each point where it asks: nothing stays, and what was there before does. */
#define _GNU_SOURCE
#include "util.h"
#include "pith.h"
#include <dirent.h>
#include <unistd.h>

static char folder[64], path[128];

static size_t entries(void)
{
    DIR *d = opendir(folder);
    size_t n = 0;
    assert_non_null(d);
    for (struct dirent *x; (x = readdir(d));) n += x->d_name[0] != '.' || x->d_name[1] == 'm';
    closedir(d);
    return n;
}

/* ctx: how often it says no first */
static int stop(void *ctx)
{
    int *left = ctx;
    return (*left)-- == 0;
}

static void test_stop(void **state)
{
    (void)state;
    static const char *const types[] = {"keep", "q8", "q4"};
    for (size_t t = 0; t < 3; t++) {
        int n = 0, rc = 1;
        for (; rc == 1; n++) {
            pith_err e = {{0}};
            int left = n;
            rc = pith_quantize("tests/golden/models/llama-odd", types[t], path, &(pith_quantize_options){.stop = stop, .ctx = &left}, &e);
            assert_string_equal(e.msg, "");
            assert_int_equal(entries(), rc == 1 ? 0 : 1);
        }
        assert_int_equal(rc, 0);
        assert_true(n > 20); /* matrices, and tensors written */
        size_t len, now;
        char *whole = util_read(path, &len);
        int left = n / 2;
        assert_int_equal(pith_quantize("tests/golden/models/llama-odd", types[t], path, &(pith_quantize_options){.replace = 1, .stop = stop, .ctx = &left}, NULL), 1);
        char *after = util_read(path, &now);
        assert_int_equal(now, len);
        assert_memory_equal(after, whole, len);
        free(whole);
        free(after);
        assert_int_equal(entries(), 1);
        unlink(path);
    }
}

int main(void)
{
    strcpy(folder, "/tmp/pith-quantize-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stop)};
    int bad = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return bad;
}
