/* The pickle machine: what torch.save writes is understood, everything else is refused where it stands. Rules: PyTorch's
 * weights-only loader and Python's pickletools. */
#include "checkpoints.h"
#include "formats/pickle.h"

static pickle *read_ok(const bytes *b)
{
    pith_err e = {{0}};
    size_t used;
    pickle *x = pickle_read(b->p, b->n, 5, &used, &e);
    if (!x) fail_msg("%s", e.msg);
    assert_int_equal(used, b->n);
    return x;
}

static pickle *read_text(const char *text, size_t n)
{
    static bytes b;
    b.n = 0;
    put(&b, text, n);
    return read_ok(&b);
}
#define READ(text) read_text(text, sizeof text - 1)

static void refused(const char *text, size_t n, const char *words)
{
    pith_err e = {{0}};
    size_t used;
    unsigned char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    if (pickle_read(copy, n, 5, &used, &e)) fail_msg("accepted; expected a refusal with '%s'", words);
    check_words(e.msg, words);
    free(copy);
}
#define REFUSED(text, words) refused(text, sizeof text - 1, words)

static void test_scalars(void **state)
{
    (void)state;
    static const struct { const char *text; size_t n; pickle_kind kind; int64_t i; } all[] = {
#define B(x) x, sizeof x - 1
        {B("N."), PICKLE_NONE, 0},
        {B("\x80\2\x88."), PICKLE_BOOL, 1},
        {B("\x89."), PICKLE_BOOL, 0},
        {B("K\xff."), PICKLE_INT, 255},
        {B("M\xff\xff."), PICKLE_INT, 65535},
        {B("J\xff\xff\xff\xff."), PICKLE_INT, -1},
        {B("J\0\0\0\x80."), PICKLE_INT, INT32_MIN},
        {B("J\xff\xff\xff\x7f."), PICKLE_INT, INT32_MAX},
        {B("\x8a\0."), PICKLE_INT, 0},
        {B("\x8a\1\xff."), PICKLE_INT, -1},
        {B("\x8a\2\xff\0."), PICKLE_INT, 255},
        {B("\x8a\x8\0\0\0\0\0\0\0\x80."), PICKLE_INT, INT64_MIN},
        {B("\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f."), PICKLE_INT, INT64_MAX},
        {B("\x8a\x9\0\0\0\0\0\0\0\x80\0."), PICKLE_LONG, 0},
        {B("G?\xf0\0\0\0\0\0\0."), PICKLE_FLOAT, 0},
        {B("X\2\0\0\0hi."), PICKLE_STR, 0},
        {B("U\2hi."), PICKLE_STR, 0},
        {B(")."), PICKLE_TUPLE, 0},
        {B("N\x85."), PICKLE_TUPLE, 1},
        {B("NN\x86."), PICKLE_TUPLE, 2},
        {B("NNN\x87."), PICKLE_TUPLE, 3},
        {B("(NNNNt."), PICKLE_TUPLE, 4},
        {B("]."), PICKLE_LIST, 0},
        {B("]Na."), PICKLE_LIST, 1},
        {B("](NNNe."), PICKLE_LIST, 3},
        {B("}."), PICKLE_DICT, 0},
        {B("}NNs."), PICKLE_DICT, 2},
        {B("}(K\1NK\2Nu."), PICKLE_DICT, 4},
        {B("\x8f."), PICKLE_SET, 0},
        {B(ORDERED_DICT "."), PICKLE_DICT, 0},
        {B("ccollections\nOrderedDict\n]]K\1aK\2aa\x85R."), PICKLE_DICT, 2}, /* as Python 2 wrote it */
        {B(ORDERED_DICT "}X\x9\0\0\0_metadataNsb."), PICKLE_DICT, 0},
        {B("ctorch\nSize\n(K\1K\2t\x85R."), PICKLE_TUPLE, 2},
        {B("ctorch\ndevice\nX\3\0\0\0cpu\x85R."), PICKLE_OTHER, 0},
        {B("ctorch\nfloat16\n."), PICKLE_GLOBAL, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        pickle *x = read_text(all[i].text, all[i].n);
        pickle_value v = pickle_root(x);
        if (v.kind != all[i].kind) fail_msg("case %zu: kind %d, expected %d", i, v.kind, all[i].kind);
        if (v.kind == PICKLE_INT || v.kind == PICKLE_BOOL) assert_true(v.u.i == all[i].i);
        if (v.kind == PICKLE_STR) assert_true(v.len == 2 && !memcmp(v.u.s, "hi", 2));
        if (v.kind == PICKLE_TUPLE || v.kind == PICKLE_LIST || v.kind == PICKLE_DICT) assert_int_equal(v.u.items->n, all[i].i);
        pickle_free(x);
    }
}

/* What is memoised is the object, not a copy: what is added later is seen wherever it is. */
static void test_memo(void **state)
{
    (void)state;
    pickle *x = READ("]}q\0a" "h\0K\1Ns" "a.");
    const pickle_items *list = pickle_root(x).u.items;
    assert_int_equal(list->n, 2);
    assert_ptr_equal(list->at[0].u.items, list->at[1].u.items);
    assert_int_equal(list->at[0].u.items->n, 2);
    pickle_free(x);
    x = READ("]q\0h\0a."); /* a list in itself */
    assert_ptr_equal(pickle_root(x).u.items->at[0].u.items, pickle_root(x).u.items);
    pickle_free(x);
    x = READ("K\5r\3\0\0\0j\3\0\0\0\x86."); /* an index that has gaps before it */
    assert_int_equal(pickle_root(x).u.items->at[1].u.i, 5);
    pickle_free(x);
}

/* Python numbers a big memo beyond one byte. */
static void test_big_memo(void **state)
{
    (void)state;
    bytes b = {0};
    OP(&b, "](");
    for (unsigned i = 0; i < 5000; i++) {
        OP(&b, "M");
        put_le(&b, i, 2);
        put(&b, i < 256 ? "q" : "r", 1);
        put_le(&b, i, i < 256 ? 1 : 4);
    }
    for (unsigned i = 0; i < 5000; i++) {
        put(&b, i < 256 ? "h" : "j", 1);
        put_le(&b, i, i < 256 ? 1 : 4);
    }
    OP(&b, "e.");
    pickle *x = read_ok(&b);
    assert_int_equal(pickle_root(x).u.items->n, 10000);
    for (int i = 0; i < 10000; i++) assert_int_equal(pickle_root(x).u.items->at[i].u.i, i % 5000);
    pickle_free(x);
    bytes_free(&b);
}

/* Depth costs no stack, and ten references to ten references to ... cost what they take in the file. */
static void test_deep(void **state)
{
    (void)state;
    bytes b = {0};
    OP(&b, ")");
    for (int i = 0; i < 1000000; i++) OP(&b, "\x85");
    OP(&b, ".");
    pickle_free(read_ok(&b));
    b.n = 0;
    for (int i = 0; i < 250000; i++) OP(&b, "(");
    for (int i = 0; i < 250000; i++) OP(&b, "t");
    OP(&b, ".");
    pickle_free(read_ok(&b));
    /* What takes memory and no bytes is a trap. */
    static const char *const traps[][2] = {{"(", "MARK|no pickler piles up so many"}, {")", "EMPTY_TUPLE|piles up"}, {"]", "EMPTY_LIST|piles up"}, {"]a", "EMPTY_LIST|writes"}};
    for (size_t k = 0; k < sizeof traps / sizeof *traps; k++) {
        b.n = 0;
        OP(&b, "]");
        for (int i = 0; i < 3000000; i++) put(&b, traps[k][0], strlen(traps[k][0]));
        refused((const char *)b.p, b.n, traps[k][1]);
    }
    b.n = 0;
    OP(&b, "]q\0");
    for (unsigned i = 0; i < 200; i++) {
        OP(&b, "(");
        for (int k = 0; k < 10; k++) {
            OP(&b, "h");
            put_le(&b, i, 1);
        }
        OP(&b, "tq");
        put_le(&b, i + 1, 1);
    }
    for (unsigned i = 0; i < 200; i++) OP(&b, "\x86"); /* one value out of all that are on the stack */
    OP(&b, ".");
    pickle_free(read_ok(&b));
    bytes_free(&b);
}

static void test_refused(void **state)
{
    (void)state;
    REFUSED("", "byte 0|without STOP");
    REFUSED("\x80\2", "byte 2|without STOP");
    REFUSED("\x80", "byte 0, PROTO|1 bytes are due and 0 are left");
    REFUSED("\x80\6.", "protocol 6");
    REFUSED(".", "byte 0, STOP|stack is empty");
    REFUSED("NN.", "byte 2, STOP|1 values are left");
    REFUSED("(N.", "byte 2, STOP|1 values are left");
    REFUSED("t.", "byte 0, TUPLE|no mark");
    REFUSED("N\x86.", "byte 1, TUPLE2|empty where 2 values must be");
    REFUSED("N(\x85t.", "byte 2, TUPLE1|empty"); /* nothing below a mark is taken */
    REFUSED("](a.", "byte 2, APPEND|empty");
    REFUSED("]((ee.", "byte 3, APPENDS|empty");
    REFUSED("h\0.", "byte 0, BINGET|memo 0 was never written");
    REFUSED("Nq\0h\1.", "byte 3, BINGET|memo 1 was never written");
    REFUSED("q\0.", "byte 0, BINPUT|stack is empty");
    REFUSED("(q\0t.", "byte 1, BINPUT|stack is empty");
    REFUSED("Nr\xff\xff\xff\x7f.", "byte 1, LONG_BINPUT|memo 2147483647 after 6 bytes");
    REFUSED("Nr\0\0\2\0.", "memo 131072 after 6 bytes: no pickler numbers so");
    REFUSED("X\xff\xff\xff\xff" "abc", "byte 0, BINUNICODE|4294967295 bytes are due and 3 are left");
    REFUSED("X\2\0\0\0\xff\xfe.", "not UTF-8|0xff");
    REFUSED("X\3\0\0\0\xed\xa0\x80.", "not UTF-8|0xed");
    REFUSED("U\1\xe9.", "SHORT_BINSTRING|not UTF-8");
    REFUSED("\x8a\x9\1.", "byte 0, LONG1|9 bytes are due");
    REFUSED("G\1.", "BINFLOAT|8 bytes are due");
    REFUSED("NNa.", "byte 2, APPEND|adds to None as if it were a list");
    REFUSED("]NNs.", "byte 3, SETITEM|adds to a list as if it were a dict");
    REFUSED("}(Nu.", "byte 3, SETITEMS|a key without a value");
    REFUSED("}]Ns.", "the key of a dict is a list");
    REFUSED("}}Ns.", "the key of a dict is a dict");
    REFUSED("Nq\0)R.", "byte 4, REDUCE|calls None");
    REFUSED("ctorch\nfloat32\n)R.", "calls torch.float32, which makes no weights");
    REFUSED("ctorch\nSize\nNR.", "expected a tuple, found None");
    REFUSED("ctorch\nSize\n)R.", "torch.Size of something else");
    REFUSED(ORDERED_DICT ")R.", "calls a dict");
    REFUSED("ccollections\nOrderedDict\nK\1\x85R.", "something else than one list");
    REFUSED("ccollections\nOrderedDict\n]K\1a\x85R.", "expected a key and a value, found a whole number");
    REFUSED("ccollections\nOrderedDict\nq\0]q\1\x85Rh\0h\1\x85R\x86.", "a second OrderedDict of the same list");
    REFUSED("ccollections\nOrderedDict\n)\x81.", "byte 26, NEWOBJ|only torch.nn.parameter.Parameter is made so, not OrderedDict");
    REFUSED(ORDERED_DICT "}X\x9\0\0\0__class__Nsb.", "set the attribute __class__: refused");
    REFUSED(ORDERED_DICT "}K\1Nsb.", "name of an attribute: expected a string");
    REFUSED(ORDERED_DICT ")b.", "attributes of a dict: expected a dict, found a tuple");
    REFUSED("]}b.", "byte 2, BUILD|a state for a list");
    REFUSED("c__builtin__\neval\n.", "byte 0, GLOBAL|checkpoint wants to call __builtin__.eval: refused");
    REFUSED("cos\nsystem", "byte 0, GLOBAL|a name without an end");
    REFUSED("cos", "a name without an end");
    REFUSED("cos\x1b[2J\nsys\xfftem\n.", "call os\\u001b[2J.sys\\xfftem: refused");
    REFUSED("NQ.", "byte 1, BINPERSID|expected a tuple");
}

/* Every opcode that PyTorch's loader does not know is refused by number and, where Python has it, by name. */
static void test_opcodes(void **state)
{
    (void)state;
    static const char known[] = ".(NJKMGXU])}RQabcehjqrstu\x80\x81\x85\x86\x87\x88\x89\x8a\x8f";
    static const struct { char op; const char *name; } some[] = {{'i', "INST"}, {'o', "OBJ"}, {'\x93', "STACK_GLOBAL"}, {'\x82', "EXT1"}, {'0', "POP"}, {'2', "DUP"},
                                                              {'l', "LIST"}, {'d', "DICT"}, {'P', "PERSID"}, {'\x95', "FRAME"}, {'\x8d', "BINUNICODE8"}};
    char text[] = "NNNN?", words[64];
    assert_int_equal(strlen(known), 34);
    for (int op = 0; op < 256; op++) {
        if (op && strchr(known, op)) continue;
        text[4] = (char)op;
        snprintf(words, sizeof words, "byte 4, |opcode 0x%02x is refused", (unsigned)op);
        refused(text, 5, words);
    }
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        text[4] = some[i].op;
        refused(text, 5, some[i].name);
    }
}

/* The list of names, written down here once more, is all there is. */
static void test_names(void **state)
{
    (void)state;
    static const char *const good[] = {
        "collections OrderedDict", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_parameter",
        "torch._utils _rebuild_parameter_with_state", "torch._tensor _rebuild_from_type_v2", "torch.nn.parameter Parameter", "torch Size", "torch device", "torch FloatStorage",
        "torch DoubleStorage", "torch HalfStorage", "torch BFloat16Storage", "torch LongStorage", "torch IntStorage", "torch ShortStorage", "torch CharStorage", "torch ByteStorage",
        "torch BoolStorage", "torch ComplexFloatStorage", "torch.storage UntypedStorage", "torch.storage TypedStorage", "torch float32", "torch bfloat16", "torch uint16",
        "torch float8_e4m3fn", "torch complex128", "torch Tensor",
    };
    static const char *const bad[] = {
        "os system", "posix system", "builtins eval", "builtins getattr", "collections OrderedDict.__init__", "collections Counter", "torch load", "torch.hub load", "torch._utils _rebuild_qtensor",
        "torch._utils _rebuild_sparse_tensor", "torch.storage _load_from_bytes", "torch.nn.modules.linear Linear", "torch QInt8Storage", "numpy.core.multiarray _reconstruct", "_codecs encode",
        "torch.jit._pickle restore_type_tag", "torch TensorType", "torch ", " OrderedDict", " ",
    };
    char text[256];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        size_t n = (size_t)snprintf(text, sizeof text, "c%s\n.", good[i]), space = strcspn(text, " ");
        text[space] = '\n';
        pickle_free(read_text(text, n));
        for (size_t k = 1; k + 2 < n; k++) { /* no name differs from another in a single letter's case, nor by a letter less */
            char near[256];
            memcpy(near, text, n + 1);
            near[k] ^= 0x20;
            refused(near, n, k == space ? "a name without an end" : "refused");
        }
        text[n - 2] = 'x';
        text[n - 1] = '\n';
        text[n] = '.';
        refused(text, n + 1, "refused");
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char words[256];
        size_t n = (size_t)snprintf(text, sizeof text, "c%s\n.", bad[i]), space = strcspn(text, " ");
        snprintf(words, sizeof words, "wants to call %s: refused", bad[i]);
        words[strlen("wants to call ") + space - 1] = '.';
        text[space] = '\n';
        refused(text, n, words);
    }
}

static const view plain = {.storage = "FloatStorage", .key = "0", .numel = 6, .rank = 2, .size = {2, 3}, .stride = {3, 1}};

static void test_tensor(void **state)
{
    (void)state;
    bytes b = {0};
    OP(&b, "}");
    pk_str(&b, "w");
    pk_tensor(&b, plain);
    OP(&b, "s.");
    pickle *x = read_ok(&b);
    const pickle_items *d = pickle_root(x).u.items;
    assert_true(d->tensors && d->n == 2);
    const pickle_tensor *t = d->at[1].u.tensor;
    assert_int_equal(d->at[1].kind, PICKLE_TENSOR);
    assert_true(t->type == DT_F32 && t->rank == 2 && t->size[1] == 3 && t->stride[0] == 3 && t->offset == 0 && t->nbytes == 24);
    assert_true(t->storage->numel == 6 && t->storage->nbytes == 24 && t->storage->key.len == 1 && *t->storage->key.u.s == '0');
    assert_int_equal(pickle_storages(x), 1);
    assert_ptr_equal(pickle_storage_at(x, 0), t->storage);
    pickle_free(x);
    bytes_free(&b);
    static const struct { view v; dtype type; uint64_t nbytes; } all[] = {
        {{"HalfStorage", "0", 8, 7, 0, {0}, {0}, NULL, 0}, DT_F16, 2},
        {{"UntypedStorage", "0", 8, 0, 1, {8}, {1}, NULL, 0}, DT_U8, 8},
        {{"UntypedStorage", "0", 8, 1, 1, {3}, {1}, "uint16", 0}, DT_U16, 6},
        {{"UntypedStorage", "0", 9, 0, 2, {2, 1}, {1, 99}, "float32", 0}, DT_F32, 8},
        {{"UntypedStorage", "0", 8, 0, 1, {8}, {1}, "float8_e4m3fn", 0}, DT_F8_E4M3, 8},
        {{"UntypedStorage", "0", 8, 0, 1, {8}, {1}, "float8_e5m2", 0}, DT_F8_E5M2, 8},
        {{"UntypedStorage", "0", 8, 0, 1, {1}, {1}, "uint64", 0}, DT_U64, 8},
        {{"ComplexFloatStorage", "0", 2, 1, 1, {1}, {7}, NULL, 0}, DT_C64, 8},
        {{"LongStorage", "0", 4, 4, 2, {0, 3}, {3, 1}, NULL, 0}, DT_I64, 0},
        {{"FloatStorage", "0", 0, 7, 2, {2, 0}, {1, 1}, NULL, 0}, DT_F32, 0}, /* torch.empty(9, 0)[7:] */
        {{"BoolStorage", "0", 1, 0, 3, {2, 3, 4}, {0, 0, 0}, NULL, 0}, DT_BOOL, 24},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        pk_tensor(&b, all[i].v);
        OP(&b, ".");
        x = read_ok(&b);
        assert_int_equal(pickle_root(x).u.tensor->type, all[i].type);
        assert_int_equal(pickle_root(x).u.tensor->nbytes, all[i].nbytes);
        pickle_free(x);
        b.n = 0;
    }
    bytes_free(&b);
}

static void tensor_refused(view v, const char *words)
{
    bytes b = {0};
    pk_tensor(&b, v);
    OP(&b, ".");
    refused((const char *)b.p, b.n, words);
    bytes_free(&b);
}

static void test_tensor_refused(void **state)
{
    (void)state;
    view v;
#define WITH(change, words) (v = plain, v.change, tensor_refused(v, words))
    WITH(numel = 5, "REDUCE|reaches to element 5 of a storage of 5");
    WITH(numel = UINT64_MAX, "storage's number of elements|found a negative number");
    WITH(numel = 1ull << 62, "storage of 4611686018427387904 elements: over 2^64 bytes");
    WITH(offset = 1, "reaches to element 6 of a storage of 6");
    WITH(offset = INT64_MAX, "reaches to element 9223372036854775812");
    WITH(offset = UINT64_MAX, "offset of a tensor|negative");
    WITH(size[0] = 3, "reaches to element 8");
    WITH(size[1] = UINT64_MAX, "size of a tensor|negative");
    WITH(stride[0] = 4, "reaches to element 6");
    WITH(stride[0] = UINT64_MAX, "stride of a tensor|negative");
    WITH(stride[0] = 1ull << 61, "reaches to element 2305843009213693954");
    v = plain, v.size[0] = v.size[1] = v.stride[0] = 1ull << 32, tensor_refused(v, "over 2^64 bytes");
    v = plain, v.size[0] = 5, v.stride[0] = INT64_MAX, tensor_refused(v, "strides reach beyond 2^64");
    REFUSED("ctorch\nTensor\n)R.", "calls torch.Tensor, which makes no weights");
    WITH(storage = "NopeStorage", "call torch.NopeStorage: refused");
    WITH(parts = 6, "persistent id: 6 parts, expected 5");
    WITH(dtype = "complex128", "torch.complex128: safetensors has no such dtype");
    WITH(dtype = "Size", "dtype of a tensor: expected a dtype");
    REFUSED("ctorch._utils\n_rebuild_tensor\n)R.", "a tensor of 0 arguments, expected 4");
    REFUSED("ctorch._utils\n_rebuild_tensor\n(NNNNtR.", "tensor: expected a storage, found None");
    REFUSED("ctorch._utils\n_rebuild_parameter\n(NNNtR.", "parameter: expected a tensor, found None");
    REFUSED("ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR.", "expected a function that rebuilds tensors");
    REFUSED("ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._tensor\n_rebuild_from_type_v2\nNNNtR.", "expected a function that rebuilds tensors");
    REFUSED("(X\6\0\0\0moduleNNNNtQ.", "pickled module|state_dict()");
    REFUSED("(X\7\0\0\0storageNNNNtQ.", "type of the storage");
    REFUSED("(X\7\0\0\0storagectorch.storage\nTypedStorage\nNNNtQ.", "type of the storage");
    REFUSED("(X\7\0\0\0storagectorch\nIntStorage\nNNNtQ.", "key of the storage: expected a string");
}

/* A conjugate view's bytes are not its values. */
static void test_metadata(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        bytes b = {0};
        pk_tensor(&b, plain);
        b.n -= 2; /* back into the arguments */
        if (full) {
            OP(&b, "}");
            pk_str(&b, "conj");
            OP(&b, "\x88stR.");
            refused((const char *)b.p, b.n, "metadata|conjugate");
        } else {
            OP(&b, "}tR.");
            pickle_free(read_ok(&b));
        }
        bytes_free(&b);
    }
}

static void test_parameters(void **state)
{
    (void)state;
    static const struct { const char *module, *name, *tail, *words; } all[] = {
        {"torch._utils", "_rebuild_parameter", "\x88" ORDERED_DICT "tR.", NULL},
        {"torch._utils", "_rebuild_parameter_with_state", "\x88" ORDERED_DICT "}tR.", NULL},
        {"torch.nn.parameter", "Parameter", "\x88tR.", NULL},
        {"torch.nn.parameter", "Parameter", "t\x81.", NULL},
        {"torch.nn.parameter", "Parameter", "\x88tRNNN\x87" "b.", NULL},
        {"torch.nn.parameter", "Parameter", "\x88tR(NNNNtb.", "state that would change its values"},
        {"torch.nn.parameter", "Parameter", "NNtR.", "a parameter of 3 arguments"},
        {"torch._utils", "_rebuild_parameter", "\x88tR.", "a parameter of 2 arguments"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        bytes b = {0};
        pk_global(&b, all[i].module, all[i].name);
        OP(&b, "(");
        pk_tensor(&b, plain);
        put(&b, all[i].tail, strlen(all[i].tail));
        if (all[i].words) {
            refused((const char *)b.p, b.n, all[i].words);
        } else {
            pickle *x = read_ok(&b);
            assert_int_equal(pickle_root(x).kind, PICKLE_TENSOR);
            assert_int_equal(pickle_root(x).u.tensor->nbytes, 24);
            pickle_free(x);
        }
        bytes_free(&b);
    }
    bytes b = {0};
    pk_tensor(&b, plain); /* Tensor.set_ by its state */
    OP(&b, "NNN\x87" "b.");
    refused((const char *)b.p, b.n, "BUILD|a state for a tensor");
    b.n = 0;
    OP(&b, "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch.nn.parameter\nParameter\n(");
    pk_storage(&b, "FloatStorage", "0", 6, 5);
    OP(&b, "K\0K\6\x85K\1\x85\x89" ORDERED_DICT "t}tR.");
    pickle *x = read_ok(&b);
    assert_int_equal(pickle_root(x).u.tensor->nbytes, 24);
    pickle_free(x);
    bytes_free(&b);
}

/* Rank is bounded; sizes and strides go in pairs. */
static void test_rank(void **state)
{
    (void)state;
    for (unsigned rank = 60; rank < 70; rank++) {
        bytes b = {0};
        pk_global(&b, "torch._utils", "_rebuild_tensor");
        OP(&b, "(");
        pk_storage(&b, "FloatStorage", "0", 6, 5);
        OP(&b, "K\0");
        for (int k = 0; k < 2; k++) {
            OP(&b, "(");
            for (unsigned i = 0; i < rank; i++) OP(&b, "K\1");
            OP(&b, "t");
        }
        OP(&b, "tR.");
        if (rank <= PICKLE_RANK) pickle_free(read_ok(&b));
        else refused((const char *)b.p, b.n, "dimensions, PyTorch has at most 64");
        bytes_free(&b);
    }
    REFUSED("ctorch._utils\n_rebuild_tensor\n((X\7\0\0\0storagectorch\nIntStorage\nX\1\0\0\0" "0X\3\0\0\0cpuK\1tQK\0K\1\x85)tR.", "a tensor of 1 sizes and 0 strides");
}

/* Every cut is refused with words; a changed byte is refused or harmless. */
static void test_mutations(void **state)
{
    (void)state;
    bytes b = {0};
    OP(&b, "\x80\2" ORDERED_DICT "q\0(");
    pk_str(&b, "a");
    pk_tensor(&b, plain);
    OP(&b, "q\1");
    pk_str(&b, "b");
    OP(&b, "h\1u}");
    pk_str(&b, "_metadata");
    OP(&b, "Nsb.");
    pickle_free(read_ok(&b));
    for (size_t n = 0; n < b.n; n++) refused((const char *)b.p, n, "byte ");
    for (size_t i = 0; i < b.n; i++) {
        unsigned char old = b.p[i];
        for (int v = 0; v < 256; v++) {
            size_t used;
            pith_err e = {{0}};
            b.p[i] = (unsigned char)v;
            pickle *x = pickle_read(b.p, b.n, 5, &used, &e);
            assert_true(x ? used <= b.n : e.msg[0] != 0);
            pickle_free(x);
        }
        b.p[i] = old;
    }
    bytes_free(&b);
}

/* The kinds of things that stand where another must. */
static void test_wrong_kinds(void **state)
{
    (void)state;
#define DICT "ccollections\nOrderedDict\n"
#define TYPED "ctorch._tensor\n_rebuild_from_type_v2\n("
#define V2 "ctorch._utils\n_rebuild_tensor_v2\n"
    pickle_free(READ(DICT "]K\1K\2\x86" "a\x85R."));
    REFUSED(DICT "]]K\1aa\x85R.", "expected a key and a value, found a list");
    REFUSED(DICT "]K\1\x85" "a\x85R.", "expected a key and a value, found a tuple");
    REFUSED(DICT "]](K\1K\2K\3ea\x85R.", "expected a key and a value, found a list");
    REFUSED(DICT "]]K\1\x86" "a\x85R.", "key of an OrderedDict: expected a string, found a list");
    REFUSED(DICT "]}K\1\x86" "a\x85R.", "key of an OrderedDict: expected a string, found a dict");
    REFUSED(DICT "]\x8fK\1\x86" "a\x85R.", "key of an OrderedDict: expected a string, found a set");
    REFUSED(DICT "]]\x86R.", "something else than one list");
    REFUSED("ctorch\nSize\nK\1\x85R.", "torch.Size of something else than a tuple");
    REFUSED("ctorch\nSize\n))\x86R.", "torch.Size of something else than a tuple");
    REFUSED(TYPED "NtR.", "1 arguments, expected 4");
    REFUSED(TYPED "ctorch\nSize\nNNNtR.", "expected a function that rebuilds tensors");
    REFUSED(TYPED V2 "NNNtR.", "expected torch.Tensor or Parameter, found None");
    REFUSED(TYPED V2 "ctorch\nSize\nNNtR.", "expected torch.Tensor or Parameter");
    REFUSED(TYPED V2 "ctorch\nTensor\nNNtR.", "arguments of a call: expected a tuple, found None");
    REFUSED(DICT ")R}U\011__class__K\1sb.", "checkpoint wants to set the attribute __class__: refused");
    REFUSED(DICT ")R}K\1K\1sb.", "name of an attribute: expected a string, found a whole number");
    REFUSED(DICT ")R]b.", "attributes of a dict: expected a dict, found a list");
    REFUSED("]}b.", "a state for a list");
    pickle_free(READ(DICT ")R}(U\1aK\1U\2_bK\2ub."));
#define STORAGE(type, key, device, n) "(U\7storage" type key device n "tQ."
    REFUSED(STORAGE("N", "U\0010", "U\3cpu", "K\1"), "type of the storage: expected one with a known dtype, found None");
    REFUSED(STORAGE("ctorch\nSize\n", "U\0010", "U\3cpu", "K\1"), "type of the storage: expected one with a known dtype");
    REFUSED(STORAGE("ctorch\nFloatStorage\n", "K\1", "U\3cpu", "K\1"), "key of the storage: expected a string");
    REFUSED(STORAGE("ctorch\nFloatStorage\n", "U\0010", "N", "K\1"), "device of the storage: expected a string");
    REFUSED(STORAGE("ctorch\nFloatStorage\n", "U\0010", "U\3cpu", "N"), "number of elements: expected a whole number of 0 or more");
    REFUSED(STORAGE("ctorch\nFloatStorage\n", "U\0010", "U\3cpu", "J\377\377\377\377"), "number of elements: expected a whole number of 0 or more");
    REFUSED(STORAGE("ctorch\nFloatStorage\n", "U\0010", "U\3cpu", "\x8a\x08\377\377\377\377\377\377\377\177"), "over 2^64 bytes");
    REFUSED("NQ.", "persistent id: expected a tuple, found None");
    REFUSED(")Q.", "0 parts, expected 5");
    REFUSED("(U\6moduleNNNNtQ.", "pickled module");
    REFUSED("(NNNNNtQ.", "persistent id: expected a storage");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars), cmocka_unit_test(test_memo), cmocka_unit_test(test_big_memo), cmocka_unit_test(test_deep), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_opcodes), cmocka_unit_test(test_names), cmocka_unit_test(test_tensor), cmocka_unit_test(test_tensor_refused), cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_parameters), cmocka_unit_test(test_rank), cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_wrong_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
