/* verify_pass: one pass over all bytes. A lane goes through one file: its tensors in order, a window of bytes at a time,
 * and beside them, if checksums are wanted, the file itself, so that both find the same bytes in the page cache. Each
 * window is cut into items that threads share; what they count is whole numbers, so their order is of no matter. Worker 0
 * is the caller's thread: it tells the progress. */
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "base/checked.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/par.h"
#include "verify.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    CHUNK = 1 << 17,   /* bytes of a tensor in one item: whole blocks, and what a core's own cache holds */
    WINDOW = 128 << 20, /* bytes of all lanes' windows: threads wait for each other once in so many */
    SHA_WINDOW = 32 << 20,
    SCRATCH = 1 << 18, /* bytes a worker reads at once */
    MAX_ITEMS = 1024,  /* of one lane's window: tiny tensors are many */
    LEAST_ZEROS = 4096 /* bytes of a last block that is told when it is zero */
};

typedef enum kind { SCAN, STREAM, SHA256 } kind;

typedef struct lane {
    verify_file *file;
    int fd;
    digest_sha256 *sha;
    digest_stream *stream; /* of the tensor under way */
    uint64_t file_at;      /* bytes of the file in earlier windows */
    size_t sha_t;          /* the tensor that the file's checksum comes to next */
    size_t t, end;         /* tensors of the file: the next one, and behind the last */
    uint64_t at;           /* bytes of tensor t that are in earlier windows */
    size_t from;           /* the same at the window's beginning */
    uint64_t from_at;
} lane;

typedef struct item {
    kind kind;
    lane *lane;
    verify_tensor *t; /* SCAN: bytes [at, at + n) of it */
    uint64_t at;
    size_t n;
    values_count values;
    uint64_t nan, inf, zero_blocks, first_zero;
} item;

typedef struct pass {
    verify *v;
    lane *lanes;
    size_t n_lanes;
    size_t next_file, next_tensor;
    size_t window;
    item *items;
    size_t n_items;
    char *scratch;   /* [threads][SCRATCH] */
    pith_err *wrong; /* [threads] */
    uint64_t done, total; /* bytes of files if they are summed, else of tensors; done is atomic */
    int stopped;          /* atomic */
    double told;          /* clock_now() when the progress was told last */
} pass;

/* ---- progress ---- */

/* At most every 50 ms, but also at the beginning and at the end. */
static void progress(pass *s, int always)
{
    const verify *v = s->v;
    if (!v->o.on_progress) return;
    double now = clock_now();
    if (!always && now - s->told < 0.05) return;
    s->told = now;
    if (v->o.on_progress(v->o.ctx, v->digest ? PITH_CHECK_CHECKSUMS : PITH_CHECK_VALUES, __atomic_load_n(&s->done, __ATOMIC_RELAXED), s->total))
        __atomic_store_n(&s->stopped, 1, __ATOMIC_RELAXED);
}

static void advance(pass *s, size_t n, int tid)
{
    __atomic_fetch_add(&s->done, n, __ATOMIC_RELAXED);
    if (tid == 0) progress(s, 0);
}

static int is_stopped(const pass *s) { return __atomic_load_n(&s->stopped, __ATOMIC_RELAXED); }

/* ---- items ---- */

/* Bytes [at, at + n) of a tensor, n <= VERIFY_BLOCK: where they lie, or gathered into buf. NULL: not to be read. */
static const char *bytes_of(const verify_tensor *t, uint64_t at, size_t n, char *buf, pith_err *e)
{
    size_t size = tensor_dtypes[t->type].bits / 8;
    if (t->t.data) return (const char *)t->t.data + at;
    return pith_weights_read(t->w, t->index, at / size, n / size, buf, e) ? NULL : buf;
}

static void scan_block(item *x, const char *p, uint64_t at, size_t n, const char *first)
{
    const verify_tensor *t = x->t;
    size_t size = tensor_dtypes[t->type].bits / 8, count = n / size;
    values_count c = {0};
    values_add(&c, t->type, p, count, first);
    if (c.n_nan && x->nan == UINT64_MAX) x->nan = at / size + values_find(t->type, p, count, 1);
    if (c.n_inf && x->inf == UINT64_MAX) x->inf = at / size + values_find(t->type, p, count, 0);
    if (c.n_zero == count && n >= LEAST_ZEROS) {
        if (!x->zero_blocks) x->first_zero = at / VERIFY_BLOCK;
        x->zero_blocks++;
    }
    x->values.n_nan += c.n_nan, x->values.n_inf += c.n_inf, x->values.n_zero += c.n_zero;
    x->values.n_denormal += c.n_denormal, x->values.varies |= c.varies;
}

static void run_scan(const pass *s, item *x, char *buf, pith_err *e)
{
    verify_tensor *t = x->t;
    int scan = s->v->scan && values_is_float(t->type);
    char kept[16];
    const char *first = scan ? bytes_of(t, 0, tensor_dtypes[t->type].bits / 8, kept, e) : NULL;
    if (scan && !first) return;
    for (size_t at = 0; at < x->n; at += VERIFY_BLOCK) {
        size_t n = x->n - at < VERIFY_BLOCK ? x->n - at : VERIFY_BLOCK;
        const char *p = bytes_of(t, x->at + at, n, buf, e);
        if (!p) return;
        if (scan) scan_block(x, p, x->at + at, n, first);
        if (s->v->digest) t->blocks[(x->at + at) / VERIFY_BLOCK] = digest_xxh3(p, n);
    }
}

/* The sums of whole tensors, for the bytes of this window. Those of one block have theirs already. */
static void run_stream(const pass *s, const lane *l, char *buf, pith_err *e)
{
    for (size_t i = l->from; i < l->end && i <= l->t; i++) {
        verify_tensor *t = &s->v->tensors[i];
        uint64_t at = i == l->from ? l->from_at : 0, end = i == l->t ? l->at : t->t.nbytes;
        if (t->n_blocks < 2) continue;
        while (at < end) {
            size_t most = t->t.data ? CHUNK : VERIFY_BLOCK, n = end - at < most ? (size_t)(end - at) : most;
            const char *p = bytes_of(t, at, n, buf, e);
            if (!p) return;
            digest_stream_add(l->stream, p, n);
            at += n;
        }
        if (i < l->t) t->hash = digest_stream_take(l->stream);
    }
}

/* Up to *n bytes of the file at a place: of a tensor where they lie, so that they are read once; else read into buf. */
static const char *file_bytes(const verify *v, lane *l, uint64_t at, size_t *n, char *buf, pith_err *e)
{
    ssize_t got;
    if (*n > SCRATCH) *n = SCRATCH;
    while (l->sha_t < l->end && at >= v->tensors[l->sha_t].t.offset + v->tensors[l->sha_t].t.nbytes) l->sha_t++;
    if (l->sha_t < l->end && v->as_stored) {
        const pith_tensor *t = &v->tensors[l->sha_t].t;
        uint64_t left = at < t->offset ? t->offset - at : t->offset + t->nbytes - at;
        if (left < *n) *n = (size_t)left;
        if (at >= t->offset) return (const char *)t->data + (at - t->offset);
    }
    do got = pread(l->fd, buf, *n, (off_t)at);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return err_set(e, "%s: cannot read: %s", l->file->path, got ? strerror(errno) : "it shrank meanwhile"), NULL;
    *n = (size_t)got;
    return buf;
}

static void run_sha256(pass *s, const item *x, char *buf, int tid, pith_err *e)
{
    for (size_t at = 0; at < x->n && !is_stopped(s);) {
        size_t n = x->n - at;
        const char *p = file_bytes(s->v, x->lane, x->at + at, &n, buf, e);
        if (!p) return;
        digest_sha256_add(x->lane->sha, p, n);
        at += n;
        advance(s, n, tid);
    }
}

static void run_item(void *ctx, size_t i, int tid)
{
    pass *s = ctx;
    item *x = &s->items[i];
    char *buf = s->scratch + (size_t)tid * SCRATCH;
    pith_err *e = &s->wrong[tid];
    if (e->msg[0] || is_stopped(s)) return;
    switch (x->kind) {
    case SCAN:
        run_scan(s, x, buf, e);
        if (!s->v->digest) advance(s, x->n, tid);
        break;
    case STREAM: run_stream(s, x->lane, buf, e); break;
    case SHA256: run_sha256(s, x, buf, tid, e); break;
    }
}

/* ---- lanes ---- */

static void lane_close(lane *l)
{
    if (l->sha) digest_sha256_end(l->sha, l->file->sha256);
    l->sha = NULL;
    if (l->file && l->fd >= 0) close(l->fd);
    l->file = NULL;
}

/* The next file that holds anything to do; leaves the lane without one where there is none. */
static int lane_open(pass *s, lane *l, pith_err *e)
{
    verify *v = s->v;
    while (s->next_file < v->n_files) {
        size_t i = s->next_file++;
        l->t = l->end = l->sha_t = s->next_tensor;
        while (l->end < v->n_tensors && v->tensors[l->end].file == i) l->end++;
        s->next_tensor = l->end;
        if (!v->digest && l->t == l->end) continue;
        l->file = &v->files[i];
        l->fd = -1;
        l->file_at = l->at = 0;
        if (!v->digest) return 0;
        l->fd = open(l->file->path, O_RDONLY | O_CLOEXEC);
        if (l->fd < 0) return err_set(e, "%s: cannot open: %s", l->file->path, strerror(errno));
        l->sha = digest_sha256_new();
        return l->sha ? 0 : err_nomem(e, sizeof(void *), "a checksum");
    }
    return 0;
}

static item *add(pass *s, kind k, lane *l, uint64_t at, size_t n)
{
    item *x = &s->items[s->n_items++];
    *x = (item){.kind = k, .lane = l, .at = at, .n = n, .nan = UINT64_MAX, .inf = UINT64_MAX};
    return x;
}

/* The lane's next window as items: the file's checksum first, for it takes longest. */
static void plan(pass *s, lane *l)
{
    verify *v = s->v;
    size_t room = s->window, first = s->n_items;
    uint64_t left = v->digest ? l->file->bytes - l->file_at : 0;
    size_t n = left < s->window ? (size_t)left : s->window;
    if (n) add(s, SHA256, l, l->file_at, n);
    l->file_at += n;
    l->from = l->t, l->from_at = l->at;
    if (v->digest && l->t < l->end) add(s, STREAM, l, 0, 0);
    while (l->t < l->end && room && s->n_items - first < MAX_ITEMS) {
        verify_tensor *t = &v->tensors[l->t];
        uint64_t rest = t->t.nbytes - l->at;
        n = rest < CHUNK ? (size_t)rest : CHUNK;
        if (n) add(s, SCAN, l, l->at, n)->t = t;
        l->at += n;
        room -= n < room ? n : room;
        if (l->at == t->t.nbytes) l->t++, l->at = 0;
    }
}

/* Adds up what the items found; lets go of tensors that are done. */
static void gather(pass *s)
{
    for (size_t i = 0; i < s->n_items; i++) {
        const item *x = &s->items[i];
        verify_tensor *t = x->t;
        if (x->kind != SCAN) continue;
        if (t->nan == UINT64_MAX) t->nan = x->nan;
        if (t->inf == UINT64_MAX) t->inf = x->inf;
        if (x->zero_blocks && !t->zero_blocks) t->first_zero = x->first_zero;
        t->zero_blocks += x->zero_blocks;
        t->values.n_nan += x->values.n_nan, t->values.n_inf += x->values.n_inf, t->values.n_zero += x->values.n_zero;
        t->values.n_denormal += x->values.n_denormal, t->values.varies |= x->values.varies;
        if (x->at + x->n == t->t.nbytes) pith_weights_release(t->w, t->index);
    }
}

/* ---- the whole ---- */

static int begin(pass *s, pith_err *e)
{
    verify *v = s->v;
    size_t threads = (size_t)v->threads, lanes = v->n_files < threads ? v->n_files : threads, bytes;
    if (!lanes) return 0;
    /* Alone, a worker finds in the cache what it has just summed. */
    s->window = threads == 1 ? CHUNK : v->digest ? SHA_WINDOW : WINDOW / lanes;
    s->lanes = mem_zero(lanes, sizeof *s->lanes);
    s->items = mem_zero(lanes * (MAX_ITEMS + 2), sizeof *s->items);
    s->wrong = mem_zero(threads, sizeof *s->wrong);
    if (__builtin_mul_overflow(threads, (size_t)SCRATCH, &bytes) || !(s->scratch = mem_alloc(bytes)) || !s->lanes || !s->items || !s->wrong)
        return err_nomem(e, threads * SCRATCH, "verification");
    for (size_t i = 0; i < v->n_files && v->digest; i++) s->total += v->files[i].bytes;
    for (size_t i = 0; i < v->n_tensors; i++) {
        verify_tensor *t = &v->tensors[i];
        if (!v->digest) {
            s->total += t->t.nbytes;
            continue;
        }
        t->n_blocks = (size_t)(checked_pieces(t->t.nbytes, VERIFY_BLOCK));
        t->blocks = mem_alloc((t->n_blocks + 1) * sizeof *t->blocks);
        if (!t->blocks) return err_nomem(e, t->n_blocks * sizeof *t->blocks, "checksums");
    }
    for (s->n_lanes = 0; s->n_lanes < lanes; s->n_lanes++) {
        lane *l = &s->lanes[s->n_lanes];
        if (v->digest && !(l->stream = digest_stream_new())) return err_nomem(e, sizeof *l, "a checksum");
        if (lane_open(s, l, e)) return s->n_lanes++, -1;
    }
    return 0;
}

static int step(pass *s, pith_err *e)
{
    s->n_items = 0;
    for (size_t i = 0; i < s->n_lanes; i++)
        if (s->lanes[i].file) plan(s, &s->lanes[i]);
    par_for(s->v->threads, s->n_items, run_item, s);
    for (int i = 0; i < s->v->threads; i++)
        if (s->wrong[i].msg[0]) return err_set(e, "%s", s->wrong[i].msg);
    gather(s);
    for (size_t i = 0; i < s->n_lanes; i++) {
        lane *l = &s->lanes[i];
        if (!l->file || l->t < l->end || (s->v->digest && l->file_at < l->file->bytes)) continue;
        lane_close(l);
        if (lane_open(s, l, e)) return -1;
    }
    return 0;
}

static int busy(const pass *s)
{
    for (size_t i = 0; i < s->n_lanes; i++)
        if (s->lanes[i].file) return 1;
    return 0;
}

int verify_pass(verify *v, pith_err *e)
{
    pass s = {.v = v};
    int rc = begin(&s, e);
    if (!rc) progress(&s, 1);
    while (!rc && !is_stopped(&s) && busy(&s)) rc = step(&s, e);
    if (!rc && !is_stopped(&s)) progress(&s, 1);
    if (!rc) rc = is_stopped(&s);
    for (size_t i = 0; i < v->n_tensors && v->digest && !rc; i++) {
        verify_tensor *t = &v->tensors[i];
        if (t->n_blocks < 2) t->hash = t->n_blocks ? t->blocks[0] : digest_xxh3("", 0);
    }
    for (size_t i = 0; i < s.n_lanes; i++) {
        lane_close(&s.lanes[i]);
        digest_stream_free(s.lanes[i].stream);
    }
    mem_free(s.lanes);
    mem_free(s.items);
    mem_free(s.scratch);
    mem_free(s.wrong);
    return rc;
}
