/* turns: a conversation: a list of messages, as a model's chat template sees it, as a file, and as tokens. */
#ifndef CLI_TURNS_H
#define CLI_TURNS_H
#include "pith.h"

typedef struct turn {
    char *role, *content; /* "system", "user", "assistant"; content has len bytes */
    size_t len;
} turn;

/* A zeroed struct is valid and empty. */
typedef struct turns {
    turn *turn;
    size_t n, cap;
} turns;

int turns_add(turns *t, const char *role, const char *content, size_t len, pith_err *e);
/* Takes turns away, from `from` on. */
void turns_cut(turns *t, size_t from);
/* Takes turns [from, to) away. */
void turns_drop(turns *t, size_t from, size_t to);
/* The system message; NULL or "": none. */
int turns_system(turns *t, const char *content, pith_err *e);
int turns_has_system(const turns *t);
void turns_free(turns *t);

/* Rendered with the template, the assistant's turn opened, and tokenized: special tokens are read in the template's own
 * text only. */
int turns_tokens(const turns *t, const pith_template *p, const pith_tokenizer *k, pith_tokens *out, pith_err *e);
/* A JSON array of {"role", "content"}; the file appears complete or not at all. */
int turns_save(const turns *t, const char *path, pith_err *e);
/* Replaces t, which stays as it was on an error. */
int turns_load(turns *t, const char *path, pith_err *e);

#endif
