/* convert_out: the place `pith convert` writes in, and how it becomes the target all at once. The place is a folder
 * .pith-convert-XXXXXX beside the target, locked (flock) while its run lives: the next run removes those that no run
 * holds. Knows nothing of weights. */
#ifndef CLI_CONVERT_OUT_H
#define CLI_CONVERT_OUT_H
#include "cli/convert_files.h"
#include <sys/types.h>

typedef struct convert_out {
    const char *name;     /* of the target, as typed */
    char *parent, *base;  /* where the target really is: parent/base */
    char *path;           /* parent/base */
    char *place;          /* parent/.pith-convert-XXXXXX; NULL: none yet */
    char *file;           /* the target is one file: its name in the place; else NULL */
    int fd;               /* holds the lock of the place; -1 */
    int exists, replaces; /* the target is there; and holds something */
    mode_t mode;          /* of what is replaced */
} convert_out;

/* What is dst? A file if its name ends in .safetensors, else a directory. Refuses, before any work, what is there
 * already unless `force`, and a target that src lies in. Also brings back what a run that died while it replaced the
 * target had put aside. */
int convert_out_target(convert_out *o, const char *dst, const char *src, int force, pith_err *e);
/* Removes what dead runs left and makes the place. */
int convert_out_begin(convert_out *o, pith_err *e);
/* Everything in the place is complete and on disk: the target becomes it, or stays as it was. coming: what
 * convert_files_replaceable wants. 1: done, but something of the old one is still there, e says where. */
int convert_out_commit(convert_out *o, int force, const convert_files *coming, pith_err *e);
/* Makes a message that names the place name the target, which is what a user knows. */
void convert_out_say(const convert_out *o, pith_err *e);
/* Gives back what it holds; an uncommitted place is removed. */
void convert_out_close(convert_out *o);

#endif
