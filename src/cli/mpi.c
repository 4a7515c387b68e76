#include "cli/mpi.h"
#include "base/err.h"
#ifdef PITH_MPI
#include <mpi.h>

static int begun;

int mpi_begin(uint64_t *number, uint64_t *of, pith_err *e)
{
    int rank = 0, size = 1, level;
    /* Only this thread speaks to MPI; the workers compute. */
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level)) return err_set(e, "--mpi: MPI does not start");
    begun = 1;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    *number = (uint64_t)rank + 1;
    *of = (uint64_t)size;
    return 0;
}

int mpi_end(int ok)
{
    int all = ok;
    if (!begun) return ok;
    MPI_Allreduce(&ok, &all, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return all;
}

void mpi_close(void)
{
    if (begun) MPI_Finalize();
    begun = 0;
}

#else

int mpi_begin(uint64_t *number, uint64_t *of, pith_err *e)
{
    (void)number;
    (void)of;
    return err_set(e, "--mpi: this pith was built without MPI; build it with: make MPI=1");
}

int mpi_end(int ok) { return ok; }
void mpi_close(void) {}

#endif
