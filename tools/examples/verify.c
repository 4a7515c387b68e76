/* Are these weights what they should be? Files, tensors, tokenizer and values of a model; then, if a manifest is named,
 * checksums. A manifest that is not there yet is written.
 *
 *     cc verify.c -o verify $(pkg-config --cflags --libs pith)
 *     ./verify path/to/model manifest.json
 *     ./verify path/to/model manifest.json
 */
#include <pith.h>
#include <stdio.h>

static void tell(void *ctx, const pith_finding *f)
{
    (void)ctx;
    printf("%s: %s%s%s\n", f->failed ? "FAILED" : "remark", f->subject, f->subject[0] ? ": " : "", f->message);
}

static int is_there(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f) fclose(f);
    return f != NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s MODEL [MANIFEST]\n", argv[0]);
        return 2;
    }
    pith_err e = {{0}};
    pith_verdict v;
    pith_verify_options o = {.on_finding = tell};
    if (argc == 3 && is_there(argv[2])) o.against = argv[2];
    else if (argc == 3) o.manifest = argv[2];
    if (pith_verify(argv[1], &o, &v, &e)) {
        fprintf(stderr, "%s\n", e.msg);
        return 1;
    }
    size_t failed = 0;
    for (int i = 0; i < PITH_CHECKS; i++) failed += v.failed[i];
    printf("%s: %zu files, %zu tensors, %llu bytes%s\n", failed ? "not what it should be" : "all right", v.files, v.tensors,
           (unsigned long long)v.bytes, o.manifest ? "; manifest written" : "");
    return failed > 0;
}
