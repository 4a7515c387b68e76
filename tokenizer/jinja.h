/* jinja: an interpreter for chat templates, with the meaning they have in transformers: jinja2's immutable sandbox with
 * trim_blocks and lstrip_blocks, loop controls, `generation` blocks, raise_exception, strftime_now and transformers'
 * tojson. Values behave and print as Python's. What it does not do: include, import, extends, block; whole numbers
 * beyond 64 bits (arithmetic that leaves them is an error; such numbers in the input print as they were written);
 * the filters random, pprint, urlize, striptags, wordwrap, xmlattr; encodings; objects of any kind.
 * A template can do nothing but make text from its variables, within the limits below and 400 KB of stack.
 *
 * The room: jinja_mem (memory, limits, text being built), jinja_value (values), jinja_number (numbers and their text),
 * jinja_text (str, repr, tojson), jinja_unicode (what characters are), jinja_json (JSON to values), jinja_lex, jinja_parse
 * and jinja_stmt (source to tree), jinja_eval, jinja_exec and jinja_global (the tree at work), jinja_filter,
 * jinja_strfilter and jinja_test, jinja_method and jinja_container, jinja_format. */
#ifndef TOKENIZER_JINJA_H
#define TOKENIZER_JINJA_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct jinja_template jinja_template;

typedef struct jinja_syntax {
    bool trim_blocks;           /* the first newline after a block goes */
    bool lstrip_blocks;         /* blanks before a block that begins a line go */
    bool keep_trailing_newline; /* else one newline at the end goes */
} jinja_syntax;

/* Parses UTF-8 source; `name` is used in messages. A template is immutable and may be shared by threads. Errors name the
 * line. syntax NULL: as transformers, trim_blocks and lstrip_blocks. */
jinja_template *jinja_parse(const char *name, const char *text, size_t len, const jinja_syntax *syntax, pith_err *e);
void jinja_free(jinja_template *t);

/* One variable of the context. */
typedef struct jinja_var {
    const char *name; /* NULL: the members of a JSON object are the variables */
    const char *text; /* JSON or the string itself, valid UTF-8; NULL: none */
    size_t len;
    bool json;
    /* The strings in it are somebody else's text: `foreign` of the result tells where they went. */
    bool foreign;
    /* Strings under this key of an object stay the caller's own if they are only letters, digits, '_' and '-' (the role of
     * a message, which templates put into special tokens). NULL: no exception. */
    const char *plain_key;
} jinja_var;

typedef struct jinja_date {
    int year, month, day, hour, minute, second;
} jinja_date;

/* 0 in any of them: the default. */
typedef struct jinja_limits {
    uint64_t steps; /* 10 million: a node, an item, or 32 bytes looked at */
    size_t memory;  /* everything a rendering holds: 40 MiB and 32 times the variables, 512 MiB at most */
    size_t output;  /* 64 MiB */
} jinja_limits;

enum {
    /* What minja, the renderer of llama.cpp, does beyond jinja2's immutable sandbox: list and dict methods that change
     * their object work; none trims to "". */
    JINJA_MINJA = 1,
    /* The value model of huggingface.js: booleans, none, lists and dicts print as JSON, text + number joins, a filtered
     * sequence is a list, `null` is none, 1 and true differ. */
    JINJA_JAVASCRIPT = 2
};

typedef struct jinja_options {
    jinja_limits limits;
    const jinja_date *now; /* of strftime_now; NULL: the function does not exist */
    unsigned flags;
} jinja_options;

typedef struct jinja_result {
    char *text; /* NUL-terminated */
    size_t len;
    /* Bytes of text that came from foreign variables: ascending, apart, non-empty. A byte counts as foreign if it was copied
     * from such a string or computed from one. Exact, byte by byte, through output, + ~ * join slices indexing trim strip
     * split replace indent case changes format tojson escape str() repr() and the loops over them; any other function
     * that makes a string from a foreign one gives a string that is foreign as a whole. Numbers, booleans and the choices
     * a template makes carry no mark. */
    pith_range *foreign;
    size_t n_foreign;
} jinja_result;

/* Renders. -1 where the template raised ("NAME: line N: TemplateError: what it said"), used a value wrongly or left its
 * limits; *out is then empty. o may be NULL. */
int jinja_render(const jinja_template *t, const jinja_var *vars, size_t n, const jinja_options *o, jinja_result *out,
                 pith_err *e);
void jinja_result_free(jinja_result *r);

#endif
