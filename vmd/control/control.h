#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include "proc/peer.h"

struct event_base;

/*
 * The clients' side of the daemon, without process privileges: what
 * control_main() runs once it has dropped them, and what tests run.
 */
struct control;

#define CONTROL_MAXCONNS    512 /* connections at a time ... */
#define CONTROL_MAXUSER	    128 /* ... and of one user but root */
#define CONTROL_ROOTCONNS   32	/* beyond MAXCONNS, for root */
#define CONTROL_MAXREQUESTS 16	/* of a connection; more wait */
#define CONTROL_MAXCONSOLES 16	/* a connection may ever ask for */

/* NULL with errno.  Free after the loop ended. */
struct control *control_new(struct event_base *base);
void control_free(struct control *c);
/* The parent's messages; the peer's arg must be `c'. */
extern const struct msg_handler control_msgs[];
extern const size_t control_nmsgs;
/* The channel to the parent, before the loop runs; stays the caller's. */
void control_set_parent(struct control *c, struct peer *up);

#endif
