#define _GNU_SOURCE
#include "cli/landlock.h"
#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/landlock.h of the machine that builds may be older than the kernel that runs. The numbers are the same everywhere. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
enum { ONLY_VERSION = 1, PATH_BENEATH = 1 };
enum {
    EXECUTE = 1, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4, REMOVE_FILE = 1 << 5,
    MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, FIRST = (1 << 13) - 1, /* all that version 1 knows */
    REFER = 1 << 13 /* version 2 */, TRUNCATE = 1 << 14, IOCTL_DEV = 1 << 15
};
enum { TCP = 3, ABSTRACT_SOCKET_AND_SIGNAL = 3 };

typedef struct ruleset {
    uint64_t files, net, scoped;
} ruleset;
typedef struct beneath {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed)) beneath;

int landlock_begin(landlock *l, pith_err *e)
{
    *l = (landlock){.fd = -1, .version = (int)syscall(SYS_landlock_create_ruleset, NULL, (size_t)0, ONLY_VERSION)};
    if (l->version < 1) return err_set(e, "the kernel cannot hold back files (Landlock, Linux 5.19): %s", strerror(errno));
    if (l->version < 2) return err_set(e, "the kernel's Landlock lets no file move from folder to folder; it does since Linux 5.19");
    l->handled = FIRST | REFER | (l->version >= 3 ? TRUNCATE : 0) | (l->version >= 5 ? IOCTL_DEV : 0);
    ruleset r = {.files = l->handled, .net = l->version >= 4 ? TCP : 0, .scoped = l->version >= 6 ? ABSTRACT_SOCKET_AND_SIGNAL : 0};
    /* A kernel that does not know the last fields wants them to be 0, which they are. */
    l->fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
    return l->fd < 0 ? err_set(e, "the kernel refuses a Landlock ruleset: %s", strerror(errno)) : 0;
}

int landlock_allow(landlock *l, const char *path, int rights, pith_err *e)
{
    struct stat st;
    uint64_t file = 0, folder = 0;
    if (rights & LANDLOCK_READ) file |= READ_FILE, folder |= READ_DIR;
    if (rights & LANDLOCK_WRITE) file |= WRITE_FILE | TRUNCATE | IOCTL_DEV, folder |= REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER;
    beneath b = {.folder = open(path, O_PATH | O_CLOEXEC)};
    if (b.folder < 0) return errno == EMFILE || errno == ENFILE ? err_set(e, "%.700s: %s", path, strerror(errno)) : 0;
    int bad = fstat(b.folder, &st);
    b.allowed = (file | (S_ISDIR(st.st_mode) ? folder : 0)) & l->handled;
    if (!bad) bad = (int)syscall(SYS_landlock_add_rule, l->fd, PATH_BENEATH, &b, 0);
    int why = errno;
    close(b.folder);
    if (bad && why == EBADFD) bad = 0; /* a pipe: never held back */
    return bad ? err_set(e, "%.700s: the kernel refuses a Landlock rule: %s", path, strerror(why)) : 0;
}

int landlock_hold(landlock *l, pith_err *e)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return err_set(e, "the kernel cannot forbid new privileges: %s", strerror(errno));
    if (syscall(SYS_landlock_restrict_self, l->fd, 0)) return err_set(e, "the kernel refuses to hold the ruleset: %s", strerror(errno));
    return 0;
}

void landlock_end(landlock *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

#else

int landlock_begin(landlock *l, pith_err *e)
{
    *l = (landlock){.fd = -1};
    return err_set(e, "only Linux holds back files (Landlock)");
}
int landlock_allow(landlock *l, const char *path, int rights, pith_err *e)
{
    (void)l, (void)path, (void)rights, (void)e;
    return 0;
}
int landlock_hold(landlock *l, pith_err *e)
{
    (void)l, (void)e;
    return 0;
}
void landlock_end(landlock *l) { (void)l; }

#endif
