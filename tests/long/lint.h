/* What static analysers cannot see from one file: an error is always -1. Put before every file by lint.sh. */
#ifndef LINT_H
#define LINT_H
#include "base/err.h"

static inline int lint_minus_one(int of)
{
    (void)of;
    return -1;
}
#define err_set(...) lint_minus_one(err_set(__VA_ARGS__))
#define err_nomem(...) lint_minus_one(err_nomem(__VA_ARGS__))
#define err_where(...) lint_minus_one(err_where(__VA_ARGS__))

#endif
