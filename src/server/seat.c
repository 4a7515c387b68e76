#define _GNU_SOURCE
#include "server/seat.h"
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { AT_ONCE = 256 };

void seat_list_open(seat_list *l)
{
    pthread_mutex_init(&l->lock, NULL);
    l->head.prev = l->head.next = &l->head;
    l->n = 0;
}

void seat_list_close(seat_list *l) { pthread_mutex_destroy(&l->lock); }

static void add(seat_list *l, seat *s)
{
    if (s->listed) return;
    s->listed = 1;
    s->ended = 0;
    s->prev = l->head.prev;
    s->next = &l->head;
    s->prev->next = s->next->prev = s;
}

static void drop(seat *s)
{
    if (!s->listed) return;
    s->listed = 0;
    s->prev->next = s->next;
    s->next->prev = s->prev;
}

seat *seat_new(seat_list *l, int fd, size_t most)
{
    seat *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->fd = fd;
    pthread_mutex_lock(&l->lock);
    seat *oldest = l->head.next;
    if (++l->n > most && oldest != &l->head) {
        shutdown(oldest->fd, SHUT_RDWR);
        drop(oldest);
    }
    add(l, s);
    pthread_mutex_unlock(&l->lock);
    return s;
}

void seat_free(seat_list *l, seat *s)
{
    if (!s) return;
    pthread_mutex_lock(&l->lock);
    drop(s);
    l->n--;
    pthread_mutex_unlock(&l->lock);
    free(s);
}

void seat_wait(seat_list *l, seat *s)
{
    pthread_mutex_lock(&l->lock);
    add(l, s);
    pthread_mutex_unlock(&l->lock);
}

void seat_serve(seat_list *l, seat *s)
{
    pthread_mutex_lock(&l->lock);
    drop(s);
    pthread_mutex_unlock(&l->lock);
}

static void look(seat **some, nfds_t n)
{
    struct pollfd p[AT_ONCE];
    for (nfds_t i = 0; i < n; i++) p[i] = (struct pollfd){.fd = some[i]->fd, .events = POLLRDHUP};
    if (poll(p, n, 0) <= 0) return;
    for (nfds_t i = 0; i < n; i++) {
        if (!(p[i].revents & (POLLRDHUP | POLLHUP | POLLERR))) continue;
        if (some[i]->ended) shutdown(some[i]->fd, SHUT_RDWR);
        some[i]->ended = 1;
    }
}

/* Under the lock no descriptor is closed. */
void seat_tidy(seat_list *l)
{
    seat *some[AT_ONCE];
    nfds_t n = 0;
    pthread_mutex_lock(&l->lock);
    for (seat *s = l->head.next; s != &l->head; s = s->next) {
        some[n++] = s;
        if (n == AT_ONCE) look(some, n), n = 0;
    }
    if (n) look(some, n);
    pthread_mutex_unlock(&l->lock);
}
