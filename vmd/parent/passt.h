#ifndef PARENT_PASST_H
#define PARENT_PASST_H

#include <stddef.h>

#include "lib/proto/netconf.h"

/*
 * User-mode interfaces: passt(1), a program of its own, is the guest's
 * network.  One process an interface, with a user id that nobody else has,
 * in the host's network namespace; it speaks a stream of frames on a socket
 * whose other end is the interface's FD_TAP, and ends with it.
 */

struct parent;
struct vm;
struct nic_spec;

/* `why' is NULL when it works, else a sentence without a name before it. */
typedef void passt_done(struct vm *v, unsigned int idx, const char *why);

/*
 * Start it for interface `idx' of v->run, whose net_conf is complete.  `done'
 * is called once, from the loop, unless passt_stop() comes first: then its
 * socket is FD_TAP `idx', 0 in v->fds, or it is not running and there is
 * none.  If it ends later that is logged; the interface has no link then.
 * Waits for the end of the one before.  0, or -1 with errno: no memory.
 */
int passt_start(struct vm *v, unsigned int idx, passt_done *done);
/*
 * End all of that VM, and close their FD_TAPs in v->fds.  They get SIGTERM,
 * and SIGKILL when they are still there after 2 s.
 */
void passt_stop(struct vm *v);
/* Does it run for that interface? */
int passt_runs(const struct vm *v, unsigned int idx);
/* The daemon ends: kill and forget all. */
void passt_clear(struct parent *p);

/* --- passt_args.c ------------------------------------------------------ */

/*
 * The arguments for the interface `n', NULL at the end; free them with
 * passt_args_free().  NULL with errno.
 */
char **passt_args(const struct nic_spec *n);
void passt_args_free(char **argv);

#endif
