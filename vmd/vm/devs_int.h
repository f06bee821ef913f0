#ifndef VM_DEVS_INT_H
#define VM_DEVS_INT_H

#include <pthread.h>
#include <event2/event.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/devpage.h"
#include "vmd/vm/devs.h"

/* What the files devs*.c share. */

#define MAXWRITES 8

enum life {
	LIFE_NONE,  /* no process */
	LIFE_HELLO, /* has our HELLO */
	LIFE_READY,
};

/* What vcpu threads noted. */
struct notes {
	int activate, reset;
	unsigned int nwrites;
	struct dev_order writes[MAXWRITES];
};

struct vdev {
	struct devs *ds;
	struct virtio_conf conf;
	char name[16];
	enum dev_kind kind;
	unsigned int idx;
	int page_fd;
	struct dev_page *page;
	size_t page_size;
	struct virtio *virtio;
	struct peer *peer;
	struct event *deadline;
	enum life life;
	uint32_t run; /* which of its processes, says vmm */
	int known;    /* was ready once: the fields below are set */
	uint64_t features;
	unsigned int config_len;
	uint8_t config[DEV_MAXCONFIG]; /* as it begins */
	int on;		   /* the driver is up, as the device was told */
	int resetting;	   /* told, not answered */
	int pausing;	   /* the same */
	int ending;	   /* the same */
	struct notes held; /* writes since the reset, for each process */
	uint64_t generation;
	struct dev_activate act; /* under the lock until it is sent */
	struct notes notes;	 /* under the lock */
};

struct devs {
	struct event_base *base;
	struct peer *up;
	const struct gmem *mem;
	struct devs_ops ops;
	pthread_mutex_t lock;
	int wake; /* eventfd: there are notes */
	struct event *wake_ev;
	struct event *deadline; /* of a pause or the end */
	/* Deadlines in ms: DEVS_*_S, less in tests. */
	unsigned int ready_ms, reset_ms, pause_ms, shutdown_ms;
	uint64_t npauses; /* the number of the last one */
	int told;	  /* ops.ready was called */
	int paused;
	int pausing, ending;
	unsigned int n;
	struct vdev *devs;
};

/* --- devs_guest.c: from the guest to the devices --- */
/* For struct virtio_backend: vcpu threads; `arg' is the vdev. */
int vdev_on_activate(void *arg, uint64_t features, const struct virtio_queue *q,
    unsigned int n);
int vdev_on_reset(void *arg);
void vdev_on_config_write(void *arg, unsigned int off, unsigned int size,
    uint32_t val);
/* There are notes: main thread. */
void devs_woken(evutil_socket_t fd, short what, void *arg);
/* Say it to a device that is ready; to others it is said later. */
void vdev_tell(struct vdev *v, uint32_t type);
void vdev_order(struct vdev *v, uint32_t type, const struct dev_order *o);
void vdev_activate(struct vdev *v, uint32_t resume);
/* It is of no more use: vmm kills it and starts another. */
void vdev_failed(struct vdev *v, const char *why);
void vdev_arm(struct vdev *v, unsigned int ms);
/* Writes that were noted, to one that is ready and has its features. */
void vdev_writes(struct vdev *v, const struct notes *n);
void vdev_reset_done(struct vdev *v);
/* No process has the queues: the record is of a time that is over. */
void vdev_forget(struct vdev *v);

/* --- devs_say.c: from the devices --- */
extern const struct msg_handler vdev_msgs[];
extern const size_t vdev_nmsgs;
/* Tell, once, when the last one is ready or one cannot be. */
void devs_report(struct devs *ds, const char *error);
/* Have all answered to a pause, or to the end? */
void devs_settle(struct devs *ds);
/* They did not in time: event callback, `arg' is the devs. */
void devs_late(evutil_socket_t fd, short what, void *arg);

#endif
