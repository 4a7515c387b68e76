/* tree: the modules that the dots in tensors' names stand for, with what each of them holds. */
#ifndef CLI_TREE_H
#define CLI_TREE_H
#include "pith.h"

/* Levels: usually shown, and at most. */
enum { TREE_DEPTH = 32, TREE_MOST = 1024 };

typedef struct tree_node {
    const char *name; /* [len] whole: "encoder.layer.0"; the part after the last dot begins at `part` */
    size_t len, part;
    size_t level;        /* 0: the root, whose name is empty */
    size_t begin, end;   /* its tensors are order[begin .. end) */
    size_t next;         /* the first node behind it and all below it */
    int tensor;          /* order[begin] has its very name */
    uint64_t parameters, bytes;
} tree_node;

/* Names stand in natural order: part by part, numbers by value ("layer.2" before "layer.10"). */
typedef struct tree {
    const pith_weights *w;
    pith_tensor *order; /* [n] */
    tree_node *nodes;   /* [n_nodes]; nodes[0] is the root, a parent comes before its children */
    size_t n, n_nodes, cap;
} tree;

/* Down to `depth` levels, 1 .. TREE_MOST; what lies deeper is counted above. For any t. */
int tree_build(tree *t, const pith_weights *w, size_t depth, pith_err *e);
void tree_free(tree *t);
/* Lines on stdout. Numbered modules in a row that hold the same names, shapes and dtypes are one line. */
void tree_put(const tree *t);
/* The modules as a JSON array; parents first. */
void tree_put_json(const tree *t);

#endif
