/* pith: opens a Hugging Face model directory as it was downloaded and computes with it.
 *
 *     pith_err e = {0};
 *     pith_model *m = pith_model_open("path/to/model", NULL, &e);
 *     pith_session *s = m ? pith_session_new(m, &e) : NULL;
 *     float scores[8], logits[8];
 *     pith_result r = {0};
 *     r.scores = scores, r.logits = logits;
 *     pith_text t = {"A wonderful film.", 17, NULL, 0};
 *     if (!s || pith_classify(s, &t, 1, NULL, &r, &e)) fprintf(stderr, "%s\n", e.msg);
 *     else printf("%s %.4f\n", pith_model_label(m, r.label), scores[r.label]);
 *     pith_session_free(s);
 *     pith_model_close(m);
 *
 * A model is immutable and may be shared by threads; a session belongs to one thread at a time. The library never
 * prints, exits, aborts or installs a signal handler. Results are the same bits for any batch, number of threads and
 * exact kernel set. Strings are UTF-8. C11 and C++. */
#ifndef PITH_H
#define PITH_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PITH_API __attribute__((visibility("default")))
#else
#define PITH_API
#endif

#define PITH_VERSION "0.1.0"
#define PITH_ERR_MAX 1024

/* Every fallible function takes one, last. Start from {0}; on failure msg says what, where, why and what next.
 * A message that is already there is kept: the first cause wins. */
typedef struct pith_err {
    char msg[PITH_ERR_MAX];
} pith_err;

typedef struct pith_model pith_model;
typedef struct pith_session pith_session;

PITH_API const char *pith_version(void);

/* ---- models ---- */

typedef struct pith_model_options {
    int threads;         /* workers for packing and for sessions; 0: as many as processors */
    const char *kernels; /* kernel set by name; NULL: the environment's PITH_KERNELS, else the best exact one */
    int no_mmap;         /* read the weights instead of mapping them */
} pith_model_options;

/* dir: config.json, *.safetensors, tokenizer files (may be absent: then only token ids can be computed).
 * NULL on error: missing or broken files, an unsupported architecture (the supported ones are listed), a config that
 * contradicts the weights. */
PITH_API pith_model *pith_model_open(const char *dir, const pith_model_options *o, pith_err *e);
PITH_API void pith_model_close(pith_model *m);

PITH_API const char *pith_model_type(const pith_model *m);     /* config.json "model_type" */
PITH_API const char *pith_model_kernels(const pith_model *m);  /* name of the kernel set that runs */
PITH_API int pith_model_threads(const pith_model *m);
PITH_API uint64_t pith_model_parameters(const pith_model *m);
PITH_API uint64_t pith_model_weight_bytes(const pith_model *m); /* packed, in memory */
PITH_API size_t pith_model_hidden_size(const pith_model *m);
PITH_API size_t pith_model_vocab_size(const pith_model *m);
PITH_API size_t pith_model_max_positions(const pith_model *m);
/* What classify truncates to: min of the tokenizer's model_max_length and max positions. */
PITH_API size_t pith_model_max_length(const pith_model *m);
PITH_API size_t pith_model_n_labels(const pith_model *m);       /* 0: no classification head */
PITH_API const char *pith_model_label(const pith_model *m, size_t i);
/* Index of a label by name, else by decimal id; -1: neither. */
PITH_API int pith_model_label_index(const pith_model *m, const char *name);
PITH_API size_t pith_model_warnings(const pith_model *m);
PITH_API const char *pith_model_warning(const pith_model *m, size_t i);
/* Is addr inside the model's mapped files? The file's name, else NULL. Async-signal-safe. */
PITH_API const char *pith_model_mapped_at(const pith_model *m, const void *addr);

/* ---- sessions: working memory for one thread ---- */

PITH_API pith_session *pith_session_new(const pith_model *m, pith_err *e);
PITH_API void pith_session_free(pith_session *s);

/* One sequence of token ids as the model sees it (special tokens included). */
typedef struct pith_seq {
    const int32_t *ids;      /* [n] */
    const uint8_t *type_ids; /* [n] or NULL: all 0 */
    size_t n;                /* 1 .. pith_model_max_positions */
} pith_seq;

/* One forward over n sequences, packed without padding. logits: [n][n_labels] or NULL; hidden: final hidden states
 * [sum of n][hidden_size] or NULL. Errors: an id outside the vocabulary, a sequence too long or empty, memory. */
PITH_API int pith_run(pith_session *s, const pith_seq *seqs, size_t n, float *logits, float *hidden, pith_err *e);

/* ---- text ---- */

typedef struct pith_tokens {
    size_t n;
    const int32_t *ids;
    const uint8_t *type_ids;
    const uint8_t *special;       /* 1: added by the tokenizer, not from the text */
    const uint64_t *begin, *end;  /* byte offsets into the text */
    size_t n_full;                /* tokens before truncation */
    size_t n_replaced;            /* invalid UTF-8 sequences read as U+FFFD */
} pith_tokens;

typedef struct pith_tokenize_options {
    int no_special;       /* leave out the tokens the tokenizer adds */
    int no_parse_special; /* special tokens written in the text are text */
    int strict;           /* invalid UTF-8 is an error */
    size_t max_length;    /* 0: no truncation */
} pith_tokenize_options;

typedef struct pith_tokenizer pith_tokenizer;
/* A tokenizer alone (dir needs only tokenizer files). */
PITH_API pith_tokenizer *pith_tokenizer_open(const char *dir, pith_err *e);
PITH_API void pith_tokenizer_close(pith_tokenizer *t);
/* The model's own (NULL if the directory has none); lives as long as the model. */
PITH_API const pith_tokenizer *pith_model_tokenizer(const pith_model *m);
/* Encodes text and, unless NULL, pair. *out stays valid until pith_tokens_free. */
PITH_API int pith_tokenize(const pith_tokenizer *t, const char *text, size_t len, const char *pair, size_t pair_len,
                           const pith_tokenize_options *o, pith_tokens *out, pith_err *e);
PITH_API void pith_tokens_free(pith_tokens *x);
/* Ids to text; *out is freed with pith_free. */
PITH_API int pith_detokenize(const pith_tokenizer *t, const int32_t *ids, size_t n, int skip_special, char **out,
                             size_t *len, pith_err *e);
PITH_API const char *pith_token_piece(const pith_tokenizer *t, int32_t id); /* NULL: no such id */
PITH_API void pith_free(void *p);

/* ---- chat templates: conversations to prompts, as transformers' apply_chat_template ---- */

typedef struct pith_template pith_template; /* immutable, may be shared by threads */
typedef struct pith_range {
    size_t begin, end;
} pith_range;

typedef struct pith_template_options {
    int no_generation_prompt; /* do not open the assistant's turn */
    const char *name;         /* of a template, where a directory has several; NULL: by whether there are tools */
    const char *tools;        /* JSON array; NULL: none */
    const char *documents;    /* JSON array; NULL: none */
    const char *variables;    /* JSON object of more variables (enable_thinking, ...); NULL: none */
    int year, month, day;     /* today, for templates that write the date; all 0: the local date */
} pith_template_options;

typedef struct pith_prompt {
    char *text; /* NUL-terminated */
    size_t len;
    /* Bytes of text that came out of messages, tools or documents, ascending and apart: no special token may be read
     * there, or a user could forge turns. */
    pith_range *foreign;
    size_t n_foreign;
} pith_prompt;

/* dir needs only tokenizer_config.json or chat_template.jinja. NULL: there is none, or it does not parse (with line). */
PITH_API pith_template *pith_template_open(const char *dir, pith_err *e);
/* One template file; bos and eos may be NULL. */
PITH_API pith_template *pith_template_open_file(const char *path, const char *bos, const char *eos, pith_err *e);
PITH_API void pith_template_close(pith_template *t);
/* messages: a JSON array of {role, content, ...}. *out is freed with pith_prompt_free. -1 where the template raises
 * (its message is in e), misuses a value, or takes more steps, memory (512 MiB) or text (64 MiB) than is allowed. */
PITH_API int pith_template_render(const pith_template *t, const char *messages, size_t len,
                                  const pith_template_options *o, pith_prompt *out, pith_err *e);
PITH_API void pith_prompt_free(pith_prompt *p);

/* ---- classification ---- */

typedef enum pith_activation { PITH_ACTIVATION_AUTO, PITH_ACTIVATION_SOFTMAX, PITH_ACTIVATION_SIGMOID, PITH_ACTIVATION_NONE } pith_activation;
typedef enum pith_long { PITH_LONG_TRUNCATE, PITH_LONG_HEAD_TAIL, PITH_LONG_WINDOW } pith_long;
typedef enum pith_pool { PITH_POOL_MEAN, PITH_POOL_MAX } pith_pool;

typedef struct pith_classify_options {
    pith_activation activation; /* auto: by problem_type and number of labels, as transformers' pipeline */
    pith_long long_text;        /* what happens to a text over max_length */
    pith_pool pool;             /* of windows' scores and logits */
    size_t max_length;          /* 0: pith_model_max_length */
    size_t stride;              /* from one window to the next, in tokens, at most a window; 0: half a window */
    size_t batch_tokens;        /* upper bound of tokens in one forward; 0: 8192 */
    int strict;                 /* invalid UTF-8 is an error */
    int no_parse_special;
} pith_classify_options;

typedef struct pith_text {
    const char *text;
    size_t len;
    const char *pair; /* NULL: none */
    size_t pair_len;
} pith_text;

typedef struct pith_result {
    float *scores; /* [n_labels], the caller's: activation of the logits */
    float *logits; /* [n_labels], the caller's */
    int label;     /* index of the highest score; -1 if a logit is NaN */
    size_t n_tokens;   /* that the model saw (all windows together) */
    size_t n_full;     /* before truncation */
    size_t n_windows;
    int truncated;     /* some of the text was not seen */
    size_t n_replaced; /* invalid UTF-8 sequences */
} pith_result;

/* Classifies n texts; rows are packed by length, results are in the order given and do not depend on the packing.
 * The row that failed is named in the message ("text 3: ..."); nothing is promised about results then. */
PITH_API int pith_classify(pith_session *s, const pith_text *texts, size_t n, const pith_classify_options *o,
                           pith_result *results, pith_err *e);

/* Influence of each word (run of non-space characters) of a text on one label's score: the score of the whole text
 * minus the score without the word. Words beyond max_length are not asked about. *words is freed with pith_free. */
typedef struct pith_word {
    size_t begin, end; /* bytes of text */
    float influence;   /* in [-1, 1] for softmax and sigmoid */
} pith_word;
PITH_API int pith_explain(pith_session *s, const char *text, size_t len, int label, const pith_classify_options *o,
                          pith_word **words, size_t *n_words, pith_err *e);

/* ---- weights: the files themselves, without a model ---- */

typedef struct pith_weights pith_weights;
typedef struct pith_tensor {
    const char *name;
    const char *dtype; /* as in the file: "F32", "BF16", "I64", ... */
    const uint64_t *shape;
    size_t rank;
    uint64_t nbytes;
    uint64_t offset;   /* of the first byte in its file */
    size_t file;       /* index of its file */
    const void *data;  /* [nbytes], any alignment; NULL if opened for headers only */
} pith_tensor;
typedef struct pith_tensor_stats {
    uint64_t count, n_nan, n_inf, n_zero;
    double min, max, mean; /* of the finite values; NaN if there is none */
} pith_tensor_stats;

enum { PITH_WEIGHTS_NO_MMAP = 1, PITH_WEIGHTS_HEADER_ONLY = 2 };
/* path: a .safetensors file, a .safetensors.index.json, or a directory holding one of them. Every structural rule is
 * checked. flags: PITH_WEIGHTS_*. */
PITH_API pith_weights *pith_weights_open(const char *path, int flags, pith_err *e);
PITH_API void pith_weights_close(pith_weights *w);
PITH_API size_t pith_weights_count(const pith_weights *w);
PITH_API int pith_weights_at(const pith_weights *w, size_t i, pith_tensor *out);             /* -1: no such index */
PITH_API int pith_weights_find(const pith_weights *w, const char *name, pith_tensor *out);   /* -1: no such name */
PITH_API size_t pith_weights_files(const pith_weights *w);
PITH_API const char *pith_weights_file(const pith_weights *w, size_t file, uint64_t *size);
PITH_API size_t pith_weights_metadata_count(const pith_weights *w, size_t file);
PITH_API int pith_weights_metadata(const pith_weights *w, size_t file, size_t i, const char **key, const char **value);
PITH_API size_t pith_weights_warnings(const pith_weights *w);
PITH_API const char *pith_weights_warning(const pith_weights *w, size_t i);
/* Elements [first, first+n) of tensor i as float. -1: out of range, complex or sub-byte dtype. */
PITH_API int pith_weights_read_f32(const pith_weights *w, size_t i, uint64_t first, size_t n, float *out, pith_err *e);
/* Over all elements, in double; wide integers exactly where a double can. -1 for complex and sub-byte dtypes. */
PITH_API int pith_weights_stats(const pith_weights *w, size_t i, pith_tensor_stats *out, pith_err *e);
PITH_API const char *pith_weights_mapped_at(const pith_weights *w, const void *addr); /* as pith_model_mapped_at */

/* xxh3 (64 bits) of len bytes: the hash that `pith logits --hash` prints. */
PITH_API uint64_t pith_hash(const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
