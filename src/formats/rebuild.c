/* rebuild: the allow-list, and the few calls on it. Arguments that say nothing about the weights (gradients, hooks,
 * attributes) may be anything. */
#include "formats/rebuild.h"
#include "base/checked.h"
#include "formats/scan.h"
#include <string.h>

enum { BYTES = -1, NO_TYPE = -2 };

/* Every name there is. What is not here is refused, whatever it is. */
static const rebuild_name names[] = {
    {"collections", "OrderedDict", REBUILD_ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR_V2, 0},
    {"torch._utils", "_rebuild_tensor_v3", REBUILD_TENSOR_V3, 0},
    {"torch._utils", "_rebuild_tensor", REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER, 0},
    {"torch._utils", "_rebuild_parameter_with_state", REBUILD_PARAMETER_STATE, 0},
    {"torch._tensor", "_rebuild_from_type_v2", REBUILD_FROM_TYPE, 0},
    {"torch.nn.parameter", "Parameter", REBUILD_NEW_PARAMETER, 0},
    {"torch", "Tensor", REBUILD_TENSOR_TYPE, 0},
    {"torch", "Size", REBUILD_SIZE, 0},
    {"torch", "device", REBUILD_DEVICE, 0},
    {"torch", "FloatStorage", REBUILD_STORAGE, DT_F32},
    {"torch", "DoubleStorage", REBUILD_STORAGE, DT_F64},
    {"torch", "HalfStorage", REBUILD_STORAGE, DT_F16},
    {"torch", "BFloat16Storage", REBUILD_STORAGE, DT_BF16},
    {"torch", "LongStorage", REBUILD_STORAGE, DT_I64},
    {"torch", "IntStorage", REBUILD_STORAGE, DT_I32},
    {"torch", "ShortStorage", REBUILD_STORAGE, DT_I16},
    {"torch", "CharStorage", REBUILD_STORAGE, DT_I8},
    {"torch", "ByteStorage", REBUILD_STORAGE, DT_U8},
    {"torch", "BoolStorage", REBUILD_STORAGE, DT_BOOL},
    {"torch", "ComplexFloatStorage", REBUILD_STORAGE, DT_C64},
    {"torch.storage", "UntypedStorage", REBUILD_STORAGE, BYTES},
    {"torch.storage", "TypedStorage", REBUILD_STORAGE, NO_TYPE},
    {"torch", "float32", REBUILD_DTYPE, DT_F32},
    {"torch", "float", REBUILD_DTYPE, DT_F32},
    {"torch", "float64", REBUILD_DTYPE, DT_F64},
    {"torch", "double", REBUILD_DTYPE, DT_F64},
    {"torch", "float16", REBUILD_DTYPE, DT_F16},
    {"torch", "half", REBUILD_DTYPE, DT_F16},
    {"torch", "bfloat16", REBUILD_DTYPE, DT_BF16},
    {"torch", "float8_e4m3fn", REBUILD_DTYPE, DT_F8_E4M3},
    {"torch", "float8_e5m2", REBUILD_DTYPE, DT_F8_E5M2},
    {"torch", "float8_e4m3fnuz", REBUILD_DTYPE, DT_F8_E4M3FNUZ},
    {"torch", "float8_e5m2fnuz", REBUILD_DTYPE, DT_F8_E5M2FNUZ},
    {"torch", "float8_e8m0fnu", REBUILD_DTYPE, DT_F8_E8M0},
    {"torch", "int64", REBUILD_DTYPE, DT_I64},
    {"torch", "long", REBUILD_DTYPE, DT_I64},
    {"torch", "int32", REBUILD_DTYPE, DT_I32},
    {"torch", "int", REBUILD_DTYPE, DT_I32},
    {"torch", "int16", REBUILD_DTYPE, DT_I16},
    {"torch", "short", REBUILD_DTYPE, DT_I16},
    {"torch", "int8", REBUILD_DTYPE, DT_I8},
    {"torch", "uint8", REBUILD_DTYPE, DT_U8},
    {"torch", "uint16", REBUILD_DTYPE, DT_U16},
    {"torch", "uint32", REBUILD_DTYPE, DT_U32},
    {"torch", "uint64", REBUILD_DTYPE, DT_U64},
    {"torch", "bool", REBUILD_DTYPE, DT_BOOL},
    {"torch", "complex64", REBUILD_DTYPE, DT_C64},
    {"torch", "cfloat", REBUILD_DTYPE, DT_C64},
    {"torch", "complex32", REBUILD_DTYPE, NO_TYPE},
    {"torch", "complex128", REBUILD_DTYPE, NO_TYPE},
};

static int is(const char *want, const char *s, size_t n) { return strlen(want) == n && !memcmp(want, s, n); }

const rebuild_name *rebuild_find(const char *module, size_t n, const char *name, size_t k, pith_err *e)
{
    char a[SCAN_SHOW], b[SCAN_SHOW];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is(names[i].module, module, n) && is(names[i].name, name, k)) return &names[i];
    return err_set(e, "checkpoint wants to call %s.%s: refused; only the names that plain weights need are known, and nothing is ever run (save model.state_dict() alone)",
                   scan_show(a, module, n), scan_show(b, name, k)),
           NULL;
}

const char *rebuild_kind_name(pickle_value v)
{
    static const char *const kinds[] = {
        [PICKLE_NONE] = "None", [PICKLE_BOOL] = "a bool", [PICKLE_INT] = "a whole number", [PICKLE_LONG] = "a number over 64 bits",
        [PICKLE_FLOAT] = "a float", [PICKLE_STR] = "a string", [PICKLE_TUPLE] = "a tuple", [PICKLE_LIST] = "a list", [PICKLE_DICT] = "a dict",
        [PICKLE_SET] = "a set", [PICKLE_GLOBAL] = "a name", [PICKLE_STORAGE] = "a storage", [PICKLE_TENSOR] = "a tensor",
        [PICKLE_OTHER] = "a device", [PICKLE_MARK] = "a mark",
    };
    return kinds[v.kind];
}

static int expected(const char *what, const char *want, pickle_value v, pith_err *e)
{
    return err_set(e, "%s: expected %s, found %s", what, want, v.kind == PICKLE_INT && v.u.i < 0 ? "a negative number" : rebuild_kind_name(v));
}

static int natural(const char *what, pickle_value v, uint64_t *out, pith_err *e)
{
    if (v.kind != PICKLE_INT || v.u.i < 0) return expected(what, "a whole number of 0 or more", v, e);
    *out = (uint64_t)v.u.i;
    return 0;
}

static int is_str(pickle_value v, const char *s) { return v.kind == PICKLE_STR && is(s, v.u.s, v.len); }

/* ---- storages ---- */

int rebuild_storage(pickle *x, pickle_value id, size_t items, pickle_value *out, pith_err *e)
{
    if (!items) return err_set(e, "a storage where none may be");
    if (id.kind != PICKLE_TUPLE) return expected("persistent id", "a tuple", id, e);
    const pickle_value *v = id.u.items->at;
    size_t n = id.u.items->n;
    if (n && is_str(v[0], "module")) return err_set(e, "the checkpoint holds a pickled module, which only running its code could rebuild: save model.state_dict() instead");
    if (n != items) return err_set(e, "persistent id: %zu parts, expected %zu", n, items);
    if (!is_str(v[0], "storage")) return err_set(e, "persistent id: expected a storage");
    if (v[1].kind != PICKLE_GLOBAL || v[1].u.name->kind != REBUILD_STORAGE || v[1].u.name->type == NO_TYPE) return expected("persistent id: type of the storage", "one with a known dtype", v[1], e);
    if (v[2].kind != PICKLE_STR) return expected("persistent id: key of the storage", "a string", v[2], e);
    if (v[3].kind != PICKLE_STR) return expected("persistent id: device of the storage", "a string", v[3], e);
    if (items == 6 && v[5].kind != PICKLE_NONE) return err_set(e, "a view of another storage, as PyTorch wrote before 0.4, is not read: load and save it with a newer PyTorch");
    pickle_storage *s = pickle_alloc(x, 1, sizeof *s, e);
    if (!s) return -1;
    s->type = v[1].u.name->type;
    s->key = v[2];
    if (natural("storage's number of elements", v[4], &s->numel, e)) return -1;
    if (checked_mul(s->numel, s->type < 0 ? 1 : tensor_dtypes[s->type].bits / 8, &s->nbytes)) return err_set(e, "a storage of %llu elements: over 2^64 bytes", (unsigned long long)s->numel);
    *out = (pickle_value){.kind = PICKLE_STORAGE, .u.storage = s};
    return 0;
}

/* ---- tensors ---- */

/* The numbers of a tuple of sizes or strides. */
static const uint64_t *numbers(pickle *x, const char *what, pickle_value v, size_t *n, pith_err *e)
{
    if (v.kind != PICKLE_TUPLE) return expected(what, "a tuple", v, e), NULL;
    *n = v.u.items->n;
    if (*n > PICKLE_RANK) return err_set(e, "%s: %zu dimensions, PyTorch has at most %d", what, *n, PICKLE_RANK), NULL;
    uint64_t *p = pickle_alloc(x, *n, sizeof *p, e);
    for (size_t i = 0; p && i < *n; i++)
        if (natural(what, v.u.items->at[i], &p[i], e)) return NULL;
    return p;
}

/* Sets nbytes; the last element must lie inside the storage, so all do. Where there is none, the offset may be anywhere:
 * torch.empty(3, 0)[1:] begins at element 1 of nothing. */
static int measure(pickle_tensor *t, pith_err *e)
{
    uint64_t count, last = t->offset, far, bytes = tensor_dtypes[t->type].bits / 8, have = t->storage->nbytes / bytes;
    if (checked_product(t->size, t->rank, &count) || checked_mul(count, bytes, &t->nbytes)) return err_set(e, "a tensor of over 2^64 bytes");
    for (size_t i = 0; count && i < t->rank; i++)
        if (checked_mul(t->size[i] - 1, t->stride[i], &far) || checked_add(last, far, &last)) return err_set(e, "a tensor's strides reach beyond 2^64");
    if (!count) t->offset = 0;
    if (!count || last < have) return 0;
    return err_set(e, "a tensor reaches to element %llu of a storage of %llu", (unsigned long long)last, (unsigned long long)have);
}

/* (storage, offset, size, stride[, requires_grad, hooks[, metadata]]) or, with a dtype of its own, (..., hooks, dtype[,
 * metadata]). */
static int tensor_call(pickle *x, rebuild_kind kind, const pickle_value *v, size_t n, pickle_value *out, pith_err *e)
{
    size_t least = kind == REBUILD_TENSOR ? 4 : kind == REBUILD_TENSOR_V2 ? 6 : 7, most = kind == REBUILD_TENSOR ? 4 : least + 1, n_stride;
    pickle_tensor *t = pickle_alloc(x, 1, sizeof *t, e);
    if (!t) return -1;
    if (n < least || n > most) return err_set(e, "a tensor of %zu arguments, expected %zu", n, least);
    if (v[0].kind != PICKLE_STORAGE) return expected("tensor", "a storage", v[0], e);
    if (n > least && n == most && v[most - 1].kind != PICKLE_NONE && (v[most - 1].kind != PICKLE_DICT || v[most - 1].u.items->n))
        return err_set(e, "a tensor with metadata (a conjugate or negative view) is not read: save its resolve_conj().resolve_neg()");
    t->storage = v[0].u.storage;
    int type = t->storage->type == BYTES ? DT_U8 : t->storage->type;
    if (kind == REBUILD_TENSOR_V3) {
        if (v[6].kind != PICKLE_GLOBAL || v[6].u.name->kind != REBUILD_DTYPE) return expected("dtype of a tensor", "a dtype", v[6], e);
        type = v[6].u.name->type;
        if (type < 0) return err_set(e, "a tensor of torch.%s: safetensors has no such dtype", v[6].u.name->name);
    }
    t->type = (dtype)type;
    if (natural("offset of a tensor", v[1], &t->offset, e)) return -1;
    if (!(t->size = numbers(x, "size of a tensor", v[2], &t->rank, e)) || !(t->stride = numbers(x, "stride of a tensor", v[3], &n_stride, e))) return -1;
    if (t->rank != n_stride) return err_set(e, "a tensor of %zu sizes and %zu strides", t->rank, n_stride);
    if (measure(t, e)) return -1;
    *out = (pickle_value){.kind = PICKLE_TENSOR, .u.tensor = t};
    return 0;
}

/* A tensor as a parameter: the same one, but that it takes a state. */
static int parameter_call(pickle *x, const pickle_value *v, size_t n, size_t least, size_t most, pickle_value *out, pith_err *e)
{
    if (n < least || n > most) return err_set(e, "a parameter of %zu arguments, expected %zu", n, most);
    if (v[0].kind != PICKLE_TENSOR) return expected("parameter", "a tensor", v[0], e);
    pickle_tensor *t = pickle_alloc(x, 1, sizeof *t, e);
    if (!t) return -1;
    *t = *v[0].u.tensor;
    t->parameter = 1;
    *out = (pickle_value){.kind = PICKLE_TENSOR, .u.tensor = t};
    return 0;
}

/* (function, type, arguments, state): what function(*arguments) gives, as an object of that type. */
static int typed_call(pickle *x, const pickle_value *v, size_t n, pickle_value *out, pith_err *e)
{
    if (n != 4) return err_set(e, "a tensor of a type: %zu arguments, expected 4", n);
    if (v[0].kind != PICKLE_GLOBAL || v[0].u.name->kind < REBUILD_TENSOR || v[0].u.name->kind > REBUILD_PARAMETER_STATE) return expected("a tensor of a type", "a function that rebuilds tensors", v[0], e);
    if (v[1].kind != PICKLE_GLOBAL || (v[1].u.name->kind != REBUILD_NEW_PARAMETER && v[1].u.name->kind != REBUILD_TENSOR_TYPE))
        return expected("a tensor of a type", "torch.Tensor or Parameter", v[1], e);
    return rebuild_call(x, v[0], v[2], out, e);
}

/* ---- other calls ---- */

/* OrderedDict() or, as Python 2 wrote it, OrderedDict([[key, value], ...]). */
static int dict_call(pickle *x, const pickle_value *v, size_t n, pickle_value *out, pith_err *e)
{
    pickle_items *d = pickle_alloc(x, 1, sizeof *d, e);
    if (!d) return -1;
    if (n > 1 || (n && v[0].kind != PICKLE_LIST)) return err_set(e, "an OrderedDict of something else than one list");
    if (n && v[0].u.items->taken++) return err_set(e, "a second OrderedDict of the same list");
    for (size_t i = 0; n && i < v[0].u.items->n; i++) {
        pickle_value pair = v[0].u.items->at[i];
        if ((pair.kind != PICKLE_LIST && pair.kind != PICKLE_TUPLE) || pair.u.items->n != 2) return expected("item of an OrderedDict", "a key and a value", pair, e);
        pickle_kind key = pair.u.items->at[0].kind;
        if (key == PICKLE_LIST || key == PICKLE_DICT || key == PICKLE_SET) return expected("key of an OrderedDict", "a string", pair.u.items->at[0], e);
        if (pickle_extend(x, d, pair.u.items->at, 2, e)) return -1;
    }
    *out = (pickle_value){.kind = PICKLE_DICT, .u.items = d};
    return 0;
}

int rebuild_call(pickle *x, pickle_value f, pickle_value args, pickle_value *out, pith_err *e)
{
    if (f.kind != PICKLE_GLOBAL) return err_set(e, "calls %s", rebuild_kind_name(f));
    if (args.kind != PICKLE_TUPLE) return expected("arguments of a call", "a tuple", args, e);
    const pickle_value *v = args.u.items->at;
    size_t n = args.u.items->n;
    rebuild_kind kind = f.u.name->kind;
    switch (kind) {
    case REBUILD_ORDERED_DICT: return dict_call(x, v, n, out, e);
    case REBUILD_TENSOR:
    case REBUILD_TENSOR_V2:
    case REBUILD_TENSOR_V3: return tensor_call(x, kind, v, n, out, e);
    case REBUILD_PARAMETER: return parameter_call(x, v, n, 3, 3, out, e);
    case REBUILD_PARAMETER_STATE: return parameter_call(x, v, n, 4, 4, out, e);
    case REBUILD_NEW_PARAMETER: return parameter_call(x, v, n, 1, 2, out, e);
    case REBUILD_FROM_TYPE: return typed_call(x, v, n, out, e);
    case REBUILD_SIZE:
        if (n != 1 || v[0].kind != PICKLE_TUPLE) return err_set(e, "torch.Size of something else than a tuple");
        *out = v[0];
        return 0;
    case REBUILD_DEVICE: *out = (pickle_value){.kind = PICKLE_OTHER}; return 0;
    default: return err_set(e, "calls %s.%s, which makes no weights", f.u.name->module, f.u.name->name);
    }
}

int rebuild_state(pickle_value object, pickle_value state, pith_err *e)
{
    char show[SCAN_SHOW];
    if (object.kind == PICKLE_TENSOR && object.u.tensor->parameter) {
        if (state.kind == PICKLE_TUPLE && state.u.items->n == 3) return 0; /* requires_grad, volatile, hooks */
        return err_set(e, "a parameter's state that would change its values is not read");
    }
    if (object.kind != PICKLE_DICT) return err_set(e, "a state for %s", rebuild_kind_name(object));
    if (state.kind != PICKLE_DICT) return expected("attributes of a dict", "a dict", state, e);
    for (size_t i = 0; i < state.u.items->n; i += 2) {
        pickle_value k = state.u.items->at[i];
        if (k.kind != PICKLE_STR) return expected("name of an attribute", "a string", k, e);
        if (k.len >= 2 && !memcmp(k.u.s, "__", 2)) return err_set(e, "checkpoint wants to set the attribute %s: refused", scan_show(show, k.u.s, k.len));
    }
    return 0;
}
