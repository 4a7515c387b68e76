/* http: the door to libmicrohttpd, over raw sockets. The server under test echoes, waits and streams from other threads
 * than its own. */
#define _GNU_SOURCE
#include "base/clock.h"
#include "server/http.h"
#include "util.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BODY = 100000 };

static unsigned timeout = 2;
static http *door;
static atomic_int n_records, n_gone, last_status, streams_gone;

static void nap(double s)
{
    struct timespec t = {(time_t)s, (long)(1e9 * (s - (double)(time_t)s))};
    nanosleep(&t, NULL);
}

/* ---- the server's side ---- */

static void answer(http_exchange *x, int status, const char *text, size_t len)
{
    char *b = malloc(len + 1);
    memcpy(b, text, len);
    http_field f = {"X-Extra", "yes"};
    http_answer(x, status, "text/plain", b, len, &f, 1);
}

/* Pieces until the client goes, or `n` of them. */
static void stream(http_exchange *x, int n)
{
    http_field f = {"Cache-Control", "no-cache"};
    http_stream(x, "text/event-stream", &f, 1);
    char piece[64];
    for (int i = 0; i < n; i++) {
        if (http_gone(x)) {
            atomic_fetch_add(&streams_gone, 1);
            break;
        }
        int k = snprintf(piece, sizeof piece, "data: %d\n\n", i);
        http_send(x, piece, (size_t)k);
        if (n > 1000 || i % 3 == 0) nap(0.001);
    }
    http_end(x);
}

/* Faster than anyone reads. */
static void flood(http_exchange *x)
{
    static char piece[1 << 16];
    int n = 0;
    http_stream(x, "text/plain", NULL, 0);
    while (!http_gone(x) && n < 100000) http_send(x, piece, sizeof piece), n++;
    if (n < 1000) atomic_fetch_add(&streams_gone, 1); /* some 16 MiB behind is too far */
    http_end(x);
}

/* Until the client goes; its answer tells how long that took to be seen, in a record nobody reads. */
static void wait_for_end(http_exchange *x)
{
    double end = clock_now() + 10;
    while (!http_gone(x) && clock_now() < end) nap(0.0005);
    if (http_gone(x)) atomic_fetch_add(&streams_gone, 1);
    http_end(x);
}

static void *serve(void *ctx)
{
    http_exchange *x = ctx;
    const char *path = http_path(x);
    size_t n;
    const char *body = http_body(x, &n);
    if (strcmp(path, "/later") == 0) answer(x, 200, body, n);
    else if (strcmp(path, "/stream") == 0) stream(x, 10);
    else if (strcmp(path, "/endless") == 0) stream(x, 1 << 30);
    else if (strcmp(path, "/flood") == 0) flood(x);
    else wait_for_end(x);
    return NULL;
}

static void on_request(void *ctx, http_exchange *x)
{
    (void)ctx;
    const char *path = http_path(x), *h = http_header(x, "x-tell");
    size_t n;
    const char *body = http_body(x, &n);
    if (strcmp(path, "/health") == 0) {
        answer(x, 200, "ok", 2);
    } else if (strcmp(path, "/echo") == 0) {
        answer(x, 200, body, n);
    } else if (strcmp(path, "/tell") == 0) {
        answer(x, 200, h ? h : "", h ? strlen(h) : 0);
    } else if (strncmp(path, "/a b", 4) == 0) {
        answer(x, 200, path, strlen(path));
    } else if (strcmp(path, "/later") && strcmp(path, "/stream") && strcmp(path, "/wait") && strcmp(path, "/endless") &&
               strcmp(path, "/flood")) {
        answer(x, 404, "no", 2);
    } else {
        pthread_t t;
        if (pthread_create(&t, NULL, serve, x)) abort();
        pthread_detach(t);
    }
}

static void on_record(void *ctx, const http_record *r)
{
    (void)ctx;
    atomic_store(&last_status, r->status);
    atomic_fetch_add(&n_gone, r->gone != 0);
    atomic_fetch_add(&n_records, 1);
}

static char *error_body(void *ctx, const char *path, int status, const char *message, size_t *len)
{
    (void)ctx, (void)path;
    char *b = malloc(300);
    *len = (size_t)snprintf(b, 300, "{\"status\":%d,\"error\":\"%s\"}", status, message);
    return b;
}

static http_options options(void)
{
    return (http_options){.host = "127.0.0.1", .max_body = MAX_BODY, .timeout = timeout, .max_connections = 200,
                          .on_request = on_request, .on_record = on_record, .error_body = error_body};
}

static int setup(void **state)
{
    (void)state;
    pith_err e = {{0}};
    http_options o = options();
    door = http_open(&o, &e);
    if (!door) fail_msg("%s", e.msg);
    atomic_store(&n_records, 0);
    atomic_store(&n_gone, 0);
    atomic_store(&streams_gone, 0);
    return 0;
}

/* A timeout that cannot be what ends a connection. */
static int setup_patient(void **state)
{
    timeout = 60;
    int rc = setup(state);
    timeout = 2;
    return rc;
}

static int teardown(void **state)
{
    (void)state;
    if (door) http_close(door);
    door = NULL;
    return 0;
}

/* ---- the client's side ---- */

static int dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(door))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a)) fail_msg("connect: %s", strerror(errno));
    return fd;
}

static void say(int fd, const char *s, size_t n)
{
    while (n) {
        ssize_t k = send(fd, s, n, MSG_NOSIGNAL);
        if (k <= 0) return;
        s += k;
        n -= (size_t)k;
    }
}
static void say_str(int fd, const char *s) { say(fd, s, strlen(s)); }

/* What comes until `until` is in it, the end, or 5 seconds. */
static size_t hear(int fd, char *buf, size_t cap, const char *until)
{
    size_t n = 0;
    buf[0] = 0;
    while (n + 1 < cap && (!until || !memmem(buf, n, until, strlen(until)))) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 5000) != 1) break;
        ssize_t k = recv(fd, buf + n, cap - n - 1, 0);
        if (k <= 0) break;
        n += (size_t)k;
        buf[n] = 0;
    }
    return n;
}

static int status_of(const char *answer) { return strncmp(answer, "HTTP/1.", 7) == 0 ? atoi(answer + 9) : 0; }

/* One request on a connection of its own; the answer's status, its text in buf. */
static int ask(const char *request, size_t n, char *buf, size_t cap)
{
    int fd = dial();
    say(fd, request, n);
    hear(fd, buf, cap, NULL);
    close(fd);
    return status_of(buf);
}
static int ask_str(const char *request, char *buf, size_t cap) { return ask(request, strlen(request), buf, cap); }

static void expect_status(const char *request, size_t n, int status)
{
    char buf[4096];
    int got = ask(request, n, buf, sizeof buf);
    if (got != status) fail_msg("'%.200s': status %d, expected %d: %s", request, got, status, buf);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void wait_until(atomic_int *v, int n)
{
    double end = clock_now() + 10;
    while (atomic_load(v) < n && clock_now() < end) nap(0.001);
    assert_true(atomic_load(v) >= n);
}

/* Until so many exchanges run: one that is over is recorded just before it is counted so. */
static void wait_running(const http *h, size_t n)
{
    double end = clock_now() + 10;
    while (http_running(h) != n && clock_now() < end) nap(0.001);
    assert_int_equal(http_running(h), n);
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    if (!d) skip();
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

/* ---- tests ---- */

static void test_answers(void **state)
{
    (void)state;
    char buf[4096];
    assert_int_equal(ask_str(GET("/health"), buf, sizeof buf), 200);
    assert_non_null(strstr(buf, "\r\nX-Extra: yes\r\n"));
    assert_non_null(strstr(buf, "\r\nContent-Type: text/plain\r\n"));
    assert_non_null(strstr(buf, "\r\nX-Request-Id: "));
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\nok");
    assert_int_equal(ask_str(GET("/nowhere"), buf, sizeof buf), 404);
    assert_int_equal(ask_str(GET("/a%20b%c3%a9?x=%zz"), buf, sizeof buf), 200);
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\n/a b\xc3\xa9");
    assert_int_equal(ask_str(GET("http://x:80/health"), buf, sizeof buf), 200);
    assert_int_equal(ask_str("HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", buf, sizeof buf), 200);
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\n");
    assert_int_equal(ask_str("GET /health HTTP/1.0\r\n\r\n", buf, sizeof buf), 200);
    assert_int_equal(ask_str("GET /tell HTTP/1.1\r\nHost: x\r\nX-TELL: a b\r\nConnection: close\r\n\r\n", buf, sizeof buf), 200);
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\na b");
    assert_int_equal(ask_str("GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a.B_9-\r\nConnection: close\r\n\r\n", buf, sizeof buf), 200);
    assert_non_null(strstr(buf, "\r\nX-Request-Id: a.B_9-\r\n"));
    assert_int_equal(ask_str("GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\"b\r\nConnection: close\r\n\r\n", buf, sizeof buf), 200);
    assert_null(strstr(buf, "a\"b"));
}

static void test_bodies(void **state)
{
    (void)state;
    char buf[4096], *big = malloc(MAX_BODY + 300), *got = malloc(MAX_BODY + 1000);
    assert_int_equal(ask_str("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", buf, sizeof buf), 200);
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\nhello");
    assert_int_equal(ask_str("POST /later HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                             "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n", buf, sizeof buf), 200);
    assert_string_equal(strstr(buf, "\r\n\r\n"), "\r\n\r\nhello");
    assert_int_equal(ask_str("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", buf, sizeof buf), 200);
    /* as much as is allowed, with and without its length, and one byte more */
    int n = snprintf(big, 200, "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", MAX_BODY);
    memset(big + n, 'a', MAX_BODY);
    assert_int_equal(ask(big, (size_t)n + MAX_BODY, got, MAX_BODY + 1000), 200);
    assert_int_equal(strlen(strstr(got, "\r\n\r\n")), MAX_BODY + 4);
    for (int more = 0; more < 2; more++) {
        n = snprintf(big, 200, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n", MAX_BODY + more);
        memset(big + n, 'a', (size_t)(MAX_BODY + more));
        memcpy(big + n + MAX_BODY + more, "\r\n0\r\n\r\n", 7);
        assert_int_equal(ask(big, (size_t)(n + MAX_BODY + more + 7), got, MAX_BODY + 1000), more ? 413 : 200);
    }
    free(big);
    free(got);
}

/* The answer comes at once, before the body, and with it. */
static void test_too_large(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551615\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        double start = clock_now();
        expect_status(heads[i], strlen(heads[i]), 413);
        assert_true(clock_now() - start < 1);
    }
    char buf[2048];
    int fd = dial();
    say_str(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
    hear(fd, buf, sizeof buf, "\r\n\r\n");
    assert_int_equal(status_of(buf), 100);
    say_str(fd, "hi");
    hear(fd, buf, sizeof buf, NULL);
    assert_int_equal(status_of(buf), 200);
    close(fd);
}

/* A client that sends all of a body that is refused at its head gets the answer all the same. */
static void test_linger(void **state)
{
    (void)state;
    enum { BODY = 8 << 20 };
    char buf[1024], *body = calloc(1, BODY);
    for (int i = 0; i < 10; i++) {
        int fd = dial();
        say_str(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
        say(fd, body, BODY);
        hear(fd, buf, sizeof buf, NULL);
        assert_int_equal(status_of(buf), 413);
        close(fd);
    }
    free(body);
}

static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET /health HTTP/1.1\r\n\r\n", 400}, /* no Host */
        {"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nhello", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\n\r\n", 411},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 501},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", 400},
        {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 413},
        {"GET /health HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400}, /* bare CR */
        {"GET /health HTTP/1.1\rHost: x\r\n\r\n", 400},
        {"GET /hea\rlth HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\n Host: x\r\n\r\n", 400},
        {"GET /health HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400},
        {"G@T /health HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /hea lth HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /%00health HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET health HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /health\r\n\r\n", 400},
        {"GET /health HTTP/2.0\r\nHost: x\r\n\r\n", 505},
        {"GET /health HTTP/0.9\r\nHost: x\r\n\r\n", 505},
        {"GET /health http/1.1\r\nHost: x\r\n\r\n", 400},
        {"BREW /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200}, /* methods are the routes' business */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) expect_status(cases[i].text, strlen(cases[i].text), cases[i].status);
    static const char *const lines[] = {"A: b\n", ": b\r\n", ":\r\n", "A: b\r\n c\r\n", "A: b\r\n\tc\r\n", "A: \0b\r\n", "A: b\0\r\n",
                                        "A: b\0\0c\r\n", "A\0: b\r\n", "A: b\0C: d\r\n", "A: b\r\n", "A:\r\n", "A: \r\n"};
    static const size_t sizes[] = {5, 5, 3, 10, 10, 7, 7, 9, 7, 11, 6, 4, 5};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        for (int first = 0; first < 2; first++) { /* before and after another field */
            char r[200], *p = r;
            p = stpcpy(p, "GET /health HTTP/1.1\r\n");
            if (!first) p = stpcpy(p, "Host: x\r\nConnection: close\r\n");
            memcpy(p, lines[i], sizes[i]);
            p += sizes[i];
            if (first) p = stpcpy(p, "Host: x\r\nConnection: close\r\n");
            p = stpcpy(p, "\r\n");
            expect_status(r, (size_t)(p - r), i < 10 ? 400 : 200);
        }
    }
    char buf[1024];
    assert_int_equal(ask_str(GET("/health"), buf, sizeof buf), 200);
}

static void test_streams(void **state)
{
    (void)state;
    char buf[4096];
    assert_int_equal(ask_str(GET("/stream"), buf, sizeof buf), 200);
    assert_non_null(strstr(buf, "text/event-stream"));
    char *at = buf;
    for (int i = 0; i < 10; i++) {
        char piece[32];
        snprintf(piece, sizeof piece, "data: %d\n\n", i);
        at = strstr(at, piece);
        assert_non_null(at);
    }
    assert_non_null(strstr(at, "\r\n0\r\n\r\n"));
    /* a connection that lives on serves the next request */
    int fd = dial();
    for (int i = 0; i < 50; i++) {
        say_str(fd, i % 2 ? "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" : "POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        hear(fd, buf, sizeof buf, i % 2 ? "\r\n0\r\n\r\n" : "\r\n\r\nhi");
        assert_int_equal(status_of(buf), 200);
    }
    close(fd);
    wait_until(&n_records, 51);
    assert_int_equal(atomic_load(&n_gone), 0);
    wait_running(door, 0);
}

/* A client that leaves is seen within milliseconds: while it waits, while it is being sent a stream, and when it never
 * reads what it is sent. */
static void test_gone(void **state)
{
    (void)state;
    static const char *const requests[] = {"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n"};
    int quick = 0;
    for (int i = 0; i < 40; i++) {
        int fd = dial(), before = atomic_load(&streams_gone);
        char c;
        say_str(fd, requests[i % 2]);
        if (i % 2) assert_int_equal(recv(fd, &c, 1, 0), 1);
        wait_running(door, 1);
        if (i % 4 < 2) { /* RST, else FIN */
            struct linger l = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
        }
        double start = clock_now();
        close(fd);
        wait_until(&streams_gone, before + 1);
        quick += clock_now() - start < 0.1;
        wait_until(&n_records, i + 1);
        wait_running(door, 0);
    }
    assert_in_range(quick, 20, 40); /* a busy machine may be slow at times */
    assert_int_equal(atomic_load(&n_gone), 40);
}

/* Who does not read is cut off before the memory is full. */
static void test_no_reader(void **state)
{
    (void)state;
    int fd = dial();
    say_str(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_until(&streams_gone, 1);
    double start = clock_now();
    wait_until(&n_records, 1);
    assert_true(clock_now() - start < 1);
    assert_int_equal(atomic_load(&n_gone), 1);
    close(fd);
}

/* Those without a request for longest make room for a new connection; one with a request is never cut. */
static void test_full(void **state)
{
    (void)state;
    enum { CROWD = 300 };
    int fds[CROWD], busy = dial(), cut = 0;
    char buf[1024];
    say_str(busy, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_running(door, 1);
    for (int i = 0; i < CROWD; i++) {
        fds[i] = dial();
        if (i % 2) say_str(fds[i], "GET /health HTTP/1.1\r\nHost:"); /* slow */
    }
    assert_int_equal(ask_str(GET("/health"), buf, sizeof buf), 200);
    for (int i = 0; i < CROWD; i++) {
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        cut += poll(&p, 1, 0) == 1;
        if (i == 0) assert_int_equal(cut, 1);
        close(fds[i]);
    }
    assert_in_range(cut, 100, 110);
    assert_int_equal(http_running(door), 1);
    close(busy);
    wait_until(&streams_gone, 1);
}

/* Part of a request and the end together: libmicrohttpd alone would wait for the timeout. */
static void test_half(void **state)
{
    (void)state;
    static const char *const parts[] = {"GET /health HTTP/1.1\r\nHost: x\r\nA", "POST /echo HTTP/1.1\r\nHost: x\r\n",
                                        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"};
    int before = open_files();
    for (int i = 0; i < 60; i++) {
        int fd = dial();
        say_str(fd, parts[i % 3]);
        close(fd);
    }
    for (double end = clock_now() + 10; open_files() > before && clock_now() < end;) nap(0.05);
    assert_int_equal(open_files(), before);
}

/* Silence ends a connection after the timeout (2 s), and so does a body that comes by drops; a request that is being
 * worked on may take longer. */
static void test_timeouts(void **state)
{
    (void)state;
    char buf[1024];
    int idle = dial(), head = dial(), drops = dial(), waits = dial();
    say_str(head, "GET /health HTTP/1.1\r\nHos");
    say_str(drops, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    say_str(waits, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    double start = clock_now();
    struct pollfd p = {.fd = drops, .events = POLLIN | POLLRDHUP};
    while (poll(&p, 1, 200) == 0 && clock_now() - start < 6) say_str(drops, "x");
    assert_in_range((int)(10 * (clock_now() - start)), 19, 45);
    assert_int_equal(hear(idle, buf, sizeof buf, NULL), 0);
    assert_int_equal(hear(head, buf, sizeof buf, NULL), 0);
    assert_in_range((int)(10 * (clock_now() - start)), 19, 55);
    assert_int_equal(http_running(door), 1);
    close(waits);
    wait_until(&streams_gone, 1);
    close(idle);
    close(head);
    close(drops);
}

static void test_records(void **state)
{
    (void)state;
    expect_status(GET("/nowhere"), sizeof GET("/nowhere") - 1, 404);
    wait_until(&n_records, 1);
    assert_int_equal(atomic_load(&last_status), 404);
    static char big[40000] = "GET /health HTTP/1.1\r\nHost: x\r\nA: ";
    size_t n = strlen(big);
    memset(big + n, 'a', sizeof big - n);
    expect_status(big, sizeof big, 431); /* by libmicrohttpd, which knows the status */
    wait_until(&n_records, 2);
    assert_int_equal(atomic_load(&last_status), 431);
    memcpy(big, "GET /", 5);
    memset(big + 5, 'a', sizeof big - 5);
    expect_status(big, sizeof big, 414); /* before the first line's end there is nothing to record */
    int fd = dial();
    say_str(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhal");
    nap(0.02);
    close(fd);
    wait_until(&n_records, 3);
    assert_int_equal(atomic_load(&last_status), 0);
    assert_int_equal(atomic_load(&n_gone), 2); /* the 431 was cut, too */
}

/* What runs goes on, new connections are refused, and a connection that lives on is told so. */
static void test_drain(void **state)
{
    (void)state;
    char buf[4096];
    int runs = dial(), lives = dial(), fd;
    say_str(lives, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(lives, buf, sizeof buf, "ok");
    say_str(runs, "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(runs, buf, sizeof buf, "data: 3");
    http_drain(door);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_port(door))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), -1);
    close(fd);
    say_str(lives, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    hear(lives, buf, sizeof buf, NULL);
    assert_int_equal(status_of(buf), 503);
    assert_non_null(strstr(buf, "Connection: close"));
    hear(runs, buf, sizeof buf, "data: 9");
    assert_int_equal(http_running(door), 1);
    close(runs);
    wait_until(&streams_gone, 1);
    wait_running(door, 0);
    close(lives);
}

/* Everything that runs ends; owners that come late do no harm. */
static void test_close(void **state)
{
    (void)state;
    int fds[40];
    for (int i = 0; i < 40; i++) {
        fds[i] = dial();
        say_str(fds[i], i % 2 ? "GET /endless HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    wait_running(door, 40);
    double start = clock_now();
    http_close(door);
    door = NULL;
    assert_true(clock_now() - start < 2);
    wait_until(&streams_gone, 40);
    assert_int_equal(atomic_load(&n_records), 40);
    for (int i = 0; i < 40; i++) {
        char buf[4096];
        while (hear(fds[i], buf, sizeof buf, NULL) == sizeof buf - 1) continue;
        close(fds[i]);
    }
    nap(0.05); /* the threads of the exchanges end */
}

/* Over a unix socket, whose file goes when the server drains. */
static void test_unix(void **state)
{
    (void)state;
    char path[64], buf[1024];
    struct stat st;
    pith_err e = {{0}};
    http_options o = options();
    snprintf(path, sizeof path, "/tmp/test_http.%d", (int)getpid());
    o.unix_path = path;
    http *h = http_open(&o, &e);
    if (!h) fail_msg("%s", e.msg);
    assert_int_equal(http_port(h), 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    say_str(fd, GET("/health"));
    hear(fd, buf, sizeof buf, NULL);
    assert_int_equal(status_of(buf), 200);
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    int before = atomic_load(&streams_gone);
    say_str(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_running(h, 1);
    close(fd);
    wait_until(&streams_gone, before + 1);
    assert_int_equal(stat(path, &st), 0);
    http_drain(h);
    assert_int_equal(stat(path, &st), -1);
    http_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linger, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_streams, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half, setup_patient, teardown),
        cmocka_unit_test_setup_teardown(test_timeouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unix, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
