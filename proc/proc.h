#ifndef PROC_PROC_H
#define PROC_PROC_H

#include <sys/types.h>

#include "proc/peer.h"

/*
 * The life of a role process: vmd starts itself again with `-P role', its
 * channel to whoever started it is descriptor PROC_CHANNEL_FD.
 */
#define PROC_CHANNEL_FD 3

/* Started with; constant for the process' life. */
struct proc_args {
	const char *role; /* "control", "priv", "vmm" */
	int debug;	  /* -d */
	int verbose;
};

/*
 * First thing in a role's main: title "vmd: ROLE", log sink to the channel,
 * SIGPIPE ignored, SIGTERM and SIGINT left to the role, PDEATHSIG, and only
 * descriptors 0-2 and the channel open.  Exits on failure.
 */
void proc_init(const struct proc_args *a);

/*
 * Change root to an empty, read-only place and drop to `user' with no
 * capabilities but those in `caps' (bit numbers, may be NULL), no_new_privs,
 * non-dumpable, no core; then check that nothing can be had back.  Exits
 * on failure.
 */
void proc_drop(const char *user, const int *caps, size_t ncaps);

/*
 * The last step of a role: a Landlock domain that grants nothing and the
 * system call filter called `filter' (lib/sandbox).  A layer the kernel
 * lacks is logged; one that fails ends the process.  Reports proc_ready().
 */
void proc_confine(const char *filter);

/*
 * Tell the process above, after proc_up() and the filter, that this one is
 * set up, and what it has done to itself (sandbox_own()): a CTL_READY
 * message.
 */
void proc_ready(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Called when that channel ends, before the process does.  Once. */
void proc_on_end(void (*fn)(void));

/*
 * The channel to the process above as a peer, with the log sink on it;
 * answers nothing by itself.  When it ends the process exits 0.
 */
struct peer *proc_up(struct event_base *base, enum role above,
    const struct msg_handler *msgs, size_t nmsgs, void *arg);

#endif
