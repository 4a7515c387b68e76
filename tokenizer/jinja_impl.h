/* jinja_impl: what the files of the jinja room share. Not for others.
 *
 * Errors stick: the first one sets `failed` of the run; from then on every function returns something harmless (an
 * undefined value, the run's spare list) and loops end. So only loops and entry points look at `failed`. */
#ifndef TOKENIZER_JINJA_IMPL_H
#define TOKENIZER_JINJA_IMPL_H
#include "tokenizer/jinja.h"

typedef struct jrun jrun;
typedef struct jnode jnode;
typedef struct jval jval;
typedef struct jlist jlist;
typedef struct jdict jdict;

/* Where the bytes of a string come from. */
enum { JOURS = 0, JFOREIGN = 1, JMIXED = 2 };

/* Spare room behind a string that is being extended, so that s = s + t in a loop stays linear. */
typedef struct jroom {
    char *p;
    uint8_t *mask; /* [cap] or NULL while all bytes are of one kind */
    size_t used, cap;
} jroom;

/* Immutable; valid UTF-8. */
typedef struct jstr {
    const char *p;
    size_t n;
    const uint8_t *mask; /* JMIXED: [n], 1 = foreign */
    jroom *room;         /* p is room->p, and the string ended the room when it was made; or NULL */
    uint8_t source;
    bool ascii;
} jstr;

typedef enum jtype {
    J_MISSING, /* no value was given; never seen by a template */
    J_UNDEFINED,
    J_NONE,
    J_BOOL,
    J_INT,
    J_BIGINT, /* digits beyond 64 bits, as they were written */
    J_FLOAT,
    J_STR,
    J_LIST,
    J_TUPLE,
    J_VIEW, /* dict.keys(), values(), items() */
    J_ITER, /* what a generator is in Python: goes round once */
    J_RANGE,
    J_DICT,
    J_NAMESPACE,
    J_MACRO,
    J_LOOP,
    J_FUNC
} jtype;

typedef struct jundef {
    const jstr *hint;  /* whole message, or NULL: made from the rest */
    const char *owner; /* type name of the object that lacks `name`; NULL: a variable */
    const jval *name;
} jundef;

struct jval {
    uint8_t type;
    bool markup; /* J_STR: html-safe, as markupsafe's Markup */
    union {
        bool b;
        int64_t i;
        double f;
        const jstr *s;
        jlist *l;
        jdict *d;
        const jundef *undef;
        struct jrange *range;
        struct jmacro *macro;
        struct jloop *loop;
        const struct jfunc *func;
    } u;
};

struct jlist {
    jval *v;
    size_t n, cap;
    size_t at;        /* J_ITER: items handed out */
    const char *name; /* J_ITER, J_VIEW: of the type */
};

struct jdict {
    jval *k, *v; /* [n], in order of insertion */
    size_t n, cap;
    uint32_t *slot; /* [slots] index + 1, 0: free; NULL while small */
    size_t slots;
};

struct jrange {
    int64_t start, stop, step;
    uint64_t n;
};

typedef struct jargs {
    const char *of; /* name of what is called */
    jval *v;
    size_t n;
    const jstr **kw_name;
    jval *kw;
    size_t n_kw;
} jargs;

typedef jval jfn(jrun *r, jval self, const jargs *a);
typedef struct jfunc {
    const char *name;
    jfn *fn; /* NULL: refused by the sandbox */
    jval self;
} jfunc;

typedef struct jscope {
    struct jscope *parent;
    const jstr **name; /* interned: compared by address */
    jval *v;
    size_t n, cap;
    bool kept; /* a macro looks into it */
} jscope;

typedef struct jmacro {
    const jnode *node;
    jscope *scope;
    const char *name;
} jmacro;

typedef struct jloop {
    jlist *items;
    size_t i; /* index0 */
    size_t depth;
    const jnode *node; /* the for, if it is recursive */
    jscope *scope;
    jval last_changed;
} jloop;

/* Text being built. A zeroed one (with r) is empty. */
typedef struct jbuf {
    jrun *r;
    char *p;
    uint8_t *mask;
    size_t n, cap;
    uint8_t source; /* of the bytes so far */
    bool ascii_no;  /* a byte >= 0x80 is in it */
    size_t limit;   /* 0: none but the memory */
} jbuf;

/* Memory of one parse or rendering: freed at once. */
typedef struct jpool {
    struct jblock *small, *big;
    char *at;
    size_t left;
    size_t held; /* bytes taken from the system */
} jpool;

struct jrun {
    jpool pool;
    bool failed;
    pith_err *e;
    const char *name; /* of the template, for messages */
    uint32_t line;
    uint64_t steps; /* left */
    size_t memory;
    size_t depth;
    unsigned flags;
    const jinja_date *now;
    const jinja_template *t;
    jscope *scope;
    jbuf *out;
    jval input; /* of a filter block */
    int jump;   /* break or continue on its way to its loop */
    jlist spare_list;
    jdict spare_dict;
};

enum { JUMP_BREAK = 1, JUMP_CONTINUE };
/* Deepest nesting: of evaluation, and of a value that is read, printed or compared. */
enum { JINJA_DEPTH = 160 }; /* of calls and values: they fit in 80 KB of stack */

/* ---- jinja_mem ---- */
void *jinja_mem_take(jrun *r, size_t n, size_t size); /* zeroed; NULL: failed */
void *jinja_mem_grow(jrun *r, void *p, size_t old_bytes, size_t bytes);
void jinja_mem_release(jpool *p);
/* "NAME: line N: KIND: message"; kind NULL: without. Only the first counts. */
void jinja_mem_fail(jrun *r, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
bool jinja_mem_step(jrun *r, uint64_t n); /* false: failed */
bool jinja_mem_bytes(jrun *r, size_t n);  /* the same, for n bytes looked at */
bool jinja_mem_enter(jrun *r);            /* one level deeper; false: failed; r->depth-- afterwards */
const jstr *jinja_mem_str(jrun *r, const char *p, size_t n, int source); /* copies */
const jstr *jinja_mem_lit(jrun *r, const char *literal);
const jstr *jinja_mem_slice(jrun *r, const jstr *s, size_t begin, size_t end);
const jstr *jinja_mem_concat(jrun *r, const jstr *a, const jstr *b);
void jinja_mem_put(jbuf *b, const char *p, size_t n, int source);
void jinja_mem_puts(jbuf *b, const char *s);
void jinja_mem_putc(jbuf *b, uint32_t c, int source);
void jinja_mem_putstr(jbuf *b, const jstr *s);
void jinja_mem_putslice(jbuf *b, const jstr *s, size_t begin, size_t end);
const jstr *jinja_mem_done(jbuf *b); /* the text as a string; b is used up */
int jinja_mem_source(const jstr *s, size_t byte); /* JOURS or JFOREIGN */

/* ---- jinja_value ---- */
jval jinja_value_undefined(jrun *r, const char *hint);
jval jinja_value_no_name(jrun *r, const jstr *name);
jval jinja_value_no_attr(jrun *r, jval obj, jval name);
/* Fails with the message of an undefined value. */
void jinja_value_undef_fail(jrun *r, jval v);
const char *jinja_value_type(jval v); /* Python's type name */
bool jinja_value_true(jval v);
bool jinja_value_equal(jrun *r, jval a, jval b);
int jinja_value_compare(jrun *r, jval a, jval b); /* -1 0 1; 2: unordered NaN; fails for types without order */
bool jinja_value_contains(jrun *r, jval in, jval what);
int64_t jinja_value_len(jrun *r, jval v); /* fails if it has none */
jlist *jinja_value_list(jrun *r, size_t cap);
void jinja_value_push(jrun *r, jlist *l, jval v);
jdict *jinja_value_dict(jrun *r);
void jinja_value_put(jrun *r, jdict *d, jval k, jval v);
const jval *jinja_value_get(jrun *r, const jdict *d, jval k); /* NULL: not there, or k cannot be a key */
const jval *jinja_value_get_name(jrun *r, const jdict *d, const char *name);
void jinja_value_remove(jrun *r, jdict *d, size_t i);
/* The items of anything iterable as a list (not copied where it is one); an iterator is used up. Fails otherwise. */
jlist *jinja_value_items(jrun *r, jval v);
jval jinja_value_index(jrun *r, jval obj, int64_t i); /* negative from the end; undefined if out of range */
jval jinja_value_slice(jrun *r, jval obj, const jval bound[3]);
size_t jinja_value_chars(jrun *r, const jstr *s);
size_t jinja_value_offset(jrun *r, const jstr *s, size_t chars); /* byte offset of a character */
jval jinja_value_iter(jrun *r, jlist *l, const char *name);

static inline jval jnone(void) { return (jval){.type = J_NONE}; }
static inline jval jbool(bool b) { return (jval){.type = J_BOOL, .u.b = b}; }
static inline jval jint(int64_t i) { return (jval){.type = J_INT, .u.i = i}; }
static inline jval jfloat(double f) { return (jval){.type = J_FLOAT, .u.f = f}; }
static inline jval jstrv(const jstr *s) { return (jval){.type = J_STR, .u.s = s}; }
static inline jval jlistv(jlist *l) { return (jval){.type = J_LIST, .u.l = l}; }
static inline jval jtuplev(jlist *l) { return (jval){.type = J_TUPLE, .u.l = l}; }
static inline jval jdictv(jdict *d) { return (jval){.type = J_DICT, .u.d = d}; }
static inline bool jis(const jstr *s, const char *lit)
{
    size_t n = __builtin_strlen(lit);
    return s->n == n && __builtin_memcmp(s->p, lit, n) == 0;
}

/* ---- jinja_number ---- */
size_t jinja_number_repr(double f, char out[32]);                        /* Python's repr */
/* %f %e %g with a point; alternate: as # has it. */
size_t jinja_number_fixed(double f, int digits, char kind, bool alternate, char *out, size_t cap);
bool jinja_number_parse(const char *p, size_t n, double *out);           /* digits [. digits] [e digits], no sign */
bool jinja_number_float(const jstr *s, double *out);                     /* Python's float(text) */
bool jinja_number_int(const jstr *s, int base, int64_t *out, bool *big); /* Python's int(text, base) */
jval jinja_number_binary(jrun *r, int op, jval a, jval b);               /* numbers only */
jval jinja_number_negate(jrun *r, jval v);
double jinja_number_double(jval v); /* of a bool, int or float */
bool jinja_number_is(jval v);       /* bool, int or float */
bool jinja_number_as_int(jval v, int64_t *out); /* of a bool or int */
jval jinja_number_round(jrun *r, jval v, int64_t digits);

/* ---- jinja_text ---- */
void jinja_text_put(jbuf *b, jval v);  /* str(v) */
void jinja_text_repr(jbuf *b, jval v); /* repr(v) */
const jstr *jinja_text_str(jrun *r, jval v);
typedef struct jdump {
    bool ascii, sort;
    const jstr *indent; /* NULL: one line */
    const jstr *item, *key; /* separators */
} jdump;
void jinja_text_json(jbuf *b, jval v, const jdump *o);
void jinja_text_escape(jbuf *b, const jstr *s); /* html */
const jstr *jinja_text_strftime(jrun *r, const jstr *format);

/* ---- jinja_unicode ---- */
enum { JU_UPPER = 1, JU_LOWER = 2, JU_TITLE = 3 };
size_t jinja_unicode_case(int how, uint32_t c, uint32_t out[3]); /* full mapping; returns how many */
bool jinja_unicode_space(uint32_t c);     /* str.isspace */
bool jinja_unicode_linebreak(uint32_t c); /* str.splitlines */
bool jinja_unicode_printable(uint32_t c);
bool jinja_unicode_alpha(uint32_t c);
bool jinja_unicode_alnum(uint32_t c);
bool jinja_unicode_decimal(uint32_t c);
bool jinja_unicode_digit(uint32_t c);
bool jinja_unicode_numeric(uint32_t c);
bool jinja_unicode_upper(uint32_t c);
bool jinja_unicode_lower(uint32_t c);
bool jinja_unicode_title(uint32_t c);

/* ---- jinja_json ---- */
jval jinja_json_read(jrun *r, const jinja_var *var);

/* ---- the tree ---- */
typedef enum jkind {
    N_DATA, N_PRINT, N_BLOCK, N_IF, N_FOR, N_SET, N_SETBLOCK, N_MACRO, N_CALLBLOCK, N_FILTERBLOCK, N_WITH, N_SCOPE, N_BREAK,
    N_CONTINUE, N_CONST, N_NAME, N_TUPLE, N_LIST, N_DICT, N_ATTR, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_BINARY,
    N_COMPARE, N_OPERAND, N_AND, N_OR, N_NOT, N_NEG, N_POS, N_CONCAT, N_COND, N_NSREF, N_ARG, N_PARAM
} jkind;
enum { ARG_KEYWORD = 1, ARG_STAR, ARG_STARSTAR };
enum { MACRO_CALLER = 1, MACRO_KWARGS = 2, MACRO_VARARGS = 4 };

/* What a, b, c and v hold is told where jinja_parse makes each kind. */
struct jnode {
    uint8_t kind;
    uint8_t op; /* token of an operator; kind of an argument; MACRO_ flags */
    bool flag;  /* recursive for; negated test */
    uint32_t line;
    uint32_t depth;
    jnode *a, *b, *c;
    jnode **v;
    size_t n;
    const jstr *name;
    jval val;
};

/* ---- jinja_lex ---- */
typedef enum jtoken {
    T_EOF, T_DATA, T_VAR_BEGIN, T_VAR_END, T_BLOCK_BEGIN, T_BLOCK_END, T_NAME, T_STRING, T_INTEGER, T_FLOAT, T_ADD, T_SUB,
    T_MUL, T_DIV, T_FLOORDIV, T_MOD, T_POW, T_TILDE, T_EQ, T_NE, T_LT, T_LE, T_GT, T_GE, T_IN, T_NOTIN, T_LPAREN,
    T_RPAREN, T_LBRACKET, T_RBRACKET, T_LBRACE, T_RBRACE, T_DOT, T_COMMA, T_COLON, T_PIPE, T_ASSIGN, T_SEMICOLON
} jtoken;
typedef struct jtok {
    uint8_t type;
    uint32_t line;
    jval val; /* T_DATA T_NAME T_STRING: a string; T_INTEGER, T_FLOAT: the number */
} jtok;
/* All tokens, T_EOF last; NULL: failed. */
jtok *jinja_lex_all(jrun *r, const char *text, size_t len, const jinja_syntax *syntax, size_t *n);
const char *jinja_lex_name(uint8_t type);

/* ---- jinja_parse, jinja_stmt ---- */
typedef struct jparser {
    jrun *r;
    const jtok *t;
    size_t at;
    size_t depth;
    size_t in_loop;
    size_t callers, kwargs, varargs; /* how often the three names were read so far */
    const jstr **names;              /* interned */
    size_t n_names, cap_names, slots;
    uint32_t *slot;
} jparser;
struct jinja_template {
    jpool pool;
    jnode *body;
    const char *name;
    const jstr **names; /* every name it mentions */
    size_t n_names;
    const jstr *loop, *caller, *kwargs, *varargs; /* these of them; NULL: not mentioned */
};
jnode *jinja_parse_node(jparser *p, jkind kind, uint32_t line);
void jinja_parse_fail(jparser *p, uint32_t line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes note of a child, for the depth of the tree. */
jnode *jinja_parse_child(jparser *p, jnode *of, jnode *child);
void jinja_parse_add(jparser *p, jnode *of, jnode *child); /* to v */
bool jinja_parse_is(const jparser *p, uint8_t type);
bool jinja_parse_word(const jparser *p, const char *name);
bool jinja_parse_skip(jparser *p, uint8_t type);
bool jinja_parse_skip_word(jparser *p, const char *name);
const jtok *jinja_parse_expect(jparser *p, uint8_t type);
const jstr *jinja_parse_intern(jparser *p, const jstr *s);
bool jinja_parse_enter(jparser *p); /* one level of nesting; p->depth-- afterwards */
jnode *jinja_parse_expr(jparser *p, bool with_cond);
enum { TUPLE_SIMPLE = 1, TUPLE_NOCOND = 2, TUPLE_PARENS = 4 };
jnode *jinja_parse_tuple(jparser *p, int how, const char *end);
jnode *jinja_parse_filters(jparser *p, jnode *operand, bool inline_first);
jnode *jinja_stmt_body(jparser *p); /* the whole template */

/* ---- jinja_eval ---- */
jval jinja_eval(jrun *r, const jnode *n);
jval jinja_eval_call(jrun *r, jval callee, const jargs *a);
jval jinja_eval_attr(jrun *r, jval obj, jval name); /* obj.name */
jval jinja_eval_item(jrun *r, jval obj, jval key);  /* obj[key] */
jval jinja_eval_add(jrun *r, jval a, jval b);
/* Binds arguments to names ("a b c"): out[i].type is J_MISSING where not given. `need` of them must be. */
bool jinja_eval_bind(jrun *r, const jargs *a, const char *names, size_t need, jval *out);
/* Evaluates the argument nodes v[0..n), with `first` put before them if it is not NULL. */
bool jinja_eval_args(jrun *r, const jnode *of, const jval *first, jargs *out);

/* ---- jinja_global ---- */
jval jinja_global_find(jrun *r, const jstr *name); /* range, namespace, ...; J_MISSING: none */

/* ---- jinja_exec ---- */
void jinja_exec(jrun *r, const jnode *n);
jval jinja_exec_macro(jrun *r, jmacro *m, const jargs *a);
jval jinja_exec_loop(jrun *r, jloop *l, jval items); /* loop(items) */
jval jinja_exec_lookup(jrun *r, const jstr *name);
void jinja_exec_assign(jrun *r, jscope *s, const jstr *name, jval v);
jval jinja_exec_loop_attr(jrun *r, jloop *l, const jstr *name); /* J_MISSING: no such attribute */
jscope *jinja_exec_push(jrun *r, jscope *parent);

/* ---- filters, tests, methods, formats ---- */
jval jinja_filter_apply(jrun *r, const jstr *name, const jargs *a); /* a->v[0] is the operand */
jfn *jinja_strfilter_find(const jstr *name);
bool jinja_test_apply(jrun *r, const jstr *name, const jargs *a);
jval jinja_method_find(jrun *r, jval obj, const jstr *name); /* J_MISSING: no such method */
jfn *jinja_container_find(jrun *r, jval obj, const jstr *name, bool *refused); /* NULL: none */
const jstr *jinja_method_case(jrun *r, const jstr *s, int how); /* JU_ constants; JU_TITLE: str.title */
const jstr *jinja_method_capitalize(jrun *r, const jstr *s);
const jstr *jinja_method_strip(jrun *r, const jstr *s, const jstr *chars, int sides); /* 1 left, 2 right */
const jstr *jinja_method_replace(jrun *r, const jstr *s, const jstr *old, const jstr *by, int64_t count);
jlist *jinja_method_lines(jrun *r, const jstr *s, bool keep_ends);
const jstr *jinja_method_pad(jrun *r, const jstr *s, int64_t width, uint32_t fill, char side, int source);
const char *jinja_method_find_bytes(jrun *r, const char *p, size_t n, const char *what, size_t m);
/* What is put into a format that is html-safe is escaped. */
jval jinja_format_percent(jrun *r, jval format, jval args);
jval jinja_format_braces(jrun *r, jval self, const jargs *a);

#endif
