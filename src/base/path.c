#include "base/path.h"
#include "base/mem.h"
#include <string.h>
#include <sys/stat.h>

char *path_join(const char *dir, const char *name, pith_err *e)
{
    size_t n = strlen(dir), k = strlen(name) + 1;
    char *p = mem_alloc(n + 1 + k);
    if (!p) return err_nomem(e, n + 1 + k, "a path"), NULL;
    memcpy(p, dir, n);
    if (n && dir[n - 1] != '/') p[n++] = '/';
    memcpy(p + n, name, k);
    return p;
}

int path_there(const char *dir, const char *name, pith_err *e)
{
    struct stat st;
    char *path = path_join(dir, name, e);
    int there = path ? stat(path, &st) == 0 : -1;
    mem_free(path);
    return there;
}
