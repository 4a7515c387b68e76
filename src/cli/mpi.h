/* mpi: the one door to MPI (Open MPI and its like). Processes that mpirun started learn how many they are; nothing else is
 * sent. In a pith that was built without MPI, mpi_begin says so. */
#ifndef CLI_MPI_H
#define CLI_MPI_H
#include "pith.h"
#include <stdint.h>

/* *number: 1 .. *of. */
int mpi_begin(uint64_t *number, uint64_t *of, pith_err *e);
/* Waits for all processes; 1: each of them said ok. Nothing was begun: ok. */
int mpi_end(int ok);
/* After that no process waits for another. No-op if nothing was begun. */
void mpi_close(void);

#endif
