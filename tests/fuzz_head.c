/* A request's head. The bytes up to the first 0xfe are its target, the rest its fields, as libmicrohttpd would leave them: every
 * colon, CR and LF a NUL (head.h). What is let through has one meaning. */
#include "server/head.h"
#include "fuzz.h"
#include <strings.h>

static void check_path(const char *target)
{
    const char *why = NULL;
    char *path = head_path(target, &why);
    if (path) {
        demand(*path == '/' || !strcmp(path, "*"), "a path begins with a slash");
        demand(strlen(path) <= strlen(target) + 1, "decoding makes nothing longer");
    } else {
        demand(why && *why, "a refusal says why");
    }
    free(path);
}

void fuzz_one(const uint8_t *data, size_t n)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "HEAD", "PO ST", "", "DELETE", "PATCH"}, *const versions[] = {"HTTP/1.1", "HTTP/1.0"};
    if (!n) return;
    const char *method = methods[data[0] & 7], *version = versions[data[0] >> 3 & 1];
    fuzz_input in = {data + 1, n - 1};
    size_t len, rest_len = 0;
    char *part = fuzz_part(&in, &len), *target = calloc(len + 1, 1), *rest = fuzz_part(&in, &rest_len);
    demand(target != NULL, "memory");
    memcpy(target, part, len);
    check_path(target);
    head h, lines;
    head_begin(&h);
    /* The fields by their lines: an honest name: value CR LF each. */
    for (size_t i = 0, end; rest && i < rest_len; i = end + 1) {
        char *lf = memchr(rest + i, '\n', rest_len - i);
        end = lf ? (size_t)(lf - rest) : rest_len;
        char *line = calloc(end - i + 1, 1), *colon;
        demand(line != NULL, "memory");
        memcpy(line, rest + i, end - i);
        if ((colon = strchr(line, ':'))) *colon = 0;
        head_field(&h, line, colon ? colon + 1 : NULL);
        free(line);
    }
    int status = head_end(&h, method, version);
    demand(status == 0 || status == 400 || status == 411 || status == 501, "a status that refuses, or none");
    demand((status != 0) == (h.why != NULL), "a refusal says why");
    if (!status) {
        demand(head_is_token(method) && h.n_host <= 1 && h.n_length <= 1 && h.n_encoding <= 1, "nothing that ends a body stands twice");
        demand(!(h.n_length && h.n_encoding) && (!h.n_encoding || (h.chunked && data[0] >> 3 == (data[0] >> 4 << 1))), "one way to tell where the body ends");
        demand(h.n_length ? h.length < UINT64_MAX : h.length == UINT64_MAX, "a length where there is one");
    }
    head_begin(&lines);
    for (size_t i = 0; rest && i < rest_len; i++)
        if (strchr(":\r\n", rest[i])) rest[i] = 0;
    if (rest) head_lines(&lines, rest, rest + rest_len);
    free(part);
    free(target);
    free(rest);
}
