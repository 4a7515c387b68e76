/* files: what the tests of the file formats share: a folder of their own that goes away with them, and files in it. */
#ifndef TESTS_FILES_H
#define TESTS_FILES_H
#define _GNU_SOURCE
#include "util.h"
#include "formats/safetensors.h"
#include <dirent.h>
#include <unistd.h>

static char files_dir[256];

static inline void files_remove(const char *dir)
{
    DIR *d = opendir(dir);
    char path[2048];
    for (struct dirent *x; d && (x = readdir(d));) {
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..")) continue;
        snprintf(path, sizeof path, "%.1500s/%s", dir, x->d_name);
        if (x->d_type == DT_DIR) files_remove(path);
        else unlink(path);
    }
    if (d) closedir(d);
    rmdir(dir);
}

static inline int files_setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(files_dir, sizeof files_dir, "%s/pith-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(files_dir) ? 0 : -1;
}

static inline int files_teardown(void **state)
{
    (void)state;
    files_remove(files_dir);
    return 0;
}

/* Path of `name` in the folder, in one of 8 rotating buffers. */
static inline const char *files_path(const char *name)
{
    static char buf[8][1024];
    static unsigned turn;
    char *p = buf[turn++ % 8];
    snprintf(p, 1024, "%s/%s", files_dir, name);
    return p;
}

static inline const char *files_write(const char *name, const void *data, size_t n)
{
    const char *path = files_path(name);
    unlink(path); /* writing over a file makes some file systems wait for the disk */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f)) fail_msg("cannot write %s", path);
    return path;
}

static inline const char *files_mkdir(const char *name)
{
    const char *path = files_path(name);
    if (mkdir(path, 0777)) fail_msg("cannot make %s", path);
    return path;
}

/* A model directory of the weights of `dir` and a config.json of its own. */
static inline const char *files_model(const char *name, const char *dir, const char *config)
{
    char from[4096], to[2048], made[1024];
    snprintf(made, sizeof made, "%s", files_mkdir(name));
    DIR *d = opendir(dir);
    if (!d) fail_msg("cannot open %s", dir);
    for (struct dirent *x; (x = readdir(d));) {
        if (!strstr(x->d_name, ".safetensors")) continue;
        snprintf(from, sizeof from, "%s/%s", dir, x->d_name);
        snprintf(to, sizeof to, "%s/%s", made, x->d_name);
        char *full = realpath(from, NULL);
        if (!full || symlink(full, to)) fail_msg("cannot link %s", to);
        free(full);
    }
    closedir(d);
    char file[256];
    snprintf(file, sizeof file, "%s/config.json", name);
    files_write(file, config, strlen(config));
    return files_path(name);
}

/* A safetensors file of a header text (len bytes; or a string, where len is 0) and data. */
static inline const char *files_st(const char *name, const char *text, size_t len, const void *data, size_t n)
{
    uint64_t h = len ? len : strlen(text);
    char *all = malloc(8 + h + n);
    for (int i = 0; i < 8; i++) all[i] = (char)(h >> 8 * i);
    memcpy(all + 8, text, h);
    if (n) memcpy(all + 8 + h, data, n);
    const char *path = files_write(name, all, 8 + h + n);
    free(all);
    return path;
}

/* Opening path must fail, in one clean line that holds each of the words (separated by '|'). */
static inline void files_refused(const char *path, const char *words)
{
    pith_err e = {{0}};
    safetensors *s = safetensors_open(path, NULL, &e);
    if (s) fail_msg("%s was accepted; expected a refusal with '%s'", path, words);
    for (const char *p = e.msg; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) fail_msg("control character in the message '%s'", e.msg);
    char buf[2048];
    snprintf(buf, sizeof buf, "%s", words);
    for (char *w = strtok(buf, "|"); w; w = strtok(NULL, "|"))
        if (!strstr(e.msg, w)) fail_msg("message '%s' lacks '%s'", e.msg, w);
}

static inline safetensors *files_open(const char *path, const safetensors_options *o)
{
    pith_err e = {{0}};
    safetensors *s = safetensors_open(path, o, &e);
    if (!s) fail_msg("%s was refused: %s", path, e.msg);
    return s;
}
#endif
