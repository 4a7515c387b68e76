/* path: names of files in a directory. */
#ifndef BASE_PATH_H
#define BASE_PATH_H
#include "base/err.h"

/* "dir/name" (one slash between), allocated; NULL without memory. */
char *path_join(const char *dir, const char *name, pith_err *e);

#endif
