#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "formats/mapped.h"
#include "base/checked.h"
#include "base/mem.h"
#include "formats/header.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int mapped_regular(const char *path, uint64_t *size, pith_err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return err_set(e, "cannot open: %s; check the path and its permissions", strerror(errno));
    if (fstat(fd, &st)) {
        err_set(e, "cannot stat: %s", strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err_set(e, "is a %s, not a regular file; name a .safetensors file", S_ISDIR(st.st_mode) ? "directory" : S_ISFIFO(st.st_mode) ? "pipe" : "device");
    } else {
        *size = (uint64_t)st.st_size;
        return fd;
    }
    close(fd);
    return -1;
}

int mapped_open(mapped *m, const char *path, pith_err *e)
{
    size_t n = strlen(path) + 1;
    m->path = mem_alloc(n);
    if (!m->path) return err_nomem(e, n, path);
    memcpy(m->path, path, n);
    return mapped_regular(path, &m->size, e);
}

static size_t page_size(void)
{
    long n = sysconf(_SC_PAGESIZE);
    return n > 0 ? (size_t)n : 4096;
}

int mapped_load(mapped *m, int fd, uint64_t from, int no_mmap, pith_err *e)
{
    size_t size;
    if (checked_size(no_mmap ? m->size - from : m->size, &size)) return err_set(e, "too large for this machine's address space");
    m->from = from;
    if (no_mmap) {
        void *p = mem_aligned(64, size);
        if (!p) return err_nomem(e, size, "the tensors; without --no-mmap they are mapped");
        m->mem = p;
        return header_pread(fd, m->mem, size, from, e);
    }
    void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return err_set(e, "cannot map: %s; --no-mmap reads instead", strerror(errno));
    m->map = p;
    m->map_len = (size + page_size() - 1) / page_size() * page_size();
    return 0;
}

const char *mapped_at(const mapped *m, uint64_t offset) { return m->map ? m->map + offset : m->mem + (offset - m->from); }

void mapped_release(const mapped *m, uint64_t offset, uint64_t n)
{
    if (!m->map) return;
    uint64_t mask = page_size() - 1, begin = (offset + mask) & ~mask, end = (offset + n) & ~mask;
    if (begin < end) madvise(m->map + begin, (size_t)(end - begin), MADV_DONTNEED);
}

int mapped_holds(const mapped *m, const void *addr)
{
    uintptr_t a = (uintptr_t)addr, map = (uintptr_t)m->map;
    return map && a >= map && a - map < m->map_len;
}

void mapped_unload(mapped *m)
{
    if (m->map) munmap(m->map, (size_t)m->size);
    mem_free_aligned(m->mem);
    m->map = m->mem = NULL;
}

void mapped_close(mapped *m)
{
    mapped_unload(m);
    mem_free(m->path);
    m->path = NULL;
}
