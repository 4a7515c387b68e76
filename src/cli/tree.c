#include "cli/tree.h"
#include "cli/cli.h"
#include "base/checked.h"
#include "base/err.h"
#include "base/json.h"
#include <stdlib.h>
#include <string.h>

/* ---- order ---- */

static size_t part_length(const char *s)
{
    const char *dot = strchr(s, '.');
    return dot ? (size_t)(dot - s) : strlen(s);
}

/* A number without its leading zeros: its first digit that counts, and how many there are; -1 for other parts. */
static int as_number(const char *s, size_t len, const char **digits, size_t *n)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] < '0' || s[i] > '9') return -1;
    while (len > 1 && *s == '0') s++, len--;
    *digits = s;
    *n = len;
    return len ? 0 : -1;
}

static int compare_parts(const char *a, size_t na, const char *b, size_t nb)
{
    const char *da, *db;
    size_t ka, kb, n = na < nb ? na : nb;
    int a_number = as_number(a, na, &da, &ka) == 0, b_number = as_number(b, nb, &db, &kb) == 0;
    if (a_number != b_number) return a_number ? -1 : 1;
    if (a_number) {
        int c = ka != kb ? (ka < kb ? -1 : 1) : memcmp(da, db, ka);
        if (c) return c;
    }
    int c = n ? memcmp(a, b, n) : 0;
    return c ? c : (na > nb) - (na < nb);
}

static int by_name(const void *x, const void *y)
{
    const char *a = ((const pith_tensor *)x)->name, *b = ((const pith_tensor *)y)->name;
    for (;;) {
        size_t na = part_length(a), nb = part_length(b);
        int c = compare_parts(a, na, b, nb);
        if (c) return c;
        if (!a[na] || !b[nb]) return (a[na] != 0) - (b[nb] != 0);
        a += na + 1, b += nb + 1;
    }
}

/* ---- building ---- */

static tree_node *add_node(tree *t, pith_err *e)
{
    if (t->n_nodes == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 256;
        tree_node *p = realloc(t->nodes, cap * sizeof *p);
        if (!p) return err_nomem(e, cap * sizeof *p, "modules"), NULL;
        t->nodes = p;
        t->cap = cap;
    }
    t->nodes[t->n_nodes] = (tree_node){0};
    return &t->nodes[t->n_nodes++];
}

/* Ends the open nodes path[level ..]: what follows lies beside them. */
static void close_nodes(tree *t, const size_t *path, size_t level, size_t *open, size_t end)
{
    for (; *open > level; --*open) {
        t->nodes[path[*open - 1]].end = end;
        t->nodes[path[*open - 1]].next = t->n_nodes;
    }
}

/* Opens nodes for tensor i, and counts it in all that hold it. */
static int add_tensor(tree *t, size_t i, size_t *path, size_t *open, size_t depth, pith_err *e)
{
    const pith_tensor *x = &t->order[i];
    uint64_t count = 0;
    if (checked_product(x->shape, x->rank, &count)) count = 0; /* the reader refused what overflows */
    size_t at = 0;
    for (size_t level = 0;; level++) {
        size_t len = level ? at + part_length(x->name + at) : 0;
        const tree_node *n = level < *open ? &t->nodes[path[level]] : NULL;
        if (!n || n->len != len || memcmp(n->name, x->name, len) != 0) {
            close_nodes(t, path, level, open, i);
            tree_node *new = add_node(t, e);
            if (!new) return -1;
            *new = (tree_node){.name = x->name, .len = len, .part = at, .level = level, .begin = i};
            path[(*open)++] = t->n_nodes - 1;
        }
        tree_node *node = &t->nodes[path[level]];
        node->parameters += count;
        node->bytes += x->nbytes;
        if (level && x->name[len] == 0) {
            node->tensor = 1;
            close_nodes(t, path, level + 1, open, i);
            return 0;
        }
        if (level == depth) return 0;
        if (level) at = len + 1;
    }
}

int tree_build(tree *t, const pith_weights *w, size_t depth, pith_err *e)
{
    size_t n = pith_weights_count(w), open = 0;
    *t = (tree){.w = w, .order = calloc(n + 1, sizeof *t->order), .n = n};
    size_t *path = calloc(depth + 1, sizeof *path);
    int bad = 0;
    if (!t->order || !path) bad = err_nomem(e, (n + 1) * sizeof *t->order, "modules");
    for (size_t i = 0; i < n && !bad; i++) pith_weights_at(w, i, &t->order[i]);
    if (!bad) qsort(t->order, n, sizeof *t->order, by_name);
    for (size_t i = 0; i < n && !bad; i++) bad = add_tensor(t, i, path, &open, depth, e);
    close_nodes(t, path, 0, &open, n);
    free(path);
    return bad;
}

void tree_free(tree *t)
{
    free(t->order);
    free(t->nodes);
    *t = (tree){0};
}

/* ---- what repeats ---- */

/* Do both hold the same tensors, but for their own names? */
static int alike(const tree *t, const tree_node *a, const tree_node *b)
{
    if (a->end - a->begin != b->end - b->begin) return 0;
    for (size_t i = 0; i < a->end - a->begin; i++) {
        const pith_tensor *x = &t->order[a->begin + i], *y = &t->order[b->begin + i];
        if (strcmp(x->name + a->len, y->name + b->len) != 0 || strcmp(x->dtype, y->dtype) != 0 || x->rank != y->rank ||
            (x->rank && memcmp(x->shape, y->shape, x->rank * sizeof *x->shape) != 0))
            return 0;
    }
    return 1;
}

/* Its number; -1: it has none, or one that is too long. */
static int64_t number_of(const tree_node *n)
{
    size_t len = n->len - n->part;
    if (len == 0 || len > 18) return -1;
    int64_t v = 0;
    for (const char *p = n->name + n->part; len; p++, len--) {
        if (*p < '0' || *p > '9') return -1;
        v = v * 10 + (*p - '0');
    }
    return v;
}

/* The last of the nodes beside i that repeat it, numbered one after the other: i if none. */
static size_t last_alike(const tree *t, size_t i, uint64_t *times)
{
    const tree_node *first = &t->nodes[i];
    int64_t number = number_of(first);
    *times = 1;
    if (number < 0) return i;
    for (size_t k = first->next; k < t->n_nodes && t->nodes[k].level == first->level; k = t->nodes[k].next) {
        if (number_of(&t->nodes[k]) != ++number || !alike(t, first, &t->nodes[k])) break;
        i = k;
        ++*times;
    }
    return i;
}

/* ---- output ---- */

typedef struct label {
    const char *first, *last; /* last: NULL if it is one alone */
    size_t n_first, n_last, width;
    char times[48];
} label;

static label label_of(const tree *t, size_t i, size_t last, uint64_t times)
{
    const tree_node *n = &t->nodes[i], *z = &t->nodes[last];
    label l = {.first = n->name + n->part, .n_first = n->len - n->part};
    char count[32];
    if (n->level == 0) l.first = "total";
    else if (l.n_first == 0) l.first = "\"\"";
    if (l.n_first == 0) l.n_first = strlen(l.first);
    l.width = 2 * n->level + l.n_first;
    if (last == i) return l;
    l.last = z->name + z->part;
    l.n_last = z->len - z->part;
    l.width += 3 + l.n_last + (size_t)snprintf(l.times, sizeof l.times, " (%s x)", cli_count(times, count));
    return l;
}

/* A line for `all` modules like node i. */
static void put_node(const tree *t, size_t i, const label *l, uint64_t all, size_t column)
{
    const tree_node *n = &t->nodes[i];
    char a[32], b[32];
    printf("%*s", (int)(2 * n->level), "");
    cli_put_text(stdout, l->first, l->n_first, 0);
    if (l->last) {
        fputs(" - ", stdout);
        cli_put_text(stdout, l->last, l->n_last, 0);
        fputs(l->times, stdout);
    }
    double share = t->nodes[0].bytes ? 100 * (double)n->bytes * (double)all / (double)t->nodes[0].bytes : 0;
    printf("%*s  %15s  %9s  %5.1f%%", l->width < column ? (int)(column - l->width) : 0, "",
           cli_count(n->parameters * all, a), cli_bytes(n->bytes * all, b), share);
    if (n->tensor) {
        const pith_tensor *x = &t->order[n->begin];
        printf("  %s [", x->dtype);
        for (size_t k = 0; k < x->rank; k++) printf("%s%llu", k ? "," : "", (unsigned long long)x->shape[k]);
        putchar(']');
    }
    putchar('\n');
}

typedef struct frame {
    size_t end;   /* of the node that is open */
    size_t next;  /* where to go on: behind all that repeat it */
    uint64_t all; /* how often it is there */
} frame;

/* Line by line; with `width`, only for the width of the widest label. What a line says is the sum over all that it
 * stands for. */
static void walk(const tree *t, size_t *width, size_t column)
{
    frame open[TREE_MOST + 1];
    size_t n_open = 0;
    for (size_t i = 0; i < t->n_nodes;) {
        while (n_open && i >= open[n_open - 1].end) {
            i = open[n_open - 1].next;
            n_open--;
        }
        if (i >= t->n_nodes) break;
        uint64_t times;
        size_t last = last_alike(t, i, &times);
        uint64_t all = times * (n_open ? open[n_open - 1].all : 1);
        const label l = label_of(t, i, last, times);
        if (!width) put_node(t, i, &l, all, column);
        else if (l.width > *width) *width = l.width;
        open[n_open++] = (frame){t->nodes[i].next, t->nodes[last].next, all};
        i++;
    }
}

void tree_put(const tree *t)
{
    size_t column = 6;
    walk(t, &column, 0);
    if (column > 72) column = 72;
    printf("%-*s  %15s  %9s  %6s\n", (int)column, "module", "parameters", "bytes", "share");
    walk(t, NULL, column);
}

void tree_put_json(const tree *t)
{
    int wrote = 0;
    putchar('[');
    for (size_t i = 1; i < t->n_nodes; i++) {
        const tree_node *n = &t->nodes[i];
        if (n->tensor && n->end - n->begin == 1) continue;
        fputs(wrote ? ",\n{\"name\":" : "\n{\"name\":", stdout);
        json_put_str(stdout, n->name, n->len);
        printf(",\"parameters\":%llu,\"bytes\":%llu,\"tensors\":%zu}", (unsigned long long)n->parameters,
               (unsigned long long)n->bytes, n->end - n->begin);
        wrote = 1;
    }
    putchar(']');
}
