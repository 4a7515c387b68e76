#define _POSIX_C_SOURCE 200809L
#include "cli/progress.h"
#include "base/clock.h"
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void progress_start(progress *p, const char *unit, int results_on_terminal)
{
    const char *term = getenv("TERM");
    *p = (progress){.unit = unit, .start = clock_now()};
    p->on = !cli_quiet() && !results_on_terminal && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
}

void progress_update(progress *p, uint64_t count, double share)
{
    if (!p->on) return;
    double now = clock_now(), spent = now - p->start;
    if (spent < 1 || now - p->last < 0.1) return;
    p->last = now;
    p->shown = 1;
    char n[32], rate[32];
    double per_second = (double)count / spent;
    int bytes = strcmp(p->unit, "bytes") == 0;
    if (bytes) cli_bytes((uint64_t)per_second, rate);
    else if (per_second >= 100) cli_count((uint64_t)per_second, rate);
    else snprintf(rate, sizeof rate, "%.1f", per_second);
    fprintf(stderr, "\r%s%s", p->what ? p->what : "", p->what ? ": " : "");
    if (bytes) fprintf(stderr, "%s, %s/s", cli_bytes(count, n), rate);
    else fprintf(stderr, "%s %s, %s %s/s", cli_count(count, n), p->unit, rate, p->unit);
    if (share > p->base && share <= 1) {
        unsigned long long left = (unsigned long long)(spent * (1 - share) / (share - p->base) + 0.5);
        if (left >= 3600) fprintf(stderr, ", %.0f%%, %llu:%02llu:%02llu left", 100 * share, left / 3600, left / 60 % 60, left % 60);
        else fprintf(stderr, ", %.0f%%, %llu:%02llu left", 100 * share, left / 60, left % 60);
    }
    fputs("\033[K", stderr);
    fflush(stderr);
}

void progress_clear(progress *p)
{
    if (!p->shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->shown = 0;
}
