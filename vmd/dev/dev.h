#ifndef DEV_DEV_H
#define DEV_DEV_H

#include <stdint.h>

#include "lib/disk/io.h"
#include "lib/imsg/imsg.h"
#include "lib/proto/devmsg.h"
#include "lib/proto/devpage.h"
#include "lib/util/fdlist.h"
#include "lib/util/gmem.h"
#include "lib/virtio/vq.h"
#include "vmd/dev/lone.h"
#include "vmd/dev/spin.h"

/*
 * A device process: one virtio device of one guest, locked up with guest
 * memory and one image or tap.  dev.c owns the channels, the loop, the
 * queues and the eventfds; a device is one file with one const struct
 * dev_ops.  One thread.
 */

#define DEV_CHANNEL_VMM 3 /* what it is; the log */
#define DEV_CHANNEL_VM	4 /* queues and orders */
#define DEV_WHYLEN	256

struct dev;

/* One virtqueue, between activate() and the reset. */
struct dev_vq {
	struct vq vq;
	struct dev *dev;
	unsigned int n;
	int kick, call;	     /* eventfds */
	int file;	     /* of kick, in the io */
	struct io_op polled; /* kick, watched */
	struct vq_inflight *record;
	int on;	   /* the guest uses it */
	int awake; /* kicks are off: we look at it again by ourselves */
	int fresh; /* the guest may sleep: it was not */
	unsigned int dirty; /* pushed, not published */
	struct lone lone;
};

struct dev_ops {
	enum dev_kind kind;
	/*
	 * System call filters: from before the first byte of an image is
	 * read, and once it is ready; and the latter without a ring.
	 */
	const char *filter_open, *filter, *filter_sync;
	unsigned int depth;   /* of the io, for each queue */
	unsigned int spin_us; /* to look for work before it sleeps */
	/*
	 * The guest waits for answers.  If it sleeps until they come, the
	 * first of many are given early; and for one at a time it kicks: by
	 * then the answer may be there, and to wake it would take longer.
	 */
	int answers;
	/*
	 * Take d->fds apart, fill `r' (features, configuration).  0, or -1
	 * with a sentence in `why'.
	 */
	int (*open)(struct dev *d, struct dev_ready *r, char why[DEV_WHYLEN]);
	/*
	 * The driver is up: d->features, d->queues.  0, or -1: broken.  May
	 * be NULL.
	 */
	int (*activate)(struct dev *d);
	/*
	 * Work on what is in queue `q': vq_next() until it is empty, or until
	 * it is time to show the guest what was done; it is called again as
	 * long as something is there.  What it writes into guest memory it
	 * tells by vq_wrote().  0, or -1 if the guest broke it.
	 */
	int (*queue)(struct dev *d, struct dev_vq *q);
	/*
	 * Is there work in `q', without a system call?  And, before we sleep:
	 * the same after the guest was asked to kick where that is wanted.
	 * NULL: vq_waits() and vq_kick_on().
	 */
	int (*waits)(struct dev *d, struct dev_vq *q);
	int (*rest)(struct dev *d, struct dev_vq *q);
	/* The guest wrote configuration space; may be NULL. */
	void (*config_write)(struct dev *d, unsigned int off, unsigned int size,
	    uint32_t val);
	/* Called every tick_s seconds, whatever else happens; may be NULL. */
	void (*tick)(struct dev *d);
	unsigned int tick_s;
	/* Nothing is in flight: make all durable.  0 or -1 with errno. */
	int (*close)(struct dev *d);
};

struct dev {
	const struct dev_ops *ops;
	struct dev_start start;
	struct dev_hello hello;
	struct fdlist fds;
	struct gmem mem;
	struct dev_page *page;
	struct io *io;
	int file0; /* in the io: the first of fds */
	struct dev_vq queues[DEV_MAXQUEUES];
	unsigned int nqueues;
	uint64_t features; /* agreed on */
	uint64_t generation;
	int active;  /* queues may be worked on */
	int resumed; /* they were in use by the process before */
	int paused;
	int broken;	   /* until the reset */
	unsigned int busy; /* requests begun and not ended */
	void *priv;	   /* the device's */
	/* Who wants to know of all we write into guest memory. */
	struct vq_dirty dirty;
	/* Orders that wait for busy == 0. */
	int resetting, pausing, ending;
	struct dev_order reset, pause;
	struct imsgbuf vmm, vm;
	struct io_op vmm_polled, vm_polled;
	int timer; /* for tick() */
	struct io_op ticked;
	struct spin spin;
};

/* The devices. */
extern const struct dev_ops vioblk_ops;
extern const struct dev_ops vionet_ops;
extern const struct dev_ops vioscsi_ops;

/* main() of a device process; never returns. */
int dev_main(const struct dev_ops *ops);

/* A request is begun; it has ended, with `len' bytes written for the guest. */
void dev_begin(struct dev *d);
void dev_end(struct dev *d, struct dev_vq *q, uint16_t head, uint32_t len);
/* Something has come for queue `q': work on it, if it may be. */
void dev_work(struct dev *d, struct dev_vq *q);
/* The configuration has changed: write it to the page first. */
void dev_config_changed(struct dev *d);
/* Count. */
void dev_count(struct dev *d, enum dev_stat s, uint64_t n);

#endif
