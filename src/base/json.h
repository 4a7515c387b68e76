/* json: the one door to cJSON, for configs and request bodies. Getters are typed; their errors carry the document's
 * name and the key path ("config.json: rope_scaling.factor: expected a number, found \"x\""). */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/err.h"
#include <stdint.h>
#include <stdio.h>

/* From now on cJSON's memory, that of the whole process, comes by base/mem. */
void json_use_mem(void);

struct cJSON;
typedef struct json_doc json_doc;
/* A value inside a document, passed by value; node is NULL for "not there". */
typedef struct json {
    const struct cJSON *node;
    const json_doc *doc;
} json;

typedef enum json_type { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } json_type;

/* `name` is used in messages. The text must be one JSON value and UTF-8, without \u0000 in a string;
 * line and column of a fault are told. */
json_doc *json_parse(const char *name, const char *text, size_t len, pith_err *e);
/* A file that comes with a model: refused where it would take more than 64 MB beyond 1.2 times its size. */
json_doc *json_load(const char *path, pith_err *e);
/* One that lists a vocabulary, whose values are short and many: more than 64 MB beyond 9 times its size. */
json_doc *json_load_vocabulary(const char *path, pith_err *e);
/* A file of the user's own. */
json_doc *json_load_own(const char *path, pith_err *e);
void json_free(json_doc *d);
json json_root(const json_doc *d);

json_type json_typeof(json v);
/* Member by exact name; the last of duplicates, as Python's json. node NULL if v is no object or has none. Linear. */
json json_get(json v, const char *key);
/* Walk an array or object: for (json c = json_first(v); c.node; c = json_next(c)). */
json json_first(json v);
json json_next(json v);
size_t json_len(json v); /* linear */
const char *json_key(json v); /* of a member; "" otherwise */
/* "" / 0 / false where the type differs. */
const char *json_str(json v);
double json_num(json v);
int json_true(json v);

/* Required members. 0, or -1 with key path, expected and found. */
int json_get_size(json obj, const char *key, uint64_t min, uint64_t max, uint64_t *out, pith_err *e);
int json_get_num(json obj, const char *key, double *out, pith_err *e);
int json_get_str(json obj, const char *key, const char **out, pith_err *e);
int json_get_bool(json obj, const char *key, int *out, pith_err *e);
int json_get_array(json obj, const char *key, json *out, pith_err *e);
int json_get_object(json obj, const char *key, json *out, pith_err *e);
/* The same with a default where the member is absent or null; a wrong type is still an error. */
int json_opt_size(json obj, const char *key, uint64_t min, uint64_t max, uint64_t def, uint64_t *out, pith_err *e);
int json_opt_num(json obj, const char *key, double def, double *out, pith_err *e);
int json_opt_str(json obj, const char *key, const char *def, const char **out, pith_err *e);
int json_opt_bool(json obj, const char *key, int def, int *out, pith_err *e);
/* v itself as a whole number in [min, max]. */
int json_as_size(json v, uint64_t min, uint64_t max, uint64_t *out, pith_err *e);
/* "expected WHAT, found ..." for v, with its path. Always -1. */
int json_expected(json v, const char *what, pith_err *e);

/* Writes s[0..len) as a JSON string with its quotes; invalid UTF-8 becomes U+FFFD. */
void json_put_str(FILE *f, const char *s, size_t len);
/* Shortest decimal that reads back as the same float; NaN and infinities as null. */
void json_put_f32(FILE *f, float v);
void json_put_f64(FILE *f, double v);
/* The members of an object as raw text, in order: text must have parsed as an object. Calls fn for each; the key is
 * raw (escapes kept, without quotes). What a program passes through must come out as it went in (long integers). */
typedef void json_raw_fn(void *ctx, const char *key, size_t key_len, const char *value, size_t value_len);
void json_raw_members(const char *text, size_t len, json_raw_fn *fn, void *ctx);
/* The raw value of one of them, the last of that name (as written, escapes kept); NULL: it has none. */
const char *json_raw_member(const char *text, size_t len, const char *name, size_t *value_len);
/* The same of an array's items; there are no keys. */
void json_raw_items(const char *text, size_t len, json_raw_fn *fn, void *ctx);

#endif
