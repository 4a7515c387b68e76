#define _POSIX_C_SOURCE 200809L
#include "cli/shard.h"
#include "base/err.h"
#include "base/outfile.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 1000000 };

/* A whole number, all of s; 0: none. */
static int whole(const char *s, size_t len, uint64_t *out)
{
    *out = 0;
    if (len == 0 || len > 9) return 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') return 0;
        *out = *out * 10 + (uint64_t)(s[i] - '0');
    }
    return 1;
}

static int variable(const char *name, uint64_t *out)
{
    const char *s = getenv(name);
    return s && whole(s, strlen(s), out);
}

/* Arrays begin and step as one likes: --array=0-9, --array=1-9:2. */
static void from_slurm(shard *s)
{
    uint64_t id, count, min, step;
    if (!variable("SLURM_ARRAY_TASK_ID", &id) || !variable("SLURM_ARRAY_TASK_COUNT", &count) || count < 2) return;
    if (!variable("SLURM_ARRAY_TASK_MIN", &min)) min = 1;
    if (!variable("SLURM_ARRAY_TASK_STEP", &step) || step == 0) step = 1;
    if (id < min || (id - min) % step || (id - min) / step >= count) return; /* a list as 1,5,7: no places are known */
    s->number = (id - min) / step + 1;
    s->of = count;
}

/* "labels-{shard}.csv" to "labels-07.csv". */
static char *named(const shard *s, const char *output)
{
    const char *at = strstr(output, "{shard}");
    int digits = 1;
    for (uint64_t n = s->of; n >= 10; n /= 10) digits++;
    size_t cap = strlen(output) + 32;
    char *name = malloc(cap);
    if (!name) return NULL;
    if (!at || !s->of) snprintf(name, cap, "%s", output);
    else snprintf(name, cap, "%.*s%0*llu%s", (int)(at - output), output, digits, (unsigned long long)s->number, at + strlen("{shard}"));
    return name;
}

int shard_choose(shard *s, const char *given, const char *from, const char *to)
{
    *s = (shard){0};
    int file = from && strcmp(from, "-") != 0;
    if (given) {
        const char *slash = strchr(given, '/');
        if (!slash || !whole(given, (size_t)(slash - given), &s->number) || !whole(slash + 1, strlen(slash + 1), &s->of) || s->of > MOST ||
            s->number < 1 || s->number > s->of)
            return cli_usage("--shard '%s': expected I/N, as 1/8 to 8/8", given);
        if (!file) return cli_usage("--shard takes a part of a file: --input FILE");
    } else if (file) {
        from_slurm(s);
        if (s->of && to && !strstr(to, "{shard}"))
            return cli_usage("this is task %llu of %llu of a Slurm array, and all would write %s; put {shard} into the name of --output, or "
                             "say --shard 1/1", (unsigned long long)s->number, (unsigned long long)s->of, to);
        if (s->of) cli_note("shard %llu of %llu, as a task of a Slurm array", (unsigned long long)s->number, (unsigned long long)s->of);
    }
    if (to && !(s->output = named(s, to))) return cli_error("out of memory"), CLI_FAILED;
    return 0;
}

void shard_drop(shard *s)
{
    free(s->output);
    s->output = NULL;
}

char *shard_part(const char *output, uint64_t i, uint64_t of)
{
    size_t cap = strlen(output) + 64;
    char *name = malloc(cap);
    if (name) snprintf(name, cap, "%s.part-%llu-of-%llu", output, (unsigned long long)i, (unsigned long long)of);
    return name;
}

/* The bytes of a file to the end of another. */
static int append(outfile *to, uint64_t *at, const char *path, pith_err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return err_set(e, "%.700s: cannot open: %s", path, strerror(errno));
    int bad = outfile_copy(to, fd, path, at, e);
    close(fd);
    return bad;
}

int shard_join(const char *output, uint64_t of, pith_err *e)
{
    outfile to = {0};
    uint64_t at = 0;
    int bad = outfile_open(&to, output, 1, e);
    for (uint64_t i = 1; i <= of && !bad; i++) {
        char *part = shard_part(output, i, of);
        bad = part ? append(&to, &at, part, e) : err_nomem(e, 0, output);
        free(part);
    }
    bad = bad || outfile_finish(&to, e);
    outfile_close(&to);
    for (uint64_t i = 1; i <= of && !bad; i++) {
        char *part = shard_part(output, i, of);
        if (part) unlink(part);
        free(part);
    }
    return bad ? -1 : 0;
}
