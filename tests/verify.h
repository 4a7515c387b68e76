/* verify: what tests of pith_verify share: its findings as text, and model directories that may be changed. */
#ifndef TESTS_VERIFY_H
#define TESTS_VERIFY_H
#include "files.h"

/* "files ! model.safetensors: what is wrong", one a line, in the order they were told; "-" instead of "!": a remark. */
typedef struct found {
    char text[1 << 16];
    size_t n;
    pith_verdict v;
} found;

static inline void verify_note(void *ctx, const pith_finding *f)
{
    static const char *const names[] = {"files", "tensors", "tokenizer", "values", "checksums"};
    found *x = ctx;
    x->n += (size_t)snprintf(x->text + x->n, sizeof x->text - x->n, "%s %c %s: %s\n", names[f->check], f->failed ? '!' : '-', f->subject, f->message);
    if (x->n >= sizeof x->text) fail_msg("too many findings");
}

/* All checks but those of `skip`. o: NULL or the rest of the options. */
static inline found *verify_run(const char *path, unsigned skip, const pith_verify_options *o)
{
    static found x;
    pith_verify_options all = o ? *o : (pith_verify_options){0};
    pith_err e = {{0}};
    x = (found){0};
    all.skip = skip, all.on_finding = verify_note, all.ctx = &x;
    if (pith_verify(path, &all, &x.v, &e)) fail_msg("%s: %s", path, e.msg);
    return &x;
}

/* Exactly these findings. */
static inline void verify_finds(const char *path, unsigned skip, const char *want)
{
    const found *x = verify_run(path, skip, NULL);
    if (strcmp(x->text, want)) fail_msg("%s:\nfound\n%sexpected\n%s", path, x->text, want);
}

/* A copy of a directory's files; its path, good until 64 more are made. */
static inline const char *verify_copy(const char *name, const char *from)
{
    char path[4096], to[1024];
    snprintf(to, sizeof to, "%s", files_mkdir(name));
    DIR *d = opendir(from);
    if (!d) fail_msg("cannot open %s", from);
    for (struct dirent *x; (x = readdir(d));) {
        size_t n;
        if (x->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", from, x->d_name);
        char *text = util_read(path, &n);
        char file[512];
        snprintf(file, sizeof file, "%.200s/%.200s", name, x->d_name);
        files_write(file, text, n);
        free(text);
    }
    closedir(d);
    static char made[64][512];
    static unsigned n;
    snprintf(made[n % 64], sizeof *made, "%.500s", to);
    return made[n++ % 64];
}

static inline const char *verify_put(const char *dir, const char *file, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%.200s/%.200s", strrchr(dir, '/') + 1, file);
    return files_write(path, text, strlen(text));
}
#endif
