/* What the operator asks: is it alive, does it serve, what has it done? */
#include "server/api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void status(api_call *c, int code, const char *text)
{
    char *b = malloc(64);
    int n = b ? snprintf(b, 64, "{\"status\":\"%s\"}", text) : 0;
    api_answer(c, code, "application/json", b, (size_t)n);
}

void api_ops_health(api_call *c) { status(c, 200, "ok"); }

void api_ops_ready(api_call *c)
{
    if (server_ready(c->s)) status(c, 200, "ready");
    else status(c, 503, "not ready");
}

void api_ops_metrics(api_call *c)
{
    size_t len = 0;
    char *b = metrics_text(server_metrics(c->s), &len);
    api_answer(c, b ? 200 : 500, "text/plain; version=0.0.4; charset=utf-8", b, len);
}
