/* sniff: first bytes of the files that people hold in the hand when they meant a safetensors file. */
#define _GNU_SOURCE
#include "formats/sniff.h"
#include "formats/scan.h"
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define ONLY "pith runs only safetensors so far; "
#define SAVE ONLY "save the model as safetensors (transformers: save_pretrained writes it) or download that form"
#define CONVERT ONLY "run `pith convert DIR NEWDIR`"

static const struct { size_t at, n; const char *magic, *what, *next; } magics[] = {
    {0, 4, "PK\3\4", "a zip archive, probably a PyTorch checkpoint (.bin, .pt)", CONVERT},
    {0, 4, "PK\5\6", "an empty zip archive", "download it again"},
    {0, 2, "\x80\2", "a Python pickle, probably an old PyTorch checkpoint (.bin, .pt)", CONVERT},
    {0, 2, "\x80\3", "a Python pickle", SAVE},
    {0, 2, "\x80\4", "a Python pickle", SAVE},
    {0, 2, "\x80\5", "a Python pickle", SAVE},
    {0, 4, "GGUF", "a GGUF file (llama.cpp)", ONLY "download the original safetensors model"},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file (Keras, TensorFlow .h5)", SAVE},
    {0, 6, "\x93NUMPY", "a NumPy array (.npy)", ONLY "write it with safetensors.numpy.save_file"},
    {0, 2, "\x1f\x8b", "compressed with gzip", "unpack it first (gunzip)"},
    {0, 4, "\x28\xb5\x2f\xfd", "compressed with zstd", "unpack it first (unzstd)"},
    {0, 6, "\xfd" "7zXZ\0", "compressed with xz", "unpack it first (unxz)"},
    {0, 3, "BZh", "compressed with bzip2", "unpack it first (bunzip2)"},
    {257, 5, "ustar", "a tar archive", "unpack it first (tar -xf)"},
};

/* The number after "\nsize " of a git-lfs pointer, as text; its length in *n. */
static const char *lfs_size(const char *p, size_t len, int *n)
{
    const char *s = memmem(p, len, "\nsize ", 6);
    *n = 0;
    if (!s) return "";
    s += 6;
    while (s + *n < p + len && s[*n] >= '0' && s[*n] <= '9' && *n < 20) ++*n;
    return s;
}

/* Where text begins: behind a byte order mark and blanks. */
static size_t text_start(const char *p, size_t n)
{
    size_t i = n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (i < n && (p[i] == ' ' || p[i] == '\n' || p[i] == '\r' || p[i] == '\t')) i++;
    return i;
}

int sniff_stand_in(const unsigned char *bytes, size_t n, pith_err *e)
{
    static const char lfs[] = "version https://git-lfs";
    const char *p = (const char *)bytes;
    if (n >= sizeof lfs - 1 && !memcmp(p, lfs, sizeof lfs - 1)) {
        int k;
        const char *size = lfs_size(p, n, &k);
        return err_set(e, "this is a git-lfs pointer, not the file itself%s%.*s%s: run \"git lfs pull\" in its folder, or download the file", k ? " (" : "", k, size,
                       k ? " bytes)" : "");
    }
    size_t i = text_start(p, n);
    p += i;
    n -= i;
    if (n >= 5 && (!strncasecmp(p, "<html", 5) || !strncasecmp(p, "<?xml", 5) || (n >= 9 && !strncasecmp(p, "<!doctype", 9))))
        return err_set(e, "this is a web page (HTML or XML), not the file itself: the download failed or needs a login; download it again");
    return 0;
}

static int sniff_text(const char *p, size_t n, const char *wanted, pith_err *e)
{
    size_t i = text_start(p, n), line = 0;
    p += i;
    n -= i;
    if (n >= 2 && p[0] == '{' && (p[1] == '"' || p[1] == '\n' || p[1] == '\r' || p[1] == ' ' || p[1] == '}'))
        return err_set(e, "this is JSON text, not %s: name the *.safetensors file, its *.safetensors.index.json, or the model's directory", wanted);
    while (line < n && p[line] >= 0x20 && p[line] < 0x7f) line++;
    if (n < 8 || (line < n && p[line] != '\n' && p[line] != '\r') || line < 8) return 0;
    char show[SCAN_SHOW];
    return err_set(e, "this is text (\"%s\"), not %s: download it again", scan_show(show, p, line < 60 ? line : 60), wanted);
}

int sniff_bytes(const unsigned char *p, size_t n, const char *wanted, pith_err *e)
{
    if (sniff_stand_in(p, n, e)) return -1;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (n >= magics[i].at + magics[i].n && !memcmp(p + magics[i].at, magics[i].magic, magics[i].n))
            return err_set(e, "this is %s, not %s: %s", magics[i].what, wanted, magics[i].next);
    return sniff_text((const char *)p, n, wanted, e);
}

static int ends_with(const char *s, const char *tail)
{
    size_t n = strlen(s), k = strlen(tail);
    return n >= k && !strcasecmp(s + n - k, tail);
}

int sniff_dir(const char *dir, pith_err *e)
{
    /* The first kind that is there wins; the order is from nearest to farthest. */
    static const struct { const char *tail, *what, *next; } kinds[] = {
        {".safetensors.index.json", "an index of another name", "name that file itself"},
        {".safetensors", "a safetensors file of another name", "name that file itself, or call it model.safetensors"},
        {".safetensors.incomplete", "an unfinished download", "finish it"},
        {".incomplete", "an unfinished download", "finish it"},
        {".gguf", "a GGUF file (llama.cpp)", ONLY "download the original safetensors model"},
        {".bin", "probably a PyTorch checkpoint", CONVERT},
        {".bin.index.json", "a PyTorch checkpoint", CONVERT},
        {".pt", "a PyTorch checkpoint", CONVERT},
        {".pth", "a PyTorch checkpoint", CONVERT},
        {".ckpt", "a checkpoint of another kind", SAVE},
        {".h5", "a TensorFlow checkpoint", SAVE},
        {".msgpack", "a Flax checkpoint", SAVE},
        {".onnx", "an ONNX model", ONLY "download the original safetensors model"},
    };
    enum { N = sizeof kinds / sizeof *kinds };
    DIR *d = opendir(dir);
    if (!d) return err_set(e, "cannot list the directory: %s", strerror(errno));
    size_t best = N, files = 0;
    char name[256] = "";
    for (struct dirent *x; (x = readdir(d));) {
        if (!strcmp(x->d_name, ".") || !strcmp(x->d_name, "..")) continue;
        files++;
        for (size_t i = 0; i < N; i++) {
            if (!ends_with(x->d_name, kinds[i].tail)) continue;
            if (i < best || (i == best && strcmp(x->d_name, name) < 0)) {
                best = i;
                memcpy(name, x->d_name, strnlen(x->d_name, sizeof name - 1) + 1);
            }
            break;
        }
    }
    closedir(d);
    char show[SCAN_SHOW];
    if (best < N)
        return err_set(e, "no model.safetensors and no model.safetensors.index.json here, but %s (%s): %s", scan_show(show, name, strlen(name)), kinds[best].what, kinds[best].next);
    return err_set(e, "no model.safetensors and no model.safetensors.index.json here (%s): download the model's *.safetensors into it, or name another directory",
                   files ? "and no other weights" : "the directory is empty");
}
