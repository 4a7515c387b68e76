/* par: the one door to OpenMP, and to threads of its own where there is none. Work is split by index, never by sum, so results do not depend on `threads`.
 * Workers and the calling thread run in round-to-nearest without flush-to-zero; the caller's mode comes back. */
#ifndef BASE_PAR_H
#define BASE_PAR_H
#include <stddef.h>

/* One item of work: index i of n, on worker tid of 0..threads-1. */
typedef void par_fn(void *ctx, size_t i, int tid);

/* Calls fn(ctx, i, tid) once for every i in [0, n), handing indices out as workers come free: a slower processor takes
 * fewer. Waits for those that are taken, never for a worker that has none. In an item, par_for runs on its thread alone.
 * Each calling thread has workers of its own; a child of fork gets new ones. Where the system gives fewer threads, those
 * that are there do the work. */
void par_for(int threads, size_t n, par_fn *fn, void *ctx);
/* From now on every worker of the process stays on one processor, apart from its caller's. */
void par_pin(void);
/* Processors this process may run on (affinity, OMP_NUM_THREADS respected), at least 1. */
int par_cpus(void);
/* Sets the floating-point mode the bits contract needs and returns the one before; par_fp_leave restores it.
 * Every public entry that computes brackets itself with the two. */
unsigned long par_fp_enter(void);
void par_fp_leave(unsigned long mode);

#endif
