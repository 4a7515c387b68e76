#define _GNU_SOURCE
#include "server/linger.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SEATS = 64,           /* when they are taken, sockets are closed at once */
    LONGEST = 5,          /* seconds */
    MOST = 64 << 20,      /* bytes of one client */
    SCRATCH = 64 << 10
};

typedef struct guest {
    int fd;
    double end;
    size_t n;
} guest;

struct linger_room {
    int wake; /* eventfd */
    void (*each_second)(void *ctx);
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    int arrived[SEATS];
    int n_arrived, closing;
    /* the thread's */
    guest guests[SEATS];
    int n;
    char scratch[SCRATCH];
};

/* 1: over. */
static int drink(linger_room *r, guest *g)
{
    ssize_t k = recv(g->fd, r->scratch, SCRATCH, MSG_DONTWAIT);
    if (k < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (k > 0) g->n += (size_t)k;
    return k <= 0 || g->n > MOST;
}

/* Those who came since. 1: the room closes. */
static int let_in(linger_room *r)
{
    pthread_mutex_lock(&r->lock);
    for (int i = 0; i < r->n_arrived; i++) {
        if (r->n == SEATS) close(r->arrived[i]);
        else r->guests[r->n++] = (guest){r->arrived[i], clock_now() + LONGEST, 0};
    }
    r->n_arrived = 0;
    int closing = r->closing;
    pthread_mutex_unlock(&r->lock);
    return closing;
}

static void *run(void *ctx)
{
    linger_room *r = ctx;
    double next = clock_now() + 1;
    while (!let_in(r)) {
        if (clock_now() >= next) {
            r->each_second(r->ctx);
            next = clock_now() + 1;
        }
        struct pollfd p[SEATS + 1] = {{.fd = r->wake, .events = POLLIN}};
        for (int i = 0; i < r->n; i++) p[i + 1] = (struct pollfd){.fd = r->guests[i].fd, .events = POLLIN};
        if (poll(p, (nfds_t)r->n + 1, r->n ? 200 : 1000) < 0) continue;
        uint64_t ignored;
        if (p[0].revents && read(r->wake, &ignored, sizeof ignored) < 0) continue;
        double t = clock_now();
        for (int i = r->n; i-- > 0;) {
            if (!(p[i + 1].revents && drink(r, &r->guests[i])) && t < r->guests[i].end) continue;
            close(r->guests[i].fd);
            r->guests[i] = r->guests[--r->n];
        }
    }
    for (int i = 0; i < r->n; i++) close(r->guests[i].fd);
    return NULL;
}

static void ring(linger_room *r)
{
    uint64_t one = 1;
    if (write(r->wake, &one, sizeof one) < 0) return; /* it is already awake */
}

linger_room *linger_open(void (*each_second)(void *ctx), void *ctx, pith_err *e)
{
    linger_room *r = calloc(1, sizeof *r);
    if (!r) {
        err_nomem(e, sizeof *r, "connections that linger");
        return NULL;
    }
    r->each_second = each_second;
    r->ctx = ctx;
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&r->lock, NULL);
    if (r->wake >= 0 && !pthread_create(&r->thread, NULL, run, r)) return r;
    err_set(e, "no thread for connections that linger: %s", strerror(errno));
    if (r->wake >= 0) close(r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
    return NULL;
}

void linger_close(linger_room *r)
{
    pthread_mutex_lock(&r->lock);
    r->closing = 1;
    pthread_mutex_unlock(&r->lock);
    ring(r);
    pthread_join(r->thread, NULL);
    close(r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void linger_add(linger_room *r, int fd)
{
    pthread_mutex_lock(&r->lock);
    int room = r->n_arrived < SEATS && !r->closing;
    if (room) r->arrived[r->n_arrived++] = fd;
    pthread_mutex_unlock(&r->lock);
    if (room) ring(r);
    else close(fd);
}
