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
 * exact kernel set. Strings are UTF-8. C11 and C++17. A call takes less than 100 KB of its thread's stack. Two settings are
 * the whole process's, and made before anything else: pith_set_memory and pith_set_log. */
#ifndef PITH_H
#define PITH_H
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX < UINT64_MAX
#error "pith needs a 64-bit machine: files of weights are mapped whole"
#endif
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "pith needs a little-endian machine: weights are used as they lie in their files"
#endif

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

/* ---- the process ---- */

/* As realloc: p NULL: new memory, aligned as malloc's. bytes 0: p (never NULL) is taken back, and NULL returned. NULL for
 * more: there is no memory, p stays as it is, and what was asked of the library fails with a message. Called from any
 * thread; must not call the library. */
typedef void *pith_memory_fn(void *ctx, void *p, size_t bytes);
/* From now on the library's memory comes from fn, for the whole process; fn NULL: from libc, as if never set. -1: something
 * of the library was used before. By fn come objects, working memory, caches, weights that are packed or read (in large
 * blocks, for which huge pages are asked), what the library gives out (pith_free and its kin take it back), and what cJSON
 * and PCRE2 allocate for it; cJSON's setting is the whole process's, too. Not by fn: mapped files, threads and their stacks,
 * machine code of patterns, and what libc, OpenMP, utf8proc, xxHash and OpenBLAS keep for themselves. The workers of a
 * thread that computed are given back when it ends; those of the main thread stay. */
PITH_API int pith_set_memory(pith_memory_fn *fn, void *ctx, pith_err *e);

typedef enum pith_log_level { PITH_LOG_INFO, PITH_LOG_WARNING } pith_log_level;
/* One line without its newline, from the thread that does the work; it lives as long as the call, which must not call the
 * library. */
typedef void pith_log_fn(void *ctx, pith_log_level level, const char *line);
/* Tells fn of models that were opened, with their warnings, packed weights that were taken, threads that the system did
 * not give, and what was set for OpenBLAS; NULL: nobody, as at first. While no other thread is in the library. */
PITH_API void pith_set_log(pith_log_fn *fn, void *ctx);

/* ---- models ---- */

typedef struct pith_model_options {
    int threads;         /* workers for packing and for sessions; 0: as many as processors */
    const char *kernels; /* kernel set by name; NULL: the environment's PITH_KERNELS, else the best exact one */
    int no_mmap;         /* read the weights instead of mapping them */
    /* Matrices are computed with as: "q8" (8 bits and a scale for each 128 weights: 8.125 bits a weight) or "q4" (4.5 bits),
     * with activations rounded to 8 bits; NULL or "auto": as they are in the files, exactly. */
    const char *dtype;
    int pin; /* from now on each worker of this process stays on one processor (Linux) */
} pith_model_options;

/* dir: config.json, *.safetensors, tokenizer files (may be absent: then only token ids can be computed).
 * NULL on error: missing or broken files, an unsupported architecture (the supported ones are listed), a config that
 * contradicts the weights.
 * The weights are mapped and read while the model is open, so those files must stay as they are: a new file under their name
 * (rename) is fine; one that is written over gives other results; touching one that was cut short raises SIGBUS, which the
 * library leaves to the program (pith_model_mapped_at tells a handler whose it is). With no_mmap nothing is read after this. */
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
PITH_API int pith_model_is_causal(const pith_model *m);        /* 1: each token sees those before it (LLaMA and its kin) */
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
    size_t n;                /* 1 .. pith_model_max_positions; any number where rotary positions are dynamic */
} pith_seq;

/* One forward over n sequences, packed without padding. logits: [n][n_labels], or [sum of n][vocab_size] of a causal
 * model without labels, or NULL; hidden: final hidden states
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

typedef struct pith_range {
    size_t begin, end; /* bytes */
} pith_range;

typedef struct pith_tokenize_options {
    int no_special;       /* leave out the tokens the tokenizer adds */
    int no_parse_special; /* special tokens written in the text are text */
    int strict;           /* invalid UTF-8 is an error */
    size_t max_length;    /* 0: no truncation */
    /* What touches these ranges, ascending and apart, is never read as a special token. They go with strict. */
    const pith_range *foreign;
    size_t n_foreign;
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
/* What one token adds to a text that it stands in the middle of: bytes, for a token may be a part of a character. *out is
 * NUL-terminated and freed with pith_free. -1: no such id, memory. */
PITH_API int pith_token_text(const pith_tokenizer *t, int32_t id, char **out, size_t *len, pith_err *e);
PITH_API void pith_free(void *p);

/* ---- chat templates: conversations to prompts, as transformers' apply_chat_template ---- */

typedef struct pith_template pith_template; /* immutable, may be shared by threads */

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
/* Only the words that pith_explain asks about, each with influence 0. */
PITH_API int pith_words(pith_session *s, const char *text, size_t len, const pith_classify_options *o,
                        pith_word **words, size_t *n_words, pith_err *e);

/* ---- embeddings ---- */

typedef enum pith_pooling { PITH_POOLING_AUTO, PITH_POOLING_CLS, PITH_POOLING_MEAN, PITH_POOLING_MAX } pith_pooling;

/* A zeroed struct is what the directory says: modules.json and the files beside it (sentence-transformers; a default prompt
 * stands before every text), else the mean of the tokens, not normalised. */
typedef struct pith_embed_options {
    pith_pooling pooling;  /* final hidden states to one vector: the first token's, the mean or the maximum of all */
    int normalize;         /* to length 1: 0 as the directory says, 1 yes, -1 no */
    size_t dimensions;     /* only the first so many, cut before normalising; 0: all */
    size_t max_length;     /* tokens; 0: as the directory says (max_seq_length), else pith_model_max_length */
    size_t batch_tokens;   /* upper bound of tokens in one forward; 0: 8192 */
    int strict;            /* invalid UTF-8 is an error */
    int no_parse_special;
} pith_embed_options;

/* What a zeroed struct stands for: pooling, normalize (1 or -1), dimensions and max_length of the model's directory. */
PITH_API pith_embed_options pith_embed_options_new(const pith_model *m);
/* Width of a vector; 0: the model gives none (it is causal, or has modules that are not supported: pith_embed says which). */
PITH_API size_t pith_model_embedding_size(const pith_model *m);
/* vectors [n][dimensions or embedding size]; n_tokens [n], what the model saw of each, may be NULL; truncated [n], 1 where
 * that is not all, may be NULL. Texts are packed by length; what one gets does not depend on the others. The text that
 * failed is named in the message ("text 3: ..."); hidden states that are NaN or infinite are an error. With n 0 only the
 * options are checked. */
PITH_API int pith_embed(pith_session *s, const pith_text *texts, size_t n, const pith_embed_options *o, float *vectors,
                        size_t *n_tokens, uint8_t *truncated, pith_err *e);

/* ---- generation ---- */

typedef struct pith_logit_bias {
    int32_t id;
    float bias; /* added to the logit; -INFINITY forbids the token */
} pith_logit_bias;

/* How the next token is picked from the logits. Steps, in the order of transformers (logits processors, then warpers):
 *   1 logit_bias; 2 repetition_penalty, on tokens of prompt and answer: positive logits divided, others multiplied;
 *   3 presence and frequency penalty, on tokens of the answer: logit - presence - times seen * frequency;
 *   temperature 0 ends here with the highest logit. Else
 *   4 logits / temperature; 5 top_k; 6 top_p; 7 min_p; 8 typical_p; each on the softmax of what the one before left;
 *   9 one draw from the softmax of what is left.
 * Of equal logits the lowest id is highest. The draw is u = (next >> 11) * 2^-53 of xoshiro256**, whose four words are
 * the first four outputs of splitmix64 from `seed`; the token is the first in order of ids at which the sum of
 * probabilities exceeds u. One draw a token: the same seed gives the same text on every machine. */
typedef struct pith_sampling {
    float temperature;        /* 0: greedy */
    size_t top_k;             /* the k highest, and those equal to the last of them; 0: all */
    float top_p;              /* the fewest that together reach this probability, at least one; 1: all */
    float min_p;              /* those at least this times as probable as the best; 0: all */
    float typical_p;          /* the fewest closest to the expected surprise that together reach this; 1: all */
    float repetition_penalty; /* 1: none */
    float presence_penalty, frequency_penalty; /* 0: none */
    const pith_logit_bias *bias;
    size_t n_bias;
    uint64_t seed;
} pith_sampling;

typedef struct pith_logprob {
    int32_t id;
    float logprob; /* natural logarithm, of the model's own distribution: before step 1 */
} pith_logprob;

typedef enum pith_finish {
    PITH_FINISH_NONE,
    PITH_FINISH_STOP,   /* an end-of-sequence token, or a stop string */
    PITH_FINISH_LENGTH, /* max_tokens, or the context is full */
    PITH_FINISH_ERROR
} pith_finish;

/* One new token. */
typedef struct pith_token {
    int32_t id;
    const char *text; /* [len], NUL-terminated: what became certain with this token. Whole characters; may be empty
                       * while a character is incomplete or a stop string may be forming. The pieces of an answer make up
                       * its text: special tokens left out, cut before a stop string. "" without a tokenizer. */
    size_t len;
    float logprob;
    const pith_logprob *top; /* [n_top], most probable first */
    size_t n_top;
    size_t n_reused;    /* tokens of the prompt that were found in the cache */
    pith_finish finish; /* not NONE: the last call for this request */
    const char *error;  /* why, if finish is ERROR; id is -1 then */
} pith_token;

/* Called for every new token; not 0: the request ends, without another call. It must not call the generator. */
typedef int pith_on_token(void *ctx, const pith_token *t);

typedef struct pith_request {
    const int32_t *ids; /* [n] the prompt; n = 0: the model's bos token */
    size_t n;
    pith_sampling sampling;
    size_t max_tokens;       /* 0: until the context is full; with shift: without end */
    const char *const *stop; /* [n_stop] strings that end the text; they need a tokenizer */
    size_t n_stop;
    size_t n_top;            /* most probable tokens to tell with each, by logprob */
    int logprobs;            /* tell the token's own logprob (n_top > 0 does too) */
    int ignore_eos;
    /* Where the context is full, go on with the first token and the latest, half a context of them together, as if the
     * text began so; a prompt that is too long loses tokens after its first the same way. Else the one ends the answer
     * and the other is refused. */
    int shift;
    pith_on_token *on_token;
    void *ctx;
} pith_request;

/* A request as the model's generation_config.json has it: sampling (greedy unless do_sample), max_new_tokens. The rest
 * is zero. */
PITH_API pith_request pith_request_new(const pith_model *m);
/* Tokens that end an answer, from generation_config.json, else config.json. */
PITH_API const int32_t *pith_model_eos(const pith_model *m, size_t *n);

typedef struct pith_generator_options {
    /* Tokens of one sequence, prompt and answer. 0: max positions; more only where the model's rotary positions stretch
     * (dynamic): its texts then have the frequencies of that length. */
    size_t context;
    size_t sequences; /* at once; 0: 1 */
    /* Tokens of prompts computed in one step, in equal shares; 0: 512. While answers are being written, 0: 32, so that
     * their next tokens come soon. Neither changes a result. */
    size_t chunk, chunk_busy;
    int half_cache;   /* keys and values are rounded to F16: half the memory */
} pith_generator_options;

typedef struct pith_generator_stats {
    uint64_t prompt_tokens; /* computed */
    uint64_t reused_tokens; /* of prompts, found in the cache */
    uint64_t new_tokens;
    double prefill_seconds; /* of steps that computed prompts */
    double decode_seconds;  /* of the others */
    uint64_t decode_tokens; /* new tokens of the others */
    uint64_t decode_bytes;  /* weights, keys and values the others read */
    uint64_t cache_bytes;   /* keys and values in memory now */
} pith_generator_stats;

/* Writes several texts at once: requests come and go at any time, and what one gets does not depend on the others.
 * Owns the caches; keeps those of finished requests. What any of them holds of a prompt's beginning is not computed again.
 * Belongs to one thread at a time; the model must outlive it. NULL: the model generates no text, or memory.
 *
 *     pith_generator *g = pith_generator_new(m, NULL, &e);
 *     pith_request r = pith_request_new(m);
 *     r.ids = tokens.ids, r.n = tokens.n, r.on_token = print_it;
 *     int more = pith_generator_add(g, &r, &e) ? -1 : 1;
 *     while (more > 0) more = pith_generator_step(g, &e); */
typedef struct pith_generator pith_generator;
PITH_API pith_generator *pith_generator_new(const pith_model *m, const pith_generator_options *o, pith_err *e);
PITH_API void pith_generator_free(pith_generator *g);
PITH_API size_t pith_generator_context(const pith_generator *g);
/* How many more requests pith_generator_add would take now. */
PITH_API size_t pith_generator_room(const pith_generator *g);
/* Everything r points to is copied, but for ctx. Errors: a prompt that leaves no room in the context, ids outside the
 * vocabulary, settings out of range, no room. */
PITH_API int pith_generator_add(pith_generator *g, const pith_request *r, pith_err *e);
/* One forward for all requests: 1: there is more to do; 0: nothing is left; -1: memory. A request that cannot go on (NaN
 * logits, no memory for its cache) ends with PITH_FINISH_ERROR and the others go on. */
PITH_API int pith_generator_step(pith_generator *g, pith_err *e);
/* From now on every step takes chunk_busy tokens of prompts at most: something else waits for the processors. 0: no longer. */
PITH_API void pith_generator_hurry(pith_generator *g, int hurry);
/* For steps that may end early: unwanted is asked between the layers of each, by the thread that runs it. Not 0: the step
 * ends with nothing done, and returns 1; the next one computes the same again, to the same bits. It must not call the
 * generator: what nobody wants any more is cancelled afterwards. NULL: no longer. */
PITH_API void pith_generator_watch(pith_generator *g, int (*unwanted)(void *ctx), void *ctx);
/* Ends the requests whose ctx is this, without another call. */
PITH_API void pith_generator_cancel(pith_generator *g, const void *ctx);
PITH_API pith_generator_stats pith_generator_statistics(const pith_generator *g);

typedef struct pith_score_options {
    size_t window; /* tokens the model sees at once, 2 .. max positions; 0: the smaller of max positions and 2048 */
    size_t stride; /* new tokens of each window after the first, 1 .. window - 1; 0: half the window */
    int (*on_progress)(void *ctx, size_t done); /* tokens done so far; not 0: stop. NULL: none */
    void *ctx;
} pith_score_options;

/* How well the model predicts a text: logprobs[i], the natural logarithm of the probability of ids[i] after the tokens
 * before it; [n], the first is 0, for nothing stands before it. The model sees windows: the first scores all of its
 * tokens, each later one begins window - stride tokens before what it scores, at position 0. So every token but the first
 * is scored once, after at least window - stride others or all there are. Perplexity is e^(-mean of logprobs[1..n)).
 * 0; 1: on_progress stopped it; -1: an id outside the vocabulary, windows out of range, NaN logits, memory. */
PITH_API int pith_score(pith_session *s, const int32_t *ids, size_t n, const pith_score_options *o, float *logprobs,
                        pith_err *e);

/* ---- weights: the files themselves, without a model ---- */

typedef struct pith_weights pith_weights;
typedef struct pith_tensor {
    const char *name;
    const char *dtype; /* safetensors' name of it: "F32", "BF16", "I64", ... */
    const uint64_t *shape;
    size_t rank;
    uint64_t nbytes;
    uint64_t offset;   /* of the first byte in its file */
    size_t file;       /* index of its file */
    size_t index;      /* its own, as pith_weights_at takes it */
    const void *data;  /* [nbytes], row-major, any alignment; NULL if opened for headers only, and for a PyTorch view
                        * whose elements do not lie in a row: pith_weights_read gathers those */
} pith_tensor;
/* count: all elements. Denormals (of the tensor's own dtype) and zeros count among the finite ones, -0 is a zero. */
typedef struct pith_tensor_stats {
    uint64_t count, n_nan, n_inf, n_zero, n_denormal;
    double min, max, mean; /* of the finite values; NaN if there is none */
} pith_tensor_stats;

typedef struct pith_weights_options {
    int no_mmap;     /* read the files instead of mapping them */
    int header_only; /* check everything but give no data */
    const char *key; /* where the tensors of a PyTorch checkpoint lie ("state_dict", "a.b"; "": at its root); NULL: found.
                      * Not looked at where the files are safetensors */
} pith_weights_options;

PITH_API unsigned pith_dtype_bits(const char *dtype); /* of one element: 32 for "F32", 4 for "F4"; 0: no such dtype */

/* path: a .safetensors file, a .safetensors.index.json, a PyTorch checkpoint (.bin, .pt, .pth; zip or legacy stream), its
 * .bin.index.json, or a directory holding one of them. Every structural rule is checked; a pickle is read as data, by
 * an allow-list of names, and nothing in it is ever run. o may be NULL. What is open never changes and may be shared by
 * threads, every function here included; its strings and data live until it is closed. Of mapped files that change
 * meanwhile: see pith_model_open. */
PITH_API pith_weights *pith_weights_open(const char *path, const pith_weights_options *o, pith_err *e);
PITH_API void pith_weights_close(pith_weights *w);
PITH_API const char *pith_weights_format(const pith_weights *w); /* "safetensors" or "PyTorch" */
PITH_API const char *pith_weights_key(const pith_weights *w);    /* where a checkpoint's tensors lay; "": at its root */
PITH_API size_t pith_weights_count(const pith_weights *w);
PITH_API int pith_weights_at(const pith_weights *w, size_t i, pith_tensor *out);             /* -1: no such index */
PITH_API int pith_weights_find(const pith_weights *w, const char *name, pith_tensor *out);   /* -1: no such name */
/* The first tensor that is the same view of the same storage as tensor i (PyTorch shares tied weights): i if none. */
PITH_API size_t pith_weights_same(const pith_weights *w, size_t i);
PITH_API size_t pith_weights_files(const pith_weights *w);
PITH_API const char *pith_weights_file(const pith_weights *w, size_t file, uint64_t *size); /* NULL: no such file; size may be NULL */
PITH_API size_t pith_weights_metadata_count(const pith_weights *w, size_t file);
PITH_API int pith_weights_metadata(const pith_weights *w, size_t file, size_t i, const char **key, const char **value);
PITH_API size_t pith_weights_warnings(const pith_weights *w);
PITH_API const char *pith_weights_warning(const pith_weights *w, size_t i); /* NULL: no such index */
/* Elements [first, first+n) of tensor i in row-major order, in the file's own type, little-endian. -1: out of range, a
 * sub-byte dtype, opened for headers only. */
PITH_API int pith_weights_read(const pith_weights *w, size_t i, uint64_t first, size_t n, void *out, pith_err *e);
/* The same as float. -1 also for complex dtypes. */
PITH_API int pith_weights_read_f32(const pith_weights *w, size_t i, uint64_t first, size_t n, float *out, pith_err *e);
/* Over all elements, in double; wide integers exactly where a double can. -1 for complex and sub-byte dtypes,
 * and if opened for headers only. */
PITH_API int pith_weights_stats(const pith_weights *w, size_t i, pith_tensor_stats *out, pith_err *e);
/* Tensor i's mapped pages are not needed for now: they no longer count as resident memory. Harmless where none are. */
PITH_API void pith_weights_release(const pith_weights *w, size_t i);
PITH_API const char *pith_weights_mapped_at(const pith_weights *w, const void *addr); /* as pith_model_mapped_at */

/* n elements of dtype `from` as dtype `to`, both of F64, F32, F16, BF16; any alignment, not overlapping. Rounded once, to
 * nearest even; a NaN becomes the quiet one of its sign (the same dtype is copied). *n_overflow (may be NULL) is increased
 * by the finite values that became infinite. -1: another dtype. */
PITH_API int pith_cast(const char *from, const void *src, const char *to, void *dst, size_t n, uint64_t *n_overflow,
                       pith_err *e);

typedef struct pith_pair {
    const char *key, *value;
} pith_pair;

/* Writes a .safetensors file. What it holds is said first (of each tensor name, dtype and shape; they are copied), its
 * bytes then come in any order, from one thread at a time. In the file tensors stand as the reference writer puts them, by
 * dtype (U64 first, BOOL last: falling alignment), then by name; the metadata stands in the order given. It is written
 * beside `path`, and gets its name, on disk for good, when pith_writer_finish has seen every byte: a failed or killed
 * writer leaves what was there before. What a killed one left beside it the next one for the same path removes. A symbolic
 * link stays one, what it points to is replaced; a replaced file's permissions stay. NULL: a name or key twice, text that is
 * not UTF-8, an unknown dtype, sizes that overflow, a header over 100,000,000 bytes, no room on the disk, the file is there
 * and `replace` is 0, or it cannot be written. */
typedef struct pith_writer pith_writer;
PITH_API pith_writer *pith_writer_new(const char *path, const pith_tensor *tensors, size_t n, const pith_pair *metadata,
                                      size_t n_metadata, int replace, pith_err *e);
/* Bytes [offset, offset + nbytes) of tensor i (an index into `tensors`), row-major, little-endian. -1: they lie outside of
 * it, or could not be written (and may be put again). Bytes may be put twice: the later ones stay. */
PITH_API int pith_writer_put(pith_writer *w, size_t i, uint64_t offset, const void *data, size_t nbytes, pith_err *e);
/* -1: bytes are missing (they may still be put), the disk refuses, or with `replace` 0 a file of that name came up. The last
 * step on disk is the folder's sync: if only that fails, the new file is there all the same, and the message says so. */
PITH_API int pith_writer_finish(pith_writer *w, pith_err *e);
PITH_API void pith_writer_free(pith_writer *w); /* if it was not finished, nothing stays */

/* Writes the weights of model directory `dir` to the .safetensors file `path`, packed as pith computes with them: in a
 * directory with dir's other files it opens by mapping, without work. type: "q8", "q4" (pith_model_options.dtype), or
 * "keep": as precise as they are. What is computed does not change with packing. Matrices that are not packed, vectors and
 * embeddings are copied. Only pith reads such files. o may be NULL. 0; 1: `stop` said so, and nothing stays; -1. */
typedef struct pith_quantize_options {
    int replace;             /* as pith_writer_new */
    int (*stop)(void *ctx);  /* is asked between matrices and every few MB that are written; not 0: stop. NULL: none */
    void *ctx;
} pith_quantize_options;
PITH_API int pith_quantize(const char *dir, const char *type, const char *path, const pith_quantize_options *o, pith_err *e);

/* ---- verification: are these weights what they should be? ---- */

typedef enum pith_check {
    PITH_CHECK_FILES,     /* every structural rule of the files, index against shards */
    PITH_CHECK_TENSORS,   /* what the architecture expects, against what is there: names, shapes, dtypes, nothing left over */
    PITH_CHECK_TOKENIZER, /* against the model: size of the vocabulary, special ids */
    PITH_CHECK_VALUES,    /* tensor by tensor: NaN and infinities fail; matrices or blocks of zeros, tensors of one value (vectors
                           * of 0 or 1 are none's worry), and matrices with many denormals are remarks */
    PITH_CHECK_CHECKSUMS, /* against a manifest */
    PITH_CHECKS
} pith_check;

typedef struct pith_finding {
    pith_check check;
    int failed;          /* 1: what was asked does not hold; 0: worth knowing */
    const char *subject; /* the file or tensor it is about; "" */
    const char *message; /* one line, which does not repeat the subject */
} pith_finding;

typedef struct pith_verify_options {
    int threads;           /* 0: as many as processors */
    int no_mmap;
    unsigned skip;         /* checks not to make: 1u << PITH_CHECK_... */
    const char *against;   /* manifest to compare with; NULL: none. Recordings are the command line's */
    const char *manifest;  /* manifest to write: sha256 of files, xxh3 of tensors and of their blocks; NULL: none */
    int replace;           /* the manifest may be there already */
    /* Either may be NULL. A finding and its strings live as long as the call. */
    void (*on_finding)(void *ctx, const pith_finding *f);
    /* Bytes; not 0: stop. From the calling thread, at the beginning, at the end, and about every 50 ms. */
    int (*on_progress)(void *ctx, pith_check check, uint64_t done, uint64_t total);
    void *ctx;
} pith_verify_options;

typedef struct pith_verdict {
    unsigned done;                                   /* checks made: 1u << PITH_CHECK_... */
    size_t failed[PITH_CHECKS], remarks[PITH_CHECKS]; /* findings */
    size_t files, tensors;
    uint64_t bytes, parameters;
} pith_verdict;

/* path: a model directory or a file of weights (then only files, values and checksums are looked at). All findings are
 * told, not only the first, all from the calling thread. o may be NULL. 0: *out says what holds; 1: on_progress stopped
 * it, *out counts what was found until then; -1: it could not be done (no such path,
 * an unreadable manifest, weights that do not open where PITH_CHECK_FILES is not to say so, memory). Against a manifest, a
 * model whose tensors are all equal is equal: that its files are cut, ordered or described in another way is a remark. */
PITH_API int pith_verify(const char *path, const pith_verify_options *o, pith_verdict *out, pith_err *e);

/* xxh3 (64 bits) of len bytes: the hash that `pith logits --hash` prints. */
PITH_API uint64_t pith_hash(const void *data, size_t len);

#ifdef __cplusplus
}
#endif
#endif
