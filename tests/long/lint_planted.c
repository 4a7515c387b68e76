/* What the analysers of lint.sh must find; part of no program. Their findings stand in lint.allow like any other's: a tool
 * that has gone mute, or whose check was turned off, leaves lines there that nothing matches any more, and lint.sh fails. */
#include "base/mem.h"
#include <string.h>

int planted_leak(const char *s);
int planted_null(const char *s);
int planted_use_after_free(const char *s);
int planted_uninitialized(int i);

int planted_leak(const char *s)
{
    char *p = mem_copy(s);
    if (!p) return -1;
    return p[0] == 'x';
}

int planted_null(const char *s)
{
    const char *p = NULL;
    if (strlen(s) > 3) p = s;
    return p[0];
}

int planted_use_after_free(const char *s)
{
    char *p = mem_copy(s);
    if (!p) return -1;
    mem_free(p);
    char c = *p;
    return c;
}

int planted_uninitialized(int i)
{
    int a[2];
    if (i > 0) a[0] = i;
    return a[0];
}
