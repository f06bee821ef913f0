#ifndef PROC_SPAWN_H
#define PROC_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Start a process by fork (clone) and exec.  The child gets `channel' as
 * descriptor 3, `fds' from 4 on in order, /dev/null (or, with keep_stdio,
 * ours, or for 2 `err') on 0-2, and nothing else.  All signals are at their defaults and
 * unblocked in it.
 */
struct spawn {
	int exe; /* descriptor for execveat(2) */
	const char *const *argv;
	int channel;	/* stays the caller's */
	const int *fds; /* stay the caller's */
	size_t nfds;
	int keep_stdio;
	int err;   /* its descriptor 2, 0: as above; stays the caller's */
	int flags; /* CLONE_NEW* for the child, 0 if none */
	/*
	 * pidfd of a process whose pid namespace the child is to be in, 0:
	 * ours.  The child is the caller's own all the same.
	 */
	int pidns;
	/*
	 * Run in the parent after the clone, while the child waits: to write
	 * id maps.  -1 with errno ends the child.  May be NULL.
	 */
	int (*started)(pid_t pid, void *arg);
	/*
	 * Run in the child after that, before descriptors are arranged and
	 * exec; -1 with errno ends it.  Async-signal-safe calls only.  May
	 * be NULL.
	 */
	int (*child)(void *arg);
	void *arg;
};

/*
 * Returns the pid and, in `*pidfd' (close-on-exec), a descriptor that
 * becomes readable when it ends; or -1 with errno.  A failed exec is
 * reported here too, with its errno; nothing is left behind then.
 */
pid_t spawn(const struct spawn *s, int *pidfd);

/*
 * Reap by pidfd without blocking.  1 with the status in `*status' (as of
 * waitpid(2)), 0 if it still runs, -1 with errno.
 */
int spawn_reap(int pidfd, int *status);

#endif
