/* seat: connections without a whole request, the oldest first: who makes room when there are too many, and whom nobody
 * will hear from again. */
#ifndef SERVER_SEAT_H
#define SERVER_SEAT_H
#include <pthread.h>
#include <stddef.h>

typedef struct seat seat;
struct seat {
    int fd;        /* open as long as the seat is */
    int listed, ended;
    seat *prev, *next;
};

typedef struct seat_list {
    pthread_mutex_t lock;
    seat head;
    size_t n; /* seats there are, listed or not */
} seat_list;

void seat_list_open(seat_list *l);
void seat_list_close(seat_list *l);

/* A connection has come; if there are more than `most`, the socket of the one that has been without a request for
 * longest is shut down. NULL: memory. */
seat *seat_new(seat_list *l, int fd, size_t most);
/* Before fd is closed. s may be NULL. */
void seat_free(seat_list *l, seat *s);
/* It waits for a request again; its request is whole. */
void seat_wait(seat_list *l, seat *s);
void seat_serve(seat_list *l, seat *s);
/* Shuts down those whose client left at the last call already. From any thread, about once a second. */
void seat_tidy(seat_list *l);

#endif
