/* api_embeddings: OpenAI's /v1/embeddings. Vectors have length 1, as OpenAI's do. */
#include "server/api_texts.h"
#include <string.h>

typedef struct embeddings {
    api_texts t;
    int base64;
} embeddings;

/* The vector's little-endian bytes as RFC 4648 has them; 3 bytes are 4 letters. */
static void put_base64(FILE *f, const float *x, size_t n)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    unsigned have = 0; /* bytes in bits */
    putc('"', f);
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, &x[i], sizeof word);
        for (unsigned k = 0; k < 4; k++) {
            bits = bits << 8 | (word >> (8 * k) & 0xff);
            if (++have < 3) continue;
            for (int s = 18; s >= 0; s -= 6) putc(letters[bits >> s & 63], f);
            bits = have = 0;
        }
    }
    if (have) {
        bits <<= 8 * (3 - have);
        for (unsigned k = 0; k < 4; k++) putc(k <= have ? letters[bits >> (18 - 6 * k) & 63] : '=', f);
    }
    putc('"', f);
}

static int put_embeddings(api_call *c, FILE *f)
{
    const embeddings *em = c->own;
    const api_texts *t = &em->t;
    size_t tokens = api_texts_tokens(t);
    fputs("{\"object\":\"list\",\"data\":[", f);
    for (size_t i = 0; i < t->n; i++) {
        const float *x = t->values + i * t->width;
        fprintf(f, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "", i);
        if (em->base64) put_base64(f, x, t->width);
        else api_texts_put_floats(f, x, t->width);
        putc('}', f);
    }
    fputs("],\"model\":", f);
    json_put_str(f, worker_name(t->w), strlen(worker_name(t->w)));
    fprintf(f, ",\"usage\":{\"prompt_tokens\":%zu,\"total_tokens\":%zu}}", tokens, tokens);
    return 0;
}

void api_embeddings(api_call *c)
{
    static const char *const names[] = {"input", "encoding_format", "dimensions", NULL}, *const ignored[] = {"user", NULL};
    worker *w = api_known(c, names, ignored) ? NULL : api_model(c, JOB_EMBED);
    embeddings *em = w ? api_texts_new(c, w, sizeof *em) : NULL;
    const char *format;
    uint64_t dimensions;
    if (!em || api_texts_read(c, "input", 1)) return;
    if (json_opt_str(c->root, "encoding_format", "float", &format, &c->e) ||
        json_opt_size(c->root, "dimensions", 1, pith_model_embedding_size(worker_model(w)), 0, &dimensions, &c->e)) {
        api_bad(c);
        return;
    }
    em->base64 = strcmp(format, "base64") == 0;
    if (!em->base64 && strcmp(format, "float")) {
        api_fail(c, 400, "encoding_format", NULL, "encoding_format: \"float\" or \"base64\", found \"%.40s\"", format);
        return;
    }
    em->t.put = put_embeddings;
    api_texts_embed(c, &(pith_embed_options){.normalize = 1, .dimensions = (size_t)dimensions});
}
