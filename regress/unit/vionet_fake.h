#ifndef VIONET_FAKE_H
#define VIONET_FAKE_H

/*
 * A network device without its process and without a tap: its own files, a
 * little guest memory with all its queues, what dev.c would do for it, and
 * two lists of frames for the host.
 */

#include "regress/unit/dirty_watch.h"
#include "vmd/dev/vionet.h"

#define FAKE_MEM    (4U << 20)
#define FAKE_RINGS  0x1000ULL
#define FAKE_STRIDE 0x10000ULL
#define FAKE_DATA   0x100000ULL
#define FAKE_QUEUE  64 /* its size */
#define FAKE_FRAMES 64

struct fake_frame {
	size_t len;
	uint8_t data[NET_BUF];
};

struct fake {
	struct dev d;
	struct dev_ready ready;
	char why[DEV_WHYLEN];
	struct dev_page page;
	struct vq_inflight *records[DEV_MAXQUEUES];
	/* To the guest, by pair; from it. */
	struct fake_frame in[FAKE_FRAMES], out[FAKE_FRAMES];
	unsigned int in_pair[FAKE_FRAMES];
	unsigned int nin, nout, taken;
	int out_errno;	      /* of the next writes */
	unsigned int watched; /* pairs, bits */
	uint64_t without;     /* offloads the tap has not */
	struct watch watch;   /* of memory, once it is on */
};

/* Rings of queue `q'. */
struct vq_conf fake_conf(struct fake *f, unsigned int q);
/* 0, or -1 with why. */
int fake_open(struct fake *f, const struct net_conf *conf);
/* The driver is up with all queues; `resume': it was already. */
void fake_activate(struct fake *f, uint64_t features, int resume);
/* A frame of the host waits; its header is in front. */
void fake_in(struct fake *f, unsigned int pair, const void *p, size_t len);
/* Work until nothing is left; -1 if the guest broke a queue. */
int fake_run(struct fake *f);
void fake_reset(struct fake *f);
void fake_close(struct fake *f);

#endif
