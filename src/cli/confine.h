/* confine: before a verb reads what a stranger wrote, it gives up what it will not need. Which files it does need, its
 * table of options and arguments says; the rest of the file system, the network and other programs are then out of reach,
 * whatever a model makes of the program. `serve` has a sandbox of its own (server/sandbox.h). */
#ifndef CLI_CONFINE_H
#define CLI_CONFINE_H
#include "cli/cli.h"

enum {
    CONFINE_TEMPORARY = 1, /* writes beneath TMPDIR */
    CONFINE_TALK = 2,      /* a terminal's description, and files named in a conversation: beneath the current folder */
    CONFINE_BUNDLED = 4,   /* reads the bundled models, whichever there are */
    CONFINE_ITSELF = 8     /* does it on its own */
};

typedef struct confine_needs {
    const char *args; /* what the arguments are: r: a path to read, w: a path to write; the last letter for all that
                         follow. NULL: texts */
    int more;              /* CONFINE_... */
    const char *lifted_by; /* a flag's name: with it there is no sandbox */
} confine_needs;

/* values, argv: as cli_parse left them. -1: the user asked for it and the kernel cannot. Says with -v what holds. */
int confine(const cli_verb *v, const confine_needs *needs, const void *values, char *const *argv, pith_err *e);
/* Are files out of reach? For a message's hint. */
int confine_holds(void);

#endif
