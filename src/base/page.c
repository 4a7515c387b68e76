#include "base/page.h"
#include "base/digest.h"
#include <string.h>

static int put_hash(FILE *f, page_part part, pith_err *e)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char sum[DIGEST_SHA256 + 1] = {0};
    digest_sha256 *d = digest_sha256_new();
    if (!d) return err_nomem(e, 0, "a checksum");
    for (size_t i = 0; i < part.n; i++) digest_sha256_add(d, part.lines[i], strlen(part.lines[i]));
    digest_sha256_end(d, sum);
    fputs("'sha256-", f);
    for (size_t i = 0; i < DIGEST_SHA256; i += 3) {
        unsigned v = (unsigned)sum[i] << 16 | (unsigned)sum[i + 1] << 8 | (i + 2 < DIGEST_SHA256 ? sum[i + 2] : 0u);
        for (int shift = 18; shift >= 0; shift -= 6)
            if (i + 2 < DIGEST_SHA256 || shift) putc(digits[v >> shift & 63], f);
    }
    fputs("='", f); /* 32 bytes: one digit short of whole groups */
    return 0;
}

int page_policy(const page *p, FILE *f, pith_err *e)
{
    fputs("script-src ", f);
    if (put_hash(f, p->script, e)) return -1;
    fputs("; style-src ", f);
    return put_hash(f, p->style, e);
}

static void put_part(FILE *f, const char *open, page_part part, const char *close)
{
    fputs(open, f);
    for (size_t i = 0; i < part.n; i++) fputs(part.lines[i], f);
    fputs(close, f);
}

int page_write(const page *p, FILE *f, pith_err *e)
{
    int bad = 0;
    for (size_t i = 0; i < p->markup.n && !bad; i++) {
        const char *line = p->markup.lines[i];
        size_t len = strlen(line);
        if (strcmp(line, "@STYLE@\n") == 0) put_part(f, "<style>", p->style, "</style>\n");
        else if (strcmp(line, "@SCRIPT@\n") == 0) put_part(f, "<script>", p->script, "</script>\n");
        else if (p->put && len > 3 && line[0] == '@' && line[len - 2] == '@') bad = p->put(p->ctx, f, line, e);
        else fputs(line, f);
    }
    return bad;
}
