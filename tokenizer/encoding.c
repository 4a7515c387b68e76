#include "tokenizer/encoding.h"
#include "base/mem.h"

static int grow_one(void **p, size_t cap, size_t size, pith_err *e)
{
    void *q = cap > SIZE_MAX / size ? NULL : mem_resize(*p, cap * size);
    if (!q) return err_nomem(e, cap > SIZE_MAX / size ? SIZE_MAX : cap * size, "tokens");
    *p = q;
    return 0;
}

int encoding_grow(tokenizer_encoding *x, size_t more, pith_err *e)
{
    if (more > SIZE_MAX / 16 - x->n) return err_nomem(e, SIZE_MAX, "tokens");
    size_t cap = x->n + more;
    if (cap < x->cap + x->cap / 2) cap = x->cap + x->cap / 2;
    if (cap < 64) cap = 64;
    /* One by one: after a failure the arrays that did grow are merely larger than x->cap says. */
    if (grow_one((void **)&x->ids, cap, sizeof *x->ids, e) || grow_one((void **)&x->type_ids, cap, 1, e) ||
        grow_one((void **)&x->special, cap, 1, e) || grow_one((void **)&x->second, cap, 1, e) ||
        grow_one((void **)&x->begin, cap, sizeof *x->begin, e) || grow_one((void **)&x->end, cap, sizeof *x->end, e))
        return -1;
    x->cap = cap;
    return 0;
}
