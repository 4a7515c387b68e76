/* verify_values: what the pass counted, as findings. NaN and infinities fail: nothing can be computed with them. The rest
 * is worth knowing: a matrix of zeros, or with whole blocks of them (a file with holes), a tensor of one value, many
 * denormals (precision lost in a cast). Vectors of zeros or ones are no news: biases and norms begin so. */
#include "base/checked.h"
#include "verify.h"
#include <stdio.h>

/* "[3,17]", where element i lies. */
static const char *place(char buf[256], const pith_tensor *t, uint64_t i)
{
    uint64_t at[8];
    size_t n = 0;
    if (t->rank > 8) return snprintf(buf, 256, "element %llu", (unsigned long long)i), buf;
    for (size_t k = t->rank; k-- > 0; i /= t->shape[k]) at[k] = i % t->shape[k];
    n += (size_t)snprintf(buf, 256, "[");
    for (size_t k = 0; k < t->rank; k++) n += (size_t)snprintf(buf + n, 256 - n, "%s%llu", k ? "," : "", (unsigned long long)at[k]);
    snprintf(buf + n, 256 - n, "]");
    return buf;
}

static int is_matrix(const pith_tensor *t)
{
    int wide = 0;
    for (size_t i = 0; i < t->rank; i++) wide += t->shape[i] > 1;
    return wide > 1;
}

static double share(uint64_t n, uint64_t of) { return 100 * (double)n / (double)of; }

/* The value of a tensor that has only one; 0 if it cannot be read. */
static double only_value(const verify_tensor *x)
{
    char kept[16] = {0};
    if (x->t.data) return values_at(x->type, x->t.data);
    return pith_weights_read(x->w, x->index, 0, 1, kept, NULL) ? 0 : values_at(x->type, kept);
}

static void tell_tensor(verify *v, const verify_tensor *x)
{
    char a[32], b[32], whole[32], at[256];
    const values_count *c = &x->values;
    uint64_t n = x->t.nbytes / (tensor_dtypes[x->type].bits / 8), parts = x->type == DT_C64 ? 2 * n : n;
    const char *all = verify_number(b, parts);
    if (c->n_nan)
        verify_tell(v, PITH_CHECK_VALUES, 1, x->t.name, "%s of %s values %s NaN, the first at %s", verify_number(a, c->n_nan), all,
                    c->n_nan == 1 ? "is" : "are", place(at, &x->t, x->nan));
    if (c->n_inf)
        verify_tell(v, PITH_CHECK_VALUES, 1, x->t.name, "%s of %s values %s infinite, the first at %s", verify_number(a, c->n_inf), all,
                    c->n_inf == 1 ? "is" : "are", place(at, &x->t, x->inf));
    if (n > 1 && !c->n_nan && !c->n_inf && (!c->varies || c->n_zero == parts)) {
        double one = c->n_zero ? 0 : only_value(x);
        if (is_matrix(&x->t) || (one != 0 && one != 1)) verify_tell(v, PITH_CHECK_VALUES, 0, x->t.name, "all %s values are %g", all, one);
    } else if (x->zero_blocks && is_matrix(&x->t)) {
        verify_tell(v, PITH_CHECK_VALUES, 0, x->t.name, "%s of %s blocks of 64 KiB hold only zeros, the first begins at byte %s: is the file whole?",
                    verify_number(a, x->zero_blocks), verify_number(whole, checked_pieces(x->t.nbytes, VERIFY_BLOCK)),
                    verify_number(at, x->first_zero * VERIFY_BLOCK));
    }
    /* F16 has them where other formats do not: a tenth is a lot there. In a byte they are a part of the format. */
    double limit = x->type == DT_F16 ? 10 : 1;
    if (is_matrix(&x->t) && tensor_dtypes[x->type].bits >= 16 && share(c->n_denormal, parts) > limit)
        verify_tell(v, PITH_CHECK_VALUES, 0, x->t.name, "%.1f%% of %s values are denormal in %s: they have lost precision", share(c->n_denormal, parts), all, x->t.dtype);
}

int verify_values(verify *v, pith_err *e)
{
    if (!v->w && !v->n_tensors) return 0;
    v->out->done |= 1u << PITH_CHECK_VALUES;
    for (size_t i = 0; i < v->n_tensors; i++)
        if (values_is_float(v->tensors[i].type) && v->tensors[i].t.nbytes) tell_tensor(v, &v->tensors[i]);
    return verify_packed(v, e);
}
