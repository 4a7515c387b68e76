/* path: names of files in a directory. */
#ifndef BASE_PATH_H
#define BASE_PATH_H
#include "base/err.h"

/* "dir/name" (one slash between), allocated; NULL without memory. */
char *path_join(const char *dir, const char *name, pith_err *e);
/* Whether dir holds such a file: 1, 0, or -1 without memory, which is not absence. */
int path_there(const char *dir, const char *name, pith_err *e);

#endif
