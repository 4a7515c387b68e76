/* torture: one state that the runs of a program (torture_runs.c) and the calls that fail in them (torture.c) share. */
#ifndef TESTS_TORTURE_H
#define TESTS_TORTURE_H
#define _GNU_SOURCE
#include <stddef.h>
#include <stdint.h>

enum { TORTURE_MEMORY = 1, TORTURE_MAP = 2, TORTURE_OPEN = 4, TORTURE_READ = 8, TORTURE_WRITE = 16, TORTURE_THREAD = 32, TORTURE_KINDS = 6 };
enum { TORTURE_FRAMES = 16, TORTURE_LEAKS = 8 };

/* In memory that a run and its parent share. */
typedef struct torture_state {
    /* Set before a run. */
    int armed;      /* count calls and allocations */
    unsigned kinds; /* which calls count */
    long at;        /* the call that fails, from 1; 0: none */
    int on;         /* and those after it */
    /* What a run leaves. */
    long calls;
    char name[24]; /* of the first that failed; "": none did */
    void *frames[TORTURE_FRAMES];
    int n_frames;
    int ended; /* main returned; then: */
    long live, maps, fds;
    void *leaks[TORTURE_LEAKS]; /* who allocated what is live */
} torture_state;
extern torture_state *torture;

void torture_modules(void); /* what is loaded: who may be told that there is no memory */
/* Callers whose blocks live to the end of a run without faults: theirs do not count as live. */
void torture_known(void);
void torture_count_live(void);
const char *torture_where(const void *addr, char *buf, size_t cap); /* "pith+0x1234" */
/* Instead of main. -1: there is nothing to torture, run main. */
int torture_runs(int (*run)(int, char **, char **), int argc, char **argv, char **envp);

#endif
