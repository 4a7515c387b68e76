#define _GNU_SOURCE
#include "server/filter.h"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { X32 = 0x40000000 }; /* another numbering of the same machine */

/* Calls first .. last have one answer; or, if rules is not NULL, call `first` is answered by n rules with conditions. */
typedef struct range {
    int first, last;
    filter_answer answer;
    const filter_rule *rules;
    size_t n;
} range;

typedef struct program {
    struct sock_filter *code;
    size_t n;
} program;

void filter_add(filter *f, filter_rule r)
{
    if (r.call < 0 || f->no_memory) return;
    filter_rule *more = f->n & (f->n - 1) ? f->rules : realloc(f->rules, (f->n ? 2 * f->n : 1) * sizeof *more);
    if (!more) {
        f->no_memory = 1;
        return;
    }
    f->rules = more;
    f->rules[f->n++] = r;
}

void filter_free(filter *f)
{
    free(f->rules);
    *f = (filter){0};
}

static int by_call(const void *a, const void *b)
{
    const filter_rule *x = a, *y = b;
    return (x->call > y->call) - (x->call < y->call);
}

/* Rules sorted by call to ranges; how many. */
static size_t ranges_of(const filter_rule *rules, size_t n_rules, range *out)
{
    size_t n = 0;
    for (size_t i = 0; i < n_rules; i++) {
        const filter_rule *r = rules + i;
        range *last = n ? out + n - 1 : NULL;
        if (r->arg >= 0 && last && last->rules && last->first == r->call) last->n++;
        else if (r->arg < 0 && last && !last->rules && last->answer == r->answer && last->last + 1 >= r->call) last->last = r->call;
        else out[n++] = (range){.first = r->call, .last = r->call, .answer = r->answer, .rules = r->arg >= 0 ? r : NULL, .n = 1};
    }
    return n;
}

/* ---- assembly: A holds the number of the call until a condition is looked at ---- */

static void put(program *p, unsigned code, uint32_t k, unsigned if_true, unsigned if_false)
{
    p->code[p->n++] = (struct sock_filter){(__u16)code, (__u8)if_true, (__u8)if_false, k};
}
static void answer(program *p, filter_answer a)
{
    const uint32_t what[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | ENOSYS, SECCOMP_RET_KILL_PROCESS};
    put(p, BPF_RET | BPF_K, what[a], 0, 0);
}
static void deny(program *p) { put(p, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM, 0, 0); }

static uint32_t half_of(uint64_t x, int high) { return (uint32_t)(high ? x >> 32 : x); }

/* Looks at half of an argument, if it matters; returns where it jumps if it is not as wanted, 0: nowhere. */
static size_t half(program *p, const filter_rule *r, int high)
{
    size_t at = offsetof(struct seccomp_data, args) + 8 * (size_t)r->arg;
    if (!half_of(r->mask, high)) return 0;
    if (high != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)) at += 4;
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
    if (half_of(r->mask, high) != UINT32_MAX) put(p, BPF_ALU | BPF_AND | BPF_K, half_of(r->mask, high), 0, 0);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, half_of(r->value, high), 0, 0);
    return p->n - 1;
}

static void rule(program *p, const filter_rule *r)
{
    size_t miss[2] = {half(p, r, 0), half(p, r, 1)};
    answer(p, r->answer);
    for (int i = 0; i < 2; i++)
        if (miss[i]) p->code[miss[i]].jf = (__u8)(p->n - miss[i] - 1);
}

/* Their lengths, at most; of a leaf without its rules. And how many of those a jump gets over. */
enum { HALF = 3, RULE = 2 * HALF + 1, LEAF = 4, MOST_RULES = UINT8_MAX / RULE };

static void leaf(program *p, const range *r)
{
    put(p, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)r->first, 1, 0);
    deny(p);
    size_t beyond = p->n;
    put(p, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)r->last, 0, 0);
    for (size_t i = 0; r->rules && i < r->n; i++) rule(p, r->rules + i);
    if (!r->rules) answer(p, r->answer);
    p->code[beyond].jt = (__u8)(p->n - beyond - 1);
    deny(p);
}

/* Half of the ranges at each step. */
static void tree(program *p, const range *r, size_t n)
{
    if (n == 1) {
        leaf(p, r);
        return;
    }
    put(p, BPF_JMP | BPF_JGE | BPF_K, (uint32_t)r[n / 2].first, 0, 1);
    size_t jump = p->n;
    put(p, BPF_JMP | BPF_JA, 0, 0, 0);
    tree(p, r, n / 2);
    p->code[jump].k = (uint32_t)(p->n - jump - 1);
    tree(p, r + n / 2, n - n / 2);
}

static void assemble(program *p, uint32_t arch, const range *r, size_t n)
{
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, arch), 0, 0);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, arch, 1, 0);
    answer(p, FILTER_KILL);
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr), 0, 0);
    put(p, BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1);
    deny(p);
    if (n) tree(p, r, n);
    else deny(p);
}

static int load(const program *p, pith_err *e)
{
    struct sock_fprog all = {.len = (unsigned short)p->n, .filter = p->code};
    long rc = p->n > BPF_MAXINSNS ? (errno = E2BIG, -1) : prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!rc) rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &all);
    if (rc > 0) errno = EBUSY; /* a thread that has a filter of its own */
    return rc ? err_set(e, "the kernel refuses the seccomp filter: %s", strerror(errno)) : 0;
}

int filter_hold(const filter *f, uint32_t arch, pith_err *e)
{
    size_t bytes = (f->n + 1) * sizeof(filter_rule);
    filter_rule *rules = malloc(bytes);
    range *ranges = malloc((f->n + 1) * sizeof *ranges);
    /* A rule takes at most a range's two steps in the tree, a leaf and a condition. */
    program p = {.code = malloc((6 + (f->n + 1) * (2 + LEAF + RULE)) * sizeof *p.code)};
    int bad = f->no_memory || !rules || !ranges || !p.code ? err_nomem(e, bytes, "the sandbox") : 0;
    size_t n = 0;
    if (!bad) {
        if (f->n) memcpy(rules, f->rules, f->n * sizeof *rules);
        qsort(rules, f->n, sizeof *rules, by_call);
        n = ranges_of(rules, f->n, ranges);
    }
    for (size_t i = 0; i < n && !bad; i++)
        if (ranges[i].n > MOST_RULES) bad = err_set(e, "the sandbox has too many conditions for one system call");
    if (!bad) {
        assemble(&p, arch, ranges, n);
        bad = load(&p, e);
    }
    free(rules);
    free(ranges);
    free(p.code);
    return bad;
}
