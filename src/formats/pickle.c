/* pickle: the machine. A stack of small values, marks on it linked to each other, a memo of values; strings stay where
 * they are in the pickle, the rest lies in blocks that go away together. */
#include "formats/pickle.h"
#include "base/checked.h"
#include "formats/rebuild.h"
#include "formats/scan.h"
#include <stdlib.h>
#include <string.h>

/* SLACK: of what costs more memory than bytes in the file, so many are free; more must have their bytes. */
enum { BLOCK = 1 << 16, SLACK = 1 << 20 };

typedef struct block {
    struct block *next;
    size_t used, cap;
    _Alignas(16) char bytes[];
} block;

struct pickle {
    const unsigned char *p;
    size_t n, at, op; /* at: the next byte; op: where the opcode at hand is */
    size_t storage_items;
    pickle_value *stack, *memo;
    size_t depth, cap_stack, n_memo;
    size_t puts, objects; /* so far */
    pickle_items nothing; /* of every empty tuple */
    size_t base; /* what may be popped begins here: behind the latest mark */
    pickle_storage **storages;
    size_t n_storages, cap_storages;
    block *blocks;
    pickle_value root;
};

/* ---- opcodes ---- */

enum {
    MARK = '(', STOP = '.', BINFLOAT = 'G', BININT = 'J', BININT1 = 'K', BININT2 = 'M', NONE = 'N', BINPERSID = 'Q', REDUCE = 'R',
    SHORT_BINSTRING = 'U', BINUNICODE = 'X', EMPTY_LIST = ']', APPEND = 'a', BUILD = 'b', GLOBAL = 'c', APPENDS = 'e', BINGET = 'h',
    LONG_BINGET = 'j', BINPUT = 'q', LONG_BINPUT = 'r', SETITEM = 's', TUPLE = 't', EMPTY_TUPLE = ')', SETITEMS = 'u', EMPTY_DICT = '}',
    PROTO = 0x80, NEWOBJ = 0x81, TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87, NEWTRUE = 0x88, NEWFALSE = 0x89, LONG1 = 0x8a, EMPTY_SET = 0x8f
};

/* All that Python has, for messages. */
static const char *const opcodes[256] = {
    ['('] = "MARK", ['.'] = "STOP", ['0'] = "POP", ['1'] = "POP_MARK", ['2'] = "DUP", ['F'] = "FLOAT", ['I'] = "INT", ['J'] = "BININT",
    ['K'] = "BININT1", ['L'] = "LONG", ['M'] = "BININT2", ['N'] = "NONE", ['P'] = "PERSID", ['Q'] = "BINPERSID", ['R'] = "REDUCE",
    ['S'] = "STRING", ['T'] = "BINSTRING", ['U'] = "SHORT_BINSTRING", ['V'] = "UNICODE", ['X'] = "BINUNICODE", ['a'] = "APPEND",
    ['b'] = "BUILD", ['c'] = "GLOBAL", ['d'] = "DICT", ['}'] = "EMPTY_DICT", ['e'] = "APPENDS", ['g'] = "GET", ['h'] = "BINGET",
    ['i'] = "INST", ['j'] = "LONG_BINGET", ['l'] = "LIST", [']'] = "EMPTY_LIST", ['o'] = "OBJ", ['p'] = "PUT", ['q'] = "BINPUT",
    ['r'] = "LONG_BINPUT", ['s'] = "SETITEM", ['t'] = "TUPLE", [')'] = "EMPTY_TUPLE", ['u'] = "SETITEMS", ['G'] = "BINFLOAT",
    ['B'] = "BINBYTES", ['C'] = "SHORT_BINBYTES", [0x80] = "PROTO", [0x81] = "NEWOBJ", [0x82] = "EXT1", [0x83] = "EXT2", [0x84] = "EXT4",
    [0x85] = "TUPLE1", [0x86] = "TUPLE2", [0x87] = "TUPLE3", [0x88] = "NEWTRUE", [0x89] = "NEWFALSE", [0x8a] = "LONG1", [0x8b] = "LONG4",
    [0x8c] = "SHORT_BINUNICODE", [0x8d] = "BINUNICODE8", [0x8e] = "BINBYTES8", [0x8f] = "EMPTY_SET", [0x90] = "ADDITEMS",
    [0x91] = "FROZENSET", [0x92] = "NEWOBJ_EX", [0x93] = "STACK_GLOBAL", [0x94] = "MEMOIZE", [0x95] = "FRAME", [0x96] = "BYTEARRAY8",
    [0x97] = "NEXT_BUFFER", [0x98] = "READONLY_BUFFER",
};

/* ---- memory ---- */

void *pickle_alloc(pickle *x, size_t n, size_t size, pith_err *e)
{
    uint64_t bytes;
    if (checked_mul(n, size, &bytes) || bytes > SIZE_MAX / 2) return err_nomem(e, SIZE_MAX, "a pickle"), NULL;
    size_t want = ((size_t)bytes + 15) & ~(size_t)15;
    if (!x->blocks || x->blocks->cap - x->blocks->used < want) {
        size_t cap = want > BLOCK ? want : BLOCK;
        block *b = calloc(1, sizeof *b + cap);
        if (!b) return err_nomem(e, cap, "a pickle"), NULL;
        *b = (block){.next = x->blocks, .cap = cap};
        x->blocks = b;
    }
    void *p = x->blocks->bytes + x->blocks->used;
    x->blocks->used += want;
    return p;
}

int pickle_extend(pickle *x, pickle_items *to, const pickle_value *v, size_t n, pith_err *e)
{
    if (n > to->cap - to->n) {
        size_t cap = 2 * to->cap > to->n + n ? 2 * to->cap : to->n + n;
        pickle_value *p = pickle_alloc(x, cap, sizeof *p, e);
        if (!p) return -1;
        if (to->n) memcpy(p, to->at, to->n * sizeof *p);
        to->at = p;
        to->cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        to->at[to->n++] = v[i];
        if (pickle_holds(v[i])) to->tensors = 1;
    }
    return 0;
}

/* Room for one more in an array of its own; NULL: memory, and the array stays. */
static void *grow(void *p, size_t n, size_t *cap, size_t size, pith_err *e)
{
    if (n < *cap) return p;
    size_t more = *cap ? 2 * *cap : 64;
    void *q = more > SIZE_MAX / size ? NULL : realloc(p, more * size);
    if (!q) return err_nomem(e, more * size, "a pickle"), NULL;
    *cap = more;
    return q;
}

/* ---- stack ---- */

static int push(pickle *x, pickle_value v, pith_err *e)
{
    if (x->depth > SLACK / 4 + x->at / 8) return err_set(e, "%zu values on the stack after %zu bytes: no pickler piles up so many", x->depth, x->at);
    pickle_value *p = grow(x->stack, x->depth, &x->cap_stack, sizeof *p, e);
    if (!p) return -1;
    x->stack = p;
    x->stack[x->depth++] = v;
    return 0;
}

/* The n topmost values, taken off; NULL: there are fewer above the mark. */
static pickle_value *pop(pickle *x, size_t n, pith_err *e)
{
    if (x->depth - x->base < n) return err_set(e, "the stack is empty where %zu value%s must be", n, n == 1 ? "" : "s"), NULL;
    x->depth -= n;
    return x->stack + x->depth;
}

/* The value on top, which stays. */
static pickle_value *top(pickle *x, pith_err *e)
{
    if (x->depth == x->base) return err_set(e, "the stack is empty where a value must be"), NULL;
    return x->stack + x->depth - 1;
}

/* A mark remembers where the values behind the one before it begin. */
static int push_mark(pickle *x, pith_err *e)
{
    if (push(x, (pickle_value){.kind = PICKLE_MARK, .u.i = (int64_t)x->base}, e)) return -1;
    x->base = x->depth;
    return 0;
}

/* All values above the latest mark, taken off with it. */
static pickle_value *pop_mark(pickle *x, size_t *n, pith_err *e)
{
    if (!x->base) return err_set(e, "there is no mark on the stack"), NULL;
    size_t first = x->base;
    *n = x->depth - first;
    x->depth = first - 1;
    x->base = (size_t)x->stack[first - 1].u.i;
    return x->stack + first;
}

/* ---- reading ---- */

/* The next n bytes. */
static const unsigned char *take(pickle *x, size_t n, pith_err *e)
{
    if (x->n - x->at < n) return err_set(e, "%zu bytes are due and %zu are left: the pickle is cut off", n, x->n - x->at), NULL;
    x->at += n;
    return x->p + x->at - n;
}

/* A little-endian number of up to 8 bytes. */
static int take_number(pickle *x, size_t n, uint64_t *v, pith_err *e)
{
    const unsigned char *p = take(x, n, e);
    *v = p ? checked_le(p, n) : 0;
    return p ? 0 : -1;
}

static int push_int(pickle *x, int64_t v, pith_err *e) { return push(x, (pickle_value){.kind = PICKLE_INT, .u.i = v}, e); }

/* Two's complement of any length; one that fits 64 bits is as good as an INT. */
static int push_long(pickle *x, pith_err *e)
{
    uint64_t n, v;
    const unsigned char *p;
    if (take_number(x, 1, &n, e) || !(p = take(x, (size_t)n, e))) return -1;
    if (n > 8) return push(x, (pickle_value){.kind = PICKLE_LONG, .len = (uint32_t)n, .u.s = (const char *)p}, e);
    v = checked_le(p, (size_t)n);
    if (n && n < 8 && p[n - 1] & 0x80) v |= ~(UINT64_MAX >> (64 - 8 * n));
    int64_t i;
    memcpy(&i, &v, sizeof i);
    return push_int(x, i, e);
}

static int push_string(pickle *x, size_t length_bytes, pith_err *e)
{
    uint64_t n;
    const char *s;
    if (take_number(x, length_bytes, &n, e) || !(s = (const char *)take(x, (size_t)n, e))) return -1;
    size_t good = scan_utf8(s, (size_t)n);
    if (good < n) return err_set(e, "a string that is not UTF-8: byte 0x%02x at its byte %zu", (unsigned char)s[good], good);
    return push(x, (pickle_value){.kind = PICKLE_STR, .len = (uint32_t)n, .u.s = s}, e);
}

static const char *take_line(pickle *x, size_t *n, pith_err *e)
{
    const unsigned char *p = x->p + x->at, *end = memchr(p, '\n', x->n - x->at);
    if (!end) return err_set(e, "a name without an end: the pickle is cut off"), NULL;
    *n = (size_t)(end - p);
    x->at += *n + 1;
    return (const char *)p;
}

static int push_global(pickle *x, pith_err *e)
{
    size_t n, k;
    const char *module = take_line(x, &n, e), *name = module ? take_line(x, &k, e) : NULL;
    if (!name) return -1;
    const rebuild_name *f = rebuild_find(module, n, name, k, e);
    return f ? push(x, (pickle_value){.kind = PICKLE_GLOBAL, .u.name = f}, e) : -1;
}

static int read_proto(pickle *x, pith_err *e)
{
    uint64_t v;
    if (take_number(x, 1, &v, e)) return -1;
    return v > 5 ? err_set(e, "pickle protocol %u: there is none above 5", (unsigned)v) : 0;
}

/* ---- containers ---- */

/* Before an object is made. Picklers memoise objects: after the first few that takes five bytes, beside its own. */
static int count(pickle *x, pith_err *e)
{
    if (++x->objects <= SLACK + x->at / 6) return 0;
    return err_set(e, "%zu objects in %zu bytes: no pickler writes so many", x->objects, x->at);
}

static int push_items(pickle *x, pickle_kind kind, const pickle_value *v, size_t n, pith_err *e)
{
    pickle_items *t = count(x, e) ? NULL : pickle_alloc(x, 1, sizeof *t, e);
    if (!t || (n && pickle_extend(x, t, v, n, e))) return -1;
    return push(x, (pickle_value){.kind = kind, .u.items = t}, e);
}

static int push_tuple(pickle *x, size_t n, pith_err *e)
{
    pickle_value *v = pop(x, n, e);
    return v ? push_items(x, PICKLE_TUPLE, v, n, e) : -1;
}

/* Adds to the list or dict on top of what was popped. */
static int add(pickle *x, pickle_kind kind, const pickle_value *v, size_t n, pith_err *e)
{
    pickle_value *to = top(x, e);
    if (!to) return -1;
    if (to->kind != kind) return err_set(e, "adds to %s as if it were %s", rebuild_kind_name(*to), kind == PICKLE_LIST ? "a list" : "a dict");
    if (kind == PICKLE_DICT) {
        if (n % 2) return err_set(e, "a key without a value");
        for (size_t i = 0; i < n; i += 2)
            if (v[i].kind == PICKLE_LIST || v[i].kind == PICKLE_DICT || v[i].kind == PICKLE_SET) return err_set(e, "the key of a dict is %s", rebuild_kind_name(v[i]));
    }
    return pickle_extend(x, to->u.items, v, n, e);
}

static int add_marked(pickle *x, pickle_kind kind, pith_err *e)
{
    size_t n;
    pickle_value *v = pop_mark(x, &n, e);
    return v ? add(x, kind, v, n, e) : -1;
}

static int add_popped(pickle *x, pickle_kind kind, size_t n, pith_err *e)
{
    pickle_value *v = pop(x, n, e);
    return v ? add(x, kind, v, n, e) : -1;
}

/* ---- memo ---- */

/* Picklers number their memo from 0 without gaps. */
static int put(pickle *x, size_t index_bytes, pith_err *e)
{
    uint64_t i;
    pickle_value *v;
    if (take_number(x, index_bytes, &i, e) || !(v = top(x, e))) return -1;
    if (i > x->puts++ + BLOCK) return err_set(e, "memo %llu after %zu bytes: no pickler numbers so", (unsigned long long)i, x->at);
    if (i >= x->n_memo) {
        size_t n = 2 * (size_t)i + 64;
        pickle_value *p = realloc(x->memo, n * sizeof *p);
        if (!p) return err_nomem(e, n * sizeof *p, "a pickle");
        x->memo = p;
        for (; x->n_memo < n; x->n_memo++) p[x->n_memo].kind = PICKLE_MARK;
    }
    x->memo[i] = *v;
    return 0;
}

static int get(pickle *x, size_t index_bytes, pith_err *e)
{
    uint64_t i;
    if (take_number(x, index_bytes, &i, e)) return -1;
    if (i >= x->n_memo || x->memo[i].kind == PICKLE_MARK) return err_set(e, "memo %llu was never written", (unsigned long long)i);
    return push(x, x->memo[i], e);
}

/* ---- calls ---- */

static int call(pickle *x, int new_object, pith_err *e)
{
    pickle_value *v = pop(x, 2, e), out = {0};
    if (!v) return -1;
    if (new_object && (v[0].kind != PICKLE_GLOBAL || v[0].u.name->kind != REBUILD_NEW_PARAMETER))
        return err_set(e, "only torch.nn.parameter.Parameter is made so, not %s", v[0].kind == PICKLE_GLOBAL ? v[0].u.name->name : rebuild_kind_name(v[0]));
    return count(x, e) || rebuild_call(x, v[0], v[1], &out, e) || push(x, out, e) ? -1 : 0;
}

static int build(pickle *x, pith_err *e)
{
    pickle_value *state = pop(x, 1, e), *object = state ? top(x, e) : NULL;
    return object ? rebuild_state(*object, *state, e) : -1;
}

static int persistent(pickle *x, pith_err *e)
{
    pickle_value *id = pop(x, 1, e), out = {0};
    if (!id || count(x, e) || rebuild_storage(x, *id, x->storage_items, &out, e)) return -1;
    pickle_storage **p = grow(x->storages, x->n_storages, &x->cap_storages, sizeof *p, e);
    if (!p) return -1;
    x->storages = p;
    out.u.storage->i = x->n_storages;
    x->storages[x->n_storages++] = out.u.storage;
    return push(x, out, e);
}

static int stop(pickle *x, pith_err *e)
{
    pickle_value *v = pop(x, 1, e);
    if (!v) return -1;
    if (x->depth) return err_set(e, "%zu values are left on the stack", x->depth);
    x->root = *v;
    return 0;
}

static int step(pickle *x, unsigned op, pith_err *e)
{
    uint64_t v;
    size_t n = 0;
    pickle_value *items;
    switch (op) {
    case PROTO: return read_proto(x, e);
    case STOP: return stop(x, e);
    case MARK: return push_mark(x, e);
    case NONE: return push(x, (pickle_value){.kind = PICKLE_NONE}, e);
    case NEWTRUE:
    case NEWFALSE: return push(x, (pickle_value){.kind = PICKLE_BOOL, .u.i = op == NEWTRUE}, e);
    case BININT: return take_number(x, 4, &v, e) ? -1 : push_int(x, (int64_t)v - (v >> 31 ? INT64_C(1) << 32 : 0), e);
    case BININT1: return take_number(x, 1, &v, e) ? -1 : push_int(x, (int64_t)v, e);
    case BININT2: return take_number(x, 2, &v, e) ? -1 : push_int(x, (int64_t)v, e);
    case LONG1: return push_long(x, e);
    case BINFLOAT: return take(x, 8, e) ? push(x, (pickle_value){.kind = PICKLE_FLOAT}, e) : -1;
    case BINUNICODE: return push_string(x, 4, e);
    case SHORT_BINSTRING: return push_string(x, 1, e);
    case EMPTY_TUPLE: return push(x, (pickle_value){.kind = PICKLE_TUPLE, .u.items = &x->nothing}, e);
    case TUPLE1: return push_tuple(x, 1, e);
    case TUPLE2: return push_tuple(x, 2, e);
    case TUPLE3: return push_tuple(x, 3, e);
    case TUPLE: return (items = pop_mark(x, &n, e)) ? push_items(x, PICKLE_TUPLE, items, n, e) : -1;
    case EMPTY_LIST: return push_items(x, PICKLE_LIST, NULL, 0, e);
    case EMPTY_DICT: return push_items(x, PICKLE_DICT, NULL, 0, e);
    case EMPTY_SET: return push(x, (pickle_value){.kind = PICKLE_SET}, e);
    case APPEND: return add_popped(x, PICKLE_LIST, 1, e);
    case APPENDS: return add_marked(x, PICKLE_LIST, e);
    case SETITEM: return add_popped(x, PICKLE_DICT, 2, e);
    case SETITEMS: return add_marked(x, PICKLE_DICT, e);
    case BINPUT: return put(x, 1, e);
    case LONG_BINPUT: return put(x, 4, e);
    case BINGET: return get(x, 1, e);
    case LONG_BINGET: return get(x, 4, e);
    case GLOBAL: return push_global(x, e);
    case REDUCE: return call(x, 0, e);
    case NEWOBJ: return call(x, 1, e);
    case BUILD: return build(x, e);
    case BINPERSID: return persistent(x, e);
    default: return err_set(e, "opcode 0x%02x is refused: PyTorch's weights-only loader knows no such one; save the weights with torch.save's own protocol (2)", op);
    }
}

pickle *pickle_read(const void *p, size_t n, size_t storage_items, size_t *used, pith_err *e)
{
    pickle *x = calloc(1, sizeof *x);
    if (!x) return err_nomem(e, sizeof *x, "a pickle"), NULL;
    x->p = p;
    x->n = n;
    x->storage_items = storage_items;
    unsigned op = 0;
    int bad = 0;
    while (!bad && op != STOP) {
        if (x->at == n) {
            bad = err_set(e, "byte %zu: the pickle ends without STOP: it is cut off", n);
            break;
        }
        x->op = x->at;
        op = x->p[x->at++];
        bad = step(x, op, e);
        if (bad) err_where(e, "byte %zu, %s", x->op, opcodes[op] ? opcodes[op] : "no opcode at all");
    }
    free(x->stack);
    free(x->memo);
    x->stack = x->memo = NULL;
    *used = x->at;
    if (!bad) return x;
    pickle_free(x);
    return NULL;
}

void pickle_free(pickle *x)
{
    if (!x) return;
    for (block *b = x->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(x->storages);
    free(x);
}

pickle_value pickle_root(const pickle *x) { return x->root; }
size_t pickle_storages(const pickle *x) { return x->n_storages; }
const pickle_storage *pickle_storage_at(const pickle *x, size_t i) { return x->storages[i]; }
