/* verify: what tests of pith_verify share: its findings as text, and model directories that may be changed. */
#ifndef TESTS_VERIFY_H
#define TESTS_VERIFY_H
#include "files.h"

/* "files ! model.safetensors: what is wrong", one a line, in the order they were told; "-" instead of "!": a remark. */
typedef struct found {
    char text[1 << 18];
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

/* One .safetensors file taken apart: change, drop or add tensors, then write it again. */
typedef struct part {
    char name[256], dtype[16], shape[64]; /* "2,3" */
    char *data;
    size_t n;
} part;
typedef struct parts {
    part *p;
    size_t n;
} parts;

static inline parts verify_split(const char *path)
{
    safetensors *s = files_open(path, &(safetensors_options){.no_mmap = 1});
    parts x = {calloc(safetensors_count(s) + 8, sizeof(part)), safetensors_count(s)};
    for (size_t i = 0; i < x.n; i++) {
        const safetensors_entry *t = safetensors_at(s, i);
        part *p = &x.p[i];
        snprintf(p->name, sizeof p->name, "%s", t->name);
        snprintf(p->dtype, sizeof p->dtype, "%s", tensor_dtypes[t->t.type].name);
        for (size_t k = 0, at = 0; k < t->t.rank; k++)
            at += (size_t)snprintf(p->shape + at, sizeof p->shape - at, "%s%llu", k ? "," : "", (unsigned long long)t->t.shape[k]);
        p->n = (size_t)t->t.nbytes;
        p->data = malloc(p->n + 1);
        memcpy(p->data, t->t.data, p->n);
    }
    safetensors_close(s);
    return x;
}

static inline part *verify_part(parts *x, const char *name)
{
    for (size_t i = 0; i < x->n; i++)
        if (!strcmp(x->p[i].name, name)) return &x->p[i];
    fail_msg("no tensor %s", name);
    return x->p;
}

static inline void verify_drop(parts *x, const char *name)
{
    part *p = verify_part(x, name);
    free(p->data);
    *p = x->p[--x->n];
}

/* At most 8 of them. */
static inline part *verify_add(parts *x, const char *name, const char *type, const char *shape, const void *data, size_t n)
{
    part *p = &x->p[x->n++];
    snprintf(p->name, sizeof p->name, "%s", name);
    snprintf(p->dtype, sizeof p->dtype, "%s", type);
    snprintf(p->shape, sizeof p->shape, "%s", shape);
    p->data = malloc(n + 1);
    p->n = n;
    memcpy(p->data, data, n);
    return p;
}

/* In the order they stand; file: below the tests' folder. Frees the parts. */
static inline void verify_join(parts *x, const char *file)
{
    size_t cap = 512 * (x->n + 1), at = 1, bytes = 0;
    for (size_t i = 0; i < x->n; i++) bytes += x->p[i].n;
    char *text = malloc(cap), *data = malloc(bytes + 1);
    strcpy(text, "{");
    bytes = 0;
    for (size_t i = 0; i < x->n; i++) {
        const part *p = &x->p[i];
        memcpy(data + bytes, p->data, p->n);
        at += (size_t)snprintf(text + at, cap - at, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}", i ? "," : "", p->name, p->dtype,
                               p->shape, bytes, bytes + p->n);
        bytes += p->n;
        free(p->data);
    }
    strcpy(text + at, "}");
    files_st(file, text, 0, data, bytes);
    free(text);
    free(data);
    free(x->p);
    *x = (parts){0};
}

/* A file of such a directory. */
static inline const char *verify_write(const char *dir, const char *file, const void *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%.200s/%.200s", strrchr(dir, '/') + 1, file);
    return files_write(path, data, n);
}
static inline const char *verify_put(const char *dir, const char *file, const char *text) { return verify_write(dir, file, text, strlen(text)); }
#endif
