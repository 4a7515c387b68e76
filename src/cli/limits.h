/* limits: what this machine can do at most, measured now, so that figures can be told as shares of it. */
#ifndef CLI_LIMITS_H
#define CLI_LIMITS_H

typedef struct limits {
    int threads;
    const char *vectors; /* that were used: "avx512", "avx2", "neon", "plain" */
    double read;         /* GB/s: reading memory that lies in no cache; the best of several ways to walk it */
    const char *walk;    /* the way that was best */
    double fma;          /* GFLOP/s: fused multiply-adds of float, on registers alone */
    double int8;         /* GOP/s: multiply-adds of 8-bit integers to 32 bits, on registers alone; 0: not known here */
    const char *dot;     /* the instruction of int8 */
    double vector_int8;  /* the same on vectors, where int8 is of tiles (AMX) */
    const char *vector_dot;
} limits;

/* Takes about two seconds and up to 1 GiB of memory for a while; brief: a rough look, in a fraction of both. */
limits limits_measure(int threads, int brief);

#endif
