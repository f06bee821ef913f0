#ifndef VM_DEVS_H
#define VM_DEVS_H

#include "lib/util/fdlist.h"
#include "proc/peer.h"
#include "vmd/vm/virtio.h"

/*
 * The device processes of this guest, as the vm process sees them: one
 * virtio device each, an eventfd pair per queue, a shared page, a channel
 * that vmm hands over, again after each death.  Main thread.
 */

struct dev_list;
struct devs;
struct vm_spec;

#define DEVS_READY_S	5 /* from HELLO to READY */
#define DEVS_RESET_S	5 /* a reset, else it is killed */
#define DEVS_PAUSE_S	8 /* to finish what is in flight */
#define DEVS_SHUTDOWN_S 5 /* to flush at the end */

/* What devs needs of the vm process; callbacks may come from calls into it. */
struct devs_ops {
	/* All are ready, or `error' says why they never will be. */
	void (*ready)(void *arg, const char *error);
	/* devs_pause() is done, or failed for `error'; devs_shutdown() is. */
	void (*paused)(void *arg, const char *error);
	void (*ended)(void *arg);
	void *arg;
};

/*
 * Make all that the devices of `spec' need: eventfds, pages.  Before the
 * system call filter.  `mem' outlives it.  NULL with errno.
 */
struct devs *devs_new(struct event_base *base, const struct vm_spec *spec,
    const struct gmem *mem, struct peer *up, const struct devs_ops *ops);
unsigned int devs_count(const struct devs *ds);
/*
 * IMSG_VMDOP_DEVICE: a process for one of them; when all have answered
 * ops.ready is called, once.  0, or -1 for a bad message.
 */
int devs_channel(struct devs *ds, struct msg *m);
/*
 * Put the devices, which are ready, into the machine.  0, or -1 with errno.
 */
int devs_plug(struct devs *ds, const struct virtio_host *h);

/* What they have counted, and how large they are.  `ds' may be NULL. */
void devs_stats(const struct devs *ds, struct dev_list *l);

/* vcpus are paused: hold the devices as well, and let them go. */
void devs_pause(struct devs *ds);
void devs_resume(struct devs *ds);
/* vcpus have ended: flush and end all of them. */
void devs_shutdown(struct devs *ds);

#endif
