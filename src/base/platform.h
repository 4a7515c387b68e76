/* platform: what Linux, macOS and the BSDs do each in their own way; but for sandboxes, no other file asks which system it
 * is. Where one offers nothing, the call does nothing or says so. Linux is tested; the rest is written from the manuals. */
#ifndef BASE_PLATFORM_H
#define BASE_PLATFORM_H
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- files ---- */

/* rename, but never over something that is there: -1, EEXIST. ENOSYS or EINVAL: not here. */
int platform_rename_new(const char *from, const char *to);
/* Two names change places at once. ENOSYS or EINVAL: not here. */
int platform_rename_exchange(const char *a, const char *b);
/* Room for a file to come; -1 with errno. 0, too, where a system has no such call. */
int platform_reserve(int fd, uint64_t size);
/* The bytes at [at, at + n) begin their way to the disk, those at [before, before + n_before) are waited for. Only a hint. */
void platform_write_back(int fd, uint64_t at, size_t n, uint64_t before, size_t n_before);
/* Everything on this file's file system goes to the disk. */
int platform_sync_all(int fd);

/* ---- memory and randomness ---- */

/* Asks for huge pages. */
void platform_huge(void *p, size_t n);
/* n <= 256 bytes that nobody can guess; -1: none to be had. */
int platform_random(void *p, size_t n);

/* ---- processors ---- */

typedef struct platform_cpus {
    unsigned long set[16];
} platform_cpus;

/* Those that the calling thread may run on; none where the system does not tell. */
void platform_cpus_get(platform_cpus *out);
/* How many, at least 1. */
int platform_cpus_count(void);
/* The one that the calling thread runs on; -1: the system does not tell. */
int platform_cpu(void);
/* Threads keep off processor `cpu`, on the rest of `allowed`; if `one`, each on one of them in turn. */
void platform_keep_off(int cpu, const platform_cpus *allowed, const pthread_t *threads, int n, int one);
/* What the processor has; 0 where there is no way to ask that has been tried. */
int platform_arm_dot(void);
int platform_arm_i8mm(void);
/* Asks the system to keep the state of AMX's tiles for this process: 0, or -1. */
int platform_amx(void);

/* ---- the program ---- */

/* The path of the running program's file, as readlink gives it: its length, and no end of string; size: there may be more;
 * -1: the system does not tell. */
ssize_t platform_program(char *path, size_t size);

#endif
