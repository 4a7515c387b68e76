/* api_settings: how an answer is to be written, as a request's body says it in OpenAI's words. */
#ifndef SERVER_API_SETTINGS_H
#define SERVER_API_SETTINGS_H
#include "server/api.h"

/* A zeroed struct is valid and empty. */
typedef struct api_settings {
    pith_request request; /* without the prompt; what it points to is ours */
    size_t n;             /* answers to each prompt */
    int stream, usage;    /* usage: a chunk of the stream tells it */
    int logprobs;         /* tell them; request.n_top beside each token */
    int echo;             /* an answer begins with its prompt */
    const char **stop;
    pith_logit_bias *bias;
} api_settings;

/* chat: the members of /v1/chat/completions, else those of /v1/completions. What the body does not say is the model's
 * (generation_config.json). -1 after api_fail. */
int api_settings_read(api_call *c, const worker *w, int chat, api_settings *out);
void api_settings_free(api_settings *s);

#endif
