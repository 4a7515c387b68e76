/* Fuzzing of the pickle reader alone: any bytes at all. What it makes of them must be sound: strings inside the pickle,
 * tensors inside their storages, and no more values than there were bytes to make them of. */
#include "formats/pickle.h"
#include "fuzz.h"

static const uint8_t *text;
static size_t text_len;
static volatile unsigned sink;

static void inside(const char *s, size_t n)
{
    demand(n == 0 || ((const uint8_t *)s >= text && (size_t)((const uint8_t *)s - text) <= text_len &&
                      n <= text_len - (size_t)((const uint8_t *)s - text)), "a string lies in the pickle");
}

static void check_storage(const pickle_storage *s)
{
    demand(s->key.kind == PICKLE_STR, "the key of a storage is a string");
    inside(s->key.u.s, s->key.len);
    demand(s->type >= -1 && s->type < DT_COUNT, "a storage has a type");
    unsigned size = s->type < 0 ? 1 : tensor_dtypes[s->type].bits / 8;
    demand(s->numel <= UINT64_MAX / size && s->nbytes == s->numel * size, "a storage's bytes are those of its elements");
}

static void check_tensor(const pickle_tensor *t)
{
    uint64_t size = tensor_dtypes[t->type].bits / 8, count = 1, last = t->offset;
    check_storage(t->storage);
    demand(t->rank <= PICKLE_RANK, "the rank has its bound");
    for (size_t d = 0; d < t->rank; d++) {
        demand(!t->size[d] || count <= UINT64_MAX / t->size[d], "the number of elements fits");
        count *= t->size[d];
    }
    demand(count <= UINT64_MAX / size && t->nbytes == count * size, "a tensor's bytes are those of its elements");
    for (size_t d = 0; count && d < t->rank; d++) {
        uint64_t steps = t->size[d] - 1;
        demand(!steps || t->stride[d] <= (UINT64_MAX - last) / steps, "the last element can be told");
        last += steps * t->stride[d];
    }
    demand(!count || last < t->storage->nbytes / size, "the last element lies in the storage");
}

/* All that is reachable, to a bound: what is shared would be met again and again. */
static void walk(pickle_value root)
{
    static pickle_value stack[4096];
    size_t n = 0;
    stack[n++] = root;
    for (int steps = 0; n && steps < 20000; steps++) {
        pickle_value v = stack[--n];
        switch (v.kind) {
        case PICKLE_STR:
        case PICKLE_LONG: inside(v.u.s, v.len); break;
        case PICKLE_STORAGE: check_storage(v.u.storage); break;
        case PICKLE_TENSOR: check_tensor(v.u.tensor); break;
        case PICKLE_TUPLE:
        case PICKLE_LIST:
        case PICKLE_DICT:
            demand(v.u.items->n <= 2 * text_len, "no more items than bytes");
            demand(v.kind != PICKLE_DICT || v.u.items->n % 2 == 0, "a dict has a value for each key");
            for (size_t i = 0; i < v.u.items->n && n < sizeof stack / sizeof *stack; i++) stack[n++] = v.u.items->at[i];
            break;
        case PICKLE_NONE: case PICKLE_BOOL: case PICKLE_INT: case PICKLE_FLOAT: case PICKLE_GLOBAL: case PICKLE_SET:
        case PICKLE_OTHER: sink += (unsigned)v.len; break;
        case PICKLE_MARK: demand(0, "no mark is left in a value"); break;
        }
    }
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static const size_t items[] = {0, 5, 6, 5};
    pith_err e = {{0}};
    size_t used = SIZE_MAX;
    if (!n) return;
    /* A copy that ends where the pickle ends, for ASan. */
    uint8_t *copy = malloc(n);
    demand(copy != NULL, "memory");
    text = memcpy(copy, data, n);
    text++, text_len = n - 1;
    pickle *x = pickle_read(text, text_len, items[data[0] & 3], &used, &e);
    if (!x) {
        demand_message(&e);
    } else {
        demand(used && used <= text_len && text[used - 1] == '.', "a pickle ends with STOP");
        walk(pickle_root(x));
        for (size_t i = 0; i < pickle_storages(x); i++) {
            check_storage(pickle_storage_at(x, i));
            demand(pickle_storage_at(x, i)->i == i, "a storage knows its index");
        }
        pickle_free(x);
    }
    free(copy);
}
