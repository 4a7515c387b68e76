/* html: weight files as one page that needs nothing but itself (pith inspect --html). */
#ifndef CLI_HTML_H
#define CLI_HTML_H
#include "pith.h"

/* Reads every tensor and writes the page to `file` ("-": stdout), which appears only when it is complete. path: what w
 * was opened from; its last component becomes the page's title. */
int html_write(const pith_weights *w, const char *path, const char *file, pith_err *e);

#endif
