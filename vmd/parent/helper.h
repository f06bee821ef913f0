#ifndef PARENT_HELPER_H
#define PARENT_HELPER_H

#include <stddef.h>
#include <stdint.h>

#include "proc/peer.h"

/*
 * Processes of the parent's that do one thing that may take for ever or go
 * wrong, answer, and end: opener and image.
 */

#define HELPER_TIMEOUT 10 /* seconds */

struct parent;
struct helper;

enum helper_end {
	HELPER_ANSWERED,
	HELPER_LATE,
	HELPER_DIED
};

struct helper_conf {
	const char *name; /* of the role, and in the log */
	enum role role;
	enum proc_kind kind;		/* for `vmctl audit' */
	const struct msg_handler *msgs; /* constant; peer_arg(): the helper */
	size_t nmsgs;
	int flags; /* CLONE_NEW* */
	uid_t uid; /* on whose behalf; 0: no limit */
	/*
	 * Called once from the loop: after helper_answered(), or because it
	 * was late or has ended.  The helper is gone afterwards.
	 */
	void (*done)(void *arg, enum helper_end end);
	void *arg;
};

/*
 * Start it.  NULL with errno; EBUSY: too many of this person's were killed
 * and do not end.  A file system that does not answer can hold them.
 */
#define HELPER_MAX_STUCK 16
struct helper *helper_start(struct parent *p, const struct helper_conf *c);
/*
 * Send it its one job; `b' and `*fd' (NULL or -1: none) are taken.  0, or -1
 * with errno.
 */
int helper_send(struct helper *h, uint32_t type, struct ibuf *b, int *fd);
/* For handlers: the arg of its conf, and that the answer is there. */
void *helper_arg(const struct helper *h);
void helper_answered(struct helper *h);
/* Handlers for CTL_LOG and CTL_READY. */
int helper_log(struct peer *p, struct msg *m);
int helper_ready(struct peer *p, struct msg *m);
/* Kill it; `done' is not called.  NULL is fine. */
void helper_cancel(struct helper *h);

#endif
