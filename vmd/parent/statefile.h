#ifndef PARENT_STATEFILE_H
#define PARENT_STATEFILE_H

#include <stdio.h>
#include <sys/types.h>

/*
 * Small text files of the state directory: read line by line, replaced as a
 * whole by rename(2), so that nobody ever sees half of one.
 */

#define STATEFILE_LINE 4160 /* longest line, with the newline and NUL */

/*
 * Write `name' in `dirfd' anew: `put' writes all of it and returns 0 or -1;
 * errors of stdio are seen here.  It is on the disk before it has its name,
 * and has exactly `mode'.  0, or -1 with errno; the old file is still there
 * then.
 */
int statefile_write(int dirfd, const char *name, mode_t mode,
    int (*put)(FILE *f, void *arg), void *arg);

/*
 * Call `line' for each line of `name', without its newline; it returns NULL,
 * or what is wrong with it, which is logged and the line left out, as are
 * damaged ones.  Returns the number of those, 0 if there is no such file, or
 * -1 with errno.
 */
int statefile_read(int dirfd, const char *name,
    const char *(*line)(void *arg, char *text), void *arg);

#endif
