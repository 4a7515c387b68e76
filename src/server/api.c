#define _POSIX_C_SOURCE 200809L
#include "server/api.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *api_route_name(const char *path)
{
    static const char *const names[] = {"/health", "/ready"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(path, names[i]) == 0) return names[i];
    return "other";
}

char *api_error_body(const char *path, int status, const char *message, const char *param, const char *code, size_t *len)
{
    char *b = NULL;
    FILE *f = open_memstream(&b, len);
    (void)path, (void)param, (void)code;
    if (!f) return NULL;
    fprintf(f, "{\"error\":{\"message\":");
    json_put_str(f, message, strlen(message));
    fprintf(f, ",\"code\":%d}}", status);
    fclose(f);
    return b;
}

void api_serve(server *s, http_exchange *x)
{
    const char *path = http_path(x);
    int status = strcmp(path, "/health") == 0 ? 200 : strcmp(path, "/ready") ? 404 : server_ready(s) ? 200 : 503;
    char *b = malloc(32);
    int n = b ? snprintf(b, 32, "{\"status\":\"%s\"}", status == 200 ? "ok" : status == 404 ? "not found" : "loading") : 0;
    http_answer(x, status, "application/json", b, (size_t)n, NULL, 0);
}
