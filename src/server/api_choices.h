/* api_choices: answers as they are written, in OpenAI's shapes: at once, or as a stream of events. A call has prompts, each
 * a job; each prompt has n choices. From api_choices_start on the worker's thread owns it. */
#ifndef SERVER_API_CHOICES_H
#define SERVER_API_CHOICES_H
#include "server/api_settings.h"
#include <stdatomic.h>

typedef struct api_prompt {
    struct api_choices *of;
    size_t index;
    job job;
    const int32_t *ids; /* [n], in tokens or own */
    size_t n;
    pith_tokens tokens;
    int32_t *own;
    char *text; /* with echo: malloc'ed */
    size_t text_len;
} api_prompt;

typedef struct api_choices {
    api_call *c;
    worker *w;
    int chat;
    api_settings s;
    api_prompt *prompts;
    size_t n_prompts;
    /* our own */
    struct choice *choices; /* [n_prompts * s.n] */
    char *head;             /* the members that every body and event begins with */
    size_t head_len, n_tokens;
    int begun;              /* the stream has */
    atomic_size_t left;     /* jobs that are not over, and the thread that puts them */
    atomic_int failed;      /* error and status are set */
    char error[PITH_ERR_MAX];
    int status;
} api_choices;

/* The call's own (api_own): gone with it. NULL after api_fail. */
api_choices *api_choices_new(api_call *c, int chat);
/* Room for n prompts: -1 after api_fail. */
int api_choices_room(api_choices *a, size_t n);
/* Gives the prompts to the worker and answers when all are done. */
void api_choices_start(api_choices *a);

#endif
