#ifndef UNIT_ROLE_CHILD_H
#define UNIT_ROLE_CHILD_H

#include <sys/types.h>

#include "proc/proc.h"

/*
 * For tests of a process of the daemon: its code in a child of this program,
 * where what the sanitizers cannot live with is left out (the file system's
 * limits and the filter of system calls), or build/vmd as it is.
 */

#define ROLE_PROGRAM "build/vmd"

/*
 * Start it with this end of its channel, which stays open here; the test
 * fails if that cannot be done.  The caller reaps it and closes `*pidfd'.
 */
pid_t role_start(const char *role, int (*code)(const struct proc_args *a),
    int channel, int *pidfd);
/* The same of the program. */
pid_t role_start_program(const char *role, int channel, int *pidfd);

#endif
