#ifndef PARENT_NET_H
#define PARENT_NET_H

#include <stddef.h>
#include <stdint.h>

/*
 * Networks, in the parent: interfaces of VMs and switches, all by orders to
 * priv.  Interfaces are made one after the other before a VM is launched,
 * kept while its guest resets, and undone when the run is over.
 */

struct parent;
struct vm;

/* --- net.c: the interfaces of a VM --------------------------------------- */

/*
 * Make the interfaces of v->run that are not there yet, then vm_launch(); or
 * vm_start_failed().
 */
void vm_net_start(struct vm *v);
/* The start is over: nothing more is made.  What is there stays. */
void vm_net_cancel(struct vm *v);
/* The run is over: undo all; nothing happens if there is nothing. */
void vm_net_end(struct vm *v);
/* Descriptors that vm_net_start() will add to v->fds. */
size_t vm_net_queues(const struct vm *v);

/* --- netpending.c ---------------------------------------------------------- */

/*
 * What of the interfaces of a guest that runs its next start changes, though
 * its own definition is the same; in `why'.  1, or 0 if nothing.
 */
int net_pending(const struct vm *v, char *why, size_t len);

/* --- netd.c: for the daemon as a whole ----------------------------------- */

/* Read what is kept in the state directory.  0, or -1 after a message. */
int net_setup(struct parent *p);
void net_fini(struct parent *p);
/* There is a new priv: tell it all. */
void net_greet(struct parent *p);
/* It has ended, and all that it was asked for failed. */
void net_lost(struct parent *p);
/* p->conf has changed. */
void net_configure(struct parent *p);
/* No guest is left: remove our switches.  1 if all is done. */
int net_shutdown(struct parent *p);
/* Of MACs as of ids: `reset vms'. */
void net_forget(struct parent *p);
/* What may keep guests offline, as of host_info; NULL: not looked yet. */
char *net_notes(struct parent *p);

#endif
