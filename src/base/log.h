/* log: what the library tells the program that asked to hear of it (pith_set_log). Nobody did: nothing is formatted. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/err.h"
#include <stdint.h>

void log_set(pith_log_fn *fn, void *ctx);
/* One line, of at most PITH_ERR_MAX bytes with its NUL. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void log_tell(pith_log_level level, const char *fmt, ...);

#endif
